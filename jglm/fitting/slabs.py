"""A matrix in the host's memory, passed over in one read: slab by slab in threads, a block of rows at a time in one
compiled program, which multiplies it by the coefficients and by its rows' scores while it is in the nearest cache. BLAS
would read it once for each of the two.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm.designs import Dense, WithConstant, place, products
from jglm.designs.dense import BLOCK_ELEMENTS
from jglm.designs.placement import ALIGNMENT
from jglm.fitting.padding import pad, power_of_two

PAYS = 20_000_000  # numbers in X: about half a second of compiling, once a machine, for some 10 ms of every pass
SLAB = 1 << 21  # numbers: programs are compiled for a slab, whatever the number of rows
WIDE = SLAB >> 8  # columns


class Slabs:
    """The rows of a problem in slabs of one size, with more `facts` (n, ...) of them. X (n, p) is read where it lies
    but for the few rows at the end of the list: those before the first number that XLA reads in place, and those behind
    the last whole slab."""

    def __init__(self, problem, X, *facts):
        self.bound, self.constant, (n, p) = problem.bound, isinstance(problem.hosted, WithConstant), X.shape
        self.n, self.worth, line = n, X.size // products.ELEMENTS, ALIGNMENT // X.itemsize
        self.size = power_of_two(SLAB // p)
        self.block = min(self.size, power_of_two(BLOCK_ELEMENTS["cpu"] // p))
        self.first = -(-line // p)  # such a number is in one of so many rows
        self.lead = (X.ctypes.data // X.itemsize + self.first * p) % line  # numbers from the one there to the next row
        self.behind = self.first + max(0, n - self.first - line) // self.size * self.size
        given = problem.prepared
        self.slabs = place(self._slabs(X, line, given.weight, (given.y, given.offset, *facts)))

    def _slabs(self, X, line, weight, facts):
        """[(X as numbers, weight, facts)]; in the last one rows of weight 0 are behind."""
        p, size, flat, slabs = X.shape[1], self.size, X.reshape(-1), []
        for i in range(self.first, self.behind, size):
            rows, at = slice(i, i + size), i * p - self.lead
            slabs.append((flat[at : at + size * p + line], weight[rows], [v[rows] for v in facts]))
        rest = np.r_[: self.first, self.behind : self.n]
        for rows in (rest[i : i + size] for i in range(0, len(rest), size)):
            own = np.zeros(size * p + line, X.dtype)
            own[self.lead :][: len(rows) * p] = X[rows].reshape(-1)
            filled = np.append(weight[rows], np.zeros(size - len(rows)))
            slabs.append((own, filled, [pad(v[rows], 0, size) for v in facts]))
        return slabs

    def look(self, rows_at, coef, *asked, static=()):
        """(sums, X' scores, what is kept of each row, in their order) at coefficients (p, ...).

        `rows_at(model, y, X coef, weight, offset, *facts, *asked, *static)` tells of some rows: a tree of sums over
        them, their scores, and what is to be kept of each of them; None for the last two where there is none.
        """
        program = self.bound(_slab_at, rows_at, static, self.block, self.constant)

        def one(slab):
            with jax.enable_x64(True):  # which is a setting of each thread
                return jax.tree.map(np.asarray, program(*slab, self.lead, coef, asked))

        sums, grad, kept = zip(*products.in_threads(one, self.slabs, self.worth), strict=True)
        with np.errstate(invalid="ignore", over="ignore"):
            total = lambda parts: jax.tree.map(lambda *v: np.sum(v, axis=0), *parts)
            return total(sums), total(grad), None if kept[0] is None else self._in_order(kept)

    def _in_order(self, parts):
        """What the slabs tell of their rows, in the order of the rows."""
        found, whole = np.concatenate(parts), self.behind - self.first
        rest = found[whole : self.n]
        return np.concatenate([rest[: self.first], found[:whole], rest[self.first :]])


def slabs_of(problem, *facts, pays=None):
    """The `Slabs` of a problem, None where X has fewer than `pays` numbers (PAYS), or is not a matrix of numbers one
    behind the other that need no conversion."""
    design = problem.hosted.inner if isinstance(problem.hosted, WithConstant) else problem.hosted
    X = design.X if isinstance(design, Dense) else None
    if not isinstance(X, np.ndarray) or X.size < (PAYS if pays is None else pays) or X.shape[1] > WIDE:
        return None
    plain = X.flags.c_contiguous and X.flags.aligned and X.dtype == problem.dtype
    return Slabs(problem, X, *facts) if plain else None


def _slab_at(model, X, weight, facts, lead, coef, asked, rows_at, static, block, constant):
    """What `rows_at` tells of a slab (see `Slabs.look`); X as numbers, of which `lead` are of no row of it."""
    p = len(coef) - constant

    def add(total, at):
        i, weight, (y, offset, *facts) = at
        own = Dense(lax.dynamic_slice_in_dim(X, lead + i * block * p, block * p).reshape(block, p), X.dtype.name)
        own = WithConstant(own) if constant else own
        sums, score, kept = rows_at(model, y, own.matvec(coef), weight, offset, *facts, *asked, *static)
        return total if score is None else total + own.rmatvec(score), (sums, kept)

    cut = lambda v: v.reshape(-1, block, *v.shape[1:])
    parts = jnp.arange(len(weight) // block), *jax.tree.map(cut, (weight, facts))
    grad, (sums, kept) = lax.scan(add, jnp.zeros_like(coef), parts)
    whole = lambda v: v.reshape(-1, *v.shape[2:])
    return jax.tree.map(lambda v: jnp.sum(v, axis=0), sums), grad, jax.tree.map(whole, kept)
