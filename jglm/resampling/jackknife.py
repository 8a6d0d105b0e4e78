"""How a fit answers to the weight of each of its rows: exact derivatives of the coefficients, without refits."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm.drivers import whole_penalty
from jglm.fitting import joint, linalg
from jglm.fitting.problem import Problem, flatten_host
from jglm.model import Model, Unknowns, flatten, unflatten


def influence(fit):
    """The derivative of the coefficients with respect to the weight of each row, (n, p) or (n, p, k).

    At the optimum sum_i w_i grad l_i + grad penalty = 0, so by the implicit function theorem

        d params / d w_i = -H^-1 grad l_i,     H the observed Hessian of the whole objective,

    for all rows by one factorization of H. `-w_i` times it is, to first order, what deleting row i does to the
    coefficients: the infinitesimal jackknife (Jaeckel 1972; Efron 1982), and `influence(fit).T @ v` what a change v
    of the weights does. Weights are those of the loss (given weights, times trials); the strength of a penalty and
    the dispersion are held. Parameters of the family that were estimated move with the coefficients, and those are
    then the derivatives of the joint optimum. A coefficient that the penalty holds, at zero or at a bound, stays.

    Args:
        fit: a `Fit` that has its data.

    Returns float64, 0 in rows of weight 0, NaN in aliased columns. Raises ValueError for a fit without its data, one
    that did not converge, and one whose Hessian is singular.
    """
    if not hasattr(fit, "_prepared"):
        raise TypeError(f"fit is a {type(fit).__name__}; it must be a Fit of jglm")
    if not fit.converged:
        raise ValueError(f"the fit did not converge ({fit.status.message}), and only an optimum has these derivatives; "
                         "fit it with a larger max_iter or a penalty")  # fmt: skip
    with jax.enable_x64(True):
        rows, H, free = _derivatives(fit)
        flat = np.zeros(rows.shape)
        flat[:, free] = -_solve(H[np.ix_(free, free)], rows[:, free].T).T
    kept, width = np.asarray(fit.kept), fit.model.width()
    found = np.full((len(flat), width or 1, len(kept)), np.nan)
    p = int(kept.sum())
    found[:, :, kept] = flat[:, : p * (width or 1)].reshape(len(flat), width or 1, p)
    return found[:, 0] if width is None else found.transpose(0, 2, 1)


def _solve(H, g):
    """H^-1 g; the shortest solution (in the scale of H) where H is singular in directions that g has no part in, such
    as a constant for all classes."""
    R = linalg.triangle_of(H)
    if R is not None and linalg.well_conditioned(R, 1e-5):
        return np.linalg.solve(R, np.linalg.solve(R.T, g))
    size = np.sqrt(np.abs(np.diagonal(H)))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(H / np.outer(size, size))
    g = vectors.T @ (g / size[:, None])
    none = values <= len(H) * 1e-14 * values[-1]
    if values[0] < -1e-10 * values[-1] or np.max(np.abs(g[none]), initial=0.0) > 1e-8 * np.max(np.abs(g)):
        raise ValueError("the observed Hessian at the optimum is not positive definite; the coefficients have no "
                         "derivatives there")  # fmt: skip
    inverse = np.where(none, 0.0, 1 / np.where(none, 1.0, values))
    return vectors @ (inverse[:, None] * g) / size[:, None]


def _derivatives(fit):
    """(the gradient of each row's loss (n, P), the observed Hessian of the objective (P, P), which of the P unknowns
    move) at the optimum."""
    prepared = fit._data("the influence of rows")
    flat = flatten_host(fit.params[fit.kept])
    problem = Problem(fit.model, prepared, fit.kept)
    point = Unknowns(jnp.asarray(problem.shape(flat)), {})
    free = np.asarray(fit.model.terms(point).free(jnp.asarray(flat)))
    if fit.free:
        rows, H = _joint_derivatives(fit, problem, point.coef)
        return rows, H, np.append(free, np.ones(len(H) - len(flat), bool))
    view = problem.derivatives(problem.lin(flat))
    H = np.asarray(problem.gram(prepared.weight.reshape(-1, *(1,) * (view.observed.ndim - 1)) * view.observed))
    if fit.model.penalty is not None:
        H = H + np.asarray(_bend_of_penalty(fit.model, point))
    score = view.score.reshape(len(view.score), -1)
    return (score[:, :, None] * problem.X[:, None, :]).reshape(len(score), -1), H, free


def _joint_derivatives(fit, problem, coef):
    """The same where free parameters are unknowns too."""
    model = Model(fit.family.replace(free=fit.free), fit.link, fit.model.penalty)
    unknowns = Unknowns(coef, {k: jnp.asarray(v) for k, v in fit.nuisance.items()})
    problem = problem.with_model(model)
    designs, _, score, *_ = joint.rows_at(problem, unknowns)
    weight = problem.prepared.weight[:, None]
    score = np.divide(score, weight, out=np.zeros_like(score), where=weight > 0)
    rows = np.concatenate([score[:, i, None] * Z for i, Z in enumerate(designs)], axis=1)
    return rows, joint.information(Problem(model, problem.prepared, problem.kept), unknowns)


@jax.jit
def _bend_of_penalty(model, point):
    """The Hessian of the whole penalty in the flat coefficients, as it is where they may move."""
    return jax.hessian(lambda flat: whole_penalty(model, unflatten(flat, point)))(flatten(point))
