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


def by_working_set(problem, start, tol, most, progress):
    """As `by_proximal`, from coefficients most of which are 0. Groups, several columns of lin, and devices go there."""
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
    look = lambda flat: _Look(problem, smooth, l1, flat)

    def propose(flat, seen):
        kept = (flat != 0) | (l1 == 0) | (np.abs(seen.slope) > l1)
        H, slope = seen.hessian(kept), seen.slope[kept]
        target = minimize(H, H @ flat[kept] - slope, l1[kept], lower[kept], upper[kept], flat[kept])
        step, bent = np.zeros_like(flat), np.zeros_like(flat)
        step[kept] = target - flat[kept]
        bent[kept] = H @ step[kept]
        drop = seen.slope @ step + l1 @ (np.abs(flat + step) - np.abs(flat))
        return step, bent, drop, problem.dispersion(seen.view, int(np.count_nonzero(flat)))

    found = descend(flat, look, propose, tol, most, progress, "working set")
    return by_proximal(problem, start, tol, most, progress) if found.status == Status.INVALID_START else found


class _Look:
    """The objective at coefficients, and of the loss with the smooth part of the penalty the gradient, and Hessians of
    some columns; `smooth` is that part's Hessian, or its diagonal."""

    def __init__(self, problem, smooth, l1, flat):
        self.problem, self.smooth, p = problem, smooth, problem.prepared
        lin = problem.hosted.times(flat) if self._takes_all(flat != 0) else self._some(flat != 0).times(flat[flat != 0])
        self.view = problem.derivatives(lin + p.offset)
        bent = smooth * flat if smooth.ndim == 1 else smooth @ flat
        self.objective = self.view.objective + 0.5 * float(bent @ flat) + float(l1 @ np.abs(flat))
        self.slope = problem.hosted.rtimes(p.weight * self.view.score) + bent

    def hessian(self, kept):
        """Of the columns `kept`."""
        v, w = self.view, self.problem.prepared.weight
        w = w * np.where(v.observed > 0, v.observed, v.expected)
        whole = self._takes_all(kept)
        own = self.problem.hosted.crossprod(w)[np.ix_(kept, kept)] if whole else self._some(kept).crossprod(w)
        return own + (np.diag(self.smooth[kept]) if self.smooth.ndim == 1 else self.smooth[np.ix_(kept, kept)])

    def _takes_all(self, kept):
        """Whether all columns cost hardly more than some of them."""
        return self.problem.design.gram_is_cheap or np.sum(kept) > 0.7 * len(kept) or not np.any(kept)

    def _some(self, kept):
        return self.problem.hosted.columns(kept)


# --------------------------------------------------------------------------- the quadratic problem
def minimize(H, push, l1, lower, upper, x):
    """argmin_x x'Hx / 2 - push·x + sum l1 |x| within bounds: `solvers.proximal.minimize` for sizes that change.

    Coefficients that would leave 0 or a bound are moved one by one, then a Newton step of those that are free goes as
    far as it leads down.
    """
    diagonal = np.diagonal(H)
    h = np.where(diagonal > 0, diagonal, 1.0)
    root, x = np.sqrt(h), x.copy()
    alone = lambda x, q, j=slice(None): np.clip(_soft(x[j] - (q[j] - push[j]) / h[j], l1[j] / h[j]), lower[j], upper[j])
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
        for j in np.argsort(-moves)[:FEW]:
            move = alone(x, q, j) - x[j] if diagonal[j] > 0 else 0.0
            if move != 0:
                x[j] += move
                q += move * H[j]
        x, q = _newton(H, push, l1, lower, upper, x, q)
    return x


def _soft(v, threshold):
    return np.sign(v) * np.maximum(np.abs(v) - threshold, 0.0)


def _newton(H, push, l1, lower, upper, x, q):
    free = np.flatnonzero(((x != 0) | (l1 == 0)) & (x > lower) & (x < upper) & (np.diagonal(H) > 0))
    if not len(free):
        return x, q
    own = H[np.ix_(free, free)]
    s = 1 / np.sqrt(np.diagonal(own))
    slope = q[free] - push[free] + l1[free] * np.sign(x[free])
    unit = s[:, None] * own * s + np.finfo(float).eps ** (2 / 3) * np.eye(len(free))
    step = -s * np.linalg.solve(unit, s * slope)
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


def _value(H, push, l1, x, q):
    return float(0.5 * x @ q - push @ x + l1 @ np.abs(x))
