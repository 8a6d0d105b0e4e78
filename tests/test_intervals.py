"""Profile-likelihood intervals and the delta method: against R and statsmodels, and by the laws that define them."""

import json
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas
import pytest
from scipy import optimize, stats

import jglm
from jglm.inference import profiles

CASES = json.loads((Path(__file__).parent / "references" / "inference" / "profiles.json").read_text())
QUANTILE = stats.chi2.ppf(0.95, 1)


def arrays(n=120, seed=3):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=n), rng.integers(0, 2, n), rng.gamma(2.0, size=n)])
    return rng, X


def fit_case(case):
    X = np.asarray(case["X"], float)
    options = dict(weights=case.get("weights"), offset=case.get("offset"))
    return jglm.fit(X, case["y"], family=case["family"], link=case.get("link"), intercept=False, names=case["names"],
                    tol=1e-11, **{k: v for k, v in options.items() if v is not None})  # fmt: skip


# --------------------------------------------------------------------------- profiles against R
@pytest.mark.parametrize("name", [n for n, c in CASES.items() if "exact" in c])
def test_profiles_are_those_of_r(name):
    case = CASES[name]
    fit, se = fit_case(case), np.array(case["bse"])[:, None]
    np.testing.assert_allclose(fit.params, case["params"], rtol=1e-6)
    level = 0.95
    if fit.family.dispersion == "estimated":  # confint of MASS takes the normal quantile there, we that of F
        level = 2 * stats.t.cdf(stats.norm.ppf(0.975), case["df"]) - 1
    found = fit.conf_int(level, method="profile")
    assert np.abs((found - case["exact"]) / se).max() < 2e-6
    assert np.abs((found - case["mass"]) / se).max() < 5e-3


def test_profiles_of_classes_are_those_of_vgam():
    case = CASES["iris"]
    fit = fit_case(case)
    found = fit.conf_int(method="profile")
    assert found.shape == (2, 2, 2)
    expected = np.reshape(case["vgam"], (2, 2, 2))  # by column of X, then by class
    assert np.abs((found - expected) / fit.bse[:, :, None]).max() < 5e-3


def test_a_gaussian_profile_is_the_t_interval():
    fit = fit_case(CASES["mtcars"])
    np.testing.assert_allclose(fit.conf_int(method="profile"), fit.conf_int(), rtol=1e-8)


# --------------------------------------------------------------------------- what defines them
def deviance_at(fit, X, y, j, t, **options):
    """The deviance with coefficient j held at t, by an offset."""
    offset = options.pop("offset", 0.0) + X[:, j] * t
    other = jglm.fit(np.delete(X, j, axis=1), y, family=fit.family, link=fit.link, offset=offset, intercept=False,
                     tol=1e-11, **options)  # fmt: skip
    return other.deviance


def test_ends_of_an_own_family_are_where_the_deviance_says():
    own = jglm.Family("log_cosh", a=lambda eta: jnp.logaddexp(eta, -eta), domain=(-jnp.inf, jnp.inf))
    rng, X = arrays()
    X = np.column_stack([np.ones(120), X[:, 0]])
    y = np.where(rng.random(120) < 1 / (1 + np.exp(-2 * (0.3 + 0.5 * X[:, 1]))), 1.0, -1.0)
    fit = jglm.fit(X, y, family=own, intercept=False, tol=1e-11)
    for j, ends in enumerate(fit.conf_int(method="profile")):
        for t in ends:
            assert deviance_at(fit, X, y, j, t) - fit.deviance == pytest.approx(QUANTILE, abs=1e-6)


def test_a_weighted_fit_with_offset_and_trials():
    rng, X = arrays()
    X, trials, offset = np.column_stack([np.ones(120), X[:, 0]]), rng.integers(1, 9, 120), rng.normal(size=120)
    weights = rng.integers(0, 3, 120)
    y = rng.binomial(trials, 0.4)
    options = dict(trials=trials, weights=weights, weight_kind="frequency")
    fit = jglm.fit(X, y, family="binomial", intercept=False, offset=offset, tol=1e-11, **options)
    low, high = fit.conf_int(0.9, method="profile")[1]
    for t in (low, high):
        gap = deviance_at(fit, X, y, 1, t, offset=offset, **options) - fit.deviance
        assert gap == pytest.approx(stats.chi2.ppf(0.9, 1), abs=1e-6)


def test_parameters_of_the_family():
    rng, X = arrays(120)
    X = X[:, :1]
    mu = np.exp(0.6 + 0.4 * X[:, 0])
    y = rng.negative_binomial(2.0, 2.0 / (2.0 + mu))
    fit = jglm.fit(X, y, family="negative_binomial", tol=1e-10)
    found = fit.profile()
    assert found.names == ["Intercept", "x1", "r"]
    for r in (found.low[2], found.high[2]):
        other = jglm.fit(X, y, family=jglm.families.negative_binomial(float(r)), tol=1e-10)
        assert 2 * (fit.llf - other.llf) == pytest.approx(QUANTILE, abs=1e-5)
    # Coefficients hold r as their standard errors do; jointly it is estimated anew, which widens them here.
    held = jglm.fit(X, y, family=jglm.families.negative_binomial(fit.family_params["r"]), tol=1e-10)
    np.testing.assert_allclose(found.conf_int()[:2], held.conf_int(method="profile"), atol=1e-6)
    joint = fit.with_covariance("joint")
    wide = joint.conf_int(method="profile")
    assert np.all(wide[:, 0] < found.low[:2])
    assert np.all(wide[:, 1] > found.high[:2])
    ratio = joint.profile(lambda params, family_params: params[1] * family_params["r"])
    assert ratio.low[0] < fit.params[1] * fit.family_params["r"] < ratio.high[0]


def test_counts_without_overdispersion_have_no_upper_end_of_r():
    rng, X = arrays(120)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = jglm.fit(X[:, :1], rng.poisson(3.0 - np.sin(X[:, 0])), family="negative_binomial")
    found = fit.profile()
    assert found.high[2] == np.inf
    assert "flat" in found.reasons[2][1]
    assert 0 < found.low[2] < 1e3


def test_functions_have_the_profiles_of_what_they_are():
    rng, X = arrays()
    y = rng.poisson(np.exp(0.3 + 0.4 * X[:, 0]))
    fit = jglm.fit(X, y, family="poisson", tol=1e-11)
    own = fit.profile()
    same = fit.profile(lambda params: params, names=fit.names)
    np.testing.assert_allclose(same.conf_int(), own.conf_int(), atol=1e-6)
    np.testing.assert_allclose(fit.profile(lambda b: jnp.exp(b[1])).conf_int()[0], np.exp(own.conf_int()[1]), rtol=1e-6)
    turned = jglm.fit(X @ np.array([[1, 0, 0], [-1, 1, 0], [0, 0, 1]]), y, family="poisson", tol=1e-11)
    total = fit.profile(lambda b: b[1] + b[2], names="sum")  # X b = Z c with Z = X A, b = A c
    np.testing.assert_allclose(total.conf_int()[0], turned.conf_int(method="profile")[2], atol=1e-6)
    # A ratio: at its ends the deviance, minimized along the ray, is what it must be.
    ratio = fit.profile(lambda b: b[0] / b[1])
    for t in ratio.conf_int()[0]:
        Z = np.column_stack([X[:, 0] + t, X[:, 1:]])
        other = jglm.fit(Z, y, family="poisson", intercept=False, tol=1e-11)
        assert other.deviance - fit.deviance == pytest.approx(QUANTILE, abs=1e-5)


def test_ends_do_not_depend_on_how_many_are_sought_at_once(monkeypatch):
    rng, X = arrays()
    fit = jglm.fit(X, rng.poisson(np.exp(0.3 + 0.4 * X[:, 0])), family="poisson", tol=1e-11)
    whole = fit.conf_int(method="profile")
    monkeypatch.setattr(profiles, "ROWS", 1)  # lanes that are done leave the batch
    np.testing.assert_allclose(fit.conf_int(method="profile"), whole, rtol=1e-9)
    monkeypatch.setattr(profiles, "CHUNK", 360)
    np.testing.assert_allclose(fit.conf_int(method="profile"), whole, rtol=1e-9)


def test_separation_has_an_infinite_end():
    rng, X = arrays()
    z = np.r_[np.ones(15), np.zeros(105)]
    y = (rng.random(120) < 0.5).astype(float)
    y[:15] = 1
    with pytest.warns(UserWarning, match="separation"):
        fit = jglm.fit(np.column_stack([X[:, 0], z]), y, family="bernoulli")
    found = fit.profile()
    assert found.high[2] == np.inf
    assert "flat" in found.reasons[2][1]
    assert "flat" in str(found)
    rest = jglm.fit(X[15:, :1], y[15:], family="bernoulli").conf_int(method="profile")
    np.testing.assert_allclose(found.conf_int()[:2], rest, atol=1e-5)
    # The finite end, by the model with the coefficient held there.
    Z = np.column_stack([np.ones(120), X[:, 0], z])
    assert deviance_at(fit, Z, y, 2, found.low[2]) - fit.deviance == pytest.approx(QUANTILE, abs=1e-5)


def test_a_ridge_has_the_profile_of_its_objective():
    rng, X = arrays()
    X, y = X[:, [0, 2]], rng.poisson(2.0, 120).astype(float)
    fit = jglm.fit(X, y, family="poisson", penalty=jglm.penalties.ridge(5.0), tol=1e-11)
    Z = np.column_stack([np.ones(120), X])

    def objective(b):
        lin = Z @ b
        return np.sum(np.exp(lin) - y * lin) + 2.5 * np.sum(b[1:] ** 2)

    for t in fit.conf_int(method="profile")[1]:
        best = optimize.minimize(lambda v, t=t: objective(np.array([v[0], t, v[1]])), [0.5, 0.0], tol=1e-12)
        assert 2 * (best.fun - objective(fit.params)) == pytest.approx(QUANTILE, abs=1e-5)


def test_firths_penalty_has_its_own_profile():
    x, y = np.array([[0.0], [0.0], [0.0], [1.0], [1.0], [1.0]]), [0, 0, 1, 1, 1, 1]
    fit = jglm.fit(x, y, family="bernoulli", penalty="firth")
    np.testing.assert_array_equal(fit.conf_int(method="profile"), fit.penalized_intervals())
    with pytest.raises(ValueError, match="without fn"):
        fit.profile(lambda b: b[1])


def test_beta_with_a_design_of_the_precision():
    rng, X = arrays()
    y = rng.beta(2 + np.abs(X[:, 0]), 3)
    Z = np.column_stack([np.ones(120), X[:, 1]])
    found = jglm.fit(X[:, :1], y, family="beta", precision=Z, tol=1e-10)
    profile = found.profile()
    assert profile.names == ["Intercept", "x1", "precision[z1]", "precision[z2]"]
    held = jglm.fit(np.ones((120, 1)), y, family="beta", precision=Z, intercept=False, tol=1e-10,
                    offset=X[:, 0] * profile.low[1])  # fmt: skip
    assert 2 * (found.llf - held.llf) == pytest.approx(QUANTILE, abs=1e-5)


def test_aliased_columns_have_no_profile():
    rng, X = arrays()
    fit = jglm.fit(np.column_stack([X, X[:, 0] + X[:, 2]]), rng.poisson(2.0, 120), family="poisson")
    found = fit.conf_int(method="profile")
    assert np.isnan(found[4]).all()
    assert np.isfinite(found[:4]).all()


def test_what_cannot_be_profiled_is_refused():
    rng, X = arrays()
    y = rng.poisson(2.0, 120)
    fit = jglm.fit(X, y, family="poisson")
    with pytest.raises(ValueError, match="needs the data"):
        fit.detach().conf_int(method="profile")
    with pytest.raises(ValueError, match="kinks"):
        jglm.fit(X, y, family="poisson", penalty=jglm.penalties.lasso(1.0)).profile()
    with pytest.raises(ValueError, match="no likelihood"):
        jglm.fit(X, y, family="poisson", weights=np.full(120, 2.5), weight_kind="sampling").profile()
    with pytest.raises(ValueError, match="method"):
        fit.conf_int(method="likelihood")
    with pytest.raises(ValueError, match="level"):
        fit.profile(level=1.5)
    with pytest.raises(TypeError, match="function"):
        fit.profile(3)


# --------------------------------------------------------------------------- the delta method
def test_estimates_follow_from_the_covariance():
    rng, X = arrays()
    fit = jglm.fit(X, rng.gamma(3.0, np.exp(0.2 * X[:, 0])), family="gamma")
    ratio = fit.estimate(lambda b: b[1] / b[2])
    b, V = fit.params, fit.cov_params()
    slope = np.array([0, 1 / b[2], -b[1] / b[2] ** 2, 0])
    assert ratio.bse == pytest.approx(np.sqrt(slope @ V @ slope))
    assert ratio.pvalues == pytest.approx(2 * stats.t.sf(abs(ratio.value / ratio.bse), fit.df_resid))
    same = fit.estimate(lambda b: b)
    np.testing.assert_allclose(same.cov, V, rtol=1e-12)
    np.testing.assert_allclose(same.conf_int(0.9), fit.conf_int(0.9), rtol=1e-12)
    np.testing.assert_allclose(same.map(lambda v: v[1] / v[2]).bse, ratio.bse)
    means = fit.estimate(lambda params, X, offset: jnp.exp(X @ params + offset)[:5])
    np.testing.assert_allclose(means.value, fit.predict()[:5])
    robust = fit.with_covariance("HC0").estimate(lambda b: b)
    np.testing.assert_allclose(robust.bse, fit.with_covariance("HC0").bse)
    assert list(same.table().columns) == ["estimate", "std_err", "t", "p", "low", "high"]
    assert "<table" in same._repr_html_()


def test_estimates_of_matrices_and_of_the_familys_parameters():
    rng, X = arrays()
    fit = jglm.fit(X[:, :1], np.array(list("abc"))[rng.integers(0, 3, 120)], family="categorical")
    whole = fit.estimate(lambda params: params)
    assert whole.value.shape == (2, 2)
    np.testing.assert_allclose(whole.bse, fit.bse, rtol=1e-10)
    counts = jglm.fit(X[:, :1], rng.negative_binomial(2, 0.4, 120), family="negative_binomial")
    r = counts.estimate(lambda params, family_params: family_params["r"])
    assert r.value == pytest.approx(counts.family_params["r"])
    assert r.bse == pytest.approx(counts.family_params_se["r"])
    with pytest.raises(ValueError, match="argument of fn"):
        counts.estimate(lambda params, r: r)
    with pytest.raises(ValueError, match="names"):
        counts.estimate(lambda params: params, names=["a"])


# --------------------------------------------------------------------------- marginal effects
@pytest.mark.parametrize("kind", ["logit", "probit", "poisson", "mnlogit"])
def test_marginal_effects_are_those_of_statsmodels(kind):
    import statsmodels.api as sm

    rng, X = arrays()
    p = 1 / (1 + np.exp(0.3 - X @ [0.5, -0.4, 0.2]))
    y = {"poisson": rng.poisson(np.exp(X @ [0.3, 0.2, 0.1])), "mnlogit": rng.integers(0, 3, 120)}
    y = y.get(kind, (rng.random(120) < p).astype(int))
    family, link = {"poisson": ("poisson", None), "mnlogit": ("categorical", None)}.get(kind, ("bernoulli", kind))
    model = {"logit": sm.Logit, "probit": sm.Probit, "poisson": sm.Poisson, "mnlogit": sm.MNLogit}[kind]
    other = model(y, sm.add_constant(X)).fit(disp=0, method="newton", tol=1e-12)
    fit = jglm.fit(X, y, family=family, link=link, tol=1e-11)
    fit = fit.with_covariance("observed") if kind == "probit" else fit
    for at in ("overall", "mean", "median", "zero"):
        for method in ("dydx", "eydx") if kind == "mnlogit" else ("dydx", "eyex", "dyex", "eydx"):
            theirs, ours = other.get_margeff(at=at, method=method), fit.marginal_effects(at=at, method=method)
            np.testing.assert_allclose(ours.value, theirs.margeff, atol=1e-8)
            np.testing.assert_allclose(ours.bse, theirs.margeff_se, atol=1e-8)
    if kind != "mnlogit":  # of which statsmodels has no discrete changes
        theirs, ours = other.get_margeff(dummy=True), fit.marginal_effects(discrete=True)
        np.testing.assert_allclose(ours.value, theirs.margeff, atol=1e-8)
        np.testing.assert_allclose(ours.bse, theirs.margeff_se, atol=1e-8)


def test_effects_with_exposure_and_weights():
    rng, X = arrays()
    exposure, w = rng.gamma(3.0, size=120), rng.integers(0, 3, 120)
    y = rng.poisson(exposure * np.exp(X @ [0.3, 0.2, 0.1]))
    options = dict(family="poisson", tol=1e-11)
    fit = jglm.fit(X, y, exposure=exposure, weights=w, weight_kind="frequency", **options)
    long = jglm.fit(np.repeat(X, w, axis=0), np.repeat(y, w), exposure=np.repeat(exposure, w), **options)
    a, b = fit.marginal_effects(), long.marginal_effects()
    np.testing.assert_allclose(a.value, b.value, rtol=1e-9)
    np.testing.assert_allclose(a.bse, b.bse, rtol=1e-7)
    np.testing.assert_allclose(a.value, fit.params[1:] * np.average(fit.predict(), weights=w), rtol=1e-9)
    unit = fit.marginal_effects(X=X, exposure=np.ones(120), weights=w)
    np.testing.assert_allclose(
        unit.value, fit.params[1:] * np.average(fit.predict(X, exposure=np.ones(120)), weights=w)
    )
    ratio = fit.marginal_effects("x2", discrete="x2", change="ratio")
    np.testing.assert_allclose(ratio.value, np.exp(fit.params[2]), rtol=1e-9)
    np.testing.assert_allclose(ratio.bse, np.exp(fit.params[2]) * fit.bse[2], rtol=1e-7)


def frame(n=120, seed=5):
    rng = np.random.default_rng(seed)
    data = pandas.DataFrame({"x": rng.normal(size=n), "u": rng.gamma(3.0, size=n), "h": rng.integers(0, 2, n),
                             "g": pandas.Categorical(rng.choice(list("abc"), n))})  # fmt: skip
    return data.assign(y=rng.poisson(np.exp(0.4 + 0.3 * data.x + 0.2 * (data.g == "b"))))


def test_effects_move_every_term_of_a_variable():
    data = frame()
    fit = jglm.glm("y ~ x + I(x**2) + x:u + np.log(u) + g", data, family="gaussian")
    b = dict(zip(fit.names, fit.params, strict=True))
    found = fit.marginal_effects()
    value = dict(zip(found.names, found.value, strict=True))
    assert value["x"] == pytest.approx(np.mean(b["x"] + 2 * b["I(x ** 2)"] * data.x + b["x:u"] * data.u), rel=1e-9)
    assert value["u"] == pytest.approx(np.mean(b["np.log(u)"] / data.u + b["x:u"] * data.x), rel=1e-9)
    assert value["g: b - a"] == pytest.approx(b["g[T.b]"])
    held = fit.marginal_effects("x", values={"u": [1.0, 3.0]})
    assert held.names == ["x | u = 1", "x | u = 3"]
    assert np.ptp(held.value) == pytest.approx(2 * abs(b["x:u"]), rel=1e-9)
    again = fit.marginal_effects(X=data)
    np.testing.assert_allclose(again.value, found.value, rtol=1e-12)
    with pytest.raises(ValueError, match="variables"):
        fit.marginal_effects("z")
    with pytest.raises(ValueError, match="needs the data"):
        fit.detach().marginal_effects()
    np.testing.assert_allclose(fit.detach().marginal_effects(X=data).bse, found.bse, rtol=1e-9)


def test_a_splines_effect_is_the_slope_of_the_prediction():
    data = frame()
    fit = jglm.glm("y ~ bs(x, df=5)", data, family="poisson")
    found = fit.marginal_effects("x", values={"g": ["a"]} if "g" in fit.formula.right_variables else None)
    inner = data[(data.x > data.x.min() + 1e-3) & (data.x < data.x.max() - 1e-3)]
    slope = (fit.predict(inner.assign(x=inner.x + 1e-5)) - fit.predict(inner.assign(x=inner.x - 1e-5))) / 2e-5
    assert fit.marginal_effects("x", X=inner).value[0] == pytest.approx(np.mean(slope), rel=1e-6)
    assert np.isfinite(found.bse).all()


def test_effects_of_classes_sum_to_nothing():
    rng, data = np.random.default_rng(1), frame()
    data["z"] = np.array(list("pqr"))[rng.integers(0, 3, 120)]
    fit = jglm.glm("z ~ x + g", data, family="categorical")
    found = fit.marginal_effects()
    assert found.value.shape == (3, 3)
    assert found.names[1] == ["p", "q", "r"]
    np.testing.assert_allclose(found.value.sum(axis=1), 0, atol=1e-12)
    row = found.names[0].index("g: c - a")
    change = fit.predict(data.assign(g="c")) - fit.predict(data.assign(g="a"))
    np.testing.assert_allclose(found.value[row], change.mean(axis=0), rtol=1e-9)
    ordered = jglm.glm("z ~ x", data.assign(z=pandas.Categorical(data.z, ordered=True)), family="ordinal")
    effect = ordered.marginal_effects()
    assert effect.value.sum() == pytest.approx(0, abs=1e-12)
    assert (effect.bse > 0).all()


# --------------------------------------------------------------------------- means, contrasts, relativities
def test_marginal_means_average_the_linear_predictor():
    data = frame()
    fit = jglm.glm("y ~ g + C(h) + x", data, family="poisson")
    found = fit.marginal_means("g")
    grid = pandas.DataFrame([(g, h, data.x.mean()) for g in "abc" for h in (0, 1)], columns=["g", "h", "x"])
    lin = fit.predict(grid, kind="link").reshape(3, 2)
    np.testing.assert_allclose(found.point, lin.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.value, np.exp(lin.mean(axis=1)), rtol=1e-12)
    share = np.array([np.mean(data.h == 0), np.mean(data.h == 1)])
    np.testing.assert_allclose(fit.marginal_means("g", weights="proportional", kind="link").value, lin @ share)
    pairs = found.contrasts("pairwise")
    assert pairs.names == ["g = b / g = a", "g = c / g = a", "g = c / g = b"]
    own = fit.contrasts({"g[T.c]": 1, "g[T.b]": -1}, ratio=True)
    np.testing.assert_allclose([pairs.value[2], pairs.bse[2]], [own.value[0], own.bse[0]], rtol=1e-10)
    probit = jglm.glm("h ~ g + x", data, family="bernoulli", link="probit").marginal_means("g")
    np.testing.assert_allclose(probit.value, stats.norm.cdf(probit.point), rtol=1e-10)


def test_relativities_have_the_base_that_is_asked_for():
    data = frame()
    fit = jglm.glm("y ~ g + x", data, family="poisson", tol=1e-11)
    other = jglm.glm(
        "y ~ g + x", data.assign(g=data.g.cat.reorder_categories(list("bac"))), family="poisson", tol=1e-11
    )
    found, same = fit.relativities(base={"g": "b"}), other.relativities(base="first")
    a, b = (v.table() for v in (found, same))
    np.testing.assert_allclose(
        a.loc[["g: a", "g: b", "g: c", "x + 1"], "low"], b.loc[["g: a", "g: b", "g: c", "x + 1"], "low"]
    )
    assert a.loc["g: b", "relativity"] == 1
    np.testing.assert_allclose(a.loc["x + 1", "relativity"], np.exp(fit.params[3]))
    with pytest.raises(ValueError, match="no ratio"):
        jglm.glm("y ~ x", data, family="gaussian").relativities()


def test_what_an_aliased_column_decides_is_not_told():
    rng, X = arrays()
    fit = jglm.fit(np.column_stack([X, X[:, 0] + X[:, 1]]), rng.poisson(2.0, 120), family="poisson")
    found = fit.contrasts([{"x1": 1}, {"x3": 1}, {"x1": 1, "x2": 1, "x4": 2}])
    assert np.isnan(found.value[0])
    assert np.isfinite(found.value[1:]).all()
    with pytest.raises(ValueError, match="contrast"):
        fit.contrasts({"x9": 1})


# --------------------------------------------------------------------------- means of rows
def test_intervals_of_means():
    rng, X = arrays()
    fit = jglm.fit(X, rng.poisson(np.exp(0.2 + 0.3 * X[:, 0])), family="poisson", tol=1e-11)
    new = X[:3] + 0.2
    wald, delta, profile = (fit.predict(new, interval=k) for k in ("mean", "delta", "profile"))
    at = np.column_stack([np.ones(3), new])
    own = fit.estimate(lambda b: jnp.exp(at @ b))
    np.testing.assert_allclose(delta[:, 1:], own.conf_int(), rtol=1e-9)
    same = fit.profile(lambda b: jnp.exp(at @ b))
    np.testing.assert_allclose(profile[:, 1:], same.conf_int(), rtol=1e-6)
    np.testing.assert_allclose(profile, wald, rtol=0.05)
    np.testing.assert_array_equal(profile[:, 0], fit.predict(new))


def test_intervals_of_probabilities_of_classes():
    rng, X = arrays()
    fit = jglm.fit(X[:, :1], np.array(list("abc"))[rng.integers(0, 3, 120)], family="categorical")
    mean, delta = (fit.predict(X[:4, :1], interval=k) for k in ("mean", "delta"))
    at = np.column_stack([np.ones(4), X[:4, :1]])
    own = fit.estimate(lambda b: jnp.exp(at @ b[:, 0]) / (1 + jnp.exp(at @ b).sum(axis=1)))  # of the second class
    np.testing.assert_allclose(delta[:, 1, 1:], own.conf_int(), rtol=1e-9)
    assert mean.shape == (4, 3, 3)
    assert np.all((mean[:, :, 1] > 0) & (mean[:, :, 1] < mean[:, :, 0]) & (mean[:, :, 2] < 1))
    two = jglm.fit(X[:, :1], rng.integers(0, 2, 120), family="categorical")
    one = jglm.fit(X[:, :1], np.argmax(two._prepared.y, axis=1), family="bernoulli")
    np.testing.assert_allclose(two.predict(interval="mean")[:, 1], one.predict(interval="mean"), rtol=1e-6)
    with pytest.raises(ValueError, match="one linear predictor"):
        fit.predict(X[:4, :1], interval="prediction")
