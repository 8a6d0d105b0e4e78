"""Parameters that are estimated besides the coefficients: each on a scale where every real number is valid.

The r of a negative binomial, the power of a tweedie, the precision of a beta regression, ordered cutpoints.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jglm.distributions.special import sigmoid

EDGE = 13.0  # on the free scale of a parameter: exp(13) = 4e5, where a family has become its own limit


class Free(NamedTuple):
    """A free parameter in (low, high), or `size` > 1 increasing ones.

    Attributes:
        low, high: the open range: (0, inf) is estimated on the log scale, a finite range on the logit scale, the real
            line as it is.
        size: 1, or the number of increasing values (cutpoints), of which the first and the logs of the gaps are free.
        regressed: whether it may have a design of its own; it is then reported as coefficients on the free scale.
    """

    low: float = 0.0
    high: float = np.inf
    size: int = 1
    regressed: bool = False

    def value(self, free):
        """The parameter, (), or (size,) of them, at `free` of the same shape on the free scale."""
        if self.size > 1:
            return jnp.cumsum(jnp.concatenate([free[:1], jnp.exp(free[1:])]))
        if np.isfinite(self.low) and np.isfinite(self.high):
            return self.low + (self.high - self.low) * sigmoid(free)
        if np.isfinite(self.low):
            return self.low + jnp.exp(free)
        return self.high - jnp.exp(free) if np.isfinite(self.high) else free

    def free(self, value):
        """The inverse of `value`."""
        if self.size > 1:
            return jnp.concatenate([value[:1], jnp.log(jnp.diff(value))])
        if np.isfinite(self.low) and np.isfinite(self.high):
            return jnp.log(value - self.low) - jnp.log(self.high - value)
        if np.isfinite(self.low):
            return jnp.log(value - self.low)
        return jnp.log(self.high - value) if np.isfinite(self.high) else value

    def grid(self, count=33):
        """Values on the free scale to look for a start among, (count,); of increasing ones one guess, (1, size)."""
        if self.size > 1:
            guess = np.zeros(self.size)
            guess[0] = -(self.size - 1) / 2
            return guess[None]
        return np.linspace(-8.0, 8.0, count)


def as_free(given):
    """{name: (low, high) or Free} as a sorted tuple of (name, Free), which is static."""
    ranges = {k: v if isinstance(v, Free) else Free(float(v[0]), float(v[1])) for k, v in (given or {}).items()}
    for name, free in ranges.items():
        if not free.low < free.high:
            raise ValueError(f"free: the range of {name!r} is ({free.low}, {free.high}); it must be (low, high)")
    return tuple(sorted(ranges.items()))
