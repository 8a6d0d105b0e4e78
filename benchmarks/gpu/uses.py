"""Many fits by the front doors, as users call them: fit_many, a lasso path and the bootstrap, from NumPy."""

import numpy as np

import jglm
from benchmarks.gpu.records import Record, take


def uses(count, rows, repeat):
    """The records of `count` Bernoulli fits of 200 x 8, of a path of 100 strengths over rows x 50, and of `count`
    resamples of rows / 10 x 10."""
    yield _fit_many(count, repeat)
    yield _path(rows, repeat)
    yield _bootstrap(count, max(rows // 10, 200), repeat)


def _draw(n, p, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    chance = 1 / (1 + np.exp(-(0.3 + 0.5 * X[:, 0] - 0.3 * X[:, 1])))
    return X, (rng.random(n) < chance).astype(float)


def _slope(X, y, coef, weight=1.0):
    """The gradient / n at coefficients (S, p + 1), the constant's first."""
    A = np.column_stack([np.ones(len(y)), X])
    score = 1 / (1 + np.exp(-A @ coef.T)) - y[:, None]
    return (A.T @ (weight * score)).T / len(y)


def _fit_many(count, repeat):
    X, y = zip(*(_draw(200, 8, seed) for seed in range(count)), strict=True)
    X, Y = np.stack(X), np.stack(y, axis=1)
    record = Record("many", "jglm.fit_many", "fit_many", "bernoulli", 200, 8, "float64", "numpy", fits=count)
    found = take(record, lambda: jglm.fit_many(X, Y, family="bernoulli", progress=False), repeat)
    own = [_slope(X[i], Y[:, i], found.params[i][None]) for i in range(count) if found.converged[i]]
    record.passes, record.gradient = int(np.max(found.n_iter)), float(np.max(np.abs(own)))
    record.how = f"{int(np.sum(found.converged))} of {count} converged"
    return record


def _path(rows, repeat):
    X, y = _draw(rows, 50, 0)
    record = Record("many", "jglm.path", "path", "bernoulli", rows, 50, "float64", "numpy", fits=100)
    found = take(record, lambda: jglm.path(X, y, family="bernoulli", tol=1e-4, progress=False), repeat)
    slope, coef = _slope(X, y, found.params), found.params
    level = found.strengths[:, None] / rows
    left = np.where(coef != 0, np.abs(slope + level * np.sign(coef)), np.maximum(np.abs(slope) - level, 0.0))
    left[:, 0] = np.abs(slope[:, 0])
    record.passes, record.gradient = int(np.max(found.n_iter)), float(np.max(left))
    record.how = f"{found.df[-1]} of 50 columns at the end"
    return record


def _bootstrap(count, rows, repeat):
    X, y = _draw(rows, 10, 1)
    record = Record("many", "jglm.bootstrap", "bootstrap", "bernoulli", rows, 10, "float64", "numpy", fits=count)
    fit = jglm.fit(X, y, family="bernoulli")
    found = take(record, lambda: fit.bootstrap(resamples=count, seed=0, progress=False), repeat)
    few = np.arange(min(3, count))
    weights = found.weights(found.kept[few])
    slopes = [_slope(X, y, found.params[i][None], w[:, None]) for i, w in zip(few, weights, strict=True)]
    record.passes, record.gradient = 0, float(np.max(np.abs(slopes)))
    record.how = "resamples, the first three judged"
    return record
