"""Bootstrap draws: how often each row stands in a resample, the same for a seed however many are drawn at a time."""

import functools
from dataclasses import dataclass

import numpy as np

from jglm.inputs import checks, response

BLOCK = 16  # resamples of one random stream
KINDS = ("poisson", "bayesian", "multinomial")
SURE, SPLIT = 16, 255  # bits of a draw that tell the count where they can; the mark of those that cannot
_CDF = np.cumsum(np.exp(-1.0) / np.cumprod(np.append(1.0, np.arange(1.0, 25.0))))


def _table():
    """The Poisson(1) count of every 16 leading bits of a uniform number, SPLIT where they leave it open."""
    low = np.searchsorted(_CDF, np.arange(1 << SURE) / (1 << SURE), side="right")
    high = np.searchsorted(_CDF, np.arange(1, (1 << SURE) + 1) / (1 << SURE), side="left")
    return np.where(low == high, low, SPLIT).astype(np.uint8)


_COUNTS = _table()


@dataclass
class Draws:
    """Resamples of `units`, rows or clusters of rows.

    `size` (u,) is how many there are of each unit (rows of frequency weights stand for several), `codes` (n,) the unit
    of each row, -1 for rows that are not there, None where every row is a unit.
    """

    kind: str
    seed: int
    size: np.ndarray
    codes: np.ndarray | None

    def weights(self, resamples):
        """(b, n) factors of the weights of the rows in those resamples (indices); every BLOCK of them has a random
        stream of its own."""
        block, at = np.divmod(np.asarray(resamples), BLOCK)
        parts = [self._block(np.random.default_rng([self.seed, int(k)]))[at[block == k]] for k in np.unique(block)]
        order = np.argsort(np.argsort(block, kind="stable"), kind="stable")
        drawn = np.concatenate(parts)
        drawn = drawn if np.array_equal(order, np.arange(len(order))) else drawn[order]
        if self.codes is None:
            return drawn
        return np.where(self.codes >= 0, drawn[:, self.codes], 0)

    @functools.cached_property
    def _single(self):
        return bool(np.all((self.size == 1) | (self.size == 0)))

    @functools.cached_property
    def _absent(self):
        return np.flatnonzero(self.size == 0)

    def _block(self, rng):
        if self.kind != "poisson" or not self._single:
            return np.array([self._one(rng) for _ in range(BLOCK)])
        counts = _poisson(rng, BLOCK * len(self.size)).reshape(BLOCK, -1)
        counts[:, self._absent] = 0
        return counts

    def _one(self, rng):
        size, single = self.size, self._single
        if self.kind == "bayesian":
            drawn = rng.standard_exponential(len(size)) * size if single else rng.standard_gamma(size)
            drawn *= size.sum() / drawn.sum()
        elif self.kind == "poisson":
            drawn = rng.poisson(size)
        elif single:
            there = np.flatnonzero(size)
            drawn = np.bincount(there[rng.integers(0, len(there), len(there))], minlength=len(size))
        else:
            drawn = rng.multinomial(round(float(size.sum())), size / size.sum())
        return np.divide(drawn, size, out=np.zeros(len(size)), where=size > 0)


def _poisson(rng, n):
    """n Poisson(1) counts (uint8), exactly, ten times as fast as NumPy's: the leading bits of a uniform number nearly
    always tell the count, and where they do not the rest of it is drawn."""
    bits = rng.bit_generator.random_raw(-(-n // 4)).view(np.uint16)[:n]
    counts = np.take(_COUNTS, bits)
    open_ = np.flatnonzero(counts == SPLIT)
    uniform = (bits[open_] + rng.random(len(open_))) / (1 << SURE)
    counts[open_] = np.searchsorted(_CDF, uniform, side="right")
    return counts


def draws_of(prepared, kind, seed, clusters, frequency):
    """The Draws for the rows of a fit; `clusters` (n,) labels, whose rows are drawn together.

    Raises ValueError for an unknown kind and for labels that are missing or all the same.
    """
    checks.choice("kind", kind, KINDS)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed is {seed!r}; it must be a whole number >= 0")
    on = prepared.weight > 0
    if clusters is None:
        size = np.where(on, prepared.power if frequency else 1.0, 0.0)
        return Draws(kind, int(seed), size, None)
    labels, _ = response.distinct(clusters)
    if labels.shape != on.shape:
        raise ValueError(f"clusters has shape {labels.shape}; it must have a label for each of the {len(on)} rows")
    known, codes = np.unique(labels[on].astype(str) if labels.dtype == object else labels[on], return_inverse=True)
    if len(known) < 2:
        raise ValueError("clusters has a single label; there must be at least two to resample them")
    whole = np.full(len(on), -1)
    whole[on] = codes
    return Draws(kind, int(seed), np.ones(len(known)), whole)
