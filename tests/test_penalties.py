"""Penalties with kinks and bounds: optima by their subgradients, glmnet's answers, paths and cross-validation."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jglm
from jglm import families, penalties, solvers
from jglm.designs import Dense
from jglm.fitting import linalg, looks
from jglm.fitting.iterate import by_irls
from jglm.regularization import paths, pathwise
from jglm.solvers.proximal import minimize
from jglm.terms import Terms, unbounded

RNG = np.random.default_rng(8)
N, P = 240, 6
X = RNG.normal(size=(N, P)) + 0.5 * RNG.normal(size=(N, 1))
LIN = 0.2 + X @ [0.6, -0.4, 0.0, 0.0, 0.2, 0.0]
Y = {
    "bernoulli": (RNG.random(N) < 1 / (1 + np.exp(-LIN))).astype(float), "poisson": RNG.poisson(np.exp(LIN)) * 1.0,
    "gamma": RNG.gamma(2.0, np.exp(LIN) / 2), "gaussian": LIN + RNG.normal(size=N),
    "categorical": RNG.integers(0, 3, N) * (LIN > 0),
}  # fmt: skip
W = RNG.integers(0, 4, N).astype(float)
OWN = jglm.Family("own", a=lambda eta: jnp.log(jnp.cosh(eta)))
FOLDER = Path(__file__).parent / "references" / "glmnet"
GLMNET = {p.stem: json.loads(p.read_text()) for p in sorted(FOLDER.glob("*.json"))}


def slope(family, y, fit, weights=None):
    """The gradient of the loss at a fit, (p,) or (p, k), by differences of means: X'w(h - y) for a canonical link."""
    mu, w = fit.predict(X), np.ones(N) if weights is None else weights
    target = np.eye(3)[y] if family == "categorical" else y
    return np.column_stack([np.ones(N), X]).T @ (w * (mu - target).T).T


# --------------------------------------------------------------------------- the quadratic problem
@pytest.mark.parametrize("kind", ["lasso", "groups", "box", "all"])
def test_quadratic_problems_are_solved_to_the_last_digit(kind):
    A = RNG.normal(size=(30, 12)) + 3 * RNG.normal(size=(30, 1))
    with jax.enable_x64(True):
        H, c = jnp.asarray(A.T @ A), jnp.asarray(A.T @ (A[:, :3].sum(axis=1) + RNG.normal(size=30)))
        size = 0.05 * float(jnp.max(jnp.abs(c)))
        terms = {
            "lasso": unbounded(jnp.full(12, size)),
            "groups": Terms(jnp.zeros(12), jnp.full(12, -jnp.inf), jnp.full(12, jnp.inf),
                            jnp.asarray([[0, 1, 2], [3, 4, 5], [6, 7, 12]]), jnp.full(3, size)),
            "box": Terms(jnp.zeros(12), jnp.full(12, -0.1), jnp.full(12, 0.4)),
            "all": Terms(jnp.full(12, size), jnp.zeros(12), jnp.full(12, 0.3)),
        }[kind]  # fmt: skip
        x = np.asarray(minimize(H, c, terms, jnp.zeros(12)))
        value = lambda x: float(0.5 * x @ H @ x - c @ x + terms.value(jnp.asarray(x)))
        best = value(x)
        # No direction leads down: along each coefficient, and along random ones, within the bounds.
        for step in (1e-3, 1e-5):
            for direction in np.concatenate([np.eye(12), -np.eye(12), RNG.normal(size=(50, 12))]):
                other = np.clip(x + step * direction, terms.lower, terms.upper)
                assert value(other) >= best - 1e-12 * abs(best)
    assert np.any((x == 0) | (x == terms.upper))


# --------------------------------------------------------------------------- optima
@pytest.mark.parametrize("family", ["bernoulli", "poisson", "gaussian", "categorical"])
def test_a_lasso_fit_is_where_the_subgradients_meet(family):
    s = 15.0
    fit = jglm.fit(X, Y[family], family=family, penalty=penalties.elastic_net(s, 0.8), weights=W)
    g, b = slope(family, Y[family], fit, W), fit.params
    assert fit.converged
    assert np.any(b[1:] == 0)
    np.testing.assert_allclose(g[0], 0, atol=1e-6)
    on = b[1:] != 0
    left = g[1:] + 0.2 * s * b[1:]
    np.testing.assert_allclose(left[on], -0.8 * s * np.sign(b[1:][on]), atol=1e-5)
    assert np.all(np.abs(left[~on]) <= 0.8 * s + 1e-6)
    assert fit.rank == np.count_nonzero(b)


def test_columns_have_weights_of_their_own():
    fit = jglm.fit(X, Y["poisson"], family="poisson", penalty=penalties.lasso(30.0, weights=[1, 1, 0, 0, 5, 1]))
    free = jglm.fit(X[:, 2:4], Y["poisson"], family="poisson")
    assert fit.params[3] != 0
    assert fit.params[4] != 0
    assert fit.params[5] == 0
    heavy = jglm.fit(X, Y["poisson"], family="poisson", penalty=penalties.lasso(1e5, weights=[1, 1, 0, 0, 5, 1]))
    np.testing.assert_allclose(heavy.params[[0, 3, 4]], free.params, rtol=1e-8)
    assert not np.any(heavy.params[[1, 2, 5, 6]])


def test_groups_are_zero_together():
    groups = ["a", "a", "b", "b", "c", "c"]
    fit = jglm.fit(X, Y["gaussian"], family="gaussian", penalty=penalties.group_lasso(25.0, groups))
    g, b = slope("gaussian", Y["gaussian"], fit)[1:].reshape(3, 2), fit.params[1:].reshape(3, 2)
    sizes = np.linalg.norm(b, axis=1)
    assert 0 < np.sum(sizes == 0) < 3
    on = sizes > 0
    np.testing.assert_allclose(g[on], -25 * np.sqrt(2) * b[on] / sizes[on, None], rtol=1e-6)
    assert np.all(np.linalg.norm(g[~on], axis=1) <= 25 * np.sqrt(2))
    same = jglm.fit(X, Y["gaussian"], family="gaussian", penalty=penalties.group_lasso(9.0, list(range(6))))
    lasso = jglm.fit(X, Y["gaussian"], family="gaussian", penalty=penalties.lasso(9.0))
    np.testing.assert_allclose(same.params, lasso.params, atol=1e-9)
    whole = penalties.group_lasso(1.0, list(range(6)))
    classes = jglm.path(X, Y["categorical"], family="categorical", penalty=whole, strengths=6, min_ratio=0.05)
    zero = classes.params[:, 1:] == 0
    assert 0 < np.sum(zero[2].all(axis=1)) < 6
    assert zero[0].all()
    np.testing.assert_array_equal(zero.any(axis=2), zero.all(axis=2))


@pytest.mark.parametrize(("family", "penalty", "weights"), [
    ("poisson", penalties.elastic_net(10.0, 0.6), W),
    ("categorical", penalties.group_lasso(6.0, ["a", "a", "b", "b", "c", "c"]), None),
    ("gamma", penalties.bounds(-0.1, 0.3) + penalties.ridge(2.0), None),
])  # fmt: skip
def test_very_many_columns_need_no_matrix_and_end_where_proximal_newton_does(family, penalty, weights, monkeypatch):
    link = "log" if family == "gamma" else None
    far = X * [1, 1, 1, 1, 1, 12]  # steps are told by the columns' own curvature
    data = dict(X=far, y=Y[family], family=family, link=link, penalty=penalty, weights=weights)
    newton = jglm.fit(**data, solver=solvers.ProximalNewton())
    monkeypatch.setattr(linalg, "WIDE", 3)
    fit = jglm.fit(**data, solver="newton")
    assert (fit.solver, newton.solver) == ("fista", "proximalnewton")
    assert fit.converged
    np.testing.assert_allclose(fit.params, newton.params, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(fit.params == 0, newton.params == 0)


def test_fista_is_a_solver_to_choose():
    fista = solvers.FISTA(np.ones(P + 1))
    fit = jglm.fit(X, Y["bernoulli"], family="bernoulli", penalty=penalties.lasso(8.0), solver=fista)
    other = jglm.fit(X, Y["bernoulli"], family="bernoulli", penalty=penalties.lasso(8.0))
    np.testing.assert_allclose(fit.params, other.params, rtol=0, atol=1e-7)
    few = solvers.FISTA(np.ones(P + 1), max_iter=3)
    with pytest.warns(UserWarning, match="largest number of iterations"):
        jglm.fit(X, Y["bernoulli"], family="bernoulli", penalty=penalties.lasso(8.0), solver=few)


def test_bounds_hold_and_are_the_constrained_optimum():
    pytest.importorskip("scipy")
    from scipy.optimize import minimize as reference

    box = penalties.bounds(lower=[0, -0.2, -np.inf, 0.1, 0, 0], upper=[0.3, np.inf, np.inf, 0.1, 1, 0])
    fit = jglm.fit(X, Y["poisson"], family="poisson", penalty=box, tol=1e-10)
    A = np.column_stack([np.ones(N), X])
    loss = lambda b: float(np.sum(np.exp(A @ b) - Y["poisson"] * (A @ b)))
    ends = [(None, None), (0, 0.3), (-0.2, None), (None, None), (0.1, 0.1), (0, 1), (0, 0)]
    best = reference(loss, np.array([0, 0, 0, 0, 0.1, 0, 0]), bounds=ends, tol=1e-14)
    assert loss(fit.params) <= best.fun + 1e-8
    assert fit.params[4] == 0.1
    assert fit.params[6] == 0
    assert 0 <= fit.params[1] <= 0.3


def test_linear_constraints_hold_and_are_the_constrained_optimum(tmp_path):
    from scipy.optimize import LinearConstraint
    from scipy.optimize import minimize as reference

    M = np.array([[1.0, 1, 1, 0, 0, 0], [0, 0, 1, -1, 0, 0], [0, 0, 0, 0, 1, -1]])
    low, high = [-np.inf, 0.0, 0.1], [0.1, 0.0, np.inf]
    fit = jglm.fit(X, Y["poisson"], family="poisson", penalty=penalties.constraints(M, low, high), tol=1e-10)
    A = np.column_stack([np.ones(N), X])
    loss = lambda b: float(np.sum(np.exp(A @ b) - Y["poisson"] * (A @ b)))
    slope = lambda b: A.T @ (np.exp(A @ b) - Y["poisson"])
    start = np.array([0, 0, 0, 0, 0, 0.2, 0])
    rule = [LinearConstraint(np.pad(M[i : i + 1], ((0, 0), (1, 0))), low[i], high[i]) for i in range(3)]
    with np.errstate(over="ignore", invalid="ignore"):  # far trial points
        best = reference(
            loss, start, jac=slope, constraints=rule, method="SLSQP", options=dict(ftol=1e-14, maxiter=500)
        )
    assert fit.converged
    held = M @ fit.params[1:]
    assert np.all((held >= np.array(low) - 1e-10) & (held <= np.array(high) + 1e-10))
    assert loss(fit.params) <= best.fun + 1e-7
    np.testing.assert_allclose(fit.params, best.x, atol=1e-4)
    fit.save(tmp_path / "model.jglm")
    np.testing.assert_array_equal(jglm.load(tmp_path / "model.jglm").params, fit.params)
    free = jglm.fit(X, Y["poisson"], family="poisson")
    loose = jglm.fit(X, Y["poisson"], family="poisson", penalty=penalties.constraints(M, -50, 50))
    np.testing.assert_allclose(loose.params, free.params, atol=1e-8)


def test_levels_that_must_rise_are_pooled():
    level = np.resize(np.arange(5), N)
    hot = (level[:, None] == np.arange(1, 5)).astype(float)
    y = RNG.poisson(np.array([2.0, 1.0, 4.0, 3.0, 6.0])[level])
    fit = jglm.fit(hot, y, family="poisson", penalty=penalties.monotone(range(4), 4))
    means = np.exp(fit.params[0] + np.append(0, fit.params[1:]))
    total, count = np.bincount(level, y), np.bincount(level)
    # Pooling adjacent violators: levels 0 and 1, and 2 and 3, have one mean each.
    pool = lambda i, j: (total[i] + total[j]) / (count[i] + count[j])
    wanted = [pool(0, 1), pool(0, 1), pool(2, 3), pool(2, 3), total[4] / count[4]]
    np.testing.assert_allclose(means, wanted, rtol=1e-7)
    falling = jglm.fit(hot, y, family="poisson", penalty=penalties.monotone(range(4), 4, increasing=False))
    assert np.all(np.diff(np.append(0, falling.params[1:])) <= 1e-9)


def test_penalties_add_up():
    both = penalties.lasso(4.0) + penalties.ridge(6.0)
    net = penalties.elastic_net(10.0, 0.4)
    one, other = (jglm.fit(X, Y["poisson"], family="poisson", penalty=p).params for p in (both, net))
    np.testing.assert_allclose(one, other, atol=1e-9)
    S = np.diag([1.0, 2, 0, 1, 1, 1])
    ridge = jglm.fit(X, Y["poisson"], family="poisson", penalty=penalties.ridge(5.0, weights=np.diagonal(S)))
    quadratic = jglm.fit(X, Y["poisson"], family="poisson", penalty=penalties.quadratic(S, 5.0))
    np.testing.assert_allclose(quadratic.params, ridge.params, rtol=1e-9)
    np.testing.assert_allclose(quadratic.bse, ridge.bse, rtol=1e-8)


def test_kinks_leave_no_standard_errors(tmp_path):
    fit = jglm.fit(X, Y["poisson"], family="poisson", penalty=penalties.lasso(9.0) + penalties.bounds(upper=0.4))
    with pytest.raises(ValueError, match="no standard errors"):
        _ = fit.bse
    assert "such a penalty leaves no standard errors" in " ".join(str(fit.summary()).split())
    path = tmp_path / "model.jglm"
    fit.save(path)
    back = jglm.load(path)
    np.testing.assert_array_equal(back.params, fit.params)
    assert str(back.summary()) == str(fit.summary())


def test_what_cannot_be_is_refused():
    fit = lambda penalty, **given: jglm.fit(
        X, Y["poisson"], family=given.pop("family", "poisson"), penalty=penalty, **given
    )
    for call, message in (
        (lambda: penalties.elastic_net(1.0, 1.5), "l1_ratio is 1.5; it must lie between 0 and 1"),
        (lambda: penalties.bounds([1.0], [0.0]), "every lower bound"),
        (lambda: penalties.quadratic(-np.eye(2)), "negative eigenvalue"),
        (lambda: penalties.quadratic(np.ones((2, 3))), "square, symmetric"),
        (lambda: fit(penalties.quadratic(np.eye(2))), "2 x 2; there are 6 columns"),
        (lambda: fit(penalties.group_lasso(1.0, ["a", "b"])), "2 groups' labels for 6 columns"),
        (lambda: fit(penalties.bounds([0.0, 1.0])), "lower has 2 bounds for 6 columns"),
        (lambda: penalties.constraints(np.eye(2), 1.0, 0.0), "not above its upper one"),
        (lambda: fit(penalties.constraints(np.eye(2))), "the constraints have 2 columns; there are 6"),
        (lambda: fit(penalties.constraints(np.eye(6)[:1], 1.0) + penalties.bounds(upper=0.5)), "contradict"),
        (lambda: fit(penalties.constraints(np.eye(6)) + penalties.lasso(1.0)), "not with a penalty that has kinks"),
        (lambda: penalties.monotone([0, 0], 3), "different indices"),
        (lambda: fit(penalties.lasso(1.0), family=families.negative_binomial()), "estimates r besides"),
        (lambda: fit(penalties.lasso(1.0), solver="irls"), "takes solver='auto'"),
        (lambda: jglm.path(X, Y["poisson"], family="poisson", strengths=[1.0, -1.0]), "strength must be > 0"),
        (lambda: jglm.path(X, Y["poisson"], family="negative_binomial"), "estimates r besides"),
        (lambda: jglm.cross_validate(X, Y["poisson"], family="poisson", folds=1), "at least 2"),
        (
            lambda: jglm.cross_validate(
                X, Y["poisson"], family="poisson", l1_ratio=[0.5, 1], penalty=penalties.lasso(1.0)
            ),
            "without it",
        ),
        (lambda: jglm.cross_validate(X, Y["poisson"], family="poisson", folds=[1, 2]), "a label for each"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


# --------------------------------------------------------------------------- glmnet's answers
@pytest.mark.parametrize("name", GLMNET)
def test_paths_are_glmnets(name):
    case = GLMNET[name]
    model, expected, penalty = case["model"], case["expected"], case["model"]["penalty"]
    table = pd.read_csv(FOLDER / case["design"]["file"])
    column = lambda key: table[case["design"][key]].to_numpy() if case["design"].get(key) else None
    x, y, w = table[case["design"]["columns"]].to_numpy(float), column("response"), column("weights")
    count = len(x) if w is None else w.sum()
    spread = np.sqrt(np.average((x - np.average(x, axis=0, weights=w)) ** 2, axis=0, weights=w))
    unit = spread if penalty["standardize"] else np.ones(x.shape[1])
    family = model["family"]
    given = families.tweedie(model["family_params"]["var_power"]) if family == "tweedie" else family
    l1, l2 = penalty["alpha"], (1 - penalty["alpha"]) / (penalty["sd_n_y"] if family == "gaussian" else 1)
    path = jglm.path(
        x / unit, y, family=given, link=model["link"], strengths=np.array(penalty["lambda"]) * (l1 + l2) * count,
        l1_ratio=l1 / (l1 + l2), weights=w, offset=column("offset"), tol=1e-8,
    )  # fmt: skip
    wanted = np.column_stack([expected["intercept"], np.array(expected["coef"]) * unit])
    np.testing.assert_allclose(path.params, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
    np.testing.assert_array_equal(path.df, expected["df"])
    np.testing.assert_allclose(path.deviance_explained, expected["dev_ratio"], rtol=1e-6, atol=1e-8)


# --------------------------------------------------------------------------- paths
@pytest.fixture(scope="module")
def path():
    return jglm.path(X, Y["poisson"], family="poisson", strengths=12, offset=0.1 * X[:, 0], weights=W, tol=1e-9)


def test_a_path_is_its_fits(path):
    assert path.df[0] == 0
    assert path.converged
    assert np.all(path.kkt < 1e-8)
    assert np.all(np.diff(path.strengths) < 0)
    for i in (0, 5, 11):
        fit = jglm.fit(X, Y["poisson"], family="poisson", offset=0.1 * X[:, 0], weights=W,
                       penalty=penalties.lasso(path.strengths[i]), tol=1e-10)  # fmt: skip
        np.testing.assert_allclose(path.params[i], fit.params, atol=1e-8)
        np.testing.assert_allclose(path.deviance[i], fit.deviance, rtol=1e-9)
        there = path.fit_at(path.strengths[i])
        np.testing.assert_array_equal(there.params, path.params[i])
        np.testing.assert_allclose(there.llf, fit.llf, rtol=1e-9)
    between = path.fit_at(path.strengths[3] * 1.05)
    assert between.converged
    assert list(path.table().columns) == ["strength", "df", "deviance", "deviance_explained"]
    just = jglm.fit(X, Y["poisson"], family="poisson", offset=0.1 * X[:, 0], weights=W,
                    penalty=penalties.lasso(0.999 * path.strengths[0]))  # fmt: skip
    assert just.rank == 2  # the strength that leaves nothing is the least that does


def test_strengths_multiply_that_of_the_penalty():
    given = dict(family="poisson", tol=1e-9)
    for penalty in (penalties.lasso(3.0), penalties.ridge(3.0), penalties.elastic_net(3.0 / N, 0.5, scale="mean")):
        path = jglm.path(X, Y["poisson"], penalty=penalty, strengths=[4.0, 2.0], **given)
        for i, s in enumerate([4.0, 2.0]):
            own = jglm.fit(X, Y["poisson"], penalty=penalty.times(s), **given)
            np.testing.assert_allclose(path.params[i], own.params, atol=1e-8)
            np.testing.assert_allclose(path.fit_at(s).params, own.params, atol=1e-8)
        np.testing.assert_allclose(path.fit_at(3.0).params, jglm.fit(
            X, Y["poisson"], penalty=penalty.times(3.0), **given).params, atol=1e-8)  # fmt: skip
    mean, total = (jglm.path(X, Y["poisson"], penalty=penalties.elastic_net(s, 0.5, scale=scale), strengths=[2.0],
                             standardize=True, **given) for s, scale in ((3.0 / N, "mean"), (3.0, "sum")))  # fmt: skip
    np.testing.assert_allclose(mean.params, total.params, atol=1e-9)


def test_a_ridge_path_is_measured_from_the_constant():
    path = jglm.path(X, Y["poisson"], family="poisson", l1_ratio=0.0, strengths=4, tol=1e-9)
    np.testing.assert_allclose(path.null_deviance, jglm.fit(X, Y["poisson"], family="poisson").null_deviance)
    assert np.all(path.deviance_explained > 0)
    ridge = jglm.fit(X, Y["poisson"], family="poisson", penalty=penalties.ridge(path.strengths[-1]))
    np.testing.assert_allclose(path.params[-1], ridge.params, atol=1e-8)
    with pytest.raises(ValueError, match="give strengths= as an array"):
        jglm.path(X, Y["poisson"], family="poisson", penalty=penalties.quadratic(np.eye(P)))


def test_a_path_of_standardized_columns_does_not_know_their_unit():
    unit = np.array([1, 10, 0.1, 1, 5, 1])
    one, other = (jglm.path(x, Y["gaussian"], family="gaussian", strengths=5, l1_ratio=0.5, standardize=True, tol=1e-9)
                  for x in (X, X * unit))  # fmt: skip
    np.testing.assert_allclose(other.params[:, 1:] * unit, one.params[:, 1:], atol=1e-9)


def test_a_path_of_a_formula():
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(y=Y["poisson"], g=np.resize(["u", "v", "w"], N))
    path = jglm.path("y ~ a + b + g", frame, family="poisson", strengths=4)
    assert path.names == ["Intercept", "a", "b", "g[T.v]", "g[T.w]"]
    assert path.predict(frame, path.strengths[2]).shape == (N,)


def test_a_path_is_drawn(path):
    pytest.importorskip("matplotlib")
    ax = path.plot()
    assert ax.get_xscale() == "log"
    assert len(ax.get_lines()) > 3


def problem_of(family, link=None, offset=None):
    source = paths.Source(X, Y[family], family, link, penalties.lasso(1.0), False, dict(
        offset=offset, weights=W, exposure=None, trials=None))  # fmt: skip
    return source.problem


def centred(problem, flat):
    """Intercepts of symmetric classes are what they are but for a constant."""
    shaped = flat.reshape(len(flat), problem.width, -1).copy()
    if problem.width > 1:
        shaped[:, :, 0] -= shaped[:, :, 0].mean(axis=1, keepdims=True)
    return shaped


def test_classes_that_are_alike_have_a_null_point_in_few_steps():
    """A constant more on every class changes nothing, so the Hessian is singular; the optimum is the shares."""
    with jax.enable_x64(True):
        problem = problem_of("categorical")
        null = problem.as_design(Dense(np.ones((len(X), 1))))
        found = by_irls(null, None, 1e-9, 50)
    shares = null.prepared.y.T @ W / W.sum()
    assert found.status.converged
    assert len(found.history) < 10
    np.testing.assert_allclose(np.exp(found.flat) / np.exp(found.flat).sum(), shares, rtol=1e-10)


@pytest.mark.parametrize("family", ["poisson", "gamma", "categorical"])
def test_all_strengths_at_once_end_where_one_after_the_other_do(family):
    with jax.enable_x64(True):
        problem = problem_of(family)
        grid = pathwise.strength_grid(problem, pathwise.null_point(problem), 7, 1e-2)
        one = pathwise._sequence(problem, grid, 1e-9)
        both, models = pathwise._together(problem, grid, 1e-9, (100, 160), None)
        np.testing.assert_allclose(centred(problem, both.flat), centred(problem, one.flat), atol=1e-7)
        gradients = looks.Looks(problem)(both.flat, np.full(7, -1))[0]
        np.testing.assert_allclose(models.flat, both.flat, atol=1e-6)
        left = lambda grid: pathwise.residuals(problem.model, grid, both.flat, gradients, problem.prepared.weight.sum())
        assert np.max(left(grid)) < 1e-8
        assert np.min(left(grid * 1.1)[1:]) > 1e-5
        np.testing.assert_allclose(models.grad, gradients, atol=1e-3)
        slow = pathwise._one_by_one(problem, grid, 1e-9, None)
        np.testing.assert_allclose(centred(problem, slow.flat), centred(problem, one.flat), atol=1e-7)


# --------------------------------------------------------------------------- cross-validation
def test_cross_validation_is_what_a_loop_finds():
    fold = np.arange(N) % 3
    found = jglm.cross_validate(X, Y["poisson"], family="poisson", folds=fold, strengths=5, weights=W, tol=1e-9)
    for f in range(3):
        on, out = fold != f, fold == f
        for i, s in enumerate(found.strengths[0]):
            fit = jglm.fit(X[on], Y["poisson"][on], family="poisson", weights=W[on], penalty=penalties.lasso(s))
            mu, y, w = fit.predict(X[out]), Y["poisson"][out], W[out]
            deviance = 2 * np.sum(w * (np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / mu), 0) - y + mu))
            np.testing.assert_allclose(found.fold_deviance[0, i, f], deviance / w.sum(), rtol=1e-7)
    assert found.one_se_strength >= found.best_strength
    assert np.max(found.fold_kkt) < 1e-8
    assert found.fit("one_se").rank <= found.fit().rank
    assert len(found.table()) == 5
    np.testing.assert_allclose(found.deviance[0], np.average(found.fold_deviance[0], axis=1, weights=found.fold_weight))


def test_folds_of_all_strengths_at_once(monkeypatch):
    fold = np.arange(N) % 3
    with jax.enable_x64(True):
        problem = problem_of("bernoulli")
        grid = pathwise.strength_grid(problem, pathwise.null_point(problem), 7, 1e-2)
        points, models = pathwise._together(problem, grid, 1e-9, (100, 160), None)
        together, one = pathwise.leave_out(problem, grid, points, models, fold, 1, 1e-9)
        alone, other = pathwise.leave_out(problem, grid, points, None, fold, 1, 1e-9)
        np.testing.assert_allclose(together, alone, atol=1e-7)
        assert max(one.max(), other.max()) < 1e-8


def test_folds_keep_groups_together_and_are_the_same_for_a_seed():
    groups = np.repeat(np.arange(N // 6), 6)
    found = jglm.cross_validate(X, Y["poisson"], family="poisson", strengths=3, folds=4, groups=groups, seed=3)
    again = jglm.cross_validate(X, Y["poisson"], family="poisson", strengths=3, folds=4, groups=groups, seed=3)
    np.testing.assert_array_equal(found.fold_deviance, again.fold_deviance)
    assert all(len(np.unique(found.fold[groups == g])) == 1 for g in np.unique(groups))
    several = jglm.cross_validate(X, Y["poisson"], family="poisson", strengths=3, folds=4, l1_ratio=[0.5, 1.0])
    assert several.deviance.shape == (2, 3)
    assert several.best_l1_ratio in (0.5, 1.0)
    assert several.path.strengths[0] == several.strengths[list(several.l1_ratios).index(several.best_l1_ratio), 0]


def test_a_family_of_ones_own_has_a_path():
    path = jglm.path(X, np.sign(LIN) * (1.0 - 2 * (RNG.random(N) < 0.3)), family=OWN, strengths=4)
    assert path.converged
    assert path.df[-1] > path.df[0] == 0
