"""Least squares in twice the precision, against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

import jglm
from benchmarks import nist
from jglm.fitting import squares

OWN = jglm.Family("own", a=lambda eta: eta**2 / 2, dispersion="estimated")


def exactly(X, y):
    return nist.solve_exactly([[Fraction(v) for v in row] for row in X.tolist()], [Fraction(v) for v in y.tolist()])


@pytest.mark.parametrize("family", ["gaussian", OWN])
@pytest.mark.parametrize("name", nist.PROBLEMS)
def test_nist_problems_keep_their_digits(name, family):
    X, y, _, _ = nist.problem(name)
    right = exactly(X, y)
    fit = jglm.fit(X, y, family=family, intercept=False)
    found = {"coef": fit.params, "se": fit.bse, "sd": [fit.scale**0.5]}
    least = {"coef": 14.5, "se": 13.0, "sd": 14.0}
    for part, digits in least.items():
        assert nist.digits(found[part], right[part]) >= digits, part


def test_weights_and_offsets_are_taken_exactly():
    rng = np.random.default_rng(0)
    X = np.vander(rng.uniform(1, 2, 30), 6)
    y, offset, weights = rng.normal(size=30), rng.normal(size=30), rng.integers(0, 4, 30)
    coef, _, rest = squares.solve(X, y, offset, weights.astype(float))
    rows = np.repeat(np.arange(30), weights)
    difference = [Fraction(a) - Fraction(b) for a, b in zip(y[rows].tolist(), offset[rows].tolist(), strict=True)]
    right = nist.solve_exactly([[Fraction(v) for v in row] for row in X[rows].tolist()], difference)
    np.testing.assert_allclose(coef, right["coef"], rtol=1e-14)
    np.testing.assert_allclose(rest, right["sd"][0] ** 2 * (len(rows) - 6), rtol=1e-14)
    fit = jglm.fit(X, y, family="gaussian", intercept=False, offset=offset, weights=weights)
    np.testing.assert_allclose(fit.params, right["coef"], rtol=1e-14)


def test_pairs_carry_twice_the_digits():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=50), rng.normal(size=50)
    high, low = squares.over(squares.exact(a), squares.exact(b))
    for x, y, h, l in zip(a.tolist(), b.tolist(), high.tolist(), low.tolist(), strict=True):
        right = Fraction(x) / Fraction(y)
        assert abs((Fraction(h) + Fraction(l)) / right - 1) < Fraction(1, 10**30)
    high, low = squares.root(squares.exact(np.abs(a)))
    for x, h, l in zip(np.abs(a).tolist(), high.tolist(), low.tolist(), strict=True):
        assert abs((Fraction(h) + Fraction(l)) ** 2 / Fraction(x) - 1) < Fraction(1, 10**29)
    many = np.concatenate([a * 1e12, b, -a * 1e12])
    high, low = squares.total(squares.exact(np.tile(many, 100)))  # more than are added one by one
    right = 100 * sum(Fraction(v) for v in many.tolist())
    assert abs(Fraction(float(high)) + Fraction(float(low)) - right) < abs(right) * Fraction(1, 10**14)


def test_dependent_columns_and_other_losses_are_left_alone():
    x = np.linspace(1, 2, 20)
    X = np.column_stack([x, 2 * x])
    assert squares.solve(X, x, 0 * x, np.ones(20)) is None
    scaled = jglm.Family("scaled", a=lambda eta: 1.5 * eta**2, dispersion="estimated")  # twice the loss of a square
    fit = jglm.fit(x[:, None], x**2, family=scaled, link="canonical")
    np.testing.assert_allclose(fit.params, np.polyfit(x, x**2 / 3, 1)[::-1], rtol=1e-9)
