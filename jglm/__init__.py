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
    from jglm import charts, distributed, families, links, penalties, solvers
    from jglm.api import fit, glm, load
    from jglm.batches.many import fit_many
    from jglm.batches.manyfits import ManyFits
    from jglm.designs import Dense
    from jglm.diagnostics.separating import find_separation
    from jglm.diagnostics.separation import Separation
    from jglm.distributions.familycheck import check_family
    from jglm.drivers import Solution, solve
    from jglm.estimators import GLMClassifier, GLMClassifierCV, GLMRegressor, GLMRegressorCV
    from jglm.family import Family
    from jglm.fitting.updating import Updating
    from jglm.inference.comparison import Comparison, compare
    from jglm.inference.delta import Estimates
    from jglm.inference.hypotheses import lr_test
    from jglm.inference.profiles import Profile
    from jglm.inference.sandwich import HAC
    from jglm.inference.testresults import HypothesisTest, HypothesisTests, adjust_pvalues
    from jglm.inputs.factors import relevel
    from jglm.keeping.numpymodel import NumpyModel
    from jglm.links import Link
    from jglm.model import Data, Model, Unknowns
    from jglm.rating.grouping import group_levels
    from jglm.rating.groups import LevelGroups
    from jglm.rating.oneway import one_way
    from jglm.regularization.crossvalidation import CrossValidation, cross_validate
    from jglm.regularization.paths import CoefficientPath, path
    from jglm.resampling.bootstrap import bootstrap
    from jglm.resampling.jackknife import influence
    from jglm.resampling.resamples import Bootstrap
    from jglm.results import Fit
    from jglm.scans.scan import ScoreScan, score_scan
    from jglm.solvers import Status
    from jglm.streams import Stream, open_arrow, open_csv, open_parquet

__version__ = "0.1.0"

_PUBLIC = {
    "Family": "family", "Link": "links", "Model": "model", "Data": "model", "Unknowns": "model", "Dense": "designs",
    "ScoreScan": "scans.scan", "score_scan": "scans.scan", "HAC": "inference.sandwich",
    "compare": "inference.comparison", "Comparison": "inference.comparison", "lr_test": "inference.hypotheses",
    "HypothesisTest": "inference.testresults",
    "HypothesisTests": "inference.testresults",
    "adjust_pvalues": "inference.testresults",
    "Fit": "results", "Solution": "drivers", "Status": "solvers",
    "Profile": "inference.profiles", "Estimates": "inference.delta",
    "path": "regularization.paths", "CoefficientPath": "regularization.paths",
    "cross_validate": "regularization.crossvalidation", "CrossValidation": "regularization.crossvalidation",
    "fit": "api", "glm": "api", "load": "api", "solve": "drivers", "check_family": "distributions.familycheck",
    "influence": "resampling.jackknife", "bootstrap": "resampling.bootstrap", "Bootstrap": "resampling.resamples",
    "fit_many": "batches.many", "ManyFits": "batches.manyfits", "Updating": "fitting.updating",
    "GLMRegressor": "estimators", "GLMClassifier": "estimators", "GLMRegressorCV": "estimators",
    "GLMClassifierCV": "estimators",
    "Stream": "streams", "open_arrow": "streams", "open_csv": "streams", "open_parquet": "streams",
    "find_separation": "diagnostics.separating", "Separation": "diagnostics.separation",
    "NumpyModel": "keeping.numpymodel",
    "one_way": "rating.oneway", "relevel": "inputs.factors", "group_levels": "rating.grouping",
    "LevelGroups": "rating.groups",
    "charts": None, "families": None, "links": None, "penalties": None, "solvers": None, "distributed": None,
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
    "LevelGroups",
    "Link",
    "ManyFits",
    "Model",
    "NumpyModel",
    "Profile",
    "ScoreScan",
    "Separation",
    "Solution",
    "Status",
    "Stream",
    "Unknowns", "Updating",
    "adjust_pvalues",
    "bootstrap",
    "charts",
    "check_family",
    "compare",
    "cross_validate",
    "distributed",
    "families",
    "find_separation",
    "fit",
    "fit_many",
    "glm",
    "group_levels",
    "influence",
    "links",
    "load",
    "lr_test",
    "one_way",
    "open_arrow",
    "open_csv",
    "open_parquet",
    "path",
    "penalties",
    "relevel",
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
