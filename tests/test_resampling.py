"""The bootstrap is a loop of fits with the same weights; its intervals are the textbook's."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jglm
from jglm import penalties
from jglm.resampling import draws, reweighted

RNG = np.random.default_rng(8)
N = 150
X = RNG.normal(size=(N, 2))
LIN = 0.3 + X @ [0.4, -0.3]
COUNT = RNG.poisson(np.exp(LIN)).astype(float)
TIME = RNG.gamma(3.0, np.exp(LIN) / 3)
EVENT = (RNG.random(N) < 1 / (1 + np.exp(-LIN))) * 1.0
KIND = RNG.integers(0, 3, N)
W = RNG.integers(1, 4, N).astype(float)
CASES = {
    "poisson": dict(y=COUNT, family="poisson", offset=0.1 * X[:, 0]),
    "gamma": dict(y=TIME, family="gamma", weights=W),
    "gaussian": dict(y=TIME, family="gaussian", weights=W, penalty=penalties.ridge(3.0)),
    "probit": dict(y=EVENT, family="bernoulli", link="probit"),
    "identity": dict(y=COUNT + 2, family="poisson", link="identity"),
    "categorical": dict(y=KIND, family="categorical"),
    "negative_binomial": dict(y=RNG.negative_binomial(2, 2 / (2 + np.exp(LIN))) * 1.0, family="negative_binomial"),
    "lasso": dict(y=COUNT, family="poisson", penalty=penalties.lasso(9.0)),
}  # fmt: skip
POISSON = jglm.fit(X, COUNT, family="poisson")


@pytest.mark.parametrize("name", CASES)
def test_a_loop_of_fits(name):
    given = dict(CASES[name])
    few = 6 if name in ("negative_binomial", "lasso", "categorical") else 12
    found = jglm.bootstrap(X, resamples=few, kind="bayesian", seed=3, progress=False, **given)
    assert found.n_failed == 0
    own = given.pop("weights", np.ones(N))
    for b in range(few):
        again = jglm.fit(X, weights=own * found.weights(b)[0], tol=1e-11, progress=False, **given)
        np.testing.assert_allclose(found.params[b], again.params, rtol=1e-9, atol=1e-9)
        if again.free:
            np.testing.assert_allclose(found.family_params["r"][b], again.family_params["r"], rtol=1e-6)


def test_parameters_with_a_design_of_their_own():
    share, Z = (
        np.clip(1 / (1 + np.exp(-LIN)) + 0.1 * RNG.normal(size=N), 0.02, 0.98),
        np.column_stack([np.ones(N), X[:, 0]]),
    )
    found = jglm.bootstrap(X[:, 1:], share, family="beta", precision=Z, resamples=2, kind="bayesian", progress=False)
    again = jglm.fit(
        X[:, 1:], share, family="beta", precision=Z, weights=found.weights(1)[0], tol=1e-11, progress=False
    )
    np.testing.assert_allclose(found.params[1], again.params, rtol=1e-7)
    np.testing.assert_allclose(found.family_params["precision"][1], again.family_params["precision"], rtol=1e-6)


def test_what_is_not_quick_is_found_by_others(monkeypatch):
    quick = jglm.bootstrap(POISSON, resamples=40)
    monkeypatch.setattr(reweighted, "PASSES", 1)
    np.testing.assert_allclose(jglm.bootstrap(POISSON, resamples=40).params, quick.params, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("method", ["refit", "one_step"])
def test_rows_may_come_in_blocks(method, monkeypatch):
    whole = jglm.bootstrap(POISSON, resamples=20, method=method)
    monkeypatch.setattr(reweighted, "ROWS", 40)  # four blocks, two rows of which stand twice
    blocks = jglm.bootstrap(POISSON, resamples=20, method=method)
    np.testing.assert_allclose(blocks.params, whole.params, rtol=1e-10, atol=1e-12)


def test_a_seed_is_the_draws(monkeypatch):
    first = POISSON.bootstrap(resamples=50, seed=4)
    np.testing.assert_array_equal(first.params, jglm.bootstrap(X, COUNT, family="poisson", resamples=50, seed=4).params)
    monkeypatch.setattr(reweighted, "NUMBERS", 7 * N)
    np.testing.assert_allclose(jglm.bootstrap(POISSON, resamples=50, seed=4).params, first.params, rtol=1e-12)
    whole, some = first.weights(np.arange(50)), [40, 3, 17, 3]
    np.testing.assert_array_equal(first.weights(some), whole[some])
    assert not np.any(jglm.bootstrap(POISSON, resamples=50, seed=5).params == first.params)
    np.testing.assert_array_equal(jglm.bootstrap(POISSON, resamples=20, seed=4).kept, np.arange(20))


# --------------------------------------------------------------------------- draws
def test_poisson_counts_have_poissons_probabilities():
    share = np.bincount(draws._COUNTS[draws._COUNTS != draws.SPLIT], minlength=9) / 2**draws.SURE
    exact = stats.poisson.pmf(np.arange(9), 1)
    assert np.all(share <= exact)  # what is missing lies in the few buckets that are split
    assert np.all(exact - share <= 2.0**-15)
    counts = np.bincount(draws._poisson(np.random.default_rng(0), 10**6), minlength=12)
    expected = 1e6 * stats.poisson.pmf(np.arange(8), 1)
    assert stats.chisquare([*counts[:7], counts[7:].sum()], [*expected[:7], 1e6 - expected[:7].sum()]).pvalue > 1e-3
    uniform = np.array([0.0, np.exp(-1) - 1e-12, np.exp(-1) + 1e-12, 1 - 1e-13])
    assert np.searchsorted(draws._CDF, uniform, side="right").tolist() == [0, 0, 1, 15]


@pytest.mark.parametrize("kind", draws.KINDS)
def test_every_kind_has_mean_one_and_its_variance(kind):
    found = jglm.bootstrap(POISSON, resamples=2, kind=kind)
    drawn = found.weights(np.arange(2000)).astype(float)
    np.testing.assert_allclose(drawn.mean(), 1, atol=0.01)
    np.testing.assert_allclose(drawn.var(axis=0).mean(), 1 - (kind != "poisson") / N, rtol=0.02)
    if kind != "poisson":
        np.testing.assert_allclose(drawn.sum(axis=1), N, rtol=1e-12)
    assert np.all(drawn == np.round(drawn)) == (kind != "bayesian")


@pytest.mark.parametrize("kind", draws.KINDS)
def test_frequency_weights_are_so_many_rows(kind):
    fit = jglm.fit(X, COUNT, family="poisson", weights=W, weight_kind="frequency")
    drawn = jglm.bootstrap(fit, resamples=2, kind=kind).weights(np.arange(1000)) * W
    np.testing.assert_allclose(drawn.mean(axis=0), W, rtol=0.3)
    np.testing.assert_allclose((drawn.var(axis=0) / W).mean(), 1 - (kind != "poisson") / W.sum(), rtol=0.03)
    if kind != "bayesian":
        np.testing.assert_allclose(drawn, np.round(drawn), atol=1e-12)


def test_clusters_are_drawn_together_and_rows_of_weight_zero_never():
    labels = np.array(list("abcdefghij"))[np.arange(N) % 10]
    w = np.where(np.arange(N) < 5, 0.0, 1.0)
    fit = jglm.fit(X, COUNT, family="poisson", weights=w)
    drawn = jglm.bootstrap(fit, clusters=labels, resamples=5, kind="multinomial").weights(np.arange(5))
    assert np.all(drawn[:, :5] == 0)
    for k in range(10):
        assert np.all(np.ptp(drawn[:, 5:][:, labels[5:] == "abcdefghij"[k]], axis=1) == 0)
    assert np.all(np.array([drawn[:, 5 + k] for k in range(10)]).sum(axis=0) == 10)
    assert np.all(jglm.bootstrap(fit, resamples=5).weights(np.arange(5))[:, :5] == 0)


# --------------------------------------------------------------------------- what comes of them
def test_standard_errors_are_those_of_the_sandwich():
    y = RNG.negative_binomial(2, 2 / (2 + np.exp(LIN))).astype(float)
    found = jglm.bootstrap(X, y, family="poisson", resamples=2000)
    D = np.column_stack([np.ones(N), X])
    mu = np.exp(D @ found.estimate)
    bread = np.linalg.inv(D.T @ (mu[:, None] * D))
    sandwich = bread @ (D.T @ ((y - mu)[:, None] ** 2 * D)) @ bread
    np.testing.assert_allclose(found.bse, np.sqrt(np.diag(sandwich)), rtol=0.12)
    assert np.all(np.abs(found.bias) < 0.3 * found.bse)


def test_intervals_of_a_mean_are_scipys():
    """For a mean the jackknife of scipy is the derivative, so the same draws give the same intervals."""
    y = np.random.default_rng(0).gamma(1.0, 1.0, 40)
    found = jglm.bootstrap(np.empty((40, 0)), y, family="gaussian", resamples=999, kind="multinomial", seed=1)
    given = stats.bootstrap((y,), np.mean, n_resamples=10, vectorized=True)
    given.bootstrap_distribution = found.values[:, 0]
    given.standard_error = found.bse[0]
    for method, level in (("bca", 0.95), ("bca", 0.8), ("percentile", 0.9)):
        want = stats.bootstrap((y,), np.mean, n_resamples=0, bootstrap_result=given, method=method,
                               confidence_level=level).confidence_interval  # fmt: skip
        np.testing.assert_allclose(found.conf_int(level, method)[0], want, rtol=1e-10)
    low, high = found.conf_int(method="normal")[0]
    middle, reach = 2 * y.mean() - found.values.mean(), 1.959963984540054 * found.bse[0]
    np.testing.assert_allclose([low, high], [middle - reach, middle + reach], rtol=1e-10)


def test_acceleration_is_nearly_the_jackknifes():
    labels = np.arange(N) % 50
    plain, clustered = jglm.bootstrap(POISSON, resamples=2), jglm.bootstrap(POISSON, resamples=2, clusters=labels)
    for found, groups in ((plain, np.arange(N)), (clustered, labels)):
        without = np.array(
            [jglm.fit(X[groups != g], COUNT[groups != g], family="poisson").params for g in np.unique(groups)]
        )
        U = without.mean(axis=0) - without
        want = (U**3).sum(axis=0) / (6 * (U**2).sum(axis=0) ** 1.5)
        np.testing.assert_allclose(found.acceleration, want, atol=0.005)
        assert np.abs(want).max() > 0.01


def test_one_step_is_near_the_refit():
    refit, step = (jglm.bootstrap(POISSON, resamples=200, method=m) for m in ("refit", "one_step"))
    assert np.all(np.median(np.abs(step.params - refit.params), axis=0) < 0.2 * refit.bse)
    assert np.all(np.median(np.abs(step.params - refit.params), axis=0) > 1e-4 * refit.bse)
    b = 17
    D, mu = np.column_stack([np.ones(N), X]), np.exp(np.column_stack([np.ones(N), X]) @ POISSON.params)
    w = step.weights(b)[0]
    want = POISSON.params + np.linalg.solve(D.T @ ((w * mu)[:, None] * D), D.T @ (w * (COUNT - mu)))
    np.testing.assert_allclose(step.params[b], want, rtol=1e-9)


def test_one_step_of_vector_families():
    refit, step = (jglm.bootstrap(X, KIND, family="categorical", resamples=30, method=m) for m in ("refit", "one_step"))
    assert step.params.shape == (30, 3, 2)
    assert np.all(np.median(np.abs(step.params - refit.params), axis=0) < 0.2 * refit.bse)


def test_functions_of_the_coefficients():
    ratio = lambda coef: jnp.stack([coef[1] / coef[2], jnp.exp(coef[0])])
    found = jglm.bootstrap(POISSON, resamples=300, statistic=ratio)
    np.testing.assert_allclose(
        found.values, np.stack([found.params[:, 1] / found.params[:, 2], np.exp(found.params[:, 0])], 1)
    )
    np.testing.assert_allclose(found.estimate, [POISSON.params[1] / POISSON.params[2], np.exp(POISSON.params[0])])
    exponential = found.of(lambda coef: jnp.exp(coef))
    # Percentiles go with any increasing function, and BCa's correction for bias does.
    np.testing.assert_allclose(
        exponential.conf_int(), np.exp(jglm.bootstrap(POISSON, resamples=300).conf_int()), rtol=1e-3
    )
    assert found.conf_int(method="bca").shape == (2, 2)
    assert list(found.table().columns) == ["estimate", "std_err", "bias", "low", "high"]
    assert list(jglm.bootstrap(POISSON, resamples=5).table().index) == POISSON.names


def test_aliased_columns_are_nan():
    found = jglm.bootstrap(np.column_stack([X, X[:, 0]]), COUNT, family="poisson", resamples=20)
    assert np.isnan(found.params[:, 3]).all()
    plain = jglm.bootstrap(POISSON, resamples=20)
    np.testing.assert_allclose(found.params[:, :3], plain.params, rtol=1e-8)
    for method in ("percentile", "normal", "bca"):
        ends = found.conf_int(method=method)
        assert np.isnan(ends[3]).all()
        np.testing.assert_allclose(ends[:3], plain.conf_int(method=method), rtol=1e-6)


def test_resamples_that_fail_are_counted_and_left_out():
    x = np.arange(14.0)[:, None]
    y = (x[:, 0] > 6) * 1.0
    y[5], y[9] = 1, 0
    with pytest.warns(UserWarning, match=r"of 200 resamples are left out"):
        found = jglm.bootstrap(x, y, family="bernoulli", resamples=200)
    assert 0 < found.n_failed < 150
    assert len(found.params) == 200 - found.n_failed == len(found.kept)
    assert np.all(np.isfinite(found.params))
    assert np.abs(found.params[:, 1]).max() < 20
    lost = np.setdiff1d(np.arange(200), found.kept)[:5]
    for b in lost:
        w = found.weights(b)[0]
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            jglm.fit(x, y, family="bernoulli", weights=w)
        assert said


def test_what_cannot_be_is_told():
    lasso = jglm.fit(X, COUNT, family="poisson", penalty=penalties.lasso(9.0), progress=False)
    cases = [
        (dict(X=POISSON, kind="jackknife"), ValueError, "kind is 'jackknife'"),
        (dict(X=POISSON, method="two"), ValueError, "method is 'two'"),
        (dict(X=POISSON, resamples=1), ValueError, "resamples is 1"),
        (dict(X=POISSON, seed=-1), ValueError, "seed is -1"),
        (dict(X=POISSON, level=95), ValueError, "level is 95"),
        (dict(X=POISSON, statistic=3.0), TypeError, "must be a function"),
        (dict(X=POISSON, clusters=np.ones(N)), ValueError, "single label"),
        (dict(X=POISSON, clusters=np.arange(3)), ValueError, "a label for each of the 150 rows"),
        (dict(X=POISSON, family="poisson"), TypeError, "give it alone"),
        (dict(X=X), TypeError, "y and family= are missing"),
        (dict(X=POISSON.detach()), ValueError, "needs the data"),
        (dict(X=lasso, method="one_step"), ValueError, "smooth penalty"),
    ]
    for given, error, words in cases:
        with pytest.raises(error, match=words):
            jglm.bootstrap(**given)
    with pytest.raises(ValueError, match="method is 'wald'"):
        jglm.bootstrap(POISSON, resamples=5).conf_int(method="wald")


@pytest.mark.gpu
def test_on_an_accelerator():
    found = jglm.bootstrap(POISSON, resamples=20)
    assert found.n_failed == 0
    for b in (0, 7):
        again = jglm.fit(X, COUNT, family="poisson", weights=found.weights(b)[0], tol=1e-11)
        np.testing.assert_allclose(found.params[b], again.params, rtol=1e-8)
