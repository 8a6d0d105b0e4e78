"""Charts: what is drawn is what was computed."""

import numpy as np
import pandas as pd
import pytest

import jglm
from jglm import charts

HOSTILE = "$\\frac{<script>alert(1)</script>"


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(5)
    n = 300
    frame = pd.DataFrame(
        {"x": rng.normal(size=n), "g": rng.choice(list("abc"), n), "years": rng.uniform(0.2, 1.0, n), HOSTILE: 1.0}
    )
    mean = frame["years"] * np.exp(0.3 * frame["x"] + (frame["g"] == "b"))
    return frame.assign(y=rng.poisson(mean))


@pytest.fixture(scope="module")
def fit(frame):
    return jglm.glm("y ~ x + g", frame, family="poisson", exposure="years")


def test_forest_shows_coefficients_on_the_scale_of_the_link(fit):
    ax = charts.forest(fit)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), np.exp(fit.params[1:]))
    ends = np.array([path.vertices[:, 0] for path in ax.collections[0].get_paths()])
    np.testing.assert_allclose(ends, np.exp(fit.conf_int()[1:]))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["x", "g[T.b]", "g[T.c]"]
    assert ax.get_xscale() == "log"
    ax = charts.forest(fit, ratios=False, most=1)
    strongest = np.argmax(np.abs(fit.tvalues[1:])) + 1
    np.testing.assert_allclose(ax.lines[0].get_xdata(), fit.params[[strongest]])


def test_forest_of_several_predictors_and_without_standard_errors(frame):
    fit = jglm.glm("g ~ x", frame, family="categorical")
    ax = charts.forest(fit)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), fit.params[1])
    ends = np.array([path.vertices[:, 0] for path in ax.collections[0].get_paths()])
    np.testing.assert_allclose(ends, fit.conf_int()[1])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["x (b)", "x (c)"]
    alone = fit.with_covariance(None)
    assert not charts.forest(alone).collections


def test_forest_leaves_out_what_has_no_maximum(frame):
    none = frame.assign(y=frame["y"].where(frame["g"] != "b", 0))
    with pytest.warns(UserWarning, match="separat"):
        fit = jglm.glm("y ~ x + g", none, family="poisson")
    ax = charts.forest(fit)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["x", "g[T.c]"]


def test_actual_expected_shows_its_table(fit, frame):
    table = fit.actual_expected("g", frame)
    ax = charts.actual_expected(fit, "g", data=frame)
    bars = next(twin for twin in ax.figure.axes if twin is not ax)
    assert [bar.get_height() for bar in bars.patches] == pytest.approx(table["exposure"])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), table["actual_mean"])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), table["expected_mean"])
    low = ax.collections[0].get_segments()[1][0][1]
    np.testing.assert_allclose(low, table["low"].iloc[1] * table["expected_mean"].iloc[1])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    few = charts.actual_expected(fit, "x", bins=12, most=3)
    assert len(few.lines[0].get_ydata()) == 3
    low, high = fit.actual_expected("x", bins=3).index[0].split(" to ")
    label = charts.actual_expected(fit, "x", bins=3).get_xticklabels()[0].get_text()
    assert label == f"{float(low):.4g} to {float(high):.4g}"


def test_calibration_lift_and_double_lift_show_their_tables(fit, frame):
    table = fit.lift(groups=5)
    ax = charts.calibration(fit, groups=5)
    np.testing.assert_allclose(ax.lines[0].get_data(), [table["expected_mean"], table["actual_mean"]])
    ax = charts.lift(fit, groups=5)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), table["lift"])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), table["fitted_lift"])
    small = jglm.glm("y ~ x", frame, family="poisson", exposure="years")
    double = fit.double_lift(small, groups=4)
    ax = charts.double_lift(fit, small, groups=4, labels=("large", "small"))
    for line, name in zip(ax.lines, ("actual", "first", "second"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), double[name])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["actual", "large", "small"]


def test_lorenz_is_drawn_thinly_and_ends_in_the_corner(fit):
    ax = charts.lorenz(fit)
    x, y = ax.lines[1].get_data()
    assert len(x) <= 201
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert f"{fit.lorenz().gini:.3f}" in ax.get_title()


def test_counts_add_up_over_rows(fit, frame):
    ax = charts.counts(fit, most=3)
    assert [bar.get_height() for bar in ax.patches] == [np.sum(frame["y"] == k) for k in range(4)]
    from scipy.stats import poisson

    expected = poisson.pmf(np.arange(4)[:, None], fit.predict()).sum(axis=1)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), expected, rtol=1e-8)
    with pytest.raises(ValueError, match="counts"):
        charts.counts(jglm.fit(frame[["x"]], frame["years"], family="gamma"))


def test_residuals_are_those_of_the_fit_or_a_sample(fit):
    r, lin = fit.residuals(kind="quantile"), fit.predict(kind="link")
    np.testing.assert_allclose(charts.quantile_quantile(fit).lines[0].get_ydata(), np.sort(r))
    np.testing.assert_allclose(charts.quantile_residuals(fit).lines[0].get_data(), [lin, r])


def test_of_many_rows_a_sample_is_drawn(frame):
    fit = jglm.glm("years ~ x", frame, family="gaussian")
    few = charts.quantile_residuals(fit, most=40).lines[0].get_xdata()
    assert len(few) == 40
    assert set(few) <= set(fit.predict(kind="link"))


def test_influence_and_partial_residuals(fit):
    ax = charts.influence(fit, labels=2)
    worst = np.argsort(-fit.cooks_distance())[:2]
    assert [t.get_text() for t in ax.texts] == [str(i) for i in worst]
    line = charts.partial_residuals(fit, "x").lines[-1]
    slope = np.diff(line.get_ydata()) / np.diff(line.get_xdata())
    np.testing.assert_allclose(slope, fit.params[fit.names.index("x")])
    with pytest.raises(ValueError, match="no column"):
        charts.partial_residuals(fit, "age")


def test_convergence_shows_the_history(fit):
    gradient = charts.convergence(fit).lines[0].get_ydata()
    np.testing.assert_allclose(gradient, fit.history[:, 1][fit.history[:, 1] > 0])


def test_hostile_names_are_drawn_as_they_are(fit, frame):
    ax = charts.actual_expected(fit, HOSTILE, data=frame)
    ax.figure.draw_without_rendering()  # matplotlib would read a formula between dollars
    assert "<script>" in ax.get_xlabel()


def test_charts_draw_into_the_axes_given(fit):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert charts.lift(fit, ax) is ax
    assert charts.lorenz(fit, ax=ax) is ax
