"""Products of a design outside a trace: by BLAS over a NumPy matrix, or compiled over arrays where the solver runs."""

import contextlib
import functools
import itertools
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

ROWS = 16384  # of a block: it stays in cache between being converted or weighted and being multiplied
ELEMENTS = 64  # of a matrix that take as long as a row of codes
NARROW = 1024  # columns
CLASS_ROWS = 1024  # of a block whose columns are there once for every class
ALIGNED = 64  # rows: BLAS sums the rows behind the last full group in another order

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
    coef, out = coef.astype(dtype, copy=False), np.empty((len(X), *coef.shape[1:]))

    def some(part):
        out[part] = X[part].astype(dtype, copy=False) @ coef

    in_threads(some, _shares(X, dtype), X.size // ELEMENTS)
    return out


def rtimes(X, r, dtype):
    """X'r; products in `dtype`, sums over blocks of rows in float64."""
    some = lambda part: r[part].T.astype(dtype, copy=False) @ X[part].astype(dtype, copy=False)
    return _total(in_threads(some, _shares(X, dtype), X.size // ELEMENTS), (*r.shape[1:], X.shape[1])).T


def _shares(X, dtype):
    """The rows as the threads take them: one share each, or blocks where X is to be converted."""
    return spans(len(X)) if X.dtype == dtype else blocks(len(X))


def squares(X, w):
    """The diagonal of X' diag(w) X, in float64."""
    some = lambda part: w[part] @ np.square(X[part], dtype=np.float64)
    return _total(in_threads(some, blocks(len(X)), X.size // ELEMENTS), X.shape[1:])


def gram(X, w, dtype="float64"):
    """X' diag(w) X for w of either sign; products in `dtype`, sums over blocks of rows in float64."""
    p = X.shape[1]
    root = np.sqrt(w) if np.all(w >= 0) else None

    def some(rows):
        total = np.zeros((p, p))
        for part in blocks(rows.stop, rows.start):
            own = X[part].astype(dtype, copy=False)
            if root is not None:
                A = own * root[part, None].astype(dtype, copy=False)
                total += A.T @ A  # BLAS sees that it is symmetric and does half the work
            else:
                total += (own * w[part, None].astype(dtype, copy=False)).T @ own
        return total

    return _total_in_threads(some, X, p)


def gram_of_classes(X, W, dtype="float64"):
    """X' W X for W (n, k, k), (k p, k p) class by class: for each class one product with the columns of all later ones,
    which is several times quicker than one for each pair."""
    (n, p), k = X.shape, W.shape[1]

    def some(rows):
        total, room = np.zeros((k, p, k * p)), np.empty(min(CLASS_ROWS, n) * k * p, dtype)
        for part in blocks(rows.stop, rows.start, CLASS_ROWS):
            own, w = X[part].astype(dtype, copy=False), W[part].astype(dtype, copy=False)
            for i in range(k):
                weighted = room[: len(own) * (k - i) * p].reshape(len(own), k - i, p)
                np.multiply(w[:, i, i:, None], own[:, None, :], out=weighted)
                total[i, :, i * p :] += own.T @ weighted.reshape(len(own), -1)
        return total

    H = _total_in_threads(some, X, k * p).reshape(k, p, k, p)
    for i, j in itertools.combinations(range(k), 2):
        H[j, :, i] = H[i, :, j]
    return H.reshape(k * p, k * p)


def gram_blocks(design, W):
    """X' W X for W (n, k, k) of a design on the host, (k p, k p) class by class."""
    if hasattr(design, "crossprod_of_classes"):
        return design.crossprod_of_classes(W)
    k, p = W.shape[1], design.shape[1]
    H = np.empty((k, p, k, p))
    for i, j in itertools.combinations_with_replacement(range(k), 2):
        H[i, :, j] = H[j, :, i] = design.crossprod(np.ascontiguousarray(W[:, i, j]))
    return H.reshape(k * p, k * p)


def _total_in_threads(function, X, size):
    """The sum of what a function makes of some rows, a Hessian of so many columns. Of wide ones each thread would have
    a large one, and BLAS's own threads do well with them."""
    n, worth = len(X), X.size * max(size, ELEMENTS) // ELEMENTS**2
    if size > NARROW or worth < ROWS:
        return function(slice(0, n))
    first, *others = in_threads(function, spans(n), worth)
    for other in others:
        first += other
    return first


def _total(parts, shape):
    total = np.zeros(shape)
    for part in parts:
        total += part
    return total


def blocks(stop, start=0, rows=ROWS):
    """Slices of rows."""
    return [slice(i, min(i + rows, stop)) for i in range(start, stop, rows)]


# --------------------------------------------------------------------------- threads
def in_threads(function, items, n):
    """[function(item) for item in items], in as many threads as there are cores where n rows are worth it."""
    if n < ROWS or len(items) < 2 or cores() == 1 or getattr(_local, "alone", False):
        return [function(item) for item in items]
    with one_blas:
        return list(_threads().map(function, items))


@contextlib.contextmanager
def alone():
    """Products in this thread take no others to help: there are as many like it as there are cores."""
    _local.alone = True
    try:
        with one_blas:
            yield
    finally:
        _local.alone = False


class _OneBlas:
    """While anyone is inside, BLAS has one thread for a product. Its own gain little on tall matrices, and wait for one
    another actively: beside threads of ours, or those of other programs, they took twice the time of one."""

    def __init__(self):
        self.lock, self.inside, self.limit = threading.Lock(), 0, None

    def __enter__(self):
        with self.lock:
            if self.inside == 0:
                self.limit = _blas("scipy.linalg" in sys.modules).limit(limits=1)
            self.inside += 1

    def __exit__(self, *_):
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.limit.restore_original_limits()


@functools.cache
def _blas(with_scipy):
    """The libraries of BLAS in this process; SciPy brings one of its own, which JAX uses."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController().select(user_api="blas")


one_blas = _OneBlas()


def spans(n):
    """Slices that share n rows among the cores, cut where the product of a row is the same to the last bit as uncut."""
    ends = np.linspace(0, n, cores() + 1).astype(int) // ALIGNED * ALIGNED
    return [slice(first, last) for first, last in itertools.pairwise([*ends[:-1], n])]


@functools.cache
def cores():
    """How many there are for this process; OMP_NUM_THREADS may say that it is to have fewer."""
    most = os.environ.get("OMP_NUM_THREADS", "")
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(there, int(most)) if most.isdecimal() and int(most) > 0 else there


@functools.cache
def _threads():
    return ThreadPoolExecutor(cores(), "jglm", initializer=lambda: setattr(_local, "alone", True))


def _begin_anew():
    global one_blas
    _threads.cache_clear()
    one_blas = _OneBlas()


if hasattr(os, "register_at_fork"):  # a child has no threads of its parent's
    os.register_at_fork(after_in_child=_begin_anew)
