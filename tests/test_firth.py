"""Bias-reduced fits: brglm2's numbers, and the laws that define them."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jglm

HERE = Path(__file__).parent / "references" / "firth"
R = json.loads((HERE / "firth.json").read_text())
PENALTY = {"AS_mean": "firth", "MPL_Jeffreys": "jeffreys"}
OWN = jglm.Family("own", a=lambda eta: jnp.logaddexp(0.0, eta))  # known by its log-partition alone


def read(name):
    frame = pd.read_csv(HERE / f"{name}.csv")
    orders = dict(height=["<5ft", ">=5ft"], diameter=["<=2in", ">2in"], light=["sunny", "shady"],
                  time=["early", "midday", "late"], size=["<=2.3", ">2.3"], tension=["L", "M", "H"],
                  lake=["Hancock", "Oklawaha", "Trafford", "George"],
                  foodchoice=["Fish", "Invertebrate", "Reptile", "Bird", "Other"])  # fmt: skip
    for column, order in orders.items():
        if column in frame:
            frame[column] = pd.Categorical(frame[column], order)
    return frame


def fitted(name, link, penalty):
    if name == "lizards":
        frame = read(name)
        frame["trials"] = frame.grahami + frame.opalinus
        formula, rest = "grahami ~ height + diameter + light + time", dict(family="binomial", trials="trials")
    elif name == "endometrial":
        frame, formula, rest = read(name), "HG ~ NV + PI + EH", dict(family="bernoulli")
    else:
        frame, formula, rest = read(name), "breaks ~ wool * tension", dict(family="poisson")
    return jglm.glm(formula, frame, link=link, penalty=penalty, **rest)


@pytest.mark.parametrize("case", [name for name in R if name.count(".") == 2 and "cauchit" not in name])
def test_estimates_are_those_of_brglm2(case):
    name, link, kind = case.split(".")
    fit = fitted(name, link, PENALTY[kind])
    assert fit.converged
    np.testing.assert_allclose(fit.params, R[case]["coef"], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.bse, R[case]["se"], rtol=1e-6)
    if link != "sqrt":
        np.testing.assert_allclose(fit.llf, R[case]["llf"], rtol=1e-8)


@pytest.mark.parametrize("family", ["gamma", "inverse_gaussian", "gaussian"])
def test_dispersions_are_reduced_as_in_brglm2(family):
    frame = pd.read_csv(HERE.parent / "diagnostics" / "trees.csv")
    formula = "Volume ~ Girth + Height" if family == "gaussian" else "Volume ~ np.log(Girth) + np.log(Height)"
    fit = jglm.glm(formula, frame, family=family, link="identity" if family == "gaussian" else "log", penalty="firth")
    right = R[f"trees.{family}"]
    np.testing.assert_allclose(fit.params, right["coef"], rtol=1e-6)
    np.testing.assert_allclose(fit.scale, right["dispersion"], rtol=1e-6)
    np.testing.assert_allclose(fit.bse, right["se"], rtol=1e-6)


def test_classes_are_those_of_brmultinom():
    fit = jglm.glm("foodchoice ~ size + lake", read("alligators"), family="categorical", weights="w", penalty="firth")
    np.testing.assert_allclose(fit.params.T, R["alligators"]["coef"], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.bse.T.ravel(), R["alligators"]["se"], rtol=1e-6)


def test_penalized_tests_and_intervals_are_those_of_r():
    fit = fitted("endometrial", "logit", "firth")
    table = fit.penalized_table()
    for column in ("chi2", "low", "high"):
        np.testing.assert_allclose(table[column], R["penalized"][column], rtol=1e-6)
    np.testing.assert_allclose(fit.penalized_intervals(), table[["low", "high"]].to_numpy(), rtol=1e-7)
    statistic, df, _ = fit.penalized_test(["NV"])
    np.testing.assert_allclose([statistic, df], [R["penalized"]["chi2"][1], 1], rtol=1e-6)
    np.testing.assert_allclose(fit.conf_int(method="profile"), fit.penalized_intervals(), rtol=1e-5)
    # log-likelihood and determinant, by hand
    frame = read("endometrial")
    X = np.column_stack([np.ones(len(frame)), frame.NV, frame.PI, frame.EH])
    mu = 1 / (1 + np.exp(-X @ fit.params))
    value = np.sum(np.log(np.where(frame.HG == 1, mu, 1 - mu)))
    value += 0.5 * np.linalg.slogdet((X * (mu * (1 - mu))[:, None]).T @ X)[1]
    np.testing.assert_allclose(fit.penalized_llf, value, rtol=1e-9)


def test_a_family_of_its_own_has_the_reduced_score():
    frame = read("endometrial")
    X = frame[["NV", "PI", "EH"]].to_numpy()
    fit = jglm.fit(X, frame["HG"].to_numpy(), family=OWN, penalty=jglm.penalties.firth())
    np.testing.assert_allclose(fit.params, R["endometrial.logit.AS_mean"]["coef"], rtol=1e-6)


def test_the_jeffreys_fit_maximizes_the_penalized_likelihood():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(40, 2)), rng.integers(0, 3, 40).astype(float)
    y = rng.poisson(np.exp(0.3 * X[:, 0]))
    fit = jglm.fit(X, y, family="poisson", link="sqrt", weights=weights, offset=0.1 * X[:, 1] + 1, penalty="jeffreys")
    Z = np.column_stack([np.ones(40), X])

    def objective(coef):
        lin = Z @ coef + 0.1 * X[:, 1] + 1
        info = (Z * (4 * weights)[:, None]).T @ Z  # the square root stabilizes the variance
        return jnp.sum(weights * (y * jnp.log(lin**2) - lin**2)) + 0.5 * jnp.linalg.slogdet(info)[1]

    np.testing.assert_allclose(jax.grad(objective)(fit.params), 0.0, atol=1e-6)


def test_bias_of_order_one_over_n_is_gone():
    # a Poisson mean on the log scale, exactly: y ~ Poisson(n m), the estimate log((y + 1/2) / n)
    fit = jglm.fit(np.zeros((5, 0)), [0, 0, 0, 0, 0], family="poisson", penalty="firth")
    np.testing.assert_allclose(fit.params, np.log(0.5 / 5), rtol=1e-7)
    fit = jglm.fit(np.zeros((4, 0)), [1, 0, 0, 0], family="bernoulli", penalty="firth")
    np.testing.assert_allclose(fit.params, np.log(1.5 / 3.5), rtol=1e-7)


def test_aliased_columns_and_rows_of_weight_0_are_left_out():
    frame = read("endometrial")
    X = frame[["NV", "PI", "EH"]].to_numpy()
    X, y = np.column_stack([X, X[:, 0] + X[:, 2]]), frame["HG"].to_numpy()
    X, y = np.vstack([X, [50.0, 1.0, 1.0, 1.0]]), np.append(y, 1)
    fit = jglm.fit(X, y, family="bernoulli", weights=np.append(np.ones(79), 0.0), penalty="firth")
    np.testing.assert_allclose(fit.params[:4], R["endometrial.logit.AS_mean"]["coef"], rtol=1e-6)
    assert np.isnan(fit.params[4])
    assert fit.aliased == ["x4"]


def test_it_is_saved_and_says_what_it_cannot(tmp_path):
    fit = fitted("endometrial", "logit", "firth")
    assert "reduced bias" in str(fit.summary())
    fit.save(tmp_path / "model")
    again = jglm.load(tmp_path / "model")
    np.testing.assert_array_equal(again.params, fit.params)
    assert type(again.model.penalty).__name__ == "Firth"
    with pytest.raises(ValueError, match="negative_binomial"):
        jglm.fit([[0.0], [1.0], [2.0]], [1, 2, 5], family="negative_binomial", penalty="firth")
    with pytest.raises(ValueError, match="penalty is 'first'"):
        jglm.fit([[0.0], [1.0], [2.0]], [1, 2, 5], family="poisson", penalty="first")
    with pytest.raises(ValueError, match="penalized likelihood"):
        fitted("endometrial", "probit", "firth").penalized_intervals()
    with pytest.raises(ValueError, match="stand alone"):
        jglm.penalties.firth() + jglm.penalties.ridge(1.0)
    with pytest.raises(ValueError, match="solver"):
        jglm.fit([[0.0], [1.0], [2.0]], [1, 2, 5], family="poisson", penalty="firth", solver="newton")
