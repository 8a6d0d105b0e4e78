"""What tests of hypotheses return: one test, or a table of them; p-values adjusted for their number."""

import html
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jglm.inference import tails
from jglm.inputs import checks
from jglm.reporting.summary import Summary, Table, _table_text, number, p_value
from jglm.reporting.tables import Sheet, Tabulated

ADJUSTMENTS = ("holm", "hochberg", "hommel", "bonferroni", "BH", "fdr", "BY", "none")


@dataclass(repr=False)
class HypothesisTest:
    """A test of a hypothesis.

    Attributes:
        title, hypothesis: what was tested, in words; kind: the law of the statistic, "chi2", "F" or "z".
        statistic, df, df_resid, pvalue: numbers; df_resid is of F, else None.
        estimate, se: (q,) of what is restricted less its value under the hypothesis, where the test has them.
        notes: what limits it.
    """

    title: str
    hypothesis: str
    kind: str
    statistic: float
    df: float | None
    pvalue: float
    df_resid: float | None = None
    estimate: np.ndarray | None = None
    se: np.ndarray | None = None
    notes: list = field(default_factory=list)

    def _line(self):
        inside = {"chi2": f"chi2({self.df:g})" if self.df is not None else "chi2", "z": "z",
                  "F": f"F({self.df:g}, {self.df_resid:g})" if self.kind == "F" else ""}[self.kind]  # fmt: skip
        p = p_value(self.pvalue)
        return f"{inside} = {number(self.statistic)}, p {p if p[0] == '<' else '= ' + p}"

    def __repr__(self):
        return "\n".join([f"{self.title}: {self.hypothesis}", self._line(), *self.notes])

    def _repr_html_(self):
        lines = [f"<b>{html.escape(self.title)}</b>: {html.escape(self.hypothesis)}", html.escape(self._line())]
        return "<div class='jglm-test'>" + "<br>".join([*lines, *map(html.escape, self.notes)]) + "</div>"


@dataclass(repr=False)
class HypothesisTests(Tabulated):
    """Several tests side by side: `columns` {name: (m,)} of the `rows` (names); prints as a table, and is written by
    `to_latex`, `to_markdown` and `to_gt`.

    Attributes: title, rows, columns (as attributes too: `tests["p"]`), notes.
    """

    title: str
    rows: list
    columns: dict
    notes: list = field(default_factory=list)

    def __getitem__(self, column):
        return self.columns[column]

    @property
    def pvalues(self):
        return self.columns["p"]

    def table(self):
        """A pandas data frame."""
        import pandas

        return pandas.DataFrame(self.columns, index=pandas.Index(self.rows, name="term"))

    def _table(self):
        written = {name: [_cell(name, v) for v in values] for name, values in self.columns.items()}
        rows = [[str(r), *(written[c][i] for c in written)] for i, r in enumerate(self.rows)]
        return Table(self.title, ["", *written], rows)

    def _sheet(self):
        table = self._table()
        return Sheet(self.title, table.heads, [("", table.rows)], self.notes)

    def __repr__(self):
        return "\n".join([_table_text(self._table()), *self.notes])

    def _repr_html_(self):
        table = self._table()
        return Summary(self.title, "", [], [Table("", table.heads, table.rows)], self.notes)._repr_html_()


def _cell(name, value):
    if value is None or np.isnan(value):
        return ""
    if name.startswith("p"):
        return p_value(value)
    return f"{value:g}" if name.startswith("df") or name == "resid df" else number(value)


def outcome(title, hypothesis, wald, df, df_resid=None, **more):
    """The test by a statistic that is chi-square with df degrees of freedom, or df times F where df_resid is known."""
    if df_resid is None:
        p = float(tails.chi_square_tail(wald, df))
        return HypothesisTest(title, hypothesis, "chi2", float(wald), df, p, **more)
    p = tails.f_tail(wald / df, df, df_resid)
    return HypothesisTest(title, hypothesis, "F", float(wald / df), df, p, df_resid, **more)


def adjust_pvalues(pvalues, method="holm"):
    """p-values adjusted for how many there are, as R's p.adjust; NaN are left out and stay.

    method: "holm" (1979), "hochberg" (1988), "hommel" (1988) and "bonferroni" bound the probability of any false
    rejection; "BH" or "fdr" (Benjamini and Hochberg 1995) and "BY" (Benjamini and Yekutieli 2001) the share of false
    ones among the rejected; "none".

    >>> import jglm
    >>> jglm.adjust_pvalues([0.01, 0.02, 0.03, 0.5], "holm")
    array([0.04, 0.06, 0.06, 0.5 ])
    """
    checks.choice("method", method, ADJUSTMENTS)
    given: Any = checks.floats("pvalues", pvalues)
    if np.any((given < 0) | (given > 1)):
        raise ValueError("p-values must lie between 0 and 1")
    out = given.copy()
    on = ~np.isnan(given)
    if np.any(on):
        out[on] = _adjusted(given[on], method)
    return out


def _adjusted(p, method):
    n, order = len(p), np.argsort(p, kind="stable")
    rank, s = np.arange(1, n + 1), p[order]
    if method == "none":
        return p
    if method == "bonferroni":
        return np.minimum(1, n * p)
    if method == "hommel":
        found = _hommel(s)
    elif method == "holm":
        found = np.maximum.accumulate((n + 1 - rank) * s)
    else:
        factor = {"hochberg": n + 1 - rank, "BY": np.sum(1 / rank) * n / rank}.get(method, n / rank)
        found = np.minimum.accumulate((factor * s)[::-1])[::-1]
    out = np.empty(n)
    out[order] = np.minimum(1, found)
    return out


def _hommel(s):
    """Hommel (1988) for sorted p-values, as Wright (1992) computes it."""
    n, rank = len(s), np.arange(1, len(s) + 1)
    q = pa = np.full(n, np.min(n * s / rank))
    for m in range(n - 1, 1, -1):
        first, last = np.arange(n - m + 1), np.arange(n - m + 1, n)
        least = np.min(m * s[last] / np.arange(2, m + 1))
        q = np.empty(n)
        q[first] = np.minimum(m * s[first], least)
        q[last] = q[n - m]
        pa = np.maximum(pa, q)
    return np.maximum(pa, s)
