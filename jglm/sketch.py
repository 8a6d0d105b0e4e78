"""Fits of many rows in few passes: Newton's method on a random sample, then L-BFGS on all rows about its Hessian.

The Hessian of a sample of m rows is that of all up to a share of about sqrt(p / m), so each pass over all rows, which
asks for the gradient only, gains about a digit; the sample's own optimum is where they begin (Erdogdu and Montanari
2015 sketch Newton's method so). The gradient alone decides where the fit ends.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import linalg
from jglm.iterate import by_irls, by_solver
from jglm.model import HESSIAN, Query, Unknowns
from jglm.passes import HostPass
from jglm.penalties import scaled
from jglm.solvers import LBFGS
from jglm.solvers.lbfgs import metric_of

FIRST, LEAST, MOST = 20, 40, 640  # rows of the samples, per column of the design
SHARE = 8  # the sample is at most one of this many rows where that is enough
ENOUGH = 4  # and no more than one of this many in any case
SEED = 0


def by_sketch(problem, tol, progress):
    """The fit as `Found`; None where a sample does not tell enough, as for rare events."""
    p = problem.design.shape[1]
    on = np.flatnonzero(problem.prepared.weight > 0)
    sizes = sample_sizes(len(on), p, problem.width)
    if sizes is None:
        return None
    chosen = np.random.default_rng(SEED).choice(on, sizes[1], replace=False)
    share = sizes[1] / len(on)
    # What is added to the objective of all rows counts for less in that of a sample.
    penalty = None if problem.model.penalty is None else scaled(problem.model.penalty, share)
    first, second = (problem.part(np.sort(chosen[:m]), penalty) for m in sizes)
    begun = by_irls(first, None, 1e-2, 30) if problem.width == 1 else _from_null(second)
    if begun is None or not begun.status.converged:
        return None
    hess = HostPass(second)(Query(Unknowns(first.shape(begun.flat), {})), HESSIAN).hess
    P = second.penalty_hessian(begun.flat)
    metric = _metric_compiled(hess if P is None else hess + P)
    if problem.width == 1 and sizes[0] < sizes[1]:
        begun = by_solver(second, LBFGS(metric, 0.1, 20), first.shape(begun.flat), False)
        if not begun.status.converged:
            return None
    found = by_solver(problem, LBFGS(metric.times(1 / share), tol), first.shape(begun.flat), progress)
    found.solver = "sketched"
    return found


def _from_null(problem):
    """The fit of a sample with several columns of lin, about the Hessian at 0: that is one p x p matrix, times the mean
    curvature of the rows. None where 0 is no valid start."""
    width, n_columns = problem.width, problem.design.shape[1]
    view = problem.derivatives(problem.prepared.offset)
    if not np.isfinite(view.objective):
        return None
    w = problem.prepared.weight
    mean = np.tensordot(w, view.expected, 1) / np.sum(w)
    hess, P = np.kron(mean, linalg.gram(problem.X, w)), problem.penalty_hessian(np.zeros(n_columns * width))
    metric = _metric_compiled(hess if P is None else hess + P)
    return by_solver(problem, LBFGS(metric, 0.1, 100), np.zeros((n_columns, width)), False)


def sample_sizes(n, p, k):
    """(rows for a start, rows for a Hessian) of n, for p columns and k columns of lin; None where n is too small."""
    columns = p * max(1, k // 2)
    second = int(np.clip(n // SHARE, LEAST * columns, MOST * columns))
    first = min(max(FIRST * p * k, 2000), second)
    return (first, second) if second <= n // ENOUGH else None


_metric_compiled = jax.jit(lambda hess: metric_of(jnp.asarray(hess)))
