"""Many data sets on a CPU, fitted a few at a time in one compiled program: what a model takes and makes stays in the
nearest caches of the core from its first pass to its last. It is compiled for a number of rows and columns, where
`lanes` on the host is not: for work that is worth that (`PAYS`)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm.batches import lockstep
from jglm.batches.lanes import Lanes, Sums, room, used_of
from jglm.batches.stacked import gather
from jglm.fitting.padding import bind, power_of_two
from jglm.model import Model
from jglm.solvers.base import Status

ROWS, TOGETHER = 1024, 8  # so many rows of models that are taken together, and so many of these, at most
PRODUCTS = 1 << 16  # numbers: so many products of columns are kept beside X in the cache
CHUNK = 1 << 20  # numbers of X: for so many a program is called once
PAYS = 10_000_000  # numbers in all X: about a second more of compiling, once a machine, for some 0.1 s of every call


class InCache:
    """Some models of a `stacked.Stack`, each with an X of its own; `penalty` (P, P) is the Hessian at strength 1, or
    None. `fit`, and the passes of `lanes.Lanes`, NumPy in and out; programs are compiled for `most` models,
    a multiple of `together`."""

    host = True  # NumPy is what steps are taken with

    def __init__(self, model, stack, models, penalty, canonical, most):
        self.model, self.canonical = Model(model.family, model.link, None), canonical
        self.shape = len(models), *stack.shape, model.width() or 1
        self.together, self.most = together(stack.shape[0]), most
        arrays = {"y": stack.y, "w": stack.weight, "offset": stack.offset, "size": stack.size, "power": stack.power}
        self.common = {name: v for name, v in arrays.items() if v.ndim == 1}
        own = {name: gather(v, models) for name, v in arrays.items() if v.ndim > 1}
        own["X"] = stack.design(models, room("design", (len(models), *stack.shape)))
        own["own"] = {name: v[models] for name, v in stack.params.items()}
        if stack.used is not None:
            own["used"] = used_of(model, stack, models)
        if penalty is not None:
            self.common["penalty"] = penalty
            own["strength"] = np.ones(len(models)) if stack.strength is None else stack.strength[models]
        self.own = jax.device_put(filled(own, self.most))
        self.nobs = np.broadcast_to((stack.of("weight", models) > 0).sum(axis=1), len(models))

    def fit(self, start, dof, tol, max_iter):
        """(`lockstep.State`, `lockstep.End`) of every model at its end: Newton's method from `start` (b, P), None for
        where the rows themselves begin; dof (b,) or None, as `lockstep.advance` has it."""
        return self._run(bind(_fitted, self.model, self.together, self.canonical), (start, dof), tol, max_iter)

    def look(self, point):
        """`lanes.Sums` at flat unknowns (b, P)."""
        found: Sums = self._each("look", point)
        if found.fisher is None or not np.array_equal(found.hess, found.fisher):
            return found
        return Sums(found.value, found.grad, found.hess, found.chi2, found.noise)

    def value(self, point):
        return self._each("value", point)

    def finish(self, point, move):
        return self._each("finish", point, move)

    def _each(self, method, *args):
        return self._run(bind(_passed, self.model, self.together, self.canonical, method), args)

    def _run(self, program, args, *options):
        b = self.shape[0]
        found = program(self.common, self.own, filled(args, self.most), -(-b // self.together), *options)
        return jax.tree.map(lambda v: np.asarray(v)[:b], found)


def together(n):
    """How many models of n rows are taken together, a power of two: of small ones the calls cost more than the sums."""
    return min(TOGETHER, power_of_two(ROWS // n))


def models_at_once(n, p, asked=None):
    """How many models of n x p are a chunk, a multiple of `together`: at least those `asked` for, or a good number."""
    step = together(n)
    return max(1, -(-asked // step) if asked else CHUNK // (n * p * step)) * step


def filled(arrays, most):
    """Arrays of some models with copies of them behind, so that they are `most`: one compiled program serves all."""
    return jax.tree.map(lambda v: v if len(v) == most else np.resize(v, (most, *v.shape[1:])), arrays)


def _fitted(model, common, own, args, groups, tol, max_iter, together, canonical):
    """(State, End) of the models of the first groups, each seen through to its end."""

    def one(lanes, start, dof):
        given = start is not None
        none = jnp.zeros((together, lanes.unknowns)) if start is None else start
        blend, lost = jnp.full(together, lockstep.BLEND), jnp.full(together, not given)

        def running(found):
            state = found[0]
            return jnp.any((state.status == Status.RUNNING) & (state.n_iter < max_iter))

        def step(found):
            state, blend, lost = found
            if not given:
                state = lockstep.from_rows(lanes, state, blend, lost)
            sums = lanes.look(state.trial)
            new = lockstep.advance(jnp, state, sums, tol, dof)
            if given:
                return new, blend, lost
            lost = jnp.isinf(state.value) & lockstep.outside(jnp, sums) & (blend > lockstep.LEAST_BLEND)
            return lockstep.where(jnp, lost, state, new), jnp.where(lost, blend / 4, blend), lost

        state, _, _ = lax.while_loop(running, step, (lockstep.begin(jnp, none), blend, lost))
        return state, lockstep.ended(jnp, lanes, state.point, state.late)

    return _in_groups(one, model, common, own, args, groups, together, canonical)


def _passed(model, common, own, args, groups, together, canonical, method):
    """lanes.<method>(*args) of the models of the first groups."""
    one = lambda lanes, *args: getattr(lanes, method)(*args)
    return _in_groups(one, model, common, own, args, groups, together, canonical)


def _in_groups(function, model, common, own, args, groups, together, canonical):
    """function(Lanes of `together` models, *their args) for the first groups of so many models."""
    one = lambda at: function(_lanes(model, canonical, together, **common, **at[0]), *at[1])
    split = jax.tree.map(lambda v: v.reshape(-1, together, *v.shape[1:]), (own, args))
    return jax.tree.map(lambda v: v.reshape(-1, *v.shape[2:]), in_turn(one, split, groups))


def _lanes(model, canonical, b, X, own, offset, used=None, penalty=None, strength: Any = None, **rows):
    """Lanes of b models; what is over the rows is of each of them, (b, n, ...), or of all, (n,)."""
    n, width = X.shape[1], model.width() or 1
    each = lambda v: jnp.broadcast_to(v, (b, n)) if v.ndim == 1 else v
    rows = {name: each(v).reshape(b * n, *v.shape[2:]) for name, v in rows.items()}
    rows["offset"] = jnp.broadcast_to(each(offset).reshape(b, n, -1), (b, n, width))
    own = {name: jnp.repeat(v, n) for name, v in own.items()}
    penalty = None if penalty is None else strength[:, None, None] * penalty[None]
    Z = products_of(X)
    X = X[0] if b == 1 else X  # compiled, a product of matrices is quicker than a batch of one
    return Lanes(model, X, Z, own=own, used=used, penalty=penalty, host=False, canonical=canonical, **rows)


def products_of(X):
    """(b, p (p + 1) / 2, n): the products of every two columns, in the order of `np.triu_indices`, with which X'WX is
    a product of a matrix and a vector; None where they would leave the cache, or of one model."""
    b, n, p = X.shape
    if b == 1 or b * n * p * (p + 1) // 2 > PRODUCTS:
        return None
    columns = X.swapaxes(1, 2)
    found = jnp.concatenate([columns[:, i : i + 1] * columns[:, i:] for i in range(p)], axis=1)
    return lax.optimization_barrier(found)  # made once, not in every pass


def in_turn(one, arrays, count):
    """one(arrays of a model) for the first `count` of the models; their number is the first axis of all arrays."""
    of = lambda i: one(jax.tree.map(lambda v: lax.dynamic_index_in_dim(v, i, keepdims=False), arrays))
    put = lambda i, found: jax.tree.map(lambda v, new: v.at[i].set(new), found, of(i))
    size = len(jax.tree.leaves(arrays)[0])
    room = lambda v: jnp.zeros((size, *v.shape), v.dtype)
    return lax.fori_loop(0, count, put, jax.tree.map(room, jax.eval_shape(of, 0)))
