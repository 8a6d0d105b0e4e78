"""Fits side by side: a table of their coefficients and statistics, as text, HTML and LaTeX."""

import html
from dataclasses import dataclass

import numpy as np

from jglm.inputs import checks
from jglm.reporting.summary import number
from jglm.reporting.tables import Sheet, Tabulated

STATISTICS = {
    "Observations": "nobs", "Coefficients": "rank", "Dispersion": "scale", "Deviance": "deviance",
    "Log-likelihood": "llf", "AIC": "aic", "BIC": "bic",
}  # fmt: skip
SHOWN = ("std_err", "interval")
STARS = "* p < 0.05, ** p < 0.01, *** p < 0.001"


@dataclass(repr=False)
class Comparison(Tabulated):
    """Fits side by side; prints as a table, shows as HTML in a notebook, and is written by `to_latex`, `to_markdown`
    and `to_gt`.

    Attributes:
        names: of the fits; rows: of the coefficients, by name, or (class, name) written "name @ class".
        params, bse, pvalues, low, high: (rows, fits), NaN where a fit does not have a coefficient (or no standard
            errors).
        statistics: {name: (fits,)}; about: [(name, [text of each fit])], such as family and link.
        stars: whether significance is marked. show: what stands below a coefficient, "std_err" or "interval".
    """

    names: list
    rows: list
    params: np.ndarray
    bse: np.ndarray
    pvalues: np.ndarray
    low: np.ndarray
    high: np.ndarray
    statistics: dict
    about: list
    stars: bool = False
    show: str = "std_err"

    def table(self):
        """A pandas data frame: coefficients and statistics in the rows, a column `(fit, "coef")` and `(fit, "std_err")`
        for each fit."""
        import pandas

        columns = {}
        for j, name in enumerate(self.names):
            of_fit = [v[j] for v in self.statistics.values()]
            columns[name, "coef"] = [*self.params[:, j], *of_fit]
            columns[name, "std_err"] = [*self.bse[:, j], *(np.nan for _ in of_fit)]
        return pandas.DataFrame(columns, index=pandas.Index([*self.rows, *self.statistics], name="name"))

    def _cells(self):
        """[(kind, head, cells)]: "coef", "se" or "fact" rows of text."""
        for i, row in enumerate(self.rows):
            yield "coef", row, [self._value(i, j) for j in range(len(self.names))]
            below = [self._below(i, j) for j in range(len(self.names))]
            if any(below):
                yield "se", "", below
        for head, texts in self.about:
            yield "fact", head, texts
        for head, values in self.statistics.items():
            whole = head in ("Observations", "Coefficients")
            yield "fact", head, [f"{v:,.0f}" if whole and v == round(v) else number(v, 2) for v in values]

    def _below(self, i, j):
        if not np.isfinite(self.bse[i, j]):
            return ""
        if self.show == "interval":
            return f"[{number(self.low[i, j])}, {number(self.high[i, j])}]"
        return f"({number(self.bse[i, j])})"

    def _value(self, i, j):
        if np.isnan(self.params[i, j]):
            return ""
        p = self.pvalues[i, j]
        stars = "***" if p < 0.001 else "**" if p < 0.01 else "*" if p < 0.05 else ""
        return number(self.params[i, j]) + (stars if self.stars else "")

    def __str__(self):
        body = [(head, cells) for _, head, cells in self._cells()]
        heads = ["", *self.names]
        widths = [max(len(str(r[j])) for r in [heads, *([h, *c] for h, c in body)]) for j in range(len(heads))]
        right = lambda r: [f"{c:>{w}}" for c, w in zip(r[1:], widths[1:], strict=True)]
        line = lambda r: "  ".join([f"{r[0]:<{widths[0]}}", *right(r)]).rstrip()
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        count = sum(kind != "fact" for kind, _, _ in self._cells())
        lines = [line([h, *c]) for h, c in body]
        notes = [STARS] if self.stars else []
        return "\n".join([line(heads), rule, *lines[:count], rule, *lines[count:], *notes])

    __repr__ = __str__

    def _repr_html_(self):
        style = "padding-left:1em;text-align:"
        cell = lambda text, tag="td", side="right": f"<{tag} style='{style}{side}'>{html.escape(text)}</{tag}>"
        head = "<tr>" + cell("", "th") + "".join(cell(n, "th") for n in self.names) + "</tr>"
        rows = [
            "<tr>" + cell(h, "th", "left") + "".join(cell(c) for c in cells) + "</tr>" for _, h, cells in self._cells()
        ]
        table = f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
        return f"<div class='jglm-comparison'>{table}</div>"

    def _sheet(self):
        parts = [(kind, [head, *cells]) for kind, head, cells in self._cells()]
        blocks = [("", [row for kind, row in parts if (kind == "fact") == facts]) for facts in (False, True)]
        return Sheet("", ["", *self.names], blocks, [STARS] if self.stars else [])


def compare(*fits, names=None, stars=False, show="std_err", level=0.95):
    """Fits side by side, with standard errors in brackets and statistics below.

    Args:
        fits: one or more fits. names: of them; None is (1), (2), …
        stars: mark p-values below 0.05, 0.01 and 0.001.
        show: below a coefficient, its standard error "std_err" or its "interval" at `level`.

    Returns a `Comparison`: prints as text, shows as HTML (names escaped); `to_latex()`, `to_markdown()`, `to_gt()`,
    `table()`.

    >>> import jglm
    >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0], [4.0, 0.0]], [1, 3, 2, 7, 9]
    >>> jglm.compare(*(jglm.fit([r[:i] for r in X], y, family="poisson") for i in (1, 2)), names=["small", "large"])
                       small     large
    ----------------------------------
    Intercept         0.2371    0.5216
                    (0.5529)  (0.6759)
    x1                0.5023    0.4470
                    (0.1754)  (0.1860)
    x2                         -0.2100
                              (0.3358)
    ----------------------------------
    Family           poisson   poisson
    Link                 log       log
    Observations           5         5
    Coefficients           2         3
    Dispersion          1.00      1.00
    Deviance            1.42      1.02
    Log-likelihood     -8.45     -8.25
    AIC                20.89     22.49
    BIC                20.11     21.32
    """
    if not fits:
        raise ValueError("compare takes one or more fits")
    for fit in fits:
        if not hasattr(fit, "_prepared"):
            raise TypeError(f"compare takes fits; one is a {type(fit).__name__}")
    names = [f"({i + 1})" for i in range(len(fits))] if names is None else [str(n) for n in names]
    if len(names) != len(fits):
        raise ValueError(f"{len(names)} names for {len(fits)} fits; give one for each")
    checks.choice("show", show, SHOWN)
    checks.level(level)
    found = [_of(fit, level) for fit in fits]
    rows = list(dict.fromkeys(row for values in found for row in values))
    cells = np.array([[values.get(row, (np.nan,) * 5) for values in found] for row in rows]).reshape(-1, len(fits), 5)
    about = [("Family", [f.family.name for f in fits]), ("Link", [f.link.name for f in fits])]
    if any(f.covariance != "model" for f in fits):
        about.append(("Standard errors", [f.covariance or "none" for f in fits]))
    if not all(f.converged for f in fits):
        about.append(("Converged", ["yes" if f.converged else "NO" for f in fits]))
    statistics = {head: np.array([_statistic(f, name) for f in fits]) for head, name in STATISTICS.items()}
    params, bse, pvalues, low, high = np.moveaxis(cells, -1, 0)
    return Comparison(names, rows, params, bse, pvalues, low, high, statistics, about, bool(stars), show)


def _statistic(fit, name):
    """A number of a fit, NaN where it needs data that are no longer there."""
    try:
        return float(getattr(fit, name))
    except ValueError:
        return float("nan")


def _of(fit, level):
    """{row: (coef, se, p, low, high)} of a fit; no standard errors where it has none."""
    try:
        parts = [fit.params, fit.bse, fit.pvalues, *np.moveaxis(fit.conf_int(level), -1, 0)]
    except ValueError:
        parts = [fit.params, *[np.full(fit.params.shape, np.nan)] * 4]
    if fit.params.ndim == 1:
        return dict(zip(fit.names, zip(*parts, strict=True), strict=True))
    return {
        f"{n} @ {c}": tuple(v[i, j] for v in parts)
        for j, c in enumerate(fit._lin_names())
        for i, n in enumerate(fit.names)
    }
