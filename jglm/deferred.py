"""What a fit computes from its data when it is first asked for: covariances, dispersion, log-likelihood, null
deviance."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import irls, joint, linalg, penalties
from jglm.density import by_rows
from jglm.model import Model, Unknowns
from jglm.problem import Problem, flatten_host


def joint_covariance(model, free, prepared, kept, coef, nuisance):
    """(covariance of all unknowns by their observed information, that of the free parameters alone with the
    coefficients held fixed)."""
    problem = Problem(Model(model.family.replace(free=free), model.link, model.penalty), prepared, kept)
    unknowns = Unknowns(jnp.asarray(coef[kept]), {k: jnp.asarray(v) for k, v in nuisance.items()})
    H = joint.information(problem, unknowns)
    size = coef[kept].size
    return joint.inverse(H), joint.inverse(H[size:, size:])


# --------------------------------------------------------------------------- the likelihood
def log_likelihood(model, prepared, kept, coef, phi=None):
    """(log-likelihood, dispersion it is taken at): phi where that is known, 1 where it is fixed, else its maximum
    likelihood estimate. By the density from a alone where the family has no closed form."""
    problem = Problem(model, prepared, kept)
    lin = problem.lin(flatten_host(coef[kept]))
    rows, totals = problem.at(lin)
    family, on = model.family, prepared.weight > 0
    phi = 1.0 if family.dispersion == "fixed" else phi
    guess = float(totals.deviance) / problem.count if phi is None else phi
    y = np.where(on if prepared.y.ndim == 1 else on[:, None], prepared.y, prepared.y[np.argmax(on)])
    method = None if family.has_density else family.density_method(guess / prepared.size[on], y[on])
    args = family, y, np.asarray(rows.eta), np.where(on, prepared.size, 1.0), np.where(on, prepared.power, 0.0), method
    if phi is None:
        phi = _most_likely(lambda u: [float(v) for v in _llf_slopes(*args, u)], np.log(guess))
    return float(_llf_compiled(*args, np.log(phi))), phi


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


def null_deviance(model, prepared, kept, coef):
    """Deviance of the offset with an intercept, fitted or a column equal to 1; without one, of the offset alone.

    Fisher scoring for the one constant (k of them), from the average of the fitted linear predictors, which is valid
    since the domain is convex. NaN for families whose free parameters belong to the mean's map.
    """
    if model.family.parametrize_ is not None:
        return float("nan")
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
    fitted = (problem.lin(flatten_host(coef[kept])) - offset).reshape(len(w), -1)
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
    return prepared.intercept or prepared.design.has_ones(on)
