"""The factors of a formula by their codes, where its design would be too large to write out.

formulaic decides the columns, on a few rows that know all levels; terms of plain factors and of their interactions are
then coded, and the others are evaluated on all rows as ever.
"""

import copy
import re
from typing import Any

import numpy as np

from jglm.designs import Categorical

ELEMENTS = 5e6  # of the design, beyond which factors are coded
ROWS = 100  # enough for formulaic to decide the columns
PLAIN = re.compile(r"(?:C\()?\s*([A-Za-z_.][\w.]*)\s*\)?$")


def levels_of(formula, frame):
    """{column: categorical values} of the plain factors of a formula, None where its design is small enough to write.
    A categorical column keeps its levels and their order, others are sorted."""
    import pandas

    values = {c: frame[c] for c in factor_columns(formula, frame)}
    found = {c: v.array if isinstance(v.dtype, pandas.CategoricalDtype) else pandas.Categorical(v)
             for c, v in values.items()}  # fmt: skip
    size = len(frame) * sum(len(v.categories) for v in found.values())
    return found if size > ELEMENTS else None


def factor_columns(formula, frame):
    """The columns of the plain factors of a formula: those in C() and those that hold no numbers."""
    exprs = sorted({f.expr for term in formula.rhs for f in term.factors})
    return list(dict.fromkeys(column_of(expr) for expr in exprs if _is_factor(expr, frame)))


def plain_factors(formula, frame):
    """Those that the formula uses in no other way, so that their levels may be put into another order."""
    return [c for c, exprs in formula.uses().items() if all(_is_factor(e, frame) for e in exprs)]


def _is_factor(expr, frame):
    import pandas

    column = column_of(expr)
    if column is None or column not in frame:
        return False
    return expr != column or not pandas.api.types.is_numeric_dtype(frame[column].dtype)


def column_of(expr):
    """The column that a factor takes as it is, None for an expression."""
    matched = PLAIN.match(expr)
    return matched[1] if matched and expr in (matched[1], f"C({matched[1]})") else None


def few_rows(frame, levels):
    """Some rows in which every factor knows all its levels."""
    import pandas

    rows = np.unique(np.linspace(0, len(frame) - 1, min(len(frame), ROWS)).astype(int))
    known = {c: pandas.Categorical.from_codes(v.codes[rows], v.categories) for c, v in levels.items()}
    return frame.iloc[rows].assign(**known)


def split(spec, levels):
    """(terms of the structure that are coded, the others) of a model spec."""
    coded, rest = [], []
    for term in spec.structure:
        (coded if term.scoped_terms and _is_coded(spec, term, levels) else rest).append(term)
    return coded, rest


def _is_coded(spec, term, levels):
    from formulaic.transforms.contrasts import TreatmentContrasts

    for scoped in term.scoped_terms:
        if scoped.scale != 1 or not scoped.factors:
            return False
        for f in scoped.factors:
            column, (_, state) = column_of(f.factor.expr), spec.encoder_state.get(f.factor.expr, (None, {}))
            contrasts = getattr(state.get("contrasts"), "contrasts", None)
            plain = contrasts is None or (type(contrasts) is TreatmentContrasts and "UNSET" in repr(contrasts.base))
            if column not in levels or "categories" not in state or not plain:
                return False
    return True


def numeric_spec(spec, rest, fresh):
    """The spec of the terms that are not coded; `fresh` forgets what transforms learnt."""
    part = copy.deepcopy(spec).subset([t.term for t in rest])
    return part.update(transform_state={}) if fresh else part


def design(names, numeric, terms, levels):
    """The `Categorical` of columns `names` from numeric ones (names, values) and coded terms."""
    place = {name: j for j, name in enumerate(names)}
    parts = [part for term in terms for part in _parts(term, levels, place)]
    return Categorical.grouped(numeric[1], [place[name] for name in numeric[0]], parts, len(names))


def _parts(term, levels, place):
    """For every scoped term of a term the code of each row, and the column of each code; the first factor runs
    fastest."""
    at = place[term.columns[0]]
    for scoped in term.scoped_terms:
        values = [levels[column_of(f.factor.expr)] for f in scoped.factors]
        kind = np.min_scalar_type(int(np.prod([len(v.categories) for v in values])) - 1)
        total: Any = 0
        count, columns, stride = 1, np.zeros(1, int), 1
        for f, v in zip(scoped.factors, values, strict=True):
            size, reduced = len(v.categories), int(f.reduced)
            own = np.arange(size) - reduced  # -1 where the base level has no column
            here, before = np.repeat(own, count), np.tile(columns, size)
            columns = np.where((here < 0) | (before < 0), -1, before + stride * here)
            total = total + kind.type(count) * v.codes.astype(kind)
            count, stride = count * size, stride * (size - reduced)
        yield total, np.where(columns < 0, -1, columns + at)
        at += stride
