"""Charts of a fit, each drawn into a matplotlib Axes (of a new figure where none is given), which it returns."""

from jglm.charts.coefficients import convergence, forest
from jglm.charts.predictions import actual_expected, calibration, counts, double_lift, lift, lorenz
from jglm.charts.residuals import influence, partial_residuals, quantile_quantile, quantile_residuals

__all__ = [
    "actual_expected",
    "calibration",
    "convergence",
    "counts",
    "double_lift",
    "forest",
    "influence",
    "lift",
    "lorenz",
    "partial_residuals",
    "quantile_quantile",
    "quantile_residuals",
]
