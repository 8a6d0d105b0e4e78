"""Passes over all rows at many coefficients at once: matrix products in place of products with a vector."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import rows
from jglm.fitting.padding import pad
from jglm.rows import mask

ELEMENTS = 1 << 23  # of lin that are made at a time
SIZES = (8, 32, 128)  # how many coefficients go together
PIECE = 1 << 19  # of lin that go through the rows' functions at a time


def lots(count, sizes):
    """[(indices, size)]: `count` things dealt out in lots of few sizes, so that few programs are compiled for them."""
    first, found = 0, []
    while first < count:
        size = next((s for s in sorted(sizes, reverse=True) if s <= count - first), min(sizes))
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
        self.problem, p = problem, problem.prepared
        self.fold = np.full(len(p.y), -2) if fold is None else np.asarray(fold)
        self.scores_at = problem.bound(_many_scores)

    def __call__(self, flat, left_out):
        grad, chi2, count = self.sums(flat, left_out)
        return grad, self.dispersions(self.problem.model, flat, chi2, count)

    def sums(self, flat, left_out):
        """(gradients (S, P), Pearson's chi2 (S,), rows that count (S,)): sums over rows."""
        return self._passed(flat, left_out, self._sums)

    @staticmethod
    def dispersions(model, flat, chi2, count):
        """(S,) from sums over all rows."""
        free = np.maximum(count - np.count_nonzero(flat, axis=1), 1.0)
        phi = chi2 / free if model.family.dispersion == "estimated" else np.ones(len(flat))
        return np.maximum(phi, np.finfo(float).tiny)

    def losses(self, flat, held=None):
        """The losses (S,) of all rows, or for each of the coefficients of the rows of one fold, `held` (S,)."""
        return self._passed(flat, np.full(len(flat), -1) if held is None else held, self._losses)[0]

    def _passed(self, flat, left_out, function):
        n, width, found = len(self.fold), self.problem.width, []
        most = max(1, ELEMENTS // (n * width))
        for at, size in lots(len(flat), [min(size, most) for size in SIZES]):
            found.append([v[: len(at)] for v in function(filled(flat, at, size), filled(left_out, at, size))])
        return [np.concatenate(v) for v in zip(*found, strict=True)]

    def _lin(self, flat):
        """X coef of all, (n, S) or (n, S, k)."""
        S, width = len(flat), self.problem.width
        if self.problem.model.width() is None:
            return self.problem.hosted.times(np.ascontiguousarray(flat.T))
        both = flat.reshape(S, width, -1).transpose(2, 0, 1).reshape(-1, S * width)
        return self.problem.hosted.times(np.ascontiguousarray(both)).reshape(-1, S, width)

    def _pieces(self, lin):
        p, size = self.problem.prepared, max(256, PIECE // int(np.prod(lin.shape[1:])))
        for i in range(0, len(lin), size):
            at = slice(i, i + size)
            fill = lambda v: pad(v, 0, size)
            weight = np.append(p.weight[at], np.zeros(size - len(lin[at])))
            yield at, fill(p.y[at]), fill(lin[at]), weight, fill(p.offset[at]), fill(self.fold[at])

    def _sums(self, flat, left_out):
        lin, parts = self._lin(flat), []
        for at, *given in self._pieces(lin):
            *sums, score = self.scores_at(*given, left_out)
            lin[at] = np.asarray(score)[: len(lin[at])]
            parts.append(sums)
        chi2, count = (np.sum([np.asarray(v) for v in part], axis=0) for part in zip(*parts, strict=True))
        S, width = len(flat), self.problem.width
        with np.errstate(invalid="ignore", over="ignore"):  # NaN outside of the domain
            grad = self.problem.hosted.rtimes(lin.reshape(len(lin), -1))
        grad = np.moveaxis(grad.reshape(-1, S, width), 0, 2).reshape(S, -1)
        return grad, chi2, count

    def _losses(self, flat, held):
        lin, losses_at = self._lin(flat), self.problem.bound(_many_losses)
        return [np.sum([np.asarray(losses_at(*given, held)) for _, *given in self._pieces(lin)], axis=0)]


def _many_scores(model, y, own, weight, offset, fold, left_out):
    """(Pearson's chi2 (S,), rows that count (S,), weighted scores) at X coef = own (n, S) or (n, S, k)."""
    w, t, lin = _seen(model, y, own, weight[:, None] * (fold[:, None] != left_out[None, :]), offset)
    score = _each(jax.grad(lambda v, t: rows.row(model, t, v, False)))(lin, t)
    inside = jax.vmap(lambda v: rows.in_domain(model, v), 1, 1)(lin)
    w = jnp.where(jnp.all(inside, axis=0), w, jnp.nan)
    chi2 = jnp.zeros(own.shape[1], w.dtype)
    if model.family.dispersion == "estimated" and lin.ndim == 2:
        chi2 = jnp.sum(w * _each(lambda v, t: rows.pearson(model, t, v))(lin, t), axis=0)
    return chi2, jnp.sum(w > 0, axis=0), w.reshape(w.shape + (1,) * (lin.ndim - 2)) * score


def _many_losses(model, y, own, weight, offset, fold, held):
    """Losses (S,) at X coef = own (n, S) or (n, S, k), of the rows of one fold each, `held` (S,), -1 for all."""
    taken = (held[None, :] < 0) | (fold[:, None] == held[None, :])
    w, t, lin = _seen(model, y, own, weight[:, None] * taken, offset)
    return jnp.sum(w * _each(lambda v, t: rows.row(model, t, v, False))(lin, t), axis=0)


def _each(function):
    """A function of (lin, T(y)) of one row over lin (n, S) or (n, S, k), in that order, and T(y) (n,) or (n, k)."""
    return jax.vmap(jax.vmap(function, in_axes=(0, None)))


def _seen(model, y, own, weight, offset):
    """(weight (n, S), T(y), lin) of rows at X coef = own, with values that do no harm where the weight is 0."""
    w = jnp.where(weight > 0, weight, 0.0)
    t = mask(jnp.any(w > 0, axis=1), rows.statistics(model, y), 1.0)
    on = (w > 0).reshape(w.shape + (1,) * (own.ndim - 2))
    return w, t, jnp.where(on, own + jnp.expand_dims(offset, 1), rows.safe_lin(model, own.dtype))
