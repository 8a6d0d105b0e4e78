"""Charts of a fit, each drawn into a matplotlib Axes."""

import numpy as np

OBSERVED, FITTED = "#1b3a57", "#d9622b"


def calibration(fit, ax, groups=20):
    """Observed against fitted means in groups of rows of equal weight, ordered by the fitted mean; bars are two
    standard errors of the observed mean. Scalar families only."""
    if fit.params.ndim != 1:
        raise ValueError("calibration is drawn for families with a scalar mean")
    prepared = fit._data("the chart")
    w, y = prepared.weight, prepared.y
    mean = fit.predict()
    order = np.argsort(mean, kind="stable")
    group = np.minimum((np.cumsum(w[order]) / w.sum() * groups).astype(int), groups - 1)
    total = np.bincount(group, w[order], groups)
    on = total > 0
    average = lambda v: np.bincount(group, (w * v)[order], groups)[on] / total[on]
    fitted, observed = average(mean), average(y)
    spread = np.sqrt(np.maximum(average(y**2) - observed**2, 0) / np.bincount(group, minlength=groups)[on])
    ax.errorbar(
        fitted, observed, 2 * spread, fmt="o", ms=4, lw=1, color=OBSERVED, label="observed, ± 2 standard errors"
    )
    ends = [min(fitted.min(), observed.min()), max(fitted.max(), observed.max())]
    ax.plot(ends, ends, color=FITTED, lw=1.5, label="observed = fitted")
    ax.set(xlabel="fitted mean", ylabel="observed mean", title=f"Calibration in {int(on.sum())} groups of rows")
    ax.legend(frameon=False)
    return ax


def counts(fit, ax, most=None):
    """How many rows have each count, observed and as the model expects it. Families of counts with a density only."""
    prepared = fit._data("the chart")
    if fit.params.ndim != 1 or fit.family.support.step != 1.0 or not fit.family.has_density:
        raise ValueError("this chart is for families of counts")
    y = prepared.y
    most = int(np.quantile(y, 0.99)) if most is None else most
    k = np.arange(most + 1)
    lin = prepared.design.times(np.where(np.isnan(fit.params), 0.0, fit.params)) + prepared.offset
    expected = _expected(fit, lin, k)
    observed = np.bincount(np.minimum(y.astype(int), most + 1), minlength=most + 2)[: most + 1]
    ax.bar(k, observed, width=0.8, color=OBSERVED, alpha=0.75, label="observed")
    ax.plot(k, expected, color=FITTED, marker="o", ms=4, lw=1.5, label=f"expected under the {fit.family.name}")
    ax.set(xlabel="count", ylabel="rows", title="Distribution of the counts")
    ax.legend(frameon=False)
    return ax


def _expected(fit, lin, k):
    """Sum over rows of the probability of each count."""
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        family, link = fit.family, fit.link

        @jax.jit
        def total(lin):
            eta = jax.vmap(lambda v: link.eta(family, v))(lin)
            one = lambda y: jnp.sum(jnp.exp(family.log_prob(y, eta)))
            return jax.lax.map(one, jnp.asarray(k, float))

        return np.asarray(total(lin))


def draw_path(path, ax=None, labels=8):
    """Coefficients of a `CoefficientPath` over its strengths; the `labels` largest are named. Returns the Axes."""
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(7, 4.5), dpi=130, layout="constrained").subplots()
    first = int(path.intercept)
    lines = path.params.reshape(len(path.strengths), len(path.names), -1)[:, first:]
    order = np.argsort(-np.max(np.abs(lines), axis=(0, 2)), kind="stable")
    for rank, j in enumerate(order):
        for k in range(lines.shape[2]):
            if np.any(lines[:, j, k] != 0):
                named = rank < labels and k == 0
                color = f"C{rank % 10}" if rank < labels else "#b9c3cc"
                ax.plot(path.strengths, lines[:, j, k], color=color, lw=1.4 if rank < labels else 0.8,
                        zorder=3 if rank < labels else 2, label=path.names[first + j] if named else None)  # fmt: skip
    ax.axhline(0, color="#555555", lw=0.6)
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set(xlabel="strength", ylabel="coefficient", title=f"Path of {path.model.family.name}")
    ax.legend(frameon=False, fontsize=8, loc="best")
    return ax


def draw_cross_validation(cv, ax=None):
    """Held-out deviance of a `CrossValidation` over the strength, with one standard error. Returns the Axes."""
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(7, 4.5), dpi=130, layout="constrained").subplots()
    deviance, error, best = cv.deviance, cv.deviance_se, cv._best[0]
    for r, ratio in enumerate(cv.l1_ratios):
        color = OBSERVED if r == best else "#9fb0bf"
        ax.plot(
            cv.strengths[r], deviance[r], color=color, lw=1.5, label=f"l1_ratio {ratio:g}", zorder=3 if r == best else 2
        )
        if r == best:
            ax.fill_between(
                cv.strengths[r], deviance[r] - error[r], deviance[r] + error[r], color=color, alpha=0.15, lw=0
            )
    ax.axvline(cv.best_strength, color=FITTED, lw=1, label=f"least: {cv.best_strength:.3g}")
    ax.axvline(cv.one_se_strength, color=FITTED, lw=1, ls="--", label=f"one standard error: {cv.one_se_strength:.3g}")
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set(xlabel="strength", ylabel="held-out deviance per unit of weight", title="Cross-validation")
    ax.legend(frameon=False, fontsize=8)
    return ax


# --------------------------------------------------------------------------- diagnostics
def quantile_residuals(fit, ax, seed=0):
    """Quantile residuals (Dunn and Smyth 1996) against fitted values: a level band where the model is right. The curve
    is their mean in groups of rows. Families with a distribution of a scalar y."""
    r, lin = fit.residuals(kind="quantile", seed=seed), fit.predict(kind="link")
    on = np.isfinite(r)
    _scattered(ax, _first(lin)[on], r[on])
    ax.axhline(0, color="#555555", lw=0.8)
    ax.set(xlabel="linear predictor", ylabel="quantile residual", title="Quantile residuals")
    return ax


def quantile_quantile(fit, ax, seed=0):
    """Sorted quantile residuals against quantiles of the normal, with a band that holds 95% of each of them where the
    model is right."""
    from scipy.special import betaincinv, ndtri

    r = np.sort(fit.residuals(kind="quantile", seed=seed))
    r = r[np.isfinite(r)]
    rank = np.arange(1, len(r) + 1)
    normal = ndtri((rank - 0.375) / (len(r) + 0.25))
    low, high = (ndtri(betaincinv(rank, len(r) + 1 - rank, level)) for level in (0.025, 0.975))
    ax.fill_between(normal, low, high, color="#b9c3cc", alpha=0.5, lw=0, label="95% of each, if the model is right")
    ax.plot(normal, r, "o", ms=3, color=OBSERVED, label="quantile residuals")
    ax.plot(normal, normal, color=FITTED, lw=1.2)
    ax.set(xlabel="quantile of the normal", ylabel="quantile residual", title="Normal quantiles of the residuals")
    ax.legend(frameon=False)
    return ax


def influence(fit, ax, labels=5):
    """Standardized Pearson residuals against leverages, circles of the area of Cook's distance; the `labels` rows of
    the largest distance bear their number. Families with a scalar mean."""
    h, r, cook = fit.leverage(), fit.standardized_residuals("pearson"), fit.cooks_distance()
    on = np.isfinite(r) & np.isfinite(cook)
    size = 600 * cook / max(np.max(cook[on], initial=0.0), 1e-300)
    ax.scatter(h[on], r[on], s=4 + size[on], facecolor="none", edgecolor=OBSERVED, lw=0.8)
    for i in np.argsort(np.where(on, -cook, np.inf))[:labels]:
        ax.annotate(str(i), (h[i], r[i]), color=FITTED, fontsize=8, ha="center", va="center")
    ax.axhline(0, color="#555555", lw=0.6)
    ax.axvline(2 * h.sum() / max(on.sum(), 1), color="#555555", lw=0.6, ls="--")
    ax.set(xlabel="leverage (dashed: twice the mean)", ylabel="standardized Pearson residual",
           title="Influence: areas are Cook's distances")  # fmt: skip
    return ax


def partial_residuals(fit, ax, column):
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
    _scattered(ax, x[on], r[on])
    ends = np.array([x[on].min(), x[on].max()])
    ax.plot(ends, np.nan_to_num(fit.params[j]) * (ends - x.mean()), color="#555555", lw=1.2, label="the model")
    ax.set(xlabel=column, ylabel="partial residual", title=f"Partial residuals of {column}")
    ax.legend(frameon=False)
    return ax


def actual_expected(fit, ax, by, bins=10):
    """Actual by expected of groups of rows, as `fit.by_group(by, bins)` has them and their ratios;
    bars are the expected sums. Families with a scalar mean."""
    if fit.params.ndim != 1:
        raise ValueError("actual by expected is drawn for families with a scalar mean")
    table = fit.by_group(by, bins)
    place = np.arange(len(table))
    ax.bar(place, table["expected"], color="#b9c3cc", width=0.8, label="expected")
    ax.plot(place, table["actual"], "o", color=OBSERVED, ms=5, label="actual")
    for i, ratio in enumerate(table["ratio"]):
        ax.annotate(f"{ratio:.2f}", (i, max(table["expected"].iloc[i], table["actual"].iloc[i])), ha="center",
                    va="bottom", fontsize=8, color=FITTED)  # fmt: skip
    ax.set_xticks(place, [str(v) for v in table.index], rotation=30, ha="right")
    ax.set(xlabel=by if isinstance(by, str) else "group", ylabel="sum over rows", title="Actual and expected")
    ax.legend(frameon=False)
    return ax


def _first(lin):
    return lin if lin.ndim == 1 else lin[:, 0]


def _scattered(ax, x, y, groups=20):
    """Points with their mean in groups of about equal size along x."""
    ax.plot(x, y, "o", ms=3, color=OBSERVED, alpha=0.5, lw=0)
    order = np.argsort(x, kind="stable")
    parts = [part for part in np.array_split(order, min(groups, max(len(x) // 5, 1))) if len(part)]
    ax.plot([x[part].mean() for part in parts], [y[part].mean() for part in parts], color=FITTED, lw=1.5, label="mean")
