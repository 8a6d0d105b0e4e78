"""Tests of hypotheses: R's numbers, and what must hold between tests."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import jglm

FOLDER = Path(__file__).parent / "references" / "inference"
R = json.loads((FOLDER / "hypotheses.json").read_text(encoding="utf8"))
DATA = pd.read_csv(FOLDER / "hypotheses.csv")
MODELS = {
    "poisson": ("count ~ x * g + z", dict(family="poisson")),
    "gamma": ("time ~ x + g + z", dict(family="gamma", link="log", weights="w")),
    "gaussian": ("level ~ x * g + z", dict(family="gaussian")),
    "probit": ("event ~ x + g + z", dict(family="bernoulli", link="probit")),
}  # fmt: skip
FIXED = ("poisson", "probit")
OWN = jglm.Family("counts", a=jnp.exp)


def close(a, b, rtol=1e-6, atol=1e-10):
    np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), rtol=rtol, atol=atol)


def fitted(name, formula=None, **more):
    text, given = MODELS[name]
    return jglm.glm(text if formula is None else f"{text.split('~')[0]}~ {formula}", DATA, tol=1e-12, **given, **more)


def by_chi2(table):
    """The chi-square statistics of a table by F or by chi-square."""
    return table["F"] * table["df"] if "F" in table.columns else table["chi2"]


# --------------------------------------------------------------------------- R
@pytest.mark.parametrize("name", MODELS)
def test_anova_of_R(name):
    fit, r = fitted(name), R[name]
    first = fit.anova("I")
    close(first["df"], r["anova_I"]["df"])
    close(first["deviance"], r["anova_I"]["deviance"])
    close(first["resid deviance"], r["anova_I"]["resid"])
    close(first["p"], r["anova_I"]["p"], 1e-5)
    rao = fit.anova("I", test="Rao")
    close(rao["chi2"] * fit.scale, r["rao_I"]["statistic"])
    close(rao["p"], r["rao_I"]["p"], 1e-5)
    robust = fit.with_covariance("HC3")
    for type in ("II", "III"):
        table, want = fit.anova(type), r[f"anova_{type}"]
        assert table.rows == want["rows"]
        close(table["df"], want["df"])
        close(table["F" if "F" in table.columns else "chi2"], want["statistic"])
        close(table["p"], want["p"], 1e-5)
        table, want = robust.anova(type), r[f"wald_{type}"]
        assert "Wald" in table.title
        close(by_chi2(table), want["statistic"])


@pytest.mark.parametrize("name", MODELS)
def test_drop1_of_R(name):
    fit, r = fitted(name, dispersion="deviance"), R[name]["drop1"]
    table = fit.drop1()
    assert table.rows == ["<none>", *r["rows"]]
    close(table["deviance"], r["deviance"])
    close(table["p"][1:], r["p"], 1e-5)
    close(fitted(name).drop1()["AIC"], r["aic"], 1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_wald_and_likelihood_ratio_of_R(name):
    fit, r = fitted(name, covariance="HC1"), R[name]
    found = fit.wald_test("x = 0.1, g[T.b] = g[T.c]", test="chi2")
    close([found.statistic, found.pvalue], [r["wald"]["statistic"], r["wald"]["p"]], 1e-5)
    assert found.df == 2
    small = fitted(name, "x")
    found = jglm.lr_test(small, fit, test="likelihood")
    close([found.statistic, found.df], [r["lrtest"]["statistic"], r["lrtest"]["df"]])
    scaled = jglm.lr_test(small, fit)
    close(scaled.statistic, (small.deviance - fit.deviance) / fit.scale)
    if name in FIXED:
        close(found.statistic, scaled.statistic)
    else:
        close(jglm.lr_test(small, fit, test="F").statistic * scaled.df, scaled.statistic)


def test_negative_binomial_of_R():
    """anova holds r; lr_test takes each model's own, as anova.negbin of two models does."""
    fit = jglm.glm("count ~ x + g + z", DATA, family="negative_binomial", tol=1e-11)
    close(fit.anova("I")["deviance"], R["negative_binomial"]["deviance"], 1e-5)
    small = jglm.glm("count ~ x", DATA, family="negative_binomial", tol=1e-11)
    close(jglm.lr_test(small, fit).statistic, 2 * (fit.llf - small.llf))
    assert jglm.lr_test(small, fit).df == 3


def test_goodness_of_R():
    counts = jglm.glm("count ~ x + g + z", DATA, family="poisson", tol=1e-12)
    found = counts.dispersion_test("regression")
    close([found.statistic, found.pvalue, found.estimate[0]], [R["dispersion"][k] for k in ("z", "p", "estimate")])
    pearson = counts.dispersion_test()
    close(pearson.statistic, counts.pearson_chi2)
    close(pearson.pvalue + counts.dispersion_test(alternative="less").pvalue, 1.0)
    events = jglm.glm("event ~ x + g + z", DATA, family="bernoulli", tol=1e-12)
    found = events.hosmer_lemeshow()
    close([found.statistic, found.df, found.pvalue], [R["hosmer_lemeshow"][k] for k in ("statistic", "df", "p")])
    with pytest.raises(ValueError, match="classes without an order"):
        counts.hosmer_lemeshow()
    with pytest.raises(ValueError, match="estimates its dispersion"):
        fitted("gaussian").dispersion_test()


def test_adjusted_p_values_of_R():
    p = [0.012, 0.5, 0.0001, 0.03, np.nan, 0.04, 0.2, 0.011]
    for method, want in R["adjust"].items():
        close(jglm.adjust_pvalues(p, method), [np.nan if v is None else v for v in want], 1e-12)
    close(jglm.adjust_pvalues(p, "fdr"), jglm.adjust_pvalues(p, "BH"))
    with pytest.raises(ValueError, match="between 0 and 1"):
        jglm.adjust_pvalues([1.2])


# --------------------------------------------------------------------------- a family of one's own
def test_tests_of_an_own_family():
    fit, known = jglm.glm("count ~ x * g + z", DATA, family=OWN, link="log", tol=1e-12), fitted("poisson")
    small = jglm.glm("count ~ x", DATA, family=OWN, link="log", tol=1e-12)
    close(jglm.lr_test(small, fit).statistic, jglm.lr_test(fitted("poisson", "x"), known).statistic)
    close(fit.wald_test("x = z").statistic, known.wald_test("x = z").statistic)
    added = small.score_test("x:g + g + z", data=DATA)
    close(added.statistic, fitted("poisson", "x").score_test("x:g + g + z", data=DATA).statistic)
    for test in ("LR", "Rao", "Wald"):
        close(fit.anova("II", test=test)["chi2"], known.anova("II", test=test)["chi2"])
    close(fit.dispersion_test("regression").statistic, known.dispersion_test("regression").statistic)
    close(fit.drop1()["AIC"] - fit.aic, known.drop1()["AIC"] - known.aic, atol=1e-7)


# --------------------------------------------------------------------------- laws
def test_one_restriction_is_the_square_of_z():
    fit = fitted("poisson")
    close(fit.wald_test("z").statistic, fit.tvalues[fit.names.index("z")] ** 2)
    close(fit.wald_test("z").pvalue, fit.pvalues[fit.names.index("z")])
    fit = fitted("gamma", covariance="HC0")
    found = fit.wald_test("z")
    assert (found.kind, found.df_resid) == ("F", fit.df_resid)
    close(found.pvalue, fit.pvalues[fit.names.index("z")])


def test_ways_to_write_a_restriction():
    fit = fitted("poisson")
    P, i, j = len(fit.names), fit.names.index("x"), fit.names.index("g[T.b]")
    M = np.zeros((2, P))
    M[0, i], M[0, j], M[1, j] = 2.0, -1.0, 1.0
    want = fit.wald_test(M, value=[0.5, 0.1])
    for text in (
        "2*x - g[T.b] = 0.5, g[T.b] = 0.1",
        ["2 * (x - g[T.b] / 2) = 0.5", "0.1 = `g[T.b]`"],
        "x = (g[T.b] + 1/2) / 2, g[T.b] - 1e-1 = 0",
        lambda b: jnp.stack([2 * b[i] - b[j] - 0.5, b[j] - 0.1]),
    ):
        close(fit.wald_test(text).statistic, want.statistic)
    close(fit.wald_test("2*x - g[T.b] = 0.5, g[T.b] = 0.1").estimate, want.estimate)
    close(want.se[1], fit.bse[j])
    close(fit.wald_test({"x": 0.3, "z": 0}).estimate, [fit.params[i] - 0.3, fit.params[fit.names.index("z")]])
    chain = fit.wald_test("x = z = g[T.b]")
    assert chain.df == 2
    close(chain.statistic, fit.wald_test("x = z, z = g[T.b]").statistic)
    curved = fit.wald_test(lambda b: jnp.exp(b[i]), value=1.2)
    se = np.exp(fit.params[i]) * fit.bse[i]
    close([curved.estimate[0], curved.se[0]], [np.exp(fit.params[i]) - 1.2, se])


def test_each_restriction_with_adjusted_p_values():
    fit = fitted("poisson")
    table = fit.wald_test(["x", "z", "g[T.b] = g[T.c]"], adjust="holm")
    alone = [fit.wald_test(t).pvalue for t in ("x", "z", "g[T.b] = g[T.c]")]
    close(table["p"], jglm.adjust_pvalues(alone, "holm"))
    assert list(table.table().index) == table.rows == ["x = 0", "z = 0", "g[T.b] = g[T.c]"]
    anova = fit.anova(adjust="BH")
    close(anova["p adjusted"], jglm.adjust_pvalues(anova["p"], "BH"))


def test_the_score_test_is_that_of_the_definition():
    """U' V^-1 U of all coefficients of the larger model at the smaller one's optimum."""
    small = fitted("probit", "x")
    X = np.column_stack([np.ones(len(DATA)), DATA["x"], DATA["z"], DATA["w"]])
    lin = X[:, :2] @ small.params
    mu, slope = norm.cdf(lin), norm.pdf(lin)
    U = X.T @ ((DATA["event"] - mu) * slope / (mu * (1 - mu)))
    information = X.T @ (X * (slope**2 / (mu * (1 - mu)))[:, None])
    found = small.score_test(DATA[["z", "w"]])
    close(found.statistic, U @ np.linalg.solve(information, U))
    assert (found.df, found.hypothesis) == (2, "z = 0; w = 0")


@pytest.fixture(scope="module")
def classes():
    return [jglm.glm(f"g ~ {terms}", DATA, family="categorical", tol=1e-12) for terms in ("x", "x + z")]


def test_classes(classes):
    small, fit = classes
    lr = jglm.lr_test(small, fit)
    assert lr.df == 2
    close(lr.statistic, small.deviance - fit.deviance)
    close(fit.anova("II")["chi2"][1], lr.statistic)
    both, one = fit.wald_test("z = 0"), fit.wald_test("z @ b = z @ c")
    assert (both.df, one.df) == (2, 1)
    assert both.hypothesis == "z @ b = 0; z @ c = 0"
    close(both.statistic, fit.wald_test(lambda b: b[2]).statistic)
    close(fit.anova(test="Wald")["chi2"][1], both.statistic)
    rao = small.score_test(DATA[["z"]])
    assert rao.df == 2
    close(rao.statistic, lr.statistic, 0.05)
    close(fit.anova("I", test="Rao")["chi2"][1], rao.statistic)
    robust = fit.with_covariance("CR2", groups=DATA["cl"])
    assert np.isfinite(robust.wald_test("z = 0").statistic)
    # (Fagerland, Hosmer and Bofin 2008), written out.
    mu = fit.predict()
    y = (DATA["g"].to_numpy()[:, None] == np.array(["a", "b", "c"])) * 1.0
    at = pd.cut(1 - mu[:, 0], np.quantile(1 - mu[:, 0], np.linspace(0, 1, 7)), include_lowest=True).codes
    sums = lambda v: np.stack([v[at == i].sum(axis=0) for i in range(6)])
    want = np.sum((sums(y) - sums(mu)) ** 2 / sums(mu))
    found = fit.hosmer_lemeshow(6)
    close([found.statistic, found.df], [want, 8])


def test_families_whose_parameters_move_with_the_mean():
    fit, small = (jglm.glm(f"share ~ {t}", DATA, family="beta", tol=1e-11) for t in ("x + z", "x"))
    lr = jglm.lr_test(small, fit)
    close(lr.statistic, 2 * (fit.llf - small.llf))
    close(fit.anova("II")["chi2"][1], lr.statistic)
    close(fit.anova(test="Wald")["chi2"], fit.tvalues[1:] ** 2)
    close(small.score_test(DATA[["z"]]).statistic, lr.statistic, 0.2)


def test_the_first_model_may_have_no_columns():
    """Cutpoints alone, and the offset alone."""
    y = np.minimum(DATA["count"], 2)
    fit = jglm.fit(DATA[["x", "z"]], y, family="ordinal", tol=1e-10)
    share = np.bincount(y) / len(y)
    null = -2 * np.sum(np.bincount(y) * np.log(share))
    first = fit.anova("I")
    close(np.sum(first["chi2"]), null + 2 * fit.llf, 1e-7)
    close(first["df"], [1, 1])
    alone = jglm.glm("count ~ x + z - 1", DATA, family="poisson", offset="w", tol=1e-12)
    mu, n = np.exp(DATA["w"]), DATA["count"]
    null = 2 * np.sum(np.where(n > 0, n * np.log(np.maximum(n, 1) / mu), 0.0) - n + mu)
    close(np.sum(alone.anova("I")["deviance"]), null - alone.deviance)


def test_columns_of_arrays_are_terms():
    X = DATA[["x", "z", "w"]]
    fit = jglm.fit(X, DATA["count"], family="poisson", tol=1e-12)
    table = fit.anova("III")
    assert table.rows == ["x", "z", "w"]
    without = jglm.fit(X[["x", "w"]], DATA["count"], family="poisson", tol=1e-12)
    close(table["chi2"][1], without.deviance - fit.deviance)
    joined = fit.anova("III", terms={"both": ["x", "w"], "z": "z"})
    alone = jglm.fit(X[["z"]], DATA["count"], family="poisson", tol=1e-12)
    close(joined["chi2"][0], alone.deviance - fit.deviance)
    assert list(joined["df"]) == [2, 1]
    with pytest.raises(ValueError, match="no column"):
        fit.anova(terms={"a": ["q"]})


# --------------------------------------------------------------------------- what is refused
def test_restrictions_that_cannot_be():
    fit = fitted("poisson")
    for bad, message in {
        "q = 0": "no coefficient", "x * z = 0": "linear", "x + = 1": "cannot be read", "1 = 1": "names no coefficient",
        "x, x": "depend on each other", "x @ b": "one column", "x / 0": "divides by 0", "= x": "empty side",
        "x = 0, x = z, z = 1": "depend on each other", "zz": "did you mean",
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=message):
            fit.wald_test(bad)
    with pytest.raises(ValueError, match="shape"):
        fit.wald_test(np.ones((1, 3)))
    few = fit.with_covariance("CR0", groups=np.arange(120) % 2)
    with pytest.raises(ValueError, match="too low a rank"):
        few.wald_test("x, z, g[T.b]")
    aliased = jglm.glm("count ~ x + z + I(2 * x)", DATA, family="poisson")
    with pytest.raises(ValueError, match="aliased"):
        aliased.wald_test("I(2 * x) = 0")
    close(aliased.wald_test("x").statistic, fitted("poisson", "x + z").wald_test("x").statistic)
    assert list(aliased.anova("I")["df"]) == [1, 1, 0]


def test_pairs_that_cannot_be_compared():
    fit, small = fitted("poisson", "x + z"), fitted("poisson", "x")
    others = {
        "first, with fewer": (fit, small),
        "not nested": (fitted("poisson", "g"), fitted("poisson", "x + z + w")),
        "observations": (small, jglm.glm("count ~ x + z", DATA[:-1], family="poisson")),
        "another y": (small, jglm.glm("count ~ x + z", DATA.assign(count=DATA["count"][::-1].to_numpy()),
                                      family="poisson")),
        "their family": (fitted("gaussian", "x"), fit),
        "their link": (jglm.glm("count ~ x", DATA, family="poisson", link="sqrt"), fit),
        "penalty": (small, jglm.glm("count ~ x + z", DATA, family="poisson", penalty=jglm.penalties.ridge(1.0))),
        "sampling": tuple(jglm.glm(f"count ~ {t}", DATA, family="poisson", weights="w", weight_kind="sampling")
                          for t in ("x", "x + z")),
    }  # fmt: skip
    for message, pair in others.items():
        with pytest.raises(ValueError, match=message):
            jglm.lr_test(*pair)
    close(jglm.lr_test(small.detach(), fit).statistic, jglm.lr_test(small, fit).statistic)
    with pytest.raises(TypeError):
        jglm.lr_test(small, 3)


def test_fits_that_tests_are_not_for():
    ridge = jglm.glm("count ~ x + z", DATA, family="poisson", penalty=jglm.penalties.ridge(1.0))
    lasso = jglm.glm("count ~ x + z", DATA, family="poisson", penalty=jglm.penalties.lasso(0.1))
    assert np.isfinite(ridge.wald_test("x").statistic)
    for call in (ridge.anova, ridge.drop1, lambda: ridge.score_test(DATA[["w"]]), lambda: lasso.wald_test("x")):
        with pytest.raises(ValueError, match="penalty"):
            call()
    with pytest.raises(ValueError, match="fixed dispersion"):
        fitted("poisson").anova(test="F")
    with pytest.raises(ValueError, match="combinations of those"):
        fitted("poisson", "x").score_test(2 * DATA[["x"]] + 1)
    with pytest.raises(ValueError, match="data="):
        fitted("poisson", "x").score_test("z")
    weighted = jglm.glm("count ~ x + z", DATA, family="poisson", weights="w", weight_kind="sampling")
    with pytest.raises(ValueError, match="sampling"):
        weighted.anova(test="LR")
    close(by_chi2(weighted.anova()), weighted.tvalues[1:] ** 2)
    with pytest.warns(UserWarning, match="did not converge"):
        early = jglm.glm("count ~ x + z", DATA, family="poisson", max_iter=1)
    for call in (lambda: early.wald_test("x"), early.anova, lambda: jglm.lr_test(early, fitted("poisson"))):
        with pytest.raises(ValueError, match="did not converge"):
            call()


def test_separation_is_said():
    d = DATA.assign(big=(DATA["x"] > 0.3) * 1.0, event=(DATA["x"] > 0.3) * 1.0)
    d.loc[d["big"] == 0, "event"] = DATA["event"]
    with pytest.warns(UserWarning, match="separation"):
        fit = jglm.glm("event ~ big + z", d, family="bernoulli")
    small = jglm.glm("event ~ z", d, family="bernoulli")
    assert "Separation" in repr(fit.wald_test("z"))
    assert jglm.lr_test(small, fit).pvalue < 1e-4
    assert fit.anova("II")["p"][0] < 1e-4
    assert "Separation" in repr(fit.anova("II", test="Wald"))


# --------------------------------------------------------------------------- what is shown
def test_results_are_readable():
    fit = fitted("poisson")
    found = fit.wald_test("x = 0.1")
    assert repr(found).startswith("Wald test: x = 0.1\nchi2(1) = ")
    assert "<b>" not in jglm.HypothesisTest("t", "a<b>", "chi2", 1.0, 1, 0.3)._repr_html_().replace("<b>t</b>", "")
    table = fit.anova()
    assert "x:g" in repr(table)
    assert "<td" in table._repr_html_()


def test_fits_side_by_side(classes):
    small, fit = fitted("poisson", "x"), fitted("poisson", covariance="HC1")
    table = jglm.compare(small, fit, classes[1], names=["<i>", "a_b", "c"], stars=True)
    close(table.params[table.rows.index("z")], [np.nan, fit.params[fit.names.index("z")], np.nan])
    close(table.bse[table.rows.index("x")][:2], [small.bse[1], fit.bse[fit.names.index("x")]])
    assert "z @ b" in table.rows
    assert "HC1" in str(table)
    assert "&lt;i&gt;" in table._repr_html_()
    assert "<i>" not in table._repr_html_()
    latex = table.to_latex()
    assert r"a\_b" in latex
    assert latex.count("&") % 3 == 0
    close(table.table().loc["AIC", ("a_b", "coef")], fit.aic)
    bare = jglm.compare(jglm.glm("count ~ x", DATA, family="poisson", penalty=jglm.penalties.lasso(1.0)))
    assert "(" not in str(bare).split("Family")[0].replace("(1)", "")
    with pytest.raises(TypeError):
        jglm.compare(3)
