"""The front doors: what goes in, what a Fit knows, and what survives a model file."""

import pickle
import warnings

import jax.numpy as jnp
import numpy as np
import pandas
import polars
import pyarrow
import pytest
import statsmodels.api as sm

import jglm
from jglm import families, links, penalties

RNG = np.random.default_rng(11)
N = 200
X = RNG.normal(size=(N, 3))
LIN = 0.3 + X @ [0.5, -0.4, 0.2]
COUNTS = RNG.poisson(np.exp(LIN)).astype(float)
EVENT = (RNG.random(N) < 1 / (1 + np.exp(-LIN))).astype(float)
EXPOSURE = RNG.uniform(0.5, 3, N)


@pytest.fixture(scope="module")
def poisson():
    return jglm.fit(X, COUNTS, family="poisson")


@pytest.fixture(scope="module")
def logistic():
    return jglm.fit(X, EVENT, family="bernoulli")


# --------------------------------------------------------------------------- against statsmodels
def test_statsmodels_agrees(poisson):
    ref = sm.GLM(COUNTS, sm.add_constant(X), family=sm.families.Poisson()).fit(tol=1e-14, maxiter=100)
    np.testing.assert_allclose(poisson.params, ref.params, rtol=1e-9)
    np.testing.assert_allclose(poisson.bse, ref.bse, rtol=1e-8)
    np.testing.assert_allclose(poisson.pvalues, ref.pvalues, rtol=1e-6)
    np.testing.assert_allclose(poisson.conf_int(), ref.conf_int(), rtol=1e-7)
    np.testing.assert_allclose(poisson.cov_params(), ref.cov_params(), rtol=1e-7, atol=1e-12)
    for mine, theirs in (("deviance", "deviance"), ("null_deviance", "null_deviance"), ("llf", "llf"), ("aic", "aic"),
                         ("pearson_chi2", "pearson_chi2"), ("df_resid", "df_resid"),
                         ("df_model", "df_model")):  # fmt: skip
        assert np.isclose(getattr(poisson, mine), getattr(ref, theirs), rtol=1e-9), mine
    for kind, name in (("response", "resid_response"), ("pearson", "resid_pearson"), ("deviance", "resid_deviance"),
                       ("working", "resid_working")):  # fmt: skip
        np.testing.assert_allclose(poisson.residuals(kind=kind), getattr(ref, name), rtol=1e-6, atol=1e-8)


@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.DomainWarning")
@pytest.mark.parametrize(("name", "link", "theirs"), [
    ("poisson", "sqrt", lambda: sm.families.Poisson(sm.families.links.Sqrt())),
    ("bernoulli", "probit", lambda: sm.families.Binomial(sm.families.links.Probit())),
    ("bernoulli", "cauchit", lambda: sm.families.Binomial(sm.families.links.Cauchy())),
    ("bernoulli", "loglog", lambda: sm.families.Binomial(sm.families.links.LogLog())),
    ("gamma", "inverse", lambda: sm.families.Gamma(sm.families.links.InversePower())),
    ("gamma", "identity", lambda: sm.families.Gamma(sm.families.links.Identity())),
    ("inverse_gaussian", "log", lambda: sm.families.InverseGaussian(sm.families.links.Log())),
    ("negative_binomial", "log", lambda: sm.families.NegativeBinomial(alpha=0.4)),
])  # fmt: skip
def test_links_and_families_against_statsmodels(name, link, theirs):
    x = X[:, :1]
    mu = np.exp(0.8 + 0.2 * x[:, 0])
    y = {"poisson": COUNTS, "bernoulli": EVENT, "negative_binomial": COUNTS}.get(name, RNG.gamma(4.0, mu / 4.0))
    family = families.negative_binomial(2.5) if name == "negative_binomial" else name
    fit = jglm.fit(x, y, family=family, link=link, tol=1e-11)
    ref = sm.GLM(y, sm.add_constant(x), family=theirs()).fit(tol=1e-14, maxiter=300)
    assert fit.converged
    np.testing.assert_allclose(fit.params, ref.params, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(fit.bse, ref.bse, rtol=1e-5)
    assert np.isclose(fit.deviance, ref.deviance, rtol=1e-8)


# --------------------------------------------------------------------------- what y may be
def test_labels_of_any_kind_for_two_classes(logistic):
    for y in (EVENT.astype(bool), 2 * EVENT - 1, np.where(EVENT == 1, "yes", "no"), list(EVENT.astype(int)),
              pandas.Categorical(np.where(EVENT == 1, "a", "b"), categories=["b", "a"]),
              pandas.Series(np.where(EVENT == 1, "sick", "healthy"), dtype="category"),
              polars.Series(np.where(EVENT == 1, "y", "n"))):  # fmt: skip
        fit = jglm.fit(X, y, family="bernoulli")
        np.testing.assert_allclose(fit.params, logistic.params, rtol=1e-12)
    assert jglm.fit(X, np.where(EVENT == 1, "yes", "no"), family="bernoulli").levels == ["no", "yes"]
    assert set(fit.predict(X, kind="class")) <= {"y", "n"}
    np.testing.assert_allclose(np.exp(fit.predict(X, kind="log_prob")).sum(axis=1), 1.0)


def test_binomial_in_three_ways():
    trials = RNG.integers(1, 9, N).astype(float)
    k = RNG.binomial(trials.astype(int), 1 / (1 + np.exp(-LIN))).astype(float)
    one = jglm.fit(X, k, family="binomial", trials=trials)
    two = jglm.fit(X, np.column_stack([k, trials - k]), family="binomial")
    three = jglm.fit(X, k / trials, family="binomial", weights=trials)
    for fit in (two, three):
        np.testing.assert_allclose(fit.params, one.params, rtol=1e-10)
        assert np.isclose(fit.llf, one.llf, rtol=1e-12)
    ref = sm.GLM(np.column_stack([k, trials - k]), sm.add_constant(X), family=sm.families.Binomial()).fit(tol=1e-14)
    assert np.isclose(one.llf, ref.llf, rtol=1e-10)
    np.testing.assert_allclose(one.residuals(X, k, kind="pearson", trials=trials), ref.resid_pearson, rtol=1e-7)
    np.testing.assert_allclose(one.predict(X), ref.fittedvalues, rtol=1e-8)


def test_classes_as_labels_one_hot_and_soft():
    codes = RNG.integers(0, 3, N)
    text = np.array(["low", "mid", "top"])[codes]
    by_label = jglm.fit(X, text, family="categorical")
    assert by_label.params.shape == by_label.bse.shape == (4, 2)
    assert by_label.levels == ["low", "mid", "top"]
    one_hot = np.eye(3)[codes]
    np.testing.assert_allclose(
        jglm.fit(X, one_hot, family="categorical").params, by_label.params, rtol=1e-9, atol=1e-12
    )
    ref = sm.MNLogit(codes, sm.add_constant(X)).fit(disp=0, method="newton", tol=1e-14)
    np.testing.assert_allclose(by_label.params, ref.params, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(by_label.bse, ref.bse, rtol=1e-7)
    assert np.isclose(by_label.llf, ref.llf)
    assert np.isclose(by_label.null_deviance, -2 * ref.llnull)
    np.testing.assert_allclose(by_label.cov_params(), ref.cov_params(), rtol=1e-6, atol=1e-10)
    smooth = jglm.fit(
        X, 0.9 * one_hot + 0.1 / 3, family=families.categorical(3)
    )  # label smoothing is a response like any other
    assert np.all(np.abs(smooth.params[1:]) < np.abs(by_label.params[1:]) + 0.05)
    other = jglm.fit(X, text, family=families.categorical(reference=2))
    np.testing.assert_allclose(other.predict(X), by_label.predict(X), rtol=1e-8)
    np.testing.assert_allclose(other.params[:, 0], -by_label.params[:, 1], rtol=1e-7, atol=1e-9)
    assert list(by_label.predict(X[:5], kind="class")) == [
        by_label.levels[i] for i in by_label.predict(X[:5]).argmax(1)
    ]
    assert by_label.residuals().shape == (N, 3)
    assert np.isclose(np.sum(by_label.residuals(kind="deviance") ** 2), by_label.deviance)
    mu = by_label.predict()
    pearson = (one_hot - mu) / np.sqrt(mu * (1 - mu))
    np.testing.assert_allclose(by_label.residuals(kind="pearson"), pearson, rtol=1e-9)
    assert list(by_label.table().index.get_level_values(0).unique()) == ["mid", "top"]


def test_symmetric_classes_with_a_penalty():
    codes = RNG.integers(0, 3, N)
    fit = jglm.fit(X, codes, family="categorical", penalty=penalties.ridge(2.0))
    assert fit.params.shape == (4, 3)
    np.testing.assert_allclose(fit.params[1:].sum(axis=1), 0.0, atol=1e-8)


# --------------------------------------------------------------------------- weights, offsets, penalties
def test_offset_and_exposure_are_alternatives():
    y = RNG.poisson(EXPOSURE * np.exp(LIN)).astype(float)
    one = jglm.fit(X, y, family="poisson", exposure=EXPOSURE)
    two = jglm.fit(X, y, family="poisson", offset=np.log(EXPOSURE))
    np.testing.assert_allclose(one.params, two.params, rtol=1e-10)
    ref = sm.GLM(y, sm.add_constant(X), family=sm.families.Poisson(), exposure=EXPOSURE).fit(tol=1e-14)
    assert np.isclose(one.null_deviance, ref.null_deviance, rtol=1e-8)
    np.testing.assert_allclose(one.predict(X[:4], exposure=EXPOSURE[:4]), one.predict()[:4])
    with pytest.warns(UserWarning, match="exposure 1"):
        np.testing.assert_allclose(one.predict(X[:4]), one.predict(X[:4], exposure=np.ones(4)))


def test_ridge_is_the_penalized_optimum():
    fit = jglm.fit(X, COUNTS, family="poisson", penalty=penalties.ridge(5.0, weights=[1, 0, 2]))
    mu = fit.predict()
    slope = np.column_stack([np.ones(N), X]).T @ (mu - COUNTS) + 5.0 * np.array([0, 1, 0, 2]) * fit.params
    assert np.max(np.abs(slope)) < 1e-7
    by_mean = jglm.fit(X, COUNTS, family="poisson", penalty=penalties.ridge(5.0 / N, weights=[1, 0, 2], scale="mean"))
    np.testing.assert_allclose(by_mean.params, fit.params, rtol=1e-10)
    none = jglm.fit(X, COUNTS, family="poisson", penalty=penalties.ridge(0.0))
    np.testing.assert_allclose(none.params, jglm.fit(X, COUNTS, family="poisson").params, rtol=1e-9)


def test_frequency_weights_repeat_rows():
    w = RNG.integers(0, 4, N)
    y = RNG.gamma(3.0, np.exp(LIN) / 3)
    weighted = jglm.fit(X, y, family="gamma", weights=w, weight_kind="frequency")
    repeated = jglm.fit(np.repeat(X, w, axis=0), np.repeat(y, w), family="gamma")
    np.testing.assert_allclose(weighted.params, repeated.params, rtol=1e-9)
    np.testing.assert_allclose(weighted.bse, repeated.bse, rtol=1e-9)
    for k in ("nobs", "llf", "aic", "deviance", "scale", "df_resid"):
        assert np.isclose(getattr(weighted, k), getattr(repeated, k), rtol=1e-10), k


def test_solver_records_and_covariance_none():
    slow = jglm.fit(X, COUNTS, family="poisson", solver=jglm.solvers.Gradient(0.001, steps=4000, tol=1e-12))
    fast = jglm.fit(X, COUNTS, family="poisson", covariance=None)
    np.testing.assert_allclose(slow.params, fast.params, rtol=1e-7, atol=1e-9)
    assert slow.solver == "gradient"
    with pytest.raises(ValueError, match="covariance=None"):
        fast.bse
    np.testing.assert_allclose(fast.with_covariance("model").bse, slow.bse, rtol=1e-6)
    assert "coef" in str(fast.summary())
    with pytest.warns(UserWarning, match="did not converge"):
        early = jglm.fit(X, COUNTS, family="poisson", solver=jglm.solvers.Gradient(1e-4, steps=5))
    assert not early.converged
    with pytest.warns(UserWarning, match="did not converge"):
        jglm.fit(X, COUNTS, family="gaussian", link="log", max_iter=1, penalty=None, solver="newton", tol=1e-300)


def test_large_fits_take_the_host_loop_and_agree(poisson, monkeypatch):
    from jglm.fitting import irls, iterate

    monkeypatch.setattr(iterate, "HOST_ELEMENTS", 0)
    monkeypatch.setattr(irls, "WORK", 0)
    fit = jglm.fit(X, COUNTS, family="poisson", progress=False)
    np.testing.assert_allclose(fit.params, poisson.params, rtol=1e-9)
    np.testing.assert_allclose(fit.bse, poisson.bse, rtol=1e-8)
    assert len(fit.history) == fit.n_iter
    classes = jglm.fit(X, RNG.integers(0, 3, N), family="categorical", progress=False)
    assert np.all(np.isfinite(classes.bse))


def test_start_and_names(poisson):
    fit = jglm.fit(X, COUNTS, family="poisson", start=poisson.params, names=["a", "b", "c"])
    assert fit.names == ["Intercept", "a", "b", "c"]
    assert fit.n_iter <= 2
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    by_frame = jglm.fit(frame, COUNTS, family="poisson")
    assert by_frame.names == fit.names
    np.testing.assert_allclose(by_frame.predict(frame[["c", "a", "b"]]), fit.predict(X), rtol=1e-9)
    for same in (polars.from_pandas(frame), pyarrow.Table.from_pandas(frame), jnp.asarray(X), X.tolist()):
        np.testing.assert_allclose(jglm.fit(same, COUNTS, family="poisson").params, fit.params, rtol=1e-9)
    assert jglm.fit(polars.from_pandas(frame), COUNTS, family="poisson").names == fit.names


# --------------------------------------------------------------------------- families of one's own
def test_a_family_of_ones_own_is_fitted_like_any_other(poisson):
    own = jglm.Family("own_counts", a=jnp.exp)
    fit = jglm.fit(X, COUNTS, family=own)
    np.testing.assert_allclose(fit.params, poisson.params, rtol=1e-9)
    np.testing.assert_allclose(fit.bse, poisson.bse, rtol=1e-9)
    assert np.isclose(fit.deviance, poisson.deviance, rtol=1e-8)
    # The base measure 1 / y! is in exp(eta).
    assert np.isclose(fit.llf, poisson.llf, rtol=1e-12)
    assert np.isclose(fit.aic, poisson.aic, rtol=1e-12)
    with_b = jglm.Family("own_counts", a=jnp.exp, log_b=lambda y, phi: -jnp.vectorize(jnp.sum)(0 * y))
    assert np.isfinite(jglm.fit(X, COUNTS, family=with_b).llf)
    signs = jglm.Family("signs", a=lambda eta: jnp.logaddexp(eta, -eta))
    doubled = jglm.fit(X, 2 * EVENT - 1, family=signs)
    np.testing.assert_allclose(doubled.params, jglm.fit(X, EVENT, family="bernoulli").params / 2, rtol=1e-8)


def test_a_users_family_with_a_name_of_the_catalogue_gets_no_wrong_shortcut():
    """The stable form of the log link goes by the name "gamma"; this a is that of shape 2, so it must not be used."""
    own = jglm.Family("gamma", a=lambda eta: -2 * jnp.log(-eta), domain=(-jnp.inf, 0), dispersion="estimated")
    y = RNG.gamma(2.0, np.exp(LIN) / 2)
    fit = jglm.fit(X, y, family=own, link="log")
    np.testing.assert_allclose(fit.params, jglm.fit(X, y, family="gamma").params, rtol=1e-7)


def test_a_link_of_ones_own(logistic):
    own = jglm.Link("mylogit", inverse=lambda lin: 1 / (1 + jnp.exp(-lin)))
    fit = jglm.fit(X, EVENT, family="bernoulli", link=own)
    np.testing.assert_allclose(fit.params, logistic.params, rtol=1e-7)
    np.testing.assert_allclose(fit.bse, logistic.bse, rtol=1e-7)


def test_default_links_are_the_documented_ones():
    names = {n: links.default(f if isinstance(f, jglm.Family) else f()).name for n, f in families.catalogue().items()}
    assert names == {
        "gaussian": "identity", "bernoulli": "logit", "binomial": "logit", "poisson": "log", "gamma": "log",
        "exponential": "log", "inverse_gaussian": "log", "geometric": "log", "negative_binomial": "log",
        "categorical": "reference(0)", "multinomial": "reference(0)", "tweedie": "log", "quasipoisson": "log",
        "quasibinomial": "logit", "quasi": "identity", "beta": "logit", "dirichlet": "log_natural", "ordinal": "logit",
        "gaussian_mean_dispersion": "identity", "gamma_mean_dispersion": "log", "hyperbolic_secant": "identity",
        "logarithmic": "log_natural", "zero_truncated_negative_binomial": "log_natural", "von_mises": "canonical",
        "zero_truncated_poisson": "canonical", "continuous_bernoulli": "canonical",
        "conway_maxwell_poisson": "canonical",
    }  # fmt: skip
    gamma = jglm.fit(X, np.exp(LIN), family="gamma", link="canonical")
    np.testing.assert_allclose(gamma.predict(kind="link"), -1 / gamma.predict())


# --------------------------------------------------------------------------- printing
def test_summary_reads_like_r_and_statsmodels(poisson):
    text = str(poisson.summary())
    for part in ("poisson", "log", "Deviance", "Null deviance", "AIC", "std err", "P>|z|", "[0.025", "Intercept"):
        assert part in text
    assert f"{poisson.params[1]:.4f}" in text
    assert max(map(len, text.splitlines())) < 100
    table = poisson.table()
    np.testing.assert_allclose(table["coef"], poisson.params)
    assert list(table.index) == poisson.names
    assert "t" in jglm.fit(X, LIN + X[:, 0] ** 2, family="gaussian").table().columns


def test_html_escapes_names():
    nasty = "<script>alert(1)</script>"
    fit = jglm.fit(X, COUNTS, family="poisson", names=[nasty, "b & c", '"d"'])
    page = fit._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "b &amp; c" in page


def test_constant_column_besides_the_intercept_warns():
    with pytest.warns(UserWarning, match="constant column two besides the intercept"):
        fit = jglm.fit(np.column_stack([X, np.full(N, 2.0)]), COUNTS, family="poisson", names=["a", "b", "c", "two"])
    assert fit.aliased == ["two"]
    assert np.isnan(fit.params[-1])
    assert np.isnan(fit.bse[-1])
    np.testing.assert_allclose(
        fit.predict(np.column_stack([X, np.zeros(N)])), jglm.fit(X, COUNTS, family="poisson").predict()
    )


# --------------------------------------------------------------------------- keeping
def test_save_and_load(tmp_path, poisson):
    path = tmp_path / "model.jglm"
    poisson.save(path)
    back = jglm.load(path)
    np.testing.assert_array_equal(back.params, poisson.params)
    np.testing.assert_array_equal(back.predict(X), poisson.predict(X))
    assert str(back.summary()) == str(poisson.summary())
    np.testing.assert_array_equal(back.bse, poisson.bse)
    assert back.null_deviance == poisson.null_deviance
    with pytest.raises(ValueError, match="needs the data"):
        back.residuals()
    np.testing.assert_array_equal(
        back.residuals(X, COUNTS, kind="deviance"), poisson.residuals(X, COUNTS, kind="deviance")
    )


def test_save_and_load_of_everything_that_has_parameters(tmp_path):
    path = tmp_path / "model.jglm"
    cases = (
        dict(family=families.negative_binomial(2.5), y=COUNTS), dict(family="categorical", y=RNG.integers(0, 3, N)),
        dict(family="gamma", y=np.exp(LIN + 0.1), link="power(0.5)"),
        dict(family="poisson", y=COUNTS, penalty=penalties.ridge(2.0)),
    )  # fmt: skip
    for case in cases:
        fit = jglm.fit(X, case.pop("y"), **case)
        fit.save(path)
        back = jglm.load(path)
        np.testing.assert_array_equal(back.predict(X), fit.predict(X))
        assert str(back.summary()) == str(fit.summary())
        assert back.family_params == fit.family_params


def test_a_users_family_is_given_again_at_load(tmp_path):
    path = tmp_path / "model.jglm"
    own = jglm.Family("own_counts", a=jnp.exp)
    fit = jglm.fit(X, COUNTS, family=own)
    fit.save(path)
    with pytest.raises(ValueError, match=r"'own_counts' is one of your own; give it again"):
        jglm.load(path)
    with pytest.raises(ValueError, match="is of family 'own_counts'; you gave 'poisson'"):
        jglm.load(path, family="poisson")
    np.testing.assert_array_equal(jglm.load(path, family=own).predict(X), fit.predict(X))


def test_a_family_whose_density_is_not_known_has_a_summary_and_a_model_file(tmp_path):
    own = jglm.Family("own", a=lambda eta: jnp.logaddexp(0.0, jnp.logaddexp(*eta)), dim=2, support="simplex")
    fit = jglm.fit(X[:, :1], np.eye(3)[RNG.integers(0, 3, N)][:, :2], family=own)
    assert "Log-likelihood:      NA" in str(fit.summary())
    fit.save(tmp_path / "model.jglm")
    assert str(jglm.load(tmp_path / "model.jglm", family=own).summary()) == str(fit.summary())


def test_pickle_drops_the_data(poisson):
    blob = pickle.dumps(poisson)
    assert len(blob) < 0.5 * X.nbytes + 8000
    back = pickle.loads(blob)
    assert back._prepared is None
    np.testing.assert_array_equal(back.bse, poisson.bse)
    np.testing.assert_array_equal(back.predict(X), poisson.predict(X))
    for family in (families.negative_binomial(2.5), families.categorical(3)):
        again = pickle.loads(pickle.dumps(family))
        assert again.name == family.name
        assert again.dim == family.dim


def test_nothing_else_warns(poisson):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jglm.fit(X, EVENT, family="bernoulli").summary()
