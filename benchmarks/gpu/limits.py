"""The ceilings of a device as JAX reaches them, and the pieces of a fit against them: its products and its passes."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.gpu.records import Record, take
from jglm.model import GRADIENT, HESSIAN, Query, Unknowns, evaluate

SIDE = {"gpu": 8192}  # of the square matrices; other devices get the second number
SMALL_SIDE = 1024
RANGE = (1 << 24, 1 << 32)  # bytes of the array that is read


# ---------------------------------------------------------------------------- ceilings
def measure(largest_bytes, platform):
    """Records of the rates at which memory is read and matrices are multiplied."""
    size = int(np.clip(largest_bytes, *RANGE))
    return [*_memory(size), *_matrices(SIDE.get(platform, SMALL_SIDE))]


def _memory(size):
    for dtype in ("float32", "float64"):
        x = jnp.ones(size // np.dtype(dtype).itemsize, dtype)
        yield _rate("read", dtype, x.nbytes, "B", jax.jit(jnp.sum), x)
        yield _rate("copy", dtype, 2 * x.nbytes, "B", jax.jit(jnp.negative), x)


def _matrices(side):
    ways = {"float64": ("float64", "highest"), "float32": ("float32", "highest"),
            "float32 at JAX's default": ("float32", "default")}  # fmt: skip
    for label, (dtype, precision) in ways.items():
        A = jax.random.normal(jax.random.key(0), (side, side), dtype)
        times = jax.jit(lambda A, B, precision=precision: jnp.dot(A, B, precision=precision))
        yield _rate("matrices", label, 2 * side**3, "FLOP", times, A, A.T.copy())


def _rate(way, label, work, unit, call, *args):
    record = Record("limit", f"{way}, {label}", way, unit=f"{unit}/s", dtype=str(args[0].dtype))
    take(record, lambda: call(*args))
    record.rate = work / record.warm_seconds
    return record


def bandwidth(records):
    """The most bytes a second that any of the ceilings' measurements moved."""
    return max(r.rate for r in records if r.kind == "limit" and r.unit == "B/s")


def matrix_rate(records, dtype):
    """Operations a second of matrix products that keep the digits of the dtype."""
    return next(r.rate for r in records if r.kind == "limit" and r.label == f"matrices, {dtype}")


def floor(records, n, p, dtype, passes, hessians):
    """Seconds that no fit of so many passes can go below: X is read once a pass, and half of X'WX is computed."""
    each = n * p * np.dtype(dtype).itemsize / bandwidth(records)
    return passes * each + hessians * n * p**2 / matrix_rate(records, dtype)


# ---------------------------------------------------------------------------- pieces
def pieces(case, limits, repeat):
    """Records of the passes and products of one data set, as jglm has them and in other ways."""
    n, p = case.shape
    coef, rows = jnp.full(p + 1, 0.01), jnp.ones(n)
    for label, (call, args, hessians) in _pieces(case, coef, rows).items():
        record = Record("piece", label, label, case.name, n, p, case.dtype, passes=1, hessians=hessians)
        record.floor_seconds = floor(limits, n, p, case.dtype, 1, hessians)
        try:
            take(record, lambda call=call, args=args: call(*args), repeat)
        except Exception as error:  # above all a lack of memory, which must not end the rest
            record.error = said(error)
        yield record


def said(error):
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"


def _pieces(case, coef, rows):
    """{label: (compiled function, arguments, Hessians)}"""
    data, X = case.data, case.X
    one = lambda asks: jax.jit(lambda data, coef: evaluate(case.model, data, Query(Unknowns(coef, {})), asks))
    return {
        "gradient pass": (one(GRADIENT), (data, coef), 0),
        "Hessian pass": (one(HESSIAN), (data, coef), 1),
        "X coef": (jax.jit(lambda X, v: X.matvec(v)), (data.X, coef), 0),
        "X'r": (jax.jit(lambda X, v: X.rmatvec(v)), (data.X, rows), 0),
        "X'WX": (jax.jit(lambda X, v: X.gram(v)), (data.X, rows), 1),
        "X coef, other: a sum in float64": (jax.jit(sum_over_columns), (X, coef[1:]), 0),
        "X'r, other: a sum in float64": (jax.jit(sum_over_rows), (X, rows), 0),
        "X'r, other: a product in X's dtype": (jax.jit(lambda X, r: _dot(r.astype(X.dtype), X)), (X, rows), 0),
        "X'WX, other: blocks of 2^24 numbers": (jax.jit(gram_of_large_blocks), (X, rows), 1),
    }


def _dot(a, b):
    return jnp.dot(a, b, precision=lax.Precision.HIGHEST)


def sum_over_columns(X, coef):
    """X coef as a sum that XLA fuses with the conversion of X, so that sums are float64's whatever X is."""
    return jnp.sum(X.astype(coef.dtype) * coef[None, :], axis=1)


def sum_over_rows(X, r):
    """X'r in the same way."""
    return jnp.sum(X.astype(r.dtype) * r[:, None], axis=0)


def gram_of_large_blocks(X, w, numbers=1 << 24):
    """X'WX over blocks large enough to fill a device, each in X's dtype; rows that fill no block are left to one."""
    n, p = X.shape
    rows = min(n, max(numbers // p, 1))

    def part(at, size):
        A, v = lax.dynamic_slice_in_dim(X, at, size), lax.dynamic_slice_in_dim(w, at, size)
        return _dot((A * v[:, None].astype(A.dtype)).T, A).astype(w.dtype)

    total = lax.fori_loop(0, n // rows, lambda i, total: total + part(i * rows, rows), jnp.zeros((p, p), w.dtype))
    return total + part(n // rows * rows, n % rows) if n % rows else total
