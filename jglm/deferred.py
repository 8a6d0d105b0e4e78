"""What a fit computes from its data when it is first asked for: covariance and null deviance."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import irls, linalg
from jglm.design import Dense
from jglm.problem import Problem, describe_compiled, flatten_host

_gram_compiled = jax.jit(lambda design, w: design.gram(w))


def unscaled_covariance(model, prepared, kept, coef):
    """(X'WX + P)^-1 of the kept columns at the optimum, by QR where X'WX would lose digits."""
    problem = Problem(model, prepared, kept)
    flat = flatten_host(coef[kept])
    rows, _ = problem.look(flat)
    score, expected = np.asarray(rows.score), np.asarray(rows.expected)
    H, P = _information(problem, expected), problem.penalty_hessian(flat)
    H = H if P is None else H + P
    R = linalg.triangle_of(H)
    if not linalg.well_conditioned(R):
        A, _ = irls.weighted_design(problem.X, prepared.weight, score, expected)
        R = linalg.triangle(A if P is None else np.vstack([A, linalg.root_of(P)]))
    return linalg.inverse_from_triangle(R)


def _information(problem, expected):
    w = problem.prepared.weight
    if expected.ndim == 1:
        return np.asarray(_gram_compiled(Dense(jnp.asarray(problem.X)), w * expected))
    k, p = expected.shape[1], problem.X.shape[1]
    H = np.empty((k * p, k * p))
    design = Dense(jnp.asarray(problem.X))
    for i in range(k):
        for j in range(i, k):
            block = np.asarray(_gram_compiled(design, w * expected[:, i, j]))
            H[i * p : (i + 1) * p, j * p : (j + 1) * p] = block
            H[j * p : (j + 1) * p, i * p : (i + 1) * p] = block.T
    return H


def null_deviance(model, prepared, kept, coef):
    """Deviance of the offset with an intercept, fitted or a column equal to 1; without one, of the offset alone.

    Fisher scoring for the one constant (k of them), from the average of the fitted linear predictors, which is valid
    since the domain is convex.
    """
    problem = Problem(model, prepared, kept)
    w, offset = prepared.weight, prepared.offset

    def look(constant):
        lin = offset + (constant if offset.ndim == 2 else constant[0])
        p = prepared
        rows, totals = describe_compiled(model, p.y, lin, w, p.size, p.power, problem.count)
        score, expected = np.asarray(rows.score), np.asarray(rows.expected)
        width = len(constant)
        masked = np.where(w > 0, w, 0.0)
        g = np.nansum(masked[:, None] * score.reshape(len(w), width), axis=0)
        H = np.nansum(masked[:, None, None] * expected.reshape(len(w), width, width), axis=0)
        return float(totals.deviance), g, H

    here = np.zeros(model.width() or 1)
    if not constant_column(prepared):
        return look(here)[0]
    fitted = (problem.X @ problem.shape(flatten_host(coef[kept]))).reshape(len(w), -1)
    here = np.average(fitted, axis=0, weights=w)
    deviance, g, H = look(here)
    for _ in range(100):
        step = -np.linalg.lstsq(H, g)[0]
        if not np.all(np.isfinite(step)) or -g @ step <= 1e-20 * (abs(deviance) + 1e-300):
            break
        for length in 0.5 ** np.arange(30):
            after = look(here + length * step)
            if np.isfinite(after[0]) and after[0] <= deviance * (1 + 1e-12):
                break
        else:
            break
        here, (deviance, g, H) = here + length * step, after
    return deviance


def constant_column(prepared):
    """Whether an intercept was fitted or a column is equal to 1 (in the rows that count)."""
    on = prepared.weight > 0
    return prepared.intercept or any(np.all(prepared.X[on, j] == 1.0) for j in range(prepared.X.shape[1]))
