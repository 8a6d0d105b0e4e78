"""A design is its three products: against NumPy, and by the adjoint identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jglm.designs import Dense, Factors, WithConstant, gram_blocks, place
from jglm.designs import dense as design

RNG = np.random.default_rng(0)
SHAPES = {"one block": (50, 4), "many blocks and a rest": (2 * (design.BLOCK_ELEMENTS // 300) + 777, 300)}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_products(name, dtype):
    n, p = SHAPES[name]
    X = RNG.normal(size=(n, p)).astype(dtype)
    D = Dense(jnp.asarray(X))
    assert D.shape == (n, p)
    wide = X.astype(np.float64)
    rtol = 1e-11 if dtype == "float64" else 3e-4
    c, r, w = RNG.normal(size=p), RNG.normal(size=n), RNG.uniform(size=n)
    lin, back = jax.jit(Dense.matvec)(D, c), jax.jit(Dense.rmatvec)(D, r)
    assert lin.dtype == back.dtype == np.float64
    np.testing.assert_allclose(lin, wide @ c, rtol=rtol, atol=rtol * 30)
    np.testing.assert_allclose(back, wide.T @ r, rtol=rtol, atol=rtol * 100)
    np.testing.assert_allclose(
        np.sum(np.asarray(lin) * r), np.sum(np.asarray(back) * c), rtol=1e-3 if dtype == "float32" else 1e-9
    )
    G = jax.jit(Dense.gram)(D, w)
    np.testing.assert_allclose(G, wide.T @ (w[:, None] * wide), rtol=rtol, atol=rtol * 100)


def test_products_with_several_columns():
    n, p, k = 60, 3, 2
    X = RNG.normal(size=(n, p))
    D = Dense(jnp.asarray(X))
    C, R = RNG.normal(size=(p, k)), RNG.normal(size=(n, k))
    np.testing.assert_allclose(D.matvec(jnp.asarray(C)), X @ C)
    np.testing.assert_allclose(D.rmatvec(jnp.asarray(R)), X.T @ R)
    half = RNG.normal(size=(n, k, k))
    W = half @ half.transpose(0, 2, 1)
    want = np.einsum("np,nij,nq->ipjq", X, W, X).reshape(p * k, p * k)
    np.testing.assert_allclose(gram_blocks(D, jnp.asarray(W)), want)


def factors(n=500):
    """Two factors, their interaction and two numeric columns, in a mixed order: (Factors, the matrix)."""
    a, b = RNG.integers(0, 3, n), RNG.integers(0, 4, n)
    numeric = np.column_stack([np.ones(n), RNG.normal(size=n)])
    width = 1 + 2 + 1 + 4 + 6
    main = np.where(a == 0, width, a)  # columns 1, 2
    other = 4 + b  # all four levels: columns 4 to 7
    crossed = np.where((a == 0) | (b == 3), width, 8 + (a - 1) + 2 * b)
    D = Factors(numeric, np.array([0, 3], np.int32), np.array([main, other, crossed], np.int32), width)
    whole = np.zeros((n, width + 1))
    whole[:, [0, 3]] = numeric
    for codes in (main, other, crossed):
        whole[np.arange(n), codes] = 1
    return D, whole[:, :width]


@pytest.mark.parametrize("kind", ["factors", "constant"])
def test_a_design_without_its_matrix_is_the_matrix(kind):
    D, X = factors() if kind == "factors" else (WithConstant(Dense(M := RNG.normal(size=(500, 3)))), None)
    X = np.column_stack([np.ones(500), M]) if X is None else X
    p, w = X.shape[1], RNG.uniform(size=500)
    assert D.shape == X.shape
    np.testing.assert_array_equal(D.dense(), X)
    on_device = place(D)
    for k in ((), (2,)):
        C, R = RNG.normal(size=(p, *k)), RNG.normal(size=(500, *k))
        for lin in (D.times(C), jax.jit(type(D).matvec)(on_device, C)):
            np.testing.assert_allclose(lin, X @ C, atol=1e-12)
        for back in (D.rtimes(R), jax.jit(type(D).rmatvec)(on_device, R)):
            np.testing.assert_allclose(back, X.T @ R, atol=1e-11)
    gram = X.T @ (w[:, None] * X)
    np.testing.assert_allclose(jax.jit(type(D).gram)(on_device, w), gram, atol=1e-11)
    np.testing.assert_allclose(jax.jit(type(D).squares)(on_device, w), np.diagonal(gram), atol=1e-11)
    kept, rows = RNG.uniform(size=p) < 0.6, np.flatnonzero(w > 0.5)
    np.testing.assert_array_equal(D.columns(kept).take(rows).dense(), X[np.ix_(rows, kept)])
    assert D.has_ones(w > 0.5)


def test_an_aligned_matrix_is_placed_without_a_copy():
    room = np.empty(8 * 1000 + 64, np.uint8)
    start = -room.ctypes.data % 64
    X = room[start : start + 8000].view(np.float64).reshape(250, 4)
    X[:] = RNG.normal(size=X.shape)
    placed = place(Dense(X)).X
    if jax.default_backend() == "cpu":
        assert placed.unsafe_buffer_pointer() == X.ctypes.data
    odd = RNG.normal(size=(251, 5))[1:, 1:]
    np.testing.assert_array_equal(place(Dense(odd)).X, odd)
    assert place(Dense(odd), "float32").X.dtype == np.float32
