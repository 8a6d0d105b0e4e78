"""Newton's method, which with a canonical link (or expected information) is IRLS."""

from typing import Any

import jax
import jax.numpy as jnp

from jglm._record import record, strong
from jglm.model import HESSIAN, Query, flatten, unflatten
from jglm.solvers.base import Status, accept, distance


@record
class NewtonState:
    query: Query
    point: Any  # the best point so far, flat
    value: Any
    grad: Any
    step: Any  # the full Newton step from the point
    length: Any  # the share of it on trial
    slope: Any  # grad·step
    decrement: Any  # distance to the optimum in standard errors, sqrt(g' H^-1 g / phi)
    near: Any  # whether the point is so near that rounding may be all that is left
    late: Any  # the last step taken at a small distance: a large one tells of separation
    blend: Any  # how near to y the start is taken
    status: Any


@record(static=("asks", "max_iter"))
class Newton:
    """Newton's method with a backtracking line search.

    Stops where sqrt(g' H^-1 g / phi) <= tol, the distance left in standard errors, or where rounding lets it get no
    nearer. `max_iter` counts passes over the data. Without a start the first pass is an IRLS step from means between
    y and the overall mean; where that leads out of the domain it begins again nearer to the overall mean.
    """

    tol: Any
    max_iter: int
    asks: str

    def __init__(self, tol=1e-8, max_iter=100):
        self.__dict__.update(tol=strong(tol), max_iter=int(max_iter), asks=HESSIAN)

    def init(self, model, start, given):
        """`start` Unknowns to begin at, or where not `given` their shape."""
        point = flatten(start)
        inf, one = jnp.full((), jnp.inf, point.dtype), jnp.ones((), point.dtype)
        blend = 0 * one if given else one / 2
        return NewtonState(
            Query(start, None, None if given else blend), point, inf, jnp.zeros_like(point), jnp.zeros_like(point),
            one, -inf, inf, jnp.asarray(False), jnp.zeros_like(point), blend, jnp.asarray(Status.RUNNING, jnp.int32),
        )  # fmt: skip

    def step(self, model, state, info):
        trial = state.query.point
        flat = flatten(trial)
        value, grad = model.penalized(info.value, info.grad, trial)
        step, decrement, floor = self._direction(model, trial, grad, info)
        beginning = jnp.asarray(False) if state.query.blend is None else state.query.blend > 0
        begun = jnp.isfinite(state.value)
        taken = accept(state, value, grad, info.noise) & ~beginning
        # Where a small distance hardly gets smaller, only rounding is left.
        near = (decrement < 1e-5) | floor
        idle = begun & near & (decrement > 0.9 * state.decrement)
        # Far from the optimum the dispersion can be so large that any distance looks small.
        small = -(grad @ step) <= 1e-4 * (1 + jnp.abs(value))
        done = small & (decrement <= jnp.asarray(self.tol, flat.dtype))
        done = jnp.where(done, Status.CONVERGED, Status.RUNNING)
        done = jnp.where((done == Status.RUNNING) & idle, Status.FLOOR, done)
        stuck = jnp.where(begun, jnp.where(state.near, Status.FLOOR, Status.STALLED), Status.INVALID_START)
        exhausted = jnp.where(begun, state.length < 1e-10, state.blend < 1e-6)
        status = jnp.where(taken, done, jnp.where(exhausted & ~beginning, stuck, Status.RUNNING)).astype(jnp.int32)

        move = taken | beginning
        keep = lambda new, old: jnp.where(move, new, old)
        point, step = keep(flat, state.point), keep(step, state.step)
        length = keep(jnp.ones_like(state.length), state.length / 2)
        again = ~begun & ~move  # the start led nowhere
        blend = jnp.where(again, state.blend / 4, state.blend)
        target = jnp.where(again, jnp.zeros_like(point), point + length * step)
        ask = None if state.query.blend is None else jnp.where(again, blend, 0.0).astype(blend.dtype)
        return NewtonState(
            Query(unflatten(target, trial), None, ask), point, jnp.where(taken, value, state.value),
            keep(grad, state.grad), step, length, keep(grad @ step, state.slope),
            jnp.where(taken, decrement, state.decrement), jnp.where(taken, near, state.near),
            jnp.where(taken & small & (decrement < 1e-5) & (decrement > 1e-8), step, state.late), blend, status,
        )  # fmt: skip

    def _direction(self, model, trial, grad, info):
        hess, extra = info.hess, model.curvature(trial)
        if extra is not None:
            hess = hess + extra
        step = -solve_scaled(hess, grad)
        if info.fisher is not None:
            fisher = info.fisher if extra is None else info.fisher + extra
            downhill = lambda: -solve_positive(fisher, grad)
            step = jax.lax.cond(jnp.all(jnp.isfinite(step)), lambda: step, downhill)
        drop = jnp.maximum(-(grad @ step), 0.0)
        return step, *distance(model, drop, info)


def solve_scaled(hess, rhs):
    """H^-1 rhs for a positive semidefinite H, scaled to a unit diagonal; a direction without curvature gets no step
    where the right-hand side has none in it."""
    diagonal = jnp.diagonal(hess)
    s = jnp.where(diagonal > 0, jax.lax.rsqrt(jnp.where(diagonal > 0, diagonal, 1.0)), 0.0)
    n = hess.shape[0]
    jitter = 4 * n * jnp.finfo(hess.dtype).eps
    unit = s[:, None] * hess * s[None, :] + jitter * jnp.eye(n, dtype=hess.dtype)
    factor = jax.scipy.linalg.cho_factor(unit, lower=True)
    s = s if rhs.ndim == 1 else s[:, None]
    return s * jax.scipy.linalg.cho_solve(factor, s * rhs)


def solve_positive(hess, rhs):
    """|H|^-1 rhs by eigenvalues of H scaled to a unit diagonal, small ones raised: a descent direction for any H."""
    s = jax.lax.rsqrt(jnp.maximum(jnp.abs(jnp.diagonal(hess)), jnp.finfo(hess.dtype).tiny))
    values, vectors = jnp.linalg.eigh(s[:, None] * hess * s[None, :])
    size = jnp.maximum(jnp.abs(values), 1e-8)
    return s * (vectors @ ((vectors.T @ (s * rhs)) / size))
