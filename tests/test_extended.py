"""Families beyond R's glm against answers computed elsewhere, in 60 digits: references/extended/README.md says how."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import jglm
from jglm import families, links

FOLDER = Path(__file__).parent / "references" / "extended"
CASES = {p.stem: p for p in sorted(FOLDER.glob("*.json")) if p.stem != "tweedie_density"}
LINKS = {"log of lambda (canonical)": "canonical", "canonical": "canonical", "softmax": None}
VARIANCES = {"mu + mu^2 / 2.5": lambda mu: mu + mu**2 / 2.5, "mu^1.5": lambda mu: mu**1.5}
NAMES = {"ordered": "ordinal"}


def close(got, want, rtol, scale=None):
    got, want = np.asarray(got, float), np.asarray(want, float)
    assert got.shape == want.shape
    scale = np.abs(want) if scale is None else np.asarray(scale, float)
    worst = np.max(np.abs(got - want) / scale)
    assert worst <= rtol, worst


def family_and_link(model):
    name, link = model["family"], model.get("link")
    link = LINKS.get(link, link)
    if name == "quasi":
        known = model["variance"] in VARIANCES
        return families.quasi(VARIANCES[model["variance"]] if known else model["variance"].replace(" ", "")), link
    if name == "dirichlet":
        return families.dirichlet(parametrization=model.get("parametrization", "common")), None
    return NAMES.get(name, name), link


def fit(case, **options):
    j = json.loads(CASES[case].read_text())
    model, data = j["model"], {k: np.array(v) for k, v in j["data"].items() if k not in ("columns", "levels")}
    family, link = family_and_link(model)
    given = {k: data[k] for k in ("weights", "offset", "trials") if k in data}
    if "Z" in data:
        given["precision"] = data["Z"]
    if model.get("weights_kind") == "frequency":
        given["weight_kind"] = "frequency"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "constant column": the designs bring their own
        found = jglm.fit(data["X"], data["y"], family=family, link=link, intercept=False, tol=1e-11, **given, **options)
    return found, j["expected"]


def check(found, e, se, p_tol=1e-6):
    close(found.params, e["coef"], p_tol, e["se"][se])
    close(found.bse, e["se"][se], 1e-6)
    for ours, theirs, tol in (("deviance", "deviance", 1e-9), ("null_deviance", "null_deviance", 1e-8),
                              ("pearson_chi2", "pearson_chi2", 1e-6)):  # fmt: skip
        if theirs in e and found.family.T_ is None:
            close(getattr(found, ours), e[theirs], tol)
    if "llf" in e:
        close(found.llf, e["llf"], 1e-8, max(abs(e["llf"]), 1.0))
        close(found.aic, e["aic"], 1e-8, max(abs(e["aic"]), 1.0))


@pytest.mark.parametrize("case", [c for c in CASES if c.startswith(("negative_binomial", "conway"))])
def test_counts_with_a_parameter_of_their_own(case):
    found, e = fit(case)
    ours, theirs = ("nu", "nu") if case.startswith("conway") else ("r", "theta")
    joint = case.startswith("conway")
    check(found, e, "joint_observed" if joint else "expected")
    close(found.family_params[ours], e["nuisance"][theirs], 1e-6)
    own, whole = (e["nuisance_se"][theirs][k] for k in ("coef_fixed_observed", "joint_observed"))
    close(found.family_params_se[ours], whole if joint else own, 1e-6)
    together = found.with_covariance("joint")
    close(together.bse, e["se"]["joint_observed"], 1e-6)
    close(together.family_params_se[ours], whole, 1e-6)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.startswith(("beta", "dirichlet", "gaussian_scale", "gamma_disp"))]
)
def test_means_and_precisions(case):
    if case.startswith(("gaussian", "gamma")):
        own = case.split("_")[0] + "_mean_dispersion"
        j = json.loads(CASES[case].read_text())
        X, y, Z = (np.array(j["data"][k]) for k in ("X", "y", "Z"))
        found, e = jglm.fit(X, y, family=own, precision=Z, intercept=False, tol=1e-11), j["expected"]
    else:
        found, e = fit(case)
    common = "precision" not in e and "dispersion" not in e
    check(found, e, "expected" if common else "joint_observed")
    if not common:
        name = "precision" if "precision" in e else "dispersion"
        close(found.family_params[name], e[name], 1e-6, e[f"{name}_se"]["joint_observed"])
        close(found.family_params_se[name], e[f"{name}_se"]["joint_observed"], 1e-6)


@pytest.mark.parametrize("case", [c for c in CASES if c.startswith("ordered")])
def test_ordered_classes(case):
    found, e = fit(case)
    check(found, e, "observed")
    close(found.family_params["cutpoints"], e["cutpoints"], 1e-6, e["cutpoints_se"]["observed"])
    close(found.family_params_se["cutpoints"], e["cutpoints_se"]["observed"], 1e-6)
    close(found.predict()[e["fitted"]["rows"]], e["fitted"]["probabilities"], 1e-8)


@pytest.mark.parametrize("case", [c for c in CASES if c.startswith("multinomial")])
def test_counts_in_classes(case):
    found, e = fit(case)
    check(found, e, "expected")
    close(found.predict()[e["fitted"]["rows"]], e["fitted"]["probabilities"], 1e-8)


@pytest.mark.parametrize("case", [c for c in CASES if c.startswith("quasi")])
def test_quasi_likelihood(case):
    found, e = fit(case) if case != "quasibinomial_lirat" else fit_quasibinomial()
    check(found, e, "expected")
    close(found.scale, e["dispersion"], 1e-6)
    assert found.df_resid == e["df_resid"]
    assert np.isnan(found.llf)


def fit_quasibinomial():
    j = json.loads(CASES["quasibinomial_lirat"].read_text())
    X, y, trials = (np.array(j["data"][k], float) for k in ("X", "y", "trials"))
    return jglm.fit(X, y, trials=trials, family="quasibinomial", intercept=False, tol=1e-11), j["expected"]


@pytest.mark.parametrize("case", ["gamma_airquality", "gamma_airquality_weights", "gaussian_stackloss",
                                  "inverse_gaussian_nuclear"])  # fmt: skip
def test_dispersion_by_maximum_likelihood(case):
    found, e = fit(case, dispersion="ml")
    if "readings" in e:
        e = {**e, **e["readings"]["likelihood"]}  # R's reading of prior weights for the gamma
    check(found, e, "expected")
    close(found.scale, e["nuisance"]["phi"], 1e-8)


@pytest.mark.parametrize("case", ["geometric_log_quine", "geometric_canonical_quine", "logarithmic_corbet",
                                  "logarithmic_trips", "zero_truncated_poisson_trips", "von_mises_periwinkles",
                                  "von_mises_periwinkles_constant"])  # fmt: skip
def test_one_line_families(case):
    LINKS.update(dict.fromkeys([k for c in CASES for k in [json.loads(CASES[c].read_text())["model"].get("link")]
                                if k and k.startswith(("canonical", "log of"))], "canonical"))  # fmt: skip
    found, e = fit(case)
    check(found, e, "expected")


@pytest.mark.parametrize("case", ["tweedie_owls", "tweedie_owls_weights"])
def test_tweedie_power_and_dispersion(case):
    found, e = fit(case)
    e = e["readings"]["dispersion"] if "readings" in e else e
    check(found, e, "expected")
    close(found.family_params["power"], e["nuisance"]["power"], 1e-6)
    close(found.scale, e["nuisance"]["phi"], 1e-6)
    close(found.with_covariance("joint").bse, e["se"]["joint_observed"], 1e-5)


def test_tweedie_density():
    j = json.loads((FOLDER / "tweedie_density.json").read_text())
    grid = j["data"]
    want = np.array(j["expected"]["log_density"]).reshape([len(grid[k]) for k in ("p", "phi", "mu", "y")])
    for i, p in enumerate(grid["p"]):
        family = families.tweedie(p)
        phi, mu, y = np.meshgrid(*(np.array(grid[k], float) for k in ("phi", "mu", "y")), indexing="ij")
        got = family.log_prob(y, family.natural(mu), phi)
        worst = np.max(np.abs(got - want[i]) / np.maximum(1.0, np.abs(want[i]) * 1e-3))
        assert worst < 1e-10, (p, worst)


def test_links_of_these_families_are_documented():
    assert links.default(families.logarithmic).name == "log_natural"
