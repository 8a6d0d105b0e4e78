"""What processes must agree on before their rows can be one data set: that all go on, levels of factors, names."""

from jglm import distributed
from jglm.inputs import coding
from jglm.inputs.policies import MISSING

gather, together = distributed.gather, distributed.together


def with_all_levels(frame, formula, second, gather):
    """The frame of this process's rows with its factors as categorical columns whose levels are those of all rows, in
    the order that all rows in one frame would give them."""
    import pandas

    changed = {}
    for column in frame.columns:
        values = frame[column]
        if not _is_factor(column, values, formula, second):
            continue
        ordered = isinstance(values.dtype, pandas.CategoricalDtype)
        own = list(values.cat.categories) if ordered else sorted(pandas.unique(values).tolist(), key=_key)
        own = [v for v in own if v != MISSING]
        used = set(pandas.unique(values).tolist())
        told = gather((column, own, [v for v in [*own, MISSING] if v in used], ordered))
        if len({(name, kind) for name, _, _, kind in told}) > 1:
            raise ValueError(f"column {column!r} is categorical in some processes alone; give all of them one type")
        there = set().union(*(used for _, _, used, _ in told))
        orders = {tuple(levels) for _, levels, _, _ in told}
        if ordered and len(orders) > 1:
            raise ValueError(f"column {column!r} is categorical with other levels in another process; give all of them "
                             "the same levels in the same order")  # fmt: skip
        levels = [v for v in own if v in there] if ordered else sorted(there - {MISSING}, key=_key)
        levels += [MISSING] if MISSING in there else []
        changed[column] = pandas.Categorical(values, categories=levels)
    return frame.assign(**changed) if changed else frame


def _key(value):
    return (type(value).__name__ if isinstance(value, str) else "", value)


def _is_factor(column, values, formula, second):
    """Whether a column is one of levels on the right-hand sides; ValueError for one that is a number there as well."""
    import pandas

    sides = [formula.rhs] + ([] if second is None else [second.rhs])
    exprs = {f.expr for side in sides for term in side for f in term.factors}
    if isinstance(values.dtype, pandas.CategoricalDtype) or not pandas.api.types.is_numeric_dtype(values.dtype):
        return any(coding.column_of(expr) == column for expr in exprs)
    if f"C({column})" not in exprs:
        return False
    if column in exprs:
        raise ValueError(f"column {column!r} stands in the formula as a number and in C(); over several processes copy "
                         "it to a second column for C()")  # fmt: skip
    return True


def refuse_learnt(*formulas):
    """ValueError for transforms that learn from the data: each process would learn from its rows alone."""
    learnt = sorted(
        {name for f in formulas if f is not None for name, state in f.spec.transform_state.items() if state}
    )
    if learnt:
        raise ValueError(f"{learnt[0]} learns from the data, of which each process has a share; transform that column "
                         "before the rows are shared out")  # fmt: skip
