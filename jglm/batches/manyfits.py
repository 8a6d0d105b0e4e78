"""ManyFits: what many fits of one family and link know together."""

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jglm.batches import batch
from jglm.fitting.padding import bind
from jglm.inference import tails
from jglm.inputs import checks
from jglm.inputs.matrix import design_of
from jglm.model import Model
from jglm.reporting.tables import ROWS, shown

KINDS = ("mean", "link")
COLUMNS = 8  # coefficients of a model that a notebook shows


@dataclass(repr=False)
class ManyFits:
    """m fits of one family and link, side by side; all arrays are NumPy's and begin with the model.

    Attributes:
        params: (m, p), or (m, p, k) for a family with k columns of lin; NaN for columns that a model does not have, and
            for models of which nothing can be said (see status). names: of the p columns; models: of the m models.
        bse: standard errors, as params; NaN where covariance is None.
        status: (m,) whole numbers; `message(i)` says what one means. converged: (m,) bool; separated models did not.
        n_iter: (m,) passes over the data from the first step on.
        scale: (m,) dispersion, 1 where it is fixed, else Pearson's statistic by nobs - p.
        nobs: (m,) rows of positive weight.
        deviance, llf, aic: (m,), computed on first use; llf is NaN for families without a closed density.
        family_params: {name: (m,)}: the family's own parameters; `estimated` names those that were estimated.
        moderation: what `moderate="trend"` found, else None.
    """

    model: Model
    params: np.ndarray
    names: list
    models: list
    status: np.ndarray
    n_iter: np.ndarray
    nobs: np.ndarray
    scale: np.ndarray
    family_params: dict
    columns: np.ndarray  # (m,) coefficients estimated
    intercept: bool
    levels: list | None
    covariance: str | None
    estimated: tuple = ()
    moderation: Any = None
    has_offset: bool = False
    nuisance: dict = field(default_factory=dict)  # on the free scale
    _root: Any = None
    _parts: Any = None
    _totals: Any = None

    @property
    def family(self):
        return self.model.family

    @property
    def link(self):
        return self.model.link

    def __len__(self):
        return len(self.status)

    @property
    def converged(self):
        return np.isin(self.status, batch.CONVERGED)

    def message(self, i):
        """What the status of model i (its position) means."""
        return batch.MESSAGES[int(self.status[i])]

    # ------------------------------------------------------------------ inference
    @property
    def bse(self):
        if self.covariance is None:
            return np.full(self.params.shape, np.nan)
        with np.errstate(invalid="ignore"):
            return self._root * np.sqrt(self.scale).reshape(-1, *(1,) * (self.params.ndim - 1))

    @property
    def tvalues(self):
        """Coefficients by standard errors: t where the dispersion is estimated, else z."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.params / self.bse

    @property
    def df_resid(self):
        """Rows less coefficients; less the estimated parameters too where the mean's map takes them (beta, ordinal)."""
        return self.nobs - self.columns - (self._count_free if self.family.parametrize_ is not None else 0)

    @property
    def _count_free(self):
        return sum(v.shape[1] for v in self.nuisance.values())

    @property
    def pvalues(self):
        """Two-sided p-values, from t with df_resid degrees of freedom or the normal."""
        t = self.tvalues
        if self.family.dispersion == "fixed":
            return tails.p_values(t, None)
        from scipy.special import stdtr

        df = self.df_resid.reshape(-1, *(1,) * (t.ndim - 1))
        return np.where(df > 0, 2 * stdtr(np.maximum(df, 1), -np.abs(t)), np.nan)

    # ------------------------------------------------------------------ sums over the rows
    def _sums(self, name):
        if self._totals is None:
            if self._parts is None:
                raise ValueError(f"{name} needs the data of the fits, which are no longer there")
            out = {k: np.full(len(self), np.nan) for k in ("deviance", "llf")}
            with jax.enable_x64(True):
                for part, found, model in self._parts:
                    totals = batch.totals_of(model, part.stack, found)
                    for k, v in out.items():
                        v[part.models] = getattr(totals, k)
            self._totals = out
        return self._totals[name]

    @property
    def deviance(self):
        return self._sums("deviance")

    @property
    def llf(self):
        return self._sums("llf")

    @property
    def aic(self):
        extra = self._count_free + (self.family.dispersion == "estimated" and "phi" not in self.estimated)
        return 2 * (self.columns + extra) - 2 * self.llf

    # ------------------------------------------------------------------ looking at them
    def table(self):
        """All coefficients as a pandas data frame, a row for each model and term: coef, std_err, z or t, p."""
        import pandas

        letter = "z" if self.family.dispersion == "fixed" else "t"
        columns = {"coef": self.params, "std_err": self.bse, letter: self.tvalues, "p": self.pvalues}
        if self.params.ndim == 2:
            index = pandas.MultiIndex.from_product([self.models, self.names], names=["model", "term"])
            return pandas.DataFrame({k: v.reshape(-1) for k, v in columns.items()}, index=index)
        classes = list(range(self.params.shape[2]))
        levels = [self.models, classes, self.names]
        index = pandas.MultiIndex.from_product(levels, names=["model", "class", "term"])
        return pandas.DataFrame({k: v.swapaxes(1, 2).reshape(-1) for k, v in columns.items()}, index=index)

    def predict(self, X, kind="mean", offset=None, exposure=None):
        """Predictions of every model for new rows: (n, m), or (n, m, k).

        Args:
            X: (n, p) of all models, or (m, n, p), as in the fit, without the intercept's column where it was added.
            kind: "mean" or "link".
            offset, exposure: (n,) each; without them 0 and 1.
        """
        checks.choice("kind", kind, KINDS)
        with jax.enable_x64(True):
            coef = np.nan_to_num(self.params)
            coef = np.where(np.isnan(self.params).reshape(len(self), -1).all(axis=1).reshape(
                -1, *(1,) * (coef.ndim - 1)), np.nan, coef)  # fmt: skip
            if np.ndim(X) == 3:
                X = checks.numbers("X", X, shape=(len(self), *np.shape(X)[1:]))
            else:
                X = design_of(X)[0].dense()
            p = len(self.names) - int(self.intercept)
            if X.shape[-1] != p:
                raise ValueError(f"X has {X.shape[-1]} columns, the fits had {p}"
                                 + (" (without the intercept, which is added)" if self.intercept else ""))  # fmt: skip
            if self.intercept:
                X = np.concatenate([np.ones((*X.shape[:-1], 1)), X], axis=-1)
            n = X.shape[-2]
            shift = np.zeros(n)
            if offset is not None:
                shift = shift + checks.numbers("offset", offset, shape=(n,))
            if exposure is not None:
                e = checks.numbers("exposure", exposure, shape=(n,))
                checks.refuse("exposure", e <= 0, "zero or negative", "it enters as log(exposure)")
                shift = shift + np.log(e)
            lin = np.matmul(X, coef if coef.ndim == 3 else coef[:, :, None]) + shift[:, None]
            lin = lin if coef.ndim == 3 else lin[:, :, 0]
            found = lin if kind == "link" else self._means(lin)
            return np.ascontiguousarray(np.swapaxes(found, 0, 1))

    def _means(self, lin):
        """Means (m, n) or (m, n, k) of linear predictors."""
        own = {k: self.family_params[k] for k in self.family.params}
        values = {k: self.family_params[k] for k, _ in self.family.free if k not in own}
        return np.asarray(bind(_means, self.model)(lin, own, values))

    def __repr__(self):
        done = int(self.converged.sum())
        return (f"<{len(self):,} fits of {self.family.name} with link {self.link.name}: {len(self.names)} coefficients "
                f"each, {done:,} converged>")  # fmt: skip

    def _repr_html_(self):
        import pandas

        size = min(len(self), ROWS)
        columns: dict[str, Any] = {"status": [self.message(i) for i in range(size)], "nobs": self.nobs[:size]}
        if self.params.ndim == 2:
            columns |= {name: self.params[:size, j] for j, name in enumerate(self.names[:COLUMNS])}
        table = pandas.DataFrame(columns, index=pandas.Index(list(self.models[:size]), name="model"))
        return shown(repr(self), table, len(self))

    # ------------------------------------------------------------------ keeping
    def detach(self):
        """The same without the data, of which the sums are taken first."""
        if self._parts is not None:
            self._sums("llf")
            self._parts = None
        return self

    def __getstate__(self):
        state = dict(vars(self))
        if self._parts is not None:
            self._sums("llf")
            state = dict(vars(self), _parts=None)
        return state


def _means(model, lin, own, values):
    from jglm.prediction import _mean_of

    def one(lin, own, values):
        family = model.family.replace(params={**model.family.params, **own})
        return jax.vmap(lambda v: _mean_of(Model(family, model.link, None), v, values))(lin)

    return jax.vmap(one)(lin, own, values)
