"""One pass over the data on a CPU: matrix products where the design lies in memory, only the rows compiled.

What `model.evaluate` answers, without a copy of the design: BLAS is as fast at X coef and X'r as XLA, faster at X'WX.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from jglm import rows
from jglm.designs import products
from jglm.fitting.padding import pad
from jglm.fitting.slabs import slabs_of
from jglm.model import GRADIENT, HESSIAN, Info
from jglm.rows import mask, scale


class HostPass:
    """query, asks -> Info for a problem without free parameters; `asks` is "gradient" or "hessian".

    Rows are looked at part by part in threads; factors are looked up, and their scores added up, there too, while a
    matrix is multiplied as a whole, or, where it is large, read once (`slabs`).
    """

    def __init__(self, problem):
        self.problem, self.design, self.seen = problem, problem.hosted, None
        self.coded = problem.design.gram_is_cheap
        self.slabs = slabs_of(problem)

    def __call__(self, query, asks=GRADIENT):
        """Of factors, at the same point again only what is new."""
        coef, bends, seen = np.asarray(query.point.coef), asks == HESSIAN, self.seen
        if seen is None or not np.array_equal(coef, seen.coef) or (bends and seen.bend is None):
            # Of one column of lin the curvature costs next to nothing.
            seen = self.rows(coef, bends or (self.coded and coef.ndim == 1))
            self.seen = seen if self.coded else None
        return replace(seen.info, hess=self.problem.gram(seen.bend) if bends else None)

    def rows(self, coef, bends):
        """The `Rows` at coefficients."""
        if self.slabs is not None:
            sums, grad, bend = self.slabs.look(_rows_at, coef, static=(bends,))
            return Rows(coef, self._info(sums, grad), None, bend)
        sums, score, bend, grad = zip(*self._look(coef, bends), strict=True)
        whole = lambda parts: np.concatenate([np.asarray(v) for v in parts])[: len(self.problem.prepared.y)]
        score, bend = whole(score), whole(bend) if bends else None
        grad = np.sum(grad, axis=0) if self.coded else self.design.rtimes(score)
        return Rows(coef, self._info(np.sum([np.asarray(v) for v in sums], axis=0), grad), score, bend)

    def _info(self, sums, grad):
        value, chi2, noise, count = sums
        return Info(value, np.ravel(grad.T), None, None, chi2, self.design.eps**2 * noise, count)

    def _look(self, coef, bends):
        """(sums, scores, curvatures, X' scores of factors) of every part of the rows, in threads."""
        rows_at, parts = self.problem.bound(_rows_at, bends), self.problem.parts
        lin = None if self.coded else self.design.times(coef)

        def look(i):
            with jax.enable_x64(True):  # which is a setting of each thread
                y, weight, offset = parts[i]
                size = len(weight)
                own = self.designs[i].times(coef) if lin is None else lin[i * size : (i + 1) * size]
                sums, score, bend = rows_at(y, pad(own, 0, size), weight, offset)
                back = self.designs[i].rtimes(np.asarray(score)[: len(own)]) if lin is None else None
                return sums, score, bend, back

        return products.in_threads(look, range(len(parts)), len(self.problem.prepared.y))

    @cached_property
    def designs(self):
        """The design of every part of the rows."""
        size = len(self.problem.parts[0][1])
        return [self.design.take(slice(i * size, (i + 1) * size)) for i in range(len(self.problem.parts))]


@dataclass
class Rows:
    """What a pass has seen at coefficients: sums, and the weighted scores and curvatures of the rows."""

    coef: np.ndarray
    info: Info
    score: np.ndarray | None  # of a matrix in slabs there is none
    bend: np.ndarray | None


def _rows_at(model, y, own, weight, offset, bends):
    """((value, chi2, square of the length of the fit in the metric of the Hessian, count), weighted scores, weighted
    curvatures or None) of rows at X coef = own."""
    on = weight > 0
    t = mask(on, rows.statistics(model, y), 1.0)
    w = jnp.where(on, weight, 0.0)
    lin = mask(on, own + offset, rows.safe_lin(model, own.dtype))
    along = mask(on, own, 0.0)
    loss, score, turn = rows.scores(model, t, lin, along)
    value = jnp.where(jnp.all(rows.in_domain(model, lin)), jnp.sum(w * loss), jnp.nan)
    bend = None
    if bends:
        _, _, observed, expected = jax.vmap(lambda t, v: rows.row(model, t, v))(t, lin)
        bend = scale(w, jnp.where(observed > 0, observed, expected) if lin.ndim == 1 else expected)
    chi2 = jnp.zeros((), lin.dtype)
    if model.family.dispersion == "estimated" and lin.ndim == 1:
        chi2 = jnp.sum(w * jax.vmap(lambda t, v: rows.pearson(model, t, v))(t, lin))
    noise = jnp.sum(scale(w, jnp.abs(along * turn)))
    return jnp.stack([value, chi2, noise, jnp.sum(on)]), scale(w, score), bend
