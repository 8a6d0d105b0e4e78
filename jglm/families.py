"""The catalogue: each family is its log-partition; closed forms beside it are for speed, and tests tie them to it.

`log_saturated` is the log density where the mean is y: what is left of it when the deviance is taken out (Jørgensen
1997; for lattices with Loader's Stirling error, 2000).
"""

import copyreg

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy

from jglm._special import LOG_2PI, log1mexp, softplus, stirling_error
from jglm.family import Family

ESTIMATED = dict(dispersion="estimated")


def _lattice(n, k):
    """log of the probability of k successes in n trials, or of its kin, at its own mean: 0 at k = 0 and k = n."""
    inside = (k > 0) & (k < n)
    k = jnp.where(inside, k, n / 2)
    value = stirling_error(n) - stirling_error(k) - stirling_error(n - k) + 0.5 * (jnp.log(n / (k * (n - k))) - LOG_2PI)
    return jnp.where(inside, value, 0.0)


def _poisson_saturated(y, phi):
    return jnp.where(y > 0, -stirling_error(y) - 0.5 * (LOG_2PI + jnp.log(jnp.where(y > 0, y, 1.0))), 0.0)


def _negative_binomial_saturated(y, phi, r):
    s = jnp.where(y > 0, y, 1.0)
    value = stirling_error(s + r) - stirling_error(r) - stirling_error(s) + 0.5 * (jnp.log(r / (s * (s + r))) - LOG_2PI)
    return jnp.where(y > 0, value, 0.0)


def _gamma_saturated(y, phi):
    shape = 1 / phi
    return 0.5 * (jnp.log(shape) - LOG_2PI) - stirling_error(shape) - jnp.log(y)


gaussian = Family(
    "gaussian", a=lambda eta: eta**2 / 2, support="real", natural=lambda mu: mu, **ESTIMATED,
    log_saturated=lambda y, phi: -0.5 * (LOG_2PI + jnp.log(phi)), prior_weights="dispersion",
)  # fmt: skip
bernoulli = Family(
    "bernoulli", a=softplus, support="boolean", natural=lambda mu: jnp.log(mu) - jnp.log1p(-mu), response="label",
    log_saturated=lambda y, phi: _lattice(1 / phi, y / phi), prior_weights="dispersion",
)  # fmt: skip
binomial = Family(
    "binomial", a=softplus, support=(0, 1, 0), natural=lambda mu: jnp.log(mu) - jnp.log1p(-mu), response="proportion",
    log_saturated=lambda y, phi: _lattice(1 / phi, y / phi), prior_weights="dispersion",
)  # fmt: skip
poisson = Family(
    "poisson", a=jnp.exp, support="nonnegative_integer", natural=jnp.log, log_saturated=_poisson_saturated,
)  # fmt: skip
gamma = Family(
    "gamma", a=lambda eta: -jnp.log(-eta), domain=(-jnp.inf, 0), support="positive", natural=lambda mu: -1 / mu,
    log_saturated=_gamma_saturated, **ESTIMATED,
)  # fmt: skip
exponential = Family(
    "exponential", a=lambda eta: -jnp.log(-eta), domain=(-jnp.inf, 0), support="positive",
    natural=lambda mu: -1 / mu, log_b=lambda y, phi: jnp.zeros_like(y),
)  # fmt: skip
inverse_gaussian = Family(
    "inverse_gaussian", a=lambda eta: -jnp.sqrt(-2 * eta), domain=(-jnp.inf, 0), support="positive",
    natural=lambda mu: -0.5 / mu**2, log_saturated=lambda y, phi: -0.5 * (LOG_2PI + jnp.log(phi) + 3 * jnp.log(y)),
    **ESTIMATED,
)  # fmt: skip
geometric = Family(
    "geometric", a=lambda eta: -log1mexp(eta), domain=(-jnp.inf, 0), support="nonnegative_integer",
    natural=lambda mu: -jnp.log1p(1 / mu),
    log_saturated=lambda y, phi: _negative_binomial_saturated(y, phi, 1.0),
)  # fmt: skip


def negative_binomial(r):
    """Failures before the r-th success: variance mu + mu^2 / r. `r` > 0 is MASS's theta, 1 / alpha elsewhere."""
    if not _positive(r):
        raise ValueError(f"negative_binomial: r is {r!r}; it must be a positive number (variance mu + mu^2 / r)")
    return Family(
        "negative_binomial", a=lambda eta, r: -r * log1mexp(eta), domain=(-jnp.inf, 0), params={"r": r},
        support="nonnegative_integer", natural=lambda mu, r: -jnp.log1p(r / mu),
        log_saturated=_negative_binomial_saturated,
    )  # fmt: skip


def categorical(k=None, reference=0):
    """One of k classes: eta (k,), mean softmax(eta), y one-hot or soft labels that sum to 1.

    `reference` is the class whose linear predictor is 0, the first one by default, or None for the symmetric form.
    With k = None the classes are those of the data.
    """
    if k is not None and k < 2:
        raise ValueError(f"categorical: k is {k}; there must be at least two classes")
    return Family(
        "categorical", a=jax.nn.logsumexp, dim=-1 if k is None else int(k), support="simplex", natural=jnp.log,
        log_saturated=lambda y, phi: jnp.sum(xlogy(y, y)) / phi, response="label",
        default_link="canonical" if reference is None else f"reference({int(reference)})",
    )  # fmt: skip


def _positive(r):
    try:
        return float(r) > 0
    except (TypeError, ValueError):
        return isinstance(r, jax.core.Tracer)


def catalogue():
    """Every family of this module by name: instances, and factories where there are parameters."""
    names = (
        "gaussian", "bernoulli", "binomial", "poisson", "gamma", "exponential", "inverse_gaussian", "geometric",
        "negative_binomial", "categorical",
    )  # fmt: skip
    return {n: globals()[n] for n in names}


def rebuild(name, params, dim, default_link=None):
    """The family of the catalogue with that name, from what a model file or a pickle says of it."""
    if name not in catalogue():
        raise ValueError(f"the model file has the unknown family {name!r}")
    made = catalogue()[name]
    if isinstance(made, Family):
        return made
    if dim is None:
        return made(**{k: float(v) for k, v in params.items()})
    return made(k=None if dim < 0 else dim).replace(default_link=default_link or made().default_link)


def is_of_catalogue(family):
    """Whether it is one of this module, not a user's of the same name."""
    made = catalogue().get(family.name)
    if made is None:
        return False
    own = made if isinstance(made, Family) else made(r=1.0) if family.dim is None else made()
    return own.a_ == family.a_


def _reduce(family):
    """How a family is pickled: one of the catalogue by its name, a user's by its functions."""
    if is_of_catalogue(family):
        params = {k: float(v) for k, v in family.params.items()}
        return rebuild, (family.name, params, family.dim, family.default_link)
    return family.__reduce_ex__(2)


copyreg.pickle(Family, _reduce)
