"""A fit of data that keep arriving: coefficients and information are carried on, the rows are not kept.

Renewable estimation (Luo and Song 2020): a batch is fitted with what came before as a quadratic term, whose Hessian is
the information so far. For the normal family with the identity link that is the fit of all rows, to rounding; for
others it differs from that by less and less of a standard error as rows arrive.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm import api
from jglm._record import record
from jglm.designs import Dense
from jglm.fitting import estimate, linalg
from jglm.fitting.iterate import by_solver
from jglm.fitting.problem import Problem
from jglm.model import Model
from jglm.solvers import Newton, Status


@record
class Past:
    """What earlier rows say of the coefficients: (coef - center)' H (coef - center) / 2."""

    center: Any
    H: Any

    def value(self, coef):
        """The term at coef (p,) or (p, k)."""
        away = jnp.ravel(coef.T) - self.center
        return 0.5 * away @ (self.H @ away)


@dataclass
class Known:
    """What is carried on: flat coefficients, their information, and sums over all rows."""

    flat: np.ndarray
    H: np.ndarray
    deviance: float
    chi2: float
    llf: float


class Updating:
    """A generalized linear model of data that keep arriving, one batch of rows after another.

    Args: family, link, intercept, names, weight_kind as in `jglm.fit`; levels: the labels of the response where the
    first batch may not show all of them; tol: of the fit of each batch.

    Attributes:
        result: the `Fit` of all rows so far, with standard errors; it has none of the data.
        nobs, batches: rows and batches taken in.

    The first rows must tell all coefficients: batches are held back until they do.

    >>> import jglm, numpy as np
    >>> x = np.random.default_rng(0).normal(size=(300, 2))
    >>> y = x @ [1.0, -1.0] + np.random.default_rng(1).normal(size=300)
    >>> model = jglm.Updating("gaussian")
    >>> for rows in np.split(np.arange(300), 3):
    ...     model = model.update(x[rows], y[rows])
    >>> whole = jglm.fit(x, y, family="gaussian")
    >>> bool(np.allclose(model.result.params, whole.params) and np.allclose(model.result.bse, whole.bse))
    True
    """

    def __init__(self, family, link=None, *, intercept=True, names=None, levels=None, weight_kind="prior", tol=1e-10):
        if weight_kind not in ("prior", "frequency"):
            raise ValueError(f"weight_kind is {weight_kind!r}; rows that arrive take 'prior' or 'frequency'")
        self.given = dict(intercept=intercept, names=names, weight_kind=weight_kind)
        self.family, self.link, self.levels, self.tol = family, link, None if levels is None else list(levels), tol
        self.known: Any = None
        self.null: Any = None
        self.nobs, self.batches, self.log_size = 0.0, 0, 0.0
        self._waiting: list = []
        self._last: Any = None

    def update(self, X, y, *, weights=None, offset=None, exposure=None, trials=None):
        """Take in a batch of rows; returns itself. Raises as `jglm.fit` does; the model is then as before."""
        batch = dict(X=X, y=y, weights=weights, offset=offset, exposure=exposure, trials=trials)
        rows = _together([*self._waiting, batch]) if self._waiting else batch
        with jax.enable_x64(True):
            prepared, family, link = self._prepare(**rows)
            if self.known is None and not linalg.find_independent(prepared.design, prepared.weight).all():
                self._waiting.append(batch)
                return self
            kept = np.ones(prepared.design.shape[1], bool)
            problem = Problem(Model(family, link, None), prepared, kept)
            if problem.wide:
                raise ValueError(f"{problem.design.shape[1]} columns are too many for a matrix of their information")
            constant = problem.as_design(Dense(np.ones((len(prepared.y), 1))))
            known, status = _renewed(problem, self.known, self.tol)
            null = _renewed(constant, self.null, self.tol)[0]
        self.known, self.null, self._waiting, self.levels = known, null, [], prepared.levels or self.levels
        self.nobs, self.batches = self.nobs + prepared.nobs, self.batches + 1
        on = prepared.weight > 0
        self.log_size += float(np.sum(prepared.power[on] * np.log(prepared.size[on])))
        self._last = (
            problem,
            status,
            self._last[2] + prepared.power[on].sum() if self._last else prepared.power[on].sum(),
        )
        return self

    partial_fit = update

    def _prepare(self, X, y, **given):
        levels = None if self.levels is None else tuple(self.levels)
        known = None if levels is None else lambda own: [(own[0], None), (list(levels), levels)]
        prepared, family, link, _ = api.inputs(
            X, y, self.family, self.link, None, formula=False, gather=known, **self.given, **given
        )
        if family.free:
            names = ", ".join(name for name, _ in family.free)
            raise ValueError(f"family {family.name!r} estimates {names} besides; give its value, such as "
                             "negative_binomial(2.0)")  # fmt: skip
        if self.known is not None and prepared.design.shape[1] * (link.width(family) or 1) != len(self.known.flat):
            raise ValueError(f"the batch has {prepared.design.shape[1]} columns, the batches before had others")
        return prepared, family, link

    @property
    def result(self):
        """The `Fit` of all rows so far."""
        if self.known is None:
            held = f"; {len(self._waiting)} batches are held back, whose rows do not tell all of them" * bool(
                self._waiting
            )
            raise ValueError(f"there are no coefficients yet{held}: update() with more rows")
        known, (problem, status, count), p = self.known, self._last, self._last[0].prepared
        llf = known.llf
        if problem.model.family.dispersion == "estimated":  # at the dispersion of all rows: theirs is closed for one
            llf = float("nan")
        if problem.model.family.name == "gaussian":
            llf = -0.5 * count * (np.log(2 * np.pi * known.deviance / count) + 1) + 0.5 * self.log_size
        found = estimate.Estimate(
            problem.model, problem.whole(known.flat), problem.kept, known.deviance, known.chi2, llf, status,
            self.batches, np.zeros((self.batches, 2)), "updating", [], False, {},
        )  # fmt: skip
        whole = dataclasses.replace(p, nobs=self.nobs)
        fit = api.fit_of(found, whole, problem.model.family, weight_kind=self.given["weight_kind"])
        inverse = linalg.inverse_from_triangle(linalg.triangle_of(known.H))
        constant = {} if fit.has_constant else {"_null": float("nan")}
        return dataclasses.replace(fit, _prepared=None, _unscaled=inverse, **({"_null": self.null.deviance} | constant))

    def __repr__(self):
        return f"<Updating of {self.batches} batches, {self.nobs:,.0f} observations>"


def _renewed(problem, known, tol):
    """(`Known` with the rows of a problem taken in, status)."""
    model = problem.model
    if known is None:
        found = estimate._iterate(problem, "auto", tol, None, "float64", None, False)
        rise = 0.0
    else:
        past = problem.with_model(Model(model.family, model.link, Past(jnp.asarray(known.flat), jnp.asarray(known.H))))
        found = by_solver(past, Newton(tol, 100), problem.shape(known.flat), False)
        move = found.flat - known.flat
        rise = float(move @ known.H @ move)
    if found.status in (Status.INVALID_START, Status.DIVERGED, Status.STALLED) or not np.all(np.isfinite(found.flat)):
        raise ValueError(f"the batch could not be taken in: {found.status.message}")
    lin = problem.lin(found.flat)
    totals, H = problem.totals(lin), problem.information(lin)
    made = Known(found.flat, H, float(totals.deviance), float(totals.chi2), float(totals.llf))
    if known is not None:
        # What came before, at the new coefficients: exact where the loss is quadratic.
        same = np.isclose(known.chi2, known.deviance, rtol=1e-9)
        made = Known(made.flat, known.H + H, known.deviance + rise + made.deviance,
                     known.chi2 + made.chi2 + (rise if same else 0.0), known.llf - rise / 2 + made.llf)  # fmt: skip
    return made, found.status


def _together(batches):
    """Several batches as one; ValueError where X is no array."""
    if any(hasattr(b["X"], "rmatvec") or hasattr(b["X"], "tocsr") for b in batches):
        raise ValueError("the first batch does not tell all coefficients, and only arrays and frames can be held back; "
                         "give it more rows")  # fmt: skip
    joined = {}
    for name in batches[0]:
        values = [b[name] for b in batches]
        if any((v is None) != (values[0] is None) for v in values):
            raise ValueError(f"{name} stands beside some of the first batches alone; give it with each")
        joined[name] = None if values[0] is None else np.concatenate([np.asarray(v) for v in values])
    return joined
