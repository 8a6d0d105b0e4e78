"""The support found from a(eta) alone is the one that the catalogue states."""

import jax.numpy as jnp
import numpy as np
import pytest
from cases import ALL, CATALOGUE

from jglm import Family
from jglm.distributions.support import Support

# Proportions are on a lattice that depends on their trials, quasi-likelihood has no lattice, y = 0 and 1 are possible
# responses of a continuous Bernoulli, and the mean of a tweedie of negative power does not reach its y < 0.
OTHER = ("binomial", "continuous_bernoulli", "tweedie_real")


@pytest.mark.parametrize(
    "name", [n for n, f in CATALOGUE.items() if f.dim is None and f.density != "none" and n not in OTHER]
)
def test_found_from_a_alone(name):
    family = CATALOGUE[name]
    plain = Family(name, family.a_, domain=family.domain, params=family.params)
    assert plain.support == family.support


def test_of_families_that_no_library_has():
    assert ALL["signs"].support == Support(-1.0, 1.0, 2.0, True, True)
    shifted = Family("shifted", a=lambda eta: 2 * eta + jnp.exp(eta))
    assert shifted.support == Support(2.0, np.inf, 1.0, True, False)
    uniform = Family("uniform_sum", a=lambda eta: jnp.log(jnp.expm1(eta) / eta), domain=(1e-3, jnp.inf))
    assert uniform.support.step == 0.0


def test_holds_and_says_so():
    counts = Support(0.0, np.inf, 1.0, True, False)
    assert counts.holds(np.array([0.0, 3.0, 2.5, -1.0])).tolist() == [True, True, False, False]
    assert counts.describe() == "whole numbers y >= 0"
    assert Support(0.0, 1.0, 0.0, False, False).holds(np.array([0.0, 0.5, 1.0])).tolist() == [False, True, False]
