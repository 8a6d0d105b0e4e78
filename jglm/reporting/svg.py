"""Charts as SVG to stand in an HTML page: their colours are the page's, light or dark, their text is text."""

import io
import re
import warnings
from typing import Any

from jglm.charts import style

COLORS = {"#000000": "currentColor", style.OBSERVED: "var(--observed)", style.FITTED: "var(--fitted)",
          style.SECOND: "var(--second)", style.QUIET: "var(--quiet)", style.RULE: "var(--muted)"}  # fmt: skip
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "jglm", "font.size": 9, "axes.titlesize": 9.5, "axes.labelsize": 9,
    "legend.fontsize": 8.5, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "axes.spines.top": False,
    "axes.spines.right": False, "axes.linewidth": 0.7, "xtick.major.width": 0.7, "ytick.major.width": 0.7,
}  # fmt: skip
SIZE = (4.8, 3.3)  # inches of 72 units: about as wide as a phone, so that text is legible there


def draw(chart, prefix, size=SIZE):
    """(SVG as markup, title) of chart(ax); every id in it begins with `prefix`, so that several stand in one page."""
    import matplotlib
    from markupsafe import Markup
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # from the font of the layout; the browser has others
        figure = Figure(figsize=size, layout="constrained")
        ax = chart(figure.subplots())
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return Markup(_embedded(out.getvalue(), prefix)), ax.get_title().replace(r"\$", "$")


def _embedded(svg, prefix):
    """The svg element alone, without its size in points, in the page's colours and font, to a hundredth of a unit."""
    svg = re.sub(r"<(metadata|style)\b.*?</\1>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'^<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg class="chart" viewBox="\1" aria-hidden="true">', svg)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(r"<[^>]+>", lambda tag: _tag(tag[0], prefix, used), svg)
    return re.sub(r"<g([^>]*)>((?:<use [^>]+>|</use>|\s)+)</g>", _once, re.sub(r"\s*\n\s*", "\n", svg)).strip()


def _tag(tag, prefix, used):
    tag = re.sub(r"(\.\d\d)\d+", r"\1", tag)
    tag = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", tag)
    tag = re.sub(r'\bid="|href="#|url\(#', lambda m: m[0] + prefix, tag)
    tag = re.sub(r"font-family: [^;]*; ", "", tag)
    return re.sub(r"(fill|stroke): (#[0-9a-f]{6})", lambda m: f"{m[1]}: {COLORS.get(m[2], m[2])}", tag)


def _once(group):
    """Markers of one style have it from their group, not each for itself."""
    styles = set(re.findall(r' style="[^"]*"', group[2]))
    if len(styles) != 1:
        return group[0]
    (style,) = styles
    return f"<g{group[1]}{style}>{group[2].replace(style, '')}</g>"
