"""A matrix in memory."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.designs import products

# About a megabyte of X: a block stays in cache between being weighted and being multiplied. A device that has thousands
# of threads needs far larger ones.
BLOCK_ELEMENTS = {"cpu": 1 << 17}
OTHER_ELEMENTS = 1 << 26


@record(static=("dtype",))
class Dense:
    """A matrix (n, p) in memory, NumPy's or JAX's, stored in any real type.

    Products run in `dtype` ("float64", "float32", or None for that of X, at least float32), block by block where X is
    stored in another; sums over rows are kept in the dtype of the argument.
    """

    X: Any
    dtype: str | None = None

    is_matrix = True  # so that its rank can be read from its rows
    gram_is_cheap = False

    @property
    def shape(self):
        return self.X.shape

    @property
    def _dtype(self):
        return np.dtype(self.dtype or ("float64" if self.X.dtype == np.float64 else "float32"))

    @property
    def eps(self):
        """The relative precision of its products."""
        return float(np.finfo(self._dtype).eps)

    # ------------------------------------------------------------------ traced
    def matvec(self, coef):
        """X coef, (p,) -> (n,) or (p, k) -> (n, k)."""
        X, c = self.X, coef.astype(self._dtype)
        if X.dtype == self._dtype:
            return _dot(X, c).astype(coef.dtype)
        # A product and a sum are fused with the conversion, so no converted copy of X is made.
        one = lambda c: jnp.sum(X.astype(self._dtype) * c[None, :], axis=1).astype(coef.dtype)
        return one(c) if c.ndim == 1 else jnp.stack([one(c[:, j]) for j in range(c.shape[1])], axis=1)

    def rmatvec(self, r):
        """X'r, (n,) -> (p,) or (n, k) -> (p, k)."""
        if self.X.dtype == self._dtype == r.dtype:
            # XLA on CPU is several times faster at r'X than at X'r.
            return _dot(r.T, self.X).T
        if jax.default_backend() != "cpu":
            # A product and a sum are fused with the conversion: one read of X, sums in the wider type.
            one = lambda r: jnp.sum(self.X.astype(r.dtype) * r[:, None], axis=0)
            return one(r) if r.ndim == 1 else jnp.stack([one(r[:, j]) for j in range(r.shape[1])], axis=1)
        add = lambda X, r: _dot(r.astype(self._dtype).T, X.astype(self._dtype)).T.astype(r.dtype)
        return _over_blocks(add, jnp.zeros((self.shape[1], *r.shape[1:]), r.dtype), self.X, r)

    def gram(self, w):
        """X' diag(w) X, (n,) -> (p, p)."""

        def add(X, w):
            X = X.astype(self._dtype)
            return _dot((X * w[:, None].astype(X.dtype)).T, X).astype(w.dtype)

        return _over_blocks(add, jnp.zeros((self.shape[1], self.shape[1]), w.dtype), self.X, w)

    def squares(self, w):
        """The diagonal of X' diag(w) X, (n,) -> (p,)."""

        def add(X, w):
            X = X.astype(self._dtype)
            return _dot(w.astype(X.dtype), X * X).astype(w.dtype)

        return _over_blocks(add, jnp.zeros(self.shape[1], w.dtype), self.X, w)

    # ------------------------------------------------------------------ outside a trace
    def hosted(self):
        """The design as passes on the host have it: a JAX array is NumPy's where nothing is converted."""
        X = self.X
        if not isinstance(X, jax.Array) or len(X.devices()) > 1 or X.dtype != self._dtype:
            return self
        return Dense(np.asarray(X), self.dtype)

    def astype(self, dtype):
        """The design with products in `dtype`, and stored in no wider type."""
        wider = self.X.dtype.itemsize > np.dtype(dtype).itemsize
        return Dense(self.X.astype(dtype) if wider else self.X, dtype)

    def times(self, coef):
        """X coef."""
        if isinstance(self.X, jax.Array):
            return products.compiled("matvec", self, coef)
        return products.times(self.X, coef, self._dtype)

    def rtimes(self, r):
        """X'r."""
        if isinstance(self.X, jax.Array):
            return products.compiled("rmatvec", self, r)
        return products.rtimes(self.X, r, self._dtype)

    def crossprod(self, w):
        """X' diag(w) X."""
        if isinstance(self.X, jax.Array):
            return products.compiled("gram", self, w)
        return products.gram(self.X, w, self._dtype.name)

    def crossprod_of_classes(self, W):
        """X' W X for W (n, k, k), class by class."""
        return products.gram_of_classes(self.X, W, self._dtype.name)

    def diagonal(self, w):
        """The diagonal of X' diag(w) X."""
        if isinstance(self.X, jax.Array):
            return products.compiled("squares", self, w)
        return products.squares(self.X, w)

    def take(self, rows):
        """Those rows; a slice of them is a view."""
        if isinstance(rows, slice) or isinstance(self.X, jax.Array):
            return Dense(self.X[rows], self.dtype)
        return Dense(self.X.take(rows, axis=0), self.dtype)

    def columns(self, kept):
        """The columns where `kept`."""
        X = self.X[:, np.flatnonzero(kept)]
        return Dense(X if isinstance(X, jax.Array) else np.ascontiguousarray(X), self.dtype)

    def has_ones(self, on):
        """Whether a column is 1 in all rows where `on`."""
        first = np.asarray(self.X[int(np.argmax(on))])
        return any(bool(np.all(np.asarray(self.X[:, j])[on] == 1)) for j in np.flatnonzero(first == 1))

    def dense(self):
        """The matrix, float64."""
        return np.asarray(self.X).astype(np.float64, copy=False)


def _dot(a, b):
    # On a GPU the default for float32 is TF32, with three digits.
    return jnp.dot(a, b, precision=lax.Precision.HIGHEST)


def _over_blocks(part, zero, X, v):
    """sum of part(X[rows], v[rows]) over blocks of rows, without a copy of X."""
    n, p = X.shape
    rows = max(256, BLOCK_ELEMENTS.get(jax.default_backend(), OTHER_ELEMENTS) // max(p, 1))
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
