"""Predictions for a stream: its pieces by threads, in order, into a Parquet file that appears when it is whole."""

import contextlib
import warnings
from pathlib import Path

import numpy as np

from jglm.inputs import wholefile
from jglm.streams.sources import first_line
from jglm.streams.threads import in_order

ROWS = 1 << 18  # at a time
BESIDE = ("offset", "exposure")


def predict(fit, stream, out, kind, interval, beside, **options):
    """fit.predict of the rows of a stream, in order: (n,) or (n, k); with `out` the path of a Parquet file instead.

    `beside` {"offset" | "exposure": the name of a column, or None}.
    """
    for what, name in beside.items():
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{what} is {type(name).__name__}; with a stream it must be the name of a column")
    columns = columns_of(fit, stream, beside)

    def look(index, going):
        found = []
        for batch in stream.source.batches(stream.source.pieces[index], columns, ROWS, []):
            going()
            frame = batch.to_pandas()
            given = {k: None if name is None else frame[name].to_numpy() for k, name in beside.items()}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # said once, below
                found.append(fit.predict(frame, kind=kind, interval=interval, **given, **options))
        return found

    _warn_once(fit, beside)
    parts = (part for found in in_order(look, stream.mine) for part in found)
    names = names_of(fit, kind, interval)
    if out is None:
        return np.concatenate(list(parts))
    return write(out, parts, names)


def columns_of(fit, stream, beside):
    """The columns of a stream that a prediction takes."""
    if fit.formula is None:
        wanted = fit.names[1:] if fit.intercept else list(fit.names)
    else:
        named = [v for k, v in fit.columns.items() if k in BESIDE and beside.get(k) is None]
        second = [] if fit.precision is None else fit.precision.right_variables
        wanted = [*fit.formula.right_variables, *named, *fit.fixed, *second]
    wanted = list(dict.fromkeys([*wanted, *(v for v in beside.values() if v is not None)]))
    for name in wanted:
        stream.refuse_unknown(name)
    return wanted


def names_of(fit, kind, interval):
    """The names of the columns that predictions are written to."""
    if interval is not None:
        return [kind, "low", "high"]
    width = fit.model.width()
    if kind == "class" or (width is None and kind != "log_prob"):
        return [kind]
    if kind == "link":
        return [f"link[{name}]" for name in fit._lin_names()]
    levels = fit.levels or list(range(int(fit.family.dim or 0)))
    return [f"{kind}[{level}]" for level in levels]


def _warn_once(fit, beside):
    named = any(k in fit.columns for k in BESIDE) or any(v is not None for v in beside.values())
    own = fit.formula is not None and (fit.fixed or "offset(" in fit.formula.text)
    if fit.has_offset and not named and not own:
        warnings.warn("the model was fitted with an offset or exposure and predict got none: it takes offset 0, "
                      "exposure 1", UserWarning, stacklevel=5)  # fmt: skip


def write(out, parts, names):
    """Write arrays of rows to a Parquet file; its path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = Path(out)
    writer = None
    try:
        with wholefile.appearing(out) as temporary:
            for part in parts:
                table = np.asarray(part).reshape(len(part), -1)
                if table.shape[1] != len(names):
                    names = [f"{names[0]}[{j}]" for j in range(table.shape[1])]
                batch = pa.table({name: pa.array(column) for name, column in zip(names, table.T, strict=True)})
                if writer is None:
                    writer = pq.ParquetWriter(temporary, batch.schema)
                writer.write_table(batch)
            if writer is None:
                raise ValueError("the stream has no rows; there is nothing to predict")
            writer.close()
    except BaseException as error:
        if writer is not None and writer.is_open:
            _close_quietly(writer)
        if isinstance(error, OSError):
            raise OSError(error.errno or 0, f"{out} cannot be written: {first_line(error)}; nothing of it was left "
                          "behind") from error  # fmt: skip
        raise
    return out


def _close_quietly(writer):
    with contextlib.suppress(OSError):
        writer.close()
