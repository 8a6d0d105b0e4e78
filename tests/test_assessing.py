"""Predictions beside what happened: sums by group, intervals, lift and Lorenz curves against other computations."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import jglm

N = 400


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({
        "x": rng.normal(size=N), "g": rng.choice(list("abc"), N), "other": rng.choice(["u", "v"], N),
        "years": rng.uniform(0.2, 1.0, N), "trials": rng.integers(1, 6, N),
    })  # fmt: skip
    mean = np.exp(0.3 * frame["x"] + (frame["g"] == "b"))
    chance = 1 / (1 + np.exp(0.5 - frame["x"]))
    frame["y"], frame["cost"] = rng.poisson(frame["years"] * mean), rng.gamma(2.0, mean / 2)
    return frame.assign(won=rng.binomial(frame["trials"], chance), yes=rng.random(N) < chance, z=rng.normal(size=N))


@pytest.fixture(scope="module")
def fit(frame):
    return jglm.glm("y ~ x + g", frame, family="poisson", exposure="years")


# --------------------------------------------------------------------------- sums
def test_sums_are_those_of_a_data_frame(fit, frame):
    table = fit.actual_expected("other", frame)
    groups = frame.assign(mean=fit.predict()).groupby("other")
    assert table.index.tolist() == ["u", "v"]
    assert table["rows"].tolist() == groups.size().tolist()
    for name, column in (("exposure", "years"), ("actual", "y"), ("expected", "mean")):
        assert_allclose(table[name], groups[column].sum())
    assert_allclose(table["actual_mean"], groups["y"].sum() / groups["years"].sum())
    assert_allclose(table["expected_mean"], groups["mean"].sum() / groups["years"].sum())
    assert_allclose(table["ratio"], table["actual"] / table["expected"])


def test_the_canonical_link_balances_every_level(fit):
    assert_allclose(fit.actual_expected("g")["ratio"], 1.0, rtol=1e-8)
    assert_allclose(fit.actual_expected()["ratio"], 1.0, rtol=1e-8)


def test_counts_with_an_exposure_are_rates_with_weights(fit, frame):
    rates = jglm.glm("rate ~ x + g", frame.assign(rate=frame["y"] / frame["years"]), family="quasipoisson",
                     weights="years")  # fmt: skip
    columns = ["exposure", "actual", "expected", "actual_mean", "expected_mean", "ratio"]
    for by in ("g", "x", "fitted"):
        assert_allclose(fit.actual_expected(by)[columns], rates.actual_expected(by)[columns], rtol=1e-6)
    assert fit.lorenz().gini == pytest.approx(rates.lorenz().gini, rel=1e-6)


def test_successes_are_counted_by_trials(frame):
    fit = jglm.glm("won ~ x", frame, family="binomial", trials="trials")
    table = fit.actual_expected("g", frame)
    groups = frame.groupby("g")
    assert_allclose(table[["exposure", "actual"]], groups[["trials", "won"]].sum())


def test_numbers_go_into_bins_of_equal_exposure(fit, frame):
    table = fit.actual_expected("x", bins=5)
    assert len(table) == 5
    assert_allclose(table["exposure"], frame["years"].sum() / 5, rtol=0.02)
    low = float(table.index[1].split(" to ")[0])
    assert table["rows"].iloc[0] == np.sum(frame["x"] < low - 1e-5)
    assert fit.actual_expected("trials", frame, bins=10).index.tolist() == [1, 2, 3, 4, 5]


def test_new_rows_are_those_of_the_frame(fit, frame):
    part = frame.iloc[:100]
    whole, halved = fit.actual_expected("g", part), fit.detach().actual_expected("g", part.to_dict("series"))
    pd.testing.assert_frame_equal(whole, halved)
    assert_allclose(whole["expected"], pd.Series(fit.predict(part)).groupby(part["g"].to_numpy()).sum())
    import polars

    pd.testing.assert_frame_equal(whole, fit.actual_expected("g", polars.from_pandas(part)))
    holed = part.assign(x=part["x"].where(np.arange(100) > 9))
    pd.testing.assert_frame_equal(fit.actual_expected("other", holed), fit.actual_expected("other", part.iloc[10:]))
    by = part["other"].iloc[10:].to_numpy()  # of the rows that are left
    assert_allclose(fit.actual_expected(by, holed), fit.actual_expected("other", holed))


def test_arrays_bring_their_own_y_and_exposure(fit, frame):
    X = frame[["x"]].to_numpy()
    given = dict(y=frame["y"].to_numpy(), exposure=frame["years"].to_numpy())
    arrays = jglm.fit(X, given["y"], family="poisson", exposure=given["exposure"])
    own, new = arrays.actual_expected("x1", bins=4), arrays.actual_expected("x1", X, bins=4, **given)
    pd.testing.assert_frame_equal(own, new)
    assert_allclose(own["exposure"].sum(), frame["years"].sum())
    assert arrays.actual_expected(frame["g"].to_numpy())["rows"].sum() == N


def test_rows_of_weight_0_count_nothing(frame):
    weights = (np.arange(N) % 2).astype(float)
    broken = frame.assign(w=weights, cost=frame["cost"].where(weights > 0, 1e300))
    fit = jglm.glm("cost ~ x", broken, family="gamma", weights="w")
    kept = frame[weights > 0]
    table = fit.actual_expected("g", broken)
    assert_allclose(table["actual"], kept.groupby("g")["cost"].sum())
    assert table["rows"].sum() == N / 2


# --------------------------------------------------------------------------- intervals
def test_the_interval_of_counts_is_the_score_interval_of_a_rate(fit, frame):
    from statsmodels.stats.rates import confint_poisson

    table = fit.actual_expected("other", frame, level=0.9)
    for _, row in table.iterrows():
        ends = confint_poisson(row["actual"], row["expected"], method="score", alpha=0.1)
        assert_allclose(row[["low", "high"]].to_numpy(float), ends, rtol=1e-8)


@pytest.mark.parametrize("family", ["gamma", "gaussian"])
def test_the_interval_holds_1_where_the_variance_explains_the_distance(frame, family):
    from scipy.stats import t

    fit = jglm.glm("cost ~ x", frame, family=family, link="log")
    mean, by = fit.predict(), pd.qcut(frame["z"], 8, labels=False).to_numpy()
    variance = pd.Series(fit.scale * (mean**2 if family == "gamma" else mean**0)).groupby(by).sum()
    for level in (0.2, 0.9):
        table = fit.actual_expected(by, level=level)
        near = np.abs(table["actual"] - table["expected"]) <= t.ppf(0.5 + level / 2, fit.df_resid) * np.sqrt(variance)
        assert ((table["low"] <= 1) & (table["high"] >= 1)).tolist() == near.tolist()
        if family == "gaussian":
            assert_allclose((table["low"] + table["high"]) / 2, table["ratio"])


def test_where_nothing_happened_the_interval_begins_at_0(fit, frame):
    row = fit.actual_expected((frame["y"] > 0).to_numpy()).iloc[0]
    assert row["actual"] == 0
    assert row["low"] == pytest.approx(0, abs=1e-12)
    assert row["high"] == pytest.approx(1.959964**2 / row["expected"], rel=1e-6)


# --------------------------------------------------------------------------- order
def test_lift_is_by_the_fitted_mean_per_exposure(fit, frame):
    table = fit.lift(groups=4)
    rate = fit.predict() / frame["years"]
    pd.testing.assert_frame_equal(table[["rows", "actual", "ratio", "low"]],
                                  fit.actual_expected(rate.to_numpy(), bins=4)[["rows", "actual", "ratio", "low"]],
                                  check_names=False)  # fmt: skip
    whole = frame["y"].sum() / frame["years"].sum()
    assert_allclose(table["lift"] * whole, table["actual_mean"])
    assert table["fitted_lift"].is_monotonic_increasing


def test_the_gini_index_of_a_yes_or_no_is_that_of_the_roc_curve(frame):
    from sklearn.metrics import roc_auc_score

    fit = jglm.glm("yes ~ x", frame.assign(x=frame["x"].round()), family="bernoulli")  # with ties
    area = roc_auc_score(frame["yes"], fit.predict())
    found = fit.lorenz()
    assert found.gini == pytest.approx((2 * area - 1) * (1 - frame["yes"].mean()), rel=1e-12)
    assert found.largest == pytest.approx(1 - frame["yes"].mean(), rel=1e-12)
    assert found.normalized == pytest.approx(2 * area - 1, rel=1e-12)


def test_the_lorenz_curve_is_that_of_scikit_learns_tutorial(fit, frame):
    found, rate = fit.lorenz(), fit.predict() / frame["years"].to_numpy()
    order = np.argsort(rate)
    shares = [np.cumsum(frame[c].to_numpy()[order]) / frame[c].sum() for c in ("years", "y")]
    assert_allclose(found.exposure[1:], shares[0])
    assert_allclose(found.actual[1:], shares[1])
    area = np.trapezoid(found.actual, found.exposure)
    assert found.gini == pytest.approx(1 - 2 * area, rel=1e-12)


def test_frequencies_are_rows_that_stand_several_times(frame):
    times = np.arange(N) % 3
    fit = jglm.glm("cost ~ x", frame.assign(w=times), family="gamma", weights="w", weight_kind="frequency")
    again = jglm.glm("cost ~ x", frame.loc[frame.index.repeat(times)], family="gamma")
    assert fit.lorenz().gini == pytest.approx(again.lorenz().gini, rel=1e-6)
    columns = ["exposure", "actual", "expected", "ratio", "low", "high"]
    one = fit.actual_expected("g", frame.assign(w=times))[columns]
    assert_allclose(one, again.actual_expected("g", frame.loc[frame.index.repeat(times)])[columns], rtol=1e-6)


def test_double_lift_follows_the_better_model(fit, frame):
    small = jglm.glm("y ~ x", frame, family="poisson", exposure="years")
    table = small.double_lift(fit, groups=5)
    assert_allclose((table["actual"] * table["exposure"]).sum(), frame["y"].sum())
    assert_allclose((table["second"] * table["exposure"]).sum(), fit.predict().sum())
    apart = lambda name: (np.abs(table["actual"] - table[name]) * table["exposure"]).sum()
    assert apart("second") < apart("first")
    pd.testing.assert_frame_equal(small.double_lift(fit.predict(), groups=5), table)
    turned = fit.double_lift(small, groups=5)
    assert_allclose(turned["first"].to_numpy()[::-1], table["second"], rtol=0.2)
    pd.testing.assert_frame_equal(small.double_lift(fit, frame, groups=5), table)


# --------------------------------------------------------------------------- what cannot be
def test_messages_say_what_to_do(fit, frame, tmp_path):
    with pytest.raises(ValueError, match="no column of the data; did you mean 'years'"):
        fit.actual_expected("year", frame)
    with pytest.raises(ValueError, match="detached or loaded"):
        fit.detach().actual_expected("g")
    with pytest.raises(ValueError, match="y= is for new rows"):
        fit.actual_expected("g", y=frame["y"])
    with pytest.raises(TypeError, match="'weight' is none"):
        fit.actual_expected("g", frame, weight=frame["x"])
    with pytest.raises(ValueError, match="weights has 3 rows, data has 400"):
        fit.actual_expected("g", frame, weights=[1.0, 2, 3])
    with pytest.raises(ValueError, match="groups is 0"):
        fit.lift(groups=0)
    with pytest.raises(ValueError, match="same rows and response"):
        fit.double_lift(jglm.glm("cost ~ x", frame, family="gamma"))
    with pytest.raises(ValueError, match="negative"):
        jglm.glm("z ~ x", frame, family="gaussian").lorenz()
    with pytest.raises(ValueError, match="positive"):
        jglm.glm("z ~ x", frame, family="gaussian").double_lift(fit.predict())
    arrays = jglm.fit(frame[["x"]], frame["y"], family="poisson")
    with pytest.raises(ValueError, match="need y="):
        arrays.actual_expected("x", frame[["x"]])


def test_a_vector_mean_and_a_stream_are_refused(frame, tmp_path):
    with pytest.raises(ValueError, match="is a vector: use"):
        jglm.glm("g ~ x", frame, family="categorical").actual_expected("other", frame)
    frame.to_parquet(tmp_path / "rows.parquet")
    stream = jglm.open_parquet(tmp_path / "rows.parquet")
    fit = jglm.glm("z ~ x + g", stream, family="gaussian")
    with pytest.raises(ValueError, match="stay on disk"):
        fit.actual_expected("g")
    with pytest.raises(TypeError, match="stream"):
        fit.actual_expected("g", stream)
    assert_allclose(fit.actual_expected("g", frame)["ratio"], 1.0, rtol=1e-6)


def test_missing_values_are_a_group_where_the_fit_has_them_as_a_level(frame):
    holed = frame.assign(g=frame["g"].where(frame["x"] < 1))
    fit = jglm.glm("y ~ x + g", holed, family="poisson", missing="as_missing")
    table = fit.actual_expected("g", holed)
    assert table.index.tolist() == ["a", "b", "c", "(missing)"]
    pd.testing.assert_frame_equal(table, fit.actual_expected("g"))
    assert_allclose(table["ratio"], 1.0, rtol=1e-8)
