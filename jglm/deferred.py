"""What a fit computes from its data when it is first asked for: covariance and null deviance."""

import numpy as np

from jglm import irls, linalg
from jglm.problem import Problem, flatten_host


def unscaled_covariance(model, prepared, kept, coef):
    """(X'WX + P)^-1 of the kept columns at the optimum, by QR where X'WX would lose digits."""
    problem = Problem(model, prepared, kept)
    flat = flatten_host(coef[kept])
    view = problem.derivatives(problem.lin(flat))
    P = problem.penalty_hessian(flat)
    return linalg.inverse_from_triangle(
        irls.normal_equations(problem.X, prepared.weight, view.score, view.expected, P, flat)[0]
    )


def null_deviance(model, prepared, kept, coef):
    """Deviance of the offset with an intercept, fitted or a column equal to 1; without one, of the offset alone.

    Fisher scoring for the one constant (k of them), from the average of the fitted linear predictors, which is valid
    since the domain is convex.
    """
    problem = Problem(model, prepared, kept)
    w, offset = prepared.weight, prepared.offset

    def look(constant):
        lin = offset + (constant if offset.ndim == 2 else constant[0])
        view, width = problem.derivatives(lin), len(constant)
        g = w @ view.score.reshape(len(w), width)
        H = np.tensordot(w, view.expected.reshape(len(w), width, width), 1)
        return float(problem.at(lin)[1].deviance), g, H

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
