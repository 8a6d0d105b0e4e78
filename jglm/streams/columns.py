"""Arrow batches as NumPy columns: numbers in their own width, factors as the numbers of their levels.

A level has the number under which it was first met, in whatever piece; the order of levels is decided later, from all.
"""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from jglm.inputs.policies import MISSING, refuse_named_so
from jglm.streams.sources import family_of, told


@dataclass
class Block:
    """Some rows: `numbers` {column: (n,)} in their own width, `ids` {column: (n,)} the numbers of their levels."""

    rows: int
    numbers: dict
    ids: dict

    def part(self, rows):
        """Those rows: a slice or indices."""
        cut = lambda columns: {k: v[rows] for k, v in columns.items()}
        count = len(range(*rows.indices(self.rows))) if isinstance(rows, slice) else len(rows)
        return Block(count, cut(self.numbers), cut(self.ids))

    @property
    def nbytes(self):
        return sum(v.nbytes for v in [*self.numbers.values(), *self.ids.values()])


def joined(blocks):
    """Blocks one behind the other."""
    if len(blocks) == 1:
        return blocks[0]
    whole = lambda name: {k: np.concatenate([getattr(b, name)[k] for b in blocks]) for k in getattr(blocks[0], name)}
    return Block(sum(b.rows for b in blocks), whole("numbers"), whole("ids"))


class Levels:
    """The levels of one column by number; with `own_order` those of a dictionary in the order that it has.

    Once `closed`, a level that is not among them raises ValueError. With `filled` missing values are a level, the last
    one.
    """

    def __init__(self, name, own_order=False, values=(), filled=False):
        self.name, self.own_order, self.closed, self.filled = name, own_order, False, filled
        self.values = list(values)
        self.known = {v: i for i, v in enumerate(self.values)}
        self.orders: dict = {}  # {a dictionary as it stands in a file: the first piece that has it}
        self._lock = threading.Lock()

    @property
    def dtype(self):
        """The narrowest that holds all numbers."""
        return np.min_scalar_type(max(len(self.values) - 1, 0))

    def numbers(self, values, piece=0):
        """The numbers of some values, None of which stays -1."""
        with self._lock:
            if self.own_order and not self.closed:
                order = tuple(values)
                self.orders[order] = min(piece, self.orders.get(order, piece))
            for v in values:
                if v is not None and v not in self.known:
                    self._meet(v)
            found = [-1 if v is None else self.known[v] for v in values]
        return np.array(found, np.int64)

    def of_missing(self):
        """The number of the level that missing values are."""
        with self._lock:
            if MISSING not in self.known:
                self._meet(MISSING)
            return self.known[MISSING]

    def _meet(self, value):
        if self.closed:
            shown = ", ".join(map(repr, self.values[:6])) + (", …" if len(self.values) > 6 else "")
            raise LookupError(f"column {self.name!r} has the level {value!r}, which was not there at the fit "
                              f"(levels: {shown}); drop those rows or fit again with them")  # fmt: skip
        self.known[value] = len(self.values)
        self.values.append(value)

    def in_order(self, counts):
        """Numbers of the levels that have rows, in their order: the dictionary's own, else sorted."""
        used = [i for i in range(len(self.values)) if i < len(counts) and counts[i] > 0]
        if self.filled and MISSING in self.known:
            last = self.known[MISSING]
            return [*self._sorted([i for i in used if i != last]), *([last] if last in used else [])]
        return self._sorted(used)

    def _sorted(self, used):
        if self.own_order:
            ranked = sorted(self.orders, key=lambda order: self.orders[order])
            place = {v: i for i, v in enumerate(dict.fromkeys(v for order in ranked for v in order))}
            rank = [place.get(v, i) for i, v in enumerate(self.values)]
            return sorted(used, key=rank.__getitem__)
        return sorted(used, key=lambda i: (type(self.values[i]).__name__ if self._mixed else "", self.values[i]))

    @property
    def _mixed(self):
        return len({type(v) for v in self.values}) > 1

    def union(self, others):
        """Take in what other processes met: [(values, orders)], in the order of the processes."""
        for values, orders in others:
            self.numbers(list(values))
            for order, piece in orders.items():
                self.orders[order] = min(piece, self.orders.get(order, piece))


class Reader:
    """Pieces of a source as `Block`s of some columns.

    `numbers` and `factors` are names of columns; rows that miss a value in one of them are left out and counted where
    `drops`, else they raise ValueError; in factors whose `Levels` are `filled` they are a level. `clean` are the pieces
    known to miss none.
    """

    def __init__(self, source, numbers, factors, levels, drops=True):
        self.source, self.numbers, self.factors = source, tuple(numbers), tuple(factors)
        self.levels, self.drops, self.clean, self.dropped = levels, drops, set(), {}
        self.store: Any = None  # of what was decoded
        self.columns = tuple(dict.fromkeys((*self.numbers, *self.factors)))
        text = lambda name: family_of(source.schema.field(name).type) == "label"
        self.coded = [name for name in self.factors if text(name) and name not in self.numbers]

    def blocks(self, index, rows, going=lambda: None):
        """The rows of a piece, `rows` at a time; fewer in the last. From the `store`, where that has them."""
        if self.store is not None and self.store.complete:
            yield from self.store.blocks(index, going)
            return
        piece, waiting, count, missed = self.source.pieces[index], [], 0, 0
        for batch in self.source.batches(piece, self.columns, rows, self.coded):
            going()
            block, gone = self._block(batch, piece, index)
            missed += gone
            waiting, count = [*waiting, block], count + block.rows
            while count >= rows:
                whole = joined(waiting)
                yield whole if count == rows else whole.part(slice(0, rows))
                count -= rows
                waiting = [whole.part(slice(rows, rows + count))] if count else []
        if count:
            yield joined(waiting)
        self.dropped[index] = missed
        if not missed:
            self.clean.add(index)

    def _block(self, batch, piece, index):
        """(Block, rows left out) of a batch."""
        columns = {name: batch.column(name) for name in self.columns}
        if index not in self.clean:
            keep = whole_rows({k: v for k, v in columns.items() if not self._filled(k)})
            if keep is not None:
                if not self.drops:
                    self._refuse(columns, piece)
                columns = {name: column.take(keep) for name, column in columns.items()}
                rows = len(keep)
                numbers = {k: as_numbers(columns[k]) for k in self.numbers}
                return Block(rows, numbers, self._ids(columns, index)), batch.num_rows - rows
        numbers = {k: as_numbers(columns[k]) for k in self.numbers}
        return Block(batch.num_rows, numbers, self._ids(columns, index)), 0

    def _refuse(self, columns, piece):
        one = lambda k, column: not self._filled(k) and whole_rows({k: column}) is not None
        name = next(k for k, column in columns.items() if one(k, column))
        raise ValueError(f"column {name!r} has missing values in {told(piece)}; drop or fill them, or use jglm.glm "
                         "with missing='drop', which leaves such rows out")  # fmt: skip

    def _filled(self, name):
        return name in self.levels and self.levels[name].filled

    def _ids(self, columns, index):
        return {k: level_numbers(columns[k], self.levels[k], index) for k in self.factors}


def whole_rows(columns):
    """Indices of the rows that miss no value, as an Arrow array; None where all are whole."""
    import pyarrow as pa

    missing = None
    for column in columns.values():
        own = None
        if column.null_count:
            own = column.is_null(nan_is_null=pa.types.is_floating(column.type)).to_numpy(zero_copy_only=False)
        elif pa.types.is_floating(column.type):
            values = column.to_numpy(zero_copy_only=False)
            with np.errstate(all="ignore"):
                own = np.isnan(values) if not np.isfinite(np.add.reduce(values)) else None
        elif pa.types.is_dictionary(column.type) and column.dictionary.null_count:
            own = column.dictionary_decode().is_null().to_numpy(zero_copy_only=False)
        if own is not None and own.any():
            missing = own if missing is None else missing | own
    return None if missing is None else pa.array(np.flatnonzero(~missing))


def as_numbers(column):
    """An Arrow column without missing values as NumPy, in its own width and, where that can be, where it lies."""
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        return column.to_numpy(zero_copy_only=False)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return column.to_numpy(zero_copy_only=column.null_count == 0)


def level_numbers(column, levels, piece):
    """The numbers of the levels of an Arrow column, in which values are missing only where the levels are `filled`."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    indices, values = column.indices, column.dictionary.to_pylist()
    if levels.filled:
        refuse_named_so(levels.name, values)
        values = [None if v != v else v for v in values]
    table = levels.numbers(values, piece)
    if levels.filled and (indices.null_count or None in values):
        table = np.append(np.where(table < 0, levels.of_missing(), table), levels.of_missing())
        indices = indices.cast(pa.int64()).fill_null(len(values))
    codes = indices.to_numpy(zero_copy_only=False)
    narrow = np.min_scalar_type(max(int(table.max(initial=0)), len(table) - 1, 0))
    codes = codes.astype(narrow)
    if np.array_equal(table, np.arange(len(table))):
        return codes
    return table.astype(narrow).take(codes, mode="clip")
