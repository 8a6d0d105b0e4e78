"""A checked data set seen through a model: its rows at any coefficients, for the host side of a fit."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import irls
from jglm.model import Unknowns
from jglm.rows import describe, row_derivatives, start_of_rows

describe_compiled = jax.jit(describe)
_start_compiled = jax.jit(start_of_rows)
_derivatives_compiled = jax.jit(row_derivatives)


def flatten_host(coef):
    """Coefficients (p,) or (p, k) as one vector, class by class."""
    return np.ravel(np.asarray(coef, np.float64).T)


class Problem:
    """A prepared data set with the columns that are kept, and its rows seen through the model; `values` {name: (n,) or
    (n, s)} are those of parameters that eta takes besides lin."""

    def __init__(self, model, prepared, kept, dtype="float64", values=None):
        self.model, self.prepared, self.kept = model, prepared, kept
        self.values = values or {}
        X = prepared.X if kept.all() else np.ascontiguousarray(prepared.X[:, kept])
        self.X = X if dtype == "float64" else X.astype(dtype).astype(np.float64)
        self.width = model.width() or 1
        count = np.sum(prepared.power[prepared.weight > 0])
        if model.family.prior_weights == "dispersion":
            count = prepared.nobs
        self.count = float(count)

    def device(self, dtype="float64"):
        """The data for a solver."""
        return self.prepared.device(self.X, dtype)

    def rows(self, part):
        """Those rows of the data."""
        return jax.tree.map(lambda v: v[part], self.device())

    def with_model(self, model):
        """The same data seen through another model."""
        other = object.__new__(Problem)
        other.__dict__.update(vars(self), model=model)
        return other

    @property
    def small(self):
        """Whether a step on the host costs less than compiling a solver."""
        n, p = self.X.shape
        return n * self.width * (p * self.width) ** 2 <= irls.WORK

    def shape(self, flat):
        """Flat coefficients as (p,) or (p, k)."""
        return flat if self.model.width() is None else flat.reshape(self.width, self.X.shape[1]).T

    def whole(self, flat):
        """Coefficients for every column, NaN for those that are aliased."""
        coef = self.shape(flat)
        whole = np.full((len(self.kept), *coef.shape[1:]), np.nan)
        whole[self.kept] = coef
        return whole

    def at(self, lin):
        """(Rows, Totals) at a linear predictor."""
        p = self.prepared
        return describe_compiled(self.model, p.y, lin, p.weight, p.size, p.power, self.count, self.values)

    def lin(self, flat):
        """The linear predictor at flat coefficients, offset included."""
        return self.X @ self.shape(flat) + self.prepared.offset

    def derivatives(self, lin, penalized=0.0):
        """The View of IRLS at a linear predictor: loss, score, observed and expected information of the rows."""
        p = self.prepared
        loss, *rest = (np.asarray(v) for v in _derivatives_compiled(self.model, p.y, lin, p.weight))
        return irls.View(float(p.weight @ loss) + penalized, *rest)

    def look(self, flat):
        """(Rows, Totals) at flat coefficients."""
        return self.at(self.lin(flat))

    def start(self):
        """The rows' own linear predictors to begin at."""
        return np.asarray(_start_compiled(self.model, self.prepared.y, self.prepared.weight))

    def penalty_hessian(self, flat):
        """The Hessian of the (quadratic) penalty in the flat coefficients, None without one."""
        if self.model.penalty is None:
            return None
        return np.asarray(self.model.curvature(Unknowns(jnp.asarray(self.shape(flat)), {})))
