"""Fits of factors: Newton's method where there are few rows, else on rows drawn by what they tell, then on all rows.

A plain sample knows nothing of levels with few rows or few events. So a row is drawn with a chance in proportion to its
score at the fit of a constant, in the metric of the information of its levels, and weighs 1 / chance (Wang, Zhu and Ma
2018, JASA 113, have this for logistic regression). Of 678,000 contracts 65,000 give coefficients at 15 standard errors
from the optimum and a Hessian about which L-BFGS gains a digit with every gradient over all rows; near the optimum the
Hessian of all rows takes its place.
"""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jglm.designs import Categorical, Dense, WithConstant
from jglm.fitting import linalg
from jglm.fitting.iterate import by_solver, constant_start, descend, has_intercept, host_pass
from jglm.fitting.passes import HostPass
from jglm.fitting.problem import ROWS
from jglm.model import GRADIENT, HESSIAN, Query, Unknowns
from jglm.rows import start_of_rows
from jglm.solvers import LBFGS, Newton, Status
from jglm.solvers.lbfgs import metric_of

SHARE = 10  # one of so many rows is drawn, in whole parts of ROWS
LEAST = 40  # rows for each column
FLOOR = 0.1  # of the mean chance: the least that a row has
PRIOR, SMALL = 0.5, 0.02  # information that every level gets at coefficient 0: a row's, or less where it has little
NEAR = 1.0  # standard errors from the optimum: from there on by the Hessian of all rows
PASSES = 15  # about either Hessian, about three times what is common
SEED = 0


def by_codes(problem, tol, most, progress):
    """The fit as `Found`, from that of a constant: levels of few events begin at 0, from where Newton's steps lead the
    right way."""
    m = rows_drawn(problem) if most > 2 * PASSES else None
    look = None if m is None else host_pass(problem)
    begun = None if look is None else _begin(problem, look, m)
    if begun is None:
        return by_solver(problem, Newton(tol, most), constant_start(problem), progress, look)
    flat, hess = begun
    found = by_solver(problem, LBFGS(_metric(hess), max(tol, NEAR), PASSES), flat, progress, look)
    passed = [found.history]
    if found.status != Status.INTERRUPTED and not (found.status.converged and tol >= NEAR):
        found = _about_all(problem, look, found.flat, tol, progress)
        passed.append(found.history[1:])  # which begins with the pass before
    if not found.status.converged and found.status != Status.INTERRUPTED:
        # A level that has no events takes more passes than that.
        found = by_solver(problem, Newton(tol, most - 2 * PASSES), found.flat, progress, look)
        passed.append(found.history)
    found.solver, found.history = "sketched", np.concatenate(passed)
    return found


def _about_all(problem, look, flat, tol, progress):
    """The fit from flat coefficients about the Hessian of all rows there."""
    P = problem.penalty_hessian(flat)
    P = np.zeros((len(flat),) * 2) if P is None else P
    hess = look(_query(flat), HESSIAN).hess + P
    found = by_solver(problem, LBFGS(_metric(hess), tol, PASSES), flat, progress, look)
    if found.status == Status.CONVERGED:  # one step more, which is short, takes no look and gains a digit
        step = linalg.newton_step(hess, look(_query(found.flat), GRADIENT).grad + P @ found.flat)
        found.flat = found.flat if step is None else found.flat + step
    return found


def rows_drawn(problem):
    """How many rows are worth drawing, None where they are too few, or the design is not of codes."""
    design = problem.design.inner if isinstance(problem.design, WithConstant) else problem.design
    if not isinstance(design, Categorical) or problem.model.width() is not None:
        return None
    rows = np.count_nonzero(problem.prepared.weight > 0)
    m = max(rows // (SHARE * ROWS), 1) * ROWS
    return m if m >= LEAST * design.width and 4 * m <= rows else None


def _begin(problem, look, m):
    """(flat coefficients, Hessian of the objective) as m rows have them, None where they do not tell."""
    flat = np.zeros(problem.design.shape[1])
    if has_intercept(problem):
        begun = _constant(problem, m)
        flat[:1] = 0.0 if begun is None else begun[0]
    seen = look.rows(flat, True)
    if not np.isfinite(seen.info.value):
        return None
    info = problem.hosted.rtimes(seen.bend)  # of a level alone
    known = problem.design.coded & (info > 0)
    each = np.divide(1.0, info, out=np.zeros_like(info), where=known)
    rows, chance = drawn(np.abs(seen.score) * np.sqrt(problem.hosted.times(each)), problem.prepared.weight > 0, m)
    part = problem.part(rows, None)
    part.prepared = dataclasses.replace(part.prepared, weight=part.prepared.weight / chance)
    phi = 1.0
    if problem.model.family.dispersion == "estimated":
        phi = float(seen.info.chi2 / max(seen.info.count, 1))
    prior = np.where(known, np.minimum(SMALL * info, PRIOR * phi), 0.0)
    P = problem.penalty_hessian(flat)
    return _newton(part, flat, np.diag(prior) if P is None else P + np.diag(prior), phi)


def _constant(problem, m):
    """The fit of a constant to m rows at even distances, as `_newton` has it: by the rows' function that is compiled
    for the fit in any case."""
    on = np.flatnonzero(problem.prepared.weight > 0)
    part = problem.as_design(Dense(np.ones((len(problem.prepared.y), 1))))
    part = part.part(on[np.linspace(0, len(on) - 1, m).astype(int)], None)
    w, y, offset = (getattr(part.prepared, name) for name in ("weight", "y", "offset"))
    mean = np.average(y, weights=w)[None]
    lin = np.asarray(problem.bound(start_of_rows)(mean, np.ones(1)))
    return _newton(part, lin - np.average(offset, weights=w), np.zeros((1, 1)), 1.0)


def drawn(size, on, m):
    """(at most m rows where `on`, in order, their chances of being drawn) with chances in proportion to `size`, but for
    the largest, which are 1, and the smallest."""
    size = np.where(on, size + FLOOR * np.mean(size[on]), 0.0)
    scale = m / np.sum(size)
    for _ in range(3):
        certain = scale * size >= 1.0
        scale = (m - np.count_nonzero(certain)) / np.sum(size, where=~certain)
    chance = np.minimum(scale * size, 1.0)
    ends = np.cumsum(chance)
    steps = np.arange(int(ends[-1])) + np.random.default_rng(SEED).random()
    rows = np.searchsorted(ends, steps[steps < ends[-1]])
    return rows, chance[rows]


@dataclass
class _Seen:
    objective: float
    grad: np.ndarray
    hess: np.ndarray


def _newton(part, flat, P, phi):
    """(flat coefficients, Hessian) near the optimum of some rows, P that of what is added to them, or None."""
    at, last = HostPass(part), {}

    def look(flat):
        info = at(_query(flat), HESSIAN)
        return _Seen(float(info.value + 0.5 * flat @ P @ flat), info.grad + P @ flat, info.hess + P)

    def propose(flat, seen):
        last["hess"], step = seen.hess, linalg.newton_step(seen.hess, seen.grad)
        return None if step is None else (step, seen.hess @ step, float(step @ seen.grad), phi)

    found = descend(flat, look, propose, NEAR, 20, False, "sample")
    return (found.flat, last["hess"]) if found.status.converged else None


def _query(flat):
    return Query(Unknowns(flat, {}))


_metric = jax.jit(lambda hess: metric_of(jnp.asarray(hess)))
