"""Charts of penalty paths and of cross-validation."""

import numpy as np

from jglm.charts.style import FITTED, OBSERVED, QUIET, RULE, axes, plain


def draw_path(path, ax=None, labels=8):
    """Coefficients of a `CoefficientPath` over its strengths; the `labels` largest are named. Returns the Axes."""
    ax = axes(ax)
    first = int(path.intercept)
    lines = path.params.reshape(len(path.strengths), len(path.names), -1)[:, first:]
    order = np.argsort(-np.max(np.abs(lines), axis=(0, 2)), kind="stable")
    for rank, j in enumerate(order):
        for k in range(lines.shape[2]):
            if np.any(lines[:, j, k] != 0):
                named = rank < labels and k == 0
                color = f"C{rank % 10}" if rank < labels else QUIET
                ax.plot(path.strengths, lines[:, j, k], color=color, lw=1.4 if rank < labels else 0.8,
                        zorder=3 if rank < labels else 2,
                        label=plain(path.names[first + j]) if named else None)  # fmt: skip
    ax.axhline(0, color=RULE, lw=0.6)
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set(xlabel="strength", ylabel="coefficient", title=f"Path of {path.model.family.name}")
    ax.legend(frameon=False, fontsize=8, loc="best")
    return ax


def draw_cross_validation(cv, ax=None):
    """Held-out deviance of a `CrossValidation` over the strength, with one standard error. Returns the Axes."""
    ax = axes(ax)
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
