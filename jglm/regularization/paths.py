"""path: the fits of one model at many strengths of a penalty, and what can be asked of them."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from jglm import api, cache, penalties
from jglm.fitting.estimate import statistics
from jglm.fitting.iterate import Found
from jglm.fitting.problem import Problem, flatten_host
from jglm.fitting.progress import Counted
from jglm.inputs import checks
from jglm.model import Model
from jglm.regularization import pathwise
from jglm.regularization.streampaths import StreamSource
from jglm.reporting.tables import shown
from jglm.solvers import Status

FEW = 1e-3  # the l1_ratio at which the largest strength of a ridge path is taken, as glmnet has it


@dataclass(frozen=True)
class CoefficientPath:
    """Fits at `strengths` (S,), the largest first: `params` (S, p) or (S, p, k), the intercept's first.

    `deviance` (S,), `null_deviance` (of the unpenalized columns alone), `df` (S,) coefficients that are not 0 besides
    the intercept, `status` and `n_iter` (S,); `kkt` (S,), the largest residual of the optimality conditions per unit of
    weight.
    """

    model: Model
    strengths: np.ndarray
    params: np.ndarray
    names: list
    deviance: np.ndarray
    null_deviance: float
    status: list
    n_iter: np.ndarray
    kkt: np.ndarray
    intercept: bool
    _source: Any = field(default=None, repr=False)

    def __repr__(self):
        return (
            f"<CoefficientPath of {self.model.family.name} with link {self.model.link.name}: {len(self.strengths)} "
            f"strengths from {self.strengths[0]:.4g} to {self.strengths[-1]:.4g}, {len(self.names)} columns>"
        )

    def _repr_html_(self):
        return shown(repr(self), self.table())

    @property
    def df(self):
        """Coefficients that are not 0, besides the intercept."""
        return np.count_nonzero(self.params.reshape(len(self.params), -1), axis=1) - int(self.intercept) * (
            self.model.width() or 1
        )

    @property
    def deviance_explained(self):
        """1 - deviance / null deviance."""
        return 1 - self.deviance / self.null_deviance

    @property
    def converged(self):
        return all(status.converged for status in self.status)

    def table(self):
        """A data frame: strength, df, deviance and the share of it explained."""
        import pandas as pd

        return pd.DataFrame({
            "strength": self.strengths, "df": self.df, "deviance": self.deviance,
            "deviance_explained": self.deviance_explained,
        })  # fmt: skip

    def fit_at(self, strength):
        """The `Fit` at a strength, not only one of the path's; it begins at the nearest of them."""
        i = self._nearest(strength)
        if not np.isclose(self.strengths[i], strength, rtol=1e-12):
            return self._source.refit(strength, self.params[i])
        return self._source.fit_at(self.strengths[i], self.params[i], self.status[i], int(self.n_iter[i]))

    def predict(self, X, strength, kind="mean", offset=None, exposure=None):
        """Of new rows, as `Fit.predict`, at the strength of the path that is nearest to `strength`."""
        fit = self.fit_at(self.strengths[self._nearest(strength)])
        return fit.predict(X, kind=kind, offset=offset, exposure=exposure)

    def _nearest(self, strength):
        if self._source is None:
            raise ValueError("this needs the data of the path, which it no longer has")
        return int(np.argmin(np.abs(np.log(self.strengths) - np.log(checks.positive("strength", strength)))))

    def __getstate__(self):
        return vars(self) | {"_source": None}

    def plot(self, ax=None, labels=8):
        """Coefficients over the strength, on a log scale; the `labels` largest are named. Returns the Axes."""
        from jglm.charts.paths import draw_path

        return draw_path(self, ax, labels)


def path(X, y, *, family, strengths=100, l1_ratio=1.0, penalty=None, min_ratio=None, standardize=False, link=None,
         weights=None, weight_kind="prior", offset=None, exposure=None, trials=None, intercept=True, tol=1e-6,
         names=None, penalty_weights=None, functions=None, missing="drop", unseen="error", progress=None):  # fmt: skip
    """Fit a generalized linear model at many strengths of a penalty.

    Minimizes sum_i w_i (a(eta_i) - T(y_i)·eta_i) + s (l1_ratio |coef|_1 + (1 - l1_ratio) / 2 |coef|_2^2) for every
    strength s, as `jglm.fit` does for one.

    Args:
        X, y: as in `jglm.fit`; or a formula and a data frame (or a stream), as in `jglm.glm`.
        strengths: how many, from the least that leaves no penalized coefficient evenly in log down to `min_ratio` of
            it; or an array of them, all > 0.
        l1_ratio: between 0 (ridge) and 1 (lasso).
        penalty: instead of l1_ratio, any of `jglm.penalties`, whose own strength the strengths multiply.
        min_ratio: of the last strength to the first; None is 1e-4, or 1e-2 where there are more columns than rows, as
            in glmnet.
        standardize: penalize the coefficients of columns of variance 1; `params` are those of X either way.
        penalty_weights: (p,) >= 0 per column, multiplying its strength; 0 leaves it unpenalized.
        tol: the distance left to the optimum in standard errors, sqrt(d'H d / phi) for the next step d.

    All else as in `jglm.fit`, of a formula as in `jglm.glm`. Returns a `CoefficientPath`. Raises ValueError for input
    that cannot be.

    Friedman, Hastie and Tibshirani (2010) for the grid; their lambda is s / sum w.

    >>> import numpy as np, jglm
    >>> X = np.column_stack([np.arange(8.0), [1, -1] * 4])
    >>> jglm.path(X, [1, 1, 2, 4, 6, 9, 16, 25], family="poisson", strengths=[60.0, 6.0]).params.round(2)
    array([[ 1.14,  0.23,  0.  ],
           [-0.01,  0.46,  0.  ]])
    """
    given = dict(weights=weights, weight_kind=weight_kind, offset=offset, exposure=exposure, trials=trials,
                 intercept=intercept, names=names, functions=functions, missing=missing, unseen=unseen)  # fmt: skip
    if checks.is_stream(y if isinstance(X, str) else X):
        return _streamed(X, y, family, link, penalty_of(penalty, l1_ratio, penalty_weights), standardize, given,
                         strengths, min_ratio, tol, progress)  # fmt: skip
    with jax.enable_x64(True):
        cache.enable()
        source = Source(X, y, family, link, penalty_of(penalty, l1_ratio, penalty_weights), standardize, given)
        grid = grid_of(source, strengths, min_ratio, l1_ratio if penalty is None else None)
        bar = None if progress is False else Counted(len(grid), 0.0 if progress else 1.0, "strength")
        try:
            points, models = pathwise.follow(source.problem, grid, checks.positive("tol", tol), bar and bar.advance)
        finally:
            if bar is not None:
                bar.close()
        return source.path(grid, points, models)


def _streamed(X, y, family, link, penalty, standardize, given, strengths, min_ratio, tol, progress):
    """The path of a stream."""
    with jax.enable_x64(True):
        cache.enable()
        source = StreamSource(X, y, family, link, penalty, standardize, given)
        grid = grid_of_stream(source, strengths, min_ratio)
        bar = None if progress is False else Counted(len(grid), 0.0 if progress else 1.0, "strength")
        try:
            points, models = source.follow(grid, checks.positive("tol", tol), bar and bar.advance)
        finally:
            if bar is not None:
                bar.close()
        return path_of_stream(source, grid, points, models)


def path_of_stream(source, grid, points, models):
    """The `CoefficientPath` of points on a grid."""
    params, deviance, kkt = source.figures(grid, points, models)
    return CoefficientPath(
        source.model, grid, params, source.data.names, deviance, source.first,
        [Status(int(v)) for v in points.status], points.n_iter, kkt, bool(source.intercept), source,
    )  # fmt: skip


def grid_of_stream(source, strengths, min_ratio):
    """As `grid_of`, of a `StreamSource`."""
    if np.ndim(strengths):
        return grid_of(source, strengths, min_ratio, None)
    if penalties.is_smooth(source.model.penalty):
        raise ValueError("no strength of a penalty without kinks leaves nothing; give strengths= as an array")
    ratio = 1e-4 if min_ratio is None else checks.positive("min_ratio", min_ratio)
    return source.grid(checks.whole("strengths", strengths), ratio)


def penalty_of(penalty, l1_ratio, weights):
    """The penalty whose strength a path varies."""
    if penalty is None:
        return penalties.elastic_net(1.0, l1_ratio, weights=weights)
    if weights is not None:
        raise ValueError("penalty= has weights of its own; give penalty_weights= with l1_ratio= only")
    if not hasattr(penalty, "times"):
        raise TypeError(f"penalty is a {type(penalty).__name__}; it must be one of jglm.penalties")
    return penalty


def grid_of(source, strengths, min_ratio, l1_ratio):
    """The strengths of a path, the largest first."""
    if np.ndim(strengths):
        grid = np.sort(checks.numbers("strengths", strengths, shape=np.shape(strengths)))[::-1]
        checks.refuse("strengths", grid <= 0, "zero or negative", "a strength must be > 0")
        return grid
    count, problem = checks.whole("strengths", strengths), source.problem
    if min_ratio is None:
        min_ratio = 1e-2 if problem.design.shape[0] < problem.design.shape[1] else 1e-4
    if l1_ratio is not None and l1_ratio < FEW:
        weights = np.asarray(penalties.parts_of(problem.model.penalty)[0].weights)
        lasso = penalties.ElasticNet(np.asarray(1.0), np.asarray(FEW), weights, "sum")
        problem = problem.with_model(Model(problem.model.family, problem.model.link, lasso))
    if penalties.is_smooth(problem.model.penalty):
        raise ValueError("no strength of a penalty without kinks leaves nothing; give strengths= as an array")
    return pathwise.strength_grid(problem, source.null, count, checks.positive("min_ratio", min_ratio))


class Source:
    """The data of a path, checked, and the model with its penalty at strength 1: what fits at other strengths need."""

    kept: Any

    def __init__(self, X, y, family, link, penalty, standardize, given):
        self.prepared, family, link, self.kept = api.inputs(X, y, family, link, penalty, **given)
        if any(isinstance(part, penalties.Constraints) for part in penalties.parts_of(penalty)):
            raise ValueError("a path has no linear constraints; use penalties.bounds, or jglm.fit for one strength")
        if family.free:
            names = ", ".join(name for name, _ in family.free)
            raise ValueError(f"family {family.name!r} estimates {names} besides; give its value, such as "
                             "negative_binomial(2.0)")  # fmt: skip
        p = self.prepared
        self.total, self.intercept = float(np.sum(p.weight)), int(p.intercept or p.names[:1] == ["Intercept"])
        self.standardize = standardize
        self._bind(penalty, family, link)

    def with_penalty(self, penalty):
        """The same data with another penalty."""
        other = object.__new__(Source)
        other.__dict__.update(vars(self))
        other._bind(penalty, self.problem.model.family, self.problem.model.link)
        return other

    def _bind(self, penalty, family, link):
        plain = self.problem_of(Model(family, link, None))
        spread = _spread(plain, self.prepared.weight / self.total)[self.intercept :] if self.standardize else None
        self.penalty = penalty if spread is None else scaled(penalty, spread)
        bound = penalties.bind(self.penalty, self.prepared.design.shape[1], self.intercept, self.total)
        self.problem = plain.with_model(Model(family, link, bound))

    @cached_property
    def null(self):
        """The null point: the fit of the unpenalized columns."""
        return pathwise.null_point(self.problem)

    def problem_of(self, model):
        """The data seen through a model."""
        return Problem(model, self.prepared, np.ones(self.prepared.design.shape[1], bool))

    def path(self, grid, points, models=None):
        """The `CoefficientPath` of points on a grid; `models` may know the gradients there."""
        looks, null = pathwise.Looks(self.problem), self.null
        at = points if models is None else models
        grad = looks(at.flat, np.full(len(grid), -1))[0] if models is None else models.grad
        kkt = pathwise.residuals(self.problem.model, grid, at.flat, grad, self.total)
        losses = looks.losses(np.concatenate([null[None], points.flat]))
        # The deviance is twice the loss but for what the data alone say.
        first = float(self.problem.totals(self.problem.lin(null)).deviance)
        params = np.stack([self.problem.shape(flat) for flat in points.flat])
        return CoefficientPath(
            self.problem.model, grid, params, self.prepared.names, first + 2 * (losses[1:] - losses[0]), first,
            [Status(int(v)) for v in points.status], points.n_iter, kkt, bool(self.intercept), self,
        )  # fmt: skip

    def fit_at(self, strength, params, status, n_iter):
        """The `Fit` of coefficients that are the optimum at a strength."""
        with jax.enable_x64(True):
            problem = self.problem_of(pathwise.at_strength(self.problem.model, np.asarray(float(strength))))
            flat = flatten_host(params)
            found = Found(flat, np.zeros_like(flat), status, np.full((n_iter, 2), np.nan), "path")
            return api.fit_of(statistics(problem, found), self.prepared, problem.model.family, **self.kept)

    def refit(self, strength, start):
        """The `Fit` at another strength."""
        with jax.enable_x64(True):
            penalty = self.penalty.times(np.asarray(float(strength)))
            options = dict(solver="auto", tol=1e-8, max_iter=None, dtype="float64", start=start, progress=False)
            model = self.problem.model
            return api.finish(self.prepared, model.family, model.link, penalty, options, **self.kept)


def _spread(problem, share):
    """The standard deviation of every column in rows of those shares, 1 for one that is constant."""
    mean, square = problem.hosted.rtimes(share), problem.squares(share)
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    return np.where(spread > 1e-8 * np.sqrt(square), spread, 1.0)


def scaled(penalty, spread):
    """The elastic net on the coefficients of columns that are divided by their spread, as one on those of the columns
    themselves."""
    kinds = penalties.ElasticNet, penalties.Ridge
    if not isinstance(penalty, kinds):
        raise ValueError("standardize=True is for the elastic net; scale the columns before for another penalty")
    weights = np.ones(len(spread)) if penalty.weights is None else np.asarray(penalty.weights)
    if len(weights) != len(spread):
        raise ValueError(f"penalty_weights has {len(weights)} weights for {len(spread)} columns besides the intercept")
    ratio = float(penalty.l1_ratio) if isinstance(penalty, penalties.ElasticNet) else 0.0
    lasso = penalties.lasso(ratio, weights=weights * spread, scale=penalty.scale)
    ridge = penalties.ridge(1 - ratio, weights=weights * spread**2, scale=penalty.scale)
    return (lasso + ridge).times(penalty.strength)
