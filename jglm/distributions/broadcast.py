"""What a family says of arrays: each method is that of one observation, broadcast."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jglm.distributions import distribution


def _mean(family, eta):
    return jax.grad(family.a)(eta)


def _variance(family, eta):
    return jax.hessian(family.a)(eta)


def _natural(family, mu):
    return family.natural_one(mu)


def _loss(family, y, eta):
    return family.loss_one(family.statistic(y), eta)


def _deviance(family, y, mu):
    return family.deviance_one(family.statistic(y), family.natural_one(mu))


def _log_prob(family, y, eta, phi, method):
    return family.log_prob_one(y, eta, phi, method)


def _draw(family, key_data, eta, phi, method):
    return distribution.draw_one(family, jax.random.wrap_key_data(key_data), eta, phi, method)


@functools.partial(jax.jit, static_argnames=("one", "signature", "options"))
def _each(family, one, signature, arrays, options=()):
    """`one`, of one observation, over arrays. Compiled whole: run operation by operation, each would be compiled."""
    return jnp.vectorize(lambda *v: one(family, *v, *options), signature=signature)(*arrays)


class Broadcast:
    """The methods of a Family over arrays. For a vector eta the last axis of eta, mu and T(y) has length k."""

    # What a Family says of one observation.
    name: Any
    dim: Any
    vector_y: Any
    sampler_: Any
    a: Any
    statistic: Any
    natural_one: Any
    loss_one: Any
    deviance_one: Any
    log_prob_one: Any
    has_density: Any
    density_method: Any
    tail_method: Any

    def _each(self, one, ins, arrays, out="()", options=()):
        """`one(family, *values, *options)` over arrays; `ins` marks with 'k' what is a vector for a vector eta."""
        vector = self.dim is not None
        out = out if vector or out == "(),()" else "()"
        shapes = ",".join("(k)" if c == "k" and vector else "()" for c in ins)
        return _each(self, one, f"{shapes}->{out}", arrays, options)

    def mean(self, eta):
        """E T(y) = a'(eta): () -> (), or (..., k) -> (..., k)."""
        return self._each(_mean, "k", [floating(eta)], "(k)")

    def variance(self, eta):
        """a''(eta), so that var T(y) = phi a'': () -> (), or (..., k) -> (..., k, k)."""
        return self._each(_variance, "k", [floating(eta)], "(k,k)")

    def natural(self, mu):
        """eta with a'(eta) = mu, the canonical link. NaN for a mu that no eta reaches."""
        return self._each(_natural, "k", [floating(mu)], "(k)")

    def loss(self, y, eta):
        """a(eta) - T(y)·eta, the negative log-likelihood up to what does not depend on eta (and up to phi)."""
        return self._each(_loss, self._y + "k", _common(y, eta))

    def deviance(self, y, mu):
        """Unit deviance 2 {l(y; y) - l(y; mu)} phi, >= 0 and 0 at mu = T(y)."""
        return self._each(_deviance, self._y + "k", _common(y, mu))

    def log_prob(self, y, eta, phi=1.0):
        """log b(y, phi) + (T(y)·eta - a(eta)) / phi; -inf outside of the support.

        b in closed form where the family has it, else from a alone: `density_method` says how, and how well. Raises
        ValueError for quasi-likelihood families, and for a vector eta (or T(y) other than y) without a closed form.
        """
        method = None if self.has_density else self.density_method(phi, y if concrete(y) else None)
        return self._each(_log_prob, self._y + "k1", _common(y, eta, phi), options=(method,))

    def cdf(self, y, eta, phi=1.0):
        """P(Y <= y) of a scalar y; `sf` is P(Y > y), and each keeps its relative accuracy where it is small.

        By inversion from a alone, or by quadrature (on a lattice summation) of a closed density. Raises ValueError for
        a vector y and for quasi-likelihood families.
        """
        return jnp.exp(self._tails(y, eta, phi)[0])

    def sf(self, y, eta, phi=1.0):
        """P(Y > y): see `cdf`."""
        return jnp.exp(self._tails(y, eta, phi)[1])

    def _tails(self, y, eta, phi):
        method = self._scalar_method(phi)
        y, eta, phi = _common(y, eta, phi)
        return self._each(distribution.log_tails_one, self._y + "k1", [y, eta, phi], "(),()", (method,))

    def quantile(self, p, eta, phi=1.0):
        """The smallest y with P(Y <= y) >= p: see `cdf`."""
        method = self._scalar_method(phi)
        return self._each(distribution.quantile_one, "1k1", _common(p, eta, phi), options=(method,))

    def sample(self, key, eta, phi=1.0, shape=()):
        """Draws of y: `shape` of them for every eta (and phi), in front of its shape.

        In closed form where the family has a sampler, else the quantile of a uniform. Raises ValueError for a vector
        y without a sampler and for quasi-likelihood families.
        """
        method = None if self.sampler_ is not None else self._scalar_method(phi)
        eta, phi = _common(eta, phi)
        rows = jnp.broadcast_shapes(eta.shape if self.dim is None else eta.shape[:-1], phi.shape)
        keys = jax.random.split(key, (*shape, *rows))
        signature = f"(w),{'()' if self.dim is None else '(k)'},()->{'(k)' if self.vector_y else '()'}"
        return _each(self, _draw, signature, [jax.random.key_data(keys), eta, phi], (method,))

    def moments_of_density(self, eta, phi=1.0):
        """(mass, mean, variance) of the density or probabilities of a scalar y at one eta, by summing them up."""
        method = self._scalar_method(phi)
        return distribution.moments(self, jnp.asarray(eta, float), jnp.asarray(phi, float), method)

    def _scalar_method(self, phi):
        if self.vector_y:
            raise ValueError(f"family {self.name!r} has a vector y, which has no distribution function")
        return self.tail_method(phi)

    @property
    def _y(self):
        return "k" if self.vector_y else "1"


def floating(x):
    """An array of floating (or complex) numbers; integers become the default float."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.result_type(float))


def _common(*values):
    """Arrays of one floating dtype; plain Python numbers follow the others."""
    dtype = jnp.result_type(*values)
    dtype = dtype if jnp.issubdtype(dtype, jnp.inexact) else jnp.result_type(float)
    return [jnp.asarray(v, dtype) for v in values]


def concrete(v):
    return not isinstance(v, Tracer)
