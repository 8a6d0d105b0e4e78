"""Regressions with known parameters, one per family and how its likelihood is used, for `benchmarks.coverage`."""

from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jglm import families, links
from jglm.family import Family
from jglm.model import Model

ROWS = 200


class Case(NamedTuple):
    """A regression: what is fitted, and the truth behind the data.

    Attributes:
        family: the family that is fitted; truth: that of the data, with its parameters at their true values.
        coef: (3,) or (3, k): of a constant, x (eight levels from -1 to 1) and a 0/1 column; without the constant (2,).
        link: its name; phi: true dispersion; trials: of each row.
        free: true values of the parameters that are estimated; of a regressed one coefficients of (1, x).
        draw: (rng, mean, shape) -> y, where the truth is no family.
        chunk: fits at a time, as memory allows.
        remark: where the normal approximation itself is known to be off.
    """

    family: Family
    coef: Any
    truth: Family | None = None
    link: str | None = None
    phi: float = 1.0
    trials: int = 0
    free: Any = MappingProxyType({})
    draw: Any = None
    remark: str = ""
    chunk: int = 1000


def design(constant=True):
    """(n, 3) with a constant, or (n, 2): 16 distinct rows, so that laws without a sampler are tabulated once."""
    x = np.linspace(-1, 1, 8)[np.arange(ROWS) % 8]
    group = (np.arange(ROWS) // 8 % 2).astype(float)
    return np.column_stack([np.ones(ROWS), x, group] if constant else [x, group])


def model(case):
    """The `Model` that is fitted."""
    return Model(case.family, links.get(case.link or links.default(case.family)), None)


def overdispersed(rng, mean, shape, phi=2.0):
    """Negative binomial counts of variance phi mu."""
    return rng.negative_binomial(mean / (phi - 1), 1 / phi, size=shape)


def overdispersed_shares(rng, mean, shape, trials=10, phi=2.0):
    """Beta-binomial proportions of variance phi mu (1 - mu) / trials."""
    total = (trials - phi) / (phi - 1)
    return rng.binomial(trials, rng.beta(mean * total, (1 - mean) * total, size=shape)) / trials


ML = "dispersion and precision by maximum likelihood are biased by about p / n: 1.5% and more of these 200 rows"
MEANS = np.array([0.5, 0.4, -0.3])
CLASSES = np.array([[0.3, -0.2], [0.6, -0.4], [-0.3, 0.5]])
_f = families

CASES = {
    "gaussian": Case(_f.gaussian, MEANS),
    "bernoulli": Case(_f.bernoulli, np.array([-0.3, 0.8, 0.5])),
    "binomial": Case(_f.binomial, np.array([-0.3, 0.8, 0.5]), trials=5),
    "poisson": Case(_f.poisson, MEANS),
    "exponential": Case(_f.exponential, MEANS, link="log"),
    "gamma": Case(_f.gamma, MEANS, link="log", phi=0.5),
    "inverse_gaussian": Case(_f.inverse_gaussian, MEANS, link="log", phi=0.3),
    "geometric": Case(_f.geometric, MEANS, link="log"),
    "logarithmic": Case(_f.logarithmic, np.array([-0.2, -0.3, 0.2])),
    "zero_truncated_poisson": Case(_f.zero_truncated_poisson, MEANS),
    "continuous_bernoulli": Case(_f.continuous_bernoulli, np.array([-0.5, 1.5, 1.0])),
    "hyperbolic_secant": Case(_f.hyperbolic_secant, np.array([0.2, 0.5, -0.3])),
    "von_mises": Case(_f.von_mises, np.array([[1.0, 0.3], [0.4, -0.5], [-0.2, 0.3]])),
    "own: log cosh": Case(Family("own", a=lambda eta: jnp.log(jnp.cosh(eta))), np.array([0.1, 0.4, -0.3])),
    "quasipoisson": Case(_f.quasipoisson, np.array([1.5, 0.4, -0.3]), draw=overdispersed),
    "quasibinomial": Case(_f.quasibinomial, np.array([-0.3, 0.8, 0.5]), trials=10, draw=overdispersed_shares),
    "tweedie(1.5)": Case(_f.tweedie(1.5), MEANS, phi=1.2),
    "tweedie": Case(
        _f.tweedie("estimate"), MEANS, _f.tweedie(1.5), phi=1.2, free={"power": 1.5, "phi": 1.2}, chunk=50,
        remark="power and phi by maximum likelihood from 200 rows are biased, and their intervals symmetric",
    ),
    "negative_binomial(2)": Case(_f.negative_binomial(2.0), MEANS, link="log"),
    "negative_binomial": Case(
        _f.negative_binomial(), np.array([1.2, 0.4, -0.3]), _f.negative_binomial(2.0), "log", free={"r": 2.0},
        remark="r is skewed: few rows tell how much the counts vary",
    ),
    "conway_maxwell_poisson": Case(
        _f.conway_maxwell_poisson(), np.array([1.0, 0.4, -0.3]), _f.conway_maxwell_poisson(1.5), free={"nu": 1.5}
    ),
    "categorical(3)": Case(_f.categorical(k=3), CLASSES),
    "multinomial(3)": Case(_f.multinomial(k=3), CLASSES, trials=5),
    "ordinal(4)": Case(_f.ordinal(k=4), np.array([0.8, -0.5]), free={"cutpoints": np.array([-1.0, 0.2, 1.3])}),
    "beta": Case(_f.beta(), np.array([-0.3, 0.8, 0.5]), free={"precision": np.array([1.5, 0.5])},
                 remark=ML),
    "dirichlet(3)": Case(_f.dirichlet(k=3), np.array([[0.3, 0.8, 1.2], [0.3, -0.2, 0.1], [-0.3, 0.2, 0.4]]), remark=ML),
    "dirichlet(3), mean_precision": Case(
        _f.dirichlet(k=3, parametrization="mean_precision"), CLASSES, free={"precision": np.array([1.5, 0.5])},
        remark=ML,
    ),
    "gaussian_mean_dispersion": Case(
        _f.gaussian_mean_dispersion(), MEANS, free={"dispersion": np.array([-0.5, 0.6])}, remark=ML
    ),
    "gamma_mean_dispersion": Case(_f.gamma_mean_dispersion(), MEANS, free={"dispersion": np.array([-0.7, 0.4])}),
}  # fmt: skip
