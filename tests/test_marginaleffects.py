"""The package marginaleffects asks a Fit what it asks of the same model by statsmodels, and gets the same answers."""

import numpy as np
import pandas
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import jglm

polars = pytest.importorskip("polars")
if int(polars.__version__.split(".")[0]) > 1:
    pytest.skip("marginaleffects 0.6 works with Polars 1 alone", allow_module_level=True)
me = pytest.importorskip("marginaleffects")
pytestmark = pytest.mark.filterwarnings("ignore:.cat.get_categories:DeprecationWarning")
STEP = 1e-4  # of that package's differences in the coefficients: its own leaves three digits of a slope's error

FORMULA = "y ~ zone + x * z"


def frame(n=240):
    rng = np.random.default_rng(0)
    f = pandas.DataFrame({
        "zone": pandas.Categorical(rng.choice(list("abc"), n)), "x": rng.normal(size=n), "z": rng.normal(size=n),
        "w": rng.uniform(0.5, 2.0, n), "years": rng.uniform(0.5, 2.0, n), "band": rng.integers(1, 4, n),
    })  # fmt: skip
    return f.assign(y=rng.poisson(np.exp(0.3 * (f.zone == "b") + 0.2 * f.x)), sick=rng.integers(0, 2, n))


@pytest.fixture(scope="module")
def pair():
    data = frame()
    own = jglm.glm(FORMULA, data, family="poisson", tol=1e-12)
    return own, smf.glm(FORMULA, data, family=sm.families.Poisson()).fit(tol=1e-14)


def same(own, other, rtol=1e-6, columns=("estimate", "std_error")):
    keys = [c for c in ("term", "contrast", "zone", "group", "rowid") if c in own.columns]
    own, other = (v.data.sort(keys) if keys else v.data for v in (own, other))
    for column in columns:
        np.testing.assert_allclose(own[column].to_numpy(), other[column].to_numpy(), rtol=rtol, err_msg=column)


QUESTIONS = {
    "avg_slopes": lambda m: me.avg_slopes(m, eps_vcov=STEP),
    "slopes by a factor": lambda m: me.avg_slopes(m, variables="x", by="zone", eps_vcov=STEP),
    "predictions": lambda m: me.predictions(m),
    "predictions on a grid": lambda m: me.predictions(m, newdata=me.datagrid(model=m, x=[0.0, 1.0])),
    "avg_predictions": lambda m: me.avg_predictions(m, by="zone"),
    "comparisons": lambda m: me.avg_comparisons(m),
    "ratios": lambda m: me.avg_comparisons(m, variables={"zone": "pairwise"}, comparison="ratio"),
    "hypotheses": lambda m: me.hypotheses(m, hypothesis="x = z"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_those_of_the_same_statsmodels_fit(pair, question):
    own, other = pair
    same(QUESTIONS[question](own.for_marginaleffects()), QUESTIONS[question](other))


def test_answers_are_our_own_too(pair):
    own, _ = pair
    found = me.avg_slopes(own.for_marginaleffects(), eps_vcov=1e-6).data.sort("term", "contrast")
    ours = own.marginal_effects(["x", "z", "zone"])
    np.testing.assert_allclose(found["estimate"], ours.value, rtol=1e-6)
    np.testing.assert_allclose(found["std_error"], ours.bse, rtol=1e-4)


def test_robust_covariances_and_links_and_degrees_of_freedom(pair):
    own, _ = pair
    found = me.avg_slopes(own.for_marginaleffects(), vcov="HC1")
    same(found, me.avg_slopes(own.with_covariance("HC1").for_marginaleffects()))
    weighted = jglm.glm(FORMULA, frame(), family="poisson", weights="w")
    by = me.avg_predictions(weighted.for_marginaleffects(), by="zone", wts="w").data["estimate"]
    mean = [np.average(weighted.predict()[frame().zone == v], weights=frame().w[frame().zone == v]) for v in "abc"]
    np.testing.assert_allclose(by, mean, rtol=1e-10)
    assert not np.allclose(found.data["std_error"], me.avg_slopes(own.for_marginaleffects()).data["std_error"])
    link = me.predictions(own.for_marginaleffects("link")).data
    np.testing.assert_allclose(link["estimate"], own.predict(kind="link"), rtol=1e-12)
    interval = own.predict(interval="mean")
    np.testing.assert_allclose(np.exp(link["conf_low"]), interval[:, 1], rtol=1e-6)  # the normal, as the fit
    gaussian = jglm.glm("x ~ zone + z", frame(), family="gaussian")
    p = me.hypotheses(gaussian.for_marginaleffects()).data["p_value"].to_numpy()
    np.testing.assert_allclose(p, gaussian.pvalues, rtol=1e-6)  # t
    numbers = jglm.glm("x ~ w + z", frame(), family="gaussian")
    joint = me.hypotheses(numbers.for_marginaleffects(), joint=["w", "z"]).data
    wald = numbers.wald_test("w = 0, z = 0")
    np.testing.assert_allclose([joint["statistic"][0], joint["p_value"][0]], [wald.statistic, wald.pvalue], rtol=1e-6)


def test_offsets_factors_of_numbers_and_aliased_columns():
    data = frame()
    data["twice"] = 2 * data.x
    own = jglm.glm("y ~ C(band) + x + twice + np.log(w)", data, family="poisson", exposure="years")
    assert own.aliased == ["twice"]
    model = own.for_marginaleffects()
    found = me.avg_predictions(model, by="band").data
    by = pandas.Series(own.predict()).groupby(data.band).mean()
    np.testing.assert_allclose(found["estimate"], by[list(map(int, found["band"].to_list()))], rtol=1e-10)
    slopes = {(r["term"], r["contrast"]): r for r in me.avg_slopes(model, eps_vcov=1e-5).data.to_dicts()}
    ours = own.marginal_effects(["band", "w"]).table()
    np.testing.assert_allclose(slopes["w", "dY/dX"]["estimate"], ours.loc["w"].iloc[0], rtol=1e-4)
    np.testing.assert_allclose(slopes["band", "3 - 1"]["estimate"], ours.iloc[1, 0], rtol=1e-7)
    np.testing.assert_allclose(slopes["band", "3 - 1"]["std_error"], ours.std_err.iloc[1], rtol=1e-4)


def test_classes_and_cutpoints():
    data = frame()
    data["grade"] = pandas.Categorical(np.where(data.x > 0.5, "high", np.where(data.z > 0, "low", "mid")))
    soft = jglm.glm("grade ~ w + zone", data, family="categorical")
    found = me.avg_predictions(soft.for_marginaleffects()).data.sort("group")
    np.testing.assert_allclose(found["estimate"], soft.predict().mean(axis=0), rtol=1e-10)
    ordinal = jglm.glm("grade ~ w + zone", data, family="ordinal")
    model = ordinal.for_marginaleffects()
    assert len(model.get_coef()) == ordinal.rank + 2
    found = me.avg_slopes(model, variables="w", eps_vcov=1e-6).data.sort("group")
    ours = ordinal.marginal_effects("w")
    np.testing.assert_allclose(found["estimate"], ours.value.ravel(), rtol=1e-4)
    np.testing.assert_allclose(found["std_error"], ours.bse.ravel(), rtol=1e-3)


def test_fits_that_cannot_be_asked(pair):
    own, _ = pair
    with pytest.raises(ValueError, match="needs the data"):
        own.detach().for_marginaleffects()
    with pytest.raises(ValueError, match="given as an array"):
        jglm.glm("y ~ x", frame(), family="poisson", exposure=frame().years.to_numpy()).for_marginaleffects()
    with pytest.raises(ValueError, match="kind"):
        own.for_marginaleffects("response")


def test_arrays_are_asked_by_their_columns():
    data = frame()
    fit = jglm.fit(data[["x", "z"]], data.sick, family="bernoulli", tol=1e-12)
    other = smf.glm("sick ~ x + z", data, family=sm.families.Binomial()).fit(tol=1e-14)
    same(me.avg_slopes(fit.for_marginaleffects(), eps_vcov=STEP), me.avg_slopes(other, eps_vcov=STEP))
