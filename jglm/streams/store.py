"""What was decoded, kept in a folder: every block a record batch of uncompressed Arrow IPC, read where it lies.

Numbers keep their own width, factors are the numbers of their levels in as few bytes as hold them. A file appears under
its name when it is whole, and the index when all are; what does not fit its index is written again.
"""

import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np

from jglm.inputs.plain import decode, encode
from jglm.streams.columns import Block
from jglm.streams.sources import first_line

VERSION = 2


class Store:
    """The decoded blocks of a stream's columns in a folder of its own below `folder`.

    `complete` says whether all pieces are there; then `blocks` reads them, and `levels` {column: values by number},
    `orders` and `dropped` {piece: rows left out} are known.
    """

    def __init__(self, folder, stream, numbers, factors, drops, filled):
        told = [VERSION, stream.fingerprint(), stream.rows, list(numbers), list(factors), drops, list(filled)]
        key = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:20]
        self.folder, self.numbers, self.factors = Path(folder) / f"decoded-{key}", list(numbers), list(factors)
        self.pieces, self.dropped, self.levels, self.orders = {}, {}, {}, {}
        self.tables: dict = {}
        self.wanted = list(stream.mine)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(error.errno, f"the cache folder cannot be made: {first_line(error)}") from error
        self.complete = self._read_index()

    def _read_index(self):
        try:
            told = json.loads((self.folder / "index.json").read_text())
            pieces = {int(k): v for k, v in told["pieces"].items()}
            self.levels = {k: decode(v) for k, v in told["levels"].items()}
            self.orders = {k: {tuple(o): i for o, i in decode(v)} for k, v in told["orders"].items()}
            self.dropped = {int(k): v for k, v in told["dropped"].items()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return False
        whole = all(self._size(i) == pieces.get(i) for i in self.wanted)
        self.pieces = pieces
        return whole

    def _size(self, index):
        path = self.path(index)
        return path.stat().st_size if path.exists() else None

    def path(self, index):
        return self.folder / f"piece-{index:06d}.arrow"

    def writer(self, index):
        """What takes the blocks of a piece."""
        return Writer(self, index)

    def finish(self, levels, dropped):
        """Write the index: from now on the blocks are read from here."""
        self.levels = {name: list(known.values) for name, known in levels.items()}
        told = dict(
            pieces={i: self._size(i) for i in self.wanted}, dropped=dropped,
            levels={name: encode(values) for name, values in self.levels.items()},
            orders={name: encode([[list(o), i] for o, i in known.orders.items()]) for name, known in levels.items()},
        )  # fmt: skip
        temporary = self.folder / "index.json.part"
        with refusing(self.folder):
            temporary.write_text(json.dumps(told))
            os.replace(temporary, self.folder / "index.json")
        self.complete = True

    def agree(self, levels):
        """Translate to the numbers that all processes agreed upon, where they are others."""
        for name, values in self.levels.items():
            table = levels[name].numbers(values)
            if not np.array_equal(table, np.arange(len(table))):
                self.tables[name] = table.astype(levels[name].dtype)

    def blocks(self, index, going):
        """The blocks of a piece."""
        import pyarrow as pa

        path = self.path(index)
        try:
            with pa.memory_map(str(path)) as lies:
                reader = pa.ipc.open_file(lies)
                for i in range(reader.num_record_batches):
                    going()
                    batch = reader.get_batch(i)
                    columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names}
                    ids = {k: self._translated(k, columns["id:" + k]) for k in self.factors}
                    yield Block(batch.num_rows, {k: columns["number:" + k] for k in self.numbers}, ids)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{path} cannot be read: {first_line(error)}; delete the cache folder {self.folder}, it "
                             "is made again") from error  # fmt: skip

    def _translated(self, name, ids):
        return self.tables[name].take(ids) if name in self.tables else ids


class Writer:
    """The file of one piece while it is written; it has its name once it is closed."""

    def __init__(self, store, index):
        self.store, self.path, self.file, self.schema = store, store.path(index), None, None
        self.temporary = self.path.with_suffix(".part")

    def add(self, block):
        """Write a block."""
        arrays = {"number:" + k: v for k, v in block.numbers.items()} | {"id:" + k: v for k, v in block.ids.items()}
        with refusing(self.store.folder, self.abandon):
            if self.file is None:
                self._open(arrays)
            elif any(v.dtype.itemsize > self.types[k].itemsize for k, v in arrays.items()):
                self._widen(arrays)
            self._write(arrays)

    def _open(self, arrays):
        import pyarrow as pa

        self.types = {k: v.dtype for k, v in arrays.items()}
        self.schema = pa.schema([(k, pa.from_numpy_dtype(t)) for k, t in self.types.items()])
        self.file = pa.ipc.new_file(str(self.temporary), self.schema)

    def _write(self, arrays):
        import pyarrow as pa

        columns = [pa.array(v.astype(self.types[k], copy=False)) for k, v in arrays.items()]
        self.file.write_batch(pa.RecordBatch.from_arrays(columns, schema=self.schema))

    def _widen(self, arrays):
        """Begin again with room for more levels."""
        import pyarrow as pa

        self.file.close()
        with pa.OSFile(str(self.temporary)) as lies:
            before = pa.ipc.open_file(lies).read_all().to_batches()
        written = [{k: b.column(k).to_numpy(zero_copy_only=False) for k in self.types} for b in before]
        wider = lambda k, v: v.dtype if v.dtype.itemsize > self.types[k].itemsize else self.types[k]
        self._open({k: np.empty(0, wider(k, v)) for k, v in arrays.items()})
        for block in written:
            self._write(block)

    def close(self):
        """Give the file its name."""
        with refusing(self.store.folder, self.abandon):
            if self.file is None:  # no row of the piece was whole
                names = ["number:" + k for k in self.store.numbers] + ["id:" + k for k in self.store.factors]
                self._open({name: np.empty(0, np.uint8) for name in names})
            self.file.close()
            os.replace(self.temporary, self.path)

    def abandon(self):
        """Leave nothing behind."""
        try:
            if self.file is not None:
                self.file.close()
        except OSError:
            pass
        self.temporary.unlink(missing_ok=True)


class refusing:
    """A context in which an error of writing becomes one that says what to do."""

    def __init__(self, folder, cleanup=lambda: None):
        self.folder, self.cleanup = folder, cleanup

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, OSError):
            self.cleanup()
            full = error.errno == errno.ENOSPC or "No space left" in str(error)
            why = "the disk is full" if full else first_line(error)
            raise OSError(error.errno or 0, f"the cache in {self.folder} cannot be written: {why}; free some room, "
                          "give another folder, or leave cache= out") from error  # fmt: skip
