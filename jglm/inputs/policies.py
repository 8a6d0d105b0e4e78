"""Levels of factors in new data, and what becomes of missing values and of levels that were not there at the fit.

What becomes of them is a `Policy` that the user names at the fit; it is kept with the formula and in the model file.
"""

import ast
import re
from dataclasses import dataclass

import numpy as np

from jglm.inputs import checks

MISSING = "(missing)"  # the level that missing values are
OF_MISSING = ("drop", "error", "as_missing")
OF_UNSEEN = ("error", "baseline", "as_missing")
CALL = re.compile(r"C\(\s*`?([^`,()]+?)`?\s*(?:,(.*))?\)")


@dataclass(frozen=True)
class Policy:
    """What becomes of missing values and unseen levels.

    missing: "drop" leaves a row that misses a value out of the fit, and its prediction is NaN; "error" refuses it;
    "as_missing" takes missing values of a factor for a level "(missing)" of its own, the last one (a number that is
    missing is dropped as ever). unseen: "error" refuses a level that was not there at the fit; "baseline" takes it for
    the reference level of its factor; "as_missing" for the level "(missing)", which the fit must then have.
    """

    missing: str = "drop"
    unseen: str = "error"

    def __post_init__(self):
        checks.choice("missing", self.missing, OF_MISSING)
        checks.choice("unseen", self.unseen, OF_UNSEEN)


def column_of(expr):
    """The column behind 'g', '`g`' or 'C(g, ...)', None for anything else."""
    match = CALL.fullmatch(expr)
    return match[1] if match else (expr.strip("`") if re.fullmatch(r"`[^`]+`|[\w. ]+", expr) else None)


def never_numbers(formulas):
    """{column: [factor, …]} of the columns of which every factor of some formulas (None for one that is not there) is
    the column itself or C() of it."""
    uses = {}
    for formula in formulas:
        for column, exprs in ({} if formula is None else formula.uses()).items():
            uses[column] = uses.get(column, []) + exprs
    return {column: exprs for column, exprs in uses.items() if all(column_of(e) == column for e in exprs)}


def factor_columns(formulas, frame):
    """The columns of a frame that formulas take as factors and as nothing else."""
    import pandas

    def is_number(values):
        plain = pandas.api.types.is_numeric_dtype(values.dtype)
        return plain or (values.dtype == object and pandas.api.types.infer_dtype(values, skipna=True) == "boolean")

    return [
        column for column, exprs in never_numbers(formulas).items()
        if all(CALL.fullmatch(e) for e in exprs) or not is_number(frame[column])
    ]  # fmt: skip


def with_missing_level(frame, columns, fitting=False):
    """The frame with the missing values of these columns as the level "(missing)"; categorical columns get it last.

    Where it is `fitting` a level that is called so already raises ValueError.
    """
    import pandas

    changed = {}
    for column in columns:
        values, gone = frame[column], frame[column].isna()
        if fitting:
            refuse_named_so(column, values.dropna().unique())
        if isinstance(values.dtype, pandas.CategoricalDtype):
            known = values if MISSING in values.cat.categories else values.cat.add_categories([MISSING])
            changed[column] = known.fillna(MISSING)
        elif gone.any():
            changed[column] = values.astype(object).where(~gone, MISSING)
    return frame.assign(**changed) if changed else frame


def refuse_named_so(column, levels):
    """ValueError where a level is called as missing values are."""
    if MISSING in levels:
        raise ValueError(f"column {column!r} has a level {MISSING!r} already, so missing='as_missing' could not tell "
                         "it from missing values; rename that level")  # fmt: skip


def with_missing_last(frame, columns):
    """The frame with those of the columns that have the level "(missing)" as categorical ones, in which it is the
    last."""
    import pandas

    changed = {}
    for column in columns:
        values = frame[column]
        if not isinstance(values.dtype, pandas.CategoricalDtype) and (values == MISSING).any():
            known = pandas.Categorical(values[values != MISSING]).categories
            changed[column] = pandas.Categorical(values, categories=[*known, MISSING])
    return frame.assign(**changed) if changed else frame


def unseen(values, levels):
    """The values that are none of the levels, in the order of the rows."""
    import pandas

    known = set(levels)
    return [v for v in pandas.Series(values).dropna().drop_duplicates().tolist() if v not in known]


def refuse_unseen(column, values, levels):
    """ValueError where a value is none of the levels of the fit: which, and in how many rows."""
    import pandas

    new = unseen(values, levels)
    if not new:
        return
    shown = ", ".join(map(repr, list(levels)[:6])) + (", …" if len(levels) > 6 else "")
    named = ", ".join(map(repr, new[:5])) + (", …" if len(new) > 5 else "")
    which, were = ("level", "was") if len(new) == 1 else ("levels", "were")
    values = pandas.Series(values)
    there = np.flatnonzero(values.isin(new))
    rows = f"{len(there)} row" + ("s" if len(there) > 1 else "")
    raise ValueError(f"column {column!r} has the {which} {named}, which {were} not there at the fit (levels: {shown}), "
                     f"in {rows} (first: row {values.index[there[0]]}); drop those rows, fit again with them, or say "
                     "by unseen= what they count as")  # fmt: skip


def known(column, values, exprs, levels, policy):
    """A column of new data with unseen levels replaced as the policy says; ValueError where it has nothing to say.

    Args:
        exprs: the factors that the formula makes of the column, such as "C(g)"; None where it takes it as a number too.
    """
    new = [] if policy.unseen == "error" else unseen(values, levels)
    if not new:
        refuse_unseen(column, values, levels)
        return values
    has = f"column {column!r} has the level {new[0]!r}, which was not there at the fit"
    if exprs is None:
        raise ValueError(f"{has}, and stands in the formula as a number too; copy it to a second column for C()")
    if policy.unseen == "as_missing":
        if MISSING not in levels:
            raise ValueError(f"{has}, and the fit has no level {MISSING!r} that it could count as: none of its rows "
                             "missed a value there, or its missing= was another policy; use unseen='baseline' or "
                             "'error'")  # fmt: skip
        instead = MISSING
    else:
        bases = {base_of(expr, levels) for expr in exprs}
        if len(bases) > 1 or None in bases:
            raise ValueError(f"{has}, and {exprs[0]} has no one reference level that it could count as; use "
                             "unseen='error', or contr.treatment in the formula")  # fmt: skip
        instead = bases.pop()
    return values.astype(object).where(~values.isin(new), instead)


def contrasts_of(expr):
    """(name of the contrasts in lower case, the base that they name or None) of a factor such as 'C(g, contr.sum)';
    ("treatment", None) where it says nothing of them."""
    match = CALL.fullmatch(expr)
    arguments = "" if match is None or match[2] is None else match[2].strip()
    call = ast.parse(f"C({arguments})", mode="eval").body
    assert isinstance(call, ast.Call)
    given = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "contrasts"), None)
    if given is None:
        return "treatment", None
    made = given.func if isinstance(given, ast.Call) else given
    options = [*given.args, *(k.value for k in given.keywords)] if isinstance(given, ast.Call) else []
    return getattr(made, "attr", getattr(made, "id", "")).lower(), ast.literal_eval(options[0]) if options else None


def base_of(expr, levels):
    """The reference level of a factor: the first one, or the base that treatment contrasts name; None for contrasts
    that have none."""
    name, base = contrasts_of(expr)
    if name not in ("treatment", "sas"):
        return None
    return base if base is not None else levels[0] if name == "treatment" else levels[-1]
