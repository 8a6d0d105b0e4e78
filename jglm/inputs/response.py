"""How users write y, and how a family takes it: labels, proportions, counts, numbers -> float arrays."""

import warnings
from dataclasses import dataclass

import numpy as np

from jglm.inputs import checks


@dataclass(frozen=True)
class Response:
    """y as the family takes it; `size` are the trials per row (None for 1), `levels` the labels in order."""

    y: np.ndarray
    size: np.ndarray | None
    levels: list | None


def encode(family, y, trials=None, weights=None, levels=None):
    """(Response, family with its number of classes). `levels` are those of an earlier fit, else they are found.

    Raises ValueError or TypeError for a y that the family cannot have.
    """
    if trials is not None and family.response != "proportion":
        raise ValueError(f"trials= is for family 'binomial'; the family is {family.name!r}")
    if family.response == "label":
        return _labels(family, y, levels) if family.dim is None else _classes(family, y, levels)
    if family.response == "proportion":
        return _proportion(family, y, trials, weights, levels), family
    if family.response in ("counts", "shares"):
        return (_counts if family.response == "counts" else _shares)(family, y, levels)
    values = checks.numbers("y", y)
    if values.ndim == 2 and values.shape[1] == 1 and family.dim is None:
        values = values[:, 0]
    if values.ndim != (2 if family.vector_y else 1):
        raise ValueError(f"y has shape {values.shape}; family {family.name!r} takes " + _shape(family))
    _check_columns(family, values)
    if family.response == "angle":
        values = (values + np.pi) % (2 * np.pi) - np.pi
    return Response(values, None, None), family


def _shape(family):
    return f"(n, {family.dim if family.dim > 0 else 'k'})" if family.vector_y else "(n,)"


def _check_columns(family, values):
    if family.dim not in (None, -1) and values.ndim == 2 and values.shape[1] != family.dim:
        raise ValueError(f"y has {values.shape[1]} columns; family {family.name!r} takes " + _shape(family))


def _parts(family, y, levels, kind):
    """(n, k) numbers and the names of the columns."""
    names = [str(c) for c in y.columns] if hasattr(y, "columns") else None
    values = checks.numbers("y", y)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(f"y has shape {values.shape}; family {family.name!r} takes {kind} (n, k)"
                         + ("; for labels use family='categorical'" if kind == "counts" else ""))  # fmt: skip
    _check_columns(family, values)
    return values, levels or names or list(range(values.shape[1]))


def _counts(family, y, levels):
    """Counts in k classes as proportions of their sum."""
    values, levels = _parts(family, y, levels, "counts")
    checks.refuse("y", values < 0, "negative", "counts are >= 0")
    size = values.sum(axis=1)
    shares = np.divide(values, size[:, None], out=np.full(values.shape, 1 / values.shape[1]), where=size[:, None] > 0)
    return Response(shares, size, levels), family.with_dim(values.shape[1])


def _shares(family, y, levels):
    """Positive parts of a whole, which sum to 1."""
    values, levels = _parts(family, y, levels, "shares")
    checks.refuse("y", values <= 0, "zero or negative", f"family {family.name!r} needs shares > 0; a common remedy is "
                  "(y (n - 1) + 1 / k) / n (Smithson and Verkuilen 2006)")  # fmt: skip
    checks.refuse("y", np.abs(values.sum(axis=1) - 1) > 1e-6, "row sums other than 1 in its", "shares sum to 1")
    return Response(values, None, levels), family.with_dim(values.shape[1])


def distinct(y):
    """(values as an array, levels in order): of a categorical column its own order, else sorted."""
    categories = getattr(getattr(y, "cat", None), "categories", getattr(y, "categories", None))
    if categories is not None and not hasattr(y, "get_categories"):
        values = np.asarray(y, dtype=object)
        _no_missing(values)
        used = set(values.tolist())
        return values, [c for c in list(categories) if c in used]
    if hasattr(getattr(y, "cat", None), "get_categories") and str(y.dtype).startswith(("Categorical", "Enum")):
        own = y.cat.get_categories().to_list()
        values = np.asarray(y.to_list(), dtype=object)
        _no_missing(values)
        used = set(values.tolist())
        return values, [c for c in own if c in used]
    values = checks.to_numpy("y", y)
    if values.ndim != 1:
        return values, None
    _no_missing(values)
    if values.dtype != object:
        return values, np.unique(values).tolist()
    unique = list(dict.fromkeys(values.tolist()))
    try:
        return values, sorted(unique)
    except TypeError:
        return values, sorted(unique, key=lambda v: (type(v).__name__, str(v)))


def levels_of_all(family, y, gather):
    """The levels of a response of labels of which this process holds a share; `gather` brings what the others hold.
    None where y are no labels."""
    kind = getattr(y if hasattr(y, "dtype") else np.asarray(y), "dtype", None)
    text = str(kind).startswith(("category", "Categorical", "Enum")) or getattr(kind, "kind", "O") in "bOUS"
    if not (family.response == "label" or (family.response == "proportion" and text)) or hasattr(y, "columns"):
        return None
    values, own = distinct(y[:, 0] if np.ndim(y) == 2 and np.shape(y)[1] == 1 else y)
    if own is None:
        return None
    told = gather((own, _order(y)))
    orders = {tuple(order) for _, order in told if order is not None}
    if len(orders) > 1:
        raise ValueError("y is categorical with other levels in another process; give all of them the same levels")
    used = {v for levels, _ in told for v in levels}
    found = [v for v in orders.pop() if v in used] if orders else distinct(np.array(list(used), values.dtype))[1]
    return _two(found) if family.dim is None else found


def _order(y):
    """All levels of a categorical column in order, None for other labels."""
    categories = getattr(getattr(y, "cat", None), "categories", getattr(y, "categories", None))
    if categories is not None and not hasattr(y, "get_categories"):
        return list(categories)
    if hasattr(getattr(y, "cat", None), "get_categories") and str(y.dtype).startswith(("Categorical", "Enum")):
        return y.cat.get_categories().to_list()
    return None


def _no_missing(values):
    if values.dtype.kind == "f":
        checks.refuse("y", ~np.isfinite(values), "NaN or infinite", "drop those rows")
    elif values.dtype == object:
        missing = np.array([v is None or v != v for v in values.tolist()], bool)
        checks.refuse("y", missing, "missing", "drop those rows")


def _codes(values, levels):
    """The position of each value among the levels; a value that is none of them is refused."""
    if values.dtype.kind in "fiub" and all(isinstance(v, (bool, int, float)) for v in levels):
        known = np.asarray(levels, float)
        order = np.argsort(known)
        codes = order[np.clip(np.searchsorted(known[order], values), 0, len(known) - 1)]
        codes = np.where(known[codes] == values, codes, -1)
    else:
        where = {v: i for i, v in enumerate(levels)}
        codes = np.array([where.get(v, -1) for v in values.tolist()])
    if np.any(codes < 0):
        bad = values[np.argmax(codes < 0)]
        bad = bad.item() if isinstance(bad, np.generic) else bad
        raise ValueError(f"y has the label {bad!r} (row {int(np.argmax(codes < 0))}), which is none of {list(levels)}")
    return codes


def _labels(family, y, levels):
    """Two labels: 0/1, bool, -1/1, or any two, of which the second in order is the event."""
    values, found = distinct(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values, found = distinct(values[:, 0])
    if values.ndim != 1:
        raise ValueError(
            f"y has shape {values.shape}; family 'bernoulli' takes one column; use family='binomial' for counts"
        )
    if levels is None:
        levels = _two(found)
    return Response(_codes(values, levels).astype(float), None, levels), family


def _two(found):
    numeric = all(isinstance(v, (int, float, bool, np.number, np.bool_)) for v in found)
    if numeric and set(found) <= {0, 1}:
        return [0, 1]
    if numeric and set(found) <= {-1, 1}:
        return [-1, 1]
    if numeric and all(0 <= v <= 1 for v in found):
        raise ValueError("y has values between 0 and 1; family 'bernoulli' takes two labels; use family='binomial' "
                         "with weights= (or trials=) for proportions")  # fmt: skip
    if len(found) != 2:
        shown = ", ".join(map(repr, found[:4])) + (", …" if len(found) > 4 else "")
        raise ValueError(f"y has {len(found)} distinct values ({shown}); family 'bernoulli' needs two; "
                         "use family='categorical' for more classes")  # fmt: skip
    return found


def _classes(family, y, levels):
    """k classes: labels (the order of a categorical column, else sorted), one-hot or soft labels (n, k)."""
    names = [str(c) for c in y.columns] if hasattr(y, "columns") else None
    values, found = distinct(y) if names is None else (checks.numbers("y", y), None)
    if values.ndim == 2:
        values = checks.numbers("y", values)
        checks.refuse("y", values < 0, "negative", "soft labels are probabilities")
        checks.refuse(
            "y", np.abs(values.sum(axis=1) - 1) > 1e-6, "row sums other than 1 in its", "soft labels sum to 1"
        )
        one_hot = values
        levels = levels or names or list(range(values.shape[1]))
    else:
        levels = levels or found or []
        codes = _codes(values, levels)
        one_hot = np.zeros((len(codes), len(levels)))
        one_hot[np.arange(len(codes)), codes] = 1.0
    k = one_hot.shape[1]
    if k < 2:
        raise ValueError(f"y has the single class {levels[0]!r}; family {family.name!r} needs at least two")
    if family.dim not in (-1, k):
        raise ValueError(f"y has {k} classes ({levels[:5]}); family {family.name!r} was given k = {family.dim}")
    return Response(one_hot, None, list(levels)), family.with_dim(k)


def _proportion(family, y, trials, weights, levels):
    """Successes of trials as proportions: successes with trials=, (n, 2) successes and failures, a proportion with
    weights= as the trials, or labels."""
    shaped = checks.to_numpy("y", y)
    if shaped.ndim == 2 and shaped.shape[1] == 2:
        if trials is not None:
            raise ValueError(
                "y has two columns, successes and failures, so trials= is not needed; give one or the other"
            )
        pairs = checks.numbers("y", shaped)
        checks.refuse("y", pairs < 0, "negative", "successes and failures are counts")
        size = pairs.sum(axis=1)
        return Response(np.divide(pairs[:, 0], size, out=np.zeros(len(size)), where=size > 0), size, None)
    if shaped.ndim == 2 and shaped.shape[1] == 1:
        shaped = shaped[:, 0]
    if shaped.ndim != 1:
        raise ValueError(f"y has shape {shaped.shape}; family 'binomial' takes (n,) or (n, 2)")
    if trials is not None:
        return _successes(checks.numbers("y", shaped), checks.numbers("trials", trials, len(shaped), shaped.shape))
    if levels is not None or shaped.dtype.kind in "bOUS":
        response, _ = _labels(family, y, levels)
        return response
    values = checks.numbers("y", shaped)
    if weights is not None and family.density != "none":
        w = np.asarray(weights, float)
        if np.any(np.abs(w * values - np.round(w * values)) > 1e-3):
            warnings.warn("binomial: weights · y are not all whole numbers of successes", UserWarning, stacklevel=4)
    return Response(values, None, None)


def _successes(successes, trials):
    checks.refuse("trials", trials < 0, "negative", "they are numbers of trials")
    checks.refuse("y", successes < 0, "negative", "with trials= it is the number of successes")
    over = successes > trials
    if np.any(over):
        i = int(np.argmax(over))
        raise ValueError(f"y has {int(over.sum())} rows with more successes than trials (first: row {i}, "
                         f"{successes[i]:g} of {trials[i]:g})")  # fmt: skip
    return Response(np.divide(successes, trials, out=np.zeros_like(successes), where=trials > 0), trials, None)
