"""Robust covariances: C (sum of products of scores) C, with C the inverse expected information of all unknowns.

A row's score is u_i = w_i x_i d loss_i / d lin, at the optimum of sum 0 (without a penalty). The sum in the middle is
that of u_i u_i' (HC), of the same for sums over groups (cluster), or of autocovariances too (HAC). The dispersion
cancels. White (1980), Econometrica 48; Liang and Zeger (1986), Biometrika 73; Newey and West (1987), Econometrica 55.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jglm.diagnostics.leverage import NEAR_ONE
from jglm.inputs import checks

ROWS_ALONE = ("HC0", "HC1", "HC2", "HC3")
IN_GROUPS = ("cluster", "CR0", "CR1", "CR1p", "CR2", "CR3")
ROBUST = (*ROWS_ALONE, *IN_GROUPS, "survey", "HAC")
BY_LEVERAGE = {"HC2": 0.5, "HC3": 1.0, "CR2": 0.5, "CR3": 1.0}  # the power of 1 - leverage that divides a score
BLOCK = 1 << 21  # elements of scores at a time

KERNELS = {
    "bartlett": lambda x: 1 - x,
    "uniform": lambda x: np.ones_like(x),
    "parzen": lambda x: np.where(x < 0.5, 1 - 6 * x**2 + 6 * x**3, 2 * (1 - x) ** 3),
    "tukey_hanning": lambda x: (1 + np.cos(np.pi * x)) / 2,
}


@dataclass(frozen=True)
class HAC:
    """Covariance of coefficients that allows for heteroscedasticity and autocorrelation (Newey and West 1987):
    `jglm.fit(…, covariance=jglm.HAC(lags=4))`.

    sum_t u_t u_t' + sum_j k(j / (lags + 1)) sum_t (u_t u_(t-j)' + u_(t-j) u_t') stands in the middle, u_t the score at
    time t. Rows of the same time are added up first (Driscoll and Kraay 1998); with `groups=` at the fit only rows of
    the same group are neighbours (a panel).

    Args:
        lags: how many; None is floor(4 (T / 100)^(2/9)) for T times.
        kernel: k: "bartlett" (Newey and West), "uniform", "parzen" or "tukey_hanning".
        time: (n,) numbers, dates or labels whose order is that of time, or with `jglm.glm` the name of a column;
            None is the order of the rows. Only the order counts: neighbours are one lag apart.
        small: multiply by n / (n - p).

    >>> import jglm
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], [1, 3, 2, 6, 5, 9]
    >>> jglm.fit(X, y, family="poisson", covariance=jglm.HAC(lags=1)).bse.round(4)
    array([0.1147, 0.029 ])
    """

    lags: int | None = None
    kernel: str = "bartlett"
    time: Any = None
    small: bool = False

    def __post_init__(self):
        checks.choice("kernel", self.kernel, tuple(KERNELS))
        if self.lags is not None and (
            isinstance(self.lags, bool) or not isinstance(self.lags, (int, np.integer)) or self.lags < 0
        ):
            raise ValueError(f"lags is {self.lags!r}; it must be a whole number >= 0, or None")


@dataclass
class Sides:
    """What tells the rows of a fit apart: how many each stands for, (n,); their groups (n, 1) or (n, 2), whole numbers
    from 0; their times (n,), whole numbers in order; and the number of observations."""

    copies: np.ndarray
    nobs: float
    groups: Any = None
    hac: HAC | None = None

    @property
    def on(self):
        return self.copies > 0


def covariance(pieces, kind, sides):
    """The robust covariance (P, P) of all unknowns of `Pieces`."""
    P = len(pieces.inverse)
    if kind == "survey" and sides.groups is None:
        units = np.sum(sides.copies)
        return units / (units - 1) * _between(pieces, _of_rows(pieces, sides.copies))
    if kind in ROWS_ALONE and (pieces.width == 1 or kind not in BY_LEVERAGE):
        return factor(kind, 0, sides.nobs, P) * _between(pieces, of_rows(pieces, kind, sides.copies))
    if kind in ROWS_ALONE:
        return _adjusted(pieces, np.where(sides.on, np.arange(len(sides.on)), -1), BY_LEVERAGE[kind], sides.copies)
    if kind == "HAC":
        return _between(pieces, _over_time(pieces, sides, P))
    whole = np.zeros((P, P))
    for sign, codes in partitions(sides):
        if kind in BY_LEVERAGE:
            whole += sign * _adjusted(pieces, codes, BY_LEVERAGE[kind])
        else:
            whole += sign * factor(kind, counted(codes), sides.nobs, P) * _between(pieces, _of_groups(pieces, codes))
    return whole


def _positive(value, what, P):
    if value <= 0:
        raise ValueError(f"this covariance needs more {what} than coefficients ({P}); use 'HC0' or 'CR0'")
    return value


def _between(pieces, middle):
    half = pieces.inverse @ (pieces.inverse.T @ middle)
    return half @ pieces.inverse @ pieces.inverse.T


def factor(kind, G, n, P):
    """What the products of scores are multiplied by, with n observations, G groups and P coefficients."""
    if kind == "HC1":
        return n / _positive(n - P, "observations", P)
    if kind in ("cluster", "CR1"):
        return G / (G - 1) * (n - 1) / _positive(n - P, "observations", P)
    if kind == "CR1p":
        return G / _positive(G - P, "groups", P)
    return G / (G - 1) if kind == "survey" else 1.0


# --------------------------------------------------------------------------- rows alone
def of_rows(pieces, kind, copies):
    """The sum over rows (P, P) in the middle of HC0 and HC1, and of HC2 and HC3 where there is one linear predictor."""
    return _of_rows(pieces, copies, _by_leverage(pieces, kind, copies) if kind in BY_LEVERAGE else None)


def _of_rows(pieces, copies, shrink=None):
    """sum u_i u_i' over rows; `shrink` (n,) multiplies their scores. A row that stands for several counts so often."""
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(copies[:, None] > 0, pieces.score / np.sqrt(copies)[:, None], 0.0)
    score = score if shrink is None else score * shrink[:, None]
    if not pieces.also:
        return pieces.problem.gram(score[:, 0] ** 2 if pieces.width == 1 else score[:, :, None] * score[:, None, :])
    total = np.zeros((len(pieces.inverse),) * 2)
    for rows, designs in pieces.blocks():
        U = np.concatenate([score[rows, a, None] * Z for a, Z in enumerate(designs)], axis=1)
        total += U.T @ U
    return total


def _by_leverage(pieces, kind, copies):
    """(n,) 1 / (1 - h)^power; 0 where a row alone determines a coefficient, since its score is 0 whatever y is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = 1 - pieces.hats / copies
        return np.where((copies > 0) & (rest > NEAR_ONE), rest ** -BY_LEVERAGE[kind], 0.0)


# --------------------------------------------------------------------------- groups
def partitions(sides):
    """(sign, codes (n,)) of the groups: one, or for two of them those of each less those of both (Cameron, Gelbach and
    Miller 2011); -1 where a row does not count."""
    columns = [np.where(sides.on, c, -1) for c in sides.groups.T]
    for c in columns:
        if counted(c) < 2:
            raise ValueError("groups has a single group; between-group variation needs at least two")
    if len(columns) == 1:
        return [(1, columns[0])]
    both = np.where(sides.on, columns[0] * (columns[1].max() + 1) + columns[1], -1)
    return [(1, columns[0]), (1, columns[1]), (-1, both)]


def counted(codes):
    """How many groups there are."""
    return len(np.unique(codes[codes >= 0]))


def _of_groups(pieces, codes):
    """sum over groups of the products of their summed scores."""
    total = np.zeros((len(pieces.inverse),) * 2)
    for sums, _ in group_sums(pieces, codes):
        total += sums.T @ sums
    return total


def group_sums(pieces, codes):
    """(sums of scores (g, P) of some groups, their codes) in the order of the codes, a block of rows at a time."""
    order = np.argsort(codes, kind="stable")
    order = order[np.searchsorted(codes[order], 0) :]
    carried = None  # the sum of a group of which more rows come
    step = max(1, BLOCK // len(pieces.inverse))
    for first in range(0, len(order), step):
        rows = order[first : first + step]
        own = codes[rows]
        starts = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))
        sums = np.add.reduceat(scores(pieces, rows), starts, axis=0)
        known = own[starts]
        if carried is not None and carried[1] == known[0]:
            sums[0] += carried[0]
        elif carried is not None:
            sums, known = np.vstack([carried[0], sums]), np.append(carried[1], known)
        carried = sums[-1], known[-1]
        if len(known) > 1:
            yield sums[:-1], known[:-1]
    if carried is not None:
        yield carried[0][None], carried[1:]


def scores(pieces, rows):
    """(b, P) the scores of some rows (indices)."""
    designs = _designs(pieces, rows)
    return np.concatenate([pieces.score[rows, a, None] * Z for a, Z in enumerate(designs)], axis=1)


def _designs(pieces, rows):
    problem = pieces.problem
    X = problem.X[rows] if problem.small else problem.design.take(rows).dense()
    return [pieces.also[a][rows] if a in pieces.also else X for a in range(pieces.width)]


def _adjusted(pieces, codes, power, copies=None):
    """The covariance (P, P) whose group scores are c_g' = Z'(1 - Z C Z')^-power e, with Z'Z the information and Z'e the
    score of the group: for power 1/2 unbiased where the model holds (CR2, Bell and McCaffrey 2002; of the roots that
    are, the symmetric one of standardized residuals), for 1 the jackknife (CR3).

    By eigenvalues of L'Z'ZL, C = LL', or of ZCZ', whichever is smaller; a direction that the group alone determines
    adds nothing. `copies` (n,): each row is a group that is there so often.
    """
    order = np.argsort(codes, kind="stable")
    order = order[np.searchsorted(codes[order], 0) :]
    first = np.flatnonzero(np.concatenate([[True], codes[order][1:] != codes[order][:-1]]))
    size = np.diff(np.append(first, len(order)))
    P, m = len(pieces.inverse), pieces.width
    middle = np.zeros((pieces.inverse.shape[1],) * 2)
    for s in np.unique(size):
        alike = first[size == s]
        step = max(1, BLOCK // (s * m * P))
        for some in (alike[i : i + step] for i in range(0, len(alike), step)):
            rows = order[some[:, None] + np.arange(s)]
            often = np.ones(len(some)) if copies is None else copies[rows[:, 0]]
            t = _shrunk(pieces, rows, power, often)
            middle += (often[:, None] * t).T @ t
    return pieces.inverse @ middle @ pieces.inverse.T


def _shrunk(pieces, rows, power, often):
    """(c, P) L'c_g' of c groups of s rows each (c, s)."""
    (c, s), m = rows.shape, pieces.width
    flat = rows.ravel()
    pushed = np.stack(pieces.pushed(_designs(pieces, flat)), axis=1)  # (c s, m, P)
    t = np.einsum("na,nap->np", pieces.score[flat], pushed).reshape(c, s, -1).sum(axis=1) / often[:, None]
    values, vectors = np.linalg.eigh(pieces.bend[flat])
    root = np.sqrt(np.clip(values, 0, None))[:, :, None] * vectors.transpose(0, 2, 1)
    Y = (root @ pushed).reshape(c, s * m, -1) / np.sqrt(often)[:, None, None]
    if Y.shape[1] >= Y.shape[2]:
        d, V = np.linalg.eigh(Y.transpose(0, 2, 1) @ Y)
        return np.einsum("cpi,ci,cqi,cq->cp", V, _more(d, power) + 1, V, t, optimize=True)
    d, U = np.linalg.eigh(Y @ Y.transpose(0, 2, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(d > 1e-8, _more(d, power) / d, power)
    along = np.einsum("cpi,ci,cqi,cq->cp", U, share, U, np.einsum("cap,cp->ca", Y, t), optimize=True)
    return t + np.einsum("cap,ca->cp", Y, along)


def _more(d, power):
    """(1 - d)^-power - 1, and -1 where d is 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(1 - d > 1e-10, (1 - np.minimum(d, 1.0)) ** -power - 1, -1.0)


# --------------------------------------------------------------------------- time
def _over_time(pieces, sides, P):
    """The middle of `HAC`."""
    hac = sides.hac
    time = np.arange(len(sides.on)) if hac.time is None else hac.time
    panel = np.zeros(len(time), int) if sides.groups is None else sides.groups[:, 0]
    codes = np.where(sides.on, panel * (np.max(time) + 1) + time, -1)
    T = counted(np.where(sides.on, time, -1))
    lags = int(4 * (T / 100) ** (2 / 9)) if hac.lags is None else int(hac.lags)
    weights = KERNELS[hac.kernel](np.arange(lags + 1) / (lags + 1.0))
    total, tail, of_tail = np.zeros((P, P)), np.zeros((0, P)), np.zeros(0, int)
    for sums, known in group_sums(pieces, codes):
        S, group = np.vstack([tail, sums]), np.concatenate([of_tail, np.asarray(known) // (np.max(time) + 1)])
        new, before = len(tail), np.zeros_like(sums)
        for j in range(1, min(lags, len(S) - 1) + 1):
            first = max(new, j)
            near = weights[j] * (group[first:] == group[first - j : len(S) - j])
            before[first - new :] += near[:, None] * S[first - j : len(S) - j]
        cross = sums.T @ before
        total += sums.T @ sums + cross + cross.T
        keep = max(0, len(S) - lags)
        tail, of_tail = S[keep:], group[keep:]
    return total * (sides.nobs / _positive(sides.nobs - P, "observations", P) if hac.small else 1.0)
