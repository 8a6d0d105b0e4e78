"""Factors before a fit: which level is the reference, and relativities that are given and not fitted."""

import numpy as np

from jglm.inputs import checks, coding, frames

MOST_EXPOSED = "most_exposed"
RATIOS = ("log", "logit", "cloglog")  # links on whose scale the logarithm of a relativity is added


def relevel(data, reference, weights=None):
    """The frame with factors whose reference level comes first, so that a formula takes it for the base.

    Args:
        data: pandas, Polars, Arrow or a dict of columns.
        reference: names of columns, of each the level with the largest total of `weights` (most exposed; of equal ones
            the first); or {column: level}.
        weights: (n,) >= 0 or the name of a column, such as the exposure; None counts rows.

    Returns a pandas frame in which those columns are categorical: the reference, then the other levels in their own
    order (of text, sorted), as R's `relevel`. Raises ValueError for a column or a level that is not there.

    >>> import jglm
    >>> frame = {"zone": ["a", "b", "b", "c"], "years": [1.0, 0.2, 0.3, 0.9]}
    >>> [list(jglm.relevel(frame, ["zone"], weights=w).zone.cat.categories) for w in (None, "years")]
    [['b', 'a', 'c'], ['a', 'b', 'c']]
    """
    whole = frames.to_pandas(data, _names(data))
    wanted = reference if isinstance(reference, dict) else dict.fromkeys(_listed(reference), MOST_EXPOSED)
    for name in wanted:
        checks.choice("a column of reference", name, list(whole.columns))
    w = None
    if weights is not None:
        w = checks.numbers("weights", whole[weights] if isinstance(weights, str) else weights, len(whole))
        checks.refuse("weights", w < 0, "negative", "weights must be >= 0")
    return _releveled(whole, wanted, w)


def _listed(names):
    return [names] if isinstance(names, str) else list(names)


def _names(data):
    known = getattr(data, "column_names", getattr(data, "columns", data))
    return [str(name) for name in known]


def _releveled(frame, wanted, weight, gather=None):
    import pandas

    everywhere = gather or (lambda own: [own])

    new = {}
    for name, level in wanted.items():
        factor = pandas.Categorical(frame[name])
        levels = list(factor.categories)
        if not levels:
            raise ValueError(f"column {name!r} has no level that is not missing")
        if isinstance(level, str) and level == MOST_EXPOSED:
            level = levels[int(np.argmax(sum(everywhere(totals(factor.codes, len(levels), weight)))))]
        elif level not in levels:
            raise ValueError(f"column {name!r} has no level {level!r}{checks.nearest(level, levels)} Levels: "
                             f"{', '.join(map(str, levels[:20]))}")  # fmt: skip
        order = [level, *(v for v in levels if v != level)]
        new[name] = factor.reorder_categories(order, ordered=False)
    return frame.assign(**new)


def totals(codes, size, weight=None):
    """(size,) the weight of the rows of each code; rows of code -1 (missing) have none."""
    codes = np.asarray(codes, int) + 1
    return np.bincount(codes, weight, size + 1)[1:]


def with_reference(formula, frame, reference, weight, gather=None):
    """The frame for a fit of a `Formula` with reference= as `jglm.glm` takes it; `weight` (n,) or None. `gather` brings
    what other processes hold, where these rows are a share and know all levels.

    Raises ValueError for a column that is no plain factor of the formula.
    """
    plain = coding.plain_factors(formula, frame)
    if isinstance(reference, str):
        checks.choice("reference", reference, (MOST_EXPOSED,))
        return _releveled(frame, dict.fromkeys(plain, MOST_EXPOSED), weight, gather)
    if not isinstance(reference, dict):
        raise TypeError(f"reference is a {type(reference).__name__}; it must be 'most_exposed' or a dict {{column: "
                        "level}")  # fmt: skip
    for name in reference:
        if name not in plain:
            raise ValueError(f"reference= names {name!r}, which is no plain factor of the formula (a column of text or "
                             f"categories, or C(column)){checks.nearest(name, plain)} Its factors: "
                             f"{', '.join(plain) or 'none'}")  # fmt: skip
    return _releveled(frame, reference, weight, gather)


# --------------------------------------------------------------------------- relativities held fixed
def checked_fixed(fixed, formula, link):
    """{column: {level: relativity}} with plain numbers; ValueError where a relativity is not positive, the link takes
    none, or the formula has the column itself."""
    if not isinstance(fixed, dict) or not all(isinstance(table, dict) and table for table in fixed.values()):
        raise TypeError("fixed must be a dict {column: {level: relativity}}")
    if fixed and link.name not in RATIOS:
        raise ValueError(f"fixed= holds factors of the mean or the odds, which need one of the links "
                         f"{', '.join(RATIOS)}; the link is {link.name!r}: use offset=")  # fmt: skip
    for column, table in fixed.items():
        if column in formula.right_variables:
            raise ValueError(f"{column!r} is held by fixed= and stands in the formula; leave it out of one of them")
        values = checks.numbers(f"fixed[{column!r}]", list(table.values()))
        if not np.all(values > 0):
            level = list(table)[int(np.argmin(values))]
            raise ValueError(f"fixed={{{column!r}: {{{level!r}: {values.min():g}}}}} is no relativity; it must be > 0")
    return {column: {level: float(v) for level, v in table.items()} for column, table in fixed.items()}


def log_relativities(fixed, frame):
    """(n,) the logarithm of the product of the fixed relativities of rows that miss nothing; ValueError for a level
    that has none."""
    import pandas

    total = np.zeros(len(frame))
    for column, table in fixed.items():
        codes, levels = pandas.factorize(frame[column].astype(object))
        missing = [v for v in levels if v not in table]
        if missing:
            raise ValueError(f"column {column!r} has the level {missing[0]!r}, to which fixed= gives no relativity "
                             f"(levels: {', '.join(map(repr, list(table)[:6]))}); give it one, or drop those "
                             "rows")  # fmt: skip
        total += np.log([table[v] for v in levels])[codes]
    return total
