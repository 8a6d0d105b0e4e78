"""Many fits at once: Newton's method for m models of one family and link, each with a step, a line search and an end of
its own.

Models are taken in chunks. A pass over a chunk is one call for all its models (`lanes`): on a CPU batched BLAS about
one compiled function of flat rows, with the chunks shared among threads; on an accelerator one compiled program. Where
most models of a chunk are done the others wait for the next round, in which they are gathered into new chunks. No model
changes another's answer (`lockstep`).

    model = Model(families.poisson, links.log, None)
    found = solve_many(model, Stack.plain(X, y))      # X (n, p) or (m, n, p), y (m, n); inside jax.enable_x64(True)
    found.coef, found.status                          # (m, p), (m,)
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm import families
from jglm.batches import incache, lockstep
from jglm.batches import lanes as passes
from jglm.batches.lanes import Totals, free_size, is_canonical, lanes_of
from jglm.designs import products
from jglm.distributions.parameters import EDGE
from jglm.fitting import linalg
from jglm.model import Model, Unknowns
from jglm.solvers.base import MESSAGES as ENDS
from jglm.solvers.base import Status

SEPARATED, DEFICIENT, EMPTY, AT_LIMIT = 20, 21, 22, 23
MESSAGES = {int(k): v for k, v in ENDS.items()} | {
    SEPARATED: "separation: the likelihood has no maximum; drop columns or use a ridge penalty",
    DEFICIENT: "columns of X are linearly dependent in the rows of positive weight; leave some out",
    EMPTY: "no row of positive weight",
    AT_LIMIT: "converged, a parameter of the family at the end of its range",
}
CONVERGED = (Status.CONVERGED, Status.FLOOR, AT_LIMIT)
LEFT = 0.25  # the share of a chunk's models that wait for the next round
FEW = 64  # models that are seen through to their end even where most are done
DEVICE = 1 << 27  # numbers of the X of a chunk on an accelerator
GRID = 5  # values of a free parameter tried to begin at
OUT = 1e-2  # standard errors left to the optimum: so near, a parameter beyond its range only runs further
REACH = 1e-2  # of a row's lin by a late step: more tells of separation (see `diagnostics.recession`)
INFLATED = 1e7  # of a variance by the other columns: from here on the rank is looked at


@dataclass
class Many:
    """What m fits found, NumPy with a leading axis m: coef (m, p) or (m, p, k), NaN for columns that a model has not;
    `root`, their standard errors at dispersion 1; nuisance {name: (m, size)} on the free scale; status (see MESSAGES);
    passes over the data; Pearson's statistic where the dispersion is estimated; rows of positive weight."""

    coef: np.ndarray
    root: np.ndarray
    nuisance: dict
    status: np.ndarray
    n_iter: np.ndarray
    chi2: np.ndarray
    nobs: np.ndarray

    def flat(self, coef=None):
        """(m, P) unknowns, coefficients class by class, 0 for columns that a model has not."""
        coef = np.nan_to_num(self.coef if coef is None else coef)
        coef = coef if coef.ndim == 2 else coef.swapaxes(1, 2).reshape(len(coef), -1)
        return np.concatenate([coef, *(v for _, v in sorted(self.nuisance.items()))], axis=1)


def solve_many(model, stack, *, tol=1e-8, max_iter=100, chunk=None, host=None, report=None):
    """Fit m models of one family and link, without a derivative written by hand: rows are those of `jglm.rows`.

    Args:
        model: a `Model`; its penalty, if any, is quadratic, and is multiplied by stack.strength (m,) where given.
        stack: a `stacked.Stack` of the m data sets.
        tol: the distance left to the optimum in standard errors, sqrt(g' H^-1 g / phi).
        max_iter: passes over the data for each model at most.
        chunk: models taken at once; None suits the cache of a CPU or the memory of an accelerator.
        host: whether on the CPU through NumPy; None where JAX runs there.
        report: called with (models done, m) after each chunk.

    Returns a `Many`. Must run inside `jax.enable_x64(True)`. Nothing is raised for what a model does: see its status.
    Free parameters of the family are estimated with the coefficients, by Newton's method in all of them.
    """
    host = jax.default_backend() == "cpu" if host is None else host
    run = _Run(model, stack, tol, max_iter, host, chunk, report)
    waiting, state, start = np.arange(stack.count), None, run.start()
    while len(waiting):
        waiting, state = run.round(waiting, state, start)
        start = None
    return run.found


def totals_of(model, stack, found, *, chunk=None, host=None):
    """`lanes.Totals` (m,) each, of what `solve_many` found; must run inside `jax.enable_x64(True)`."""
    host = jax.default_backend() == "cpu" if host is None else host
    chunk, flat = chunk or models_at_once(stack, host), found.flat()

    def one(models):
        with jax.enable_x64(True), np.errstate(all="ignore"):
            models = models if host else _filled(models, chunk)
            lanes = _lanes(model, stack, models, None, host)
            look = lanes.totals if host else functools.partial(_totals_compiled, lanes)
            plain = jax.tree.map(np.asarray, look(flat[models]))
            small = ~(plain.deviance > 1e-3 * plain.terms)
            if model.family.T_ is None and small.any():  # where the plain difference has lost its digits
                careful = jax.tree.map(np.asarray, look(flat[models], True))
                plain = jax.tree.map(lambda a, b: np.where(small, b, a), plain, careful)
            return plain

    parts = [np.arange(i, min(i + chunk, stack.count)) for i in range(0, stack.count, chunk)]
    sums = in_threads(one, parts, stack, host)
    sums = [jax.tree.map(lambda v, part=part: v[: len(part)], s) for s, part in zip(sums, parts, strict=True)]
    lost = np.isnan(found.coef).reshape(len(found.coef), -1).all(axis=1)
    total: Totals = jax.tree.map(lambda *v: np.where(lost, np.nan, np.concatenate(v)), *sums)
    return total


def models_at_once(stack, host):
    """How many models are taken at once: on a CPU so many that they stay in its cache."""
    n, p = stack.shape
    return max(1, passes.ROWS // n) if host else int(min(max(1, DEVICE // (n * (p + 8))), 1 << 16))


def in_threads(function, parts, stack, host):
    _ = stack.products if host else None  # once, before the threads
    return products.in_threads(function, parts, sum(map(len, parts)) * stack.shape[0] if host else 0)


def _filled(v, chunk):
    """An array with copies of its first entry behind: the chunk or a fourth, a sixteenth … of it, since each size is
    compiled."""
    size = 1 << (chunk - 1).bit_length()
    while size // 4 >= len(v):
        size //= 4
    return np.concatenate([v, np.repeat(v[:1], size - len(v), axis=0)])


def _lanes(model, stack, models, penalty, host, canonical=None):
    lanes = lanes_of(model, stack, models, penalty, host, canonical)
    return lanes if host else jax.device_put(lanes)


# --------------------------------------------------------------------------- chunk by chunk
class _Run:
    """The results of all models, written down as they end."""

    def __init__(self, model, stack, tol, max_iter, host, chunk, report):
        self.model, self.stack, self.tol, self.max_iter, self.host = model, stack, tol, max_iter, host
        self.report, self.done, self.xp = report, 0, np if host else jnp
        m, (n, p), width = stack.count, stack.shape, model.width()
        self.canonical = is_canonical(model)
        self.in_turn = host and not stack.shared and m * n * p >= incache.PAYS
        if self.in_turn:
            self.chunk = incache.models_at_once(n, p, chunk)
        else:
            self.chunk = chunk or models_at_once(stack, host)
        self.penalty = None if model.penalty is None else _curvature(model, p)
        nan = lambda *shape: np.full((m, *shape), np.nan)
        shape = (p,) if width is None else (p, width)
        nuisance = {name: nan(free.size) for name, free in model.family.free}
        none = lambda: np.zeros(m, int)
        self.found = Many(nan(*shape), nan(*shape), nuisance, none(), none(), nan(), none())

    def start(self):
        """Flat coefficients (m, p k) to begin at, or None where the rows have a start of their own."""
        coef = self.stack.start
        if coef is None and self.model.family.free:
            coef = first_coefficients(self.model, self.stack, self.host, self.chunk)
        if coef is None:
            return None
        if self.stack.used is not None:
            coef = np.where(self.stack.used.reshape(*coef.shape[:2], *(1,) * (coef.ndim - 2)), coef, 0.0)
        return coef if coef.ndim == 2 else coef.swapaxes(1, 2).reshape(len(coef), -1)

    def round(self, models, state, start):
        """Take the models in chunks; (those that wait for the next round, their state)."""
        parts = [slice(i, i + self.chunk) for i in range(0, len(models), self.chunk)]

        def one(part):
            own = None if state is None else jax.tree.map(lambda v: v[part], state)
            with jax.enable_x64(True), np.errstate(all="ignore"):
                return self.process(models[part], own, None if start is None else start[models[part]], len(parts) == 1)

        rows = [np.arange(part.start, min(part.stop, len(models))) for part in parts]
        left = [v for v in in_threads(lambda r: one(slice(r[0], r[-1] + 1)), rows, self.stack, self.host) if len(v[0])]
        if not left:
            return np.zeros(0, int), None
        return np.concatenate([v[0] for v in left]), jax.tree.map(lambda *v: np.concatenate(v), *(v[1] for v in left))

    def process(self, models, state, start, alone):
        """Newton steps for a chunk until most of its models are done; (those that are not, their state)."""
        b = len(models)
        if not self.host:
            models, state, start = jax.tree.map(lambda v: _filled(v, self.chunk), (models, state, start))
        lanes: Any = self.lanes(models)
        nobs, ours = np.asarray(lanes.nobs), np.arange(len(models)) < b
        dof, sums = self._dof(models, nobs), None
        if self.in_turn and state is None and not self.model.family.free:
            state, end = lanes.fit(start, dof, self.tol, self.max_iter)
            anew = self.keep(models, state, ours, nobs, dof, end)
            return models[anew], jax.tree.map(lambda v: v[anew], lockstep.again(state, anew))
        look = lanes.look if self.host else functools.partial(_look_compiled, lanes)
        step = lockstep.advance if self.host else _advance_compiled
        if state is None:
            state, sums = self.begin(lanes, look, start)
        while True:
            state = step(self.xp, state, look(state.trial) if sums is None else sums, self.tol, dof)
            sums = None
            running = (np.asarray(state.status) == Status.RUNNING) & (np.asarray(state.n_iter) < self.max_iter) & ours
            if self.model.family.free:  # a parameter on its way to infinity would take for ever
                running &= ~(self._beyond(np.asarray(state.point)) & (np.asarray(state.decrement) < OUT))
            waiting = int(running.sum())
            if waiting == 0 or (waiting <= LEFT * b and (not alone or b > FEW)):
                break
        state, anew = jax.tree.map(np.asarray, state), ~running & ours
        if anew.any():
            ended = lockstep.ended if self.host else _ended_compiled
            end = jax.tree.map(np.asarray, ended(self.xp, lanes, state.point, state.late))
            anew = self.keep(models, state, anew, nobs, dof, end)
        state, running = lockstep.again(state, anew), running | anew
        return models[running], jax.tree.map(lambda v: v[running], state)

    def lanes(self, models):
        if self.in_turn:
            return incache.InCache(self.model, self.stack, models, self.penalty, self.canonical, self.chunk)
        return _lanes(self.model, self.stack, models, self.penalty, self.host, self.canonical)

    def _dof(self, models, nobs):
        """Rows less coefficients, (b,), where the dispersion is estimated, else None."""
        if self.model.family.dispersion != "estimated" or self.model.family.free:
            return None
        return np.maximum(nobs - columns_of(self.model, self.stack)[models], 1).astype(float)

    def begin(self, lanes, look, start):
        """(State, Sums at its trial point): at the start given, else by the first IRLS step from rows at their own
        start, which are drawn nearer to the overall mean where that leads out of the domain."""
        xp = self.xp
        if start is not None:
            start = _with_nuisance(lanes, start) if self.model.family.free else start
            return lockstep.begin(xp, xp.asarray(start)), None
        first = lockstep.first_trial if self.host else _first_compiled
        blend = np.full(lanes.shape[0], lockstep.BLEND)
        trial = first(xp, lanes, xp.asarray(blend))
        while True:
            sums = look(trial)
            lost = np.asarray(lockstep.outside(xp, sums)) & (blend > lockstep.LEAST_BLEND)
            if not lost.any():
                return lockstep.begin(xp, trial), sums
            blend = np.where(lost, blend / 4, blend)
            trial = xp.where(xp.asarray(lost)[:, None], first(xp, lanes, xp.asarray(blend)), trial)

    def keep(self, models, state, ended, nobs, dof, end):
        """Write down the models that `ended` with their `lockstep.End`, but for those (b,), which are returned, whose
        gradient says that they are further from the optimum than the last step said."""
        phi = 1.0 if dof is None else end.chi2 / dof
        far = ~((end.drop <= self.tol**2 * phi) | (end.drop <= 1e8 * end.noise))
        status = np.where(state.status == Status.RUNNING, Status.MAX_ITER, state.status)
        plain = self.model.penalty is None
        suspect = ended & (nobs > 0) & ~(end.inflation < INFLATED) & plain
        deficient = np.zeros(len(models), bool)
        deficient[suspect] = [not self._independent(i) for i in models[suspect]]
        anew = ended & far & (status == Status.CONVERGED) & ~deficient & ~suspect & (state.n_iter < self.max_iter)
        status = self._judged(status, end.moved, state.point)
        status = np.where(nobs == 0, EMPTY, np.where(deficient, DEFICIENT, status))
        self.write(models, ended & ~anew, status, state, end, nobs)
        return anew

    def _judged(self, status, moved, point):
        """The status of models at their ends: whether they are separated or a free parameter is at its limit."""
        done = np.isin(status, CONVERGED)
        if self.model.penalty is None and not self.model.family.free:
            status = np.where(done & (moved > REACH), SEPARATED, status)
        return np.where(self._beyond(point) & (status != Status.INVALID_START), AT_LIMIT, status)

    def _beyond(self, point):
        """(b,): whether a free parameter (none of several increasing) has left the range in which it can be told."""
        family = self.model.family
        out, at = np.zeros(len(point), bool), point.shape[1] - free_size(family)
        for _, free in family.free:
            if free.size == 1:
                out |= np.abs(point[:, at]) > EDGE
            at += free.size
        return out

    def write(self, models, ended, status, state, end, nobs):
        """Put the models that `ended` into the results."""
        p, k = self.stack.shape[1], self.model.width() or 1
        found, at = self.found, models[ended]
        lost = np.isin(status, (DEFICIENT, EMPTY, Status.INVALID_START))[:, None]
        if self.stack.used is not None:
            lost = lost | ~np.tile(self.stack.used[models], k)
        shaped = lambda flat: np.where(lost, np.nan, flat[:, : k * p]).reshape(len(flat), k, p).swapaxes(1, 2)[ended]
        coef, root = shaped(state.point), shaped(end.root)
        found.coef[at], found.root[at] = (coef, root) if self.model.width() else (coef[:, :, 0], root[:, :, 0])
        found.status[at], found.nobs[at], found.chi2[at] = status[ended], nobs[ended], end.chi2[ended]
        found.n_iter[at] = state.n_iter[ended]
        start = k * p
        for name, free in self.model.family.free:
            found.nuisance[name][at] = state.point[ended, start : start + free.size]
            start += free.size
        self.done += len(at)
        if self.report is not None:
            self.report(self.done, self.stack.count)

    def _independent(self, model):
        """Whether the columns of a model are linearly independent in its rows of positive weight."""
        stack, own = self.stack, np.array([model])
        X = stack.design(own)
        X = (X[0] if X.ndim == 3 else X)[stack.of("weight", own)[0] > 0]
        X = X if stack.used is None else X[:, stack.used[model]]
        return bool(linalg.independent_columns(linalg.triangle(X)).all())


def columns_of(model, stack):
    """(m,): how many coefficients each model has."""
    width = model.width() or 1
    return width * (np.full(stack.count, stack.shape[1]) if stack.used is None else stack.used.sum(axis=1))


# --------------------------------------------------------------------------- where to begin
def first_coefficients(model, stack, host, chunk):
    """(m, p) or (m, p, k) coefficients of the family with its free parameters fixed, or of its companion."""
    family, width = model.family, model.width()
    zeros = np.zeros((stack.count, stack.shape[1], *(() if width is None else (width,))))
    simple: Any = family.replace(free=())
    if family.parametrize_ is not None:
        if family.companion is None:
            return zeros
        simple = families.catalogue()[family.companion]
        simple = simple if width is None else simple(k=family.dim)
    found = solve_many(Model(simple, model.link, model.penalty), stack, tol=1e-3, chunk=chunk, host=host)
    return np.nan_to_num(found.coef)


def _with_nuisance(lanes, coef):
    """The unknowns with free parameters where the likelihood is largest on a coarse grid."""
    look = lanes.value if lanes.host else functools.partial(_value_compiled, lanes)
    grids = [free.grid(GRID) for _, free in lanes.model.family.free]
    ends = np.cumsum([coef.shape[1], *(np.size(g[0]) for g in grids)])
    trial = np.concatenate([coef, np.zeros((len(coef), ends[-1] - ends[0]))], axis=1)
    for grid, at in zip(grids, ends, strict=False):
        trial[:, at : at + np.size(grid[0])] = grid[len(grid) // 2]
    for grid, at in zip(grids, ends, strict=False):
        tried = []
        for v in grid:
            trial[:, at : at + np.size(v)] = v
            tried.append(np.asarray(look(trial)))
        best = np.argmin(np.where(np.isfinite(tried), tried, np.inf), axis=0)
        trial[:, at : at + np.size(grid[0])] = grid[best].reshape(len(trial), -1)
    return trial


def _curvature(model, p):
    """The Hessian of the penalty in the flat unknowns, (P, P)."""
    shape = (p,) if model.width() is None else (p, model.width())
    H = np.asarray(_curvature_compiled(model, Unknowns(jnp.zeros(shape), {})))
    extra = free_size(model.family)
    return np.pad(H, ((0, extra), (0, extra)))


_curvature_compiled = jax.jit(lambda model, point: model.curvature(point))
_look_compiled = jax.jit(lambda lanes, point: lanes.look(point))
_value_compiled = jax.jit(lambda lanes, point: lanes.value(point))
_totals_compiled = jax.jit(lambda lanes, point, careful=False: lanes.totals(point, careful), static_argnums=2)
_advance_compiled = jax.jit(lockstep.advance, static_argnums=0)
_ended_compiled = jax.jit(lockstep.ended, static_argnums=0)
_first_compiled = jax.jit(lockstep.first_trial, static_argnums=0)
