"""The two fits that anyone can write in NumPy: the gradient rule and IRLS."""

import numpy as np

from benchmarks import objective


def step_size(problem, X):
    """alpha = 1 / (largest eigenvalue of X'VX), with which the gradient rule goes down steadily.

    V is the variance in the canonical case: its upper bound where there is one (Bernoulli 1/4; softmax 1/2, Boehning
    1992), y itself for Poisson since its mean is V, and the expected curvature 1 for gamma with the log link.
    """
    V = {"gaussian": 1.0, "bernoulli": 0.25, "softmax": 0.5, "gamma": 1.0, "poisson": problem.y}[problem.family]
    return 1 / np.linalg.eigvalsh(X.T @ (X * np.reshape(V, (-1, 1))))[-1]


def gradient_rule(problem, target, most):
    """theta += alpha X'(y - h) from zeros, until max |gradient| / n <= target or `most` steps are done.

    For gamma with the log link y - h takes the factor d eta / d lin = 1 / h, as the chain rule has it.
    Returns coefficients and the number of steps.
    """
    family, X = objective.FAMILIES[problem.family], objective.design(problem)
    alpha = step_size(problem, X)
    theta = np.zeros(objective.coef_shape(problem))
    steps = 0
    while steps < most:
        error = -family.slope(problem.y, objective.predictor(problem, X, theta))  # y - h
        ascent = X.T @ error
        theta += alpha * ascent
        steps += 1
        if np.max(np.abs(ascent)) <= target * problem.n:
            break
    return theta, steps


def curvature(problem, lin):
    """Expected second derivative of the loss in lin, (n,) or (n, k, k)."""
    match problem.family:
        case "bernoulli":
            return objective.expit(lin) * objective.expit(-lin)
        case "poisson":
            return np.exp(lin)
        case "softmax":
            P = objective.softmax(lin)[:, 1:]
            return P[:, :, None] * np.eye(P.shape[1]) - P[:, :, None] * P[:, None, :]
        case _:
            return np.ones_like(lin)


def information(X, V):
    """X'VX; for V (n, k, k) the (k d, k d) matrix in the order class by class."""
    if V.ndim == 1:
        return X.T @ (V[:, None] * X)
    k = V.shape[1]
    return np.block([[X.T @ (V[:, i, j, None] * X) for j in range(k)] for i in range(k)])


def irls(problem, target, most=50, start=None):
    """Newton steps with the expected information from zeros or `start`; plain, so without a line search."""
    family, X = objective.FAMILIES[problem.family], objective.design(problem)
    coef = np.zeros(objective.coef_shape(problem)) if start is None else np.asarray(start, np.float64)
    for i in range(most):
        lin = objective.predictor(problem, X, coef)
        gradient = X.T @ family.slope(problem.y, lin)
        if np.max(np.abs(gradient)) <= target * problem.n:
            return coef, i
        step = np.linalg.solve(information(X, curvature(problem, lin)), gradient.T.ravel())
        coef = coef - step.reshape(gradient.T.shape).T
    return coef, most
