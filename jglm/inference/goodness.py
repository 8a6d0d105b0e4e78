"""Tests of how well a fit describes its rows: Hosmer and Lemeshow's, and of the dispersion."""

import jax
import numpy as np

from jglm.fitting.problem import Problem, flatten_host
from jglm.inference import tails
from jglm.inference.testresults import HypothesisTest, outcome
from jglm.inputs import checks
from jglm.rows import statistics

METHODS = ("pearson", "regression")
ALTERNATIVES = ("greater", "less", "two-sided")


def hosmer_lemeshow(fit, groups):
    """See `Fit.hosmer_lemeshow`."""
    checks.whole("groups", groups)
    if groups is None or groups < 3:
        raise ValueError(f"groups is {groups!r}; it must be a whole number >= 3")
    family, support = fit.family, fit.family.support
    binary = family.dim is None and family.T_ is None and (support.low, support.high) == (0.0, 1.0)
    if family.parametrize_ is not None or not ((binary and family.dispersion == "fixed") or family.response == "label"):
        raise ValueError(f"the test of Hosmer and Lemeshow is for classes without an order; the family is "
                         f"{family.name!r}; see fit.by_group and fit.dispersion_test")  # fmt: skip
    with jax.enable_x64(True):
        y, mu, w = _rows(fit)
    y, mu = (np.column_stack([1 - v, v]) if v.ndim == 1 else v for v in (y, mu))
    code = _bins(1 - mu[:, 0], groups)
    used = int(code.max()) + 1
    sums = lambda v: np.stack([np.bincount(code, w * c, used) for c in v.T], axis=1)
    observed, expected = sums(y), sums(mu)
    statistic = float(np.sum((observed - expected) ** 2 / np.maximum(expected, 1e-300)))
    df = (used - 2) * (y.shape[1] - 1)
    if df <= 0:
        raise ValueError(f"the fitted probabilities fall into {used} groups only; at least 3 are needed")
    notes = [] if used == groups else [f"Ties leave {used} of {groups} groups."]
    few = float(np.mean(expected < 1))
    notes += [f"{few:.0%} of the expected counts are below 1; the chi-square law is rough."] if few > 0.2 else []
    return outcome("Hosmer-Lemeshow test", f"the fitted probabilities are right ({used} groups)", statistic, df,
                   notes=notes)  # fmt: skip


def _rows(fit):
    """(T(y), its mean, weights) of the rows that count."""
    prepared = fit._data("a test of fit")
    problem = Problem(fit.model, prepared, fit.kept)
    rows, _ = problem.at(problem.lin(flatten_host(fit.params[fit.kept])))
    on = prepared.weight > 0
    t = np.asarray(statistics(fit.model, prepared.y))
    mean = np.asarray(jax.vmap(jax.grad(fit.family.a))(rows.eta)) if fit.family.T_ is not None else rows.mu
    return t[on], mean[on], prepared.weight[on]


def _bins(p, groups):
    """Codes of the quantile groups of p, (low, high] but for the first, as R's `cut` makes them."""
    ends = np.unique(np.quantile(p, np.linspace(0, 1, groups + 1)))
    return np.clip(np.searchsorted(ends, p, side="left") - 1, 0, max(len(ends) - 2, 0))


def dispersion(fit, method, alternative):
    """See `Fit.dispersion_test`."""
    checks.choice("method", method, METHODS)
    checks.choice("alternative", alternative, ALTERNATIVES)
    if fit.family.dispersion != "fixed":
        raise ValueError(f"family {fit.family.name!r} estimates its dispersion ({fit.scale:.4g}); the test is for "
                         "families that fix it")  # fmt: skip
    if not np.isfinite(fit.pearson_chi2):
        raise ValueError(f"family {fit.family.name!r} has no Pearson statistic; see residuals(kind='quantile')")
    hypothesis = "the dispersion is 1"
    if method == "pearson":
        p = float(tails.chi_square_tail(fit.pearson_chi2, fit.df_resid))
        p = {"greater": p, "less": 1 - p, "two-sided": min(1.0, 2 * min(p, 1 - p))}[alternative]
        ratio = fit.pearson_chi2 / fit.df_resid if fit.df_resid > 0 else np.nan
        return HypothesisTest("Dispersion test (Pearson)", hypothesis, "chi2", fit.pearson_chi2, fit.df_resid, p,
                              estimate=np.array([ratio]), notes=[f"Pearson's chi2 / df = {ratio:.4g}."])  # fmt: skip
    with jax.enable_x64(True):
        excess = _excess(fit)
    n = len(excess)
    value, se = float(np.mean(excess)), float(np.std(excess, ddof=1) / np.sqrt(n))
    z = value / se
    above = float(tails.p_values(abs(z), None)) / 2
    above = above if z > 0 else 1 - above
    p = {"greater": above, "less": 1 - above, "two-sided": 2 * min(above, 1 - above)}[alternative]
    return HypothesisTest("Dispersion test (regression)", hypothesis, "z", z, None, p, estimate=np.array([1 + value]),
                          se=np.array([se]), notes=[f"Estimated dispersion {1 + value:.4g}."])  # fmt: skip


def _excess(fit):
    """w (y - mu)^2 / V - 1 of the rows that count; with y in place of mu beside it where V is the mean (Cameron and
    Trivedi 1990), which has the same expectation and a smaller variance."""
    prepared = fit._data("a test of the dispersion")
    if fit.family.parametrize_ is not None:
        return fit.residuals(kind="pearson")[prepared.weight > 0] ** 2 - 1
    problem = Problem(fit.model, prepared, fit.kept)
    rows, _ = problem.at(problem.lin(flatten_host(fit.params[fit.kept])))
    on = prepared.weight > 0
    y, mu, V, w = (v[on] for v in (prepared.y, rows.mu, rows.variance, prepared.weight))
    if np.allclose(V, mu, rtol=1e-9) and np.all(w == 1):
        return ((y - mu) ** 2 - y) / mu
    return w * (y - mu) ** 2 / V - 1
