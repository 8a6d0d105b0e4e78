"""A log-partition on arrays of the host, and the y at which methods for its density are tried."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm.distributions import invert
from jglm.distributions.contour import WithoutMass

_CHUNK = 512  # what a is compiled for


@jax.jit
def on_plane(family, z):
    """a and its derivative at complex z."""
    return jax.vmap(lambda v: jax.jvp(family.a, (v,), (jnp.ones_like(v),)))(z)


@jax.jit
def on_line(family, x):
    """The first four derivatives of a at real x."""
    d1 = jax.grad(family.a)
    d2 = jax.grad(d1)
    d3 = jax.grad(d2)
    return jax.vmap(lambda v: (d1(v), d2(v), d3(v), jax.grad(d3)(v)))(x)


def in_chunks(f, family, x):
    """f over all entries of x, compiled for one size only."""
    flat = np.ravel(x)
    pieces = []
    for start in range(0, max(flat.size, 1), _CHUNK):
        piece = flat[start : start + _CHUNK]
        values = f(family, np.append(piece, np.full(_CHUNK - piece.size, 0.5)))
        pieces.append([np.asarray(v)[: piece.size] for v in values])
    return tuple(np.concatenate(v).reshape(np.shape(x)) for v in zip(*pieces, strict=True))


def _means(family, s):
    """eta at places s of the line that the domain is mapped to, and the means there."""
    eta = np.asarray(jax.vmap(lambda v: invert._from_line(v, family.domain))(jnp.asarray(s, float)))
    return eta, in_chunks(on_line, family, eta)[0]


def _places(family, y):
    """s of the means y, by halving."""
    left, right = np.full(y.shape, -700.0), np.full(y.shape, 700.0)
    for _ in range(64):
        s = (left + right) / 2
        mean = _means(family, s)[1]
        above = np.where(np.isfinite(mean), mean > y, s > 0)
        left, right = np.where(above, left, s), np.where(above, s, right)
    return s


def _known(family, s, y=None):
    """(c, y) at the places s, without those where a is out of reach of floating point."""
    c, mean = _means(family, s)
    y = mean if y is None else y
    kept = np.isfinite(mean) & (np.abs(mean - y) <= 1e-6 * np.abs(y) + 1e-9)
    return c[kept], y[kept]


def _spread_out(family, support, phi):
    """Places of a continuous law from the body to far tails: where the domain has one end, means on a logarithmic scale
    at which y times the distance to it, the shape of a gamma or the jumps of a tweedie, is phi times 1e-6 to 1e4."""
    ends = np.isfinite(family.domain)
    sides = np.isfinite(support[:2])
    if ends.sum() != 1 or sides.sum() != 1:
        return np.linspace(-6, 6, 13) if ends.all() else np.linspace(-2, 2, 13)
    size = np.geomspace(1e-30, 1e30, 241)
    s = _places(family, support.low + size if sides[0] else support.high - size[::-1])
    eta, mean = _means(family, s)
    with np.errstate(all="ignore"):
        shape = np.abs((mean - np.asarray(support[:2])[sides]) * (eta - np.asarray(family.domain)[ends])) / phi
    fine = (shape > 1e-6) & (shape < 1e4)
    if isinstance(family, WithoutMass):
        fine &= np.asarray(jax.vmap(family.rest)(jnp.asarray(eta))) > 1e-30
    s = s[fine]
    return s[np.linspace(0, len(s) - 1, 13).round().astype(int)] if len(s) else np.linspace(-5, 5, 13)


def trials(family, support, phi, ends):
    """(c, y): saddles c and means y to try, on the lattice if there is one."""
    low, high, step, *_ = support
    if not step:
        if ends is None:
            return _known(family, _spread_out(family, support, phi))
        first, last = _places(family, np.array(ends))
        return _known(family, np.linspace(first, last, 13))
    h = step * phi
    origin = low if np.isfinite(low) else high if np.isfinite(high) else 0.0
    k = np.geomspace(1, 1000, 40)
    k = k if np.isfinite(low) else -k if np.isfinite(high) else np.concatenate([-k, [0.0], k])
    if ends is not None:
        a, b = (np.asarray(ends) - origin) / h
        k = np.concatenate([np.linspace(a, b, 12), a + np.geomspace(1, max(b - a, 1), 24)])
    elif np.isfinite(low) and np.isfinite(high):
        k = np.linspace(0, (high - low) / h, 40)
    y = origin + np.unique(np.round(k)) * h
    y = y[(y > low + h / 2) & (y < high - h / 2)]
    return _known(family, _places(family, y), y)
