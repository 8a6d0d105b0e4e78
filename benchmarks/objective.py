"""The common judge: mean negative log-likelihood and its gradient in NumPy, from coefficients alone.

A rival's own numbers never enter a record: they differ in constants, scaling and definition.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Family:
    """One family with one link: functions of y and lin = X coef + offset, (n,) or (n, k) each.

    loss (n,): the negative log-likelihood of each row at dispersion 1, without terms of y alone;
    slope: its derivative in lin, which is h - y where the link is canonical.
    """

    loss: Callable
    slope: Callable


def expit(lin):
    return np.exp(-np.logaddexp(0, -lin))


def with_reference(lin):
    """(n, k) -> (n, k + 1): the reference class has lin = 0."""
    return np.column_stack([np.zeros(len(lin)), lin])


def softmax(lin):
    """(n, k) -> (n, k + 1) probabilities, the reference class first."""
    full = with_reference(lin)
    e = np.exp(full - full.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _softmax_loss(y, lin):
    full = with_reference(lin)
    top = full.max(axis=1)
    return np.log(np.exp(full - top[:, None]).sum(axis=1)) + top - full[np.arange(len(y)), y]


def one_hot(y, k):
    """(n,) labels 0 .. k -> (n, k) without the reference class 0."""
    return (y[:, None] == np.arange(1, k + 1)).astype(float)


FAMILIES = {
    "gaussian": Family(lambda y, lin: (y - lin) ** 2 / 2, lambda y, lin: lin - y),
    "bernoulli": Family(lambda y, lin: np.logaddexp(0, lin) - y * lin, lambda y, lin: expit(lin) - y),
    "poisson": Family(lambda y, lin: np.exp(lin) - y * lin, lambda y, lin: np.exp(lin) - y),
    "gamma": Family(lambda y, lin: y * np.exp(-lin) + lin, lambda y, lin: 1 - y * np.exp(-lin)),
    # of power 1.5 with the log link: variance mu^1.5, loss 2 y / sqrt(mu) + 2 sqrt(mu).
    "tweedie": Family(
        lambda y, lin: 2 * y * np.exp(-lin / 2) + 2 * np.exp(lin / 2),
        lambda y, lin: np.exp(lin / 2) - y * np.exp(-lin / 2),
    ),
    "softmax": Family(_softmax_loss, lambda y, lin: softmax(lin)[:, 1:] - one_hot(y, lin.shape[1])),
}


def design(problem):
    """(n, p + 1): X with a column of ones before it, where there is an intercept."""
    return np.column_stack([np.ones(problem.n), problem.X]) if problem.intercept else np.asarray(problem.X, np.float64)


def predictor(problem, X, coef):
    lin = X @ coef
    return lin if problem.offset is None else lin + problem.offset


def coef_shape(problem):
    """(p + 1,), or (p + 1, classes - 1) relative to class 0; a row less without intercept."""
    rows = problem.p + problem.intercept
    return (rows,) if problem.family != "softmax" else (rows, problem.classes - 1)


def parts(problem):
    """The rows in parts of 2^26 numbers, so that the judge needs little memory: (slice, X in float64)."""
    dense = isinstance(problem.X, np.ndarray)
    count = max(2**26 // problem.p, 1) if dense else problem.n
    for first in range(0, problem.n, count):
        rows = slice(first, min(first + count, problem.n))
        yield rows, np.asarray(problem.X[rows], np.float64) if dense else problem.X


def judge(problem, coef):
    """(mean negative log-likelihood, max |gradient| / n) at coefficients whose first row is the intercept.

    With weights, sums are weighted and n is the sum of the weights; a ridge penalty is part of both.
    """
    coef = np.asarray(coef, np.float64)
    if coef.shape != coef_shape(problem):
        raise ValueError(f"coefficients of shape {coef.shape}; {problem.name} needs {coef_shape(problem)}")
    family, constant, slopes = FAMILIES[problem.family], int(problem.intercept), coef[int(problem.intercept) :]
    weights = np.ones(problem.n) if problem.weights is None else problem.weights
    offset, total, loss, gradient = problem.offset, np.sum(weights), 0.0, np.zeros_like(coef)
    for rows, X in parts(problem):
        lin = X @ slopes + (coef[0] if constant else 0.0)
        lin = lin if offset is None else lin + offset[rows]
        y, w = problem.y[rows], weights[rows]
        loss += np.sum(w * family.loss(y, lin))
        slope = (w * family.slope(y, lin).T).T
        gradient[constant:] += X.T @ slope
        gradient[:constant] += np.sum(slope, axis=0)
    gradient[constant:] += total * problem.alpha * slopes
    value = loss / total + problem.alpha / 2 * np.sum(slopes**2)
    return float(value), float(np.max(np.abs(gradient)) / total)
