"""Intervals for the means of rows, and for a new y in them."""

import jax
import numpy as np

from jglm import prediction
from jglm.diagnostics import residuals
from jglm.distributions import distribution
from jglm.distributions.density import by_rows
from jglm.inference import tails
from jglm.inputs import checks

INTERVALS = ("mean", "delta", "profile", "prediction")
ROWS = 4096  # of a block whose design is written out


_quantiles_compiled = jax.jit(
    lambda family, method, p, eta, phi: by_rows(
        lambda e, f: jax.vmap(lambda p: distribution.quantile_one(family, p, e, f, method))(p), method, eta, phi
    ),
    static_argnums=1,
)


def with_interval(fit, X, offset, exposure, interval, level, precision):
    """(n, 3): the mean and the ends of an interval of `level`, for the mean or for a new y of weight 1; (n, k, 3) for
    the means of k classes."""
    from jglm.inference import rowmeans

    checks.choice("interval", interval, INTERVALS)
    checks.level(level)
    several = not fit.family.scalar_lin or fit.family.has_cutpoints
    if interval == "delta" or (interval == "mean" and several):
        return rowmeans.by_delta(fit, X, offset, exposure, level, interval == "mean")
    if several:
        raise ValueError(f"interval={interval!r} is for families of one linear predictor; of {fit.family.name!r} take "
                         "interval='mean' or 'delta'")  # fmt: skip
    if interval == "profile":
        return rowmeans.by_profile(fit, X, offset, exposure, level)
    rows, lin = prediction.design_and_lin(fit, X, offset, exposure)
    mean = prediction.of_lin(fit, lin, "mean")
    if interval == "mean":
        reach = tails.quantile(0.5 + level / 2, fit._df) * _lin_errors(rows, fit.cov_params())
        ends = np.column_stack([prediction.of_lin(fit, lin + side * reach, "mean") for side in (-1, 1)])
        return np.column_stack([mean, ends.min(axis=1), ends.max(axis=1)])
    designs = prediction.precision_designs(fit, X, len(lin), precision)
    whole = np.isfinite(lin) & np.all([np.isfinite(Z).all(axis=1) for Z in designs.values()], axis=0)
    first = np.argmax(whole)  # stands in for rows that miss a value
    designs = {name: np.where(whole[:, None], Z, Z[first]) for name, Z in designs.items()}
    eta = prediction.eta_of_lin(fit, np.where(whole, lin, lin[first]), designs)
    phi = np.full(len(lin), float(fit.scale))
    p = np.array([0.5 - level / 2, 0.5 + level / 2])
    ends = np.asarray(_quantiles_compiled(fit.family, residuals.method_of(fit, phi), p, eta, phi))
    return np.column_stack([mean, np.where(whole[:, None], ends, np.nan)])


def _lin_errors(design, cov):
    """Standard errors of the linear predictor, by blocks of rows."""
    cov, errors = np.nan_to_num(cov, nan=0.0), []
    for first in range(0, design.shape[0], ROWS):
        X = design.take(np.arange(first, min(first + ROWS, design.shape[0]))).dense()
        errors.append(np.sqrt(np.einsum("ni,ni->n", X @ cov, X)))
    return np.concatenate(errors)
