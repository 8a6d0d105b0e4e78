"""Three regressions of French motor third-party claims, freMTPL2 (Charpentier, 2014, from R's CASdatasets).

The data are read from Parquet files in the folder that the command is given, freMTPL2freq.parquet (a contract a row)
and freMTPL2sev.parquet (a claim a row), or fetched from OpenML by scikit-learn where there is a network.

The nine factors follow the usual binning of these data, but ages and bonus keep single years and points:

    Area 6 levels, VehGas 2, VehBrand 11, Region 22         as they are
    VehPower 12                                             its values
    VehAge, DrivAge, BonusMalus                             single values, rare ones joined with their neighbours
    Density                                                 20 bands of equally many contracts

Levels with fewer than LEAST claims are joined, numbers with the next ones and names in "other", since a level without
any has its maximum at minus infinity. Claims are capped at 4 a contract and 100,000 each, exposure at a year, as others
do who use these data.
"""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.problems import Problem, problem

LEAST = 15
FILES = {"freMTPL2freq": 41214, "freMTPL2sev": 41215}  # their numbers on OpenML
NAMES = ("Area", "VehGas", "VehBrand", "Region")
NUMBERS = ("VehPower", "VehAge", "DrivAge", "BonusMalus")
FACTORS = ("VehPower", "VehAge", "DrivAge", "BonusMalus", "VehBrand", "VehGas", "Area", "Region", "Density")


def fetch():
    """The folder with the two files, out of OpenML; raises OSError and the like without a network."""
    from sklearn.datasets import fetch_openml

    folder = Path(tempfile.mkdtemp(prefix="freMTPL2-"))
    for name, number in FILES.items():
        fetch_openml(data_id=number, as_frame=True, n_retries=1).frame.to_parquet(folder / f"{name}.parquet")
    return folder


def contracts(folder, rows):
    """The contracts with count and sum of their claims, `rows` of them drawn where there are more."""
    import pandas as pd

    frame = pd.read_parquet(Path(folder) / "freMTPL2freq.parquet")
    claims = pd.read_parquet(Path(folder) / "freMTPL2sev.parquet").astype(float)
    claims["ClaimAmount"] = claims["ClaimAmount"].clip(upper=100_000)
    sums = claims.groupby("IDpol")["ClaimAmount"].agg(["count", "sum"])
    found = sums.reindex(frame["IDpol"].astype(float)).fillna(0.0)
    frame["paid"], frame["paid_count"] = found["sum"].to_numpy(), found["count"].to_numpy()
    frame["Exposure"] = frame["Exposure"].astype(float).clip(upper=1)
    frame["ClaimNb"] = frame["ClaimNb"].astype(float).clip(upper=4)
    if rows < len(frame):
        keep = np.random.default_rng(19).choice(len(frame), rows, replace=False)
        frame = frame.iloc[np.sort(keep)]
    return frame.reset_index(drop=True)


def factors(frame, claims):
    """The nine factors as categorical columns; `claims` (n,) decides what is rare."""
    import pandas as pd

    columns = {}
    for name in FACTORS:
        values = frame[name]
        if name == "Density":
            number = values.astype(float).to_numpy()
            values = np.searchsorted(np.quantile(number, np.arange(1, 20) / 20), number)
        joined = joined_names(values.astype(str), claims) if name in NAMES else joined_numbers(values, claims)
        columns[name] = pd.Categorical(joined, categories=np.unique(joined))
    return pd.DataFrame(columns)


def joined_numbers(values, claims):
    """(n,) each value, or the lowest of the values that it is joined with until they have LEAST claims."""
    levels, which = np.unique(np.asarray(values, float).astype(int), return_inverse=True)
    counts = np.bincount(which, claims)
    band, bands, claimed = np.zeros(len(levels), int), [levels[0]], 0.0
    for i, level in enumerate(levels):
        if claimed >= LEAST:
            bands.append(level)
            claimed = 0.0
        claimed += counts[i]
        band[i] = len(bands) - 1
    if claimed < LEAST:  # what is left at the end joins the band before it
        band = np.minimum(band, max(len(bands) - 2, 0))
    return np.array(bands)[band][which]


def joined_names(values, claims):
    """(n,) each name, or "other" for those with fewer than LEAST claims."""
    levels, which = np.unique(np.asarray(values, object).astype(str), return_inverse=True)
    rare = np.bincount(which, claims) < LEAST
    if np.sum(rare) == 1:  # alone it would be as rare by another name
        rare |= np.arange(len(levels)) == np.argmin(np.where(rare, np.inf, np.bincount(which, claims)))
    return np.where(rare, "other", levels)[which]


def one_hot(frame):
    """(n, columns) CSR with a column for each level of each factor but its first."""
    from scipy import sparse

    blocks = []
    for name in frame:
        codes, n = frame[name].cat.codes.to_numpy(), len(frame)
        hot = sparse.csr_array((np.ones(n), (np.arange(n), codes)), (n, len(frame[name].cat.categories)))
        blocks.append(hot[:, 1:])
    return sparse.csr_array(sparse.hstack(blocks, format="csr"))


def regression(name, family, rows, y, claims, **given):
    """The Problem of `rows`; exposure or weights (n,) in `given` stand in the frame too."""
    frame = factors(rows, claims)
    X = one_hot(frame)
    frame["y"] = y
    for what, column in (("exposure", "exposure"), ("weights", "weight")):
        if what in given:
            frame[column] = given[what]
    return Problem(name, family, "log", X, y, frame=frame, **given)


FREMTPL2 = dict(needs_data=True, rows=678_013, least=5_000)


@problem("poisson", "freMTPL2 frequency, Poisson", ("factors", "offset"), **FREMTPL2)
def claims_frequency(rows, folder):
    frame = contracts(folder, rows)
    y = frame["ClaimNb"].to_numpy()
    return regression("claims_frequency", "poisson", frame, y, y, exposure=frame["Exposure"].to_numpy())


@problem("gamma", "freMTPL2 severity, gamma",
         ("factors", "weights", "log link"), **FREMTPL2)  # fmt: skip
def claims_severity(rows, folder):
    frame = contracts(folder, rows)
    frame = frame[frame["paid"] > 0].reset_index(drop=True)
    count = frame["paid_count"].to_numpy()
    return regression("claims_severity", "gamma", frame, (frame["paid"] / count).to_numpy(), count, weights=count)


@problem("tweedie", "freMTPL2 pure premium, Tweedie(1.5)",
         ("factors", "weights"), **FREMTPL2)  # fmt: skip
def claims_pure_premium(rows, folder):
    frame = contracts(folder, rows)
    exposure = frame["Exposure"].to_numpy()
    y = (frame["paid"] / exposure).to_numpy()
    return regression("claims_pure_premium", "tweedie", frame, y, frame["paid_count"].to_numpy(), weights=exposure)
