"""The distribution of y from its log-partition a(eta) alone: p(y) = b(y, phi) exp{(y eta - a(eta)) / phi}.

exp{[a(eta + i phi t) - a(eta)] / phi} is the characteristic function of y. It is inverted where the mean is y, at
eta_y = natural(y), which loses nothing however far y is from the mean (Daniels 1954):

    log p(y; eta, phi) = log_saturated(y, phi) - deviance(y, eta) / (2 phi)

with the integral of `_contour` in the first part. At an end of the support that has a positive probability the first
part is 0. A continuous law may have a mass there besides its density (Jørgensen 1997, chapter 4; the series of Dunn
and Smyth 2005 and their inversion of 2008 are what the tests compare with).

Everything here is of one observation of a scalar eta with T(y) = y, and traced, except `choose` (in `_choice`), which
finds the method on the host by trying. A method is static; families are used through `a`, `natural_one`,
`deviance_one`, `domain` only.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp

from jglm import _contour, _invert
from jglm._choice import METHODS, choose
from jglm._contour import Method
from jglm._quadrature import across, cdf_by_quadrature, quantile_by_search
from jglm._special import LOG_2PI, log1mexp, log_ndtr

__all__ = [
    "METHODS", "Method", "cdf_by_quadrature", "cdf_one", "choose", "log_prob_one", "log_saturated", "log_tails_one",
    "lugannani_rice_one", "quantile_by_search", "quantile_one", "sf_one",
]  # fmt: skip

POLE = 2.5  # how many standard deviations the path of a tail stays away from its pole


# --------------------------------------------------------------------------- where y lies
def _origin(support):
    return support.low if np.isfinite(support.low) else support.high if np.isfinite(support.high) else 0.0


def _span(support, phi):
    """The step of the lattice at phi; 0.0, which is static, for a continuum."""
    return support.step * phi if support.step else 0.0


def _slack(k):
    """By how much a whole number k may be off."""
    return jnp.minimum(jnp.sqrt(jnp.finfo(k.dtype).eps) * (1 + jnp.abs(k)), 0.4)


def _places(family, y, phi, support):
    """(y where it is inside the support, else some mean; inside; at the lower end; at the upper end)."""
    half = support.step * phi / 2
    at_low, at_high = jnp.abs(y - support.low) <= half, jnp.abs(y - support.high) <= half
    inside = (y > support.low) & (y < support.high) & ~at_low & ~at_high
    if support.step:
        k = (y - _origin(support)) / (support.step * phi)
        near = jnp.abs(k - jnp.round(k)) <= _slack(k)
        inside, at_low, at_high = inside & near, at_low & near, at_high & near
    middle = lax.stop_gradient(jax.grad(family.a)(_invert.interior(family.domain, y.dtype)))
    if support.step:
        middle = _origin(support) + jnp.maximum(jnp.round((middle - _origin(support)) / support.step), 1) * support.step
    return jnp.where(inside, y, middle), inside, at_low & support.low_in, at_high & support.high_in


def _floor(y, phi, support):
    """The point of the lattice at or below y."""
    if not support.step:
        return y
    k = (y - _origin(support)) / (support.step * phi)
    return _origin(support) + jnp.floor(k + _slack(k)) * support.step * phi


def _log_mass_at(family, support, upper, eta, phi):
    """log probability of an end of the support, where a is as good as its tangent."""
    end = support.high if upper else support.low
    return -(family.a(eta) - end * eta - _contour.level(family, end, upper, eta.dtype)) / phi


def _cumulants(family, eta, phi):
    """a'' and the standardized third and fourth cumulants of the law at eta."""
    d2 = jax.grad(jax.grad(family.a))
    d3 = jax.grad(d2)
    v = d2(eta)
    return v, d3(eta) * phi**0.5 / v**1.5, jax.grad(d3)(eta) * phi / v**2


# --------------------------------------------------------------------------- the density
def log_saturated(family, y, phi, method):
    """log density (or probability) of y where the mean is y, at a y inside the support.

    With the method "saddlepoint" the mass is 1 at that mean; log_prob_one has it 1 at its own eta instead.
    """
    eta = family.natural_one(y)
    if method.name == "saddlepoint":
        return _saddlepoint(family, eta, phi, method) - _log_mass(family, eta, phi, method)
    law, c, shift = _saddle(family, y, phi, method.support, eta)
    total = _contour.along(law, method, c, y, phi)
    unit = method.support.step or 1 / phi
    exact = jnp.log(jnp.maximum(total, jnp.finfo(total.dtype).tiny) * unit)
    if method.name == "contour":
        # Where the law is so near a normal one, rounding in a / phi is more than the next term of Daniels' series.
        v, skew, excess = _cumulants(law, c, phi)
        series = 0.5 * jnp.log(unit * unit * phi / v) - 0.5 * LOG_2PI + jnp.log1p(excess / 8 - 5 * skew * skew / 24)
        exact = jnp.where(skew * skew + jnp.abs(excess) < _contour.NORMAL, series, exact)
    return exact + shift


def _saddle(family, y, phi, support, eta):
    """(the law that is inverted, its saddle, the log of its weight there over that of the family at eta_y)."""
    law = _contour.inside(family, phi, support)
    if law is family:
        return family, eta, 0.0
    # Where the mass is nothing at all, the law is the family.
    same = law.rest(eta) > -jnp.log(jnp.finfo(y.dtype).eps) + 4
    c = jnp.where(same, eta, lax.stop_gradient(lax.stop_gradient(law).natural_one(y)))
    shift = (law.a(c) - c * y - (family.a(eta) - eta * y)) / phi
    return law, c, jnp.where(same, 0.0, shift)


def log_prob_one(family, y, eta, phi, method):
    """log density of y, or its log probability on a lattice and at an end with a mass; -inf outside of the support.

    May be differentiated in eta, phi and the family's params as often as `a` may.
    """
    if method.name == "closed":
        return family.log_prob_one(y, eta, phi)
    log_mass = _log_mass(family, eta, phi, method) if method.name == "saddlepoint" else 0.0
    return _log_prob(family, y, eta, phi, method, log_mass)


def _log_prob(family, y, eta, phi, method, log_mass):
    support = method.support
    y, inside, at_low, at_high = _places(family, y, phi, support)
    if method.name == "saddlepoint":
        log_s = _saddlepoint(family, family.natural_one(y), phi, method) - log_mass
    else:
        log_s = log_saturated(family, y, phi, method)
    value = jnp.where(inside, log_s - family.deviance_one(y, eta) / (2 * phi), -jnp.inf)
    for has, there, upper in ((support.low_in, at_low, False), (support.high_in, at_high, True)):
        if has:
            value = jnp.where(there, _log_mass_at(family, support, upper, eta, phi) - log_mass, value)
    return value


def _saddlepoint(family, eta, phi, method):
    """log of (2 pi phi V)^(-1/2), times the step of a lattice."""
    step = jnp.log(method.support.step * phi) if method.support.step else 0.0
    return step - 0.5 * (LOG_2PI + jnp.log(phi * jax.grad(jax.grad(family.a))(eta)))


def _log_mass(family, eta, phi, method, count=256):
    """log of the mass of the saddlepoint density at eta: by quadrature over the mean a'(x), dy = a'' dx.

    On a lattice of few points about the mean by their sum.
    """
    d1, d2 = jax.grad(family.a), jax.grad(jax.grad(family.a))
    x, w = lax.stop_gradient(across(eta, jnp.sqrt(phi / d2(eta)), family.domain))
    gap = lambda x: family.a(eta) - family.a(x) - (eta - x) * d1(x)
    terms = jax.vmap(lambda x, w: jnp.log(w) + 0.5 * jnp.log(d2(x) / (2 * np.pi * phi)) - gap(x) / phi)(x, w)
    mass = logsumexp(jnp.where(jnp.isfinite(terms), terms, -jnp.inf))
    step, origin = method.support.step * phi, _origin(method.support)
    if not method.support.step:
        return mass
    first = jnp.round((d1(eta) - origin) / step) - count // 2
    first = jnp.maximum(first, 0.0) if np.isfinite(method.support.low) else first
    y = lax.stop_gradient(origin + (first + np.arange(count)) * step)
    total = logsumexp(jax.vmap(lambda y: _log_prob(family, y, eta, phi, method, 0.0))(y))
    return jnp.where(d2(eta) * phi < (count / 20 * step) ** 2, total, mass)


# --------------------------------------------------------------------------- the distribution function
def log_tails_one(family, y, eta, phi, method):
    """(log P(Y <= y), log P(Y > y)); the smaller one keeps its relative accuracy, however small."""
    if method.name in ("closed", "saddlepoint"):
        return _tails_by_quadrature(family, y, eta, phi, method)
    support, given = method.support, y
    y = _floor(y, phi, support)
    inner, inside, at_low, _ = _places(family, y, phi, support)
    part, upper = _log_tail(family, inner, eta, phi, method)
    first = _log_mass_at(family, support, False, eta, phi) if support.low_in else -jnp.inf
    last = _log_mass_at(family, support, True, eta, phi) if support.high_in else -jnp.inf
    # The path of a continuous law has no part in a mass at an end, that of a lattice has.
    low, high = (-jnp.inf, -jnp.inf) if support.step else (first, last)
    own = jnp.where(upper, high, low)
    near, far = jnp.logaddexp(part, own), _log_minus(log1mexp(own), part)
    log_cdf, log_sf = jnp.where(upper, far, near), jnp.where(upper, near, far)
    below = ~inside & ~at_low & (y <= support.low)
    above = jnp.where(jnp.isnan(given), jnp.nan, 0.0)
    log_cdf = jnp.where(inside, log_cdf, jnp.where(at_low, first, jnp.where(below, -jnp.inf, above)))
    rest = log1mexp(jnp.minimum(first, 0.0)) if support.low_in else 0.0
    return log_cdf, jnp.where(inside, log_sf, jnp.where(at_low, rest, jnp.where(below, 0.0, above - jnp.inf)))


def _log_minus(x, y):
    """log(exp(x) - exp(y)), and -inf where rounding has made y the larger."""
    return x + log1mexp(jnp.minimum(y - x, 0.0))


def _log_tail(family, y, eta, phi, method):
    """(log of a tail, whether it is P(Y > y)): the inversion integral with 1 / (z - eta), a lattice's with
    h / (exp(h (z - eta)) - 1), on a path right of the pole eta for P(Y > y), left of it for -P(Y <= y)."""
    h = method.support.step
    kernel = lambda z: h / jnp.expm1(h * (z - eta)) if h else 1 / (z - eta)
    law, at, _ = _saddle(family, y, phi, method.support, family.natural_one(y))
    if _contour.is_steepest(method.name, family.domain, h):
        return _tail_beside_pole(family, y, eta, phi, method, at, kernel)
    low, high = family.domain
    away = POLE * jnp.sqrt(phi / jax.grad(jax.grad(law.a))(at))
    room_left, room_right = jnp.minimum(at, eta) - low, high - jnp.maximum(at, eta)
    upper = jnp.where(jnp.abs(at - eta) >= away, at > eta, room_right > room_left)
    right = jnp.maximum(at, eta + jnp.minimum(away, room_right / 2))
    left = jnp.minimum(at, eta - jnp.minimum(away, room_left / 2))
    c = jnp.where(upper, right, left)
    total = _contour.along(law, method, c, y, phi, kernel)
    if law is family:
        shift = (family.deviance_one(y, c) - family.deviance_one(y, eta)) / (2 * phi)
    else:
        shift = (law.a(c) - c * y - (family.a(eta) - eta * y)) / phi
    return jnp.log(jnp.maximum(jnp.where(upper, total, -total), 0.0)) + shift, upper


def _tail_beside_pole(family, y, eta, phi, method, at, kernel):
    """The same on a path of steepest descent, which cannot be shifted: Lugannani and Rice (1980) with the remainder.

    1 / (u - i w) has the same pole in u, where the path is f(z) = f(at) - u^2 / 2, and its integral is a normal tail.
    """
    z, w = _contour.fixed_path(family, method, at, y, phi)
    u = lax.stop_gradient(_contour.REACH * phi**0.5) * (np.arange(method.nodes) + 0.5) / method.nodes
    upper = at >= eta
    unit = family.deviance_one(y, eta)
    root = jnp.where(upper, 1.0, -1.0) * jnp.sqrt(unit)
    normal = jnp.exp(-u * u / (2 * phi)) * root / (u * u + unit) * (u[0] * 2)
    exponent = (jax.vmap(family.a)(z) - family.a(at) - (z - at) * y) / phi
    own = (jnp.exp(exponent) * kernel(z) * w).real
    log_tail = log_ndtr(-jnp.sqrt(unit / phi))
    rest = jnp.where(upper, 1.0, -1.0) * jnp.sum(own - normal) / np.pi
    return log_tail + jnp.log1p(jnp.maximum(rest * jnp.exp(-unit / (2 * phi) - log_tail), -1.0)), upper


def _tails_by_quadrature(family, y, eta, phi, method):
    """Of a density in closed form, or of the normalised saddlepoint density."""
    mean, v = jax.grad(family.a)(eta), jax.grad(jax.grad(family.a))(eta)
    if method.name == "closed":
        log_prob = lambda y: log_prob_one(family, y, eta, phi, method)
    else:
        log_mass = _log_mass(family, eta, phi, method)
        log_prob = lambda y: _log_prob(family, y, eta, phi, method, log_mass)
    support = method.support
    atoms = support.low_in, support.high_in
    return cdf_by_quadrature(log_prob, y, support, mean, jnp.sqrt(phi * v), _span(support, phi), atoms)


def cdf_one(family, y, eta, phi, method):
    """P(Y <= y)."""
    return jnp.exp(log_tails_one(family, y, eta, phi, method)[0])


def sf_one(family, y, eta, phi, method):
    """P(Y > y)."""
    return jnp.exp(log_tails_one(family, y, eta, phi, method)[1])


def lugannani_rice_one(family, y, eta, phi, support):
    """(P(Y <= y), P(Y > y)) by the formula of Lugannani and Rice (1980), on a lattice with Daniels' first continuity
    correction (1987): a relative error of about a percent in the worst case at the cost of one natural(y).

    With r the signed root of deviance / phi and q = (eta_y - eta) sqrt(V / phi), on a lattice (1 - exp(-h (eta_y -
    eta))) sqrt(V / phi) / h, it is Q(r) + n(r) (1/q - 1/r). Near the mean, where that is 0/0, its series.
    """
    h = support.step
    y = _floor(y, phi, support) + h * phi
    y, inside, at_low, at_high = _places(family, y, phi, support)
    law, at, _ = _saddle(family, y, phi, support, family.natural_one(y))
    v, skew, excess = _cumulants(law, at, phi)
    scale = jnp.sqrt(v / phi)
    q = (at - eta) * scale
    unit = family.deviance_one(y, eta) if law is family else 2 * (law.a(eta) - law.a(at) - (eta - at) * y)
    r = jnp.sign(q) * jnp.sqrt(jnp.maximum(unit, 0.0) / phi)
    near = jnp.abs(q) < 1e-3
    safe_q, safe_r = jnp.where(near, 1.0, q), jnp.where(near, 1.0, r)
    lattice = -jnp.expm1(-h * safe_q / scale) * scale / h if h else safe_q
    series = -skew / 6 + h / (2 * scale) + q * (excess / 24 - skew * skew / 24 + h * h / (12 * scale * scale))
    gap = jnp.exp(-r * r / 2 - 0.5 * LOG_2PI) * jnp.where(near, series, 1 / lattice - 1 / safe_r)
    cdf, sf = jnp.exp(log_ndtr(r)) - gap, jnp.exp(log_ndtr(-r)) + gap
    first = jnp.exp(_log_mass_at(family, support, False, eta, phi)) if support.low_in and not h else 0.0
    last = jnp.exp(_log_mass_at(family, support, True, eta, phi)) if support.high_in else 0.0
    own = last if not h else 0.0
    cdf, sf = first + (1 - first - own) * cdf, own + (1 - first - own) * sf
    below, top = jnp.where(at_low, first, 0.0), jnp.where(at_high & (h > 0), last, 0.0)
    under = y <= support.low
    cdf = jnp.where(inside, cdf, jnp.where(under, below, 1 - top))
    return cdf, jnp.where(inside, sf, jnp.where(under, 1 - below, top))


# --------------------------------------------------------------------------- the quantile
def quantile_one(family, p, eta, phi, method, upper=False):
    """The smallest y with P(Y <= y) >= p, or, `upper`, with P(Y > y) <= p, for tails that 1 - p would round away."""
    support = method.support
    tails = lambda y: log_tails_one(family, y, eta, phi, method)
    log_prob = lambda y: log_prob_one(family, y, eta, phi, method)
    mean, v = jax.grad(family.a)(eta), jax.grad(jax.grad(family.a))(eta)
    return quantile_by_search(tails, log_prob, p, support, mean, jnp.sqrt(phi * v), _span(support, phi), upper)
