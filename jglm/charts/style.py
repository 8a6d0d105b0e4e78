"""What all charts share: colours, a new Axes, names as plain text."""

import numpy as np

OBSERVED, FITTED, SECOND = "#1b3a57", "#d9622b", "#2a8c82"
QUIET, RULE = "#b9c3cc", "#555555"  # bars and bands in the background; lines to read against


def axes(ax=None, size=(7, 4.5)):
    """`ax`, or that of a new figure, which no window shows."""
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=size, dpi=130, layout="constrained").subplots()
    return ax


def count(ax):
    """Ticks of x at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def plain_ticks(axis):
    """Ticks of a logarithmic axis written as 0.001 or 1e-09: setting powers of ten takes matplotlib seconds."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.set_minor_formatter(NullFormatter())


def plain(name, most=28):
    """A name to be shown letter by letter (between dollars matplotlib reads a formula), in one line, a long one cut."""
    text = " ".join(str(name).split())
    text = text if len(text) <= most else text[: most - 1] + "…"
    return text.replace("$", r"\$")


def scattered(ax, x, y, groups=20):
    """Points with their mean in groups of about equal size along x."""
    ax.plot(x, y, "o", ms=3, color=OBSERVED, alpha=0.5, lw=0)
    order = np.argsort(x, kind="stable")
    parts = [part for part in np.array_split(order, min(groups, max(len(x) // 5, 1))) if len(part)]
    ax.plot([x[part].mean() for part in parts], [y[part].mean() for part in parts], color=FITTED, lw=1.5, label="mean")
