"""A matrix in memory, and one with a column of ones in front that is never written."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record

# About a megabyte of X: a block stays in cache between being weighted and being multiplied.
BLOCK_ELEMENTS = 1 << 17


@record
class Dense:
    """A matrix (n, p) in memory. Products run in X's dtype; sums over rows are kept in the dtype of the argument."""

    X: Any

    is_matrix = True  # so that BLAS can be asked for its Gram matrix

    @property
    def shape(self):
        return self.X.shape

    @property
    def eps(self):
        """The relative precision of its products."""
        return float(jnp.finfo(self.X.dtype).eps)

    def matvec(self, coef):
        """X coef, (p,) -> (n,) or (p, k) -> (n, k)."""
        return _dot(self.X, coef.astype(self.X.dtype)).astype(coef.dtype)

    def rmatvec(self, r):
        """X'r, (n,) -> (p,) or (n, k) -> (p, k)."""
        if self.X.dtype == r.dtype:
            # XLA on CPU is several times faster at r'X than at X'r.
            return _dot(r.T, self.X).T
        add = lambda X, r: _dot(r.astype(X.dtype).T, X).T.astype(r.dtype)
        zero = jnp.zeros((self.shape[1], *r.shape[1:]), r.dtype)
        return _over_blocks(add, zero, self.X, r)

    def gram(self, w):
        """X' diag(w) X, (n,) -> (p, p)."""
        add = lambda X, w: _dot((X * w[:, None].astype(X.dtype)).T, X).astype(w.dtype)
        zero = jnp.zeros((self.shape[1], self.shape[1]), w.dtype)
        return _over_blocks(add, zero, self.X, w)

    def squares(self, w):
        """The diagonal of X' diag(w) X, (n,) -> (p,)."""
        add = lambda X, w: _dot(w.astype(X.dtype), X * X).astype(w.dtype)
        return _over_blocks(add, jnp.zeros(self.shape[1], w.dtype), self.X, w)

    def times(self, coef):
        """X coef on the host."""
        return self.X @ coef

    def rtimes(self, r):
        """X'r on the host."""
        return (r.T @ self.X).T

    def take(self, rows):
        """Those rows."""
        return Dense(self.X[rows])

    def columns(self, kept):
        """The columns where `kept`."""
        return Dense(np.ascontiguousarray(self.X[:, kept]))

    def has_ones(self, on):
        """Whether a column is 1 in all rows where `on`."""
        first = self.X[np.argmax(on)]
        return any(np.all(self.X[on, j] == 1.0) for j in np.flatnonzero(first == 1.0))

    def dense(self):
        """The matrix, float64."""
        return np.asarray(self.X, np.float64)


@record
class WithConstant:
    """A design with a column of ones in front."""

    inner: Any

    @property
    def is_matrix(self):
        return self.inner.is_matrix

    @property
    def shape(self):
        n, p = self.inner.shape
        return n, p + 1

    @property
    def eps(self):
        return self.inner.eps

    def matvec(self, coef):
        return self.inner.matvec(coef[1:]) + coef[:1]

    def rmatvec(self, r):
        return jnp.concatenate([jnp.sum(r, axis=0, keepdims=True), self.inner.rmatvec(r)])

    def gram(self, w):
        side = self.inner.rmatvec(w)
        return jnp.block([[jnp.sum(w)[None, None], side[None]], [side[:, None], self.inner.gram(w)]])

    def squares(self, w):
        return jnp.concatenate([jnp.sum(w)[None], self.inner.squares(w)])

    def times(self, coef):
        return self.inner.times(coef[1:]) + coef[:1]

    def rtimes(self, r):
        return np.concatenate([np.sum(r, axis=0, keepdims=True), self.inner.rtimes(r)])

    def take(self, rows):
        return WithConstant(self.inner.take(rows))

    def columns(self, kept):
        inner = self.inner if np.all(kept[1:]) else self.inner.columns(kept[1:])
        return WithConstant(inner) if kept[0] else inner

    def has_ones(self, on):
        return True

    def dense(self):
        X = self.inner.dense()
        whole = np.empty((X.shape[0], X.shape[1] + 1))
        whole[:, 0] = 1.0
        whole[:, 1:] = X
        return whole


def _dot(a, b):
    # On a GPU the default for float32 is TF32, with three digits.
    return jnp.dot(a, b, precision=lax.Precision.HIGHEST)


def _over_blocks(part, zero, X, v):
    """sum of part(X[rows], v[rows]) over blocks of rows, without a copy of X."""
    n, p = X.shape
    rows = max(256, BLOCK_ELEMENTS // max(p, 1))
    if n <= 2 * rows:
        return part(X, v)

    def body(i, total):
        at = i * rows
        return total + part(lax.dynamic_slice_in_dim(X, at, rows), lax.dynamic_slice_in_dim(v, at, rows))

    whole = n // rows
    total = lax.fori_loop(0, whole, body, zero)
    return total + part(X[whole * rows :], v[whole * rows :]) if n % rows else total


def gram_blocks(design, w):
    """X' W X for W (n, k, k): the Hessian (k p, k p), class by class."""
    k, p = w.shape[1], design.shape[1]
    rows, columns = jnp.triu_indices(k)
    one = lambda ij: design.gram(w[:, ij[0], ij[1]])
    blocks = lax.map(one, (rows, columns))
    whole = jnp.zeros((k, k, p, p), blocks.dtype).at[rows, columns].set(blocks).at[columns, rows].set(blocks)
    return whole.transpose(0, 2, 1, 3).reshape(k * p, k * p)


def cross(design, w, Z):
    """X' diag(w) Z for a small matrix Z (n, q): (p, q)."""
    return design.rmatvec(w[:, None] * Z)
