"""What a fit computes from its data when it is first asked for: covariances, dispersion, log-likelihood, null
deviance."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import penalties
from jglm.distributions.density import by_rows
from jglm.fitting import irls, joint, linalg
from jglm.fitting.problem import Problem, flatten_host
from jglm.model import Model, Unknowns


def joint_covariance(model, free, prepared, kept, coef, nuisance):
    """(covariance of all unknowns by their observed information, that of the free parameters alone with the
    coefficients held fixed)."""
    if hasattr(prepared, "deferred"):
        return prepared.deferred("joint_covariance", model, kept, coef, free, nuisance)
    problem = Problem(Model(model.family.replace(free=free), model.link, model.penalty), prepared, kept)
    unknowns = Unknowns(jnp.asarray(coef[kept]), {k: jnp.asarray(v) for k, v in nuisance.items()})
    H = joint.information(problem, unknowns)
    size = coef[kept].size
    return joint.inverse(H), joint.inverse(H[size:, size:])


# --------------------------------------------------------------------------- the likelihood
def log_likelihood(model, prepared, kept, coef, phi=None, plugged=False):
    """(log-likelihood, dispersion it is taken at): phi where that is known, 1 where it is fixed, else its maximum
    likelihood estimate; `plugged` as the family plugs it in. By the density from a alone where there is no closed form.
    """
    if hasattr(prepared, "deferred"):
        return prepared.deferred("log_likelihood", model, kept, coef, phi, plugged)
    problem = Problem(model, prepared, kept)
    lin = problem.lin(flatten_host(coef[kept]))
    if plugged:
        return float(problem.totals(lin).llf), phi
    family, on = model.family, prepared.weight > 0
    phi = 1.0 if family.dispersion == "fixed" else phi
    guess = float(problem.totals(lin, problem.small).deviance) / problem.count if phi is None else phi
    method = None if family.has_density else family.density_method(guess / prepared.size[on], prepared.y[on])
    args = likelihood_rows(problem, lin, method)
    if phi is None:
        phi = _most_likely(lambda u: [float(v) for v in _llf_slopes(*args, u)], np.log(guess))
    return float(_llf_compiled(*args, np.log(phi))), phi


def likelihood_rows(problem, lin, method):
    """What `_llf` takes of the rows: its sums are over them."""
    family, p = problem.model.family, problem.prepared
    on, eta = p.weight > 0, problem.etas(lin)
    y = np.where(on if p.y.ndim == 1 else on[:, None], p.y, p.y[np.argmax(on)])
    return family, y, eta, np.where(on, p.size, 1.0), np.where(on, p.power, 0.0), method


def _llf(family, y, eta, size, power, method, log_phi):
    one = lambda y, eta, s: family.log_prob_one(y, eta, jnp.exp(log_phi) / s, method)
    return jnp.sum(jnp.where(power > 0, power * by_rows(one, method, y, eta, size), 0.0))


_llf_compiled = jax.jit(_llf, static_argnums=5)
_slope = jax.grad(_llf, argnums=6)
_llf_slopes = jax.jit(lambda *args: (_llf(*args), _slope(*args), jax.grad(_slope, argnums=6)(*args)), static_argnums=5)


def _most_likely(look, u):
    """The maximum of a function of one variable by Newton's method, halving steps that do not rise."""
    value, slope, bend = look(u)
    for _ in range(100):
        step = float(np.clip(-slope / bend if bend < 0 else np.sign(slope), -2.0, 2.0))
        for share in 0.5 ** np.arange(30):
            after = look(u + share * step)
            if np.isfinite(after[0]) and after[0] >= value - 1e-13 * (1 + abs(value)):
                break
        else:
            break
        u, (value, slope, bend) = u + share * step, after
        if abs(share * step) < 1e-11:
            break
    return float(np.exp(u))


# --------------------------------------------------------------------------- covariance and null deviance


def unscaled_covariance(model, prepared, kept, coef):
    """(X'WX + P)^-1 of the kept columns at the optimum, by QR where X'WX would lose digits."""
    if hasattr(prepared, "deferred"):
        return prepared.deferred("unscaled_covariance", model, kept, coef)
    problem = Problem(model, prepared, kept)
    flat = flatten_host(coef[kept])
    return linalg.inverse_from_triangle(triangle(problem, problem.derivatives(problem.lin(flat)), flat))


def triangle(problem, view, flat):
    """R with R'R = X'WX + P of the expected information in a View of the rows, by QR where X'WX would lose digits."""
    weight, penalty = problem.prepared.weight, problem.model.penalty
    P = None if isinstance(penalty, penalties.OfInformation) else problem.penalty_hessian(flat)
    if not problem.small:
        H = problem.gram(weight.reshape(-1, *(1,) * (view.expected.ndim - 1)) * view.expected)
        R = linalg.triangle_of(H if P is None else H + P)
        if R is not None and linalg.well_conditioned(R):
            return R
    return np.asarray(irls.normal_equations(problem.X, weight, view.score, view.expected, P, flat)[0])


def observed_covariance(model, prepared, kept, coef):
    """The same of the observed information; NaN where that is not positive definite."""
    problem = Problem(model, prepared, kept)
    flat = flatten_host(coef[kept])
    view, P = problem.derivatives(problem.lin(flat)), problem.penalty_hessian(flat)
    H = problem.gram(prepared.weight.reshape(-1, *(1,) * (view.observed.ndim - 1)) * view.observed)
    R = linalg.triangle_of(H if P is None else H + P)
    return np.full(H.shape, np.nan) if R is None else linalg.inverse_from_triangle(R)


def null_deviance(model, prepared, kept, coef):
    """Deviance of the offset with an intercept, fitted or a column equal to 1; without one, of the offset alone.

    Fisher scoring for the one constant (k of them), from the average of the fitted linear predictors, which is valid
    since the domain is convex. NaN for families whose free parameters belong to the mean's map.
    """
    if model.family.parametrize_ is not None:
        return float("nan")
    if hasattr(prepared, "deferred"):
        return prepared.deferred("null_deviance", model, kept, coef)
    problem = Problem(model, prepared, kept)
    here, w = np.zeros(model.width() or 1), prepared.weight
    if not constant_column(prepared):
        return float(null_terms(problem, here)[0])
    fitted = (problem.lin(flatten_host(coef[kept])) - prepared.offset).reshape(len(w), -1)
    return least_deviance(lambda constant: null_terms(problem, constant), np.average(fitted, axis=0, weights=w))


def null_terms(problem, constant):
    """(deviance, gradient, information) of the rows at the offset plus a constant (1,) or (k,): sums over rows."""
    w, offset = problem.prepared.weight, problem.prepared.offset
    lin = offset + (constant if offset.ndim == 2 else constant[0])
    view, width = problem.derivatives(lin), len(constant)
    g = w @ view.score.reshape(len(w), width)
    H = np.tensordot(w, view.expected.reshape(len(w), width, width), 1)
    return np.asarray(problem.totals(lin, problem.small).deviance), g, H  # as the fit had them compiled


def least_deviance(look, here):
    """The deviance at the best constant, from one near it; look: constant -> `null_terms`."""
    return float(best_constant(look, here)[1])


def best_constant(look, here):
    """(constant, deviance) where that is least, by Fisher scoring."""
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
    return here, deviance


def constant_column(prepared):
    """Whether an intercept was fitted or a column is equal to 1 (in the rows that count)."""
    if hasattr(prepared, "has_constant"):
        return prepared.has_constant
    on = prepared.weight > 0
    return prepared.intercept or prepared.design.has_ones(on)
