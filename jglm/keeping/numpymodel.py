"""Predictions of a model file by NumPy alone: no JAX, no formulaic, no pandas, so that they start in a moment."""

import functools
import itertools
import math
import operator

import numpy as np

from jglm.inputs import checks, policies
from jglm.inputs.plain import decode, is_level, is_structure
from jglm.keeping import io, numpyterms
from jglm.keeping.upgrades import upgraded


def _logistic(v):
    small = np.exp(-np.abs(v))
    return np.where(v >= 0, 1 / (1 + small), small / (1 + small))


def _normal(v):
    return np.array([math.erfc(-u / math.sqrt(2)) / 2 for u in v.tolist()])


MEANS = {
    "identity": lambda v: v, "log": np.exp, "logit": _logistic, "probit": _normal, "inverse": lambda v: 1 / v,
    "cloglog": lambda v: -np.expm1(-np.exp(v)), "loglog": lambda v: np.exp(-np.exp(-v)), "sqrt": lambda v: v**2,
    "cauchit": lambda v: np.arctan2(1.0, -v) / np.pi, "inverse_squared": lambda v: v**-0.5,
}  # fmt: skip
SOFTMAX = ("categorical", "multinomial")


class NumpyModel:
    """A model file read with NumPy and safetensors alone.

    The linear predictor is that of `Fit.predict` to the last bit, as far as the same BLAS multiplies as many rows; of
    the mean the last bit or two may differ, since NumPy's exp is not XLA's.

    >>> import jglm, os, tempfile
    >>> fit = jglm.glm("y ~ x + g", {"y": [1, 2, 4, 3], "x": [0.0, 1, 2, 3], "g": list("aabb")}, family="poisson")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit.save(os.path.join(folder, "m.jglm"))
    ...     model = jglm.NumpyModel(os.path.join(folder, "m.jglm"))
    >>> model.predict({"x": [0.5, 2.5], "g": ["a", "b"]}).round(4)
    array([1.5, 3.5])
    """

    def __init__(self, path):
        """Read a model file. ValueError for a damaged one, and for what needs more than NumPy: own functions, version 1
        with a formula."""
        read = io.read(path)
        try:
            tensors, facts = upgraded(*read)
            _check(tensors, facts)
            self.params, self.names = np.nan_to_num(tensors["params"]), facts["names"]
            self.link, self.family = facts["link"], facts["family"]
            self.q = float(tensors.get("link.q", 1.0))
            self.intercept, self.named, self.levels = facts["intercept"], facts["columns"], decode(facts["levels"])
            self.fixed = decode(facts["fixed"])
            self.formula = None if facts["formula"] is None else _Formula(facts["formula"])
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{path} is damaged: {type(error).__name__} {error}") from error

    def __repr__(self):
        return f"<NumpyModel of {self.family['name']} with link {self.link['name']}: {len(self.names)} coefficients>"

    def predict(self, X, kind="mean", offset=None, exposure=None):
        """Predictions for new rows, as `Fit.predict` gives them.

        X: {column: (n,) values} or a data frame for a formula, missing values None or NaN; else (n, p) numbers. kind:
        "mean" or "link". offset, exposure: (n,); the columns that the fit named are taken from X.

        Returns (n,), or (n, k) for k classes; NaN in rows that miss a value. Raises ValueError for a family whose mean
        needs more than NumPy.
        """
        checks.choice("kind", kind, ("mean", "link"))
        if self.formula is None:
            lin = self._of_array(np.asarray(X, float)) + self._shift(None, offset, exposure)
        else:
            lin = self._of_columns(X, offset, exposure)
        return lin if kind == "link" else self._mean(lin)

    def _of_array(self, X):
        X = np.column_stack([np.ones(len(X)), X]) if self.intercept else X
        if X.ndim != 2 or X.shape[1] != len(self.names):
            raise ValueError(f"X has shape {X.shape} with the constant; the fit had {len(self.names)} columns")
        return np.ascontiguousarray(X) @ self.params

    def _of_columns(self, X, offset, exposure):
        known = {k: v for k, v in self.named.items() if k in ("offset", "exposure")}
        needed = list(dict.fromkeys([*self.formula.variables, *known.values(), *self.fixed]))
        columns = {name: _column(X, name) for name in needed}
        n = len(next(iter(columns.values()))) if columns else len(X)
        whole, columns = self.formula.settled(columns, n)
        part = {name: values[whole] for name, values in columns.items()}
        design, apart = self.formula.design(part, int(whole.sum()), self.names)
        shift = self._shift({k: part[v] for k, v in known.items()}, *(None if v is None else np.asarray(v)[whole]
                                                                     for v in (offset, exposure)))  # fmt: skip
        for column, table in self.fixed.items():
            apart = apart + np.array([np.log(table[v]) for v in part[column].tolist()])
        lin = np.full((n, *self.params.shape[1:]), np.nan)
        lin[whole] = (design @ self.params + shift) + (apart if self.params.ndim == 1 else np.reshape(apart, (-1, 1)))
        return lin

    def _shift(self, columns, offset, exposure):
        """What is added to X coef: the offset and the logarithm of the exposure, those given or those named."""
        columns = columns or {}
        offset = columns.get("offset") if offset is None else offset
        exposure = columns.get("exposure") if exposure is None else exposure
        total = 0.0 if offset is None else np.asarray(offset, float)
        total = total if exposure is None else total + np.log(np.asarray(exposure, float))
        return np.reshape(total, (-1, 1)) if self.params.ndim > 1 and np.ndim(total) == 1 else total

    def _mean(self, lin):
        name = self.link["name"]
        if self.params.ndim > 1:
            return self._classes(lin, name)
        known = name in MEANS or name.startswith("power(")
        if not known or self.link["own"] or self.family["name"] == "ordinal":
            raise ValueError(f"the mean of family {self.family['name']!r} with link {name!r} needs its log-partition; "
                             'use kind="link", or jglm.load')  # fmt: skip
        return lin ** (1 / self.q) if name.startswith("power(") else MEANS[name](lin)

    def _classes(self, lin, name):
        if self.family["name"] not in SOFTMAX:
            raise ValueError(f'the mean of family {self.family["name"]!r} needs more than NumPy; use kind="link", or '
                             "jglm.load")  # fmt: skip
        if name.startswith("reference("):
            lin = np.insert(lin, int(name[10:-1]), 0.0, axis=1)
        shown = np.exp(lin - lin.max(axis=1, keepdims=True))
        return shown / shown.sum(axis=1, keepdims=True)


def _check(tensors, facts):
    """ValueError where a value that predictions take is not of its kind."""
    names, params, formula = facts["names"], tensors["params"], facts["formula"]
    texts = [*names, *facts["columns"].values(), facts["link"]["name"], facts["family"]["name"]]
    fits = params.ndim in (1, 2) and params.shape[0] == len(names) and params.dtype.kind == "f"
    fits = fits and all(isinstance(v, str) for v in texts) and isinstance(facts["intercept"], bool)
    fits = fits and isinstance(facts["link"]["own"], bool)
    if fits and facts["link"]["name"].startswith("power("):
        fits = tensors["link.q"].size == 1 and 1e-9 < abs(float(tensors["link.q"])) < 1e9
    fits = fits and all(isinstance(t, dict) and all(isinstance(v, float) and v > 0 for v in t.values())
                        for t in decode(facts["fixed"]).values())  # fmt: skip
    if formula is not None and formula["structure"] is not None:
        levels, states = decode(formula["levels"]), decode(formula["transforms"])
        fits = fits and all(is_structure(term, None) for term in formula["structure"])
        fits = fits and all(isinstance(v, list) and v and all(map(is_level, v)) for v in levels.values())
        fits = fits and all(isinstance(k, str) and isinstance(v, dict) for k, v in states.items())
    if not fits:
        raise ValueError("the model file is damaged: its coefficients, names and formula do not match")


class _Formula:
    """The terms of a formula from a model file."""

    def __init__(self, state):
        if state["structure"] is None or state["functions"]:
            what = f"your function {state['functions'][0]!r}" if state["functions"] else "a file of version 1"
            raise ValueError(f"the model's formula needs more than NumPy ({what}); use jglm.load")
        self.structure, self.states = state["structure"], decode(state["transforms"])
        self.levels, self.intercept = decode(state["levels"]), state["intercept"]
        self.policy = policies.Policy(state["missing"], state["unseen"])
        exprs = list(dict.fromkeys(f[0] for _, parts in self.structure for _, factors in parts for f in factors))
        self.of_factor = {expr: policies.column_of(expr) for expr in exprs if expr in self.levels}
        self.of_number = {expr: _columns_of(expr) for expr in exprs if expr not in self.levels}
        odd = [expr for expr, column in self.of_factor.items() if column is None]
        if odd:
            raise ValueError(f"{odd[0]} makes levels that no column has; use jglm.load")
        self.variables = list(dict.fromkeys([*self.of_factor.values(), *itertools.chain(*self.of_number.values())]))

    def settled(self, columns, n):
        """((n,) rows that miss nothing, the columns), missing values and unseen levels as the policy says."""
        alone = set(self.of_factor.values()) - set(itertools.chain(*self.of_number.values()))
        whole, new = np.ones(n, bool), dict(columns)
        for name, values in columns.items():
            gone = np.array([v is None or v != v for v in values.tolist()], bool)
            if name in alone and self.policy.missing == "as_missing":
                new[name] = np.where(gone, policies.MISSING, values)
            elif self.policy.missing == "error" and gone.any():
                raise ValueError(f"column {name!r} has {int(gone.sum())} missing values (first: row "
                                 f"{int(np.argmax(gone))}); fill them or drop those rows")  # fmt: skip
            else:
                whole &= ~gone
        for expr, column in self.of_factor.items():
            new[column] = self._known(expr, column, new[column], whole, column in alone)
        return whole, new

    def _known(self, expr, column, values, whole, alone):
        levels = self.levels[expr]
        known, instead = set(levels), None
        unseen = np.array([v not in known for v in values.tolist()], bool) & whole
        if not unseen.any():
            return values
        if alone and self.policy.unseen == "as_missing" and policies.MISSING in known:
            instead = policies.MISSING
        elif alone and self.policy.unseen == "baseline":
            instead = policies.base_of(expr, levels)
        if instead is None:
            raise ValueError(f"column {column!r} has the level {values[unseen][0]!r}, which was not there at the fit "
                             f"(first: row {int(np.argmax(unseen))}); drop those rows, or say by unseen= at the fit "
                             "what they count as")  # fmt: skip
        return np.where(unseen, instead, values)

    def design(self, columns, n, names):
        """((n, p) the columns of these names, (n,) the sum of the offset() terms)."""
        found, apart = {}, np.zeros(n)
        for term, parts in self.structure:
            made: dict = {}
            for scale, factors in parts:
                blocks = [self._block(expr, reduced, columns) for expr, reduced in factors]
                for chosen in itertools.product(*(b.items() for b in reversed(blocks))):
                    values = [v for _, v in reversed(chosen)]
                    label = ":".join(k for k, _ in reversed(chosen)) or "Intercept"
                    made[label] = scale * functools.reduce(operator.mul, values) if values else np.full(n, scale)
            if term and term[0].startswith("offset("):
                apart = apart + made[term[0]]
            found |= made
        missing = [name for name in names if name not in found]
        if missing:
            raise ValueError(f"the model file's design has no column {missing[0]!r}{numpyterms.ABOUT}")
        return np.ascontiguousarray(np.column_stack([found[name] for name in names])), apart

    def _block(self, expr, reduced, columns):
        """{name of a column: (n,) values} of a factor."""
        if expr not in self.levels:
            plain = self.of_number[expr] == [expr]
            made = {"": columns[expr].astype(float)} if plain else numpyterms.numbers(expr, columns, self.states)
            return {f"{expr}{suffix}": values for suffix, values in made.items()}
        levels, values = self.levels[expr], columns[self.of_factor[expr]]
        place = {v: i for i, v in enumerate(levels)}
        codes = np.array([place[v] for v in values.tolist()], int)
        if not reduced:
            return {f"{expr}[{v}]": (codes == i).astype(float) for i, v in enumerate(levels)}
        if policies.contrasts_of(expr)[0] == "sum":
            last = codes == len(levels) - 1
            return {f"{expr}[S.{v}]": np.where(last, -1.0, codes == i) for i, v in enumerate(levels[:-1])}
        base = policies.base_of(expr, levels)
        if base is None:
            raise ValueError(f"{expr} has contrasts that NumPy alone does not make{numpyterms.ABOUT}")
        return {f"{expr}[T.{v}]": (codes == i).astype(float) for i, v in enumerate(levels) if v != base}


def _column(X, name):
    """A column of a dictionary or a data frame, as objects."""
    try:
        return np.asarray(X[name], object)
    except (KeyError, IndexError, TypeError):
        raise ValueError(f"X has no column {name!r}, which the model takes") from None


def _columns_of(expr):
    """The columns of a factor of numbers, which may be the name of one that is no Python name."""
    try:
        return numpyterms.columns_of(expr) or [expr]
    except ValueError:
        return [expr]
