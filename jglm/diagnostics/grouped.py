"""What a model says of groups of rows: sums observed and expected, deviance and Pearson's chi2, calibration."""

from dataclasses import dataclass

import numpy as np

from jglm.designs import Dense
from jglm.diagnostics import residuals
from jglm.fitting import deferred, estimate
from jglm.inference import tails
from jglm.inputs import checks
from jglm.inputs.data import Prepared
from jglm.inputs.policies import MISSING


def by_group(fit, by, bins, **new):
    """See `Fit.by_group`."""
    import pandas

    seen = residuals.looked(fit, **new)
    code, labels = groups_of(fit, by, bins, seen)
    size = len(labels)
    on = seen.weight > 0
    w = np.where(on, seen.weight, 0.0)

    def total(v) -> np.ndarray:
        v = np.where(on if v.ndim == 1 else on[:, None], v, 0.0)
        if v.ndim == 1:
            return np.bincount(code, w * v, size)
        return np.stack([np.bincount(code, w * column, size) for column in v.T], axis=1)

    actual, expected = total(seen.t), total(seen.rows.mu)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = actual / expected
    sums = {"deviance": total(seen.rows.deviance), "pearson_chi2": total(_chi2(seen))}
    counts = {"rows": np.bincount(code, on.astype(float), size).astype(int), "weight": np.bincount(code, w, size)}
    index = pandas.Index(labels, name=by if isinstance(by, str) else "group")
    if np.ndim(seen.t) == 1:
        return pandas.DataFrame({**counts, "actual": actual, "expected": expected, "ratio": ratio, **sums}, index=index)
    columns = {(name, ""): v for name, v in counts.items()}
    levels = classes(fit, len(actual.T))
    for name, v in (("actual", actual), ("expected", expected), ("ratio", ratio)):
        columns |= {(name, level): v[:, j] for j, level in enumerate(levels)}
    return pandas.DataFrame(columns | {(name, ""): v for name, v in sums.items()}, index=index)


def classes(fit, k):
    """What the entries of a vector y are called."""
    return [str(v) for v in (fit.levels or range(k))]


def _chi2(seen):
    """(n,) Pearson's (t - mu)' V^-1 (t - mu) of the rows at weight and dispersion 1."""
    error, variance = seen.t - seen.rows.mu, seen.rows.variance
    with np.errstate(divide="ignore", invalid="ignore"):
        if error.ndim == 1:
            return error**2 / variance
        finite = np.where(np.isfinite(variance), variance, 0.0)
        return np.einsum("ni,nij,nj->n", error, np.linalg.pinv(finite, hermitian=True), error)


def groups_of(fit, by, bins, seen):
    """(group of each row, labels): `by` an array, the name of a column of the frame or the design, or "fitted"."""
    by = named(fit, by, seen) if isinstance(by, str) else by
    return grouping(by, bins, seen.weight, fit.n_dropped)


def grouping(by, bins, weight, dropped=0):
    """(group of each row, labels) by the values of `by` (n,), in the order of its categories where it has some, else
    sorted, missing ones last; numbers of more than `bins` different values go into bins of about equal weight."""
    import pandas

    n = len(weight)
    if checks.whole("bins", bins) is None or bins < 1:
        raise ValueError(f"bins is {bins}; it must be a whole number >= 1")
    if np.shape(by) != (n,):
        note = f" ({dropped} rows with missing values were dropped)" if dropped else ""
        raise ValueError(f"by has shape {np.shape(by)}; it must have one group per row, ({n},){note}")
    if isinstance(getattr(by, "dtype", None), pandas.CategoricalDtype):
        factor = pandas.Categorical(by)
        return _coded(factor.codes.astype(int), [str(v) for v in factor.categories])
    values = np.asarray(by)
    if values.dtype.kind not in "fiub":
        code, labels = pandas.factorize(np.asarray(values, object), use_na_sentinel=False)
        names = [str(v) for v in labels]  # 1 and "1" are one
        ranked = sorted(set(names), key=lambda name: (name == MISSING, name))
        place = {name: i for i, name in enumerate(ranked)}
        return np.array([place[name] for name in names])[code], ranked
    if values.dtype.kind in "fiu" and len(pandas.unique(values)) > bins:
        if not np.all(np.isfinite(values)):
            raise ValueError("by has NaN or infinite values; give such rows a group of their own, as text")
        return quantile_bins(values, weight, bins)
    labels, code = np.unique(values, return_inverse=True)
    return code, labels.tolist()


def _coded(code, labels):
    """(codes, labels) of the categories that rows have; those without one (code -1) are the last, "nan"."""
    used, code = np.unique(np.where(code < 0, len(labels), code), return_inverse=True)
    return code, [[*labels, "nan"][i] for i in used]


def named(fit, by, seen):
    """(n,) the values of a column of the fit's frame or design by its name, or "fitted": the means."""
    if by == "fitted":
        if seen.rows.mu.ndim > 1:
            raise ValueError("by='fitted' is for a scalar mean; give the groups of the rows as an array")
        return seen.rows.mu
    if seen.design is None:
        raise ValueError("by= as a name is for the rows of the fit; for new rows give an array")
    if fit._frame is not None and by in fit._frame:
        return fit._frame[by]
    if by not in fit.names:
        raise ValueError(f"by is {by!r}, which is no column of the model{checks.nearest(by, fit.names)}; give the "
                         "groups of the rows as an array")  # fmt: skip
    return seen.design.columns(np.array([name == by for name in fit.names])).dense()[:, 0]


def quantile_bins(values, weight, bins):
    """(bin of each row, labels "low to high") of about equal weight; equal values share the bin of their first row."""
    different, first, code = np.unique(values, return_index=True, return_inverse=True)
    own = np.bincount(code, weight)
    middle = np.cumsum(own) - own + weight[first] / 2
    cut = np.minimum((middle / max(own.sum(), 1e-300) * bins).astype(int), bins - 1)
    begin, cut = np.unique(cut, return_index=True, return_inverse=True)[1:]
    low, high = different[begin], different[np.append(begin[1:], len(different)) - 1]
    return cut[code], [f"{a:.6g}" if a == b else f"{a:.6g} to {b:.6g}" for a, b in zip(low, high, strict=True)]


# --------------------------------------------------------------------------- calibration
def calibration(fit, groups, **new):
    """See `Fit.calibration`."""
    import pandas

    seen = residuals.looked(fit, **new)
    if checks.whole("groups", groups) is None or groups < 1:
        raise ValueError(f"groups is {groups}; it must be a whole number >= 1")
    n, w = len(seen.weight), np.where(seen.weight > 0, seen.weight, 0.0)
    mu, t = seen.rows.mu.reshape(n, -1), np.asarray(seen.t, float).reshape(n, -1)
    parts = []
    for j in range(mu.shape[1]):
        code, _ = quantile_bins(mu[:, j], w, groups)
        size = code.max() + 1
        total = lambda v, code=code, size=size: np.bincount(code, np.where(w > 0, w * v, 0.0), size)
        weight = total(np.ones(n))
        fitted, observed = total(mu[:, j]) / weight, total(t[:, j]) / weight
        error = np.sqrt(np.bincount(code, np.where(w > 0, w * (t[:, j] - observed[code]), 0.0) ** 2, size)) / weight
        parts.append(pandas.DataFrame({
            "rows": np.bincount(code, (w > 0).astype(float), size).astype(int), "weight": weight, "fitted": fitted,
            "observed": observed, "std_err": error, "ratio": observed / fitted,
        }, index=pandas.RangeIndex(1, size + 1, name="group")))  # fmt: skip
    if seen.rows.mu.ndim == 1:
        return parts[0]
    return pandas.concat(parts, keys=classes(fit, mu.shape[1]), names=["class", "group"])


@dataclass(frozen=True)
class CalibrationLine:
    """Cox's recalibration of a linear predictor, g(mean of y) = intercept + slope lin: 0 and 1 where it is calibrated.

    `in_the_large` is the constant at slope 1; `intercept` and `slope` are fitted together. Each has a standard error
    and a two-sided p-value, of the slope against 1.
    """

    intercept: float
    intercept_se: float
    slope: float
    slope_se: float
    slope_p: float
    in_the_large: float
    in_the_large_se: float
    in_the_large_p: float


def calibration_line(fit, **new):
    """The `CalibrationLine` of a fit on its own or on new rows; raises ValueError for families with several columns of
    lin or whose mean takes parameters besides."""
    if fit.params.ndim > 1 or fit.family.parametrize_ is not None:
        raise ValueError(f"a calibration line is for one linear predictor that gives the mean; the family is "
                         f"{fit.family.name!r}: use fit.calibration()")  # fmt: skip
    seen = residuals.looked(fit, **new)
    ones = np.ones((len(seen.y), 1))
    both = _refit(fit, seen, np.column_stack([ones, seen.lin]), np.zeros(len(ones)))
    alone = _refit(fit, seen, ones, seen.lin)
    (b0, slope), (se0, se1) = both
    (large,), (large_se,) = alone
    p = lambda value, se: float(tails.p_values(value / se, None))
    return CalibrationLine(
        float(b0), float(se0), float(slope), float(se1), p(slope - 1, se1), float(large), float(large_se),
        p(large, large_se),
    )  # fmt: skip


def _refit(fit, seen, X, offset):
    """(coefficients, standard errors) of these columns, in the family and link of the fit."""
    names = [f"z{j}" for j in range(X.shape[1])]
    prepared = Prepared(
        Dense(X), seen.y, seen.weight, seen.size, seen.power, offset, names, fit.levels, intercept=False,
        nobs=float(np.sum(seen.weight > 0)), has_offset=True,
    )  # fmt: skip
    options = dict(solver="auto", tol=1e-8, max_iter=None, dtype="float64", start=None, progress=False)
    found = estimate.estimate(prepared, fit.family, fit.link, None, **options)
    if not found.status.converged:
        raise ValueError(f"the calibration line did not converge ({found.status.message}): the linear predictor "
                         "separates the rows, or hardly varies")  # fmt: skip
    phi = 1.0
    if fit.family.dispersion == "estimated":
        phi = found.chi2 / max(prepared.nobs - found.kept.sum(), 1)
    cov = phi * deferred.unscaled_covariance(found.model, prepared, found.kept, found.coef)
    errors = np.full(len(found.coef), np.nan)
    errors[found.kept] = np.sqrt(np.diagonal(cov))
    return found.coef, errors
