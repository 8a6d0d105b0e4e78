"""Residuals of a fit: of its own rows, or of new ones."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from jglm import prediction
from jglm.distributions import distribution
from jglm.distributions.density import by_rows
from jglm.fitting.padding import bind, over_rows
from jglm.inputs import checks, data, response
from jglm.rows import Rows, describe, eta_of, moments

KINDS = ("response", "pearson", "deviance", "working", "quantile")


def of(fit, X, y, kind, weights, offset, exposure, trials, precision, seed):
    """See `Fit.residuals`."""
    checks.choice("kind", kind, KINDS)
    if kind == "deviance" and fit.family.T_ is not None:
        raise ValueError(f"family {fit.family.name!r} has no deviance residuals: T(y) is not y, and no value of "
                         "the mean fits y best at the other parameters; use 'quantile' or 'pearson'")  # fmt: skip
    seen = looked(fit, X, y, weights, offset, exposure, trials, precision, kind == "response")
    if kind == "quantile":
        return quantile_residuals(fit, seen.y, seen.rows.eta, seen.size, seen.weight, seed)
    return of_rows(kind, seen.t, seen.rows, seen.weight)


@dataclass(frozen=True)
class Seen:
    """Rows of a fit, or new ones: y and how it is weighted (as `data.Prepared` has it), lin, the `Rows` there, and `t`,
    what the rows' mean is the mean of: y, or T(y) where the moments of y are not known. `design`: of the fit's rows."""

    y: np.ndarray
    weight: np.ndarray
    size: np.ndarray
    power: np.ndarray
    lin: np.ndarray
    rows: Any
    t: np.ndarray
    design: Any


def looked(fit, X=None, y=None, weights=None, offset=None, exposure=None, trials=None, precision=None, plain=False,
           look=None):  # fmt: skip
    """What the rows of the fit, or new X and y, look like at its coefficients: `Seen`. Where `plain` a regressed
    parameter, on which no mean depends, is left at 1. `look`: `only_moments`, where that is all that is wanted."""
    design = None
    if X is None and y is None:
        p = fit._data("residuals() without X and y")
        design, lin = prediction.design_and_lin(fit, None, None, None)
        y, weight, size, power = p.y, p.weight, p.size, p.power
    elif X is None or y is None:
        raise ValueError("residuals takes X and y together, or neither for the rows of the fit")
    else:
        lin = prediction.linear_predictor(fit, X, offset, exposure)
        y, weight, size, power = _new_rows(fit, y, lin, weights, trials)
    designs = None if plain else prediction.precision_designs(fit, X, len(lin), precision)
    values = prediction.row_values(fit, len(lin), designs)
    rows = over_rows(bind(look or _look, fit.model), y, lin, weight, size, power, values)
    known = fit.family.T_ is None or fit.family.moments_ is not None
    t = y if known else np.asarray(jax.vmap(fit.family.statistic)(y))
    return Seen(y, weight, size, power, lin, rows, t, design)


def only_moments(model, y, lin, weight, size, power, values):
    """`Rows` with eta, the mean and the variance alone, which compile in a fraction of the time."""
    eta = jax.vmap(lambda v, u: eta_of(model, v, u))(lin, values)
    mu, variance = jax.vmap(lambda e: moments(model.family, e))(eta)
    return Rows(eta, mu, None, None, None, variance, None)


def _look(model, y, lin, weight, size, power, values):
    return describe(model, y, lin, weight, size, power, 1.0, values)[0]


def _new_rows(fit, y, lin, weights, trials):
    """(y, weight, size, power) of new rows, as a fit has them."""
    w = data.weights_of(weights, len(lin))
    encoded, _ = response.encode(fit.family, y, trials, None if weights is None else w, fit.levels)
    if len(encoded.y) != len(lin):
        raise ValueError(f"y has {len(encoded.y)} rows, X has {len(lin)}; they must have the same")
    if fit.family.response != "label":
        checks.in_support(fit.family, encoded.y, w > 0)
    return encoded.y, *data.likelihood_weights(fit.family, w, encoded.size, fit.weight_kind)


def of_rows(kind, t, rows, weight):
    """Residuals (n,) of a scalar family, as R defines them; of a vector one (n, k), deviance (n,).

    response t - mu; pearson sqrt(w) (t - mu) / sqrt V; deviance sign(t - mu) sqrt(w d); working (t - mu) d lin / d mu.
    """
    error = t - rows.mu
    if kind == "response":
        return error
    if error.ndim == 1:
        if kind == "pearson":
            return np.sqrt(weight) * error / np.sqrt(rows.variance)
        if kind == "deviance":
            return np.sign(error) * np.sqrt(weight * rows.deviance)
        return error / rows.slope
    if kind == "pearson":
        own = np.diagonal(rows.variance, axis1=1, axis2=2)
        return np.sqrt(weight)[:, None] * error / np.sqrt(own)
    if kind == "deviance":
        return np.sqrt(weight * rows.deviance)
    return -np.einsum("nij,nj->ni", np.linalg.pinv(rows.expected), rows.score)


def method_of(fit, phi, y=None):
    """How the distribution of the rows is computed; raises ValueError where there is none."""
    refuse_vector(fit.family)
    return fit.family.tail_method(phi, y)


def refuse_vector(family):
    """ValueError where y is a vector."""
    if family.vector_y:
        raise ValueError(f"family {family.name!r} has a vector y, which has no quantiles")


def quantile_residuals(fit, y, eta, size, weight, seed):
    """Phi^-1(F(y)) of each row, standard normal where the model is right (Dunn and Smyth 1996).

    Where y has a positive probability, F is drawn uniformly over its jump, from `seed`. NaN in rows of weight 0.
    """
    refuse_vector(fit.family)
    on = weight > 0
    phi = np.broadcast_to(fit.scale / np.where(on, size, 1.0), y.shape)
    method = method_of(fit, phi[on], y[on])
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
