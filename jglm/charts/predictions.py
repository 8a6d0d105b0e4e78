"""Charts of predictions beside what happened. Each takes `data`, new rows, as `Fit.actual_expected` does (y= and other
arrays beside it), and is for families with a scalar mean."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm.assessing import expected, ranking
from jglm.assessing.rows import assess
from jglm.charts.style import FITTED, OBSERVED, QUIET, RULE, SECOND, axes, count, plain, plain_ticks


def calibration(fit, ax=None, groups=20, data=None, **new):
    """Actual against fitted means in groups of rows of about equal exposure, ordered by the fitted mean; bars are the
    95% intervals of `Fit.lift`, and hold the diagonal where the variance of the model explains the distance."""
    return draw_calibration(ranking.lift(fit, data, groups, **new), ax)


def draw_calibration(table, ax=None):
    """The chart of a table of `Fit.lift`."""
    ax = axes(ax)
    fitted, actual = table["expected_mean"].to_numpy(), table["actual_mean"].to_numpy()
    ax.errorbar(fitted, actual, _reach(table), fmt="o", ms=4, lw=1, color=OBSERVED, label="actual, 95%")
    ends = [min(fitted.min(), actual.min()), max(fitted.max(), actual.max())]
    ax.plot(ends, ends, color=FITTED, lw=1.5, label="actual = fitted")
    ax.set(xlabel="fitted mean", ylabel="actual mean", title=f"Calibration in {len(table)} groups of rows")
    ax.legend(frameon=False)
    return ax


def actual_expected(fit, by, ax=None, data=None, bins=10, most=30, **new):
    """Actual and expected means by the groups of `Fit.actual_expected`, above bars of their exposure; of more than
    `most` groups those of the most exposure."""
    table = expected.actual_expected(fit, by, data, bins=bins, **new)
    return draw_actual_expected(table, by if isinstance(by, str) else "group", ax, most)


def draw_actual_expected(table, name, ax=None, most=30):
    """The chart of a table of `Fit.actual_expected` by a column of that name."""
    if len(table) > most:
        table = table.iloc[np.sort(np.argsort(-table["exposure"].to_numpy(), kind="stable")[:most])]
    ax, place = axes(ax), np.arange(len(table))
    bars = ax.twinx()
    bars.bar(place, table["exposure"], color=QUIET, alpha=0.6, width=0.8)
    bars.set_ylim(0, 3 * np.max(table["exposure"].to_numpy()))  # in the lower third, below the means
    bars.set_yticks([])
    ax.set_zorder(bars.get_zorder() + 1)
    ax.patch.set_visible(False)
    actual = table["actual_mean"].to_numpy()
    ax.errorbar(place, actual, _reach(table), fmt="o", ms=4, lw=1, color=OBSERVED, label="actual, 95%")
    ax.plot(place, table["expected_mean"], color=FITTED, marker="_", ms=9, lw=1.2, label="expected")
    labels = [_label(v) for v in table.index]
    crowded = len(table) > 6 or max(map(len, labels)) > 8
    ax.set_xticks(place, labels, rotation=90 if crowded else 0)
    ax.set(xlabel=plain(name), ylabel="mean", title=f"Actual and expected by {plain(name)}")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.15 * (high - low))  # room for the legend
    ax.legend(frameon=False, loc="upper right", ncols=2)
    return ax


def _label(value):
    """A group in a few letters: the ends of a bin, and other numbers that are not whole, to four digits."""
    ends = str(value).split(" to ") if isinstance(value, str) else [value]
    try:
        return " to ".join(f"{float(end):.4g}" if float(end) % 1 else str(end) for end in ends)
    except ValueError:
        return plain(value, 18)


def _reach(table):
    """(2, m) how far the interval of the actual mean reaches below and above it."""
    ends = table[["low", "high"]].to_numpy().T * table["expected_mean"].to_numpy()
    return np.abs(ends - table["actual_mean"].to_numpy())


def lift(fit, ax=None, groups=10, data=None, **new):
    """Actual and fitted means of groups in the order of the fitted mean, by the actual mean of all rows."""
    return draw_lift(ranking.lift(fit, data, groups, **new), ax)


def draw_lift(table, ax=None):
    """The chart of a table of `Fit.lift`."""
    ax, place = axes(ax), np.arange(1, len(table) + 1)
    ax.plot(place, table["lift"], "o", color=OBSERVED, ms=5, label="actual")
    ax.plot(place, table["fitted_lift"], color=FITTED, lw=1.5, label="fitted")
    ax.axhline(1.0, color=RULE, lw=0.6)
    ax.set(xlabel="group of equal exposure, by fitted mean", ylabel="mean, by that of all rows", title="Lift")
    count(ax)
    ax.legend(frameon=False)
    return ax


def double_lift(fit, other, ax=None, groups=10, data=None, labels=("first", "second"), **new):
    """Means of y, of the fit and of a second model (a fit, or means (n,)) in groups of rows in the order of the second
    mean by the first: the better one follows the actual means at both ends."""
    table = ranking.double_lift(fit, other, data, groups, **new)
    ax, place = axes(ax), np.arange(1, len(table) + 1)
    ax.plot(place, table["actual"], "o", color=OBSERVED, ms=5, label="actual")
    for name, color, label in (("first", FITTED, labels[0]), ("second", SECOND, labels[1])):
        ax.plot(place, table[name], color=color, lw=1.5, ls="-" if name == "first" else "--", label=plain(label))
    ax.set(xlabel="group of equal exposure, by second / first", ylabel="mean", title="Double lift")
    count(ax)
    ax.legend(frameon=False)
    return ax


def lorenz(fit, ax=None, data=None, **new):
    """The Lorenz curve of `Fit.lorenz` and its Gini index."""
    return draw_lorenz(ranking.lorenz(fit, data, **new), ax)


def draw_lorenz(found, ax=None):
    """The chart of a `Lorenz` curve."""
    ax = axes(ax, (5, 4.8))
    few = np.unique(np.searchsorted(found.exposure, np.linspace(0, 1, 201)).clip(max=len(found.exposure) - 1))
    ax.plot([0, 1], [0, 1], color=RULE, lw=0.8)
    ax.plot(found.exposure[few], found.actual[few], color=OBSERVED, lw=1.5)
    ax.fill_between(found.exposure[few], found.actual[few], found.exposure[few], color=QUIET, alpha=0.5, lw=0)
    ax.set(xlabel="share of the exposure, lowest predictions first", ylabel="share of the actual total",
           title=f"Lorenz curve: Gini index {found.gini:.3f}", aspect="equal")  # fmt: skip
    return ax


def counts(fit, ax=None, most=None, data=None, **new):
    """How many rows have each count up to `most` (else that of 99% of the rows, or 4), actual and as the model expects
    it. Families of counts with a density only."""
    if fit.params.ndim != 1 or fit.family.support.step != 1.0 or not fit.family.has_density:
        raise ValueError("the chart of counts is for families of counts whose density has a closed form; the family is "
                         f"{fit.family.name!r}")  # fmt: skip
    seen = assess(fit, data, **new).seen
    y, eta = seen.y[seen.weight > 0], seen.rows.eta[seen.weight > 0]
    most = int(max(np.quantile(y, 0.99), min(y.max(), 4))) if most is None else most
    k = np.arange(int(max(fit.family.support.low, 0)), most + 1)
    actual, model = np.array([np.sum(y == v) for v in k]), _expected_rows(fit, eta, k)
    ax = axes(ax)
    ax.bar(k, actual, width=0.8, color=OBSERVED, alpha=0.75, label="actual")
    ax.plot(k, model, color=FITTED, marker="o", ms=4, lw=1.5, label=f"expected under the {plain(fit.family.name)}")
    if model.max() > 1000 * model.min():
        ax.set_yscale("log")
        plain_ticks(ax.yaxis)
    ax.set(xlabel="count", ylabel="rows", title="Distribution of the counts")
    count(ax)
    ax.legend(frameon=False)
    return ax


def _expected_rows(fit, eta, k):
    """Sum over rows of the probability of each count."""
    with jax.enable_x64(True):
        return np.asarray(_probabilities(fit.family, jnp.asarray(eta), jnp.asarray(k, float)))


@jax.jit
def _probabilities(family, eta, k):
    return jax.lax.map(lambda y: jnp.sum(jnp.exp(family.log_prob(y, eta))), k)
