"""The distribution of y from a(eta) alone, against closed forms and long series: log p, both tails, mass and moments."""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
import scipy.stats as st
from jax.scipy.special import gammaln

from jglm import density
from jglm._special import log1mexp
from jglm.family import Family

BELOW = (-np.inf, 0.0)


def own(a, **given):
    """A family that is its log-partition and no more."""
    return Family("own", a, **given)


def tweedie_partition(eta, power):
    return ((1 - power) * eta) ** ((2 - power) / (1 - power)) / (2 - power)


# --------------------------------------------------------------------------- what is compared
class Case(NamedTuple):
    """A family, its rows (eta, phi, one value of the parameter or None) and their laws: (log p, cdf, sf) of y."""

    family: Family
    rows: list
    law: object
    y: object


class Of:
    """A distribution of scipy, of (y - shift) / scale."""

    def __init__(self, law, scale=1.0):
        self.law, self.scale, self.discrete = law, scale, not hasattr(law, "pdf")

    def __call__(self, y):
        x = np.round(y / self.scale) if self.discrete else y / self.scale
        log = self.law.logpmf(x) if self.discrete else self.law.logpdf(x) - np.log(self.scale)
        return log, self.law.cdf(x), self.law.sf(x)


def truncated_poisson(y, mean=2.0):
    law, none = st.poisson(mean), np.exp(-mean)
    return law.logpmf(y) - np.log1p(-none), (law.cdf(y) - none) / (1 - none), law.sf(y) / (1 - none)


def secant(y):
    """1 / (2 cosh(pi y / 2)), tilted by nothing."""
    tail = lambda y: 2 / np.pi * np.arctan(np.exp(-np.pi * y / 2))
    return -np.logaddexp(np.pi * y / 2, -np.pi * y / 2), tail(-y), tail(y)


class CompoundPoisson:
    """The tweedie of power 1 to 2 as a Poisson number of gammas: the series of Dunn and Smyth (2005), in full."""

    def __init__(self, mean, phi, power):
        self.rate, self.shape = mean ** (2 - power) / (phi * (2 - power)), (2 - power) / (power - 1)
        self.scale = phi * (power - 1) * mean ** (power - 1)
        self.j = np.arange(1, 3000)[:, None]

    def __call__(self, y):
        x = np.where(y > 0, y, 1.0) / self.scale
        weight = st.poisson(self.rate).logpmf(self.j)
        log = sp.logsumexp(weight + st.gamma(self.j * self.shape).logpdf(x), axis=0) - np.log(self.scale)
        cdf = np.sum(np.exp(weight) * sp.gammainc(self.j * self.shape, x), axis=0) + np.exp(-self.rate)
        sf = np.sum(np.exp(weight) * sp.gammaincc(self.j * self.shape, x), axis=0)
        at_0 = y == 0
        first = np.exp(-self.rate)
        return np.where(at_0, -self.rate, log), np.where(at_0, first, cdf), np.where(at_0, 1 - first, sf)


COUNTS = np.unique(np.concatenate([np.arange(40), np.geomspace(40, 900, 20).round()]))
WIDE = np.geomspace(1e-4, 1e4, 60)
MEAN = 3.0


def cases():
    negative = own(lambda eta, r: -r * log1mexp(eta), domain=BELOW, params={"r": 1.0})
    tweedie = own(tweedie_partition, domain=BELOW, params={"power": 1.1}, support="nonnegative")
    shapes, powers = (0.3, 1.0, 3.0, 10.0, 30.0, 1000.0), [(p, phi) for p in (1.1, 1.5, 1.9) for phi in (0.3, 1.0, 7.0)]
    compound = [CompoundPoisson(MEAN, phi, p) for p, phi in powers]
    odds = 1 / (1 + np.exp(1.1))
    invgauss = [(phi, Of(st.invgauss(1.3 * phi, scale=1 / phi))) for phi in (0.1, 0.7, 5.0)]
    return {
        "poisson": Case(own(jnp.exp), [(np.log(7.0), 1.0, None)], [Of(st.poisson(7.0))], COUNTS),
        "negative_binomial": Case(
            negative, [(np.log(MEAN / (r + MEAN)), 1.0, r) for r in (0.4, 1.0, 2.5)],
            [Of(st.nbinom(r, r / (r + MEAN))) for r in (0.4, 1.0, 2.5)], COUNTS,
        ),
        "binomial": Case(
            own(lambda eta: jnp.log1p(jnp.exp(eta))), [(-1.1, 1 / 12, None)], [Of(st.binom(12, odds), 1 / 12)],
            np.arange(13) / 12,
        ),
        "gamma": Case(
            own(lambda eta: -jnp.log(-eta), domain=BELOW), [(-1 / MEAN, 1 / s, None) for s in shapes],
            [Of(st.gamma(s, scale=MEAN / s)) for s in shapes], WIDE,
        ),
        "inverse_gaussian": Case(
            own(lambda eta: -jnp.sqrt(-2 * eta), domain=BELOW), [(-0.5 / 1.3**2, phi, None) for phi, _ in invgauss],
            [law for _, law in invgauss], WIDE,
        ),
        "gaussian": Case(
            own(lambda eta: eta**2 / 2), [(0.4, 2.3, None)], [Of(st.norm(0.4, 2.3**0.5))], np.linspace(-45, 45, 60)
        ),
        "logarithmic": Case(
            own(lambda eta: jnp.log(-log1mexp(eta)), domain=BELOW, support=(1, np.inf, 1)),
            [(np.log(0.6), 1.0, None)], [Of(st.logser(0.6))], COUNTS[1:],
        ),
        "zero_truncated_poisson": Case(
            own(lambda eta: jnp.exp(eta) + log1mexp(-jnp.exp(eta))), [(np.log(2.0), 1.0, None)], [truncated_poisson],
            COUNTS[1:],
        ),
        "hyperbolic_secant": Case(
            own(lambda eta: -jnp.log(jnp.cos(eta)), domain=(-np.pi / 2, np.pi / 2)), [(0.0, 1.0, None)], [secant],
            np.linspace(-300, 300, 60),
        ),
        "tweedie": Case(
            tweedie, [(MEAN ** (1 - p) / (1 - p), phi, p) for p, phi in powers], compound, np.append(0.0, WIDE)
        ),
    }  # fmt: skip


CASES = cases()


def of_params(family, values):
    return family if values is None else family.replace(params={next(iter(family.params)): values})


@cache
def method_of(name):
    case = CASES[name]
    found = [
        density.choose(of_params(case.family, value), [phi for _, phi, v in case.rows if v == value])
        for value in dict.fromkeys(value for *_, value in case.rows)
    ]
    return max(found, key=lambda m: m.nodes)


def quadrature(support, mean, sd, phi, count=240):
    """(y, weights) over the support: the lattice, or double exponential nodes about the mean."""
    if support.step:
        y = support.low + support.step * phi * np.arange(4 * count)
        return y, (y <= support.high + 1e-9) * 1.0
    t, dt = np.linspace(-3.2, 3.2, count, retstep=True)
    s, speed = np.sinh(np.pi / 2 * np.sinh(t)), np.pi / 2 * np.cosh(t) * np.cosh(np.pi / 2 * np.sinh(t))
    if support.low == 0:
        y = mean * np.exp(np.clip(sd / mean * s, -600, 600))
        return y, y * sd / mean * speed * dt
    return mean + sd * s, sd * speed * dt


def everything(family, y, eta, phi, method):
    return density.log_prob_one(family, y, eta, phi, method), *density.log_tails_one(family, y, eta, phi, method)


over_rows = jax.jit(jax.vmap(everything, in_axes=(0, 0, 0, 0, None)), static_argnums=4)


@cache
def results(name):
    """Of every row (eta, phi): (log p, log cdf, log sf) at the y of the case, and the mass, the mean and the variance
    over what they should be."""
    case, method = CASES[name], method_of(name)
    eta, phi, value = (np.array(v) for v in zip(*case.rows, strict=True))
    value = None if value[0] is None else value.astype(float)
    family = of_params(case.family, value)
    mean, variance = (
        np.asarray(jax.vmap(lambda f, eta, d=d: d(f.a)(eta))(family, eta) if value is not None
                   else jax.vmap(d(family.a))(eta)) for d in (jax.grad, jax.hessian)
    )  # fmt: skip
    nodes = [quadrature(method.support, m, (p * v) ** 0.5, p) for m, v, p in zip(mean, variance, phi, strict=True)]
    y = np.array([np.concatenate([case.y, at]) for at, _ in nodes])
    wide = lambda v: np.broadcast_to(v[:, None], y.shape).ravel()
    flat = jax.tree.map(wide, family)
    got = [np.asarray(v).reshape(y.shape) for v in over_rows(flat, y.ravel(), wide(eta), wide(phi), method)]
    k = len(case.y)
    at, weights = y[:, k:], np.array([w for _, w in nodes])
    p = np.where(weights > 0, weights * np.exp(np.where(weights > 0, got[0][:, k:], -np.inf)), 0.0)
    p[:, 0] += 0.0 if method.support.step or not method.support.low_in else np.exp(got[0][:, 0])  # the mass at 0
    first, second = np.sum(p * at, axis=1), np.sum(p * (at - mean[:, None]) ** 2, axis=1)
    return [v[:, :k] for v in got], (np.sum(p, axis=1), first / mean if mean.any() else 1 + first, second / phi / variance)


# --------------------------------------------------------------------------- laws with a closed form
@pytest.mark.parametrize("name", CASES)
def test_log_prob_is_the_closed_form_far_into_the_tails(name):
    (log_p, _, _), _ = results(name)
    for got, law in zip(log_p, CASES[name].law, strict=True):
        want = law(CASES[name].y)[0]
        seen = want > -500
        assert want[seen].min() < -15
        np.testing.assert_allclose(got[seen], want[seen], atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_both_tails_keep_their_relative_accuracy(name):
    (_, log_cdf, log_sf), _ = results(name)
    for cdf, sf, law in zip(log_cdf, log_sf, CASES[name].law, strict=True):
        for got, want in zip((cdf, sf), law(CASES[name].y)[1:], strict=True):
            seen = want > 1e-200
            np.testing.assert_allclose(np.exp(got[seen]), want[seen], rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_mass_mean_and_variance_follow_from_a(name):
    _, moments = results(name)
    np.testing.assert_allclose(moments, 1.0, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_the_chosen_method_claims_no_less_than_its_error(name):
    method = method_of(name)
    assert method.name in ("lattice", "line", "contour")
    assert method.error < 1e-10
    assert hash(method) == hash(method_of(name))
