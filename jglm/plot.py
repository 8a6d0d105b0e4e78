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
