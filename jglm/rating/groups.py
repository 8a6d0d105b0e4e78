"""Levels of a factor in groups: what became of which level, and the same for new data."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jglm.inference import means
from jglm.inputs import checks, frames
from jglm.inputs.policies import MISSING
from jglm.reporting.tables import shown


@dataclass(repr=False)
class LevelGroups:
    """Levels of a factor in groups, as `jglm.group_levels` found them.

    Attributes:
        column: the factor; groups: {name: [levels]}; exposure: {name: its total}.
        steps: a data frame of the merges of similar levels, in order: what was merged, the statistic of its test, p,
            and the running total of the statistics; "merged" says which were made.
        fit: the model refitted with the groups in place of the levels, None without a model.
        cost: what the groups cost, the deviance of that fit less that of the levels (of families with estimated
            parameters, twice the difference of log-likelihoods); df: the coefficients that they save.
    """

    column: str
    groups: dict
    exposure: dict
    steps: Any = None
    fit: Any = None
    cost: float | None = None
    df: int = 0

    @property
    def mapping(self):
        """{level: name of its group}."""
        return {level: name for name, levels in self.groups.items() for level in levels}

    def apply(self, data, unseen=None):
        """A pandas frame whose column has the groups in place of the levels, as a categorical column.

        unseen: the group that levels belong to which were not there; None: they raise ValueError. Missing values stay
        missing, or belong to the group of the level "(missing)", which a fit with missing="as_missing" has.
        """
        import pandas

        names, mapping = list(self.groups), self.mapping
        if unseen is not None:
            checks.choice("unseen", unseen, names)
        known = getattr(data, "column_names", getattr(data, "columns", data))
        frame = frames.to_pandas(data, [str(name) for name in known])
        checks.choice("the column of the groups", self.column, list(frame.columns))
        codes, levels = pandas.factorize(frame[self.column].astype(object))
        others = [v for v in levels if v not in mapping]
        if others and unseen is None:
            raise ValueError(f"column {self.column!r} has the level {others[0]!r}, which is in no group; give it one "
                             "by unseen=")  # fmt: skip
        missing = names.index(mapping[MISSING]) if MISSING in mapping else -1
        place = np.array([*(names.index(mapping.get(v, unseen)) for v in levels), missing])
        return frame.assign(**{self.column: pandas.Categorical.from_codes(place[codes], names)})

    def table(self):
        """A data frame by group: its levels, exposure and share, and with a model the relativity with its interval."""
        import pandas

        total = sum(self.exposure.values())
        columns: dict[str, Any] = {
            "levels": [", ".join(map(str, v)) for v in self.groups.values()],
            "exposure": [self.exposure[name] for name in self.groups],
            "share": [self.exposure[name] / total for name in self.groups],
        }
        index = pandas.Index(list(self.groups), name=self.column)
        if self.fit is not None and means.scale_of(self.fit) is not None:
            found = self.fit.relativities().table().loc[[f"{self.column}: {name}" for name in self.groups]]
            columns |= {found.columns[0]: found.iloc[:, 0].to_numpy(), "low": found.low.to_numpy(),
                        "high": found.high.to_numpy()}  # fmt: skip
        return pandas.DataFrame(columns, index=index)

    def _head(self):
        head = f"{self.column}: {len(self.mapping)} levels in {len(self.groups)} groups"
        cost = f", deviance {self.cost:+.2f} for {self.df} fewer coefficients" if self.cost is not None else ""
        return head + cost

    def __repr__(self):
        return f"{self._head()}\n{self.table().to_string(float_format=lambda v: f'{v:.4g}')}"

    def _repr_html_(self):
        return shown(self._head(), self.table())
