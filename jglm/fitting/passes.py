"""One pass over the data on a CPU: matrix products where the design lies in memory, only the rows compiled.

What `model.evaluate` answers, without a copy of the design: BLAS is as fast at X coef and X'r as XLA, faster at X'WX.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import rows
from jglm.fitting.padding import pad
from jglm.model import GRADIENT, HESSIAN, Info
from jglm.rows import mask, scale


class HostPass:
    """query, asks -> Info for a problem without free parameters; `asks` is "gradient" or "hessian"."""

    def __init__(self, problem):
        self.problem, self.design = problem, problem.hosted

    def __call__(self, query, asks=GRADIENT):
        lin = self.design.times(np.asarray(query.point.coef))
        rows_at, found = self.problem.bound(_rows_at, asks == HESSIAN), []
        for i, (y, weight, offset) in enumerate(self.problem.parts):
            size = len(weight)
            found.append(rows_at(y, pad(lin[i * size : (i + 1) * size], 0, size), weight, offset))
        value, score, bend, chi2, noise, count = zip(*found, strict=True)
        whole = lambda parts: np.concatenate([np.asarray(v) for v in parts])[: len(lin)]
        total = lambda parts: np.sum([np.asarray(v) for v in parts])
        grad = np.ravel(np.asarray(self.design.rtimes(whole(score))).T)
        hess = self.problem.gram(whole(bend)) if asks == HESSIAN else None
        return Info(total(value), grad, hess, None, total(chi2), self.design.eps**2 * total(noise), total(count))


def _rows_at(model, y, own, weight, offset, bends):
    """(value, weighted scores, weighted curvatures or None, chi2, square of the length of the fit in the metric of the
    Hessian, count) of rows at X coef = own."""
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
    return value, scale(w, score), bend, chi2, noise, jnp.sum(on)
