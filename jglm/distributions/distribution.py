"""Distribution function, quantiles and draws of a family with a scalar y, from whatever its density is computed by."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jglm.distributions import density
from jglm.distributions.support import Support, find_support


def support_with_masses(family):
    """The support of a family with a closed density, an end "in" only where it has a positive probability; of
    proportions the lattice that they are on at phi = 1."""
    given = family.support
    if family.response == "proportion":
        return Support(0.0, 1.0, 1.0, True, True)
    if given.step:
        return given
    if family.dim is not None:
        return given._replace(low_in=False, high_in=False)
    found = find_support(family)
    return given._replace(low_in=given.low_in and found.low_in, high_in=given.high_in and found.high_in)


def log_tails_one(family, y, eta, phi, method):
    """(log P(Y <= y), log P(Y > y)) of one observation."""
    if family.dim is None:
        return density.log_tails_one(family, y, eta, phi, method)
    return density.cdf_by_quadrature(_log_prob(family, eta, phi), y, method.support, *_where(family, eta, method))


def quantile_one(family, p, eta, phi, method):
    """The smallest y with P(Y <= y) >= p."""
    if family.dim is None:
        return density.quantile_one(family, p, eta, phi, method)
    tails = lambda y: log_tails_one(family, y, eta, phi, method)
    return density.quantile_by_search(
        tails, _log_prob(family, eta, phi), p, method.support, *_where(family, eta, method)
    )


def _log_prob(family, eta, phi):
    return lambda y: family.log_prob_one(y, eta, phi)


def _where(family, eta, method):
    """About where y lies and how widely, for a family with a vector eta."""
    if family.moments_ is not None:
        mean, variance = family.moments_(eta, **family.params)
        return mean, jnp.sqrt(variance)
    low, high = method.support.low, method.support.high
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"family {family.name!r}: give Family(..., moments=...) for the distribution of y")
    return jnp.asarray((low + high) / 2, eta.dtype), jnp.asarray((high - low) / 4, eta.dtype)


def draw_one(family, key, eta, phi, method):
    """One y: in closed form where the family has a sampler, else the quantile of a uniform."""
    if family.sampler_ is not None:
        return family.sampler_(key, eta, phi, **{k: jnp.asarray(v, eta.dtype) for k, v in family.params.items()})
    # A uniform in (0, 1), never at its ends, where a quantile may be infinite.
    tiny = jnp.finfo(eta.dtype).eps / 4
    return quantile_one(family, jax.random.uniform(key, dtype=eta.dtype, minval=tiny), eta, phi, method)


def moments(family, eta, phi, method, count=4001):
    """(mass, mean, variance) of y, by the trapezoid rule in z, y = F^-1(Phi(z)) being smooth, or by the sum."""
    support = method.support
    log_prob = lambda y: _log_probs(family, y, eta, phi, method)
    mean, spread = _centre(family, eta, phi, method)
    if support.step:
        step = support.step * phi
        origin = support.low if np.isfinite(support.low) else 0.0
        first = jnp.maximum(0.0, jnp.round((mean - origin) / step) - count // 2) if np.isfinite(support.low) else (
            jnp.round((mean - origin) / step) - count // 2)  # fmt: skip
        y = origin + step * (first + jnp.arange(count))
        y = y[y <= support.high]
        p = jnp.exp(log_prob(y))
    else:
        x, w = _line(support, mean, spread)
        y, p = x, jnp.exp(log_prob(x)) * w
        for has, end in ((support.low_in, support.low), (support.high_in, support.high)):
            if has:
                y, p = jnp.append(y, end), jnp.append(p, jnp.exp(log_prob(jnp.asarray([end], eta.dtype))))
    p = jnp.where(jnp.isfinite(p), p, 0.0)
    mass = jnp.sum(p)
    centre = jnp.sum(p * y) / mass
    return float(mass), float(centre), float(jnp.sum(p * (y - centre) ** 2) / mass)


@functools.partial(jax.jit, static_argnames="method")
def _log_probs(family, y, eta, phi, method):
    return jax.vmap(lambda y: family.log_prob_one(y, eta, phi, method))(y)


def _centre(family, eta, phi, method):
    if family.dim is not None:
        return _where(family, eta, method)
    return jax.grad(family.a)(eta), jnp.sqrt(phi * jax.hessian(family.a)(eta))


def _line(support, mean, spread, count=4001):
    """Nodes and weights of a double-exponential rule over the support."""
    t = np.linspace(-4.0, 4.0, count)
    s, ds = np.pi / 2 * np.sinh(t), np.pi / 2 * np.cosh(t) * (t[1] - t[0])
    low, high = support.low, support.high
    if np.isfinite(low) and np.isfinite(high):
        share = 1 / (1 + np.exp(-2 * s))
        return low + (high - low) * share, (high - low) * 2 * share * (1 - share) * ds
    if np.isfinite(low) or np.isfinite(high):
        end, side = (low, 1.0) if np.isfinite(low) else (high, -1.0)
        size = np.abs(mean - end) * np.exp(s / 2)
        return end + side * size, size * ds / 2
    scale = spread * 2
    return mean + scale * np.sinh(s / 4), scale * np.cosh(s / 4) * ds / 4
