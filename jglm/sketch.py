"""Fits of many rows in few passes: Newton's method on a random sample, then L-BFGS on all rows about its Hessian.

The Hessian of a sample of m rows is that of all up to a share of about sqrt(p / m), so each pass over all rows, which
asks for the gradient only, gains about a digit; the sample's own optimum is where they begin (Erdogdu and Montanari
2015 sketch Newton's method so; the gradient alone decides where it ends).
"""

import jax
import numpy as np

from jglm.drivers import run_compiled
from jglm.model import Query, Unknowns, evaluate
from jglm.solvers import LBFGS, Newton, Status
from jglm.solvers.lbfgs import metric_of

FIRST, LEAST, MOST = 20, 40, 640  # rows of the samples, per column of the design
SHARE = 8  # the sample is at most one of this many rows where that is enough
ENOUGH = 4  # and no more than one of this many in any case
SEED = 0


def sample_sizes(n, p, k):
    """(rows for a start, rows for a Hessian) of n, for p columns and k columns of lin; None where n is too small."""
    columns = p * max(1, k // 2)
    second = int(np.clip(n // SHARE, LEAST * columns, MOST * columns))
    first = min(max(FIRST * p * k, 2000), second)
    return (first, second) if second <= n // ENOUGH else None


def draw(weight, sizes):
    """Two random samples of rows of positive weight, the first part of the second, each in order."""
    on = np.flatnonzero(weight > 0)
    if len(on) < sizes[1]:
        return None
    chosen = np.random.default_rng(SEED).choice(on, sizes[1], replace=False, shuffle=True)
    return np.sort(chosen[: sizes[0]]), np.sort(chosen)


def begin(problem, tol):
    """(Unknowns to begin at, LBFGS for all rows) from the samples; None where they do not tell, as for rare events."""
    sizes = sample_sizes(*problem.design.shape, problem.width)
    samples = None if sizes is None else draw(problem.prepared.weight, sizes)
    if samples is None:
        return None
    model, p = problem.model, problem.prepared
    first, second = (problem.rows(rows) for rows in samples)
    # What is added to the objective of all rows counts for less in that of a sample.
    share = float(np.sum(p.weight[samples[1]]) / np.sum(p.weight))
    penalized = model if model.penalty is None else model.with_penalty(model.penalty.scaled(share))
    found = run_compiled(penalized, first, Newton(1e-2, 30), None)
    if not _usable(found):
        return None
    point = Unknowns(found.coef, found.nuisance)
    metric = _metric_compiled(model, second, point, 1 / share)
    if sizes[0] < sizes[1]:
        near = run_compiled(penalized, second, LBFGS(metric.times(share), 0.1, 20), point)
        if not _usable(near):
            return None
        point = Unknowns(near.coef, near.nuisance)
    return point, LBFGS(metric, tol)


def _usable(found):
    return Status(int(found.status)).converged and bool(np.all(np.isfinite(np.asarray(found.coef))))


def _metric(model, data, point, times):
    hess = times * evaluate(model, data, Query(point), "hessian").hess
    extra = model.curvature(point)
    return metric_of(hess if extra is None else hess + extra)


_metric_compiled = jax.jit(_metric)
