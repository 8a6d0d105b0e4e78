"""group_levels: the levels of a factor in fewer groups, by exposure and by what a model says of them."""

import copy
import dataclasses

import jax
import numpy as np

from jglm import api
from jglm.fitting import estimate
from jglm.inference import delta, hypotheses, means, scenarios, tails
from jglm.inference.byterm import OPTIONS
from jglm.inputs import checks, factors, frames
from jglm.inputs.matrix import design_of
from jglm.rating.groups import LevelGroups
from jglm.rating.merging import Merging
from jglm.results import Fit

TESTS = ("wald", "lr")


def group_levels(source, column, *, min_exposure=0.0, min_share=0.0, exposure=None, stop="bic", test="wald",
                 ordered=None, other="other"):  # fmt: skip
    """Merge levels of a factor: rare ones, and those whose effects in a model do not differ.

    Levels that are rare go together first. Then, of a fit, the two groups that differ least are merged, and so on; what
    has been merged is restricted to be equal (see `rating.merging`). The model of the groups is refitted, and its
    deviance says what they cost.

    Args:
        source: a `Fit` by `jglm.glm` that has its data and no penalty; or a data frame, of which rare levels alone are
            merged.
        column: the factor; in a formula it must stand in terms of its own, not in interactions.
        min_exposure, min_share: levels with less of the exposure, or of its total's share, are rare: they become the
            group `other`; of ordered levels each joins the neighbour that it differs from less.
        exposure: of a data frame, the column that is summed; None counts rows. A fit knows weights x exposure.
        stop: "bic": as many merges as minimize BIC; a number, the p-value of a merge below which none is made; None:
            none of similar levels.
        test: of a merge, "wald" (no refits) or "lr" (the model is refitted at every step of the path).
        ordered: whether only neighbours may be merged; None: where levels are numbers or an ordered categorical column;
            or the levels in their order.
        other: the name of the group of rare levels.

    Returns a `LevelGroups`: `groups`, `mapping`, `apply(data)`, `table()`, `steps`, `fit`, `cost`. Tests after a choice
    by the same data are too sure of themselves: hold the groups against other rows. Raises ValueError for a column that
    is no such factor, and for aliased levels.

    >>> import jglm
    >>> frame = {"car": list("aaabbbcd"), "years": [1.0, 1, 1, 1, 1, 1, 0.2, 0.3]}
    >>> groups = jglm.group_levels(frame, "car", min_exposure=1.0, exposure="years")
    >>> groups.groups, list(groups.apply({"car": ["d", "a"]}).car)
    ({'a': ['a'], 'b': ['b'], 'other': ['c', 'd']}, ['other', 'a'])
    """
    for name, value in (("min_exposure", min_exposure), ("min_share", min_share)):
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"{name} is {value}; it must be a number >= 0")
    checks.choice("test", test, TESTS)
    if not isinstance(source, Fit):
        start = _of_frame(source, column, exposure, ordered)
        stop = None
    elif exposure is not None:
        raise ValueError("exposure= is for a data frame; the fit has its own")
    else:
        _refuse(source, column, stop)
        start = _of_fit(source, column, ordered)
    least = max(min_exposure, min_share * float(start.exposure.sum()))
    rare = set() if start.ordered else {g[0] for g, e in zip(start.groups, start.exposure, strict=True) if e < least}
    common = start.without_rare(least)
    if not isinstance(source, Fit):
        return _named(column, common, rare, other)
    path = [] if stop is None else common.path()
    steps, found = _judged(source, column, common, path, stop, test)
    named = _named(column, found, rare, other)
    return _with_fit(dataclasses.replace(named, steps=steps), source, len(start.groups))


# --------------------------------------------------------------------------- what is merged
def _of_frame(data, column, exposure, ordered):
    import pandas

    frame = frames.to_pandas(data, [column] if exposure is None else [column, exposure])
    factor = pandas.Categorical(frame[column])
    weight = None if exposure is None else checks.numbers(exposure, frame[exposure])
    order, is_ordered = _order(list(factor.categories), ordered, factor.ordered)
    total = dict(zip(factor.categories, factors.totals(factor.codes, len(factor.categories), weight), strict=True))
    return Merging([[v] for v in order], np.array([total[v] for v in order]), is_ordered)


def _of_fit(fit, column, ordered):
    import pandas

    with jax.enable_x64(True):
        start = means.base_row(fit, "first")
        levels = start.factors[column]
        factor = pandas.Categorical(fit._frame[column], categories=levels)
        own = getattr(fit._frame[column].dtype, "ordered", False)
        order, is_ordered = _order(levels, ordered, own)
        total = factors.totals(factor.codes, len(levels), scenarios.exposure_of(fit))
        L = means.differences(start, [(column, v) for v in order])
        if not scenarios.estimable(fit, L).all():
            raise ValueError(f"some levels of {column!r} are aliased with other columns and have no effect of their "
                             "own; merge them by hand first")  # fmt: skip
        effect, cov = L @ delta.flat_coefficients(fit), L @ delta.covariance(fit) @ L.T
    exposure = np.array([total[levels.index(v)] for v in order])
    return Merging([[v] for v in order], exposure, is_ordered, effect, cov)


def _refuse(fit, column, stop):
    """ValueError where the levels of a column have no effects of their own that tests could compare."""
    if fit.formula is None or fit._frame is None:
        raise ValueError("group_levels takes a fit of a formula (jglm.glm) that has its data")
    hypotheses.refuse_unsound(fit, "the merging of levels")
    hypotheses.refuse_penalty(fit, "the merging of levels")
    if fit.model.width() is not None:
        raise ValueError("group_levels is for one linear predictor")
    checks.choice("column", column, list(scenarios.factor_levels(fit.formula, fit._frame)))
    for term in fit.formula.rhs:
        columns = sorted(set().union(*(fit.formula.columns_of(f) for f in term.factors)))
        if column in columns and len(columns) > 1:
            raise ValueError(f"{column!r} stands in the term {str(term)!r}, so that a level has several effects; group "
                             "the levels in a fit without it")  # fmt: skip
    if not (stop in (None, "bic") or (isinstance(stop, float) and 0 < stop < 1)):
        raise ValueError(f"stop is {stop!r}; it must be 'bic', None, or a p-value such as 0.05")


def _order(levels, ordered, own):
    """(the levels in their order, whether they have one)."""
    if isinstance(ordered, (list, tuple)):
        if sorted(map(str, ordered)) != sorted(map(str, levels)):
            raise ValueError(f"ordered= must have each level once; the levels are {', '.join(map(str, levels))}")
        return list(ordered), True
    numbers = all(isinstance(v, (int, float, np.number)) for v in levels)
    is_ordered = (own or numbers) if ordered is None else bool(ordered)
    return (sorted(levels) if numbers else list(levels)), is_ordered


# --------------------------------------------------------------------------- how far it goes
def _judged(fit, column, common, path, stop, test):
    """(data frame of the steps, the `Merging` where they end)."""
    import pandas

    rows, before = [], None
    for (left, right), statistic, after in path:
        if test == "lr":
            before = _refitted(fit, column, common.groups) if before is None else before
            here = _refitted(fit, column, after.groups)
            statistic, before = _cost(here, before) / (1.0 if fit.free else fit.scale), here
        df = fit._df
        p = tails.chi_square_tail(statistic, 1) if df is None else tails.f_tail(statistic, 1, df)
        rows.append([" + ".join(map(str, left)), " + ".join(map(str, right)), statistic, float(p)])
        if isinstance(stop, float) and p < stop:
            break
    table = pandas.DataFrame(rows, columns=["group", "with", "statistic", "p"])
    table["total"] = table["statistic"].cumsum()
    made = 0
    if stop == "bic":
        made = int(np.argmin(np.append(0.0, table["total"] - np.log(fit.nobs) * np.arange(1, len(table) + 1))))
    elif len(table):
        made = len(table) - int(table["p"].iloc[-1] < stop)
    table["merged"] = np.arange(len(table)) < made
    return table, path[made - 1][2] if made else common


def _named(column, merging, rare, other):
    """The `LevelGroups` of a `Merging`, each named by its levels; a group with rare ones alone is `other`."""
    groups, exposure = {}, {}
    for levels, total in zip(merging.groups, merging.exposure, strict=True):
        if rare and set(levels) <= rare:
            name = other
        elif merging.ordered and len(levels) > 1:
            name = f"{levels[0]} to {levels[-1]}"
        else:
            name = " + ".join([*(str(v) for v in levels if v not in rare), *([other] if rare & set(levels) else [])])
        if name in groups:
            raise ValueError(f"two groups of {column!r} would be called {name!r}; give another name by other=")
        groups[name], exposure[name] = list(levels), float(total)
    return LevelGroups(column, groups, exposure)


# --------------------------------------------------------------------------- the model of the groups
def _with_fit(groups, fit, before):
    new = _refitted(fit, groups.column, list(groups.groups.values()), list(groups.groups))
    return dataclasses.replace(groups, fit=new, cost=_cost(new, fit), df=before - len(groups.groups))


def _cost(small, large):
    """What the deviance rises by; where parameters of the family are estimated, what -2 log-likelihood does."""
    return 2 * (large.llf - small.llf) if large.free else small.deviance - large.deviance


def _refitted(fit, column, groups, names=None):
    """The `Fit` of the same rows with groups [[level, …]] in place of levels."""
    import pandas

    names = [str(i) for i in range(len(groups))] if names is None else names
    group_of = {level: i for i, levels in enumerate(groups) for level in levels}
    codes, levels = pandas.factorize(fit._frame[column].astype(object))
    place = np.array([group_of[v] for v in levels])
    frame = fit._frame.assign(**{column: pandas.Categorical.from_codes(place[codes], names)})
    formula = copy.copy(fit.formula)
    with jax.enable_x64(True):
        X, _ = formula.fit(frame)
        design, _ = design_of(X, formula.names, False)
        prepared = dataclasses.replace(fit._prepared, design=design, names=formula.names)
        family = fit.family.replace(free=fit.free)
        found = estimate.estimate(prepared, family, fit.link, None, **OPTIONS)
        kept = {k: getattr(fit, k) for k in ("weight_kind", "columns", "n_dropped", "precision", "precision_names",
                                             "fixed", "sides")}  # fmt: skip
        return api.fit_of(
            found, prepared, family, covariance=fit.covariance, formula=formula, _frame=frame,
            dispersion=None if "phi" in fit.nuisance else fit.dispersion, **kept,
        )  # fmt: skip
