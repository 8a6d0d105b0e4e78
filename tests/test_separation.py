"""Separation: directions along which a likelihood has no maximum, by two methods, against definitions and fits."""

import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jglm

METHODS = ("lp", "rectifier")
ENDOMETRIAL = pd.read_csv(Path(__file__).parent / "references" / "firth" / "endometrial.csv")
OWN = jglm.Family("own", a=lambda eta: jnp.logaddexp(0.0, eta))


@pytest.mark.parametrize("method", METHODS)
def test_the_endometrial_data_are_quasi_completely_separated_by_one_column(method):
    found = jglm.find_separation("HG ~ NV + PI + EH", ENDOMETRIAL, family="bernoulli", method=method)
    assert found.kind == "quasi-complete"
    assert found.columns == ["NV"]
    assert found.infinite.tolist() == [0.0, np.inf, 0.0, 0.0]
    assert found.rows.tolist() == np.flatnonzero(ENDOMETRIAL["NV"] == 1).tolist()
    assert "NV" in str(found)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("X", "y", "options", "kind", "rows"),
    [
        ([1.0, 2, 3, 4], [0, 0, 1, 1], dict(family="bernoulli"), "complete", [0, 1, 2, 3]),
        ([1.0, 2, 3, 4], [0, 0, 1, 1], dict(family=OWN), "complete", [0, 1, 2, 3]),
        ([1.0, 2, 2, 4], [0, 1, 0, 1], dict(family="bernoulli"), "quasi-complete", [0, 3]),
        ([1.0, 2, 3, 4], [0, 1, 0, 1], dict(family="bernoulli"), "none", []),
        ([1.0, 2, 3, 4], [0, 1, 0, 1], dict(family="bernoulli", weights=[1, 0, 1, 1]), "complete", [0, 2, 3]),
        ([1.0, 0, 0, 0], [0, 1, 3, 1], dict(family="poisson"), "quasi-complete", [0]),
        ([1.0, 0, 0, 0], [0, 1, 3, 1], dict(family="poisson", link="identity"), "none", []),
        ([1.0, 0, 0, 0], [2, 1, 3, 1], dict(family="poisson"), "none", []),
        ([1.0, 0, 0], [0, 2, 5], dict(family="binomial", trials=[5, 5, 5]), "quasi-complete", [0]),
        ([0.0, 1, 2], [1, 3, 5], dict(family="binomial", trials=[5, 5, 5]), "none", []),
        ([1.0, 2, 3, 4], [1.0, 2.0, 3.0, 2.0], dict(family="gamma", link="log"), "none", []),
    ],
)
def test_small_cases(X, y, options, kind, rows, method):
    found = jglm.find_separation(np.reshape(X, (-1, 1)), y, method=method, **options)
    assert found.kind == kind
    assert found.rows.tolist() == rows
    assert bool(found) == (kind != "none")


@pytest.mark.parametrize("method", METHODS)
def test_classes(method):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 2)), rng.integers(0, 3, 90)
    assert jglm.find_separation(X, y, family="categorical", method=method).kind == "none"
    y = np.where(X[:, 0] > 0.5, 2, np.minimum(y, 1))
    found = jglm.find_separation(X, y, family="categorical", method=method)
    assert found.kind == "quasi-complete"
    assert len(found.rows) == 90  # all leave or enter class 2; 0 and 1 overlap
    assert "x1" in found.columns
    complete = jglm.find_separation(X, np.digitize(X[:, 0], [-0.5, 0.5]), family="categorical", method=method)
    assert complete.kind == "complete"


def test_a_direction_obeys_its_definition_and_the_methods_agree():
    rng = np.random.default_rng(1)
    for seed in range(12):
        X = np.round(rng.normal(size=(14, 3)), 1)
        y = rng.integers(0, 2, 14) if seed % 2 else (X[:, 0] + 0.6 * rng.normal(size=14) > 0).astype(int)
        found = [jglm.find_separation(X, y, family="bernoulli", method=method) for method in METHODS]
        assert found[0].kind == found[1].kind
        assert found[0].rows.tolist() == found[1].rows.tolist()
        for one in found:
            pushed = (2 * y - 1) * (np.column_stack([np.ones(14), X]) @ one.direction)
            assert np.all(pushed >= -1e-6)
            assert (np.max(pushed) > 1e-6) == bool(one)


def test_many_rows_enter_a_few_at_a_time():
    rng = np.random.default_rng(2)
    n = 30_000
    X = np.column_stack([rng.normal(size=(n, 2)), rng.random(n) < 1e-3])
    y = (rng.random(n) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
    assert not jglm.find_separation(X, y, family="bernoulli")
    y[X[:, 2] == 1] = 0
    found = jglm.find_separation(X, y, family="bernoulli", names=["a", "b", "rare"])
    assert found.kind == "quasi-complete"
    assert found.columns == ["rare"]
    assert found.infinite[3] == -np.inf
    np.testing.assert_array_equal(found.rows, np.flatnonzero(X[:, 2] == 1))


def test_a_fit_tells_of_it_and_firth_is_finite():
    with pytest.warns(UserWarning, match="separation.*firth"):
        fit = jglm.glm("HG ~ NV + PI + EH", ENDOMETRIAL, family="bernoulli")
    found = fit.find_separation()
    assert found.columns == fit.separated == ["NV"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.all(np.isfinite(jglm.glm("HG ~ NV + PI + EH", ENDOMETRIAL, family="bernoulli", penalty="firth").bse))


def test_what_cannot_be_says_so():
    with pytest.raises(ValueError, match="beta"):
        jglm.find_separation([[0.0], [1.0], [2.0]], [0.2, 0.4, 0.5], family="beta")
    with pytest.raises(ValueError, match="method"):
        jglm.find_separation([[0.0], [1.0]], [0, 1], family="bernoulli", method="simplex")
