"""Factors by their codes: a design of which no one-hot column is ever written."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.designs import products
from jglm.designs.placement import place


@record(static=("width",))
class Categorical:
    """Numeric columns beside factors (and their interactions) coded by column.

    Attributes:
        X: (n, q) the numeric columns, and positions (q,): which columns of the design they are.
        index: (f, n) int32: for every factor the column that is 1 in each row; `width` where none is (its base level).
        width: p, the number of columns of the design.
    """

    X: Any
    positions: Any
    index: Any
    width: int

    is_matrix = False

    @classmethod
    def of(cls, *factors, numeric=None, drop_first=True):
        """Of factors side by side, after numeric columns (n, q).

        Args:
            factors: (n,) labels, in sorted order, or pandas categoricals, in theirs.
            drop_first: whether the first level of every factor is its base level and has no column.

        Raises ValueError for lengths that differ and labels that are missing.
        """
        coded = [_codes_of(factor, i) for i, factor in enumerate(factors)]
        if not coded:
            raise ValueError("there is no factor; give one label a row")
        n = len(coded[0][0])
        X = np.zeros((n, 0)) if numeric is None else np.asarray(numeric, float).reshape(n, -1)
        index, width = np.empty((len(coded), n), np.int32), X.shape[1]
        for row, (codes, levels) in zip(index, coded, strict=True):
            if len(codes) != n:
                raise ValueError(f"the factors have {n} and {len(codes)} rows; they must have the same")
            np.add(codes, width - drop_first, out=row, casting="unsafe")
            row[codes < drop_first] = -1
            width += levels - drop_first
        index[index < 0] = width
        return cls(X, np.arange(X.shape[1], dtype=np.int32), index, width)

    @property
    def shape(self):
        return self.index.shape[1], self.width

    @property
    def eps(self):
        return float(jnp.finfo(self.X.dtype).eps)

    @property
    def coded(self):
        """(p,) which columns are levels."""
        coded = np.ones(self.width, bool)
        coded[np.asarray(self.positions)] = False
        return coded

    # ------------------------------------------------------------------ traced
    def matvec(self, coef):
        padded = jnp.concatenate([coef, jnp.zeros_like(coef[:1])])
        return _add_up(lambda i: padded[i], self.index, self.X @ coef[self.positions])

    def rmatvec(self, r):
        sums = jnp.zeros((self.width + 1, *r.shape[1:]), r.dtype)
        sums = _add_to(sums, self.index, r)[:-1]
        return sums.at[self.positions].add((r.T @ self.X).T.astype(r.dtype))

    def squares(self, w):
        sums = _add_to(jnp.zeros(self.width + 1, w.dtype), self.index, w)[:-1]
        return sums.at[self.positions].add(w @ (self.X * self.X))

    def gram(self, w):
        f, p = self.index.shape[0], self.width
        pairs = np.array([(i, j) for i in range(f) for j in range(i, f)], np.int32).reshape(-1, 2)

        def add(t, total):
            i, j = jnp.asarray(pairs)[t]
            return total.at[self.index[i] * (p + 1) + self.index[j]].add(w)

        # One number a cell: a third faster than two.
        upper = lax.fori_loop(0, len(pairs), add, jnp.zeros((p + 1) ** 2, w.dtype)).reshape(p + 1, p + 1)[:-1, :-1]
        own = jnp.diagonal(upper)
        whole = upper + upper.T - jnp.diag(own)
        weighted = w[:, None] * self.X
        side = _add_to(jnp.zeros((p + 1, self.X.shape[1]), w.dtype), self.index, weighted)[:-1]
        whole = whole.at[:, self.positions].add(side).at[self.positions, :].add(side.T)
        return whole.at[self.positions[:, None], self.positions[None, :]].add(weighted.T @ self.X)

    # ------------------------------------------------------------------ outside a trace
    def hosted(self):
        return place(self)

    def astype(self, dtype):
        return Categorical(self.X.astype(dtype, copy=False), self.positions, self.index, self.width)

    def times(self, coef):
        return products.compiled("matvec", self, coef)

    def rtimes(self, r):
        return products.compiled("rmatvec", self, r)

    def crossprod(self, w):
        return products.compiled("gram", self, w)

    def take(self, rows):
        return Categorical(self.X[rows], self.positions, np.ascontiguousarray(self.index[:, rows]), self.width)

    def columns(self, kept):
        """The columns where `kept`; a level whose column goes counts as the base level."""
        kept = np.asarray(kept)
        new = np.append(np.where(kept, np.cumsum(kept) - 1, kept.sum()), kept.sum()).astype(np.int32)
        stay = kept[self.positions]
        return Categorical(
            np.ascontiguousarray(self.X[:, stay]), new[self.positions[stay]], new[self.index], int(kept.sum())
        )

    def has_ones(self, on):
        return any(np.all(self.X[on, j] == 1.0) for j in range(self.X.shape[1]))

    def dense(self):
        n, p = self.shape
        whole = np.zeros((n, p + 1))
        for codes in np.asarray(self.index):
            whole[np.arange(n), codes] = 1.0
        whole[:, np.asarray(self.positions)] = self.X
        return np.ascontiguousarray(whole[:, :p])


def _codes_of(factor, i):
    """(codes, number of levels) of labels."""
    values = getattr(factor, "cat", factor)
    if hasattr(values, "codes"):
        codes, levels = np.asarray(values.codes), len(values.categories)
    else:
        labels = np.asarray(factor)
        missing = labels != labels if labels.dtype.kind == "f" else np.zeros(labels.shape, bool)
        known, codes = np.unique(labels, return_inverse=True)
        codes, levels = np.where(missing, -1, codes), len(known)
    if codes.ndim != 1 or np.any(codes < 0):
        raise ValueError(f"factor {i + 1} must be one label a row, none of them missing")
    return codes, levels


def _add_up(value, index, start):
    """start + sum over factors of value(codes)."""
    return lax.fori_loop(0, index.shape[0], lambda i, total: total + value(index[i]), start)


def _add_to(sums, index, values):
    """Sums over the rows of every column."""
    return lax.fori_loop(0, index.shape[0], lambda i, total: total.at[index[i]].add(values), sums)
