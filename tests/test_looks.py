"""A pass at many coefficients sees at each of them what the model sees there, however the rows are gone through."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy import sparse

import jglm
from jglm.designs import Lagged
from jglm.fitting import looks, slabs
from jglm.model import Model, Query, Unknowns, evaluate
from jglm.regularization import paths

RNG = np.random.default_rng(21)
N, P, S = 700, 5, 9
X = RNG.normal(size=(N, P))
W = np.where(RNG.random(N) < 0.1, 0.0, RNG.random(N) + 0.5)
OFFSET = 0.3 * RNG.normal(size=N)
MEAN = np.exp(0.4 * X[:, 0])
Y = {"poisson": RNG.poisson(MEAN), "gamma": RNG.gamma(2.0, MEAN), "categorical": RNG.integers(0, 3, N)}
FOLD = RNG.integers(0, 3, N)
SPARSE = sparse.csr_array(np.where(np.abs(X) > 1, X, 0.0))
DESIGNS = {"matrix": X, "sparse": SPARSE, "lagged": Lagged.of(X[:, 0], lags=P)}
EVALUATE = jax.jit(evaluate)


def problem_of(X, family, link=None, offset=OFFSET):
    given = dict(offset=None if family == "categorical" else offset, weights=W, exposure=None, trials=None)
    return paths.Source(X, Y[family], family, link, jglm.penalties.lasso(1.0), False, given).problem


def alone(problem, flat, left_out):
    """(loss, gradient, chi2) at coefficients without a fold, of `model.evaluate`."""
    model, weight = Model(problem.model.family, problem.model.link, None), problem.prepared.weight
    data = replace(problem.data, weight=np.where(left_out == FOLD, 0.0, weight))
    seen = EVALUATE(model, data, Query(Unknowns(jax.numpy.asarray(problem.shape(flat)), {})))
    return float(seen.value), np.asarray(seen.grad), float(seen.chi2)


@pytest.mark.parametrize(("kind", "family", "link", "in_slabs"), [
    ("matrix", "poisson", None, True), ("matrix", "poisson", None, False),
    ("matrix", "gamma", "log", True), ("matrix", "gamma", "log", False),
    ("matrix", "categorical", None, True), ("matrix", "categorical", None, False),
    ("sparse", "poisson", None, False), ("lagged", "poisson", None, False),
])  # fmt: skip
def test_many_coefficients_are_seen_as_each_alone(kind, family, link, in_slabs, monkeypatch):
    monkeypatch.setattr(looks, "ROWS", 128)
    monkeypatch.setattr(slabs, "SLAB", 1 << 9)
    monkeypatch.setattr(slabs, "BLOCK_ELEMENTS", {"cpu": 1 << 6})
    monkeypatch.setattr(looks, "PAYS", 0 if in_slabs else np.inf)
    with jax.enable_x64(True):
        problem = problem_of(DESIGNS[kind], family, link)
        flat = 0.2 * RNG.normal(size=(S, problem.design.shape[1] * problem.width))
        left_out = np.arange(S) % 4 - 1  # of some, none
        look = looks.Looks(problem, FOLD)
        assert isinstance(look.blocks, looks.Blocks) != in_slabs
        grad, chi2, count = look.sums(flat, left_out)
        want = [alone(problem, one, fold) for one, fold in zip(flat, left_out, strict=True)]
        np.testing.assert_allclose(grad, [g for _, g, _ in want], rtol=1e-10, atol=1e-9)
        np.testing.assert_array_equal(count, [np.sum((W > 0) & (fold != FOLD)) for fold in left_out])
        if family == "gamma":
            np.testing.assert_allclose(chi2, [c for *_, c in want], rtol=1e-10)
        every = np.array([alone(problem, one, -1)[0] for one in flat])
        np.testing.assert_allclose(look.losses(flat), every, rtol=1e-10)
        held = look.losses(flat, left_out)  # of the rows that are left out, or of all
        rest = [loss for loss, *_ in want]
        np.testing.assert_allclose(held, np.where(left_out < 0, every, every - rest), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("in_slabs", [True, False])
def test_outside_of_the_domain_a_gradient_is_not_a_number(in_slabs, monkeypatch):
    monkeypatch.setattr(looks, "PAYS", 0 if in_slabs else np.inf)
    with jax.enable_x64(True):
        problem = problem_of(np.abs(X), "gamma", "inverse", offset=None)
        flat = np.stack([np.ones(P + 1), -np.ones(P + 1), 2 * np.ones(P + 1)])
        grad = looks.Looks(problem).sums(flat, np.full(3, -1))[0]
    np.testing.assert_array_equal(np.isnan(grad).all(axis=1), [False, True, False])
    assert not np.isnan(grad[[0, 2]]).any()


def test_lots_are_few_and_full():
    dealt = lambda count: [size for _, size in looks.lots(count, looks.SIZES)]
    assert dealt(100) == [80, 24]
    assert dealt(79) == [80]
    assert dealt(21) == [24]
    assert dealt(11) == [8, 8]
    for count in range(1, 200):
        at = [i for i, _ in looks.lots(count, looks.SIZES)]
        np.testing.assert_array_equal(np.concatenate(at), np.arange(count))
