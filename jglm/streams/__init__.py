"""Streams: data on disk, fitted piece by piece.

`Stream` (stream) names pieces of files (sources); `Layout` says what a model takes of them, `scan` is the first pass,
and `Streamed` the data after it, whose sums over blocks `fitting` asks for.
"""

from jglm.streams.stream import Stream, open_arrow, open_csv, open_parquet

__all__ = ["Stream", "open_arrow", "open_csv", "open_parquet"]
