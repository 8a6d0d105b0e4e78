"""Intervals for the means of rows: by the delta method, also of class probabilities, and by profile likelihoods."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import prediction
from jglm.fitting.padding import bind
from jglm.inference import delta, effects, profiles, profiling, tails
from jglm.inputs import checks

ROWS = 4096  # of a block whose Jacobians are kept


def by_delta(fit, X, offset, exposure, level, inside):
    """(n, 3), or (n, k, 3) of k classes: means and the ends of their intervals, symmetric about the mean; `inside`,
    made on the scale of the logit, so that probabilities stay between 0 and 1."""
    checks.level(level)
    design, lin = prediction.design_and_lin(fit, X, offset, exposure)
    shift = lin - design.times(delta.coefficients(fit))
    means = effects.Means(fit)
    cov = delta.covariance(fit, means.joint)
    run = bind(_with_jacobians, fit.model, *means.static)
    values, errors = [], []
    for first in range(0, len(lin), ROWS):
        part = np.arange(first, min(first + ROWS, len(lin)))
        value, jac = (np.asarray(v) for v in run(means.flat, design.take(part).dense(), shift[part]))
        values.append(value)
        errors.append(np.sqrt(np.einsum("...i,ij,...j->...", jac, cov, jac)))
    mean, se = np.concatenate(values), np.concatenate(errors)
    reach = tails.quantile(0.5 + level / 2, fit._df) * se
    if not inside:
        return np.stack([mean, mean - reach, mean + reach], axis=-1)
    if np.any((mean < 0) | (mean > 1)):
        raise ValueError(f"means of family {fit.family.name!r} are no probabilities; take interval='delta'")
    with np.errstate(divide="ignore", invalid="ignore"):
        logit, reach = np.log(mean) - np.log1p(-mean), reach / (mean * (1 - mean))
    ends = [1 / (1 + np.exp(-(logit + side * reach))) for side in (-1, 1)]
    return np.stack([mean, *ends], axis=-1)


def _with_jacobians(model, flat, X, shift, shape, free):
    def one(flat, x, shift):
        coef, mean = effects._rows_mean(model, flat, shape, free)
        return mean(x @ coef + shift)

    each = jax.vmap(lambda x, s: (one(flat, x, s), jax.jacrev(one)(flat, x, s)))
    return each(jnp.asarray(X), jnp.asarray(shift))


def by_profile(fit, X, offset, exposure, level):
    """(n, 3): the mean and the ends where the profile likelihood of the row's lin says; all rows in one batch."""
    checks.level(level)
    design, lin = prediction.design_and_lin(fit, X, offset, exposure)
    mean, whole = prediction.of_lin(fit, lin, "mean"), np.isfinite(lin)
    surface = profiles.Surface(fit, fit._joins)
    rows, back = np.unique(design.take(np.flatnonzero(whole)).dense()[:, fit.kept], axis=0, return_inverse=True)
    a = np.zeros((len(rows), surface.size))
    a[:, : surface.coefficients] = rows
    own = (rows @ fit.params[fit.kept])[back]
    ends = np.full((len(lin), 2), np.nan)
    for i, v in enumerate(surface.intervals(profiling.Linear, a, level)):
        ends[whole, i] = prediction.of_lin(fit, (lin[whole] - own) + v[back], "mean")
    return np.column_stack([mean, ends.min(axis=1), ends.max(axis=1)])
