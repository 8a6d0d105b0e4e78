"""Which rivals fit which problems, and by how much jglm is to be faster than the best of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """`ratio` is what the best rival's time is to be divided by jglm's; `measure` is a field of the records; `why` is
    said where it is missed."""

    library: str
    ratio: float
    measure: str = "warm_seconds"
    why: str = ""


SMALL = ("jglm", "numpy_irls", "statsmodels", "sklearn", "glum", "jglm_gradient", "numpy_gradient")
DENSE = (
    "jglm", "jglm_jax", "glum_loose", "sklearn_lbfgs", "sklearn_newton_cg", "sklearn_newton_cholesky", "sklearn_sag",
    "statsmodels_glm", "glmax", "nemos", "skglm",
)  # fmt: skip
FREQUENCY = (
    "jglm", "jglm_cache_empty", "jglm_cache_warm", "glum_loose", "sklearn_lbfgs", "sklearn_newton_cholesky", "r_glm",
)  # fmt: skip
TEXT = ("jglm", "sklearn_lbfgs", "sklearn_newton_cg", "sklearn_liblinear", "skglm")
SOFTMAX = ("jglm", "jglm_jax", "sklearn_lbfgs", "sklearn_newton_cg", "sklearn_newton_cholesky", "sklearn_sag")
SUMMARY = ("jglm", "statsmodels_glm", "r_glm", "r_fastglm")

SUITES = {
    "small": dict.fromkeys(
        ("bernoulli_1k_10", "gaussian_20k_20", "bernoulli_20k_20", "poisson_20k_20", "gamma_20k_10", "softmax_10k_10"),
        SMALL,
    ),
    "cpu": {
        "bernoulli_500k_100": DENSE,
        "poisson_500k_100": DENSE,
        "bernoulli_200k_500": DENSE,
        "claims_frequency": FREQUENCY,
        "claims_severity": ("jglm", "glum_loose"),
        "claims_pure_premium": ("jglm", "glum_loose"),
        "text_300k_50k": TEXT,
        "softmax_200k_100": SOFTMAX,
        "gaussian_summary_1m_50": SUMMARY,
        "poisson_summary_1m_50": SUMMARY,
        "bernoulli_1k_10": ("jglm", "statsmodels_glm"),
        "bernoulli_float32_2m_100": ("jglm", "glum_loose", "sklearn_newton_cholesky"),
    },
}
NEW_PROCESS = "new_process_seconds"

# Where the time goes, by profile.
READ = "each pass reads X twice, at the memory's speed; what is left besides is the sample's fit and the totals"
TABLES = "each of 7 Newton passes adds up 10 tables of pairs of grouped factors over all rows, which memory bounds"
FIXED = "five IRLS steps of a compiled call and six small NumPy calls each, and checks: Python's time, not the rows'"
LOGITS = "most is the sample's Hessian, 45 products X'WX of 25,000 rows, one a pair of classes; the rest are passes"

TARGETS = {
    "bernoulli_500k_100": (Target("jglm", 2.5, why=READ), Target("jglm_jax", 3, why=READ)),
    "poisson_500k_100": (Target("jglm", 2.5, why=READ), Target("jglm_jax", 3, why=READ)),
    "bernoulli_200k_500": (Target("jglm", 6, why=READ), Target("jglm_jax", 6, why=READ)),
    "claims_frequency": (
        Target("jglm", 3, why=TABLES),
        Target("jglm_cache_warm", 1.5, NEW_PROCESS),
        Target("jglm_cache_empty", 1.5, NEW_PROCESS),
    ),
    "claims_severity": (Target("jglm", 2, why=TABLES),),
    "claims_pure_premium": (Target("jglm", 2, why=TABLES),),
    "text_300k_50k": (Target("jglm", 1.5),),
    "softmax_200k_100": (Target("jglm", 3, why=LOGITS),),
    "gaussian_summary_1m_50": (Target("jglm", 4),),
    "poisson_summary_1m_50": (Target("jglm", 4),),
    "bernoulli_1k_10": (Target("jglm", 2, why=FIXED),),
    "bernoulli_float32_2m_100": (Target("jglm", 3, why=READ),),
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
