"""Functions whose plain form loses digits: stable values, and derivative rules that stay stable.

Each rule is tested against the plain form. All of them may be differentiated any number of times and take complex
arguments (the characteristic function of a family is a ratio of exp(a) at complex points).
"""

import functools

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln

LOG_2PI = 1.8378770664093453
INV_SQRT_PI = 0.5641895835477563


def _complex(x):
    return jnp.issubdtype(jnp.result_type(x), jnp.complexfloating)


@jax.custom_jvp
def log_gamma(x):
    """log Gamma(x) for real x > 0. JAX's second derivative of it is a sum of powers that takes ten times as long."""
    return gammaln(x)


@jax.custom_jvp
def _digamma(x):
    return digamma(x)


log_gamma.defjvps(lambda t, _, x: t * _digamma(x))
_digamma.defjvps(lambda t, _, x: t * trigamma(x))


def trigamma(x):
    """The second derivative of log Gamma at x > 0: eight terms of its series, and Stirling's series for the rest."""
    terms = sum(1 / (x + k) ** 2 for k in range(8))
    u = 1 / (x + 8)
    s = u * u
    rest = 7 / 6 - s * 3617 / 510
    for number in (691 / 2730, 5 / 66, 1 / 30, 1 / 42, 1 / 30, 1 / 6):  # Bernoulli's
        rest = number - s * rest
    return terms + u * (1 + u / 2 + s * rest)


@jax.custom_jvp
def sigmoid(x):
    """1 / (1 + exp(-x)), with the derivative s(x) s(-x): s (1 - s) is 0 in float32 from |x| = 17."""
    return 1 / (1 + jnp.exp(-x)) if _complex(x) else _shares(x)[0]


@jax.custom_jvp
def _opposite(x):
    """sigmoid(-x), of the exponential and the division that sigmoid(x) takes."""
    return 1 / (1 + jnp.exp(x)) if _complex(x) else _shares(x)[1]


def _shares(x):
    """(sigmoid(x), sigmoid(-x))."""
    e = jnp.exp(-jnp.abs(x))
    large = 1 / (1 + e)
    small = e * large
    return jnp.where(x >= 0, large, small), jnp.where(x >= 0, small, large)


sigmoid.defjvps(lambda t, s, x: t * s * _opposite(x))
_opposite.defjvps(lambda t, s, x: -t * s * sigmoid(x))


@jax.custom_jvp
def softplus(x):
    """log(1 + exp(x)) without overflow."""
    return jnp.log1p(jnp.exp(x)) if _complex(x) else jnp.maximum(x, 0.0) + _log1p_of_share(jnp.exp(-jnp.abs(x)))


def _log1p_of_share(e):
    """log(1 + e) for e in [0, 1], 2 artanh(e / (2 + e)) by its series, to two units in the last place: a polynomial
    takes a fourth of the time of a logarithm, which on a CPU is one call for each number."""
    z = e / (2 + e)
    square, series = z * z, jnp.zeros_like(z)
    for k in range(15 if e.dtype == jnp.float64 else 7, -1, -1):  # z^2 is at most 1/9
        series = series * square + 1 / (2 * k + 1)
    return 2 * z * series


softplus.defjvps(lambda t, _, x: t * sigmoid(x))


@jax.custom_jvp
def bose(x):
    """1 / (exp(-x) - 1), with the derivative b (1 + b), which neither cancels at 0 nor overflows far out."""
    return 1 / jnp.expm1(-x)


bose.defjvps(lambda t, b, x: t * b * (1 + b))


@jax.custom_jvp
def log1mexp(x):
    """log(1 - exp(x)) for x < 0 (Mächler 2012): log(-expm1(x)) near 0, log1p(-exp(x)) far from it."""
    if _complex(x):
        return jnp.log(-jnp.expm1(x))
    near = x > -0.6931471805599453
    safe_near, safe_far = jnp.where(near, x, -1.0), jnp.where(near, -1.0, x)
    return jnp.where(near, jnp.log(-jnp.expm1(safe_near)), jnp.log1p(-jnp.exp(safe_far)))


log1mexp.defjvps(lambda t, _, x: -t * bose(x))


# erfcx(y) = (1/sqrt(pi) - z P(z) / Q(z)) / y with z = 1 / y^2, for y >= 4 (Cody 1969).
_P = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
      1.60837851487422766e-2, 6.58749161529837803e-4)  # fmt: skip
_Q = (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2,
      2.33520497626869185e-3)  # fmt: skip


def _erfcx_far(y):
    """exp(y^2) erfc(y) for y >= 4."""
    z = 1 / (y * y)
    top, bottom = (functools.reduce(lambda s, c: s * z + c, coefs) for coefs in (_P, _Q))
    return (INV_SQRT_PI - z * top / bottom) / y


def _normal_tail(x):
    """(far, y, erfcx): whether x is far in the left tail, and what the functions below use there."""
    far = x < -5.656854249492381
    y = jnp.where(far, -x, 5.656854249492381) * 0.7071067811865476
    return far, y, _erfcx_far(y)


@jax.custom_jvp
def mills(x):
    """phi(x) / Phi(x), the inverse Mills ratio of the normal, with the derivative -m (x + m)."""
    far, _, scaled = _normal_tail(x)
    near = jnp.where(far, 0.0, x)
    plain = jnp.exp(-near * near / 2 - LOG_2PI / 2) / (0.5 * jax.lax.erfc(-near * 0.7071067811865476))
    return jnp.where(far, 0.7978845608028654 / scaled, plain)


mills.defjvps(lambda t, m, x: -t * m * (x + m))


@jax.custom_jvp
def log_ndtr(x):
    """log of the normal distribution function."""
    far, y, scaled = _normal_tail(x)
    near = jnp.where(far, 0.0, x)
    left = jnp.log(0.5 * jax.lax.erfc(-near * 0.7071067811865476))
    right = jnp.log1p(-0.5 * jax.lax.erfc(near * 0.7071067811865476))
    return jnp.where(far, jnp.log(0.5 * scaled) - y * y, jnp.where(x > 0, right, left))


log_ndtr.defjvps(lambda t, _, x: t * mills(x))


def stirling_error(x):
    """log Gamma(x + 1) - (x log x - x + log(2 pi x) / 2), and 0 at x = 0 (Loader 2000)."""
    small = x < 15
    s = jnp.where(small & (x > 0), x, 1.0)
    exact = gammaln(s + 1) - (s + 0.5) * jnp.log(s) + s - LOG_2PI / 2
    z = jnp.where(small, 15.0, x)
    i = 1 / (z * z)
    series = (1 / 12 - i * (1 / 360 - i * (1 / 1260 - i * (1 / 1680 - i * (1 / 1188 - i * 691 / 360360))))) / z
    return jnp.where(x > 0, jnp.where(small, exact, series), 0.0)
