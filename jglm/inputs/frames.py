"""Data frames in: pandas, Polars, Arrow or dicts, reduced to the columns a formula names, without missing rows."""

import numpy as np

from jglm.inputs import checks

SOME = 50_000  # rows


def to_pandas(data, columns):
    """The named columns of a data frame as a pandas frame with a plain index; ValueError for one that is not there."""
    import pandas

    if isinstance(data, dict):
        data = pandas.DataFrame(data)
    if not isinstance(data, pandas.DataFrame):
        import narwhals

        try:
            frame = narwhals.from_native(data, eager_only=True)
        except TypeError:
            raise TypeError(
                f"data is a {type(data).__name__}; it must be a data frame (pandas, Polars, Arrow) or a dict"
            ) from None
        _refuse_unknown(columns, frame.columns)
        data = frame.select(columns).to_pandas() if columns else frame.to_pandas()
    _refuse_unknown(columns, list(data.columns))
    for name in columns:
        if list(data.columns).count(name) > 1:
            raise ValueError(f"the column {name!r} stands twice in data; names must differ")
    chosen = data.loc[:, columns].reset_index(drop=True)
    return pandas.DataFrame({name: _plain(chosen[name]) for name in columns}, index=chosen.index, copy=False)


def _plain(column):
    """Nullable and Arrow numbers as NumPy's, so that every transform understands them."""
    import pandas

    if isinstance(column.dtype, (pandas.CategoricalDtype, np.dtype)):
        return column
    if pandas.api.types.is_bool_dtype(column.dtype):
        return column.astype(object if column.isna().any() else bool)
    if pandas.api.types.is_numeric_dtype(column.dtype):
        return column.astype("float64")
    return column


def _refuse_unknown(columns, known):
    for name in columns:
        if name not in known:
            raise ValueError(
                f"data has no column {name!r}{checks.nearest(name, known)} Columns: {', '.join(map(str, known[:20]))}"
            )


def whole_rows(frame):
    """(n,) which rows of a frame miss no value."""
    whole = np.ones(len(frame), bool)
    for name in frame.columns:
        missing = frame[name].isna().to_numpy()
        if missing.any():
            whole &= ~missing
    return whole


def refuse_missing(frame):
    """ValueError where a value of a frame is missing."""
    for name in frame.columns:
        checks.refuse(f"column {name!r}", frame[name].isna().to_numpy(), "missing", "fill them or drop those rows, or "
                      "use missing='drop'")  # fmt: skip


def rows(frame, kept):
    """Some rows of a frame; columns that hold truth values and nothing else any more are those again."""
    return frame.loc[kept].infer_objects()


def drop_missing(frame, arrays, missing="drop"):
    """(frame, arrays) without the rows where a column or an array is missing, as R does, and which rows stayed; with
    missing="error" such a row raises ValueError."""
    kept = whole_rows(frame)
    if missing == "error":
        refuse_missing(frame)
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            gone = np.isnan(array) if array.ndim == 1 else np.isnan(array).any(axis=1)
            if missing == "error":
                checks.refuse(name, gone, "missing", "fill them or drop those rows, or use missing='drop'")
            kept &= ~gone
    if not kept.any():
        raise ValueError("data has no rows without missing values in the columns of the model; a fit needs data")
    if not kept.all():
        frame = rows(frame, kept).reset_index(drop=True)
        arrays = {k: v[kept] for k, v in arrays.items()}
    return _used_levels(frame), arrays, kept


def _used_levels(frame):
    """Levels that no row has would be columns of zeros; R drops them too."""
    import pandas

    categorical = [c for c in frame.columns if isinstance(frame[c].dtype, pandas.CategoricalDtype)]
    unused = [c for c in categorical if _has_unused_level(frame[c].cat)]
    return frame.assign(**{c: frame[c].cat.remove_unused_categories() for c in unused})


def _has_unused_level(factor):
    # Counting the codes is many times faster than pandas' own look at them, and the first rows mostly have them all.
    codes, levels = factor.codes.to_numpy(), len(factor.categories)
    for some in (codes[:SOME], codes):
        if np.all(np.bincount(some.astype(np.intp) + 1, minlength=levels + 1)[1:] > 0):
            return False
    return True
