"""Tests of hypotheses on the coefficients of fits: Wald, likelihood ratio and score (Rao)."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm.designs import Categorical
from jglm.fitting.problem import flatten_host
from jglm.inference import restrictions, tails
from jglm.inference.testresults import ADJUSTMENTS, HypothesisTests, adjust_pvalues, outcome
from jglm.inputs import checks, frames
from jglm.inputs.data import Prepared
from jglm.inputs.formula import Formula
from jglm.scans.nullmodel import Null

LIKELIHOOD_TESTS = ("LR", "F", "likelihood")
SINGULAR = 1e-12  # the smallest eigenvalue of a correlation matrix that still counts
SAMPLE = 5000  # rows in which it is tried whether one model's columns are combinations of another's


def refuse_unsound(fit, what):
    """ValueError where a fit is no optimum."""
    if fit.shift:
        raise ValueError(f"the fit was rebalanced, and {what} is one of the optimum; ask the fit before")
    if not fit.converged:
        raise ValueError(f"the fit did not converge ({fit.status.message}), and {what} is one of the optimum; fit it "
                         "with a larger max_iter or other columns")  # fmt: skip


def refuse_penalty(fit, what):
    """ValueError where a likelihood was penalized, so that its differences have no known law."""
    if fit.model.penalty is not None:
        raise ValueError(f"the fit has a penalty, with which {what} has no chi-square law; fit it without, or use "
                         "jglm.bootstrap")  # fmt: skip


def separation_notes(fit):
    return [f"Separation along {', '.join(fit.separated[:8])}: Wald tests mean nothing there; use a likelihood-ratio "
            "test."] if fit.separated else []  # fmt: skip


# --------------------------------------------------------------------------- Wald
def wald(fit, restriction, value, test, adjust):
    """See `Fit.wald_test`."""
    refuse_unsound(fit, "a Wald test")
    checks.choice("test", test, (None, "chi2", "F"))
    V, R, estimate, labels = _restricted(fit, restriction, value)
    S = R @ V @ R.T
    with np.errstate(invalid="ignore"):
        se = np.sqrt(np.diagonal(S))
    notes = separation_notes(fit)
    if adjust is not None:
        checks.choice("adjust", adjust, ADJUSTMENTS)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = estimate / se
        p = tails.p_values(statistic, fit._df)
        columns = {"estimate": estimate, "std err": se, fit._letter: statistic, "p": adjust_pvalues(p, adjust)}
        return HypothesisTests("Wald tests" + ("" if adjust == "none" else f", p adjusted ({adjust})"), labels,
                               columns, notes)  # fmt: skip
    df_resid = fit._df if test is None else None if test == "chi2" else fit._df or fit.df_resid
    return outcome("Wald test", "; ".join(labels), quadratic(estimate, S), len(estimate), df_resid, estimate=estimate,
                   se=se, notes=notes)  # fmt: skip


def quadratic(estimate, S):
    """estimate' S^-1 estimate. Raises ValueError where S is singular."""
    size = np.sqrt(np.diagonal(S))
    if not (np.all(np.isfinite(S)) and np.all(size > 0)):
        raise ValueError("the covariance of what is restricted is not finite and positive; there is nothing to test by")
    values, vectors = np.linalg.eigh(S / np.outer(size, size))
    if values[0] < SINGULAR:
        raise ValueError(f"the {len(S)} restrictions depend on each other, or the covariance has too low a rank for "
                         "them (with few groups); test fewer at a time")  # fmt: skip
    return float(np.sum((vectors.T @ (estimate / size)) ** 2 / values))


def _restricted(fit, restriction, value):
    """(V (P, P), R (r, P), estimates less what they are under the hypothesis (r,), labels); P counts kept
    coefficients."""
    whole = flatten_host(fit.params)
    kept = ~np.isnan(whole)
    V = fit.cov_params()[np.ix_(kept, kept)]
    if callable(restriction):
        return V, *_curved(fit, restriction, value, kept)
    R, q, labels = _linear(fit, restriction, value, len(whole))
    lost = np.any(R[:, ~kept] != 0, axis=0)
    if np.any(lost):
        names = [_flat_names(fit)[i] for i in np.flatnonzero(~kept)[lost]]
        raise ValueError(f"the restriction is on {', '.join(names)}, which is aliased (a combination of earlier "
                         "columns) and has no estimate")  # fmt: skip
    return V, R[:, kept], R[:, kept] @ whole[kept] - q, labels


def _linear(fit, restriction, value, P):
    columns = None if fit.params.ndim == 1 else fit._lin_names()
    if isinstance(restriction, dict):
        restriction = [f"`{name}` = {float(v)!r}" for name, v in restriction.items()]
    is_text = isinstance(restriction, str) or (
        isinstance(restriction, (list, tuple)) and all(isinstance(v, str) for v in restriction)
    )
    if is_text:
        if value is not None:
            raise ValueError("value= is for matrices and functions; a text says it itself, 'age = 1'")
        return restrictions.parse(restriction, fit.names, columns)
    R = checks.numbers("restriction", restriction)
    R = R[None] if R.ndim == 1 else R
    if R.ndim != 2 or R.shape[1] != P:
        raise ValueError(f"restriction has shape {np.shape(restriction)}; it must be (r, {P}), a row for each "
                         "restriction" + ("" if columns is None else ", coefficients class by class"))  # fmt: skip
    if not np.all(np.any(R != 0, axis=1)):
        raise ValueError("restriction has a row of zeros, which restricts nothing")
    names = _flat_names(fit)
    q = np.zeros(len(R)) if value is None else np.broadcast_to(checks.numbers("value", np.atleast_1d(value)), len(R))
    return R, q, [_label(row, names, v) for row, v in zip(R, q, strict=True)]


def _flat_names(fit):
    if fit.params.ndim == 1:
        return list(fit.names)
    return [f"{n} @ {c}" for c in fit._lin_names() for n in fit.names]


def _label(row, names, value):
    terms = [f"{'' if v == 1 else '-' if v == -1 else f'{v:g}*'}{names[i]}" for i, v in enumerate(row) if v]
    shown = " + ".join(terms[:6]) + (" + …" if len(terms) > 6 else "")
    return f"{shown.replace('+ -', '- ')} = {value:g}"


def _curved(fit, function, value, kept):
    """(J, g - value, labels) of a function of the coefficients by automatic differentiation."""
    with jax.enable_x64(True):
        at = jnp.asarray(np.nan_to_num(fit.params))
        flat = lambda params: jnp.ravel(jnp.asarray(function(params)))
        g = np.asarray(flat(at), float)
        J = np.asarray(jax.jacobian(flat)(at), float)
    J = J.reshape(len(g), *np.shape(fit.params))
    J = (J if J.ndim == 2 else J.transpose(0, 2, 1).reshape(len(g), -1))[:, kept]
    if not (np.all(np.isfinite(g)) and np.all(np.isfinite(J))):
        raise ValueError("the restriction or its derivative is not finite at the estimates")
    q = np.zeros(len(g)) if value is None else np.broadcast_to(checks.numbers("value", np.atleast_1d(value)), len(g))
    name = getattr(function, "__name__", "g")
    name = "g" if name == "<lambda>" else name
    return J, g - q, [f"{name}{f'[{i}]' if len(g) > 1 else ''}(params) = {v:g}" for i, v in enumerate(q)]


# --------------------------------------------------------------------------- likelihood ratio
def lr_test(small, large, test="LR"):
    """The likelihood-ratio test of a model against a larger one, of the same data, that contains it.

    Args:
        small, large: fits.
        test: where the dispersion is fixed all are the same, twice the difference of the log-likelihoods; else "LR" is
            the difference of the deviances by the dispersion of the larger model, chi-square (R's `anova(test="LRT")`),
            "F" the same by its degrees of freedom, from F, and "likelihood" twice the difference of the log-likelihoods
            with each model's own dispersion (lmtest::lrtest). Parameters of the family that were estimated are each
            model's own (MASS::anova.negbin).

    Returns a test with `statistic`, `df` and `pvalue`. Raises ValueError for fits of other data, rows or families, for
    models that are not nested, with a penalty or sampling weights, or that did not converge. Fits without their data
    in memory are compared by their names.

    >>> import jglm
    >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0], [4.0, 0.0]], [1, 3, 2, 7, 9]
    >>> small, large = (jglm.fit([r[:i] for r in X], y, family="poisson") for i in (1, 2))
    >>> jglm.lr_test(small, large)
    Likelihood-ratio test: x2 = 0
    chi2(1) = 0.3985, p = 0.528
    """
    checks.choice("test", test, LIKELIHOOD_TESTS)
    _refuse_pair(small, large)
    df = large.rank + large._count_free - small.rank - small._count_free
    if df <= 0:
        raise ValueError(f"the larger model has {large.rank} coefficients, the smaller {small.rank}: give the smaller "
                         "one first, with fewer")  # fmt: skip
    _refuse_other_data(small, large)
    extra = [n for n, k in zip(large.names, large.kept, strict=True) if k and n not in _kept_names(small)]
    hypothesis = "; ".join(f"{n} = 0" for n in extra[:8]) + ("; …" if len(extra) > 8 else "")
    fixed = large.family.dispersion == "fixed" or "phi" in large.nuisance
    if large.free or (test == "likelihood" and not fixed):
        statistic, df_resid = 2 * (large.llf - small.llf), None
    else:
        statistic, df_resid = (small.deviance - large.deviance) / large.scale, None if test != "F" else large.df_resid
    if not np.isfinite(statistic):
        raise ValueError("the likelihood of one of the models is not known (quasi-likelihood, or a dispersion of 0); "
                         "use test='LR' or 'F', or a Wald test")  # fmt: skip
    return outcome("F test" if df_resid else "Likelihood-ratio test", hypothesis or "the smaller model", max(statistic,
                   0.0), df, df_resid)  # fmt: skip


def _kept_names(fit):
    return {n for n, k in zip(fit.names, fit.kept, strict=True) if k}


def _refuse_pair(small, large):
    for fit in (small, large):
        if not hasattr(fit, "_prepared"):
            raise TypeError(f"a likelihood-ratio test takes two fits; one is a {type(fit).__name__}")
        refuse_unsound(fit, "a likelihood ratio")
        refuse_penalty(fit, "a likelihood ratio")
        refuse_sampled(fit, "a likelihood ratio")
    for what in ("family", "link"):
        one, other = (getattr(fit, what).name for fit in (small, large))
        if one != other:
            raise ValueError(f"the models differ in their {what} ({one!r}, {other!r}), not only in their columns")
    if small.weight_kind != large.weight_kind or [n for n, _ in small.free] != [n for n, _ in large.free]:
        raise ValueError("the models differ in what their weights mean, or in which family parameters were estimated")
    for name in {*small.family.params} - {n for n, _ in small.free}:
        if not np.array_equal(small.family.params[name], large.family.params[name]):
            raise ValueError(f"the families of the two models have another {name}")


def refuse_sampled(fit, what):
    """ValueError for sampling weights, whose likelihood is none."""
    if fit.weight_kind == "sampling":
        raise ValueError(f"with sampling weights there is no likelihood, and {what} has no chi-square law; use "
                         "fit.wald_test")  # fmt: skip


def _refuse_other_data(small, large):
    """ValueError where the rows are not the same, or the smaller model's columns no combinations of the larger's."""
    if small.nobs != large.nobs:
        raise ValueError(f"the models were fitted to {small.nobs:,.0f} and {large.nobs:,.0f} observations; fit them to "
                         "the same (missing values of a column may have dropped rows)")  # fmt: skip
    a, b = small._prepared, large._prepared
    if not (isinstance(a, Prepared) and isinstance(b, Prepared)):  # detached, or a stream
        missing = _kept_names(small) - _kept_names(large)
        if missing:
            raise ValueError(f"the larger model has no column {sorted(missing)[0]!r}, so that it does not contain the "
                             "smaller one")  # fmt: skip
        return
    for what in ("y", "weight", "offset"):
        one, other = np.asarray(getattr(a, what)), np.asarray(getattr(b, what))
        if one.shape != other.shape or not np.allclose(one, other, rtol=1e-12, atol=0):
            raise ValueError(f"the models were fitted to data of another {what}; they must have the same rows")
    on = np.flatnonzero(a.weight > 0)
    p = int(large.kept.sum())
    if p > SAMPLE // 2:
        return
    rows = on[:: max(1, len(on) // max(SAMPLE, 4 * p))]
    A, B = (v.design.columns(fit.kept).take(rows).dense() for v, fit in ((a, small), (b, large)))
    B = B / np.maximum(np.max(np.abs(B), axis=0), 1e-300)
    rest = A - B @ np.linalg.lstsq(B, A, rcond=1e-12)[0]
    apart = np.linalg.norm(rest, axis=0) > 1e-7 * np.linalg.norm(A, axis=0)
    if np.any(apart):
        name = np.array(small.names, object)[small.kept][np.argmax(apart)]
        raise ValueError(f"the models are not nested: column {name!r} of the smaller one is no combination of the "
                         "columns of the larger")  # fmt: skip


# --------------------------------------------------------------------------- score
def score(fit, added, data, names):
    """See `Fit.score_test`."""
    refuse_unsound(fit, "a score test")
    refuse_penalty(fit, "a score test")
    refuse_sampled(fit, "a score test")
    with jax.enable_x64(True):
        null = Null(fit)
        G, names = _added(fit, added, data, names, len(null.on))
        G = np.where(null.on[:, None], G, 0.0)
        rest = null.residuals(G)
        U = np.einsum("ni,ainc->ac", null.score, rest).ravel()
        V = np.einsum("ainc,nij,bjnd->acbd", rest, null.W, rest, optimize=True).reshape(len(U), -1)
        before = np.concatenate([np.einsum("nc,n->c", G**2, null.W[:, a, a]) for a in range(null.k)])
    statistic, df = _score_statistic(U, V, before)
    if df == 0:
        raise ValueError("the added columns are combinations of those of the model; there is nothing to test")
    notes = [] if df == len(U) else [f"{len(U) - df} of {len(U)} directions are combinations of the others."]
    return outcome("Score test", "; ".join(f"{n} = 0" for n in names), statistic / null.phi, df, notes=notes)


def _score_statistic(U, V, before):
    """(U' V^-1 U, rank of V); `before` is what the diagonal of V was before the null's columns were taken away."""
    whole = np.sqrt(np.where(before > 0, before, 1.0))
    new = np.diagonal(V) > 1e-20 * whole**2
    if not np.any(new):
        return 0.0, 0
    U, V = U[new], V[np.ix_(new, new)]
    size = np.sqrt(np.diagonal(V))
    values, vectors = np.linalg.eigh(V / np.outer(size, size))
    on = values > 1e-10
    return float(np.sum((vectors.T @ (U / size))[on] ** 2 / values[on])), int(on.sum())


def _added(fit, added, data, names, n):
    """(G (n, q), names) of columns that a score test adds."""
    if not isinstance(added, str):
        if hasattr(added, "columns") and not callable(added.columns):
            names = names or [str(c) for c in added.columns]
        G = checks.numbers("added", added, n)
        G = G[:, None] if G.ndim == 1 else G
        return G, [str(v) for v in names] if names else [f"added {i + 1}" for i in range(G.shape[1])]
    if data is None:
        raise ValueError(f"added is the formula {added!r}; give its data frame by data=")
    functions = {} if fit.formula is None else fit.formula.functions
    formula = Formula(f"~ {added}", functions, intercept=False, one_sided=True)
    own = [] if fit.formula is None else [*fit.formula.variables, *fit.columns.values(), *fit.fixed]
    frame = frames.to_pandas(data, list(dict.fromkeys([*formula.right_variables, *own])))
    if len(frame) != n:
        frame = frame.loc[~frame[own].isna().any(axis=1)].reset_index(drop=True)
    if len(frame) != n:
        raise ValueError(
            f"data has {len(frame)} rows that the fit could use, the fit had {n}; give the rows of the fit"
        )
    missing = frame[formula.right_variables].isna().to_numpy().any(axis=1)
    checks.refuse("data", missing, "missing", "fit the model to the rows that miss nothing, then test")
    design, _ = formula.fit(frame)
    return (design.dense() if isinstance(design, Categorical) else design), formula.names
