"""From checked data to an optimum and its statistics: the one place where solver, refinement and inference meet."""

import concurrent.futures
import contextlib
import warnings
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from jglm import diagnostics, inference, penalties
from jglm.design import Dense
from jglm.drivers import run_compiled, solve_on_host
from jglm.model import Data, Model, Unknowns, describe
from jglm.progress import Progress
from jglm.solvers import Gradient, Newton, Status

# Above this many elements of X a pass takes long enough for the host loop, which can be watched and interrupted.
HOST_ELEMENTS = 5e6
# Above this many the pass that compiles `describe` would itself take as long as it saves.
FIRST_LOOK_ELEMENTS = 1e6
_SEEN: set = set()

describe_compiled = jax.jit(describe)
_gram_compiled = jax.jit(lambda design, w: design.gram(w))


@dataclass
class Estimate:
    """What estimation found, in NumPy: `coef` with NaN for aliased columns, `kept` columns, `unscaled` covariance of
    the kept ones (None until wanted), and the sums that statistics are made of."""

    model: Model
    coef: np.ndarray
    kept: np.ndarray
    unscaled: np.ndarray | None
    deviance: float
    chi2: float
    llf: float
    status: Status
    n_iter: int
    history: np.ndarray
    solver: str
    separated: list


class Problem:
    """A prepared data set with the columns that are kept, and its rows seen through the model."""

    def __init__(self, model, prepared, kept):
        self.model, self.prepared, self.kept = model, prepared, kept
        self.X = prepared.X if kept.all() else np.ascontiguousarray(prepared.X[:, kept])
        self.width = model.width() or 1
        count = np.sum(prepared.power[prepared.weight > 0])
        if model.family.prior_weights == "dispersion":
            count = prepared.nobs
        self.count = float(count)

    def shape(self, flat):
        """Flat coefficients, class by class, as (p,) or (p, k)."""
        p = self.X.shape[1]
        return flat if self.model.width() is None else flat.reshape(self.width, p).T

    def look(self, flat):
        """(Rows, Totals) at flat coefficients."""
        p = self.prepared
        lin = self.X @ self.shape(flat) + p.offset
        return describe_compiled(self.model, p.y, lin, p.weight, p.size, p.power, self.count)

    @contextlib.contextmanager
    def compiled_beside(self):
        """Compile `describe` in a second thread while the solver is compiled in this one, where neither is yet: that
        halves the wait for the first fit of a shape."""
        key = (jax.tree.structure(self.model), self.X.shape, self.prepared.offset.shape, self.prepared.y.shape)
        if key in _SEEN or self.X.size > FIRST_LOOK_ELEMENTS:
            yield
            return
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(self._first_look)
            yield
        _SEEN.add(key)

    def _first_look(self):
        with jax.enable_x64(True):  # the setting is per thread
            self.look(np.zeros(self.X.shape[1] * self.width))

    @property
    def small(self):
        n, p = self.X.shape
        return n * self.width * (p * self.width) ** 2 <= inference.QR_WORK


def estimate(prepared, family, link, penalty, *, solver, tol, max_iter, dtype, start, progress):
    """Fit prepared data; must run inside `jax.enable_x64(True)`. Raises ValueError where no start is valid."""
    kept = np.ones(prepared.X.shape[1], bool)
    if penalty is None:
        kept = inference.find_independent(prepared.X, prepared.weight)
    else:
        total = float(np.sum(prepared.weight))
        penalty = penalties.bind(penalty, prepared.X.shape[1], _unpenalized(prepared), total)
    if not kept.any():
        raise ValueError("every column of X is zero in the rows of positive weight; there is nothing to estimate")
    problem = Problem(Model(family, link, penalty), prepared, kept)
    solver, name = choose(solver, tol, max_iter)
    with problem.compiled_beside():
        solution = _solve(problem, solver, dtype, start, progress)
    if solution.status == Status.INVALID_START:
        raise ValueError(f"family {family.name!r} with link {link.name!r}: {Status.INVALID_START.message}")
    found = _finish(problem, solver, solution, float(tol))
    return replace(found, solver=name)


def _unpenalized(prepared):
    return int(prepared.intercept or prepared.names[:1] == ["Intercept"])


def choose(solver, tol, max_iter):
    """(solver record, its name): "auto" and "newton" are Newton, which with a canonical link is IRLS."""
    if isinstance(solver, str):
        if solver not in ("auto", "newton", "irls"):
            raise ValueError(f"solver is {solver!r}; it must be 'auto', 'newton' or a record such as "
                             "jglm.solvers.Gradient(alpha=0.001, steps=1000)")  # fmt: skip
        return Newton(tol, 100 if max_iter is None else max_iter), "newton"
    if not hasattr(solver, "step"):
        raise TypeError(f"solver must be a name or a record of jglm.solvers; it is {type(solver).__name__}")
    return solver, type(solver).__name__.lower()


def _solve(problem, solver, dtype, start, progress):
    prepared = problem.prepared
    data = Data(Dense(jnp.asarray(problem.X, dtype)), prepared.y, prepared.weight, prepared.offset)
    if start is not None:
        start = Unknowns(jnp.asarray(start[problem.kept], jnp.float64), {})
    if (progress is None and problem.X.size * problem.width <= HOST_ELEMENTS) or isinstance(solver, Gradient):
        solution = run_compiled(problem.model, data, solver, start)
    else:
        bar = None if progress is False else Progress(solver.max_iter, 0.0 if progress else 1.0)
        try:
            solution = solve_on_host(problem.model, data, solver, start, bar)
        finally:
            if bar is not None:
                bar.close()
    return jax.tree.map(np.asarray, solution)


def _finish(problem, solver, solution, tol):
    """Last steps by QR where that is cheap, then statistics at the optimum."""
    status = Status(int(solution.status))
    flat, step, unscaled = np.asarray(flatten_host(solution.coef)), np.asarray(solution.step), None
    if problem.small:
        refined = _refine(problem, flat, tol, 1 if isinstance(solver, Gradient) else 30)
        unscaled = inference.inverse_from_triangle(refined.R)
        if not isinstance(solver, Gradient) and status != Status.INTERRUPTED:
            flat = refined.flat
            step = refined.step if np.all(np.isfinite(refined.step)) else step
            if refined.converged:
                status = status if status.converged else Status.CONVERGED
            elif status.converged:
                status = Status.STALLED
    _, totals = problem.look(flat)
    separated = []
    if status.converged and problem.model.penalty is None and not isinstance(solver, Gradient):
        largest = np.max(np.abs(problem.X @ problem.shape(flat)), initial=0.0)
        columns = diagnostics.recession(problem.X, step, problem.X.shape[1], max(1e-3, 1e-6 * largest))
        names = np.array(problem.prepared.names, dtype=object)[problem.kept]
        separated = [] if columns is None else names[columns].tolist()
    seen = int(solution.n_iter)
    return Estimate(
        problem.model, _full(problem, flat), problem.kept, unscaled, float(totals.deviance), float(totals.chi2),
        float(totals.llf), status, seen, np.asarray(solution.history)[:seen], "", separated,
    )  # fmt: skip


def flatten_host(coef):
    return np.ravel(np.asarray(coef, np.float64).T)


def _full(problem, flat):
    """Coefficients for every column, NaN for those that are aliased."""
    coef = problem.shape(flat)
    whole = np.full((len(problem.kept), *coef.shape[1:]), np.nan)
    whole[problem.kept] = coef
    return whole


def _refine(problem, flat, tol, most):
    model, prepared = problem.model, problem.prepared
    terms = None if model.penalty is None else _penalty_terms(problem, flat)

    def look(at):
        rows, totals = problem.look(at)
        extra = 0.0 if terms is None else 0.5 * at @ terms @ at
        return float(totals.deviance) / 2 + extra, np.asarray(rows.score), np.asarray(rows.expected)

    def phi_of(score, expected):
        if model.family.dispersion == "fixed" or score.ndim > 1:
            return 1.0
        on = prepared.weight > 0
        chi2 = np.sum(prepared.weight[on] * score[on] ** 2 / expected[on])
        return chi2 / max(prepared.nobs - len(flat), 1)

    penalty = None if terms is None else (lambda at: terms @ at, terms)
    return inference.refine(problem.X, prepared.weight, flat, look, phi_of, penalty, tol, most)


def _penalty_terms(problem, flat):
    """The Hessian of the (quadratic) penalty in the flat coefficients."""
    return np.asarray(problem.model.curvature(Unknowns(jnp.asarray(problem.shape(flat)), {})))


# --------------------------------------------------------------------------- wanted later
def unscaled_covariance(model, prepared, kept, coef):
    """(X'WX + P)^-1 of the kept columns at the optimum, by QR where X'WX would lose digits."""
    problem = Problem(model, prepared, kept)
    flat = flatten_host(coef[kept])
    rows, _ = problem.look(flat)
    score, expected = np.asarray(rows.score), np.asarray(rows.expected)
    H = _information(problem, expected)
    if model.penalty is not None:
        H = H + _penalty_terms(problem, flat)
    R = inference.triangle_of(H)
    if not inference.well_conditioned(R):
        A, _ = inference.weighted_design(problem.X, prepared.weight, score, expected)
        extra = [] if model.penalty is None else [inference.root_of(_penalty_terms(problem, flat))]
        R = inference.triangle(np.vstack([A, *extra]))
    return inference.inverse_from_triangle(R)


def _information(problem, expected):
    w = problem.prepared.weight
    if expected.ndim == 1:
        return np.asarray(_gram_compiled(Dense(jnp.asarray(problem.X)), w * expected))
    k, p = expected.shape[1], problem.X.shape[1]
    H = np.empty((k * p, k * p))
    design = Dense(jnp.asarray(problem.X))
    for i in range(k):
        for j in range(i, k):
            block = np.asarray(_gram_compiled(design, w * expected[:, i, j]))
            H[i * p : (i + 1) * p, j * p : (j + 1) * p] = block
            H[j * p : (j + 1) * p, i * p : (i + 1) * p] = block.T
    return H


def null_deviance(model, prepared, kept, coef):
    """Deviance of the offset with an intercept, fitted or a column equal to 1; without one, of the offset alone.

    Fisher scoring for the one constant (k of them), from the average of the fitted linear predictors, which is valid
    since the domain is convex.
    """
    problem = Problem(model, prepared, kept)
    w, offset = prepared.weight, prepared.offset

    def look(constant):
        lin = offset + (constant if offset.ndim == 2 else constant[0])
        p = prepared
        rows, totals = describe_compiled(model, p.y, lin, w, p.size, p.power, problem.count)
        score, expected = np.asarray(rows.score), np.asarray(rows.expected)
        width = len(constant)
        masked = np.where(w > 0, w, 0.0)
        g = np.nansum(masked[:, None] * score.reshape(len(w), width), axis=0)
        H = np.nansum(masked[:, None, None] * expected.reshape(len(w), width, width), axis=0)
        return float(totals.deviance), g, H

    here = np.zeros(model.width() or 1)
    if not constant_column(prepared):
        return look(here)[0]
    fitted = (problem.X @ problem.shape(flatten_host(coef[kept]))).reshape(len(w), -1)
    here = np.average(fitted, axis=0, weights=w)
    deviance, g, H = look(here)
    for _ in range(100):
        step = -np.linalg.lstsq(H, g)[0]
        if not np.all(np.isfinite(step)) or -g @ step <= 1e-20 * (abs(deviance) + 1e-300):
            break
        for length in 0.5 ** np.arange(30):
            after = look(here + length * step)
            if np.isfinite(after[0]) and after[0] <= deviance * (1 + 1e-12):
                break
        else:
            break
        here, (deviance, g, H) = here + length * step, after
    return deviance


def constant_column(prepared):
    """Whether an intercept was fitted or a column is equal to 1 (in the rows that count)."""
    on = prepared.weight > 0
    return prepared.intercept or any(np.all(prepared.X[on, j] == 1.0) for j in range(prepared.X.shape[1]))


def warn_about(found, prepared):
    """Say what a user must know: separation, and fits that did not converge."""
    if found.separated:
        shown = ", ".join(found.separated[:8]) + (", …" if len(found.separated) > 8 else "")
        warnings.warn(
            f"separation: the likelihood has no maximum, it rises for ever along column {shown}; fitted means run to "
            "the edge of their range and coefficients to infinity. The numbers given are where the rise ended in "
            "rounding; their standard errors mean nothing. Drop or merge those columns, or use penalty=jglm.penalties.ridge(…)",
            UserWarning, stacklevel=4,
        )  # fmt: skip
    if not found.status.converged:
        warnings.warn(f"the fit did not converge ({found.status.message}) after {found.n_iter} passes",
                      UserWarning, stacklevel=4)  # fmt: skip
