"""Formulas, by formulaic: the text is checked before anything runs, levels and transforms are kept for prediction.

formulaic evaluates what stands in a formula as Python, so `grammar` looks at the text first.
"""

import copy
import re
import warnings
from typing import Any

import numpy as np

from jglm.inputs import checks, coding, grammar, policies
from jglm.inputs.plain import decode, encode, is_level, structure_of, structured


class Formula:
    """A formula with the state of its transforms and the levels of its factors, ready for new data.

    Attributes: text, names (columns of the design), response (text of the left-hand side), intercept (whether a
    constant of the formula stays in the design), one_sided ("~ z": a design without a response), policy (what becomes
    of missing values and unseen levels).
    """

    def __init__(self, text, functions=None, intercept=True, one_sided=False, policy=None):
        self.text, self.functions, self.intercept, self.one_sided = text, dict(functions or {}), intercept, one_sided
        self.policy = policy or policies.Policy()
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
            self.spec = self._decided(self.rhs, frame, levels)
            return self._coded(frame, levels, True)
        matrix = self._materialize(self.rhs, frame)
        self.spec = matrix.model_spec
        return self._split(matrix)

    def transform(self, frame):
        """(X, offset or None) of new data; a level that was not there at the fit raises ValueError, or becomes what the
        policy says."""
        frame = self.with_known_levels(self.filled(frame))
        levels = coding.levels_of(self, frame)
        if levels is not None:
            levels = self._in_known_levels(levels)
            if self.spec.structure is None:  # from a model file
                self.spec = self._decided(self.spec, frame, levels)
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
        known = dict(self._known_levels())
        return {c: v.set_categories(known[c]) for c, v in levels.items() if c in known}

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
        return sorted(set().union(*(self.columns_of(f) for f in _factors(side))))

    def columns_of(self, factor):
        """The columns that a factor of a term names."""
        if factor.eval_method.value == "literal":
            return set()
        return {factor.expr} if factor.eval_method.value == "lookup" else grammar.variables(factor.expr, self.functions)

    def _decided(self, spec, frame, levels):
        """The model spec with its columns, as few rows decide them."""
        return self._materialize(spec, coding.few_rows(frame, levels), "numpy").model_spec  # quicker than pandas

    def _materialize(self, spec, frame, output="pandas"):
        from formulaic import model_matrix

        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):  # log(0) is told below, by column and row
                for category in (FutureWarning, DeprecationWarning):  # formulaic's and pandas' own affairs
                    warnings.filterwarnings("ignore", category=category)
                return model_matrix(spec, frame, context=self._context(), na_action="ignore", output=output)
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

    def varying(self):
        """The columns that stand in terms with coefficients, not in an offset() alone."""
        terms = [f for f in _factors(self.rhs) if not f.expr.startswith("offset(")]
        return sorted(set().union(*(self.columns_of(f) for f in terms)))

    # ------------------------------------------------------------------ levels
    def with_policy(self, policy):
        """The same formula with another policy for new data."""
        other = copy.copy(self)
        other.policy = policy
        return other

    def uses(self):
        """{column: the factors of the right-hand side that name it}."""
        found = {}
        for factor in _factors(self.rhs):
            for column in self.columns_of(factor):
                found.setdefault(column, []).append(factor.expr)
        return {column: list(dict.fromkeys(exprs)) for column, exprs in found.items()}

    def filled(self, frame):
        """New data with missing values of factors as a level of their own, where the policy says so."""
        if self.policy.missing != "as_missing":
            return frame
        factors = {column for column, _ in self._known_levels()}
        uses = {c: exprs for c, exprs in self.uses().items() if c in factors and self._as_factor_only(c, exprs)}
        return policies.with_missing_level(frame, list(uses))

    def _known_levels(self):
        """((column, levels of the fit), …) of the factors that are columns."""
        for expr, (kind, state) in self.spec.encoder_state.items():
            column = policies.column_of(expr)
            if getattr(kind, "value", kind) == "categorical" and column is not None:
                yield column, list(state["categories"])

    def _as_factor_only(self, column, exprs):
        kinds = self.spec.encoder_state
        return all(
            policies.column_of(e) == column and e in kinds and getattr(kinds[e][0], "value", "") == "categorical"
            for e in exprs
        )

    def with_known_levels(self, frame):
        """The frame with categorical columns in the levels of the fit; what is none of them goes by the policy."""
        import pandas

        changed, uses = {}, self.uses()
        for column, levels in self._known_levels():
            if column not in frame or column in changed:
                continue
            exprs = uses[column] if self._as_factor_only(column, uses[column]) else None
            given = frame[column]
            values = policies.known(column, given, exprs, levels, self.policy)
            if isinstance(given.dtype, pandas.CategoricalDtype) or values is not given:
                changed[column] = pandas.Categorical(values.astype(object), categories=levels)
        return frame.assign(**changed) if changed else frame

    # ------------------------------------------------------------------ to and from a model file
    def state(self):
        """Text, levels and states of the transforms as JSON-able values; own functions by name only."""
        states = self.spec.encoder_state.items()
        return {
            "text": self.text,
            "names": self.names,
            "intercept": self.intercept,
            "one_sided": self.one_sided,
            "missing": self.policy.missing,
            "unseen": self.policy.unseen,
            "functions": sorted(f for f in self.functions if re.search(rf"\b{re.escape(f)}\s*\(", self.text)),
            "transforms": encode(dict(self.spec.transform_state)),
            "levels": encode({k: list(v["categories"]) for k, (_, v) in states if "categories" in v}),
            "structure": structure_of(self.spec),
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

        new = cls(state["text"], functions, bool(state["intercept"]), bool(state["one_sided"]),
                  policies.Policy(state["missing"], state["unseen"]))  # fmt: skip
        levels, transforms = decode(state["levels"]), decode(state["transforms"])
        factors = {f.expr for term in new.rhs for f in term.factors}
        sound = isinstance(levels, dict) and set(levels) <= factors and isinstance(transforms, dict)
        if not sound or not all(isinstance(v, list) and all(map(is_level, v)) for v in levels.values()):
            raise ValueError("the model file is damaged: its formula and its levels do not match")
        new.spec = ModelSpec(
            formula=new.rhs, transform_state=transforms,
            encoder_state={k: (Factor.Kind.CATEGORICAL, {"categories": v}) for k, v in levels.items()},
            structure=None if state["structure"] is None else structured(list(new.rhs), state["structure"]),
        )  # fmt: skip
        new.names = list(state["names"])
        return new


def _C(data, *args, **kwargs):
    """formulaic's C, refusing levels that the fit did not see."""
    from formulaic.transforms.contrasts import C

    marked = C(data, *args, **kwargs)
    encoder: Any = marked.__formulaic_metadata__.encoder

    def encode_known(values, reduced_rank, drop_rows, encoder_state, model_spec):
        if "categories" in encoder_state:
            policies.refuse_unseen("C(...)", getattr(values, "__wrapped__", values), encoder_state["categories"])
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
