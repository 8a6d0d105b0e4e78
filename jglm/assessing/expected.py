"""Actual against expected: sums and means by group, with intervals for their ratio."""

import numpy as np

from jglm.assessing.rows import assess
from jglm.inference import tails
from jglm.inputs import checks

COLUMNS = ("rows", "exposure", "actual", "expected", "actual_mean", "expected_mean", "ratio", "low", "high")


def actual_expected(fit, by=None, data=None, *, bins=10, level=0.95, **new):
    """See `Fit.actual_expected`."""
    seen = assess(fit, data, **new)
    if by is None:
        return table(seen, np.zeros(len(seen.exposure), int), ["all"], level)
    return table(seen, *seen.grouping(by, bins), level, by if isinstance(by, str) else "group")


def table(seen, code, labels, level=0.95, name=None):
    """The data frame of `Fit.actual_expected` of rows in the groups `code` (n,)."""
    import pandas

    checks.level(level)
    total = lambda v: np.bincount(code, v, len(labels))
    actual, expected, exposure = total(seen.actual), total(seen.expected), total(seen.exposure)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = [actual / exposure, expected / exposure, *ratios(seen, actual, expected, total(seen.noise), level)]
    columns = [total(seen.on.astype(float)).astype(int), exposure, actual, expected, *found]
    return pandas.DataFrame(dict(zip(COLUMNS, columns, strict=True)), index=pandas.Index(labels, name=name))


def ratios(seen, actual, expected, noise, level):
    """(actual / expected, the ends of its interval), which holds 1 exactly where |actual - expected| is within the
    quantile of its standard deviation under the model. Elsewhere the variance is that of the model, where y is never
    negative times the ratio: of counts that is Wilson's interval, and it is one where nothing happened."""
    value, reach = actual / expected, tails.quantile(0.5 + level / 2, seen.fit._df) * np.sqrt(noise) / np.abs(expected)
    if not seen.fit.family.support.low >= 0:
        return value, value - reach, value + reach
    middle, half = value + reach**2 / 2, reach * np.sqrt(value + reach**2 / 4)
    return value, middle - half, middle + half
