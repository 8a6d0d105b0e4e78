"""Fits of many rows in few passes: Newton's method on a random sample, then L-BFGS on all rows about its Hessian.

The Hessian of a sample of m rows is that of all up to a share of about sqrt(p / m), so each pass over all rows, which
asks for the gradient only, gains about a digit; the sample's own optimum is where they begin (Erdogdu and Montanari
2015 sketch Newton's method so). The gradient alone decides where the fit ends.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jglm.drivers import evaluate_compiled
from jglm.fitting import linalg
from jglm.fitting.iterate import by_irls, by_solver, host_pass, mean_curvature
from jglm.fitting.problem import Problem
from jglm.model import HESSIAN, Model, Query, Unknowns
from jglm.penalties import Ridge
from jglm.solvers import LBFGS, Newton, Status
from jglm.solvers.lbfgs import metric_of

FIRST, LEAST, MOST = 20, 40, 640  # rows of the samples, per column of the design
SHARE = 8  # the sample is at most one of this many rows where that is enough
ENOUGH = 4  # and no more than one of this many in any case
PRIOR = 20.0  # rows' worth of information that is added to a sample, at most
FLOOR = 0.3  # of the curvature of a column at the mean: the least that a metric of a sparse design gives it
PASSES = 30  # over all rows, about twice what most fits take
SEED = 0
CLEAR = 0.03  # the part of a column that is new, far above what rounding in single precision makes of it


def by_sketch(problem, tol, most, progress):
    """The fit as `Found`; None where there are too few rows, or a sample does not tell enough."""
    on = np.flatnonzero(problem.prepared.weight > 0)
    sizes = sample_sizes(len(on), problem.design.shape[1], problem.width)
    if sizes is None:
        return None
    chosen = np.random.default_rng(SEED).choice(on, sizes[1], replace=False)
    parts = [problem.part(np.sort(chosen[:m]), None) for m in sizes]
    curvature = mean_curvature(parts[0])
    first, second = (_sample(problem, part, curvature, m / len(on)) for part, m in zip(parts, sizes, strict=True))
    begun = _begin(first, second)
    if begun is None:
        return None
    flat, hess = begun
    start, few = second.shape(flat), PASSES if most is None else min(most, PASSES)
    metric = _metric_of_all(problem, curvature, flat, hess, sizes[1] / len(on))
    found = by_solver(problem, LBFGS(metric, tol, few), start, progress)
    found.solver = "sketched"
    if found.status != Status.MAX_ITER or few == most:
        return found
    # A level that has no events takes more passes than that; Newton's method goes on from there.
    last = by_solver(problem, Newton(tol, most or 100), second.shape(found.flat), progress)
    last.history = np.concatenate([found.history, last.history])
    return last


def _begin(first, second):
    """(flat coefficients, Hessian) at (about) the optimum of the second sample, or None."""
    begun = by_irls(first, None, 1.0, 30) if first.width == 1 else _from_null(second)
    if begun is None or not begun.status.converged:
        return None
    shape = second.shape
    hess = _hessian(second, begun.flat)
    if second.width == 1 and len(first.prepared.y) < len(second.prepared.y):
        metric = _metric_compiled(hess + second.penalty_hessian(begun.flat))
        begun = by_solver(second, LBFGS(metric, 0.1, 20), shape(begun.flat), False)
    return (begun.flat, hess) if np.all(np.isfinite(begun.flat)) else None


def _metric_of_all(problem, curvature, flat, hess, share):
    """The Metric of all rows from the Hessian of a part of them and their mean curvature."""
    hess, P = hess / share, problem.penalty_hessian(flat)
    if not problem.design.is_matrix:
        # A column of few nonzeros has (next to) no curvature where the sample has none of its rows, or only some whose
        # fitted means are at the edge.
        least = FLOOR * curvature * np.tile(problem.squares(problem.prepared.weight), problem.width)
        hess = hess + np.diag(np.maximum(least - np.diagonal(hess), 0.0))
    return _metric_compiled(hess if P is None else hess + P)


def sample_sizes(n, p, k):
    """(rows for a start, rows for a Hessian) of n, for p columns and k columns of lin; None where n is too small."""
    columns = p * max(1, k // 2)
    second = int(np.clip(n // SHARE, LEAST * columns, MOST * columns))
    first = min(max(FIRST * p * k, 2000), second)
    return (first, second) if second <= n // ENOUGH and p * k <= linalg.WIDE else None


def _sample(problem, part, curvature, share):
    """Some rows as a problem of their own, with the information of a few rows more on every column, at coefficient 0: a
    level of which the sample has few rows, or none, gets a moderate coefficient."""
    weight = part.prepared.weight
    unit = curvature * np.clip(1 / curvature, 1.0, PRIOR) * part.squares(weight) / len(weight)
    unit = unit if problem.design.is_matrix else np.where(problem.design.coded, np.clip(1.0, curvature, None), unit)
    named = problem.prepared.intercept or problem.prepared.names[:1] == ["Intercept"]
    unit[: int(named)] = 0.0
    if problem.model.penalty is not None:  # what is added to the objective of all rows counts for less here
        P = np.diagonal(problem.penalty_hessian(np.zeros(len(unit) * problem.width)))[: len(unit)]
        unit = unit + share * P
    return part.with_model(Model(problem.model.family, problem.model.link, Ridge(1.0, unit, "sum")))


def _hessian(problem, flat):
    """The Hessian of a sample there, in single precision where its pivots show that the digits are enough: it is to
    precondition, and the gradient alone decides where a fit ends."""
    if problem.design.is_matrix and problem.dtype == "float64":
        hess = _hessian(Problem(problem.model, problem.prepared, problem.kept, "float32"), flat)
        if linalg.well_conditioned(linalg.triangle_of(hess), CLEAR):
            return hess
    look = host_pass(problem) or functools.partial(evaluate_compiled, problem.model, problem.data)
    return np.asarray(look(Query(Unknowns(jnp.asarray(problem.shape(flat)), {})), HESSIAN).hess)


def _from_null(problem):
    """The fit of a sample with several columns of lin, about the Hessian at 0: that is one p x p matrix, times the mean
    curvature of the rows. None where 0 is no valid start."""
    width, columns = problem.width, problem.design.shape[1]
    view = problem.derivatives(problem.prepared.offset)
    if not np.isfinite(view.objective):
        return None
    w = problem.prepared.weight
    mean = np.tensordot(w, view.expected, 1) / np.sum(w)
    metric = _metric_compiled(np.kron(mean, problem.gram(w)) + problem.penalty_hessian(np.zeros(columns * width)))
    return by_solver(problem, LBFGS(metric, 0.1, 100), np.zeros((columns, width)), False)


_metric_compiled = jax.jit(lambda hess: metric_of(jnp.asarray(hess)))
