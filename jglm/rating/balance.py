"""The balance of a fit: whether what it expects in total is what happened, overall and level by level.

At the optimum of a canonical link without a penalty the score X'w(y - mu) is 0, so that totals agree in every column of
X: with an intercept overall, and in every level of a factor. With another link, a penalty or other rows they need not
(Wüthrich 2020, European Actuarial Journal 10, 179-202; Wüthrich and Merz 2023, Statistical Foundations of Actuarial
Learning, section 5.1.5).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm import prediction
from jglm.assessing import expected
from jglm.assessing.rows import assess
from jglm.inference import scenarios
from jglm.rows import in_domain

ROUNDING = 1e-12  # of the total, below which it is balanced
DOUBLINGS = 60


def balance(fit, by, data, bins, level, **new):
    """See `Fit.balance`."""
    import pandas

    seen = assess(fit, data, **new)
    if by is None:
        by = []
        if seen.frame is not None:
            by = [*scenarios.factor_levels(fit.formula, seen.frame), *fit.fixed]
    found = {"all": expected.table(seen, np.zeros(len(seen.exposure), int), [""], level)}
    for name in [by] if isinstance(by, str) else by:
        found[name] = expected.table(seen, *seen.grouping(name, bins), level)
        found[name].index = found[name].index.map(str)
    whole = pandas.concat(found, names=["column", "level"])
    whole.insert(4, "difference", whole["actual"] - whole["expected"])
    return whole.drop(columns=["actual_mean", "expected_mean"])


def rebalanced(fit, data, **new):
    """See `Fit.rebalanced`."""
    prepared = fit._data("rebalanced()")
    if hasattr(prepared, "deferred"):
        raise ValueError("the rows of a stream stay on disk, and a shifted constant needs their statistics anew; fit a "
                         "frame of them")  # fmt: skip
    if "Intercept" not in fit.names or fit.model.width() is not None:
        raise ValueError("rebalanced() shifts the intercept of one linear predictor, and the fit has none such")
    seen = assess(fit, data, **new)
    with jax.enable_x64(True):
        c = _shift(fit, seen)
        params = fit.params.copy()
        params[fit.names.index("Intercept")] += c
        phi = fit._phi if "phi" in fit.nuisance else None
        moved = dataclasses.replace(fit, params=params, shift=fit.shift + c, _unscaled=None, _joint=None, _robust=None,
                                    _llf=None, _phi=phi)  # fmt: skip
    sums = moved.by_group(np.zeros(len(prepared.y), int)).iloc[0]
    moved.deviance, moved.pearson_chi2 = float(sums["deviance"]), float(sums["pearson_chi2"])
    if not np.isfinite(moved.deviance):
        raise ValueError(f"the shift {c:.4g} of the intercept takes means of the fit's rows out of their range")
    return moved


def _shift(fit, seen):
    """c with sum w mu(lin + c) = sum w y: the logarithm of the ratio for a log link, else the root."""
    w, lin, actual = seen.seen.weight, seen.seen.lin, seen.actual.sum()
    on = w > 0

    def gap(c):
        inside = np.asarray(in_domain(fit.model, jnp.asarray(lin + c)))
        mu = prediction.of_lin(fit, lin + c, "mean")
        return float(np.sum(w[on] * mu[on])) - actual if inside[on].all() else np.nan

    here = gap(0.0)
    if abs(here) <= ROUNDING * np.sum(np.abs(seen.actual)):
        return 0.0
    if fit.link.name == "log":
        if actual <= 0:
            raise _unreachable(actual)
        return float(np.log(actual / (actual + here)))
    return _root(gap, here, actual)


def _root(gap, here, actual):
    """The root of a monotone function, defined in an interval about 0."""
    from scipy.optimize import brentq

    slope = gap(1e-6) - gap(-1e-6)
    direction = -np.sign(here) * (np.sign(slope) if np.isfinite(slope) and slope else 1.0)
    inside, step = 0.0, 0.125
    for _ in range(DOUBLINGS):
        value = gap(inside + direction * step)
        if not np.isfinite(value):
            step /= 2  # beyond the domain of the link
        elif value * here <= 0:
            ends: Any = sorted((inside, inside + direction * step))
            found: Any = brentq(gap, *ends, xtol=1e-15)
            return float(found)
        else:
            inside, step = inside + direction * step, 2 * step
    raise _unreachable(actual)


def _unreachable(actual):
    return ValueError(f"the total of y is {actual:g}, which no constant gives with this link; there is nothing to "
                      "rebalance to")  # fmt: skip
