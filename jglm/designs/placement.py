"""From the host to where the solver runs."""

import jax
import jax.numpy as jnp
import numpy as np

ALIGNMENT = 64  # bytes: XLA on a CPU uses such an array where it lies


def place(tree, dtype=None):
    """The same tree with its NumPy arrays where the solver runs, floating ones in `dtype`.

    On a CPU without a copy where an array is C-ordered, aligned and of the dtype; it must not be written to then.
    """
    return jax.tree.map(lambda v: _place(v, dtype), tree)


def _place(v, dtype):
    if isinstance(v, jax.Array):
        wrong = dtype is not None and jnp.issubdtype(v.dtype, jnp.floating) and v.dtype != dtype
        return v.astype(dtype) if wrong else v
    v = np.asarray(v)
    if dtype is None or not np.issubdtype(v.dtype, np.floating):
        dtype = v.dtype
    if jax.default_backend() != "cpu":
        return jnp.asarray(v, dtype)
    if v.dtype != dtype or not v.flags.c_contiguous or v.ctypes.data % ALIGNMENT:
        # NumPy's memory has huge pages; that of the device is up to ten times slower to fill.
        v = _aligned(v, dtype)
    return jax.device_put(v, may_alias=True)


def _aligned(v, dtype):
    size = v.size * np.dtype(dtype).itemsize
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    out = room[start : start + size].view(dtype).reshape(v.shape)
    np.copyto(out, v)
    return out
