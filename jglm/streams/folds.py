"""Which fold the rows of a stream are in: told by one of its columns, or drawn by where a row stands in the files."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jglm.streams.streamed import over_blocks

MOST = 1000  # folds
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
    """Folds by the values of a column in their order: `place` says which of them a row has."""

    column: str
    count: int
    place: Any

    def of(self, piece, first, block):
        """(rows,): the folds of a block."""
        return self.place(block)


def folds_of(folds, seed, data, stream):
    """Folds of a `Streamed` whose layout reads the column `folds`, where that is a name. Raises ValueError for a column
    that tells of none."""
    if not isinstance(folds, str):
        return Drawn(folds, int(seed))
    if folds in data.layout.levels:
        count, place = len(_few(folds, data.layout.levels[folds])), lambda block: data.layout.positions_of(block, folds)
    else:
        distinct = lambda block: np.unique(block.numbers[folds])
        values = over_blocks(stream, data.reader, distinct, lambda a, b: _few(folds, np.union1d(a, b)))
        count, place = len(_few(folds, values)), lambda block: np.searchsorted(values, block.numbers[folds])
    if count < 2:
        raise ValueError(f"column {folds!r} has a single value; there is nothing to hold out")
    return Told(folds, count, place)


def _few(name, values):
    """The values, which are to be folds."""
    if len(values) > MOST:
        raise ValueError(f"column {name!r} has more than {MOST} distinct values, which are too many folds")
    return values


def mixed(z):
    """Whole numbers that look random, from ones that do not (Steele, Lea and Flood 2014, SplitMix64)."""
    with np.errstate(over="ignore"):
        z = z * STEP + STEP
        z = (z ^ (z >> np.uint64(30))) * MIX[0]
        z = (z ^ (z >> np.uint64(27))) * MIX[1]
        return z ^ (z >> np.uint64(31))
