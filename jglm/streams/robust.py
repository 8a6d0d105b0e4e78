"""Robust covariances of a fit of a stream: the products of the rows' scores are one more sum over blocks."""

import jax
import numpy as np

from jglm.diagnostics.leverage import Pieces
from jglm.fitting.problem import Problem, flatten_host
from jglm.inference import sandwich

BY_ROWS, BY_CLUSTERS = ("HC0", "HC1", "HC2", "HC3"), ("cluster", "CR0", "CR1", "CR1p")


def check(kind, groups):
    """ValueError for a covariance, or a column of clusters, that a stream has none of."""
    known = (*BY_ROWS, *BY_CLUSTERS)
    if kind in sandwich.ROBUST and kind not in known:
        raise ValueError(f"covariance={kind!r} needs all rows at once; that of a stream is one of {', '.join(known)}")
    if groups is not None and not isinstance(groups, str):
        raise TypeError(f"groups is a {type(groups).__name__}; of a stream it is the name of a column")
    if kind in BY_CLUSTERS and groups is None:
        raise ValueError(f"covariance={kind!r} needs groups=, the column whose values are the clusters")


def covariance(fit, data):
    """(the covariance (P, P) as `sandwich.covariance` has it, how many clusters, or None); one pass."""
    check(fit.covariance, None if data.clusters is None else data.clusters.column)
    if fit._joins:
        raise ValueError("robust covariances of coefficients together with the family's parameters are for data in "
                         "memory; use 'model'")  # fmt: skip
    with jax.enable_x64(True):
        inverse, kind = fit._unscaled_covariance(), fit.covariance
        root, flat, P = np.linalg.cholesky(inverse), flatten_host(fit.params[fit.kept]), len(inverse)

        def pieces(block):
            problem = Problem(fit.model, block, fit.kept)
            view, w, m = problem.derivatives(problem.lin(flat)), block.weight, problem.width
            score, bend = view.score.reshape(len(w), m), view.expected.reshape(len(w), m, m)
            return Pieces(problem, root, w[:, None] * score, w[:, None, None] * bend)

        if kind in sandwich.BY_LEVERAGE and fit.model.width() is not None:
            raise ValueError(f"covariance={kind!r} of a family with several linear predictors is for data in memory; "
                             "use 'HC1'")  # fmt: skip
        if kind in BY_ROWS:
            middle = data.total(lambda block: sandwich.of_rows(pieces(block), kind, _copies(fit, block)))
            return sandwich.factor(kind, 0, fit.nobs, P) * inverse @ middle @ inverse, None
        parts = data.clustered().fold(lambda block: _by_cluster(pieces(block), block), _joined)
        known, sums = _whole(data.stream.together.gather(parts))
        if len(known) < 2:
            raise ValueError("groups has a single group; between-group variation needs at least two")
        half = sums @ inverse
        return sandwich.factor(kind, len(known), fit.nobs, P) * (half.T @ half), len(known)


def _copies(fit, block):
    """(n,): how many rows each stands for."""
    on = block.weight > 0
    return np.where(on, block.power, 0.0) if fit.weight_kind == "frequency" else on.astype(float)


def _by_cluster(pieces, block):
    """(clusters, in order; sums of the scores of their rows (g, P))."""
    codes = np.where(block.weight > 0, block.group, -1)
    found = list(sandwich.group_sums(pieces, codes))
    if not found:
        return np.zeros(0, int), np.zeros((0, len(pieces.inverse)))
    return np.concatenate([known for _, known in found]), np.concatenate([sums for sums, _ in found])


def _joined(a, b):
    """The same of both lots of rows."""
    known, place = np.unique(np.concatenate([a[0], b[0]]), return_inverse=True)
    sums = np.zeros((len(known), a[1].shape[1]))
    np.add.at(sums, place, np.concatenate([a[1], b[1]]))
    return known, sums


def _whole(parts):
    """The same of all processes, some of which may have no rows."""
    found, *others = [part for part in parts if part is not None]
    for other in others:
        found = _joined(found, other)
    return found
