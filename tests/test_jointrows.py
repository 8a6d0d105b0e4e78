"""Coefficients and free parameters found on the host, against the traced Newton's method."""

import numpy as np
import pytest

import jglm
from jglm import penalties
from jglm.fitting import jointrows

RNG = np.random.default_rng(4)
N = 61
X = RNG.normal(size=(N, 3))
OFFSET = 0.2 * RNG.normal(size=N)
COUNTS = RNG.poisson(np.exp(0.4 + X @ [0.3, -0.2, 0.1] + OFFSET) * RNG.gamma(2.0, 0.5, N)).astype(float)
WEIGHTS = RNG.integers(0, 3, N).astype(float)


@pytest.mark.parametrize("penalty", [None, penalties.ridge(2.0)])
def test_it_ends_where_the_traced_loop_does(penalty):
    given = dict(family="negative_binomial", weights=WEIGHTS, offset=OFFSET, penalty=penalty, tol=1e-10)
    here, traced = jglm.fit(X, COUNTS, **given), jglm.fit(X, COUNTS, solver="newton", **given)
    assert here.converged
    assert abs(here.n_iter - traced.n_iter) <= 1
    np.testing.assert_allclose(here.params, traced.params, rtol=0, atol=1e-8)
    np.testing.assert_allclose(here.family_params["r"], traced.family_params["r"], rtol=1e-7)
    np.testing.assert_allclose(here.llf, traced.llf, rtol=1e-12)


def test_where_the_observed_hessian_is_indefinite_the_expected_one_leads_downhill():
    grad, expected = np.array([1.0, -2.0]), np.array([[2.0, 1.0], [1.0, 3.0]])
    told = np.zeros(2, bool)
    seen = jointrows.Look(0.0, grad, np.diag([1.0, -1.0]), expected, told)
    step, bent, drop, _ = jointrows._newton(None, seen)
    np.testing.assert_allclose(step, -np.linalg.solve(expected, grad))
    np.testing.assert_allclose([drop, -(bent @ step)], grad @ step)
    assert drop < 0
    assert jointrows._newton(None, jointrows.Look(0.0, np.array([np.nan, 1.0]), expected, expected, told)) is None


def test_a_parameter_of_which_nothing_is_told_any_more_stays_and_the_coefficients_go_on():
    X = np.random.default_rng(1).normal(size=(20_000, 3))
    y = np.round(np.exp(0.15 * X.sum(axis=1) + 1) + 0.5)  # less dispersed than a Poisson's: r runs to infinity
    with pytest.warns(UserWarning, match="r = .* runs to the end inf"):
        found = jglm.fit(X, y, family="negative_binomial")
    assert found.converged
    assert found.n_iter <= 12
    poisson = jglm.fit(X, y, family="poisson")
    np.testing.assert_allclose(found.params, poisson.params, rtol=0, atol=1e-5 * poisson.bse.min())
