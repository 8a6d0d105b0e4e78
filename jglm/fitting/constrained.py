"""Fits under linear inequalities among the coefficients: Newton's method with a least-distance problem a step.

Each step minimizes the quadratic model within lower <= A b <= upper, as non-negative least squares of its dual (Lawson
and Hanson 1974, chapter 23); a step between two points that obey the inequalities obeys them.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import penalties
from jglm.fitting import linalg
from jglm.fitting.iterate import constant_start, descend
from jglm.fitting.problem import flatten_host
from jglm.model import Unknowns
from jglm.solvers.proximal import steadied

ACTIVE = 1e-9  # of its size, within which an inequality counts as met


def by_constrained(problem, start, tol, most, progress):
    """As `iterate.by_proximal`, for a penalty with `Constraints`; raises ValueError where nothing obeys them."""
    A, c = inequalities(problem)
    flat = flatten_host(constant_start(problem) if start is None else start)
    flat = nearest(np.eye(len(flat)), flat, A, c)
    if flat is None:
        raise ValueError("no coefficients obey the constraints; they contradict one another")

    def propose(flat, seen):
        target = nearest(seen.H, flat - np.linalg.solve(seen.H, seen.slope), A, c)
        if target is None:
            return None
        step = target - flat
        return step, seen.H @ step, seen.slope @ step, problem.dispersion(seen.view, len(flat))

    return descend(flat, lambda flat: _Look(problem, flat), propose, tol, most, progress, "constrained")


def inequalities(problem):
    """(A, c) of A b >= c in flat coefficients, from the constraints and bounds of the penalty."""
    rows, ends, p = [], [], problem.design.shape[1]
    for part in penalties.parts_of(problem.model.penalty):
        if isinstance(part, penalties.Constraints):
            A = np.asarray(part.matrix)
        elif isinstance(part, penalties.Bounds):
            A = np.eye(p)
        elif penalties.is_smooth(part):
            continue
        else:
            raise ValueError("constraints go with ridge, quadratic and bounds; not with a penalty that has kinks")
        for sign, end in ((1.0, np.asarray(part.lower)), (-1.0, -np.asarray(part.upper))):
            on = np.isfinite(end)
            rows.append(sign * A[on])
            ends.append(end[on])
    A, c = np.concatenate(rows), np.concatenate(ends)
    return np.kron(np.eye(problem.width), A), np.tile(c, problem.width)


def nearest(H, center, A, c):
    """argmin (x - center)'H(x - center) within A x >= c, None where nothing is; H positive definite."""
    R = linalg.triangle_of(H + 1e-12 * np.diag(np.diagonal(H)))
    if R is None:
        return None
    size = np.maximum(np.linalg.norm(A, axis=1), 1e-300)
    A, c = A / size[:, None], c / size
    if np.all(A @ center >= c - ACTIVE * (1 + np.abs(c))):
        return center
    G, h = np.linalg.solve(R.T, A.T).T, c - A @ center
    from scipy.optimize import nnls

    dual, rest = nnls(np.vstack([G.T, h]), np.append(np.zeros(len(center)), 1.0), maxiter=50 * max(A.shape))
    if rest < 1e-10:
        return None
    # To the last digit from the inequalities that are met, as equalities.
    on = dual > 0
    force = np.linalg.lstsq(G[on] @ G[on].T, h[on], rcond=None)[0]
    x = center + np.linalg.solve(R, G[on].T @ force)
    residual = np.vstack([G.T, h]) @ dual - np.append(np.zeros(len(center)), 1.0)
    plain = center + np.linalg.solve(R, -residual[:-1] / residual[-1])
    good = np.all(A @ x >= c - 1e-8 * (1 + np.abs(c))) and np.all(force >= -1e-8 * np.max(np.abs(force)))
    return x if good else plain


class _Look:
    """The objective, its gradient and Hessian at flat coefficients."""

    def __init__(self, problem, flat):
        p, model = problem.prepared, problem.model
        self.view = view = problem.derivatives(problem.lin(flat))
        bend = view.expected if view.score.ndim > 1 else np.where(view.observed > 0, view.observed, view.expected)
        extra, slope = _smooth(model, Unknowns(jnp.asarray(problem.shape(flat)), {}))
        self.objective = view.objective + float(extra)
        self.slope = np.ravel(problem.hosted.rtimes((p.weight * view.score.T).T).T) + np.asarray(slope)
        w = p.weight if bend.ndim == 1 else p.weight[:, None, None]
        self.H = np.asarray(steadied(problem.gram(w * bend) + problem.penalty_hessian(flat)))


_smooth = jax.jit(lambda model, point: model.penalized(0.0, jnp.zeros(jnp.size(point.coef)), point))
