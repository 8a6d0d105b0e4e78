"""The only loops over a solver: one traced (`solve`, pure), one on the host (progress, history, Ctrl-C)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.model import Query, Unknowns, evaluate, flatten, unflatten
from jglm.solvers.base import Status
from jglm.solvers.newton import Newton, solve_scaled


@record
class Solution:
    """What a fit found: coef, nuisance, the objective, the norm (largest entry) of its gradient, passes over the data
    and a `Status`; `late` is the last step of Newton's method taken at a small distance, `history` (max_iter, 2)
    objective and gradient norm per pass, NaN where there was none."""

    coef: Any
    nuisance: dict
    value: Any
    grad_norm: Any
    n_iter: Any
    status: Any
    late: Any
    history: Any


def zeros(model, data):
    """The unknowns at coef 0; free parameters without a design where the family has them, else at 0 too."""
    p, k = data.X.shape[1], model.width()
    dtype = jnp.result_type(data.weight, float) if not hasattr(data.weight, "dtype") else data.weight.dtype
    return Unknowns(jnp.zeros((p,) if k is None else (p, k), dtype), dict(_free_zeros(model.family, data, dtype)))


def _free_zeros(family, data, dtype):
    for name, free in family.free:
        Z = (data.designs or {}).get(name)
        if Z is not None:
            yield name, jnp.zeros(Z.shape[1], dtype)
        elif free.size > 1:
            yield name, jnp.asarray(free.grid()[0], dtype)
        else:
            yield name, jnp.reshape(free.free(jnp.asarray(family.params.get(name, 1.0), dtype)), (1,))


def _begin(model, data, solver, start):
    # With free parameters there is no start of the rows' own to expand about.
    given = start is not None or bool(model.family.free)
    return solver.init(model, zeros(model, data) if start is None else start, given)


def _run(model, data, solver, start):
    """The traced loop."""
    state = _begin(model, data, solver, start)
    history = jnp.full((solver.max_iter, 2), jnp.nan, state.point.dtype)

    def body(carry):
        state, i, history = carry
        state = solver.step(model, state, evaluate(model, data, state.query, solver.asks))
        seen = jnp.stack([state.value, jnp.max(jnp.abs(state.grad))])
        return state, i + 1, history.at[i].set(seen)

    going = lambda carry: (carry[0].status == Status.RUNNING) & (carry[1] < solver.max_iter)
    state, n_iter, history = lax.while_loop(going, body, (state, jnp.zeros((), jnp.int32), history))
    return _solution(state, n_iter, history)


def _solution(state, n_iter, history, xp=jnp):
    found = unflatten(state.point, state.query.point)
    status = xp.where(state.status == Status.RUNNING, Status.MAX_ITER, state.status)
    late = getattr(state, "late", None)
    return Solution(
        found.coef, found.nuisance, state.value, xp.max(xp.abs(state.grad)), n_iter, status.astype(xp.int32),
        xp.zeros_like(state.point) if late is None else late, history,
    )  # fmt: skip


@jax.custom_jvp
def _solve(model, data, solver, start):
    return _run(model, data, solver, start)


@_solve.defjvp
def _solve_rule(primals, tangents):
    """Implicit function theorem: at the optimum g(coef; theta) = 0, so d coef = -H^-1 (dg / d theta) d theta, with H
    the observed Hessian. Unknowns that a penalty holds at a kink stay there, those at a bound move with it, and the
    others answer to both (Bertrand et al. 2020)."""
    model, data, solver, start = primals
    solution = _solve(model, data, solver, start)
    found = Unknowns(solution.coef, solution.nuisance)

    def objective(model, data, flat):
        at = unflatten(flat, found)
        return evaluate(model, data, Query(at), "value").value + whole_penalty(model, at)

    flat, given = flatten(found), (model, data)
    slope = lambda model, data: jax.grad(objective, argnums=2)(model, data, flat)
    terms, turned = jax.jvp(lambda model: model.terms(found), (model,), tangents[:1])  # and their change
    free = terms.free(flat)
    moved = jnp.where(flat <= terms.lower, turned.lower, jnp.where(flat >= terms.upper, turned.upper, 0.0))
    moved = jnp.where(free, 0.0, moved)
    hess = jax.hessian(objective, argnums=2)(model, data, flat)
    shift = jnp.where(free, jax.jvp(slope, given, tangents[:2])[1] + hess @ moved, 0.0)
    hess = jnp.where(free[:, None] & free[None, :], hess, jnp.eye(len(flat), dtype=hess.dtype))
    moved = unflatten(moved - solve_scaled(hess, shift), found)
    grown = jax.jvp(lambda model, data: objective(model, data, flat), given, tangents[:2])[1]
    none = lambda x: np.zeros(jnp.shape(x), jax.dtypes.float0)
    still = jnp.zeros_like
    tangent = Solution(
        moved.coef, moved.nuisance, grown, still(solution.grad_norm), none(solution.n_iter), none(solution.status),
        still(solution.late), still(solution.history),
    )  # fmt: skip
    return solution, tangent


def whole_penalty(model, unknowns):
    """The penalty at unknowns, kinks included."""
    flat = flatten(unknowns)
    smooth = model.penalized(jnp.zeros((), flat.dtype), jnp.zeros_like(flat), unknowns)[0]
    return smooth + model.terms(unknowns).value(flat)


def solve(model, data, *, solver=None, start=None):
    """Fit `model` to `data`: a pure function, so it may stand under jit, vmap and grad.

    Args:
        model: a `Model`.
        data: a `Data` of floating arrays: X a design (or an array, taken as Dense), y, weight (n,), offset as lin.
        solver: a record of jglm.solvers; by default Newton().
        start: `Unknowns` (or coef) to begin at; by default found from the data.

    Returns a `Solution`; derivatives of coef and value are those of the optimum (implicit differentiation), whatever
    the solver did on the way. Nothing is raised: look at `status`.
    """
    if start is not None and not isinstance(start, Unknowns):
        start = Unknowns(jnp.asarray(start), {})
    return _solve(model, data, Newton() if solver is None else solver, start)


run_compiled = jax.jit(_run)
_begin_compiled = jax.jit(_begin)
_init_compiled = jax.jit(lambda model, solver, start: solver.init(model, start, True))
evaluate_compiled = jax.jit(evaluate, static_argnums=3)
_step_compiled = jax.jit(lambda solver, model, state, info: solver.step(model, state, info))


def solve_on_host(model, data, solver, start=None, report=None, look=None, keep=None, before=None):
    """The same loop with a look at every pass: `report(i, value, grad_norm, decrement)` is called after each.

    `look(query, asks)` answers in place of `evaluate`, where given; with a
    start there need be no data then. Ctrl-C ends it with the best point so far and the status INTERRUPTED.
    `keep(i, leaves of the state, history)` is called after every pass too; what it was last given is `before`, to go
    on.
    """
    look = look or (lambda query, asks: evaluate_compiled(model, data, query, asks))
    state = _init_compiled(model, solver, start) if data is None else _begin_compiled(model, data, solver, start)
    history = np.full((solver.max_iter, 2), np.nan)
    i, status = 0, Status.RUNNING
    if before is not None:
        i, leaves, seen = before
        state = jax.tree.unflatten(jax.tree.structure(state), [jnp.asarray(v) for v in leaves])
        history[: len(seen)], status = seen, Status(int(state.status))
    try:
        while status == Status.RUNNING and i < solver.max_iter:
            info = look(state.query, solver.asks)
            state = _step_compiled(solver, model, state, info)
            history[i] = float(state.value), np.max(np.abs(np.asarray(state.grad)))
            status, i = Status(int(state.status)), i + 1
            if keep is not None:
                keep(i, jax.tree.leaves(state), history[:i])
            if report is not None:
                report(i, *history[i - 1], float(state.decrement))
    except KeyboardInterrupt:
        state = type(state)(**{**vars(state), "status": np.asarray(Status.INTERRUPTED, np.int32)})
    # By NumPy, since JAX would compile each of these operations.
    return _solution(jax.tree.map(np.asarray, state), np.int32(i), history, np)
