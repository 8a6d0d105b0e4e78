"""jglm against the answers of R and NIST on real data (tests/references/README.md), by arrays and by formula."""

import json
import warnings
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import jglm

FOLDER = Path(__file__).parent / "references"

# Coefficients, covariances and predictions are held to standard errors, all else relative to the expected number.
TOLERANCE = {
    "coef": 1e-7,  # of a standard error
    "se": 1e-6,
    "covariance": 1e-6,  # of the product of two standard errors
    "interval": 1e-6,  # of a standard error
    "t": 1e-6,  # of max(|t|, 1)
    "p": 1e-5,  # of max(p, 1e-12)
    "deviance": 1e-8,
    "llf": 1e-8,
    "criterion": 1e-8,
    "scale": 1e-7,
    "rows": 1e-7,
    "residuals": 1e-6,  # of max(|r|, their root mean square)
    "separation": 1e-3,
}
# Digits of the coefficients and their standard errors. Filip's condition number is 5e9; Wampler5's residuals are 1e8
# times its coefficients.
NIST_DIGITS = {
    "norris": 9, "pontius": 9, "noint1": 9, "noint2": 9, "longley": 7, "wampler1": 7, "wampler2": 7, "wampler3": 7,
    "wampler4": 7, "wampler5": 5, "filip": 5,
}  # fmt: skip
EXACT = ("wampler1", "wampler2")  # polynomials without error: the residual standard deviation is 0
WAYS = ("arrays", "formula")


# --------------------------------------------------------------------------- the cases
def _read(path):
    return json.loads(path.read_text(encoding="utf8"))


def _ids(*categories):
    return [p.stem for p in sorted(FOLDER.glob("*.json")) if _read(p)["category"] in categories]


SCALAR = _ids("glm", "robust", "rank_deficient")
WITH_ROWS = [i for i in SCALAR if (FOLDER / f"{i}.obs.csv").is_file()]
NIST = [f"nist_{name}" for name in NIST_DIGITS]


def test_every_case_is_used():
    assert sorted([*SCALAR, *NIST, "multinomial_womenlf", "separation_quasi_mtcars"]) == sorted(
        p.stem for p in FOLDER.glob("*.json")
    )


@lru_cache
def case(name):
    """The case with its design X, y and what goes with it, and the original data as a frame."""
    j = _read(FOLDER / f"{name}.json")
    table = pd.read_csv(FOLDER / j["design"]["file"])
    column = lambda key: table[j["design"][key]].to_numpy() if j["design"].get(key) else None
    frame = pd.read_csv(FOLDER / j["original"]["file"])
    for factor, levels in j["original"].get("factors", {}).items():
        frame[factor] = pd.Categorical(frame[factor].astype(str), categories=levels)
    y, trials = column("response"), column("trials")
    return SimpleNamespace(
        columns=j["design"]["columns"], formulaic_names=j["design"]["formulaic_names"], model=j["model"],
        original=j["original"], expected=j["expected"], frame=frame, X=table[j["design"]["columns"]].to_numpy(float),
        y=y if trials is None else np.column_stack([y, trials - y]), weights=column("weights"), offset=column("offset"),
        exposure=column("exposure"), rows=pd.read_csv(FOLDER / j["observations"]) if "observations" in j else None,
    )  # fmt: skip


def _options(model):
    options = {"family": "categorical" if model["family"] == "multinomial" else model["family"]}
    if model["link"] != "softmax":
        options["link"] = model["link"]
    if model.get("weights_type") == "frequency":
        options["weight_kind"] = "frequency"
    return options


def fit_arrays(c, **given):
    options = {"weights": c.weights, "offset": c.offset} | given
    return jglm.fit(c.X, c.y, intercept=False, names=c.columns, **_options(c.model), **options)


def fit_formula(c, formula=None, **given):
    named = {k: c.original[k] for k in ("weights", "exposure", "trials") if k in c.original} | given
    return jglm.glm(formula or c.original["formula"], c.frame, **_options(c.model), **named)


@lru_cache
def fitted(name, way):
    return fit_arrays(case(name)) if way == "arrays" else fit_formula(case(name))


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


def near(got, want, tolerance, scale=None):
    """|got - want| <= tolerance · scale, by default |want|; NaN exactly where the expected number is null."""
    got, want = np.asarray(got, float), np.asarray(want, float)
    assert got.shape == want.shape
    assert np.array_equal(np.isnan(got), np.isnan(want))
    allowed = tolerance * (np.abs(want) if scale is None else np.broadcast_to(np.asarray(scale, float), want.shape))
    off = np.abs(got - want)
    assert not np.any(off > allowed), (
        f"off by {np.nanmax(off):.2e}, {np.nanmax(off / allowed):.2g} times what is allowed"
    )


def floats(values):
    return np.array(values, dtype=float)  # null becomes NaN


# --------------------------------------------------------------------------- generalized linear models, R
def _order(name, way):
    """Positions of the reference's columns among those of the fit: by R's names, or by formulaic's."""
    wanted = case(name).columns if way == "arrays" else case(name).formulaic_names
    names = list(fitted(name, way).names)
    assert sorted(names) == sorted(wanted)
    return [names.index(w) for w in wanted]


@pytest.mark.parametrize("name", SCALAR)
class TestScalar:
    def test_converges(self, name, way):
        fit = fitted(name, way)
        assert fit.converged
        assert fit.separated == []

    def test_coefficients(self, name, way):
        expected, at = case(name).expected, _order(name, way)
        near(fitted(name, way).params[at], expected["coef"], TOLERANCE["coef"], floats(expected["se"]))

    def test_standard_errors_and_tests(self, name, way):
        expected, fit, at = case(name).expected, fitted(name, way), _order(name, way)
        t, p = floats(expected["statistic"]), floats(expected["p_value"])
        near(fit.bse[at], expected["se"], TOLERANCE["se"])
        near(fit.tvalues[at], t, TOLERANCE["t"], np.fmax(np.abs(t), 1))
        near(fit.pvalues[at], p, TOLERANCE["p"], np.fmax(p, 1e-12))

    def test_covariance(self, name, way):
        expected, fit, at = case(name).expected, fitted(name, way), _order(name, way)
        se = floats(expected["se"])
        near(fit.cov_params()[np.ix_(at, at)], expected["vcov"], TOLERANCE["covariance"], np.outer(se, se))
        if case(name).model["dispersion"] == "fixed":
            near(fit.conf_int()[at], expected["confint_wald_95_normal"], TOLERANCE["interval"], se[:, None])

    def test_deviances_and_dispersion(self, name, way):
        expected, fit = case(name).expected, fitted(name, way)
        near(fit.deviance, expected["deviance"], TOLERANCE["deviance"])
        near(fit.null_deviance, expected["null_deviance"], TOLERANCE["deviance"])
        near(fit.scale, expected["dispersion"], TOLERANCE["scale"])
        near(fit.pearson_chi2, expected["pearson_chi2"], TOLERANCE["scale"])

    def test_likelihood(self, name, way):
        expected, fit = case(name).expected, fitted(name, way)
        near(fit.llf, expected["loglik"], TOLERANCE["llf"])
        near(fit.aic, expected["aic"], TOLERANCE["criterion"])
        penalty = np.log(_nobs(case(name))) * expected["n_params_in_aic"]
        near(fit.bic, penalty - 2 * expected["loglik"], TOLERANCE["criterion"])

    def test_counts(self, name, way):
        c, fit = case(name), fitted(name, way)
        rank = c.expected["rank"]
        assert fit.rank == rank
        assert fit.nobs == _nobs(c)
        assert fit.df_resid == _nobs(c) - rank
        assert fit.df_model == rank - 1
        assert fit.aliased == c.expected.get("aliased", [])


def _nobs(c):
    """R counts a row of frequency weight once; it stands for as many rows as its weight says."""
    return c.weights.sum() if c.model.get("weights_type") == "frequency" else c.expected["nobs"]


@pytest.mark.parametrize("name", WITH_ROWS)
class TestRows:
    def test_predictions(self, name, way):
        c, fit = case(name), fitted(name, way)
        given = (c.X,) if way == "arrays" else (c.frame,)
        shift = {"offset": c.offset} if way == "arrays" else {}
        near(fit.predict(*given, **shift), c.rows["mu"], TOLERANCE["rows"])
        near(fit.predict(), c.rows["mu"], TOLERANCE["rows"])
        lin = c.rows["eta"].to_numpy()
        near(fit.predict(*given, kind="link", **shift), lin, TOLERANCE["rows"], np.fmax(np.abs(lin), 1))

    @pytest.mark.parametrize("kind", ["response", "pearson", "deviance", "working"])
    def test_residuals(self, name, way, kind):
        c, fit = case(name), fitted(name, way)
        want = c.rows[f"r_{kind}"].to_numpy()
        on = slice(None) if c.weights is None else c.weights > 0  # R replaces y in rows of weight 0
        scale = np.fmax(np.abs(want), np.sqrt(np.mean(want[on] ** 2)))[on]
        near(fit.residuals(kind=kind)[on], want[on], TOLERANCE["residuals"], scale)
        if way == "arrays":
            again = fit.residuals(c.X, c.y, kind=kind, weights=c.weights, offset=c.offset)
            near(again[on], want[on], TOLERANCE["residuals"], scale)


EXPOSURE = "poisson_log_fasttrak_exposure"


@pytest.mark.parametrize(
    "fit",
    [
        lambda c: fit_arrays(c, offset=None, exposure=c.exposure),
        lambda c: fit_formula(c, exposure=None, offset=np.log(c.frame["cases"])),
        lambda c: fit_formula(c, exposure=None, offset="lcases"),
        lambda c: fit_formula(c, c.original["formula"] + " + offset(log(cases))", exposure=None),
    ],
    ids=["exposure array", "offset array", "offset column", "offset() in the formula"],
)
def test_exposure_may_be_given_in_many_ways(fit):
    c = case(EXPOSURE)
    near(fit(c).params, c.expected["coef"], TOLERANCE["coef"], floats(c.expected["se"]))


# --------------------------------------------------------------------------- linear regression, NIST
@pytest.mark.parametrize("name", NIST)
def test_nist(name, way):
    c, fit = case(name), fitted(name, way)
    expected, short = c.expected, name.removeprefix("nist_")
    allowed = 10.0 ** -NIST_DIGITS[short]
    assert list(fit.names) == (c.columns if way == "arrays" else c.formulaic_names)
    assert fit.aliased == []
    assert fit.df_resid == expected["df_residual"]
    near(fit.params, expected["coef"], allowed)
    if short in EXACT:
        assert np.sqrt(fit.scale) <= 1e-6 * np.std(c.y)
    else:
        near(fit.bse, expected["se"], allowed)
        near(np.sqrt(fit.scale), expected["residual_sd"], allowed)


# --------------------------------------------------------------------------- classes
def test_multinomial(way):
    c, fit = case("multinomial_womenlf"), fitted("multinomial_womenlf", way)
    expected, se = c.expected, floats(c.expected["se"])
    assert fit.levels == c.model["levels"]
    assert list(fit.names) == (c.columns if way == "arrays" else c.formulaic_names)
    near(fit.params.T, expected["coef"], TOLERANCE["coef"], se)
    near(fit.bse.T, se, TOLERANCE["se"])
    near(fit.cov_params(), expected["vcov"], TOLERANCE["covariance"], np.outer(se, se))
    near(fit.llf, expected["loglik"], TOLERANCE["llf"])
    near(fit.aic, expected["aic"], TOLERANCE["criterion"])
    assert fit.rank == expected["n_params"]
    probabilities = c.rows[c.model["levels"]].to_numpy()
    near(fit.predict(c.X if way == "arrays" else c.frame), probabilities, TOLERANCE["rows"])
    near(fit.residuals(), (fit.levels == c.y[:, None]) - probabilities, TOLERANCE["residuals"], 1.0)


# --------------------------------------------------------------------------- separation
def test_separation_warns_and_goes_to_the_limit(way):
    c = case("separation_quasi_mtcars")
    with pytest.warns(UserWarning, match=r"(?i)separation.*gear5"):
        fit = (fit_arrays if way == "arrays" else fit_formula)(c)
    limit = c.expected["finite_coef"]
    assert fit.separated == ["gear5"]
    assert np.all(np.isfinite(fit.params))
    assert fit.params[2] > 10
    near(fit.params[:2], limit["coef"], TOLERANCE["separation"], limit["se"])
    near(fit.deviance, c.expected["limit_deviance"], TOLERANCE["separation"])


def test_separation_is_not_claimed_where_there_is_none():
    c = case("separation_quasi_mtcars")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = jglm.fit(c.X[:, 1:2], c.y, family="bernoulli")
    assert fit.separated == []
