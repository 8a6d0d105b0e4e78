"""The distribution that a fit gives to y in each row: quantile residuals, and intervals for means and for a new y."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from jglm import checks, distribution, inference, prediction
from jglm.density import by_rows

INTERVALS = ("mean", "prediction")


def _method(fit, phi, y=None):
    """How the distribution of the rows is computed; raises ValueError where there is none."""
    family = fit.family
    if family.vector_y:
        raise ValueError(f"family {family.name!r} has a vector y, which has no quantiles")
    return family.tail_method(phi, y)


def quantile_residuals(fit, y, eta, size, weight, seed):
    """Phi^-1(F(y)) of each row, standard normal where the model is right (Dunn and Smyth 1996).

    Where y has a positive probability, F is drawn uniformly over its jump, from `seed`. NaN in rows of weight 0.
    """
    on = weight > 0
    phi = np.broadcast_to(fit.scale / np.where(on, size, 1.0), y.shape)
    method = _method(fit, phi[on], y[on])
    share = np.random.default_rng(seed).uniform(size=len(y))
    safe = np.where(on, y, y[np.argmax(on)])
    return np.where(on, np.asarray(_residuals_compiled(fit.family, method, safe, eta, phi, share)), np.nan)


def _residual(family, method, y, eta, phi, share):
    log_cdf, log_sf = distribution.log_tails_one(family, y, eta, phi, method)
    support = method.support
    jump = jnp.zeros_like(log_cdf)
    if support.step or support.low_in or support.high_in:
        atom = bool(support.step) | (support.low_in & (y == support.low)) | (support.high_in & (y == support.high))
        jump = jnp.where(atom, jnp.exp(family.log_prob_one(y, eta, phi, method)), 0.0)
    below = jnp.maximum(jnp.exp(log_cdf) - (1 - share) * jump, 0.0)
    above = jnp.maximum(jnp.exp(log_sf) + (1 - share) * jump, 0.0)
    tiny = jnp.finfo(below.dtype).tiny
    return jnp.where(below < above, ndtri(jnp.maximum(below, tiny)), -ndtri(jnp.maximum(above, tiny)))


_residuals_compiled = jax.jit(
    lambda family, method, *rows: by_rows(lambda *r: _residual(family, method, *r), method, *rows), static_argnums=1
)
_quantiles_compiled = jax.jit(
    lambda family, method, p, eta, phi: by_rows(
        lambda e, f: jax.vmap(lambda p: distribution.quantile_one(family, p, e, f, method))(p), method, eta, phi
    ),
    static_argnums=1,
)


def with_interval(fit, X, offset, exposure, interval, level, precision):
    """(n, 3): the mean and the ends of an interval of `level`, for the mean or for a new y of weight 1."""
    checks.choice("interval", interval, INTERVALS)
    checks.level(level)
    if not fit.family.scalar_lin or fit.family.has_cutpoints:
        raise ValueError(f"interval= is for families of one linear predictor; the family is {fit.family.name!r}")
    design, lin = prediction.design_and_lin(fit, X, offset, exposure)
    mean = prediction.of_lin(fit, lin, "mean")
    if interval == "mean":
        cov = np.nan_to_num(fit.cov_params(), nan=0.0)
        reach = inference.quantile(0.5 + level / 2, fit._df) * np.sqrt(np.einsum("ni,ij,nj->n", design, cov, design))
        ends = np.column_stack([prediction.of_lin(fit, lin + side * reach, "mean") for side in (-1, 1)])
        return np.column_stack([mean, ends.min(axis=1), ends.max(axis=1)])
    designs = prediction.precision_designs(fit, X, len(lin), precision)
    whole = np.isfinite(lin) & np.all([np.isfinite(Z).all(axis=1) for Z in designs.values()], axis=0)
    first = np.argmax(whole)  # stands in for rows that miss a value
    designs = {name: np.where(whole[:, None], Z, Z[first]) for name, Z in designs.items()}
    eta = prediction.eta_of_lin(fit, np.where(whole, lin, lin[first]), designs)
    phi = np.full(len(lin), float(fit.scale))
    p = np.array([0.5 - level / 2, 0.5 + level / 2])
    ends = np.asarray(_quantiles_compiled(fit.family, _method(fit, phi), p, eta, phi))
    return np.column_stack([mean, np.where(whole[:, None], ends, np.nan)])
