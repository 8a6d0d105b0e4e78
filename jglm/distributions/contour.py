"""Paths in the complex plane along which the inversion integral of a density is short, and the sums along them.

    p(y) = 1 / (2 pi i phi)  integral exp{[a(z) - a(eta) - (z - eta) y] / phi} dz

along any path from -i inf to i inf that the integrand lets one bend there from a vertical line in the domain of a
(Daniels 1954); on a lattice of span h phi, times h phi, along one period 2 pi / h. All paths here pass through a real
point c, most often the saddle a'(c) = y, are symmetric to the real axis, and only their upper half is summed, by the
midpoint rule, whose error is exponentially small for an analytic integrand.

A path is (z, w): nodes z of the upper half and weights w, dz divided by i. Written with operators that NumPy and JAX
share: c may be an array (NumPy, on the host) or a traced number.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.distributions import invert
from jglm.distributions.support import INF, Support

STEP = 0.15  # of the vertical line, in standard deviations of the tilted law: a period of 2 pi / 0.15 = 42 of them
BEND = 0.13  # of the hyperbola, in its own parameter
FINE = 0.25  # of the hyperbola near its vertex, as STEP is
ANGLE = 0.8  # of the hyperbola's asymptotes to the vertical
REACH = 9.0  # of the steepest path, in standard deviations: exp(-REACH^2 / 2) is 3e-18
NORMAL = 4e-5  # squared skewness and excess kurtosis below which Daniels' series is better than an integral


class Method(NamedTuple):
    """How log_prob is computed: all of it static.

    Attributes:
        name: "closed", "lattice", "line", "contour" or "saddlepoint".
        nodes: of half the path.
        error: estimated absolute error of log p.
        support: where y may lie; an end is "in" where it has a positive probability, and `step` is that of phi = 1.
    """

    name: str
    nodes: int
    error: float
    support: Support


def path(name, values, c, spread, y, phi, n, domain, span, refined=False):
    """The path of a method through c: (z, w, pole). `spread` is sqrt(phi / a''(c)), the width of the integrand's peak.

    `values(z)` gives a and a', `span` is the step of the lattice at phi = 1 (0: none). `refined` takes half the steps
    and another bend: what n nodes give is right where 4 n refined ones agree. `pole(eta, root, pull)`, of a real eta,
    is how far that is from the path, in units of step / 2 pi, negative to its right, and how much a(z) - z y grows
    over one of these there; root^2 is the deviance of eta, with the sign of c - eta, and pull |a'(eta) - y|.
    """
    if name != "contour":
        return _vertical(c, spread, n, span, STEP / 2 if refined else STEP)
    if is_steepest(name, domain, span):
        return _steepest(values, c, spread, y, phi, n, REACH + 0.7 if refined else REACH)
    return _hyperbola(c, spread, n, domain, refined)


def is_steepest(name, domain, span):
    """Whether the method "contour" is the path of steepest descent: where there is no end to wrap around."""
    return name == "contour" and (span > 0 or domain == (-INF, INF))


def _vertical(c, spread, n, span, step):
    """c + i t, as far as n steps go, or on a lattice, where that is far, along the whole period.

    For a characteristic function that decays fast. What it leaves out are the tilted masses 2 pi / step standard
    deviations away, or on the whole circle 2 n span phi away.
    """
    xp = np if isinstance(c, np.ndarray) else jnp
    step = step * spread
    if span:
        whole = np.pi / (n * span)
        step = xp.where(step > 0.4 * whole, whole, step)
    t = step[..., None] * (np.arange(n) + 0.5)
    unit = step / (2 * np.pi)
    pole = lambda eta, root, pull: ((c - eta) / unit, pull * unit)
    return c[..., None] + 1j * t, (1.0 + 0j) * (step[..., None] + 0 * t), pole


def _hyperbola(c, spread, n, domain, refined):
    """A hyperbola with vertex c that opens towards the nearer end of the domain and wraps around the singularities
    on the real axis beyond it (Weideman and Trefethen 2007): for a gamma, a tweedie, or a stable law.

    It stays outside the circle about that end through c, on which Re a is at most a(c): nothing cancels. The step is
    that of the hyperbola's own parameter, or that of the peak where this is narrow.
    """
    xp = np if isinstance(c, np.ndarray) else jnp
    low, high = domain
    right, left = high - c, c - low
    towards, room = xp.where(right <= left, 1.0, -1.0), xp.minimum(right, left)
    angle, bend, fine = (ANGLE - 0.2, BEND / 2, FINE / 2) if refined else (ANGLE, BEND, FINE)
    if np.isfinite(low) and np.isfinite(high):
        bend = bend / 2.5  # there are singularities behind it too
    rho = room / (1 - np.sin(angle))
    step = xp.minimum(bend, fine * spread / (rho * np.cos(angle)))
    t = step[..., None] * (np.arange(n) + 0.5)
    across, along = (rho * towards * np.sin(angle))[..., None], (rho * np.cos(angle))[..., None]
    # cosh t - 1 without its cancellation.
    z = c[..., None] + 2 * across * xp.sinh(t / 2) ** 2 + 1j * along * xp.sinh(t)

    def pole(eta, root, pull):
        # z(t) = eta at an imaginary t, where the hyperbola has another angle; beyond 0 it decays no more.
        sine = np.sin(angle) + towards * (eta - c) / rho
        other = xp.arcsin(xp.clip(sine, 0.0, 1.0))
        unit = step / (2 * np.pi)
        return towards * (angle - other) / unit, xp.where(sine > 0, pull * rho * xp.cos(other) * unit, np.inf)

    return z, step[..., None] * (along * xp.cosh(t) - 1j * across * xp.sinh(t)), pole


def _steepest(values, c, spread, y, phi, n, reach):
    """The path of steepest descent from the saddle c, f(z) = a(z) - z y = f(c) - u^2 / 2, at equal steps of u.

    Each node by Newton's method from an extrapolation (Adams and Bashforth). exp(a / phi) has no branches on a
    lattice, so that the imaginary part of a counts modulo 2 pi phi. Right where the path is not cut off by a zero of
    exp(a) and no other saddle counts.
    """
    traced = not isinstance(c, np.ndarray)
    step = reach * phi**0.5 / n
    start, _ = values(c + 0j)
    level = start - c * y

    def newton(z, u):
        value, slope = values(z)
        gap = value - z * y - level + u * u / 2
        gap = gap - 2j * np.pi * phi * (gap.imag / (2 * np.pi * phi)).round()
        return z - gap / (slope - y)

    def advance(carry, k):
        z, last, before = carry
        z, u = z + step * (1.5 * last - 0.5 * before), (k + 0.5) * step
        if traced:
            z = lax.fori_loop(0, 4, lambda _, z: newton(z, u), z)
        else:
            z = newton(newton(newton(newton(z, u), u), u), u)
        now = -u / (values(z)[1] - y)
        return (z, now, last), (z, now)

    # At u = 0 dz/du = i / sqrt(a''), and that is spread / sqrt(phi).
    slope, unit = 1j * spread / phi**0.5, step / (2 * np.pi)
    carry, pole = (c - slope * step / 2, slope, slope), lambda eta, root, pull: (root / unit, abs(root) * unit)
    if traced:
        z, w = lax.scan(advance, carry, jnp.arange(n, dtype=c.dtype))[1]
        return z, -1j * step * w, pole
    nodes = []
    for k in range(n):
        carry, node = advance(carry, k)
        nodes.append(node)
    z, w = (np.stack(v, axis=-1) for v in zip(*nodes, strict=True))
    return z, -1j * step * w, pole


@jax.custom_jvp
def _reciprocal(x):
    return 1 / x


_reciprocal.defjvps(lambda t, r, x: -(t * r) * r)


@jax.custom_jvp
def _log(x):
    """log whose derivatives do not overflow for tiny x: JAX's have x^-2 by itself."""
    return jnp.log(x)


_log.defjvps(lambda t, _, x: t * _reciprocal(x))


@record(static=("end", "upper"))
class WithoutMass:
    """A continuous law with a mass at an end of its support, given that y is not there: a family of its own, with
    exp(a / phi) less its limit exp{(end eta + level) / phi}.

    The mass has no part in the density elsewhere; where it is nearly all, what is left would cancel and y would be far
    from a mean of `family`.
    """

    family: Any
    phi: Any
    level: Any
    end: float
    upper: bool

    @property
    def domain(self):
        return self.family.domain

    def rest(self, eta):
        """Minus the log of the mass."""
        return (self.family.a(eta) - self.end * eta - self.level) / self.phi

    def a(self, eta):
        # Once log(1 - exp(-rest)) above a, once log(exp(rest) - 1) above the limit: neither overflows.
        rest = self.rest(eta)
        grows = rest.real > 0
        share = jnp.expm1(jnp.where(grows, -rest, rest))
        above = self.phi * (_log(jnp.where(grows, -share, share)) + jnp.where(grows, rest, 0.0))
        return self.end * eta + self.level + above

    def natural_one(self, y, steps=12):
        """eta with a'(eta) = y, nearly: Newton's method for log |a' - end|, on the scale where that is about linear."""
        low, high = self.domain
        eta = self.family.natural_one(y)
        if np.isinf(low) and np.isinf(high):
            s = jnp.arcsinh(eta)
        else:
            s = -jnp.log(high - eta) if np.isinf(low) else jnp.log(eta - low)
        size = lambda s: jnp.log(jnp.abs(jax.grad(self.a)(invert._from_line(s, self.domain)) - self.end))
        wanted = jnp.log(jnp.abs(y - self.end))

        def step(_, s):
            value, slope = jax.jvp(size, (s,), (jnp.ones_like(s),))
            move = (wanted - value) / slope
            return s + jnp.where(jnp.isfinite(move), jnp.clip(move, -20.0, 20.0), 0.0)

        return invert._from_line(lax.fori_loop(0, steps, step, s), self.domain)


def without_mass(family, phi, support):
    """The family, or, where a continuous law has a mass at an end, what is left without it."""
    if support.step or not (support.low_in or support.high_in):
        return family
    end = support.high if support.high_in else support.low
    return WithoutMass(family, phi, level(family, end, support.high_in, jnp.result_type(phi)), end, support.high_in)


def level(family, end, upper, dtype):
    """The limit of a(eta) - end eta towards an end of the support that has a mass.

    At 0 it is a at infinity, or Aitken's extrapolation from three far points, for the a of a tweedie of power near 2
    falls slowly; elsewhere what it is where a' is the end to rounding. Farther out end eta swallows a constant of a,
    but where both agree the far one has less rounding.
    """
    large, eps = float(jnp.finfo(dtype).max), float(jnp.finfo(dtype).eps)
    if end != 0:
        reach = large**0.5 / 4
        nearly = end - 2 * eps * abs(end) * (1 if upper else -1)
        at = lambda mu: lax.stop_gradient(jnp.clip(family.natural_one(jnp.asarray(mu, dtype)), -reach, reach))
        near, far = at(nearly), at(end)
        limit, beyond = (family.a(top) - end * top for top in (near, far))
        agree = jnp.abs(beyond - limit) <= 8 * eps * (1 + jnp.abs(end * near))
        return limit + lax.stop_gradient(jnp.where(agree, beyond - limit, 0.0))
    at = lambda x: family.a(jnp.asarray(x if upper else -x, dtype))
    first, second, third = (at(large ** (k / 3.1)) for k in (1, 2, 3))
    before, after = second - first, third - second
    same = after == before
    limit = third - jnp.where(same, 0.0, after * (after / jnp.where(same, 1.0, after - before)))
    limit = jnp.where(jnp.isfinite(limit), limit, at(300.0))
    exact = lax.stop_gradient(at(np.inf))
    return limit + lax.stop_gradient(jnp.where(jnp.isfinite(exact), exact - limit, 0.0))


def fixed_path(family, method, c, y, phi):
    """The path of a method for one observation, held fixed: the integral does not depend on it, so its derivatives
    are those of the integrand."""
    family, c, y, phi = lax.stop_gradient((family, c, y, phi))
    spread = jnp.sqrt(phi / jax.grad(jax.grad(family.a))(c))
    values = lambda z: jax.jvp(family.a, (z,), (jnp.ones_like(z),))
    return path(method.name, values, c, spread, y, phi, method.nodes, family.domain, method.support.step)


def along(family, method, c, y, phi):
    """1 / (2 pi i) times the integral of exp{[a(z) - a(c) - (z - c) y] / phi} through c."""
    z, w, _ = fixed_path(family, method, c, y, phi)
    return jnp.sum((_integrand(family, z, c, y, phi) * w).real) / np.pi


def scaled_tail(family, method, c, y, phi, eta, root):
    """The tail that y is in, as seen from eta, times exp{root^2 / (2 phi)}: P(Y > y) where c >= eta, else P(Y <= y).

    The integral is that of the density with the factor h / (exp(h (z - eta)) - 1) on a lattice, else 1 / (z - eta).
    What the midpoint rule loses of the pole at eta is 1 / (1 + exp(2 pi d)), d steps off the path (Goodwin 1949), so
    that the path may pass it as near as it likes. Not so of a pole where the integrand grows by more than a factor of
    e over step / 2 pi: the path cannot be moved that far, and what is lost is nothing.
    """
    h = method.support.step
    z, w, pole = fixed_path(family, method, c, y, phi)
    factor = h / jnp.expm1(h * (z - eta)) if h else 1 / (z - eta)
    total = jnp.sum((_integrand(family, z, c, y, phi) * factor * w).real) / np.pi
    turns, growth = pole(eta, root, jnp.abs(jax.grad(family.a)(eta) - y))
    lost = root * root / (2 * phi) - jnp.logaddexp(jnp.abs(turns), 0.0)
    return jnp.where(c >= eta, total, -total) + jnp.where(growth < phi, jnp.exp(jnp.minimum(lost, 0.0)), 0.0)


def _integrand(family, z, c, y, phi):
    return jnp.exp((jax.vmap(family.a)(z) - family.a(c) - (z - c) * y) / phi)
