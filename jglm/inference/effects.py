"""Marginal effects: what a change of a variable does to the mean, averaged over rows, by automatic differentiation."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm.fitting.padding import bind
from jglm.inference import delta, scenarios
from jglm.inputs import checks
from jglm.prediction import _mean_of

METHODS = ("dydx", "eyex", "dyex", "eydx")
PLACES = ("overall", *scenarios.SUMMARIES)
CHANGES = ("difference", "ratio", "odds_ratio")
ROWS = 1 << 16  # at a time


def marginal_effects(fit, variables, method, at, values, discrete, change, X, offset, exposure, weights, level):
    """The `Estimates` of `Fit.marginal_effects`."""
    checks.choice("method", method, METHODS)
    checks.choice("at", at, PLACES)
    checks.choice("change", change, CHANGES)
    checks.level(level)
    rows = scenarios.rows_of(fit, X, offset, exposure, weights)
    wanted = _wanted(rows, variables)
    apart = _discrete(rows, discrete, wanted)
    mean = Means(fit)
    names, points, jacs = [], [], []
    for changes in _settings(rows, values):
        here = rows.set(changes) if changes else rows
        here = here if at == "overall" else here.summarized(at)
        here = here.set(changes) if changes and at != "overall" else here
        suffix = (" | " if changes else "") + ", ".join(f"{k} = {v:g}" if isinstance(v, float) else f"{k} = {v}"
                                                        for k, v in changes.items())  # fmt: skip
        for name in (n for n in wanted if n not in changes):
            levels = rows.factors.get(name, [0.0, 1.0] if name in apart else None)
            if levels is None:
                if change != "difference":
                    raise ValueError(f"change={change!r} is for factors and discrete= columns; {name!r} is continuous: "
                                     f"name others in variables=, or take change='difference'")  # fmt: skip
                point, jac = mean.slope(here, name, method)
                found = [(name, point, jac)]
            else:
                found = list(mean.steps(here, name, levels, method, change))
            for label, point, jac in found:
                names.append(label + suffix)
                points.append(point)
                jacs.append(jac)
    return _estimates(fit, mean, names, points, jacs, change, method, level)


def _estimates(fit, mean, names, points, jacs, change, method, level):
    if not names:
        raise ValueError("there is no variable to change: every column is constant, or is held by values=")
    jac = np.concatenate(jacs)
    cov = jac @ delta.covariance(fit, mean.joint) @ jac.T
    point = np.where(scenarios.estimable(fit, jac), np.ravel(points), np.nan)
    whole = point if mean.classes is None else point.reshape(len(names), -1)
    title = {"difference": {"dydx": "dy/dx", "eyex": "ey/ex", "dyex": "dy/ex", "eydx": "ey/dx"}[method]}
    return delta.Estimates(names if mean.classes is None else [names, mean.classes], whole, cov, fit._df, level,
                           None if change == "difference" else "exp",
                           title=title.get(change, change.replace("_", " ")))  # fmt: skip


def _wanted(rows, variables):
    known = rows.variables()
    if variables is None:
        return known
    variables = [variables] if isinstance(variables, str) else list(variables)
    for name in variables:
        checks.choice("variables", name, known)
    return variables


def _discrete(rows, discrete, wanted):
    """The columns of numbers that are changed from 0 to 1."""
    if discrete is True:
        return rows.binary()
    names = [] if not discrete else [discrete] if isinstance(discrete, str) else list(discrete)
    for name in names:
        checks.choice("discrete", name, wanted)
    return names


def _settings(rows, values):
    """[{variable: value}] of all combinations of the given values."""
    values = values or {}
    for name in values:
        checks.choice("a name in values", name, rows.names if hasattr(rows, "names") else rows.formula.right_variables)
    several = [v if isinstance(v, (list, tuple, np.ndarray)) else [v] for v in values.values()]
    return [dict(zip(values, c, strict=True)) for c in itertools.product(*several)]


# --------------------------------------------------------------------------- averages and their derivatives
class Means:
    """Means of rows as functions of the flat unknowns: coefficients, and the family's free parameters where the mean's
    map takes them (`joint`)."""

    def __init__(self, fit):
        self.fit, self.joint = fit, fit.family.parametrize_ is not None and bool(fit.free)
        flat = delta.flat_coefficients(fit)
        self.flat = np.append(flat, delta.flat_nuisance(fit)) if self.joint else flat
        self.shape = np.shape(fit.params)
        free = tuple((k, dict(fit.free)[k], np.size(v)) for k, v in sorted(fit.nuisance.items())) if self.joint else ()
        self.static = self.shape, free
        own = jax.eval_shape(lambda v: _mean_of(fit.model, v, self._values()), _lin_like(fit))
        self.classes = None
        if own.ndim:
            levels = fit.levels if fit.levels is not None else range(own.shape[0])
            self.classes = [str(v) for v in levels]

    def _values(self):
        if self.fit.family.parametrize_ is None:
            return {}
        found = delta.family_values(self.fit, jnp.asarray(delta.flat_nuisance(self.fit)))
        # No mean depends on a regressed one (see `prediction.row_values`).
        return found | {name: jnp.ones(()) for name, free in self.fit.free if free.regressed}

    def _sums(self, function, rows, arguments):
        """(sums over all rows of the weights times what `function` gives (q, …), their Jacobian), in blocks."""
        run = bind(function, self.fit.model, *self.static)
        total: Any = 0.0
        jac: Any = 0.0
        for first in range(0, len(rows), ROWS):
            part = rows if len(rows) <= ROWS else rows.where(_block(len(rows), first))
            value, slope = run(self.flat, part.weight / rows.weight.sum(), *arguments(part))
            total, jac = total + np.asarray(value), jac + np.asarray(slope)
        return total, jac

    def slope(self, rows, name, method):
        """(average derivative () or (k,), its Jacobian (k, P)) of the mean in a variable, or its elasticity."""

        def arguments(part):
            return *part.design(), *part.slope(name), part.values(name), np.array(METHODS.index(method))

        value, jac = self._sums(_slopes, rows, arguments)
        return value, jac.reshape(-1, len(self.flat))

    def steps(self, rows, name, levels, method, change):
        """(label, average change () or (k,), Jacobian) of the mean from the first level to each other one; with ratios
        the logarithm of that of the averages."""
        logs = method.startswith("ey")
        averages = []
        for v in levels:
            there = rows.set({name: v})
            averages.append(self._sums(_log_means if logs else _means, there, lambda part: part.design()))
        for v, (high, above) in zip(levels[1:], averages[1:], strict=True):
            low, below = averages[0]
            turn = {"ratio": jnp.log, "odds_ratio": lambda m: jnp.log(m) - jnp.log1p(-m)}.get(change, lambda m: m)
            slope = [np.asarray(jnp.vectorize(jax.grad(turn))(jnp.asarray(m)))[..., None] for m in (high, low)]
            sign = "-" if change == "difference" else "/"
            label = name if levels == [0.0, 1.0] else f"{name}: {v} {sign} {levels[0]}"
            point = np.asarray(turn(jnp.asarray(high))) - np.asarray(turn(jnp.asarray(low)))
            yield label, point, (slope[0] * above - slope[1] * below).reshape(-1, len(self.flat))

    def average(self, rows):
        """(average mean () or (k,), Jacobian (k, P))."""
        value, jac = self._sums(_means, rows, lambda part: part.design())
        return value, jac.reshape(-1, len(self.flat))


def _block(n, first):
    part = np.zeros(n, bool)
    part[first : first + ROWS] = True
    return part


def _lin_like(fit):
    width = fit.model.width()
    return jnp.zeros(() if width is None else (width,))


def _rows_mean(model, flat, shape, free):
    """(coef, the mean of a row as a function of lin) at flat unknowns."""
    size = int(np.prod(shape))
    coef = flat[:size] if len(shape) == 1 else flat[:size].reshape(shape[::-1]).T
    values, at = {}, size
    for name, record, size in free:
        u = flat[at : at + size]
        # No mean depends on a regressed one (see `prediction.row_values`).
        values[name] = jnp.ones(()) if record.regressed else record.value(u if record.size > 1 else u[0])
        at += size
    return coef, lambda v: _mean_of(model, v, values)


def _with_jacobian(function, flat):
    return function(flat), jax.jacrev(function)(flat)


def _means(model, flat, weight, X, offset, shape, free):
    def average(flat):
        coef, mean = _rows_mean(model, flat, shape, free)
        return jnp.tensordot(weight, jax.vmap(mean)(X @ coef + offset), 1)

    return _with_jacobian(average, flat)


def _log_means(model, flat, weight, X, offset, shape, free):
    def average(flat):
        coef, mean = _rows_mean(model, flat, shape, free)
        return jnp.tensordot(weight, jnp.log(jax.vmap(mean)(X @ coef + offset)), 1)

    return _with_jacobian(average, flat)


def _slopes(model, flat, weight, X, offset, D, turn, x, method, shape, free):
    def average(flat):
        coef, mean = _rows_mean(model, flat, shape, free)
        lin = X @ coef + offset
        along = jnp.broadcast_to(D @ coef, lin.shape) + turn
        m, dm = jax.jvp(jax.vmap(mean), (lin,), (along,))
        wide = (lambda v: v) if m.ndim == 1 else (lambda v: v[:, None])
        kinds = [dm, dm * wide(x) / m, dm * wide(x), dm / m]
        return jnp.tensordot(weight, jnp.select([method == i for i in range(4)], kinds), 1)

    return _with_jacobian(average, flat)
