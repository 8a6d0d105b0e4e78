"""What a fit of a stream computes when it is first asked for: each takes passes of its own."""

import jax.numpy as jnp
import numpy as np

from jglm.drivers import evaluate_compiled
from jglm.fitting import deferred, joint, linalg
from jglm.fitting.problem import Problem, flatten_host
from jglm.model import HESSIAN, Model, Query, Unknowns
from jglm.streams import robust


def of(data, name, *args):
    """One of the functions below, by its name."""
    known = log_likelihood, null_deviance, unscaled_covariance, joint_covariance, robust_covariance
    return {f.__name__: f for f in known}[name](data, *args)


def robust_covariance(data, fit):
    """See `streams.robust`."""
    return robust.covariance(fit, data)


def log_likelihood(data, model, kept, coef, phi, plugged):
    """As `deferred.log_likelihood`, the sums over blocks."""
    family, flat, known = model.family, flatten_host(coef[kept]), phi
    guess = data.facts["deviance"] / data.facts["count"]
    if family.dispersion == "fixed":
        phi = 1.0
    elif plugged:
        phi = guess
    sample = data.sample
    on = sample.weight > 0
    method = None if family.has_density else family.density_method(
        (guess if phi is None else phi) / sample.size[on], sample.y[on]
    )  # fmt: skip

    def rows(prepared):
        problem = Problem(model, prepared, kept)
        return deferred.likelihood_rows(problem, problem.hosted.times(problem.shape(flat)) + prepared.offset, method)

    if phi is None:
        slopes = lambda u: data.total(lambda block: np.array([float(v) for v in deferred._llf_slopes(*rows(block), u)]))
        phi = known = deferred._most_likely(slopes, np.log(guess))
    llf = data.total(lambda block: float(deferred._llf_compiled(*rows(block), np.log(phi))))
    return float(llf), phi if not plugged else known


def null_deviance(data, model, kept, coef):
    """As `deferred.null_deviance`; each look at a constant is a pass."""
    width, sample = model.width() or 1, data.sample
    look = lambda constant: data.total(lambda block: deferred.null_terms(Problem(model, block, kept), constant))
    if not data.has_constant:
        return float(look(np.zeros(width))[0])
    problem = Problem(model, sample, kept)
    fitted = problem.hosted.times(problem.shape(flatten_host(coef[kept]))).reshape(len(sample.weight), -1)
    near = lambda constant: deferred.null_terms(problem, constant)
    begin = np.average(fitted, axis=0, weights=sample.weight)
    return deferred.least_deviance(look, deferred.best_constant(near, begin)[0])


def unscaled_covariance(data, model, kept, coef):
    """(X'WX + P)^-1 of the kept columns."""
    flat = flatten_host(coef[kept])

    def look(prepared):
        problem = Problem(model, prepared, kept)
        return problem.information(problem.hosted.times(problem.shape(flat)) + prepared.offset)

    H, P = data.total(look), Problem(model, data.sample, kept).penalty_hessian(flat)
    R = linalg.triangle_of(H if P is None else H + P)
    return np.full(H.shape, np.nan) if R is None else linalg.inverse_from_triangle(R)


def joint_covariance(data, model, kept, coef, free, nuisance):
    """As `deferred.joint_covariance`."""
    seen = Model(model.family.replace(free=free), model.link, model.penalty)
    unknowns = Unknowns(jnp.asarray(coef[kept]), {k: jnp.asarray(v) for k, v in nuisance.items()})
    seen = joint.with_density(seen, joint.density_method(Problem(seen, data.sample, kept), unknowns))

    def look(prepared):
        return np.asarray(evaluate_compiled(seen, Problem(seen, prepared, kept).data, Query(unknowns), HESSIAN).hess)

    H, extra = data.total(look), seen.curvature(unknowns)
    H, size = H if extra is None else H + np.asarray(extra), coef[kept].size
    return joint.inverse(H), joint.inverse(H[size:, size:])
