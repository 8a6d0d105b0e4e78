"""Penalties on the coefficients, added once to the sum objective; the intercept is never penalized.

`ridge` and `quadratic` are smooth; `lasso`, `elastic_net` and `group_lasso` have kinks, `bounds` and `constraints` are
limits. They add up: `lasso(2.0) + ridge(0.5)`. `firth` and `jeffreys` are of the information of the data.
"""

import itertools

import numpy as np

from jglm._record import strong
from jglm.penalty import (
    Bounds,
    Constraints,
    ElasticNet,
    Firth,
    GroupLasso,
    Jeffreys,
    OfInformation,
    Penalty,
    Quadratic,
    Ridge,
    Sum,
    bind,
    is_separable,
    is_smooth,
    parts_of,
    smooth_part,
)

__all__ = [
    "Bounds", "Constraints", "ElasticNet", "Firth", "GroupLasso", "Jeffreys", "OfInformation", "Penalty", "Quadratic",
    "Ridge", "Sum", "bind", "bounds", "constraints", "elastic_net", "firth", "group_lasso", "is_separable", "is_smooth",
    "jeffreys", "lasso", "monotone", "parts_of", "quadratic", "ridge", "smooth_part",
]  # fmt: skip


def ridge(strength, weights=None, scale="sum"):
    """strength / 2 · |coef|^2 added to the sum of the losses.

    Args:
        strength: >= 0.
        weights: (p,) without the intercept, multiplying each column's share.
        scale: "sum", or "mean": the strength times sum w, as glmnet and glum scale it.

    Raises ValueError for a negative or non-finite strength or weight.
    """
    return Ridge(_strength("ridge", strength), _weights("ridge", weights), _scale("ridge", scale))


def quadratic(matrix, strength=1.0, scale="sum"):
    """strength / 2 · coef' S coef: P-splines, ordered levels, credibility towards a base.

    Args:
        matrix: S (p, p) without the intercept, symmetric and positive semidefinite.
        strength: >= 0; or "gcv" or "reml", found by the fit (`smoothing`), one for each penalty of a sum.
        scale: as in `ridge`.

    Raises ValueError for a matrix that is not square, symmetric and positive semidefinite.
    """
    S = np.asarray(matrix, float)
    if S.ndim != 2 or S.shape[0] != S.shape[1] or not np.all(np.isfinite(S)) or not np.allclose(S, S.T, rtol=1e-10):
        raise ValueError("quadratic: the matrix must be square, symmetric and finite")
    if len(S) and np.linalg.eigvalsh(S)[0] < -1e-10 * max(np.abs(S).max(), 1e-300):
        raise ValueError("quadratic: the matrix has a negative eigenvalue; the penalty would reward large coefficients")
    if isinstance(strength, str):
        if strength not in ("gcv", "reml"):
            raise ValueError(f"quadratic: the strength is {strength!r}; it must be a number, 'gcv' or 'reml'")
        return Quadratic(strength, (S + S.T) / 2, "sum")
    return Quadratic(_strength("quadratic", strength), (S + S.T) / 2, _scale("quadratic", scale))


def lasso(strength, weights=None, scale="sum"):
    """strength · |coef|_1 added to the sum of the losses; `weights` and `scale` as in `ridge`."""
    return ElasticNet(_strength("lasso", strength), strong(1.0), _weights("lasso", weights), _scale("lasso", scale))


def elastic_net(strength, l1_ratio=0.5, weights=None, scale="sum"):
    """strength · (l1_ratio |coef|_1 + (1 - l1_ratio) / 2 |coef|_2^2) added to the sum of the losses (Zou and Hastie
    2005); `weights` (p,) multiply both parts of a column, adaptive ones included; `scale` as in `ridge`."""
    made = ElasticNet(_strength("elastic_net", strength), _ratio("elastic_net", l1_ratio),
                      _weights("elastic_net", weights), _scale("elastic_net", scale))  # fmt: skip
    return made if float(made.l1_ratio) > 0 else Ridge(made.strength, made.weights, made.scale)


def firth():
    """Mean bias reduction (Firth 1993, Biometrika 80, 27-38; Kosmidis and Firth 2009): the score is adjusted so that
    the first-order bias of the estimates is gone; they are finite also where the likelihood has no maximum.

    With a canonical link the same as `jeffreys`, and logistf's logistic regression; else brglm2's type "AS_mean".
    Takes the intercept too. Of gaussian, gamma and inverse Gaussian the dispersion is estimated with reduced bias
    besides, of others by Pearson. A name suffices: `jglm.fit(…, penalty="firth")`.
    """
    return Firth()


def jeffreys():
    """The likelihood times Jeffreys' prior, the root of the determinant of the expected information (brglm2's type
    "MPL_Jeffreys"): finite under separation (Kosmidis and Firth 2021); it reduces the bias with a canonical link only.
    """
    return Jeffreys()


def group_lasso(strength, groups, l1_ratio=0.0, weights=None, scale="sum"):
    """strength · sum_g sqrt(p_g) |coef_g|_2, so that whole groups of columns are 0 together (Yuan and Lin 2006).

    Args:
        groups: (p,) a label for every column, without the intercept.
        l1_ratio: that share of the strength is an l1 penalty besides (sparse group lasso, Simon et al. 2013).
        weights: (p,) per column; p_g is then the sum of their squares in the group.
        strength, scale: as in `ridge`.
    """
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise ValueError(f"group_lasso: groups has shape {groups.shape}; it must have one label per column")
    return GroupLasso(_strength("group_lasso", strength), groups, _ratio("group_lasso", l1_ratio),
                      _weights("group_lasso", weights), _scale("group_lasso", scale))  # fmt: skip


def bounds(lower=-np.inf, upper=np.inf):
    """lower <= coef <= upper; a number, or (p,) without the intercept. Equal bounds fix a coefficient.

    Raises ValueError where a lower bound is above the upper one.
    """
    lower, upper = np.asarray(lower, float), np.asarray(upper, float)
    if np.any(np.isnan(lower)) or np.any(np.isnan(upper)) or np.any(lower > upper):
        raise ValueError("bounds: every lower bound must be a number that is not above its upper one")
    return Bounds(lower, upper)


def constraints(matrix, lower=-np.inf, upper=np.inf):
    """lower <= A coef <= upper: linear inequalities (or equalities) among the coefficients.

    Args:
        matrix: A (m, p) without the intercept.
        lower, upper: numbers or (m,).

    Raises ValueError for bounds that contradict one another, or of another number than A has rows.
    """
    A, lower, upper = np.asarray(matrix, float), np.asarray(lower, float), np.asarray(upper, float)
    if A.ndim != 2 or not np.all(np.isfinite(A)):
        raise ValueError("constraints: the matrix must be finite, with a row per inequality and a column per column")
    for end in (lower, upper):
        if end.shape not in ((), (len(A),)):
            raise ValueError(f"constraints: bounds of shape {end.shape} for {len(A)} rows")
    if np.any(np.isnan(lower)) or np.any(np.isnan(upper)) or np.any(lower > upper):
        raise ValueError("constraints: every lower bound must be a number that is not above its upper one")
    return Constraints(A, lower, upper)


def monotone(columns, size, increasing=True, from_zero=True):
    """Coefficients that rise (or fall) along some columns, such as those of an ordered factor's levels.

    Args:
        columns: their indices, in order, without the intercept. size: how many columns there are, p.
        from_zero: the first of them is not below (above) 0, the coefficient of the reference level.
    """
    columns = [int(j) for j in columns]
    if len(set(columns)) != len(columns) or not all(0 <= j < size for j in columns):
        raise ValueError(f"monotone: columns must be different indices below {size}")
    rows = [(None, columns[0])] if from_zero and columns else []
    A = np.zeros((len(rows) + max(len(columns) - 1, 0), size))
    for i, (low, high) in enumerate([*rows, *itertools.pairwise(columns)]):
        A[i, high] = 1.0
        if low is not None:
            A[i, low] = -1.0
    return constraints(A if increasing else -A, lower=0.0)


# --------------------------------------------------------------------------- checks
def _strength(name, s):
    s = strong(s)
    if s.ndim or not np.isfinite(s) or s < 0:
        raise ValueError(f"{name}: the strength is {s!s}; it must be a finite number >= 0")
    return s


def _ratio(name, ratio):
    ratio = strong(ratio)
    if ratio.ndim or not 0 <= ratio <= 1:
        raise ValueError(f"{name}: l1_ratio is {ratio!s}; it must lie between 0 and 1")
    return ratio


def _weights(name, weights):
    if weights is None:
        return None
    weights = np.asarray(weights, float)
    if weights.ndim != 1 or not np.all(np.isfinite(weights)) or np.any(weights < 0):
        raise ValueError(f"{name}: weights must be finite, >= 0 and one per column")
    return weights


def _scale(name, scale):
    if scale not in ("sum", "mean"):
        raise ValueError(f"{name}: scale is {scale!r}; it must be 'sum' or 'mean'")
    return scale
