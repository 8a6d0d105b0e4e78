"""Tests and intervals by the likelihood that Jeffreys' prior penalizes (Heinze and Schemper 2002): what logistf shows.

With l*(b) = log-likelihood + 1/2 log det X'WX(b), a coefficient held at t leaves the others at their penalized maximum;
the determinant is that of all coefficients. For canonical links, where bias reduction has this objective, and Jeffreys'
penalty with any link; the dispersion known.
"""

import numpy as np

from jglm.fitting import firth
from jglm.fitting.problem import Problem, flatten_host
from jglm.inference import tails
from jglm.inputs import checks

TOL = 1e-8
FARTHEST = 400.0  # standard errors


class Surface:
    """l* of a fit, and its maxima with coefficients held."""

    def __init__(self, fit, what):
        prepared = fit._data(what)
        if not firth.is_asked(fit.model.penalty):
            raise ValueError(f"{what} is for fits with penalty='firth' or 'jeffreys'")
        self.fit, self.flat = fit, flatten_host(fit.params[fit.kept])
        self.equations = firth.Equations(Problem(fit.model, prepared, fit.kept))
        if not self.equations.has_objective:
            raise ValueError(f"with link {fit.link.name!r} and family {fit.family.name!r} bias reduction has no "
                             "penalized likelihood; use penalty='jeffreys' with a family of known dispersion, or "
                             "Wald's intervals")  # fmt: skip
        self.top = -self.equations(self.flat).objective

    def held(self, at, values, start):
        """(coefficients, l*) where those of the indices `at` have these values; from `start`."""
        flat = start.copy()
        flat[at] = values
        free = np.ones(len(flat), bool)
        free[at] = False
        found = firth.solve(self.equations, flat, TOL, firth.STEPS, free)
        if not found.status.converged:
            return start, np.nan
        return found.flat, -self.equations(found.flat).objective

    def end(self, j, side, drop, unit):
        """Where l* with coefficient j held has fallen by `drop`, on one side; infinite where it stays above."""
        from scipy.optimize import brentq

        start, inner, reach = self.flat, 0.0, 1.0

        def gap(reach):
            nonlocal start
            found, value = self.held([j], self.flat[j] + side * reach * unit, start)
            if np.isfinite(value):
                start = found
            return self.top - value - drop

        outer = gap(reach)
        while outer < 0 and reach < FARTHEST:
            inner, reach = reach, reach * 1.6
            outer = gap(reach)
        if not np.isfinite(outer):
            return np.nan
        if outer < 0:
            return side * np.inf
        return self.flat[j] + side * unit * brentq(gap, inner, reach, xtol=1e-10)


def log_likelihood(fit):
    """See `Fit.penalized_llf`."""
    surface = Surface(fit, "the penalized log-likelihood")
    R = surface.equations(surface.flat).R
    return fit.llf + float(np.sum(np.log(np.abs(np.diagonal(R)))))


def intervals(fit, level):
    """(p, 2) or (p, k, 2), NaN where aliased: see `Fit.penalized_intervals`."""
    checks.level(level)
    surface = Surface(fit, "the penalized likelihood's intervals")
    drop = 0.5 * tails.quantile(0.5 + level / 2, None) ** 2
    units = flatten_host(fit.bse[fit.kept])
    ends = [[surface.end(j, side, drop, units[j]) for side in (-1, 1)] for j in range(len(units))]
    width = fit.model.width()
    out = np.full((width or 1, len(fit.kept), 2), np.nan)
    out[:, fit.kept] = np.reshape(ends, (width or 1, -1, 2))
    return out[0] if width is None else out.transpose(1, 0, 2)


def test(fit, names, values):
    """(statistic, degrees of freedom, p): see `Fit.penalized_test`."""
    surface = Surface(fit, "the penalized likelihood ratio test")
    at, targets = indices(fit, names, values)
    statistic = max(2 * (surface.top - surface.held(at, targets, surface.flat)[1]), 0.0)
    return statistic, len(at), float(tails.chi_square_tail(statistic, len(at)))


def indices(fit, names, values):
    """(indices into the flat coefficients of the columns of these names, their values), of all classes."""
    names = [names] if isinstance(names, str) else list(names)
    kept = [name for name, on in zip(fit.names, fit.kept, strict=True) if on]
    for name in names:
        if name not in kept:
            raise ValueError(f"the fit has no coefficient {name!r}{checks.nearest(name, kept)}")
    width = fit.model.width() or 1
    at = [kept.index(name) + a * len(kept) for a in range(width) for name in names]
    return at, np.broadcast_to(np.asarray(values, float), (len(names),))[np.arange(len(at)) % len(names)]


def table(fit, level):
    """A data frame as logistf's: coefficients, standard errors, penalized likelihood ratio tests and intervals."""
    import pandas

    ends = intervals(fit, level)
    surface = Surface(fit, "the penalized likelihood ratio test")
    found = np.full((len(fit.kept), fit.model.width() or 1), np.nan)
    size = int(fit.kept.sum())
    flat = [max(2 * (surface.top - surface.held([j], 0.0, surface.flat)[1]), 0.0) for j in range(len(surface.flat))]
    found[fit.kept] = np.reshape(flat, (-1, size)).T
    of = lambda v: np.ravel(np.reshape(v, (len(fit.kept), -1)).T)
    columns = {"coef": of(fit.params), "std_err": of(fit.bse), "chi2": of(found)}
    columns |= {"p": tails.chi_square_tail(of(found), 1), "low": of(ends[..., 0]), "high": of(ends[..., 1])}
    if fit.params.ndim == 1:
        return pandas.DataFrame(columns, index=pandas.Index(fit.names, name="name"))
    index = pandas.MultiIndex.from_product([fit._lin_names(), fit.names], names=["class", "name"])
    return pandas.DataFrame(columns, index=index)
