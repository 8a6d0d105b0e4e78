"""Labels of rows, such as groups and times, as whole numbers in the order of the labels."""

from typing import Any

import numpy as np

from jglm.inputs import checks, frames


def codes_of(what, values: Any):
    """(n,) float codes 0, 1, … of labels in their order (a categorical column's own, else sorted), NaN where missing.

    Raises ValueError for what is no array of one label a row.
    """
    categories = getattr(getattr(values, "cat", values), "categories", None)
    if categories is not None and not callable(categories):
        codes = np.asarray(getattr(getattr(values, "cat", values), "codes", ()), float)
        return np.where(codes < 0, np.nan, codes)
    labels = checks.to_numpy(what, values)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"{what} has shape {labels.shape}; it must be one label a row, (n,)")
    missing = _missing(labels)
    out = np.full(len(labels), np.nan)
    known = labels[~missing]
    if labels.dtype == object and len({type(v) for v in known}) > 1 and not _all_numbers(known):
        known = known.astype(str)
    out[~missing] = np.unique(known, return_inverse=True)[1]
    return out


def _missing(labels):
    if labels.dtype.kind == "f":
        return np.isnan(labels)
    if labels.dtype.kind in "mM":
        return np.isnat(labels)
    if labels.dtype != object:
        return np.zeros(len(labels), bool)
    return np.array([v is None or type(v).__name__ in ("NAType", "NaTType") or v != v for v in labels.tolist()], bool)


def _all_numbers(values):
    return all(isinstance(v, (int, float, np.number)) for v in values)


def groups_of(groups: Any, data=None):
    """(n, 1) or (n, 2) float codes of one grouping or two: labels (n,), (n, 2), a pair of such, or with `data` names of
    its columns. None for None."""
    if groups is None:
        return None
    names = getattr(groups, "columns", None)
    if isinstance(groups, str):
        columns = [groups]
    elif isinstance(groups, (tuple, list)) and len(groups) == 2 and all(_is_column(g) for g in groups):
        columns = list(groups)
    elif names is not None:
        columns = [groups[c] for c in names]
    else:
        array = checks.to_numpy("groups", groups) if getattr(groups, "ndim", 1) != 1 else None
        columns = [groups] if array is None else list(array.T)
    if len(columns) not in (1, 2):
        raise ValueError(f"groups has {len(columns)} columns; rows are grouped one way or two")
    return np.column_stack([codes_of("groups", _column(g, "groups", data)) for g in columns])


def _is_column(g):
    return isinstance(g, str) or (hasattr(g, "__len__") and len(g) > 2)


def time_of(time, data=None):
    """(n,) float codes of times in order, or None."""
    return None if time is None else codes_of("time", _column(time, "time", data))


def _column(given, what, data):
    if not isinstance(given, str):
        return given
    if data is None:
        raise ValueError(f"{what} is the text {given!r}; names of columns are for jglm.glm, give an array")
    return frames.to_pandas(data, [given])[given]


def whole(what, codes, n):
    """Codes of n rows as whole numbers; ValueError for another length and for missing labels."""
    if codes is None:
        return None
    if len(codes) != n:
        raise ValueError(f"{what} has {len(codes)} rows, the fit has {n}; give a label for each row that was used")
    checks.refuse(what, np.isnan(codes), "missing", "drop those rows or give them a label")
    return codes.astype(int)
