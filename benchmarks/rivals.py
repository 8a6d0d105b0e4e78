"""The rivals: one function each, `fit(problem) -> Result`, and what a table has to say of them.

A fit takes the arrays of the problem and gives back coefficients, the intercept first: whatever a library needs in
between (a column of ones, a change of parameters) is part of its call and of its time. All aim at the same gradient.

Those here are of the small suite; `cpu_rivals` asks for the loosest tolerance that is enough instead.
"""

import numpy as np

from benchmarks import cpu_rivals, jglm_fits, numpy_fits, objective, r_rival
from benchmarks.rival import Result, Rival

TARGET = 1e-8  # max |gradient| / n that every rival is asked for, where it can be asked
GRADIENT_STEPS = 2_000  # more would take longer than all else together, and show no more


# ---------------------------------------------------------------------------- NumPy
def fit_numpy_gradient(problem):
    coef, steps = numpy_fits.gradient_rule(problem, TARGET, GRADIENT_STEPS)
    return Result(coef, steps, "gradient rule")


def fit_numpy_irls(problem):
    coef, iterations = numpy_fits.irls(problem, TARGET)
    return Result(coef, iterations, "IRLS")


# ---------------------------------------------------------------------------- jglm
def fit_jglm_gradient(problem):
    import jglm

    alpha = numpy_fits.step_size(problem, objective.design(problem))
    # Its tolerance is on the move alpha * gradient of the sum, ours on the gradient of the mean.
    rule = jglm.solvers.Gradient(alpha, steps=GRADIENT_STEPS, tol=alpha * TARGET * problem.n)
    fit = jglm_fits.of_arrays(problem, solver=rule)
    return Result(fit.params, fit.n_iter, "gradient rule")


# ---------------------------------------------------------------------------- statsmodels
def fit_statsmodels(problem):
    import statsmodels.api as sm

    X = sm.add_constant(problem.X)
    if problem.family == "softmax":
        found = sm.MNLogit(problem.y, X).fit(method="newton", disp=0, maxiter=100)
        return Result(np.asarray(found.params), found.mle_retvals["iterations"], "MNLogit, Newton")
    family = {
        "gaussian": sm.families.Gaussian,
        "bernoulli": sm.families.Binomial,
        "poisson": sm.families.Poisson,
        "gamma": lambda: sm.families.Gamma(sm.families.links.Log()),
    }[problem.family]()
    found = sm.GLM(problem.y, X, family=family, exposure=problem.exposure).fit(maxiter=100, tol=1e-8)
    return Result(np.asarray(found.params), found.fit_history["iteration"], "IRLS")


# ---------------------------------------------------------------------------- scikit-learn
def fit_sklearn(problem):
    from sklearn import linear_model

    newton = dict(solver="newton-cholesky", tol=TARGET, max_iter=1_000)
    y, weight, how = problem.y, None, "newton-cholesky"
    match problem.family:
        case "gaussian":
            model, how = linear_model.LinearRegression(), "least squares"
        case "poisson":
            model = linear_model.PoissonRegressor(alpha=0, **newton)
        case "gamma":
            model = linear_model.GammaRegressor(alpha=0, **newton)
        case _:
            model = linear_model.LogisticRegression(C=np.inf, **newton)
    if problem.exposure is not None:
        # It takes no offset; a rate weighted by its exposure has the same Poisson likelihood.
        y, weight, how = y / problem.exposure, problem.exposure, how + "; y / exposure with exposure as weight"
    model.fit(problem.X, y, sample_weight=weight)
    iterations = getattr(model, "n_iter_", None)
    return Result(_sklearn_coef(problem, model), None if iterations is None else int(np.max(iterations)), how)


def _sklearn_coef(problem, model):
    if problem.family != "softmax":
        return np.append(model.intercept_, np.ravel(model.coef_))
    every = np.vstack([model.intercept_, model.coef_.T])  # a column per class, symmetric
    return every[:, 1:] - every[:, :1]


# ---------------------------------------------------------------------------- glum
def fit_glum(problem):
    import glum

    family = {"gaussian": "normal", "bernoulli": "binomial"}.get(problem.family, problem.family)
    link = "log" if problem.family == "gamma" else "auto"
    model = glum.GeneralizedLinearRegressor(family=family, link=link, alpha=0, gradient_tol=TARGET, max_iter=1_000)
    model.fit(problem.X, problem.y, offset=problem.offset)
    return Result(np.append(model.intercept_, model.coef_), model.n_iter_, "irls-ls")


RIVALS = {
    rival.name: rival
    for rival in (
        *jglm_fits.RIVALS,
        Rival("numpy_irls", "NumPy IRLS", fit_numpy_irls, ("numpy",), ("numpy",)),
        Rival("statsmodels", "statsmodels", fit_statsmodels, ("statsmodels.api",), ("statsmodels",)),
        Rival("sklearn", "scikit-learn", fit_sklearn, ("sklearn.linear_model",), ("scikit-learn",)),
        Rival("glum", "glum", fit_glum, ("glum",), ("glum", "tabmat"),
              {"classes": "it has no family for several classes"}),
        Rival("jglm_gradient", "jglm gradient rule", fit_jglm_gradient, ("jglm:fit", "jglm:solvers"),
              ("jglm", "jax", "jaxlib")),
        Rival("numpy_gradient", "NumPy gradient rule", fit_numpy_gradient, ("numpy",), ("numpy",)),
        *cpu_rivals.RIVALS,
        *r_rival.RIVALS,
    )
}  # fmt: skip
