"""From the host to where the solver runs."""

import jax
import jax.numpy as jnp
import numpy as np

ALIGNMENT = 64  # bytes: XLA on a CPU uses such an array where it lies


def place(tree):
    """The same tree with its NumPy arrays where the solver runs.

    On a CPU without a copy where an array is C-ordered and aligned; it must not be written to then.
    """
    return jax.tree.map(_place, tree)


def _place(v):
    if isinstance(v, jax.Array):
        return v
    v = np.asarray(v)
    if jax.default_backend() != "cpu":
        return jnp.asarray(v)
    if not v.flags.c_contiguous or v.ctypes.data % ALIGNMENT:
        # NumPy's memory has huge pages; that of the device is up to ten times slower to fill.
        v = copied(v)
    return jax.device_put(v, may_alias=True)


def aligned(shape, dtype):
    """An array of any contents that XLA uses where it lies."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)


def copied(v):
    """A copy that XLA uses where it lies."""
    out = aligned(v.shape, v.dtype)
    np.copyto(out, v)
    return out
