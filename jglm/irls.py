"""Newton's method on the host, each step a least-squares problem on sqrt(W) X: for designs of moderate size.

With a canonical link, or expected weights, it is IRLS. It keeps the digits that X'WX squares away, needs nothing
compiled but the rows themselves, and ends with the factor that the covariance is made of.
"""

from dataclasses import dataclass, field

import numpy as np

from jglm import linalg
from jglm.solvers import Status

# Below this many multiplications a step costs less than compiling a solver would.
WORK = 2e8


@dataclass
class View:
    """The rows at some coefficients: the objective (half the deviance plus penalty, without cancellation), the loss,
    d loss / d lin, its second derivative, and the expected information."""

    objective: float
    loss: float
    score: np.ndarray
    observed: np.ndarray
    expected: np.ndarray


@dataclass
class Iterate:
    """Where it ended: flat coefficients, the R factor of sqrt(W) X with expected weights and penalty, the last step
    taken at a small distance (a large one tells of separation), and the distance to the optimum in standard errors."""

    flat: np.ndarray
    R: np.ndarray
    late: np.ndarray
    decrement: float
    status: Status
    history: list = field(default_factory=list)


def weighted_design(X, weight, score, expected, target=None):
    """sqrt(W) X and the working residual of the Newton step: its least-squares problem min |A d - z|.

    With `target` (the shape of score) the working response target - score / W instead. Scalar families: A (n, p).
    With k columns of lin: A (n k, p k), class by class.
    """
    on = weight > 0
    score = np.where(on if score.ndim == 1 else on[:, None], score, 0.0)
    expected = np.where(on if score.ndim == 1 else on[:, None, None], expected, 0.0)
    if score.ndim == 1:
        root = np.sqrt(weight * expected)
        z = -np.divide(weight * score, root, out=np.zeros_like(root), where=root > 0)
        return root[:, None] * X, z if target is None else z + root * target
    values, vectors = np.linalg.eigh(weight[:, None, None] * expected)
    root = np.sqrt(np.clip(values, 0.0, None))
    pushed = np.einsum("nij,ni->nj", vectors, weight[:, None] * score)
    z = -np.divide(pushed, root, out=np.zeros_like(root), where=root > 1e-150)
    n, k = score.shape
    factor = root[:, :, None] * vectors.transpose(0, 2, 1)
    A = np.einsum("nab,nj->nabj", factor, X).reshape(n * k, k * X.shape[1])
    if target is not None:
        z = z + np.einsum("nab,nb->na", factor, target)
    return A, z.reshape(n * k)


def first_step(X, weight, lin, offset, view, penalty):
    """Coefficients of the first IRLS step, from rows at their own start `lin`."""
    A, z = weighted_design(X, weight, view.score, view.expected, lin - offset)
    R, projected = _least_squares(A, z, penalty, np.zeros(A.shape[1]))
    return linalg.solve_triangle(R, projected)


def iterate(X, weight, flat, look, phi_of, penalty, tol, most=100):
    """Newton steps from flat coefficients until they are below tol standard errors, or below rounding.

    Args:
        look: flat -> View. phi_of: View -> dispersion. penalty: the Hessian of a quadratic penalty, or None.

    Returns an Iterate, or None where the objective is not finite at the start.
    """
    here, before, history = look(flat), np.inf, []
    if not np.isfinite(here.objective) or not np.all(np.isfinite(flat)):
        return None
    status, late = Status.MAX_ITER, np.zeros_like(flat)
    for _ in range(most):
        R, projected, size = _newton(X, weight, here, penalty, flat)
        length = np.linalg.norm(projected)
        step, phi = linalg.solve_triangle(R, projected), phi_of(here)
        decrement = length / np.sqrt(phi) if phi > 0 else (0.0 if length == 0 else np.inf)
        history.append((here.loss, float(np.max(np.abs(R.T @ projected)))))
        # Where a small distance gets no smaller, only rounding is left.
        idle = decrement < 1e-5 and decrement >= before
        before = decrement
        if decrement <= tol or idle or length <= 4 * np.finfo(float).eps * size or not np.all(np.isfinite(step)):
            status = Status.CONVERGED if decrement <= tol else Status.FLOOR
            status = status if np.all(np.isfinite(step)) else Status.STALLED
            break
        if 1e-8 < decrement < 1e-5:
            late = step
        found = _search(look, flat, step, here, length)
        if found is None:
            R, projected = _fisher(X, weight, here, penalty, flat)
            found = _search(look, flat, linalg.solve_triangle(R, projected), here, np.linalg.norm(projected))
        if found is None:
            near = decrement < 1e-5 or length <= 1e-10 * size
            status = Status.FLOOR if near else Status.STALLED
            break
        flat, here = found
    if status.converged and np.all(np.isfinite(step)):
        last = look(flat + step)
        if np.isfinite(last.objective) and last.objective <= here.objective + 1e-8 * (abs(here.objective) + 1):
            flat, here = flat + step, last
    R, _ = _fisher(X, weight, here, penalty, flat)
    return Iterate(flat, R, late, float(decrement), status, history)


def _newton(X, weight, here, penalty, flat):
    """(R, Q'z, length of the fit) of the Newton step: with the observed information where all of it together is
    positive definite, else row by row the expected one where the observed is not positive."""
    if here.score.ndim > 1:
        A, z = weighted_design(X, weight, here.score, here.expected)
        return *_least_squares(A, z, penalty, flat), np.linalg.norm(A @ flat)
    bend = np.where(here.observed > 0, here.observed, here.expected)
    A, z = weighted_design(X, weight, here.score, bend)
    R, projected = _least_squares(A, z, penalty, flat)
    if np.any(here.observed[weight > 0] <= 0):
        H = X.T @ (np.where(weight > 0, weight * here.observed, 0.0)[:, None] * X)
        whole = linalg.triangle_of(H if penalty is None else H + penalty)
        if whole is not None and linalg.well_conditioned(whole):
            R, projected = whole, np.linalg.solve(whole.T, R.T @ projected)
    return R, projected, np.linalg.norm(A @ flat)


def _fisher(X, weight, here, penalty, flat):
    """(R, Q'z) of the Fisher scoring step."""
    A, z = weighted_design(X, weight, here.score, here.expected)
    return _least_squares(A, z, penalty, flat)


def _search(look, flat, step, here, length):
    """(coefficients, View) at the first of the halved steps that lowers the objective enough, or None."""
    slack = 1e-10 * (abs(here.objective) + 1)
    for share in 0.5 ** np.arange(30):
        view = look(flat + share * step)
        if np.isfinite(view.objective) and view.objective <= here.objective - 1e-4 * share * length**2 + slack:
            return flat + share * step, view
    return None


def _least_squares(A, z, penalty, flat):
    """(R, Q'z) of the step with the penalty's rows below: they pull towards 0."""
    if penalty is not None:
        root = linalg.root_of(penalty)
        A, z = np.vstack([A, root]), np.concatenate([z, -root @ flat])
    return linalg.least_squares(A, z)
