"""The summary of a fit as text and as HTML, laid out like R's and statsmodels'."""

import html
from dataclasses import dataclass

import numpy as np

from jglm.reporting.tables import Sheet, Tabulated


@dataclass(frozen=True)
class Table:
    """Column heads and rows of cells; the first column is text, the others numbers already written out."""

    title: str
    heads: list
    rows: list


class Summary(Tabulated):
    """What `fit.summary()` returns: prints as text, shows as a table in a notebook, and is written by `to_latex`,
    `to_markdown` and `to_gt`."""

    def __init__(self, title, formula, facts, tables, notes):
        self.title, self.formula, self.facts, self.tables, self.notes = title, formula, facts, tables, notes

    def __str__(self):
        parts = [self._facts_text(), *(_table_text(t) for t in self.tables)]
        width = max(len(line) for part in parts for line in part.splitlines())
        rule = "=" * width
        head = "\n".join(
            [self.title.center(width).rstrip(), *([_wrapped(self.formula, width)] if self.formula else [])]
        )
        body = f"\n{rule}\n".join(parts)
        notes = "\n".join(_wrapped(n, width) for n in self.notes)
        return "\n".join([head, rule, body, rule] + ([notes] if notes else []))

    __repr__ = __str__

    def _sheet(self):
        heads = max((t.heads for t in self.tables), key=len)
        blocks = [(_block_title(t, heads), t.rows) for t in self.tables]
        facts = [[k.rstrip(":"), v] for k, v in self.facts]
        title = f"{self.title}: {self.formula}" if self.formula else self.title
        return Sheet(title, heads, [*blocks, *([("", facts)] if facts else [])], self.notes)

    def _facts_text(self):
        half = (len(self.facts) + 1) // 2
        left, right = self.facts[:half], [*self.facts[half:], ("", "")]
        lines = []
        widths = [max(len(k) for k, _ in side) for side in (left, right)]
        values = [max(len(v) for _, v in side) for side in (left, right)]
        for (k1, v1), (k2, v2) in zip(left, right, strict=False):
            lines.append(f"{k1:<{widths[0]}}  {v1:>{values[0]}}    {k2:<{widths[1]}}  {v2:>{values[1]}}".rstrip())
        return "\n".join(lines)

    def _repr_html_(self):
        e = html.escape
        half = (len(self.facts) + 1) // 2
        pairs = [*zip(self.facts[:half], [*self.facts[half:], ("", "")], strict=False)]
        facts = "".join("<tr>" + "".join(_head(k) + _cell(v) for k, v in pair) + "</tr>" for pair in pairs)
        parts = [f"<h3>{e(self.title)}</h3>"]
        parts += [f"<p><code>{e(self.formula)}</code></p>"] if self.formula else []
        parts.append(f"<table>{facts}</table>")
        for t in self.tables:
            head = "".join(f"<th style='text-align:right'>{e(h)}</th>" for h in t.heads)
            rows = "".join("<tr>" + _head(r[0]) + "".join(map(_cell, r[1:])) + "</tr>" for r in t.rows)
            caption = f"<caption>{e(t.title)}</caption>" if t.title else ""
            parts.append(f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
        parts += [f"<p>{e(n)}</p>" for n in self.notes]
        return "<div class='jglm-summary'>" + "".join(parts) + "</div>"


def _block_title(table, heads):
    """The title of a table under the heads of another: where these are others, with its own statistic."""
    statistic = table.heads[3:4] if table.heads[3:4] not in ([], heads[3:4]) else []
    return f"{table.title} ({statistic[0]})".strip() if statistic else table.title


def _head(text):
    return f"<th style='text-align:left;padding-left:1em'>{html.escape(text)}</th>"


def _cell(text):
    return f"<td style='text-align:right;padding-left:1em'>{html.escape(text)}</td>"


def _wrapped(text, width):
    import textwrap

    return textwrap.fill(text, width, subsequent_indent="  ")


def _table_text(t):
    widths = [max(len(str(r[j])) for r in [t.heads, *t.rows]) for j in range(len(t.heads))]
    line = lambda r: "  ".join([f"{r[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(r[1:], widths[1:], strict=True))])
    lines = [line(t.heads).rstrip(), "-" * len(line(t.heads)), *(line(r) for r in t.rows)]
    return "\n".join(([t.title] if t.title else []) + lines)


def number(v, digits=4):
    """A number in few characters."""
    if v is None or np.isnan(v):
        return "NA"
    if v == 0 or 1e-3 <= abs(v) < 1e6:
        return f"{v:.{digits}f}" if abs(v) < 1e4 else f"{v:.1f}"
    return f"{v:.{digits - 1}e}"


def p_value(v):
    return "NA" if np.isnan(v) else "<0.001" if v < 0.0005 else f"{v:.3f}"


def coefficient_table(names, params, se, statistic, p, interval, letter, title=""):
    """Coefficients with standard errors, tests and 95% intervals; aliased ones say so."""
    heads = ["", "coef", "std err", letter, f"P>|{letter}|", "[0.025", "0.975]"]
    if se is None:
        return Table(title, heads[:2], [[n, number(b)] for n, b in zip(names, params, strict=True)])
    rows = []
    for i, name in enumerate(names):
        if np.isnan(params[i]):
            rows.append([name, "aliased", "", "", "", "", ""])
            continue
        stat = "NA" if np.isnan(statistic[i]) else f"{statistic[i]:.3f}"
        rows.append([name, number(params[i]), number(se[i]), stat, p_value(p[i]), number(interval[i, 0]),
                     number(interval[i, 1])])  # fmt: skip
    return Table(title, heads, rows)
