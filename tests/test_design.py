"""A design is its three products: against NumPy, and by the adjoint identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jglm.designs import dense as design
from jglm.designs import Dense, gram_blocks

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
