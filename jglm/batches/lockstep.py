"""One step of Newton's method in every lane of a batch: the rule of `solvers.Newton` for arrays with a leading axis.

Written for NumPy (xp = np) and traced arrays (xp = jnp) alike. Lanes share arrays and no number, so that a rejected
step, a singular Hessian or a NaN in one of them changes no other.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.solvers.base import Status

SURE = 1e-3  # standard errors: from here on a step is taken at its word
BLEND = 0.5  # from the overall mean to a row's own: where rows begin, and by fourths
LEAST_BLEND = BLEND / 4**10  # nearer to the mean where that leads outside the domain
EPS = float(np.finfo(float).eps)
LEAST = 1e-12  # eigenvalue of a matrix of unit diagonal that is positive definite
SMALL = 32  # unknowns: so many are eliminated one by one in a compiled program, more by LAPACK, a call for each lane


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


def from_rows(lanes, state, blend, lost):
    """The State, traced, whose lost lanes (b,) are to look at their `first_trial` with that blend."""
    there = lambda: jnp.where(lost[:, None], first_trial(jnp, lanes, blend), state.trial)
    return State(**{**vars(state), "trial": lax.cond(jnp.any(lost), there, lambda: state.trial)})


def outside(xp, sums):
    """(b,): whether what was looked at lies outside the domain."""
    return ~(xp.isfinite(sums.value) & xp.all(xp.isfinite(sums.grad), axis=1))


def again(state, lanes):
    """The State in which some lanes (b,) begin anew at their points."""
    anew = State(**{**vars(begin(np, state.point)), "late": state.late, "n_iter": state.n_iter})
    return where(np, lanes, anew, state)


def where(xp, lanes, one, other):
    """The State of one in some lanes (b,), that of the other elsewhere."""
    return jax.tree.map(lambda v, w: xp.where(lanes[:, None] if v.ndim > 1 else lanes, v, w), one, other)


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
    armijo = sums.value <= state.value + 1e-4 * state.length * state.slope
    ahead = (sums.grad * state.step).sum(axis=1)
    close = sums.value <= state.value + 1e-10 * xp.abs(state.value) + 4 * xp.sqrt(sums.noise)
    return ~outside(xp, sums) & (~begun | armijo | (close & (xp.abs(ahead) <= 0.9 * xp.abs(state.slope))))


def directions(xp, sums):
    """(-H^-1 g, g' H^-1 g) of every lane; by the expected information where H is not positive definite."""
    step = -solve(xp, sums.hess, sums.grad) if sums.fisher is None else _step_of_any(xp, sums)
    return step, xp.maximum(-(sums.grad * step).sum(axis=1), 0.0)


def solve(xp, hess, rhs):
    """H^-1 rhs of positive semidefinite H (b, P, P), scaled to a unit diagonal; NaN lanes stay NaN."""
    unit, s, sound = _scaled(xp, hess)
    found = s * _solve(xp, unit, s * rhs)
    return xp.where(sound[:, None], found, xp.nan)


def _scaled(xp, hess, ridge=4 * EPS):
    """(H scaled to a diagonal of 1 or -1, with `ridge` times P on it, the scale, whether H is finite); lanes that are
    not get the identity. A direction without curvature has scale 0, and a 1 in its place."""
    P = hess.shape[1]
    diagonal = xp.abs(xp.einsum("bii->bi", hess))
    there = diagonal > 0
    s = xp.where(there, 1 / xp.sqrt(xp.where(there, diagonal, 1.0)), 0.0)
    extra = xp.where(there, P * ridge, 1.0)
    unit = s[:, :, None] * hess * s[:, None, :] + extra[:, :, None] * xp.eye(P)[None]
    sound = xp.all(xp.isfinite(unit), axis=(1, 2))
    return xp.where(sound[:, None, None], unit, xp.eye(P)[None]), s, sound


def _step_of_any(xp, sums):
    """The Newton step where the Hessian is positive definite, else one of |Fisher's information|."""
    unit, s, sound = _scaled(xp, sums.hess)
    if xp is np:
        convex = sound & _positive(unit)
        plain = _solve(np, np.where(convex[:, None, None], unit, np.eye(unit.shape[1])), s * sums.grad)
        return -s * plain if convex.all() else _repaired(np, sums, convex, -s * plain)
    plain, pivot = _divided(unit, (s * sums.grad)[:, :, None])
    convex, plain = sound & (pivot > LEAST), -s * plain[:, :, 0]
    return lax.cond(jnp.all(convex), lambda: plain, lambda: _repaired(jnp, sums, convex, plain))


def _positive(unit):
    """(b,): whether matrices are positive definite, LEAST and more."""
    try:
        np.linalg.cholesky(unit - LEAST * np.eye(unit.shape[1]))
        return np.ones(len(unit), bool)
    except np.linalg.LinAlgError:  # one of them is not
        return np.linalg.eigvalsh(unit)[:, 0] > LEAST


def _repaired(xp, sums, convex, plain):
    """The steps, in lanes that are not convex those of |Fisher's information|."""
    unit, s, sound = _scaled(xp, sums.fisher)
    lengths, vectors = xp.linalg.eigh(unit)
    size = xp.maximum(xp.abs(lengths), 1e-8)
    along = (vectors.swapaxes(1, 2) @ (s * sums.grad)[:, :, None])[:, :, 0] / size
    other = -s * (vectors @ along[:, :, None])[:, :, 0]
    return xp.where(convex[:, None], plain, xp.where(sound[:, None], other, xp.nan))


def _solve(xp, A, b):
    if xp is not np:
        return _divided(A, b[:, :, None])[0][:, :, 0]
    try:
        return np.linalg.solve(A, b[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # a pivot of one lane is exactly 0
        return np.linalg.solve(A + 1e-10 * np.eye(A.shape[1]), b[:, :, None])[:, :, 0]


def _divided(A, B):
    """(A^-1 B, the least pivot (b,), NaN or not above 0 where A is not positive definite) of A (b, P, P), traced."""
    P = A.shape[1]
    if P > SMALL:
        L = lax.linalg.cholesky(A, symmetrize_input=False)
        half = lax.linalg.triangular_solve(L, B, left_side=True, lower=True)
        full = lax.linalg.triangular_solve(L, half, left_side=True, lower=True, transpose_a=True)
        return full, jnp.min(jnp.einsum("bii->bi", L) ** 2, axis=1)
    own = jnp.arange(P)[None, :, None]

    def eliminate(k, found):
        M, least = found
        row = lax.dynamic_index_in_dim(M, k, 1, keepdims=False)
        pivot = lax.dynamic_index_in_dim(row, k, 1)
        row, column = row / pivot, lax.dynamic_index_in_dim(M, k, 2)
        return jnp.where(own == k, row[:, None], M - column * row[:, None]), jnp.minimum(least, pivot[:, 0])

    M, least = lax.fori_loop(0, P, eliminate, (jnp.concatenate([A, B], axis=2), jnp.full(len(A), jnp.inf)))
    return M[:, :, P:], least


# --------------------------------------------------------------------------- where models end
@record
class End:
    """What is said of b models at their ends: the roots of the diagonal of the inverse information, the largest factor
    by which a variance is inflated by the other columns, what is left of the objective, g' I^-1 g, and chi2, noise and
    moved of `lanes.Ends`."""

    root: Any
    inflation: Any
    drop: Any
    chi2: Any
    noise: Any
    moved: Any


def ended(xp, lanes, point, move):
    """The End of models at their points; `move` as `lanes.Lanes.finish` has it."""
    ends = lanes.finish(point, move)
    unit, s, sound = _scaled(xp, ends.info, 0.0)
    there = s > 0
    inverse = _inverse(xp, unit)
    inflation = xp.where(sound[:, None], xp.einsum("bii->bi", inverse), xp.nan)
    root = xp.sqrt(xp.where(inflation > 0, inflation, xp.nan)) * xp.where(there, s, xp.nan)
    g = s * ends.grad[:, : s.shape[1]]
    drop = xp.abs((g * (inverse @ g[:, :, None])[:, :, 0]).sum(axis=1))
    known = xp.all((inflation > 0) & there, axis=1)
    worst = xp.where(known, inflation.max(axis=1), xp.inf)
    return End(root, worst, drop, ends.chi2, ends.noise, ends.moved)


def _inverse(xp, unit):
    eye = xp.eye(unit.shape[1])
    if xp is not np:
        return _divided(unit, jnp.broadcast_to(eye, unit.shape))[0]
    try:
        return np.linalg.inv(unit)
    except np.linalg.LinAlgError:
        return np.linalg.inv(unit + 1e-14 * eye)
