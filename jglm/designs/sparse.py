"""A matrix of few nonzeros: SciPy's rows of (column, value) as they are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.designs import products

BLOCK_ELEMENTS = 1 << 20  # of the dense blocks that a Gram matrix is made from


@record(static=("width", "longest"))
class Sparse:
    """A matrix (n, p) in compressed sparse rows; rows and columns may stand in any order within a row.

    Attributes:
        data: (m,) the values, and indices (m,) the column of each.
        indptr: (n + 1,) where the rows begin in them.
        width: p, and longest: the most nonzeros of a row.
    """

    data: Any
    indices: Any
    indptr: Any
    width: int
    longest: int

    is_matrix = False
    gram_is_cheap = False

    @classmethod
    def of(cls, X):
        """Of any SciPy sparse matrix or array; without a copy where it is CSR without duplicates."""
        X = X.tocsr()
        if not X.has_canonical_format:
            X = X.copy() if X.format == "csr" else X
            X.sum_duplicates()
        longest = int(np.max(np.diff(X.indptr), initial=0))
        return cls(X.data, X.indices, X.indptr, X.shape[1], longest)

    @classmethod
    def alike(cls, parts, gather=lambda value: [value]):
        """Matrices with room for equally many values, 0 where they have fewer, so that their arrays stack; `gather`
        brings the sizes of others."""
        sizes = [(part.data.shape[0], part.longest) for part in parts]
        most, longest = (max(sizes) for sizes in zip(*gather(tuple(map(max, zip(*sizes, strict=True)))), strict=True))
        filled = lambda v: np.concatenate([v, np.zeros(most - len(v), v.dtype)])
        return [cls(filled(p.data), filled(p.indices), p.indptr, p.width, longest) for p in parts]

    @property
    def shape(self):
        return self.indptr.shape[0] - 1, self.width

    @property
    def eps(self):
        return float(jnp.finfo(self.data.dtype).eps)

    @property
    def coded(self):
        """(p,) which columns a sample of rows may miss."""
        return np.ones(self.width, bool)

    # ------------------------------------------------------------------ traced
    def _rows(self):
        """(m,) the row of each value."""
        n, m = self.shape[0], self.data.shape[0]
        return jnp.repeat(jnp.arange(n, dtype=jnp.int32), jnp.diff(self.indptr), total_repeat_length=m)

    def _per_row(self, values):
        """Sums over each row of values (m, ...)."""
        zero = jnp.zeros((self.shape[0], *values.shape[1:]), values.dtype)
        return zero.at[self._rows()].add(values, indices_are_sorted=True)

    def matvec(self, coef):
        return self._per_row(_scale(self.data.astype(coef.dtype), coef[self.indices]))

    def rmatvec(self, r):
        zero = jnp.zeros((self.width, *r.shape[1:]), r.dtype)
        return zero.at[self.indices].add(_scale(self.data.astype(r.dtype), r[self._rows()]))

    def squares(self, w):
        return jnp.zeros(self.width, w.dtype).at[self.indices].add(self.data.astype(w.dtype) ** 2 * w[self._rows()])

    def gram(self, w):
        n, p = self.shape
        size = min(n, max(1, BLOCK_ELEMENTS // max(p, 1)))
        local = jnp.arange(size)[:, None]

        def add(i, total):
            # The last block begins earlier, so that all have one size; its rows that were there before count nothing.
            first = jnp.minimum(i * size, n - size)
            at = self.indptr[first + local] + jnp.arange(self.longest)[None, :]
            inside = (at < self.indptr[first + local + 1]) & (first + local >= i * size)
            values = jnp.where(inside, self.data[at].astype(w.dtype), 0.0)
            block = jnp.zeros((size, p), w.dtype).at[local, self.indices[at]].add(values)
            return total + (block * lax.dynamic_slice_in_dim(w, first, size)[:, None]).T @ block

        return lax.fori_loop(0, -(-n // size), add, jnp.zeros((p, p), w.dtype))

    # ------------------------------------------------------------------ on the host
    def csr(self):
        """SciPy's view of it."""
        from scipy import sparse

        return sparse.csr_array(tuple(map(np.asarray, (self.data, self.indices, self.indptr))), self.shape)

    def hosted(self):
        return self

    def astype(self, dtype):
        data = self.data.astype(dtype, copy=False)
        return Sparse(data, self.indices, self.indptr, self.width, self.longest)

    def times(self, coef):
        if isinstance(self.data, jax.Array):
            return products.compiled("matvec", self, coef)
        # SciPy would convert the matrix to the type of a wider vector.
        return (self.csr() @ coef.astype(self.data.dtype, copy=False)).astype(np.float64, copy=False)

    def rtimes(self, r):
        if isinstance(self.data, jax.Array):
            return products.compiled("rmatvec", self, r)
        return (self.csr().T @ r.astype(self.data.dtype, copy=False)).astype(np.float64, copy=False)

    def crossprod(self, w):
        if isinstance(self.data, jax.Array):
            return products.compiled("gram", self, w)
        X = self.csr()
        weighted = X.copy()
        weighted.data = weighted.data * np.repeat(w, np.diff(X.indptr))
        return (X.T @ weighted).toarray()

    def take(self, rows):
        return Sparse.of(self.csr()[rows])

    def columns(self, kept):
        return Sparse.of(self.csr()[:, np.flatnonzero(kept)])

    def has_ones(self, on):
        X = self.csr()[np.flatnonzero(on)]
        ones = np.bincount(X.indices[X.data == 1.0], minlength=self.width)
        return bool(np.any(ones == X.shape[0]))

    def dense(self):
        return self.csr().toarray().astype(np.float64)


def _scale(values, v):
    return values * v if v.ndim == 1 else values[:, None] * v
