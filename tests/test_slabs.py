"""A pass that reads a matrix once sees what one by BLAS sees, wherever the matrix begins in memory."""

import jax
import numpy as np
import pytest

import jglm
from jglm.fitting import passes, slabs
from jglm.fitting.problem import Problem
from jglm.model import GRADIENT, HESSIAN, Query, Unknowns

RNG = np.random.default_rng(8)
N = 1000


def problem_of(X, family, dtype="float64", **given):
    """The problem of a fit of X by `family`, after a step or so."""
    mean = RNG.random(N)
    y = {"bernoulli": mean < 0.4, "gamma": mean + 0.1, "categorical": RNG.integers(0, 3, N)}[family]
    link = {"link": "log"} if family == "gamma" else {}
    fit = jglm.fit(X, y, family=family, **link, dtype=dtype, covariance=None, **given)
    return Problem(fit.model, fit._data("a pass"), fit.kept, dtype)


def matrix(p, begins, dtype=np.float64):
    """A matrix (N, p) whose first number is the one with that index in a line of the cache."""
    room = np.empty(N * p + 32, dtype)
    at = (-room.ctypes.data // room.itemsize + begins) % (64 // room.itemsize)
    X = room[at : at + N * p].reshape(N, p)
    X[:] = RNG.normal(size=(N, p))
    return X


@pytest.mark.parametrize(("p", "begins", "family", "given"), [
    (5, 2, "bernoulli", {}),
    (5, 0, "bernoulli", dict(weights=np.arange(N) % 3.0)),
    (3, 7, "gamma", dict(intercept=False, offset=np.linspace(-1, 1, N))),
    (8, 1, "gamma", dict(dtype="float32")),
    (1, 5, "categorical", {}),
])  # fmt: skip
def test_a_pass_in_slabs_is_the_pass_by_blas(p, begins, family, given, monkeypatch):
    dtype = np.dtype(given.get("dtype", "float64"))
    problem, near = problem_of(matrix(p, begins, dtype), family, **given), 1e-13 if dtype == np.float64 else 1e-6
    shape = problem.shape(np.zeros(problem.design.shape[1] * problem.width)).shape
    with jax.enable_x64(True):
        query = Query(Unknowns(0.2 * RNG.normal(size=shape), {}))
        monkeypatch.setattr(slabs, "SLAB", 1 << 8)
        whole = [passes.HostPass(problem)(query, asks) for asks in (GRADIENT, HESSIAN)]
        monkeypatch.setattr(slabs, "PAYS", 0)
        monkeypatch.setattr(slabs, "BLOCK_ELEMENTS", {"cpu": 1 << 6})
        there = passes.HostPass(problem)
        assert len(there.slabs.slabs) > 1
        for asks, want in zip((GRADIENT, HESSIAN), whole, strict=True):
            got = there(query, asks)
            for name in ("value", "grad", "chi2", "noise", "count", "hess"):
                a, b = getattr(got, name), getattr(want, name)
                assert (a is None) == (b is None)
                if b is not None:
                    np.testing.assert_allclose(a, b, rtol=near, atol=near * np.max(np.abs(b)), err_msg=name)


def test_the_matrix_is_read_where_it_lies(monkeypatch):
    X = matrix(6, 2)
    monkeypatch.setattr(slabs, "SLAB", 1 << 8)
    monkeypatch.setattr(slabs, "PAYS", 0)
    problem = problem_of(X, "bernoulli", solver="newton")
    with jax.enable_x64(True):
        found = slabs.slabs_of(problem).slabs
    ends = X.ctypes.data, X.ctypes.data + X.nbytes
    inside = [ends[0] <= own.unsafe_buffer_pointer() <= ends[1] - own.nbytes for own, *_ in found]
    assert all(inside[:-2])  # behind them are the rows that are copied
    assert len(inside) > 20


def test_what_is_small_or_to_be_converted_is_left_to_blas(monkeypatch):
    X = matrix(4, 0)
    assert slabs.slabs_of(problem_of(X, "bernoulli")) is None
    monkeypatch.setattr(slabs, "PAYS", 0)
    for other in (np.asfortranarray(X), X.astype(np.float32)):
        assert slabs.slabs_of(problem_of(other, "bernoulli")) is None
