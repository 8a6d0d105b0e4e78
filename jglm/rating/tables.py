"""A fit with a log link as a rating table: a base rate, and for every variable a factor by which it is multiplied."""

import numpy as np

from jglm.inference import means, scenarios
from jglm.inputs import checks

VALUES = 10  # of a number, where none are given


def rating_table(fit, base, values, X, level):
    """See `Fit.rating_table`."""
    import pandas

    checks.level(level)
    _refuse(fit)
    start, values = means.base_row(fit, base, X), dict(values or {})
    for name in values:
        checks.choice("a name in values", name, [n for n in fit.formula.varying() if n not in start.factors])
    points = [(n, v) for n in fit.formula.varying() for v in start.factors.get(n) or _values(fit, n, values)]
    held = [(c, v, r) for c, table in fit.fixed.items() for v, r in table.items()]
    X0, zeros = start.design()[0], np.zeros((len(held), len(fit.names)))
    L = np.concatenate([X0, means.differences(start, points), zeros])
    offset = np.concatenate([np.zeros(1 + len(points)), np.log([r for _, _, r in held])])
    found = means._linear(fit, L, offset, list(range(len(L))), level, "exp", "relativity").table()
    labels = [("base rate", ""), *((n, _text(v)) for n, v in points), *((n, _text(v)) for n, v, _ in held)]
    found.index = pandas.MultiIndex.from_tuples(labels, names=["variable", "level"])
    exposure = _exposures(fit, labels)
    found = found[["relativity", "std_err", "low", "high"]]
    return found if exposure is None else found.assign(exposure=exposure)[["exposure", *found.columns]]


def _refuse(fit):
    """ValueError where the mean is no product of a base rate and one factor for each variable."""
    if fit.formula is None:
        raise TypeError("a rating table is one of variables in a formula; fit with jglm.glm, or use fit.relativities()")
    if fit.model.width() is not None or means.scale_of(fit) != "log":
        raise ValueError(f"with link {fit.link.name!r} the mean is no product of relativities; fit with link='log', or "
                         "use fit.relativities()")  # fmt: skip
    for term in fit.formula.rhs:
        columns = sorted(set().union(*(fit.formula.columns_of(f) for f in term.factors)))
        if len(columns) > 1 and "offset(" not in str(term):
            raise ValueError(f"the term {str(term)!r} joins {' and '.join(columns)}, so that neither has a relativity "
                             "of its own; make one column of them, or use fit.predict()")  # fmt: skip


def _values(fit, name, given):
    """The values of a number that the table shows: those given, all of few, else quantiles."""
    if name in given:
        return checks.numbers(f"values[{name!r}]", np.atleast_1d(given[name])).tolist()
    if fit._frame is None:
        raise ValueError(f"{name!r} is a number, and the fit no longer has its data: give the values to show by "
                         f"values={{{name!r}: […]}}")  # fmt: skip
    own = fit._frame[name].to_numpy(float)
    few = np.unique(own)
    if len(few) <= 2 * VALUES:
        return few.tolist()
    return np.unique(np.quantile(own, np.linspace(0, 1, VALUES + 1), method="nearest")).tolist()


def _text(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def _exposures(fit, labels):
    """The exposure of every level of a factor, NaN for numbers and the base rate; None without the data."""
    import pandas

    if fit._frame is None:
        return None
    weight = scenarios.exposure_of(fit)
    found = {("base rate", ""): float(weight.sum())}
    for name in [*scenarios.factor_levels(fit.formula, fit._frame), *fit.fixed]:
        codes, levels = pandas.factorize(fit._frame[name].astype(object))
        found |= {(name, _text(v)): total for v, total in zip(levels, np.bincount(codes, weight), strict=True)}
    return [found.get(label, np.nan) for label in labels]
