"""A fitted formula as a table that anyone can score with: for every term its levels and what each is worth.

The linear predictor of a row is the sum, over the lines of the table that it meets, of the line's coefficient times
its parts: 1 for a level that the row has, a power of a number. With the log link exp(coefficient) is a relativity.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from jglm.inputs import policies

OF_NUMBERS = ("function", "low", "high", "origin", "unit", "power")  # what their parts say, in the order of columns


@dataclass(repr=False)
class ScoringTable:
    """What the terms of a fit are worth, in lines.

    Attributes:
        lines: [{"term", "parts", "coefficient", "base"}]: `parts` are levels {"variable", "level"} or numbers
            {"variable", "function", "origin", "unit", "power", "low", "high"}, which are worth
            ((f(x) - origin) / unit)^power where low <= f(x) < high (without ends where they are left out); `base`
            says whether the line is of a reference level. The first line, without parts, is the constant.
        link, q: the mean is the link's inverse of the sum, or its power 1 / q where q is not None.
        facts: {"family", "formula", "observations", …}.
    """

    lines: list
    link: str
    q: float | None
    facts: dict

    @property
    def terms(self):
        """The names of the terms, of each of which a row meets a line."""
        return list(dict.fromkeys(line["term"] for line in self.lines))

    @property
    def has_relativities(self):
        return self.link == "log"

    def __repr__(self):
        return f"<ScoringTable of {len(self.terms)} terms, {len(self.lines):,} lines, link {self.link}>"

    def rows(self):
        """The lines, each a flat dictionary with the parts numbered: variable1, level1, …; None where there is none."""
        parts = max(len(line["parts"]) for line in self.lines)
        keys = {}
        for i, key in itertools.product(range(parts), ("variable", "level", *OF_NUMBERS)):
            if any(key in line["parts"][i] for line in self.lines if i < len(line["parts"])):
                keys[i, key] = f"{key}{i + 1}"
        return [self._row(line, keys) for line in self.lines]

    def _row(self, line, keys):
        own: dict[str, Any] = {"term": line["term"]}
        for (i, key), name in keys.items():
            own[name] = line["parts"][i].get(key) if i < len(line["parts"]) else None
        own |= {"base": line["base"], "coefficient": line["coefficient"]}
        return own | ({"relativity": float(np.exp(line["coefficient"]))} if self.has_relativities else {})

    def table(self):
        """The lines as a pandas data frame, a column for each thing that a part says."""
        import pandas

        return pandas.DataFrame(self.rows())

    def plain(self):
        """All of it as values that JSON holds."""
        q = {} if self.q is None else {"q": self.q}
        return {"format": "jglm-scoring-table", "version": 1, **self.facts, "link": self.link, **q, "terms": self.terms,
                "lines": self.lines}  # fmt: skip

    def linear_predictor(self, columns, n):
        """(n,) the sum over the lines that each of n rows meets, from {column: values}; LookupError for rows that meet
        no line of a term."""
        total, met = np.zeros(n), {term: np.zeros(n, bool) for term in self.terms}
        for line in self.lines:
            on, value = np.ones(n, bool), np.ones(n)
            for part in line["parts"]:
                here, share = share_of(part, columns[part["variable"]])
                on, value = on & here, value * share
            total += np.where(on, line["coefficient"] * value, 0.0)
            met[line["term"]] |= on
        for term, rows in met.items():
            if not rows.all():
                raise LookupError(f"row {int(np.argmin(rows))} meets no line of the term {term!r}")
        return total


def share_of(part, values):
    """((n,) whether rows meet a part of a line, (n,) what they make of it)."""
    if "level" in part:
        own = [policies.MISSING if v is None or v != v else v for v in np.asarray(values, object).tolist()]
        return np.array([v == part["level"] for v in own]), 1.0
    x = np.asarray(values, float)
    with np.errstate(all="ignore"):
        x = getattr(np, part["function"])(x) if part["function"] else x
        here = (x >= part.get("low", -np.inf)) & (x < part.get("high", np.inf))
        return here, np.where(here, ((x - part["origin"]) / part["unit"]) ** part["power"], 0.0)
