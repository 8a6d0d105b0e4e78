"""How data flow through one fit: a picture with the numbers of five rows."""

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import jglm
from pictures import COOL, INK, TEXT, WARM


def draw():
    """The figure: above, one row becomes a mean; below, all rows become a sum, and sums the coefficients."""
    X, y = np.arange(5.0)[:, None], [1, 2, 4, 5, 12]
    fit = jglm.fit(X, y, family=jglm.Family("poisson", a=jnp.exp))
    first, slope = fit.params
    lin = first + 3 * slope
    figure = Figure(figsize=(7.6, 4.2))
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, 100), ylim=(0, 57))
    ax.set_axis_off()

    ax.text(1, 54, "One row: from x to a prediction", weight="bold")
    steps = [
        ("x", "features", "1, 3"),
        ("Xθ", "linear predictor", f"{first:.2f} + 3 · {slope:.2f}"),
        ("η", "natural parameter", f"{lin:.2f}"),
        ("h = a′(η)", "the mean", f"{np.exp(lin):.2f}"),
        ("p(y)", "the distribution", "counts about it"),
    ]
    for i, (symbol, meaning, number) in enumerate(steps):
        _box(ax, 10 + 20 * i, 42, symbol, meaning, number, WARM if symbol[0] == "h" else INK)
    for i, by in enumerate(("θ", "link", "a′", "a")):
        _arrow(ax, (17.8 + 20 * i, 42), (22.2 + 20 * i, 42), TEXT)
        ax.text(20 + 20 * i, 44, by, ha="center", color=WARM if by[0] == "a" else COOL, fontsize=8.5)

    ax.text(1, 27, "All rows: one pass answers, a solver asks again", weight="bold")
    _box(ax, 14, 14, "rows", "X, y, weights, offset", "in memory, on disk,\non many devices", INK)
    _box(ax, 50, 14, "evaluate", "sums over rows", "loss, Xᵀ(h − y), XᵀWX", WARM)
    _box(ax, 86, 14, "solver", "Newton, L-BFGS, …", f"θ = {first:.2f}, {slope:.2f}\nafter {fit.n_iter} passes", INK)
    _arrow(ax, (24, 14), (40, 14), TEXT)
    _arrow(ax, (60, 15.5), (76, 15.5), TEXT)
    _arrow(ax, (76, 11.5), (60, 11.5), COOL)
    ax.text(32, 15.3, "block by block", ha="center", fontsize=8.5)
    ax.text(68, 16.8, "sums only", ha="center", fontsize=8.5)
    ax.text(68, 8.2, "next question at θ", ha="center", fontsize=8.5, color=COOL)
    ax.text(50, 2, "Only a(η) differs between linear, logistic, Poisson and all other families: a′ is the mean h, "
            "a″ fills W.", ha="center", fontsize=8.5)  # fmt: skip
    return figure


def _box(ax, x, y, symbol, meaning, number, color):
    wide = 15.6 if y > 30 else 20
    ax.add_patch(FancyBboxPatch((x - wide / 2, y - 7.5), wide, 15, boxstyle="round,rounding_size=1.5",
                                facecolor="none", edgecolor=color, lw=1.8))  # fmt: skip
    ax.text(x, y + 4.4, symbol, ha="center", va="center", fontsize=12, weight="bold", color=color)
    ax.text(x, y + 0.4, meaning, ha="center", va="center", fontsize=8.5)
    ax.text(x, y - 4.2, number, ha="center", va="center", fontsize=8.5, color=TEXT, linespacing=1.1)


def _arrow(ax, start, end, color):
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=color, lw=1.4,
                                 shrinkA=0, shrinkB=0))  # fmt: skip
