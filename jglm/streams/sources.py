"""Tables on disk in pieces: which rows of which files are read at a time, and how they become Arrow batches.

A source opens nothing but its files' footers; every thread reads pieces of its own.
"""

import abc
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROWS = 1 << 20  # of a piece, where row groups are smaller
ENDINGS = {"parquet": (".parquet", ".pq"), "csv": (".csv", ".csv.gz"), "arrow": (".arrow", ".feather", ".ipc")}


@dataclass(frozen=True)
class Piece:
    """Some rows of one file: its row groups or record batches `parts` (None for the whole file), and how many rows
    there are (None where that is not known before reading)."""

    file: str
    parts: tuple | None
    rows: int | None


@dataclass
class Source(abc.ABC):
    """Files of one format: `pieces` in order, and the Arrow `schema` that all of them must have."""

    files: list
    pieces: list = field(default_factory=list)
    schema: Any = None

    kind = ""

    def batches(self, piece, columns, rows, coded):
        """Arrow record batches of at most `rows` rows; `coded` columns as dictionaries where the format has them.

        Raises ValueError where the file is damaged, was changed since it was opened, or holds other columns.
        """
        self._unchanged(piece.file)
        try:
            yield from self._batches(piece, list(columns), rows, list(coded))
        except (OSError, ValueError, KeyError, ArithmeticError) as error:  # Arrow's own are among these
            raise ValueError(f"{told(piece)} cannot be read: {first_line(error)}; the file is damaged or was cut "
                             "short, write it again") from error  # fmt: skip

    def __post_init__(self):
        self.stamps = {file: stamp(file) for file in self.files}

    def _unchanged(self, file):
        try:
            now = stamp(file)
        except OSError as error:
            raise ValueError(f"{file} cannot be read any more: {first_line(error)}") from error
        if now != self.stamps[file]:
            raise ValueError(f"{file} was changed while it was being read; open it again when it is whole")

    @abc.abstractmethod
    def _batches(self, piece, columns, rows, coded) -> Iterator:
        """The same, by the reader of the format."""

    def _agree(self, file, schema):
        """ValueError where a file's columns are not those of the first file."""
        if self.schema is None:
            self.schema = schema
            return
        for wanted in self.schema:
            at = schema.get_field_index(wanted.name)
            if at < 0:
                raise ValueError(f"{file} has no column {wanted.name!r}, which {self.files[0]} has")
            if family_of(schema.field(at).type) != family_of(wanted.type):
                raise ValueError(f"column {wanted.name!r} is {schema.field(at).type} in {file} and {wanted.type} in "
                                 f"{self.files[0]}; all files must have the same kind of values")  # fmt: skip


def told(piece):
    """A piece in words."""
    if piece.parts is None:
        return piece.file
    first, last = piece.parts[0], piece.parts[-1]
    return f"{piece.file} (row group {first}" + (f" to {last})" if last != first else ")")


def first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def stamp(file):
    """What changes with a file: its size and time."""
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns


def family_of(kind):
    """'number', 'label' or 'other' of an Arrow type."""
    import pyarrow.types as t

    if t.is_dictionary(kind):
        return "label"
    if t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind) or t.is_decimal(kind):
        return "number"
    return "label" if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind) else "other"


def files_of(path, kind):
    """The files that a path, a folder, a pattern or a list of paths names, in sorted order."""
    if isinstance(path, (list, tuple)):
        return [file for one in path for file in files_of(one, kind)]
    text = os.fspath(path)
    if os.path.isdir(text):
        hidden = lambda p: any(part.startswith((".", "_")) for part in p.relative_to(text).parts)
        found = sorted(p for p in Path(text).rglob("*") if p.name.endswith(ENDINGS[kind]) and not hidden(p))
    elif os.path.isfile(text):
        found = [text]
    else:
        found = sorted(glob.glob(text, recursive=True))
    if not found:
        raise FileNotFoundError(f"there is no {kind} file at {text!r}")
    return [str(p) for p in found]


def grouped(sizes):
    """Neighbours put together while they have at most ROWS rows: [(first, …)]."""
    found, rows = [], 0
    for i, size in enumerate(sizes):
        if found and rows + size <= ROWS:
            found[-1].append(i)
            rows += size
        else:
            found.append([i])
            rows = size
    return [tuple(group) for group in found]


class ParquetSource(Source):
    """Parquet files; a piece is a row group, or several small ones."""

    kind = "parquet"

    def __post_init__(self):
        import pyarrow.parquet as pq

        super().__post_init__()
        self.footers = {}
        for file in self.files:
            try:
                footer = pq.read_metadata(file)
            except (OSError, ValueError) as error:
                raise ValueError(f"{file} is no Parquet file, or was cut short: {first_line(error)}") from error
            self._agree(file, footer.schema.to_arrow_schema())
            sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
            self.pieces += [Piece(file, group, sum(sizes[i] for i in group)) for group in grouped(sizes)]
            self.footers[file] = footer

    def _batches(self, piece, columns, rows, coded):
        import pyarrow.parquet as pq

        with pq.ParquetFile(
            piece.file, metadata=self.footers[piece.file], read_dictionary=coded, memory_map=True,
            page_checksum_verification=True,
        ) as file:  # fmt: skip
            yield from file.iter_batches(rows, row_groups=list(piece.parts), columns=columns, use_threads=False)


class ArrowSource(Source):
    """Arrow IPC (Feather) files, read where they lie; a piece is a record batch, or several small ones."""

    kind = "arrow"

    def __post_init__(self):
        import pyarrow as pa

        super().__post_init__()
        for file in self.files:
            try:
                with pa.memory_map(file) as lies, pa.ipc.open_file(lies) as reader:
                    self._agree(file, reader.schema)
                    sizes = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
            except (OSError, ValueError) as error:
                raise ValueError(f"{file} is no Arrow IPC file, or was cut short: {first_line(error)}") from error
            self.pieces += [Piece(file, group, sum(sizes[i] for i in group)) for group in grouped(sizes)]

    def _batches(self, piece, columns, rows, coded):
        import pyarrow as pa

        with pa.memory_map(piece.file) as lies:
            reader = pa.ipc.open_file(lies)
            for i in piece.parts:
                batch = reader.get_batch(i).select(columns)
                for first in range(0, batch.num_rows, rows):
                    yield batch.slice(first, rows)


class CsvSource(Source):
    """CSV files, each a piece; the types are those of the first rows of the first file, or `types` {column: type}."""

    kind = "csv"

    def __init__(self, files, types=None):
        self.types = types or {}
        super().__init__(files)

    def __post_init__(self):
        super().__post_init__()
        for file in self.files:
            try:
                with self._open(file, None) as reader:
                    self._agree(file, reader.schema)
            except (OSError, ValueError, KeyError) as error:
                if "all files must" in str(error) or "which" in str(error):
                    raise
                raise ValueError(f"{file} cannot be read as CSV: {first_line(error)}") from error
            self.pieces.append(Piece(file, None, None))

    def _open(self, file, columns):
        import pyarrow.csv as csv

        types = dict(self.types)
        if self.schema is not None:
            types = {f.name: f.type for f in self.schema} | types
        convert = csv.ConvertOptions(column_types=types, strings_can_be_null=True, include_columns=columns or [])
        return csv.open_csv(
            file, read_options=csv.ReadOptions(use_threads=False, block_size=1 << 22), convert_options=convert
        )

    def _batches(self, piece, columns, rows, coded):
        with self._open(piece.file, columns) as reader:
            for batch in reader:
                for first in range(0, batch.num_rows, rows):
                    yield batch.slice(first, rows)
