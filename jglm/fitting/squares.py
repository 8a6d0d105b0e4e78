"""Small problems of least squares in twice the precision of a double: the answer for the doubles given, rounded once.

A number is a pair (high, low) of arrays whose sum it is, with about 32 digits (Dekker 1971; Hida, Li and Bailey 2001).
Normal equations then lose the square of the condition number from 32 digits, not from 16: NIST's Filip keeps 15 of a
coefficient where an orthogonal factor in doubles leaves 8.
"""

import math

import numpy as np

from jglm.fitting import linalg

FEW = 6000  # numbers that are added one by one
SPLIT = 134217729.0  # 2^27 + 1
ALWAYS = 1e3  # rows times columns squared, up to which it costs next to nothing
AT_MOST = ((0.03, 1e5), (1e-3, 3e6))  # (the part of a column that is new, the same size) of what else is worth it
WIDEST = 64  # columns


def is_small(n, p):
    """Whether a design of this shape may be worth it at all."""
    return n * p**2 <= AT_MOST[-1][1] and p <= WIDEST


def is_worth_it(X):
    """Whether a design (n, p) is so small, or its columns so nearly dependent, that digits are to be had cheaply."""
    n, p = X.shape
    if n * p**2 <= ALWAYS:
        return True
    R = linalg.triangle(X)
    return any(n * p**2 <= most and not linalg.well_conditioned(R, pivot) for pivot, most in AT_MOST)


# --------------------------------------------------------------------------- pairs
def add(a, b):
    """a + b of pairs."""
    s = a[0] + b[0]
    v = s - a[0]
    e = (a[0] - (s - v)) + (b[0] - v) + a[1] + b[1]
    return _short(s, e)


def _short(s, e):
    high = s + e
    return high, e - (high - s)


def negative(a):
    """-a."""
    return -a[0], -a[1]


def product(a, b):
    """a b of doubles, without an error."""
    p = a * b
    u, v = SPLIT * a, SPLIT * b
    a1, b1 = u - (u - a), v - (v - b)
    a2, b2 = a - a1, b - b1
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def times(a, b):
    """a b of pairs."""
    p, e = product(a[0], b[0])
    return _short(p, e + (a[0] * b[1] + a[1] * b[0]))


def over(a, b):
    """a / b of pairs."""
    q = a[0] / b[0]
    rest = add(a, negative(times(exact(q), b)))
    return _short(q, rest[0] / b[0])


def root(a):
    """The square root of a positive pair."""
    s = np.sqrt(a[0])
    rest = add(a, negative(product(s, s)))
    return _short(s, rest[0] / (2 * s))


def exact(x):
    """A double as a pair."""
    return x, np.zeros_like(x)


def at(a, index):
    """Entries of a pair of arrays."""
    return a[0][index], a[1][index]


def total(a):
    """The sum over the first axis: of few numbers without an error, else by halves."""
    if a[0].size <= FEW:
        return _exact_total(np.concatenate(a))
    while len(a[0]) > 1:
        n = len(a[0])
        half = n // 2
        pairs = add(at(a, slice(0, half)), at(a, slice(half, 2 * half)))
        if n % 2:
            pairs = tuple(np.concatenate([u, v[-1:]]) for u, v in zip(pairs, a, strict=True))
        a = pairs
    return a[0][0], a[1][0]


def _exact_total(v):
    """The sum over the first axis of doubles, as a pair."""
    columns = v.reshape(len(v), -1).T.tolist()
    high = [math.fsum(column) for column in columns]
    low = [math.fsum([*column, -h]) for column, h in zip(columns, high, strict=True)]
    return np.reshape(high, v.shape[1:]), np.reshape(low, v.shape[1:])


def matmul(A, B):
    """A B of pairs of matrices."""
    if A[0].size * B[0].shape[1] <= FEW:
        return total(times(tuple(v.T[:, :, None] for v in A), tuple(v[:, None, :] for v in B)))
    out = exact(np.zeros((A[0].shape[0], B[0].shape[1])))
    for k in range(A[0].shape[1]):
        out = add(out, times(at(A, (slice(None), [k])), at(B, [k])))
    return out


# --------------------------------------------------------------------------- least squares
def solve(X, y, offset, weight):
    """(coefficients (p,), (X'WX)^-1, sum of the squares w (y - offset - X coef)^2) of weighted least squares, or
    None where columns are dependent even in twice the precision."""
    on = weight > 0
    X, w = X[on], exact(weight[on])
    unit = 2.0 ** np.round(np.log2(np.maximum(np.max(np.abs(X), axis=0), 1e-300)))  # powers of two: no rounding
    X = X / unit
    t = add(exact(y[on]), negative(exact(offset[on])))
    n, p = X.shape
    weighted = times((w[0][:, None], w[1][:, None]), exact(X))
    if n * p**2 <= FEW:
        G = total(times(tuple(v[:, :, None] for v in weighted), exact(X[:, None, :])))
    else:
        G = exact(np.zeros((p, p)))
        for j in range(p):
            row = total(times(at(weighted, (slice(None), [j])), exact(X[:, j:])))
            for g, r in zip(G, row, strict=True):
                g[j, j:] = g[j:, j] = r
    Z = _inverse(G)
    if Z is None:
        return None
    b = exact(np.zeros(p))
    for _ in range(2):
        rest = _residuals(X, t, b)
        g = total(times(weighted, (rest[0][:, None], rest[1][:, None])))
        b = add(b, _column(matmul(Z, (g[0][:, None], g[1][:, None]))))
    rest = _residuals(X, t, b)
    squares = total(times(w, times(rest, rest)))
    return (b[0] + b[1]) / unit, (Z[0] + Z[1]) / np.outer(unit, unit), float(squares[0] + squares[1])


def _column(a):
    return a[0][:, 0], a[1][:, 0]


def _residuals(X, t, b):
    lin = total(times((b[0][:, None], b[1][:, None]), exact(X.T)))
    return add(t, negative(lin))


def _inverse(G):
    """G^-1 by a Cholesky factor, and two steps of Newton's iteration where its pivots are small; None where 0."""
    p, least = len(G[0]), 1.0
    L, rest = exact(np.zeros((p, p))), (G[0].copy(), G[1].copy())
    for j in range(p):
        if not rest[0][j, j] > 1e-28 * G[0][j, j]:
            return None
        least = min(least, rest[0][j, j] / G[0][j, j])
        column = over(at(rest, (slice(j, None), j)), root(at(rest, (j, j))))
        for v, c in zip(L, column, strict=True):
            v[j:, j] = c
        outer = times((column[0][:, None], column[1][:, None]), column)
        part = add(at(rest, (slice(j, None), slice(j, None))), negative(outer))
        for v, c in zip(rest, part, strict=True):
            v[j:, j:] = c
    M = exact(np.eye(p))  # L^-1, row by row
    for i in range(p):
        row = at(M, [i])
        if i:
            row = add(row, negative(matmul(at(L, ([i], slice(0, i))), at(M, slice(0, i)))))
        row = over(row, at(L, ([i], [i])))
        for v, r in zip(M, row, strict=True):
            v[i] = r[0]
    Z = matmul((M[0].T, M[1].T), M)
    for _ in range(2 if least < 1e-12 else 0):
        Z = matmul(Z, add(exact(2 * np.eye(p)), negative(matmul(G, Z))))
    return Z
