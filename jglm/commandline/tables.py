"""Where the rows of a command come from: a table in memory, or a stream of files."""

import os
from pathlib import Path

PATTERN = set("*?[")


def options(parser, what="CSV (also .csv.gz), Parquet or Feather; a folder or a pattern of such files is read as a "
            "stream"):  # fmt: skip
    """The argument that names the table, and those of streams."""
    parser.add_argument("data", metavar="DATA", help=what)
    stream = parser.add_argument_group("data larger than memory")
    stream.add_argument("--stream", action="store_true", help="read the rows piece by piece in every pass, as a folder "
                        "or a pattern always is")  # fmt: skip
    stream.add_argument("--cache", metavar="FOLDER", help="keep decoded columns of a stream there for later passes")
    return stream


def is_stream(arguments):
    """Whether the rows stay on disk."""
    text = arguments.data
    many = os.path.isdir(text) or (not os.path.exists(text) and PATTERN & set(text))
    return bool(arguments.stream or arguments.cache is not None or many)


def read(arguments):
    """The pandas frame or the `Stream` that the arguments name."""
    from jglm.inputs import files

    return stream(arguments) if is_stream(arguments) else files.read(arguments.data)


def stream(arguments):
    """The rows as a `Stream`, by the ending of the files."""
    from jglm import streams
    from jglm.inputs import files

    doors = {".parquet": streams.open_parquet, ".csv": streams.open_csv, ".arrow": streams.open_arrow}
    ending = _ending_within(arguments.data) if os.path.isdir(arguments.data) else files.kind(arguments.data)
    alike = {".pq": ".parquet", ".feather": ".arrow"}
    return doors[alike.get(ending, ending)](arguments.data, cache=arguments.cache)


def _ending_within(folder):
    """The ending of the tables in a folder and below it. ValueError where there are none, or of several formats."""
    from jglm.streams import sources

    found = []
    for kind in sources.ENDINGS:
        try:
            sources.files_of(folder, kind)
            found.append(kind)
        except FileNotFoundError:
            continue
    if len(found) != 1:
        told = f"files of {' and '.join(found)}" if found else "no CSV, Parquet or Feather file"
        raise ValueError(f"the folder {folder!r} holds {told}; name the files by a pattern such as "
                         f"{str(Path(folder) / '*.parquet')!r}")  # fmt: skip
    return f".{found[0]}"
