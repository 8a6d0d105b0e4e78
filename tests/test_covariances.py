"""Robust covariances: R's numbers, statsmodels', and the definitions written out."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from cases import OWN_SOFTMAX
from scipy import sparse

import jglm
from jglm.diagnostics import leverage
from jglm.inference import sandwich
from jglm.inputs import coding

FOLDER = Path(__file__).parent / "references" / "inference"
R = json.loads((FOLDER / "hypotheses.json").read_text(encoding="utf8"))
DATA = pd.read_csv(FOLDER / "hypotheses.csv")
MODELS = {
    "poisson": ("count ~ x * g + z", dict(family="poisson")),
    "gamma": ("time ~ x + g + z", dict(family="gamma", link="log", weights="w")),
    "gaussian": ("level ~ x * g + z", dict(family="gaussian")),
    "probit": ("event ~ x + g + z", dict(family="bernoulli", link="probit")),
}  # fmt: skip
KINDS = ("HC0", "HC1", "HC2", "HC3", "cluster", "survey", "CR0", "CR1p", "CR3")
HACS = {
    "HAC3": jglm.HAC(lags=3), "HAC3_small": jglm.HAC(lags=3, small=True), "parzen": jglm.HAC(lags=3, kernel="parzen"),
    "tukey_hanning": jglm.HAC(lags=3, kernel="tukey_hanning"), "by_time": jglm.HAC(lags=2, time=DATA["t"]),
}  # fmt: skip

RNG = np.random.default_rng(2)
N = 90
X = RNG.normal(size=(N, 2))
Y = RNG.poisson(np.exp(0.3 + X @ [0.3, -0.2])).astype(float)
G, G2 = RNG.integers(0, 12, N), RNG.integers(0, 7, N)
POISSON = jglm.fit(X, Y, family="poisson", tol=1e-12)
XC = sm.add_constant(X)


def close(a, b, rtol=1e-6, atol=1e-12):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def in_order(fit):
    """Positions of the coefficients in R's order."""
    r = ("Intercept", "x", "g[T.b]", "g[T.c]", "z", "x:g[T.b]", "x:g[T.c]")
    return [fit.names.index(n) for n in r if n in fit.names]


# --------------------------------------------------------------------------- R and statsmodels
@pytest.mark.parametrize("name", MODELS)
def test_sandwich_of_R(name):
    formula, given = MODELS[name]
    fit = jglm.glm(formula, DATA, groups="cl", tol=1e-12, **given)
    o = in_order(fit)
    close(fit.params[o], R[name]["coef"])
    for kind in KINDS:
        close(fit.with_covariance(kind).bse[o], R[name][kind])
    close(fit.with_covariance("CR1", groups=(DATA["cl"], DATA["cl2"])).bse[o], R[name]["two_ways"])
    alone = jglm.glm(formula, DATA, tol=1e-12, **given)
    for kind, hac in HACS.items():
        close(alone.with_covariance(hac).bse[o], R[name][kind])
    if name == "gaussian":  # where all roots of the adjustment are one
        close(fit.with_covariance("CR2").bse[o], R[name]["CR2"])


def test_negative_binomial_of_R():
    fit = jglm.glm("count ~ x + g + z", DATA, family="negative_binomial", covariance="HC0", groups="cl", tol=1e-12)
    o = in_order(fit)
    close(fit.family_params["r"], R["negative_binomial"]["theta"])
    close(fit.bse[o], R["negative_binomial"]["HC0"])
    close(fit.with_covariance("cluster").bse[o], R["negative_binomial"]["cluster"])


def test_survey_weights_of_R():
    given = dict(family="poisson", weights="w", weight_kind="sampling", tol=1e-12)
    fit = jglm.glm("count ~ x + g + z", DATA, **given)
    grouped = jglm.glm("count ~ x + g + z", DATA, groups="cl", **given)
    o, r = in_order(fit), R["survey"]
    assert fit.covariance == "survey"
    assert "sampling weights" in str(fit.summary())
    close(fit.params[o], r["coef"])
    close(fit.bse[o], r["se"])
    close(fit.pvalues[o], r["p"], 1e-5)
    close(grouped.bse[o], r["cluster_se"])
    close(grouped.pvalues[o], r["cluster_p"], 1e-5)
    # Only ratios of sampling weights count.
    again = jglm.glm("count ~ x + g + z", DATA.assign(w=DATA["w"] * 1000), **given)
    close(again.bse, fit.bse, 1e-10)
    close([again.llf, again.scale], [fit.llf, fit.scale], 1e-10)


def test_statsmodels():
    model = sm.GLM(Y, XC, family=sm.families.Poisson())
    order = np.argsort(G, kind="stable")
    by_group = sm.GLM(Y[order], XC[order], family=sm.families.Poisson())
    both = np.column_stack([G, G2])
    pairs = [
        ("HC0", None, model, "HC0", {}),
        ("cluster", G, model, "cluster", dict(groups=G)),
        ("cluster", both, model, "cluster", dict(groups=both)),
        (jglm.HAC(lags=5), None, model, "HAC", dict(maxlags=5)),
        (jglm.HAC(lags=2, time=np.arange(N), small=True), G, by_group, "hac-panel", dict(groups=G[order], maxlags=2)),
        (jglm.HAC(lags=2, time=G), None, by_group, "hac-groupsum",
         dict(time=G[order], maxlags=2, use_correction=False)),
    ]  # fmt: skip
    for ours, groups, theirs, kind, options in pairs:
        want = theirs.fit(cov_type=kind, cov_kwds=options, tol=1e-13).bse
        close(POISSON.with_covariance(ours, groups=groups).bse, want, 1e-8)


# --------------------------------------------------------------------------- the definitions written out
def definition(fit, log_density, information, unknowns, y, kind, groups):
    """The covariance of a fit from its log density alone: scores by jax.grad, rows and groups one by one."""
    at = lambda f: np.asarray(jax.vmap(f, in_axes=(None, 0, 0))(unknowns, jnp.asarray(XC), jnp.asarray(y)))
    U, expected = at(jax.grad(log_density)), at(information)
    C = np.linalg.inv(expected.sum(axis=0))
    if kind == "HAC":
        cross = [(1 - j / 3) * U[j:].T @ U[: N - j] for j in (1, 2)]
        return C @ (U.T @ U + sum(v + v.T for v in cross)) @ C
    codes = groups if kind[:2] == "CR" else np.arange(N)
    middle = np.zeros_like(C)
    for g in np.unique(codes):
        u = U[codes == g].sum(axis=0)
        if kind[-1] in "23":
            H = expected[codes == g].sum(axis=0)
            L = np.linalg.cholesky(C)
            d, V = np.linalg.eigh(L.T @ H @ L)
            shrink = V @ np.diag((1 - d) ** (-0.5 if kind[-1] == "2" else -1.0)) @ V.T
            u = np.linalg.solve(L.T, shrink @ L.T @ u)
        middle += np.outer(u, u)
    return C @ middle @ C


def softmax_case():
    y = np.eye(3)[RNG.integers(0, 3, N)][:, 1:]
    fit = jglm.fit(X, y, family=OWN_SOFTMAX, tol=1e-12)
    lin = lambda b, x: x @ b.reshape(2, 3).T
    density = lambda b, x, y: jnp.dot(y, lin(b, x)) - jax.nn.logsumexp(jnp.append(0.0, lin(b, x)))

    def information(b, x, y):
        p = jax.nn.softmax(jnp.append(0.0, lin(b, x)))[1:]
        return jnp.kron(jnp.diag(p) - jnp.outer(p, p), jnp.outer(x, x))

    return fit, y, density, information, jnp.asarray(fit.params.T.ravel())


def poisson_case():
    own = jglm.Family("counts", a=jnp.exp)
    fit = jglm.fit(X, Y, family=own, tol=1e-12)
    density = lambda b, x, y: y * (x @ b) - jnp.exp(x @ b)
    information = lambda b, x, y: jnp.exp(x @ b) * jnp.outer(x, x)
    return fit, Y, density, information, jnp.asarray(fit.params)


def beta_case():
    y = np.clip(RNG.beta(2, 3, N), 1e-3, 1 - 1e-3)
    fit = jglm.fit(X, y, family="beta", tol=1e-12)
    ln = jax.scipy.special.gammaln
    shapes = lambda b, x: jnp.stack([jax.nn.sigmoid(x @ b[:3]), jax.nn.sigmoid(-(x @ b[:3]))]) * jnp.exp(b[3])
    a = lambda t: jnp.sum(ln(t)) - ln(jnp.sum(t))
    density = lambda b, x, y: shapes(b, x) @ jnp.stack([jnp.log(y), jnp.log1p(-y)]) - a(shapes(b, x))

    def information(b, x, y):
        J = jax.jacobian(shapes)(b, x)
        return J.T @ jax.hessian(a)(shapes(b, x)) @ J

    unknowns = jnp.append(jnp.asarray(fit.params), fit.family_params["precision"])
    return fit, y, density, information, unknowns


@pytest.mark.parametrize("case", [poisson_case, softmax_case, beta_case])
def test_the_definitions(case, monkeypatch):
    fit, *own = case()
    P = fit.params.size
    for kind in ("HC0", "HC2", "HC3", "CR0", "CR2", "CR3", "HAC"):
        want = definition(fit, *own[1:], own[0], kind, G)
        name = jglm.HAC(lags=2) if kind == "HAC" else kind
        got = fit.with_covariance(name, groups=G if kind[:2] == "CR" else None)
        close(got.cov_params(), want[:P, :P], 1e-6, 1e-10)
        if case is beta_case:
            close(got.family_params_se["precision"], np.sqrt(want[3:, 3:].ravel()), 1e-6)
    whole = {k: fit.with_covariance(k, groups=G).bse for k in ("CR1", "CR2", "HC3")}
    hac = jglm.HAC(lags=3, time=G2)
    panel = fit.with_covariance(hac, groups=G).bse
    monkeypatch.setattr(sandwich, "BLOCK", 64)  # rows, groups and times in many blocks
    monkeypatch.setattr(leverage, "BLOCK", 64)
    for kind, bse in whole.items():
        close(fit.with_covariance(kind, groups=G).bse, bse, 1e-10)
    close(fit.with_covariance(hac, groups=G).bse, panel, 1e-10)


def test_the_jackknife():
    """CR3 of a linear model is the sum over groups of what their deletion does to the coefficients."""
    y = X @ [1.0, 2.0] + RNG.normal(size=N)
    fit = jglm.fit(X, y, family="gaussian", covariance="CR3", groups=G)
    left_out = [np.linalg.lstsq(XC[g != G], y[g != G])[0] - fit.params for g in np.unique(G)]
    close(fit.cov_params(), sum(np.outer(v, v) for v in left_out), 1e-9)


# --------------------------------------------------------------------------- laws
@pytest.mark.parametrize("family", ["poisson", "categorical"])
def test_a_frequency_weight_repeats_the_row(family):
    w = np.random.default_rng(0).integers(0, 4, N)
    y = np.minimum(Y, 2) if family == "categorical" else Y
    fit = jglm.fit(X, y, family=family, weights=w, weight_kind="frequency", groups=G, tol=1e-12)
    rows = np.repeat(np.arange(N), w)
    again = jglm.fit(X[rows], y[rows], family=family, groups=G[rows], tol=1e-12)
    for kind in ("HC0", "HC1", "HC2", "HC3", "cluster", "CR1p", "CR2", "CR3", "survey"):
        close(fit.with_covariance(kind).bse, again.with_covariance(kind).bse, 1e-8)
    with pytest.raises(ValueError, match="frequency"):
        _ = fit.with_covariance("HAC").bse


def test_rows_of_weight_0_are_not_there():
    w = np.where(np.arange(N) % 5 == 0, 0.0, 1.5)
    fit = jglm.fit(X, Y, family="quasipoisson", weights=w, groups=G, tol=1e-12)
    on = w > 0
    again = jglm.fit(X[on], Y[on], family=fit.family, link=fit.link, weights=w[on], groups=G[on], tol=1e-12)
    for kind in ("HC1", "HC3", "cluster", "CR2", jglm.HAC(lags=2)):
        close(fit.with_covariance(kind).bse, again.with_covariance(kind).bse, 1e-8)


def test_groups_of_one_row_are_rows():
    for rows, groups in (("HC0", "CR0"), ("HC2", "CR2"), ("HC3", "CR3")):
        close(POISSON.with_covariance(groups, groups=np.arange(N)).bse, POISSON.with_covariance(rows).bse, 1e-10)
    close(POISSON.with_covariance(jglm.HAC(lags=0)).bse, POISSON.with_covariance("HC0").bse, 1e-12)
    twice = POISSON.with_covariance("CR0", groups=(G, G))
    close(twice.bse, POISSON.with_covariance("CR0", groups=G).bse, 1e-10)


def test_designs_of_every_kind(monkeypatch):
    d = pd.DataFrame(dict(x=X[:, 0], g=np.array(list("abcdefghijkl"))[G], y=Y))
    plain = jglm.glm("y ~ x + g", d, family="poisson", tol=1e-12, groups=G2)
    S = sparse.csr_array(np.asarray(plain._prepared.X))
    monkeypatch.setattr(coding, "ELEMENTS", 0)
    coded = jglm.glm("y ~ x + g", d, family="poisson", tol=1e-12, groups=G2)
    thin = jglm.fit(S, Y, family="poisson", intercept=False, tol=1e-12, groups=G2)
    for kind in ("HC0", "HC3", "cluster", "CR3", jglm.HAC(lags=2)):
        close(coded.with_covariance(kind).bse, plain.with_covariance(kind).bse, 1e-7)
        close(thin.with_covariance(kind).bse, plain.with_covariance(kind).bse, 1e-7)


def test_observed_information():
    y = RNG.gamma(3.0, np.exp(X[:, 0]) / 3)
    fit = jglm.fit(X, y, family="gamma", tol=1e-12)
    H = XC.T @ (XC * (y / fit.predict())[:, None])
    close(fit.with_covariance("observed").cov_params(), np.linalg.inv(H) * fit.scale, 1e-8)
    close(POISSON.with_covariance("observed").bse, POISSON.bse, 1e-9)


def test_ridge():
    """That of the penalized estimator: (X'WX + P)^-1 on both sides."""
    fit = jglm.fit(X, Y, family="poisson", penalty=jglm.penalties.ridge(5.0), covariance="HC0", tol=1e-12)
    mu = fit.predict()
    C = np.linalg.inv(XC.T @ (mu[:, None] * XC) + np.diag([0.0, 5.0, 5.0]))
    close(fit.cov_params(), C @ XC.T @ (((Y - mu) ** 2)[:, None] * XC) @ C, 1e-8)


def test_where_parameters_belong_to_the_mean():
    y = RNG.negative_binomial(3, 0.4, N)
    fit = jglm.fit(X, y, family="negative_binomial", link="canonical")
    rough = fit.with_covariance("HC0")
    assert np.all(np.isfinite(rough.bse))
    assert rough.family_params_se["r"] != fit.family_params_se["r"]
    with pytest.raises(ValueError, match="leverages"):
        _ = fit.with_covariance("HC3").bse


def test_aliased_columns_are_nan():
    twice = np.column_stack([X, X[:, 0]])
    fit = jglm.fit(twice, Y, family="poisson", covariance="cluster", groups=G, tol=1e-12)
    assert np.isnan(fit.bse[3])
    close(fit.bse[:3], POISSON.with_covariance("cluster", groups=G).bse, 1e-9)


# --------------------------------------------------------------------------- use
def test_groups_and_times_by_name(tmp_path):
    d = pd.DataFrame(dict(x=X[:, 0], y=Y, g=np.array(list("abcdefghijkl"))[G], h=G2))
    d["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.random.default_rng(0).permutation(N), unit="D")
    d.loc[3, "g"], d.loc[8, "day"] = None, pd.NaT
    fit = jglm.glm("y ~ x", d, family="poisson", covariance="cluster", groups="g")
    assert (fit.nobs, fit.n_dropped) == (N - 1, 1)
    whole = d.drop(index=3).reset_index(drop=True)
    again = jglm.fit(whole[["x"]], whole["y"], family="poisson", covariance="cluster", groups=whole["g"])
    close(fit.bse, again.bse, 1e-9)
    close(jglm.glm("y ~ x", d, family="poisson", covariance="cluster", groups=d["g"]).bse, again.bse, 1e-9)
    two = jglm.glm("y ~ x", d, family="poisson", covariance="cluster", groups=("g", "h"))
    close(two.bse, again.with_covariance("cluster", groups=whole[["g", "h"]]).bse, 1e-9)
    timed = jglm.glm("y ~ x", d, family="poisson", covariance=jglm.HAC(lags=2, time="day"))
    sorted_ = d.drop(index=8).sort_values("day")
    want = jglm.fit(sorted_[["x"]], sorted_["y"], family="poisson", covariance=jglm.HAC(lags=2))
    close(timed.bse, want.bse, 1e-8)
    assert "11 groups" in str(fit.summary()) or "12 groups" in str(fit.summary())
    fit.save(tmp_path / "fit.jglm")
    loaded = jglm.load(tmp_path / "fit.jglm")
    close(loaded.bse, fit.bse, 1e-14)
    close(loaded.with_covariance("model").bse, fit.with_covariance("model").bse, 1e-14)
    with pytest.raises(ValueError, match="needs the data"):
        loaded.with_covariance("HC0")


def test_what_cannot_be_is_refused():
    refused = [
        (dict(covariance="cluster"), "needs groups="),
        (dict(covariance="HC9"), "did you mean"),
        (dict(covariance="CR0", groups=np.zeros(N)), "single group"),
        (dict(covariance="CR0", groups=G[:-1]), "has 89 rows"),
        (dict(covariance="CR0", groups=np.where(G == 3, np.nan, G)), "missing"),
        (dict(covariance="CR0", groups=np.zeros((N, 3))), "one way or two"),
        (dict(covariance="CR0", groups="g"), "jglm.glm"),
        (dict(weights=np.full(N, 1.5), weight_kind="frequency"), "fractional"),
        (dict(weights=np.ones(N), weight_kind="sampling", covariance="observed"), "survey"),
        (dict(weights=np.ones(N), weight_kind="often"), "weight_kind"),
        (dict(covariance="CR1p", groups=np.arange(N) % 2), "more groups"),
    ]
    for given, message in refused:
        with pytest.raises(ValueError, match=message):
            _ = jglm.fit(X, Y, family="poisson", **given).bse
    with pytest.raises(ValueError, match="kinks"):
        _ = jglm.fit(X, Y, family="poisson", penalty=jglm.penalties.lasso(1.0)).with_covariance("HC0").bse
    with pytest.raises(ValueError, match="kernel"):
        jglm.HAC(kernel="triangle")
    with pytest.raises(ValueError, match="lags"):
        jglm.HAC(lags=-1)
