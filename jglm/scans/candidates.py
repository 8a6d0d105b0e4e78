"""Very many columns, a block at a time: where they come from, and their sums against a few fixed columns."""

import functools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm.designs import place
from jglm.inputs import checks

COLUMNS = 4096  # of a block: what is read of one row of an array in C order is then long enough for a disk
ELEMENTS = 1 << 26  # of a block, so that it stays below half a gigabyte in float64
TILE = 1024, 256  # rows and columns that are converted at a time: two megabytes, which stay in cache


@dataclass
class Block:
    """Columns (n, b) as they are stored, their `dtype`, and their names where they have some."""

    values: Any
    names: list | None = None

    @property
    def width(self):
        return self.values.shape[1]

    @property
    def eps(self):
        """What rounding to the type they are stored in may change relative to their size; 0 for whole numbers."""
        dtype = np.dtype(self.values.dtype)
        return 0.0 if dtype.kind in "iub" else float(jnp.finfo(dtype).eps)

    def dense(self, columns):
        """Some of the columns as float64 (n, c)."""
        some = self.values[:, columns]
        return (some.toarray() if hasattr(some, "toarray") else np.asarray(some)).astype(np.float64)


def blocks_of(G, n):
    """(an iterator of blocks, the number of columns or None) of an array, a memory map, a SciPy sparse matrix, a frame,
    anything with a shape and slices, or an iterable of such blocks."""
    names = None
    if hasattr(G, "tocsc"):
        G = G.tocsc()
    elif hasattr(G, "to_numpy") or hasattr(G, "to_pandas"):
        names = [str(c) for c in getattr(G, "column_names", getattr(G, "columns", []))]
        G = checks.floats("G", G.to_pandas() if not hasattr(G, "to_numpy") else G)
    elif isinstance(G, (list, tuple)):
        G = checks.floats("G", G)
    if not (hasattr(G, "shape") and hasattr(G, "dtype")):
        if not hasattr(G, "__iter__"):
            raise TypeError(
                f"G is a {type(G).__name__}; it must be a matrix (n, q) or an iterable of blocks of columns"
            )
        return (part for each in G for part in blocks_of(each, n)[0]), None
    _check(G, n)
    return _slices(G, names or None), G.shape[1]


def _slices(G, names):
    n, q = G.shape
    step = _step(n)
    kept = hasattr(G, "tocsc") or isinstance(G, (np.ndarray, jax.Array))
    for first in range(0, q, step):
        part = G[:, first : first + step]
        # What is no array, such as a dataset on disk, is read once.
        yield Block(part if kept else np.asarray(part), names and names[first : first + step])


def _step(n):
    return max(1, min(COLUMNS, ELEMENTS // max(n, 1)))


def _check(G, n):
    dtype = np.dtype(G.dtype)
    if not (dtype.kind in "iubf" or jnp.issubdtype(dtype, jnp.floating)):
        raise TypeError(f"G has entries of type {dtype}; it must hold real numbers")
    if len(G.shape) != 2:
        raise ValueError(f"G has shape {tuple(G.shape)}; it must be (n, q), a column for each candidate")
    if G.shape[0] != n:
        raise ValueError(f"G has {G.shape[0]} rows, the null model was fitted to {n}; they must have the same rows "
                         "in the same order (a formula's fit leaves rows with missing values out)")  # fmt: skip


# --------------------------------------------------------------------------- sums
@dataclass
class Fixed:
    """The columns that every candidate meets: A (n, a), and W (n, w) that its squares meet."""

    A: np.ndarray
    W: np.ndarray

    @cached_property
    def placed(self):
        return place((self.A, self.W))


def sums(block, fixed):
    """(G'A (b, a), (G * G)'W (b, w)) of the columns G of a block, in float64."""
    G = block.values
    if hasattr(G, "tocsc"):
        own = G.astype(np.float64)
        return np.asarray(own.T @ fixed.A), np.asarray(own.multiply(own).T @ fixed.W)
    if jax.default_backend() == "cpu":
        return _tiled(np.asarray(G), fixed.A, fixed.W)
    width, step = block.width, _step(G.shape[0])
    if width < step:  # filled up, so that all blocks share one program
        G = (jnp.pad if isinstance(G, jax.Array) else np.pad)(G, ((0, 0), (0, step - width)))
    both, squares = _sums_compiled(G, *fixed.placed)
    return np.asarray(both)[:width], np.asarray(squares)[:width]


def _tiled(G, A, W):
    """By BLAS, tile by tile: G is read once, in the order in which it is stored."""
    turned = abs(G.strides[0]) < abs(G.strides[1])
    both, squares = np.zeros((G.shape[1], A.shape[1])), np.zeros((G.shape[1], W.shape[1]))
    rows, columns = TILE
    room = np.empty(rows * columns)
    for c in range(0, G.shape[1], columns):
        at = slice(c, c + columns)
        for r in range(0, len(G), rows):
            tile = G[r : r + rows, at]
            own = room[: tile.size].reshape(tile.shape[::-1]).T if turned else room[: tile.size].reshape(tile.shape)
            np.copyto(own, tile)
            both[at] += own.T @ A[r : r + rows]
            np.multiply(own, own, out=own)
            squares[at] += own.T @ W[r : r + rows]
    return both, squares


@jax.jit
def _sums_compiled(G, A, W):
    G = G.astype(A.dtype)
    dot = functools.partial(jnp.dot, precision=lax.Precision.HIGHEST)
    return dot(G.T, A), dot((G * G).T, W)
