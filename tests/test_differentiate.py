"""Derivatives through a fit are those of full refits, by finite differences; influence is that in the weights."""

import dataclasses
import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jglm
from jglm import families, links, penalties
from jglm.designs import Categorical, Columns, Dense, Scaled, Sparse, WithConstant
from jglm.model import Data, Model
from jglm.solvers import Newton, ProximalNewton

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(11)
N, P = 40, 3
X = np.column_stack([np.ones(N), RNG.normal(size=(N, P - 1))])
LIN = X @ [0.3, 0.4, -0.2]
COUNT = RNG.negative_binomial(2, 2 / (2 + np.exp(LIN))).astype(float)
Y = {
    "binary": (RNG.random(N) < 1 / (1 + np.exp(-LIN))) * 1.0, "positive": RNG.gamma(3.0, np.exp(LIN) / 3),
    "count": COUNT, "classes": np.eye(3)[RNG.integers(0, 3, N)],
}  # fmt: skip
W, OFFSET = RNG.uniform(0.5, 2.0, N), 0.1 * RNG.normal(size=N)
TIGHT = Newton(1e-13)


def tilted(tilt):
    """A family of the user's own: a Poisson with a parameter."""
    return jglm.Family("tilted", a=lambda eta, tilt: jnp.exp(eta) + tilt * eta**2 / 2, params={"tilt": tilt})


def cases(r):
    """name: (family with the parameter r where it has one, link, y)."""
    nb = families.negative_binomial(1.0)
    return {
        "bernoulli": (families.bernoulli, "logit", "binary"), "gamma": (families.gamma, "log", "positive"),
        "negative_binomial": (nb.replace(params={"r": r}), "log", "count"), "own": (tilted(r), "log", "positive"),
        "categorical": (families.categorical(3), "reference(0)", "classes"),
    }  # fmt: skip


def fitted(name, at):
    """The coefficients of a case as a function of everything that it has."""
    family, link, _ = cases(at["r"])[name]
    offset = at["offset"] if family.dim is None else at["offset"][:, None] * jnp.ones((1, 2))
    ridge = penalties.Ridge(at["strength"], jnp.array([0.0, 1.0, 1.0]), "sum")
    data = Data(Dense(at["X"]), at["y"], at["weight"], offset)
    start = jnp.zeros(
        (P,) if family.dim is None else (P, 2)
    )  # a start of its own would take as long to compile as the rest
    return jglm.solve(Model(family, links.get(link), ridge), data, solver=TIGHT, start=start).coef


def agree(target, at, rtol=1e-7, step=2e-3):
    """jax.grad of target against refits along a random direction of each leaf, by Richardson's extrapolation."""
    both = jax.jit(jax.value_and_grad(target))
    rng = np.random.default_rng(0)
    for name, slope in both(at)[1].items():
        way = jnp.asarray(rng.normal(size=np.shape(at[name])))
        values = [float(both({**at, name: at[name] + s * step * way})[0]) for s in (1, -1, 0.5, -0.5, 0.25, -0.25)]
        central = [(values[i] - values[i + 1]) / (2 * step * h) for i, h in ((0, 1), (2, 0.5), (4, 0.25))]
        want = (64 * central[2] - 20 * central[1] + central[0]) / 45
        np.testing.assert_allclose(float(jnp.sum(slope * way)), want, rtol=rtol, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("name", cases(1.0))
def test_in_everything_a_fit_is_made_of(name):
    v = RNG.normal(size=(P, 2) if name == "categorical" else P)
    at = dict(y=Y[cases(1.0)[name][2]], weight=W, offset=OFFSET, strength=0.8, X=X, r=1.7)
    target = lambda at: jnp.sum(v * fitted(name, at) ** 2)
    agree(target, jax.tree.map(jnp.asarray, at))


def test_under_vmap_and_jit():
    at = jax.tree.map(jnp.asarray, dict(weight=W, offset=OFFSET, strength=0.8, X=X, r=1.7))
    ys = jnp.asarray(RNG.integers(0, 2, (4, N)) * 1.0)
    slope = jax.grad(lambda s, y: fitted("bernoulli", {**at, "y": y, "strength": s})[1])
    batch = jax.jit(jax.vmap(slope, in_axes=(None, 0)))(0.8, ys)
    one = jax.jit(slope)
    np.testing.assert_allclose(batch, [one(0.8, y) for y in ys], rtol=1e-10)


def test_twice():
    at = jax.tree.map(jnp.asarray, dict(y=Y["binary"], weight=W, offset=OFFSET, X=X, r=1.7))
    slope = jax.jit(jax.grad(lambda s: fitted("bernoulli", {**at, "strength": s})[1]))
    bend = jax.jit(jax.grad(slope))(0.8)
    np.testing.assert_allclose(bend, (slope(0.8 + 1e-4) - slope(0.8 - 1e-4)) / 2e-4, rtol=1e-6)


def test_through_designs():
    codes, numbers = np.arange(N) % 3, X[:, 1:]
    sparse = pytest.importorskip("scipy.sparse").random_array((N, 2), density=0.4, rng=RNG)
    base = dict(X=numbers, center=numbers.mean(axis=0), scale=numbers.std(axis=0), data=sparse.tocsr().data)
    of = Sparse.of(sparse)
    scaled = lambda at: WithConstant(Scaled(Dense(at["X"]), at["center"], at["scale"]))
    rows = lambda at: Sparse(at["data"], of.indices, of.indptr, 2, 2)
    made = lambda at: Columns((scaled(at), rows(at), jax.tree.map(jnp.asarray, Categorical.of(codes))))
    ridge = penalties.Ridge(0.5, jnp.array([0.0, *[1.0] * 6]), "sum")
    model = Model(families.poisson, links.log, ridge)
    v = jnp.asarray(RNG.normal(size=7))

    def target(at):
        return v @ jglm.solve(model, Data(made(at), at["y"], at["weight"], jnp.zeros(N)), solver=TIGHT).coef

    agree(target, jax.tree.map(jnp.asarray, dict(base, y=COUNT, weight=W)))


def test_a_parameter_found_with_the_coefficients():
    model = Model(families.negative_binomial(), links.log, None)

    def target(at):
        found = jglm.solve(model, Data(Dense(jnp.asarray(X)), at["y"], at["weight"], at["offset"]), solver=TIGHT)
        return found.nuisance["r"][0] + found.coef[1]

    # Not in y: the density of a count between two counts is log_b's affair.
    at = jax.tree.map(jnp.asarray, dict(weight=W, offset=OFFSET))
    agree(lambda given: target({**given, "y": jnp.asarray(COUNT)}), at)


LABELS = np.array([0, 0, 1, 1, 2])


@pytest.mark.parametrize("name", ["elastic_net", "group_lasso", "bounds"])
def test_with_coefficients_that_a_penalty_holds(name):
    """Those at zero do not move, those at a bound move with it, and the others answer to both."""
    rng = np.random.default_rng(4)
    more = np.column_stack([np.ones(N), rng.normal(size=(N, 5))])
    y = rng.poisson(np.exp(0.4 + more[:, 1:] @ [0.5, 0.4, 0.0, 0.02, -0.3])).astype(float)
    made = {"elastic_net": penalties.elastic_net(8.0, 0.7), "group_lasso": penalties.group_lasso(9.0, LABELS),
            "bounds": penalties.bounds(-0.1, 0.3)}  # fmt: skip
    bound = penalties.bind(made[name], 6, 1, 1.0)
    field = "upper" if name == "bounds" else "strength"
    v = jnp.asarray(rng.normal(size=6))

    def coef(at):
        penalty = dataclasses.replace(bound, **{field: at[field]})
        data = Data(Dense(jnp.asarray(more)), at["y"], at["weight"], jnp.zeros(N))
        solver = ProximalNewton(1e-13)
        return jglm.solve(Model(families.poisson, links.log, penalty), data, solver=solver, start=jnp.zeros(6)).coef

    at = jax.tree.map(jnp.asarray, {"y": y, "weight": W, field: getattr(bound, field)})
    agree(lambda at: v @ coef(at) ** 2, at, rtol=1e-6)
    found, moves = np.asarray(coef(at)), np.asarray(jax.jit(jax.jacobian(lambda y: coef({**at, "y": y})))(at["y"]))
    held = (found <= -0.1) | (found >= 0.3) if name == "bounds" else found == 0
    held[0] = False
    assert 0 < held.sum() < 5
    assert np.all(moves[held] == 0)
    assert np.all(np.abs(moves[~held]).max(axis=1) > 0)


def test_the_value_of_the_optimum_moves_by_its_own_derivative():
    """The envelope theorem: d value / d strength is the penalty at strength 1."""
    ridge = lambda s: Model(families.poisson, links.log, penalties.Ridge(s, jnp.array([0.0, 1.0, 1.0]), "sum"))
    data = Data(Dense(jnp.asarray(X)), jnp.asarray(COUNT), jnp.asarray(W), jnp.zeros(N))
    found = jglm.solve(ridge(0.8), data)
    slope = jax.grad(lambda s: jglm.solve(ridge(s), data).value)(0.8)
    np.testing.assert_allclose(slope, 0.5 * jnp.sum(found.coef[1:] ** 2), rtol=1e-8)


# --------------------------------------------------------------------------- influence
@pytest.mark.parametrize("name", ["gamma", "categorical"])
def test_influence_is_the_jacobian_in_the_weights(name):
    family, link, y = cases(1.7)[name]
    y = np.argmax(Y[y], axis=1) if name == "categorical" else Y[y]
    penalty = None if name == "categorical" else penalties.ridge(0.8)
    fit = jglm.fit(X[:, 1:], y, family=family, link=link, weights=W, tol=1e-11, penalty=penalty)
    at = dict(y=fit._prepared.y, offset=np.zeros(N), strength=0.0 if penalty is None else 0.8, X=X, r=1.7)
    of = lambda w: fitted(name, {**jax.tree.map(jnp.asarray, at), "weight": w})
    want = np.moveaxis(np.asarray(jax.jit(jax.jacobian(of))(jnp.asarray(W))), -1, 0)
    np.testing.assert_allclose(jglm.influence(fit), want, rtol=1e-8, atol=1e-8 * np.abs(want).max())


def test_influence_where_only_contrasts_of_classes_are_known():
    """The symmetric softmax leaves the unpenalized intercepts open to a constant: their contrasts move as those do of
    the fit whose reference class is the first, where the penalty sees no more than contrasts do."""
    y = np.argmax(Y["classes"], axis=1)
    fit = jglm.fit(X[:, 1:], y, family="categorical", weights=W, penalty=penalties.ridge(1e-10), tol=1e-11)
    found, known = (
        jglm.influence(fit),
        jglm.influence(jglm.fit(X[:, 1:], y, family="categorical", weights=W, tol=1e-11)),
    )
    np.testing.assert_allclose(found[:, :, 1:] - found[:, :, :1], known, rtol=1e-6, atol=1e-9)


def test_influence_with_a_free_parameter():
    fit = jglm.fit(X[:, 1:], COUNT, family="negative_binomial", weights=W, tol=1e-11)
    model = Model(families.negative_binomial(), links.log, None)
    of = lambda w: (
        jglm.solve(model, Data(Dense(jnp.asarray(X)), jnp.asarray(COUNT), w, jnp.zeros(N)), solver=TIGHT).coef
    )
    want = np.asarray(jax.jit(jax.jacobian(of))(jnp.asarray(W))).T
    np.testing.assert_allclose(jglm.influence(fit), want, rtol=1e-7, atol=1e-8)


def test_influence_is_nearly_what_deleting_a_row_does():
    rng = np.random.default_rng(2)
    n = 400
    X, w = rng.normal(size=(n, 2)), rng.uniform(0.5, 2.0, n)
    y = rng.poisson(np.exp(0.3 + X @ [0.4, -0.3])).astype(float)
    fit = jglm.fit(X, y, family="poisson", weights=w)
    found = fit.influence()
    for i in (0, 17, 255):
        rest = np.arange(n) != i
        without = jglm.fit(X[rest], y[rest], family="poisson", weights=w[rest]).params
        np.testing.assert_allclose(-w[i] * found[i], without - fit.params, rtol=0.1, atol=1e-5)
    # The scores of all rows sum to 0 at the optimum.
    np.testing.assert_allclose(w @ found, 0, atol=1e-9)


def test_influence_of_rows_and_columns_that_are_not_there():
    w = np.where(np.arange(N) % 5 == 0, 0.0, W)
    more = np.column_stack([X[:, 1:], X[:, 1] - X[:, 2]])
    found = jglm.influence(jglm.fit(more, COUNT, family="poisson", weights=w))
    assert np.isnan(found[:, 3]).all()
    assert (found[w == 0, :3] == 0).all()
    on = w > 0
    np.testing.assert_allclose(found[on, :3], jglm.influence(jglm.fit(X[on, 1:], COUNT[on], family="poisson",
                                                                      weights=w[on])), rtol=1e-7)  # fmt: skip


def test_influence_where_a_penalty_holds_coefficients():
    net = lambda weights: penalties.elastic_net(20.0, 0.5, weights=weights)
    fit = jglm.fit(X[:, 1:], COUNT, family="poisson", penalty=net([0.1, 3.0]), tol=1e-11)
    assert (fit.params == 0).tolist() == [False, False, True]
    found = jglm.influence(fit)
    assert np.all(found[:, 2] == 0)
    step, other = 1e-4, dict(family="poisson", penalty=net([0.1]), tol=1e-11)
    for i in (0, 9):
        ends = [jglm.fit(X[:, 1:2], COUNT, weights=1 + s * step * (np.arange(N) == i), **other).params for s in (1, -1)]
        np.testing.assert_allclose(found[i, :2], (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-8)


def test_influence_needs_a_fit_with_its_data():
    fit = jglm.fit(X[:, 1:], COUNT, family="poisson")
    with pytest.raises(ValueError, match="needs the data"):
        jglm.influence(fit.detach())
    with pytest.raises(TypeError, match="must be a Fit"):
        jglm.influence(COUNT)


def test_the_example_finds_a_stationary_pair_of_strengths(capsys):
    path = ROOT / "docs" / "examples" / "ridge_by_gradient.py"
    spec = importlib.util.spec_from_file_location("ridge_by_gradient", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    look, at = example.main(ROOT / "tests/references/bernoulli_logit_pima.design.csv")
    assert "held-out deviance" in capsys.readouterr().out
    best, first = float(look(at)[0]), float(look(jnp.zeros(2))[0])
    assert best < first - 0.1
    ahead = [float(look(at + jnp.asarray(step))[0]) for step in ([1.5, 0.0], [-1.5, 0.0], [0.0, 1.5], [0.0, -1.5])]
    assert min(ahead) > best - 2e-3
