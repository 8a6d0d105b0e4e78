"""The fit of benchmarks.stream by other libraries: (folder of Parquet files, threads) -> seconds and coefficients.

Coefficients in jglm's order: the constant, numbers, then the levels of every factor but the first, sorted.
"""

import time
from pathlib import Path

import numpy as np

from benchmarks.stream import DOUBLE, FACTORS, LEVELS, SINGLE

NUMBERS = SINGLE + DOUBLE
NAMES = [sorted(f"level_{i}" for i in range(size)) for size in LEVELS]


def _frame(folder):
    import pandas as pd
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    columns = [pq.read_table(f, read_dictionary=FACTORS) for f in ds.dataset(folder).files]
    import pyarrow as pa

    frame = pa.concat_tables(columns).unify_dictionaries().to_pandas()
    for name, levels in zip(FACTORS, NAMES, strict=True):
        frame[name] = pd.Categorical(frame[name], categories=levels)
    return frame


def glum(folder, threads):
    """The whole table in memory."""
    import glum as library

    begun = time.perf_counter()
    frame = _frame(folder)
    model = library.GeneralizedLinearRegressor(family="poisson", alpha=0, drop_first=True, gradient_tol=1e-8)
    model.fit(frame[NUMBERS + FACTORS], frame["y"])
    model.covariance_matrix(frame[NUMBERS + FACTORS], frame["y"])
    coef = [float(model.intercept_), *model.coef_.tolist()]
    return dict(seconds=time.perf_counter() - begun, coef=coef, versions={"glum": library.__version__})


def _dense(frame):
    """The design of a part of the rows, written out."""
    columns = [np.ones(len(frame)), *(frame[name].to_numpy(float) for name in NUMBERS)]
    for name, levels in zip(FACTORS, NAMES, strict=True):
        values = np.asarray(frame[name].astype(str))
        columns += [(values == level).astype(float) for level in levels[1:]]
    return np.column_stack(columns)


def statsmodels(folder, threads):
    """Its distributed estimation, one row group at a time: the average of the fits of the parts."""
    import statsmodels.api as sm
    from statsmodels import __version__
    from statsmodels.base import distributed_estimation as distributed

    begun = time.perf_counter()
    parts = list(_parts(folder))
    model = distributed.DistributedModel(
        len(parts), model_class=sm.GLM, init_kwds={"family": sm.families.Poisson()},
        estimation_method=distributed._est_unregularized_naive, join_method=distributed._join_naive,
    )  # fmt: skip
    frames = (_read(part) for part in parts)
    whole = model.fit((frame["y"].to_numpy(float), _dense(frame)) for frame in frames)
    coef = np.asarray(whole.params).tolist()
    return dict(seconds=time.perf_counter() - begun, coef=coef, versions={"statsmodels": __version__})


def _parts(folder):
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    for file in ds.dataset(folder).files:
        for i in range(pq.read_metadata(file).num_row_groups):
            yield file, i


def _read(part):
    import pyarrow.parquet as pq

    return pq.ParquetFile(part[0]).read_row_group(part[1]).to_pandas()


def dask(folder, threads):
    """dask-glm's Newton's method on blocks of the design, written out."""
    import dask
    import dask.array as da
    from dask import delayed
    from dask_glm.algorithms import newton
    from dask_glm.families import Poisson

    begun = time.perf_counter()
    import pyarrow.parquet as pq

    parts = list(_parts(folder))
    rows = [pq.read_metadata(file).row_group(i).num_rows for file, i in parts]
    width = 1 + len(NUMBERS) + sum(LEVELS) - len(LEVELS)
    X = [da.from_delayed(delayed(lambda p: _dense(_read(p)))(p), (n, width), float)
         for p, n in zip(parts, rows, strict=True)]  # fmt: skip
    y = [da.from_delayed(delayed(lambda p: _read(p)["y"].to_numpy(float))(p), (n,), float)
         for p, n in zip(parts, rows, strict=True)]  # fmt: skip
    with dask.config.set(scheduler="threads", num_workers=threads):
        coef = newton(da.concatenate(X), da.concatenate(y), family=Poisson)
    return dict(
        seconds=time.perf_counter() - begun, coef=np.asarray(coef).tolist(), versions={"dask": dask.__version__}
    )


def spark(folder, threads):
    """Spark's GeneralizedLinearRegression in local mode."""
    import pyspark
    from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
    from pyspark.ml.regression import GeneralizedLinearRegression
    from pyspark.sql import SparkSession

    begun = time.perf_counter()
    session = (
        SparkSession.builder.master(f"local[{threads}]").config("spark.driver.memory", "3g")
        .config("spark.ui.enabled", "false").getOrCreate()
    )  # fmt: skip
    table, codes, hot = session.read.parquet(str(folder)), [f + "_i" for f in FACTORS], [f + "_v" for f in FACTORS]
    table = (
        StringIndexer(inputCols=FACTORS, outputCols=codes, stringOrderType="alphabetDesc").fit(table).transform(table)
    )
    table = OneHotEncoder(inputCols=codes, outputCols=hot).fit(table).transform(table)
    table = VectorAssembler(inputCols=NUMBERS + hot, outputCol="features").transform(table)
    model = GeneralizedLinearRegression(family="poisson", link="log", labelCol="y", tol=1e-8).fit(table)
    assert len(model.summary.coefficientStandardErrors)
    values, at, coef = model.coefficients.toArray(), len(NUMBERS), [float(model.intercept)]
    coef += values[:at].tolist()
    for size in LEVELS:  # in falling order, without the first level
        coef += values[at : at + size - 1][::-1].tolist()
        at += size - 1
    seconds = time.perf_counter() - begun
    java = _peak(session.sparkContext._gateway.proc.pid)
    session.stop()
    return dict(seconds=seconds, coef=coef, versions={"pyspark": pyspark.__version__}, children_mb=java)


def _peak(pid):
    """The most memory that a process has had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
