"""A fit as a `ScoringTable`: its terms told apart into levels, plain numbers and curves, and checked against it."""

import itertools
from typing import Any

import numpy as np

from jglm.inputs import coding, policies
from jglm.keeping import pieces
from jglm.keeping.scoringtable import ScoringTable, share_of

MOST = 5000  # combinations of levels of a term whose coding has to be written out
POWERS = {"identity": 1.0, "inverse": -1.0, "inverse_squared": -2.0, "sqrt": 0.5}  # mu = lin^(1 / q)
NAMED = ("log", "logit", "probit", "cloglog", "loglog", "cauchit")
CHECKED = 1e-12


def of(fit):
    """The `ScoringTable` of a fit, whose lines were checked against its own linear predictor on rows made up of their
    levels and numbers.

    Raises ValueError, with the reason, for a model that no such table can say exactly.
    """
    link, q = _link(fit)
    lines = _of_columns(fit) if fit.formula is None else _of_formula(fit)
    lines += [_line(column, [{"variable": column, "level": _plain(level)}], np.log(value))
              for column, table in fit.fixed.items() for level, value in table.items()]  # fmt: skip
    for what, function in (("offset", ""), ("exposure", "log")):
        if what in fit.columns:
            lines.append(_line(what, [_number(pieces.Atom(fit.columns[what], function))], 1.0))
    facts = {
        "family": fit.family.name, "formula": None if fit.formula is None else fit.formula.text,
        "observations": float(fit.nobs), "missing": "(missing)",
    }  # fmt: skip
    constant = [line for line in lines if not line["parts"]] or [_line("(constant)", [], 0.0)]
    made = ScoringTable(constant + [line for line in lines if line["parts"]], link, q, facts)
    _check(made, fit)
    return made


def _link(fit):
    """(name, q) of a link whose inverse is a formula; ValueError for a model of several linear predictors, or whose
    mean is no formula of one."""
    if fit.params.ndim > 1 or fit.family.has_cutpoints:
        raise ValueError(f"a scoring table is the sum of one linear predictor; family {fit.family.name!r} has several, "
                         "or cutpoints: use save(), and jglm.load or jglm.NumpyModel")  # fmt: skip
    name = fit.link.name
    if name in NAMED:
        return name, None
    q = POWERS.get(name, float(fit.link.params["q"]) if name.startswith("power(") else None)
    if q is None:
        raise ValueError(f"link {name!r} has no inverse that is a plain formula, so that a scoring table cannot say "
                         "the mean; use save() and jglm.load")  # fmt: skip
    return name, q


def _line(term, parts, coefficient, base=False):
    return {"term": term, "parts": parts, "coefficient": float(coefficient), "base": bool(base)}


def _number(atom, origin=0.0, unit=1.0, power=1, low=-np.inf, high=np.inf):
    ends = {k: float(v) for k, v in (("low", low), ("high", high)) if np.isfinite(v)}
    return {"variable": atom.column, "function": atom.function, "origin": float(origin), "unit": float(unit),
            "power": int(power), **ends}  # fmt: skip


def _plain(level):
    """A level as JSON has it: whole floats as whole numbers, dates as text."""
    level = level.item() if hasattr(level, "item") else level
    if isinstance(level, float) and level.is_integer():
        return int(level)
    return level if isinstance(level, (bool, int, float)) else str(level)


def _of_columns(fit):
    """The lines of a fit to an array: each column is a number."""
    coef = np.nan_to_num(fit.params)
    names = list(zip(fit.names, coef, strict=True))
    constant = [_line("(constant)", [], names.pop(0)[1])] if fit.intercept else []
    return constant + [_line(name, [_number(pieces.Atom(name))], value) for name, value in names]


def _of_formula(fit):
    formula = fit.formula
    if formula.spec.structure is None:
        raise ValueError("the fit is from a model file of version 1, which does not say which factors make which "
                         "columns; fit again, or load it and use predict")  # fmt: skip
    coef = dict(zip(fit.names, np.nan_to_num(fit.params), strict=True))
    lines = []
    for term in formula.spec.structure:
        try:
            lines += _Term(formula, term, coef).lines()
        except ValueError as error:
            raise ValueError(f"the term {term.term} cannot stand in a scoring table: {error}; put what it computes "
                             "into a column of the data and fit that, or use save() and jglm.load") from None
    return lines


class _Term:
    """One term of a formula, its factors told apart: levels, plain numbers, and at most one curve of a number."""

    def __init__(self, formula, term, coef):
        self.formula, self.term, self.name = formula, term, str(term.term)
        self.coef = {str(c): 1.0 if str(c).startswith("offset(") else coef.get(str(c), 0.0) for c in term.columns}
        self.levels: dict[str, list] = {}  # {column: levels}
        self.coded = True  # whether its columns can be counted out, and need not be made
        numbers: dict[pieces.Atom, list] = {}
        for scoped in dict.fromkeys(f for part in term.scoped_terms for f in part.factors):
            self._add(scoped.factor.factor, numbers)
        self.curve, self.plain = None, []
        for atom, exprs in numbers.items():
            if len(exprs) == 1 and exprs[0][1]:
                self.plain.append(atom)
            elif self.curve is None:
                self.curve = atom, [text for text, _ in exprs]
            else:
                raise ValueError("it is a surface over two numbers")
        if len({a.column for a in numbers} | set(self.levels)) < len(numbers) + len(self.levels):
            raise ValueError("a column stands in it in two ways")
        self.coded = self.coded and self.curve is None and all(p.scale == 1 for p in term.scoped_terms)

    def _add(self, factor, numbers):
        kind, state = self.formula.spec.encoder_state.get(factor.expr, ("numerical", {}))
        if getattr(kind, "value", kind) == "categorical":
            column = policies.column_of(factor.expr)
            if column is None:
                raise ValueError(f"{factor.expr} makes levels that no column of the data has")
            self.levels[column] = list(state["categories"])
            self.coded = self.coded and coding.column_of(factor.expr) is not None
            return
        is_column = factor.eval_method.value == "lookup"
        atom, alone = (pieces.Atom(factor.expr), True) if is_column else pieces.atom_of(factor.expr)
        numbers.setdefault(atom, []).append((factor.expr, alone))

    def lines(self):
        if not self.levels and not self.plain and self.curve is None:
            return [_line("(constant)", [], sum(self.coef.values()))] if self.coef else []
        combinations = list(itertools.product(*self.levels.values()))
        if self.coded:
            return self._lines(combinations, *self._counted(len(combinations)))
        if len(combinations) > MOST:
            raise ValueError(f"it has {len(combinations):,} combinations of levels, of which {MOST:,} are written out")
        if self.curve is None:
            design = self._design(combinations, {})
            return self._lines(combinations, design @ self._weights, ~design.any(axis=1))
        return self._curves(combinations)

    @property
    def _weights(self):
        return np.array(list(self.coef.values()))

    def _lines(self, combinations, values, base):
        base = base & (not self.plain)
        return [_line(self.name, self._parts(levels), value, is_base)
                for levels, value, is_base in zip(combinations, values, base, strict=True)]  # fmt: skip

    def _parts(self, levels):
        own = [{"variable": c, "level": _plain(v)} for c, v in zip(self.levels, levels, strict=True)]
        return own + [_number(atom) for atom in self.plain]

    def _counted(self, count):
        """((count,) the coefficient of each combination of levels, (count,) whether it has no column)."""
        sizes = {c: len(v) for c, v in self.levels.items()}
        total, base = np.zeros(tuple(sizes.values())), np.ones(tuple(sizes.values()), bool)
        weights, at = self._weights, 0
        for part in self.term.scoped_terms:
            table, stride, order = np.zeros((), int), 1, []
            for f in part.factors:  # the first factor runs fastest
                column = coding.column_of(f.factor.expr)
                if column not in sizes:
                    continue
                own = np.arange(sizes[column]) - int(f.reduced)
                table = np.where((table[..., None] < 0) | (own < 0), -1, table[..., None] + stride * own)
                stride *= sizes[column] - int(f.reduced)
                order.append(column)
            table = table.transpose(np.argsort([list(sizes).index(c) for c in order]).astype(int))
            table = table.reshape([sizes[c] if c in order else 1 for c in sizes])
            total += np.where(table < 0, 0.0, weights[np.maximum(table, 0) + at])
            base &= table < 0
            at += stride
        return total.reshape(count), base.reshape(count)

    def _curves(self, combinations):
        assert self.curve is not None
        atom, exprs = self.curve
        knots, where = pieces.breaks_of(exprs, atom, self.formula.spec.transform_state)

        def values(u):
            rows = [levels for levels in combinations for _ in u]
            x = np.tile(atom.column_values(u), len(combinations))
            return (self._design(rows, {atom.column: x}) @ self._weights).reshape(len(combinations), len(u)).T

        found = []
        for piece in pieces.pieces_of(values, knots, where, positive=bool(atom.function)):
            for power, row in enumerate(piece.coefficients):
                part = _number(atom, piece.origin, piece.unit, power, piece.low, piece.high)
                found += [_line(self.name, [*self._parts(levels), part], value)
                          for levels, value in zip(combinations, row, strict=True)]  # fmt: skip
        return found

    def _design(self, combinations, numbers):
        """The columns of the term in rows of these levels and numbers, plain numbers at 1."""
        import pandas

        n = len(combinations)
        frame = pandas.DataFrame(numbers, index=range(n))
        for atom in self.plain:
            frame[atom.column] = np.full(n, atom.column_values(1.0))
        for i, (column, levels) in enumerate(self.levels.items()):
            frame[column] = pandas.Categorical([c[i] for c in combinations], categories=levels)
        for column in self.formula.right_variables:  # which formulaic wants to see, though the term does not take them
            if column not in frame:
                frame[column] = 1.0
        spec = coding.numeric_spec(self.formula.spec, [self.term], False)
        made = self.formula._materialize(spec, frame)
        return np.asarray(made[list(self.coef)], float)


# --------------------------------------------------------------------------- the check
def _check(table, fit, rows=64):
    """ValueError where the table says another linear predictor than the fit, on rows of its own levels and numbers."""
    rng = np.random.default_rng(0)
    seen: dict[str, dict] = {}  # {variable: {term: its parts}}
    for line in table.lines:
        for part in line["parts"]:
            seen.setdefault(part["variable"], {}).setdefault(line["term"], []).append(part)
    columns: dict[str, Any] = {name: _drawn(parts, rows, rng) for name, parts in seen.items()}
    said = table.linear_predictor(columns, rows)
    known = {k: [None if v == policies.MISSING else v for v in vs] for k, vs in columns.items()}
    if fit.formula is None:
        own = fit.names[1:] if fit.intercept else fit.names
        expected = np.column_stack([columns[c] for c in own]) @ np.nan_to_num(fit.params)[int(fit.intercept) :]
        expected = expected + (np.nan_to_num(fit.params)[0] if fit.intercept else 0.0)
    else:
        apart = np.zeros(rows) if fit.has_offset and not _brings_offset(fit) else None
        expected = fit.predict(_typed(known, fit), kind="link", offset=apart, missing="as_missing")
    gap = np.max(np.abs(said - expected) / (1 + np.abs(expected)), initial=0.0)
    if not gap <= CHECKED:
        raise ValueError(f"the table's linear predictor is {gap:.1e} from the fit's on rows of its own levels; use "
                         "save() and jglm.load")  # fmt: skip


def _brings_offset(fit):
    """Whether the offset comes with the columns of a frame."""
    return bool(fit.fixed) or {"offset", "exposure"} & set(fit.columns) or "offset(" in fit.formula.text


def _drawn(by_term, rows, rng):
    """Values of a variable that meet a part of each of its terms."""
    parts = [part for own in by_term.values() for part in own]
    levels = list(dict.fromkeys(part["level"] for part in parts if "level" in part))
    if levels:
        return [levels[i] for i in rng.integers(len(levels), size=rows)]
    found = np.concatenate([_near(part, rows, rng) for part in parts])
    for own in by_term.values():
        found = found[np.any([share_of(part, found)[0] for part in own], axis=0)]
    if not found.size:
        raise ValueError(f"no number of column {parts[0]['variable']!r} is one that all its terms have a value for")
    return rng.choice(found, rows).tolist()


def _near(part, rows, rng):
    """Numbers about where a part has its origin."""
    plain = part["unit"] == 1 and part["origin"] == 0
    reach = 1.2 if "low" in part or "high" in part else 5.0
    s = rng.uniform(0.5, 1.5, rows) if plain else rng.uniform(-reach, reach, rows)
    with np.errstate(all="ignore"):
        return pieces.Atom("", part["function"]).column_values(part["origin"] + part["unit"] * s)


def _typed(columns, fit):
    """A frame in which levels are what they were at the fit, not what JSON has in their place."""
    import pandas

    known = dict(fit.formula._known_levels()) | {c: list(t) for c, t in fit.fixed.items()}
    frame = {}
    for name, values in columns.items():
        own = {_plain(v): v for v in known.get(name, [])}
        frame[name] = pandas.Series([own.get(v, v) for v in values], dtype=object if own else float)
    return pandas.DataFrame(frame)
