"""The rivals of the suite "cpu": one for each solver, at the loosest tolerance with which it reaches ENOUGH.

Where a library stops by max |gradient| / n itself, that is ENOUGH; where it stops by something else, the tolerance is
the largest power of ten that was enough on these problems, and `how` tells it.
"""

import numpy as np

from benchmarks.rival import Result, Rival

ENOUGH = 1e-7  # as record.ENOUGH, which needs more modules than an environment of a rival has
MOST = 5_000  # iterations
NEARLY_NONE = 1e6  # C of a penalty that moves max |gradient| / n by less than 1e-9


# ---------------------------------------------------------------------------- glum
def fit_glum(problem):
    import glum

    family = {"gaussian": "normal", "bernoulli": "binomial", "tweedie": "tweedie (1.5)"}
    options = dict(family=family.get(problem.family, problem.family), link="log" if problem.link == "log" else "auto")
    options |= dict(alpha=problem.alpha, gradient_tol=ENOUGH, max_iter=1_000)
    X, given = problem.X, dict(offset=problem.offset, sample_weight=problem.weights)
    if problem.frame is not None:
        X, options = problem.frame[problem.factors], options | dict(drop_first=True)
    model = glum.GeneralizedLinearRegressor(**options, fit_intercept=problem.intercept)
    model.fit(X, problem.y, **given)
    how = f"irls-ls, gradient_tol {ENOUGH:g}"
    if problem.summary:
        str(model.coef_table(X, problem.y, **given, robust=False))
        how += ", standard errors, summary"
    coef = np.append(model.intercept_, model.coef_) if problem.intercept else model.coef_
    return Result(coef, model.n_iter_, how)


# ---------------------------------------------------------------------------- scikit-learn
def sklearn_fit(solver, tol):
    """The fit of one solver of LogisticRegression and of the generalized linear regressors."""

    def fit(problem):
        from sklearn import linear_model
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder

        options, how = dict(solver=solver, tol=tol, max_iter=MOST, fit_intercept=problem.intercept), f"tol {tol:g}"
        X, y, weight = problem.X, problem.y, problem.weights
        match problem.family:
            case "bernoulli" | "softmax":
                C = 1 / (problem.alpha * problem.n) if problem.alpha else np.inf
                if solver == "liblinear" and not problem.alpha:
                    C, how = NEARLY_NONE, f"{how}, C {NEARLY_NONE:g}: it has no fit without a penalty"
                model = linear_model.LogisticRegression(C=C, random_state=0, **options)
            case "poisson":
                model = linear_model.PoissonRegressor(alpha=problem.alpha, **options)
            case "gamma":
                model = linear_model.GammaRegressor(alpha=problem.alpha, **options)
            case "tweedie":
                model = linear_model.TweedieRegressor(power=1.5, link="log", alpha=problem.alpha, **options)
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

    X, tol = problem.X if problem.frame is None else problem.X.toarray(), 1e-8
    X = sm.add_constant(X)
    if problem.family == "softmax":
        found = sm.MNLogit(problem.y, X).fit(method="newton", disp=0, maxiter=100)
        return Result(np.asarray(found.params), found.mle_retvals["iterations"], "MNLogit, Newton")
    family = {
        "gaussian": sm.families.Gaussian, "bernoulli": sm.families.Binomial, "poisson": sm.families.Poisson,
        "gamma": lambda: sm.families.Gamma(sm.families.links.Log()),
        "tweedie": lambda: sm.families.Tweedie(sm.families.links.Log(), var_power=1.5),
    }[problem.family]()  # fmt: skip
    model = sm.GLM(problem.y, X, family=family, exposure=problem.exposure, var_weights=problem.weights)
    found = model.fit(maxiter=100, tol=tol)
    if problem.summary:
        found.summary().as_text()
    how = f"IRLS, tol {tol:g}" + (", standard errors, summary" if problem.summary else "")
    return Result(np.asarray(found.params), found.fit_history["iteration"], how)


# ---------------------------------------------------------------------------- on JAX
def fit_glmax(problem):
    import glmax
    import jax.numpy as jnp

    family = {"gaussian": glmax.Gaussian, "bernoulli": glmax.Binomial, "poisson": glmax.Poisson}[problem.family]()
    X = problem.X if problem.frame is None else problem.X.toarray()
    X = jnp.asarray(np.column_stack([np.ones(problem.n, X.dtype), X]))
    found = glmax.fit(family, X, jnp.asarray(problem.y), offset=problem.offset, fitter=glmax.IRLSFitter(tol=1e-3))
    how = "IRLS, tol 0.001 on the objective"
    if problem.summary:
        str(glmax.infer(found))
        how += ", standard errors, tests"
    return Result(np.asarray(found.params.beta), int(found.result.num_iters), how)


def fit_nemos(problem):
    import jax
    import jax.numpy as jnp
    import nemos

    jax.config.update("jax_enable_x64", problem.X.dtype != np.float32)
    options = dict(solver_name="LBFGS", solver_kwargs=dict(tol=1e-8, maxiter=MOST))
    if problem.family == "softmax":
        model = nemos.glm.ClassifierGLM(problem.classes, regularizer="UnRegularized", **options)
        model.fit(problem.X, problem.y)
        every = np.vstack([model.intercept_, model.coef_])  # a column per class, symmetric
        return Result(every[:, 1:] - every[:, :1], None, "L-BFGS, tol 1e-08")
    law = {"bernoulli": "BernoulliObservations", "poisson": "PoissonObservations"}[problem.family]
    if problem.family == "poisson":
        options["inverse_link_function"] = jnp.exp
    model = nemos.glm.GLM(observation_model=getattr(nemos.observation_models, law)(), **options)
    model.fit(problem.X, problem.y)
    return Result(np.append(model.intercept_, model.coef_), None, "L-BFGS, tol 1e-08")


# ---------------------------------------------------------------------------- skglm
def fit_skglm(problem):
    """By its solver: its estimators refuse L-BFGS, the only one that takes no penalty at all."""
    from scipy import sparse
    from skglm import datafits, penalties, solvers

    X, y = problem.X, problem.y
    if problem.intercept:
        X = np.column_stack([np.ones(problem.n, X.dtype), X])
    X = sparse.csc_matrix(X) if sparse.issparse(X) else X
    if problem.family == "bernoulli":
        datafit, y = datafits.Logistic(), np.where(y > 0, 1.0, -1.0)
    else:
        datafit = datafits.Poisson()
    solver = solvers.LBFGS(max_iter=MOST, tol=ENOUGH)
    coef, steps, _ = solver.solve(X, y, datafit, penalties.L2(problem.alpha))
    return Result(coef, len(steps), f"L-BFGS, tol {ENOUGH:g}")


def _sklearn(solver, tol=ENOUGH, classifies=False, **cannot):
    name = f"sklearn_{solver.replace('-', '_')}"
    if classifies:
        cannot |= dict.fromkeys(("poisson", "gamma", "tweedie"), "its regressors have no such solver")
    imports = ("sklearn.linear_model", "sklearn.pipeline", "sklearn.preprocessing")
    return Rival(name, f"scikit-learn {solver}", sklearn_fit(solver, tol), imports, ("scikit-learn",), cannot)


NO_WEIGHTS, NO_OFFSET, NO_CLASSES = "no weights", "no offset and no weights", "no family for several classes"
DENSE_TEXT = "no sparse columns: dense they would be 120 GB"
HESSIAN = "a Hessian of 50,000 x 50,000 numbers would be 20 GB"
PLAIN = {"offset": NO_OFFSET, "weights": NO_WEIGHTS}

RIVALS = (
    Rival("glum_loose", "glum", fit_glum, ("glum",), ("glum", "tabmat"),
          {"classes": NO_CLASSES, "sparse": f"{HESSIAN}, and its L-BFGS needs an older SciPy"}),
    _sklearn("lbfgs"),
    _sklearn("newton-cholesky", sparse=HESSIAN),
    _sklearn("newton-cg", classifies=True),
    _sklearn("sag", 1e-6, classifies=True),
    _sklearn("saga", 1e-7, classifies=True),
    _sklearn("liblinear", 1e-6, classifies=True, classes="two classes only"),
    Rival("statsmodels_glm", "statsmodels", fit_statsmodels, ("statsmodels.api",), ("statsmodels",),
          {"sparse": DENSE_TEXT}),
    Rival("glmax", "glmax", fit_glmax, ("glmax",), ("glmax", "jax", "jaxlib"),
          {"sparse": DENSE_TEXT, "weights": NO_WEIGHTS, "classes": NO_CLASSES, "float32": "its loop fails in float32"},
          requires=("glmax==0.1.1", "pandas", "pyarrow")),
    Rival("nemos", "nemos", fit_nemos, ("nemos.glm", "nemos.observation_models"), ("nemos", "jax", "jaxlib"),
          {"sparse": DENSE_TEXT} | PLAIN, requires=("nemos==0.2.9",)),
    Rival("skglm", "skglm", fit_skglm, ("skglm",), ("skglm", "numba"),
          {"classes": NO_CLASSES, "float32": "its L-BFGS fails in float32"} | PLAIN, requires=("skglm==0.5",)),
)  # fmt: skip
