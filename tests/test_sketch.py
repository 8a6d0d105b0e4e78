"""Fits of many rows from samples of them, and of many columns without their matrix, end where Newton's method ends."""

import numpy as np
import pandas
import pytest

import jglm
from jglm.fitting import coded, irls, linalg, problem, sketch
from jglm.fitting.problem import Problem
from jglm.inputs import coding

RNG = np.random.default_rng(11)
N, P = 6000, 4
X = RNG.normal(size=(N, P))
LIN = 0.3 + X @ [0.5, -0.4, 0.2, 0.0]
Y = {
    "bernoulli": (RNG.random(N) < 1 / (1 + np.exp(-LIN))).astype(float),
    "poisson": RNG.poisson(np.exp(LIN)).astype(float),
    "gamma": RNG.gamma(2.0, np.exp(LIN) / 2),
    "gaussian": LIN + RNG.normal(size=N),
    "categorical": RNG.integers(0, 3, N) + (LIN > 1),
}


@pytest.fixture
def large(monkeypatch):
    """Every problem counts as large."""
    monkeypatch.setattr(irls, "WORK", 0)


@pytest.mark.parametrize("name", Y)
def test_a_sketched_fit_is_the_fit(name, large, monkeypatch):
    link = "log" if name == "gamma" else None
    weights = RNG.uniform(0, 2, N) * (RNG.random(N) > 0.1)
    options = dict(family=name, link=link, weights=weights, progress=False)
    if name != "categorical":
        options["offset"] = 0.1 * X[:, 0]
    whole = jglm.fit(X, Y[name], solver="newton", **options)
    fit = jglm.fit(X, Y[name], **options)
    assert fit.solver == "sketched"
    assert fit.converged
    np.testing.assert_allclose(fit.params, whole.params, atol=1e-7 * np.max(whole.bse))
    np.testing.assert_allclose(fit.bse, whole.bse, rtol=1e-6)
    np.testing.assert_allclose(fit.deviance, whole.deviance, rtol=1e-12)
    penalty = jglm.penalties.ridge(30.0)
    options |= dict(penalty=penalty)
    shrunk = jglm.fit(X, Y[name], **options)
    assert shrunk.solver == "sketched"
    want = jglm.fit(X, Y[name], solver="newton", **options)
    # Of classes that are all penalized the intercepts have no level of their own.
    level = lambda f: f.params - (np.mean(f.params[0]) * (np.arange(P + 1) == 0)[:, None] if f.params.ndim == 2 else 0)
    np.testing.assert_allclose(level(shrunk), level(want), atol=1e-7 * np.max(whole.bse))


@pytest.mark.parametrize("new", [1.0, 1e-4])
def test_the_sample_is_seen_in_single_precision_where_that_tells(new, large, monkeypatch):
    """Of nearly dependent columns, where rounding would hide what is new in one, in double."""
    hess, seen = sketch._hessian, []

    def spied(problem, flat):
        seen.append((problem.dtype, found := hess(problem, flat)))
        return found

    monkeypatch.setattr(sketch, "_hessian", spied)
    near = np.column_stack([X[:, :3], X[:, 0] + new * X[:, 3]])
    fit = jglm.fit(near, Y["poisson"], family="poisson", progress=False)
    assert fit.solver == "sketched"
    assert fit.converged
    (_, single), (_, taken) = seen
    assert np.array_equal(single, taken) == (new == 1)
    np.testing.assert_allclose(single, taken, rtol=1e-4, atol=1e-4 * np.max(taken))
    assert fit.n_iter <= 15


@pytest.mark.parametrize("name", ["bernoulli", "poisson", "gamma", "gaussian"])
def test_a_likelihood_that_waits_is_the_one_that_does_not(name, monkeypatch):
    options = dict(family=name, link="log" if name == "gamma" else None, progress=False)
    small = jglm.fit(X, Y[name], **options)
    monkeypatch.setattr(irls, "WORK", 0)
    large = jglm.fit(X, Y[name], start=small.params, **options)
    assert small._llf is not None
    assert large._llf is None
    assert large.llf == pytest.approx(small.llf, rel=1e-12)
    assert large.detach().aic == pytest.approx(small.aic, rel=1e-12)


@pytest.mark.parametrize("name", ["poisson", "categorical"])
def test_rows_in_pieces_are_the_rows(name, large, monkeypatch):
    whole = jglm.fit(X, Y[name], family=name, progress=False)
    monkeypatch.setattr(problem, "ROWS", 4096)  # a piece and a half
    fit = jglm.fit(X, Y[name], family=name, progress=False)
    assert fit.n_iter == whole.n_iter
    np.testing.assert_allclose(fit.params, whole.params, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore:y has values that are not whole")
def test_totals_are_sums_of_deviances_also_of_a_perfect_fit():
    fit = jglm.fit(X, Y["poisson"], family="poisson")
    family = jglm.families.poisson
    np.testing.assert_allclose(fit.deviance, np.sum(family.deviance(Y["poisson"], fit.predict())), rtol=1e-12)
    mean = np.exp(LIN)
    near = mean * (1 + 1e-7 * np.where(np.arange(N) % 2, 1, -1))  # each unit deviance is mean * 1e-14
    fit = jglm.fit(X, near, family="poisson")
    np.testing.assert_allclose(fit.deviance, np.sum(1e-14 * mean), rtol=1e-2)


def test_a_sample_is_taken_only_where_it_saves_something():
    assert sketch.sample_sizes(500_000, 100, 1) == (2000, 62_500)
    assert sketch.sample_sizes(1000, 100, 1) is None
    assert sketch.sample_sizes(10**9, 4000, 1) is None


def test_rare_events_are_fitted_all_the_same(large):
    y = np.zeros(N)
    y[RNG.choice(N, 12, replace=False)] = 1
    fit, want = (jglm.fit(X, y, family="bernoulli", solver=s, progress=False) for s in ("auto", "newton"))
    np.testing.assert_allclose(fit.params, want.params, atol=1e-7 * np.max(want.bse))


# --------------------------------------------------------------------------- factors
def frame():
    a = RNG.choice(["u", "v", "w"], N)
    b = pandas.Categorical.from_codes(RNG.integers(0, 5, N), ["q", "r", "s", "t", "none"])
    g = RNG.integers(1, 9, N)
    mean = np.exp(0.2 + 0.3 * (a == "v") - 0.2 * (g == 4) + 0.2 * X[:, 0])
    return pandas.DataFrame({"y": RNG.poisson(mean), "x": X[:, 0], "z": np.abs(X[:, 1]), "a": a, "b": b, "g": g})


FRAME = frame()
FORMULAS = {
    "main effects": "y ~ x + a + b + C(g)",
    "interactions": "y ~ a * b + x:a + center(x)",
    "no main effect": "y ~ a:C(g) + z",
    "no intercept": "y ~ 0 + a + C(g)",
    "own contrasts and splines": "y ~ C(b, contr.sum) + a + bs(x, df=4) + offset(z)",
    "only numbers": "y ~ x + z + offset(z)",
}


@pytest.mark.parametrize("name", FORMULAS)
def test_coded_factors_are_the_columns_written_out(name, large, monkeypatch, tmp_path):
    formula = FORMULAS[name]
    options = dict(family="poisson", progress=False)
    want = jglm.glm(formula, FRAME, solver="newton", **options)
    monkeypatch.setattr(coding, "ELEMENTS", 0)
    fit = jglm.glm(formula, FRAME, **options)
    assert fit.names == want.names
    assert (type(fit._prepared.design).__name__ == "Categorical") == (name != "only numbers")
    np.testing.assert_allclose(fit.params, want.params, atol=1e-7 * np.nanmax(want.bse))
    np.testing.assert_allclose(fit.bse, want.bse, rtol=1e-6)
    few = FRAME.iloc[5:40]
    np.testing.assert_allclose(fit.predict(few), want.predict(few), rtol=1e-6)
    np.testing.assert_allclose(fit.predict(few, interval="mean"), want.predict(few, interval="mean"), rtol=1e-5)
    fit.save(tmp_path / "m.jglm")
    np.testing.assert_allclose(jglm.load(tmp_path / "m.jglm").predict(FRAME), want.predict(), rtol=1e-6)
    if "a" in want.formula.right_variables:
        with pytest.raises(ValueError, match="level 'new'"):
            fit.predict(few.assign(a="new"))


def test_a_missing_column_is_dropped_from_codes_too(monkeypatch):
    """A level without rows, and one that is a copy of another factor's."""
    monkeypatch.setattr(coding, "ELEMENTS", 0)
    copy = FRAME.assign(c=np.where(FRAME.a == "v", "yes", "no"))
    with np.errstate(all="ignore"):
        fit = jglm.glm("y ~ a + c", copy, family="poisson")
    assert fit.aliased == ["c[T.yes]"]
    np.testing.assert_allclose(fit.deviance, jglm.glm("y ~ a", copy, family="poisson").deviance, rtol=1e-10)


def test_a_level_without_events_goes_to_the_edge(large, monkeypatch):
    monkeypatch.setattr(coding, "ELEMENTS", 0)
    y = np.where(FRAME.g == 3, 0, FRAME.y)
    with pytest.warns(UserWarning, match="separation"):
        fit = jglm.glm("y ~ C(g) + x", FRAME.assign(y=y), family="poisson", progress=False)
    rest = jglm.glm("y ~ C(g) + x", FRAME.assign(y=y)[FRAME.g != 3], family="poisson", progress=False)
    assert fit.separated == ["C(g)[T.3]"]
    np.testing.assert_allclose(fit.deviance, rest.deviance, rtol=1e-8)
    np.testing.assert_allclose(fit.params[-1], rest.params[-1], atol=1e-6)


# --------------------------------------------------------------------------- factors, on rows drawn
@pytest.fixture
def drawing(large, monkeypatch):
    """Fits of factors begin on 1,024 rows drawn."""
    monkeypatch.setattr(coding, "ELEMENTS", 0)
    monkeypatch.setattr(coded, "ROWS", 1024)
    monkeypatch.setattr(problem, "ROWS", 1024)


@pytest.mark.parametrize("name", ["bernoulli", "poisson", "gamma", "gaussian"])
def test_a_fit_from_rows_drawn_is_the_fit(name, drawing):
    """With a level of three rows, weights of which some are 0, an offset, and numbers beside the factors."""
    rare = pandas.Categorical(np.where(np.isin(np.arange(N), [100, 3000, 5000]), "rare", FRAME.a))
    data = FRAME.assign(a=rare, y=Y[name])
    data.loc[[100, 3000, 5000], "y"] = [1.0, 0.0 if name != "gamma" else 2.0, 1.0]
    weights = RNG.uniform(0.5, 2, N) * ((RNG.random(N) > 0.1) | (rare == "rare"))
    options = dict(family=name, link="log" if name == "gamma" else None, weights=weights, progress=False)
    for penalty in (None, jglm.penalties.ridge(3.0)):
        options |= dict(offset=0.1 * X[:, 1], penalty=penalty)
        want = jglm.glm("y ~ x + a + b + C(g)", data, solver="newton", **options)
        fit = jglm.glm("y ~ x + a + b + C(g)", data, **options)
        assert fit.solver == "sketched"
        assert fit.converged
        np.testing.assert_allclose(fit.params, want.params, atol=1e-9 * np.max(want.bse))
        np.testing.assert_allclose(fit.deviance, want.deviance, rtol=1e-12)


def test_a_level_without_events_is_told_of_after_rows_drawn(drawing):
    data = FRAME.assign(y=np.where(FRAME.g == 3, 0, FRAME.y))
    with pytest.warns(UserWarning, match="separation"):
        fit = jglm.glm("y ~ C(g) + x", data, family="poisson", progress=False)
    rest = jglm.glm("y ~ C(g) + x", data[FRAME.g != 3], family="poisson", progress=False)
    assert (fit.solver, fit.separated) == ("sketched", ["C(g)[T.3]"])
    np.testing.assert_allclose(fit.deviance, rest.deviance, rtol=1e-8)
    np.testing.assert_allclose(fit.params[-1], rest.params[-1], atol=1e-6)


def test_rows_are_drawn_by_their_size():
    size, on = RNG.gamma(0.2, size=N), RNG.random(N) > 0.3
    rows, chance = coded.drawn(size, on, 1000)
    assert 950 < len(rows) <= 1000
    assert np.all(np.diff(rows) > 0)
    assert np.all(on[rows])
    largest = np.argsort(np.where(on, size, 0.0))[-50:]
    assert np.all(np.isin(largest, rows))
    assert np.all(chance[np.isin(rows, largest)] == 1.0)
    for v in (np.ones(N), size, X[:, 0]):  # sums over them, weighted, are about those over all
        error = np.sqrt(np.sum((1 - chance) * (v[rows] / chance) ** 2))
        assert np.sum(v[rows] / chance) == pytest.approx(np.sum(v[on]), abs=3 * error)


def test_rows_are_drawn_only_where_it_saves_something(large, monkeypatch):
    monkeypatch.setattr(coding, "ELEMENTS", 0)
    fit = lambda: jglm.glm("y ~ a + C(g)", FRAME, family="poisson", progress=False, max_iter=60)
    assert fit().solver == "newton"
    monkeypatch.setattr(coded, "ROWS", 1024)
    assert fit().solver == "sketched"
    monkeypatch.setattr(coded, "LEAST", 200)
    assert fit().solver == "newton"


def test_designs_too_wide_for_a_matrix(monkeypatch):
    """As a factor of very many levels: no p x p matrix is ever made."""
    monkeypatch.setattr(coding, "ELEMENTS", 0)
    monkeypatch.setattr(linalg, "WIDE", 10)
    monkeypatch.setattr(irls, "WORK", 0)
    want = jglm.glm("y ~ a + b + C(g) + x", FRAME, family="poisson", solver="newton", progress=False)
    near = 1e-7 * np.max(want.bse)
    monkeypatch.setattr(Problem, "gram", lambda *_: pytest.fail("a p x p matrix was made"))
    fit = jglm.glm("y ~ a + b + C(g) + x", FRAME, family="poisson", covariance=None, progress=False)
    assert fit.solver == "lbfgs"
    np.testing.assert_allclose(fit.params, want.params, atol=near)
    options = dict(family="poisson", penalty=jglm.penalties.ridge(5.0), covariance=None, progress=False)
    monkeypatch.undo()
    want = jglm.glm("y ~ a + b + C(g) + x", FRAME, **options)
    monkeypatch.setattr(linalg, "WIDE", 10)
    monkeypatch.setattr(irls, "WORK", 0)
    wide = jglm.glm("y ~ a + b + C(g) + x", FRAME, **options)
    np.testing.assert_allclose(wide.params, want.params, atol=1e-7)
