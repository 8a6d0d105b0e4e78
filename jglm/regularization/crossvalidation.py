"""cross_validate: the strength of a penalty by the deviance of rows that a fit has not seen."""

from dataclasses import dataclass

import jax
import numpy as np

from jglm import cache, penalties
from jglm.fitting.progress import Counted
from jglm.inputs import checks
from jglm.regularization import pathwise
from jglm.regularization.paths import (
    CoefficientPath,
    Source,
    grid_of,
    grid_of_stream,
    path_of_stream,
    penalty_of,
)
from jglm.regularization.streampaths import StreamSource
from jglm.reporting.tables import ROWS, shown


@dataclass(frozen=True)
class CrossValidation:
    """Held-out deviances and the paths through all rows.

    `l1_ratios` (R,), `strengths` (R, S), `fold_deviance` (R, S, F): the deviance of each fold's rows under the fit of
    the others, per unit of weight; `fold_kkt` (R, S, F): the KKT residuals of those fits. `deviance` (R, S) is the mean
    over folds by their weights, `deviance_se` its standard error over folds. `fold` (n,) of each row, None of a stream.
    """

    l1_ratios: np.ndarray
    strengths: np.ndarray
    fold_deviance: np.ndarray
    fold_kkt: np.ndarray
    fold_weight: np.ndarray
    fold: np.ndarray | None
    paths: list

    def __repr__(self):
        return (
            f"<CrossValidation of {self.paths[0].model.family.name}: {self.fold_deviance.shape[2]} folds, "
            f"{self.strengths.shape[1]} strengths, best {self.best_strength:.4g}"
            + (f" at l1_ratio {self.best_l1_ratio:g}>" if len(self.l1_ratios) > 1 else ">")
        )

    def _repr_html_(self):
        table = self.table()
        chosen = [np.argmax(table["strength"] == v) for v in (self.best_strength, self.one_se_strength)]
        some = np.unique([*chosen, *np.linspace(0, len(table) - 1, ROWS - 2).astype(int)])
        return shown(repr(self), table.iloc[some], len(table))

    @property
    def deviance(self):
        return np.average(self.fold_deviance, axis=2, weights=self.fold_weight)

    @property
    def deviance_se(self):
        gap = (self.fold_deviance - self.deviance[..., None]) ** 2
        return np.sqrt(np.average(gap, axis=2, weights=self.fold_weight) / (self.fold_deviance.shape[2] - 1))

    @property
    def _best(self):
        return np.unravel_index(np.nanargmin(self.deviance), self.deviance.shape)

    @property
    def best_l1_ratio(self):
        """The l1_ratio of the least held-out deviance."""
        return float(self.l1_ratios[self._best[0]])

    @property
    def best_strength(self):
        """The strength of the least held-out deviance."""
        return float(self.strengths[self._best])

    @property
    def one_se_strength(self):
        """The largest strength whose deviance is within one standard error of the least (Breiman et al. 1984)."""
        r, s = self._best
        within = self.deviance[r] <= self.deviance[r, s] + self.deviance_se[r, s]
        return float(np.max(self.strengths[r][within]))

    @property
    def path(self) -> CoefficientPath:
        """The path through all rows at the best l1_ratio."""
        return self.paths[self._best[0]]

    def fit(self, rule="best"):
        """The `Fit` of all rows at the best strength, or by `rule="one_se"`."""
        checks.choice("rule", rule, ("best", "one_se"))
        return self.path.fit_at(self.best_strength if rule == "best" else self.one_se_strength)

    def table(self):
        """A data frame: l1_ratio, strength, held-out deviance, its standard error, df."""
        import pandas as pd

        df = np.stack([path.df for path in self.paths])
        return pd.DataFrame({
            "l1_ratio": np.repeat(self.l1_ratios, self.strengths.shape[1]), "strength": self.strengths.ravel(),
            "deviance": self.deviance.ravel(), "se": self.deviance_se.ravel(), "df": df.ravel(),
        })  # fmt: skip

    def plot(self, ax=None):
        """Held-out deviance over the strength with one standard error, one line per l1_ratio. Returns the Axes."""
        from jglm.charts.paths import draw_cross_validation

        return draw_cross_validation(self, ax)


def cross_validate(X, y, *, family, folds=5, strengths=100, l1_ratio=1.0, penalty=None, min_ratio=None,
                   standardize=False, link=None, weights=None, weight_kind="prior", offset=None, exposure=None,
                   trials=None, intercept=True, tol=1e-6, names=None, penalty_weights=None, functions=None, groups=None,
                   missing="drop", unseen="error", seed=0, progress=None):  # fmt: skip
    """Choose the strength of a penalty by cross-validation.

    Every strength is fitted without each fold in turn, and judged by the deviance of that fold's rows.

    Args:
        X, y: as in `jglm.fit`; or a formula and a data frame or stream, as in `jglm.glm`.
        folds: how many, drawn at random by `seed`; or (n,) labels of the rows' folds. Of a stream how many, or the name
            of a column whose values are the folds.
        groups: (n,) labels: rows of one label stay in one fold.
        l1_ratio: a number or several.

    All else as in `jglm.path`; the fits without a fold end at `tol` too. Returns a `CrossValidation`. Raises ValueError
    for input that cannot be.
    """
    given = dict(weights=weights, weight_kind=weight_kind, offset=offset, exposure=exposure, trials=trials,
                 intercept=intercept, names=names, functions=functions, missing=missing, unseen=unseen)  # fmt: skip
    ratios = np.atleast_1d(np.asarray(l1_ratio, float))
    tol = checks.positive("tol", tol)
    if len(ratios) > 1 and penalty is not None:
        raise ValueError("penalty= has an l1_ratio of its own; give several of them without it")
    with jax.enable_x64(True):
        cache.enable()
        first = penalty_of(penalty, ratios[0], penalty_weights)
        if checks.is_stream(y if isinstance(X, str) else X):
            refuse_of_stream(folds, groups)
            source, fold = StreamSource(X, y, family, link, first, standardize, given, folds, seed), None
            count, weight = source.data.groups.count, source.held_weight
            one = lambda source, value, bar: _one_ratio_of_stream(
                source, grid_of_stream(source, strengths, min_ratio), tol, bar
            )
        else:
            source = Source(X, y, family, link, first, standardize, given)
            fold = folds_of(folds, groups, seed, len(source.prepared.y))
            count = len(np.unique(fold))
            weight = np.bincount(fold, source.prepared.weight, count)
            one = lambda source, value, bar: _one_ratio(
                source, grid_of(source, strengths, min_ratio, value), fold, count, tol, bar
            )
        bar = None if progress is False else Counted(len(ratios) * (count + 1), 0.0 if progress else 1.0, "path")
        found = []
        try:
            for value in ratios:
                if len(ratios) > 1:
                    source = source.with_penalty(penalties.elastic_net(1.0, value, weights=penalty_weights))
                found.append(one(source, value if penalty is None else None, bar))
        finally:
            if bar is not None:
                bar.close()
        paths, held, kkt = zip(*found, strict=True)
        grids = np.stack([p.strengths for p in paths])
        return CrossValidation(ratios, grids, np.stack(held), np.stack(kkt), weight, fold, list(paths))


def folds_of(folds, groups, seed, n):
    """(n,) numbers of folds, 0 to F - 1."""
    if np.ndim(folds):
        labels = checks.to_numpy("folds", folds)
        if labels.shape != (n,):
            raise ValueError(f"folds has shape {labels.shape}; it must be a number, or a label for each of {n} rows")
        fold = np.unique(labels, return_inverse=True)[1]
        if fold.max() < 1:
            raise ValueError("folds has one label only; there is nothing to hold out")
        return fold
    count = checks.whole("folds", folds) or 0
    units, member = n, np.arange(n)
    if groups is not None:
        labels = checks.to_numpy("groups", groups)
        if labels.shape != (n,):
            raise ValueError(f"groups has shape {labels.shape}; it must have a label for each of {n} rows")
        member = np.unique(labels, return_inverse=True)[1]
        units = int(member.max()) + 1
    if not 2 <= count <= units:
        raise ValueError(f"folds is {folds}; it must be at least 2 and at most {units}, the "
                         f"{'rows' if groups is None else 'groups'}")  # fmt: skip
    return (np.random.default_rng(seed).permutation(units) % count)[member]


def refuse_of_stream(folds, groups):
    """ValueError or TypeError for folds that a stream cannot have."""
    if groups is not None:
        raise ValueError("groups= is for data in memory; of a stream name a column whose values are the folds")
    if isinstance(folds, str):
        return
    if np.ndim(folds):
        raise TypeError("folds of a stream are a number or the name of a column, not labels of rows")
    if (checks.whole("folds", folds) or 0) < 2:
        raise ValueError(f"folds is {folds}; it must be at least 2")


def _one_ratio_of_stream(source, grid, tol, bar):
    """As `_one_ratio`, each pass over the files being one for all strengths and folds."""
    points, models = source.follow(grid, tol, None)
    path = path_of_stream(source, grid, points, models)
    if bar is not None:
        bar.advance(1)
    flat, kkt = source.leave_out(grid, points, models, tol)
    held = source.held_out(flat)
    if bar is not None:
        bar.advance(len(held))
    return path, held.T, kkt.T


def _one_ratio(source, grid, fold, count, tol, bar):
    """(the path through all rows, held-out deviances per unit of weight (S, F), KKT residuals of the folds' fits)."""
    problem = source.problem
    points, models = pathwise.follow(problem, grid, tol, None)
    path = source.path(grid, points, models)
    if bar is not None:
        bar.advance(1)
    null, held, kkt = source.null, [], []
    # The deviance is twice the loss but for what the data alone say, which the null model tells.
    unit = np.asarray(problem.at(problem.lin(null))[0].deviance)
    for which in range(count):
        flat, residual = pathwise.leave_out(problem, grid, points, models, fold, which, tol)
        kkt.append(residual)
        part = problem.part(np.flatnonzero(fold == which), problem.model.penalty)
        losses = pathwise.Looks(part).losses(np.concatenate([null[None], flat]))
        w = part.prepared.weight
        first = np.sum(np.where(w > 0, w * unit[fold == which], 0.0))
        held.append((first + 2 * (losses[1:] - losses[0])) / np.sum(w))
        if bar is not None:
            bar.advance(1)
    return path, np.stack(held, axis=1), np.stack(kkt, axis=1)
