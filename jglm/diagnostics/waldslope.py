"""The Hauck-Donner effect: Wald statistics that fall while the estimate moves away from 0.

With z_t = b_t / sqrt(phi C_tt), C = (X'WX)^-1 at the other coefficients held,

    d z_t / d b_t = (1 - (b_t / 2) (d C_tt / d b_t) / C_tt) / se_t,    d C_tt / d b_t = -C_t' (d X'WX / d b_t) C_t,

and the effect is there where it is negative (Yee 2022, JASA 117, 1763-1774). The derivative of the rows' information
in their linear predictors is by autodiff, for any family.
"""

import jax
import numpy as np

from jglm.diagnostics.leverage import information, pieces
from jglm.fitting.padding import bind, over_rows
from jglm.fitting.problem import flatten_host


def slopes(fit):
    """(P,) d z / d b of the flat coefficients (and of free parameters that the mean's map takes) at the fit, in the
    model's standard errors."""
    found = pieces(fit, "the slope of the Wald statistics")
    problem, n = found.problem, len(fit._prepared.y)
    flat = flatten_host(fit.params[fit.kept])
    columns = [problem.lin(flat).reshape(n, -1)]
    for name, _ in problem.model.family.free:
        u, Z = np.asarray(fit.nuisance[name], float), fit._prepared.designs.get(name)
        columns.append(np.broadcast_to(u, (n, len(u))) if Z is None else (Z @ u)[:, None])
        flat = np.append(flat, u)
    turn = over_rows(bind(_turns, problem.model), np.hstack(columns))
    on = fit._prepared.weight > 0
    turn = np.where(on[:, None, None, None], fit._prepared.weight[:, None, None, None] * turn, 0.0)
    D = np.zeros(len(flat))
    for part, designs in found.blocks():
        U = [V @ found.inverse.T for V in found.pushed(designs)]
        for a, Z in enumerate(designs):
            at = slice(found._ends[a], found._ends[a + 1])
            bent = sum(turn[part, b, c, a, None] * U[b][:, at] * U[c][:, at]
                       for b in range(found.width) for c in range(found.width))  # fmt: skip
            D[at] += np.einsum("np,np->p", Z, bent)
    C = np.sum(found.inverse**2, axis=1)
    return (1 + flat * D / (2 * C)) / np.sqrt(fit.scale * C)


def by_coefficient(fit):
    """`slopes` shaped as the coefficients, NaN where aliased."""
    kept, width = np.asarray(fit.kept), fit.model.width()
    p = int(kept.sum())
    out = np.full((len(kept), width or 1), np.nan)
    out[kept] = slopes(fit)[: p * (width or 1)].reshape(width or 1, p).T
    return out[:, 0] if width is None else out


def _turns(model, v):
    """(n, m, m, m) the derivatives in v of the expected information of all rows, in the linear predictors v."""

    return jax.vmap(jax.jacfwd(lambda v: information(model, v)))(v)
