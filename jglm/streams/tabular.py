"""The design of a block of rows: numeric columns and codes of groups of factors, for passes that are compiled whole."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.designs import products


@record(static=("width",))
class Tabular:
    """Numeric columns below one another beside factors coded by group (see `designs.Categorical`).

    Attributes:
        X: (q, n) the numeric columns, stored in any real type; positions (q,): which columns of the design they are.
        codes: (g, n) for every group of factors the combination of levels in each row.
        members: (g, c, m) the columns of the design that are 1 in a combination; `width` for none.
        width: p, the number of columns of the design.
    """

    X: Any
    positions: Any
    codes: Any
    members: Any
    width: int

    is_matrix = False
    gram_is_cheap = False
    eps = float(np.finfo(np.float64).eps)

    @property
    def shape(self):
        return self.X.shape[1], self.width

    def matvec(self, coef):
        lin = _dot(coef[self.positions].T, self.X.astype(coef.dtype)).T
        if not self.codes.shape[0]:
            return lin
        padded = jnp.concatenate([coef, jnp.zeros_like(coef[:1])])
        cells = jnp.sum(padded[self.members], axis=2)
        for i in range(self.codes.shape[0]):
            lin = lin + cells[i][self.codes[i].astype(jnp.int32)]
        return lin

    def rmatvec(self, r):
        sums = self._from_cells(r)
        return sums.at[self.positions].add(_dot(self.X.astype(r.dtype), r))

    def _from_cells(self, r):
        """X'r of the coded columns, (p, ...)."""
        sums = jnp.zeros((self.width + 1, *r.shape[1:]), r.dtype)
        for i in range(self.codes.shape[0]):
            zero = jnp.zeros((self.members.shape[1], *r.shape[1:]), r.dtype)
            cells = zero.at[self.codes[i].astype(jnp.int32)].add(r)
            values = jnp.broadcast_to(jnp.expand_dims(cells, 1), (*self.members.shape[1:], *r.shape[1:]))
            sums = sums.at[self.members[i]].add(values)
        return sums[:-1]

    def squares(self, w):
        X = self.X.astype(w.dtype)
        return self._from_cells(w).at[self.positions].add(_dot(X * X, w))

    def gram(self, w):
        p, X = self.width, self.X.astype(w.dtype)
        whole = jnp.zeros((p, p), w.dtype)
        if self.codes.shape[0]:
            whole = self._tables(w)
            weighted = X * w[None, :]
            side = self._from_cells(weighted.T)
            whole = whole.at[:, self.positions].add(side).at[self.positions, :].add(side.T)
        return whole.at[self.positions[:, None], self.positions[None, :]].add(_dot(X * w[None, :], X.T))

    def _tables(self, w):
        """The Gram of the coded columns: a table of weights for every pair of groups."""
        g, c, _ = self.members.shape
        p = self.width
        pairs = np.array([(i, j) for i in range(g) for j in range(i, g)], np.int32)
        cell = jnp.arange(c)[:, None]
        ones = lambda i: jnp.zeros((c, p + 1), w.dtype).at[cell, self.members[i]].add(1.0)[:, :-1]

        def add(t, total):
            i, j = jnp.asarray(pairs)[t]
            at = self.codes[i].astype(jnp.int32) * c + self.codes[j].astype(jnp.int32)
            table = jnp.zeros(c * c, w.dtype).at[at].add(w).reshape(c, c)
            own = ones(i).T @ table @ ones(j)
            return total + jnp.where(i == j, own, own + own.T)

        return lax.fori_loop(0, len(pairs), add, jnp.zeros((p, p), w.dtype))

    # ------------------------------------------------------------------ outside a trace
    @property
    def coded(self):
        """(p,) which columns are levels."""
        coded = np.ones(self.width, bool)
        coded[np.asarray(self.positions)] = False
        return coded

    def hosted(self):
        return self

    def astype(self, dtype):
        return self  # a block is read once: it keeps the type that it was stored in, products are the caller's

    def times(self, coef):
        return products.compiled("matvec", self, coef)

    def rtimes(self, r):
        return products.compiled("rmatvec", self, r)

    def crossprod(self, w):
        return products.compiled("gram", self, w)

    def columns(self, kept):
        """The columns where `kept`; a level whose column goes counts as the base level."""
        kept, positions = np.asarray(kept), np.asarray(self.positions)
        new = np.append(np.where(kept, np.cumsum(kept) - 1, kept.sum()), kept.sum()).astype(np.int32)
        stay = kept[positions]
        X = self.X if stay.all() else np.ascontiguousarray(np.asarray(self.X)[stay])
        members = new[np.asarray(self.members)] if self.codes.shape[0] else self.members
        return Tabular(X, new[positions[stay]], self.codes, members, int(kept.sum()))

    def dense(self):
        """The matrix (n, p)."""
        n, p = self.shape
        whole, rows = np.zeros((n, p + 1)), np.arange(n)[:, None]
        for codes, members in zip(np.asarray(self.codes), np.asarray(self.members), strict=True):
            whole[rows, members[codes]] = 1.0
        whole[:, np.asarray(self.positions)] = np.asarray(self.X).T
        return np.ascontiguousarray(whole[:, :p])


def _dot(a, b):
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
