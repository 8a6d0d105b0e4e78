"""Charts of the coefficients and of how they were found."""

import numpy as np

from jglm.charts.style import FITTED, OBSERVED, RULE, axes, count, plain, plain_ticks


def forest(fit, ax=None, level=0.95, most=60, ratios=None):
    """Coefficients with their intervals, without the intercept and those along which the likelihood has no maximum; of
    more than `most` those with the largest |t|.

    ratios: draw exp(coef) on a logarithmic axis, the factor by which the mean is multiplied; None: where the link is
    the logarithm. A fit without standard errors has its coefficients alone, the largest.
    """
    named, values, ends, size = _estimates(fit, level)
    on = np.isfinite(values) & np.array([name not in ("Intercept", *fit.separated) for name, _ in named], bool)
    if not on.any():
        raise ValueError("the fit has no coefficients with a maximum besides the intercept; there is nothing to draw")
    kept = np.sort(np.argsort(np.where(on, -size, np.inf), kind="stable")[: min(most, int(on.sum()))])
    ratios = fit.link.name == "log" if ratios is None else ratios
    shown = np.exp if ratios else lambda v: v
    ax, place = axes(ax, (7, 1 + 0.22 * len(kept))), np.arange(len(kept))
    if ends is not None:
        ax.hlines(place, shown(ends[kept, 0]), shown(ends[kept, 1]), color=OBSERVED, lw=1.3)
    ax.plot(shown(values[kept]), place, "o", color=OBSERVED, ms=4)
    ax.axvline(shown(0.0), color=FITTED, lw=1, zorder=0)
    ax.set_yticks(place, [plain(f"{name} ({own})" if own else name) for name, own in (named[i] for i in kept)])
    ax.set_ylim(len(kept) - 0.4, -0.6)
    title = "Relativities" if ratios else "Coefficients"
    title += "" if ends is None else f", {100 * level:g}% intervals"
    ax.set(xlabel="factor on the mean, per unit" if ratios else "coefficient", title=title)
    if ratios:
        _log_ticks(ax)
    return ax


def _estimates(fit, level):
    """([(name, class)], coefficients (m,), their intervals (m, 2) or None, what tells the most noteworthy (m,))."""
    columns = [""] if fit.params.ndim == 1 else fit._lin_names()
    named = [(name, own) for own in columns for name in fit.names]
    values = fit.params.T.ravel()
    try:
        ends = np.moveaxis(fit.conf_int(level), -1, 0).swapaxes(-1, -2).reshape(2, -1) if fit.params.ndim > 1 else (
            fit.conf_int(level).T
        )  # fmt: skip
        return named, values, ends.T, np.abs(np.nan_to_num(fit.tvalues.T.ravel()))
    except ValueError:  # a penalty with kinks, or no covariance asked for
        return named, values, None, np.abs(np.nan_to_num(values))


def _log_ticks(ax):
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    ax.set_xscale("log")
    low, high = ax.get_xlim()
    near = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10])
    ax.xaxis.set_major_locator(near if high / low < 3 else LogLocator(10, (1, 2, 5)))
    ax.xaxis.set_minor_locator(NullLocator())
    plain_ticks(ax.xaxis)


def convergence(fit, ax=None):
    """Pass by pass, the largest entry of the gradient and how far the objective lay above its last value."""
    history = np.asarray(fit.history, float).reshape(-1, 2)
    if not len(history):
        raise ValueError("the fit kept no history of its passes")
    ax, passes = axes(ax), np.arange(1, len(history) + 1)
    above, gradient = history[:, 0] - history[-1, 0], history[:, 1]
    for values, color, label in ((gradient, OBSERVED, "largest gradient"), (above, FITTED, "objective above its end")):
        on = np.isfinite(values) & (values > 0)
        ax.plot(passes[on], values[on], "o-", color=color, ms=4, lw=1.3, label=label)
    ax.set_yscale("log")
    plain_ticks(ax.yaxis)
    ax.set(xlabel="pass over the data", title="Convergence")
    count(ax)
    ax.axhline(1.0, color=RULE, lw=0)  # a range to show where only one pass has a positive value
    ax.legend(frameon=False)
    return ax
