"""Signals and their past: lags, or filters of a bank, of which no column is ever written."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.designs import products
from jglm.designs.combined import Columns
from jglm.designs.dense import Dense
from jglm.designs.placement import place

BLOCK_ELEMENTS = 1 << 18


@record(static=("lags",))
class Lagged:
    """Columns sum_l filters[l, b] signal[t - l, c]: the response of every signal c to every filter b of a bank.

    Attributes:
        signal: (n, c), in time order.
        filters: (lags, b), what a column takes of the signal 0, 1, ... rows ago; None for the lags themselves.
        begins: (n,) the first row of each row's own series (trial, session): what lies before it counts as 0.
        lags: how many.

    Columns are ordered signal by signal.
    """

    signal: Any
    filters: Any
    begins: Any
    lags: int

    is_matrix = False
    gram_is_cheap = False

    @classmethod
    def of(cls, signal, lags=None, filters=None, series=None):
        """Of signals (n,) or (n, c) in time order.

        Args:
            lags: a number, for columns of the signal 0, 1, ..., lags - 1 rows ago; or `filters` (lags, b).
            series: (n,) labels; lags do not reach from one series into the one before. By default all is one.
        """
        signal = np.asarray(signal, float)
        signal = signal[:, None] if signal.ndim == 1 else signal
        if (lags is None) == (filters is None):
            raise ValueError("give lags=, a number, or filters=, a matrix (lags, filters); not both")
        if filters is not None:
            filters = np.asarray(filters, float)
            if filters.ndim != 2 or not filters.size:
                raise ValueError(f"filters has shape {filters.shape}; it must be (lags, filters)")
            lags = len(filters)
        assert lags is not None
        if int(lags) != lags or lags < 1:
            raise ValueError(f"lags is {lags!r}; it must be a whole number >= 1")
        if not np.all(np.isfinite(signal)) or not (filters is None or np.all(np.isfinite(filters))):
            raise ValueError("the signal or a filter has a value that is NaN or infinite; drop or fill it")
        n, begins = len(signal), np.zeros(len(signal), np.int32)
        if series is not None:
            series = np.asarray(series)
            if series.shape != (n,):
                raise ValueError(f"series has shape {series.shape}; it must be ({n},)")
            new = np.append(True, series[1:] != series[:-1])
            begins = np.maximum.accumulate(np.where(new, np.arange(n), 0)).astype(np.int32)
        return cls(signal, filters, begins, int(lags))

    @property
    def shape(self):
        return self.begins.shape[0], self.signal.shape[1] * (
            self.lags if self.filters is None else self.filters.shape[1]
        )

    @property
    def eps(self):
        return float(np.finfo(self.signal.dtype).eps)

    @property
    def coded(self):
        return np.zeros(self.shape[1], bool)

    # ------------------------------------------------------------------ traced
    def _windows(self, first, size):
        """(size, c, lags) the past of some rows."""
        rows = first + jnp.arange(size)[:, None]
        before = rows - jnp.arange(self.lags)[None, :]
        known = before >= jnp.take(self.begins, rows)
        return jnp.where(known[:, None, :], jnp.moveaxis(self.signal[jnp.maximum(before, 0)], 2, 1), 0.0)

    def _block(self, first, size):
        """(size, p) some rows of the matrix."""
        past = self._windows(first, size)
        return (past if self.filters is None else past @ self.filters).reshape(size, -1)

    def _size(self):
        return min(self.shape[0], max(1, BLOCK_ELEMENTS // (self.lags * self.signal.shape[1])))

    def _over_blocks(self, part, total):
        """sum of part(rows of the matrix, first, weight of the rows): the last block begins earlier, so that all have
        one size, and its rows that were there before count nothing."""
        n, size = self.shape[0], self._size()

        def body(i, total):
            first = jnp.minimum(i * size, n - size)
            return total + part(self._block(first, size), first, first + jnp.arange(size) >= i * size)

        return lax.fori_loop(0, -(-n // size), body, total)

    def matvec(self, coef):
        n, size = self.shape[0], self._size()

        def body(i, lin):
            first = jnp.minimum(i * size, n - size)
            own = self._block(first, size).astype(coef.dtype) @ coef
            return lax.dynamic_update_slice_in_dim(lin, own, first, 0)

        return lax.fori_loop(0, -(-n // size), body, jnp.zeros((n, *coef.shape[1:]), coef.dtype))

    def rmatvec(self, r):
        def part(block, first, on):
            own = lax.dynamic_slice_in_dim(r, first, len(block))
            return (jnp.where(on if r.ndim == 1 else on[:, None], own, 0.0).T @ block).T

        return self._over_blocks(part, jnp.zeros((self.shape[1], *r.shape[1:]), r.dtype))

    def gram(self, w):
        def part(block, first, on):
            own = jnp.where(on, lax.dynamic_slice_in_dim(w, first, len(block)), 0.0)
            return (block * own[:, None]).T @ block

        return self._over_blocks(part, jnp.zeros((self.shape[1],) * 2, w.dtype))

    def squares(self, w):
        part = lambda block, first, on: (
            jnp.where(on, lax.dynamic_slice_in_dim(w, first, len(block)), 0.0) @ (block * block)
        )
        return self._over_blocks(part, jnp.zeros(self.shape[1], w.dtype))

    # ------------------------------------------------------------------ outside a trace
    def hosted(self):
        return place(self)

    def astype(self, dtype):
        filters = None if self.filters is None else self.filters.astype(dtype)
        return Lagged(self.signal.astype(dtype), filters, self.begins, self.lags)

    def times(self, coef):
        return products.compiled("matvec", self, coef)

    def rtimes(self, r):
        return products.compiled("rmatvec", self, r)

    def crossprod(self, w):
        return products.compiled("gram", self, w)

    def take(self, rows):
        """Those rows, written out: they need their past no more."""
        rows = np.asarray(rows)
        before = rows[:, None] - np.arange(self.lags)
        known = before >= np.asarray(self.begins)[rows][:, None]
        past = np.where(known[..., None], np.asarray(self.signal)[np.maximum(before, 0)], 0.0)
        past = np.moveaxis(past, 1, 2)
        whole = past if self.filters is None else past @ np.asarray(self.filters)
        return Dense(np.ascontiguousarray(whole).reshape(len(rows), -1))

    def columns(self, kept):
        """The columns where `kept`, by a bank for each signal where they differ between signals."""
        kept = np.reshape(kept, (self.signal.shape[1], -1))
        if kept.all():
            return self
        bank = np.eye(self.lags, dtype=self.signal.dtype) if self.filters is None else self.filters
        parts = [
            Lagged(np.ascontiguousarray(self.signal[:, c : c + 1]), bank[:, own], self.begins, self.lags)
            for c, own in enumerate(kept)
            if own.any()
        ]
        if not parts:
            return Dense(np.zeros((self.shape[0], 0)))
        return parts[0] if len(parts) == 1 else Columns(tuple(parts))

    def has_ones(self, on):
        return False

    def dense(self):
        return self.take(np.arange(self.shape[0])).dense()
