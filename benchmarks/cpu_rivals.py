"""The rivals of the suite "cpu": one for each solver, at the loosest tolerance with which it reaches ENOUGH.

Where a library stops by max |gradient| / n itself, that is ENOUGH; where it stops by something else, the tolerance is
the largest power of ten that was enough on these problems, and `how` tells it.
"""

import numpy as np

from benchmarks.rival import Result, Rival

ENOUGH = 1e-7  # as record.ENOUGH, which needs more modules than an environment of a rival has
MOST = 5_000  # iterations


# ---------------------------------------------------------------------------- glum
def fit_glum(problem):
    import glum

    family = {"gaussian": "normal", "bernoulli": "binomial", "tweedie": "tweedie (1.5)"}
    options = dict(family=family.get(problem.family, problem.family), link="log" if problem.link == "log" else "auto")
    options |= dict(alpha=problem.alpha, gradient_tol=ENOUGH, max_iter=1_000)
    X = problem.X
    if problem.frame is not None:
        X, options = problem.frame[problem.factors], options | dict(drop_first=True)
    model = glum.GeneralizedLinearRegressor(**options, fit_intercept=problem.intercept)
    model.fit(X, problem.y, offset=problem.offset, sample_weight=problem.weights)
    coef = np.append(model.intercept_, model.coef_) if problem.intercept else model.coef_
    return Result(coef, model.n_iter_, f"irls-ls, gradient_tol {ENOUGH:g}")


# ---------------------------------------------------------------------------- scikit-learn
def sklearn_fit(solver, tol):
    """The fit of one solver of LogisticRegression and of the generalized linear regressors."""

    def fit(problem):
        from sklearn import linear_model
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder

        options, how = dict(solver=solver, tol=tol, max_iter=MOST, fit_intercept=problem.intercept), f"tol {tol:g}"
        X, y, weight = problem.X, problem.y, problem.weights
        if problem.family in ("bernoulli", "softmax"):
            C = 1 / (problem.alpha * problem.n) if problem.alpha else np.inf
            model = linear_model.LogisticRegression(C=C, **options)
        else:
            model = linear_model.PoissonRegressor(alpha=problem.alpha, **options)
        if problem.exposure is not None:
            y, weight, how = y / problem.exposure, problem.exposure, how + "; y / exposure, weighted by it"
        steps = [model]
        if problem.frame is not None:
            X, how = problem.frame[problem.factors], how + "; one-hot in sparse columns"
            levels = [X[name].cat.categories.to_numpy() for name in X]
            steps.insert(0, OneHotEncoder(categories=levels, drop="first"))
        name = type(model).__name__.lower()
        make_pipeline(*steps).fit(X, y, **{f"{name}__sample_weight": weight})
        return Result(_sklearn_coef(problem, model), int(np.max(model.n_iter_)), f"{solver}, {how}")

    return fit


def _sklearn_coef(problem, model):
    if problem.family == "softmax":
        every = np.vstack([model.intercept_, model.coef_.T])  # a column per class, symmetric
        return every[:, 1:] - every[:, :1]
    return np.append(model.intercept_, np.ravel(model.coef_)) if problem.intercept else np.ravel(model.coef_)


# ---------------------------------------------------------------------------- statsmodels
def fit_statsmodels(problem):
    import statsmodels.api as sm

    X, tol = sm.add_constant(problem.X), 1e-8
    family = {"gaussian": sm.families.Gaussian, "bernoulli": sm.families.Binomial, "poisson": sm.families.Poisson}
    found = sm.GLM(problem.y, X, family=family[problem.family]()).fit(maxiter=100, tol=tol)
    if problem.summary:
        found.summary().as_text()
    how = f"IRLS, tol {tol:g}" + (", standard errors, summary" if problem.summary else "")
    return Result(np.asarray(found.params), found.fit_history["iteration"], how)


# ---------------------------------------------------------------------------- on JAX
def fit_glmax(problem):
    import glmax
    import jax.numpy as jnp

    family = {"gaussian": glmax.Gaussian, "bernoulli": glmax.Binomial, "poisson": glmax.Poisson}[problem.family]()
    X = jnp.asarray(np.column_stack([np.ones(problem.n), problem.X]))
    found = glmax.fit(family, X, jnp.asarray(problem.y), fitter=glmax.IRLSFitter(tol=1e-3))
    coef = np.asarray(found.params.beta)
    return Result(coef, int(found.result.num_iters), "IRLS, tol 0.001 on the objective")


def fit_nemos(problem):
    import jax
    import jax.numpy as jnp
    import nemos

    jax.config.update("jax_enable_x64", True)
    law = {"bernoulli": "BernoulliObservations", "poisson": "PoissonObservations"}[problem.family]
    given = dict(inverse_link_function=jnp.exp) if problem.family == "poisson" else {}
    model = nemos.glm.GLM(
        observation_model=getattr(nemos.observation_models, law)(), solver_name="LBFGS",
        solver_kwargs=dict(tol=1e-8, maxiter=MOST), **given,
    )  # fmt: skip
    model.fit(problem.X, problem.y)
    return Result(np.append(model.intercept_, model.coef_), None, "L-BFGS, tol 1e-08")


# ---------------------------------------------------------------------------- skglm
def fit_skglm(problem):
    """By its solver: its estimators refuse L-BFGS, the only one that takes no penalty at all."""
    from scipy import sparse
    from skglm import datafits, penalties, solvers

    X, y = problem.X, problem.y
    if problem.intercept:
        X = np.column_stack([np.ones(problem.n), X])
    X = sparse.csc_matrix(X) if sparse.issparse(X) else X
    if problem.family == "bernoulli":
        datafit, y = datafits.Logistic(), np.where(y > 0, 1.0, -1.0)
    else:
        datafit = datafits.Poisson()
    solver = solvers.LBFGS(max_iter=MOST, tol=ENOUGH)
    coef, steps, _ = solver.solve(X, y, datafit, penalties.L2(problem.alpha))
    return Result(coef, len(steps), f"L-BFGS, tol {ENOUGH:g}")


def _sklearn(solver, tol=ENOUGH, classifies=False):
    name = f"sklearn_{solver.replace('-', '_')}"
    cannot = {"poisson": "its regressors have no such solver"} if classifies else {}
    imports = ("sklearn.linear_model", "sklearn.pipeline", "sklearn.preprocessing")
    return Rival(name, f"scikit-learn {solver}", sklearn_fit(solver, tol), imports, ("scikit-learn",), cannot)


RIVALS = (
    Rival("glum_loose", "glum", fit_glum, ("glum",), ("glum", "tabmat")),
    _sklearn("lbfgs"),
    _sklearn("newton-cholesky"),
    _sklearn("newton-cg", classifies=True),
    _sklearn("sag", 1e-6, classifies=True),
    _sklearn("liblinear", 1e-5, classifies=True),
    Rival("statsmodels_glm", "statsmodels", fit_statsmodels, ("statsmodels.api",), ("statsmodels",)),
    Rival("glmax", "glmax", fit_glmax, ("glmax",), ("glmax", "jax", "jaxlib"), requires=("glmax==0.1.1",)),
    Rival(
        "nemos",
        "nemos",
        fit_nemos,
        ("nemos.glm", "nemos.observation_models"),
        ("nemos", "jax", "jaxlib"),
        requires=("nemos==0.2.9",),
    ),
    Rival("skglm", "skglm", fit_skglm, ("skglm",), ("skglm", "numba"), requires=("skglm==0.5",)),
)
