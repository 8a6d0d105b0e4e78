"""jglm: generalized linear models from the log-partition alone, by automatic differentiation on JAX.

>>> import jax.numpy as jnp
>>> from jglm import Family, fit
>>> poisson = Family("poisson", a=jnp.exp)
>>> fit([[0.0], [1.0], [2.0]], [1, 3, 8], family=poisson).params.round(3)
array([0.052, 1.016])
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "Family": "family", "Link": "links", "Model": "model", "Data": "model", "Unknowns": "model", "Dense": "design",
    "Fit": "results", "Solution": "drivers", "Status": "solvers",
    "fit": "api", "glm": "api", "load": "api", "solve": "drivers",
    "families": None, "links": None, "penalties": None, "solvers": None,
}  # fmt: skip
__all__ = [*_PUBLIC]


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
    return sorted(__all__ + ["__version__"])
