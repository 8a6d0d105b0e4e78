"""Input checks: what was wrong with the values, why that cannot be, what to do."""

import difflib

import numpy as np


def nearest(name, known):
    """'; did you mean ...?' for a name that is near a known one, else '.'."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else "."


def choice(what, value, known):
    """`value` if it is one of `known`, else a ValueError with the nearest."""
    if value not in known:
        raise ValueError(f"{what} is {value!r}{nearest(value, known)} It must be one of {', '.join(map(repr, known))}")
    return value


def to_numpy(what, values):
    """Any array, series or list as NumPy; text and objects stay as they are."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{what} has {int(np.ma.count_masked(values))} masked values; drop or fill them")
    if hasattr(values, "to_numpy") and not isinstance(values, np.ndarray):
        values = values.to_numpy()
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{what} has rows of different lengths; it must be a rectangular array") from None
    if array.ndim == 0:
        raise ValueError(f"{what} is a single value; it must be an array")
    return array


def numbers(what, values, n=None, shape=None) -> np.ndarray:
    """A finite float64 array; of n rows, or of `shape`, where given.

    Raises TypeError for text, ValueError for NaN, infinities and lengths that differ.
    """
    array = floats(what, values)
    if n is not None and array.shape[0] != n:
        raise ValueError(f"{what} has {array.shape[0]} rows, X has {n}; they must have the same")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{what} has shape {array.shape}; it must be {shape}")
    refuse(what, ~np.isfinite(array), "NaN or infinite", "drop or fill them")
    return array


def floats(what, values) -> np.ndarray:
    """A float64 array in which NaN may stand; TypeError for text, dates and complex numbers."""
    array = to_numpy(what, values)
    if array.dtype == object or array.dtype.kind in "USmMV":
        timed = array.dtype.kind in "mM" and array.size
        bad = array.ravel()[0] if timed else next((v for v in array.ravel() if not _is_number(v)), None)
        if bad is not None:
            raise TypeError(
                f"{what} holds {str(bad)!r}, which is not a number; encode text columns or use jglm.glm"
            ) from None
    if array.dtype.kind == "c":
        raise TypeError(f"{what} holds complex numbers; it must be real")
    if array.dtype == object:  # pandas' NA has no float of its own
        array = np.asarray([np.nan if type(v).__name__ == "NAType" else v for v in array.ravel()]).reshape(array.shape)
    return array.astype(np.float64, copy=False)


def level(value):
    """A confidence level between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"level is {value}; it must be between 0 and 1, such as 0.95")


def whole(what, value):
    """A whole number >= 1, or None."""
    if value is None or (isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError(f"{what} is {value!r}; it must be a whole number >= 1")


def positive(name, value):
    """A finite number > 0, as a float."""
    try:
        value = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}; it must be a positive number") from None
    if not (value > 0 and np.isfinite(value)):
        raise ValueError(f"{name} is {value}; it must be a positive number")
    return value


def _is_number(v):
    return isinstance(v, (int, float, np.number, np.bool_)) or v is None or type(v).__name__ in ("Decimal", "NAType")


def refuse(what, bad, kind, remedy):
    """ValueError where any of the boolean array `bad` holds, naming how many and the first row."""
    if np.any(bad):
        rows = bad if bad.ndim == 1 else bad.any(axis=tuple(range(1, bad.ndim)))
        count = int(np.sum(bad))
        values = "value" if count == 1 else "values"
        raise ValueError(f"{what} has {count} {kind} {values} (first: row {int(np.argmax(rows))}); {remedy}")


def in_support(family, y, on):
    """ValueError where a y (of a row that counts) lies outside the support of the family; whether all are on its
    lattice, where it has one."""
    support, counts = family.support, on if y.ndim == 1 else on[:, None]
    interval = support._replace(step=0.0)
    outside = counts & ~interval.holds(y)
    kind, other = "impossible", "another family"
    if support.low == 0.0 and np.all(y[outside] < 0):
        kind, other = "negative", "family='gaussian'"
    elif np.all(y[outside] == 0):
        kind = "zero"
    remedy = f"family {family.name!r} needs {interval.describe()}; drop those rows or use {other}"
    refuse("y", outside, kind, remedy)
    return bool(np.all(support.holds(y) | ~counts))


def is_stream(data):
    """Whether data are a stream."""
    return hasattr(data, "fingerprint") and hasattr(data, "share")
