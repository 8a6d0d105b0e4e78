"""Tests of whole terms: the analysis of deviance of types I, II and III, and the dropping of one term at a time."""

import dataclasses
from dataclasses import dataclass

import jax
import numpy as np

from jglm import penalties
from jglm.designs import Dense
from jglm.fitting import estimate
from jglm.fitting.problem import flatten_host
from jglm.inference import hypotheses, tails
from jglm.inference.sandwich import ROBUST
from jglm.inference.testresults import HypothesisTests, adjust_pvalues
from jglm.inputs import checks

TYPES = ("I", "II", "III")
TESTS = ("LR", "F", "Wald", "Rao")
OPTIONS = dict(solver="auto", tol=1e-9, max_iter=None, dtype="float64", start=None, progress=False)


@dataclass(frozen=True)
class Term:
    """A term of a model: its name, the factors that it multiplies, and (p,) which columns are its own."""

    name: str
    factors: frozenset
    columns: np.ndarray


def terms_of(fit, given=None):
    """The Terms of a fit: of its formula; as `given` {name: names of columns}; else every column. Not the intercept."""
    names = list(fit.names)
    if given is not None:
        return [Term(str(name), frozenset([name]), _columns(names, own, name)) for name, own in given.items()]
    structure = None if fit.formula is None else fit.formula.spec.structure
    if structure is None:
        return [Term(n, frozenset([n]), np.arange(len(names)) == i) for i, n in enumerate(names) if n != "Intercept"]
    found = []
    for term in structure:
        own = [c for c in map(str, term.columns) if c in names and c != "Intercept"]
        if own:
            factors = frozenset(f.expr for f in term.term.factors)
            found.append(Term(str(term.term), factors, np.isin(names, own)))
    return found


def _columns(names, own, term):
    own = [own] if isinstance(own, str) else list(own)
    missing = [c for c in own if c not in names]
    if missing or not own:
        what = f": {missing[0]!r} is no column of the fit" if missing else " has no columns"
        raise ValueError(f"term {term!r}{what}")
    return np.isin(names, own)


def relatives(terms, term):
    """(p,) which columns belong to terms that contain a term, such as a:b to a."""
    own = [t.columns for t in terms if t.factors > term.factors]
    return np.any(own, axis=0) if own else np.zeros(len(term.columns), bool)


class _Refits:
    """Fits with fewer columns, each made once. Family parameters to which the mean is orthogonal are held."""

    def __init__(self, fit):
        self.fit, self.found = fit, {np.ones(len(fit.names), bool).tobytes(): fit}
        apart = fit.link.inverse_ is not None and fit.family.parametrize_ is None
        self.jointly = bool(fit.free) and (not apart or "phi" in fit.nuisance)

    def of(self, columns):
        key = columns.tobytes()
        if key not in self.found:
            with jax.enable_x64(True):
                self.found[key] = self._fit(columns)
        return self.found[key]

    def _fit(self, columns):
        fit, prepared = self.fit, self.fit._data("the fits without a term")
        names, penalty = [n for n, c in zip(fit.names, columns, strict=True) if c], None
        design = prepared.design.columns(columns) if names else None
        if design is None:  # the offset (and cutpoints) alone: a column of zeros, held at 0
            names, penalty = [""], penalties.ridge(1.0)
            design = Dense(np.zeros((len(prepared.y), 1)), "float64")
        part = dataclasses.replace(
            prepared, design=design, names=names, intercept=prepared.intercept and penalty is None
        )
        family = fit.family.replace(free=fit.free) if self.jointly else fit.family
        found = estimate.estimate(part, family, fit.link, penalty, **OPTIONS)
        params, kept = (found.coef, found.kept) if penalty is None else (found.coef * np.nan, found.kept & False)
        return dataclasses.replace(
            fit, model=found.model, params=params, names=names, kept=kept, deviance=found.deviance,
            pearson_chi2=found.chi2, status=found.status, nuisance=found.nuisance if self.jointly else fit.nuisance,
            separated=found.separated, formula=None, _prepared=part, _unscaled=None, _joint=None, _robust=None,
            _null=None, _llf=found.llf if np.isfinite(found.llf) else None, _phi=None,
        )  # fmt: skip

    def deviance(self, columns):
        """(what the likelihood ratio is a difference of, in units of phi = 1; NaN without an optimum, and the rank)."""
        at = self.of(columns)
        if not at.converged:
            return np.nan, at.rank
        return (-2 * at.llf if self.jointly else at.deviance), at.rank


def _chosen(fit, test, known):
    """The test asked for, or the one that suits the fit."""
    checks.choice("test", test, (None, *known))
    robust = fit.covariance in ROBUST or fit.weight_kind == "sampling"
    if test is None:
        return "Wald" if robust else "LR" if fit._df is None else "F"
    if test == "F" and fit._df is None:
        raise ValueError(f"family {fit.family.name!r} has a fixed dispersion, so there is no F; use test='LR'")
    if test != "Wald":
        hypotheses.refuse_sampled(fit, f"the {test} test")
    return test


def anova(fit, type, test, terms, adjust):
    """See `Fit.anova`."""
    checks.choice("type", type, TYPES)
    hypotheses.refuse_unsound(fit, "an analysis of deviance")
    hypotheses.refuse_penalty(fit, "an analysis of deviance")
    test, parts = _chosen(fit, test, TESTS), terms_of(fit, terms)
    if not parts:
        raise ValueError("the model has no terms besides the intercept; there is nothing to test")
    title = f"Analysis of deviance, type {type}, {test}"
    if test == "Wald":
        return _table(fit, title, parts, [_wald(fit, *_sets(fit, parts, t, type)) for t in parts], adjust, {}, test)
    refits, rows, extra = _Refits(fit), [], {"resid df": [], "resid deviance": []}
    for t in parts:
        added, large = _sets(fit, parts, t, type)
        rows.append(_ratio(refits, added, large, test))
        at = refits.of(large)
        extra["resid df"].append(at.df_resid)
        extra["resid deviance"].append(at.deviance)
    extra = extra if type == "I" and not refits.jointly else {}
    return _table(fit, title, parts, rows, adjust, extra, test)


def _sets(fit, parts, term, type):
    """(columns that are tested, columns of the larger model) of a term."""
    every = np.ones(len(fit.names), bool)
    if type == "III":
        return term.columns, every
    if type == "II":
        return term.columns, every & ~relatives(parts, term)
    at = next(i for i, t in enumerate(parts) if t is term)
    later = [t.columns for t in parts[at + 1 :]]
    return term.columns, every & ~(np.any(later, axis=0) if later else np.zeros(len(every), bool))


def _ratio(refits, tested, large, test):
    """(df, statistic by the dispersion, deviance) of taking columns out of a model."""
    fit, small = refits.fit, large & ~tested
    if test == "Rao" and refits.of(small).converged:
        null = refits.of(small)
        df = refits.of(large).rank - null.rank
        if df == 0:
            return 0, np.nan, np.nan
        with jax.enable_x64(True):
            G = fit._data("a score test").design.columns(tested).dense()
        found = hypotheses.score(null, G, None, None)
        own = 1.0 if null.free and null._joins else null.scale
        return df, found.statistic * own / (1.0 if null.free and null._joins else fit.scale), np.nan
    (less, rank), (more, whole) = refits.deviance(small), refits.deviance(large)
    scale = 1.0 if refits.jointly else fit.scale
    return whole - rank, max(less - more, 0.0) / scale if np.isfinite(less - more) else np.nan, less - more


def _wald(fit, tested, large):
    """(df, statistic, NaN): what the columns add to the Wald statistic of those outside the larger model."""
    V, flat = fit.cov_params(), flatten_host(fit.params)
    width = fit.model.width() or 1

    def of(columns):
        at = np.flatnonzero(np.tile(columns, width) & ~np.isnan(flat))
        return (hypotheses.quadratic(flat[at], V[np.ix_(at, at)]) if len(at) else 0.0), len(at)

    (both, more), (rest, less) = of(tested | ~large), of(~large)
    return more - less, both - rest if more > less else np.nan, np.nan


def _table(fit, title, parts, rows, adjust, extra, test):
    df, statistic, deviance = (np.array(v, float) for v in zip(*rows, strict=True))
    columns = {"df": df}
    if test in ("LR", "F"):
        columns["deviance"] = deviance
    columns |= {k: np.array(v, float) for k, v in extra.items()}
    by_f = test == "F" or (test == "Wald" and fit._df is not None)
    columns |= _judged(df, statistic, fit._df if by_f else None)
    if adjust is not None:
        columns["p adjusted"] = adjust_pvalues(columns["p"], adjust)
    notes = hypotheses.separation_notes(fit) if test == "Wald" else []
    if test != "Wald" and fit.covariance in ROBUST:
        notes.append(f"The {test} test takes rows as independent and the variance as the family's; the robust "
                     "covariance has no part in it.")  # fmt: skip
    return HypothesisTests(title, [t.name for t in parts], columns, notes)


def _judged(df, statistic, df_resid):
    """{name of the statistic, p} by chi-square, or by F where df_resid is known."""
    on = (df > 0) & np.isfinite(statistic)
    p = np.full(len(df), np.nan)
    if df_resid is None:
        p[on] = [tails.chi_square_tail(s, d) for s, d in zip(statistic[on], df[on], strict=True)]
        return {"chi2": np.where(on, statistic, np.nan), "p": p}
    F = np.divide(statistic, df, out=np.full(len(df), np.nan), where=on)
    p[on] = [tails.f_tail(s, d, df_resid) for s, d in zip(F[on], df[on], strict=True)]
    return {"F": F, "p": p}


def drop1(fit, test, terms, adjust):
    """See `Fit.drop1`."""
    hypotheses.refuse_unsound(fit, "dropping terms")
    hypotheses.refuse_penalty(fit, "dropping terms")
    test, parts = _chosen(fit, test, TESTS), terms_of(fit, terms)
    single = [t for t in parts if not relatives(parts, t).any()]
    every = np.ones(len(fit.names), bool)
    if test == "Wald":
        return _table(fit, "Single terms dropped, Wald", single, [_wald(fit, t.columns, every) for t in single], adjust,
                      {}, test)  # fmt: skip
    refits = _Refits(fit)
    rows = [_ratio(refits, t.columns, every, test) for t in single]
    small = [refits.of(every & ~t.columns) for t in single]
    table = _table(fit, f"Single terms dropped, {test}", single, rows, adjust, {}, test)
    first = {"df": np.nan, "deviance": fit.deviance, "AIC": fit.aic}
    columns = {"df": table["df"], "deviance": [s.deviance for s in small], "AIC": [_aic(fit, s, refits) for s in small]}
    columns |= {k: v for k, v in table.columns.items() if k not in columns}
    whole = {k: np.append(first.get(k, np.nan), np.asarray(v, float)) for k, v in columns.items()}
    return HypothesisTests(table.title, ["<none>", *table.rows], whole, table.notes)


def _aic(fit, small, refits):
    """Akaike's criterion without a term, in the constants of the fit: at the dispersion of the larger model, as R."""
    change = 2 * (small.rank - fit.rank)
    if refits.jointly:
        return fit.aic + change + 2 * (fit.llf - small.llf)
    if fit.family.name == "gaussian" and fit.family.dispersion == "estimated":
        return fit.aic + change + fit.nobs * np.log(small.deviance / fit.deviance)
    return fit.aic + change + (small.deviance - fit.deviance) / fit.scale
