"""Fits of many columns, most of whose coefficients are 0: the few that are not, with those that may join them.

Proximal Newton on the host: each step asks all columns for their gradient and makes a Hessian of the working set alone,
so that nothing p x p is needed and nothing compiled for the set's size (as glmnet does, Friedman et al. 2010).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import penalties
from jglm.fitting.iterate import by_proximal, constant_start, descend
from jglm.fitting.problem import flatten_host
from jglm.model import Unknowns
from jglm.solvers import Status

ROUNDS = 1000  # of the quadratic problem
FEW = 64  # coefficients at 0 that are moved one by one in a round
NEAR = 0.85  # of the strength: the next one of a path may let in columns whose gradient is so large
GROWTH = 1.5  # of a Hessian that many looks share


def by_working_set(problem, start, tol, most, progress, losses=None):
    """As `by_proximal`, from coefficients most of which are 0. Groups, several columns of lin, and devices go there.
    `losses` (`Losses`) are handed from one strength of a path to the next."""
    start = constant_start(problem) if start is None else start
    terms = problem.model.terms(Unknowns(jnp.asarray(start, jnp.float64), {}))
    elsewhere = jax.default_backend() != "cpu"
    if terms.members is not None or problem.model.width() is not None or elsewhere:
        return by_proximal(problem, start, tol, most, progress)
    l1, lower, upper = (np.asarray(v) for v in (terms.l1, terms.lower, terms.upper))
    flat = np.clip(flatten_host(start), lower, upper)
    smooth = (
        problem.penalty_diagonal() if penalties.is_separable(problem.model.penalty) else problem.penalty_hessian(flat)
    )
    losses = Losses(problem) if losses is None else losses
    look = lambda flat: _Look(losses.at(flat), smooth, l1, flat)

    def propose(flat, seen):
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.where((flat != 0) | (l1 == 0), np.inf, np.abs(seen.slope) / l1)
        kept = size > 1
        H, slope = seen.hessian(kept, size), seen.slope[kept]
        target = minimize(H, H @ flat[kept] - slope, l1[kept], lower[kept], upper[kept], flat[kept])
        step, bent = np.zeros_like(flat), np.zeros_like(flat)
        step[kept] = target - flat[kept]
        bent[kept] = H @ step[kept]
        drop = seen.slope @ step + l1 @ (np.abs(flat + step) - np.abs(flat))
        return step, bent, drop, problem.dispersion(seen.loss.view, int(np.count_nonzero(flat)))

    found = descend(flat, look, propose, tol, most, progress, "working set")
    return by_proximal(problem, start, tol, most, progress) if found.status == Status.INVALID_START else found


class Losses:
    """The loss of all rows of a problem, remembered where it was looked at last, with Hessians: along a path a fit
    begins where the one before ended, and the curvature of a gaussian's rows is the same everywhere."""

    def __init__(self, problem):
        self.problem, self.last, none = problem, None, np.zeros(problem.design.shape[1], bool)
        self._bend, self._made, self._hessian = np.zeros(0), none, np.zeros((0, 0))

    def at(self, flat):
        if self.last is None or not np.array_equal(self.last.flat, flat):
            self.last = _Loss(self, flat)
        return self.last

    def hessian(self, loss, kept, size):
        """X'WX of the columns `kept` at a loss; made for some more, those of the largest `size`, which later looks may
        ask for."""
        if not np.array_equal(self._bend, loss.bend):
            self._bend, self._made, self._hessian = loss.bend, np.zeros_like(kept), np.zeros((0, 0))
        if np.any(kept & ~self._made):
            made = kept | (size > NEAR)
            if np.any(self._made):  # one for several looks
                made |= self._made
                first = np.argsort(-np.where(made, np.inf, size))[: int(GROWTH * np.sum(made))]
                made[first] = True
            design, self._made = self.of(made)
            self._hessian = design.crossprod(loss.bend)
        among = kept[self._made]
        return self._hessian if among.all() else self._hessian[np.ix_(among, among)]

    def of(self, kept):
        """(the design of those columns, which they are); all columns where they cost hardly more than some of them."""
        if self.problem.design.gram_is_cheap or np.sum(kept) > 0.7 * len(kept) or not np.any(kept):
            return self.problem.hosted, np.ones_like(kept)
        return self.problem.hosted.columns(kept), kept


class _Loss:
    """The loss at coefficients: its `view`, its gradient, and the curvature of the rows times their weight."""

    def __init__(self, losses, flat):
        problem, self.losses, self.flat = losses.problem, losses, flat
        design, which = losses.of(flat != 0)
        self.view = view = problem.derivatives(design.times(flat[which]) + problem.prepared.offset)
        self.grad = problem.hosted.rtimes(problem.prepared.weight * view.score)
        self.bend = problem.prepared.weight * np.where(view.observed > 0, view.observed, view.expected)


class _Look:
    """The objective at coefficients, and of the loss with the smooth part of the penalty the gradient, and Hessians of
    some columns; `smooth` is that part's Hessian, or its diagonal."""

    def __init__(self, loss, smooth, l1, flat):
        self.loss, self.smooth = loss, smooth
        bent = smooth * flat if smooth.ndim == 1 else smooth @ flat
        self.objective = loss.view.objective + 0.5 * float(bent @ flat) + float(l1 @ np.abs(flat))
        self.slope = loss.grad + bent

    def hessian(self, kept, size):
        """Of the columns `kept` (see `Losses.hessian`)."""
        own = np.diag(self.smooth[kept]) if self.smooth.ndim == 1 else self.smooth[np.ix_(kept, kept)]
        return self.loss.losses.hessian(self.loss, kept, size) + own


# --------------------------------------------------------------------------- the quadratic problem
def minimize(H, push, l1, lower, upper, x):
    """argmin_x x'Hx / 2 - push·x + sum l1 |x| within bounds: `solvers.proximal.minimize` for sizes that change.

    Coefficients that would leave 0 or a bound are moved one by one, then a Newton step of those that are free goes as
    far as it leads down.
    """
    diagonal = np.diagonal(H)
    h = np.where(diagonal > 0, diagonal, 1.0)
    root, x = np.sqrt(h), x.copy()
    alone = lambda x, q: np.clip(_soft(x - (q - push) / h, l1 / h), lower, upper)
    q, first = H @ x, None
    for _ in range(ROUNDS):
        moves = np.where(diagonal > 0, np.abs(root * (alone(x, q) - x)), 0.0)
        first = max(moves.max(initial=0.0), np.finfo(float).tiny) if first is None else first
        floor = (
            64
            * np.finfo(float).eps
            * (np.max(root * np.abs(x), initial=0.0) + np.max(np.abs(push) / root, initial=0.0))
        )
        if moves.max(initial=0.0) <= max(1e-12 * first, floor):
            break
        order = np.argsort(-moves)[:FEW]
        for j in order[moves[order] > 0]:
            move = _alone(x[j] - (q[j] - push[j]) / h[j], l1[j] / h[j], lower[j], upper[j]) - x[j]
            if move != 0:
                x[j] += move
                q += move * H[j]
        x, q = _newton(H, push, l1, lower, upper, x, q)
    return x


def _soft(v, threshold):
    return np.sign(v) * np.maximum(np.abs(v) - threshold, 0.0)


def _alone(v, threshold, lower, upper):
    """`_soft` of one number, within bounds: NumPy's functions take ten times as long."""
    v = v - threshold if v > threshold else v + threshold if v < -threshold else 0.0
    return min(max(v, lower), upper)


def _newton(H, push, l1, lower, upper, x, q):
    free = np.flatnonzero(((x != 0) | (l1 == 0)) & (x > lower) & (x < upper) & (np.diagonal(H) > 0))
    if not len(free):
        return x, q
    slope = q[free] - push[free] + l1[free] * np.sign(x[free])
    step = -_steadied_solve(H if len(free) == len(x) else H[np.ix_(free, free)], slope)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [
            np.where(l1[free] > 0, -x[free] / step, np.inf),
            (lower[free] - x[free]) / step,
            (upper[free] - x[free]) / step,
        ]
    ends = [np.where((t > 0) & (step != 0), t, np.inf) for t in ends]
    most = min(1.0, min(float(t.min()) for t in ends))
    best, found = _value(H, push, l1, x, q), (x, q)
    for t in dict.fromkeys((1.0, most, 0.5, 0.25, 0.1, 0.03)):
        other = x.copy()
        other[free] = np.clip(np.where(ends[0] <= t, 0.0, x[free] + t * step), lower[free], upper[free])
        bent = H @ other
        value = _value(H, push, l1, other, bent)
        if value < best:
            best, found = value, (other, bent)
            if t == 1.0 and most == 1.0:
                break
    return found


def _steadied_solve(H, b):
    """H^-1 b, with a little on the diagonal: columns may be linearly dependent."""
    s = 1 / np.sqrt(np.diagonal(H))
    unit = s[:, None] * H
    unit *= s
    np.einsum("ii->i", unit)[:] += np.finfo(float).eps ** (2 / 3)
    return s * np.linalg.solve(unit, s * b)


def _value(H, push, l1, x, q):
    return float(0.5 * x @ q - push @ x + l1 @ np.abs(x))
