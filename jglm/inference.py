"""From an optimum to statistics: rank, last steps by QR, covariance, tests, intervals.

Host arithmetic in NumPy and LAPACK on small matrices; what needs derivatives of the family arrives as `Rows`.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

RANK_TOLERANCE = 1e-11  # R's glm: the part of a column that is new, relative to the column
# Below this many multiplications the QR of the whole design costs less than compiling anything.
QR_WORK = 2e8


# --------------------------------------------------------------------------- rank
def independent_columns(R, tolerance=RANK_TOLERANCE):
    """Which columns of an upper triangular (or any) matrix are not combinations of earlier ones, left to right."""
    p = R.shape[1]
    norms = np.linalg.norm(R, axis=0)
    work = R / np.where(norms > 0, norms, 1.0)
    basis = np.zeros((R.shape[0], 0))
    kept = np.zeros(p, bool)
    for j in range(p):
        v = work[:, j]
        if basis.shape[1] < R.shape[0]:
            for _ in range(2):  # twice is enough (Kahan)
                v = v - basis @ (basis.T @ v)
            rest = np.linalg.norm(v)
            kept[j] = norms[j] > 0 and rest > tolerance
            if kept[j]:
                basis = np.column_stack([basis, v / rest])
    return kept


def find_independent(X, weight):
    """Which columns of X (n, p) are kept by the rows of positive weight; later columns go first, as in R."""
    n, p = X.shape
    on = np.flatnonzero(weight > 0)
    sample = on[:: max(1, len(on) // max(20 * p, 2000))]
    # Columns that are clearly independent on some rows are so on all.
    if well_conditioned(triangle_of(X[sample].T @ X[sample])):
        return np.ones(p, bool)
    return independent_columns(triangle(X[on] if len(on) < n else X))


def triangle(A):
    """The R factor of A by QR over blocks of rows that stay in cache, each stacked below the factor so far."""
    A = np.asarray(A, np.float64)
    n, p = A.shape
    rows = max(1000, 8 * p)
    norms = np.sqrt(np.einsum("ij,ij->j", A, A))
    unit = np.where((norms > 0) & np.isfinite(norms), norms, 1.0)
    R: np.ndarray = np.zeros((0, p))
    for i in range(0, max(n, 1), rows):
        R = np.asarray(np.linalg.qr(np.vstack([R, A[i : i + rows] / unit]), mode="r"))
    return R * unit


def triangle_of(H):
    """The Cholesky factor R with R'R = H (scaled to a unit diagonal), or None where H is not positive definite."""
    d = np.sqrt(np.diagonal(H))
    if not np.all(d > 0) or not np.all(np.isfinite(H)):
        return None
    try:
        return np.linalg.cholesky(H / np.outer(d, d)).T * d
    except np.linalg.LinAlgError:
        return None


def well_conditioned(R):
    """Whether a Cholesky factor of A'A is as good as the R of A: forming A'A squares the condition number."""
    return R is not None and np.min(np.abs(np.diagonal(R)) / np.linalg.norm(R, axis=0), initial=1.0) > 1e-3


def least_squares(A, z):
    """(R, Q'z) with R'R = A'A: by Cholesky, five times cheaper, where that is as good, else by QR."""
    R = triangle_of(A.T @ A)
    if R is not None and well_conditioned(R):
        return R, np.linalg.solve(R.T, A.T @ z)
    p = A.shape[1]
    R = triangle(np.column_stack([A, z]))
    return R[:p, :p], R[:p, p]


# --------------------------------------------------------------------------- last steps
def weighted_design(X, weight, score, expected):
    """sqrt(W) X and the working residual of the Newton step: its least-squares problem min |A d - z|.

    Scalar families: A (n, p). With k columns of lin: A (n k, p k), class by class.
    """
    on = weight > 0
    if score.ndim == 1:
        root = np.sqrt(np.where(on, weight * expected, 0.0))
        z = -np.divide(weight * score, root, out=np.zeros_like(root), where=root > 0)
        return root[:, None] * X, z
    values, vectors = np.linalg.eigh(np.where(on[:, None, None], weight[:, None, None] * expected, 0.0))
    root = np.sqrt(np.clip(values, 0.0, None))
    pushed = np.einsum("nij,ni->nj", vectors, weight[:, None] * score)
    z = -np.divide(pushed, root, out=np.zeros_like(root), where=root > 1e-150)
    n, k = score.shape
    factor = root[:, :, None] * vectors.transpose(0, 2, 1)
    A = np.einsum("nab,nj->nabj", factor, X).reshape(n * k, k * X.shape[1])
    return A, z.reshape(n * k)


def root_of(curvature):
    """L with L'L = a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(curvature)
    return np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T


@dataclass
class Refined:
    """The end of a fit by QR: flat coefficients, R factor of the weighted design with the penalty, the last step, and
    the distance to the optimum in standard errors before it."""

    flat: np.ndarray
    R: np.ndarray
    step: np.ndarray
    decrement: float
    converged: bool
    passes: int


def refine(X, weight, flat, look, phi_of, penalty, tol, most=30):
    """Newton (Fisher scoring) steps by QR from `flat`, which keep the digits that X'WX squares away.

    `look(flat)` gives (objective, score, expected); `penalty` is (flat -> gradient, curvature) or None.
    Stops where the step is below tol standard errors or below rounding, or where it no longer gets smaller.
    """
    best = None
    objective, score, expected = look(flat)
    for i in range(most):
        A, z = weighted_design(X, weight, score, expected)
        size = np.linalg.norm(A @ flat)
        if penalty is not None:
            root = root_of(penalty[1])
            A = np.vstack([A, root])
            z = np.concatenate([z, -np.linalg.lstsq(root.T, penalty[0](flat))[0]])
        R, projected = least_squares(A, z)
        length = np.linalg.norm(projected)
        step = solve_triangle(R, projected)
        phi = phi_of(score, expected)
        decrement = length / np.sqrt(phi) if phi > 0 else (0.0 if length == 0 else np.inf)
        floor = length <= 4 * np.finfo(float).eps * size
        here = Refined(flat, R, step, decrement, bool(decrement <= tol or floor), i + 1)
        if best is not None and not here.converged and decrement > 0.5 * best.decrement:
            # Rounding, or a step that does not lead on: the better of the two, and whether it is near enough.
            best = here if decrement < best.decrement else best
            best.converged = best.decrement < 1e-5
            break
        best = here
        if not np.all(np.isfinite(step)):
            break
        trial = flat + step
        after, new_score, new_expected = look(trial)
        if not np.isfinite(after) or after > objective + 1e-8 * (abs(objective) + 1):
            break
        flat, objective, score, expected = trial, after, new_score, new_expected
        best.flat = flat
        if here.converged:
            break
    return best


def solve_triangle(R, b):
    """R^-1 b; NaN where R is singular."""
    if np.any(np.diagonal(R) == 0) or R.shape[0] < R.shape[1]:
        return np.full(R.shape[1], np.nan)
    # LU of a triangular matrix is itself, so this is back substitution; scipy.linalg would take 0.2 s to import.
    return np.linalg.solve(R, b)


# --------------------------------------------------------------------------- covariance
def inverse_from_triangle(R):
    """(R'R)^-1."""
    scale = np.linalg.norm(R, axis=0)
    if np.any(np.diagonal(R) == 0) or not np.all(np.isfinite(R)) or R.shape[0] < R.shape[1]:
        return np.full((R.shape[1],) * 2, np.nan)
    inner = np.linalg.solve(R / scale, np.eye(R.shape[1]))
    return (inner @ inner.T) / np.outer(scale, scale)


# --------------------------------------------------------------------------- tests
def p_values(statistic, df):
    """Two-sided, from Student's t with df degrees of freedom, or the normal where df is None."""
    size = np.abs(np.asarray(statistic, float))
    if df is None:
        return np.vectorize(math.erfc, otypes=[float])(size / math.sqrt(2))
    if df <= 0:
        return np.full(size.shape, np.nan)
    from scipy.special import stdtr  # 0.1 s to import, and the normal does without

    return 2 * stdtr(df, -size)


def quantile(level, df):
    """The quantile at `level` of Student's t, or of the normal where df is None."""
    if df is None:
        return NormalDist().inv_cdf(level)
    if df <= 0:
        return np.nan
    from scipy.special import stdtrit

    return float(stdtrit(df, level))
