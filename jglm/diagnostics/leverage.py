"""What each row can do to a fit: its leverage, and what its deletion does to first order.

With C = (X'WX + P)^-1 of the expected information and G_i = x_i' C x_i, all in the m linear predictors of row i (m = 1
for a scalar family, one per class for a vector one; of a family whose free parameters belong to the mean's map these
besides), the leverage is tr W_i G_i, and one step of Fisher scoring without row i leads from coef to

    coef + C x_i (1 - W_i G_i)^-1 s_i,      s_i = d loss_i / d lin

(Pregibon 1981; Williams 1987). Rows are read in blocks: nothing is n x n.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm import rows
from jglm.fitting import deferred, joint
from jglm.fitting.problem import Problem, flatten_host
from jglm.model import Model, Unknowns

BLOCK = 1 << 21  # elements of X at a time
NEAR_ONE = 10 * np.finfo(float).eps  # R's: a leverage this near 1 is 1


@dataclass
class Pieces:
    """A fit row by row: `inverse` with inverse inverse' = C (P, P) in the unknowns, `score` (n, m) and `bend` (n, m, m)
    in the linear predictors, both times the weight; `also` {position: design (n, q)} of those that are not X's."""

    problem: Any
    inverse: np.ndarray
    score: np.ndarray
    bend: np.ndarray
    also: dict = field(default_factory=dict)

    @property
    def width(self):
        return self.score.shape[1]

    @cached_property
    def _ends(self):
        """Where the unknowns of each linear predictor begin and end."""
        p = self.problem.design.shape[1]
        sizes = [self.also[a].shape[1] if a in self.also else p for a in range(self.width)]
        return np.concatenate([[0], np.cumsum(sizes)])

    def blocks(self):
        """(rows, [design of each linear predictor in them]) of all rows, a block at a time."""
        n, p = self.problem.design.shape
        step = max(1, BLOCK // max(len(self.inverse) * self.width, p))
        for first in range(0, n, step):
            part = slice(first, min(first + step, n))
            X = self.problem.X[part] if n <= step else self.problem.design.take(np.arange(n)[part]).dense()
            yield part, [self.also[a][part] if a in self.also else X for a in range(self.width)]

    def pushed(self, designs):
        """[x_ia' inverse] (rows, P) of each linear predictor a."""
        ends = self._ends
        return [Z @ self.inverse[ends[a] : ends[a + 1]] for a, Z in enumerate(designs)]

    @cached_property
    def spans(self):
        """G (n, m, m) of all rows."""
        G = np.empty(self.bend.shape)
        for part, designs in self.blocks():
            V = self.pushed(designs)
            for a in range(self.width):
                for b in range(a + 1):
                    G[part, a, b] = G[part, b, a] = np.einsum("np,np->n", V[a], V[b])
        return G

    @cached_property
    def hats(self):
        """(n,) leverages: at most m, in sum the rank; 0 in rows of weight 0."""
        return np.einsum("nab,nba->n", self.bend, self.spans)

    def deleted(self, score=None):
        """(n, m) u = (1 - W G)^-1 s, NaN where a row is all that some coefficient knows of; `score` in place of s."""
        score = self.score if score is None else score
        if self.width == 1:
            h = self.hats[:, None]
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(1 - h > NEAR_ONE, score / (1 - h), np.nan)
        rest = np.eye(self.width) - self.bend @ self.spans
        whole = np.abs(np.linalg.det(rest)) > NEAR_ONE
        u = np.linalg.solve(np.where(whole[:, None, None], rest, np.eye(self.width)), score[:, :, None])[:, :, 0]
        return np.where(whole[:, None], u, np.nan)

    def moves(self, u):
        """(n, P) -C x_i u_i: by how much the unknowns are larger with row i than without it."""
        out = np.empty((len(u), len(self.inverse)))
        for part, designs in self.blocks():
            V = self.pushed(designs)
            out[part] = -sum(v * u[part, a, None] for a, v in enumerate(V)) @ self.inverse.T
        return out


def pieces(fit, what="leverage") -> Pieces:
    """The `Pieces` of a fit that has its data; inside `jax.enable_x64(True)`. Raises ValueError without the data, and
    for a penalty with kinks or bounds."""
    prepared = fit._data(what)
    if not fit._smooth:
        raise ValueError(f"{what} is not defined for a penalty with kinks or bounds, whose fit does not answer "
                         "smoothly to a row; fit the chosen columns without it")  # fmt: skip
    flat = flatten_host(fit.params[fit.kept])
    if fit.free and fit.family.parametrize_ is not None:
        return _joint_pieces(fit, prepared, flat)
    problem = Problem(fit.model, prepared, fit.kept)
    view = problem.derivatives(problem.lin(flat))
    R = deferred.triangle(problem, view, flat)
    n, m, w = len(prepared.y), problem.width, prepared.weight
    score, bend = view.score.reshape(n, m), view.expected.reshape(n, m, m)
    # With all classes alike a constant more on each changes nothing, and the root of rounding is left in its pivot.
    alike = fit.model.penalty is not None and m > 1
    return Pieces(problem, inverse_of(R, 1e-7 if alike else 1e-13), w[:, None] * score, w[:, None, None] * bend)


def _joint_pieces(fit, prepared, flat):
    """The same of all unknowns, where the mean's map takes the free parameters too."""
    model = Model(fit.family.replace(free=fit.free), fit.link, fit.model.penalty)
    problem = Problem(model, prepared, fit.kept)
    unknowns = Unknowns(jnp.asarray(problem.shape(flat)), {k: jnp.asarray(v) for k, v in fit.nuisance.items()})
    designs, _, score, _, expected = joint.rows_at(problem, unknowns)
    ends = np.concatenate([[0], np.cumsum([Z.shape[1] for Z in designs])])
    H = np.zeros((ends[-1], ends[-1]))
    for a, Z in enumerate(designs):
        for b, Y in enumerate(designs):
            H[ends[a] : ends[a + 1], ends[b] : ends[b + 1]] = (expected[:, a, b, None] * Z).T @ Y
    extra = model.curvature(unknowns)
    also = {a: Z for a, Z in enumerate(designs) if a >= problem.width}
    root = np.linalg.cholesky(H if extra is None else H + np.asarray(extra)).T
    return Pieces(problem, inverse_of(root), score, expected, also)


def inverse_of(R, least=1e-13):
    """L with L L' = (R'R)^-1; its least-squares inverse where a pivot is below `least` of its column."""
    size = np.linalg.norm(R, axis=0)
    size = np.where(size > 0, size, 1.0)
    if R.shape[0] == R.shape[1] and np.all(np.abs(np.diagonal(R)) > least * size):
        return np.linalg.solve(R / size, np.eye(len(R))) / size[:, None]
    return np.linalg.pinv(R / size, rcond=10 * least) / size[:, None]


def information(model, v):
    """(m, m) the expected information of one row in its linear predictors v (m,), free parameters of the mean's map
    included."""
    of_v = lambda v: rows.eta_of(model, *rows.unstack(model, v))
    bend, jac = jax.hessian(model.family.a)(of_v(v)), jax.jacfwd(of_v)(v)
    return jnp.outer(jac, jac) * bend if model.family.dim is None else jac.T @ bend @ jac


def shaped(fit, flat):
    """(n, p) or (n, p, k) from the flat coefficients (n, P) of the kept columns, NaN where aliased."""
    kept, width = np.asarray(fit.kept), fit.model.width()
    out = np.full((len(flat), width or 1, len(kept)), np.nan)
    p = int(kept.sum())
    out[:, :, kept] = flat[:, : p * (width or 1)].reshape(len(flat), width or 1, p)
    return out[:, 0] if width is None else out.transpose(0, 2, 1)
