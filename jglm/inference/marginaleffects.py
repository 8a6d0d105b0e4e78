"""A fit as the package marginaleffects (Arel-Bundock) takes models: `avg_slopes(fit.for_marginaleffects())`.

That package knows models of some libraries by their types, and any other as a subclass of its `ModelAbstract`, which
this is. It differentiates predictions numerically; `Fit.marginal_effects` and `Fit.estimate` do so exactly.
"""

import dataclasses
from typing import Any

import jax
import numpy as np
import polars
from marginaleffects.classes.model import ModelAbstract, ModelVault

from jglm import prediction
from jglm.inference import delta, scenarios

KINDS = ("mean", "link")
# Links that marginaleffects differentiates, each with a family that it lets have it: of that it takes no more.
LINKS = {"identity": "gaussian", "log": "poisson", "logit": "binomial", "probit": "binomial", "cloglog": "binomial",
         "inverse": "gamma", "sqrt": "poisson"}  # fmt: skip


class ModelJglm(ModelAbstract):
    """A `Fit` that has its data: coefficients that are not aliased class by class, their covariance, and predictions of
    frames through the fit's formula.

    Factors are shown as text, whatever their levels are, and other columns as they are. Parameters of the family that
    the mean depends on (cutpoints) stand after the coefficients.
    """

    def __init__(self, fit, kind="mean"):
        _refuse(fit)
        self.kind = kind
        self.joint = kind == "mean" and fit.family.parametrize_ is not None and bool(fit.free)
        self.levels = {} if fit.formula is None else scenarios.factor_levels(fit.formula, fit._frame)
        kept = np.tile(fit.kept, fit.model.width() or 1)
        flat, names = delta.flat_coefficients(fit), _names(fit)
        self.used, self._wide = kept, fit.model.width() is not None
        if self.joint:
            tail = delta.flat_nuisance(fit)
            flat, self.used = np.append(flat, tail), np.append(kept, np.ones(len(tail), bool))
            names = [*names, *_names_of_nuisance(fit)]
        frame, variables = _data_of(fit, self.levels)
        vault = ModelVault(
            coef=flat[self.used], coefnames=np.array([n for n, k in zip(names, self.used, strict=True) if k]),
            formula=f"{_quoted(variables[0])} ~ {' + '.join(map(_quoted, variables[1:])) or '1'}", package="jglm",
            modeldata=frame, variable_names=variables,
        )  # fmt: skip
        super().__init__(fit, vault)

    def validation(self):
        """What the base class finds by the text of a formula and by the values of columns, which it asks in a way that
        Polars 2 refuses of numbers that are not whole."""
        vault: Any = self.vault
        self.coef, self.formula, self.response_name = vault.coef, vault.formula, vault.variable_names[0]
        known = [name for name in vault.variable_names if name in vault.modeldata.columns]
        vault.variables_type = {name: _type(vault.modeldata[name]) for name in known}

    @property
    def df_resid(self):
        """Degrees of freedom of t; infinite for the normal."""
        return np.inf if self.model._df is None else float(self.model._df)

    def get_df(self):
        return self.model.df_resid

    def get_autodiff_args(self):
        """What that package needs to differentiate by itself, None where it cannot: with an offset, with classes, and
        with links that it does not know."""
        if self._wide or self.model.fixed or self.model.has_offset or self.joint:
            return None
        if self.kind == "link":
            return {"model_type": "linear", "family": None, "link": None}
        link = self.model.link.name
        return {"model_type": "glm", "family": LINKS[link], "link": link} if link in LINKS else None

    def get_vcov(self, vcov: Any = True):
        """The covariance of the fit, or of another kind by its name (`Fit.with_covariance`); None for False."""
        if vcov is False or vcov is None:
            return None
        fit = self.model if vcov is True else self.model.with_covariance(vcov)
        with jax.enable_x64(True):
            cov = delta.covariance(fit, self.joint)
        return cov[np.ix_(self.used, self.used)]

    def get_exog(self, newdata):
        """(n, p) the design of a frame without aliased columns; where the fit has an offset, beside it the offset of
        each column of lin."""
        with jax.enable_x64(True):
            design, lin = prediction.design_and_lin(self.model, self._native(newdata), None, None)
        X = design.dense()
        beside = [lin - X @ delta.coefficients(self.model)] if self.model.has_offset else []
        return np.column_stack([X[:, self.model.kept], *beside])

    def get_predict(self, params, newdata):
        """A frame of rowid and estimate (and group, of classes) from what `get_exog` gave."""
        fit, p = self.model, int(self.model.kept.sum())
        size = p * (fit.model.width() or 1)
        coef = np.reshape(params[:size], (-1, p)).T
        found = newdata[:, :p] @ coef + newdata[:, p:] if fit.has_offset else newdata @ coef
        found = found if self._wide else found[:, 0]
        if self.kind == "mean":
            with jax.enable_x64(True):
                found = np.asarray(prediction.of_lin(self._at(params[size:]), found, "mean"))
        rows = np.arange(len(found), dtype=np.int32)
        if found.ndim == 1:
            return polars.DataFrame({"rowid": rows, "estimate": found})
        labels = fit._lin_names() if self.kind == "link" else [str(v) for v in fit.levels or range(found.shape[1])]
        return polars.DataFrame({"rowid": np.tile(rows, len(labels)), "group": np.repeat(labels, len(rows)),
                                 "estimate": found.T.ravel()})  # fmt: skip

    def _at(self, tail):
        """The fit with other values of the free parameters."""
        if not self.joint:
            return self.model
        nuisance, at = {}, 0
        for name, value in sorted(self.model.nuisance.items()):
            nuisance[name] = tail[at : at + np.size(value)].reshape(np.shape(value))
            at += np.size(value)
        return dataclasses.replace(self.model, nuisance=nuisance)

    def _native(self, newdata):
        """New rows as the fit takes them: a pandas frame with the levels themselves, or an array."""
        import pandas

        fit = self.model
        if fit.formula is None:
            return newdata.select(_columns(fit)).to_numpy().astype(float)
        columns = {}
        for name in newdata.columns:
            if name in self.levels:
                level = dict(zip(map(str, self.levels[name]), self.levels[name], strict=True))
                values = newdata[name].cast(polars.String).to_list()
                columns[name] = pandas.Series([level.get(v, v) for v in values], dtype=object)
            elif name in fit._frame:
                columns[name] = newdata[name].to_numpy()
        return pandas.DataFrame(columns)


def _refuse(fit):
    """ValueError where rows of a frame do not tell the mean."""
    fit._data("marginaleffects")
    if fit.formula is not None and fit._frame is None:
        raise ValueError("the rows of a stream stay on disk, and marginaleffects averages over rows in memory")
    own = fit.formula is not None and (fit.fixed or "offset(" in fit.formula.text)
    if fit.has_offset and not (own or {"offset", "exposure"} & set(fit.columns)):
        raise ValueError("the offset or exposure was given as an array, which no new rows bring; name a column of the "
                         "frame at the fit (jglm.glm)")  # fmt: skip


def _data_of(fit, levels):
    """(a Polars frame of the rows of the fit, [response, variables])."""
    import pandas

    if fit.formula is None:
        X = fit._prepared.X[:, 1:] if fit.intercept else fit._prepared.X
        names = _columns(fit)
        return polars.DataFrame({"y": np.arange(len(X))} | dict(zip(names, X.T, strict=True))), ["y", *names]
    columns = []
    for name in fit._frame.columns:
        if name in levels:
            shown = [str(v) for v in levels[name]]
            codes = pandas.Categorical(fit._frame[name], categories=levels[name]).codes
            columns.append(polars.Series(name, np.array(shown)[codes].tolist(), dtype=polars.Enum(shown)))
        else:
            values = fit._frame[name].to_numpy()
            columns.append(polars.Series(name, values.tolist() if values.dtype == object else values))
    response = sorted(set(fit.formula.variables) - set(fit.formula.right_variables)) or fit.formula.variables
    return polars.DataFrame(columns), [response[0], *fit.formula.varying()]


def _type(column):
    """What marginaleffects calls the type of a column."""
    if not column.dtype.is_numeric():
        return "boolean" if column.dtype == polars.Boolean else "character"
    if np.isin(column.to_numpy(), (0, 1)).all():
        return "binary"
    return "integer" if column.dtype.is_integer() else "numeric"


def _columns(fit):
    return fit.names[1:] if fit.intercept else list(fit.names)


def _quoted(name):
    return name if name.isidentifier() else f"`{name}`"


def _names(fit):
    if fit.params.ndim == 1:
        return list(fit.names)
    return [f"{name} @ {label}" for label in fit._lin_names() for name in fit.names]


def _names_of_nuisance(fit):
    return [name if np.size(v) == 1 else f"{name}[{i}]"
            for name, v in sorted(fit.nuisance.items()) for i in range(np.size(v))]  # fmt: skip
