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
    term = jax.vmap(lambda x, w: jnp.log(w) + 0.5 * jnp.log(d2(x) / (2 * np.pi * phi)) - gap(x) / phi)
    good = jnp.isfinite(lax.stop_gradient(term(x, w)))
    mass = logsumexp(
        jnp.where(good, term(jnp.where(good, x, lax.stop_gradient(eta)), jnp.where(good, w, 1.0)), -jnp.inf)
    )
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
    log_cdf, log_sf = _tails_inside(family, inner, eta, phi, method)
    first = _log_mass_at(family, support, False, eta, phi) if support.low_in else -jnp.inf
    last = _log_mass_at(family, support, True, eta, phi) if support.high_in else -jnp.inf
    if not support.step:  # those were given that y is at neither end
        none = log1mexp(jnp.logaddexp(first, last))
        log_cdf, log_sf = jnp.logaddexp(first, none + log_cdf), jnp.logaddexp(last, none + log_sf)
    below = ~inside & ~at_low & (y <= support.low)
    above = jnp.where(jnp.isnan(given), jnp.nan, 0.0)
    log_cdf = jnp.where(inside, log_cdf, jnp.where(at_low, first, jnp.where(below, -jnp.inf, above)))
    rest = log1mexp(jnp.minimum(first, 0.0)) if support.low_in else 0.0
    return log_cdf, jnp.where(inside, log_sf, jnp.where(at_low, rest, jnp.where(below, 0.0, above - jnp.inf)))


def _tails_inside(family, y, eta, phi, method):
    """(log P(Y <= y), log P(Y > y)) at a y inside the support, by inversion along the path of the density."""
    law, c, _ = _saddle(family, y, phi, method.support, family.natural_one(y))
    unit = _deviance(law, y, c, eta)
    upper = c >= eta
    root = jnp.where(upper, 1.0, -1.0) * jnp.sqrt(unit)
    if _contour.is_steepest(method.name, family.domain, method.support.step):
        method = method._replace(nodes=max(method.nodes, 48))  # the pole may be 60 standard deviations away
    total, turns = _contour.beside_pole(law, method, c, y, phi, eta, root)
    scaled = jnp.where(upper, total, -total) + jnp.exp(unit / (2 * phi) - jnp.logaddexp(jnp.abs(turns), 0.0))
    near = jnp.minimum(jnp.log(jnp.maximum(scaled, 0.0)) - unit / (2 * phi), 0.0)
    far = log1mexp(near)
    return jnp.where(upper, far, near), jnp.where(upper, near, far)


def _deviance(law, y, c, eta):
    """The unit deviance of y from eta, for a law whose saddle at y is c."""
    if isinstance(law, _contour.Inside):
        return jnp.maximum(2 * (law.a(eta) - law.a(c) - (eta - c) * y), 0.0)
    return law.deviance_one(y, eta)


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
    r = jnp.sign(q) * jnp.sqrt(_deviance(law, y, at, eta) / phi)
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
