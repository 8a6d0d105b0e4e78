"""Newton's method on the host, each step a least-squares problem on sqrt(W) X: for designs of moderate size.

With a canonical link, or expected weights, it is IRLS. It keeps the digits that X'WX squares away, and needs nothing
compiled but the rows themselves.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jglm.designs import products
from jglm.fitting import linalg
from jglm.solvers import Status

# Below this many multiplications a step costs less than compiling a solver would.
WORK = 2e8


@dataclass
class View:
    """The rows at some coefficients: the objective (loss plus penalty), and per row d loss / d lin, its second
    derivative and the expected information; 0 in rows of weight 0."""

    objective: float
    score: np.ndarray
    observed: np.ndarray
    expected: np.ndarray


@dataclass
class Iterate:
    """Where it ended: flat coefficients, the last step taken at a small distance (a large one tells of separation), and
    the distance to the optimum in standard errors."""

    flat: np.ndarray
    late: np.ndarray
    decrement: float
    status: Status
    history: list = field(default_factory=list)


def normal_equations(X, weight, score, bend, penalty, flat):
    """(R, Q'z, fit): R'R = X'WX + P, Q'z = -R'^-1 gradient, and the length of X flat in the metric of X'WX.

    By Cholesky where its pivots show that squaring the condition number loses nothing, else by QR of sqrt(W) X.
    """
    w = weight if bend.ndim == 1 else weight[:, None, None]
    with np.errstate(over="ignore", invalid="ignore"):
        H = _gram(X, w * bend)
        fit = np.sqrt(max(flat @ H @ flat, 0.0))
        R = linalg.triangle_of(H if penalty is None else H + penalty)
    if R is not None and linalg.well_conditioned(R):
        g = gradient(X, weight, score, penalty, flat)
        return R, -np.linalg.solve(R.T, g), fit
    A, z = weighted_design(X, weight, score, bend)
    fit = np.linalg.norm(A @ flat)
    if penalty is not None:
        root = linalg.root_of(penalty)
        A, z = np.vstack([A, root]), np.concatenate([z, -root @ flat])
    p = A.shape[1]
    R = linalg.triangle(np.column_stack([A, z]))
    return R[:p, :p], R[:p, p], fit


def _gram(X, w):
    return products.gram(X, w) if w.ndim == 1 else products.gram_of_classes(X, w)


def gradient(X, weight, score, penalty, flat):
    """Of the objective, flat, class by class."""
    g = np.ravel((weight * score.T) @ X)
    return g if penalty is None else g + penalty @ flat


def weighted_design(X, weight, score, bend):
    """sqrt(W) X and the working residual of the Newton step: its least-squares problem min |A d - z|.

    Scalar families: A (n, p). With k columns of lin: A (n k, p k), class by class.
    """
    if score.ndim == 1:
        root = np.sqrt(weight * bend)
        z = -np.divide(weight * score, root, out=np.zeros_like(root), where=root > 0)
        return root[:, None] * X, z
    values, vectors = np.linalg.eigh(weight[:, None, None] * bend)
    root = np.sqrt(np.clip(values, 0.0, None))
    pushed = np.einsum("nij,ni->nj", vectors, weight[:, None] * score)
    z = -np.divide(pushed, root, out=np.zeros_like(root), where=root > 1e-150)
    n, k = score.shape
    factor = root[:, :, None] * vectors.transpose(0, 2, 1)
    return np.einsum("nab,nj->nabj", factor, X).reshape(n * k, k * X.shape[1]), z.reshape(n * k)


def first_step(X, weight, lin, offset, view, penalty):
    """Coefficients of the first IRLS step, from rows at their own start `lin`: the loss is expanded about 0."""
    own = lin - offset
    push = view.expected * own if own.ndim == 1 else np.einsum("nij,nj->ni", view.expected, own)
    origin = np.zeros(X.shape[1] * (1 if own.ndim == 1 else own.shape[1]))
    R, projected, _ = normal_equations(X, weight, view.score - push, view.expected, penalty, origin)
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
    R: Any
    for _ in range(most):
        R, projected, fit, expected = _newton(X, weight, here, penalty, flat)
        step, phi = linalg.solve_triangle(R, projected), phi_of(here)
        # Of a singular R (a constant more on every class) the rest of `projected` is rounding, and leads nowhere.
        length = np.linalg.norm(np.dot(R, step) if np.all(np.isfinite(step)) else projected)
        decrement = length / np.sqrt(phi) if phi > 0 else (0.0 if length == 0 else np.inf)
        history.append((here.objective, float(np.max(np.abs(np.dot(R.T, projected))))))
        # Far from the optimum the dispersion can be so large that any distance looks small.
        small = length**2 <= 1e-4 * (1 + abs(here.objective))
        # Where a small distance gets no smaller, only rounding is left.
        idle = (decrement < 1e-5 and decrement >= before) or length <= 4 * np.finfo(float).eps * fit
        before = decrement
        if small and (decrement <= tol or idle):
            status = Status.CONVERGED if decrement <= tol else Status.FLOOR
            break
        if not np.all(np.isfinite(step)):
            status = Status.STALLED
            break
        if small and 1e-8 < decrement < 1e-5:
            late = step
        found = _search(look, flat, step, here, length)
        if found is None and not expected:
            found = _search(look, flat, *_fisher_step(X, weight, here, penalty, flat))
        if found is None:
            near = decrement < 1e-5 or length <= 1e-10 * fit
            status = Status.FLOOR if near else Status.STALLED
            break
        flat, here = found
    # One step more costs a pass, and gives digits where the distance is not far below tol, or X nearly collinear.
    enough = decrement <= 1e-3 * tol and linalg.well_conditioned(R, 0.03)
    if status.converged and np.all(np.isfinite(step)) and not enough:
        last = look(flat + step)
        if last.objective <= here.objective + _slack(here):
            flat, here = flat + step, last
    return Iterate(flat, late, float(decrement), status, history)


def _newton(X, weight, here, penalty, flat):
    """(R, Q'z, fit, whether by the expected information) of the Newton step: with the observed information where all
    of it together is positive definite, else row by row the expected one where the observed is not positive."""
    same = here.score.ndim > 1 or np.array_equal(here.observed, here.expected)
    if same:
        return *normal_equations(X, weight, here.score, here.expected, penalty, flat), True
    if np.any(here.observed[weight > 0] <= 0):
        H = products.gram(X, weight * here.observed)
        whole = linalg.triangle_of(H if penalty is None else H + penalty)
        if linalg.well_conditioned(whole):
            g = gradient(X, weight, here.score, penalty, flat)
            return whole, -np.linalg.solve(whole.T, g), np.sqrt(max(flat @ H @ flat, 0.0)), False
    bend = np.where(here.observed > 0, here.observed, here.expected)
    return *normal_equations(X, weight, here.score, bend, penalty, flat), False


def _fisher_step(X, weight, here, penalty, flat):
    """(step, View, length) of Fisher scoring, for where Newton's step leads nowhere."""
    R, projected, _ = normal_equations(X, weight, here.score, here.expected, penalty, flat)
    return linalg.solve_triangle(R, projected), here, np.linalg.norm(projected)


def _search(look, flat, step, here, length):
    """(coefficients, View) at the first of the halved steps that lowers the objective enough, or None."""
    for share in 0.5 ** np.arange(30):
        view = look(flat + share * step)
        if view.objective <= here.objective - 1e-4 * share * length**2 + _slack(here):
            return flat + share * step, view
    return None


def _slack(here):
    """What rounding may add to an objective; NaN compares false, so it never passes."""
    return 1e-10 * (abs(here.objective) + 1)
