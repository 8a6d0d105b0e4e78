"""A fit is a pure function: the same under jit, vmap and in the host loop, differentiable, and compiled once."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ALL, small_data

import jglm
from jglm import drivers, families, links, penalties
from jglm.designs import Dense
from jglm.model import Data, Model, Unknowns
from jglm.solvers import Gradient, Newton, Status

RNG = np.random.default_rng(3)
N, P = 120, 4
X = np.column_stack([np.ones(N), RNG.normal(size=(N, P - 1))])
COEF = np.array([0.2, 0.4, -0.3, 0.1])
Y = RNG.poisson(np.exp(X @ COEF)).astype(float)
W = RNG.uniform(0.5, 2.0, N)
POISSON = Model(families.poisson, links.log, None)
CLASSES = np.eye(3)[RNG.integers(0, 3, N)]


def data(y=Y, weight=W, offset=None, X=X):
    return Data(
        Dense(jnp.asarray(X)),
        jnp.asarray(y),
        jnp.asarray(weight),
        jnp.zeros(N) if offset is None else jnp.asarray(offset),
    )


def ridge(strength):
    return Model(families.poisson, links.log, penalties.bind(penalties.ridge(strength), P, 1, 1.0))


def test_jit_is_no_jit():
    plain = jglm.solve(POISSON, data())
    compiled = jax.jit(jglm.solve)(POISSON, data())
    np.testing.assert_allclose(plain.coef, compiled.coef, rtol=1e-12)
    assert Status(int(plain.status)).converged
    assert float(plain.grad_norm) < 1e-6


def test_vmap_over_responses_weights_penalties_is_a_loop():
    ys = jnp.asarray(RNG.poisson(np.exp(X @ COEF), (5, N)).astype(float))
    ws = jnp.asarray(RNG.uniform(0, 2.0, (5, N)) * (RNG.random((5, N)) > 0.2))
    strengths = jnp.linspace(0.0, 3.0, 5)
    one = lambda y, w, s: jglm.solve(ridge_traced(s), data(y, w)).coef
    batch = jax.jit(jax.vmap(one))(ys, ws, strengths)
    loop = [jax.jit(one)(y, w, s) for y, w, s in zip(ys, ws, strengths, strict=True)]
    np.testing.assert_allclose(batch, jnp.stack(loop), rtol=1e-8, atol=1e-10)


def ridge_traced(s):
    return Model(families.poisson, links.log, penalties.Ridge(s, jnp.array([0.0, 1, 1, 1]), "sum"))


def test_vmap_over_designs():
    Xs = jnp.asarray(RNG.normal(size=(3, N, P)))
    batch = jax.vmap(lambda X: jglm.solve(POISSON, data(X=X)).coef)(Xs)
    for i in range(3):
        np.testing.assert_allclose(batch[i], jglm.solve(POISSON, data(X=Xs[i])).coef, rtol=1e-8, atol=1e-10)


def test_host_loop_is_the_traced_loop():
    seen = []
    host = drivers.solve_on_host(POISSON, data(), Newton(), None, lambda *a: seen.append(a))
    traced = drivers.run_compiled(POISSON, data(), Newton(), None)
    np.testing.assert_allclose(host.coef, traced.coef, rtol=1e-10)
    assert int(host.n_iter) == int(traced.n_iter) == len(seen)
    n = int(host.n_iter)
    np.testing.assert_allclose(host.history[:n], np.asarray(traced.history)[:n], rtol=1e-6, atol=1e-8)
    assert np.all(np.diff(host.history[1:n, 0]) <= 1e-9)


def test_interrupt_leaves_the_best_point_so_far():
    def stop(i, *_):
        if i == 3:
            raise KeyboardInterrupt

    found = drivers.solve_on_host(POISSON, data(), Newton(1e-14), None, stop)
    assert Status(int(found.status)) == Status.INTERRUPTED
    assert np.all(np.isfinite(found.coef))
    assert not Status.INTERRUPTED.converged


def test_the_lessons_rule_reaches_newtons_optimum():
    """coef += alpha X'(y - h), the same line for every family."""
    for family, link, y, alpha in (
        (families.gaussian, links.identity, Y, 0.003), (families.bernoulli, links.logit, (Y > 1) * 1.0, 0.02),
        (families.poisson, links.log, Y, 0.0015),
    ):  # fmt: skip
        model = Model(family, link, None)
        slow = drivers.run_compiled(model, data(y), Gradient(alpha, steps=5000, tol=1e-12), None)
        fast = drivers.run_compiled(model, data(y), Newton(), None)
        assert Status(int(slow.status)) == Status.CONVERGED
        np.testing.assert_allclose(slow.coef, fast.coef, rtol=1e-6, atol=1e-8)


def test_one_step_of_the_lessons_rule_is_the_lessons_formula():
    one = drivers.run_compiled(POISSON, data(weight=np.ones(N)), Gradient(0.001, steps=1, tol=0.0), None)
    np.testing.assert_allclose(one.coef, 0.001 * X.T @ (Y - 1.0), rtol=1e-12)


def test_too_large_a_step_is_told():
    far = drivers.run_compiled(POISSON, data(), Gradient(10.0, steps=50), None)
    assert Status(int(far.status)) == Status.DIVERGED
    assert np.all(np.isfinite(far.coef))


def test_gradients_through_the_fit_are_finite_differences():
    """d coef / d (y, weights, offset, strength, X), by the implicit function theorem."""
    v = jnp.asarray(RNG.normal(size=P))
    target = lambda y, w, o, s, X: v @ jglm.solve(ridge_traced(s), Data(Dense(X), y, w, o), solver=Newton(1e-12)).coef
    at = (jnp.asarray(Y), jnp.asarray(W), jnp.asarray(0.1 * X[:, 1]), jnp.asarray(0.7), jnp.asarray(X))
    slopes = jax.jit(jax.grad(target, argnums=(0, 1, 2, 3, 4)))(*at)
    f = jax.jit(target)
    for i, slope in enumerate(slopes):
        way = jnp.asarray(RNG.normal(size=np.shape(at[i])))
        moved = [[a + (s * 1e-5 * way if j == i else 0) for j, a in enumerate(at)] for s in (1, -1)]
        want = (f(*moved[0]) - f(*moved[1])) / 2e-5
        assert np.isclose(jnp.sum(slope * way), want, rtol=1e-5, atol=1e-8)


def test_gradient_in_a_parameter_of_the_family():
    fit = lambda r: jglm.solve(Model(families.negative_binomial(1.0).replace(params={"r": r}), links.log, None), data(),
                               solver=Newton(1e-12)).coef[1]  # fmt: skip
    want = (fit(2.0 + 1e-5) - fit(2.0 - 1e-5)) / 2e-5
    assert np.isclose(jax.grad(fit)(2.0), want, rtol=1e-5)


def test_rows_of_weight_zero_are_not_there():
    w = W.copy()
    w[::3] = 0.0
    y = np.where(w > 0, Y, np.nan)
    o = np.where(w > 0, 0.0, np.inf)
    with_holes = jglm.solve(POISSON, data(y, w, o))
    keep = w > 0
    X2, y2, w2 = X[keep], Y[keep], w[keep]
    dense = jglm.solve(POISSON, Data(Dense(jnp.asarray(X2)), jnp.asarray(y2), jnp.asarray(w2), jnp.zeros(len(y2))))
    np.testing.assert_allclose(with_holes.coef, dense.coef, rtol=1e-9)
    slope = jax.grad(lambda o: jglm.solve(POISSON, data(y, w, o)).coef[0])(jnp.asarray(o))
    assert np.all(np.isfinite(slope))


def test_vector_family_and_float32():
    model = Model(families.categorical(3), links.reference(0), None)
    zero = jnp.zeros((N, 2))
    double = jglm.solve(model, data(CLASSES, offset=zero))
    assert double.coef.shape == (P, 2)
    single = jglm.solve(model, jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), data(CLASSES, offset=zero)))
    assert single.coef.dtype == jnp.float32
    assert Status(int(single.status)).converged
    np.testing.assert_allclose(single.coef, double.coef, rtol=2e-3, atol=2e-3)


def test_a_start_of_the_users_own():
    far = jglm.solve(POISSON, data(), start=jnp.array([3.0, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(far.coef, jglm.solve(POISSON, data()).coef, rtol=1e-7)
    bad = jglm.solve(Model(families.poisson, links.identity, None), data(), start=jnp.array([-1.0, 0, 0, 0]))
    assert Status(int(bad.status)) == Status.INVALID_START


def test_what_does_not_recompile(compilations):
    fit = jax.jit(lambda model, data, solver: jglm.solve(model, data, solver=solver).coef)
    fit(ridge(1.0), data(), Newton())
    log_partition = lambda: lambda e, r: -r * jnp.log(-jnp.expm1(e))
    own = lambda r: jglm.Family("nb", a=log_partition(), domain=(-jnp.inf, 0), params={"r": r})
    nb = lambda r: Model(own(r), links.canonical, None)
    nb(3), data(Y + 1, W + 1)
    fit(nb(3), data(), Newton())
    before = compilations()
    fit(ridge(2.0), data(), Newton())  # a new strength
    fit(ridge(2.0), data(Y + 1, W + 1), Newton(1e-6))  # new y, weights, tolerance
    fit(nb(3.5), data(), Newton())  # the same family written again, with another parameter
    assert compilations() == before


def test_front_door_does_not_recompile(compilations):
    own = lambda: jglm.Family("mine", a=lambda eta: jnp.exp(eta))
    jglm.fit(X[:, 1:], Y, family=own(), weights=W, penalty=penalties.ridge(1.0))
    before = compilations()
    jglm.fit(X[:, 1:], Y + 1, family=own(), weights=W + 1, penalty=penalties.ridge(2.0))
    jglm.fit(X[:, 1:], Y[::-1], family=own(), penalty=penalties.ridge(0.5), tol=1e-6)
    assert compilations() == before


@pytest.mark.parametrize("flag", [True, False])
def test_in_a_thread_and_with_the_users_flag_either_way(flag):
    here = jglm.fit(X[:, 1:], Y, family="poisson").params
    found = {}
    with jax.enable_x64(flag):
        thread = threading.Thread(target=lambda: found.update(fit=jglm.fit(X[:, 1:], Y, family="poisson")))
        thread.start()
        thread.join()
        beside = jglm.fit(X[:, 1:], Y, family="poisson")
        mean = beside.predict(X[:3, 1:])
        assert jnp.ones(1).dtype == (jnp.float64 if flag else jnp.float32)
    for fit in (found["fit"], beside):
        assert fit.params.dtype == np.float64
        np.testing.assert_array_equal(fit.params, here)
        np.testing.assert_allclose(fit.bse, beside.bse, rtol=1e-12)
    assert mean.dtype == np.float64


def test_solve_follows_the_callers_dtype_without_x64():
    with jax.enable_x64(False):
        found = jax.jit(jglm.solve)(POISSON, jax.tree.map(lambda a: jnp.asarray(np.asarray(a), jnp.float32), data()))
        assert found.coef.dtype == jnp.float32
    np.testing.assert_allclose(found.coef, jglm.solve(POISSON, data()).coef, rtol=1e-4, atol=1e-4)


def test_records_are_pytrees_whose_numbers_are_leaves():
    leaves, shape = jax.tree.flatten(ridge(2.0))
    assert len(leaves) == 2
    assert jax.tree.structure(ridge(3.0)) == shape
    assert isinstance(jax.tree.unflatten(shape, leaves), Model)
    assert jax.tree.leaves(families.negative_binomial(3))[0].dtype == np.float64
    assert jax.tree.structure(families.negative_binomial(3)) == jax.tree.structure(families.negative_binomial(3.5))
    with pytest.raises(AttributeError):
        ridge(1.0).family = None


@pytest.mark.gpu
@pytest.mark.parametrize("name", ALL)
def test_one_fit_per_family_on_an_accelerator(name):
    whole = ALL[name].domain == (-np.inf, np.inf)
    link_name = "reference(0)" if name == "categorical" else "canonical" if whole else "log"
    design, y, coef, link = small_data(name, link_name)
    model = Model(ALL[name], link, None)
    offset = jnp.zeros(np.shape(design @ coef))
    case = Data(Dense(jnp.asarray(design)), jnp.asarray(y), jnp.ones(len(y)), offset)
    there = jax.jit(jglm.solve)(model, case)
    with jax.default_device(jax.devices("cpu")[0]):
        here = jglm.solve(model, jax.tree.map(np.asarray, case))
    assert Status(int(there.status)).converged
    np.testing.assert_allclose(there.coef, here.coef, rtol=1e-8, atol=1e-8)


def test_unknowns_may_be_given_as_a_start():
    found = jglm.solve(POISSON, data(), start=Unknowns(jnp.asarray(COEF), {}))
    assert int(found.n_iter) <= 6
