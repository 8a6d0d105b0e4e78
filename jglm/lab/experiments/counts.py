"""Counts by a line and by a Poisson: the line predicts negative counts, the exponential of a line cannot."""

import numpy as np

from jglm.lab import curves, fits, reading

LEFT, RIGHT, TOP = 0.0, 10.0, 30.0
START = [[0.8, 0], [1.6, 1], [2.4, 0], [3.2, 2], [4.0, 1], [4.8, 3], [5.6, 4], [6.4, 3], [7.2, 8], [8.0, 9],
         [8.8, 14], [9.5, 21]]  # fmt: skip
GRID = np.linspace(LEFT, RIGHT, curves.COUNT)


def compute(request):
    """Both fits of `points`, (x, count) each, their curves, and what they predict at the left edge."""
    points = reading.points(request, "points", START, 40, (LEFT, RIGHT), (0.0, TOP))
    x, y = np.array(points).T
    if np.any(y % 1):
        raise ValueError("counts are whole numbers")
    if not np.any(y):
        raise ValueError("all counts are 0, so the likelihood grows for ever as the mean goes to 0; lift a point")
    if np.ptp(x) == 0:
        raise ValueError("all points have the same x, so no slope can be told; move one sideways")
    line, said = fits.quiet(x[:, None], y, family="gaussian")
    curve, also = fits.quiet(x[:, None], y, family="poisson")
    means = [np.asarray(fit.predict(GRID[:, None])) for fit in (line, curve)]
    first, slope = np.asarray(line.params)
    return {
        "points": points, "x": GRID, "line": means[0], "curve": means[1], "line_params": line.params,
        "curve_params": curve.params, "line_left": means[0][0], "curve_left": means[1][0],
        "zero": -first / slope if slope > 0 > first else None, "factor": float(np.exp(curve.params[1])),
        "trouble": " ".join([*said, *also]) or None,
        "data": f"x = {[[v] for v in x.tolist()]}\ny = {[int(v) for v in y]}", "code": CODE,
    }  # fmt: skip


CODE = """import jglm
line, curve = jglm.fit(x, y, family="gaussian"), jglm.fit(x, y, family="poisson")
line_left, curve_left = line.predict([[0.0]]), curve.predict([[0.0]])"""
