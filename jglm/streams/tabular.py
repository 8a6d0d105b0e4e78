"""The design of a block of rows: numeric columns and codes of groups of factors, for passes that are compiled whole."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.designs import products


@record(static=("width", "folded"))
class Tabular:
    """Numeric columns below one another beside factors coded by group (see `designs.Categorical`).

    Attributes:
        X: (q, n) the numeric columns, stored in any real type; positions (q,): which columns of the design they are.
        codes: (g, n) for every group of factors the combination of levels in each row.
        members: (g, c, m) the columns of the design that are 1 in a combination; `width` for none.
        width: p, the number of columns of the design. folded: whether `gram` is a matrix or its `Tables`.
    """

    X: Any
    positions: Any
    codes: Any
    members: Any
    width: int
    folded: bool = True

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
        """X'WX, or where `folded` is not asked for the `Tables` that make it: they add up over blocks and are folded
        once."""
        X, codes = self.X.astype(w.dtype), self.codes.astype(jnp.int32)
        g, c = self.codes.shape[0], self.members.shape[1]
        weighted = X * w[None, :]
        cell = lambda i, v: jnp.zeros((c, *v.shape[1:]), w.dtype).at[codes[i]].add(v)
        pairs = [jnp.zeros(c * c, w.dtype).at[codes[i] * c + codes[j]].add(w).reshape(c, c) for i, j in _pairs(g)]
        single, side = [cell(i, w) for i in range(g)], [cell(i, weighted.T) for i in range(g)]
        tables = Tables(_dot(weighted, X.T), single, side, pairs)
        return self.fold(tables) if self.folded else tables

    def fold(self, tables):
        """X'WX from its `Tables`."""
        p, g, at = self.width, self.codes.shape[0], self.positions
        whole = jnp.zeros((p, p), tables.numeric.dtype).at[at[:, None], at[None, :]].add(tables.numeric)
        if not g:
            return whole
        c, cell = self.members.shape[1], jnp.arange(self.members.shape[1])[:, None]
        ones = [jnp.zeros((c, p + 1), whole.dtype).at[cell, self.members[i]].add(1.0)[:, :-1] for i in range(g)]
        for own, single, side in zip(ones, tables.single, tables.side, strict=True):
            whole = whole + (own * single[:, None]).T @ own
            both = own.T @ side
            whole = whole.at[:, at].add(both).at[at, :].add(both.T)
        for (i, j), table in zip(_pairs(g), tables.pairs, strict=True):
            both = ones[i].T @ table @ ones[j]
            whole = whole + both + both.T
        return whole

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
        return np.array(products.compiled("matvec", self, coef))  # a copy, which may be written to

    def rtimes(self, r):
        return products.compiled("rmatvec", self, r)

    def crossprod(self, w):
        return products.compiled("gram", self, w)

    def take(self, rows):
        """Those rows."""
        X, codes = np.ascontiguousarray(np.asarray(self.X)[:, rows]), np.asarray(self.codes)[:, rows]
        return Tabular(X, self.positions, codes, self.members, self.width, self.folded)

    def columns(self, kept):
        """The columns where `kept`; a level whose column goes counts as the base level."""
        kept, positions = np.asarray(kept), np.asarray(self.positions)
        new = np.append(np.where(kept, np.cumsum(kept) - 1, kept.sum()), kept.sum()).astype(np.int32)
        stay = kept[positions]
        X = self.X if stay.all() else np.ascontiguousarray(np.asarray(self.X)[stay])
        members = new[np.asarray(self.members)] if self.codes.shape[0] else self.members
        return Tabular(X, new[positions[stay]], self.codes, members, int(kept.sum()), self.folded)

    def dense(self):
        """The matrix (n, p)."""
        n, p = self.shape
        whole, rows = np.zeros((n, p + 1)), np.arange(n)[:, None]
        for codes, members in zip(np.asarray(self.codes), np.asarray(self.members), strict=True):
            whole[rows, members[codes]] = 1.0
        whole[:, np.asarray(self.positions)] = np.asarray(self.X).T
        return np.ascontiguousarray(whole[:, :p])


@record
class Tables:
    """Sums of which a Gram is made: that of the numeric columns (q, q); for each group the weights (c,) and weighted
    numeric columns (c, q) by combination; and for each pair of groups the weights by both combinations (c, c)."""

    numeric: Any
    single: list
    side: list
    pairs: list


def _pairs(count):
    return [(i, j) for i in range(count) for j in range(i + 1, count)]


def _dot(a, b):
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
