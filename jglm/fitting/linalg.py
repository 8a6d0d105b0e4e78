"""Small dense linear algebra on the host: rank from left to right, triangular factors, least squares.

NumPy only: scipy.linalg would take 0.2 s to import.
"""

import numpy as np

from jglm.designs import products

WIDE = 3000  # columns beyond which no p x p matrix is made
ENOUGH = 30_000  # rows of factors that may show their columns to be independent
RANK_TOLERANCE = 1e-11  # R's glm: the part of a column that is new, relative to the column


def independent_columns(R, tolerance=RANK_TOLERANCE):
    """Which columns of an upper triangular (or any) matrix are not combinations of earlier ones, left to right."""
    p = R.shape[1]
    R = R / _largest(R)
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


def find_independent(design, weight):
    """Which columns of a design (n, p) are kept by the rows of positive weight; later columns go first, as in R."""
    n, p = design.shape
    if p > WIDE:  # a matrix of p x p is no longer made; columns without a row go
        return products.compiled("squares", design, (weight > 0).astype(float)) > 0
    if not design.is_matrix:
        return _independent_codes(design, weight)
    on = np.flatnonzero(weight > 0)
    for rows in (5 * p, 20 * p):  # columns that are clearly independent on some rows are so on all
        some = on[:: max(1, len(on) // max(rows, 2000))]
        sample = (design.take(some) if len(some) < n else design).dense()
        with np.errstate(over="ignore", invalid="ignore"):
            if well_conditioned(triangle_of(sample.T @ sample)):
                return np.ones(p, bool)
    X = design.dense()
    return independent_columns(triangle(X[on] if len(on) < n else X))


def _independent_codes(design, weight):
    on = np.flatnonzero(weight > 0)
    if design.gram_is_cheap and len(on) > 2 * ENOUGH:
        some = on[:: len(on) // ENOUGH]
        if _clearly_independent(_unit(design.take(some).crossprod(np.ones(len(some))))):
            return np.ones(design.shape[1], bool)
    return independent_in(design.crossprod((weight > 0).astype(float)))


def independent_in(G):
    """The same from X'X, whose entries are counts for the most part, and exact."""
    unit = _unit(G)
    return np.ones(len(G), bool) if _clearly_independent(unit) else independent_columns(root_of(unit), 1e-6)


def _unit(G):
    """X'X of columns brought to length 1, those of zeros left as they are."""
    size = np.sqrt(np.diagonal(G))
    return G / np.outer(*(np.where(size > 0, size, 1.0),) * 2)


def _clearly_independent(unit):
    return bool(np.all(np.diagonal(unit) > 0)) and well_conditioned(triangle_of(unit))


def triangle(A):
    """The R factor of A by QR over blocks of rows that stay in cache, each stacked below the factor so far."""
    A = np.asarray(A, np.float64)
    n, p = A.shape
    rows = max(1000, 8 * p)
    unit = _largest(A)
    R: np.ndarray = np.zeros((0, p))
    for i in range(0, max(n, 1), rows):
        R = np.asarray(np.linalg.qr(np.vstack([R, A[i : i + rows] / unit]), mode="r"))
    return R * unit


def _largest(A):
    """The largest size of an entry of each column, 1 for a column of zeros: norms could overflow."""
    size = np.max(np.abs(A), axis=0, initial=0.0)
    return np.where(size > 0, size, 1.0)


def triangle_of(H):
    """The Cholesky factor R with R'R = H (scaled to a unit diagonal), or None where H is not positive definite."""
    d = np.sqrt(np.maximum(np.diagonal(H), 0.0))
    if not np.all((d > 0) & (d < np.inf)):
        return None
    try:
        L = np.linalg.cholesky(H / (d[:, None] * d))
    except np.linalg.LinAlgError:
        return None
    return L.T * d if np.all(np.diagonal(L) > 0) else None  # NaN where H is not finite elsewhere


def well_conditioned(R, pivot=1e-3):
    """Whether a Cholesky factor of A'A is as good as the R of A: forming A'A squares the condition number."""
    return R is not None and bool(np.all(np.abs(np.diagonal(R)) > pivot * _lengths(R)))


def _lengths(R):
    """Of the columns."""
    return np.sqrt(np.einsum("ij,ij->j", R, R))


def root_of(curvature):
    """L with L'L = a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(curvature)
    return np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T


def newton_step(H, grad):
    """-H^-1 grad, or None where H is not positive definite."""
    R = triangle_of(H)
    return None if R is None else -solve_triangle(R, np.linalg.solve(R.T, grad))


def solve_triangle(R, b):
    """R^-1 b; where R is singular to rounding (a constant more on every class) the shortest solution in units of its
    columns, NaN where a column is 0."""
    size = _lengths(R)
    if np.any(np.diagonal(R) == 0) or R.shape[0] < R.shape[1]:
        return np.full(R.shape[1], np.nan)
    if np.any(np.abs(np.diagonal(R)) < 1e-13 * size):
        return np.linalg.lstsq(R / size, b, rcond=1e-12)[0] / size
    # LU of a triangular matrix is itself, so this is back substitution.
    return np.linalg.solve(R, b)


def inverse_from_triangle(R):
    """(R'R)^-1."""
    scale = _largest(R)
    if np.any(np.diagonal(R) == 0) or not np.all(np.isfinite(R)) or R.shape[0] < R.shape[1]:
        return np.full((R.shape[1],) * 2, np.nan)
    inner = np.linalg.solve(R / scale, np.eye(R.shape[1]))
    return (inner @ inner.T) / scale[:, None] / scale[None, :]
