"""One table of families and links that feeds the tests: a new entry of the catalogue is tested by being listed."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jglm import families, links
from jglm.distributions import invert
from jglm.family import Family

# Families written here, as a user would.
SIGNS = Family("signs", a=lambda eta: jnp.logaddexp(eta, -eta))  # y = -1 or 1
OWN_POISSON = Family("own_poisson", a=jnp.exp)
OWN_SOFTMAX = Family("own_softmax", a=lambda eta: jnp.logaddexp(0.0, jax.nn.logsumexp(eta)), dim=2, support="simplex")
TWO_COUNTS = Family("two_counts", a=lambda eta: jnp.sum(jnp.exp(eta)), dim=2, support="nonnegative_integer")
NOISY_COUNT = Family("noisy_count", a=lambda eta: jnp.exp(eta) + eta**2 / 2)  # a Poisson plus a normal

_MADE = {
    "negative_binomial": [2.5], "zero_truncated_negative_binomial": [2.5], "conway_maxwell_poisson": [1.5],
    "tweedie": [1.5], "categorical": [3], "multinomial": [3], "dirichlet": [3], "ordinal": [3], "quasi": ["mu^3"],
}  # fmt: skip
CATALOGUE = {n: f if isinstance(f, Family) else f(*_MADE.get(n, [])) for n, f in families.catalogue().items()}
# Families whose eta is made of a mean and a free parameter: here as plain exponential families, lin = eta.
CATALOGUE = {
    n: f.replace(parametrize_=None, free=(), scalar_lin=False) if f.parametrize_ is not None else f
    for n, f in CATALOGUE.items()
}
CATALOGUE |= {"tweedie_steep": families.tweedie(2.5), "tweedie_real": families.tweedie(-1.0)}
OWN = {f.name: f for f in (SIGNS, OWN_POISSON, OWN_SOFTMAX, TWO_COUNTS, NOISY_COUNT)}
ALL = CATALOGUE | OWN
SCALAR = [n for n, f in ALL.items() if f.dim is None]
VECTOR = [n for n, f in ALL.items() if f.dim is not None]

# Families whose a is another's: what follows from a alone is tested once.
TWINS = ("binomial", "exponential", "quasipoisson", "quasibinomial")
DISTINCT = [n for n in SCALAR if n not in TWINS]

# Links besides the canonical one: each with a family that has a closed natural, one without, and the defaults.
LINKS = {
    "gaussian": ("log", "inverse"),
    "bernoulli": ("logit", "probit", "cloglog", "loglog", "cauchit", "log", "identity"),
    "poisson": ("log", "identity", "sqrt"),
    "negative_binomial": ("log",),
    "gamma": ("log", "identity", "inverse_squared", "power(0.5)"),
    "inverse_gaussian": ("log", "inverse", "power(-1.5)"),
    "tweedie": ("log",), "tweedie_steep": ("inverse",),
    "categorical": ("reference(2)",), "logarithmic": ("log_natural",), "own_poisson": ("log",),
}  # fmt: skip
PAIRS = [(f, link) for f in ALL for link in ("canonical", *LINKS.get(f, ()))]
# Of each way to evaluate a loss one: canonical or not, with and without a closed natural, vectors.
EVALUATED = [
    ("gaussian", "canonical"), ("bernoulli", "canonical"), ("bernoulli", "probit"), ("poisson", "sqrt"),
    ("gamma", "log"), ("gamma", "canonical"), ("tweedie", "log"), ("own_poisson", "log"), ("signs", "canonical"),
    ("categorical", "canonical"), ("own_softmax", "canonical"), ("two_counts", "canonical"), ("beta", "canonical"),
]  # fmt: skip
SCALAR_PAIRS = [(f, link) for f, link in PAIRS if ALL[f].dim is None]

N, P = 61, 3  # the one shape of the small data sets and of `etas`, so that they share compilations


def etas(family, reach=3.0, count=N, dtype=np.float64):
    """Natural parameters across the domain of a scalar family."""
    if family.name == "conway_maxwell_poisson":  # whose sum has 1,000 terms
        return jnp.linspace(-2 * reach, 2 * min(reach, 3.0), count, dtype=dtype)
    s = jnp.linspace(-reach, reach, count, dtype=dtype)
    return invert._from_line(s, family.domain)


def vector_etas(family, count=20):
    """Natural parameters (count, k) in the domain of a vector family."""
    pairs = family.domain if np.ndim(family.domain) == 2 else [family.domain] * family.dim
    s = np.random.default_rng(0).normal(size=(count, family.dim)) / 2
    return jnp.stack([invert._from_line(jnp.asarray(s[:, i]), d) for i, d in enumerate(pairs)], axis=1)


def _one_of(rng, p):
    return rng.multinomial(1, p / p.sum(axis=-1, keepdims=True)).astype(float)


# Draws by NumPy at means mu and natural parameters e: a family's own sampler takes seconds to compile.
_LAWS = {
    "gaussian": lambda rng, mu, e: rng.normal(mu, 0.6),
    "poisson": lambda rng, mu, e: rng.poisson(mu).astype(float),
    "bernoulli": lambda rng, mu, e: (rng.random(mu.shape) < mu).astype(float),
    "gamma": lambda rng, mu, e: rng.gamma(2.5, mu / 2.5),
    "exponential": lambda rng, mu, e: rng.exponential(mu),
    "inverse_gaussian": lambda rng, mu, e: rng.wald(mu, 2.5),
    "geometric": lambda rng, mu, e: rng.geometric(1 / (1 + mu)) - 1.0,
    "negative_binomial": lambda rng, mu, e: rng.poisson(mu * rng.gamma(2.5, 0.4, mu.shape)).astype(float),
    "continuous_bernoulli": lambda rng, mu, e: rng.random(mu.shape),
    "categorical": lambda rng, mu, e: _one_of(rng, mu),
    "dirichlet": lambda rng, mu, e: np.stack([rng.dirichlet(a) for a in e]),
    "beta": lambda rng, mu, e: rng.beta(e[:, 0], e[:, 1]),
    "gaussian_mean_dispersion": lambda rng, mu, e: rng.normal(-e[:, 0] / (2 * e[:, 1]), (-2 * e[:, 1]) ** -0.5),
    "gamma_mean_dispersion": lambda rng, mu, e: rng.gamma(e[:, 0], -1 / e[:, 1]),
    "tweedie": lambda rng, mu, e: np.array([rng.gamma(k, 1.0) if k else 0.0 for k in rng.poisson(mu)]),
}
_LAWS |= {twin: _LAWS[name] for name, twins in {
    "poisson": ["quasipoisson", "own_poisson", "two_counts"], "bernoulli": ["binomial", "quasibinomial"],
    "categorical": ["multinomial", "ordinal"],
}.items() for twin in twins}  # fmt: skip


def draw(family, eta, seed=0):
    """y at natural parameters eta (n,) or (n, k): real draws where NumPy knows the law or the family has a sampler."""
    rng, mu = np.random.default_rng(seed), np.asarray(family.mean(eta))
    own = family.name in _LAWS and (family.name != "tweedie" or family.support.low_in)
    if own:
        return _positive(family, _LAWS[family.name](rng, mu, np.asarray(eta)))
    if family.sampler_ is not None:
        keys = jax.random.split(jax.random.key(seed), len(eta))
        phi = 1.0 if family.dispersion == "fixed" else 0.4
        return _positive(family, np.asarray(_draws(family, keys, eta, jnp.asarray(phi))))
    if family.name == "signs":
        return np.where(rng.random(mu.shape) < (1 + mu) / 2, 1.0, -1.0)
    if family.name == "own_softmax":
        return np.stack([rng.multinomial(1, [*m, 1 - m.sum()])[:2] for m in mu]).astype(float)
    if family.name == "von_mises":
        return rng.vonmises(np.arctan2(eta[:, 1], eta[:, 0]), np.hypot(eta[:, 0], eta[:, 1]))
    y = mu * rng.uniform(0.5, 1.5, mu.shape)
    low, step = family.support.low, family.support.step
    return np.maximum(np.round(y), low) if step else np.clip(y, 1e-3, None) if low == 0 else y


def _positive(family, y):
    return np.clip(y, 1e-3, None) if family.support.low == 0 and not family.support.low_in else y


@cache
def small_data(name, link_name, seed=1):
    """(X, y, coef, link) with every lin valid: a constant and two columns of small slopes about the central mean."""
    family, link = ALL[name], links.get(link_name)
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(N), rng.uniform(-1, 1, (N, P - 1))])
    canonical = link_name == "canonical"  # lin is eta
    center = np.asarray(family.center(np.float64) if canonical else _center(family, link))
    slopes = 0.1 * np.ones((P - 1, *np.shape(center))) * (np.abs(center) + 0.3)
    coef = np.concatenate([center[None], slopes])
    lin = jnp.asarray(X @ coef)
    return X, draw(family, lin if canonical else _etas(family, link, lin), seed), coef, link


@jax.jit
def _center(family, link):
    return link.linear(family, family.mean(family.center(np.float64)))


@jax.jit
def _etas(family, link, lin):
    return jax.vmap(lambda v: link.eta(family, v))(lin)


@jax.jit
def _draws(family, keys, eta, phi):
    return jax.vmap(lambda key, e: family.sampler_(key, e, phi, **family.params))(keys, eta)
