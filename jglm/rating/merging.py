"""Which levels of a factor are merged: those of little exposure, and those whose effects differ least.

Two groups i, j of levels with effects e and their covariance S are equal by the statistic

    (e_i - e_j)^2 / (S_ii + S_jj - 2 S_ij),

which is what twice the log-likelihood falls by, to second order. After a merge e and S are those under the restriction,
e - S c (c'e) / (c'S c) and S - S c c'S / (c'S c) with c'e = e_i - e_j, so that the statistics of a path add up to the
Wald statistic of all its restrictions. The path is that of the least statistic at each step (Maj-Kańska, Pokarowski and
Prochenka 2015, Electronic Journal of Statistics 9, 1749-1778, who order the merges of a level-by-level test).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Merging:
    """Groups of levels, their exposures, and (where a model tells) their effects with covariance."""

    groups: list
    exposure: np.ndarray
    ordered: bool
    effect: Any = None
    cov: Any = None

    def pairs(self):
        """(i, j) of the groups that may be merged."""
        size = len(self.groups)
        if self.ordered:
            return np.arange(size - 1), np.arange(1, size)
        return np.triu_indices(size, 1)

    def statistics(self, i, j):
        """The statistics of the equality of groups i and j; 0 where they differ by nothing."""
        gap, var = self.effect[i] - self.effect[j], self.cov[i, i] + self.cov[j, j] - 2 * self.cov[i, j]
        tiny = var <= 1e-14 * (self.cov[i, i] + self.cov[j, j])
        return np.where(tiny, 0.0, gap**2 / np.where(tiny, 1.0, var))

    def nearest(self):
        """(i, j, statistic) of the two groups that differ least."""
        i, j = self.pairs()
        found = self.statistics(i, j)
        k = int(np.argmin(found))
        return int(i[k]), int(j[k]), float(found[k])

    def merged(self, i, j):
        """The same with group j in group i."""
        keep = np.arange(len(self.groups)) != j
        groups = [list(g) for g in self.groups]
        groups[i] += groups[j]
        exposure = self.exposure.copy()
        exposure[i] += exposure[j]
        effect, cov = self.effect, self.cov
        if effect is not None:
            turn = cov[:, i] - cov[:, j]
            var = turn[i] - turn[j]
            if var > 0:
                effect, cov = effect - turn * (effect[i] - effect[j]) / var, cov - np.outer(turn, turn) / var
            effect, cov = effect[keep], cov[np.ix_(keep, keep)]
        return Merging([g for g, k in zip(groups, keep, strict=True) if k], exposure[keep], self.ordered, effect, cov)

    def without_rare(self, least):
        """Groups of less exposure than `least` together; of ordered levels each with the neighbour that it differs from
        less (without a model: of less exposure), the rarest first."""
        if not self.ordered:
            rare = np.flatnonzero(self.exposure < least)
            here = self
            for gone, j in enumerate(rare[1:]):
                here = here.merged(int(rare[0]), int(j) - gone)
            return here
        here = self
        while len(here.groups) > 1 and here.exposure.min() < least:
            k = int(np.argmin(here.exposure))
            beside = [j for j in (k - 1, k + 1) if 0 <= j < len(here.groups)]
            worth = here.exposure if here.effect is None else {j: float(here.statistics(k, j)) for j in beside}
            j = min(beside, key=lambda j, worth=worth: worth[j])
            here = here.merged(min(j, k), max(j, k))
        return here

    def path(self):
        """[(the two groups merged, their statistic, the `Merging` after it)] down to one group."""
        steps, here = [], self
        while len(here.groups) > 1:
            i, j, statistic = here.nearest()
            after = here.merged(i, j)
            steps.append(((here.groups[i], here.groups[j]), statistic, after))
            here = after
        return steps
