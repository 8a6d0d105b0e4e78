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
    "softmax": Family(_softmax_loss, lambda y, lin: softmax(lin)[:, 1:] - one_hot(y, lin.shape[1])),
}


def design(problem):
    """(n, p + 1): X with a column of ones before it."""
    return np.column_stack([np.ones(problem.n), problem.X])


def predictor(problem, X, coef):
    lin = X @ coef
    return lin if problem.offset is None else lin + problem.offset


def coef_shape(problem):
    """(p + 1,), or (p + 1, classes - 1) relative to class 0."""
    return (problem.p + 1,) if problem.family != "softmax" else (problem.p + 1, problem.classes - 1)


def judge(problem, coef):
    """(mean negative log-likelihood, max |gradient| / n) at coefficients whose first row is the intercept."""
    coef = np.asarray(coef, np.float64)
    if coef.shape != coef_shape(problem):
        raise ValueError(f"coefficients of shape {coef.shape}; {problem.name} needs {coef_shape(problem)}")
    family, X = FAMILIES[problem.family], design(problem)
    lin = predictor(problem, X, coef)
    gradient = X.T @ family.slope(problem.y, lin) / problem.n
    return float(np.mean(family.loss(problem.y, lin))), float(np.max(np.abs(gradient)))
