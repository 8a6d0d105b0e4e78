"""Passes over all rows at many coefficients at once: matrix products in place of products with a vector.

A block of rows at a time goes through the products and the rows' functions: arrays (rows, coefficients) of all rows
would be written anew in every pass, which takes longer than to compute them.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import rows
from jglm.designs import products
from jglm.fitting.padding import pad, padded_size
from jglm.fitting.slabs import slabs_of
from jglm.rows import mask

SIZES = (8, 24, 80)  # how many coefficients go together: 100 strengths begin with 21, and 79 follow
FULL = 0.75  # of a lot: the least that it is taken for
PAYS = 8_000_000  # numbers in X, from where a pass over it goes through slabs
ROWS = 1 << 12  # of a block
SHARES = 16  # of the blocks, each of which a thread takes as a whole
ELEMENTS = 1 << 23  # of lin that are made at a time, where a design cannot be cut


def lots(count, sizes):
    """[(indices, size)]: `count` things dealt out in lots of few sizes, so that few programs are compiled for them."""
    first, found = 0, []
    while first < count:
        size = next((s for s in sorted(sizes, reverse=True) if FULL * s <= count - first), min(sizes))
        found.append((np.arange(first, min(first + size, count)), size))
        first += size
    return found


def filled(v, at, size):
    """v at some indices, and its first again until there are `size`."""
    return v[np.append(at, np.full(size - len(at), at[0]))]


class Looks:
    """Passes over all rows at many coefficients at once: (S, P) -> gradients (S, P) of the loss, NaN outside of the
    domain, and dispersions (S,). Losses, which cost more than gradients, are asked for apart.

    With folds (n,), each of the coefficients leaves the rows of one out of its sums.
    """

    def __init__(self, problem, fold=None):
        fold = np.full(len(problem.prepared.y), -2) if fold is None else np.asarray(fold)
        self.problem = problem
        self.blocks, self.sizes = slabs_of(problem, fold, pays=PAYS), SIZES[1:]  # which take as long for 8 as for 24
        if self.blocks is None:
            self.blocks = Blocks(problem, fold)
            self.sizes = self.blocks.sizes

    def __call__(self, flat, left_out):
        grad, chi2, count = self.sums(flat, left_out)
        return grad, self.dispersions(self.problem.model, flat, chi2, count)

    def sums(self, flat, left_out):
        """(gradients (S, P), Pearson's chi2 (S,), rows that count (S,)): sums over rows."""
        return self._passed(_many_scores, flat, left_out)

    @staticmethod
    def dispersions(model, flat, chi2, count):
        """(S,) from sums over all rows."""
        free = np.maximum(count - np.count_nonzero(flat, axis=1), 1.0)
        phi = chi2 / free if model.family.dispersion == "estimated" else np.ones(len(flat))
        return np.maximum(phi, np.finfo(float).tiny)

    def losses(self, flat, held=None):
        """The losses (S,) of all rows, or for each of the coefficients of the rows of one fold, `held` (S,)."""
        return self._passed(_many_losses, flat, np.full(len(flat), -1) if held is None else held)[1]

    def _passed(self, rows_at, flat, folds):
        """[X' scores (S, P), sums (S,), ...] at all coefficients, with a fold for each."""
        width, found = self.problem.width, []
        for at, size in lots(len(flat), self.sizes):
            each = filled(flat, at, size).reshape(size, width, -1)  # class by class
            coef = np.ascontiguousarray(each.transpose(2, 0, 1).reshape(-1, size * width))
            sums, grad, _ = self.blocks.look(rows_at, coef, filled(folds, at, size))
            grad = grad.reshape(-1, size, width).transpose(1, 2, 0).reshape(size, -1)
            found.append([v[: len(at)] for v in (grad, *sums)])
        return [np.concatenate(v) for v in zip(*found, strict=True)]


class Blocks:
    """As `Slabs`, of any design: a block of rows at a time, multiplied as a design on the host is, in threads. One that
    lies on a device, or is not a matrix of rows, is one block."""

    def __init__(self, problem, fold):
        self.problem, self.fold, n = problem, fold, len(fold)
        self.whole = any(isinstance(v, jax.Array) for v in jax.tree.leaves(problem.hosted))
        self.size = padded_size(n) if self.whole else max(1, ROWS // problem.width)
        most = max(1, ELEMENTS // (n * problem.width)) if self.whole else max(SIZES)
        self.sizes = {min(size, most) for size in SIZES}

    def look(self, rows_at, coef, folds):
        """As `Slabs.look`; nothing is kept of a row."""
        program, blocks = self.problem.bound(rows_at), products.blocks(len(self.fold), 0, self.size)

        def one(at):
            design = self.problem.hosted if self.whole else self.problem.hosted.take(at)
            sums, score, _ = program(*self._filled(at, design.times(coef)), folds)
            back = np.zeros_like(coef) if score is None else design.rtimes(np.asarray(score)[: at.stop - at.start])
            return *map(np.asarray, sums), back

        def some(blocks):
            # Both are settings of each thread. NaN tells of what is outside of the domain.
            with jax.enable_x64(True), np.errstate(invalid="ignore", over="ignore"):
                return _sums(map(one, blocks))

        shares = [blocks[i::SHARES] for i in range(min(SHARES, len(blocks)))]
        with np.errstate(invalid="ignore"):
            *sums, grad = _sums(products.in_threads(some, shares, len(self.fold)))
        return sums, grad, None

    def _filled(self, at, lin):
        """(y, X coef, weight, offset, fold) of a block, the last with rows of weight 0 behind."""
        p, fill = self.problem.prepared, lambda v: pad(v, 0, self.size)
        weight = np.append(p.weight[at], np.zeros(self.size - len(lin)))
        return fill(p.y[at]), fill(lin), weight, fill(p.offset[at]), fill(self.fold[at])


def _sums(found):
    """Of what was found in each part, [(array, ...)], one array after the other."""
    return [np.sum(parts, axis=0) for parts in zip(*found, strict=True)]


def _many_scores(model, y, own, weight, offset, fold, left_out):
    """((Pearson's chi2 (S,), rows that count (S,)), weighted scores, None) at X coef = own (n, S) or (n, S k)."""
    w, t, lin = _seen(model, y, own, weight[:, None] * (fold[:, None] != left_out[None, :]), offset)
    score = _each(jax.grad(lambda v, t: rows.row(model, t, v, False)))(lin, t)
    inside = jax.vmap(lambda v: rows.in_domain(model, v), 1, 1)(lin)
    w = jnp.where(jnp.all(inside, axis=0), w, jnp.nan)
    chi2 = jnp.zeros(len(left_out), w.dtype)
    if model.family.dispersion == "estimated" and lin.ndim == 2:
        chi2 = jnp.sum(w * _each(lambda v, t: rows.pearson(model, t, v))(lin, t), axis=0)
    score = w.reshape(w.shape + (1,) * (lin.ndim - 2)) * score
    return (chi2, jnp.sum(w > 0, axis=0)), score.reshape(own.shape), None


def _many_losses(model, y, own, weight, offset, fold, held):
    """((losses (S,),), None, None) at X coef = own, of the rows of one fold each, `held` (S,), -1 for all."""
    taken = (held[None, :] < 0) | (fold[:, None] == held[None, :])
    w, t, lin = _seen(model, y, own, weight[:, None] * taken, offset)
    return (jnp.sum(w * _each(lambda v, t: rows.row(model, t, v, False))(lin, t), axis=0),), None, None


def _each(function):
    """A function of (lin, T(y)) of one row over lin (n, S) or (n, S, k), in that order, and T(y) (n,) or (n, k)."""
    return jax.vmap(jax.vmap(function, in_axes=(0, None)))


def _seen(model, y, own, weight, offset):
    """(weight (n, S), T(y), lin (n, S) or (n, S, k)) of rows at X coef = own, with values that do no harm where the
    weight is 0."""
    lin = own if model.width() is None else own.reshape(*weight.shape, -1)
    w = jnp.where(weight > 0, weight, 0.0)
    t = mask(jnp.any(w > 0, axis=1), rows.statistics(model, y), 1.0)
    on = (w > 0).reshape(w.shape + (1,) * (lin.ndim - 2))
    return w, t, jnp.where(on, lin + jnp.expand_dims(offset, 1), rows.safe_lin(model, lin.dtype))
