"""What rows say about a fit: residuals, and directions in which the likelihood has no maximum."""

import numpy as np


def recession(problem, late, moved, threshold=1e-2):
    """Columns along which a converged fit still ran away, or None.

    At a maximum Newton's steps vanish with the distance. Where a step at a distance of 1e-5 standard errors or less
    (`late`) still `moved` some row's lin by more than `threshold`, the likelihood rises for ever in that direction:
    separation. (The steps after it may be 0, when means are 1 to rounding.) Returns the indices (into the columns)
    of the coefficients that carry it.
    """
    if moved < threshold:
        return None
    moves = late.reshape(problem.width, -1)
    share = np.max(np.abs(moves) * problem.spread(), axis=0)
    return np.flatnonzero(share > 1e-3 * np.max(share))
