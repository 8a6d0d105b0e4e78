"""A problem whose rows are spread over a mesh of devices, seen through a model by sums alone.

What runs on a share of the rows is written as for all of them; `shards.everywhere` runs it on every device, and the
sums come back the same in every process.
"""

import dataclasses
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from jglm import rows
from jglm.designs import Dense, gram_blocks
from jglm.drivers import Solution, run_compiled, solve_on_host
from jglm.fitting import linalg
from jglm.fitting.problem import flatten_host
from jglm.model import HESSIAN, Data, Model, Query, Unknowns, evaluate
from jglm.rows import mask, scale, whole
from jglm.sharing import shards
from jglm.solvers import Newton


class Spread:
    """`prepared` are the rows of this process, `kept` the columns that are fitted, `count` that of all rows."""

    def __init__(self, model, prepared, kept, mesh, dtype="float64"):
        self.model, self.prepared, self.kept, self.mesh, self.dtype = model, prepared, kept, mesh, dtype
        self.design = (prepared.design if kept.all() else prepared.design.columns(kept)).astype(dtype)
        self.width = model.width() or 1
        own = prepared.nobs if model.family.prior_weights == "dispersion" else prepared.power[prepared.weight > 0].sum()
        self.n, self.count, self.nobs, self.weight = np.sum(
            shards.gather(mesh, (len(prepared.y), float(own), prepared.nobs, float(prepared.weight.sum()))), axis=0
        )

    @cached_property
    def shared(self):
        """(Data, power), stacked share by share."""
        return shards.share_out(self.mesh, self.prepared, self.design)

    def with_model(self, model):
        """The same rows seen through another model."""
        other = object.__new__(Spread)
        other.__dict__.update(vars(self) | {"shared": self.shared}, model=model)
        return other

    def part(self, chosen):
        """Some rows of this process, with some of each other."""
        p = self.prepared
        taken = {k: getattr(p, k)[chosen] for k in ("y", "weight", "size", "power", "offset")}
        designs = {name: Z[chosen] for name, Z in p.designs.items()}
        part = dataclasses.replace(
            p, design=self.design.take(chosen), nobs=float(len(chosen)), designs=designs, **taken
        )
        return Spread(self.model, part, np.ones(self.design.shape[1], bool), self.mesh, self.dtype)

    def shape(self, flat):
        """Flat coefficients as (p,) or (p, k)."""
        return flat if self.model.width() is None else flat.reshape(self.width, self.design.shape[1]).T

    def whole(self, flat):
        """Coefficients for every column, NaN for those that are aliased."""
        coef = self.shape(flat)
        found = np.full((len(self.kept), *coef.shape[1:]), np.nan)
        found[self.kept] = coef
        return found

    # ------------------------------------------------------------------ sums over all rows
    def everywhere(self, function, given, *static):
        """function(share, model, *given, *static), as NumPy."""
        return jax.tree.map(
            np.asarray, shards.everywhere(function, self.mesh, self.shared, (self.model, *given), *static)
        )

    def look(self, query, asks=HESSIAN):
        """What `model.evaluate` answers of all rows."""
        return self.everywhere(answer, (query,), asks)

    def solve(self, solver, start=None, report=None):
        """The `Solution` of a solver: in one compiled loop on the devices, or with a report after every pass."""
        start = start if start is None or isinstance(start, Unknowns) else Unknowns(np.asarray(start, float), {})
        if report is None or start is None:
            return self.everywhere(_solved, (solver, start))
        start = jax.tree.map(jnp.asarray, start)
        found = solve_on_host(self.model, None, solver, start, report, self.look)
        return Solution(**{k: jax.tree.map(np.asarray, v) for k, v in vars(found).items()})

    def totals(self, point):
        """Deviance, Pearson's chi2 and log-likelihood."""
        return self.everywhere(_totals, (point, self.count))

    def ending(self, point, move, covariance):
        """(totals, X'WX with expected weights or None, the largest change of lin in a row that counts by a move of the
        flat coefficients)."""
        move = move[: point.coef.size]
        known = np.any(move) and np.all(np.isfinite(move))
        given = point, self.shape(move) if known else np.zeros_like(point.coef), self.count
        return self.everywhere(_ending, given, covariance)

    def squares(self):
        """The diagonal of X'X over the rows that count, and their number."""
        return self.everywhere(_squares, ())

    def spread(self):
        """The root mean square of each column in the rows that count."""
        squares, count = self.squares()
        return np.sqrt(squares / count)

    def constant(self, start, tol):
        """(coef of the fit of a constant, Hessian there, deviance) from a start () or (k,)."""
        bare = self.with_model(Model(self.model.family, self.model.link, None))
        coef, hess, deviance = bare.everywhere(
            _constant, (np.reshape(start, (1, *np.shape(start))), Newton(tol), self.count)
        )
        return coef[0], hess, float(deviance)

    def penalty_hessian(self, flat):
        """The Hessian of the smooth part of the penalty, None without one."""
        if self.model.penalty is None:
            return None
        return np.asarray(self.model.curvature(Unknowns(jnp.asarray(self.shape(flat)), {})))


def independent(mesh, design, weight):
    """Which columns the rows of all processes keep, as `linalg.find_independent` has it of one."""
    if shards.processes_of(mesh) == 1:
        return linalg.find_independent(design, weight)
    if design.shape[1] > linalg.WIDE:
        return np.any(shards.gather(mesh, linalg.find_independent(design, weight)), axis=0)
    if design.is_matrix:
        own = linalg.triangle(design.dense()[weight > 0])
        return linalg.independent_columns(linalg.triangle(np.vstack(shards.gather(mesh, own))))
    return linalg.independent_in(sum(shards.gather(mesh, design.crossprod((weight > 0).astype(float)))))


def flat_of(solution):
    """The flat coefficients of a solution."""
    return flatten_host(solution.coef)


# --------------------------------------------------------------------------- what runs on a share of the rows
def answer(share, model, query, asks):
    return evaluate(model, share[0], query, asks)


def _solved(share, model, solver, start):
    return run_compiled(model, share[0], solver, start)


def _lin(model, data, coef):
    """lin of the rows, safe where a row does not count."""
    return mask(data.weight > 0, data.X.matvec(coef) + data.offset, rows.safe_lin(model, coef.dtype))


def _values(model, data, point):
    """{name: (n,) or (n, s)} of the free parameters that eta takes besides lin."""
    n, found = data.weight.shape[0], {}
    if model.family.parametrize_ is None:
        return found
    for name, free in model.family.free:
        u, Z = point.nuisance[name], (data.designs or {}).get(name)
        if Z is not None:
            found[name] = free.value(Z @ u)
        else:
            value = free.value(u if free.size > 1 else u[0])
            found[name] = jnp.broadcast_to(value, (n, *jnp.shape(value)))
    return found


def _totals(share, model, point, count):
    data, power = share
    lin, values = _lin(model, data, point.coef), _values(model, data, point)
    return rows.totals(model, data.y, lin, data.weight, data.size, power, count, values, data.axis)


def _ending(share, model, point, move, count, covariance):
    data, _ = share
    on = data.weight > 0
    moved = jnp.max(mask(on, jnp.abs(data.X.matvec(move)), 0.0))
    H = _information(data, model, point.coef, on) if covariance else None
    return _totals(share, model, point, count), H, jax.lax.pmax(moved, data.axis)


def _information(data, model, coef, on):
    lin, t = _lin(model, data, coef), mask(on, rows.statistics(model, data.y), 1.0)
    expected = jax.vmap(lambda t, v: rows.row(model, t, v)[3])(t, lin)
    W = scale(jnp.where(on, data.weight, 0.0), expected)
    return whole(data.X.gram(W) if W.ndim == 1 else gram_blocks(data.X, W), data.axis)


def _squares(share, model):
    data, _ = share
    on = (data.weight > 0).astype(float)
    return whole((data.X.squares(on), jnp.sum(on)), data.axis)


def _constant(share, model, start, solver, count):
    data, power = share
    ones = Dense(jnp.ones((data.weight.shape[0], 1), start.dtype), "float64")
    data = Data(ones, data.y, data.weight, data.offset, data.size, data.designs, data.axis)
    found = run_compiled(model, data, solver, Unknowns(start, {}))
    point = Unknowns(found.coef, {})
    hess = evaluate(model, data, Query(point), HESSIAN).hess
    return found.coef, hess, _totals((data, power), model, point, count).deviance


def null_without_constant(spread):
    """The deviance of the offset alone."""
    coef = np.zeros((spread.design.shape[1], *(() if spread.model.width() is None else (spread.width,))))
    return float(spread.totals(Unknowns(coef, {})).deviance)
