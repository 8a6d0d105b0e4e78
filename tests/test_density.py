"""The distribution of y from a(eta) alone, against closed forms and long series: log p, both tails, mass, moments."""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
import scipy.stats as st
from jax.scipy.special import gammaln

from jglm.distributions import density
from jglm.distributions.special import log1mexp
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
    negative = own(lambda eta, r: -r * jnp.log(-jnp.expm1(eta)), domain=BELOW, params={"r": 1.0},
                   natural=lambda mu, r: -jnp.log1p(r / mu))  # fmt: skip
    tweedie = own(tweedie_partition, domain=BELOW, params={"power": 1.1}, support="nonnegative",
                  natural=lambda mu, power: mu ** (1 - power) / (1 - power))  # fmt: skip
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
            own(lambda eta: -jnp.log(-eta), domain=BELOW, natural=lambda mu: -1 / mu),
            [(-1 / MEAN, 1 / s, None) for s in shapes],
            [Of(st.gamma(s, scale=MEAN / s)) for s in shapes], WIDE,
        ),
        "inverse_gaussian": Case(
            own(lambda eta: -jnp.sqrt(-2 * eta), domain=BELOW, natural=lambda mu: -0.5 / mu**2),
            [(-0.5 / 1.3**2, phi, None) for phi, _ in invgauss],
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
            own(lambda eta: jnp.log(jnp.expm1(jnp.exp(eta)))), [(np.log(2.0), 1.0, None)], [truncated_poisson],
            COUNTS[1:-5],
        ),
        "hyperbolic_secant": Case(
            own(lambda eta: -jnp.log(jnp.cos(eta)), domain=(-np.pi / 2, np.pi / 2), natural=jnp.arctan),
            [(0.0, 1.0, None)], [secant],
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
    value = case.rows[0][2]  # the first is the most demanding one
    return density.choose(of_params(case.family, value), [phi for _, phi, _ in case.rows])


def quadrature(support, mean, sd, phi, used, count=240):
    """(y, weights) over the support: the lattice, 1,000 with those used, or double exponential nodes about the mean."""
    if support.step:
        y = support.low + support.step * phi * np.arange(1000 - used)
        return y, (y <= support.high + 1e-9) * 1.0
    t, dt = np.linspace(-3.2, 3.2, count, retstep=True)
    s, speed = np.sinh(np.pi / 2 * np.sinh(t)), np.pi / 2 * np.cosh(t) * np.cosh(np.pi / 2 * np.sinh(t))
    if support.low == 0:  # first the mass there, if there is one
        y = mean * np.exp(np.clip(sd / mean * s, -340, 300))
        return np.append(0.0, y), np.append(1.0 * support.low_in, y * sd / mean * speed * dt)
    return mean + sd * s, sd * speed * dt


def everything(family, y, eta, phi, method):
    return density.log_prob_one(family, y, eta, phi, method), *density.log_tails_one(family, y, eta, phi, method)


def family_axes(family):
    return 0 if family.params else None


# Compiling is what takes the time here.
quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": "1"})
over_rows = quick(jax.vmap(everything, in_axes=(0, 0, 0, 0, None)), static_argnums=4)


@cache
def results(name):
    """Of every row (eta, phi): (log p, log cdf, log sf) at the y of the case, and the mass, the mean and the variance
    over what they should be."""
    case, method = CASES[name], method_of(name)
    eta, phi, value = (np.array(v) for v in zip(*case.rows, strict=True))
    value = None if value[0] is None else value.astype(float)
    family = of_params(case.family, value)
    both = quick(jax.vmap(lambda f, eta: (jax.grad(f.a)(eta), jax.hessian(f.a)(eta)), in_axes=(family_axes(family), 0)))
    mean, variance = (np.asarray(v) for v in both(family, eta))
    nodes = [
        quadrature(method.support, m, (p * v) ** 0.5, p, len(case.y))
        for m, v, p in zip(mean, variance, phi, strict=True)
    ]
    y = np.array([np.concatenate([case.y, at]) for at, _ in nodes])
    wide = lambda v: np.broadcast_to(v[:, None], y.shape).ravel()
    flat = jax.tree.map(wide, family)
    got = [np.asarray(v).reshape(y.shape) for v in over_rows(flat, y.ravel(), wide(eta), wide(phi), method)]
    k = len(case.y)
    at, weights = y[:, k:], np.array([w for _, w in nodes])
    # Where a'' underflows log p is NaN; there is nothing there.
    p = weights * np.exp(np.where((weights > 0) & np.isfinite(got[0][:, k:]), got[0][:, k:], -np.inf))
    first, second = np.sum(p * at, axis=1), np.sum(p * (at - mean[:, None]) ** 2, axis=1)
    return [v[:, :k] for v in got], (
        np.sum(p, axis=1),
        first / mean if mean.any() else 1 + first,
        second / phi / variance,
    )


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


# --------------------------------------------------------------------------- laws that only one method can
NOISY = own(lambda eta: jnp.exp(eta) + 0.01 * eta**2 / 2)  # a Poisson plus a normal: a comb
UNIFORM = own(lambda eta: jnp.log((jnp.exp(eta) - 1) / eta), support=(0, 1, 0))
LOG_GAMMA = own(gammaln, domain=(0, np.inf), support="real")  # takes no complex argument
SIGNS = own(lambda eta: jnp.log(jnp.cosh(eta)))


def test_signs_are_their_two_ends():
    method = density.choose(SIGNS)
    y = jnp.array([-1.0, 0.0, 1.0])
    got = quick(jax.vmap(lambda y: density.log_prob_one(SIGNS, y, 0.3, 1.0, method)))(y)
    np.testing.assert_allclose(np.exp(got), [1 / (1 + np.exp(0.6)), 0.0, 1 / (1 + np.exp(-0.6))], rtol=1e-14)


def test_further_saddles_are_seen():
    """Steepest descent converges for these too, to what is wrong by factors."""
    method = density.choose(NOISY, 1.0, np.linspace(-0.5, 20.0, 7))
    assert method.name == "line"
    assert method.error < 1e-9
    k, y, eta = np.arange(60)[:, None], np.array([-0.3, 0.0, 0.52, 3.1, 7.0, 12.4]), 1.0
    want = sp.logsumexp(st.poisson(np.exp(eta)).logpmf(k) + st.norm(k + 0.01 * eta, 0.1).logpdf(y), axis=0)
    got = quick(jax.vmap(lambda y: density.log_prob_one(NOISY, y, eta, 1.0, method)))(y)
    np.testing.assert_allclose(got, want, atol=1e-9)
    assert density.choose(NOISY, 1.0, np.array([9e4, 1.1e5])).error > 1  # out of reach, and said so


def test_a_density_with_corners_says_how_wrong_its_line_is():
    y, eta = np.linspace(0.55, 0.95, 5), 1.7
    method = density.choose(UNIFORM, 1.0, y)
    got = quick(jax.vmap(lambda y: density.log_prob_one(UNIFORM, y, eta, 1.0, method)))(y)
    assert np.max(np.abs(got - (eta * y - np.log(np.expm1(eta) / eta)))) < method.error < 0.02


def test_the_saddlepoint_density_is_normalised_and_says_how_wrong_it_is():
    y, x = np.linspace(-1.0, 3.0, 9), np.linspace(-15.0, 6.0, 300)
    method = density.choose(LOG_GAMMA, 1.0, y)
    assert method.name == "saddlepoint"
    got = jax.jit(jax.vmap(lambda y: density.log_prob_one(LOG_GAMMA, y, 3.0, 1.0, method)))(np.append(y, x))
    assert np.max(np.abs(got[:9] - st.loggamma(3.0).logpdf(y))) < method.error < 0.2
    np.testing.assert_allclose(np.sum(np.exp(got[9:])) * (x[1] - x[0]), 1.0, atol=1e-9)


def test_the_nodes_follow_the_data_and_near_normal_laws_need_few():
    poisson = CASES["poisson"].family
    assert density.choose(poisson, 1.0, np.array([0.9e6, 1.1e6])).nodes < 100
    assert density.choose(CASES["gamma"].family, 1e-6).error < 1e-12


# --------------------------------------------------------------------------- the quantile
P = np.array([1e-90, 1e-9, 0.02, 0.3, 0.7, 0.99, 1 - 1e-9])
EDGES, AT_EDGES = np.array([0.0, 1.0, 1.5, np.nan, 0.5, 0.5, 0.5]), [0.0, np.inf, np.nan, np.nan]


def quantile(name, upper=False):
    (eta, phi, _), family, method = CASES[name].rows[0], CASES[name].family, method_of(name)
    return quick(jax.vmap(lambda p: density.quantile_one(family, p, eta, phi, method, upper)))


def test_quantile_of_a_lattice():
    lower, law = quantile("poisson"), st.poisson(7.0)
    y = np.asarray(lower(P))
    np.testing.assert_array_equal(y, law.ppf(P))
    np.testing.assert_array_equal(lower(law.cdf(y)), y)
    np.testing.assert_array_equal(quantile("poisson", upper=True)(law.sf(y)), y)
    np.testing.assert_array_equal(lower(EDGES)[:4], AT_EDGES)


def test_quantile_of_a_density_with_a_mass():
    lower, law = quantile("tweedie"), CASES["tweedie"].law[0]
    y, none = np.asarray(lower(P)), law(np.zeros(1))[1]
    assert np.all(y[none >= P] == 0)
    assert np.sum(none >= P) == 2
    np.testing.assert_allclose(law(y)[1][none < P], P[none < P], rtol=1e-11)
    np.testing.assert_array_equal(lower(EDGES)[:4], AT_EDGES)


def test_lugannani_rice():
    for name, rtol in (("poisson", 0.03), ("gamma", 0.03)):
        case, support = CASES[name], method_of(name).support
        (eta, phi, _), law = case.rows[2 % len(case.rows)], case.law[2 % len(case.rows)]
        mean = float(jax.grad(case.family.a)(eta))
        y = mean * np.array([0.1, 0.3, 0.9, 1.0, 1.2, 2.0, 5.0]) if name != "poisson" else np.arange(0.0, 30.0, 3)
        got = quick(
            jax.vmap(lambda y, c=case, e=eta, p=phi, s=support: density.lugannani_rice_one(c.family, y, e, p, s))
        )
        for value, want in zip(got(y), law(y)[1:], strict=True):
            np.testing.assert_allclose(value, want, rtol=rtol)
        near = mean * (1 + np.array([-1e-3, -1e-6, 0.0, 1e-6, 1e-3]) / 3)
        if not support.step:
            assert np.ptp(np.diff(got(near)[0], 2)) < 1e-3


# --------------------------------------------------------------------------- derivatives
def differences(f, x, h=1e-4):
    """Central differences of fourth order of f over rows of points, at x: f has the point itself in row 0."""
    steps = h * np.abs(x) * np.eye(len(x))
    points = np.concatenate([x[None], x + steps, x - steps, x + 2 * steps, x - 2 * steps])
    values = [np.asarray(v) for v in f(points)]
    parts = [np.split(v[1:], 4) for v in values]
    slopes = [((8 * (p - m) - (pp - mm)).T / (12 * h * np.abs(x))).T for p, m, pp, mm in parts]
    return [v[0] for v in values], slopes


@pytest.mark.parametrize("y", [0.0, 0.7])
def test_slopes_in_eta_phi_and_params(y):
    method = method_of("tweedie")
    one = lambda v: density.log_prob_one(of_params(CASES["tweedie"].family, v[2]), v[3], v[0], v[1], method)
    slopes = _compiled.setdefault("tweedie", quick(jax.vmap(jax.value_and_grad(one))))
    points = lambda x: np.column_stack([x, np.full(len(x), y)])
    (_, got), (want, _) = differences(lambda x: slopes(points(x)), np.array([-0.8, 1.4, 1.5]))
    np.testing.assert_allclose(got[:3], want, rtol=1e-6)


def test_second_derivatives():
    family, method = CASES["gamma"].family, method_of("gamma")
    one = lambda v: density.log_prob_one(family, 2.5, v[0], v[1], method)
    both = quick(jax.vmap(lambda v: (jax.grad(one)(v), jax.hessian(one)(v))))
    (_, got), (want, _) = differences(both, np.array([-0.3, 0.7]))
    np.testing.assert_allclose(got, want, rtol=1e-6)


_compiled = {}


# --------------------------------------------------------------------------- the edges
def test_outside_of_the_support_and_between_its_points():
    poisson = CASES["poisson"]
    y = np.array([-1.0, 2.5, np.nan, 3.0])
    full = lambda v: np.full(1000, v)
    got = over_rows(poisson.family, np.append(y, full(1.0)[4:]), full(0.5), full(1.0), method_of("poisson"))
    log_p, log_cdf, log_sf = (np.asarray(v)[:4] for v in got)
    assert log_p[0] == log_p[1] == -np.inf
    assert np.isnan(log_p[2])
    law = st.poisson(np.exp(0.5))
    np.testing.assert_allclose(np.exp(log_cdf), [0.0, law.cdf(2), np.nan, law.cdf(3)], rtol=1e-12)
    np.testing.assert_allclose(np.exp(log_sf), [1.0, law.sf(2), np.nan, law.sf(3)], rtol=1e-12)


def test_quadrature_of_any_log_density():
    """A beta that is singular at both ends, a normal far out, a lattice in closed form."""
    unit, line, counts = (own(jnp.exp, support=s).support for s in ("unit_interval", "real", "nonnegative_integer"))
    beta = st.beta(0.3, 0.6)
    log_beta = lambda x: (0.3 - 1) * jnp.log(x) + (0.6 - 1) * jnp.log1p(-x) - sp.betaln(0.3, 0.6)
    log_normal = lambda x: -0.5 * x * x - 0.5 * np.log(2 * np.pi)
    log_poisson = lambda k: jnp.where(k >= 0, k * np.log(40.0) - 40.0 - gammaln(jnp.maximum(k, 0.0) + 1), -jnp.inf)
    for law, log_p, support, centre, spread, span, y in (
        (beta, log_beta, unit, beta.mean(), beta.std(), 0.0, np.array([1e-9, 0.01, 0.5, 0.99])),
        (st.norm(), log_normal, line, 0.0, 1.0, 0.0, np.array([-30.0, -1.0, 0.0, 2.0, 30.0])),
        (st.poisson(40.0), log_poisson, counts, 40.0, 40.0**0.5, 1.0, np.array([0.0, 10.0, 40.0, 41.0, 200.0])),
    ):
        one = lambda y, a=(log_p, support, centre, spread, span): density.cdf_by_quadrature(a[0], y, *a[1:])
        log_cdf, log_sf = quick(jax.vmap(one))(y)
        np.testing.assert_allclose(np.exp(log_cdf), law.cdf(y), rtol=1e-9)
        np.testing.assert_allclose(np.exp(log_sf), law.sf(y), rtol=1e-9 if law is not beta else 1e-7)


def test_what_cannot_be_chosen_is_refused():
    negative = CASES["negative_binomial"].family
    with pytest.raises(ValueError, match="before tracing"):
        quick(lambda r: density.choose(of_params(negative, r)).error * r)(2.0)
    with pytest.raises(ValueError, match="vector or T"):
        density.choose(own(jax.nn.logsumexp, dim=2))
    with pytest.raises(ValueError, match="must be one of"):
        density.choose(negative, name="magic")


def test_a_closed_form_is_used_unless_it_is_not_wanted():
    family = own(jnp.exp, log_b=lambda y, phi: -gammaln(y + 1))
    assert density.choose(family).name == "closed"
    assert density.choose(family, closed=False) == method_of("poisson")
    cdf = density.cdf_one(family, 3, 0.5, 1, density.choose(family))
    np.testing.assert_allclose(cdf, st.poisson(np.exp(0.5)).cdf(3), rtol=1e-12)


def test_rows_in_batches_are_the_rows():
    case, method = CASES["poisson"], method_of("poisson")._replace(nodes=2**20)  # two rows at a time
    one = lambda y, eta: y * eta
    y = jnp.arange(9.0)
    np.testing.assert_array_equal(density.by_rows(one, method, y, y), y * y)
    assert case.family.params == {}
