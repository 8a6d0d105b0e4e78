"""Rows of weight 0 behind the data, so that data sets of about one size share what was compiled for one of them, and
functions of rows bound to a model, so that a call carries arrays alone."""

import functools

import jax
import numpy as np

LEAST = 64


def padded_size(n, least=None):
    """The number of rows that n are padded to: a multiple of `least` (LEAST), n plus at most an eighth or `least`."""
    step = max(least or LEAST, 1 << max(n.bit_length() - 4, 0))
    return -(-n // step) * step


def power_of_two(n):
    """The largest one that is no larger than n, at least 1."""
    return 1 << (max(n, 1).bit_length() - 1)


def pad(v, like=0, size=None):
    """An array (n, ...) with copies of its row `like` behind, `size` rows in all."""
    size = padded_size(len(v)) if size is None else size
    if size == len(v):
        return v
    out = np.empty((size, *v.shape[1:]), v.dtype)
    out[: len(v)] = v
    out[len(v) :] = v[like] if len(v) else 0
    return out


def over_rows(function, *rows):
    """function(*rows) of arrays (n, ...) as NumPy, computed at the padded size; the result may be a tree of arrays."""
    n = len(jax.tree.leaves(rows[0])[0])
    if n == 0:
        return jax.tree.map(np.asarray, function(*rows))
    found = function(*jax.tree.map(pad, rows))
    return jax.tree.map(lambda v: np.asarray(v)[:n], found)


@functools.lru_cache(maxsize=512)
def _jitted(function, tree, static):
    def bound(leaves, *args):
        return function(jax.tree.unflatten(tree, leaves), *args, *static)

    bound.__name__ = function.__name__  # by which logs and profiles tell programs apart
    return jax.jit(bound)


def bind(function, model, *static):
    """function(model, ..., *static), compiled: called many times it need not look at the model each time."""
    leaves, tree = jax.tree.flatten(model)
    return functools.partial(_jitted(function, tree, static), leaves)
