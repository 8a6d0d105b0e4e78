"""Paths of penalized fits of a stream: every pass over the files answers for all strengths at once.

A path of the sample, at strengths as much smaller, gives starts and Hessians; then each pass gives the gradients of all
rows at every strength, and every strength takes proximal steps about its own Hessian (see `pathwise`).
"""

import copy
from functools import cached_property

import jax
import numpy as np

from jglm import api, penalties
from jglm.fitting.iterate import Found
from jglm.fitting.looks import Looks
from jglm.fitting.problem import Problem, flatten_host
from jglm.model import Model
from jglm.regularization import pathwise
from jglm.solvers import Newton, ProximalNewton
from jglm.streams import asked, ending, fitting
from jglm.streams.groups import folds_of

HESSIANS = 1 << 26  # numbers of those that fits without folds begin with
ROWS = 40_000  # of the sample, of which paths and Hessians are made where there are not many columns


class StreamLooks:
    """As `Looks`, of all rows of a stream."""

    def __init__(self, data, model, kept):
        self.data, self.model, self.kept = data, model, kept

    def __call__(self, flat, left_out):
        flat, left_out = np.asarray(flat), np.asarray(left_out)
        look = lambda block: list(self.of(block).sums(flat, left_out))
        grad, chi2, count = self.data.total(look)
        return grad, Looks.dispersions(self.model, flat, chi2, count)

    def of(self, block):
        """The `Looks` of a block."""
        return Looks(Problem(self.model, block, self.kept), block.group)


class StreamSource:
    """The stream of a path after its first pass, and the model with its penalty at strength 1: as `paths.Source`."""

    def __init__(self, X, y, family, link, penalty, standardize, given, folds=None, seed=0):
        """`folds` (for a cross-validation): how many, drawn at random by `seed`, or the name of a column."""
        if standardize:
            raise ValueError("standardize=True is for data in memory; write scale(x) in the formula of a stream")
        formula = isinstance(X, str)
        told = folds if isinstance(folds, str) else None
        layout = asked.layout_of(X, y, family, link, penalty, formula=formula, folds=told, **given)
        if layout.family.free:
            names = ", ".join(name for name, _ in layout.family.free)
            raise ValueError(f"family {layout.family.name!r} estimates {names} besides; give its value, such as "
                             "negative_binomial(2.0)")  # fmt: skip
        if any(isinstance(part, penalties.Constraints) for part in penalties.parts_of(penalty)):
            raise ValueError("a path has no linear constraints; use penalties.bounds")
        stream = y if formula else X
        self.data = fitting.first_pass(stream, layout)
        data = self.data
        data.groups = None if folds is None else folds_of(folds, seed, data, stream)
        self.intercept = int(data.intercept or data.names[:1] == ["Intercept"])
        self.plain, self.kept = Model(layout.family, layout.link, None), np.ones(len(data.names), bool)
        self.sums = ending.total_sums(data, self.plain)
        self.total = float(self.sums["weight"])
        self._bind(penalty)
        self.null, self.first = self._null()
        self.kept_facts = dict(weight_kind=layout.weight_kind)
        if layout.formula is not None:
            self.kept_facts |= dict(formula=layout.formula, columns=layout.columns, n_dropped=data.dropped)

    def _bind(self, penalty):
        data, p = self.data, len(self.data.names)
        bound = penalties.bind(penalty, p, self.intercept, self.total)
        self.penalty, self.model = penalty, Model(self.plain.family, self.plain.link, bound)
        on = np.flatnonzero(data.sample.weight > 0)[: max(ROWS, pathwise.MOST * p)]
        self.problem = Problem(self.model, data.sample, self.kept).part(on, bound)
        self.share = float(np.sum(self.problem.prepared.weight)) / self.total
        self.look = StreamLooks(data, self.model, self.kept)

    def with_penalty(self, penalty):
        """The same data with another penalty, which leaves the same columns free."""
        other = copy.copy(self)
        other._bind(penalty)
        return other

    def _task(self, model, kept=None, left_out=-1):
        options = dict(solver="auto", tol=1e-8, max_iter=None, dtype="float64", start=None, progress=False)
        data, sums = (self.data, self.sums) if left_out < 0 else (self.data.without(left_out), None)
        return fitting.Task(data, model, self.kept if kept is None else kept, options, sums)

    def _null(self):
        """(flat coefficients of the fit of the unpenalized columns alone, its deviance)."""
        flat = pathwise.null_point(self.problem)
        alone = pathwise.unpenalized(self.problem)
        width, p = self.problem.width, len(alone)
        plain, task = self.plain, self._task(self.plain, alone)
        coef = flat.reshape(width, p)[:, alone].T
        coef = coef if plain.width() else coef[:, 0]
        if alone.any():
            found = fitting.run(task, Newton(1e-9, 100), coef)
            flat = np.zeros((width, p))
            flat[:, alone] = found.flat.reshape(width, -1)
            coef = task.seen().shape(found.flat)
        deviance = self.data.total(ending._look(task, plain, coef, False))["deviance"]
        return flat.ravel(), float(deviance)

    # ------------------------------------------------------------------ what `pathwise.polish` asks
    def hessians(self, flat):
        """Of all rows, as the sample has them."""
        return pathwise.hessians(self.problem, flat) / self.share

    def finish(self, strength, flat, tol, left_out=-1):
        """The fit at one strength, without the rows of a fold, by Newton's own Hessians: `Found`."""
        start = self.problem.shape(flat)
        solver = Newton if penalties.is_smooth(self.model.penalty) else ProximalNewton
        task = self._task(pathwise.at_strength(self.model, strength), left_out=left_out)
        return fitting.run(task, solver(tol, 100), start)

    # ------------------------------------------------------------------ paths
    def grid(self, count, ratio):
        """Strengths from the least that leaves no penalized coefficient."""
        slope = self.look(self.null[None], np.array([-1]))[0][0]
        return pathwise.falling(pathwise.strength_max(self.problem, slope), count, ratio)

    def follow(self, strengths, tol, progress):
        """(`Points`, `Models`) at every strength."""
        begun = pathwise.follow(self.problem, strengths * self.share, 1e-2, None)[0].flat
        return pathwise.polish(self, strengths, begun, self.hessians(begun), tol, progress)

    def figures(self, grid, points, models):
        """(params, deviances, KKT residuals) of points on a grid."""
        losses = self.data.total(lambda b: self.look.of(b).losses(np.concatenate([self.null[None], points.flat])))
        kkt = pathwise.residuals(self.model, grid, points.flat, models.grad, self.total)
        params = np.stack([self.problem.shape(flat) for flat in points.flat])
        return params, self.first + 2 * (losses[1:] - losses[0]), kkt

    # ------------------------------------------------------------------ cross-validation
    def leave_out(self, grid, points, models, tol):
        """(flat coefficients (F, S, P), KKT residuals (F, S)) without each of the folds, from the points and models of
        all rows: of so many folds at a time as their Hessians have room for."""
        weight, found = self.held_weight, []
        size, count = models.hess.size, len(weight)
        for some in np.array_split(np.arange(count), -(-count // max(1, HESSIANS // size))):
            which, share = np.repeat(some, len(grid)), 1 - weight[some] / self.total
            hess = (share[:, None, None, None] * models.hess).reshape(-1, *models.hess.shape[1:])
            every = np.tile(grid, len(some))
            ends, seen = pathwise.polish(
                self, every, np.tile(points.flat, (len(some), 1)), hess, tol, left_out=which
            )
            kkt = pathwise.residuals(self.model, every, ends.flat, seen.grad, self.total - weight[which])
            found.append((ends.flat.reshape(len(some), len(grid), -1), kkt.reshape(len(some), -1)))
        return tuple(np.concatenate(v) for v in zip(*found, strict=True))

    @cached_property
    def held_weight(self):
        """(F,): the weights of the rows of each fold."""
        count = self.data.groups.count
        return self.data.total(lambda b: np.bincount(b.group + 1, b.weight, count + 1)[1:])

    def held_out(self, flat):
        """(F, S): deviances of the rows of each fold at flat coefficients (F, S, P), per unit of weight."""
        count, strengths = flat.shape[:2]
        every = np.concatenate([np.tile(self.null, (count, 1)), flat.reshape(-1, flat.shape[2])])
        held = np.append(np.arange(count), np.repeat(np.arange(count), strengths))

        def look(block):
            part = Problem(self.plain, block, self.kept)
            unit = np.asarray(part.at(part.lin(self.null))[0].deviance)
            first = np.bincount(block.group + 1, np.where(block.weight > 0, block.weight * unit, 0.0), count + 1)[1:]
            return [first, self.look.of(block).losses(every, held)]

        first, losses = self.data.total(look)
        more = losses[count:].reshape(count, strengths) - losses[:count, None]
        return (first[:, None] + 2 * more) / self.held_weight[:, None]

    # ------------------------------------------------------------------ fits

    def fit_at(self, strength, params, status, n_iter):
        """The `Fit` of coefficients that are the optimum at a strength."""
        with jax.enable_x64(True):
            flat = flatten_host(params)
            found = Found(flat, np.zeros_like(flat), status, np.full((n_iter, 2), np.nan), "path")
            return self._made(self._task(pathwise.at_strength(self.model, np.asarray(float(strength)))), found)

    def refit(self, strength, start):
        """The `Fit` at another strength."""
        with jax.enable_x64(True):
            found = self.finish(np.asarray(float(strength)), flatten_host(start), 1e-8)
            return self._made(self._task(pathwise.at_strength(self.model, np.asarray(float(strength)))), found)

    def _made(self, task, found):
        made, known = ending.statistics(task, found)
        fit = api.fit_of(made, self.data, task.model.family, **self.kept_facts)
        fit._unscaled, fit._null = known["unscaled"], known["null"]
        return fit
