"""Each stable function against its plain form where that is good, and by its limits where it is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jglm.distributions import closed
from jglm.distributions import special as s

X = np.linspace(-6.0, 6.0, 49) + 0.01
NEGATIVE = -np.geomspace(1e-3, 20.0, 40)
NDTR = lambda x: 0.5 * (1 + jax.lax.erf(x / np.sqrt(2)))
PLAIN = {
    "sigmoid": (s.sigmoid, lambda x: 1 / (1 + jnp.exp(-x)), X),
    "softplus": (s.softplus, lambda x: jnp.log(1 + jnp.exp(x)), X),
    "bose": (s.bose, lambda x: 1 / (jnp.exp(-x) - 1), NEGATIVE),
    "log1mexp": (s.log1mexp, lambda x: jnp.log(1 - jnp.exp(x)), NEGATIVE),
    "log_ndtr": (s.log_ndtr, lambda x: jnp.log(NDTR(x)), X[X > -3]),
    "mills": (s.mills, lambda x: jnp.exp(-x * x / 2) / np.sqrt(2 * np.pi) / NDTR(x), X[X > -3]),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_value_and_three_derivatives_are_those_of_the_plain_form(name):
    stable, plain, x = PLAIN[name]
    for order, rtol in enumerate((1e-9, 1e-8, 1e-7, 1e-5)):
        got, want = jax.vmap(stable)(x), jax.vmap(plain)(x)
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.max(np.abs(want)) * 1e-3, err_msg=str(order))
        stable, plain = jax.grad(stable), jax.grad(plain)


@pytest.mark.parametrize("power", [1.01, 1.5, 1.9, 3.5, -1.0])
def test_derivatives_of_the_tweedie_partition_are_those_of_the_plain_form(power):
    plain = lambda eta, p: jnp.exp((2 - p) / (1 - p) * jnp.log((1 - p) * eta)) / (2 - p)
    eta = -0.7 if power > 1 else 0.7
    every = lambda f: jax.tree.leaves((jax.grad(f, (0, 1))(eta, power), jax.hessian(f, (0, 1))(eta, power)))
    np.testing.assert_allclose(every(closed.tweedie_partition), every(plain), rtol=1e-12)


def test_far_out():
    x = np.array([-1e4, -300.0, -40.0, -6.0, 8.0, 40.0])
    np.testing.assert_allclose(s.log_ndtr(x), special.log_ndtr(x), rtol=1e-14)
    np.testing.assert_allclose(s.mills(x[:3]), -x[:3] * (1 + 1 / x[:3] ** 2), rtol=1e-5)
    np.testing.assert_allclose(s.log1mexp(np.array([-1e-300, -800.0])), [np.log(1e-300), 0.0])
    assert float(jax.grad(s.sigmoid)(80.0)) == pytest.approx(np.exp(-80.0), rel=1e-12)
    slope = jax.grad(jax.grad(lambda e: -s.log1mexp(e)))(np.float32(-100.0))
    assert np.isfinite(slope)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_softplus_to_the_last_digits(dtype):
    x = np.linspace(-80.0, 80.0, 20_001).astype(dtype)
    want = np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x.astype(np.float64))))
    assert np.max(np.abs(np.asarray(jax.jit(s.softplus)(x)) / want - 1)) < 4 * np.finfo(dtype).eps


def test_second_derivative_of_softplus_in_float32_is_not_zero():
    bend = jax.vmap(jax.grad(jax.grad(s.softplus)))(np.array([-60.0, -20.0, 20.0, 60.0], np.float32))
    np.testing.assert_allclose(bend, np.exp([-60.0, -20.0, -20.0, -60.0]), rtol=1e-5)


def test_stirling_error():
    x = np.array([0.01, 0.5, 1.0, 3.0, 14.9, 15.1, 100.0, 1e6])
    want = special.gammaln(x + 1) - (x * np.log(x) - x + 0.5 * np.log(2 * np.pi * x))
    np.testing.assert_allclose(s.stirling_error(x[:6]), want[:6], atol=3e-14)
    np.testing.assert_allclose(s.stirling_error(x[6:]), 1 / (12 * x[6:]) - 1 / (360 * x[6:] ** 3), rtol=1e-9)
    assert float(s.stirling_error(0.0)) == 0.0


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "bose", "log1mexp"])
def test_complex_arguments(name):
    stable, plain, _ = PLAIN[name]
    z = jnp.array([-0.3 + 0.7j, -1.2 - 2.0j])
    np.testing.assert_allclose(stable(z), plain(z), rtol=1e-12)


def test_log_gamma_and_its_derivatives():
    x = np.geomspace(1e-8, 1e10, 2001)
    f, expected = (
        s.log_gamma,
        (special.gammaln(x), special.digamma(x), special.polygamma(1, x), special.polygamma(2, x)),
    )
    for want in expected:
        np.testing.assert_allclose(jax.vmap(f)(jnp.asarray(x)), want, rtol=1e-13, atol=1e-13)
        f = jax.grad(f)
