"""A design is its three products: against NumPy, and by the adjoint identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import threadpoolctl
from scipy import sparse

from jglm.designs import (
    Categorical,
    Columns,
    Dense,
    Lagged,
    Scaled,
    Sparse,
    WithConstant,
    dense,
    gram_blocks,
    place,
    products,
)

RNG = np.random.default_rng(0)
SHAPES = {"one block": (50, 4), "many blocks and a rest": (2 * (dense.BLOCK_ELEMENTS["cpu"] // 300) + 777, 300)}


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
    """Two factors, their interaction and two numeric columns, in a mixed order: (Categorical, the matrix)."""
    a, b = RNG.integers(0, 3, n), RNG.integers(0, 4, n)
    numeric = np.column_stack([np.ones(n), RNG.normal(size=n)])
    width = 1 + 2 + 1 + 4 + 6
    main = np.where(a == 0, width, a)  # columns 1, 2
    other = 4 + b  # all four levels: columns 4 to 7
    crossed = np.where((a == 0) | (b == 3), width, 8 + (a - 1) + 2 * b)
    every = np.append(np.arange(width), -1)
    parts = [(main, every), (b, 4 + np.arange(4)), (crossed, every)]
    D = Categorical.grouped(numeric, [0, 3], parts, width)
    whole = np.zeros((n, width + 1))
    whole[:, [0, 3]] = numeric
    for codes in (main, other, crossed):
        whole[np.arange(n), codes] = 1
    return D, whole[:, :width]


def sparse_matrix(n=500, p=40):
    return np.where(RNG.uniform(size=(n, p)) < 0.1, RNG.normal(size=(n, p)), 0.0)


def lagged(filters=None):
    """Signals with their past, within series: (Lagged, the matrix)."""
    signal, series, lags = RNG.normal(size=(500, 2)), np.repeat([0, 1, 2], [200, 3, 297]), 5
    X = np.zeros((500, 2, lags))
    for row in range(500):
        for lag in range(lags):
            if row >= lag and series[row - lag] == series[row]:
                X[row, :, lag] = signal[row - lag]
    D = Lagged.of(signal, lags if filters is None else None, filters, series)
    return D, (X if filters is None else X @ filters).reshape(500, -1)


def stored(dtype):
    X = np.round(RNG.normal(size=(500, 6)) * 4).astype(dtype)
    return Dense(X, "float64"), X.astype(float)


def combined():
    parts = [Dense(RNG.normal(size=(500, 3))), Sparse.of(sparse.csr_array(sparse_matrix())), factors()[0]]
    return WithConstant(Columns(tuple(parts))), np.column_stack([np.ones(500), *(D.dense() for D in parts)])


def scaled():
    X = sparse_matrix() + 0.3 * (np.arange(40) == 7)
    D = Scaled.standardized(Sparse.of(sparse.csr_array(X)))
    return D, (X - X.mean(axis=0)) / X.std(axis=0)


KINDS = {
    "float32": lambda: stored("float32"),
    "int8": lambda: stored("int8"),
    "bfloat16": lambda: stored(jnp.bfloat16),
    "constant": lambda: (WithConstant(Dense(M := RNG.normal(size=(500, 3)))), np.column_stack([np.ones(500), M])),
    "categorical": factors,
    "factors of many levels": lambda: many_levels(),
    "sparse": lambda: (Sparse.of(sparse.csc_matrix(X := sparse_matrix())), X),
    "columns": combined,
    "scaled": scaled,
    "lags": lagged,
    "filters": lambda: lagged(RNG.normal(size=(5, 3))),
}


def many_levels():
    """Groups of one factor, and of several."""
    labels = [RNG.integers(0, levels, 500) for levels in (300, 20, 12, 3, 2)]
    D = Categorical.of(*labels, drop_first=False)
    return D, np.hstack([(v[:, None] == np.unique(v)).astype(float) for v in labels])


def symmetric(n, k):
    W = RNG.normal(size=(n, k, k))
    return W + W.swapaxes(1, 2)


def gram_of_classes(X, W):
    size = X.shape[1] * W.shape[1]
    return np.einsum("na,nij,nb->iajb", X, W, X, optimize=True).reshape(size, size)


def test_factors_multiply_many_columns_block_by_block():
    n = 5 * products.ROWS // 2
    D, X = factors(n)
    C, R = RNG.normal(size=(X.shape[1], 3)), RNG.normal(size=(n, 3))
    np.testing.assert_allclose(D.times(C), X @ C, atol=1e-11)
    np.testing.assert_allclose(D.rtimes(R), X.T @ R, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_design_is_its_matrix(kind):
    D, X = KINDS[kind]()
    p, w = X.shape[1], RNG.uniform(size=500)
    assert D.shape == X.shape
    np.testing.assert_allclose(D.dense(), X, atol=1e-14)
    on_device = place(D)
    for k in ((), (2,)):
        C, R = RNG.normal(size=(p, *k)), RNG.normal(size=(500, *k))
        for lin in (D.times(C), D.hosted().times(C), jax.jit(type(D).matvec)(on_device, C)):
            np.testing.assert_allclose(lin, X @ C, atol=1e-11)
        for back in (D.rtimes(R), D.hosted().rtimes(R), jax.jit(type(D).rmatvec)(on_device, R)):
            np.testing.assert_allclose(back, X.T @ R, atol=1e-11)
    gram = X.T @ (w[:, None] * X)
    for found in (D.crossprod(w), D.hosted().crossprod(w), jax.jit(type(D).gram)(on_device, w)):
        np.testing.assert_allclose(found, gram, atol=1e-10)
    np.testing.assert_allclose(jax.jit(type(D).squares)(on_device, w), np.diagonal(gram), atol=1e-10)
    W = symmetric(500, 2)
    np.testing.assert_allclose(products.gram_blocks(D, W), gram_of_classes(X, W), atol=1e-10)
    rows = np.flatnonzero(w > 0.5)
    for kept in (RNG.uniform(size=p) < 0.6, np.ones(p, bool), np.arange(p) == 0):
        np.testing.assert_allclose(D.columns(kept).take(rows).dense(), X[np.ix_(rows, kept)], atol=1e-14)
        np.testing.assert_allclose(D.columns(kept).dense(), X[:, kept], atol=1e-14)
    assert D.has_ones(w > 0.5) == bool(np.any(np.all(X[w > 0.5] == 1, axis=0)))
    single = D.astype("float32")
    assert single.eps == np.finfo(np.float32).eps
    np.testing.assert_allclose(single.times(C), X @ C, atol=1e-4)
    np.testing.assert_allclose(single.rtimes(R), X.T @ R, atol=2e-3)


def test_factors_are_coded_by_their_levels():
    pandas = pytest.importorskip("pandas")
    first, second = np.array([7, 3, 3, 9]), pandas.Categorical(["b", "a", "b", "a"], categories=["b", "a", "unused"])
    D = Categorical.of(first, second, numeric=np.arange(4.0))
    np.testing.assert_array_equal(D.dense(), [[0, 1, 0, 0, 0], [1, 0, 0, 1, 0], [2, 0, 0, 0, 0], [3, 0, 1, 1, 0]])
    assert Categorical.of(first, second, drop_first=False).dense().sum() == 8
    with pytest.raises(ValueError, match="factor 2 must be one label a row"):
        Categorical.of(first, np.array([1.0, np.nan, 2.0, 1.0]))
    with pytest.raises(ValueError, match="4 and 3 rows"):
        Categorical.of(first, first[1:])


def test_codes_take_no_more_room_than_the_factors():
    labels = [RNG.integers(0, levels, 10_000) for levels in (22, 2, 12, 83, 11, 6, 10, 40)]
    D = Categorical.of(*labels)
    assert D.codes.nbytes <= 8 * 10_000
    assert len(D.codes) < 8


def test_an_aligned_matrix_is_placed_without_a_copy():
    room = np.empty(8 * 1000 + 64, np.uint8)
    start = -room.ctypes.data % 64
    X = room[start : start + 8000].view(np.float64).reshape(250, 4)
    X[:] = RNG.normal(size=X.shape)
    placed: jax.Array = place(Dense(X)).X
    if jax.default_backend() == "cpu":
        assert placed.unsafe_buffer_pointer() == X.ctypes.data
    odd = RNG.normal(size=(251, 5))[1:, 1:]
    np.testing.assert_array_equal(place(Dense(odd)).X, odd)


def test_factors_of_many_rows_are_summed_in_threads(monkeypatch):
    monkeypatch.setattr(products, "cores", lambda: 3)
    D, X = factors(products.ROWS + 77)
    n, p = X.shape
    c, w = RNG.normal(size=p), RNG.uniform(size=n)
    np.testing.assert_allclose(D.times(c), X @ c, atol=1e-12)
    np.testing.assert_allclose(D.rtimes(w), X.T @ w)
    np.testing.assert_allclose(D.crossprod(w), X.T @ (w[:, None] * X), atol=1e-9)


@pytest.mark.parametrize(("dtype", "near"), [("float64", 1e-9), ("float32", 2e-2)])
def test_a_matrix_of_many_rows_is_multiplied_in_threads(monkeypatch, dtype, near):
    monkeypatch.setattr(products, "cores", lambda: 3)
    monkeypatch.setattr(products, "ELEMENTS", 1)
    before = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
    n, p = products.ROWS + 77, 4
    D = WithConstant(Dense(RNG.normal(size=(n, p)))).astype(dtype)
    X, c, r, W = D.dense(), RNG.normal(size=(p + 1, 2)), RNG.normal(size=(n, 2)), symmetric(n, 3)
    np.testing.assert_allclose(D.times(c), X @ c, atol=near * 1e-3)
    np.testing.assert_allclose(D.rtimes(r), X.T @ r, atol=near)
    for w in (RNG.uniform(size=n), RNG.normal(size=n)):
        np.testing.assert_allclose(D.crossprod(w), X.T @ (w[:, None] * X), atol=near)
    np.testing.assert_allclose(D.diagonal(W[:, 0, 0]), np.square(X).T @ W[:, 0, 0], atol=near)
    np.testing.assert_allclose(products.gram_blocks(D, W), gram_of_classes(X, W), atol=near)
    assert [pool["num_threads"] for pool in threadpoolctl.threadpool_info()] == before
