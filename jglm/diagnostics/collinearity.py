"""How far the columns of a fit know the same: variance inflation by term and condition numbers; partial residuals."""

import re

import numpy as np

from jglm.diagnostics import residuals
from jglm.fitting import deferred
from jglm.fitting.problem import Problem, flatten_host


def terms_of(fit):
    """{term: indices of its columns}: the formula's terms, without a formula every column; no constant."""
    spec = None if fit.formula is None else fit.formula.spec
    own = {}
    for term in getattr(spec, "structure", None) or []:
        own.update((str(column), str(term.term)) for column in term.columns)
    found: dict = {}
    for j, name in enumerate(fit.names):
        named = own.get(name) or (re.sub(r"\[[^\]]*\]", "", name) if fit.formula is not None else name)
        if name != "Intercept" and named not in ("1", ""):
            found.setdefault(named, []).append(j)
    return found


def inflation(fit):
    """A data frame by term: GVIF, its number of coefficients and GVIF^(1 / (2 df)), from the correlations of the
    estimates (Fox and Monette 1992, JASA 87, 178-183); the variance inflation factor where a term has one column."""
    import pandas

    kept, width = np.asarray(fit.kept), fit.model.width() or 1
    C = fit._unscaled_covariance()
    size = np.sqrt(np.diagonal(C))
    R = C / np.outer(size, size)
    place = np.cumsum(kept) - 1
    p = int(kept.sum())
    at = lambda columns: [place[j] + a * p for a in range(width) for j in columns if kept[j]]
    terms = {term: at(columns) for term, columns in terms_of(fit).items()}
    terms = {term: columns for term, columns in terms.items() if columns}
    every = sorted(j for columns in terms.values() for j in columns)
    log_det = lambda columns: np.linalg.slogdet(R[np.ix_(columns, columns)])[1] if columns else 0.0
    whole, found = log_det(every), []
    for columns in terms.values():
        rest = [j for j in every if j not in set(columns)]
        log_gvif = log_det(columns) + log_det(rest) - whole
        found.append((np.exp(log_gvif), len(columns), np.exp(log_gvif / (2 * len(columns)))))
    index = pandas.Index(list(terms), name="term")
    return pandas.DataFrame(found, index=index, columns=["gvif", "df", "gvif_scaled"])


def singular(fit):
    """(singular values, right vectors) of sqrt(W) X with columns of length 1."""
    problem = Problem(fit.model, fit._data("the condition number"), fit.kept)
    flat = flatten_host(fit.params[fit.kept])
    R = deferred.triangle(problem, problem.derivatives(problem.lin(flat)), flat)
    values, vectors = np.linalg.svd(R / np.linalg.norm(R, axis=0))[1:]
    return values, vectors


def condition_table(fit):
    """A data frame by singular value: its condition index, and the share of the variance of each coefficient that it
    makes (Belsley, Kuh and Welsch 1980, chapter 3)."""
    import pandas

    values, vectors = singular(fit)
    shares = vectors**2 / values[:, None] ** 2
    shares = shares / shares.sum(axis=0)
    kept = [name for name, on in zip(fit.names, fit.kept, strict=True) if on]
    if fit.params.ndim == 1:
        columns = pandas.Index(kept)
    else:
        columns = pandas.MultiIndex.from_product([fit._lin_names(), kept], names=["class", "name"])
    index = pandas.Index(values[0] / values, name="condition_index")
    return pandas.DataFrame(shares, index=index, columns=columns)


# --------------------------------------------------------------------------- partial residuals
def contributions(fit, term=None):
    """{term: (n,) or (n, k)}: what each term (or one of them, or one column by its name) adds to lin in every row, with
    mean 0, as R's predict(type="terms")."""
    prepared, terms = fit._data("partial residuals"), terms_of(fit)
    if term is not None:
        known = terms | {name: [j] for j, name in enumerate(fit.names)}
        if term not in known:
            raise ValueError(f"the fit has no term {term!r}; its terms are {', '.join(terms)}")
        terms = {term: known[term]}
    found = {}
    for name, columns in terms.items():
        part = np.zeros_like(fit.params)
        part[columns] = np.nan_to_num(fit.params[columns])
        own = prepared.design.times(part)
        found[name] = own - own.mean(axis=0)
    return found


def partial_residuals(fit, term=None):
    """A data frame by row: working residuals plus what a term adds to lin; a column for each term, or each term and
    class."""
    import pandas

    own = contributions(fit, term)
    working = residuals.of(fit, None, None, "working", None, None, None, None, None, 0)
    if working.ndim == 1:
        return pandas.DataFrame({name: working + part for name, part in own.items()})
    columns = {(name, level): working[:, a] + part[:, a]
               for name, part in own.items() for a, level in enumerate(fit._lin_names())}  # fmt: skip
    return pandas.DataFrame(columns)
