"""Families from one line to statistics: densities, free parameters, intervals, text, checks."""

import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jglm
from jglm import cli, families
from jglm.family import Family

RNG = np.random.default_rng(7)
N = 240
X = RNG.normal(size=(N, 2))
MU = np.exp(0.4 + X @ [0.3, -0.2])


def normal(z):
    """Whether values look standard normal, at a fixed seed."""
    return stats.kstest(z[np.isfinite(z)], "norm").pvalue > 1e-3


def test_a_family_of_one_line_has_everything():
    """a(eta) = log cosh(eta): mean, variance, link, fit, errors, likelihood, residuals, intervals, draws."""
    own = Family("own", a=lambda eta: jnp.log(jnp.cosh(eta)))
    p = 1 / (1 + np.exp(-2 * (0.2 + 0.5 * X[:, 0])))
    y = np.where(RNG.random(N) < p, 1.0, -1.0)
    fit = jglm.fit(X, y, family=own)
    twin = jglm.fit(X, y, family="bernoulli")  # y = -1, 1 with eta half the log-odds
    np.testing.assert_allclose(fit.params, twin.params / 2, rtol=1e-7)
    np.testing.assert_allclose(fit.bse, twin.bse / 2, rtol=1e-6)
    assert np.isclose(fit.llf, twin.llf, rtol=1e-10)
    assert np.isclose(fit.aic, twin.aic, rtol=1e-10)
    assert normal(fit.residuals(kind="quantile"))
    interval = fit.predict(X[:5], interval="mean")
    assert np.all((interval[:, 1] < interval[:, 0]) & (interval[:, 0] < interval[:, 2]))
    assert set(np.unique(fit.predict(X[:5], interval="prediction")[:, 1:])) <= {-1.0, 1.0}
    draws = own.sample(jax.random.key(0), 0.5, shape=(4000,))
    assert set(np.unique(draws)) == {-1.0, 1.0}
    assert abs(float(jnp.mean(draws)) - float(own.mean(0.5))) < 0.05


@pytest.mark.parametrize("name", ["poisson", "gamma", "tweedie", "beta"])
def test_quantile_residuals_are_normal_and_prediction_intervals_cover(name):
    draw = {"poisson": lambda m: RNG.poisson(m), "gamma": lambda m: RNG.gamma(2.0, m / 2),
            "tweedie": lambda m: np.array([RNG.gamma(2.0, 0.5, k).sum() for k in RNG.poisson(m)]),
            "beta": lambda m: RNG.beta(6 * m / (1 + m), 6 / (1 + m))}[name]  # fmt: skip
    y = draw(MU).astype(float)
    family = families.tweedie(1.4) if name == "tweedie" else name
    fit = jglm.fit(X, y, family=family)
    assert normal(fit.residuals(kind="quantile", seed=1))
    low, high = fit.predict(interval="prediction", level=0.9)[:, 1:].T
    share = np.mean((y >= low) & (y <= high))
    assert share > 0.9 - 4 * np.sqrt(0.09 / N)
    assert np.all(low <= high)


def test_prediction_interval_is_the_quantiles_of_the_distribution():
    fit = jglm.fit(X, RNG.poisson(MU), family="poisson")
    mean, low, high = fit.predict(X[:7], interval="prediction", level=0.8).T
    np.testing.assert_array_equal(low, stats.poisson(mean).ppf(0.1))
    np.testing.assert_array_equal(high, stats.poisson(mean).ppf(0.9))
    with pytest.raises(ValueError, match="interval"):
        fit.predict(X[:3], interval="confidence")


SAMPLED = {
    "poisson": (families.poisson, -0.3, 1.0, stats.poisson(np.exp(-0.3))),
    "geometric": (families.geometric, -0.4, 1.0, stats.geom(-np.expm1(-0.4), loc=-1)),
    "negative_binomial": (families.negative_binomial(2.5), -0.7, 1.0, stats.nbinom(2.5, -np.expm1(-0.7))),
    "gaussian": (families.gaussian, 0.7, 2.0, stats.norm(0.7, np.sqrt(2.0))),
    "gamma": (families.gamma, -0.5, 0.7, stats.gamma(1 / 0.7, scale=2 * 0.7)),
    "exponential": (families.exponential, -0.5, 1.0, stats.expon(scale=2.0)),
    "inverse_gaussian": (families.inverse_gaussian, -0.5, 0.7, stats.invgauss(0.7, scale=1 / 0.7)),
    "logarithmic": (families.logarithmic, -0.4, 1.0, stats.logser(np.exp(-0.4))),
    "hyperbolic_secant": (families.hyperbolic_secant, 0.0, 1.0, stats.hypsecant(scale=2 / np.pi)),
    "continuous_bernoulli": (families.continuous_bernoulli, 1.5, 1.0, stats.truncexpon(1.5, loc=0.0, scale=1 / 1.5)),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_log_prob_cdf_quantile_and_draws_are_scipys(name):
    family, eta, phi, law = SAMPLED[name]
    mirrored = name == "continuous_bernoulli"  # exp(eta y) on (0, 1) is a truncated exponential of 1 - y
    discrete = hasattr(law, "logpmf")
    y = np.arange(1.0, 9.0) if discrete else np.asarray(law.ppf(np.linspace(0.05, 0.95, 8)))
    at = 1 - y if mirrored else y
    want = law.logpmf(y) if discrete else law.logpdf(y)
    np.testing.assert_allclose(family.log_prob(at, np.full(8, eta), np.full(8, phi)), want, rtol=1e-9, atol=1e-10)
    cdf = np.asarray((family.sf if mirrored else family.cdf)(at, np.full(8, eta), np.full(8, phi)))
    np.testing.assert_allclose(cdf, law.cdf(y), rtol=1e-8)
    if not mirrored:
        body = cdf < 0.999  # further out 1 - cdf has too few digits to tell one y from the next
        back = np.asarray(family.quantile(cdf, np.full(8, eta), np.full(8, phi)))
        np.testing.assert_allclose(back[body], y[body], rtol=1e-7)
    draws = np.asarray(family.sample(jax.random.key(3), eta, phi, (3000,)))
    draws = 1 - draws if mirrored else draws
    if discrete:
        edges = np.unique(law.ppf([0.0001, 0.2, 0.4, 0.6, 0.8, 0.95]))
        seen = np.histogram(draws, np.concatenate([[-np.inf], edges + 0.5, [np.inf]]))[0]
        share = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]]))
        on = share > 0
        assert stats.chisquare(seen[on], share[on] * seen.sum()).pvalue > 1e-3
    else:
        assert stats.kstest(draws, law.cdf).pvalue > 1e-3


def test_moments_of_the_density_are_the_derivatives_of_a():
    for family, eta in ((families.tweedie(1.3), -0.8), (families.conway_maxwell_poisson(0.8), 0.6),
                        (families.zero_truncated_poisson, 0.4),
                        (families.zero_truncated_negative_binomial(2.0), -0.6)):  # fmt: skip
        mass, mean, variance = family.moments_of_density(eta)
        np.testing.assert_allclose([mass, mean, variance], [1.0, family.mean(eta), family.variance(eta)], rtol=1e-8)
    for made, eta in ((families.beta(), [2.0, 3.5]), (families.gaussian_mean_dispersion(), [0.4, -0.7]),
                      (families.gamma_mean_dispersion(), [1.7, -0.6])):  # fmt: skip
        mass, mean, variance = made.moments_of_density(jnp.array(eta))
        want = made.moments_(jnp.array(eta))
        np.testing.assert_allclose([mass, mean, variance], [1.0, *want], rtol=1e-8)


# --------------------------------------------------------------------------- free parameters
def test_a_users_family_may_have_free_parameters():
    """A negative binomial written by hand, its r free, is the one of the catalogue."""
    from jax.scipy.special import gammaln

    own = Family(
        "own_nb", a=lambda eta, r: -r * jnp.log(-jnp.expm1(eta)), domain=(-jnp.inf, 0), params={"r": 1.0},
        support="nonnegative_integer", free={"r": (0.0, np.inf)}, natural=lambda mu, r: -jnp.log1p(r / mu),
        log_b=lambda y, phi, r: gammaln(y + r) - gammaln(r) - gammaln(y + 1),
    )  # fmt: skip
    y = RNG.negative_binomial(2, 2 / (2 + MU)).astype(float)
    mine, known = jglm.fit(X, y, family=own, link="log"), jglm.fit(X, y, family="negative_binomial")
    np.testing.assert_allclose(mine.params, known.params, rtol=1e-6)
    assert np.isclose(mine.family_params["r"], known.family_params["r"], rtol=1e-6)
    assert np.isclose(mine.family_params_se["r"], known.family_params_se["r"], rtol=1e-6)
    with pytest.raises(ValueError, match="no parameter"):
        Family("x", a=jnp.exp, free={"r": (0, 1)})


def test_no_overdispersion_is_said():
    y = np.round(MU + 0.5)  # less spread than a Poisson
    with pytest.warns(UserWarning, match="poisson"):
        jglm.fit(X, y, family="negative_binomial")


def test_precision_by_formula_and_its_model_file(tmp_path):
    frame = {"y": RNG.beta(4 * MU / (1 + MU), 4 / (1 + MU)), "a": X[:, 0], "b": X[:, 1]}
    fit = jglm.glm("y ~ a + b", frame, family="beta", precision="~ a")
    by_array = jglm.fit(X, frame["y"], family="beta", precision=np.column_stack([np.ones(N), X[:, 0]]))
    np.testing.assert_allclose(fit.params, by_array.params, rtol=1e-8)
    np.testing.assert_allclose(fit.family_params["precision"], by_array.family_params["precision"], rtol=1e-7)
    assert "log precision" in str(fit.summary())
    fit.save(tmp_path / "m.jglm")
    again = jglm.load(tmp_path / "m.jglm")
    np.testing.assert_array_equal(again.bse, fit.bse)
    np.testing.assert_array_equal(again.family_params_se["precision"], fit.family_params_se["precision"])
    np.testing.assert_allclose(again.predict(frame), fit.predict(frame))
    new_rows_have_their_own_precision(again, by_array, frame)
    with pytest.raises(ValueError, match="precision="):
        jglm.fit(X, RNG.poisson(MU), family="poisson", precision=np.ones(N))


def new_rows_have_their_own_precision(by_formula, by_array, frame):
    part = slice(5, 25)
    few = {k: v[part] for k, v in frame.items()}
    X, Z = np.column_stack([few["a"], few["b"]]), np.column_stack([np.ones(20), few["a"]])
    ends = by_formula.predict(few, interval="prediction")
    mu, nu = ends[:, 0], np.exp(Z @ by_formula.family_params["precision"])
    law = stats.beta(mu * nu, (1 - mu) * nu)
    np.testing.assert_allclose(law.cdf(ends[:, 1]), 0.025, rtol=1e-6)
    np.testing.assert_allclose(law.sf(ends[:, 2]), 0.025, rtol=1e-6)
    np.testing.assert_allclose(by_array.predict(X, interval="prediction", precision=Z), ends, rtol=1e-6)
    np.testing.assert_allclose(by_array.predict(interval="prediction")[part], ends, rtol=1e-6)
    for kind in ("pearson", "quantile"):
        inside = by_array.residuals(kind=kind)
        np.testing.assert_allclose(by_formula.residuals(frame, frame["y"], kind), inside, rtol=1e-5)
        np.testing.assert_allclose(by_array.residuals(X, few["y"], kind, precision=Z), inside[part], rtol=1e-5)
    for call in (lambda: by_array.predict(X, interval="prediction"), lambda: by_array.residuals(X, few["y"], "pearson"),
                 lambda: by_array.predict(X, interval="prediction", precision=Z[:, 0])):  # fmt: skip
        with pytest.raises(ValueError, match="columns"):
            call()
    with pytest.raises(ValueError, match="no deviance residuals"):
        by_array.residuals(kind="deviance")
    gone = {**few, "a": np.where(np.arange(20) == 3, np.nan, few["a"])}
    missing = np.isnan(by_formula.predict(gone, interval="prediction"))
    assert np.all(missing[3])
    assert not np.any(np.delete(missing, 3, axis=0))


def test_ordinal_by_formula_needs_no_constant_and_survives_pickle(tmp_path):
    score = np.digitize(X @ [1.0, 0.5] + RNG.logistic(size=N), [-1, 0.5, 2])
    frame = {"y": score, "a": X[:, 0], "b": X[:, 1]}
    fit = jglm.glm("y ~ a + b", frame, family="ordinal")
    assert fit.names == ["a", "b"]
    np.testing.assert_allclose(fit.predict(frame).sum(axis=1), 1.0)
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(again.predict(frame, kind="class"), fit.predict(frame, kind="class"))
    fit.save(tmp_path / "m.jglm")
    np.testing.assert_allclose(jglm.load(tmp_path / "m.jglm").predict(frame), fit.predict(frame))


def test_bad_responses_are_refused_with_the_reason():
    with pytest.raises(ValueError, match="0 < y < 1"):
        jglm.fit(X, np.ones(N), family="beta")
    with pytest.raises(ValueError, match="shares"):
        jglm.fit(X, np.column_stack([np.zeros(N), np.ones(N)]), family="dirichlet")
    with pytest.raises(ValueError, match="counts"):
        jglm.fit(X, RNG.integers(0, 3, N), family="multinomial")
    with pytest.raises(ValueError, match="power"):
        families.tweedie(0.5)
    with pytest.raises(ValueError, match="variance"):
        families.quasi("mu^9")
    with pytest.raises(ValueError, match="no distribution"):
        families.quasipoisson.log_prob(1.0, 0.0)


# --------------------------------------------------------------------------- checks and text
def test_check_family_explains():
    assert jglm.check_family("gamma").ok
    with pytest.raises(ValueError, match="convex"):
        jglm.check_family(Family("concave", a=lambda eta: -(eta**2)))
    report = jglm.check_family(Family("quartic", a=lambda eta: eta**4 + eta**2), raises=False)
    assert "Laplace" in str(report)
    with pytest.raises(ValueError, match="not finite"):
        jglm.check_family(Family("log", a=jnp.log))
    with pytest.raises(ValueError, match="one real number"):
        jglm.check_family(Family("pair", a=lambda eta: jnp.stack([eta, eta])))
    wrong = Family("wrong_base", a=jnp.exp, log_b=lambda y, phi: 0 * y, support="nonnegative_integer")
    with pytest.raises(ValueError, match="mass"):
        jglm.check_family(wrong)
    with pytest.raises(ValueError, match="natural"):
        jglm.check_family(Family("wrong_link", a=jnp.exp, natural=lambda mu: mu))


def test_a_constant_in_a_changes_nothing_but_the_base_measure():
    """a(eta) = log cosh(eta) is 0 at 0, so that both signs have a base measure of 1/2; also in the limits at +-1."""
    signs, y = Family.parse("log(cosh(eta))"), np.array([1.0, -1.0])
    with jax.enable_x64(True):
        np.testing.assert_allclose(signs.log_prob(y, 0.7), y * 0.7 - np.log(2 * np.cosh(0.7)), rtol=1e-14)
        np.testing.assert_allclose(signs.deviance(y, np.tanh(0.7)), -2 * signs.log_prob(y, 0.7), rtol=1e-12)
    np.testing.assert_allclose(signs.deviance(y, np.tanh(0.7)), -2 * signs.log_prob(y, 0.7), rtol=1e-5)


def test_a_family_as_text_travels(tmp_path):
    text = Family.parse("-r * log(1 - exp(eta))", params={"r": 2.0}, domain=(-np.inf, 0))
    np.testing.assert_allclose(text.mean(-0.5), families.negative_binomial(2.0).mean(-0.5))
    y = RNG.poisson(MU)
    fit = jglm.fit(X, y, family=Family.parse("exp(eta)"))
    np.testing.assert_allclose(fit.params, jglm.fit(X, y, family="poisson").params, rtol=1e-8)
    fit.save(tmp_path / "m.jglm")
    np.testing.assert_allclose(jglm.load(tmp_path / "m.jglm").predict(X), fit.predict(X))
    with pytest.raises(ValueError, match="parameters"):
        Family.parse("r * exp(eta)")
    with pytest.raises(ValueError):
        Family.parse("__import__('os').system('true')")


def test_command_line_takes_text_and_parameters(tmp_path, capsys):
    table = np.column_stack([X[:, 0], RNG.negative_binomial(2, 2 / (2 + MU))])
    np.savetxt(tmp_path / "d.csv", table, delimiter=",", header="x,y", comments="")
    data = str(tmp_path / "d.csv")
    assert cli.main(["fit", data, "y ~ x", "--a", "exp(eta)", "--json"]) == 0
    poisson = json.loads(capsys.readouterr().out)
    assert cli.main(["fit", data, "y ~ x", "--family", "poisson", "--json"]) == 0
    np.testing.assert_allclose(poisson["params"], json.loads(capsys.readouterr().out)["params"], rtol=1e-7)
    assert cli.main(["fit", data, "y ~ x", "--family", "negative_binomial", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["family_params"]["r"][0] > 0
    assert cli.main(["fit", data, "y ~ x", "--a", "eta.__class__"]) == 2
    assert cli.main(["families"]) == 0
    assert "tweedie(power)" in capsys.readouterr().out
