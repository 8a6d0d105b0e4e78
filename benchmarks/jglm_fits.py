"""jglm as a rival: from arrays, from arrays on the device, from a data frame, with and without a compilation cache."""

from dataclasses import replace

import numpy as np

from benchmarks.rival import Result, Rival

FAMILY = {"softmax": "categorical"}
MANY, LOOSE = 100_000, 1e-4  # rows from which every library has the loosest tolerance that is enough


def _tolerance(problem):
    """Distance from the optimum in standard errors; jglm's default (1e-8) where standard errors follow."""
    return {"tol": LOOSE} if problem.n >= MANY and not problem.summary else {}


def _family(problem):
    import jglm

    if problem.family == "tweedie":
        return jglm.families.tweedie(1.5)
    return FAMILY.get(problem.family, problem.family)


def of_arrays(problem, **options):
    """The Fit of X and y."""
    import jglm

    if problem.alpha:
        options["penalty"] = jglm.penalties.ridge(problem.alpha * problem.n)
    if problem.X.dtype == np.float32:
        options["dtype"] = "float32"
    return jglm.fit(
        problem.X, problem.y, family=_family(problem), link=problem.link if problem.family == "gamma" else None,
        exposure=problem.exposure, weights=problem.weights, intercept=problem.intercept,
        covariance="model" if problem.summary else None, **_tolerance(problem), **options,
    )  # fmt: skip


def of_frame(problem):
    """The Fit of a formula with every factor."""
    import jglm

    formula = "y ~ " + " + ".join(f"C({name})" for name in problem.factors)
    given = {name: column for name, column in (("exposure", "exposure"), ("weights", "weight"))
             if column in problem.frame}  # fmt: skip
    return jglm.glm(formula, problem.frame, family=_family(problem), link="log", covariance=None,
                    **_tolerance(problem), **given)  # fmt: skip


def fit_jglm(problem):
    fit = of_arrays(problem) if problem.frame is None else of_frame(problem)
    if problem.summary:
        str(fit.summary())
    how = "".join(f", tol={tol:g}" for tol in _tolerance(problem).values())
    how += ", standard errors, summary" if problem.summary else ""
    return Result(fit.params, fit.n_iter, fit.solver + how)


def on_device(problem):
    """The problem with X and y as JAX arrays."""
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        X, y = jax.block_until_ready((jnp.asarray(problem.X), jnp.asarray(problem.y)))
    return replace(problem, X=X, y=y)


def _rival(name, label, **given):
    return Rival(name, label, fit_jglm, ("jglm:fit",), ("jglm", "jax", "jaxlib"), **given)


RIVALS = (
    _rival("jglm", "jglm"),
    _rival("jglm_jax", "jglm from JAX arrays", prepare=on_device),
    _rival("jglm_cache_empty", "jglm, cache empty", cache="empty"),
    _rival("jglm_cache_warm", "jglm, cache warm", cache="warm"),
)
