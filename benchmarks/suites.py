"""Which rivals fit which problems."""

SMALL = ("jglm", "numpy_irls", "statsmodels", "sklearn", "glum", "jglm_gradient", "numpy_gradient")
SKLEARN = (
    "sklearn_lbfgs", "sklearn_newton_cg", "sklearn_newton_cholesky", "sklearn_sag", "sklearn_saga", "sklearn_liblinear",
)  # fmt: skip
PYTHON = ("glum_loose", *SKLEARN, "statsmodels_glm", "glmax", "nemos", "skglm")
R = ("r_glm_fit", "r_glm4", "r_glmnet", "r_fastglm")
R_FACTORS = ("r_glm", "r_glm4", "r_glmnet", "r_fastglm")
DENSE = ("jglm", "jglm_jax", *PYTHON, *R)
CLAIMS = ("jglm", *PYTHON, *R_FACTORS)
# Those that give standard errors and tests.
SUMMARY = ("jglm", "glum_loose", "statsmodels_glm", "glmax", "r_glm", "r_fastglm")

SUITES = {
    "small": dict.fromkeys(
        ("bernoulli_1k_10", "gaussian_20k_20", "bernoulli_20k_20", "poisson_20k_20", "gamma_20k_10", "softmax_10k_10"),
        SMALL,
    ),
    "cpu": {
        "bernoulli_500k_100": DENSE,
        "poisson_500k_100": DENSE,
        "bernoulli_200k_500": DENSE,
        "claims_frequency": ("jglm", "jglm_cache_empty", "jglm_cache_warm", *CLAIMS[1:]),
        "claims_severity": CLAIMS,
        "claims_pure_premium": CLAIMS,
        "text_300k_50k": ("jglm", *PYTHON, "r_glmnet"),
        "softmax_200k_100": ("jglm", "jglm_jax", *PYTHON, "r_glmnet"),
        "gaussian_summary_1m_50": (*SUMMARY, "r_lm"),
        "poisson_summary_1m_50": SUMMARY,
        "bernoulli_1k_10": ("jglm", *PYTHON, *R),
        "bernoulli_float32_2m_100": ("jglm", *PYTHON, *R),
    },
}

# Pairs that are left out with all rows, (problem, rival): reason. A fit has at most about 10 GB and five minutes.
TOO_LARGE = {
    ("bernoulli_200k_500", "statsmodels_glm"): "about 11 GB, 14 times X, and several minutes",
    ("bernoulli_200k_500", "r_glm_fit"): "about ten minutes, 100 s for each of its QR decompositions",
    ("claims_frequency", "statsmodels_glm"): "about 17 GB, 14 times the dense columns of the factors",
    ("claims_pure_premium", "statsmodels_glm"): "about 17 GB, 14 times the dense columns of the factors",
    ("claims_pure_premium", "r_glm"): "about a quarter of an hour, 20 QR decompositions of 678,013 x 224",
    ("claims_pure_premium", "r_glmnet"): "not done in a minute with a tenth of the rows",
    ("bernoulli_float32_2m_100", "statsmodels_glm"): "about 22 GB, 14 times X in float64",
}


def pairs(suite, problems=None, libraries=None):
    """(problem, rival) names in the order of the suite; `problems` and `libraries` are what the user named, or None.

    A problem that is named meets every library that is named, else its own of the suite, or those of the small suite.
    """
    known, found = SUITES[suite], []
    for problem in problems or known:
        own = known.get(problem, SMALL)
        if libraries is not None:
            own = libraries if problems is not None else [rival for rival in own if rival in libraries]
        found += [(problem, rival) for rival in own]
    return found


def order(suite, records):
    """The records in the order of the suite, those of no pair of it last."""
    place = {pair: i for i, pair in enumerate(pairs(suite))}
    return sorted(records, key=lambda r: place.get((r.problem, r.library), len(place)))
