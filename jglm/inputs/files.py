"""Tables on disk: CSV, Parquet and Feather, by their ending."""

from pathlib import Path

from jglm.inputs import wholefile

READERS = {".csv": "read_csv", ".parquet": "read_parquet", ".pq": "read_parquet", ".feather": "read_feather",
           ".arrow": "read_feather"}  # fmt: skip
WRITERS = {".csv": "to_csv", ".parquet": "to_parquet", ".pq": "to_parquet", ".feather": "to_feather",
           ".arrow": "to_feather"}  # fmt: skip
PACKED = (".gz", ".bz2", ".xz", ".zst")


def kind(path):
    """The ending that tells the format: '.csv' for data.csv.gz. ValueError for one that is not read."""
    suffixes = [s.lower() for s in Path(path).suffixes]
    ending = (
        suffixes[-2]
        if len(suffixes) > 1 and suffixes[-1] in PACKED and suffixes[-2] == ".csv"
        else (suffixes or [""])[-1]
    )
    if ending not in READERS:
        raise ValueError(
            f"{Path(path).name}: the ending {ending!r} is not read; use {', '.join(READERS)} (CSV also .csv.gz)"
        )
    return ending


def read(path):
    """The table as a pandas frame; FileNotFoundError or ValueError with the reason where that fails."""
    import pandas

    ending = kind(path)
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    try:
        return getattr(pandas, READERS[ending])(path)
    except (OSError, ValueError, UnicodeError) as error:
        raise ValueError(f"{Path(path).name} cannot be read: {str(error).splitlines()[0]}") from error


def write(frame, path):
    """Write a pandas frame; it appears under its name only when it is whole."""
    ending = kind(path)
    options = {"index": False} if ending != ".feather" and ending != ".arrow" else {}
    with wholefile.appearing(path) as temporary:
        getattr(frame, WRITERS[ending])(temporary, **options)
