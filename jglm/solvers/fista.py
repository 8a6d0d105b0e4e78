"""FISTA with restart: for penalties with kinks or bounds and so many coefficients that no matrix of them is made.

Beck and Teboulle (2009), in the metric of a diagonal; the momentum begins anew where it leads back (O'Donoghue and
Candès 2015). A pass asks for one gradient, which tells of the curvature on the way too: where that is larger than was
thought, the step is taken again, shorter.
"""

from typing import Any

import jax.numpy as jnp

from jglm._record import record, strong
from jglm.model import GRADIENT, Query, flatten, unflatten
from jglm.solvers.base import Status, distance

PATIENCE = 300  # passes near the optimum that bring it no nearer
ABOVE = 1.25  # the bound on the curvature, over what was seen
MOST = 8.0  # by which it grows at a time: far off the curvature says nothing


@record
class FISTAState:
    query: Query
    point: Any  # the end of the last step, flat
    value: Any  # the objective where the pass looked, penalty included
    grad: Any  # what is left of the optimality conditions there
    ahead: Any  # where the pass looked: the point and some way on
    slope: Any  # the gradient of the smooth part there
    bound: Any  # on the curvature, in units of the metric
    pace: Any  # of the momentum, 1 at its start
    decrement: Any  # the length of the step in standard errors, in this metric
    least: Any  # the least of them so far
    idle: Any  # passes since then
    status: Any


@record(static=("asks", "max_iter"))
class FISTA:
    """Accelerated proximal gradient steps about `curvature` (P,), a diagonal like that of the Hessian.

    Stops where sqrt(d'Bd / phi) <= tol, d the step and B the bound on the curvature in use, or where rounding lets it
    get no nearer. `max_iter` counts passes over the data. Without a start it begins at 0.
    """

    curvature: Any
    tol: Any
    max_iter: int
    asks: str

    def __init__(self, curvature, tol=1e-8, max_iter=5000):
        self.__dict__.update(curvature=curvature, tol=strong(tol), max_iter=int(max_iter), asks=GRADIENT)

    def init(self, model, start, given):
        """`start` Unknowns to begin at; zeros where not `given`."""
        terms = model.terms(start)
        point = jnp.clip(flatten(start), terms.lower, terms.upper)
        inf, one, none = jnp.full((), jnp.inf, point.dtype), jnp.ones((), point.dtype), jnp.zeros((), jnp.int32)
        return FISTAState(
            Query(unflatten(point, start)), point, inf, jnp.zeros_like(point), point, jnp.zeros_like(point), one, one,
            inf, inf, none, none,
        )  # fmt: skip

    def step(self, model, state, info):
        here = state.query.point
        y, terms = flatten(here), model.terms(here)
        metric = terms.together(jnp.where(self.curvature > 0, self.curvature, 1.0).astype(y.dtype))
        smooth, slope = model.penalized(info.value, info.grad, here)
        finite, begun = jnp.isfinite(smooth) & jnp.all(jnp.isfinite(slope)), jnp.isfinite(state.value)
        move = y - state.ahead
        size = jnp.sum(metric * move**2)
        bend = jnp.where(size > 0, (slope - state.slope) @ move / jnp.where(size > 0, size, 1.0), 0.0)
        # Of a move as small as rounding the curvature cannot be told.
        bend = jnp.where(state.decrement > 1e-6, bend, 0.0)
        taken = finite & (~begun | (bend <= state.bound))
        more = jnp.where(finite, jnp.minimum(ABOVE * bend, MOST * state.bound), MOST * state.bound)
        bound = jnp.where(taken, state.bound, more)
        # Where it is not taken the step before is taken again, about the larger bound.
        base, push = jnp.where(taken, y, state.ahead), jnp.where(taken, slope, state.slope)
        point = terms.prox(base - push / (bound * metric), 1 / (bound * metric))
        step = point - base
        drop = bound * jnp.sum(metric * step**2)
        back = ~taken | (jnp.sum(metric * step * (point - state.point)) < 0)
        pace = jnp.where(back, 1.0, (1 + jnp.sqrt(1 + 4 * state.pace**2)) / 2)
        ahead = point + jnp.where(back, 0.0, (state.pace - 1) / pace) * (point - state.point)
        decrement, floor = distance(model, drop, info)
        small = drop <= 1e-4 * (1 + jnp.abs(smooth))
        nearer = taken & (decrement < state.least)
        idle = jnp.where(nearer, 0, state.idle + 1).astype(jnp.int32)
        done = jnp.where(small & (decrement <= jnp.asarray(self.tol, y.dtype)), Status.CONVERGED, Status.RUNNING)
        idle_there = ((decrement < 1e-5) | floor) & (idle >= PATIENCE)
        done = jnp.where((done == Status.RUNNING) & idle_there, Status.FLOOR, done)
        stuck = jnp.where(begun, jnp.where(bound < 1e12, Status.RUNNING, Status.STALLED), Status.INVALID_START)
        keep = lambda new, old: jnp.where(taken, new, old)
        return FISTAState(
            Query(unflatten(ahead, here)), point, keep(smooth + terms.value(y), state.value),
            keep(-bound * metric * step, state.grad), base, push, bound, pace, keep(decrement, state.decrement),
            jnp.minimum(keep(decrement, state.least), state.least), idle, keep(done, stuck).astype(jnp.int32),
        )  # fmt: skip
