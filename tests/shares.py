"""Fits whose rows are spread over devices or processes: run as a program by test_spread.py, once a process.

python tests/shares.py devices            over all devices (XLA_FLAGS makes several of one CPU)
python tests/shares.py HOST:PORT N I      process I of N; each takes its rows of the same data
"""

import json
import os
import sys

import numpy as np

N = 601
DEVICES = ("factors", "softmax lasso", "sparse", "free", "sketched")
PROCESSES = {2: ("labels", "stream"), 4: ("factors", "softmax lasso")}
TOLD = {*DEVICES, "labels"}


def data():
    """Columns, factor levels of which some shares of the rows have none, labels, weights (some 0) and offset."""
    import pandas as pd

    rng = np.random.default_rng(5)
    rare = np.where(np.arange(N) < 40, "z", np.array(list("cab"))[rng.integers(0, 3, N)])
    frame = pd.DataFrame(rng.normal(size=(N, 3)), columns=["x1", "x2", "x3"]).assign(
        g=rare, year=rng.integers(2001, 2004, N), w=rng.uniform(0.5, 2.0, N), off=0.1 * rng.normal(size=N)
    )
    frame.loc[::50, "w"] = 0.0
    frame["y"] = rng.poisson(np.exp(0.3 * frame.x1 - 0.2 * frame.x2 + frame.off + 0.5 * (frame.g == "z")))
    frame["label"] = np.where(np.arange(N) > 560, "late", np.array(["no", "yes"])[rng.integers(0, 2, N)])
    return frame


def cases(part=slice(None), names=None, **given):
    """{name: Fit}."""
    import scipy.sparse

    import jglm
    from jglm.designs import Columns, Dense, Sparse
    from jglm.penalties import lasso

    whole = data()
    X = whole[["x1", "x2", "x3"]].to_numpy()
    sparse = scipy.sparse.random_array((N, 4), density=0.3, rng=np.random.default_rng(6), format="csr")
    frame, X, sparse = whole.iloc[part], X[part], sparse[part]
    beside = dict(weights=frame.w.to_numpy(), offset=frame.off.to_numpy(), tol=1e-10, progress=False, **given)
    columns = dict(weights="w", offset="off", tol=1e-10, progress=False, **given)
    gamma = np.random.default_rng(7).gamma(2.0, np.exp(0.3 * whole.x1))[part]
    made = {
        "factors": lambda: jglm.glm("y ~ x1 + g + C(year)", frame, family="poisson", **columns),
        "labels": lambda: jglm.fit(X, frame.label.to_numpy(), family="categorical", **beside),
        "softmax lasso": lambda: jglm.fit(
            X, frame.label.to_numpy(), family="categorical", penalty=lasso(5.0), **beside
        ),
        "sparse": lambda: jglm.fit(Columns((Dense(X, "float64"), Sparse.of(sparse))), gamma, family="gamma", **beside),
        "stream": lambda: jglm.glm("y ~ x1 + g + C(year)", _rows_on_disk(), family="poisson", **columns),
        "free": lambda: jglm.fit(X, frame.y, family="negative_binomial", **beside),
        "sketched": lambda: jglm.fit(X, frame.y, family="poisson", solver="sketched", **beside),
    }
    return {name: made[name]() for name in made if names is None or name in names}


def write(folder):
    """The rows as Parquet files in a folder."""
    frame = data()
    for i in range(4):
        frame.iloc[i * 150 : (i + 1) * 150 if i < 3 else None].to_parquet(os.path.join(folder, f"{i}.parquet"))


def _rows_on_disk():
    import jglm

    return jglm.open_parquet(os.environ["SHARES_FOLDER"])


def told(fit):
    """What a test compares of a fit, as plain values; NaN is None."""
    smooth = fit.model.penalty is None
    listed = lambda v: [None if u != u else u for u in np.ravel(np.asarray(v, float)).tolist()]
    names = ("deviance", "null_deviance", "llf", "pearson_chi2", "aic", "nobs", "df_resid", "scale")
    return {
        "names": fit.names, "levels": [str(v) for v in fit.levels or []], "params": listed(fit.params),
        "bse": listed(fit.bse) if smooth else [], **{k: listed(getattr(fit, k)) for k in names},
        "family_params": listed(list(fit.family_params.values())), "converged": [float(fit.converged)],
        "family_params_se": listed(list(fit.family_params_se.values())),
    }  # fmt: skip


def main(arguments):
    import jglm

    if arguments[0] == "devices":
        fits = cases(names=DEVICES, devices="all")
    else:
        where, count, index = arguments[0], int(arguments[1]), int(arguments[2])
        jglm.distributed.initialize(where, count, index, timeout=60)
        fits = cases(jglm.distributed.part(N), names=PROCESSES[count], devices="all")
    print(json.dumps({name: told(fit) for name, fit in fits.items()}))


if __name__ == "__main__":
    os.environ["JGLM_COMPILATION_CACHE"] = "off"
    main(sys.argv[1:])
