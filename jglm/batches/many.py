"""The front door to many fits at once: a model per column of Y, per data set of a stack, or per group of rows."""

import warnings

import jax
import numpy as np

from jglm import cache, penalties, rows
from jglm.batches import batch, kinked, manyinput, moderation
from jglm.batches.manyfits import ManyFits
from jglm.fitting import joint
from jglm.fitting.progress import Counted
from jglm.inputs import checks, resolve
from jglm.model import Model

COVARIANCES = (None, "model")


def fit_many(X, Y, *, family, link=None, weights=None, offset=None, exposure=None, trials=None, penalty=None,
             ridge=None, strengths=None, intercept=True, groups=None, columns=None, family_params=None,
             size_factors=None, moderate=None, tol=1e-8, max_iter=None, start=None, names=None, models=None,
             covariance="model", chunk=None, progress=None):  # fmt: skip
    """Fit many generalized linear models of one family and link at once, each by maximum likelihood as `jglm.fit`.

    Model j minimizes sum_i w_ij (a(eta_ij) - T(y_ij)·eta_ij) + penalty_j(coef_j). No model changes another's answer,
    whatever becomes of it: look at `status`.

    Args:
        X: (n, p), shared by all models, or (m, n, p), one for each; a memory-mapped array is read piece by piece.
        Y: (n, m), a column per model; (n, m, k) for counts in k classes and the like. With `groups` (n,).
        family, link, tol, max_iter, intercept, names: as in `jglm.fit`.
        weights, offset, exposure, trials: (n,) of all models, or (n, m); weights are prior weights.
        penalty: None, or one of jglm.penalties such as ridge(1.0) or lasso(2.0), with strengths (m,) times so much for
            each model; ridge: (m,) strengths of a ridge penalty in its place. The intercept is not penalized. With
            kinks or bounds there are no standard errors.
        groups: (n,) labels: one model for each label, fitted to its rows of X (n, p) and Y (n,).
        columns: (m, p) of bool, which columns of X each model has; the others are NaN in params.
        family_params: {name: (m,)} parameters of the family, given for each model, such as {"r": …}. A family such as
            negative_binomial() has its own estimated for each model, together with the coefficients.
        size_factors: (n,) > 0: an exposure by another name, as sequencing depths are called.
        moderate: "trend" draws the dispersions 1 / r of a negative binomial towards a trend over the mean, as DESeq2
            does (`jglm.batches.moderation`); coefficients are then fitted with the drawn ones.
        start: (m, p) or (m, p, k) coefficients to begin at, the intercept's first.
        models: m names for the models; by default those of a frame Y, the labels of groups, or numbers.
        covariance: "model" (expected information) or None.
        chunk: models taken at once; None suits the machine.
        progress: True, False, or None: a bar once it takes longer than a second.

    Returns a `ManyFits`. Raises ValueError or TypeError for input that cannot be, with the model's number; warns of
    models that did not converge, of separated ones and of columns that are linearly dependent.

    >>> import jglm
    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> jglm.fit_many(X, [[1, 0], [2, 2], [6, 3], [14, 7]], family="poisson").params.round(3)
    array([[-0.085,  0.911],
           [-0.673,  0.885]])
    """
    checks.choice("covariance", covariance, COVARIANCES)
    checks.choice("moderate", moderate, (None, "trend"))
    given = dict(weights=weights, offset=offset, exposure=exposure, trials=trials, intercept=intercept, names=names,
                 models=models, size_factors=size_factors)  # fmt: skip
    with jax.enable_x64(True):
        cache.enable()
        family = resolve.family(family)
        link = resolve.link(family, link, penalty)
        if groups is None:
            taken = manyinput.side_by_side(X, Y, family, **given)
        else:
            taken = manyinput.by_groups(X, Y, groups, family, **given)
        m = len(taken.models)
        family, values = manyinput.parameters(taken.family, family_params, m)
        penalized = manyinput.penalized(penalty, ridge, strengths, m)
        model = _model(family, link, penalized, taken, values, columns, start, m)
        options = dict(
            tol=checks.positive("tol", tol),
            max_iter=checks.whole("max_iter", max_iter),
            chunk=checks.whole("chunk", chunk),
        )
        fits = _fit(model, taken, values, options, progress, covariance)
        if moderate is not None:
            fits = _moderated(fits, model, taken, options, progress, covariance)
    _warn_about(fits)
    return fits


def _model(family, link, penalized, taken, values, columns, start, m):
    """The Model, with what differs between models put into the stacks."""
    p, constant = len(taken.names), taken.parts[0].stack.constant
    used = manyinput.used_columns(columns, m, p - constant, constant)
    penalty, strengths, mean = penalized
    penalty = None if penalty is None else penalties.bind(penalty, p, int(constant), 1.0)
    if not penalties.is_smooth(penalty) and family.free:
        raise ValueError(f"family {family.name!r} estimates parameters besides; with a penalty that has kinks or "
                         "bounds give them by family_params=")  # fmt: skip
    width = link.width(family)
    if start is not None:
        start = checks.numbers("start", start, shape=(m, p) if width is None else (m, p, width))
    for part in taken.parts:
        stack, at = part.stack, part.models
        stack.params = {k: v[at] for k, v in values.items()}
        stack.used = None if used is None else used[at]
        stack.start = None if start is None else start[at]
        if strengths is not None:
            stack.strength = strengths[at] * (stack.weight.sum(axis=-1) if mean else 1.0)
    return Model(family, link, penalty)


def _fit(model, taken, values, options, progress, covariance):
    """Fit all parts and put them together."""
    m = len(taken.models)
    bar = None if progress is False else Counted(m, 0.0 if progress else 1.0)
    most = options["max_iter"] or (200 if model.family.free else 100)
    parts, before, smooth = [], 0, penalties.is_smooth(model.penalty)
    solve = batch.solve_many if smooth else kinked.solve_many
    try:
        for part in taken.parts:
            report = None if bar is None else lambda done, _, before=before: bar(before + done)
            found = solve(model, part.stack, tol=options["tol"], max_iter=most, chunk=options["chunk"],
                                     report=report)  # fmt: skip
            parts.append((part, found, model))
            before += part.stack.count
    finally:
        if bar is not None:
            bar.close()

    def whole(get, like):
        first = get(parts[0][1])
        out = np.full((m, *first.shape[1:]), like, dtype=first.dtype)
        for part, found, _ in parts:
            out[part.models] = get(found)
        return out

    nobs, chi2 = whole(lambda f: f.nobs, 0), whole(lambda f: f.chi2, np.nan)
    count = np.zeros(m, int)
    for part, _, _ in parts:
        count[part.models] = batch.columns_of(model, part.stack)
    params = whole(lambda f: f.coef, np.nan)
    if model.penalty is not None and taken.parts[0].stack.constant and rows.ignores_a_constant(model):
        params[:, 0] -= params[:, 0].mean(axis=-1, keepdims=True)  # as a single fit has them
    nuisance = {name: whole(lambda f, name=name: f.nuisance[name], np.nan) for name, _ in model.family.free}
    own = _family_params(model.family, values, nuisance, m)
    return ManyFits(
        model=model, params=params, names=taken.names, models=taken.models, status=whole(lambda f: f.status, 0),
        n_iter=whole(lambda f: f.n_iter, 0), nobs=nobs, scale=_scale(own, model, chi2, nobs - count, params),
        family_params=own, columns=count,
        intercept=taken.parts[0].stack.constant, levels=taken.levels, covariance=covariance if smooth else None,
        estimated=tuple(nuisance), has_offset=taken.has_offset, nuisance=nuisance,
        _root=whole(lambda f: f.root, np.nan), _parts=parts,
    )  # fmt: skip


def _scale(own, model, chi2, dof, params):
    """The dispersion of each model: 1, the one estimated with the coefficients, or Pearson's statistic by its degrees
    of freedom."""
    lost = np.isnan(params).reshape(len(params), -1).all(axis=1)
    if "phi" in own:
        return np.where(lost, np.nan, own["phi"])
    if model.family.dispersion == "fixed":
        return np.where(lost, np.nan, 1.0)
    return np.where(lost | (dof <= 0), np.nan, chi2 / np.maximum(dof, 1))


def _family_params(family, values, nuisance, m):
    """{name: (m,) or (m, s)} of all parameters of the family."""
    fixed = {k: np.broadcast_to(np.asarray(v, float), (m, *np.shape(v))).copy() for k, v in family.params.items()}
    free = dict(family.free)
    found = {name: np.array([joint.value_of(free[name], v) for v in u]) if free[name].size > 1
             else np.asarray(jax.vmap(free[name].value)(u[:, 0])) for name, u in nuisance.items()}  # fmt: skip
    return fixed | values | found


def _moderated(fits, model, taken, options, progress, covariance):
    """The fits with the dispersion drawn towards a trend, and fixed there."""
    if fits.estimated != ("r",) or model.family.name != "negative_binomial":
        raise ValueError('moderate="trend" is for family="negative_binomial" with r estimated')
    trend = moderation.towards_trend(fits, model)
    r = {"r": 1 / trend.moderated}
    family, values = manyinput.parameters(model.family, r, len(fits))
    fixed = Model(family, model.link, model.penalty)
    for part in taken.parts:
        part.stack.params = {"r": values["r"][part.models]}
        part.stack.start = np.nan_to_num(fits.params[part.models])
    drawn = _fit(fixed, taken, values, options, progress, covariance)
    drawn.moderation, drawn.estimated = trend, ("r",)
    return drawn


def _warn_about(fits):
    """Say how many models did not converge, and why the first did not."""
    bad = np.flatnonzero(~fits.converged)
    if bad.size:
        first = bad[0]
        warnings.warn(f"{bad.size:,} of {len(fits):,} models did not converge or have no answer, as status says; the "
                      f"first is {fits.models[first]!r}: {fits.message(first)}", UserWarning, stacklevel=3)  # fmt: skip
