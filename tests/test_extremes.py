"""Extreme but valid input, against closed forms, against the same fit written otherwise, and against statsmodels."""

import warnings
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import jglm
from jglm.solvers import Status

N = 40
RNG = np.random.default_rng(7)
X = np.round(np.column_stack([RNG.normal(size=N), RNG.uniform(-1, 1, N)]) * 16) / 16
LIN = 0.5 + X @ [0.4, -0.3]
P = 1 / (1 + np.exp(-LIN))
Y = {
    "gaussian": LIN + RNG.normal(size=N),
    "bernoulli": (RNG.uniform(size=N) < P).astype(float),
    "poisson": RNG.poisson(np.exp(LIN)).astype(float),
    "gamma": RNG.gamma(2, np.exp(LIN) / 2),
    "inverse_gaussian": RNG.wald(np.exp(LIN), 3.0),
    "negative_binomial": RNG.poisson(np.exp(LIN) * RNG.gamma(2, 0.5, N)).astype(float),
    "categorical": np.array(["a", "b", "c"])[(RNG.uniform(size=N) < P).astype(int) + (X[:, 1] > 0.3)],
}
FAMILIES = [*Y]
SCALARS = FAMILIES[:-1]
TRIALS = np.arange(N) % 5 + 1.0


def family(name):
    return jglm.families.negative_binomial(2.0) if name == "negative_binomial" else name


def fit(name, X=X, y=None, **options):
    return jglm.fit(X, Y[name] if y is None else y, family=family(name), **options)


@cache
def plain(name):
    return fit(name)


def same(fit, other, factor=1.0, shift=0.0, tol=1e-7):
    """Whether a fit says the same as another, whose coefficients are `factor` times smaller and `shift` lower."""
    factor = np.broadcast_to(factor, fit.params.shape[:1]).reshape(-1, *[1] * (fit.params.ndim - 1))
    off = (fit.params / factor - other.params - shift) / other.bse
    np.testing.assert_allclose(off, 0, atol=tol)
    np.testing.assert_allclose(fit.bse / factor, other.bse, rtol=tol)


def same_likelihood(fit, other, rtol=1e-8):
    for what in (
        "deviance",
        "null_deviance",
        "llf",
        "aic",
        "bic",
        "scale",
        "pearson_chi2",
        "nobs",
        "df_resid",
        "df_model",
    ):
        got, want = getattr(fit, what), getattr(other, what)
        np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-12, err_msg=what)


def finite(fit):
    return fit.converged and all(np.all(np.isfinite(v)) for v in (fit.params, fit.bse, fit.deviance, fit.predict()))


def with_constant(x):
    return np.column_stack([np.ones(len(x)), x])


# --------------------------------------------------------------------------- a boundary without a maximum
def separated(match, run):
    """The fit that warns of separation."""
    with pytest.warns(UserWarning, match=f"(?i)separation.*{match}"):
        fit = run()
    assert np.all(np.isfinite(fit.params))
    assert np.all(np.isfinite(fit.predict()))
    assert fit.separated
    return fit


@pytest.mark.parametrize("name", ["poisson", "negative_binomial", "bernoulli"])
def test_a_response_of_zeros(name):
    offset = np.linspace(-2, 2, N)
    fitted = separated("Intercept", lambda: fit(name, y=np.zeros(N), offset=offset))
    assert fitted.deviance < 1e-6
    assert np.all(fitted.predict() < 1e-6)
    assert fitted.null_deviance < 1e-6


def test_zero_counts_in_a_group():
    """The other coefficients are those of the fit without the group."""
    group = np.arange(N) < 10
    y = np.where(group, 0, Y["poisson"])
    fitted = separated("g", lambda: fit("poisson", np.column_stack([X[:, 0], group]), y, names=["x", "g"]))
    rest = fit("poisson", X[~group, :1], y[~group])
    assert fitted.separated == ["g"]
    np.testing.assert_allclose(fitted.params[:2], rest.params, atol=1e-6)
    np.testing.assert_allclose(fitted.bse[:2], rest.bse, rtol=1e-6)
    np.testing.assert_allclose(fitted.deviance, rest.deviance, rtol=1e-6)


def test_complete_separation():
    x = np.linspace(-1, 1, N) + 0.01
    fitted = separated("s", lambda: fit("bernoulli", np.column_stack([x, X[:, 1]]), x > 0, names=["s", "o"]))
    assert "s" in fitted.separated
    assert fitted.deviance < 1e-6
    assert np.array_equal(fitted.predict(kind="class") == 1, x > 0)


def test_quasi_complete_separation():
    """Where one column decides some rows, the others are fitted to the rest."""
    decided = np.arange(N) >= 25
    y = np.where(decided, 1.0, Y["bernoulli"])
    design = np.column_stack([decided, X[:, 1]])
    fitted = separated("s", lambda: fit("bernoulli", design, y, names=["s", "o"]))
    rest = fit("bernoulli", X[~decided, 1:], y[~decided])
    assert fitted.separated == ["s"]
    np.testing.assert_allclose(fitted.params[[0, 2]], rest.params, atol=1e-6)
    np.testing.assert_allclose(fitted.deviance, rest.deviance, rtol=1e-6)


def test_separation_of_classes():
    first = np.arange(N) < 13
    y = np.where(first, "a", np.where(np.arange(N) % 2, "b", "c"))
    fitted = separated("g", lambda: fit("categorical", first[:, None], y, names=["g"]))
    others = np.bincount(np.arange(N)[13:] % 2)
    np.testing.assert_allclose(fitted.deviance, -2 * np.sum(others * np.log(others / others.sum())), rtol=1e-6)


def test_a_penalty_ends_separation():
    x = np.linspace(-1, 1, N) + 0.01
    fitted = fit("bernoulli", np.column_stack([x, X[:, 1]]), x > 0, penalty=jglm.penalties.ridge(1.0))
    assert finite(fitted)
    assert fitted.separated == []
    gradient = with_constant(np.column_stack([x, X[:, 1]])).T @ ((x > 0) - fitted.predict())
    np.testing.assert_allclose(gradient, fitted.params * [0, 1, 1], atol=1e-7)


# --------------------------------------------------------------------------- weights
@pytest.mark.parametrize("name", ["poisson", "gaussian", "gamma"])
def test_weights_of_zero_and_a_million(name):
    weights = np.array([0.0, 1e6, 1.0, 2.5])[np.arange(N) % 4]
    on = weights > 0
    families = {
        "poisson": sm.families.Poisson(),
        "gaussian": sm.families.Gaussian(),
        "gamma": sm.families.Gamma(sm.families.links.Log()),
    }
    fitted = fit(name, weights=weights)
    model = sm.GLM(Y[name][on], with_constant(X[on]), family=families[name], var_weights=weights[on])
    other = model.fit(tol=1e-14, maxiter=200, tol_criterion="params")
    same(fitted, other)
    np.testing.assert_allclose(fitted.deviance, other.deviance, rtol=1e-8)
    np.testing.assert_allclose(fitted.scale, other.scale, rtol=1e-8)
    np.testing.assert_allclose(fitted.pearson_chi2, other.pearson_chi2, rtol=1e-8)
    assert (fitted.nobs, fitted.df_resid) == (30, 27)


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_of_weight_zero_are_not_there(name):
    """Whatever stands in them: here values that the family could not have, and rows far away."""
    junk = {"gaussian": 1e9, "bernoulli": 1.0, "categorical": "a"}.get(name, -5.0)
    where = np.sort(np.random.default_rng(1).permutation(60)[:N])
    on = np.isin(np.arange(60), where)
    more, y = np.full((60, 2), 1e4), np.full(60, junk, dtype=Y[name].dtype)
    more[on], y[on] = X, Y[name]
    fitted = fit(name, more, y, weights=on.astype(float))
    same(fitted, plain(name))
    same_likelihood(fitted, plain(name))
    np.testing.assert_allclose(fitted.predict()[on], plain(name).predict(), rtol=1e-8)
    np.testing.assert_allclose(fitted.residuals()[on], plain(name).residuals(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_frequency_weight_repeats_the_row(name):
    weights = np.tile([1.0, 2.0, 1.0, 2.0], N // 4)
    rows = np.repeat(np.arange(N), weights.astype(int))
    fitted = fit(name, weights=weights, weight_kind="frequency")
    repeated = fit(name, X[rows], Y[name][rows])
    same(fitted, repeated)
    same_likelihood(fitted, repeated)


def test_frequency_weights_of_grouped_binomials():
    weights = np.tile([1.0, 2.0, 1.0, 2.0], N // 4)
    rows = np.repeat(np.arange(N), weights.astype(int))
    successes = np.minimum(np.round(P * TRIALS), TRIALS)
    fitted = fit("binomial", y=successes, trials=TRIALS, weights=weights, weight_kind="frequency")
    repeated = fit("binomial", X[rows], successes[rows], trials=TRIALS[rows])
    same(fitted, repeated)
    same_likelihood(fitted, repeated)


def test_a_binomial_of_one_trial_is_bernoulli():
    fitted = fit("binomial", y=Y["bernoulli"], trials=np.ones(N))
    same(fitted, plain("bernoulli"))
    same_likelihood(fitted, plain("bernoulli"))


# --------------------------------------------------------------------------- scales
@pytest.mark.parametrize("scales", [(1e-8, 1e8), (1e8, 1e-8), (1e-100, 1e100)])
@pytest.mark.parametrize("name", FAMILIES)
def test_scaled_columns(name, scales):
    fitted = fit(name, X * scales)
    same(fitted, plain(name), factor=1 / np.array([1, *scales]))
    same_likelihood(fitted, plain(name))


def test_columns_whose_squares_overflow_are_refused():
    with pytest.raises(ValueError, match=r"^column 0 of X has values of size .*e-160.*; rescale it"):
        fit("poisson", X * np.array([1e-160, 1e160]))
    with pytest.raises(ValueError, match=r"^column 1 of X has values of size .*e\+159.*; rescale it"):
        fit("poisson", X * np.array([1, 1e160]))


@pytest.mark.parametrize("scale", [1e-6, 1e8, 1e-20])
@pytest.mark.parametrize("name", ["gamma", "inverse_gaussian"])
def test_the_unit_of_a_positive_response_is_free(name, scale):
    """With the log link it moves the intercept only."""
    fitted, power = fit(name, y=Y[name] * scale), 0 if name == "gamma" else 1
    same(fitted, plain(name), shift=[np.log(scale), 0, 0])
    np.testing.assert_allclose(fitted.deviance * scale**power, plain(name).deviance, rtol=1e-7)
    np.testing.assert_allclose(fitted.llf, plain(name).llf - N * np.log(scale), rtol=1e-8)


def test_counts_of_a_billion():
    y = np.random.default_rng(3).poisson(1e9 * np.exp(0.1 * X[:, 0])).astype(float)
    fitted = fit("poisson", y=y)
    mu = fitted.predict()
    assert finite(fitted)
    design = with_constant(X)
    covariance = np.linalg.inv(design.T @ (mu[:, None] * design))
    np.testing.assert_allclose(covariance @ design.T @ (y - mu) / fitted.bse, 0, atol=1e-7)
    np.testing.assert_allclose(fitted.cov_params(), covariance, rtol=1e-8, atol=1e-22)
    d = (y - mu) / mu
    np.testing.assert_allclose(fitted.deviance, 2 * np.sum(mu * (d**2 / 2 - d**3 / 6 + d**4 / 12)), rtol=1e-7)
    np.testing.assert_allclose(fitted.pearson_chi2, np.sum(mu * d**2), rtol=1e-7)


def test_a_mean_of_a_billion_with_noise_of_one():
    y = np.round(Y["gaussian"] * 2**20) / 2**20
    fitted, near = fit("gaussian", y=y + 1e9), fit("gaussian", y=y)
    same(fitted, near, shift=[1e9, 0, 0], tol=1e-6)
    np.testing.assert_allclose(fitted.deviance, near.deviance, rtol=1e-6)
    np.testing.assert_allclose(fitted.null_deviance, near.null_deviance, rtol=1e-6)


@pytest.mark.parametrize("offset", [50.0, -50.0])
@pytest.mark.parametrize("name", ["poisson", "bernoulli", "gamma", "gaussian"])
def test_large_offsets(name, offset):
    fitted = fit(name, offset=np.full(N, offset))
    same(fitted, plain(name), shift=[-offset, 0, 0])
    np.testing.assert_allclose(fitted.deviance, plain(name).deviance, rtol=1e-8)
    np.testing.assert_allclose(fitted.null_deviance, plain(name).null_deviance, rtol=1e-8)


def test_offsets_of_both_signs():
    """Two groups, each with a mean of its own."""
    group = np.arange(N) % 2
    fitted = fit("poisson", group[:, None], offset=np.where(group == 1, 50.0, -50.0))
    totals = np.array([Y["poisson"][group == g].sum() for g in (0, 1)])
    logs = np.log(totals / 20)
    np.testing.assert_allclose(fitted.params, [logs[0] + 50, logs[1] - logs[0] - 100], rtol=1e-8)
    np.testing.assert_allclose(fitted.bse, [totals[0] ** -0.5, np.sum(1 / totals) ** 0.5], rtol=1e-8)


@pytest.mark.parametrize("name", FAMILIES)
def test_float32_is_near_float64(name):
    x = X + 1e-4 * np.sin(np.arange(2 * N)).reshape(N, 2)  # not exact in float32
    same(fit(name, x, dtype="float32"), fit(name, x), tol=1e-5)


@pytest.mark.parametrize("seed", [6, 12, 117])
def test_float32_ends_at_its_rounding_floor(seed):
    rng = np.random.default_rng(seed)
    design = with_constant(rng.normal(size=(500, 20)))
    y = rng.poisson(np.exp(design[:, 1:] @ (rng.normal(size=20) * 0.2))).astype(float)
    with jax.enable_x64(True):
        model = jglm.Model(jglm.families.poisson, jglm.links.log, None)
        data = jglm.Data(jglm.Dense(jnp.asarray(design, jnp.float32)), y, np.ones(500), np.zeros(500))
        solution = SOLVE(model, data)
        assert Status(int(solution.status)).converged
        assert int(solution.n_iter) < 30


SOLVE = jax.jit(jglm.solve)


# --------------------------------------------------------------------------- few rows, many columns
@pytest.mark.parametrize("name", ["gaussian", "poisson", "gamma"])
def test_as_many_coefficients_as_rows(name):
    y = Y[name][:3] + (name == "poisson")
    fitted = fit(name, X[:3], y)
    assert fitted.converged
    np.testing.assert_allclose(fitted.predict(), y, rtol=1e-8)
    assert fitted.deviance < 1e-12
    assert (fitted.df_resid, fitted.aliased) == (0, [])
    if name == "poisson":
        design = with_constant(X[:3])
        np.testing.assert_allclose(fitted.cov_params(), np.linalg.inv(design.T @ (y[:, None] * design)), rtol=1e-8)
    else:
        assert np.isnan(fitted.scale)
        assert np.all(np.isnan(fitted.bse))
        assert np.all(np.isnan(fitted.pvalues))
    assert "Residual df:" in str(fitted.summary())


@pytest.mark.parametrize("name", ["gaussian", "poisson"])
def test_more_coefficients_than_rows(name):
    y = Y[name][:2] + (name == "poisson")
    fitted = fit(name, X[:2], y)
    assert fitted.aliased == ["x2"]
    assert np.isnan(fitted.params[2])
    assert (fitted.rank, fitted.df_resid) == (2, 0)
    np.testing.assert_allclose(fitted.predict(X[:2]), y, rtol=1e-8)


def test_two_hundred_levels():
    frame = pd.DataFrame({"y": np.random.default_rng(5).poisson(3.0, 1000) + (np.arange(1000) % 5 == 0)})
    frame["g"] = [f"level {i:03}" for i in np.arange(1000) // 5]
    fitted = jglm.glm("y ~ g", frame, family="poisson")
    totals = frame.groupby("g")["y"].sum().to_numpy()
    logs = np.log(totals / 5)
    assert len(fitted.params) == 200
    np.testing.assert_allclose(fitted.params, [logs[0], *(logs[1:] - logs[0])], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(fitted.bse, [totals[0] ** -0.5, *(1 / totals[0] + 1 / totals[1:]) ** 0.5], rtol=1e-8)
    np.testing.assert_allclose(fitted.predict(frame), totals[np.arange(1000) // 5] / 5, rtol=1e-8)


def test_one_event_in_five_thousand_rows():
    x = np.random.default_rng(2).normal(size=5000)
    y = np.zeros(5000)
    y[np.argsort(x)[3500]] = 1
    fitted = fit("bernoulli", x[:, None], y)
    other = sm.GLM(y, with_constant(x), family=sm.families.Binomial()).fit(tol=1e-15, maxiter=200)
    same(fitted, other)
    assert fitted.separated == []
    np.testing.assert_allclose(fitted.llf, other.llf, rtol=1e-8)


def test_one_event_and_no_column():
    fitted = fit("bernoulli", np.zeros((5000, 0)), np.arange(5000) == 17)
    np.testing.assert_allclose(fitted.params, [-np.log(4999)], rtol=1e-8)
    np.testing.assert_allclose(fitted.bse, [np.sqrt(1 + 1 / 4999)], rtol=1e-8)


@pytest.mark.parametrize("name", SCALARS)
def test_an_intercept_alone(name):
    """The mean is the average, whatever the family."""
    y = Y[name]
    fitted = fit(name, np.zeros((N, 0)))
    mu = y.mean()
    slope = {"gaussian": 1.0, "bernoulli": mu * (1 - mu)}.get(name, mu)  # d mu / d lin of the default link
    variance = {"gaussian": 1.0, "bernoulli": mu * (1 - mu), "poisson": mu, "gamma": mu**2, "inverse_gaussian": mu**3,
                "negative_binomial": mu + mu**2 / 2}[name]  # fmt: skip
    chi2 = np.sum((y - mu) ** 2) / variance
    scale = chi2 / (N - 1) if name in ("gaussian", "gamma", "inverse_gaussian") else 1.0
    np.testing.assert_allclose(fitted.predict(), mu, rtol=1e-8)
    np.testing.assert_allclose(fitted.bse, np.sqrt(scale * variance / N) / slope, rtol=1e-8)
    np.testing.assert_allclose([fitted.pearson_chi2, fitted.scale], [chi2, scale], rtol=1e-8)
    np.testing.assert_allclose(fitted.null_deviance, fitted.deviance, rtol=1e-8)
    assert (fitted.df_model, fitted.df_resid) == (0, N - 1)


def test_an_intercept_alone_of_classes():
    fitted = fit("categorical", np.zeros((N, 0)))
    levels, counts = np.unique(Y["categorical"], return_counts=True)
    assert fitted.levels == levels.tolist()
    np.testing.assert_allclose(fitted.params[0], np.log(counts[1:] / counts[0]), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(fitted.bse[0], np.sqrt(1 / counts[1:] + 1 / counts[0]), rtol=1e-8)
    np.testing.assert_allclose(fitted.deviance, -2 * np.sum(counts * np.log(counts / N)), rtol=1e-8)


@pytest.mark.parametrize("name", FAMILIES)
def test_columns_that_are_combinations_of_earlier_ones(name):
    more = np.column_stack([X[:, 0], X[:, 0], X[:, 1], X[:, 0] - 2 * X[:, 1]])
    fitted, kept = fit(name, more, names=["a", "a again", "b", "a - 2 b"]), [0, 1, 3]
    assert fitted.aliased == ["a again", "a - 2 b"]
    assert np.all(np.isnan(fitted.params[[2, 4]]))
    np.testing.assert_allclose(fitted.params[kept], plain(name).params, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(fitted.bse[kept], plain(name).bse, rtol=1e-8)
    np.testing.assert_allclose(fitted.predict(more), plain(name).predict(X), rtol=1e-8)
    same_likelihood(fitted, plain(name))


@pytest.mark.parametrize("name", ["gaussian", "gamma", "poisson"])
def test_a_constant_response(name):
    fitted = fit(name, y=np.full(N, 3.0))
    assert fitted.converged
    np.testing.assert_allclose(fitted.predict(), 3.0, rtol=1e-8)
    assert fitted.deviance < 1e-20


def test_outliers():
    far = np.arange(N) == 3
    for name, y in (("gamma", np.where(far, 1e12, np.exp(LIN))), ("inverse_gaussian", np.where(far, 1e9, np.exp(LIN)))):
        assert finite(fit(name, y=y))
    lever = np.column_stack([np.where(far, 1e6, X[:, 0]), X[:, 1]])
    assert finite(fit("poisson", lever))


def test_the_limit_of_the_negative_binomial():
    counts = Y["poisson"]
    limit = jglm.fit(X, counts, family=jglm.families.negative_binomial(1e12))
    same(limit, plain("poisson"))
    np.testing.assert_allclose(limit.llf, plain("poisson").llf, rtol=1e-8)


# --------------------------------------------------------------------------- links whose range is not the whole line
def noncanonical(name, link, seed):
    """(x, y) with means that come near the edge of the range: a fit from a careless start leaves it."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, N)
    draw = {
        ("poisson", "identity"): lambda: rng.poisson(0.05 + 5 * x).astype(float),
        ("poisson", "sqrt"): lambda: rng.poisson((0.1 + 3 * x) ** 2).astype(float),
        ("gamma", "inverse"): lambda: rng.gamma(1.5, 1 / (0.2 + 4 * x) / 1.5),
        ("gamma", "identity"): lambda: rng.gamma(4, (0.1 + 5 * x) / 4),
        ("inverse_gaussian", "inverse_squared"): lambda: rng.wald(1 / np.sqrt(0.2 + 4 * x), 1.0),
        ("bernoulli", "log"): lambda: (rng.uniform(size=N) < np.exp(-0.02 - 1.2 * x)).astype(float),
        ("bernoulli", "identity"): lambda: (rng.uniform(size=N) < 0.05 + 0.9 * x).astype(float),
        ("bernoulli", "cauchit"): lambda: (rng.uniform(size=N) < 0.05 + 0.9 * x).astype(float),
        ("bernoulli", "cloglog"): lambda: (rng.uniform(size=N) < 0.05 + 0.9 * x).astype(float),
        ("gaussian", "log"): lambda: np.exp(3 * x) + rng.normal(size=N),
        ("gaussian", "inverse"): lambda: 1 / (0.1 + 3 * x) + 0.1 * rng.normal(size=N),
    }[name, link]
    return x[:, None], draw()


INVERSES = {
    "identity": lambda lin: lin, "sqrt": lambda lin: lin**2, "log": np.exp, "inverse": lambda lin: 1 / lin,
    "inverse_squared": lambda lin: lin**-0.5, "cauchit": lambda lin: 0.5 + np.arctan(lin) / np.pi,
    "cloglog": lambda lin: -np.expm1(-np.exp(lin)),
}  # fmt: skip
# d mu / d lin and the variance, as functions of the mean.
SLOPES = {
    "identity": lambda mu: np.ones_like(mu), "sqrt": lambda mu: 2 * np.sqrt(mu), "log": lambda mu: mu,
    "inverse": lambda mu: -(mu**2), "inverse_squared": lambda mu: -(mu**3) / 2,
    "cauchit": lambda mu: np.sin(np.pi * mu) ** 2 / np.pi, "cloglog": lambda mu: -(1 - mu) * np.log1p(-mu),
}  # fmt: skip
VARIANCES = {
    "gaussian": lambda mu: np.ones_like(mu), "poisson": lambda mu: mu, "gamma": lambda mu: mu**2,
    "inverse_gaussian": lambda mu: mu**3, "bernoulli": lambda mu: mu * (1 - mu),
}  # fmt: skip
INTERIOR = [
    ("poisson", "identity", (0, 2, 6)), ("poisson", "sqrt", (1, 3)), ("gamma", "inverse", (0, 1, 2)),
    ("gamma", "identity", (0, 1)), ("inverse_gaussian", "inverse_squared", (0, 1, 2)), ("bernoulli", "log", (1, 3, 6)),
    ("bernoulli", "identity", (0, 3, 5)), ("bernoulli", "cauchit", (0, 1)), ("bernoulli", "cloglog", (0, 1)),
    ("gaussian", "log", (0, 1)), ("gaussian", "inverse", (0, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "link", "seed"), [(n, k, s) for n, k, seeds in INTERIOR for s in seeds])
def test_links_of_a_limited_range(name, link, seed):
    """Newton's step from the optimum is nothing, and the covariance is the inverse of the expected information."""
    x, y = noncanonical(name, link, seed)
    fitted = jglm.fit(x, y, family=name, link=link)
    mu, lin, design = fitted.predict(), fitted.predict(kind="link"), with_constant(x)

    def score(lin):
        mu = INVERSES[link](lin)
        return SLOPES[link](mu) * (y - mu) / VARIANCES[name](mu)

    h = 1e-5 * np.minimum(np.abs(lin), 1 - mu if name == "bernoulli" else 1)
    observed = (score(lin - h) - score(lin + h)) / (2 * h)
    step = np.linalg.solve(design.T @ (observed[:, None] * design), design.T @ score(lin))
    expected = design.T @ ((SLOPES[link](mu) ** 2 / VARIANCES[name](mu))[:, None] * design)
    assert finite(fitted)
    np.testing.assert_allclose(step / fitted.bse, 0, atol=1e-6)
    np.testing.assert_allclose(fitted.cov_params(), np.linalg.inv(expected) * fitted.scale, rtol=1e-6)


def test_a_log_link_with_probabilities_near_one_agrees_with_statsmodels():
    x, y = noncanonical("bernoulli", "log", 6)
    fitted = jglm.fit(x, y, family="bernoulli", link="log")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log = sm.families.Binomial(sm.families.links.Log())
        other = sm.GLM(y, with_constant(x), family=log).fit(start_params=[-0.5, -1.0], tol=1e-14, maxiter=500)
    same(fitted, other, tol=1e-5)
    np.testing.assert_allclose(fitted.llf, other.llf, rtol=1e-8)
    assert fitted.predict().max() > 0.9


@pytest.mark.parametrize(("name", "link", "seed"), [("poisson", "identity", 5), ("bernoulli", "log", 0)])
def test_an_optimum_at_the_edge_of_the_range_warns(name, link, seed):
    """The likelihood is largest where a mean leaves the range: no score equation holds there."""
    x, y = noncanonical(name, link, seed)
    with pytest.warns(UserWarning, match="did not converge|boundary|edge"):
        fitted = jglm.fit(x, y, family=name, link=link)
    mean = fitted.predict()
    assert not fitted.converged
    assert np.all(np.isfinite(fitted.params))
    assert np.all(mean >= 0)
    assert np.all(mean <= (1 if name == "bernoulli" else np.inf))


@pytest.mark.parametrize("start", [[0.0, 0.0, 0.0], [5.0, -3.0, 2.0], [-20.0, 4.0, 4.0]])
@pytest.mark.parametrize("name", ["poisson", "bernoulli", "gamma"])
def test_any_start_leads_to_the_same_optimum(name, start):
    same(fit(name, start=start), plain(name))
