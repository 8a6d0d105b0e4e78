"""Rows as they are and as they might be: the design of data in which some variables have other values.

An array has columns that are set one by one; a frame goes through the fit's formula again, so that every term of a
variable (its powers, interactions, splines) moves with it.
"""

import itertools
from typing import Any

import numpy as np

from jglm import prediction
from jglm.inputs import checks, frames
from jglm.inputs import data as arrays
from jglm.inputs.policies import column_of

STEP = 1e-3  # of differences of a term that is not linear in its variable, in standard deviations or of its size
SUMMARIES = ("mean", "median", "zero")


def rows_of(fit, X, offset, exposure, weights):
    """The `ArrayRows` or `FrameRows` of new data X, or of the rows of the fit that have weight."""
    if X is None:
        prepared = fit._data("an average over the rows")
        if fit.formula is not None and fit._frame is None:
            raise ValueError("the fit has no data frame (fitted to a stream, detached or loaded); give one by X=")
        shift = prepared.offset
        if offset is not None or exposure is not None:
            shift = arrays.offsets(offset, exposure, len(prepared.y), fit.model.width())
        counts = prepared.power if fit.weight_kind != "prior" else np.where(prepared.weight > 0, 1.0, 0.0)
        w = counts if weights is None else arrays.weights_of(weights, len(prepared.y))
        if fit.formula is None:
            return ArrayRows(fit, prepared.X, shift, w).where(w > 0)
        return FrameRows(fit, fit._frame, shift, w).where(w > 0)
    if fit.formula is not None and not isinstance(X, np.ndarray):
        return _new_frame(fit, X, offset, exposure, weights)
    design, lin = prediction.design_and_lin(fit, X, offset, exposure)
    w = arrays.weights_of(weights, len(lin))
    return ArrayRows(fit, design.dense(), lin - design.times(np.nan_to_num(fit.params)), w).where(w > 0)


def _new_frame(fit, X, offset, exposure, weights):
    named = [v for k, v in fit.columns.items() if k in ("offset", "exposure")]
    given = frames.to_pandas(X, list(dict.fromkeys([*fit.formula.right_variables, *named, *fit.fixed])))
    given = fit.formula.filled(given)
    w = arrays.weights_of(weights, len(given))
    design, lin = prediction.design_and_lin(fit, given, offset, exposure)
    whole = np.isfinite(lin) if lin.ndim == 1 else np.isfinite(lin).all(axis=1)
    if not whole.any():
        raise ValueError("every row of X misses a value of the model; there is nothing to average")
    shift = lin - design.times(np.nan_to_num(fit.params))
    on = whole & (w > 0)
    own = given.loc[on, fit.formula.right_variables].reset_index(drop=True)
    return FrameRows(fit, own, shift[on], w[on])


class ArrayRows:
    """Rows of a matrix X (n, p), offset (n,) or (n, k), row weights (n,); variables are its columns that vary."""

    def __init__(self, fit, X, offset, weight):
        self.fit, self.X, self.offset, self.weight, self.names = fit, X, offset, weight, list(fit.names)
        self.factors: dict[str, list] = {}

    def __len__(self):
        return len(self.X)

    def variables(self):
        moves = np.ptp(self.X, axis=0) > 0
        return [n for n, m, k in zip(self.names, moves, self.fit.kept, strict=True) if m and k]

    def binary(self):
        """Columns of nothing but 0 and 1."""
        return [n for n in self.variables() if np.isin(self.values(n), (0.0, 1.0)).all()]

    def values(self, name):
        return self.X[:, self.names.index(name)]

    def where(self, part):
        return ArrayRows(self.fit, self.X[part], self.offset[part], self.weight[part])

    def set(self, changes):
        """The same rows with {variable: value or (n,)}."""
        X = self.X.copy()
        for name, value in changes.items():
            X[:, self.names.index(name)] = _value(name, value, len(self))
        return ArrayRows(self.fit, X, self.offset, self.weight)

    def summarized(self, kind):
        """One row: every column at its mean or median, or 0 but for constants."""
        X = {"mean": np.average(self.X, axis=0, weights=self.weight)[None], "median": np.median(self.X, axis=0)[None]}
        zero = np.where(np.ptp(self.X, axis=0) == 0, self.X[0], 0.0)[None]
        return ArrayRows(self.fit, X.get(kind, zero), _mean(self.offset, self.weight), np.ones(1))

    def design(self):
        """(X, offset)."""
        return self.X, self.offset

    def slope(self, name):
        """(d X / d variable, d offset / d variable): the unit vector of its column, (p,)."""
        return np.eye(len(self.names))[self.names.index(name)], np.zeros_like(self.offset)


class FrameRows:
    """Rows of a pandas frame of the formula's columns; variables are those columns."""

    def __init__(self, fit, frame, offset: Any, weight, own=None, shift: Any = None):
        self.fit, self.frame, self.weight = fit, frame, weight
        self.formula, self._design = fit.formula, None
        self.factors = factor_levels(self.formula, frame) if own is None else own
        self.apart = offset if shift is None else shift  # what no term of the formula brings
        if shift is None:
            part = self.formula.transform(frame)
            self._design = part
            self.apart = offset if part[1] is None else offset - _like(part[1], offset)

    def __len__(self):
        return len(self.frame)

    def _anew(self, frame, apart, weight):
        return FrameRows(self.fit, frame.reset_index(drop=True), None, weight, self.factors, apart)

    def variables(self):
        return [n for n in self.formula.right_variables if self.frame[n].nunique() > 1 or len(self) == 1]

    def binary(self):
        return []

    def values(self, name):
        return self.frame[name].to_numpy(dtype=float)

    def where(self, part):
        if np.all(part):
            return self
        return self._anew(self.frame.loc[part], self.apart[part], self.weight[part])

    def set(self, changes):
        import pandas

        new = {}
        for name, value in changes.items():
            levels = self.factors.get(name)
            if levels is None:
                new[name] = _value(name, value, len(self))
                continue
            if isinstance(value, str) or np.ndim(value) == 0:
                value = [value] * len(self)
            missing = [v for v in value if v not in levels]
            if missing:
                raise ValueError(f"{name!r} has no level {missing[0]!r}; its levels are {', '.join(map(str, levels))}")
            new[name] = pandas.Series(list(value), index=self.frame.index)
            if isinstance(self.frame[name].dtype, pandas.CategoricalDtype):
                new[name] = pandas.Categorical(list(value), categories=list(levels))
        return self._anew(self.frame.assign(**new), self.apart, self.weight)

    def middle(self, kind, known=None):
        """{column: value}: numbers at their mean or median, or 0; factors at the level of the largest weight. Of the
        numbers only those that are `known(column)`, where that is given."""
        import pandas

        row: dict[str, Any] = {}
        for name in self.formula.right_variables:
            if name in self.factors:
                codes = pandas.Categorical(self.frame[name], categories=self.factors[name]).codes
                row[name] = self.factors[name][int(np.argmax(np.bincount(codes, self.weight)))]
            elif known is None or known(name):
                v = self.values(name)
                row[name] = {"mean": np.average(v, weights=self.weight), "median": np.median(v)}.get(kind, 0.0)
        return row

    def summarized(self, kind):
        """One row: that of `middle`."""
        one = self._anew(self.frame.iloc[:1], _mean(self.apart, self.weight), np.ones(1))
        return one.set(self.middle(kind))

    def grid(self, names):
        """One row for each combination of the levels of these factors, all else as in the first row."""
        combinations = list(itertools.product(*(self.factors[n] for n in names)))
        frame = self.frame.iloc[np.zeros(len(combinations), int)]
        rows = self._anew(frame, np.repeat(self.apart[:1], len(combinations), axis=0), np.ones(len(combinations)))
        return combinations, rows.set({n: [c[i] for c in combinations] for i, n in enumerate(names)})

    def design(self):
        if self._design is None:
            self._design = self.formula.transform(self.frame)
        X, shift = self._design
        X = X if isinstance(X, np.ndarray) else X.dense()
        return X, self.apart if shift is None else self.apart + _like(shift, self.apart)

    def slope(self, name):
        """(d X / d variable (n, p), d offset / d variable). Where the variable stands by itself in every term X is
        linear in it, and a difference is exact; else it is a difference of fourth order inside the range of the
        data."""
        plain = [f for t in self.formula.rhs for f in t.factors if name in self.formula.columns_of(f)]
        at = lambda v: self.set({name: v}).design()
        if all(f.eval_method.value == "lookup" for f in plain):
            (X1, o1), (X0, o0) = at(1.0), at(0.0)
            return X1 - X0, o1 - o0
        v = self.values(name)
        known = self.fit._frame[name].to_numpy(float) if self.fit._frame is not None else v
        low, high = min(known.min(), v.min()), max(known.max(), v.max())
        size = np.std(known) or 1.0
        h = STEP * np.where(v == 0, size, np.minimum(size, np.abs(v)))
        turn = np.clip(np.ceil((low - v) / h + 2), 0, 2) + np.clip(np.floor((high - v) / h - 2), -2, 0)
        C = np.stack([_stencil(k) for k in range(-2, 3)])[(turn + 2).astype(int)]  # (n, 5)
        X, offset = 0.0, 0.0
        for k in range(-2, 3):
            Xk, ok = at(v + (k + turn) * h)
            c = C[:, k + 2] / h
            X, offset = X + c[:, None] * Xk, offset + (c if ok.ndim == 1 else c[:, None]) * ok
        return X, offset


def _stencil(turn):
    """Weights of the values at turn - 2, …, turn + 2 that give the derivative at 0 of polynomials of degree 4."""
    nodes = np.arange(-2, 3) + turn
    return np.linalg.solve(np.vander(nodes, 5, increasing=True).T.astype(float), np.eye(5)[1])


def factor_levels(formula, frame):
    """{column: levels} of the columns of a frame that are factors of the formula."""
    found = {}
    for expr, (kind, state) in formula.spec.encoder_state.items():
        column = column_of(expr)
        if getattr(kind, "value", kind) == "categorical" and column in frame and "categories" in state:
            found[column] = list(state["categories"])
    return found


# --------------------------------------------------------------------------- the typical row
def exposure_of(fit):
    """(n,) weight (times trials) times exposure of the rows of a fit, 0 in rows of weight 0."""
    prepared = fit._data("the exposure of the rows")
    w = np.where(prepared.weight > 0, prepared.weight, 0.0)
    return w if prepared.exposure is None else w * prepared.exposure


def typical(fit):
    """{column: value} of the columns of a formula, by exposure: numbers at their mean, factors at their most exposed
    level. Columns that are neither are left out; {} where the fit never had a frame."""
    if fit._frame is None or fit.formula is None:
        return fit.typical
    return _middle(fit, fit._frame, exposure_of(fit))


def typical_row(fit, X=None):
    """The `FrameRows` of one row, the `typical` one of a fit or that of a frame X, without an offset."""
    import pandas

    row = typical(fit)
    if X is not None:
        exposure = [v for k, v in fit.columns.items() if k == "exposure"]
        given = frames.to_pandas(X, list(dict.fromkeys([*fit.formula.right_variables, *exposure])))
        given = fit.formula.filled(given).dropna()
        if len(given) == 0:
            raise ValueError("every row of X misses a value of the model; there is none to begin from")
        given = fit.formula.with_known_levels(given.reset_index(drop=True))
        row = _middle(fit, given, given[exposure[0]].to_numpy(float) if exposure else np.ones(len(given)))
    missing = [name for name in fit.formula.right_variables if name not in row]
    if missing:
        raise ValueError(f"the fit does not know a typical value of {missing[0]!r} (fitted to a stream, or the column "
                         "is neither a number nor a factor); give a frame by X=")  # fmt: skip
    return _unshifted(fit, pandas.DataFrame([row]), np.ones(1))


def _middle(fit, frame, weight):
    import pandas

    plain = lambda name: pandas.api.types.is_numeric_dtype(frame[name].dtype)
    rows = _unshifted(fit, frame, weight)
    on = weight > 0
    return (rows if on.all() else rows.where(on)).middle("mean", plain)


def _unshifted(fit, frame, weight):
    """The rows of a frame, none of which is put through the formula before it has to be."""
    width = fit.model.width()
    apart = np.zeros(len(frame) if width is None else (len(frame), width))
    return FrameRows(fit, frame, None, weight, factor_levels(fit.formula, frame), apart)


def estimable(fit, jac):
    """Which rows of a Jacobian (q, P) in the flat coefficients do not depend on how aliased columns were left out: they
    are combinations of the rows of the design."""
    if fit.kept.all() or fit._prepared is None:
        return np.ones(len(jac), bool)
    X = fit._prepared.X[fit._prepared.weight > 0]
    kept = np.tile(fit.kept, fit.model.width() or 1)
    B = np.linalg.lstsq(X[:, fit.kept], X[:, ~fit.kept])[0]
    p, k = int(fit.kept.sum()), fit.model.width() or 1
    want = np.einsum("qkp,pa->qka", jac[:, : kept.size][:, kept].reshape(len(jac), k, p), B).reshape(len(jac), -1)
    gap = np.abs(jac[:, : kept.size][:, ~kept] - want).max(axis=1, initial=0.0)
    return gap <= 1e-8 * (np.abs(jac).max(axis=1, initial=0.0) + 1e-300)


def _value(name, value, n):
    """(n,) numbers of one or of n."""
    v = checks.numbers(f"the value of {name!r}", np.atleast_1d(value))
    if v.shape not in ((1,), (n,)):
        raise ValueError(f"the value of {name!r} has shape {v.shape}; it must be a number, or one for each of {n} rows")
    return np.broadcast_to(v, (n,))


def _mean(v, weight):
    return np.average(v, axis=0, weights=weight)[None]


def _like(shift, offset):
    return shift if np.ndim(offset) == 1 else shift[:, None]
