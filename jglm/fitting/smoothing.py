"""The strengths of quadratic penalties by the data: generalized cross-validation or restricted likelihood.

Craven and Wahba (1979) for GCV, with its form for a known dispersion (UBRE); Wood (2011) for the Laplace approximation
of the restricted likelihood. Each strength in turn is searched on the log scale, over fits that begin at the last one.
"""

import dataclasses

import numpy as np

from jglm import penalties
from jglm.model import Model

KINDS = ("gcv", "reml")
REACH, STEPS = 16.0, 13  # how far the log strength goes from where penalty and information are of a size; a first look
CYCLES = 30
APART = 0.01  # of the points of a difference, in log strengths


def asked(penalty):
    """How the strengths of parts are to be found, None for those that are given."""
    strengths = [getattr(part, "strength", None) for part in penalties.parts_of(penalty)]
    return [strength if isinstance(strength, str) else None for strength in strengths]


def choose(problem, kinds, fit):
    """The problem with strengths in place of the kinds: those of the least criterion.

    `fit(problem, start)` gives flat coefficients, or None where that did not converge. Raises ValueError for "reml"
    where the dispersion is estimated and the family is not gaussian's.
    """
    kind = next(k for k in kinds if k is not None)
    if any(k not in (None, kind) for k in kinds):
        raise ValueError("the strengths of one fit must all be found by 'gcv', or all by 'reml'")
    family = problem.model.family
    if kind == "reml" and family.dispersion == "estimated" and family.name != "gaussian":
        raise ValueError(f"'reml' is for a known dispersion, or the gaussian family; for {family.name!r} use 'gcv'")
    parts, free = penalties.parts_of(problem.model.penalty), [i for i, k in enumerate(kinds) if k is not None]
    seen = lambda logs: problem.with_model(Model(family, problem.model.link, _with_strengths(parts, free, logs)))
    H = problem.gram(problem.prepared.weight)
    logs = [np.log(np.trace(H) / max(np.trace(parts[i].matrix), 1e-300)) for i in free]
    search = _Search(seen, fit, kind, np.array(logs))
    for _ in range(CYCLES if len(free) > 1 else 1):
        before = search.logs.copy()
        for i in range(len(free)):
            search.along(i)
        if np.max(np.abs(search.logs - before)) < 1e-5:
            break
    return seen(search.logs)


class _Search:
    """The criterion at log strengths, and the best seen so far."""

    def __init__(self, seen, fit, kind, logs):
        self.seen, self.fit, self.kind, self.logs, self.start = seen, fit, kind, logs, None
        self.middle = logs.copy()

    def __call__(self, i, value):
        logs = self.logs.copy()
        logs[i] = value
        problem = self.seen(logs)
        flat = self.fit(problem, self.start)
        if flat is None:
            return np.inf
        self.start = problem.shape(flat)
        return criterion(problem, flat, self.kind)

    def along(self, i):
        """The best log strength of one penalty, the others as they are."""
        from scipy.optimize import minimize_scalar

        grid = self.middle[i] + np.linspace(-REACH, REACH, STEPS)
        best = int(np.argmin([self(i, value) for value in grid]))
        ends = grid[max(best - 1, 0)], grid[min(best + 1, STEPS - 1)]
        found = minimize_scalar(lambda value: self(i, value), bounds=ends, method="bounded", options=dict(xatol=1e-7))
        self.logs[i] = found.x + self._rest(i, found.x, found.fun)

    def _rest(self, i, x, least):
        """The Newton step from x, by differences: values alone tell a minimum to the root of their rounding."""
        left, near_left, near_right, right = (self(i, x + k * APART) for k in (-2, -1, 1, 2))
        slope = (left - 8 * near_left + 8 * near_right - right) / (12 * APART)
        bend = (left + right - 2 * least) / (4 * APART**2)
        return -slope / bend if bend > 0 and abs(slope) < APART * bend else 0.0


def criterion(problem, flat, kind):
    """GCV n D / (n - edf)^2, or UBRE (D + 2 edf) / n where the dispersion is known; or minus the log restricted
    likelihood but for a constant: at the optimum, edf = tr (H + P)^-1 H."""
    lin = problem.lin(flat)
    H, P, totals = problem.information(lin), problem.penalty_hessian(flat), problem.totals(lin)
    n, known = problem.prepared.nobs, problem.model.family.dispersion == "fixed"
    deviance = float(totals.deviance)
    if kind == "gcv":
        edf = float(np.trace(np.linalg.solve(H + P, H)))
        return (deviance + 2 * edf) / n if known else n * deviance / (n - edf) ** 2
    values = np.linalg.eigvalsh(P)
    values = values[values > 1e-9 * max(values.max(), 1e-300)]
    shrunk = 0.5 * (np.linalg.slogdet(H + P)[1] - np.sum(np.log(values)))
    size = float(flat @ P @ flat)
    if known:
        return -float(totals.llf) + 0.5 * size + shrunk
    free = n - (len(flat) - len(values))
    return 0.5 * free * np.log((deviance + size) / free) + shrunk


def _with_strengths(parts, free, logs):
    """The penalty with strengths exp(logs) for some of its parts."""
    parts = list(parts)
    for i, value in zip(free, logs, strict=True):
        parts[i] = dataclasses.replace(parts[i], strength=np.asarray(np.exp(value)))
    return parts[0] if len(parts) == 1 else penalties.Sum(tuple(parts))
