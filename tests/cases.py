"""One table of families and links that feeds the tests: a new entry of the catalogue is tested by being listed."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jglm import _invert, families, links
from jglm.family import Family

# Families written here, as a user would.
SIGNS = Family("signs", a=lambda eta: jnp.logaddexp(eta, -eta))  # y = -1 or 1
OWN_POISSON = Family("own_poisson", a=jnp.exp)
OWN_SOFTMAX = Family("own_softmax", a=lambda eta: jnp.logaddexp(0.0, jax.nn.logsumexp(eta)), dim=2, support="simplex")
TWO_COUNTS = Family("two_counts", a=lambda eta: jnp.sum(jnp.exp(eta)), dim=2, support="nonnegative_integer")
NOISY_COUNT = Family("noisy_count", a=lambda eta: jnp.exp(eta) + eta**2 / 2)  # a Poisson plus a normal

_MADE = {"negative_binomial": lambda f: f(2.5), "categorical": lambda f: f(3)}
CATALOGUE = {n: f if isinstance(f, Family) else _MADE[n](f) for n, f in families.catalogue().items()}
OWN = {f.name: f for f in (SIGNS, OWN_POISSON, OWN_SOFTMAX, TWO_COUNTS, NOISY_COUNT)}
ALL = CATALOGUE | OWN
SCALAR = [n for n, f in ALL.items() if f.dim is None]
VECTOR = [n for n, f in ALL.items() if f.dim is not None]

_PROPORTION = ("logit", "probit", "cloglog", "loglog", "cauchit", "log", "identity")
_POSITIVE = ("log", "identity", "inverse", "inverse_squared", "sqrt", "power(0.5)", "power(-1.5)")
LINKS = {
    "gaussian": ("identity", "log", "inverse"),
    "bernoulli": _PROPORTION, "binomial": _PROPORTION,
    "poisson": ("log", "identity", "sqrt"), "geometric": ("log", "identity", "sqrt"),
    "negative_binomial": ("log", "identity", "sqrt"),
    "gamma": _POSITIVE, "exponential": _POSITIVE, "inverse_gaussian": _POSITIVE,
    "categorical": ("reference(0)", "reference(2)"),
    "signs": (), "own_poisson": ("log",), "own_softmax": (), "two_counts": (), "noisy_count": (),
}  # fmt: skip
PAIRS = [(f, link) for f in ALL for link in ("canonical", *LINKS[f])]
SCALAR_PAIRS = [(f, link) for f, link in PAIRS if ALL[f].dim is None]

N, P = 64, 3  # the one shape of the small data sets, so that they share compilations


def etas(family, reach=3.0, count=41, dtype=np.float64):
    """Natural parameters across the domain of a scalar family."""
    s = jnp.linspace(-reach, reach, count, dtype=dtype)
    return _invert._from_line(s, family.domain)


def draw(family, eta, seed=0):
    """y at natural parameters eta (n,) or (n, k): real draws where NumPy has the distribution."""
    rng, mu = np.random.default_rng(seed), np.asarray(family.mean(eta))
    name = family.name
    if name == "gaussian":
        return rng.normal(mu)
    if name in ("bernoulli", "binomial"):
        return rng.binomial(1, mu).astype(float)
    if name in ("poisson", "own_poisson", "two_counts"):
        return rng.poisson(mu).astype(float)
    if name == "gamma":
        return rng.gamma(3.0, mu / 3.0)
    if name == "exponential":
        return rng.exponential(mu)
    if name == "inverse_gaussian":
        return rng.wald(mu, 2.0)
    if name == "geometric":
        return rng.geometric(1 / (1 + mu)) - 1.0
    if name == "negative_binomial":
        r = float(family.params["r"])
        return rng.negative_binomial(r, r / (r + mu)).astype(float)
    if name == "signs":
        return np.where(rng.random(mu.shape) < (1 + mu) / 2, 1.0, -1.0)
    if name == "categorical":
        return np.stack([rng.multinomial(1, m / m.sum()) for m in mu]).astype(float)
    if name == "own_softmax":
        return np.stack([rng.multinomial(1, [*m, 1 - m.sum()])[:2] for m in mu]).astype(float)
    return mu * rng.uniform(0.5, 1.5, mu.shape)


@cache
def small_data(name, link_name, seed=1):
    """(X, y, coef, link) with every lin valid: a constant and two columns of small slopes about the central mean."""
    family, link = ALL[name], links.get(link_name)
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(N), rng.uniform(-1, 1, (N, P - 1))])
    center = link.linear(family, jax.grad(family.a)(family.center(np.float64)))
    slopes = 0.1 * np.ones((P - 1, *np.shape(center))) * (np.abs(center) + 0.3)
    coef = np.concatenate([np.asarray(center)[None], slopes])
    eta = jax.vmap(lambda v: link.eta(family, v))(jnp.asarray(X @ coef))
    return X, draw(family, eta, seed), coef, link
