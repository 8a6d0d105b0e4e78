"""Which fold or cluster the rows of a stream are in: told by one of its columns, or drawn by where a row stands."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jglm.streams.streamed import over_blocks

FOLDS, CLUSTERS = 1000, 10_000_000  # at most
STEP, MIX = np.uint64(0x9E3779B97F4A7C15), (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Drawn:
    """Folds at random, each row on its own: the same for every reading of the same files."""

    count: int
    seed: int

    def of(self, piece, first, block):
        """(rows,): the folds of a block of a piece, before which it has `first` rows."""
        start = np.uint64(self.seed % 2**31 * 2**32 + piece)
        return (mixed(mixed(start) + np.arange(first, first + block.rows, dtype=np.uint64)) % self.count).astype(int)


@dataclass(frozen=True)
class Told:
    """Groups by the values of a column in their order: `place` says which of them a row has."""

    column: str
    count: int
    place: Any

    def of(self, piece, first, block):
        """(rows,): the groups of a block."""
        return self.place(block)


def folds_of(folds, seed, data, stream):
    """Folds of a `Streamed` whose layout reads the column `folds`, where that is a name."""
    return told_by(folds, data, stream, FOLDS) if isinstance(folds, str) else Drawn(folds, int(seed))


def told_by(column, data, stream, most):
    """The groups of a `Streamed` by a column that its layout reads; of numbers a pass tells the values. Raises
    ValueError for one value, and for more than `most`."""

    def few(values):
        if len(values) > most:
            raise ValueError(f"column {column!r} has more than {most} distinct values, which are too many groups")
        return values

    if column in data.layout.levels:
        count, place = len(few(data.layout.levels[column])), lambda block: data.layout.positions_of(block, column)
    else:
        distinct = lambda block: np.unique(block.numbers[column])
        values = few(over_blocks(stream, data.reader, distinct, lambda a, b: few(np.union1d(a, b))))
        count, place = len(values), lambda block: np.searchsorted(values, block.numbers[column])
    if count < 2:
        raise ValueError(f"column {column!r} has a single value, which makes no groups")
    return Told(column, count, place)


def mixed(z):
    """Whole numbers that look random, from ones that do not (Steele, Lea and Flood 2014, SplitMix64)."""
    with np.errstate(over="ignore"):
        z = z * STEP + STEP
        z = (z ^ (z >> np.uint64(30))) * MIX[0]
        z = (z ^ (z >> np.uint64(27))) * MIX[1]
        return z ^ (z >> np.uint64(31))
