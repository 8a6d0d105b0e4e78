"""Log-partitions that take more than a line, and base measures in closed form, for the catalogue of families.

A `..._saturated` is the log density where the mean is y: what is left of it when the deviance is taken out (Jørgensen
1997; for lattices with Loader's Stirling error, 2000).
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, i0e

from jglm.distributions.special import LOG_2PI, log1mexp, log_gamma, stirling_error


# --------------------------------------------------------------------------- log-partitions
def _log_mean(eta, power):
    return jnp.log((1 - power) * eta) / (1 - power)


@jax.custom_jvp
def tweedie_partition(eta, power):
    """((1-p) eta)^((2-p)/(1-p)) / (2-p), by log and exp, which take complex arguments."""
    return jnp.exp((2 - power) * _log_mean(eta, power)) / (2 - power)


@jax.custom_jvp
def tweedie_mean(eta, power):
    """((1-p) eta)^(1/(1-p)): all derivatives of the log-partition are it times powers of eta."""
    return jnp.exp(_log_mean(eta, power))


def _in_power(log_value, eta, power):
    """The derivative of log_value(eta, p) in p."""
    return jax.jvp(lambda p: log_value(eta, p), (power,), (jnp.ones_like(power),))[1]


tweedie_partition.defjvps(
    lambda t, _, eta, power: t * tweedie_mean(eta, power),
    lambda t, a, eta, power: t * a * _in_power(lambda eta, p: (2 - p) * _log_mean(eta, p) - jnp.log(2 - p), eta, power),
)
tweedie_mean.defjvps(
    lambda t, mu, eta, power: t * mu / ((1 - power) * eta),
    lambda t, mu, eta, power: t * mu * _in_power(_log_mean, eta, power),
)


def logarithmic_partition(eta):
    """log(-log(1 - exp(eta))), near -inf as eta + log(1 + p/2 + p^2/3 + …), p = exp(eta): the curvature is all in p."""
    near = eta.real < -2
    p = jnp.exp(jnp.where(near, eta, -2.0))
    series = 1 / 17
    for k in range(16, 1, -1):
        series = 1 / k + p * series
    return jnp.where(near, eta + jnp.log1p(p * series), jnp.log(-log1mexp(jnp.where(near, -2.0, eta))))


def positive_part(u, log_u):
    """log(exp(u) - 1), from u > 0 and its log: what leaving out y = 0 makes of the log-partition u of a count."""
    return log_u + u / 2 + log_sinhc(u / 2)


def zero_truncated_negative_binomial(eta, r):
    return positive_part(-r * log1mexp(eta), jnp.log(r) + logarithmic_partition(eta))


def log_sinhc(x):
    """log(sinh(x) / x), by its series near 0."""
    if jnp.iscomplexobj(x):
        safe = jnp.where(x == 0, 1.0, x)
        return jnp.where(x == 0, 0.0, jnp.log(jnp.sinh(safe) / safe))
    near = jnp.abs(x) < 0.3
    s = jnp.where(near, x, 0.0) ** 2
    series = s * (1 / 6 - s * (1 / 180 - s * (1 / 2835 - s * (1 / 37800 - s * (1 / 467775 - s * 691 / 3831077250)))))
    size = jnp.where(near, 1.0, jnp.abs(x))
    return jnp.where(near, series, size + log1mexp(-2 * size) - jnp.log(2 * size))


def log_bessel(eta):
    """log I0(|eta|) of a vector: even, so smooth in s = |eta|^2, by its series near 0."""
    s = jnp.sum(eta * eta)
    near = s < 1e-3
    size = jnp.sqrt(jnp.where(near, 1.0, s))
    series = s / 4 - s**2 / 64 + s**3 / 576 - 11 * s**4 / 49152
    return jnp.where(near, series, jnp.log(i0e(size)) + size)


def conway_maxwell(eta, nu, terms=1000):
    """log sum_j exp(j eta - nu log j!) over `terms` terms; NaN where they are too few (mode over half of them)."""
    j = jnp.arange(terms, dtype=jnp.finfo(eta.dtype).dtype)
    exponents = j * eta - nu * gammaln(j + 1)
    top = jax.lax.stop_gradient(jnp.max(exponents.real))
    inside = jnp.exp(eta.real / nu) < terms / 2
    # A factor, so that the derivatives are NaN too.
    return jnp.where(inside, 1.0, jnp.nan) * (top + jnp.log(jnp.sum(jnp.exp(exponents - top))))


# --------------------------------------------------------------------------- base measures
def lattice_saturated(n, k):
    """log of the probability of k successes in n trials, or of its kin, at its own mean: 0 at k = 0 and k = n."""
    inside = (k > 0) & (k < n)
    k = jnp.where(inside, k, n / 2)
    whole, some, rest = stirling_error(jnp.stack([n, k, n - k]))  # in one call, since each would be compiled for itself
    value = whole - some - rest + 0.5 * (jnp.log(n / (k * (n - k))) - LOG_2PI)
    return jnp.where(inside, value, 0.0)


def poisson_saturated(y, phi):
    return jnp.where(y > 0, -stirling_error(y) - 0.5 * (LOG_2PI + jnp.log(jnp.where(y > 0, y, 1.0))), 0.0)


def negative_binomial_saturated(y, phi, r):
    s = jnp.where(y > 0, y, 1.0)
    value = stirling_error(s + r) - stirling_error(r) - stirling_error(s) + 0.5 * (jnp.log(r / (s * (s + r))) - LOG_2PI)
    return jnp.where(y > 0, value, 0.0)


def negative_binomial_base(y, phi, r):
    return log_gamma(y + r) - log_gamma(r) - gammaln(y + 1)


def gamma_saturated(y, phi):
    shape = 1 / phi
    return 0.5 * (jnp.log(shape) - LOG_2PI) - stirling_error(shape) - jnp.log(y)


def multinomial_saturated(y, phi):
    """Of proportions y of n = 1 / phi trials."""
    n = 1 / phi
    one = lambda k: jnp.where(k > 0, stirling_error(k) + 0.5 * (LOG_2PI + jnp.log(jnp.where(k > 0, k, 1.0))), 0.0)
    return one(n) - jnp.sum(one(jnp.round(y * n)))


def tweedie_saturated(y, phi, power, count=256):
    """Of a Poisson sum of gamma variables (1 < power < 2): the sum over the number j of them, and 0 at y = 0.

    At the mean y they are lam = y^(2-p) / (phi (2-p)) on average, each of shape s = (2-p)/(p-1); with the Poisson and
    the gamma density written by their deviances both exponents are lam g(j / lam), g(r) = r log r - r + 1, so that the
    sum over j of exp{-(1+s) lam g(j / lam) - d(j) - d(j s)} sqrt(s) / (2 pi y), d Stirling's error, has no cancellation
    (after the series of Dunn and Smyth 2005). Over all j near lam, or, where these are many, by the trapezoid rule.
    """
    at = jnp.where(y > 0, y, 1.0)
    s = (2 - power) / (power - 1)
    lam = at ** (2 - power) / (phi * (2 - power))
    middle, spread = jax.lax.stop_gradient((lam, jnp.sqrt(lam / (1 + s))))
    step = jnp.maximum(1.0, 20 * spread / count)
    first = jnp.maximum(1.0, jnp.floor(middle - step * count / 2))
    j = first + step * jnp.arange(count, dtype=middle.dtype)
    gap = (j - lam) / lam
    # Far above lam (where 1 / lam may overflow) j log(j / lam) - (j - lam) as it stands.
    far = j > 2 * lam
    near = lam * ((1 + jnp.where(far, 0.0, gap)) * jnp.log1p(jnp.where(far, 0.0, gap)) - jnp.where(far, 0.0, gap))
    exponent = jnp.where(far, j * (jnp.log(j) - jnp.log(lam)) - (j - lam), near)
    terms = -(1 + s) * exponent - jnp.sum(stirling_error(jnp.stack([j, j * s])), axis=0)
    value = jax.nn.logsumexp(terms) + jnp.log(step) + 0.5 * jnp.log(s) - LOG_2PI - jnp.log(at)
    return jnp.where(y > 0, value, 0.0)


def tweedie_base(y, phi, power):
    """The same less a*(y) / phi, with a*(y) = y^(2-p) / ((1-p) (2-p))."""
    at = jnp.where(y > 0, y, 1.0)
    conjugate = at ** (2 - power) / ((1 - power) * (2 - power))
    return tweedie_saturated(y, phi, power) - jnp.where(y > 0, conjugate / phi, 0.0)


# --------------------------------------------------------------------------- draws
def negative_binomial_draw(key, eta, phi, r):
    """A Poisson whose mean is drawn from a gamma distribution."""
    first, second = jax.random.split(key)
    mean = r / jnp.expm1(-eta)
    rate = jax.random.gamma(first, r, dtype=eta.dtype) * mean / r
    return jax.random.poisson(second, rate).astype(eta.dtype)


def inverse_gaussian_draw(key, eta, phi):
    """lambda W with W of mean mu / lambda and shape 1, by Michael, Schucany and Haas (1976)."""
    first, second = jax.random.split(key)
    mu = (-2 * eta) ** -0.5 * phi
    v = mu * jax.random.normal(first, dtype=eta.dtype) ** 2
    # mu (1 + v/2 - sqrt(v + v^2/4)) without its cancellation.
    x = mu / (1 + v / 2 + jnp.sqrt(v + v * v / 4))
    keep = jax.random.uniform(second, dtype=eta.dtype) <= mu / (mu + x)
    return jnp.where(keep, x, mu * mu / x) / phi


def tweedie_draw(key, eta, phi, power):
    """A Poisson number of gamma variables (1 < power < 2)."""
    first, second = jax.random.split(key)
    mu = ((1 - power) * eta) ** (1 / (1 - power))
    count = jax.random.poisson(first, mu ** (2 - power) / (phi * (2 - power))).astype(eta.dtype)
    shape = jnp.where(count > 0, count, 1.0) * (2 - power) / (power - 1)
    total = jax.random.gamma(second, shape, dtype=eta.dtype) * phi * (power - 1) * mu ** (power - 1)
    return jnp.where(count > 0, total, 0.0)


def continuous_bernoulli_draw(key, eta, phi):
    """The quantile of a uniform for -|eta|, reflected where eta > 0."""
    u = jax.random.uniform(key, dtype=eta.dtype)
    size = jnp.abs(eta)
    safe = jnp.where(size < 1e-9, 1.0, size)
    x = jnp.where(size < 1e-9, u, -jnp.log1p(u * jnp.expm1(-safe)) / safe)
    return jnp.where(eta > 0, 1 - x, x)
