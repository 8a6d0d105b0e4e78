"""Score scans: Rao's statistic against R, statsmodels and autodiff, whatever holds the candidates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import OWN_SOFTMAX, SIGNS
from jax.flatten_util import ravel_pytree

import jglm
from jglm import families, rows
from jglm.model import Model

RNG = np.random.default_rng(5)
N = 200
X = RNG.normal(size=(N, 2))
LIN = 0.3 + X @ [0.4, -0.3]
COUNT = RNG.poisson(np.exp(LIN)).astype(float)
W = RNG.integers(1, 4, N).astype(float)
OFFSET = RNG.normal(size=N) / 4
G = RNG.integers(0, 3, (N, 30)).astype(np.int8)
NULL = jglm.fit(X, COUNT, family="poisson", weights=W, offset=OFFSET)


def same(a, b, rtol=1e-10):
    for name in ("statistic", "pvalues", "effect", "se"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=1e-12)


# n <- 40; i <- 1:n; x <- sin(i); g <- (i * 7) %% 3; o <- cos(i) / 4; w <- 1 + i %% 2
# count <- floor(3 + 2 * sin(i / 3) + i %% 4); event <- as.numeric((i * 13) %% 5 < 2); time <- 1 + (i * 11) %% 7 / 3
# rao <- function(family, y) {
#   small <- glm(y ~ x + offset(o), family, weights = w, control = list(epsilon = 1e-14, maxit = 100))
#   phi <- summary(small)$dispersion
#   print(anova(small, update(small, . ~ . + g), test = "Rao", dispersion = phi)$Rao[2] / phi, digits = 15) }
# rao(poisson(), count); rao(binomial("probit"), event); rao(Gamma("log"), time)
# rao(inverse.gaussian("log"), time); rao(gaussian(), time)                                      (R 4.2.2)
R = {
    ("poisson", "log"): 0.133337520013832, ("bernoulli", "probit"): 0.857855808676199,
    ("gamma", "log"): 0.0703578099454711 / 0.199248157856883,
    ("inverse_gaussian", "log"): 0.0581345654096577 / 0.0992111169117848,
    ("gaussian", "identity"): 0.111186014752551 / 0.68971206871301,
}  # fmt: skip


@pytest.mark.parametrize(("family", "link"), R)
def test_the_statistic_is_rs(family, link):
    i = np.arange(1, 41)
    count, event = np.floor(3 + 2 * np.sin(i / 3) + i % 4), (i * 13 % 5 < 2) * 1.0
    y = {"poisson": count, "bernoulli": event}.get(family, 1 + (i * 11) % 7 / 3)
    given = dict(weights=1 + i % 2, offset=np.cos(i) / 4, link=link)
    scan = jglm.score_scan((i * 7 % 3)[:, None], X=np.sin(i)[:, None], y=y, family=family, **given)
    np.testing.assert_allclose(scan.statistic, R[family, link], rtol=1e-8)


def test_the_statistic_is_that_of_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    scan = jglm.score_scan(G, NULL)
    # freq_weights have no part in its score_factor, rows that stand there so often have.
    at = np.repeat(np.arange(N), W.astype(int))
    own = sm.GLM(COUNT[at], sm.add_constant(X[at]), sm.families.Poisson(), offset=OFFSET[at]).fit(tol=1e-13)
    for j in (0, 7, 29):
        want = own.score_test(exog_extra=G[at][:, [j]].astype(float), observed=False)
        np.testing.assert_allclose(scan.statistic[j], want.statistic[0], rtol=1e-8)
        np.testing.assert_allclose(scan.pvalues[j], want.pvalue[0], rtol=1e-8)


def by_autodiff(model, unknowns, loss, g, k):
    """(U, V) of g from the derivatives of the whole objective: the score, and the Schur complement of its Hessian at
    responses equal to their means, which is the expected information."""
    flat, unravel = ravel_pytree(unknowns)
    whole = jnp.concatenate([flat, jnp.zeros(k)])
    at = lambda v, g, means: loss(unravel(v[:-k]), v[-k:], g, means)
    slopes = jax.jit(lambda v, g: (jax.grad(at)(v, g, False), jax.hessian(at)(v, g, True)))
    score, H = slopes(whole, g)
    U = -score[-k:]
    V = H[-k:, -k:] - H[-k:, :-k] @ jnp.linalg.solve(H[:-k, :-k], H[:-k, -k:])
    return np.asarray(U), np.asarray(V)


@pytest.mark.parametrize(("family", "link"), [(SIGNS, "canonical"), (OWN_SOFTMAX, "canonical"), ("categorical", None),
                                              (families.negative_binomial(2.0), "log"), ("gamma", "sqrt")])  # fmt: skip
def test_every_family_by_autodiff(family, link):
    y = {"signs": np.sign(COUNT - 0.5), "own_softmax": np.eye(3)[G[:, 1]][:, :2], "gamma": COUNT + 0.5}
    y = y.get(getattr(family, "name", family), G[:, 1] if family == "categorical" else COUNT)
    null = jglm.fit(X, y, family=family, link=link, weights=W, tol=1e-10)
    scan, model, k = jglm.score_scan(G[:, 2:4], null), null.model, null.params[0].size
    T, Z = jnp.asarray(null._prepared.y), jnp.column_stack([jnp.ones(N), X])
    eta0 = jax.vmap(lambda v: model.link.eta(model.family, v))(Z @ null.params)
    means = jax.vmap(jax.grad(model.family.a))(eta0)

    def loss(coef, extra, g, at_means):
        lin = Z @ coef + (g * extra[0] if coef.ndim == 1 else g[:, None] * extra[None, :])
        eta = jax.vmap(lambda v: model.link.eta(model.family, v))(lin)
        return jnp.sum(W * jax.vmap(model.family.loss_one)(means if at_means else T, eta))

    for j in range(2):
        U, V = by_autodiff(model, jnp.asarray(null.params), loss, jnp.asarray(G[:, 2 + j], float), k)
        np.testing.assert_allclose(scan.statistic[j], U @ np.linalg.solve(V, U) / null.scale, rtol=1e-7)
        np.testing.assert_allclose(np.ravel(scan.effect[j]), np.linalg.solve(V, U), rtol=1e-6, atol=1e-9)
    assert scan.df == k


@pytest.mark.parametrize("name", ["beta", "ordinal"])
def test_parameters_of_the_means_map_are_nuisances(name):
    y = G[:, 1] if name == "ordinal" else np.clip((COUNT + 0.5) / 9, 0.02, 0.98)
    null = jglm.fit(X, y, family=name, tol=1e-10)
    scan = jglm.score_scan(G[:, 2:3], null, refit=1.0 if name == "beta" else None)
    model = Model(null.family.replace(free=null.free), null.link, None)
    prepared, Z = null._prepared, jnp.asarray(null._prepared.X)
    names = [n for n, _ in null.free]
    parts = {"coef": jnp.asarray(null.params), **{n: jnp.asarray(null.nuisance[n]) for n in names}}
    family, T = model.family, jax.vmap(model.family.statistic)(jnp.asarray(prepared.y))

    def stacked(parts, shift):
        free = [jnp.broadcast_to(parts[n], (N, parts[n].size)) for n in names]
        return jnp.column_stack([Z @ parts["coef"] + shift, *free])

    eta_of = lambda v: rows.eta_of(model, *rows.unstack(model, v))
    means = jax.vmap(lambda v: jax.grad(family.a)(eta_of(v)))(stacked(parts, jnp.zeros(N)))

    def loss(parts, extra, g, at_means):
        v = stacked(parts, g * extra[0])
        if not at_means:
            return jnp.sum(jax.vmap(lambda y, v: rows.joint_loss(model, y, 1.0, v))(jnp.asarray(prepared.y), v))
        return jnp.sum(jax.vmap(lambda t, v: family.loss_one(t, eta_of(v)))(means, v))

    assert T.shape == means.shape
    U, V = by_autodiff(model, parts, loss, jnp.asarray(G[:, 2], float), 1)
    np.testing.assert_allclose(scan.statistic, U @ np.linalg.solve(V, U), rtol=1e-7)
    if name == "ordinal":
        return
    full = jglm.fit(np.column_stack([X, G[:, 2]]), y, family=name)
    np.testing.assert_allclose(scan.full_effect, full.params[-1:], rtol=1e-6)
    np.testing.assert_allclose(scan.full_se, full.bse[-1:], rtol=1e-6)


def test_a_dispersion_that_is_orthogonal_changes_nothing():
    y = RNG.negative_binomial(2, 2 / (2 + np.exp(LIN))).astype(float)
    null = jglm.fit(X, y, family="negative_binomial")
    fixed = jglm.fit(X, y, family=families.negative_binomial(null.family_params["r"]))
    same(jglm.score_scan(G, null), jglm.score_scan(G, fixed), 1e-6)
    assert jglm.score_scan(G, fixed).scale == 1


def test_whatever_holds_the_columns(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    pandas = pytest.importorskip("pandas")
    want = jglm.score_scan(G.astype(float), NULL)
    on_disk = np.memmap(tmp_path / "G", np.int8, "w+", shape=G.shape)
    on_disk[:] = G
    frame = pandas.DataFrame(G, columns=[f"snp{j}" for j in range(30)])
    kinds = (G, np.asfortranarray(G), G.astype(np.float32), on_disk, sparse.csr_array(G), sparse.csc_matrix(G),
             jnp.asarray(G), frame, G.tolist(), iter([G[:, :7], G[:, 7:]]), (G[:, [j]] for j in range(30)))  # fmt: skip
    for kind in kinds:
        same(jglm.score_scan(kind, NULL), want)
    assert jglm.score_scan(frame, NULL).names == list(frame.columns)
    assert jglm.score_scan(iter([frame.iloc[:, :7], frame.iloc[:, 7:]]), NULL).names == list(frame.columns)


def test_small_tiles_and_blocks_give_the_same(monkeypatch):
    want = jglm.score_scan(G, NULL)
    monkeypatch.setattr("jglm.scans.candidates.TILE", (64, 4))
    monkeypatch.setattr("jglm.scans.candidates.COLUMNS", 11)
    same(jglm.score_scan(G, NULL, progress=True), want)
    same(jglm.score_scan(np.asfortranarray(G), NULL), want)


def test_missing_values():
    holes = G.astype(np.float32)
    holes[3, 1] = holes[9, 1] = holes[5, 4] = np.nan
    with pytest.raises(ValueError, match=r"missing values \(first: row 3, column 1\)"):
        jglm.score_scan(holes, NULL)
    scan = jglm.score_scan(holes, NULL, missing="mean")
    filled = np.where(np.isnan(holes), np.nanmean(holes.astype(float), axis=0), holes)
    same(scan, jglm.score_scan(filled, NULL))
    assert scan.imputed[[1, 4]].tolist() == [2, 1]
    assert scan.imputed.sum() == 3
    with pytest.raises(ValueError, match="infinite"):
        jglm.score_scan(np.where(np.isnan(holes), np.inf, holes), NULL, missing="mean")


def test_rows_of_weight_zero_are_not_there():
    w = np.where(np.arange(N) % 4 == 0, 0.0, W)
    null = jglm.fit(X, COUNT, family="poisson", weights=w)
    on = w > 0
    want = jglm.score_scan(G[on], jglm.fit(X[on], COUNT[on], family="poisson", weights=w[on]))
    same(jglm.score_scan(np.where(on[:, None], G, np.nan), null), want, 1e-8)


def test_what_the_null_knows_already_is_no_candidate():
    ones = np.ones(N)
    more = np.column_stack([ones, 0 * ones, X @ [2.0, 1.0] - 3, G[:, 0], 1e5 + G[:, 0]])
    scan = jglm.score_scan(more, NULL)
    assert scan.aliased.tolist() == [True, True, True, False, False]
    assert scan.n_aliased == 3
    for values in (scan.statistic, scan.pvalues, scan.effect, scan.se, scan.z):
        assert np.isnan(values[:3]).all()
    assert list(scan.top(10).index) == sorted([3, 4], key=lambda j: -scan.statistic[j])
    # Rounded to float32 it still is none, though it differs from X by the rounding.
    assert jglm.score_scan(X.astype(np.float32), NULL).n_aliased == 2


@pytest.mark.parametrize("family", ["poisson", "categorical"])
def test_columns_near_those_of_the_null_keep_their_digits(family):
    """The statistic of g is that of X b + g, of which only 1e-6 is left after X."""
    y = COUNT if family == "poisson" else G[:, 1]
    near = 1e6 * (1 + X[:, :1]) + G[:, 2:8]
    far, close = (jglm.score_scan(g, X=X, y=y, family=family) for g in (G[:, 2:8], near))
    same(close, far, 1e-7)


def test_full_fits_of_those_that_pass():
    scan = jglm.score_scan(G, NULL, refit=0.2)
    passed = np.flatnonzero(scan.pvalues < 0.2)
    assert 0 < len(passed) == scan.n_refitted < 30
    for j in passed:
        fit = jglm.fit(np.column_stack([X, G[:, j]]), COUNT, family="poisson", weights=W, offset=OFFSET)
        np.testing.assert_allclose(scan.full_effect[j], fit.params[-1], rtol=1e-7)
        np.testing.assert_allclose(scan.full_se[j], fit.bse[-1], rtol=1e-7)
        np.testing.assert_allclose(scan.full_pvalues[j], fit.pvalues[-1], rtol=1e-6)
    assert np.isnan(np.delete(scan.full_effect, passed)).all()
    assert "full_p" in scan.table()
    assert len(scan.top(3)) == 3
    assert "full_p" not in jglm.score_scan(G, NULL).table()


def test_one_step_is_near_the_full_fit_and_z_has_its_sign():
    scan = jglm.score_scan(G, NULL, refit=1.0)
    assert np.max(np.abs(scan.effect - scan.full_effect) / scan.se) < 0.1
    np.testing.assert_allclose(scan.z**2, scan.statistic, rtol=1e-10)
    assert np.array_equal(np.sign(scan.z), np.sign(scan.full_effect))


def test_a_null_of_an_intercept():
    scan = jglm.score_scan(G, y=COUNT, family="poisson")
    g, mean = G.astype(float), COUNT.mean()
    centered = g - g.mean(axis=0)
    np.testing.assert_allclose(scan.statistic, (COUNT @ centered) ** 2 / (mean * (centered**2).sum(axis=0)), rtol=1e-9)


def test_what_cannot_be_is_told():
    penalized = jglm.fit(X, COUNT, family="poisson", penalty=jglm.penalties.ridge(1.0))
    cases = [
        (dict(G=G[1:], null=NULL), ValueError, "199 rows, the null model was fitted to 200"),
        (dict(G=G, null=penalized), ValueError, "has a penalty"),
        (dict(G=G, null=NULL.detach()), ValueError, "needs the data"),
        (dict(G=G), ValueError, "give either"),
        (dict(G=G, null=NULL, y=COUNT), ValueError, "give either"),
        (dict(G=G, y=COUNT), ValueError, "family= is missing"),
        (dict(G=G, null=NULL, link="log"), TypeError, "link would change nothing"),
        (dict(G=G, null=3.0), TypeError, "must be a Fit"),
        (dict(G=G, null=NULL, missing="zero"), ValueError, "missing is 'zero'"),
        (dict(G=G, null=NULL, refit=5), ValueError, "refit is 5"),
        (dict(G=G, null=NULL, names=["a"]), ValueError, "names has 1 entries, G has 30"),
        (dict(G=G[:, 0], null=NULL), ValueError, "it must be \\(n, q\\)"),
        (dict(G=G * 1j, null=NULL), TypeError, "real numbers"),
        (dict(G=3, null=NULL), TypeError, "must be a matrix"),
        (dict(G=iter([]), null=NULL), ValueError, "no columns"),
    ]
    for given, error, words in cases:
        with pytest.raises(error, match=words):
            jglm.score_scan(**given)


@pytest.mark.gpu
def test_on_an_accelerator():
    there = jglm.score_scan(G, NULL)
    null = NULL._prepared
    assert null is not None
    exact = G.astype(float)
    mu = np.exp(NULL.params[0] + X @ NULL.params[1:] + OFFSET)
    D, w = np.column_stack([np.ones(N), X]), W * mu
    U, cross = exact.T @ (W * (COUNT - mu)), D.T @ (w[:, None] * exact)
    V = w @ exact**2 - np.sum(cross * np.linalg.solve(D.T @ (w[:, None] * D), cross), axis=0)
    np.testing.assert_allclose(there.statistic, U**2 / V, rtol=1e-9)
    same(jglm.score_scan(jnp.asarray(G), NULL), there)
