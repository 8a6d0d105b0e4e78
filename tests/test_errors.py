"""Bad input never yields a number: what was wrong with the values, why that cannot be, what to do."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars
import pytest
from refusing import COUNTS, EVENTS, ONES, THREE, N, X, fit, put, refused

import jglm

# --------------------------------------------------------------------------- NaN and infinities
NOT_FINITE = r"has 1 .*(NaN|infinite|missing).* value \(first: row 3\)"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
class TestNotFinite:
    def test_in_X(self, bad):
        with refused("^X " + NOT_FINITE):
            fit(put(X, (3, 1), bad))

    @pytest.mark.parametrize("family", ["poisson", "gaussian", "gamma"])
    def test_in_y(self, bad, family):
        with refused("^y " + NOT_FINITE):
            fit(y=put(COUNTS + 1, 3, bad), family=family)

    @pytest.mark.parametrize("family", ["bernoulli", "categorical"])
    def test_in_labels(self, bad, family):
        with refused("^y " + NOT_FINITE):
            fit(y=put(EVENTS, 3, bad), family=family)

    @pytest.mark.parametrize("name", ["weights", "offset", "exposure"])
    def test_beside(self, bad, name):
        with refused(f"^{name} " + NOT_FINITE):
            fit(**{name: put(ONES, 3, bad)})

    def test_in_binomial(self, bad):
        with refused("^y " + NOT_FINITE):
            fit(y=put(EVENTS, 3, bad), family="binomial", trials=ONES)
        with refused("^y " + NOT_FINITE):
            fit(y=np.column_stack([put(EVENTS, 3, bad), ONES]), family="binomial")
        with refused("^trials " + NOT_FINITE):
            fit(y=EVENTS, family="binomial", trials=put(ONES, 3, bad))
        with refused("^weights " + NOT_FINITE):
            fit(y=EVENTS, family="binomial", weights=put(ONES, 3, bad))

    def test_in_soft_labels(self, bad):
        with refused("^y " + NOT_FINITE):
            fit(y=put(np.full((N, 2), 0.5), (3, 0), bad), family="categorical")

    def test_in_start(self, bad):
        with refused("^start has 1 NaN or infinite value"):
            fit(start=[0, 0, bad])


def test_one_infinite_label_is_no_class():
    with refused(r"^y has 7 .*infinite values \(first: row 1\)"):
        fit(y=np.where(EVENTS == 1, np.inf, 0.0), family="bernoulli")


def test_missing_labels():
    with refused(r"^y has 1 missing value \(first: row 2\)"):
        fit(y=["a", "b", None, *THREE[3:]], family="categorical")


def test_nas_of_pandas_are_missing_values():
    with refused(r"^weights has 1 NaN or infinite value \(first: row 0\)"):
        fit(weights=np.array([pd.NA, *[1.0] * (N - 1)], dtype=object))


def test_masked_arrays_are_missing_values():
    with refused("^X has .*(masked|NaN)"):
        fit(np.ma.masked_array(X, mask=X > 1))


# --------------------------------------------------------------------------- lengths and shapes
@pytest.mark.parametrize("name", ["weights", "offset", "exposure"])
@pytest.mark.parametrize("family", ["poisson", "bernoulli", "binomial", "categorical"])
def test_lengths_differ(name, family):
    with refused(f"^{name} has 11 rows, X has 12"):
        fit(y=EVENTS, family=family, **{name: ONES[1:]})


@pytest.mark.parametrize("family", ["poisson", "bernoulli", "binomial", "categorical"])
def test_y_of_another_length(family):
    with refused("^y has 11 rows, X has 12"):
        fit(y=EVENTS[1:], family=family)


def test_trials_of_another_length():
    with refused("^trials has 11 rows"):
        fit(y=EVENTS, family="binomial", trials=ONES[1:])


@pytest.mark.parametrize("name", ["weights", "exposure"])
def test_beside_has_one_column(name):
    with refused(rf"^{name} has shape \(12, 2\); it must be \(12,\)"):
        fit(**{name: np.ones((N, 2))})


def test_shapes():
    with refused(r"^offset has shape \(12, 2\)"):
        fit(offset=np.ones((N, 2)))
    with refused("^weights is a single value; it must be an array"):
        fit(weights=2.0)
    with refused("^y is a single value"):
        fit(y=1.0)
    with refused(r"^y has shape \(12, 2\); family 'poisson' takes \(n,\)"):
        fit(y=np.ones((N, 2)))
    with refused(r"^y has shape \(12, 3\); family 'binomial' takes \(n,\) or \(n, 2\)"):
        fit(y=np.ones((N, 3)), family="binomial")


def test_X_must_be_a_matrix():
    with refused(r"^X has shape \(12,\); it must be \(n, p\): use X\[:, None\]"):
        fit(X[:, 0])
    with refused("^X has 3 dimensions"):
        fit(X[None])
    with refused("^X is a single value"):
        fit(3.0)
    with refused("^X.* rows of different lengths"):
        fit([[1.0, 2.0], [3.0]], [1, 2])


def test_empty():
    with refused("^X has no rows; a fit needs data"):
        fit(X[:0], COUNTS[:0])
    with refused("^X has no columns and intercept=False"):
        fit(X[:, :0], intercept=False)


def test_zero_columns():
    with refused("every column of X is zero"):
        fit(np.zeros((N, 2)), intercept=False)


# --------------------------------------------------------------------------- what X may hold
@pytest.mark.parametrize(
    "X_bad",
    [
        put(X, (0, 0), "red"),
        pd.DataFrame({"a": ["r", "g"] * 6, "b": X[:, 0]}),
        polars.DataFrame({"a": ["r", "g"] * 6, "b": X[:, 0]}),
        pd.DataFrame({"a": pd.Categorical(["r", "g"] * 6), "b": X[:, 0]}),
        X.astype(str),
    ],
    ids=["object array", "pandas", "polars", "categorical", "numbers as text"],
)
def test_text_in_X(X_bad):
    with refused("^X holds '.*', which is not a number; encode text columns or use jglm.glm", TypeError):
        fit(X_bad)


DAYS = np.datetime64("2020-01-01") + np.arange(N)


@pytest.mark.parametrize(
    "dates",
    [DAYS[:, None], (DAYS - DAYS[0])[:, None], pd.DataFrame({"a": DAYS, "b": X[:, 0]})],
    ids=["datetime64", "timedelta64", "pandas"],
)
def test_dates_in_X(dates):
    with refused("^X holds .*, which is not a number", TypeError):
        fit(dates)


def test_complex_X():
    with refused("^X holds complex numbers", TypeError):
        fit(X + 0j)


# --------------------------------------------------------------------------- support of the families
@pytest.mark.parametrize(
    ("family", "bad", "message"),
    [
        ("poisson", -1, "1 negative value .*family 'poisson' needs y >= 0.*gaussian"),
        ("geometric", -1, "1 negative value .*family 'geometric' needs y >= 0"),
        ("gamma", 0, "1 zero value .*family 'gamma' needs y > 0"),
        ("gamma", -2, "1 negative value .*family 'gamma' needs y > 0"),
        ("exponential", -2, "1 negative value .*family 'exponential' needs y > 0"),
        ("inverse_gaussian", 0, "1 zero value .*family 'inverse_gaussian' needs y > 0"),
        (jglm.families.negative_binomial(2.0), -3, "1 negative value .*family 'negative_binomial' needs y >= 0"),
        (jglm.Family("mine", a=jnp.exp), -1, "1 negative value .*family 'mine' needs y >= 0"),
    ],
)
def test_y_outside_the_support(family, bad, message):
    with refused("^y has " + message) as caught:
        fit(y=put(COUNTS + 1, 4, bad), family=family)
    assert "first: row 4" in str(caught.value)


def test_proportions_outside_the_support():
    with refused("^y has 1 impossible value .*row 4.*'binomial' needs 0 <= y <= 1"):
        fit(y=put(EVENTS, 4, 1.5), family="binomial")
    with refused("^y has values between 0 and 1; family 'bernoulli' takes two labels; use family='binomial'"):
        fit(y=put(EVENTS, 4, 0.5), family="bernoulli")


def test_text_in_y():
    with refused("^y holds 'b', which is not a number", TypeError):
        fit(y=put(COUNTS, 0, "b"))


def test_fractions_of_counts_warn():
    with pytest.warns(UserWarning, match="not whole numbers; family 'poisson' is one of counts"):
        fit(y=COUNTS + 0.5)


# --------------------------------------------------------------------------- weights, exposure, trials
def test_weights():
    with refused(r"^weights has 1 negative value \(first: row 2\); weights must be >= 0"):
        fit(weights=put(ONES, 2, -1))
    with refused("^weights are all 0; no row is left to fit"):
        fit(weights=0 * ONES)
    with refused("^weights holds 'a', which is not a number", TypeError):
        fit(weights=put(ONES, 2, "a"))
    with refused("^weights holds 'a', which is not a number", TypeError):
        fit(y=EVENTS, family="binomial", weights=put(ONES, 2, "a"))


@pytest.mark.parametrize("bad", [0, -1])
def test_exposure(bad):
    with refused(r"^exposure has 1 zero or negative value \(first: row 2\); it enters as log\(exposure\)"):
        fit(exposure=put(ONES, 2, bad))


def test_trials():
    binomial = {"y": COUNTS, "family": "binomial"}
    with refused(r"^y has 5 rows with more successes than trials \(first: row 6, 4 of 3\)"):
        fit(**binomial, trials=3 * ONES)
    with refused("^trials has 12 negative values"):
        fit(**binomial, trials=-ONES)
    with refused("no row has a positive weight and trials"):
        fit(y=0 * ONES, family="binomial", trials=0 * ONES)
    with refused("^y has two columns, successes and failures, so trials= is not needed"):
        fit(y=np.column_stack([EVENTS, 1 - EVENTS]), family="binomial", trials=ONES)
    with refused("^y has 1 negative value .*successes and failures are counts"):
        fit(y=put(np.ones((N, 2)), (0, 1), -1), family="binomial")


@pytest.mark.parametrize("family", ["poisson", "bernoulli", "gaussian", "categorical"])
def test_trials_are_for_the_binomial(family):
    with refused(f"^trials= is for family 'binomial'; the family is '{family}'"):
        fit(y=EVENTS, family=family, trials=ONES)


# --------------------------------------------------------------------------- labels
@pytest.mark.parametrize("y", [THREE, [0, 1, 2] * 4, [-1, 0, 1] * 4])
def test_bernoulli_takes_two_labels(y):
    with refused("^y has 3 distinct values .*family 'bernoulli' needs two; use family='categorical'"):
        fit(y=y, family="bernoulli")


def test_one_label():
    with refused(r"^y has 1 distinct values? \('a'\); family 'bernoulli' needs two"):
        fit(y=["a"] * N, family="bernoulli")
    with refused("^y has the single class 'a'; family 'categorical' needs at least two"):
        fit(y=["a"] * N, family="categorical")
    with refused("^y has the single class 0"):
        fit(y=np.ones((N, 1)), family="categorical")


def test_soft_labels():
    with refused("^y has 12 .*(first: row 0).*soft labels sum to 1"):
        fit(y=np.full((N, 2), 0.6), family="categorical")
    with refused("^y has 12 negative values .*soft labels are probabilities"):
        fit(y=np.column_stack([-ONES, 2 * ONES]), family="categorical")


def test_number_of_classes():
    with refused(r"^y has 3 classes .*'categorical' was given k = 2"):
        fit(y=THREE, family=jglm.families.categorical(k=2))
    with refused("^categorical: k is 1; there must be at least two classes"):
        jglm.families.categorical(k=1)
