"""Contrasts, relativities and estimated marginal means: linear functions of the coefficients, on the scale of lin or as
ratios and means."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm.inference import delta, effects, scenarios
from jglm.inputs import checks

WEIGHTS = ("equal", "proportional")
BASES = ("most_exposed", "first")
TITLES = {"log": "relativity", "logit": "odds ratio", "cloglog": "hazard ratio"}


def contrasts(fit, what, ratio, level):
    """The `Estimates` of linear combinations of the coefficients; see `Fit.contrasts`."""
    checks.level(level)
    if fit.model.width() is not None:
        raise ValueError("contrasts() is for one linear predictor; of several write fit.estimate(lambda params: …)")
    p = len(fit.names)
    if isinstance(what, dict) or (isinstance(what, (list, tuple)) and what and isinstance(what[0], dict)):
        what = [what] if isinstance(what, dict) else what
        L = np.zeros((len(what), p))
        for row, weights in zip(L, what, strict=True):
            for name, weight in weights.items():
                checks.choice("a name in the contrast", name, fit.names)
                row[fit.names.index(name)] = weight
        names = [_sum_in_words(c) for c in what]
    else:
        L = checks.numbers("the matrix of contrasts", what)
        L = L[None] if L.ndim == 1 else L
        if L.ndim != 2 or L.shape[1] != p:
            raise ValueError(
                f"the matrix of contrasts has shape {L.shape}; it must have {p} columns, one per coefficient"
            )
        names = [f"contrast {i + 1}" for i in range(len(L))]
    back, title = ("exp", _ratio_title(fit)) if ratio else (None, "contrast")
    return _linear(fit, L, 0.0, names, level, back, title)


def _sum_in_words(weights):
    """{"a": 1, "b": -2} as "a - 2 b"."""
    terms = [("- " if w < 0 else "+ ") + (f"{abs(w):g} " if abs(w) != 1 else "") + n for n, w in weights.items()]
    return " ".join(terms).removeprefix("+ ")


def _linear(fit, L, offset, names, level, back, title, shape=None):
    """Estimates of L coef + offset; L (q, P) in the flat coefficients; NaN where aliased columns decide."""
    point = L @ delta.flat_coefficients(fit) + offset
    point = np.where(scenarios.estimable(fit, L), point, np.nan)
    cov = L @ delta.covariance(fit) @ L.T
    return delta.Estimates(names, point if shape is None else point.reshape(shape), cov, fit._df, level, back,
                           title=title)  # fmt: skip


def _by_class(fit, L):
    """(P-wide rows, class after class fastest) of rows (q, p) of a design: each on every column of lin."""
    width = fit.model.width()
    if width is None:
        return L
    return np.einsum("qp,kl->qklp", L, np.eye(width)).reshape(len(L) * width, -1)


# --------------------------------------------------------------------------- what exp(coef) means
def scale_of(fit):
    """ "log", "logit" or "cloglog", of which a difference in lin is a logarithm of a ratio; None for other means. Found
    from the mean itself: which of its transforms has slope 1 in lin."""
    width, means = fit.model.width(), effects.Means(fit)
    values = means._values()
    mean = lambda v: effects._mean_of(fit.model, v, values)
    if width is not None:
        return "log" if _softmax(mean, width) else None
    if means.classes is not None:
        return None
    kinds = {
        "log": jnp.log,
        "logit": lambda m: jnp.log(m) - jnp.log1p(-m),
        "cloglog": lambda m: jnp.log(-jnp.log1p(-m)),
    }
    at = jnp.array([-2.0, -1.3, -0.4])
    for name, transform in kinds.items():
        slope = np.asarray(jax.vmap(jax.grad(lambda v, f=transform: f(mean(v))))(at))
        if np.all(np.abs(slope - 1) < 1e-6):
            return name
    return None


def _softmax(mean, width):
    """Whether the logarithms of ratios of the means are linear in lin, so that their slopes are the same anywhere."""
    slope = jax.jacobian(lambda v: jnp.log(mean(v)))
    here, there = (np.asarray(slope(jnp.linspace(low, 0.7, width))) for low in (-0.4, 0.1))
    return np.allclose(here - here[:1], there - there[:1], atol=1e-9)


def _ratio_title(fit):
    kind = scale_of(fit)
    if kind is None:
        raise ValueError(f"with link {fit.link.name!r} the exponential of a coefficient is no ratio of means or odds; "
                         "use fit.contrasts(…), or fit.marginal_effects(change='ratio')")  # fmt: skip
    return "relative risk ratio" if fit.model.width() is not None else TITLES[kind]


def relativities(fit, base, X, level):
    """The `Estimates` of `Fit.relativities`."""
    checks.level(level)
    title = _ratio_title(fit)
    if fit.formula is None:
        if base is not None:
            raise ValueError("base= names levels of factors; a fit of an array has none")
        at = [i for i, n in enumerate(fit.names) if n != "Intercept"]
        L, names = np.eye(len(fit.names))[at], [fit.names[i] for i in at]
    else:
        start = base_row(fit, base, X)
        points = [(n, v) for n in fit.formula.varying() for v in start.factors.get(n, [None])]
        names = [f"{n} + 1" if v is None else f"{n}: {v}" for n, v in points]
        L = differences(start, [(n, start.values(n) + 1 if v is None else v) for n, v in points])
    q, width = len(L), fit.model.width()
    if width is None:
        held = [(f"{c}: {v}", np.log(r)) for c, table in fit.fixed.items() for v, r in table.items()]
        L = np.concatenate([L, np.zeros((len(held), len(fit.names)))])
        offset = np.concatenate([np.zeros(q), [v for _, v in held]])
        return _linear(fit, L, offset, [*names, *(n for n, _ in held)], level, "exp", title)
    return _linear(fit, _by_class(fit, L), 0.0, [names, fit._lin_names()], level, "exp", title, (q, width))


def base_row(fit, base, X=None):
    """The `FrameRows` of one row that relativities begin from: every factor at its base, numbers at theirs or at their
    mean."""
    row = scenarios.typical_row(fit, X)
    if base is None or isinstance(base, str):
        checks.choice("base", base, (None, *BASES))
        return row.set({n: levels[0] for n, levels in row.factors.items()} if base == "first" else {})
    for name in base:
        checks.choice("a name in base", name, fit.formula.varying())
    return row.set(base)


def differences(start, points):
    """(q, p) rows of the design with a variable at a value [(variable, value)], all else as in the row `start`, less
    that row."""
    X0 = start.design()[0]
    return np.concatenate([np.zeros((0, X0.shape[1])), *(start.set({n: v}).design()[0] - X0 for n, v in points)])


# --------------------------------------------------------------------------- estimated marginal means
def marginal_means(fit, factors, values, weights, kind, X, level):
    """The `Estimates` of `Fit.marginal_means`."""
    checks.choice("weights", weights, WEIGHTS)
    checks.choice("kind", kind, ("mean", "link"))
    checks.level(level)
    if fit.formula is None:
        raise TypeError("marginal means are of factors in a formula; fit with jglm.glm, or use fit.estimate")
    rows: Any = scenarios.rows_of(fit, X, None, None, None)
    factors = [factors] if isinstance(factors, str) else list(factors)
    for name in factors:
        checks.choice("factors", name, list(rows.factors))
    others = [n for n in rows.factors if n not in factors and n not in (values or {})]
    start = rows.summarized("mean").set(values or {})
    cells, grid = start.grid([*factors, *others])
    share = _shares(rows, others, weights)
    groups = list(dict.fromkeys(c[: len(factors)] for c in cells))
    A = np.zeros((len(groups), len(cells)))
    for j, cell in enumerate(cells):
        A[groups.index(cell[: len(factors)]), j] = share[cell[len(factors) :]]
    names = [", ".join(f"{f} = {v}" for f, v in zip(factors, g, strict=True)) for g in groups]
    mean = effects.Means(fit)
    if mean.classes is not None and kind == "mean":
        return _of_classes(fit, mean, grid, A, names, level)
    D, offset = grid.design()
    if fit.model.width() is not None:
        L, shape = _by_class(fit, A @ D), (len(groups), fit.model.width())
        return _linear(fit, L, (A @ offset).ravel(), [names, fit._lin_names()], level, None, "link", shape)
    back = None if kind == "link" else {"log": "exp", "logit": "logistic"}.get(scale_of(fit) or "", _Back(fit))
    return _linear(fit, A @ D, A @ offset, names, level, back, "link" if kind == "link" else "mean")


def _shares(rows, others, weights):
    """{levels of the other factors: their share} in an average."""
    cells = list(itertools.product(*(rows.factors[n] for n in others)))
    if weights == "equal" or not others:
        return dict.fromkeys(cells, 1 / len(cells))
    found = rows.frame[others].assign(_weight=rows.weight).groupby(others, observed=True)["_weight"].sum()
    totals = {(k if isinstance(k, tuple) else (k,)): float(v) for k, v in found.items()}
    return {c: totals.get(c, 0.0) / rows.weight.sum() for c in cells}


def _of_classes(fit, mean, grid, A, names, level):
    """Probabilities of the classes, averaged over the cells."""
    points, jacs = [], []
    for i in range(len(A)):
        part = A[i] > 0
        rows = grid.where(part)
        rows.weight = A[i][part]
        point, jac = mean.average(rows)
        points.append(point)
        jacs.append(jac)
    jac = np.concatenate(jacs)
    cov = jac @ delta.covariance(fit, mean.joint) @ jac.T
    return delta.Estimates([names, mean.classes], np.stack(points), cov, fit._df, level, title="mean")


class _Back:
    """The mean of a row from its lin, a name of its own for each fit."""

    def __init__(self, fit):
        self.model, self.values = fit.model, effects.Means(fit)._values()

    def __call__(self, v):
        return effects._mean_of(self.model, v, self.values)
