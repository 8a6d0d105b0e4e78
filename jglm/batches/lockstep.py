"""One step of Newton's method in every lane of a batch: the rule of `solvers.Newton` for arrays with a leading axis.

Written for NumPy (xp = np) and traced arrays (xp = jnp) alike. Lanes share arrays and no number, so that a rejected
step, a singular Hessian or a NaN in one of them changes no other.
"""

from typing import Any

import numpy as np

from jglm._record import record
from jglm.solvers.base import Status

SURE = 1e-3  # standard errors: from here on a step is taken at its word
BLEND = 0.5  # from the overall mean to a row's own: where rows begin


@record
class State:
    """Of b models: the trial that is looked at next, the best point so far (flat) and what is known there: objective,
    Newton step, the share of it on trial, gradient times step, distance to the optimum in standard errors, whether that
    is so small that rounding may be all that is left, the last step at a small distance (a large one tells of
    separation); `solvers.Status` and passes over the data."""

    trial: Any
    point: Any
    value: Any
    step: Any
    length: Any
    slope: Any
    decrement: Any
    near: Any
    late: Any
    status: Any
    n_iter: Any


def first_trial(xp, lanes, blend):
    """Where the first IRLS step leads from rows at their own start, with blend (b,) (see `stacked.starts`)."""
    grad, hess = lanes.begin(blend)
    return -solve(xp, hess, grad)


def begin(xp, trial):
    """The State before anything is known."""
    b, zero = len(trial), xp.zeros_like(trial)
    one, inf, none = xp.ones(b), xp.full(b, xp.inf), xp.zeros(b, np.int32)
    return State(trial, trial, inf, zero, one, -inf, inf, xp.zeros(b, bool), zero, none, none)


def again(state, lanes):
    """The State in which some lanes (b,) begin anew at their points."""
    keep = lambda new, old: np.where(lanes[:, None] if old.ndim > 1 else lanes, new, old)
    return State(
        keep(state.point, state.trial), state.point, keep(np.inf, state.value), state.step, keep(1.0, state.length),
        keep(-np.inf, state.slope), keep(np.inf, state.decrement), keep(False, state.near), state.late,
        keep(np.int32(Status.RUNNING), state.status), state.n_iter,
    )  # fmt: skip


def advance(xp, state, sums, tol, dof=None):
    """The step of `solvers.Newton` in every lane, for NumPy (xp = np) or traced (jnp); dof (b,) where the dispersion is
    estimated. A lane whose next step is sure to be below tol takes it and is done."""
    step, drop = directions(xp, sums)
    phi = xp.ones_like(drop) if dof is None else sums.chi2 / dof
    decrement = xp.sqrt(drop / xp.maximum(phi, 1e-300))
    floor = drop <= 1e8 * sums.noise
    running, begun = state.status == Status.RUNNING, xp.isfinite(state.value)
    taken = running & _accepted(xp, state, sums, begun)
    near = (decrement < 1e-5) | floor
    idle = begun & near & (decrement > 0.9 * state.decrement)
    small = drop <= 1e-4 * (1 + xp.abs(sums.value))
    # Near the end Newton's steps shrink quadratically: by the last two, the next one is below tol. (Who takes the step
    # looks at the gradient there.)
    ratio = decrement / state.decrement
    sure = begun & (state.length == 1) & (decrement < SURE) & (ratio < 0.05) & (decrement * ratio**2 <= 0.1 * tol)
    done = small & ((decrement <= tol) | sure)
    end = xp.where(done, Status.CONVERGED, xp.where(idle, Status.FLOOR, Status.RUNNING))
    stuck = xp.where(begun, xp.where(state.near, Status.FLOOR, Status.STALLED), Status.INVALID_START)
    fail = xp.where((state.length < 1e-10) | ~begun, stuck, Status.RUNNING)
    status = xp.where(running, xp.where(taken, end, fail), state.status).astype(np.int32)
    keep = lambda new, old: xp.where(taken[:, None] if new.ndim > 1 else taken, new, old)
    point, step = keep(state.trial, state.point), keep(step, state.step)
    length = xp.where(taken, 1.0, xp.where(running, state.length / 2, state.length))
    late = (taken & small & (decrement < 1e-5) & (decrement > 1e-8))[:, None]
    last = (taken & done & xp.all(xp.isfinite(step), axis=1))[:, None]
    return State(
        point + length[:, None] * step, xp.where(last, point + step, point), keep(sums.value, state.value), step,
        length, keep(-drop, state.slope), keep(decrement, state.decrement), keep(near, state.near),
        xp.where(late, step, state.late), status, state.n_iter + running.astype(np.int32),
    )  # fmt: skip


def _accepted(xp, state, sums, begun):
    """`solvers.base.accept` in every lane."""
    finite = xp.isfinite(sums.value) & xp.all(xp.isfinite(sums.grad), axis=1)
    armijo = sums.value <= state.value + 1e-4 * state.length * state.slope
    ahead = (sums.grad * state.step).sum(axis=1)
    close = sums.value <= state.value + 1e-10 * xp.abs(state.value) + 4 * xp.sqrt(sums.noise)
    return finite & (~begun | armijo | (close & (xp.abs(ahead) <= 0.9 * xp.abs(state.slope))))


def directions(xp, sums):
    """(-H^-1 g, g' H^-1 g) of every lane; by the expected information where H is not positive definite."""
    step = -solve(xp, sums.hess, sums.grad) if sums.fisher is None else _step_of_any(xp, sums)
    return step, xp.maximum(-(sums.grad * step).sum(axis=1), 0.0)


def solve(xp, hess, rhs):
    """H^-1 rhs of positive semidefinite H (b, P, P), scaled to a unit diagonal; NaN lanes stay NaN."""
    unit, s, sound = _scaled(xp, hess)
    found = s * _solve(xp, unit, s * rhs)
    return xp.where(sound[:, None], found, xp.nan)


def _scaled(xp, hess):
    """(H scaled to a diagonal of 1 or -1, the scale, whether H is finite); lanes that are not get the identity. A
    direction without curvature has scale 0, and a 1 in its place."""
    P = hess.shape[1]
    diagonal = xp.abs(xp.einsum("bii->bi", hess))
    there = diagonal > 0
    s = xp.where(there, 1 / xp.sqrt(xp.where(there, diagonal, 1.0)), 0.0)
    extra = xp.where(there, 4 * P * np.finfo(float).eps, 1.0)
    unit = s[:, :, None] * hess * s[:, None, :] + extra[:, :, None] * xp.eye(P)[None]
    sound = xp.all(xp.isfinite(unit), axis=(1, 2))
    return xp.where(sound[:, None, None], unit, xp.eye(P)[None]), s, sound


def _step_of_any(xp, sums):
    """The Newton step where the Hessian is positive definite, else one of |Fisher's information|."""
    unit, s, sound = _scaled(xp, sums.hess)
    convex = sound & (xp.linalg.eigvalsh(unit)[:, 0] > 1e-12)
    plain = -s * _solve(xp, xp.where(convex[:, None, None], unit, xp.eye(unit.shape[1])[None]), s * sums.grad)
    if xp is np and convex.all():
        return plain
    unit, s, sound = _scaled(xp, sums.fisher)
    lengths, vectors = xp.linalg.eigh(unit)
    size = xp.maximum(xp.abs(lengths), 1e-8)
    along = (vectors.swapaxes(1, 2) @ (s * sums.grad)[:, :, None])[:, :, 0] / size
    other = -s * (vectors @ along[:, :, None])[:, :, 0]
    return xp.where(convex[:, None], plain, xp.where(sound[:, None], other, xp.nan))


def _solve(xp, A, b):
    try:
        return xp.linalg.solve(A, b[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # of NumPy, where a pivot of one lane is exactly 0
        return np.linalg.solve(A + 1e-10 * np.eye(A.shape[1]), b[:, :, None])[:, :, 0]
