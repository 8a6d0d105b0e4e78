"""How well predictions tell rows apart: lift, double lift and the Lorenz curve."""

from dataclasses import dataclass

import numpy as np

from jglm.assessing.expected import table
from jglm.assessing.rows import Assessed, assess
from jglm.diagnostics import grouped
from jglm.inputs import checks


def lift(fit, data=None, groups=10, **new):
    """See `Fit.lift`."""
    seen = assess(fit, data, **new)
    found = table(seen, *_ranked(seen, seen.mean, groups), name="fitted")
    whole = seen.actual.sum() / seen.exposure.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return found.assign(lift=found["actual_mean"] / whole, fitted_lift=found["expected_mean"] / whole)


def double_lift(fit, other, data=None, groups=10, **new):
    """See `Fit.double_lift`."""
    import pandas

    seen = assess(fit, data, **new)
    second = _expected_of(other, seen, data, new)
    if np.any(seen.on & ~(seen.expected > 0)) or np.any(seen.on & ~(second > 0)):
        raise ValueError("a double lift orders rows by the ratio of two means, which must be positive")
    by = np.divide(second, seen.expected, out=np.ones(len(second)), where=seen.on)
    code, labels = _ranked(seen, by, groups)
    total = lambda v: np.bincount(code, v, len(labels))
    rows, exposure = total(seen.on.astype(float)).astype(int), total(seen.exposure)
    means = {k: total(v) / exposure for k, v in (("actual", seen.actual), ("first", seen.expected), ("second", second))}
    index = pandas.Index(labels, name="second / first")
    return pandas.DataFrame({"rows": rows, "exposure": exposure, **means}, index=index)


def _expected_of(other, seen, data, new):
    """(n,) weight times the mean that another fit, or an array (n,) of means, gives the same rows."""
    if not isinstance(other, Assessed) and not hasattr(other, "params"):
        mean = checks.numbers("the second model's means", other, len(seen.exposure))
        return np.where(seen.on, seen.seen.weight * mean, 0.0)
    second = other if isinstance(other, Assessed) else assess(other, data, **new)
    if second.actual.shape != seen.actual.shape or not np.allclose(second.actual, seen.actual):
        raise ValueError("the two models do not have the same rows and response; give data= with the columns of both, "
                         "and no missing values")  # fmt: skip
    return second.expected


def _ranked(seen, by, groups):
    if checks.whole("groups", groups) is None:
        raise ValueError(f"groups is {groups}; it must be a whole number >= 1")
    return grouped.quantile_bins(np.where(seen.on, by, by[seen.on].min()), seen.exposure, groups)


# --------------------------------------------------------------------------- Lorenz
@dataclass(frozen=True)
class Lorenz:
    """Rows in the order of their prediction, least first; of those equal in it, all at once.

    Attributes:
        exposure, actual: (m,) shares of the total up to and with each different prediction; the first is 0.
        gini: 1 less twice the area under the curve: 0 where the order tells nothing, negative where it misleads.
        largest: the index of the order by y itself, the most that any prediction reaches in these rows.
    """

    exposure: np.ndarray
    actual: np.ndarray
    gini: float
    largest: float

    @property
    def normalized(self):
        """gini / largest."""
        return self.gini / self.largest

    def __repr__(self):
        return f"Lorenz curve: Gini index {self.gini:.4f}, {self.normalized:.4f} of the largest, {self.largest:.4f}"


def lorenz(fit, data=None, **new):
    """See `Fit.lorenz`."""
    seen = assess(fit, data, **new)
    on = seen.exposure > 0
    exposure, actual = seen.exposure[on], seen.actual[on]
    if np.any(actual < 0) or not actual.sum() > 0:
        raise ValueError("a Lorenz curve is of shares of a total: y must not be negative, nor all 0")
    x, y = curve(seen.mean[on], exposure, actual)
    return Lorenz(x, y, _gini(x, y), _gini(*curve(actual / exposure, exposure, actual)))


def curve(by, exposure, actual):
    """(shares of the exposure, shares of the actual) up to each different value of `by`, from 0 to 1."""
    order = np.argsort(by, kind="stable")
    last = np.append(np.flatnonzero(np.diff(by[order])), len(by) - 1)
    shares = [np.concatenate([[0.0], np.cumsum(v[order])[last]]) for v in (exposure, actual)]
    return tuple(s / s[-1] for s in shares)


def _gini(x, y):
    return float(1 - np.sum(np.diff(x) * (y[1:] + y[:-1])))
