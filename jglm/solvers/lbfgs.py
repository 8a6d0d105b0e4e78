"""L-BFGS about a metric that is known beforehand: one gradient a pass, no matrix of the data's size.

With the Hessian of a random sample of the rows as its metric it needs about as many passes as there are digits to gain
by a factor of ten (a sketched Newton method); with a diagonal it takes designs of very many columns.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jglm._record import record, strong
from jglm.model import GRADIENT, Query, flatten, unflatten
from jglm.solvers.base import Status, accept, distance

PATIENCE = 4  # passes near the optimum that bring it no nearer


@record
class Metric:
    """A positive definite matrix to precondition with: `factor` its Cholesky factor when scaled to a unit diagonal by
    `scale` (P,), or None for the diagonal matrix 1 / scale^2."""

    factor: Any
    scale: Any

    def times(self, factor):
        """The matrix times a number."""
        return Metric(self.factor, self.scale / jnp.sqrt(factor))

    def whiten(self, v):
        """R'^-1 v, for the matrix R'R."""
        v = self.scale * v
        return v if self.factor is None else jax.scipy.linalg.solve_triangular(self.factor, v, lower=True)

    def unwhiten(self, v):
        """R^-1 v."""
        if self.factor is None:
            return self.scale * v
        return self.scale * jax.scipy.linalg.solve_triangular(self.factor, v, lower=True, trans=1)

    def solve(self, v):
        if self.factor is None:
            return self.scale * self.scale * v
        return self.scale * jax.scipy.linalg.cho_solve((self.factor, True), self.scale * v)


def metric_of(hess):
    """The Metric of a positive semidefinite Hessian; a direction without curvature is left as it is."""
    s = _inverse_root(jnp.diagonal(hess))
    p = hess.shape[0]
    jitter = 4 * p * jnp.finfo(hess.dtype).eps
    return Metric(jnp.linalg.cholesky(s[:, None] * hess * s[None, :] + jitter * jnp.eye(p, dtype=hess.dtype)), s)


def diagonal_metric(squares):
    """The Metric of a diagonal Hessian."""
    return Metric(None, _inverse_root(squares))


def _inverse_root(d):
    return jnp.where(d > 0, jax.lax.rsqrt(jnp.where(d > 0, d, 1.0)), 0.0)


@record
class LBFGSState:
    query: Query
    point: Any  # the best point so far, flat
    value: Any
    grad: Any
    moves: Any  # (memory, P) steps between points, the newest first
    turns: Any  # (memory, P) changes of the gradient along them
    weights: Any  # (memory,) 1 / (move·turn), 0 where there is none yet
    step: Any
    length: Any
    slope: Any
    decrement: Any
    idle: Any  # passes near the optimum that brought it no nearer
    late: Any  # the last step taken at a small distance
    status: Any


@record(static=("asks", "max_iter", "memory"))
class LBFGS:
    """L-BFGS (Liu and Nocedal 1989) with a `Metric`, and a backtracking line search.

    Stops where sqrt(g' B^-1 g / phi) <= tol, B its own estimate of the Hessian, or at the floor of rounding. `max_iter`
    counts passes over the data.
    """

    metric: Any
    tol: Any
    max_iter: int
    memory: int
    asks: str

    def __init__(self, metric, tol=1e-8, max_iter=200, memory=8):
        self.__dict__.update(metric=metric, tol=strong(tol), max_iter=int(max_iter), memory=int(memory), asks=GRADIENT)

    def init(self, model, start, given):
        """`start` Unknowns to begin at; zeros where not `given`."""
        point = flatten(start)
        inf, one, zero = jnp.full((), jnp.inf, point.dtype), jnp.ones((), point.dtype), jnp.zeros_like(point)
        past, none = jnp.zeros((self.memory, point.size), point.dtype), jnp.zeros((), jnp.int32)
        return LBFGSState(
            Query(start), point, inf, zero, past, past, past[:, 0], zero, one, -inf, inf, none, zero,
            jnp.asarray(Status.RUNNING, jnp.int32),
        )  # fmt: skip

    def step(self, model, state, info):
        trial = state.query.point
        flat = flatten(trial)
        value, grad = model.penalized(info.value, info.grad, trial)
        taken = accept(state, value, grad, info.noise)
        begun = jnp.isfinite(state.value)
        moves, turns, weights = self._remember(state, flat, grad, taken & begun)
        step = -self._solve(moves, turns, weights, grad)
        slope = grad @ step
        decrement, floor = distance(model, jnp.maximum(-slope, 0.0), info)
        near = (decrement < 1e-5) | floor
        idle = jnp.where(near & (decrement > 0.5 * state.decrement), state.idle + 1, 0)
        # Far from the optimum the dispersion can be so large that any distance looks small.
        small = -slope <= 1e-4 * (1 + jnp.abs(value))
        done = jnp.where(small & (decrement <= jnp.asarray(self.tol, flat.dtype)), Status.CONVERGED, Status.RUNNING)
        done = jnp.where((done == Status.RUNNING) & (idle >= PATIENCE), Status.FLOOR, done)
        was_near = state.decrement < 1e-5
        stuck = jnp.where(begun, jnp.where(was_near, Status.FLOOR, Status.STALLED), Status.INVALID_START)
        exhausted = jnp.where(begun, state.length < 1e-8, True)
        status = jnp.where(taken, done, jnp.where(exhausted, stuck, Status.RUNNING)).astype(jnp.int32)

        keep = lambda new, old: jnp.where(taken, new, old)
        point, step = keep(flat, state.point), keep(step, state.step)
        length = jnp.where(taken, jnp.ones_like(state.length), state.length / 4)
        late = taken & small & (decrement < 1e-5) & (decrement > 1e-8)
        return LBFGSState(
            Query(unflatten(point + length * step, trial)), point, keep(value, state.value), keep(grad, state.grad),
            moves, turns, weights, step, length, keep(slope, state.slope), keep(decrement, state.decrement),
            keep(idle, state.idle).astype(jnp.int32), jnp.where(late, step, state.late), status,
        )  # fmt: skip

    def _remember(self, state, flat, grad, taken):
        """The last steps with this one in front, where it is taken and the gradient grew along it."""
        move, turn = flat - state.point, grad - state.grad
        bend = move @ turn
        good = taken & (bend > 1e-12 * jnp.sqrt((move @ move) * (turn @ turn)))
        push = lambda new, past: jnp.where(good, jnp.concatenate([new[None], past[:-1]]), past)
        return push(move, state.moves), push(turn, state.turns), push(1 / jnp.where(good, bend, 1.0), state.weights)

    def _solve(self, moves, turns, weights, v):
        """B^-1 v by the two-loop recursion."""
        shares = []
        for i in range(self.memory):
            shares.append(weights[i] * (moves[i] @ v))
            v = v - shares[i] * turns[i]
        v = self.metric.solve(v)
        for i in reversed(range(self.memory)):
            v = v + (shares[i] - weights[i] * (turns[i] @ v)) * moves[i]
        return v
