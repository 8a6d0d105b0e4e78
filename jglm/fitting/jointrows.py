"""Newton's method in coefficients and free parameters together, on the host: only the rows are compiled, for data of
every number of columns."""

from dataclasses import dataclass

import numpy as np

from jglm.fitting import joint, linalg
from jglm.fitting.iterate import descend
from jglm.model import Unknowns, unflatten

TOLD = 1e-6  # information of a row about a parameter


@dataclass
class Look:
    """The objective at flat unknowns, its gradient, the observed and the expected Hessian, and which of the unknowns
    are parameters so far out that the data no longer tell where."""

    objective: float
    grad: np.ndarray
    observed: np.ndarray
    expected: np.ndarray
    untold: np.ndarray


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
        untold = _untold(problem, at, grad, np.diagonal(observed))
        return Look(float(np.sum(loss)) + 0.5 * float(flat @ P @ flat), grad, observed, expected, untold)

    found = descend(start, look, _newton, tol, most, progress, "newton")
    end = unflatten(found.flat, begin)
    found.flat, found.nuisance = np.ravel(end.coef.T), {k: np.asarray(v) for k, v in end.nuisance.items()}
    return found


def _untold(problem, at, grad, curvature):
    """(P,): whether an unknown is a parameter beyond its range of which the rows tell nothing any more: there rounding
    outweighs what a step would gain."""
    beyond = {name for name, _, _ in joint.at_limits(problem.model.family, problem.prepared, at.nuisance)}
    parts = [
        np.zeros(np.size(at.coef), bool),
        *(np.full(np.size(v), k in beyond) for k, v in sorted(at.nuisance.items())),
    ]
    little = min(1.0, TOLD * np.count_nonzero(problem.prepared.weight > 0))
    return np.concatenate(parts) & (np.maximum(np.abs(grad), np.abs(curvature)) <= little)


def _newton(_, seen):
    """(step, Hessian times step, what it promises, 1): the expected Hessian, made positive definite, stands in where
    the observed one is not. Parameters of which nothing is told stay where they are."""
    if not np.all(np.isfinite(seen.grad)) or not np.all(np.isfinite(seen.observed)):
        return None
    told = ~seen.untold
    among, grad = np.ix_(told, told), seen.grad[told]
    found = linalg.newton_step(seen.observed[among], grad)
    found = _downhill(seen.expected[among], grad) if found is None else found
    step = np.zeros_like(seen.grad)
    step[told] = found
    return step, np.where(told, -seen.grad, 0.0), float(grad @ found), 1.0


def _downhill(F, grad):
    """-|F|^-1 grad by eigenvalues of F scaled to a unit diagonal, small ones raised."""
    s = 1 / np.sqrt(np.maximum(np.abs(np.diagonal(F)), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(s[:, None] * F * s)
    return -s * (vectors @ ((vectors.T @ (s * grad)) / np.maximum(np.abs(values), 1e-8)))
