"""Predictions and residuals of rows that do not fit the fit."""

import numpy as np
import pandas as pd
import pytest
from refusing import COUNTS, EVENTS, FRAME, ONES, N, X, fit, glm, put, refused


@pytest.fixture(scope="module")
def by_arrays():
    return fit()


@pytest.mark.parametrize(
    ("formula", "column"), [("y ~ g", "g"), ("y ~ c", "c"), ("y ~ C(g)", "g"), ("y ~ C(k)", "k"), ("y ~ g:x", "g")]
)
def test_unseen_levels(formula, column):
    fitted = glm(formula)
    new = FRAME[:3].copy()
    new[column] = (
        pd.Categorical(["a", "b", "zz"]) if column == "c" else [1, 2, 9] if column == "k" else ["a", "b", "zz"]
    )
    level = "9" if column == "k" else "'zz'"
    with refused(f"column '{column}' has the level {level}, which was not there at the fit .levels: .*drop those rows"):
        fitted.predict(new)
    assert np.all(np.isfinite(fitted.predict(new[:2])))


@pytest.mark.parametrize("formula", ["y ~ first(g)", "y ~ C(first(g))"])
def test_unseen_levels_of_own_functions(formula):
    fitted = glm(formula, functions={"first": lambda v: v.str[0]})
    with refused("has the level 'z', which was not there at the fit|levels? .*'z'"):
        fitted.predict(FRAME[:3].assign(g=["a", "b", "zz"]))


def test_levels_in_another_order_are_the_same():
    fitted = glm("y ~ c")
    turned = FRAME.assign(c=pd.Categorical(FRAME["c"], categories=["c", "b", "a"]))
    np.testing.assert_array_equal(fitted.predict(turned), fitted.predict(FRAME))


def test_columns_at_prediction(by_arrays):
    fitted = glm("y ~ x + days")
    with refused("^data has no column 'days'"):
        fitted.predict(FRAME[["x", "y"]])
    assert fitted.predict(FRAME[["days", "x"]]).shape == (N,)  # the response is not needed
    with refused("^X has no column 'x1'"):
        by_arrays.predict(pd.DataFrame(X, columns=["a", "b"]))
    for wrong in (X[:, :1], np.ones((2, 3))):
        with refused(f"^X has {wrong.shape[1]} columns, the fit had 2"):
            by_arrays.predict(wrong)
    with refused("use X"):
        by_arrays.predict(X[0])
    with refused("^X has 1 NaN or infinite value"):
        by_arrays.predict(put(X, (0, 0), np.nan))


def test_a_refused_prediction_changes_nothing():
    fitted = glm("y ~ x")
    before = fitted.predict(FRAME)
    with refused("column 'x'|x"):
        fitted.predict(FRAME.assign(x="a"))
    with refused("^column 'x' of the formula has 12 NaN or infinite values"):
        fitted.predict(FRAME.assign(x=np.inf))
    np.testing.assert_array_equal(fitted.predict(FRAME), before)


def test_missing_values_at_prediction_are_missing():
    predicted = glm("y ~ x").predict(FRAME.assign(x=put(FRAME["x"], 3, np.nan)))
    assert np.flatnonzero(np.isnan(predicted)).tolist() == [3]


def test_exposure_at_prediction():
    named = glm(exposure="days")
    with refused("^data has no column 'days'"):
        named.predict(FRAME[["x"]])
    with refused("^exposure has 12 zero or negative values"):
        named.predict(FRAME.assign(days=0))
    with refused("^exposure has 1 rows, "):
        named.predict(FRAME, exposure=[1.0])
    with refused("^exposure has 12 zero or negative values"):
        named.predict(FRAME, exposure=0 * ONES)
    given = fit(exposure=ONES)
    with pytest.warns(UserWarning, match="fitted with an offset or exposure and predict got none"):
        given.predict(X)
    with refused("^offset has 1 rows, X has 12"):
        given.predict(X, offset=[0.0])


def test_one_of_offset_and_exposure_may_be_given_anew():
    fitted = glm(offset="z", exposure="days")
    np.testing.assert_allclose(fitted.predict(FRAME, exposure=ONES), fitted.predict(FRAME) / FRAME["days"], rtol=1e-12)


def test_kinds_of_prediction(by_arrays):
    with refused("^kind is 'men'; did you mean 'mean'"):
        by_arrays.predict(X, kind="men")
    with refused("^kind='class' is for families of labels; the family is 'poisson'"):
        by_arrays.predict(X, kind="class")
    with refused("^level is 2; it must be between 0 and 1"):
        by_arrays.conf_int(2)
    with refused("^method is 'wld'; did you mean 'wald'"):
        by_arrays.conf_int(method="wld")
    with refused("^covariance is 'modle'; did you mean 'model'"):
        by_arrays.with_covariance("modle")


def test_residuals(by_arrays):
    with refused("^residuals takes X and y together"):
        by_arrays.residuals(X)
    with refused("^residuals takes X and y together"):
        by_arrays.residuals(y=COUNTS)
    with refused("^kind is 'person'; did you mean 'pearson'"):
        by_arrays.residuals(kind="person")
    with refused("^y has 11 rows, X has 12"):
        by_arrays.residuals(X, COUNTS[1:])
    with refused("^y has 1 NaN or infinite value"):
        by_arrays.residuals(X, put(COUNTS, 0, np.nan))
    with refused("^y has 10 negative values|^y has 11 negative values"):
        by_arrays.residuals(X, -COUNTS)
    labels = fit(y=EVENTS, family="bernoulli")
    with refused(r"^y has the label 2\.?0? \(row 1\), which is none of \[0, 1\]"):
        labels.residuals(X, 2 * EVENTS)


def test_without_data(by_arrays):
    alone = by_arrays.detach()
    for ask in (alone.residuals, alone.predict):
        with refused("needs the data of the fit, which this fit no longer has"):
            ask()
    np.testing.assert_array_equal(alone.bse, by_arrays.bse)
    np.testing.assert_array_equal(alone.predict(X), by_arrays.predict(X))
