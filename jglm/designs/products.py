"""Products of a design outside a trace: by BLAS over a NumPy matrix, or compiled over arrays where the solver runs."""

import contextlib
import functools
import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

ROWS = 16384  # of a block: it stays in cache between being converted or weighted and being multiplied

_local = threading.local()
_COMPILED = {
    "matvec": jax.jit(lambda design, v: design.matvec(v)),
    "rmatvec": jax.jit(lambda design, v: design.rmatvec(v)),
    "gram": jax.jit(lambda design, v: design.gram(v)),
    "squares": jax.jit(lambda design, v: design.squares(v)),
}


def compiled(product, design, v):
    """One of the traced products of a design, as NumPy."""
    return np.asarray(_COMPILED[product](design, v))


def times(X, coef, dtype):
    """X coef, products in `dtype`, whatever X is stored in."""
    coef = coef.astype(dtype, copy=False)
    if X.dtype == dtype:
        return (X @ coef).astype(np.float64, copy=False)
    out = np.empty((len(X), *coef.shape[1:]))
    for part in blocks(len(X)):
        out[part] = X[part].astype(dtype) @ coef
    return out


def rtimes(X, r, dtype):
    """X'r; products in `dtype`, sums over blocks of rows in float64."""
    if X.dtype == r.dtype == np.float64:
        return (r.T @ X).T
    total = np.zeros((*r.shape[1:], X.shape[1]))
    for part in blocks(len(X)):
        total += r[part].T.astype(dtype, copy=False) @ X[part].astype(dtype, copy=False)
    return total.T


def in_threads(function, items, n):
    """[function(item) for item in items], in as many threads as there are cores where n rows are worth it."""
    if n < ROWS or len(items) < 2 or cores() == 1 or getattr(_local, "alone", False):
        return [function(item) for item in items]
    return list(_threads().map(function, items))


@contextlib.contextmanager
def alone():
    """Products in this thread take no others to help: there are as many like it as there are cores."""
    _local.alone = True
    try:
        yield
    finally:
        _local.alone = False


def spans(n):
    """Slices that share n rows among the cores."""
    ends = np.linspace(0, n, cores() + 1).astype(int)
    return [slice(first, last) for first, last in itertools.pairwise(ends)]


@functools.cache
def cores():
    """How many there are for this process; OMP_NUM_THREADS may say that it is to have fewer."""
    most = os.environ.get("OMP_NUM_THREADS", "")
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(there, int(most)) if most.isdecimal() and int(most) > 0 else there


@functools.cache
def _threads():
    return ThreadPoolExecutor(cores(), "jglm")


if hasattr(os, "register_at_fork"):  # a child has no threads of its parent's
    os.register_at_fork(after_in_child=_threads.cache_clear)


def squares(X, w):
    """The diagonal of X' diag(w) X, in float64."""
    total = np.zeros(X.shape[1])
    for part in blocks(len(X)):
        total += w[part] @ np.square(X[part], dtype=np.float64)
    return total


def gram(X, w, dtype="float64"):
    """X' diag(w) X for w of either sign; products in `dtype`, sums over blocks of rows in float64."""
    total = np.zeros((X.shape[1], X.shape[1]))
    root = np.sqrt(w) if np.all(w >= 0) else None
    for part in blocks(len(X)):
        own = X[part].astype(dtype, copy=False)
        if root is not None:
            A = own * root[part, None].astype(dtype, copy=False)
            total += A.T @ A  # BLAS sees that it is symmetric and does half the work
        else:
            total += (own * w[part, None].astype(dtype, copy=False)).T @ own
    return total


def gram_blocks(crossprod, W):
    """X' W X for W (n, k, k) from w -> X' diag(w) X: (k p, k p), class by class."""
    k, H = W.shape[1], None
    for i in range(k):
        for j in range(i, k):
            block = crossprod(np.ascontiguousarray(W[:, i, j]))
            p = len(block)
            H = np.empty((k * p, k * p)) if H is None else H
            H[i * p : (i + 1) * p, j * p : (j + 1) * p] = block
            H[j * p : (j + 1) * p, i * p : (i + 1) * p] = block.T
    return H


def blocks(n):
    """Slices of rows."""
    return [slice(i, i + ROWS) for i in range(0, n, ROWS)]
