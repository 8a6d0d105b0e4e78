"""X in: whatever holds numbers becomes a design, checked and with names; stored as it is where that can be."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np

from jglm.designs import Dense, Sparse, WithConstant
from jglm.inputs import checks

LARGEST, SMALLEST = 1e150, 1e-150  # sizes whose squares are still numbers
ROWS = 4096  # of a block that stays in cache while its columns are looked at


def design_of(X, names=None, intercept=False):
    """(design (n, p), its names): of NumPy, JAX, pandas, Polars, Arrow, SciPy sparse, lists of numbers, or a design.

    With `intercept` a constant stands in front. Raises ValueError or TypeError for what is no matrix of finite numbers.
    """
    columns = None
    if hasattr(X, "rmatvec"):
        design = X
    elif hasattr(X, "tocsr") or type(X).__module__.startswith("scipy.sparse"):
        design = _sparse(X)
    else:
        columns, array = _array(X)
        design = Dense(array, "float64")
    n, p = design.shape
    if n == 0:
        raise ValueError("X has no rows; a fit needs data")
    names = _names(names, columns, p)
    if not intercept:
        return design, names
    if "Intercept" in names:
        raise ValueError("X has a column named 'Intercept'; use intercept=False or rename it")
    if isinstance(design, Dense):
        _warn_of_constants(design.X, names)
    return WithConstant(design), ["Intercept", *names]


def _array(X):
    """(names of the columns or None, a finite array (n, p)) of everything but sparse matrices."""
    columns = getattr(X, "columns", None) if hasattr(X, "to_numpy") or hasattr(X, "to_pandas") else None
    if columns is not None and not hasattr(X, "iloc") and hasattr(X, "column_names"):
        columns, X = X.column_names, np.column_stack([c.to_numpy() for c in X.columns])
    array = X if _stays(X) else checks.to_numpy("X", X)
    if array.ndim == 1:
        raise ValueError(f"X has shape {array.shape}; it must be (n, p): use X[:, None] for a single column")
    if array.ndim != 2:
        raise ValueError(f"X has {array.ndim} dimensions; it must be (n, p)")
    if array.shape[0] == 0:
        raise ValueError("X has no rows; a fit needs data")
    array = array if _narrow(array.dtype) else checks.floats("X", array)
    if _ordinary(array):
        return columns, array
    size = largest(array)
    if not np.all(np.isfinite(size)):
        checks.refuse("X", ~np.isfinite(np.asarray(array, np.float64)), "NaN or infinite", "drop or fill them")
    _refuse_sizes(size, "column {} of X has values")
    return columns, array


def _stays(X):
    """Whether X lies on a device that is not the host."""
    return isinstance(X, jax.Array) and jax.default_backend() != "cpu"


def _narrow(dtype):
    """Whether arrays of a type are used as they are stored."""
    return dtype in (np.float64, np.float32, jnp.bfloat16) or (dtype.kind in "iub" and dtype.itemsize < 8)


def _ordinary(X):
    """Whether it is plain at one reading that every entry is finite and no column too large or too small."""
    if isinstance(X, jax.Array) or X.dtype.kind != "f" or not (X.flags.c_contiguous or X.flags.f_contiguous):
        return False
    least = np.max(np.abs(X[:ROWS]), axis=0)
    flat, step = X.ravel(order="K"), ROWS * 16
    with np.errstate(over="ignore"):
        squares = [float(np.dot(v, v)) for v in (flat[i : i + step] for i in range(0, len(flat), step))]
    return bool(np.all(least >= SMALLEST) and max(squares, default=0.0) <= LARGEST)  # NaN and infinity compare false


def largest(X):
    """The largest size of an entry of each column, not finite where one is not."""
    if isinstance(X, jax.Array):
        return np.asarray(_largest_compiled(X))
    size = np.zeros(X.shape[1])
    for i in range(0, len(X), ROWS):
        part = X[i : i + ROWS]
        part = part if part.dtype.kind == "f" else part.astype(np.float64)
        size = np.maximum(size, np.maximum(part.max(axis=0), -part.min(axis=0)))
    return size


_largest_compiled = jax.jit(lambda X: jnp.maximum(jnp.max(X, axis=0) * 1.0, -(jnp.min(X, axis=0) * 1.0)))


def _refuse_sizes(size, what):
    wrong = (size > LARGEST) | ((size > 0) & (size < SMALLEST))
    if np.any(wrong):
        j = int(np.argmax(wrong))
        raise ValueError(
            f"{what.format(j)} of size {size[j]:.0e}, whose squares leave the range of numbers; rescale it"
        )


def _sparse(X):
    if len(X.shape) != 2:
        raise ValueError(f"X has {len(X.shape)} dimensions; it must be (n, p)")
    X = X.tocsr()
    if X.dtype.kind == "c":
        raise TypeError("X is complex; it must hold real numbers")
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(X.data))
    if bad.size:
        rows = np.zeros(X.shape[0], bool)
        rows[np.searchsorted(X.indptr, bad, side="right") - 1] = True
        checks.refuse("X", rows, "NaN or infinite", "drop or fill them")
    _refuse_sizes(np.array([np.abs(X.data).max(initial=0.0)]), "X has values")
    return Sparse.of(X)


def _names(names, columns, p):
    if names is None:
        names = [str(c) for c in columns] if columns is not None else [f"x{i + 1}" for i in range(p)]
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise TypeError(f"names is {names!r}; it must be a list of {p} names")
    names = [str(v) for v in names]
    if len(names) != p:
        raise ValueError(f"names has {len(names)} entries, X has {p} columns")
    if len(set(names)) != p:
        seen: set = set()
        twice = next(v for v in names if v in seen or seen.add(v))
        raise ValueError(f"the column name {twice!r} stands twice; names must differ")
    return names


def _warn_of_constants(X, names):
    first, last = np.asarray(X[0]), np.asarray(X[-1])
    constant = [names[j] for j in np.flatnonzero(first == last) if bool((X[:, j] == first[j]).all())]
    if constant:
        warnings.warn(f"constant column {', '.join(constant)} besides the intercept; one of them is dropped "
                      "(use intercept=False to keep yours)", UserWarning, stacklevel=5)  # fmt: skip
