"""A fit at a glance: what its summary shows."""

import numpy as np

from jglm import penalties
from jglm.inference.sandwich import ROBUST
from jglm.reporting.summary import Summary, coefficient_table, number

TITLES = dict(bernoulli="Bernoulli", inverse_gaussian="inverse Gaussian", von_mises="von Mises")


def of(fit):
    """The `Summary` of a fit."""
    name = str(fit.family.name)
    shown = TITLES.get(name, name.replace("_", " "))
    shown += "".join(f", {k} = {v:.4g}" for k, v in fit.family_params.items() if np.ndim(v) == 0)
    count = f"{fit.nobs:,.0f}" if float(fit.nobs).is_integer() else number(fit.nobs)
    null = number(fit.null_deviance, 2) if fit._null is not None or fit._prepared is not None else "NA"
    llf, aic = _likelihood(fit)
    facts = [
        ("Family:", shown), ("Link:", fit.link.name), ("Observations:", count),
        ("Residual df:", f"{fit.df_resid:,.0f}"), ("Model df:", f"{fit.df_model:,.0f}"),
        ("Fit:", f"{fit.solver}, {fit.n_iter} passes, {'converged' if fit.converged else 'NOT converged'}"),
        ("Log-likelihood:", number(llf, 2)), ("Deviance:", number(fit.deviance, 2)), ("Null deviance:", null),
        ("Pearson chi2:", number(fit.pearson_chi2, 2)),
        ("Dispersion:", number(fit.scale)), ("AIC:", number(aic, 2)),
    ]  # fmt: skip
    formula = "" if fit.formula is None else fit.formula.text
    formula = formula if fit.precision is None else f"{formula}   precision: {fit.precision.text}"
    return Summary("Generalized linear model", formula, facts, [*_coefficients(fit), *parameters(fit)], _notes(fit))


def _likelihood(fit):
    """(log-likelihood, AIC), NaN of a family whose density is not known: of a vector without a closed form."""
    try:
        return fit.llf, fit.aic
    except ValueError:
        return np.nan, np.nan


def known(fit):
    """Whether there are standard errors to show."""
    stored = fit._robust if fit.covariance in ROBUST else fit._joint if fit._joins else fit._unscaled
    return fit.covariance is not None and not fit._wide and (stored is not None or fit._prepared is not None)


def _coefficients(fit):
    if not known(fit):
        columns = [fit.params] if fit.params.ndim == 1 else list(fit.params.T)
        titles = [""] if fit.params.ndim == 1 else fit._lin_names()
        return [coefficient_table(fit.names, c, None, None, None, None, "z", t)
                for c, t in zip(columns, titles, strict=True)]  # fmt: skip
    se, t, p, ci = fit.bse, fit.tvalues, fit.pvalues, fit.conf_int()
    if fit.params.ndim == 1:
        return [coefficient_table(fit.names, fit.params, se, t, p, ci, fit._letter)]
    of_column = lambda j: (fit.params[:, j], se[:, j], t[:, j], p[:, j], ci[:, j], fit._letter)
    kind = "class " if fit.levels else "column "
    return [coefficient_table(fit.names, *of_column(j), title=f"{kind}{name}")
            for j, name in enumerate(fit._lin_names())]  # fmt: skip


def parameters(fit):
    """Tables of the parameters that were estimated with the coefficients."""
    if not fit.free:
        return
    values = fit.family_params
    errors = fit.family_params_se if fit._joint is not None or fit._prepared is not None else {}
    for name, free in fit.free:
        value = np.atleast_1d(values[name])
        names = [f"{name} {i + 1}" for i in range(len(value))] if len(value) > 1 else [name]
        title = ""
        if free.regressed:
            title, names = f"log {name}", fit.precision_names or ["Intercept"]
        if not errors:
            yield coefficient_table(names, value, None, None, None, None, "z", title)
            continue
        se = np.atleast_1d(errors[name])
        z, p, ends = fit._wald(value, se)
        yield coefficient_table(names, value, se, z, p, ends, "z", title)


def _notes(fit):
    notes = []
    if fit.aliased:
        notes.append(f"Aliased (combinations of earlier columns): {', '.join(fit.aliased)}.")
    if fit._wide and fit.covariance is not None:
        notes.append("Standard errors of so many coefficients are computed when asked for: fit.bse.")
    if fit.n_dropped:
        notes.append(f"{fit.n_dropped:,} rows with missing values were dropped.")
    if fit.separated:
        notes.append(f"Separation along {', '.join(fit.separated[:8])}: their numbers mean nothing.")
    weak = _hauck_donner(fit)
    if weak:
        notes.append(f"Hauck-Donner effect for {', '.join(weak[:8])}: Wald statistics fall as the effect grows; use a "
                     "likelihood ratio test.")  # fmt: skip
    if not fit.converged:
        notes.append(f"Did not converge: {fit.status.message}.")
    if fit.model.penalty is not None:
        notes += _penalty_notes(fit)
    if fit.fixed:
        notes.append(f"Relativities of {', '.join(fit.fixed)} are held fixed.")
    if fit.shift:
        notes.append(f"Rebalanced: the intercept was shifted by {fit.shift:.4g}.")
    if fit.weight_kind == "frequency":
        notes.append("Weights are frequencies.")
    if fit.family.density == "none":
        notes.append("Quasi-likelihood: there is no distribution, so no likelihood.")
    if fit.family.T_ is not None:
        notes.append("The deviance is -2 log-likelihood.")
    if fit.weight_kind == "sampling":
        notes.append("Weights are sampling weights, brought to a mean of 1.")
    if fit.covariance in ROBUST:
        notes.append(_robust_note(fit))
    elif fit._joins:
        notes.append("Standard errors from the joint observed information of all parameters.")
    return notes


def _robust_note(fit):
    clusters = fit.sides.get("clusters")
    groups = f", {' and '.join(f'{c:,}' for c in clusters)} groups" if clusters else ""
    return f"Robust standard errors: {fit.covariance}{groups}."


def _hauck_donner(fit):
    """Names of the coefficients with the Hauck-Donner effect, where the fit has its data and they are few."""
    if fit._prepared is None or not known(fit) or not fit.converged or fit.separated or not fit._smooth:
        return []
    if hasattr(fit._prepared, "deferred"):  # a stream
        return []
    if len(fit._prepared.y) * fit.params.size > 1e6 or fit.family.name == "gaussian":
        return []
    found = np.atleast_2d(fit.hauck_donner().T).any(axis=0)
    return [name for name, weak in zip(fit.names, found, strict=True) if weak]


def _penalty_notes(fit):
    for part in penalties.parts_of(fit.model.penalty):
        kind = type(part).__name__
        named = {"Ridge": "Ridge", "Quadratic": "Quadratic", "GroupLasso": "Group lasso", "ElasticNet": "Elastic net"}
        if isinstance(part, penalties.OfInformation):
            yield ("Estimates of reduced bias (Firth), by adjusted scores." if kind == "Firth"
                   else "Likelihood penalized by Jeffreys' prior.")  # fmt: skip
            return
        if kind in ("Bounds", "Constraints"):
            yield f"Coefficients are {'bounded' if kind == 'Bounds' else 'constrained'}."
        elif kind in named and not np.any(part.strength):
            continue  # such as the ridge part of a standardized lasso
        elif kind in named:
            lasso = kind == "ElasticNet" and float(np.asarray(part.l1_ratio)) == 1
            yield f"{'Lasso' if lasso else named[kind]} penalty of strength {float(np.asarray(part.strength)):.4g}."
        else:
            yield f"Penalty {kind}."
    if fit._smooth:
        yield "Standard errors are those of the posterior."
    else:
        yield f"{fit.rank} of {fit.params.size} coefficients are not 0; such a penalty leaves no standard errors."
