"""The catalogue: each family is its log-partition; closed forms beside it are for speed, and tests tie them to it."""

import copyreg
import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.scipy.special import gammaln, xlogy

from jglm.distributions import closed
from jglm.distributions import quasi as _quasi
from jglm.distributions.parameters import Free
from jglm.distributions.special import LOG_2PI, log1mexp, log_gamma, softplus
from jglm.family import Family

ESTIMATED = dict(dispersion="estimated")
REGRESSED = Free(regressed=True)
BELOW, ABOVE = (-jnp.inf, 0.0), (0.0, jnp.inf)
_FACTORIES = {}


def _factory(function):
    """Register a factory of the catalogue; what it makes remembers how, for model files and pickles."""

    @functools.wraps(function)
    def build(*args, **kwargs):
        family = function(*args, **kwargs)
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        # Numbers that are params are leaves: a new value must not be a new type.
        other = tuple((k, v) for k, v in given.items() if k not in family.params)
        plain = all(v is None or isinstance(v, (str, int, float)) for _, v in other)
        return family.replace(made=(function.__name__, other) if plain else None)

    _FACTORIES[function.__name__] = build
    return build


def _logit(mu):
    return jnp.log(mu) - jnp.log1p(-mu)


def _one(draw):
    return lambda key, eta, phi, **params: draw(key, eta).astype(eta.dtype)


# --------------------------------------------------------------------------- one natural parameter
gaussian = Family(
    "gaussian", a=lambda eta: eta**2 / 2, support="real", natural=lambda mu: mu, **ESTIMATED, plug_in="deviance",
    log_saturated=lambda y, phi: -0.5 * (LOG_2PI + jnp.log(phi)), prior_weights="dispersion",
    sampler=lambda key, eta, phi: eta + jnp.sqrt(phi) * jax.random.normal(key, dtype=eta.dtype),
)  # fmt: skip
bernoulli = Family(
    "bernoulli", a=softplus, support="boolean", natural=_logit, response="label", prior_weights="dispersion",
    log_saturated=lambda y, phi: closed.lattice_saturated(1 / phi, y / phi),
    sampler=_one(lambda key, eta: jax.random.bernoulli(key, jax.nn.sigmoid(eta))),
)  # fmt: skip
binomial = Family(
    "binomial", a=softplus, support=(0, 1, 0), natural=_logit, response="proportion", prior_weights="dispersion",
    log_saturated=lambda y, phi: closed.lattice_saturated(1 / phi, y / phi),
    sampler=lambda key, eta, phi: phi * jax.random.binomial(key, 1 / phi, jax.nn.sigmoid(eta), dtype=eta.dtype),
)  # fmt: skip
poisson = Family(
    "poisson", a=jnp.exp, support="nonnegative_integer", natural=jnp.log, log_saturated=closed.poisson_saturated,
    sampler=_one(lambda key, eta: jax.random.poisson(key, jnp.exp(eta))),
)  # fmt: skip
gamma = Family(
    "gamma", a=lambda eta: -jnp.log(-eta), domain=BELOW, support="positive", natural=lambda mu: -1 / mu,
    log_saturated=closed.gamma_saturated, **ESTIMATED, plug_in="deviance",
    sampler=lambda key, eta, phi: jax.random.gamma(key, 1 / phi, dtype=eta.dtype) * phi / -eta,
)  # fmt: skip
exponential = Family(
    "exponential", a=lambda eta: -jnp.log(-eta), domain=BELOW, support="positive",
    natural=lambda mu: -1 / mu, log_b=lambda y, phi: jnp.zeros_like(y),
    sampler=_one(lambda key, eta: jax.random.exponential(key, dtype=eta.dtype) / -eta),
)  # fmt: skip
inverse_gaussian = Family(
    "inverse_gaussian", a=lambda eta: -jnp.sqrt(-2 * eta), domain=BELOW, support="positive",
    natural=lambda mu: -0.5 / mu**2, log_saturated=lambda y, phi: -0.5 * (LOG_2PI + jnp.log(phi) + 3 * jnp.log(y)),
    sampler=closed.inverse_gaussian_draw, **ESTIMATED, plug_in="deviance",
)  # fmt: skip
geometric = Family(
    "geometric", a=lambda eta: -log1mexp(eta), domain=BELOW, support="nonnegative_integer",
    natural=lambda mu: -jnp.log1p(1 / mu), sampler=_one(lambda key, eta: jnp.floor(jax.random.exponential(key) / -eta)),
    log_saturated=lambda y, phi: closed.negative_binomial_saturated(y, phi, 1.0),
)  # fmt: skip
logarithmic = Family(
    "logarithmic", a=closed.logarithmic_partition, domain=BELOW, support=(1, jnp.inf, 1),
    log_b=lambda y, phi: -jnp.log(y), default_link="log_natural",
)  # fmt: skip
zero_truncated_poisson = Family(
    "zero_truncated_poisson", a=lambda eta: closed.positive_part(jnp.exp(eta), eta), support=(1, jnp.inf, 1),
    log_b=lambda y, phi: -gammaln(y + 1),
)  # fmt: skip
continuous_bernoulli = Family(
    "continuous_bernoulli", a=lambda eta: eta / 2 + closed.log_sinhc(eta / 2), support=(0, 1, 0),
    log_b=lambda y, phi: jnp.zeros_like(y), sampler=closed.continuous_bernoulli_draw,
)  # fmt: skip
hyperbolic_secant = Family(
    "hyperbolic_secant", a=lambda eta: -jnp.log(jnp.cos(eta)), domain=(-jnp.pi / 2, jnp.pi / 2), support="real",
    natural=jnp.arctan, log_b=lambda y, phi: -jnp.logaddexp(jnp.pi * y / 2, -jnp.pi * y / 2), default_link="identity",
)  # fmt: skip


# --------------------------------------------------------------------------- with a parameter
@_factory
def negative_binomial(r="estimate"):
    """Failures before the r-th success: variance mu + mu^2 / r. `r` > 0 is MASS's theta, 1 / alpha elsewhere;
    "estimate" finds it by maximum likelihood together with the coefficients."""
    return Family(
        "negative_binomial", a=lambda eta, r: -r * log1mexp(eta), domain=BELOW, **_parameter("r", r, 1.0),
        support="nonnegative_integer", natural=lambda mu, r: -jnp.log1p(r / mu),
        log_saturated=closed.negative_binomial_saturated, log_b=closed.negative_binomial_base,
        sampler=closed.negative_binomial_draw,
    )  # fmt: skip


@_factory
def zero_truncated_negative_binomial(r="estimate"):
    """A negative binomial count of which only y >= 1 is seen."""
    return Family(
        "zero_truncated_negative_binomial", a=closed.zero_truncated_negative_binomial, domain=BELOW,
        **_parameter("r", r, 1.0), support=(1, jnp.inf, 1), log_b=closed.negative_binomial_base,
        default_link="log_natural",
    )  # fmt: skip


@_factory
def conway_maxwell_poisson(nu="estimate"):
    """P(y) proportional to exp(y eta) / y!^nu: under- (nu > 1) or overdispersed (nu < 1) counts (Shmueli et al. 2005).

    a is the sum of 1,000 terms: for modes exp(eta / nu) up to 500, beyond which it is NaN.
    """
    return Family(
        "conway_maxwell_poisson", a=closed.conway_maxwell, **_parameter("nu", nu, 1.0), support="nonnegative_integer",
        log_b=lambda y, phi, nu: -nu * gammaln(y + 1),
    )  # fmt: skip


@_factory
def tweedie(power="estimate"):
    """Variance phi mu^power: for 1 < power < 2 a Poisson sum of gamma variables, with a mass at 0; for power > 2 a
    positive, for power < 0 a real stable-like law (Jørgensen 1997). 0, 1, 2 and 3 are gaussian, quasipoisson, gamma
    and inverse_gaussian. "estimate" finds the power between 1 and 2, and phi, by maximum likelihood.

    Raises ValueError for 0 < power < 1, where there is no such distribution.
    """
    if power in (0, 1, 2, 3):
        return (gaussian, quasipoisson, gamma, inverse_gaussian)[int(power)].replace(default_link="log")
    given = _parameter("power", power, 1.5, Free(1.01, 1.99), positive=False)
    if not isinstance(power, str) and not _traced(power) and 0 < power < 1:
        raise ValueError(f"tweedie: power is {power}; no distribution has a variance mu^power with 0 < power < 1")
    inner = isinstance(power, str) or _traced(power) or 1 < power < 2
    below = isinstance(power, str) or inner or power > 2
    given |= {"free": {**given["free"], "phi": Free()}} if power == "estimate" else {}
    return Family(
        "tweedie", a=closed.tweedie_partition, domain=BELOW if below else ABOVE, **given, **ESTIMATED,
        support="nonnegative" if inner else "positive" if below else "real",
        natural=lambda mu, power: mu ** (1 - power) / (1 - power), prior_weights="dispersion",
        sampler=closed.tweedie_draw if inner else None, default_link="log", density="contour",
        log_saturated=closed.tweedie_saturated if inner else None, log_b=closed.tweedie_base if inner else None,
    )  # fmt: skip


# --------------------------------------------------------------------------- classes
@_factory
def categorical(k=None, reference: int | None = 0):
    """One of k classes: eta (k,), mean softmax(eta), y one-hot or soft labels that sum to 1.

    `reference` is the class whose linear predictor is 0, the first one by default, or None for the symmetric form.
    With k = None the classes are those of the data.
    """
    return Family(
        "categorical", a=jax.nn.logsumexp, dim=_classes("categorical", k), support="simplex", natural=jnp.log,
        response="label",
        log_saturated=lambda y, phi: jnp.sum(xlogy(y, y)) / phi, default_link=_against(reference),
        sampler=lambda key, eta, phi: jax.nn.one_hot(jax.random.categorical(key, eta), len(eta), dtype=eta.dtype),
    )  # fmt: skip


@_factory
def multinomial(k=None, reference: int | None = 0):
    """Counts in k classes: as categorical, with y (n, k) counts, taken as proportions of their sum, the trials."""
    return Family(
        "multinomial", a=jax.nn.logsumexp, dim=_classes("multinomial", k), support="simplex", natural=jnp.log,
        response="counts",
        log_saturated=closed.multinomial_saturated, default_link=_against(reference), like="categorical",
        sampler=lambda key, eta, phi: phi * jax.random.multinomial(key, 1 / phi, jax.nn.softmax(eta)).astype(eta.dtype),
    )  # fmt: skip


@_factory
def ordinal(k=None):
    """k ordered classes: P(y <= j) = F(c_j - lin), F the inverse link (logit: proportional odds; probit, cloglog …).

    The k - 1 increasing cutpoints c_j are estimated with the coefficients and take the place of an intercept; a larger
    lin means higher classes, as in MASS::polr. The categorical family, whose eta is here a map of lin.
    """

    def parametrize(mean, lin, cutpoints):
        below = jnp.concatenate([jnp.zeros(1, lin.dtype), mean(cutpoints - lin), jnp.ones(1, lin.dtype)])
        return jnp.log(jnp.maximum(jnp.diff(below), 1e-300))

    return Family(
        "ordinal", a=jax.nn.logsumexp, dim=_classes("ordinal", k), support="simplex", natural=jnp.log, response="label",
        log_saturated=lambda y, phi: jnp.sum(xlogy(y, y)) / phi, default_link="logit", parametrize=parametrize,
        free={"cutpoints": Free(size=-1 if k is None else k - 1)},
        sampler=lambda key, eta, phi: jax.nn.one_hot(jax.random.categorical(key, eta), len(eta), dtype=eta.dtype),
    )  # fmt: skip


# --------------------------------------------------------------------------- two natural parameters and more
@_factory
def beta():
    """y in (0, 1) with T = (log y, log(1 - y)), eta = (mu phi, (1 - mu) phi): the link is on the mean mu, and the
    precision phi has coefficients on the log scale, one or those of `precision=` (Ferrari and Cribari-Neto 2004)."""
    return Family(
        "beta", dim=2, a=lambda eta: jnp.sum(log_gamma(eta)) - log_gamma(jnp.sum(eta)), domain=ABOVE,
        T=lambda y: jnp.stack([jnp.log(y), jnp.log1p(-y)]), log_b=lambda y, phi: -jnp.log(y) - jnp.log1p(-y),
        support="unit_interval", moments=_beta_moments, free={"precision": REGRESSED}, default_link="logit",
        parametrize=lambda mean, lin, precision: precision * jnp.stack([(m := mean(lin)), 1 - m]),
        companion="bernoulli", sampler=lambda key, eta, phi: jax.random.beta(key, eta[0], eta[1], dtype=eta.dtype),
    )  # fmt: skip


@_factory
def dirichlet(k=None, parametrization="common"):
    """Shares (n, k) of a whole, T = log y, eta = alpha: log alpha_j = X coef_j; or, with "mean_precision", means by
    softmax (first part the reference) and the precision sum(alpha) on the log scale, with a design by `precision=`."""
    if parametrization not in ("common", "mean_precision"):
        raise ValueError(f"dirichlet: parametrization is {parametrization!r}; it must be 'common' or 'mean_precision'")
    own: dict[str, Any] = dict(default_link="log_natural")
    if parametrization == "mean_precision":
        own = dict(
            default_link="reference(0)", free={"precision": REGRESSED}, companion="categorical", scalar_lin=False,
            parametrize=lambda mean, lin, precision: precision * mean(lin),
        )  # fmt: skip
    return Family(
        "dirichlet", dim=_classes("dirichlet", k), domain=ABOVE,
        a=lambda eta: jnp.sum(log_gamma(eta)) - log_gamma(jnp.sum(eta)),
        T=jnp.log, vector_y=True, log_b=lambda y, phi: -jnp.sum(jnp.log(y)), support="simplex", response="shares",
        moments=_dirichlet_moments, like="dirichlet" if parametrization == "common" else "categorical",
        sampler=lambda key, eta, phi: jax.random.dirichlet(key, eta, dtype=eta.dtype), **own,
    )  # fmt: skip


@_factory
def gaussian_mean_dispersion():
    """A normal with both parameters free: T = (y, y^2), eta = (mu, -1/2) / phi; the link is on mu, and log phi (the
    variance) has coefficients, one or those of `precision=`."""
    return Family(
        "gaussian_mean_dispersion", dim=2, a=lambda eta: -eta[0] ** 2 / (4 * eta[1]) - 0.5 * jnp.log(-2 * eta[1]),
        domain=((-jnp.inf, jnp.inf), BELOW), T=lambda y: jnp.stack([y, y * y]),
        natural=lambda t: jnp.stack([t[0], -0.5 * jnp.ones_like(t[0])]) / (t[1] - t[0] ** 2), support="real",
        log_b=lambda y, phi: -0.5 * LOG_2PI * jnp.ones_like(y), default_link="identity", companion="gaussian",
        moments=lambda eta: (-eta[0] / (2 * eta[1]), -1 / (2 * eta[1])), free={"dispersion": REGRESSED},
        parametrize=lambda mean, lin, dispersion: jnp.stack([(m := mean(lin)), -0.5 * jnp.ones_like(m)]) / dispersion,
        sampler=lambda key, eta, phi: (
            -eta[0] / (2 * eta[1]) + jax.random.normal(key, dtype=eta.dtype) * (-2 * eta[1]) ** -0.5
        ),
    )  # fmt: skip


@_factory
def gamma_mean_dispersion():
    """A gamma with both parameters free: T = (log y, y), eta = (1, -1 / mu) / phi; the link is on mu, and log phi (1 /
    shape) has coefficients, one or those of `precision=`."""
    return Family(
        "gamma_mean_dispersion", dim=2, a=lambda eta: log_gamma(eta[0]) - eta[0] * jnp.log(-eta[1]),
        domain=(ABOVE, BELOW), T=lambda y: jnp.stack([jnp.log(y), y]), log_b=lambda y, phi: -jnp.log(y),
        support="positive", default_link="log", companion="gamma", free={"dispersion": REGRESSED},
        moments=lambda eta: (-eta[0] / eta[1], eta[0] / eta[1] ** 2),
        parametrize=lambda mean, lin, dispersion: jnp.stack([jnp.ones_like(lin), -1 / mean(lin)]) / dispersion,
        sampler=lambda key, eta, phi: jax.random.gamma(key, eta[0], dtype=eta.dtype) / -eta[1],
    )  # fmt: skip


von_mises = Family(
    "von_mises", dim=2, a=closed.log_bessel, T=lambda y: jnp.stack([jnp.cos(y), jnp.sin(y)]),
    support=(-jnp.pi, jnp.pi, 0), log_b=lambda y, phi: -LOG_2PI * jnp.ones_like(y), response="angle",
)  # fmt: skip


# --------------------------------------------------------------------------- no distribution
@_factory
def quasi(variance="1"):
    """Quasi-likelihood with var y = phi V(mu): "1", "mu", "mu^2", "mu^3", "mu(1-mu)", or a function V(mu), positive and
    written with jax.numpy, of which a follows by integration: eta = int d mu / V, a = int mu d mu / V (Wedderburn
    1974). For a function the mean is taken to be positive. No distribution: llf, aic and bic are NaN."""
    if callable(variance):
        return Family("quasi", **_quasi.of_variance(variance), density="none", **ESTIMATED, default_link="log")
    known = {"1": gaussian, "mu": poisson, "mu^2": gamma, "mu^3": inverse_gaussian, "mu(1-mu)": binomial}
    name = str(variance).replace(" ", "").replace("**", "^").replace("constant", "1")
    if name not in known:
        raise ValueError(f"quasi: variance is {variance!r}; it must be one of {', '.join(known)} or a function V(mu)")
    return _without_distribution("quasi", known[name])


def _without_distribution(name, of):
    """The mean and variance of a family, with an estimated dispersion and no density."""
    support = (0, jnp.inf, 0) if of is poisson else of.support_
    response = "proportion" if of is binomial else "value"
    return Family(
        name, of.a_, domain=of.domain, support=support, natural=of.natural_, **ESTIMATED, response=response,
        density="none", like=of.name,
    )  # fmt: skip


quasipoisson = _without_distribution("quasipoisson", poisson)
quasibinomial = _without_distribution("quasibinomial", binomial)


# --------------------------------------------------------------------------- helpers
def _beta_moments(eta):
    total = jnp.sum(eta)
    mu = eta[0] / total
    return mu, mu * (1 - mu) / (1 + total)


def _dirichlet_moments(eta):
    total = jnp.sum(eta)
    mu = eta / total
    return mu, (jnp.diag(mu) - jnp.outer(mu, mu)) / (1 + total)


def _classes(name, k):
    if k is not None and k < 2:
        raise ValueError(f"{name}: k is {k}; there must be at least two classes")
    return -1 if k is None else int(k)


def _against(reference):
    return "canonical" if reference is None else f"reference({int(reference)})"


def _parameter(name, value, start, free=None, positive=True):
    """params= and free= of a parameter that is a number, or estimated from `start` on."""
    if isinstance(value, str) and value == "estimate":
        return {"params": {name: start}, "free": {name: free or Free()}}
    if not _traced(value):
        try:
            ok = float(value) > 0 or not positive
        except (TypeError, ValueError):
            ok = False
        if not ok:
            raise ValueError(f"{name} is {value!r}; it must be a {'positive ' if positive else ''}number or 'estimate'")
    return {"params": {name: value}, "free": {}}


def _traced(v):
    return isinstance(v, Tracer)


# --------------------------------------------------------------------------- by name
_INSTANCES = (
    gaussian, bernoulli, binomial, poisson, gamma, exponential, inverse_gaussian, geometric, logarithmic,
    zero_truncated_poisson, continuous_bernoulli, hyperbolic_secant, von_mises, quasipoisson, quasibinomial,
)  # fmt: skip
for _family in _INSTANCES:
    _family.__dict__["made"] = (_family.name, ())


def catalogue():
    """Every family of this module by name: instances, and factories where there are parameters."""
    return {f.name: f for f in _INSTANCES} | _FACTORIES


def rebuild(made, params=None, dim=None, default_link=None, free=True):
    """The family of the catalogue that was `made` so, from what a model file or a pickle says of it."""
    name, arguments = made
    arguments = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in arguments)
    if name == "parse":
        given = dict(arguments)
        return Family.parse(given.pop("text"), params=params, **given)
    if name not in catalogue():
        raise ValueError(f"the model file has the unknown family {name!r}")
    family = catalogue()[name]
    own = {k: float(v) for k, v in (params or {}).items()}
    family = family if isinstance(family, Family) else family(**dict(arguments), **own)
    family = family if dim is None else family.with_dim(dim)
    return family.replace(default_link=default_link or family.default_link, **({} if free else {"free": ()}))


def is_of_catalogue(family):
    """Whether it is one of this module (or parsed from text), not a user's of the same name."""
    return family.made is not None


def _reduce(family):
    """How a family is pickled: one of the catalogue by how it was made, a user's by its functions."""
    if is_of_catalogue(family):
        params = {k: float(v) for k, v in family.params.items()}
        return rebuild, (family.made, params, family.dim, family.default_link, bool(family.free))
    return family.__reduce_ex__(2)


copyreg.pickle(Family, _reduce)
