"""Dispersions of many negative binomial fits drawn towards a trend over the mean (Love, Huber and Anders 2014, DESeq2).

Of few rows a dispersion alpha = 1 / r is known badly. All models together tell how it depends on the mean, alpha = a1 /
mean + a0, and how far models scatter about that beyond what sampling explains: a log-normal prior for each, of which
the most probable alpha is taken. The raw alpha are maximum likelihood estimates, without DESeq2's Cox-Reid term.
"""

import warnings
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jglm import api
from jglm.batches import batch, lanes
from jglm.designs import products

LEAST = 1e-8  # a dispersion: below it the counts are Poisson's
LEAST_VARIANCE = 0.25  # of the prior of log alpha
NEAR = 1e-5  # of log alpha: a Newton step of this size is the last one
OUTLYING = 2.0  # standard deviations of log alpha above the trend, from where on a model keeps its own


@dataclass
class Moderation:
    """Of m models: `mean` of the counts by their exposure, `raw` and `moderated` alpha = 1 / r, the `trend` a1 / mean +
    a0 at their means, `outlying` (m,) bool, those so far above the trend that they keep the raw one; `prior_sd` of log
    alpha about the trend."""

    mean: np.ndarray
    raw: np.ndarray
    trend: np.ndarray
    moderated: np.ndarray
    outlying: np.ndarray
    a0: float
    a1: float
    prior_sd: float


def towards_trend(fits, model):
    """The Moderation of `fits` of the negative binomial with r estimated. Raises ValueError where fewer than three
    models have a dispersion to tell the trend from."""
    m = len(fits)
    raw = np.maximum(1 / fits.family_params["r"], LEAST)
    mean = np.full(m, np.nan)
    for part, _, _ in fits._parts:
        mean[part.models] = _means(part.stack)
    told = fits.converged & (raw > 100 * LEAST) & (mean > 0)
    if told.sum() < 3:
        raise ValueError(f"moderate='trend' needs at least three models with overdispersed counts; there are "
                         f"{int(told.sum())}")  # fmt: skip
    a1, a0 = fit_trend(mean[told], raw[told])
    trend = a1 / np.maximum(mean, 1e-300) + a0
    residual = np.log(raw[told]) - np.log(trend[told])
    spread = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    dof = np.maximum(fits.df_resid[told], 1) / 2
    sampling = float(np.mean(np.asarray(jax.scipy.special.polygamma(1, jnp.asarray(dof, float)))))
    variance = max(spread**2 - sampling, LEAST_VARIANCE)
    moderated = np.full(m, np.nan)
    for part, found, _ in fits._parts:
        at = part.models
        moderated[at] = _most_probable(model, part.stack, found, raw[at], trend[at], variance)
    outlying = told & (np.log(raw) > np.log(trend) + OUTLYING * spread)
    moderated = np.where(outlying, raw, moderated)
    moderated = np.where(np.isfinite(moderated), moderated, np.where(np.isfinite(trend), trend, np.nanmedian(trend)))
    return Moderation(mean, raw, trend, moderated, outlying, a0, a1, float(np.sqrt(variance)))


def fit_trend(mean, alpha):
    """(a1, a0) of alpha = a1 / mean + a0, by gamma regression on 1 / mean without the models far from it, until it
    stays; a1 = 0 and a mean where no such line is positive."""
    line = np.array([1.0, 0.1])
    X = np.column_stack([1 / mean, np.ones_like(mean)])
    for _ in range(20):
        ratio = alpha / (X @ line)
        near = (ratio > 1e-4) & (ratio < 15)
        before, line = line, _gamma_line(X[near], alpha[near], line) if near.sum() >= 3 else None
        if line is None:
            inner = np.sort(alpha)[len(alpha) // 1000 : len(alpha) - len(alpha) // 1000]
            return 0.0, float(np.mean(inner))
        if np.sum(np.log(line / before) ** 2) < 1e-6:
            break
    return float(line[0]), float(line[1])


def _gamma_line(X, alpha, start):
    """The two positive coefficients of a gamma regression with the identity link, None where there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = api.fit(X, alpha, family="gamma", link="identity", intercept=False, start=start, tol=1e-6,
                            progress=False).params  # fmt: skip
        except ValueError:
            return None
    return found if np.all(np.isfinite(found)) and np.all(found > 0) else None


def _means(stack):
    """(m,): the weighted mean of y over its exposure."""
    models = np.arange(stack.count)
    w = stack.of("weight", models)
    y = stack.of("y", models) * np.exp(-stack.of("offset", models))
    return (w * y).sum(axis=1) / np.maximum(w.sum(axis=1), 1e-300)


def _most_probable(model, stack, found, raw, trend, variance):
    """(m,): alpha where the likelihood at the fitted means times the prior is largest."""
    begin, chunk = np.where(raw > 0.1 * trend, raw, trend), batch.models_at_once(stack, True)

    def one(models):
        with jax.enable_x64(True), np.errstate(all="ignore"):
            view = lanes.lanes_of(model, stack, models, None, True)
            return np.exp(
                -_search(view, found.flat()[models], -np.log(begin[models]), -np.log(trend[models]), variance)
            )

    parts = [np.arange(i, min(i + chunk, stack.count)) for i in range(0, stack.count, chunk)]
    return np.concatenate(products.in_threads(one, parts, stack.count * stack.shape[0]))


def _search(view, point, u, center, variance):
    """(b,): u = log r, the last of the unknowns, where the objective and the prior's (u - center)^2 / (2 variance) are
    least together: Newton's method in it alone, with halved steps."""

    def seen(u):
        sums = view.look(np.column_stack([point[:, :-1], u]))
        away = (u - center) / variance
        return np.stack([sums.value + 0.5 * away * (u - center), sums.grad[:, -1] + away,
                         sums.hess[:, -1, -1] + 1 / variance])  # fmt: skip

    toward = lambda at: np.clip(-at[1] / np.where(at[2] > 0, at[2], np.abs(at[1])), -2.0, 2.0)
    at = seen(u)
    step = toward(at)
    for _ in range(60):
        if not np.any(np.abs(step) > NEAR):
            break
        there = seen(u + step)
        better = there[0] <= at[0] + 1e-10 * np.abs(at[0])
        u, at = np.where(better, u + step, u), np.where(better, there, at)
        step = np.where(better, toward(at), step / 2)
    return u + np.where(np.abs(step) <= NEAR, step, 0.0)
