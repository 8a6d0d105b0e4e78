"""A pass over many data sets on a CPU, one after another in one compiled program: what a model takes and makes stays in
the nearest cache of the core. It is compiled for a number of rows and columns, where `lanes` on the host is not: for
work that is worth that (`PAYS`)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm.batches.lanes import Lanes, Sums
from jglm.fitting.padding import bind

PAYS = 10_000_000  # numbers in all X: about a second more of compiling, once a machine, for some 0.1 s of every call
PLAIN = ("X", "y", "w", "size", "power", "own")  # which one model has without an axis of models
ARRAYS = (*PLAIN, "offset", "used", "penalty")


class OneByOne:
    """The passes of `lanes.Lanes` (not on the host, each model with an X of its own), NumPy in and out; programs are
    compiled for `most` models."""

    host = True  # NumPy is what steps are taken with

    def __init__(self, lanes, most):
        self.model, self.shape, self.most, self.canonical = lanes.model, lanes.shape, most, lanes.canonical
        self.nobs = np.asarray(lanes.nobs)
        b, n = lanes.shape[:2]
        rows = lambda v: v.reshape(b, n, *v.shape[1:])
        arrays = {name: getattr(lanes, name) for name in ARRAYS}
        arrays |= {name: jax.tree.map(rows, arrays[name]) for name in PLAIN if name != "X"}
        self.arrays = jax.device_put(filled(arrays, most))

    def look(self, point):
        """`lanes.Sums` at flat unknowns (b, P)."""
        found: Sums = self._each("look", point)
        if found.fisher is None or not np.array_equal(found.hess, found.fisher):
            return found
        return Sums(found.value, found.grad, found.hess, found.chi2, found.noise)

    def value(self, point):
        return self._each("value", point)

    def begin(self, blend):
        return self._each("begin", blend)

    def finish(self, point, move):
        return self._each("finish", point, move)

    def _each(self, method, *args):
        b = self.shape[0]
        found = bind(_one_after_another, self.model, method, self.canonical)(self.arrays, filled(args, self.most), b)
        return jax.tree.map(lambda v: np.asarray(v)[:b], found)


def filled(arrays, most):
    """Arrays of some models with copies of them behind, so that they are `most`: one compiled program serves all."""
    return jax.tree.map(lambda v: v if len(v) == most else np.resize(v, (most, *v.shape[1:])), arrays)


def _one_after_another(model, arrays, args, count, method, canonical):
    """lanes.<method>(*args) of the first `count` models."""

    def one(at):
        own, given = at
        given = jax.tree.map(lambda v: v[None], given)
        own = {name: v if name in PLAIN else jax.tree.map(lambda v: v[None], v) for name, v in own.items()}
        found = getattr(Lanes(model, Z=None, host=False, canonical=canonical, **own), method)(*given)
        return jax.tree.map(lambda v: v[0], found)

    return in_turn(one, (arrays, args), count)


def in_turn(one, arrays, count):
    """one(arrays of a model) for the first `count` of the models; their number is the first axis of all arrays."""
    of = lambda i: one(jax.tree.map(lambda v: lax.dynamic_index_in_dim(v, i, keepdims=False), arrays))
    put = lambda i, found: jax.tree.map(lambda v, new: v.at[i].set(new), found, of(i))
    size = len(jax.tree.leaves(arrays)[0])
    room = lambda v: jnp.zeros((size, *v.shape), v.dtype)
    return lax.fori_loop(0, count, put, jax.tree.map(room, jax.eval_shape(of, 0)))
