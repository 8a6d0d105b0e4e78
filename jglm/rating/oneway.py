"""One-way tables of data before any fit: exposure, totals, means and relativities by level."""

import numpy as np

from jglm.diagnostics import grouped
from jglm.inputs import checks, frames

BASES = ("most_exposed", "mean")


def one_way(data, by, y, *, exposure=None, weights=None, bins=10, base="most_exposed"):
    """Sums and means of y by the levels of columns, one column at a time, and what they are relative to a base.

    Args:
        data: a data frame (pandas, Polars, Arrow) or a dict of columns.
        by: the name of a column or several; numbers of more than `bins` values go into bins of about equal exposure.
        y: the name of the response, such as the claims of a row.
        exposure, weights: names of columns, as `jglm.glm` takes them: of exposures y is a total, of weights a mean.
            Sums are of weights times y; means are by weights times exposures. Without either a row counts as 1.
        base: what has relativity 1: "most_exposed", the level with the largest exposure; "mean", that of all rows; or
            {column: level}.

    Returns a pandas data frame by (column, level): rows, exposure, its share, the total of y, its mean per exposure,
    and the relativity. Rows without a level are the level "nan". Raises ValueError for columns that are not there, and
    for missing or negative exposures.

    >>> import jglm
    >>> frame = {"zone": list("aab"), "claims": [1, 0, 2], "years": [1.0, 0.5, 1.0]}
    >>> print(jglm.one_way(frame, "zone", "claims", exposure="years").round(3).to_string(index_names=False))
            rows  exposure  share  total   mean  relativity
    zone a     2       1.5    0.6    1.0  0.667         1.0
         b     1       1.0    0.4    2.0  2.000         3.0
    """
    import pandas

    by = [by] if isinstance(by, str) else list(by)
    if not by:
        raise ValueError("by names no column")
    frame = frames.to_pandas(data, list(dict.fromkeys([*by, y, *(v for v in (exposure, weights) if v is not None)])))
    total, e = checks.numbers(y, frame[y]), np.ones(len(frame))
    for what, name in (("exposure", exposure), ("weights", weights)):
        if name is not None:
            v = checks.numbers(name, frame[name])
            checks.refuse(name, v < 0, "negative", f"{what} must be >= 0")
            e, total = e * v, total if what == "exposure" else total * v
    if isinstance(base, dict):
        for name in base:
            checks.choice("a column of base", name, by)
    else:
        checks.choice("base", base, BASES)
    of = base if isinstance(base, dict) else dict.fromkeys(by, base)
    found = {name: _table(frame[name], total, e, bins, of.get(name)) for name in by}
    return pandas.concat(found, names=["column", "level"])


def _table(values, total, exposure, bins, base):
    import pandas

    code, labels = grouped.grouping(values, bins, exposure)
    add = lambda v: np.bincount(code, v, len(labels))
    e, sums = add(exposure), add(total)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums / e
        relative = mean / _one(base, labels, mean, e, sums)
    columns = {"rows": np.bincount(code, minlength=len(labels)), "exposure": e, "share": e / e.sum(), "total": sums,
               "mean": mean, "relativity": relative}  # fmt: skip
    return pandas.DataFrame(columns, index=pandas.Index([str(v) for v in labels]))


def _one(base, labels, mean, exposure, sums):
    """The mean that has relativity 1; without a level of its own a column's most exposed one."""
    if base == "mean":
        return sums.sum() / exposure.sum()
    if base is None or base == "most_exposed":
        return mean[np.argmax(exposure)]
    known = [str(v) for v in labels]
    return mean[known.index(checks.choice("a level of base", str(base), known))]
