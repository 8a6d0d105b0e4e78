"""What follows from a(eta), for every family of the catalogue and for families written as a user would."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ALL, CATALOGUE, DISTINCT, EVALUATED, PAIRS, SCALAR_PAIRS, VECTOR, etas, small_data, vector_etas
from scipy import stats

from jglm import families, links
from jglm.designs import Dense
from jglm.family import Family
from jglm.model import Data, Model, Query, Unknowns, evaluate, flatten


@jax.jit
def plainly(family, link, X, y, weight, coef):
    """What autodiff says of the total loss: its value and its gradient in coef, and of each row
    (mean - T(y), d eta / d lin, d mu / d lin, a'', the second derivative of its loss in lin)."""
    loss = lambda v, y: family.loss_one(family.statistic(y), link.eta(family, v))

    def row(v, y):
        eta, slope = link.eta(family, v), jax.jacfwd(lambda v: link.eta(family, v))(v)
        error, variance = jax.grad(family.a)(eta) - family.statistic(y), jax.hessian(family.a)(eta)
        return error, slope, jax.jacfwd(lambda v: link.mean(family, v))(v), variance, jax.hessian(loss)(v, y)

    total = lambda coef: jnp.sum(weight * jax.vmap(loss)(X @ coef, y))
    return *jax.value_and_grad(total)(coef), jax.vmap(row)(X @ coef, y)


@cache
def derivatives(name, link_name):
    """(X, y, coef, weight, what `plainly` says) of one family and link."""
    family = ALL[name]
    X, y, coef, link = small_data(name, link_name)
    weight = np.linspace(0.5, 2.0, len(X))
    plain = plainly(family, link, X, jnp.asarray(y), weight, jnp.asarray(coef))
    return X, y, coef, weight, jax.tree.map(np.asarray, plain)


@pytest.mark.parametrize(("name", "link_name"), PAIRS)
def test_the_automatic_gradient_is_the_closed_form(name, link_name):
    """- d/d coef log-likelihood = X'(h - y), times d eta / d lin = (d mu / d lin) / V without a canonical link."""
    X, _, _, weight, (_, automatic, (error, eta_slope, mean_slope, variance, _)) = derivatives(name, link_name)
    if link_name != "canonical":
        scalar = ALL[name].dim is None
        error = error * mean_slope / variance if scalar else np.einsum("nk,nkl->nl", error, eta_slope)
    error = error * (weight if error.ndim == 1 else weight[:, None])
    closed = X.T @ error
    size = np.abs(X).T @ np.abs(error)
    assert np.max(np.abs(automatic - closed) / size) < 1e-12


@pytest.mark.parametrize(("name", "link_name"), EVALUATED)
def test_evaluate_is_the_derivatives_of_the_loss(name, link_name):
    family, link = ALL[name], links.get(link_name)
    X, y, coef, weight, (value, grad, rows) = derivatives(name, link_name)
    data = Data(Dense(jnp.asarray(X)), jnp.asarray(y), jnp.asarray(weight), jnp.zeros(np.shape(X @ coef)))
    at = Unknowns(jnp.asarray(coef), {})
    info = jax.jit(evaluate, static_argnums=3)(Model(family, link, None), data, Query(at), "hessian")
    assert np.isclose(info.value, value, rtol=1e-12)
    np.testing.assert_allclose(info.grad, flatten(Unknowns(grad, {})), rtol=1e-10, atol=1e-11)
    _, slope, _, variance, bend = rows
    if family.dim is None:
        expected = X.T @ ((weight * slope**2 * variance)[:, None] * X)
        want = X.T @ ((weight * bend)[:, None] * X) if np.all(bend > 0) else None
    else:
        W = np.einsum("n,nai,nab,nbj->nij", weight, slope, variance, slope)
        want = expected = np.einsum("np,nij,nq->ipjq", X, W, X).reshape(info.hess.shape)
    if want is not None:
        np.testing.assert_allclose(info.hess, want, rtol=1e-8, atol=1e-9 * np.max(np.abs(want)))
    assert np.all(np.linalg.eigvalsh(info.hess) > -1e-10 * np.trace(expected))


@cache
def deviances(name):
    """(21 means across the domain, the deviance of each (column) from each (row))."""
    mu = np.asarray(ALL[name].mean(etas(ALL[name])))[::3]
    return mu, np.asarray(ALL[name].deviance(mu[None, :], mu[:, None]))


@pytest.mark.parametrize("name", DISTINCT)
def test_natural_inverts_the_mean_and_variance_is_positive(name):
    family = ALL[name]
    eta = etas(family)
    assert np.all(np.asarray(family.variance(eta)) > 0)
    assert np.all(np.diff(np.asarray(family.mean(eta))) > 0)
    np.testing.assert_allclose(family.natural(family.mean(eta)), eta, rtol=2e-8, atol=1e-9)


@pytest.mark.parametrize("name", VECTOR)
def test_vector_natural_inverts_the_mean_and_variance_is_positive(name):
    family = ALL[name]
    eta = vector_etas(family)
    mu = family.mean(eta)
    np.testing.assert_allclose(family.mean(family.natural(mu)), mu, rtol=1e-7)
    assert np.all(np.linalg.eigvalsh(np.asarray(family.variance(eta))) > -1e-15)
    y = mu if family.vector_y else jnp.full(20, 0.5)
    assert family.loss(y, eta).shape == (20,)


@pytest.mark.parametrize("name", DISTINCT)
def test_deviance_is_zero_at_the_mean_and_positive_elsewhere(name):
    mu, grid = deviances(name)
    assert np.all(grid >= 0)
    assert np.all(np.diagonal(grid) <= 1e-12 * (1 + np.abs(mu)))
    assert np.all(grid[~np.eye(len(mu), dtype=bool)] > 0)


@pytest.mark.parametrize("name", DISTINCT)
def test_deviance_is_the_integral_of_the_score(name):
    """d(y, mu) = 2 int_mu^y (y - t) / V(t) dt: the classical definition, by quadrature of the variance function."""
    family, (means, grid) = ALL[name], deviances(name)
    y, mu = means[7], means[13]
    nodes, weights = np.polynomial.legendre.leggauss(len(etas(family)))
    t = mu + (y - mu) * (nodes + 1) / 2
    V = np.asarray(family.variance(family.natural(t)))
    assert np.isclose(grid[13, 7], (y - mu) * np.sum(weights * (y - t) / V), rtol=1e-7)


def test_deviance_at_the_edge_of_the_support():
    mu = np.array([1e-3, 0.2, 0.9])
    np.testing.assert_allclose(families.poisson.deviance(np.zeros(3), mu), 2 * mu)
    np.testing.assert_allclose(families.bernoulli.deviance(np.zeros(3), mu), -2 * np.log1p(-mu))
    np.testing.assert_allclose(families.bernoulli.deviance(np.ones(3), mu), -2 * np.log(mu), rtol=1e-12)
    np.testing.assert_allclose(families.negative_binomial(2.5).deviance(np.zeros(3), mu), 5 * np.log1p(mu / 2.5))
    np.testing.assert_allclose(families.geometric.deviance(np.zeros(3), mu), 2 * np.log1p(mu))
    one_hot, p = np.eye(3), np.array([[0.2, 0.3, 0.5]] * 3)
    np.testing.assert_allclose(families.categorical(3).deviance(one_hot, p), -2 * np.log(p[0]))
    # The same from a alone, where the edge is a limit of a numeric inversion.
    own = ALL["own_poisson"]
    np.testing.assert_allclose(own.deviance(np.zeros(3), mu), 2 * mu, rtol=1e-9)
    np.testing.assert_allclose(
        ALL["signs"].deviance(np.ones(2), np.array([0.0, 0.5])), -2 * np.log([0.5, 0.75]), rtol=1e-9
    )


def test_deviance_keeps_its_digits_for_large_responses():
    y = np.array([1e9, 1e9, 1e12])
    mu = y + np.array([1.0, 1e4, 3e5])
    delta = (mu - y) / y
    want = 2 * y * (delta - np.log1p(delta))
    np.testing.assert_allclose(families.poisson.deviance(y, mu), want, rtol=1e-6)
    np.testing.assert_allclose(families.gaussian.deviance(y, mu), (y - mu) ** 2, rtol=1e-12)


DISTRIBUTIONS = {
    "gaussian": lambda mu, phi: stats.norm(mu, np.sqrt(phi)),
    "poisson": lambda mu, phi: stats.poisson(mu),
    "bernoulli": lambda mu, phi: stats.bernoulli(mu),
    "gamma": lambda mu, phi: stats.gamma(1 / phi, scale=mu * phi),
    "exponential": lambda mu, phi: stats.expon(scale=mu),
    "inverse_gaussian": lambda mu, phi: stats.invgauss(mu * phi, scale=1 / phi),
    "geometric": lambda mu, phi: stats.nbinom(1, 1 / (1 + mu)),
    "negative_binomial": lambda mu, phi: stats.nbinom(2.5, 2.5 / (2.5 + mu)),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_log_prob_is_scipys(name):
    family = ALL[name]
    phi = 1.0 if family.dispersion == "fixed" else 0.7
    for mu in (0.3, 0.8) if name == "bernoulli" else (0.3, 4.0):
        d = DISTRIBUTIONS[name](mu, phi)
        lattice = family.support.step == 1
        y = (
            np.array([0.0, 1.0])
            if name == "bernoulli"
            else np.arange(30.0)
            if lattice
            else d.ppf(np.linspace(0.001, 0.999, 30))
        )
        want = d.logpmf(y) if lattice else d.logpdf(y)
        np.testing.assert_allclose(family.log_prob(y, family.natural(mu), phi), want, rtol=1e-10, atol=1e-11)


def test_log_prob_of_the_binomial_counts_trials():
    trials, k, p = 12.0, np.arange(13.0), 0.3
    eta = families.binomial.natural(p)
    got = families.binomial.log_prob(k / trials, eta, np.full(13, 1 / trials))
    np.testing.assert_allclose(got, stats.binom(12, p).logpmf(k), atol=1e-12)


def test_closed_forms_of_the_catalogue_are_the_numeric_ones():
    """`natural` of the catalogue against the bracketed inversion of a', far out as well."""
    for name, family in CATALOGUE.items():
        if family.dim is not None or family.natural_ is None:
            continue
        plain = Family(name, family.a_, domain=family.domain, params=family.params)
        mu = np.geomspace(1e-8, 1e8, 33) if family.support.high > 1 else np.array([1e-8, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-8])
        if name == "hyperbolic_secant":  # its means have both signs: small ones are differences of large
            mu = np.concatenate([-mu[8::4], mu[8::4]])
        mu = np.resize(mu, len(etas(family)))  # the shape that is compiled
        np.testing.assert_allclose(plain.natural(mu), family.natural(mu), rtol=1e-8, err_msg=name)


def test_natural_of_an_unreachable_mean_is_nan():
    own = Family("own", a=jnp.exp)
    assert np.isnan(own.natural(-1.0))
    assert np.isnan(Family("g", a=lambda e: -jnp.log(-e), domain=(-jnp.inf, 0)).natural(-2.0))
    assert np.isnan(ALL["signs"].natural(1.5))


def test_natural_differentiates_implicitly_also_in_the_parameters():
    """d eta / d r at fixed mu needs d a' / d r, not only 1 / a''."""
    closed = families.negative_binomial
    numeric = lambda r: Family("nb", closed(2.0).a_, domain=(-jnp.inf, 0), params={"r": r})
    for argument in ("mu", "r"):
        f = (lambda make: (lambda v: make(2.5).natural(v))) if argument == "mu" else (
            lambda make: (lambda v: make(v).natural(3.0)))  # fmt: skip
        got = jax.grad(f(lambda r: numeric(r)))(1.7)
        want = jax.grad(f(lambda r: families.negative_binomial(1.0).replace(params={"r": r})))(1.7)
        assert np.isclose(got, want, rtol=1e-8)
    own = ALL["own_softmax"]
    mu = jnp.array([0.2, 0.3])
    jac = jax.jacobian(own.natural)(mu)
    np.testing.assert_allclose(jac, np.linalg.inv(own.variance(own.natural(mu))), rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in DISTINCT if n in CATALOGUE and n != "conway_maxwell_poisson"])
def test_float32_keeps_its_digits_at_the_edges_of_the_domain(name):
    family = ALL[name]
    whole = family.domain == (-np.inf, np.inf)
    eta = (np.linspace(-60, 60, 61) if whole else np.asarray(etas(family, 16.0))).astype(np.float32)
    for of in (family.mean, family.variance):
        single, double = np.asarray(of(eta)), np.asarray(of(eta.astype(np.float64)))
        assert single.dtype == np.float32
        on = (np.abs(double) > 1e-36) & (np.abs(double) < 1e36)
        assert np.all(np.isfinite(single[on]))
        np.testing.assert_allclose(single[on], double[on], rtol=3e-5)


@jax.jit
def there_and_back(family, link, mu):
    def one(m):
        lin = link.linear(family, m)
        return link.mean(family, lin), family.mean(link.eta(family, lin))

    return jax.vmap(one)(mu)


@pytest.mark.parametrize(("name", "link_name"), SCALAR_PAIRS)
def test_link_and_stable_composition_agree(name, link_name):
    """a'(eta(lin)) is the inverse link, and the link undoes it."""
    family, link = ALL[name], links.get(link_name)
    mu = np.asarray(family.mean(etas(family, reach=1.5)))
    if (link_name != "canonical" and family.support.low == -np.inf) or name == "signs":
        mu = np.abs(mu) + 1e-3
    for back in there_and_back(family, link, mu):
        np.testing.assert_allclose(back, mu, rtol=1e-8)


def test_stable_compositions_reach_where_plain_ones_overflow():
    probit, cloglog = links.probit, links.cloglog
    far = jnp.array([-30.0, -10.0, 6.0, 30.0])
    loss = jax.vmap(lambda v: families.bernoulli.loss_one(1.0, probit.eta(families.bernoulli, v)))(far)
    np.testing.assert_allclose(loss, -stats.norm.logcdf(np.asarray(far)), rtol=1e-12, atol=1e-14)
    eta = jax.vmap(lambda v: cloglog.eta(families.bernoulli, v))(jnp.array([-40.0, 3.0]))
    np.testing.assert_allclose(eta, [-40.0, np.exp(3) + np.log(-np.expm1(-np.exp(3)))], rtol=1e-12)


def test_methods_work_under_jit_vmap_and_grad_and_keep_the_dtype():
    family = families.negative_binomial(3)
    eta = -jnp.linspace(0.1, 2.0, 6, dtype=jnp.float32).reshape(2, 3)
    for of in (
        family.mean,
        family.variance,
        lambda e: family.natural(family.mean(e)),
        lambda e: family.deviance(2.0, family.mean(e)),
    ):
        plain = of(eta)
        assert plain.dtype == jnp.float32
        assert plain.shape == (2, 3)
        np.testing.assert_allclose(jax.jit(of)(eta), plain, rtol=2e-5)
        np.testing.assert_allclose(jax.vmap(of)(eta), plain, rtol=2e-5)
    slope = jax.grad(lambda m: family.deviance(2.0, m))(1.3)
    assert np.isclose(slope, -2 * (2.0 - 1.3) / (1.3 + 1.3**2 / 3), rtol=1e-8)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ALL)
def test_laws_on_an_accelerator(name):
    family = ALL[name]
    X, y, coef, link = small_data(name, "canonical")
    _, automatic, _ = plainly(family, link, X, jnp.asarray(y), np.ones(len(X)), jnp.asarray(coef))
    closed = X.T @ np.asarray(family.mean(jnp.asarray(X @ coef)) - y)
    assert np.max(np.abs(np.asarray(automatic) - closed)) < 1e-10 * np.max(np.abs(X).T @ np.abs(y))
