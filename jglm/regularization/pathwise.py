"""Penalized fits at many strengths: a sequence with warm starts for small data, all strengths at once for large.

Many rows are first sampled: a path through the sample, and Hessians from a larger one. Then each pass over all rows
gives the gradients at every strength by matrix products, and every strength takes a proximal Newton step about its own
Hessian, a digit nearer or so; the gradient alone decides where it ends (`sketch` fits one strength so).
"""

import dataclasses
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm import penalties
from jglm.drivers import solve
from jglm.fitting.iterate import by_irls, by_solver, constant_start, mean_curvature
from jglm.fitting.looks import Looks, filled, lots
from jglm.fitting.problem import Problem
from jglm.fitting.workingset import Losses, by_working_set
from jglm.model import Model, Unknowns
from jglm.solvers import Newton, ProximalNewton, Status
from jglm.solvers.proximal import minimize, steadied

SMALL = 4e7  # multiplications of a Hessian, below which all strengths are one traced sequence
FIRST, LEAST, MOST = 40, 4000, 160  # rows of the sample per column, at least; rows of the Hessians' per column
ROUND = 10  # of the strengths of a sequence, so many or a multiple
LOT = 16  # strengths whose quadratic problems are one compiled call
TRUSTED = 10.0  # by which the curvature along a step may differ from the model's
EVERY = 5  # of the strengths, those that are found first
PASSES = 30  # over all rows
WIDE = 400  # coefficients, beyond which no matrix is kept for every strength
ABOVE = 1e-9  # by which the first strength is above the least that leaves nothing: rounding is to leave nothing too
FLOOR = 0.3  # of the curvature of a column at the mean: the least that a sample's Hessian is taken to have
SEED = 0


@dataclass
class Points:
    """Coefficients (S, P) at S strengths, distances to the optimum in standard errors, and how each ended."""

    flat: np.ndarray
    decrement: np.ndarray
    status: np.ndarray
    n_iter: np.ndarray


def at_strength(model, strength):
    """The model with the strength of its penalty times a number."""
    return Model(model.family, model.link, model.penalty.times(strength))


def follow(problem, strengths, tol, progress, start=None):
    """(`Points` at every strength, from the largest to the smallest; their `Models`, or None)."""
    sizes = _sample_sizes(problem)
    if _is_small(problem):
        return _sequence(problem, strengths, tol, start), None
    if sizes is None:
        return _one_by_one(problem, strengths, tol, progress, start), None
    return _together(problem, strengths, tol, sizes, progress)


def _is_small(problem):
    (n, p), k = problem.design.shape, problem.width
    return n * k * (p * k) ** 2 <= SMALL and p * k <= 200


# --------------------------------------------------------------------------- one after the other
def _scan(model, data, strengths, start, solver):
    def one(start, strength):
        found = solve(at_strength(model, strength), data, solver=solver, start=start)
        usable = found.status != Status.INVALID_START
        after = jax.tree.map(lambda new, old: jnp.where(usable, new, old), found.coef, start.coef)
        return Unknowns(after, {}), (found.coef, found.status, found.n_iter)

    return lax.scan(one, start, strengths)[1]


_scan_compiled = jax.jit(_scan)


def _sequence(problem, strengths, tol, start=None):
    """Every strength from where the one before it ended, in one compiled loop."""
    begin = Unknowns(jnp.asarray(constant_start(problem) if start is None else start, jnp.float64), {})
    more = np.append(strengths, np.full(-len(strengths) % ROUND, strengths[-1]))  # paths of about one length share it
    data = problem.filled if _is_small(problem) else problem.data
    found = _scan_compiled(problem.model, data, jnp.asarray(more), begin, ProximalNewton(tol, 100))
    coef, status, n_iter = (np.asarray(v)[: len(strengths)] for v in found)
    if np.any(status == Status.INVALID_START):
        return _one_by_one(problem, strengths, tol, None)
    flat = np.swapaxes(coef, -1, 1).reshape(len(strengths), -1)
    return Points(flat, np.where(np.isin(status, (Status.CONVERGED, Status.FLOOR)), 0.0, np.nan), status, n_iter)


def _one_by_one(problem, strengths, tol, progress, start=None):
    """The same in a loop on the host, for designs too wide to compile or too large to sample."""
    flat, end, losses = [], [], Losses(problem)
    for strength in strengths:
        seen = problem.with_model(at_strength(problem.model, strength))
        found = by_working_set(seen, start, tol, 100, False, losses)
        start = problem.shape(found.flat)
        flat.append(found.flat)
        end.append((0.0, found.status, len(found.history)))
        if progress is not None:
            progress(1)
    return Points(np.array(flat), *(np.array(v) for v in zip(*end, strict=True)))


# --------------------------------------------------------------------------- all at once
def _sample_sizes(problem):
    """(rows of the path's sample, rows of the Hessians'); None where there are too few rows for that, or too many
    columns to keep a matrix of each strength."""
    on, columns = int(np.sum(problem.prepared.weight > 0)), problem.design.shape[1] * problem.width
    if columns > WIDE:
        return None
    first = max(FIRST * columns, LEAST)
    second = int(np.clip(on // 8, first, MOST * columns))
    return (first, second) if second <= on // 4 else None


def _together(problem, strengths, tol, sizes, progress):
    """Some strengths first, from the path of a sample; the others from the model about the nearest of those."""
    on = np.flatnonzero(problem.prepared.weight > 0)
    chosen = np.random.default_rng(SEED).choice(on, sizes[1], replace=False)
    first, second = (problem.part(np.sort(chosen[:m]), problem.model.penalty) for m in sizes)
    share = [m / len(on) for m in sizes]
    strengths, count = np.asarray(strengths, float), len(strengths)
    some = np.unique(np.append(np.arange(0, count, EVERY), count - 1))
    begun = _sequence(first, strengths[some] * share[0], 0.3)
    hess = hessians(second, begun.flat) / share[1]
    if not problem.design.is_matrix:
        # A column of few nonzeros has (next to) no curvature where the sample has none of its rows.
        least = FLOOR * mean_curvature(problem) * np.tile(problem.squares(problem.prepared.weight), problem.width)
        every = np.arange(len(least))
        hess[:, every, every] = np.maximum(hess[:, every, every], least)
    found, models = polish(problem, strengths[some], begun.flat, hess, tol, progress)
    others = np.setdiff1d(np.arange(count), some)
    if not len(others):
        return found, models
    gap = np.abs(np.log(strengths[others, None] / strengths[None, some]))
    near = models.part(np.argmin(gap, axis=1))
    rest, more = polish(
        problem, strengths[others], near.minima(problem.model, strengths[others]), near.hess, tol, progress
    )
    return _merged((some, found), (others, rest)), _merged((some, models), (others, more))


def _merged(*parts):
    """A record of arrays for all strengths from those for some, each with its indices."""
    count, whole = sum(len(at) for at, _ in parts), {}
    for name, first in vars(parts[0][1]).items():
        whole[name] = np.empty((count, *first.shape[1:]), first.dtype)
        for at, own in parts:
            whole[name][at] = getattr(own, name)
    return type(parts[0][1])(**whole)


@dataclass
class Models:
    """Quadratic models of the loss of all rows: points (S, P), gradients there and Hessians (S, P, P)."""

    flat: np.ndarray
    grad: np.ndarray
    hess: np.ndarray

    def part(self, which):
        """Those models."""
        return Models(self.flat[which], self.grad[which], self.hess[which])

    def minima(self, model, strengths):
        """The minima (S, P) of the models plus the penalty at their strengths."""
        return _targets(model, strengths, self.flat, self.grad, self.hess, np.ones(len(strengths)))[0]

    def learn(self, at, flat, grad):
        """Take in gradients at other points: a BFGS update of each Hessian, and the point itself. Where the curvature
        on the way is of another order than the model's, the point is too far to tell of it."""
        move, turn = flat - self.flat[at], grad - self.grad[at]
        bent = np.einsum("sij,sj->si", self.hess[at], move)
        own, bend = np.sum(move * bent, axis=1), np.sum(move * turn, axis=1)
        good = (bend > own / TRUSTED) & (bend < own * TRUSTED)
        at, bent, turn, own, bend = at[good], bent[good], turn[good], own[good], bend[good]
        self.hess[at] += (
            turn[:, :, None] * (turn / bend[:, None])[:, None] - bent[:, :, None] * (bent / own[:, None])[:, None]
        )
        self.flat[at], self.grad[at] = flat[good], grad[good]


def hessians(problem, flat):
    """The expected information at each of the coefficients (S, P), (S, P, P)."""
    return np.stack([problem.information(problem.lin(one)) for one in flat])


def polish(problem, strengths, flat, hess, tol, progress=None, fold=None, left_out=None):
    """(`Points`, `Models`) at the strengths from starts (S, P) near them, by proximal quasi-Newton steps from given
    Hessians (S, P, P) of the loss. `left_out` (S,) names the fold (of `fold` (n,)) whose rows each leaves out, -1 for
    none.

    Where such steps do not come nearer fast, Newton's own Hessians take over, strength by strength.
    """
    streamed = hasattr(problem, "look")  # what answers by passes over files
    look = problem.look if streamed else Looks(problem, fold)
    strengths, count = np.asarray(strengths, float), len(strengths)
    left_out = np.full(count, -1) if left_out is None else left_out
    best = Points(flat.copy(), np.full(count, np.inf), np.full(count, Status.RUNNING), np.zeros(count, int))
    models = Models(flat.copy(), np.zeros_like(flat), np.array(hess))
    trial, step, share = flat.copy(), np.zeros_like(flat), np.ones(count)
    going, slow, slope = np.arange(count), np.zeros(count, int), np.zeros_like(flat)
    for i in range(PASSES):
        grad, phi = look(trial[going], left_out[going])
        if i:
            models.learn(going, trial[going], grad)
        else:
            models.grad = grad
        target, decrement = _targets(problem.model, strengths[going], trial[going], grad, models.hess[going], phi)
        best.n_iter[going] += 1
        better = np.isfinite(decrement) & (decrement <= 2 * best.decrement[going])
        at = going[better]
        slow[at] += decrement[better] > 0.5 * best.decrement[at]
        best.flat[at], best.decrement[at], slope[at] = trial[at], decrement[better], grad[better]
        step[at], share[at] = (target - trial[going])[better], 1.0
        worse = going[~better]
        share[worse] /= 4
        slow[worse] += 1
        best.status[at[decrement[better] <= tol]] = Status.CONVERGED
        before, going = len(going), going[(best.status[going] == Status.RUNNING) & (slow[going] < 3)]
        if progress is not None:
            progress(before - len(going))
        if not len(going):
            break
        trial[going] = best.flat[going] + share[going, None] * step[going]
    lost = np.flatnonzero(best.status == Status.RUNNING)
    for i in lost:
        if streamed:
            last = problem.finish(strengths[i], best.flat[i], tol, left_out[i])
            best.flat[i], best.status[i], best.decrement[i] = last.flat, last.status, 0.0
            best.n_iter[i] += len(last.history)
            continue
        seen = problem if fold is None else without_fold(problem, fold, left_out[i])
        seen = seen.with_model(at_strength(problem.model, strengths[i]))
        start = problem.shape(best.flat[i]) if np.isfinite(best.decrement[i]) else None
        last = by_working_set(seen, start, tol, 100, False)
        best.flat[i], best.status[i], best.decrement[i] = last.flat, last.status, 0.0
        best.n_iter[i] += len(last.history)
    if len(lost):
        slope[lost] = look(best.flat[lost], left_out[lost])[0]
        models.hess[lost] = (problem.hessians if streamed else partial(hessians, problem))(best.flat[lost])
    return best, Models(best.flat.copy(), slope, models.hess)


# --------------------------------------------------------------------------- without a part of the rows
def without_fold(problem, fold, which):
    """The problem with weight 0 for the rows of a fold; -1 leaves out none."""
    if which < 0:
        return problem
    p = problem.prepared
    prepared = dataclasses.replace(p, weight=np.where(fold == which, 0.0, p.weight))
    return Problem(problem.model, prepared, problem.kept, problem.dtype)


def leave_out(problem, strengths, points, models, fold, which, tol):
    """(flat coefficients (S, P), KKT residuals (S,)) at every strength without the rows of a fold, from the points and
    models of all rows."""
    rest = without_fold(problem, fold, which)
    kkt = lambda flat, grad: residuals(problem.model, strengths, flat, grad, np.sum(rest.prepared.weight))
    if models is None:
        flat = follow(rest, strengths, tol, None, problem.shape(points.flat[0]))[0].flat
        return flat, kkt(flat, Looks(rest)(flat, np.full(len(flat), -1))[0])
    part = problem.part(np.flatnonzero(fold == which), problem.model.penalty)
    every = np.full(len(strengths), which)
    share = 1 - np.sum(part.prepared.weight) / np.sum(problem.prepared.weight)
    own = Looks(part)(models.flat, np.full(len(strengths), -1))[0]
    seen = Models(models.flat, models.grad - own, models.hess * share)
    start = seen.minima(problem.model, strengths)
    found, seen = polish(problem, strengths, start, seen.hess, tol, None, fold, every)
    return found.flat, kkt(found.flat, seen.grad)


def residuals(model, strengths, flat, grad, total):
    """(S,) the largest KKT residual of each strength, per unit of the weight `total` (of all, or of each), from
    gradients of the loss (S, P)."""
    total = np.broadcast_to(np.asarray(total, float), len(flat))
    return np.asarray(_residuals(model, np.asarray(strengths), flat, grad, 1 / total)) / total


@jax.jit
def _residuals(model, strengths, flat, grad, step):
    width = model.width()

    def one(part):
        strength, flat, grad, step = part
        own = at_strength(model, strength)
        here = Unknowns(flat if width is None else flat.reshape(width, -1).T, {})
        slope = own.penalized(0.0, grad, here)[1]
        return jnp.max(jnp.abs(own.terms(here).residual(flat, slope, step)))

    return lax.map(one, (strengths, flat, grad, step))


def _targets(model, *given):
    """(minimum of the model of each strength, distances of the points in standard errors), from strengths, points,
    gradients, Hessians and dispersions."""
    found = []
    for at, size in lots(len(given[0]), (LOT,)):
        found.append([np.asarray(v)[: len(at)] for v in _targets_of_lot(model, *(filled(v, at, size) for v in given))])
    return [np.concatenate(v) for v in zip(*found, strict=True)]


@jax.jit
def _targets_of_lot(model, strengths, flat, grad, hess, phi):
    width = model.width()

    def one(part):
        strength, flat, grad, hess, phi = part
        own = at_strength(model, strength)
        coef = flat if width is None else flat.reshape(width, -1).T
        here = Unknowns(coef, {})
        terms = own.terms(here)
        slope = own.penalized(0.0, grad, here)[1]
        curved = steadied(hess + own.curvature(here))
        target = minimize(curved, curved @ flat - slope, terms, flat, 1e-8)
        move = target - flat
        return target, jnp.sqrt(jnp.maximum(move @ curved @ move, 0.0) / phi)

    parts = strengths, flat, grad, hess, phi
    return lax.map(one, parts) if jax.default_backend() == "cpu" else jax.vmap(lambda *p: one(p))(*parts)


# --------------------------------------------------------------------------- the grid
def strength_grid(problem, null, count, ratio):
    """`count` strengths from the least that leaves no penalized coefficient, down to `ratio` of it, evenly in log;
    `null` is the null point."""
    slope = Looks(problem)(null[None], np.array([-1]))[0][0]
    return falling(strength_max(problem, slope), count, ratio)


def falling(highest, count, ratio):
    """`count` strengths from the highest down to `ratio` of it."""
    if not highest > 0:
        raise ValueError("no column has any effect on the fit of the unpenalized ones; there is no path to follow")
    return highest * (1 + ABOVE) * np.geomspace(1.0, ratio, count)


def null_point(problem):
    """Flat coefficients of the fit of the unpenalized columns alone, zeros elsewhere."""
    p, width, alone = problem.design.shape[1], problem.width, unpenalized(problem)
    flat = np.zeros((width, p))
    if alone.any():
        null = problem.as_design(problem.design.columns(alone))
        found = by_irls(null, None, 1e-9, 50)
        if found is None or not found.status.converged:
            found = by_solver(null, Newton(1e-9, 100), None, False)
        flat[:, alone] = found.flat.reshape(width, -1)
    return flat.ravel()


def unpenalized(problem):
    """Which columns have no penalty."""
    p, width = problem.design.shape[1], problem.width
    shape = Unknowns(jnp.zeros(p if problem.model.width() is None else (p, width)), {})
    terms, penalty = problem.model.terms(shape), problem.model.penalty
    separable = penalties.is_separable(penalty)
    smooth = problem.penalty_diagonal() if separable else np.diagonal(problem.penalty_hessian(np.zeros(p * width)))
    held = (np.asarray(terms.l1) > 0) | (smooth > 0)
    if terms.members is not None:
        held = np.append(held, False)
        held[np.asarray(terms.members)[np.asarray(terms.strength) > 0]] = True
        held = held[:-1]
    return ~held.reshape(width, p).any(axis=0)


def strength_max(problem, slope):
    """The least strength at which -slope (P,) is a subgradient of the penalty at 0."""
    shape = Unknowns(jnp.asarray(problem.shape(slope)), {})
    terms = problem.model.terms(shape)
    push, l1 = np.abs(slope), np.asarray(terms.l1)
    alone = l1 > 0
    highest = 0.0
    if terms.members is not None:
        push, l1 = np.append(push, 0.0), np.append(l1, 0.0)
        for own, size in zip(np.asarray(terms.members), np.asarray(terms.strength), strict=True):
            alone[own[own < len(alone)]] = False
            highest = max(highest, _least_of_group(push[own], l1[own], size))
    with np.errstate(divide="ignore"):
        return max(highest, float(np.max(np.abs(slope[alone]) / l1[: len(alone)][alone], initial=0.0)))


def _least_of_group(push, l1, size):
    """The s at which |soft(push, s l1)| = s size, by bisection: the left falls in s, the right rises."""
    if size == 0 and not np.any(l1 > 0):
        return 0.0
    low, high = 0.0, 1.0
    above = lambda s: np.linalg.norm(np.maximum(push - s * l1, 0.0)) > s * size
    while above(high):
        low, high = high, 2 * high
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if above(middle) else (low, middle)
    return high
