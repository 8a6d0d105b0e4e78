"""What rows say about a fit: residuals, and directions in which the likelihood has no maximum."""

import numpy as np

KINDS = ("response", "pearson", "deviance", "working")


def residuals(kind, t, rows, weight):
    """Residuals (n,) of a scalar family, as R defines them; of a vector one (n, k), deviance (n,).

    response t - mu; pearson sqrt(w) (t - mu) / sqrt V; deviance sign(t - mu) sqrt(w d); working (t - mu) d lin / d mu.
    """
    error = t - rows.mu
    if kind == "response":
        return error
    if error.ndim == 1:
        if kind == "pearson":
            return np.sqrt(weight) * error / np.sqrt(rows.variance)
        if kind == "deviance":
            return np.sign(error) * np.sqrt(weight * rows.deviance)
        return error / rows.slope
    if kind == "pearson":
        own = np.diagonal(rows.variance, axis1=1, axis2=2)
        return np.sqrt(weight)[:, None] * error / np.sqrt(own)
    if kind == "deviance":
        return np.sqrt(weight * rows.deviance)
    return -np.einsum("nij,nj->ni", np.linalg.pinv(rows.expected), rows.score)


def recession(X, late, p, threshold=1e-2):
    """Columns along which a converged fit still ran away, or None.

    At a maximum Newton's steps vanish with the distance. Where a step at a distance of 1e-5 standard errors or less
    (`late`) still moved some row's lin by more than `threshold`, the likelihood rises for ever in that direction:
    separation. (The steps after it may be 0, when means are 1 to rounding.) Returns the indices (into the p columns)
    of the coefficients that carry it.
    """
    if not np.any(late) or not np.all(np.isfinite(late)):
        return None
    moves = late.reshape(-1, p)
    if np.max(np.abs(X @ moves.T)) < threshold:
        return None
    spread = np.sqrt(np.mean(X**2, axis=0))
    share = np.max(np.abs(moves) * spread, axis=0)
    return np.flatnonzero(share > 1e-3 * np.max(share))
