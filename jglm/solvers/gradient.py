"""The lesson's own update rule, the same for every family: coef += alpha X'(y - h)."""

from typing import Any

import jax.numpy as jnp

from jglm._record import record, strong
from jglm.model import GRADIENT, Query, flatten, unflatten
from jglm.solvers.base import Status


@record
class GradientState:
    query: Query
    point: Any
    value: Any
    grad: Any
    decrement: Any  # the largest change of a coefficient in the last step
    status: Any


@record(static=("asks", "max_iter"))
class Gradient:
    """coef += alpha X'(y - h): `steps` times, or until no coefficient moves by more than `tol`.

    `alpha` multiplies the gradient of the sum over rows, so it must be smaller the more rows there are; it need be
    below 2 / (largest eigenvalue of X'VX). Without a canonical link the error y - h takes the factor d eta / d lin.
    """

    alpha: Any
    tol: Any
    max_iter: int
    asks: str

    def __init__(self, alpha, steps=1000, tol=1e-10):
        # One pass more than steps: the last one tells the gradient where they ended.
        self.__dict__.update(alpha=strong(alpha), tol=strong(tol), max_iter=int(steps) + 1, asks=GRADIENT)

    def init(self, model, start, given):
        """`start` Unknowns to begin at; zeros where not `given`."""
        point = flatten(start)
        inf = jnp.full((), jnp.inf, point.dtype)
        return GradientState(Query(start), point, inf, jnp.zeros_like(point), inf, jnp.zeros((), jnp.int32))

    def step(self, model, state, info):
        trial = state.query.point
        point = flatten(trial)
        value, grad = model.penalized(info.value, info.grad, trial)
        move = -jnp.asarray(self.alpha, point.dtype) * grad
        largest = jnp.max(jnp.abs(move))
        finite = jnp.isfinite(value) & jnp.isfinite(largest)
        done = largest <= jnp.asarray(self.tol, point.dtype)
        status = jnp.where(finite, jnp.where(done, Status.CONVERGED, Status.RUNNING), Status.DIVERGED)
        keep = lambda new, old: jnp.where(finite, new, old)
        best = keep(point, state.point)
        return GradientState(
            Query(unflatten(best + keep(move, jnp.zeros_like(move)), trial)), best, keep(value, state.value),
            keep(grad, state.grad), keep(largest, state.decrement), status.astype(jnp.int32),
        )  # fmt: skip
