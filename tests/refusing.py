"""Small data, and the calls that tests of bad input make of the library."""

import numpy as np
import pandas as pd
import pytest

import jglm

N = 12
X = np.column_stack([np.arange(N) / N, [0.1, -1.2, 0.7, 1.5, -0.3, 0.4, 2.0, -1.0, 0.2, 0.9, -0.6, 1.1]])
COUNTS = np.array([1, 0, 2, 1, 3, 2, 4, 3, 5, 4, 6, 5.0])
EVENTS = np.array([0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1.0])
THREE = ["a", "b", "c"] * 4
ONES = np.ones(N)
FRAME = pd.DataFrame({"y": COUNTS, "x": X[:, 0], "z": X[:, 1], "g": THREE, "k": [1, 2, 3] * 4, "days": COUNTS + 1})
FRAME["c"] = pd.Categorical(FRAME["g"])
FRAME["my column"] = FRAME["x"] ** 2
REFUSED = "may not|not allowed|cannot be read|has no column|power"  # what is said of a formula


def put(values, row, value):
    """A copy with another value in one row."""
    new = np.array(values, dtype=object if isinstance(value, str) else float)
    new[row] = value
    return new


def fit(X=X, y=COUNTS, family="poisson", **options):
    return jglm.fit(X, y, family=family, **options)


def glm(formula="y ~ x", data=FRAME, family="poisson", **options):
    return jglm.glm(formula, data, family=family, **options)


def refused(message, error=ValueError):
    return pytest.raises(error, match=message)
