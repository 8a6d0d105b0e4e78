"""Charts of residuals. Those of quantile residuals take `data`, new rows, as `Fit.actual_expected` does, and draw at
most `most` rows, a sample of more."""

import jax
import numpy as np

from jglm.assessing.rows import seen_of
from jglm.charts.style import FITTED, OBSERVED, QUIET, RULE, axes, plain, scattered
from jglm.diagnostics import residuals

MOST = 5000


def quantile_residuals(fit, ax=None, seed=0, most=MOST, data=None, **new):
    """Quantile residuals (Dunn and Smyth 1996) against fitted values: a level band where the model is right. The curve
    is their mean in groups of rows. Families with a distribution of a scalar y."""
    lin, r = _sampled(fit, seed, most, data, new)
    ax = axes(ax)
    scattered(ax, lin if lin.ndim == 1 else lin[:, 0], r)
    ax.axhline(0, color=RULE, lw=0.8)
    ax.set(xlabel="linear predictor", ylabel="quantile residual", title="Quantile residuals")
    return ax


def quantile_quantile(fit, ax=None, seed=0, most=MOST, data=None, **new):
    """Sorted quantile residuals against quantiles of the normal, with a band that holds 95% of each of them where the
    model is right."""
    from scipy.special import betaincinv, ndtri

    r = np.sort(_sampled(fit, seed, most, data, new)[1])
    rank = np.arange(1, len(r) + 1)
    normal = ndtri((rank - 0.375) / (len(r) + 0.25))
    low, high = (ndtri(betaincinv(rank, len(r) + 1 - rank, level)) for level in (0.025, 0.975))
    ax = axes(ax)
    ax.fill_between(normal, low, high, color=QUIET, alpha=0.5, lw=0, label="95% of each, if the model is right")
    ax.plot(normal, r, "o", ms=3, color=OBSERVED, label="quantile residuals")
    ax.plot(normal, normal, color=FITTED, lw=1.2)
    ax.set(xlabel="quantile of the normal", ylabel="quantile residual", title="Normal quantiles of the residuals")
    ax.legend(frameon=False)
    return ax


def _sampled(fit, seed, most, data, new):
    """(lin, quantile residuals) of the rows of positive weight, or of `most` of them drawn with `seed`, in order."""
    seen = seen_of(fit, data, **new)
    rows = np.flatnonzero(seen.weight > 0)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    with jax.enable_x64(True):
        part = (seen.y[rows], np.asarray(seen.rows.eta)[rows], seen.size[rows], seen.weight[rows])
        r = residuals.quantile_residuals(fit, *part, seed)
    on = np.isfinite(r)
    return seen.lin[rows][on], r[on]


def influence(fit, ax=None, labels=5):
    """Standardized Pearson residuals against leverages, circles of the area of Cook's distance; the `labels` rows of
    the largest distance bear their number. Families with a scalar mean."""
    h, r, cook = fit.leverage(), fit.standardized_residuals("pearson"), fit.cooks_distance()
    on = np.isfinite(r) & np.isfinite(cook)
    size = 600 * cook / max(np.max(cook[on], initial=0.0), 1e-300)
    ax = axes(ax)
    ax.scatter(h[on], r[on], s=4 + size[on], facecolor="none", edgecolor=OBSERVED, lw=0.8)
    for i in np.argsort(np.where(on, -cook, np.inf))[:labels]:
        ax.annotate(str(i), (h[i], r[i]), color=FITTED, fontsize=8, ha="center", va="center")
    ax.axhline(0, color=RULE, lw=0.6)
    ax.axvline(2 * h.sum() / max(on.sum(), 1), color=RULE, lw=0.6, ls="--")
    ax.set(xlabel="leverage (dashed: twice the mean)", ylabel="standardized Pearson residual",
           title="Influence: areas are Cook's distances")  # fmt: skip
    return ax


def partial_residuals(fit, column, ax=None):
    """Partial residuals of a column of the design against it, with the line that the model draws and their mean in
    groups of rows: a bend says that the column's effect is not a line. Families with one linear predictor."""
    if fit.params.ndim != 1:
        raise ValueError("partial residuals are drawn for families with one linear predictor")
    if column not in fit.names:
        raise ValueError(f"the fit has no column {column!r}; its columns are {', '.join(fit.names)}")
    prepared = fit._data("the chart")
    j = fit.names.index(column)
    x = prepared.design.columns(np.arange(len(fit.names)) == j).dense()[:, 0]
    r, on = fit.partial_residuals(column)[column].to_numpy(), prepared.weight > 0
    ax = axes(ax)
    scattered(ax, x[on], r[on])
    ends = np.array([x[on].min(), x[on].max()])
    ax.plot(ends, np.nan_to_num(fit.params[j]) * (ends - x.mean()), color=RULE, lw=1.2, label="the model")
    ax.set(xlabel=plain(column), ylabel="partial residual", title=f"Partial residuals of {plain(column)}")
    ax.legend(frameon=False)
    return ax
