"""What a bootstrap found: draws of the coefficients, or of a function of them, and intervals from them."""

import dataclasses
import math
import warnings
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm.fitting.problem import flatten_host
from jglm.fitting.progress import Counted
from jglm.inputs import checks
from jglm.reporting.tables import shown
from jglm.resampling import jackknife
from jglm.resampling.draws import draws_of
from jglm.resampling.reweighted import Reweighted
from jglm.solvers import Status

METHODS = ("percentile", "bca", "normal")
_NORMAL = NormalDist()


@dataclass(repr=False)
class Bootstrap:
    """Draws of an estimate from fits to resamples of its data.

    Attributes:
        values: (resamples, …) the draws of the coefficients (p,) or (p, k), or of the statistic; only of fits that
            converged, NaN for aliased columns. estimate: (…) the same of the data themselves.
        params: (resamples, p) or (resamples, p, k), the coefficients of the same fits; family_params: {name:
            (resamples, …)} of the parameters of the family that were estimated with them.
        kept: which of the resamples asked for those are; n_failed, how many others there were.
        names: of the coefficients; level: of the intervals by default; kind, method, seed: as given.
    """

    values: np.ndarray
    estimate: np.ndarray
    params: np.ndarray
    family_params: dict
    kept: np.ndarray
    n_failed: int
    names: list
    level: float
    kind: str
    method: str
    seed: int
    draws: Any
    fit: Any
    statistic: Any = None

    @property
    def bse(self):
        """Standard errors: the standard deviation of the draws."""
        return np.std(self.values, axis=0, ddof=1)

    @property
    def bias(self):
        """The mean of the draws less the estimate."""
        return np.mean(self.values, axis=0) - self.estimate

    def weights(self, resamples):
        """(b, n): how often each row stands in those of the resamples asked for (indices)."""
        return self.draws.weights(np.atleast_1d(resamples))

    def of(self, statistic):
        """The bootstrap of `statistic(params)`, a function written with jax.numpy of coefficients (p,) or (p, k) that
        are 0 where aliased; nothing is fitted again."""
        with jax.enable_x64(True):
            given = jnp.asarray(np.nan_to_num(self.params))
            values = np.asarray(jax.jit(jax.vmap(statistic))(given), np.float64)
            estimate = np.asarray(statistic(jnp.asarray(np.nan_to_num(self.fit.params))), np.float64)
        return dataclasses.replace(self, values=values, estimate=estimate, statistic=statistic)

    def conf_int(self, level=None, method="percentile"):
        """Intervals (…, 2).

        method: "percentile", quantiles of the draws; "normal", estimate - bias -+ z bse; "bca", percentiles corrected
        for bias and acceleration (Efron 1987, JASA 82, 171-185; DiCiccio and Efron 1996, Statist. Sci. 11, 189-228):
        with z0 the normal quantile of the share of draws below the estimate, and a = sum U^3 / (6 (sum U^2)^(3/2)) over
        the influence U of the rows (or clusters), the exact derivatives of the estimate in their weights. NaN where all
        draws lie on one side of the estimate.
        """
        level = self.level if level is None else level
        checks.choice("method", method, METHODS)
        checks.level(level)
        ends = np.array([(1 - level) / 2, (1 + level) / 2])
        if method == "normal":
            z = _NORMAL.inv_cdf(ends[1])
            return np.stack([self.estimate - self.bias + s * z * self.bse for s in (-1, 1)], axis=-1)
        if method == "percentile":
            return np.moveaxis(np.quantile(self.values, ends, axis=0), 0, -1)
        values = self.values.reshape(len(self.values), -1)
        below = (values < self.estimate.ravel()).mean(axis=0) / 2 + (values <= self.estimate.ravel()).mean(axis=0) / 2
        out = np.full((values.shape[1], 2), np.nan)
        for j, a in enumerate(self.acceleration.ravel()):
            if 0 < below[j] < 1 and math.isfinite(a):
                out[j] = np.quantile(values[:, j], _corrected(ends, _NORMAL.inv_cdf(below[j]), a))
        return out.reshape(*self.estimate.shape, 2)

    @property
    def acceleration(self):
        """(…) a of the BCa interval: a sixth of the skewness of the influence of the rows (or clusters)."""
        influence = np.nan_to_num(jackknife.influence(self.fit))
        weight, size, codes = self.fit._prepared.weight, self.draws.size, self.draws.codes
        U = weight.reshape(-1, *(1,) * (influence.ndim - 1)) * influence
        if codes is not None:
            whole = np.zeros((len(size), *U.shape[1:]))
            np.add.at(whole, codes[codes >= 0], U[codes >= 0])
            U = whole
        else:
            each = size.reshape(-1, *(1,) * (U.ndim - 1))
            U = np.divide(U, each, out=np.zeros_like(U), where=each > 0)
        if self.statistic is not None:
            with jax.enable_x64(True):
                at = jnp.asarray(np.nan_to_num(self.fit.params))
                push = lambda u: jax.jvp(self.statistic, (at,), (u,))[1]
                U = np.asarray(jax.jit(jax.vmap(push))(jnp.asarray(U)))
        cubes, squares = (np.tensordot(size, U**k, 1) for k in (3, 2))
        return np.divide(cubes, 6 * squares**1.5, out=np.full_like(cubes, np.nan), where=squares > 0)

    def table(self, level=None, method="percentile"):
        """Estimates, standard errors, bias and intervals as a pandas data frame."""
        import pandas

        ends = self.conf_int(level, method)
        columns = dict(estimate=self.estimate, std_err=self.bse, bias=self.bias, low=ends[..., 0], high=ends[..., 1])
        index: Any = None
        if self.statistic is None and self.estimate.ndim == 1:
            index = pandas.Index(self.names, name="name")
        elif self.statistic is None:
            index = pandas.MultiIndex.from_product([self.fit._lin_names(), self.names], names=["class", "name"])
        flat = {k: np.asarray(v).T.ravel() if self.statistic is None else np.ravel(v) for k, v in columns.items()}
        return pandas.DataFrame(flat, index=index)

    def _repr_html_(self):
        return shown(repr(self), self.table())

    def __repr__(self):
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        return f"<Bootstrap of {len(self.values)} resamples ({self.kind}, {self.method}{failed})>"


def _corrected(ends, z0, a):
    """The probabilities of the quantiles that BCa takes in place of `ends`."""
    z = z0 + np.array([_NORMAL.inv_cdf(p) for p in ends])
    return np.array([_NORMAL.cdf(z0 + v / (1 - a * v)) for v in z])


def resample(fit, *, resamples=1000, kind="poisson", clusters=None, method="refit", statistic=None, seed=0, level=0.95,
             progress=None):  # fmt: skip
    """The Bootstrap of a fit that has its data; see `jglm.bootstrap`."""
    checks.choice("method", method, ("refit", "one_step"))
    checks.level(level)
    if checks.whole("resamples", resamples) is None or resamples < 2:
        raise ValueError(f"resamples is {resamples}; it must be a whole number >= 2")
    if statistic is not None and not callable(statistic):
        raise TypeError(f"statistic is a {type(statistic).__name__}; it must be a function of the coefficients")
    if not fit.converged:
        raise ValueError(f"the fit itself did not converge ({fit.status.message}); a bootstrap would begin nowhere")
    with jax.enable_x64(True):
        ready = Reweighted(fit)
        draws = draws_of(ready.prepared, kind, seed, clusters, fit.weight_kind == "frequency")
        if method == "one_step" and not ready.batched:
            raise ValueError("method='one_step' needs a smooth penalty and no precision= design; use method='refit'")
        found = _found(ready, draws, method, resamples, progress)
        good = np.flatnonzero(np.isin(found.status, (Status.CONVERGED, Status.FLOOR)))
        params, family_params = _shaped(fit, ready, found.flat[good])
    failed = resamples - len(good)
    if len(good) < 2:
        raise ValueError(f"{failed} of {resamples} resamples have no fit that converged; there is nothing to tell from")
    if failed:
        warnings.warn(f"{failed} of {resamples} resamples are left out: their fits did not converge (separation, "
                      "columns that are dependent in them, or too few rows)", UserWarning, stacklevel=3)  # fmt: skip
    whole = Bootstrap(params, np.asarray(fit.params), params, family_params, good, failed, fit.names, level, kind,
                      method, int(seed), draws, fit)  # fmt: skip
    return whole if statistic is None else whole.of(statistic)


def _found(ready, draws, method, resamples, progress):
    """The `Found` of all resamples."""
    bar = Counted(resamples, 0.0 if progress else 1.0, "resample")
    try:
        fits = ready.fits if method == "refit" else ready.one_steps
        return fits(draws.weights, np.arange(resamples), None if progress is False else bar.advance)
    finally:
        bar.close()


def _shaped(fit, ready, flat):
    """((m, p) or (m, p, k) coefficients with NaN where aliased, {name: (m, …)} parameters of the family)."""
    size = flatten_host(fit.params[fit.kept]).size
    p, width = int(np.sum(fit.kept)), ready.problem.width
    shaped = np.full((len(flat), len(fit.kept), width), np.nan)
    shaped[:, fit.kept] = flat[:, :size].reshape(len(flat), width, p).swapaxes(1, 2)
    own, at = {}, size
    frees = dict(fit.free)
    for name in sorted(ready.nuisance):
        count = np.size(ready.nuisance[name])
        part, free = flat[:, at : at + count], frees[name]
        at += count
        regressed = name in ready.prepared.designs
        own[name] = part if regressed else np.asarray(jax.vmap(free.value)(part if free.size > 1 else part[:, 0]))
    return (shaped[:, :, 0] if ready.problem.model.width() is None else shaped), own
