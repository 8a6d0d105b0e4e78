"""The first pass over a stream: levels and how often they occur, sums, checks, and a random sample of the rows."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jglm.streams.columns import Block, Levels, Reader, joined
from jglm.streams.sources import family_of
from jglm.streams.store import Store
from jglm.streams.threads import in_order

SAMPLE = 300_000  # rows, or a hundredth of all where that is more: three times as many save a pass
BYTES = 1 << 26  # of the sample, whose fit takes about ten times that
SEED = 0
CLASSES = 1000  # distinct numbers of a response of labels, at most


@dataclass
class Seen:
    """What a part of the rows shows: `rows` kept and `dropped`, `counts` {factor: rows of each level, by number},
    `distinct` values of a response of labels, and the `sample` with its random keys."""

    rows: int = 0
    dropped: int = 0
    counts: dict = field(default_factory=dict)
    distinct: Any = None
    sample: Any = None
    keys: Any = None

    def add(self, other, size):
        """Take in what other rows show; the sample keeps the `size` rows of the smallest keys."""
        self.rows, self.dropped = self.rows + other.rows, self.dropped + other.dropped
        for name, counts in other.counts.items():
            self.counts[name] = added(self.counts.get(name, np.zeros(0, np.int64)), counts)
        if other.distinct is not None:
            self.distinct = other.distinct if self.distinct is None else np.union1d(self.distinct, other.distinct)
        if other.sample is not None:
            both = other.sample if self.sample is None else joined([self.sample, other.sample])
            keys = other.keys if self.keys is None else np.append(self.keys, other.keys)
            self.sample, self.keys = lowest(both, keys, size)


def added(a, b):
    """a + b, of vectors that may differ in length."""
    long, short = (a, b) if len(a) >= len(b) else (b, a)
    total = long.copy()
    total[: len(short)] += short
    return total


def lowest(block, keys, size):
    """The rows of the `size` smallest keys, in their order."""
    if len(keys) <= size:
        return block, keys
    chosen = np.sort(np.argpartition(keys, size)[:size])
    return block.part(chosen), keys[chosen]


def reader_of(stream, layout):
    """A `Reader` of the columns that a layout takes, from the cache where that has them."""
    own = lambda name: str(stream.schema.field(name).type).startswith("dictionary")
    levels = {name: Levels(name, own(name), filled=name in layout.filled) for name in layout.factors}
    reader = Reader(stream.source, layout.numbers, layout.factors, levels, layout.drops)
    if stream.cache is not None:
        reader.store = Store(stream.cache, stream, layout.numbers, layout.factors, reader.drops, layout.filled)
        _remember(reader)
    return reader


def scan(stream, layout, bar=None):
    """(Reader, `Seen`) of all rows of all processes; with a cache what is decoded is kept there."""
    reader = reader_of(stream, layout)
    levels, store, size = reader.levels, reader.store, sample_size(stream, layout)
    total = stream.known_rows
    share = 1.0 if total is None else min(1.0, 1.2 * size / max(total, 1) + 1e-3)

    def look(index, going):
        seen, kept = Seen(), None if store is None or store.complete else store.writer(index)
        generator = np.random.default_rng([SEED, index])
        for block in reader.blocks(index, stream.rows, going):
            seen.add(_seen(block, layout, levels, generator, share), size)
            if kept is not None:
                kept.add(block)
        seen.dropped = reader.dropped[index]
        if kept is not None:
            kept.close()
        return seen

    if bar is not None:
        bar.begin("first pass")
    whole = Seen()
    for _, seen in zip(stream.mine, in_order(look, stream.mine), strict=True):
        whole.add(seen, size)
        if bar is not None:
            bar.advance(seen.rows + seen.dropped)
    if store is not None and not store.complete:
        store.finish(levels, reader.dropped)
    found = _together(stream, levels, whole, size)
    if store is not None:
        store.agree(levels)
    return reader, found


def _remember(reader):
    """What the cache knows of an earlier first pass."""
    store = reader.store
    if store.complete:
        reader.dropped = dict(store.dropped)
        for name, values in store.levels.items():
            known = reader.levels[name]
            known.__dict__.update(vars(Levels(name, known.own_order, values, known.filled)), orders=store.orders[name])


def _seen(block, layout, levels, generator, share):
    seen = Seen(block.rows)
    seen.sample, seen.keys = block, generator.random(block.rows, np.float32)
    if share < 1:  # copies: nothing is to refer to memory that is read into again
        chosen = np.flatnonzero(seen.keys < share)
        seen.sample, seen.keys = block.part(chosen), seen.keys[chosen]
    for name in layout.factors:
        seen.counts[name] = np.bincount(block.ids[name], minlength=len(levels[name].values))
    if layout.labels and layout.y in block.numbers:
        y = block.numbers[layout.y]
        two = np.all((y == 0) | (y == 1))
        seen.distinct = np.flatnonzero([np.any(y == 0), np.any(y == 1)]) if two else np.unique(y)
        if len(seen.distinct) > CLASSES:
            raise ValueError(f"y has more than {CLASSES} distinct values; family {layout.family.name!r} takes labels")
    return seen


def _together(stream, levels, whole, size):
    """What all processes saw, with one numbering of the levels."""
    together = stream.together
    if together.count > 1:
        own = {name: (tuple(known.values), known.orders) for name, known in levels.items()}
        told = together.gather((own, whole))
        agreed = {name: Levels(name, known.own_order, filled=known.filled) for name, known in levels.items()}
        for name, known in agreed.items():
            known.union([theirs[name] for theirs, _ in told])
        whole = Seen()
        for theirs, seen in told:
            table = {name: agreed[name].numbers(list(theirs[name][0])) for name in agreed}
            whole.add(_renumbered(seen, table), size)
        for name, known in levels.items():
            known.__dict__.update(vars(agreed[name]))
    if whole.rows == 0:
        raise ValueError("the stream has no rows without missing values in the columns of the model; a fit needs data")
    for known in levels.values():
        known.closed = True
    return whole


def _renumbered(seen, table):
    counts = {}
    for name, own in seen.counts.items():
        counts[name] = np.zeros(int(table[name].max(initial=-1)) + 1, np.int64)
        counts[name][table[name][: len(own)]] = own
    ids = {name: table[name][codes] for name, codes in seen.sample.ids.items()} if seen.sample is not None else {}
    sample = None if seen.sample is None else Block(seen.sample.rows, seen.sample.numbers, ids)
    return Seen(seen.rows, seen.dropped, counts, seen.distinct, sample, seen.keys)


def sample_size(stream, layout):
    """How many rows the sample has: as many as stay small in memory."""
    width = sum(8 if family_of(stream.schema.field(n).type) == "number" else 2 for n in layout.numbers + layout.factors)
    return int(min(max(SAMPLE, (stream.known_rows or 0) // 100), BYTES // max(width, 1)))
