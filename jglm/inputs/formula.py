"""Formulas, by formulaic: the text is checked before anything runs, levels and transforms are kept for prediction.

formulaic evaluates what stands in a formula as Python, so `grammar` looks at the text first.
"""

import copy
import re
import warnings
from typing import Any

import numpy as np

from jglm.inputs import checks, coding, grammar


class Formula:
    """A formula with the state of its transforms and the levels of its factors, ready for new data.

    Attributes: text, names (columns of the design), response (text of the left-hand side), intercept (whether a
    constant of the formula stays in the design), one_sided ("~ z": a design without a response).
    """

    def __init__(self, text, functions=None, intercept=True, one_sided=False):
        self.text, self.functions, self.intercept, self.one_sided = text, dict(functions or {}), intercept, one_sided
        grammar.check(text, self.functions)
        parsed = _parse(text)
        self.rhs: Any
        lhs, self.rhs = getattr(parsed, "lhs", None), getattr(parsed, "rhs", parsed)
        if lhs is None and not one_sided:
            raise ValueError(f"formula {text!r} has no response; write it as 'y ~ x + z'")
        if lhs is not None and one_sided:
            raise ValueError(f"formula {text!r} has a response; a design alone is written '~ x + z'")
        self.lhs: Any
        self.lhs, self.response = lhs, str(text).split("~")[0].strip()
        self.right_variables = self._variables_of(self.rhs)
        self.variables = sorted({*(() if one_sided else self._variables_of(lhs)), *self.right_variables})
        self.spec: Any = None
        self.names: list = []

    # ------------------------------------------------------------------ fitting and predicting
    def fit(self, frame):
        """(X, offset or None) of a pandas frame without missing values; keeps the state for `transform`."""
        levels = coding.levels_of(self, frame)
        if levels is not None:
            self.spec = self._materialize(self.rhs, coding.few_rows(frame, levels)).model_spec
            return self._coded(frame, levels, True)
        matrix = self._materialize(self.rhs, frame)
        self.spec = matrix.model_spec
        return self._split(matrix)

    def transform(self, frame):
        """(X, offset or None) of new data; a level that was not there at the fit raises ValueError."""
        frame = self._with_known_levels(frame)
        levels = coding.levels_of(self, frame)
        if levels is not None:
            levels = self._in_known_levels(levels)
            if self.spec.structure is None:  # from a model file
                self.spec = self._materialize(self.spec, coding.few_rows(frame, levels)).model_spec
            return self._coded(frame, levels, False)
        # A copy, for formulaic writes what it learns of new data into the state.
        return self._split(self._materialize(copy.deepcopy(self.spec), frame))

    def _coded(self, frame, levels, fresh):
        """(design, offset or None) with factors by their codes; where `fresh` the transforms learn from the frame."""
        coded, rest = coding.split(self.spec, levels)
        if not coded:
            matrix = self._materialize(self.rhs if fresh else copy.deepcopy(self.spec), frame)
            self.spec = matrix.model_spec if fresh else self.spec
            return self._split(matrix)
        names, values, offset = [], np.zeros((len(frame), 0)), None
        if rest:
            matrix = self._materialize(coding.numeric_spec(self.spec, rest, fresh), frame)
            values, offset = self._split(matrix)
            names = self.names
            if fresh:
                self.spec = self.spec.update(
                    transform_state={**self.spec.transform_state, **matrix.model_spec.transform_state}
                )
        own = set(names)
        self.names = [c for t in self.spec.structure for c in map(str, t.columns) if t in coded or c in own]
        return coding.design(self.names, (names, values), coded, levels), offset

    def _in_known_levels(self, levels):
        """Categorical values in the levels of the fit."""
        known = {
            _column_of(expr): s["categories"] for expr, (_, s) in self.spec.encoder_state.items() if "categories" in s
        }
        return {c: v.set_categories(list(known[c])) for c, v in levels.items() if c in known}

    def y(self, frame):
        """The response: a plain column as it is, an expression as numbers (n,), several as a frame (n, q)."""
        terms = list(self.lhs)
        if len(terms) == 1 and len(terms[0].factors) == 1 and terms[0].factors[0].eval_method.value == "lookup":
            return frame[terms[0].factors[0].expr]
        import pandas

        matrix = self._materialize(self.lhs, frame)
        values = np.asarray(matrix, float)
        return values[:, 0] if values.shape[1] == 1 else pandas.DataFrame(values, columns=list(matrix.columns))

    def _variables_of(self, side):
        return sorted(set().union(*(_variables(f, self.functions) for f in _factors(side))))

    def _materialize(self, spec, frame):
        from formulaic import model_matrix

        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):  # log(0) is told below, by column and row
                for category in (FutureWarning, DeprecationWarning):  # formulaic's and pandas' own affairs
                    warnings.filterwarnings("ignore", category=category)
                return model_matrix(spec, frame, context=self._context(), na_action="ignore", output="pandas")
        except Exception as error:
            cause = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise ValueError(f"formula {self.text!r} cannot be evaluated: {cause}") from error

    def _context(self):
        context = {name: getattr(np, name) for name in grammar.ELEMENTWISE}
        return context | {"np": np, "offset": lambda x: x, "C": _C} | self.functions

    def _split(self, matrix):
        """The design and the sum of the offset() terms."""
        names = [str(c) for c in matrix.columns]
        is_offset = [bool(re.match(r"offset\(.*\)$", n)) for n in names]
        if any(":" in n and "offset(" in n for n in names):
            raise ValueError(f"formula {self.text!r}: an offset() cannot stand in an interaction")
        values = np.asarray(matrix, dtype=np.float64)
        for j, name in enumerate(names):
            checks.refuse(f"column {name!r} of the formula", ~np.isfinite(values[:, j]), "NaN or infinite",
                          "drop those rows or change the transform")  # fmt: skip
        keep = [j for j, o in enumerate(is_offset) if not o and (self.intercept or names[j] != "Intercept")]
        self.names = [names[j] for j in keep]
        offset = values[:, is_offset].sum(axis=1) if any(is_offset) else None
        return np.ascontiguousarray(values[:, keep]), offset

    # ------------------------------------------------------------------ levels
    def _with_known_levels(self, frame):
        """The frame with categorical columns in the levels of the fit; a level that is none of them is refused."""
        import pandas

        known = {}
        for expr, (kind, state) in self.spec.encoder_state.items():
            column = _column_of(expr)
            if getattr(kind, "value", kind) != "categorical" or column is None or column not in frame:
                continue
            refuse_unseen(column, frame[column], state["categories"])
            if isinstance(frame[column].dtype, pandas.CategoricalDtype):
                known[column] = pandas.Categorical(frame[column].astype(object), categories=list(state["categories"]))
        return frame.assign(**known) if known else frame

    # ------------------------------------------------------------------ to and from a model file
    def state(self):
        """Text, levels and states of the transforms as JSON-able values; own functions by name only."""
        states = self.spec.encoder_state.items()
        return {
            "text": self.text,
            "names": self.names,
            "intercept": self.intercept,
            "one_sided": self.one_sided,
            "functions": sorted(f for f in self.functions if re.search(rf"\b{re.escape(f)}\s*\(", self.text)),
            "transforms": encode(dict(self.spec.transform_state)),
            "levels": encode({k: list(v["categories"]) for k, (_, v) in states if "categories" in v}),
        }  # fmt: skip

    @classmethod
    def restore(cls, state, functions=None):
        """The formula of a model file, checked as if it had been typed; own functions must be given again."""
        missing = sorted(set(state["functions"]) - set(functions or {}))
        if missing:
            raise ValueError(f"the model's formula uses your function {missing[0]!r}; give it again: "
                             f"load(..., functions={{{missing[0]!r}: ...}})")  # fmt: skip
        from formulaic import ModelSpec
        from formulaic.parser.types import Factor

        new = cls(state["text"], functions, bool(state.get("intercept", True)), bool(state.get("one_sided", False)))
        levels = decode(state["levels"])
        factors = {f.expr for term in new.rhs for f in term.factors}
        if not set(levels) <= factors or not all(isinstance(v, list) for v in levels.values()):
            raise ValueError("the model file is damaged: its formula and its levels do not match")
        new.spec = ModelSpec(
            formula=new.rhs, transform_state=decode(state["transforms"]),
            encoder_state={k: (Factor.Kind.CATEGORICAL, {"categories": v}) for k, v in levels.items()},
        )  # fmt: skip
        new.names = list(state["names"])
        return new


def refuse_unseen(column, values, levels):
    """ValueError where a value is none of the levels of the fit."""
    known = set(levels)
    unseen = [v for v in dict.fromkeys(np.asarray(values, dtype=object).tolist()) if v not in known]
    if unseen:
        shown = ", ".join(map(repr, list(levels)[:6])) + (", …" if len(known) > 6 else "")
        raise ValueError(f"column {column!r} has the level {unseen[0]!r}, which was not there at the fit "
                         f"(levels: {shown}); drop those rows or fit again with them")  # fmt: skip


def _C(data, *args, **kwargs):
    """formulaic's C, refusing levels that the fit did not see."""
    from formulaic.transforms.contrasts import C

    marked = C(data, *args, **kwargs)
    encoder: Any = marked.__formulaic_metadata__.encoder

    def encode_known(values, reduced_rank, drop_rows, encoder_state, model_spec):
        if "categories" in encoder_state:
            refuse_unseen("C(...)", getattr(values, "__wrapped__", values), encoder_state["categories"])
        return encoder(values, reduced_rank, drop_rows, encoder_state, model_spec)

    marked.__formulaic_metadata__.encoder = encode_known
    return marked


def _parse(text) -> Any:
    import formulaic

    parse: Any = formulaic.Formula
    try:
        return parse(text)
    except Exception as error:
        raise grammar.unreadable(text, error) from None


def _factors(side):
    if isinstance(side, tuple) or not hasattr(side, "__iter__"):
        raise ValueError("a formula has one left-hand and one right-hand side")
    for term in side:
        yield from term.factors


def _variables(factor, functions):
    """The columns that a factor names."""
    if factor.eval_method.value == "literal":
        return set()
    return {factor.expr} if factor.eval_method.value == "lookup" else grammar.variables(factor.expr, functions)


def _column_of(expr):
    """The column behind 'g', '`g`' or 'C(g, ...)', None for anything else."""
    match = re.fullmatch(r"C\(\s*`?([^`,()]+?)`?\s*(,.*)?\)", expr)
    return match[1] if match else (expr.strip("`") if re.fullmatch(r"`[^`]+`|[\w. ]+", expr) else None)


# --------------------------------------------------------------------------- states as JSON
def encode(value: Any) -> Any:
    """Plain values and small arrays as JSON; anything else cannot be in a model file."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return {"float": float(value).hex()}
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, dict):
        return {"dict": [[encode(k), encode(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [encode(v) for v in value]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return {"array": [encode(v) for v in value.ravel().tolist()], "shape": list(value.shape)}
    if type(value).__name__ in ("Timestamp", "datetime", "date"):
        return {"date": str(value)}
    raise TypeError(f"a {type(value).__name__} in the formula's state cannot be written to a model file")


def decode(value: Any) -> Any:
    """The inverse of `encode`."""
    if not isinstance(value, dict):
        return value
    (kind, inner), *_ = value.items()
    if kind == "float":
        return float.fromhex(inner)
    if kind == "dict":
        return {decode(k): decode(v) for k, v in inner}
    if kind in ("list", "tuple"):
        return [decode(v) for v in inner] if kind == "list" else tuple(decode(v) for v in inner)
    if kind == "array":
        return np.array([decode(v) for v in inner]).reshape(value["shape"])
    if kind == "date":
        import pandas

        return pandas.Timestamp(inner)
    raise ValueError(f"a model file holds the unknown kind {kind!r}")
