"""Profile-likelihood intervals of a fit: of coefficients, of the family's parameters and of functions of both."""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm.batches import batch
from jglm.batches.lanes import ROWS, Sums, lanes_of
from jglm.batches.stacked import Stack
from jglm.distributions.parameters import EDGE
from jglm.fitting import firth, joint
from jglm.fitting.problem import Problem, flatten_host
from jglm.inference import delta, penalized, profiling, tails
from jglm.inputs import checks
from jglm.inputs.data import Prepared
from jglm.model import Model, Query, Unknowns, evaluate, unflatten
from jglm.reporting.tables import shown

CHUNK = 1 << 21  # rows of all lanes that are taken at once
LARGEST = 1 << 29  # numbers of X
MATRICES = 1 << 25  # numbers in the Hessians of the lanes that are taken at once


@dataclass(repr=False)
class Profile:
    """Profile-likelihood intervals: {t : 2 (max log-likelihood - that at t) <= the quantile}.

    Attributes: names; value, low, high (q,), an end that the likelihood does not have is infinite, one that was not
    found NaN; reasons: [(of low, of high)] in words, "" where there is nothing to say; level.
    """

    names: list
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float
    reasons: list

    def conf_int(self):
        """(q, 2)."""
        return np.column_stack([self.low, self.high])

    def table(self):
        """As a pandas data frame."""
        import pandas

        note = ["; ".join(v for v in pair if v) for pair in self.reasons]
        columns: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        if any(note):
            columns["note"] = note
        return pandas.DataFrame(columns, index=pandas.Index(self.names, name="name"))

    def __repr__(self):
        return self.table().to_string(float_format=lambda v: f"{v:.6g}")

    def _repr_html_(self):
        return shown("", self.table())


# --------------------------------------------------------------------------- what a fit is asked
def of_coefficients(fit, level):
    """Profile of all coefficients that are not aliased, class by class, others held as the standard errors have it."""
    if firth.is_asked(fit.model.penalty):
        return _penalized(fit, level)
    surface = Surface(fit, fit._joins and not _at_limit(fit))
    size = surface.coefficients
    ends = surface.intervals(profiling.Linear, np.eye(surface.size)[:size], level)
    return Profile(names_of(fit), surface.flat[:size], *ends, level=level, reasons=surface.reasons)


def _penalized(fit, level):
    """Profile of the likelihood that Jeffreys' prior penalizes, whose determinant is that of all coefficients."""
    ends, values = penalized.intervals(fit, level), np.asarray(fit.params, float)
    many = fit.model.width() is not None
    kept = np.tile(fit.kept, fit.model.width() or 1)
    flat = (ends.transpose(1, 0, 2) if many else ends).reshape(-1, 2)[kept]
    word = lambda v: profiling.MESSAGES[profiling.FLAT] if np.isinf(v) else ""
    reasons = [tuple(word(v) for v in pair) for pair in flat]
    return Profile(names_of(fit), flatten_host(values)[kept], flat[:, 0], flat[:, 1], level, reasons)


def names_of(fit):
    """Names of the coefficients that are not aliased, class by class."""
    kept = [n for n, k in zip(fit.names, fit.kept, strict=True) if k]
    if fit.model.width() is None:
        return kept
    return [f"{c}: {n}" for c in fit._lin_names() for n in kept]


def _at_limit(fit):
    """Whether a family that can do without its free parameters has one at the end of its range, where the likelihood
    knows nothing of it."""
    far = [np.max(np.abs(v)) > EDGE for k, v in fit.nuisance.items() if not dict(fit.free)[k].regressed]
    return fit.family.parametrize_ is None and any(far)


def conf_int(fit, level):
    """(p, 2) or (p, k, 2), NaN where aliased."""
    checks.level(level)
    found = of_coefficients(fit, level)
    width = fit.model.width()
    out = np.full((width or 1, len(fit.kept), 2), np.nan)
    out[:, fit.kept] = found.conf_int().reshape(width or 1, -1, 2)
    return out[0] if width is None else out.transpose(1, 0, 2)


def of_fit(fit, level):
    """Profile of the coefficients, then of the family's estimated parameters."""
    checks.level(level)
    found = of_coefficients(fit, level)
    return found if not fit.free else _joined(found, of_family(fit, level))


def of_family(fit, level):
    """Profile of the family's estimated parameters, all else estimated anew at each value. One that is a single number
    is sought on its free scale, where it may be any; its range ends where the family has become another."""
    surface = Surface(fit, True)
    parts, at = [], surface.coefficients
    for name in sorted(fit.nuisance):
        free, size = dict(fit.free)[name], np.size(fit.nuisance[name])
        names = [name] if size == 1 else [f"{name}[{v}]" for v in fit.precision_names or range(size)]
        if free.size > 1:
            value = lambda flat, name=name: delta.family_values(fit, flat[np.size(fit.params) :])[name]
            parts.append(of_function(fit, value, level, names, surface))
        else:
            far = None if free.regressed else np.tile([-EDGE, EDGE], size)
            ends = surface.intervals(profiling.Linear, np.eye(surface.size)[at : at + size], level, far)
            found = [surface.flat[at : at + size], *ends]
            if not free.regressed:
                value, *ends = (np.asarray(jax.vmap(free.value)(jnp.asarray(v))) for v in found)
                found = [value, np.minimum(*ends), np.maximum(*ends)]
            parts.append(Profile(names, *found, level=level, reasons=surface.reasons))
        at += size
    return functools.reduce(_joined, parts)


def of_function(fit, value_of, level, names, surface):
    """Profile of a function of all flat unknowns (see `delta.prepared_function`)."""
    flat = surface.widen(jnp.asarray(surface.flat))
    shape = jax.eval_shape(value_of, flat).shape
    if len(shape) > 1:
        raise ValueError(f"fn returns an array of shape {shape}; a profile is of one value or of a vector of them")
    flatly = lambda u: jnp.reshape(value_of(surface.widen(u)), -1)
    estimate = np.asarray(flatly(jnp.asarray(surface.flat)))
    ends = surface.intervals(lambda which: Curved(flatly, which), np.arange(estimate.size), level)
    return Profile(delta.names_of(names, shape, "fn"), estimate, *ends, level=level, reasons=surface.reasons)


def of_any(fit, function, level, names):
    """Profile of a function as a user gives it."""
    checks.level(level)
    own, value_of, _ = delta.prepared_function(fit, function)
    surface = Surface(fit, bool(fit.free) and (own or fit._joins))
    return of_function(fit, value_of, level, names, surface)


def _joined(a, b):
    both = {k: np.concatenate([getattr(a, k), getattr(b, k)]) for k in ("value", "low", "high")}
    return Profile(a.names + b.names, **both, level=a.level, reasons=a.reasons + b.reasons)


# --------------------------------------------------------------------------- the objective about the optimum
class Surface:
    """The objective of a fit as a function of its unknowns: coefficients of the columns that are kept, and where
    `jointly` the family's free parameters."""

    def __init__(self, fit, jointly):
        prepared = fit._data("a profile likelihood")
        if firth.is_asked(fit.model.penalty):
            raise ValueError("with penalty='firth' or 'jeffreys' profiles are of the coefficients alone, without fn")
        if not fit._smooth:
            raise ValueError("with a penalty that has kinks or bounds twice the log-likelihood has no chi-square law; "
                             "use jglm.bootstrap, or fit the chosen columns without it")  # fmt: skip
        if not isinstance(prepared, Prepared):
            raise ValueError("a profile likelihood needs the rows in memory; this fit read them from a stream")
        if prepared.design.shape[0] * prepared.design.shape[1] > LARGEST:
            raise ValueError(f"profiles take X as a matrix, here {prepared.design.shape}, which is not made; "
                             "use Wald intervals, or a sample of the rows")  # fmt: skip
        if fit.weight_kind == "sampling":
            raise ValueError("with sampling weights there is no likelihood to profile; use method='wald', whose "
                             "standard errors are robust")  # fmt: skip
        if fit.covariance is None:
            raise ValueError("the model was fitted with covariance=None; use fit.with_covariance('model')")
        if fit.shift:
            raise ValueError("the fit was rebalanced, and a profile begins at the optimum; ask the fit before")
        self.fit, self.prepared, self.jointly = fit, prepared, jointly
        self.nuisance = fit.nuisance if jointly else {}
        family = fit.family.replace(free=fit.free) if jointly else fit.family
        problem = Problem(Model(family, fit.link, fit.model.penalty), prepared, fit.kept)
        coef = flatten_host(fit.params[fit.kept])
        if jointly:
            point = Unknowns(jnp.asarray(problem.shape(coef)), {k: jnp.asarray(v) for k, v in self.nuisance.items()})
            model = joint.with_density(problem.model, joint.density_method(problem, point))
            problem = Problem(model, prepared, fit.kept)
        self.problem, self.coefficients = problem, coef.size
        self.flat = np.append(coef, delta.flat_nuisance(fit)) if jointly else coef
        self.size, self.phi = self.flat.size, 1.0 if jointly else float(fit.scale)
        self.reasons = []

    def widen(self, flat):
        """All flat unknowns, aliased coefficients too, which are 0."""
        kept = np.tile(self.fit.kept, self.problem.width)
        place = np.append(np.flatnonzero(kept), np.arange(kept.size, kept.size + self.size - self.coefficients))
        return jnp.zeros(kept.size + self.size - self.coefficients, flat.dtype).at[place].set(flat)

    def intervals(self, function, which, level, far=None):
        """(low, high) (q,) of the functions `function(which)`, an array with an entry for each; keeps the reasons.
        far (2 q,): where low and high ends are given up."""
        if not np.isfinite(self.phi) or self.phi <= 0:
            raise ValueError(f"the dispersion is {self.phi}; without degrees of freedom there is no profile")
        q, n = len(which), len(self.prepared.y)
        lanes, sides = np.repeat(np.arange(q), 2), np.tile([-1.0, 1.0], q)
        z = np.full(2 * q, tails.quantile(0.5 + level / 2, self.fit._df))
        far = np.tile([-np.inf, np.inf], q) if far is None else far
        most = max(2, min(CHUNK // n, MATRICES // self.size**2))
        base, ends = None, []
        for i in range(0, 2 * q, most):
            part = slice(i, i + most)
            b = len(lanes[part])
            look = self.look(b)
            base = self._base(look, b) if base is None else base
            starts = profiling.Starts(*(np.repeat(np.asarray(v)[None], b, axis=0) for v in (*base, self.phi)))
            goal = function(which[lanes[part]])
            ends.append(profiling.find_ends(look, goal, starts, sides[part], z[part], far[part]))
        value, status = (np.concatenate([getattr(e, k) for e in ends]).reshape(q, 2) for k in ("value", "status"))
        self.reasons = [tuple(profiling.MESSAGES.get(int(s), "") for s in pair) for pair in status]
        self.n_iter = max((e.n_iter for e in ends), default=0)
        return value[:, 0], value[:, 1]

    def _base(self, look, b):
        """(flat, objective, gradient, information) at the optimum."""
        one = isinstance(look, ByLanes) and b * len(self.prepared.y) > ROWS
        sums = (self.look(1) if one else look)(self.flat[None], np.zeros(1, int))
        found = sums.value, sums.grad, profiling.information(sums)
        return self.flat, *(np.asarray(v)[0] for v in found)

    def look(self, b):
        """What looks at b lanes."""
        if self.prepared.designs:
            return ByRows(self.problem, Unknowns(self.problem.shape(self.flat[: self.coefficients]), self.nuisance))
        return ByLanes(self.problem.model, self.stack, self._penalty(), np.zeros(b, int))

    @functools.cached_property
    def stack(self):
        """The data as a stack of one, with what is made of them once."""
        p = self.prepared
        offset = p.offset if p.offset.ndim == 1 else p.offset[None]
        return Stack(self.problem.X, p.y[None], p.weight, offset, p.size, p.power)

    def _penalty(self):
        if self.problem.model.penalty is None:
            return None
        P = np.zeros((self.size,) * 2)
        P[: self.coefficients, : self.coefficients] = self.problem.penalty_hessian(self.flat[: self.coefficients])
        return P


class Curved:
    """c(u) = the entry `which` (b,) of a function of the flat unknowns, derivatives by autodiff."""

    def __init__(self, function, which):
        one = lambda u, k: function(u)[k]
        self.which = which
        self.derivatives = jax.jit(jax.vmap(lambda u, k: (one(u, k), jax.grad(one)(u, k), jax.hessian(one)(u, k))))

    def at(self, flat, lanes):
        full = np.repeat(flat[:1], len(self.which), axis=0)
        full[lanes] = flat
        return tuple(np.asarray(v)[lanes] for v in self.derivatives(full, self.which))


class ByLanes:
    """Passes over data sets of a stack, `models` (b,) of them: all lanes in one batch."""

    def __init__(self, model, stack, penalty, models):
        self.model, self.stack, self.penalty, self.models = model, stack, penalty, models
        self.host = jax.default_backend() == "cpu"
        self.built = np.zeros(0, int)
        self.lanes: Any = None

    def __call__(self, points, lanes):
        b, rows = len(self.built), len(lanes) * self.stack.shape[0]
        # What is small is not made anew: every size of it would be compiled.
        if b == 0 or (self.host and len(lanes) < 0.7 * b and b * self.stack.shape[0] > ROWS):
            self.built = lanes if rows > ROWS and self.host else np.arange(len(self.models))
            own = self.models[self.built]
            self.lanes = lanes_of(self.model, self.stack, own, self.penalty, self.host)
        at = np.searchsorted(self.built, lanes)
        full = np.repeat(points[:1], len(self.built), axis=0)
        full[at] = points
        sums = self.lanes.look(full) if self.host else batch._look_compiled(self.lanes, full)
        pick = lambda v: None if v is None else np.asarray(v)[at]
        return Sums(*(pick(getattr(sums, k)) for k in ("value", "grad", "hess", "chi2", "noise", "fisher")))


class ByRows:
    """Passes over one data set, point by point: for parameters with designs of their own."""

    def __init__(self, problem, like):
        self.problem, self.like = problem, jax.tree.map(jnp.asarray, like)

    def __call__(self, points, lanes):
        size = 1 << (len(points) - 1).bit_length()  # so that few sizes are compiled
        points = np.concatenate([points, np.repeat(points[:1], size - len(points), axis=0)])
        found = _sums_compiled(self.problem.model, self.problem.data, points, self.like)
        return jax.tree.map(lambda v: np.asarray(v)[: len(lanes)], found)


def _sums(model, data, points, like):
    def one(flat):
        at = unflatten(flat, like)
        info = evaluate(model, data, Query(at), "hessian")
        value, grad = model.penalized(info.value, info.grad, at)
        extra = model.curvature(at)
        add = lambda H: H if extra is None or H is None else H + extra
        return Sums(value, grad, add(info.hess), info.chi2, info.noise, add(info.fisher))

    return jax.lax.map(one, points)


_sums_compiled = jax.jit(_sums)
