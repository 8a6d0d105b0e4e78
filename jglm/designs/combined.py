"""Designs made of designs: a constant in front, parts side by side, columns centered and scaled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.designs import products

CHUNK = 16  # columns of a part that are written out at a time


@record
class WithConstant:
    """A design with a column of ones in front, which is never written."""

    inner: Any

    @property
    def is_matrix(self):
        return self.inner.is_matrix

    @property
    def gram_is_cheap(self):
        return self.inner.gram_is_cheap

    @property
    def shape(self):
        n, p = self.inner.shape
        return n, p + 1

    @property
    def eps(self):
        return self.inner.eps

    @property
    def coded(self):
        return np.append(False, self.inner.coded)

    def matvec(self, coef):
        lin = self.inner.matvec(coef[1:])
        return lin + jnp.broadcast_to(coef[:1], lin.shape) if lin.ndim > 1 else lin + coef[0]

    def rmatvec(self, r):
        return jnp.concatenate([jnp.sum(r, axis=0, keepdims=True), self.inner.rmatvec(r)])

    def gram(self, w):
        side = self.inner.rmatvec(w)
        return jnp.block([[jnp.sum(w)[None, None], side[None]], [side[:, None], self.inner.gram(w)]])

    def squares(self, w):
        return jnp.concatenate([jnp.sum(w)[None], self.inner.squares(w)])

    def hosted(self):
        return WithConstant(self.inner.hosted())

    def astype(self, dtype):
        return WithConstant(self.inner.astype(dtype))

    def times(self, coef):
        lin = self.inner.times(coef[1:])
        return np.add(lin, coef[:1], out=lin if lin.flags.writeable else None)

    def rtimes(self, r):
        return np.concatenate([np.sum(r, axis=0, keepdims=True), self.inner.rtimes(r)])

    def crossprod(self, w):
        side = self.inner.rtimes(w)
        return np.block([[np.sum(w), side[None]], [side[:, None], self.inner.crossprod(w)]])

    def crossprod_of_classes(self, W):
        (n, p), k = self.inner.shape, W.shape[1]
        H = np.empty((k, p + 1, k, p + 1))
        H[:, 0, :, 0] = np.sum(W, axis=0)
        H[:, 0, :, 1:] = self.inner.rtimes(W.reshape(n, k * k)).T.reshape(k, k, p)
        H[:, 1:, :, 0] = H[:, 0, :, 1:].swapaxes(1, 2)
        H[:, 1:, :, 1:] = products.gram_blocks(self.inner, W).reshape(k, p, k, p)
        return H.reshape(k * (p + 1), k * (p + 1))

    def diagonal(self, w):
        return np.append(np.sum(w), self.inner.diagonal(w))

    def take(self, rows):
        return WithConstant(self.inner.take(rows))

    def columns(self, kept):
        inner = self.inner if np.all(kept[1:]) else self.inner.columns(kept[1:])
        return WithConstant(inner) if kept[0] else inner

    def has_ones(self, on):
        return True

    def dense(self):
        return np.column_stack([np.ones(self.shape[0]), self.inner.dense()])


@record
class Columns:
    """Designs side by side: a tuple of `parts` with the same rows, their columns in that order."""

    parts: tuple

    is_matrix = False

    gram_is_cheap = False

    @property
    def shape(self):
        return self.parts[0].shape[0], sum(part.shape[1] for part in self.parts)

    @property
    def eps(self):
        return max(part.eps for part in self.parts)

    @property
    def coded(self):
        """(p,) which columns a sample of rows may miss."""
        return np.concatenate([getattr(part, "coded", np.zeros(part.shape[1], bool)) for part in self.parts])

    def _split(self, v):
        """Its share of a vector for each part."""
        ends = np.cumsum([part.shape[1] for part in self.parts])
        return [v[end - part.shape[1] : end] for part, end in zip(self.parts, ends, strict=True)]

    def matvec(self, coef):
        return sum(part.matvec(c) for part, c in zip(self.parts, self._split(coef), strict=True))

    def rmatvec(self, r):
        return jnp.concatenate([part.rmatvec(r) for part in self.parts])

    def squares(self, w):
        return jnp.concatenate([part.squares(w) for part in self.parts])

    def gram(self, w):
        def side(a, b):
            """A'WB, a few columns of a written out at a time."""
            p = a.shape[1]

            def some(first):
                unit = (jnp.arange(p)[:, None] == first + jnp.arange(min(CHUNK, p))[None, :]).astype(w.dtype)
                return b.rmatvec(w[:, None] * a.matvec(unit)).T

            return lax.map(some, jnp.arange(0, p, CHUNK)).reshape(-1, b.shape[1])[:p]

        return jnp.block(self._blocks(lambda part: part.gram(w), side))

    def _blocks(self, own, side):
        """The blocks of a symmetric matrix, those off the diagonal by the narrower part's columns."""
        made: dict = {(i, i): own(part) for i, part in enumerate(self.parts)}
        for i, a in enumerate(self.parts):
            for j in range(i + 1, len(self.parts)):
                b = self.parts[j]
                made[i, j] = side(a, b) if a.shape[1] <= b.shape[1] else side(b, a).T
                made[j, i] = made[i, j].T
        return [[made[i, j] for j in range(len(self.parts))] for i in range(len(self.parts))]

    # ------------------------------------------------------------------ outside a trace
    def _each(self, method, *given):
        return [getattr(part, method)(*given) for part in self.parts]

    def hosted(self):
        return Columns(tuple(self._each("hosted")))

    def astype(self, dtype):
        return Columns(tuple(self._each("astype", dtype)))

    def times(self, coef):
        return sum(part.times(c) for part, c in zip(self.parts, self._split(coef), strict=True))

    def rtimes(self, r):
        return np.concatenate(self._each("rtimes", r))

    def crossprod(self, w):
        def side(a, b):
            p, chunks = a.shape[1], []
            for first in range(0, p, CHUNK):
                unit = np.eye(p, min(CHUNK, p - first), -first)
                chunks.append(b.rtimes(w[:, None] * a.times(unit)).T)
            return np.concatenate(chunks) if chunks else np.zeros((0, b.shape[1]))

        return np.block(self._blocks(lambda part: part.crossprod(w), side))

    def take(self, rows):
        return Columns(tuple(self._each("take", rows)))

    def columns(self, kept):
        return Columns(tuple(part.columns(k) for part, k in zip(self.parts, self._split(kept), strict=True)))

    def has_ones(self, on):
        return any(self._each("has_ones", on))

    def dense(self):
        return np.concatenate(self._each("dense"), axis=1)


@record
class Scaled:
    """(X - center) / scale, column by column, without touching X: center (p,) and scale (p,)."""

    inner: Any
    center: Any
    scale: Any

    is_matrix = False

    @classmethod
    def standardized(cls, inner, weight=None):
        """With mean 0 and variance 1 in the rows weighted by `weight` (n,); a constant column is only centered."""
        weight = np.ones(inner.shape[0]) if weight is None else np.asarray(weight, float)
        share = weight / weight.sum()
        with jax.enable_x64(True):
            center = np.asarray(inner.rtimes(share))
        # The variance about 0 would lose the digits of a column that lies far from it.
        with jax.enable_x64(True):
            spread = np.sqrt(
                np.maximum(products.compiled("squares", cls(inner, center, np.ones_like(center)), share), 0.0)
            )
        return cls(inner, center, np.where(spread > 1e-8 * np.abs(center), spread, 1.0))

    @property
    def gram_is_cheap(self):
        return self.inner.gram_is_cheap

    @property
    def shape(self):
        return self.inner.shape

    @property
    def eps(self):
        return self.inner.eps

    @property
    def coded(self):
        return getattr(self.inner, "coded", np.zeros(self.shape[1], bool))

    def matvec(self, coef):
        own = _per_column(coef, 1 / self.scale)
        lin = self.inner.matvec(own)
        return lin - jnp.broadcast_to(self.center @ own, lin.shape)

    def rmatvec(self, r):
        total = jnp.broadcast_to(jnp.sum(r, axis=0), (self.shape[1], *r.shape[1:]))
        return _per_column(self.inner.rmatvec(r) - _per_column(total, self.center), 1 / self.scale)

    def gram(self, w):
        return self._centered(self.inner.gram(w), self.inner.rmatvec(w), w.sum())

    def _centered(self, own, side, total):
        cross = self.center[:, None] * side[None, :]
        whole = own - cross - cross.T + total * self.center[:, None] * self.center[None, :]
        return whole / self.scale[:, None] / self.scale[None, :]

    def squares(self, w):
        own = self.inner.squares(w) - 2 * self.center * self.inner.rmatvec(w) + w.sum() * self.center**2
        return own / self.scale**2

    def hosted(self):
        return Scaled(self.inner.hosted(), self.center, self.scale)

    def astype(self, dtype):
        return Scaled(self.inner.astype(dtype), self.center, self.scale)

    def times(self, coef):
        own = _per_column(coef, 1 / self.scale)
        return self.inner.times(own) - np.asarray(self.center @ own)

    def rtimes(self, r):
        total = np.broadcast_to(np.sum(r, axis=0), (self.shape[1], *r.shape[1:]))
        return np.asarray(_per_column(self.inner.rtimes(r) - _per_column(total, self.center), 1 / self.scale))

    def crossprod(self, w):
        return self._centered(self.inner.crossprod(w), self.inner.rtimes(w), w.sum())

    def take(self, rows):
        return Scaled(self.inner.take(rows), self.center, self.scale)

    def columns(self, kept):
        return Scaled(self.inner.columns(kept), self.center[kept], self.scale[kept])

    def has_ones(self, on):
        return False

    def dense(self):
        return (self.inner.dense() - self.center) / self.scale


def _per_column(v, factor):
    """v (p,) or (p, k) times a number for each of its p rows."""
    return v * factor if v.ndim == 1 else v * factor[:, None]
