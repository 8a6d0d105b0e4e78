"""A null model seen by candidate columns: what the score test of adding one of them takes from the fit."""

import numpy as np

from jglm.fitting import irls, joint, linalg
from jglm.fitting.problem import Problem, flatten_host
from jglm.model import Model, Unknowns
from jglm.scans.candidates import Block, Fixed, sums

CANCELLED = 1e-6  # share of g'Wg left after the null's columns, below which a difference of sums has lost digits
CHUNK = 1 << 21  # elements of the residuals of such columns that are made at a time


class Null:
    """The rows of a fit without penalty: scores s (n, k) of its k columns of lin, information W (n, m, m) of the m
    linear predictors (those of the family's own parameters too, where they move with the mean), and R with
    R'R = D'WD for the design D of all unknowns.

    A candidate g (n,) as a further column of all k columns of lin has the score U (k,) and, after the unknowns of the
    null, the information V (k, k):
        U_a = g's_a - C_a·r,   V_ab = g'W_ab g - C_a·C_b,   C_a = R'^-1 D'W(g e_a),   r = R'^-1 D's.
    (r is 0 at the exact optimum, and takes away what the fit left.)
    """

    def __init__(self, fit):
        prepared = fit._data("a score scan")
        problem = Problem(fit.model, prepared, fit.kept)
        self.on = prepared.weight > 0
        if fit.free and fit._joins:
            score, W, self.designs, R = _with_parameters(fit, problem)
            self.phi = 1.0
        else:
            score, W, R = _of_mean(problem, flatten_host(fit.params[fit.kept]))
            self.designs, self.phi = [problem.X] * W.shape[1], fit.scale
        self.k = k = problem.width
        self.W, self.R = W, R
        spans = np.cumsum([0, *(Z.shape[1] for Z in self.designs)])
        self.parts = [slice(*spans[i : i + 2]) for i in range(len(self.designs))]
        pairs = np.triu_indices(k)
        self.score = score
        bases = [np.linalg.solve(R.T, self._weighted(a).T).T for a in range(k)]
        self.fixed = Fixed(np.concatenate([score[:, :k], *bases], axis=1), W[:, *pairs])
        gradient = np.concatenate([Z.T @ score[:, i] for i, Z in enumerate(self.designs)])
        self.rest = np.linalg.solve(R.T, gradient)
        self._check()

    def _check(self):
        if not (np.all(np.isfinite(self.fixed.A)) and np.all(np.isfinite(self.fixed.W))):
            raise ValueError("the information of the null model is singular or not finite; fit a null model that "
                             "converges, with fewer columns")  # fmt: skip
        if not self.phi > 0:
            raise ValueError(f"the dispersion of the null model is {self.phi}; the score test divides by it: the null "
                             "must leave degrees of freedom and not fit perfectly")  # fmt: skip

    def _weighted(self, a):
        """W e_a against the design of all unknowns, (n, P)."""
        return np.concatenate([self.W[:, a, b, None] * Z for b, Z in enumerate(self.designs)], axis=1)

    def test(self, block, clean):
        """(U (b, k), V (b, k, k), which columns are combinations of the null's) of a block.

        `clean(values (n, c), columns)` gives finite values, or raises; it is asked where there are others.
        """
        b, k, P = block.width, self.k, len(self.R)
        step = max(1, CHUNK // (self.W[:, :, 0].size * k))
        chunks = lambda columns: (columns[s : s + step] for s in range(0, len(columns), step))
        with np.errstate(invalid="ignore", over="ignore"):
            both, squares = sums(block, self.fixed)
        for at in chunks(np.flatnonzero(~(np.isfinite(both).all(axis=1) & np.isfinite(squares).all(axis=1)))):
            both[at], squares[at] = sums(Block(clean(block.dense(at), at)), self.fixed)
        C = both[:, k:].reshape(b, k, P)
        U = both[:, :k] - C @ self.rest
        whole = np.empty((b, k, k))
        i, j = np.triu_indices(k)
        whole[:, i, j] = whole[:, j, i] = squares
        V = whole - np.einsum("cap,cbp->cab", C, C)
        aliased = np.zeros(b, bool)
        for at in chunks(np.flatnonzero(~(_share(V, whole) > CANCELLED))):
            U[at], V[at] = self._carefully(clean(block.dense(at), at))
            aliased[at] = ~(_share(V[at], whole[at]) > max(linalg.RANK_TOLERANCE, block.eps) ** 2)
        return U, V, aliased

    def _carefully(self, G):
        """U and V from residuals of G (n, c), for columns that are nearly combinations of the null's."""
        rest = self.residuals(G)
        U = np.einsum("ni,ainc->ca", self.score, rest)
        return U, np.einsum("ainc,nij,bjnc->cab", rest, self.W, rest, optimize=True)

    def residuals(self, G):
        """(k, m, n, c): each column of G (n, c) as a further one of each of the k columns of lin, seen in the m linear
        predictors, less its projection on the null's columns in the metric W."""
        rest = np.zeros((self.k, len(self.designs), *G.shape))
        for a in range(self.k):
            rest[a, a] = G
            for _ in range(2):  # the second takes away what rounding left
                weighted = np.einsum("nij,jnc->inc", self.W, rest[a])
                C = np.concatenate([Z.T @ weighted[i] for i, Z in enumerate(self.designs)])
                B = np.linalg.solve(self.R, np.linalg.solve(self.R.T, C))
                for i, Z in enumerate(self.designs):
                    rest[a, i] -= Z @ B[self.parts[i]]
        return rest


def _share(V, whole):
    """The smallest part of g'Wg (b, k, k) that is left in V, over the k directions; 0 where g is 0."""
    size = np.sqrt(np.einsum("caa->ca", whole))
    size = np.where(size > 0, size, 1.0)
    unit = V / (size[:, :, None] * size[:, None, :])
    unit = np.where(np.isfinite(unit), unit, 0.0)
    return unit[:, 0, 0] if unit.shape[1] == 1 else np.linalg.eigvalsh(unit)[:, 0]


def _of_mean(problem, flat):
    """(scores (n, k), expected information (n, k, k), R) of the columns of lin, 0 in rows of weight 0."""
    view, w, k = problem.derivatives(problem.lin(flat)), problem.prepared.weight, problem.width
    R = irls.normal_equations(problem.X, w, view.score, view.expected, None, flat)[0]
    score = -w[:, None] * view.score.reshape(-1, k)
    return score, w[:, None, None] * view.expected.reshape(-1, k, k), R


def _with_parameters(fit, problem):
    """(scores (n, m), information (n, m, m), designs, R) of lin and of the family's own parameters.

    The information is the expected one where the parameters belong to the mean's map, else the observed one.
    """
    model = Model(fit.family.replace(free=fit.free), fit.link, None)
    unknowns = Unknowns(fit.params[fit.kept], fit.nuisance)
    designs, _, score, observed, expected = joint.rows_at(problem.with_model(model), unknowns)
    W = expected if fit.family.parametrize_ is not None else observed
    whole = [[Zi.T @ (W[:, i, j, None] * Zj) for j, Zj in enumerate(designs)] for i, Zi in enumerate(designs)]
    R = linalg.triangle_of(np.block(whole))
    if R is None:
        raise ValueError("the joint information of the null's coefficients and family parameters is not positive "
                         "definite; fix the parameters, or fit a null model with fewer columns")  # fmt: skip
    return -score, W, designs, R
