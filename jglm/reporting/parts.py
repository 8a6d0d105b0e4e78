"""The parts of a report: sections with their tables and charts, and the reasons why a part is left out."""

from dataclasses import dataclass, field

import numpy as np

from jglm.reporting import svg
from jglm.reporting.summary import number, p_value


@dataclass(frozen=True)
class Cell:
    """Text, and what it is sorted by where that is not the text."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Grid:
    """A table; `folded`: shown when its label is opened."""

    label: str
    heads: list
    rows: list
    caption: str = ""
    sortable: bool = False
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    svg: str
    title: str


@dataclass
class Section:
    """A part with a heading; `missing`: why some of it is not there."""

    id: str
    title: str
    lead: str = ""
    tables: list = field(default_factory=list)
    pictures: list = field(default_factory=list)
    missing: list = field(default_factory=list)

    def draw(self, chart, *args, size=svg.SIZE, **options):
        """Add the chart chart(*args, ax=…, **options), or the reason why there is none."""
        prefix = f"{self.id}-{len(self.pictures)}-"
        with self.unless_refused():
            self.pictures.append(Picture(*svg.draw(lambda ax: chart(*args, ax=ax, **options), prefix, size)))

    def unless_refused(self):
        """A context in which a ValueError becomes a reason."""
        return _Refused(self.missing)


class _Refused:
    """What a ValueError says of a part that cannot be goes to `reasons`, each once."""

    def __init__(self, reasons):
        self.reasons = reasons

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if not isinstance(error, ValueError):
            return False
        said = str(error).rstrip(".")
        said = f"{said[:1].upper()}{said[1:]}."
        if said not in self.reasons:
            self.reasons.append(said)
        return True


# --------------------------------------------------------------------------- cells
def decimals(v, digits=4):
    v = float(v)
    return Cell("" if np.isnan(v) else number(v, digits), v if np.isfinite(v) else None)


def probability(v):
    return Cell(p_value(float(v)), float(v)) if np.isfinite(v) else Cell("")


def count(v):
    return Cell(f"{v:,.0f}" if float(v).is_integer() else f"{v:,.1f}", float(v))
