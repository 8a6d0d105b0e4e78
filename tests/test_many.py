"""fit_many: every model is that of jglm.fit, whatever becomes of its neighbours."""

import pickle
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jglm
from jglm import families, links, penalties
from jglm.batches import batch, incache, kinked, lockstep
from jglm.batches.stacked import Stack
from jglm.model import Model

N, M, P = 60, 7, 3  # one shape, so that the single fits share compilations
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, P))
LIN = X @ (0.4 * RNG.normal(size=(P, M))) + 0.3
STACKED = RNG.normal(size=(M, N, P))
EVENTS = (RNG.random((N, M)) < 1 / (1 + np.exp(-LIN))).astype(float)
COUNTS = RNG.poisson(np.exp(LIN + 0.7)).astype(float)
SIZES = RNG.gamma(2.0, np.exp(LIN) / 2)
CLASSES = RNG.integers(0, 3, size=(N, M))
WEIGHTS = RNG.integers(0, 4, size=(N, M)).astype(float)
OFFSETS = 0.3 * RNG.normal(size=(N, M))
OWN = jglm.Family("own_gamma", a=lambda eta: -jnp.log(-eta), domain=(-np.inf, 0.0))


def same(many, singles, tol=1e-9):
    """The batch agrees with fits one at a time."""
    assert many.converged.all()
    for i, one in enumerate(singles):
        kept = ~np.isnan(many.params[i].reshape(len(many.names), -1)).any(axis=1)
        np.testing.assert_allclose(many.params[i][kept], one.params[one.kept], rtol=0, atol=tol)
        np.testing.assert_allclose(many.bse[i][kept], one.bse[one.kept], rtol=0, atol=tol)
        np.testing.assert_allclose(many.scale[i], one.scale, rtol=1e-8)
        np.testing.assert_allclose(many.deviance[i], one.deviance, rtol=1e-7, atol=1e-9)
        assert many.nobs[i] == one.nobs


CASES = {
    "bernoulli": (EVENTS, dict(family="bernoulli"), {}),
    "probit": (EVENTS, dict(family="bernoulli", link="probit"), {}),
    "poisson": (COUNTS, dict(family="poisson"), dict(weights=WEIGHTS, offset=OFFSETS)),
    "gamma": (SIZES, dict(family="gamma"), {}),
    "inverse gaussian": (SIZES, dict(family="inverse_gaussian"), {}),  # whose observed information has either sign
    "own": (SIZES, dict(family=OWN, link="log"), {}),
    "categorical": (CLASSES, dict(family="categorical"), {}),
    "binomial": (np.minimum(COUNTS, 9), dict(family="binomial"), dict(trials=np.full((N, M), 9.0))),
    "beta": (1 / (1 + SIZES), dict(family="beta"), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_batch_is_its_fits_one_at_a_time(name):
    Y, model, rows = CASES[name]
    many = jglm.fit_many(X, Y, **model, **rows)
    singles = [jglm.fit(X, Y[:, i], **model, **{k: v[:, i] for k, v in rows.items()}) for i in range(M)]
    same(many, singles)
    if name != "own":  # which has no closed density
        np.testing.assert_allclose(many.llf, [one.llf for one in singles], rtol=1e-9)
        np.testing.assert_allclose(many.aic, [one.aic for one in singles], rtol=1e-9)
    np.testing.assert_allclose(many.pvalues[2], singles[2].pvalues, atol=1e-7)
    mean = many.predict(X[:5])
    np.testing.assert_allclose(mean[:, 3], singles[3].predict(X[:5], **({"offset": np.zeros(5)} if rows.get("offset")
                               is not None else {})), atol=1e-8)  # fmt: skip


def test_an_X_for_each_model():
    many = jglm.fit_many(STACKED, EVENTS, family="bernoulli", names=["a", "b", "c"])
    same(many, [jglm.fit(STACKED[i], EVENTS[:, i], family="bernoulli") for i in range(M)])
    assert many.names == ["Intercept", "a", "b", "c"]
    np.testing.assert_allclose(many.predict(STACKED[:, :4], kind="link").shape, (4, M))


@pytest.mark.parametrize(("name", "options"), [
    ("bernoulli", dict(ridge=np.linspace(0.0, 2.0, M))),
    ("inverse gaussian", {}),
    ("categorical", dict(columns=np.arange(M * P).reshape(M, P) % 5 > 0)),
    ("beta", {}),
    ("gamma", dict(link="canonical", offset=None)),  # whose rows have to begin nearer to one another
    ("bernoulli", dict(link="cauchit", start=np.full((M, P + 1), 1.5))),  # where the Hessian is not positive definite
])  # fmt: skip
def test_one_after_another_is_the_same_as_side_by_side(name, options, monkeypatch):
    Y, family, _ = CASES[name]
    given = dict(weights=WEIGHTS + 1, offset=OFFSETS, chunk=3) | family | options
    fit = lambda: jglm.fit_many(STACKED, Y, **given)
    together = fit()
    monkeypatch.setattr(incache, "PAYS", 0)
    monkeypatch.setattr(incache, "TOGETHER", 2)
    in_turn = fit()
    assert in_turn.converged.all()
    np.testing.assert_array_equal(in_turn.n_iter, together.n_iter)
    np.testing.assert_allclose(in_turn.params, together.params, rtol=0, atol=1e-11)
    np.testing.assert_allclose(in_turn.bse, together.bse, rtol=1e-10)
    np.testing.assert_allclose(in_turn.deviance, together.deviance, rtol=1e-11)


@pytest.mark.parametrize("small", [lockstep.SMALL, 0])
def test_systems_of_every_lane_by_elimination_and_by_cholesky(small, monkeypatch):
    monkeypatch.setattr(lockstep, "SMALL", small)
    with jax.enable_x64(True):
        roots, rhs = (np.random.default_rng(4).normal(size=(M, 5, k)) for k in (5, 2))
        A = roots @ roots.swapaxes(1, 2)
        A[2] -= 3 * np.eye(5)  # which is not positive definite
        A[5, :, 1] = np.nan
        found, pivot = lockstep._divided(A, rhs)
        sound = np.array([i not in (2, 5) for i in range(M)])
        np.testing.assert_allclose(np.asarray(found)[sound], np.linalg.solve(A[sound], rhs[sound]), rtol=1e-9)
        np.testing.assert_array_equal(np.asarray(pivot) > 0, sound)


def test_strengths_columns_and_starts_of_their_own():
    strengths = np.linspace(0.0, 3.0, M)
    many = jglm.fit_many(X, EVENTS, family="bernoulli", ridge=strengths)
    singles = [
        jglm.fit(X, EVENTS[:, i], family="bernoulli", penalty=penalties.ridge(s)) for i, s in enumerate(strengths)
    ]
    same(many, singles)
    scaled = jglm.fit_many(X, COUNTS, family="poisson", penalty=penalties.ridge(0.1, scale="mean"), weights=WEIGHTS)
    one = jglm.fit(X, COUNTS[:, 1], family="poisson", penalty=penalties.ridge(0.1, scale="mean"), weights=WEIGHTS[:, 1])
    np.testing.assert_allclose(scaled.params[1], one.params, atol=1e-9)
    columns = np.ones((M, P), bool)
    columns[1, 2] = columns[4, 0] = False
    some = jglm.fit_many(X, COUNTS, family="gaussian", columns=columns, start=np.full((M, P + 1), 0.1))
    same(some, [jglm.fit(X[:, columns[i]], COUNTS[:, i], family="gaussian") for i in range(M)])
    assert np.isnan(some.params[1, 3])
    assert np.isnan(some.bse[4, 1])
    assert np.isnan(some.params).sum() == 2
    assert list(some.columns) == [4, 3, 4, 4, 3, 4, 4]


KINKED = {
    "lasso": ("poisson", penalties.lasso(1.0), dict(strengths=np.geomspace(0.5, 20.0, M))),
    "mean": ("poisson", penalties.elastic_net(0.05, 0.7, scale="mean"), {}),
    "bounds": ("gamma", penalties.bounds(0.0, 0.2) + penalties.ridge(2.0), {}),
    "groups": ("categorical", penalties.group_lasso(3.0, ["a", "b", "a"]), {}),
}


@pytest.mark.parametrize("name", KINKED)
def test_penalties_with_kinks_are_those_of_fits_one_at_a_time(name):
    family, penalty, options = KINKED[name]
    Y, model, rows = CASES[family]
    model = model | {"link": "log"} if family == "gamma" else model
    many = jglm.fit_many(X, Y, penalty=penalty, **model, **rows, **options, chunk=4)
    assert many.converged.all()
    assert np.isnan(many.bse).all()  # which are not normal
    strengths = options.get("strengths", np.ones(M))
    for i in range(0, M, 2):
        own = penalty.times(strengths[i]) if options else penalty
        one = jglm.fit(X, Y[:, i], penalty=own, **model, **{k: v[:, i] for k, v in rows.items()})
        np.testing.assert_allclose(many.params[i], one.params, rtol=0, atol=1e-7)
        np.testing.assert_array_equal(many.params[i] == 0, one.params == 0)
        np.testing.assert_allclose(many.deviance[i], one.deviance, rtol=1e-7)


def test_kinks_with_an_X_and_columns_of_their_own():
    columns = np.arange(M * P).reshape(M, P) % 4 > 0
    options = dict(family="bernoulli", penalty=penalties.lasso(2.0))
    many = jglm.fit_many(STACKED, EVENTS, columns=columns, **options)
    for i in (1, 4):
        one = jglm.fit(STACKED[i][:, columns[i]], EVENTS[:, i], **options)
        np.testing.assert_allclose(many.params[i][np.append(True, columns[i])], one.params, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(np.isnan(many.params[:, 1:]), ~columns)
    model = many.model
    stack = Stack.plain(STACKED, EVENTS.T, constant=True, used=np.insert(columns, 0, True, axis=1))
    there = kinked.solve_many(model, stack, host=False, chunk=4)  # as an accelerator does it
    np.testing.assert_allclose(there.coef, many.params, rtol=0, atol=1e-9)


def test_groups_are_models_of_their_rows():
    labels = np.array(["c", "a", "b", "d"])[RNG.choice(4, size=400, p=[0.55, 0.3, 0.1, 0.05])]
    Z, y = RNG.normal(size=(400, 2)), RNG.poisson(2.0, size=400)
    exposure = RNG.uniform(0.5, 2.0, size=400)
    many = jglm.fit_many(Z, y, family="poisson", groups=labels, exposure=exposure)
    assert many.models == ["a", "b", "c", "d"]
    rows = [labels == g for g in many.models]
    same(many, [jglm.fit(Z[at], y[at], family="poisson", exposure=exposure[at]) for at in rows])
    table = many.table()
    assert table.shape == (12, 4)
    np.testing.assert_allclose(table.loc[("b", "x2"), "coef"], many.params[1, 2])


def _troubled():
    """Events of which model 1 is separated and model 4 has a y that depends on nothing but overflows a start."""
    Y = EVENTS.copy()
    Y[:, 1] = X[:, 0] > 0
    Y[:, 4] = 1.0
    return Y


@pytest.mark.parametrize("host", [True, False])
def test_no_model_changes_another(host, monkeypatch):
    monkeypatch.setattr(batch, "FEW", 0)  # the unfinished wait for a round of their own
    model = Model(families.bernoulli, links.logit, None)
    good = batch.solve_many(model, Stack.plain(X, EVENTS.T, constant=True), host=host)
    mixed = batch.solve_many(model, Stack.plain(X, _troubled().T, constant=True), host=host)
    fine = [0, 2, 3, 5, 6]
    np.testing.assert_array_equal(mixed.status[[1, 4]], batch.SEPARATED)
    np.testing.assert_array_equal(mixed.status[fine], good.status[fine])
    np.testing.assert_allclose(mixed.coef[fine], good.coef[fine], rtol=0, atol=1e-12)
    np.testing.assert_allclose(mixed.root[fine], good.root[fine], rtol=0, atol=1e-12)


def test_models_that_have_no_answer_say_so():
    Y, w = EVENTS.copy(), np.ones((N, M))
    Y[:, 1] = X[:, 0] > 0
    w[:, 2] = 0.0
    w[3:, 3] = 0.0  # three rows, four coefficients
    with pytest.warns(UserWarning, match="3 of 7 models did not converge .* 1: separation"):
        many = jglm.fit_many(X, Y, family="bernoulli", weights=w)
    assert list(many.status[1:4]) == [batch.SEPARATED, batch.EMPTY, batch.DEFICIENT]
    assert np.isnan(many.params[2:4]).all()
    assert np.isnan(many.deviance[2:4]).all()
    assert "linearly dependent" in many.message(3)
    assert list(many.converged) == [True, False, False, False, True, True, True]
    with pytest.warns(UserWarning, match="largest number of iterations"):
        early = jglm.fit_many(X, EVENTS, family="bernoulli", max_iter=1)
    assert not early.converged.any()
    twice = np.concatenate([STACKED, STACKED[:, :, :1]], axis=2)
    with pytest.warns(UserWarning, match="7 of 7"):
        many = jglm.fit_many(twice, EVENTS, family="bernoulli")
    assert set(many.status) == {batch.DEFICIENT}


def test_an_accelerators_program_gives_the_same():
    """The path that a CPU does not take, with chunks that do not divide the models."""
    cases = [
        (families.poisson, links.log, COUNTS, dict(weight=WEIGHTS.T, offset=OFFSETS.T)),
        (families.gamma, links.log, SIZES, {}),
        (families.negative_binomial(), links.log, RNG.negative_binomial(2, 0.3, size=(N, M)), {}),
    ]
    for family, link, Y, rows in cases:
        stack = Stack.plain(X, Y.T.astype(float), constant=True, **rows)
        model = Model(family, link, None)
        here = batch.solve_many(model, stack, host=True)
        there = batch.solve_many(model, stack, host=False, chunk=4)
        np.testing.assert_allclose(there.coef, here.coef, rtol=0, atol=1e-9)
        np.testing.assert_allclose(there.root, here.root, rtol=1e-8)
        sums = [batch.totals_of(model, stack, f, host=h) for f, h in ((here, True), (there, False))]
        np.testing.assert_allclose(sums[0].llf, sums[1].llf, rtol=1e-10)
        np.testing.assert_allclose(sums[0].deviance, sums[1].deviance, rtol=1e-6)


# --------------------------------------------------------------------------- parameters of the family
def _genes(m, n, seed=3):
    rng = np.random.default_rng(seed)
    condition = (np.arange(n) % 2).astype(float)[:, None]
    mean, alpha = np.exp(rng.uniform(1.5, 6, size=m)), 0.05 + 2 / np.exp(rng.uniform(1.5, 6, size=m))
    depth = rng.uniform(0.6, 1.7, size=n)
    mu = depth[:, None] * mean * np.exp(condition * rng.normal(0, 0.5, size=m))
    return condition, rng.negative_binomial(1 / alpha, 1 / (1 + alpha * mu)), depth


def test_r_of_every_model():
    Z, counts, depth = _genes(5, N)
    many = jglm.fit_many(Z, counts, family="negative_binomial", size_factors=depth)
    singles = [jglm.fit(Z, counts[:, i], family="negative_binomial", exposure=depth) for i in range(5)]
    same(many, singles, 1e-6)
    r = [one.family_params["r"] for one in singles]
    np.testing.assert_allclose(many.family_params["r"], r, rtol=1e-6)
    np.testing.assert_allclose(many.aic, [one.aic for one in singles], rtol=1e-9)
    fixed = jglm.fit_many(Z, counts, family="negative_binomial", family_params={"r": r}, size_factors=depth)
    np.testing.assert_allclose(fixed.params, many.params, rtol=0, atol=1e-7)
    np.testing.assert_allclose(fixed.bse, many.bse, rtol=1e-6)


def test_moderated_dispersions_lie_between_their_own_and_the_trend():
    Z, counts, depth = _genes(120, 12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some models show no overdispersion
        many = jglm.fit_many(Z, counts, family="negative_binomial", size_factors=depth, moderate="trend")
    found = many.moderation
    inside = ~found.outlying & (found.raw > 1e-6)
    low, high = np.minimum(found.raw, found.trend), np.maximum(found.raw, found.trend)
    assert np.all((found.moderated >= low * (1 - 1e-6))[inside] & (found.moderated <= high * (1 + 1e-6))[inside])
    np.testing.assert_allclose(found.moderated[found.outlying], found.raw[found.outlying])
    np.testing.assert_allclose(1 / many.family_params["r"], found.moderated)
    spread = lambda alpha: np.std(np.log(alpha[inside]) - np.log(found.trend[inside]))
    assert spread(found.moderated) < 0.8 * spread(found.raw)
    assert found.a0 > 0
    np.testing.assert_allclose(found.trend, found.a0 + found.a1 / found.mean)
    i = int(np.argmax(inside))
    one = jglm.fit(Z, counts[:, i], family=families.negative_binomial(1 / found.moderated[i]), exposure=depth)
    np.testing.assert_allclose(many.params[i], one.params, atol=1e-8)


def test_a_tight_prior_is_the_trend_and_a_wide_one_the_data():
    from jglm.batches import moderation

    Z, counts, depth = _genes(6, 40)
    many = jglm.fit_many(Z, counts, family="negative_binomial", size_factors=depth)
    (part, found, model) = many._parts[0]
    raw, trend = 1 / many.family_params["r"], np.full(6, 0.3)
    with jax.enable_x64(True):
        drawn = [moderation._most_probable(model, part.stack, found, raw, trend, v) for v in (1e-8, 1.0, 1e8)]
    np.testing.assert_allclose(drawn[0], trend, rtol=1e-4)
    np.testing.assert_allclose(drawn[2], raw, rtol=1e-4)
    assert np.all((drawn[1] - raw) * (drawn[1] - trend) <= 0)


def test_the_trend_is_found_through_noise():
    from jglm.batches import moderation

    rng = np.random.default_rng(0)
    mean = np.exp(rng.uniform(1, 7, size=2000))
    alpha = (3.0 / mean + 0.1) * rng.gamma(8.0, 1 / 8, size=2000)
    alpha[:20] *= 100  # left out as lying far from it
    a1, a0 = moderation.fit_trend(mean, alpha)
    np.testing.assert_allclose([a1, a0], [3.0, 0.1], rtol=0.1)


# --------------------------------------------------------------------------- memory, threads, keeping
def test_a_memory_map_piece_by_piece(tmp_path):
    mapped = np.memmap(tmp_path / "X", np.float32, "w+", shape=(M, N, P))
    mapped[:] = STACKED
    mapped.flush()
    read = np.memmap(tmp_path / "X", np.float32, "r", shape=(M, N, P))
    seen = jglm.fit_many(read, EVENTS, family="bernoulli", chunk=2)
    held = jglm.fit_many(np.array(mapped), EVENTS, family="bernoulli")
    np.testing.assert_allclose(seen.params, held.params, rtol=0, atol=1e-12)
    mapped[5, 7, 1] = np.nan
    with pytest.raises(ValueError, match="X of model 5 has 1 NaN"):
        jglm.fit_many(mapped, EVENTS, family="bernoulli", chunk=2)


def test_chunks_and_threads_change_nothing(monkeypatch):
    whole = jglm.fit_many(STACKED, COUNTS, family="poisson")
    monkeypatch.setattr(batch.products, "ROWS", 1)  # threads for however few rows
    monkeypatch.setattr(batch.products, "cores", lambda: 2)
    parts = jglm.fit_many(STACKED, COUNTS, family="poisson", chunk=2)
    np.testing.assert_allclose(parts.params, whole.params, rtol=0, atol=1e-13)
    np.testing.assert_allclose(parts.llf, whole.llf, rtol=1e-13)


def test_new_numbers_compile_nothing(compilations):
    jglm.fit_many(X, COUNTS, family="negative_binomial", family_params={"r": 2.0}, ridge=np.ones(M)).deviance
    before = compilations()
    jglm.fit_many(X, COUNTS, family="negative_binomial", family_params={"r": 3.0}, ridge=np.arange(M)).deviance
    jglm.fit_many(
        X[:50], COUNTS[:50], family="negative_binomial", family_params={"r": 3.0}, ridge=np.arange(M)
    ).deviance
    assert compilations() == before


def test_pickles_keep_everything():
    many = jglm.fit_many(X, COUNTS, family="poisson", models=[f"gene{i}" for i in range(M)])
    other = pickle.loads(pickle.dumps(many))
    np.testing.assert_array_equal(other.params, many.params)
    np.testing.assert_array_equal(other.llf, many.llf)
    assert other.models == many.models
    assert repr(other) == "<7 fits of poisson with link log: 4 coefficients each, 7 converged>"


# --------------------------------------------------------------------------- input that cannot be
@pytest.mark.parametrize(("change", "said"), [
    (dict(Y=EVENTS.T), r"rows by models: transpose it"),
    (dict(Y=EVENTS[:, 0]), "a column per model"),
    (dict(Y=np.where(np.arange(M) == 4, 2.5, EVENTS)), "model|distinct"),
    (dict(Y=np.where(np.arange(M) == 4, -1.0, COUNTS), family="poisson"), "model 4: y has 60 negative"),
    (dict(Y=np.where(np.arange(M) == 2, np.nan, COUNTS), family="poisson"), "model 2: y has 60 NaN"),
    (dict(weights=-np.ones(N)), "weights has 60 negative"),
    (dict(weights=np.ones((M, N))), "transpose it"),
    (dict(offset=np.ones(3)), r"offset has shape \(3,\)"),
    (dict(exposure=np.zeros(N)), "exposure has 60 zero"),
    (dict(X=STACKED[:3]), r"must be \(60, 3\)"),
    (dict(X=np.where(X > 2, np.nan, X)), "NaN or infinite"),
    (dict(columns=np.ones((P, M), bool)), r"must be \(7, 3\)"),
    (dict(columns=np.zeros((M, P), bool), intercept=False), "has no column"),
    (dict(ridge=-np.ones(M)), "strengths must be >= 0"),
    (dict(penalty=penalties.lasso(1.0), strengths=np.arange(M) - 1.0), "strengths is -1 for model 0"),
    (dict(strengths=np.ones(M)), "penalty=, which is not given"),
    (dict(penalty=penalties.lasso(1.0) + penalties.ridge(1.0, scale="mean")), "give all of them the same"),
    (dict(penalty=penalties.lasso(1.0), family="negative_binomial"), "give them by family_params="),
    (dict(ridge=1.0, penalty=penalties.ridge(1.0)), "give one of them"),
    (dict(family_params={"r": 2.0}), "family_params"),
    (dict(family="negative_binomial", family_params={"r": -1.0}), "between 0 and inf"),
    (dict(moderate="trend"), "negative_binomial"),
    (dict(trials=np.ones(N)), "trials= is for family 'binomial'"),
    (dict(models=["a"]), "there are 7 models"),
    (dict(groups=np.zeros(3)), r"must be \(60,\)|y has shape"),
    (dict(covariance="HC1"), "covariance is 'HC1'"),
    (dict(tol=-1.0), "tol is -1"),
])  # fmt: skip
def test_input_that_cannot_be_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        jglm.fit_many(**(dict(X=X, Y=EVENTS, family="bernoulli") | change))


@pytest.mark.parametrize("penalty", [penalties.firth(), penalties.monotone([0, 1], P)])
def test_penalties_of_one_model_at_a_time_are_refused(penalty):
    with pytest.raises(TypeError, match="fit one model at a time"):
        jglm.fit_many(X, EVENTS, family="bernoulli", penalty=penalty)


def test_the_benchmark_runs(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1])
    from benchmarks.many import main

    told = ["--problems", "small", "--rivals", "jglm", "--shrink", "1000", "--repeat", "1", "--out", str(tmp_path)]
    (one,) = main(told)
    assert one["fits"] == 10
    assert one["gradient"] <= 1e-6
    assert one["warm"] > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["many.jsonl", "many.md", "many.png"]


def test_memory_does_not_grow_with_the_number_of_chunks():
    import tracemalloc

    m, n = 20_000, 8
    X, Y = np.random.default_rng(3).normal(size=(m, n, 1)), np.random.default_rng(4).poisson(3.0, (n, m)) + 1.0
    given = dict(family="poisson", chunk=50, covariance=None, progress=False)
    jglm.fit_many(X[:200], Y[:, :200], **given)
    tracemalloc.start()
    try:
        jglm.fit_many(X, Y, **given)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * (X.nbytes + Y.nbytes)  # an index of all models for each of 400 chunks would be 64 MB
