"""Factors by their codes: a design of which no one-hot column is ever written.

Factors of few levels are joined into groups whose combinations are coded together, so that a product passes over fewer
codes than there are factors: X'WX needs a table of weights for every pair of groups, and what is left to do is of the
size of the tables.
"""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.designs import products

CELLS = 256  # combinations in a group: the table of two of them stays in cache


@record(static=("width",))
class Categorical:
    """Numeric columns beside factors (and their interactions) coded by column.

    Attributes:
        X: (n, q) the numeric columns, and positions (q,): which columns of the design they are.
        codes: (g, n) for every group of factors the combination of levels in each row.
        members: (g, c, m) the columns of the design that are 1 in a combination; `width` for none (a base level).
        width: p, the number of columns of the design.
    """

    X: Any
    positions: Any
    codes: Any
    members: Any
    width: int

    is_matrix = False
    gram_is_cheap = True

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
        parts, width = [], X.shape[1]
        for codes, levels in coded:
            if len(codes) != n:
                raise ValueError(f"the factors have {n} and {len(codes)} rows; they must have the same")
            columns = np.arange(width - drop_first, width + levels - drop_first)
            parts.append((codes, np.where(np.arange(levels) < drop_first, -1, columns)))
            width += levels - drop_first
        return cls.grouped(X, np.arange(X.shape[1]), parts, width)

    @classmethod
    def grouped(cls, X, positions, parts, width):
        """Of factors (codes (n,), columns): `columns` has the column of each code, -1 for none."""
        groups: list = []
        for codes, columns in sorted(parts, key=lambda part: -len(part[1])):
            group = next((g for g in groups if len(g[1]) * len(columns) <= CELLS), None)
            own = np.where(columns < 0, width, columns)[:, None].astype(np.int32)
            if group is None:
                groups.append([codes, own])
                continue
            small = np.min_scalar_type(CELLS - 1)
            group[0] = group[0].astype(small) * small.type(len(columns)) + codes.astype(small)
            group[1] = np.hstack([np.repeat(group[1], len(columns), axis=0), np.tile(own, (len(group[1]), 1))])
        cells = max(len(g[1]) for g in groups)
        members = np.full((len(groups), cells, max(g[1].shape[1] for g in groups)), width, np.int32)
        codes = np.empty((len(groups), len(groups[0][0])), np.min_scalar_type(cells - 1))
        for i, (own, columns) in enumerate(groups):
            codes[i] = own
            members[i, : len(columns), : columns.shape[1]] = columns
        return cls(np.ascontiguousarray(X), np.asarray(positions, np.int32), codes, members, width)

    @property
    def shape(self):
        return self.codes.shape[1], self.width

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
        cells = jnp.sum(padded[self.members], axis=2)
        add = lambda i, lin: lin + cells[i][self.codes[i].astype(jnp.int32)]
        return lax.fori_loop(0, len(self.codes), add, self.X @ coef[self.positions])

    def rmatvec(self, r):
        sums = self._from_cells(self._cells(r), r)
        return sums.at[self.positions].add((r.T @ self.X).T.astype(r.dtype))

    def squares(self, w):
        return self._from_cells(self._cells(w), w).at[self.positions].add(w @ (self.X * self.X))

    def _cells(self, r):
        """(g, c, ...) sums of r over the rows of every combination."""
        zero = jnp.zeros((*self.members.shape[:2], *r.shape[1:]), r.dtype)
        return lax.fori_loop(0, len(self.codes), lambda i, t: t.at[i, self.codes[i].astype(jnp.int32)].add(r), zero)

    def _from_cells(self, cells, r):
        sums = jnp.zeros((self.width + 1, *r.shape[1:]), r.dtype)
        values = jnp.broadcast_to(jnp.expand_dims(cells, 2), (*self.members.shape, *r.shape[1:]))
        return sums.at[self.members].add(values)[:-1]

    def gram(self, w):
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

        whole = lax.fori_loop(0, len(pairs), add, jnp.zeros((p, p), w.dtype))
        weighted = w[:, None] * self.X
        side = self._from_cells(self._cells(weighted), weighted)
        whole = whole.at[:, self.positions].add(side).at[self.positions, :].add(side.T)
        return whole.at[self.positions[:, None], self.positions[None, :]].add(weighted.T @ self.X)

    # ------------------------------------------------------------------ outside a trace
    def hosted(self):
        return self

    def astype(self, dtype):
        return Categorical(self.X.astype(dtype), self.positions, self.codes, self.members, self.width)

    def times(self, coef):
        if isinstance(self.codes, jax.Array):
            return products.compiled("matvec", self, coef)
        cells = np.concatenate([coef, np.zeros_like(coef[:1])])[self.members].sum(axis=2)
        lin = np.asarray(self.X @ coef[self.positions], np.float64)

        def add(rows):
            if coef.ndim > 1:
                lin[rows] += self._combinations(rows) @ cells.reshape(-1, coef.shape[1])
                return
            part = lin[rows]
            for cell, codes in zip(cells, self.codes, strict=True):
                part += np.take(cell, codes[rows])

        parts = products.spans(len(lin)) if coef.ndim == 1 else products.blocks(len(lin))
        products.in_threads(add, parts, len(lin))
        return lin

    def rtimes(self, r):
        if isinstance(self.codes, jax.Array):
            return products.compiled("rmatvec", self, r)
        back = self._columns_of(self._totals(r) if r.ndim == 1 else self._totals_of_columns(r))
        back[self.positions] += (r.T @ self.X).T
        return back

    def crossprod(self, w):
        if isinstance(self.codes, jax.Array):
            return products.compiled("gram", self, w)
        (g, c, _), p = self.members.shape, self.width
        whole = np.zeros((p + 1, p + 1))
        groups = [_indicators(members) for members in self.members]
        pairs = list(itertools.combinations(range(g), 2))

        def table(pair):
            i, j = pair
            return np.bincount(self.codes[i].astype(np.intp) * c + self.codes[j], w, c * c).reshape(c, c)

        tables = products.in_threads(table, pairs, len(w))
        for (i, j), sums in zip(pairs, tables, strict=True):
            (columns, ones), (others, theirs) = groups[i], groups[j]
            side = ones.T @ (sums @ theirs)
            whole[np.ix_(columns, others)] += side
            whole[np.ix_(others, columns)] += side.T
        # The totals of the cells of a group are in every table of it.
        own = [tables[0].sum(axis=1), *(sums.sum(axis=0) for sums in tables[: g - 1])] if g > 1 else self._totals(w)
        for (columns, ones), sums in zip(groups, own, strict=True):
            whole[np.ix_(columns, columns)] += (ones * sums[:, None]).T @ ones
        whole = np.ascontiguousarray(whole[:-1, :-1])
        for j, column in zip(self.positions, self.X.T, strict=True):
            weighted = w * column
            side = self._columns_of(own if np.all(column == 1.0) else self._totals(weighted))
            side[self.positions] += weighted @ self.X
            whole[:, j] = whole[j, :] = side
        return whole

    def _totals(self, r):
        """Of r (n,) for every group over the rows of each combination, on the host."""
        c = self.members.shape[1]
        return products.in_threads(lambda codes: np.bincount(codes, r, c), self.codes, len(r))

    def _totals_of_columns(self, r):
        """Of every column of r (n, k), (g, c, k)."""
        (g, c, _), k = self.members.shape, r.shape[1]

        def some(rows):
            total = np.zeros((g * c, k))
            for part in products.blocks(rows.stop, rows.start):
                total += self._combinations(part).T @ r[part]
            return total

        return np.sum(products.in_threads(some, products.spans(len(r)), len(r)), axis=0).reshape(g, c, k)

    def _combinations(self, rows):
        """SciPy's matrix of which combination of each group the rows (a slice) are in: it goes through all columns of
        what it is multiplied by while a row of that is at hand."""
        g, c, _ = self.members.shape
        at = self.codes[:, rows] + np.arange(0, g * c, c, dtype=np.int32)[:, None]
        return _ones_at(at.T, g * c)

    def _columns_of(self, totals):
        """Of the levels that have columns: from those of the cells, (g, c, ...)."""
        (g, c, most), totals = self.members.shape, np.asarray(totals)
        levels = _ones_at(self.members.reshape(g * c, most), self.width + 1)
        return (levels.T @ totals.reshape(g * c, *totals.shape[2:]))[:-1]

    def take(self, rows):
        codes = np.ascontiguousarray(self.codes[:, rows])
        return Categorical(self.X[rows], self.positions, codes, self.members, self.width)

    def columns(self, kept):
        """The columns where `kept`; a level whose column goes counts as the base level."""
        kept, positions = np.asarray(kept), np.asarray(self.positions)
        new = np.append(np.where(kept, np.cumsum(kept) - 1, kept.sum()), kept.sum()).astype(np.int32)
        stay = kept[positions]
        X = np.ascontiguousarray(np.asarray(self.X)[:, stay])
        return Categorical(X, new[positions[stay]], self.codes, new[np.asarray(self.members)], int(kept.sum()))

    def has_ones(self, on):
        return any(np.all(self.X[on, j] == 1.0) for j in range(self.X.shape[1]))

    def dense(self):
        n, p = self.shape
        whole = np.zeros((n, p + 1))
        rows = np.arange(n)[:, None]
        for codes, members in zip(np.asarray(self.codes), np.asarray(self.members), strict=True):
            whole[rows, members[codes]] = 1.0
        whole[:, np.asarray(self.positions)] = self.X
        return np.ascontiguousarray(whole[:, :p])


def _ones_at(columns, width):
    """SciPy's sparse matrix (n, width) with ones in the columns (n, k) of each row."""
    from scipy import sparse

    n, k = columns.shape
    return sparse.csr_array((np.ones(n * k), columns.ravel(), np.arange(0, n * k + 1, k)), (n, width))


def _indicators(members):
    """(columns of a group, (c, q) which of them are 1 in each combination)."""
    columns, at = np.unique(members, return_inverse=True)
    ones = np.zeros((len(members), len(columns)))
    np.add.at(ones, (np.arange(len(members))[:, None], at.reshape(members.shape)), 1.0)
    return columns, ones


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
