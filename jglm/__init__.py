"""jglm: generalized linear models from the log-partition alone, by automatic differentiation on JAX.

>>> import jax.numpy as jnp
>>> from jglm import Family, fit
>>> poisson = Family("poisson", a=jnp.exp)
>>> fit([[0.0], [1.0], [2.0]], [1, 3, 8], family=poisson).params.round(3)
array([0.047, 1.019])
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jglm import distributed, families, links, penalties, solvers
    from jglm.api import fit, glm, load
    from jglm.comparison import Comparison, compare
    from jglm.crossvalidation import CrossValidation, cross_validate
    from jglm.delta import Estimates
    from jglm.designs import Dense
    from jglm.drivers import Solution, solve
    from jglm.estimators import GLMClassifier, GLMClassifierCV, GLMRegressor, GLMRegressorCV
    from jglm.family import Family
    from jglm.familycheck import check_family
    from jglm.hypotheses import lr_test
    from jglm.jackknife import influence
    from jglm.links import Link
    from jglm.many import fit_many
    from jglm.manyfits import ManyFits
    from jglm.model import Data, Model, Unknowns
    from jglm.paths import CoefficientPath, path
    from jglm.profiles import Profile
    from jglm.resampled import Bootstrap
    from jglm.resampling import bootstrap
    from jglm.results import Fit
    from jglm.sandwich import HAC
    from jglm.scan import ScoreScan, score_scan
    from jglm.separating import find_separation
    from jglm.separation import Separation
    from jglm.solvers import Status
    from jglm.streams import Stream, open_arrow, open_csv, open_parquet
    from jglm.updating import Updating
    from jglm.testresults import HypothesisTest, HypothesisTests, adjust_pvalues

__version__ = "0.1.0"

_PUBLIC = {
    "Family": "family", "Link": "links", "Model": "model", "Data": "model", "Unknowns": "model", "Dense": "designs",
    "ScoreScan": "scan", "score_scan": "scan", "HAC": "sandwich",
    "compare": "comparison", "Comparison": "comparison", "lr_test": "hypotheses", "HypothesisTest": "testresults",
    "HypothesisTests": "testresults",
    "adjust_pvalues": "testresults",
    "Fit": "results", "Solution": "drivers", "Status": "solvers",
    "Profile": "profiles", "Estimates": "delta",
    "path": "paths", "CoefficientPath": "paths",
    "cross_validate": "crossvalidation", "CrossValidation": "crossvalidation",
    "fit": "api", "glm": "api", "load": "api", "solve": "drivers", "check_family": "familycheck",
    "influence": "jackknife", "bootstrap": "resampling", "Bootstrap": "resampled",
    "fit_many": "many", "ManyFits": "manyfits", "Updating": "updating",
    "GLMRegressor": "estimators", "GLMClassifier": "estimators", "GLMRegressorCV": "estimators",
    "GLMClassifierCV": "estimators",
    "Stream": "streams", "open_arrow": "streams", "open_csv": "streams", "open_parquet": "streams",
    "find_separation": "separating", "Separation": "separation",
    "families": None, "links": None, "penalties": None, "solvers": None, "distributed": None,
}  # fmt: skip
__all__ = [
    "HAC",
    "Bootstrap",
    "CoefficientPath",
    "Comparison",
    "CrossValidation",
    "Data",
    "Dense",
    "Estimates",
    "Family",
    "Fit",
    "GLMClassifier",
    "GLMClassifierCV",
    "GLMRegressor",
    "GLMRegressorCV",
    "HypothesisTest",
    "HypothesisTests",
    "Link",
    "ManyFits",
    "Model",
    "Profile",
    "ScoreScan",
    "Separation",
    "Solution",
    "Status",
    "Stream",
    "Unknowns", "Updating",
    "adjust_pvalues",
    "bootstrap",
    "check_family",
    "compare",
    "cross_validate",
    "distributed",
    "families",
    "find_separation",
    "fit",
    "fit_many",
    "glm",
    "influence",
    "links",
    "load",
    "lr_test",
    "open_arrow",
    "open_csv",
    "open_parquet",
    "path",
    "penalties",
    "score_scan",
    "solve",
    "solvers",
]  # fmt: skip


def __getattr__(name):
    # Lazy: what is not used costs no import.
    if name not in _PUBLIC:
        raise AttributeError(f"module 'jglm' has no attribute {name!r}")
    home = _PUBLIC[name]
    if home is None:
        return importlib.import_module(f"jglm.{name}")
    value = getattr(importlib.import_module(f"jglm.{home}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*__all__, "__version__"])
