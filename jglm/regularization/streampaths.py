"""Paths of penalized fits of a stream: every pass over the files answers for all strengths at once.

A path of the sample, at strengths as much smaller, gives starts and Hessians; then each pass gives the gradients of all
rows at every strength, and every strength takes proximal steps about its own Hessian (see `pathwise`).
"""

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

ROWS = 40_000  # of the sample, of which paths and Hessians are made where there are not many columns


class StreamLooks:
    """As `Looks`, of all rows of a stream."""

    def __init__(self, data, model, kept):
        self.data, self.model, self.kept = data, model, kept

    def __call__(self, flat, left_out):
        flat, left_out = np.asarray(flat), np.asarray(left_out)
        look = lambda block: list(self._looks(block).sums(flat, left_out))
        grad, chi2, count = self.data.total(look)
        return grad, Looks.dispersions(self.model, flat, chi2, count)

    def losses(self, flat):
        """The losses (S,) of all rows."""
        return self.data.total(lambda block: self._looks(block).losses(flat))

    def _looks(self, block):
        return Looks(Problem(self.model, block, self.kept))


class StreamSource:
    """The stream of a path after its first pass, and the model with its penalty at strength 1: as `paths.Source`."""

    def __init__(self, X, y, family, link, penalty, standardize, given):
        if standardize:
            raise ValueError("standardize=True is for data in memory; write scale(x) in the formula of a stream")
        formula = isinstance(X, str)
        layout = asked.layout_of(X, y, family, link, penalty, formula=formula, **given)
        if layout.family.free:
            names = ", ".join(name for name, _ in layout.family.free)
            raise ValueError(f"family {layout.family.name!r} estimates {names} besides; give its value, such as "
                             "negative_binomial(2.0)")  # fmt: skip
        if any(isinstance(part, penalties.Constraints) for part in penalties.parts_of(penalty)):
            raise ValueError("a path has no linear constraints; use penalties.bounds")
        self.data = fitting.first_pass(y if formula else X, layout)
        data, p = self.data, len(self.data.names)
        self.intercept = int(data.intercept or data.names[:1] == ["Intercept"])
        plain = Model(layout.family, layout.link, None)
        self.sums = ending.total_sums(data, plain)
        self.penalty, self.total = penalty, float(self.sums["weight"])
        bound = penalties.bind(penalty, p, self.intercept, self.total)
        self.model, self.kept = Model(layout.family, layout.link, bound), np.ones(p, bool)
        rows = max(ROWS, pathwise.MOST * p)
        sample = Problem(self.model, data.sample, self.kept)
        on = np.flatnonzero(data.sample.weight > 0)
        self.problem = sample.part(on[:rows], bound)
        self.share = float(np.sum(self.problem.prepared.weight)) / self.total
        self.look = StreamLooks(data, self.model, self.kept)
        self.null, self.first = self._null(plain)
        self.kept_facts = dict(weight_kind=layout.weight_kind)
        if layout.formula is not None:
            self.kept_facts |= dict(formula=layout.formula, columns=layout.given, n_dropped=data.dropped)

    def _task(self, model, kept=None, tol=1e-8):
        options = dict(solver="auto", tol=tol, max_iter=None, dtype="float64", start=None, progress=False)
        return fitting.Task(self.data, model, self.kept if kept is None else kept, options, self.sums)

    def _null(self, plain):
        """(flat coefficients of the fit of the unpenalized columns alone, its deviance)."""
        flat = pathwise.null_point(self.problem)
        alone = pathwise.unpenalized(self.problem)
        width, p = self.problem.width, len(alone)
        task = self._task(plain, alone)
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
    def looks(self, fold):
        return self.look

    def hessians(self, flat):
        """Of all rows, as the sample has them."""
        return pathwise.hessians(self.problem, flat) / self.share

    def finish(self, strength, flat, tol):
        """The fit at one strength by Newton's own Hessians: `Found`."""
        start = self.problem.shape(flat)
        solver = Newton if penalties.is_smooth(self.model.penalty) else ProximalNewton
        return fitting.run(self._task(pathwise.at_strength(self.model, strength)), solver(tol, 100), start)

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
        losses = self.look.losses(np.concatenate([self.null[None], points.flat]))
        kkt = pathwise._residuals(self.model, np.asarray(grid), points.flat, models.grad, 1 / self.total)
        params = np.stack([self.problem.shape(flat) for flat in points.flat])
        return params, self.first + 2 * (losses[1:] - losses[0]), np.asarray(kkt) / self.total

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
