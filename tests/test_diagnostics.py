"""Diagnostics of rows and columns: R's numbers, exact deletions, and laws that hold for every family."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jglm

HERE = Path(__file__).parent / "references" / "diagnostics"
R = json.loads((HERE / "influence.json").read_text())
DOBSON = pd.DataFrame(
    dict(counts=[18, 17, 15, 20, 10, 20, 25, 13, 12], outcome=[1, 2, 3] * 3, treatment=[1] * 3 + [2] * 3 + [3] * 3)
)
OWN = jglm.Family("own", a=lambda eta: jnp.logaddexp(0.0, eta) + 0.1 * eta**2)  # known by its log-partition alone


def read(name):
    return pd.read_csv(HERE / f"{name}.csv")


def array(values):
    return np.array([[np.nan if v is None else v for v in np.atleast_1d(row)] for row in values], float).squeeze()


@pytest.fixture(scope="module")
def fits():
    budworm = read("budworm").assign(trials=20)
    return {
        "poisson": jglm.glm("counts ~ C(outcome) + C(treatment)", DOBSON, family="poisson"),
        "gamma": jglm.glm(
            "Volume ~ np.log(Girth) + np.log(Height)", read("trees"), family="gamma", link="log", weights="w"
        ),
        "binomial": jglm.glm("dead ~ sex + ldose", budworm, family="binomial", link="probit", trials="trials"),
        "gaussian": jglm.glm("mpg ~ wt + hp + qsec", read("mtcars"), family="gaussian"),
    }


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 2))
    return X, rng


@pytest.mark.parametrize("name", ["poisson", "gamma", "binomial", "gaussian"])
def test_influence_measures_are_those_of_r(fits, name):
    fit, right = fits[name], R[name]
    close = lambda got, key, tol=1e-7: np.testing.assert_allclose(got, array(right[key]), rtol=tol, atol=1e-9)
    np.testing.assert_allclose(fit.params, right["coef"], rtol=1e-7, atol=1e-9)
    close(fit.leverage(), "hat")
    close(fit.cooks_distance(), "cooks", 1e-6)
    close(fit.standardized_residuals(), "rstandard", 1e-6)
    close(fit.standardized_residuals("pearson"), "rstandard_pearson", 1e-6)
    close(fit.studentized_residuals(), "rstudent", 1e-6)
    np.testing.assert_allclose(fit.dfbeta(), array(right["dfbeta"]), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(fit.dfbetas(), array(right["dfbetas"]), rtol=1e-5, atol=1e-8)
    close(fit.dffits(), "dffits", 1e-6)
    table = fit.influence_measures()
    close(table["covratio"], "covratio", 1e-6)
    assert table["influential"].tolist() == right["influential"]
    partial = fit.partial_residuals()
    np.testing.assert_allclose(partial.to_numpy(), array(right["partial"]).reshape(partial.shape), rtol=1e-5, atol=1e-8)


def test_vif_is_that_of_car(fits):
    fit = jglm.glm("mpg ~ wt + hp + C(cyl) + C(gear)", read("mtcars"), family="gaussian")
    found, right = fit.vif(), R["vif"]
    assert found["df"].tolist() == right["df"]
    np.testing.assert_allclose(found["gvif"], right["gvif"], rtol=1e-9)
    np.testing.assert_allclose(found["gvif_scaled"], right["scaled"], rtol=1e-9)
    # of one column: 1 / (1 - R^2) of its regression on the others
    frame = read("mtcars")
    others = np.column_stack([np.ones(len(frame)), frame.hp, frame.qsec])
    rest = frame.wt - others @ np.linalg.lstsq(others, frame.wt, rcond=None)[0]
    inflated = np.sum((frame.wt - frame.wt.mean()) ** 2) / np.sum(rest**2)
    np.testing.assert_allclose(fits["gaussian"].vif().loc["wt", "gvif"], inflated, rtol=1e-9)


def test_condition_numbers_are_those_of_scaled_columns(fits):
    fit, frame = fits["gaussian"], read("mtcars")
    X = np.column_stack([np.ones(len(frame)), frame.wt, frame.hp, frame.qsec])
    values = np.linalg.svd(X / np.linalg.norm(X, axis=0))[1]
    np.testing.assert_allclose(fit.condition_number(), values[0] / values[-1], rtol=1e-8)
    table = fit.condition_table()
    np.testing.assert_allclose(table.index, values[0] / values, rtol=1e-8)
    np.testing.assert_allclose(table.sum(), 1.0)


def test_the_hauck_donner_effect_is_that_of_vgam():
    frame = read("infert")
    fit = jglm.glm("case ~ spontaneous + induced", frame, family="bernoulli")
    np.testing.assert_allclose(fit.wald_slopes(), R["hdeff"]["slope"], rtol=1e-4)
    assert fit.hauck_donner().tolist() == R["hdeff"]["effect"]
    x, y = [[0.0]] * 10 + [[1.0]] * 100, [1] * 5 + [0] * 5 + [1] * 99 + [0]
    strong = jglm.fit(x, y, family="bernoulli")
    np.testing.assert_allclose(strong.wald_slopes(), R["hdeff_strong"]["slope"], rtol=1e-4)
    assert strong.hauck_donner().tolist() == R["hdeff_strong"]["effect"]
    assert "Hauck-Donner effect for x1" in str(strong.summary())
    assert "Hauck-Donner" not in str(fit.summary())


def test_statsmodels_takes_the_score_step():
    sm = pytest.importorskip("statsmodels.api")
    X = sm.add_constant(read("trees")[["Girth", "Height"]].to_numpy())
    y = np.round(read("trees")["Volume"].to_numpy())
    theirs = sm.GLM(y, X, family=sm.families.Poisson()).fit(tol=1e-12).get_influence()
    fit = jglm.fit(X[:, 1:], y, family="poisson")
    np.testing.assert_allclose(fit.leverage(), theirs.hat_matrix_diag, rtol=1e-6)
    np.testing.assert_allclose(fit.cooks_distance(), theirs.cooks_distance[0], rtol=1e-5)
    np.testing.assert_allclose(fit.dfbeta("score"), theirs.d_params, rtol=1e-4, atol=1e-8)


def _families(X, rng):
    n = len(X)
    lin = X @ [0.5, -0.3]
    yield "own", OWN, rng.integers(0, 2, n)
    yield "poisson", "poisson", rng.poisson(np.exp(lin))
    yield "categorical", "categorical", rng.integers(0, 3, n)
    yield "beta", "beta", rng.beta(2, 3, n)


def test_laws_hold_for_every_family(data):
    X, rng = data
    for name, family, y in _families(X, rng):
        weights = np.where(np.arange(60) == 7, 0.0, 1.0)
        fit = jglm.fit(X, y, family=family, weights=weights)
        h = fit.leverage()
        unknowns = fit.rank + (1 if name == "beta" else 0)
        assert np.isclose(h.sum(), unknowns), name
        assert np.all(h >= 0)
        assert h[7] == fit.cooks_distance()[7] == np.max(np.abs(fit.dfbeta("score")[7])) == 0
        np.testing.assert_allclose(fit.dffits("score") ** 2, unknowns * fit.cooks_distance(), rtol=1e-9, atol=1e-12)
        assert fit.wald_slopes().shape == fit.params.shape
        groups = fit.by_group(np.arange(60) % 3)
        assert np.isclose(np.sum(groups["rows"]), 59)
        # without the row the model is what the step says, to first order
        refit = jglm.fit(X, y, family=family, weights=np.where(np.arange(60) == 11, 0.0, weights))
        moved = fit.params - refit.params
        assert np.linalg.norm(moved - fit.dfbeta("score")[11]) < 0.15 * np.linalg.norm(moved), name


def test_a_deletion_of_least_squares_is_exact(fits):
    frame, fit = read("mtcars"), fits["gaussian"]
    refit = jglm.glm("mpg ~ wt + hp + qsec", frame.drop(index=16), family="gaussian")
    np.testing.assert_allclose(fit.params - refit.params, fit.dfbeta("score")[16], rtol=1e-8)
    np.testing.assert_allclose(fit.params - refit.params, fit.dfbeta()[16], rtol=1e-8)


def test_standardized_residuals_of_classes_have_the_covariance_of_their_errors(data):
    X, rng = data
    y = rng.integers(0, 3, 60)
    fit = jglm.fit(X, y, family="categorical")
    Z, mu = np.column_stack([np.ones(60), X]), fit.predict()
    # y - mu = (1 - hat) (y - E y) with the hat matrix of all rows and classes written out
    V = np.zeros((180, 180))
    for i in range(60):
        V[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = np.diag(mu[i]) - np.outer(mu[i], mu[i])
    wide = np.zeros((180, 6))
    for i in range(60):
        for j in (1, 2):
            wide[3 * i + j, 3 * (j - 1) : 3 * j] = Z[i]
    left = V - V @ wide @ np.linalg.inv(wide.T @ V @ wide) @ wide.T @ V
    right = ((y[:, None] == np.arange(3)) - mu) / np.sqrt(np.diagonal(left).reshape(60, 3))
    np.testing.assert_allclose(fit.standardized_residuals("pearson"), right, rtol=1e-7)
    with pytest.raises(ValueError, match="pearson"):
        fit.standardized_residuals("deviance")


def test_groups_and_calibration_add_up(fits):
    fit = fits["binomial"]
    table = fit.by_group("fitted", bins=4)
    np.testing.assert_allclose(table["weight"].sum(), 240)
    np.testing.assert_allclose(table["actual"].sum(), 111)
    np.testing.assert_allclose(table["deviance"].sum(), fit.deviance)
    np.testing.assert_allclose(table["pearson_chi2"].sum(), fit.pearson_chi2)
    deciles = fit.calibration(4)
    np.testing.assert_allclose((deciles["weight"] * deciles["observed"]).sum(), 111)
    own = fit.calibration_line()
    np.testing.assert_allclose([own.slope, own.intercept, own.in_the_large], [1.0, 0.0, 0.0], atol=1e-6)
    poisson = fits["poisson"]
    groups = poisson.by_group(DOBSON["outcome"].to_numpy())
    np.testing.assert_allclose(groups["ratio"], 1.0)  # the factor is in the model
    assert groups["rows"].tolist() == [3, 3, 3]


def test_a_calibration_line_of_new_rows_is_a_fit(data):
    X, rng = data
    fit = jglm.fit(X, rng.poisson(np.exp(0.5 * X[:, 0])), family="poisson")
    new, y = rng.normal(size=(80, 2)), rng.poisson(2.0, 80)
    line = fit.calibration_line(new, y)
    lin = fit.predict(new, kind="link")
    again = jglm.fit(lin[:, None], y, family="poisson")
    np.testing.assert_allclose([line.intercept, line.slope], again.params, rtol=1e-7)
    np.testing.assert_allclose([line.intercept_se, line.slope_se], again.bse, rtol=1e-6)
    table = fit.calibration(5, X=new, y=y)
    np.testing.assert_allclose((table["weight"] * table["observed"]).sum(), y.sum())


def test_what_cannot_be_says_so(fits):
    fit = fits["poisson"]
    with pytest.raises(ValueError, match="no term 'age'"):
        fit.partial_residuals("age")
    with pytest.raises(ValueError, match="one group per row"):
        fit.by_group([1, 2])
    with pytest.raises(ValueError, match="no column of the model"):
        fit.by_group("age")
    with pytest.raises(ValueError, match="data"):
        fit.detach().leverage()
    lasso = jglm.fit([[0.0], [1.0], [2.0]], [1, 2, 5], family="poisson", penalty=jglm.penalties.lasso(0.1))
    with pytest.raises(ValueError, match="kinks"):
        lasso.cooks_distance()


def test_classes_that_are_all_alike_have_leverages_too(data):
    X, rng = data
    y = rng.integers(0, 3, 60)
    alike = jglm.fit(X, y, family="categorical", penalty=jglm.penalties.ridge(1.0))
    mu, Z = alike.predict(), np.column_stack([np.ones(60), X])
    V = np.einsum("ij,jk->ijk", mu, np.eye(3)) - np.einsum("ij,ik->ijk", mu, mu)
    H = np.einsum("ijk,ia,ib->jakb", V, Z, Z).reshape(9, 9)
    C = np.linalg.pinv(H + np.diag([0.0, 1.0, 1.0] * 3), rcond=1e-9).reshape(3, 3, 3, 3)
    right = np.einsum("ijk,ia,kajb,ib->i", V, Z, C, Z)
    np.testing.assert_allclose(alike.leverage(), right, rtol=1e-5)
    assert np.all(alike.cooks_distance() < 1)


def test_groups_by_a_column_of_the_frame_keep_its_order():
    frame = pd.DataFrame(
        {"y": [1.0, 2, 3, 4, 5, 7], "size": pd.Categorical(list("smlsml"), list("sml")), "x": range(6)}
    )
    fit = jglm.glm("y ~ x + size", frame, family="poisson")
    table = fit.by_group("size")
    assert table.index.tolist() == ["s", "m", "l"]
    np.testing.assert_allclose(table["actual"], [5.0, 7.0, 10.0])
    np.testing.assert_allclose(table["expected"], table["actual"], rtol=1e-8)
    assert fit.by_group("x", bins=2)["rows"].tolist() == [3, 3]
