"""The large problems of the suite "cpu"; those of the insurance are in benchmarks/insurance.py.

`least` keeps ten rows or more for every column when --shrink divides the rows: with few the likelihood may have no
maximum.
"""

from dataclasses import replace

import numpy as np

from benchmarks.problems import Problem, bernoulli, columns, problem, truth

BLOCK = 100_000  # rows that are made at a time where all at once would need too much memory


def poisson(name, seed, n, p):
    rng = np.random.default_rng(seed)
    X = columns(rng, n, p)
    y = rng.poisson(np.exp(X @ truth(rng, X, 0.5) - 0.5)).astype(float)
    return Problem(name, "poisson", "log", X, y)


@problem("bernoulli", "Bernoulli, {rows} x 100", rows=500_000, least=1_000)
def bernoulli_500k_100(rows):
    return bernoulli("bernoulli_500k_100", 11, rows, 100)


@problem("poisson", "Poisson, {rows} x 100", rows=500_000, least=1_000)
def poisson_500k_100(rows):
    return poisson("poisson_500k_100", 12, rows, 100)


@problem("bernoulli", "Bernoulli, {rows} x 500", rows=200_000, least=5_000)
def bernoulli_200k_500(rows):
    return bernoulli("bernoulli_200k_500", 13, rows, 500)


@problem("bernoulli", "Bernoulli, sparse, ridge, {rows} x 50,000", ("sparse", "ridge"), rows=300_000, least=2_000)
def text_300k_50k(rows):
    """Like words in texts: the k-th word is drawn with a chance of about 1 / k, values are rarities and rows of unit
    length. The penalty is that of C = 1; without an intercept, since liblinear would penalize it too."""
    rng = np.random.default_rng(14)
    X = words(rng, rows, 50_000, 60)
    lin = X @ rng.standard_normal(50_000)
    lin *= 2 / np.std(lin)
    y = (rng.random(rows) < 1 / (1 + np.exp(-lin))).astype(float)
    return Problem("text_300k_50k", "bernoulli", "logit", X, y, alpha=1 / rows, intercept=False)


def words(rng, n, p, each):
    """(n, p) CSR with `each` nonzeros a row (a few less in a row that met too few different words)."""
    from scipy import sparse

    chance = 1 / np.arange(1, p + 1)
    edges = np.cumsum(chance) / np.sum(chance)
    drawn = np.minimum(np.searchsorted(edges, rng.random((n, 2 * each))), p - 1).astype(np.int32)
    drawn.sort(axis=1)
    new = np.diff(drawn, axis=1, prepend=-1) > 0
    # The words of a row are in order: which of them stay is drawn, or common words alone would.
    key = np.where(new, rng.random(drawn.shape, dtype=np.float32), 2)
    stays = new & (key <= np.partition(key, each - 1, axis=1)[:, each - 1 : each])
    indices, indptr = drawn[stays], np.concatenate([[0], np.cumsum(stays.sum(axis=1))])
    value = np.log(np.sum(chance) / chance)[indices] + 1
    length = np.sqrt(np.add.reduceat(value**2, indptr[:-1]))
    return sparse.csr_array((value / np.repeat(length, np.diff(indptr)), indices, indptr.astype(np.int32)), (n, p))


@problem("softmax", "Softmax with 10 classes, {rows} x 100", ("classes",), rows=200_000, least=4_000)
def softmax_200k_100(rows):
    rng = np.random.default_rng(15)
    X = columns(rng, rows, 100)
    lin = np.column_stack([np.zeros(rows), *(X @ truth(rng, X, 1.0) for _ in range(9))])
    y = np.argmax(lin + rng.gumbel(size=lin.shape), axis=1)
    return Problem("softmax_200k_100", "softmax", "logit", X, y, classes=10)


@problem("gaussian", "Gaussian with summary, {rows} x 50", ("summary",), rows=1_000_000, least=500)
def gaussian_summary_1m_50(rows):
    rng = np.random.default_rng(16)
    X = columns(rng, rows, 50)
    y = X @ truth(rng, X, 1.0) + 1 + rng.standard_normal(rows)
    return Problem("gaussian_summary_1m_50", "gaussian", "identity", X, y, summary=True)


@problem("poisson", "Poisson with summary, {rows} x 50", ("summary",), rows=1_000_000, least=500)
def poisson_summary_1m_50(rows):
    return replace(poisson("poisson_summary_1m_50", 17, rows, 50), summary=True)


@problem("bernoulli", "Bernoulli, float32, {rows} x 100", ("float32",), rows=2_000_000, least=1_000)
def bernoulli_float32_2m_100(rows):
    rng = np.random.default_rng(18)
    X = np.empty((rows, 100), np.float32)
    for first in range(0, rows, BLOCK):
        part = X[first : first + BLOCK]
        part[:] = columns(rng, *part.shape)
    lin = X @ truth(rng, X, 1.0).astype(np.float32) - 0.5
    y = (rng.random(rows) < 1 / (1 + np.exp(-lin))).astype(np.float32)
    return Problem("bernoulli_float32_2m_100", "bernoulli", "logit", X, y)
