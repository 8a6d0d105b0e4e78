"""Stream: tables on disk that go wherever X or a data frame goes, read piece by piece in every pass."""

import hashlib
import json
import os

from jglm.inputs import checks
from jglm.reporting.tables import shown
from jglm.streams import sources

ROWS = 1 << 16  # of a block, at most


class Alone:
    """One process that has all rows: nothing to exchange. `sum` adds trees of arrays over processes, `gather` brings
    the objects of all of them, in order."""

    index, count = 0, 1

    def sum(self, tree):
        return tree

    def gather(self, value):
        return [value]


class Stream:
    """Rows on disk, of which one block at a time is in memory; `open_parquet`, `open_csv` and `open_arrow` make one.

    Attributes: columns (names), schema (Arrow's), files, known_rows (None for CSV), cache (a folder or None), rows of a
    block.
    """

    def __init__(self, source, columns=None, cache=None, rows=None, mine=None, together=None):
        self.source, self.schema, self.files = source, source.schema, source.files
        self.cache, self.together = None if cache is None else os.fspath(cache), together or Alone()
        self.columns = list(self.schema.names) if columns is None else list(columns)
        for name in self.columns:
            self.refuse_unknown(name)
        self.mine = list(range(len(source.pieces))) if mine is None else list(mine)
        counts = [piece.rows for piece in source.pieces]
        self.known_rows = None if None in counts else sum(counts)
        if self.known_rows == 0:
            raise ValueError(f"{self.files[0]} has no rows; a fit needs data")
        self.rows = rows or block_rows(counts)

    def refuse_unknown(self, name):
        """ValueError for a name that is no column."""
        known = self.schema.names
        if name not in known:
            shown = ", ".join(known[:20])
            raise ValueError(f"the stream has no column {name!r}{checks.nearest(name, known)} Columns: {shown}")
        if known.count(name) > 1:
            raise ValueError(f"the column {name!r} stands twice in {self.files[0]}; names must differ")

    def share(self, index, count, together=None):
        """The share of process `index` of `count`: every count-th piece. `together` exchanges sums and objects with the
        others, as `Alone` does for one."""
        mine = self.mine[index::count]
        return Stream(self.source, self.columns, self.cache, self.rows, mine, together)

    def fingerprint(self):
        """A text that changes with the files, their sizes and times, and the columns."""
        files = [(os.path.basename(f), *self.source.stamps[f]) for f in self.files]
        told = json.dumps([self.source.kind, files, self.columns, str(self.schema)])
        return hashlib.sha256(told.encode()).hexdigest()

    def _repr_html_(self):
        import pandas

        types = {name: str(self.schema.field(name).type) for name in self.columns}
        return shown(repr(self), pandas.DataFrame({"type": types}))

    def __repr__(self):
        rows = "" if self.known_rows is None else f", {self.known_rows:,} rows"
        files = "1 file" if len(self.files) == 1 else f"{len(self.files):,} files"
        return f"<Stream of {files} ({self.source.kind}){rows}, {len(self.columns)} columns>"


def block_rows(counts):
    """Rows of a block: ROWS, or fewer where all pieces are small; of pieces of one size hardly any are padding."""
    most = ROWS if None in counts else max(counts, default=ROWS)
    if most >= ROWS:
        return ROWS
    return max(16, -(-most // 16) * 16)


def open_parquet(path, columns=None, cache=None):
    """Parquet files as a stream, for data larger than memory: it goes wherever X or a data frame goes.

    Args:
        path: a file, a folder (read with all below it), a pattern such as "day=*.parquet", a list of them, or a pyarrow
            Dataset of Parquet files.
        columns: names of the columns to be had, None for all.
        cache: a folder for what was decoded, so that later passes read at the speed of the disk; it takes about as
            much room as the columns of the model in memory, and is used again by later fits to the same files.

    Returns a `Stream`. Raises FileNotFoundError where there is no such file, ValueError for one that is damaged or has
    other columns than the first.

    >>> import os, tempfile, jglm, numpy as np, pandas as pd
    >>> frame = pd.DataFrame({"x": np.arange(8.0), "y": [1, 1, 2, 4, 6, 9, 16, 25]})
    >>> folder = tempfile.TemporaryDirectory()
    >>> frame.to_parquet(os.path.join(folder.name, "visits.parquet"))
    >>> stream = jglm.open_parquet(folder.name)
    >>> stream
    <Stream of 1 file (parquet), 8 rows, 2 columns>
    >>> jglm.glm("y ~ x", stream, family="poisson").params.round(3)
    array([-0.195,  0.489])
    >>> folder.cleanup()
    """
    files = getattr(path, "files", None)
    if files is not None and not isinstance(path, (str, os.PathLike)):
        _refuse_format(path, "parquet")
        path = list(files)
    return Stream(sources.ParquetSource(sources.files_of(path, "parquet")), columns, cache)


def open_arrow(path, columns=None, cache=None):
    """Arrow IPC (Feather) files as a stream, as `open_parquet` does; uncompressed ones are read where they lie."""
    return Stream(sources.ArrowSource(sources.files_of(path, "arrow")), columns, cache)


def open_csv(path, columns=None, cache=None, types=None):
    """CSV files as a stream, as `open_parquet` does; with a `cache` they are parsed once.

    types: {column: Arrow type or its name, such as "float64"} where the first rows of the first file do not tell.
    """
    return Stream(sources.CsvSource(sources.files_of(path, "csv"), types), columns, cache)


def _refuse_format(dataset, kind):
    told = getattr(getattr(dataset, "format", None), "default_extname", None)
    if told is not None and told != kind:
        raise ValueError(f"the dataset is of {told} files; use open_arrow for Arrow and open_csv for CSV files")
