"""Distribution functions and quantiles of any log density of one scalar y: by quadrature, or summed over a lattice."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp

from jglm.distributions.special import log1mexp

_T = np.linspace(-6.0, 6.0, 241)  # where the double exponential rules are taken (Takahasi and Mori 1974)
_CHUNK = 128  # terms of a sum over a lattice at a time
_SLACK = 4096  # units in the last place by which a quantile's tail may miss


def across(eta, spread, domain, count=201):
    """Nodes and weights (count,) over the whole domain of eta, fine about eta on the scale `spread`.

    Double exponential in log |eta - end| where the domain has an end, for integrands that are a power there.
    """
    low, high = domain
    t = np.linspace(-3.1, 3.1, count)
    s = spread * np.sinh(np.pi / 2 * np.sinh(t))
    w = spread * np.cosh(np.pi / 2 * np.sinh(t)) * np.pi / 2 * np.cosh(t) * (t[1] - t[0])
    if np.isinf(low) and np.isinf(high):
        return eta + s, w
    if np.isinf(low) or np.isinf(high):
        end, room = (high, eta - high) if np.isinf(low) else (low, eta - low)
        grown = room * jnp.exp(s / room)
        return end + grown, w * jnp.exp(s / room)
    room = (eta - low) * (high - eta) / (high - low)
    share = jax.nn.sigmoid(jnp.log((eta - low) / (high - eta)) + s / room)
    return low + (high - low) * share, w * (high - low) * share * (1 - share) / room


# --------------------------------------------------------------------------- the distribution function
def cdf_by_quadrature(log_prob, y, support, centre, spread, span=0.0, atoms=(False, False)):
    """(log P(Y <= y), log P(Y > y)) of a log density of scalar y; the tail that y is in is the one integrated.

    Args:
        log_prob: y -> log density, which may be singular at finite ends of the support (as y^(c - 1) with c > 0.1).
        centre, spread: about where the mass is, and how wide: a mean and a standard deviation.
        span: the step of a lattice, or 0.0; a lattice is summed from y outwards, so the law must not have gaps.
        atoms: whether the lower and the upper end of a continuous law have a mass, whose log `log_prob` gives there.
    """
    low, high = support.low, support.high
    left = y <= centre
    if not (isinstance(span, float) and span == 0.0):
        origin = low if np.isfinite(low) else high if np.isfinite(high) else 0.0
        k = (y - origin) / span
        y = origin + jnp.floor(k + jnp.minimum(jnp.sqrt(jnp.finfo(k.dtype).eps) * (1 + jnp.abs(k)), 0.4)) * span
        total = _outwards(log_prob, jnp.where(left, y, y + span), jnp.where(left, -span, span))
    else:
        below, above = _piece(y, low, spread, -1.0), _piece(y, high, spread, 1.0)
        x, w = (jnp.where(left, a, b) for a, b in zip(below, above, strict=True))
        terms = jax.vmap(log_prob)(x) + jnp.log(w)
        terms = jnp.where(jnp.isfinite(terms), terms, -jnp.inf)
        for has, end, side in zip(atoms, (low, high), (left, ~left), strict=True):
            mass = log_prob(jnp.full_like(y, end)) if has else -jnp.inf
            terms = jnp.append(terms, jnp.where(side, mass, -jnp.inf))
        total = logsumexp(terms)
    total = jnp.minimum(total, 0.0)
    rest = log1mexp(total)
    log_cdf, log_sf = jnp.where(left, total, rest), jnp.where(left, rest, total)
    under, over = (y < low) | ((y == low) & (span == 0.0) & (not atoms[0])), y >= high
    log_cdf, log_sf = jnp.where(under, -jnp.inf, log_cdf), jnp.where(under, 0.0, log_sf)
    return jnp.where(over, 0.0, log_cdf), jnp.where(over, -jnp.inf, log_sf)


def _piece(y, end, spread, side):
    """Nodes and weights from y to an end of the support: both ends clustered, or the near one where the far is not."""
    if np.isinf(end):
        s = spread * jnp.exp(np.pi / 2 * np.sinh(0.75 * _T))
        return y + side * s, s * (np.pi / 2 * 0.75 * np.cosh(0.75 * _T) * (_T[1] - _T[0]))
    share = 1 / (1 + np.exp(-np.pi * np.sinh(_T)))
    w = np.pi * np.cosh(_T) * share / (1 + np.exp(np.pi * np.sinh(_T))) * (_T[1] - _T[0])
    return end + (y - end) * share, jnp.abs(y - end) * w


def _outwards(log_prob, first, step):
    """log of the sum of exp(log_prob) over first, first + step, … until it no longer grows."""
    j = np.arange(_CHUNK)
    chunk = lambda at: logsumexp(jax.vmap(log_prob)(first + (at + j) * step))

    def body(carry):
        total, _, at = carry
        part = chunk(at)
        return jnp.logaddexp(total, part), part, at + _CHUNK

    start = chunk(jnp.zeros_like(first))
    going = lambda carry: carry[1] > carry[0] + jnp.log(jnp.finfo(first.dtype).eps) - 2
    return lax.while_loop(going, body, (start, start, jnp.full_like(first, _CHUNK)))[0]


# --------------------------------------------------------------------------- the quantile
def quantile_by_search(log_tails, log_prob, p, support, centre, spread, span=0.0, upper=False):
    """The smallest y with P(Y <= y) >= p, or, `upper`, with P(Y > y) <= p.

    `log_tails` gives (log cdf, log sf) of y and `log_prob` its log density. The smaller tail is the one compared, to
    4,000 units in the last place: a p that is a value of the distribution function gives back its y.
    """
    given = jnp.asarray(p, centre.dtype)
    p = jnp.where((given > 0) & (given < 1), given, 0.5)
    log_p, log_q = (jnp.log1p(-p), jnp.log(p)) if upper else (jnp.log(p), jnp.log1p(-p))

    lower = log_p <= log_q

    def missing(y):
        """log of the wanted lower tail over that at y, or of the upper tail at y over the wanted one."""
        log_cdf, log_sf = log_tails(y)
        return jnp.where(lower, log_p - log_cdf, log_sf - log_q), jnp.where(lower, log_cdf, log_sf)

    if isinstance(span, float) and span == 0.0:
        found = _continuous(missing, log_prob, support, centre, spread)
    else:
        found = _on_lattice(lambda y: missing(y)[0] <= _SLACK * jnp.finfo(p.dtype).eps, support, centre, span)
    ends = (support.high, support.low) if upper else (support.low, support.high)
    found = jnp.where(given == 0, ends[0], jnp.where(given == 1, ends[1], found))
    return jnp.where((given >= 0) & (given <= 1), found, jnp.nan)


def _continuous(missing, log_prob, support, centre, spread, steps=80):
    """The root of a decreasing function: a bracket that doubles, then Newton within it, every third step a halving."""
    low, high = support.low, support.high
    if np.isinf(low) and np.isinf(high):
        place = lambda s: centre + spread * jnp.sinh(s)
    elif np.isinf(high):
        place = lambda s: low + (centre - low) * jnp.exp(s)
    elif np.isinf(low):
        place = lambda s: high - (high - centre) * jnp.exp(-s)
    else:
        middle = jnp.log((centre - low) / (high - centre))
        place = lambda s: low + (high - low) * jax.nn.sigmoid(middle + s)
    reach = float(np.log(float(jnp.finfo(centre.dtype).max))) - 2
    eps = jnp.finfo(centre.dtype).eps

    def body(carry):
        left, right, s, i, _ = carry
        y, speed = jax.jvp(place, (s,), (jnp.ones_like(s),))
        y = jnp.where(i == 0, low, y) if support.low_in else y
        gap, log_tail = missing(y)
        gap = jnp.where(jnp.isnan(gap), jnp.where(s > 0, -jnp.inf, jnp.inf), gap)
        at_low = (i == 0) & (gap <= _SLACK * eps) & support.low_in
        known = (i > 0) | (not support.low_in)
        left, right = jnp.where(known & (gap > 0), s, left), jnp.where(known & ~(gap > 0), s, right)
        newton = s + gap / (jnp.exp(log_prob(y) - log_tail) * speed)
        good = known & jnp.isfinite(newton) & (newton > left) & (newton < right) & (i % 3 != 2)
        after = jnp.where(good, newton, (left + right) / 2)
        # Before the root is enclosed, farther out by doubling.
        after = jnp.where(known & (right == reach), jnp.minimum(2 * jnp.abs(s) + 0.25, reach), after)
        after = jnp.where(known & (left == -reach), jnp.maximum(-2 * jnp.abs(s) - 0.25, -reach), after)
        after = jnp.where(known, after, 0.0)
        tight = 4 * eps * jnp.maximum(jnp.abs(s), 1e-3)
        done = known & ((jnp.abs(gap) <= 4 * eps) | (right - left <= tight) | (good & (jnp.abs(after - s) <= tight)))
        done = at_low | done | (known & (jnp.abs(s) == reach))
        after = jnp.where(known & (jnp.abs(gap) <= 4 * eps), s, after)
        return left, right, jnp.where(at_low, -jnp.inf, after), i + 1, done

    zero = jnp.zeros_like(centre)
    s = lax.while_loop(lambda c: ~c[4] & (c[3] < steps), body, (zero - reach, zero + reach, zero, 0, False))[2]
    return jnp.where(s == -jnp.inf, low, place(s))


def _on_lattice(reached, support, centre, span):
    """The first point of the lattice that is `reached`: away from the centre by doubling, then halving."""
    low, high = support.low, support.high
    origin = low if np.isfinite(low) else high if np.isfinite(high) else 0.0
    last = jnp.round((high - origin) / span) if np.isfinite(high) else jnp.full_like(centre, jnp.inf)
    first = jnp.full_like(centre, -1.0 if np.isfinite(low) else -jnp.inf)  # not reached

    def body(carry):
        left, right, k, width, i = carry
        good = reached(origin + k * span)
        left, right = jnp.where(good, left, k), jnp.where(good, k, right)
        middle = jnp.floor((left + right) / 2)
        after = jnp.where(jnp.isinf(right), k + width, jnp.where(jnp.isinf(left), k - width, middle))
        return left, right, after, 2 * width, i + 1

    k = jnp.clip(jnp.round((centre - origin) / span), first + 1, last - 1)
    going = lambda c: (c[1] - c[0] > 1) & (c[4] < 300)
    return origin + span * lax.while_loop(going, body, (first, last, k, jnp.ones_like(k), 0))[1]
