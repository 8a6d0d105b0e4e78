"""What `fit_many` takes, checked and as stacks of data sets: shared or stacked X, one model per group of rows."""

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from jglm import families, penalties
from jglm.batches.stacked import Stack
from jglm.family import Family
from jglm.fitting.padding import padded_size
from jglm.inputs import checks, response
from jglm.inputs import data as arrays
from jglm.inputs.matrix import LARGEST, SMALLEST, design_of

BLOCK = 1 << 22  # numbers of y that are looked at together


@dataclass
class Part:
    """Some of the models: which, and their data."""

    models: np.ndarray
    stack: Stack


@dataclass
class Input:
    """All models in parts, the family with its number of classes, the names of coefficients and of models."""

    parts: list
    family: Any
    names: list
    models: list
    levels: list | None
    has_offset: bool


def per_model(what, v, n, m, positive=False):
    """(n,) of all models, or (m, n), of a finite array (n,) or (n, m) that a user gives."""
    array = checks.numbers(what, v)
    if array.ndim == 2 and array.shape == (m, n) and m != n:
        raise ValueError(f"{what} has shape {array.shape}, a row per model; it must be ({n}, {m}): transpose it")
    if array.shape not in ((n,), (n, m)):
        raise ValueError(f"{what} has shape {array.shape}; it must be ({n},) or ({n}, {m}), rows by models")
    if positive:
        checks.refuse(what, array <= 0, "zero or negative", "it enters as log; drop those rows")
    return array if array.ndim == 1 else array.T


def of_models(what, v, m):
    """(m,) finite numbers of the models, from one number or m."""
    array = np.asarray(v, float)
    if array.shape not in ((), (m,)):
        raise ValueError(f"{what} has shape {array.shape}; it must be one number or ({m},), one per model")
    array = np.broadcast_to(array, (m,)).copy()
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ValueError(f"{what} has {bad.size} NaN or infinite values (first: model {bad[0]})")
    return array


def penalized(penalty, ridge, strengths, m):
    """(the penalty or None, (m,) numbers by which it is multiplied for each model or None, whether it is one of the
    mean loss)."""
    if penalty is None and ridge is None:
        if strengths is not None:
            raise ValueError("strengths= are those of penalty=, which is not given")
        return None, None, False
    if penalty is not None and ridge is not None:
        raise ValueError("ridge= and penalty= are both given; give one of them")
    name, given = ("strengths", strengths) if ridge is None else ("ridge", ridge)
    times = np.ones(m) if given is None else of_models(name, given, m)
    if np.any(times < 0):
        raise ValueError(f"{name} is {times.min():g} for model {np.argmin(times)}; strengths must be >= 0")
    penalty = penalties.ridge(1.0) if ridge is not None else penalty
    single = penalties.OfInformation, penalties.Constraints
    if not hasattr(penalty, "value") or any(isinstance(part, single) for part in penalties.parts_of(penalty)):
        raise TypeError("penalty must be one of jglm.penalties, such as ridge(1.0) or lasso(1.0), or None; with firth, "
                        "jeffreys and linear constraints fit one model at a time")  # fmt: skip
    scales = {part.scale for part in penalties.parts_of(penalty)
              if hasattr(part, "scale") and not isinstance(part, penalties.Bounds)}  # fmt: skip
    if len(scales) > 1:
        raise ValueError("the parts of penalty have scale 'sum' and scale 'mean'; give all of them the same")
    return penalty, times, scales == {"mean"}


# --------------------------------------------------------------------------- X and Y
def shaped(X, Y, names, intercept):
    """(X (n, p) or (m, n, p), Y (n, m, ...) as NumPy, names of the coefficients, names of the models or None)."""
    models = [str(c) for c in Y.columns] if hasattr(Y, "columns") and not callable(Y.columns) else None
    Y = checks.to_numpy("Y", Y)
    stacked = getattr(X, "ndim", None) == 3
    if stacked:
        X = X if isinstance(X, np.ndarray) else np.asarray(X)
        if X.dtype.kind not in "fiub":
            raise TypeError(f"X holds {X.dtype}; it must hold real numbers")
        _, n, p = X.shape
        if 0 in X.shape:
            raise ValueError(f"X has shape {X.shape}; a fit needs data")
        names = [f"x{i + 1}" for i in range(p)] if names is None else [str(v) for v in names]
        if len(names) != p or len(set(names)) != p:
            raise ValueError(f"names has {len(names)} entries; it must be {p} different ones")
        names = ["Intercept", *names] if intercept else names
    else:
        design, names = design_of(X, names, intercept)
        X, n = design.dense()[:, int(intercept) :], design.shape[0]
    if Y.ndim == 1:
        raise ValueError(f"Y has shape {Y.shape}; it must be ({n}, m), a column per model: use jglm.fit for one model, "
                         "or groups= for a model per group")  # fmt: skip
    if Y.shape[0] != n or (stacked and Y.shape[1] != len(X)):
        wanted = f"({n}, {len(X)})" if stacked else f"({n}, m)"
        turned = Y.shape[1] == n and (not stacked or Y.shape[0] == len(X))
        raise ValueError(f"Y has shape {Y.shape}; it must be {wanted}, rows by models"
                         + (": transpose it, Y.T" if turned else ""))  # fmt: skip
    if Y.shape[1] == 0:
        raise ValueError("Y has no columns; there is no model to fit")
    return X, Y, names, models


def check_X(X, models):
    """Refuse a chunk of a stacked X that is not finite, or whose squares leave the range of numbers."""
    size = np.maximum(X.max(axis=(1, 2)), -X.min(axis=(1, 2)))
    if np.all(size <= LARGEST):
        return
    i = int(np.argmax(~(size <= LARGEST)))
    bad = ~np.isfinite(X[i])
    if bad.any():
        row = int(np.argmax(bad.any(axis=1)))
        raise ValueError(f"X of model {models[i]} has {int(bad.sum())} NaN or infinite values (first: row {row}); drop "
                         "or fill them")  # fmt: skip
    raise ValueError(f"X of model {models[i]} has values of size {size[i]:.0e}, whose squares leave the range of "
                     f"numbers (keep them between {SMALLEST:g} and {LARGEST:g}); rescale it")  # fmt: skip


def encoded(family, Y, trials, weights):
    """(y (m, n, ...), trials or None, levels, family with its number of classes) of Y (n, m, ...); `trials` and
    `weights` None, (n,) or (m, n). What is wrong with a model's y is said with its number."""
    n, m = Y.shape[:2]
    if family.response == "label" and family.dim is None and Y.ndim == 2 and Y.dtype.kind in "fiub" \
            and all(np.all((b == 0) | (b == 1)) for _, b in _blocks(Y)):  # fmt: skip
        if trials is not None:
            raise ValueError(f"trials= is for family 'binomial'; the family is {family.name!r}")
        return Y.T, None, [0, 1], family
    levels = None
    if family.response == "label" and Y.ndim == 2:  # the same ones in all models
        with contextlib.suppress(ValueError):  # which is said below, with the model's number
            levels = response.encode(family, Y.reshape(-1))[0].levels
    parts, sizes = [], []
    for at, block in _blocks(Y):
        turned = np.ascontiguousarray(block.swapaxes(0, 1))
        rows = turned.reshape(-1, *turned.shape[2:])
        given = [_part_of(v, slice(at, at + len(turned)), len(turned), n) for v in (trials, weights)]
        try:
            found, family = _checked(family, rows, given[0], given[1], levels)
        except (ValueError, TypeError):
            for j in range(len(turned)):
                one = slice(j * n, (j + 1) * n)
                try:
                    _checked(family, rows[one], _cut(given[0], one), _cut(given[1], one), levels)
                except (ValueError, TypeError) as error:
                    raise type(error)(f"model {at + j}: {error}") from None
            raise
        parts.append(found.y.reshape(len(turned), n, *found.y.shape[1:]))
        sizes.append(found.size)
        levels = found.levels if levels is None else levels
    size = None if sizes[0] is None else np.concatenate(sizes).reshape(m, n)
    return np.concatenate(parts), size, levels, family


def _cut(v, rows):
    return None if v is None else v[rows]


def _part_of(v, models, b, n):
    """The rows of b models, one after another, of an array (n,) or (m, n), or None."""
    return None if v is None else np.broadcast_to(v if v.ndim == 1 else v[models], (b, n)).reshape(-1)


def _checked(family, y, trials, weights, levels):
    found, family = response.encode(family, y, trials, weights, levels)
    if family.response in ("value", "proportion"):
        on = np.ones(len(found.y), bool) if weights is None else weights > 0
        checks.in_support(family, found.y, on if found.size is None else on & (found.size > 0))
    return found, family


def _blocks(Y):
    """(first model, columns) of Y in blocks."""
    step = max(1, BLOCK // max(1, Y[:, 0].size))
    return [(i, Y[:, i : i + step]) for i in range(0, Y.shape[1], step)]


# --------------------------------------------------------------------------- a stack of models side by side
def side_by_side(X, Y, family, *, weights, offset, exposure, trials, intercept, names, models, size_factors):
    """The Input of Y (n, m) over X (n, p) or (m, n, p)."""
    X, Y, names, own = shaped(X, Y, names, intercept)
    n, m = Y.shape[:2]
    w = None if weights is None else per_model("weights", weights, n, m)
    if w is not None:
        checks.refuse("weights", w < 0, "negative", "weights must be >= 0")
    size = None if trials is None else per_model("trials", trials, n, m)
    y, size, levels, family = encoded(family, Y, size, w)
    weight, size, power = _weights(family, np.ones(n) if w is None else w, size)
    shift = np.zeros(n)
    if offset is not None:
        many = np.ndim(offset) == 3
        shift = np.asarray(checks.numbers("offset", offset, n)).swapaxes(0, 1) if many else per_model(
            "offset", offset, n, m)  # fmt: skip
    for name, v in (("exposure", exposure), ("size_factors", size_factors)):
        if v is not None:
            log = np.log(per_model(name, v, n, m, positive=True))
            shift = shift + (log[..., None] if shift.ndim == 3 else log)
    constant = bool(intercept) and not family.has_cutpoints
    names = names if constant or not intercept else names[1:]
    stack = Stack(X, y, weight, shift, size, power, constant, check=check_X if X.ndim == 3 else None)
    given = offset is not None or exposure is not None or size_factors is not None
    return Input([Part(np.arange(m), stack)], family, names, _labels(models, own, m), levels, given)


def _weights(family, w, size):
    """`data.likelihood_weights` of arrays (n,) or (m, n)."""
    if size is None:
        shape = w.shape
        flat = arrays.likelihood_weights(family, w.reshape(-1), None, "prior")
    else:
        w, size = np.broadcast_arrays(w, size)
        shape = size.shape
        flat = arrays.likelihood_weights(family, w.reshape(-1), size.reshape(-1), "prior")
    return tuple(v.reshape(shape) for v in flat)


def _labels(models, own, m):
    labels = own if models is None else list(models)
    if labels is None:
        return list(range(m))
    if len(labels) != m:
        raise ValueError(f"models has {len(labels)} names; there are {m} models")
    return labels


# --------------------------------------------------------------------------- a model per group
class Gathered:
    """Rows of X (N, p) by their numbers (m, n), as an array (m, n, p) that is made as it is sliced."""

    ndim = 3

    def __init__(self, X, rows):
        self.X, self.rows, self.shape = X, rows, (*rows.shape, X.shape[1])

    def __getitem__(self, models):
        return self.X[self.rows[models]]


def by_groups(X, y, groups, family, *, weights, offset, exposure, trials, intercept, names, models, size_factors):
    """The Input of a model per group of rows: groups of about one size are padded to one, with rows of weight 0."""
    design, names = design_of(X, names, intercept)
    X, N = design.dense()[:, int(intercept) :], design.shape[0]
    w = arrays.weights_of(weights, N)
    found, family = response.encode(family, y, trials, None if weights is None else w)
    if len(found.y) != N:
        raise ValueError(f"y has {len(found.y)} rows, X has {N}; they must have the same")
    weight, size, power = arrays.likelihood_weights(family, w, found.size, "prior")
    if family.response in ("value", "proportion"):
        checks.in_support(family, found.y, weight > 0)
    shift = arrays.offsets(offset, exposure, N, None)
    if size_factors is not None:
        shift = arrays.offsets(shift, size_factors, N, None)
    labels, codes = _codes(groups, N)
    m, counts = len(labels), np.bincount(codes)
    order, ends = np.argsort(codes, kind="stable"), np.cumsum(counts)
    key = np.array([padded_size(int(c), 16) for c in counts])
    constant = bool(intercept) and not family.has_cutpoints
    parts = []
    for size_of in np.unique(key):
        chosen = np.flatnonzero(key == size_of)
        n = int(counts[chosen].max())
        at = np.arange(n)[None, :]
        there = at < counts[chosen][:, None]
        rows = order[(ends - counts)[chosen][:, None] + np.where(there, at, 0)]
        take = lambda v, rows=rows: v[rows]
        stack = Stack(Gathered(X, rows), take(found.y), np.where(there, take(weight), 0.0), take(shift), take(size),
                      take(power), constant)  # fmt: skip
        parts.append(Part(chosen, stack))
    names = names if constant or not intercept else names[1:]
    given = offset is not None or exposure is not None or size_factors is not None
    return Input(parts, family, names, _labels(models, labels, m), found.levels, given)


def _codes(groups, N):
    values = checks.to_numpy("groups", groups)
    if values.shape != (N,):
        raise ValueError(f"groups has shape {values.shape}; it must be ({N},), a label per row")
    labels = response.distinct(values)[1] or []
    where = {v: i for i, v in enumerate(labels)}
    if values.dtype == object:
        return labels, np.array([where[v] for v in values.tolist()])
    return labels, np.searchsorted(np.asarray(labels), values)


# --------------------------------------------------------------------------- what differs between models besides
def used_columns(columns, m, p, constant):
    """(m, p + constant) of a user's (m, p) mask of the columns of X that each model has."""
    if columns is None:
        return None
    mask = np.asarray(columns)
    if mask.shape != (m, p) or mask.dtype != bool:
        raise ValueError(f"columns has shape {mask.shape} and type {mask.dtype}; it must be ({m}, {p}) of bool: which "
                         "columns of X each model has")  # fmt: skip
    whole = np.concatenate([np.ones((m, int(constant)), bool), mask], axis=1)
    if not whole.any(axis=1).all():
        raise ValueError(f"columns: model {int(np.argmin(whole.any(axis=1)))} has no column; there is nothing to fit")
    return whole


def parameters(family, given, m):
    """(family with the given parameters no longer free, {name: (m,)})."""
    if not given:
        return family, {}
    made: Any = families.catalogue().get(family.name)
    ranges = dict((family if made is None or isinstance(made, Family) else made()).free)
    values = {}
    for name, v in given.items():
        checks.choice("family_params", name, sorted(set(family.params) | set(dict(family.free))))
        if name not in family.params:
            raise ValueError(f"family_params: {name!r} of family {family.name!r} can only be estimated")
        values[name] = of_models(f"family_params[{name!r}]", v, m)
        low, high = (ranges[name].low, ranges[name].high) if name in ranges else (-np.inf, np.inf)
        bad = np.flatnonzero((values[name] <= low) | (values[name] >= high))
        if bad.size:
            raise ValueError(f"family_params[{name!r}] is {values[name][bad[0]]:g} for model {bad[0]}; it must be "
                             f"between {low:g} and {high:g}")  # fmt: skip
    return family.replace(free=tuple((k, f) for k, f in family.free if k not in values)), values
