"""Tables of written numbers for documents: LaTeX (booktabs), Markdown and great_tables, names escaped; and data frames
as HTML."""

import abc
import html
import re
import textwrap
from dataclasses import dataclass, field

ROWS = 20  # of a data frame that a notebook shows
WIDE = 90  # characters of a line of a note in LaTeX
WRITTEN = re.compile(r"[\[(]?-?\d[-+\d.,e\s]*[\])*]*")  # numbers, in brackets or with stars
NUMBER = re.compile(r"(-?)(\d[\d.,]*\d|\d)(?:e([+-]\d+))?")
_LATEX = str.maketrans({c: "\\" + c for c in "&%$#_{}"} | {
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "\n": " ",
})  # fmt: skip
_MARKDOWN = str.maketrans({c: "\\" + c for c in r"\|*_`[]~#"} | {"\n": " "})


@dataclass(frozen=True)
class Sheet:
    """A table of text: a title, heads (the first is that of the rows' names), blocks [(title, rows)] of rows as long as
    the heads or shorter, and notes below."""

    title: str
    heads: list
    blocks: list
    notes: list = field(default_factory=list)

    def rows(self, block):
        """The rows of a block, filled up to the length of the heads."""
        return [[*map(str, row), *[""] * (len(self.heads) - len(row))] for row in block[1]]


class Tabulated(abc.ABC):
    """What prints as a table, as LaTeX, Markdown and a great_tables object; `_sheet()` says what is in it."""

    @abc.abstractmethod
    def _sheet(self) -> Sheet:
        """What is in it."""

    def to_latex(self, caption=None, label=None):
        """LaTeX for `\\usepackage{booktabs}`: a tabular, within a table environment where there is a caption or label.
        Names and notes are escaped; a caption is LaTeX of yours."""
        return latex(self._sheet(), caption, label)

    def to_markdown(self):
        """A pipe table as GitHub, Pandoc and Quarto read it, notes below."""
        return markdown(self._sheet())

    def to_gt(self):
        """A `great_tables.GT`, to be styled further or written as HTML or a picture."""
        return great_table(self._sheet())


# --------------------------------------------------------------------------- LaTeX
def latex(sheet, caption=None, label=None):
    """See `Tabulated.to_latex`."""
    width = len(sheet.heads)
    spanned = lambda text: rf"\multicolumn{{{width}}}{{l}}{{{text}}} \\"
    lines = [rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}", r"\toprule", _latex_row(sheet.heads)]
    for block in sheet.blocks:
        lines += [r"\midrule", *([spanned(rf"\textit{{{escaped(block[0])}}}")] if block[0] else [])]
        lines += [_latex_row(row) for row in sheet.rows(block)]
    notes = [line for note in sheet.notes for line in textwrap.wrap(note, WIDE)]
    lines += [r"\bottomrule", *(spanned(rf"\footnotesize {escaped(line)}") for line in notes), r"\end{tabular}"]
    if caption is None and label is None:
        return "\n".join(lines)
    head = [r"\begin{table}", r"\centering", *([rf"\caption{{{caption}}}"] if caption is not None else [])]
    return "\n".join([*head, *([rf"\label{{{label}}}"] if label is not None else []), *lines, r"\end{table}"])


def _latex_row(row):
    first, *cells = map(_latex_cell, row)
    # What follows \\ or a rule must not look like its argument.
    return " & ".join(["{" + first + "}" if first[:1] in ("[", "*") else first, *cells]) + r" \\"


def _latex_cell(text):
    """Numbers with their minus signs and powers of ten, other text escaped."""
    if WRITTEN.fullmatch(text) is None:
        return escaped(text)
    power = lambda found: rf"$\times 10^{{{int(found[3])}}}$" if found[3] else ""
    return NUMBER.sub(lambda found: ("$-$" if found[1] else "") + found[2] + power(found), text)


def escaped(text):
    """Text as LaTeX shows it."""
    return str(text).translate(_LATEX)


# --------------------------------------------------------------------------- Markdown
def markdown(sheet):
    """See `Tabulated.to_markdown`."""
    clean = lambda text: html.escape(str(text), quote=False).translate(_MARKDOWN)
    line = lambda row: "| " + " | ".join(map(clean, row)) + " |"
    lines = [line(sheet.heads), "|:---|" + "---:|" * (len(sheet.heads) - 1)]
    for block in sheet.blocks:
        filled = [""] * (len(sheet.heads) - 1)
        lines += ["| " + " | ".join([f"**{clean(block[0])}**", *filled]) + " |"] if block[0] else []
        lines += [line(row) for row in sheet.rows(block)]
    notes = [f"\n{clean(note)}" for note in sheet.notes]
    return "\n".join([*([f"**{clean(sheet.title)}**\n"] if sheet.title else []), *lines, *notes])


# --------------------------------------------------------------------------- great_tables
def great_table(sheet):
    """See `Tabulated.to_gt`."""
    import pandas
    from great_tables import GT

    names = [f"c{j}" for j in range(len(sheet.heads))]
    rows = [[title, *row] for block in sheet.blocks for title in [block[0]] for row in sheet.rows(block)]
    frame = pandas.DataFrame(rows, columns=["block", *names])
    titled = any(block[0] for block in sheet.blocks)
    table = GT(frame if titled else frame[names], rowname_col="c0", groupname_col="block" if titled else None)
    table = table.cols_label(dict(zip(names[1:], sheet.heads[1:], strict=True)))
    table = table.cols_align("right", columns=names[1:]).tab_stubhead(sheet.heads[0])
    table = table.tab_header(sheet.title) if sheet.title else table
    for note in sheet.notes:
        table = table.tab_source_note(note)
    return table


# --------------------------------------------------------------------------- data frames in notebooks
def shown(head, frame=None, total=None):
    """HTML of a line of text and the first rows of a pandas data frame, names escaped; total: of its rows, where the
    frame is not all."""
    parts = [f"<p>{html.escape(head)}</p>"] if head else []
    if frame is not None:
        parts.append(frame.head(ROWS).to_html(float_format=lambda v: f"{v:.5g}"))
        more = (len(frame) if total is None else total) - min(len(frame), ROWS)
        parts += [f"<p>… and {more:,} more rows</p>"] if more > 0 else []
    return "<div class='jglm-table'>" + "".join(parts) + "</div>"
