"""Newton's method in coefficients and free parameters together, on the host: only the rows are compiled, for data of
every number of columns."""

from dataclasses import dataclass

import numpy as np

from jglm.distributions.parameters import OUT
from jglm.fitting import joint, linalg
from jglm.fitting.iterate import descend
from jglm.model import Unknowns, unflatten


@dataclass
class Look:
    """The objective at flat unknowns, its gradient, the observed and the expected Hessian, and whether a parameter has
    left the range in which it can be told."""

    objective: float
    grad: np.ndarray
    observed: np.ndarray
    expected: np.ndarray
    at_limit: bool = False


def by_joint_rows(problem, begin, tol, most, progress):
    """The optimum of a problem of moderate size from Unknowns to begin at: `Found`."""
    begin = Unknowns(np.asarray(begin.coef, float), {k: np.asarray(v, float) for k, v in begin.nuisance.items()})
    start = np.concatenate([np.ravel(begin.coef.T), *(np.ravel(v) for _, v in sorted(begin.nuisance.items()))])
    P = np.zeros((len(start), len(start)))
    own = problem.penalty_hessian(np.ravel(begin.coef.T))
    if own is not None:
        P[: len(own), : len(own)] = own

    def look(flat):
        at = unflatten(flat, begin)
        designs, loss, score, observed, expected = joint.rows_at(problem, at)
        grad = np.concatenate([score[:, i] @ Z for i, Z in enumerate(designs)]) + P @ flat
        observed, expected = (joint.blocks(designs, W) + P for W in (observed, expected))
        at_limit = bool(joint.at_limits(problem.model.family, problem.prepared, at.nuisance))
        return Look(float(np.sum(loss)) + 0.5 * float(flat @ P @ flat), grad, observed, expected, at_limit)

    found = descend(start, look, _newton, tol, most, progress, "newton")
    end = unflatten(found.flat, begin)
    found.flat, found.nuisance = np.ravel(end.coef.T), {k: np.asarray(v) for k, v in end.nuisance.items()}
    return found


def _newton(_, seen):
    """(step, Hessian times step, what it promises, 1): the expected Hessian, made positive definite, stands in where
    the observed one is not. No step where a parameter runs to its limit, and only rounding would be gained."""
    if not np.all(np.isfinite(seen.grad)) or not np.all(np.isfinite(seen.observed)):
        return None
    step = linalg.newton_step(seen.observed, seen.grad)
    step = _downhill(seen) if step is None else step
    drop = float(seen.grad @ step)
    if seen.at_limit and -drop < OUT**2:
        return np.zeros_like(step), -seen.grad, 0.0, 1.0
    return step, -seen.grad, drop, 1.0


def _downhill(seen):
    """-|F|^-1 grad by eigenvalues of the expected Hessian F scaled to a unit diagonal, small ones raised."""
    s = 1 / np.sqrt(np.maximum(np.abs(np.diagonal(seen.expected)), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(s[:, None] * seen.expected * s)
    return -s * (vectors @ ((vectors.T @ (s * seen.grad)) / np.maximum(np.abs(values), 1e-8)))
