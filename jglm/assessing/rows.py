"""Rows whose y is known, under a fit: those of the fit, or of new data."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jglm import prediction
from jglm.diagnostics import grouped, residuals
from jglm.inputs import checks, frames

BESIDE = ("weights", "offset", "exposure", "trials", "precision")  # of new rows


@dataclass(frozen=True)
class Assessed:
    """Rows whose y is known, under a fit with a scalar mean: arrays (n,), 0 in rows of weight 0.

    Attributes:
        seen: what `residuals.looked` says of them.
        exposure: weight (times trials) times the exposure: what sums are divided by.
        actual, expected: the weight times y, and times the mean.
        noise: the variance of `actual` under the model, dispersion included.
        frame: the columns of the model, where the rows came as a data frame; source: (data, which of its rows these
            are), for its other columns, or an array X; dropped: how many more rows missed a value.
    """

    fit: Any
    seen: residuals.Seen
    exposure: np.ndarray
    actual: np.ndarray
    expected: np.ndarray
    noise: np.ndarray
    frame: Any
    dropped: int
    source: Any

    @property
    def on(self):
        return self.seen.weight > 0

    @property
    def mean(self):
        """(n,) the fitted mean of y per unit of exposure; 0 in rows of weight 0."""
        return np.divide(self.expected, self.exposure, out=np.zeros(len(self.expected)), where=self.exposure > 0)

    def column(self, by):
        """(n,) values by the name of a column of the data or of the design, or "fitted"; an array as it is."""
        if not isinstance(by, str):
            return by
        if by == "fitted":
            return self.mean
        if self.frame is not None and by in self.frame:
            return self.frame[by]
        if self.source is None:
            return grouped.named(self.fit, by, self.seen)
        data, kept = self.source
        if by in _names(data):
            return frames.to_pandas(data, [by])[by][kept]
        if by not in self.fit.names or self.frame is not None:
            raise ValueError(f"by is {by!r}, which is no column of the data"
                             f"{checks.nearest(by, _names(data) or self.fit.names)}; give the groups of the rows as an "
                             "array")  # fmt: skip
        design: Any = prediction._design(self.fit, data)
        return design.columns(np.array([name == by for name in self.fit.names])).dense()[:, 0]

    def grouping(self, by, bins):
        """(group of each row, labels); numbers of more than `bins` values into bins of about equal exposure."""
        return grouped.grouping(self.column(by), bins, self.exposure, self.dropped)


def assess(fit, data=None, y=None, **beside):
    """The `Assessed` rows of the fit (data None), of a frame with the columns of the formula, or of an array X and y.

    beside: weights, offset, exposure, trials and precision of new rows; a frame brings those that the fit named. What
    is `Assessed` already stays as it is. Raises ValueError for a family whose mean is a vector, without data, and for a
    stream.
    """
    if isinstance(data, Assessed):
        return data
    seen, exposure, frame, dropped, source = _rows(fit, data, y, beside)
    if seen.rows.mu.ndim > 1:
        raise ValueError(f"actual and expected are sums of a scalar mean; that of family {fit.family.name!r} is a "
                         "vector: use fit.by_group(…) and fit.calibration(…)")  # fmt: skip
    on, w = seen.weight > 0, seen.weight
    inside = lambda v: np.where(on, v, 0.0)
    noise = fit.scale * w * seen.rows.variance  # of w y, as y has variance phi V / w
    return Assessed(
        fit, seen, inside(w if exposure is None else w * exposure), inside(w * seen.t), inside(w * seen.rows.mu),
        inside(noise), frame, dropped, source,
    )  # fmt: skip


def seen_of(fit, data=None, y=None, **beside):
    """What `residuals.looked` says of the same rows, whatever the family."""
    return data.seen if isinstance(data, Assessed) else _rows(fit, data, y, beside)[0]


def _rows(fit, data, y, beside):
    """(Seen, exposure, frame, rows dropped, source) as `Assessed` has them."""
    unknown = [k for k in beside if k not in BESIDE]
    if unknown:
        raise TypeError(f"{unknown[0]!r} is none of what new rows bring: {', '.join(BESIDE)}")
    with jax.enable_x64(True):
        return _own(fit, y, beside) if data is None else _others(fit, data, y, beside)


def _own(fit, y, beside):
    """(Seen, exposure, frame, rows dropped, None) of the rows of the fit."""
    given = [k for k, v in (("y", y), *beside.items()) if v is not None]
    if given:
        raise ValueError(f"{given[0]}= is for new rows, beside data=; the rows of the fit have their own")
    prepared = fit._data("what is actual and expected without data=")
    if hasattr(prepared, "deferred"):
        raise ValueError("the rows of a stream stay on disk; give a frame of some of them by data=")
    return residuals.looked(fit, look=residuals.only_moments), prepared.exposure, fit._frame, fit.n_dropped, None


def _others(fit, data, y, beside):
    """(Seen, exposure, frame, rows dropped, source) of new rows."""
    if checks.is_stream(data):
        raise TypeError("data is a stream; give a frame of some of its rows")
    if fit.formula is None or isinstance(data, (np.ndarray, jax.Array)):
        if y is None:
            raise ValueError("new rows of a fit without a formula need y= beside data=")
        seen, exposure = residuals.looked(fit, data, y, look=residuals.only_moments, **beside), beside.get("exposure")
        return seen, None if exposure is None else checks.numbers("exposure", exposure), None, 0, (data, slice(None))
    given: dict[str, Any]
    frame, given, kept = _whole_rows(fit, data, beside | {"y": y})
    y = fit.formula.y(frame) if y is None else given.pop("y")
    seen = residuals.looked(fit, frame, y, look=residuals.only_moments, **given)
    return seen, given.get("exposure"), frame, int(np.sum(~kept)), (data, kept)


def _whole_rows(fit, data, beside):
    """(columns of the model as a pandas frame, arrays beside them, which rows these are): those that miss no value."""
    named = {k: v for k, v in fit.columns.items() if k in BESIDE and beside.get(k) is None}
    needed = [*(fit.formula.right_variables if beside["y"] is not None else fit.formula.variables), *fit.fixed]
    if fit.precision is not None and beside.get("precision") is None:
        needed += fit.precision.right_variables
    frame, kept = prediction.whole_rows(data, fit.formula, [*needed, *named.values()])
    if not kept.any():
        raise ValueError("data has no rows without missing values in the columns of the model")
    arrays = {k: np.asarray(v) if k == "y" else checks.floats(k, v) for k, v in beside.items() if v is not None}
    for name, values in arrays.items():
        if len(values) != len(frame):
            raise ValueError(f"{name} has {len(values)} rows, data has {len(frame)}; they must have the same")
    part = frames.rows(frame, kept)
    return part, {k: v[kept] for k, v in arrays.items()} | {k: part[v].to_numpy() for k, v in named.items()}, kept


def _names(data):
    """The names of the columns of a data frame or a dict."""
    names: Any = data if isinstance(data, dict) else getattr(data, "column_names", getattr(data, "columns", ()))
    return list(names)
