"""Epochs of minibatches: shuffled rows, a batch at a time in a compiled loop.

A start and a metric come from a sample of the rows. Batches are stacked, so that one call runs many of them.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jglm.designs import Sparse
from jglm.fitting.iterate import Found, constant_start, mean_curvature
from jglm.fitting.problem import flatten_host
from jglm.fitting.progress import Progress
from jglm.fitting.sketch import FLOOR, LEAST, MOST, _sample
from jglm.model import GRADIENT, Data, Unknowns, evaluate
from jglm.penalties import is_smooth
from jglm.solvers import Status
from jglm.solvers.lbfgs import diagonal_metric, metric_of

CHUNK = 1 << 17  # rows that are shuffled into batches at a time


def by_minibatch(problem, solver, start, progress):
    """The end of the epochs as `Found`, its status ENDED; history holds the mean objective that each epoch met."""
    model, n = problem.model, len(problem.prepared.y)
    refuse(model)
    batch = solver.batch or batch_of(n)
    sample = Sample(problem, batch)
    begin = sample.start if start is None else flatten_host(start)
    if not np.all(np.isfinite(begin)):
        return Found(begin, np.zeros_like(begin), Status.INVALID_START, np.zeros((1, 2)), "minibatch")
    rng = np.random.default_rng(int(solver.seed))

    def epoch(_):
        order = rng.permutation(n)
        for first in range(0, n, CHUNK):
            yield problem.prepared, problem.design, order[first : first + CHUNK]

    bar = None if progress is False else Progress(solver.epochs, 0.0 if progress else 1.0)
    try:
        return run(problem, solver, begin, sample.metrics, epoch, n, batch, bar)
    finally:
        if bar is not None:
            bar.close()


def batch_of(n):
    """The rows of a batch, of n."""
    return int(np.clip(n // 80, 32, 8192))


def refuse(model):
    """ValueError for models that minibatches cannot fit."""
    if model.penalty is not None and not is_smooth(model.penalty):
        raise ValueError("minibatches take penalties without kinks or bounds, such as ridge; others need all rows")
    if model.family.free:
        names = ", ".join(name for name, _ in model.family.free)
        raise ValueError(f"family {model.family.name!r} estimates {names} besides; with minibatches give its value")


def run(problem, solver, begin, metrics, epoch, n, batch, bar=None, keep=None, before=None):
    """Epochs over what `epoch(i)` yields, (Prepared, design, rows in their order), n rows in all.

    After each `keep` gets {i, leaves, mean, flat, history}; from those, as `before`, an interrupted run goes on.
    """
    model, history, first, flat, mean = problem.model, [], 0, np.asarray(begin), begin
    state = solver.init(model, Unknowns(jnp.asarray(problem.shape(begin)), {}))
    if before is not None:
        first, flat, mean = int(before["i"]), before["flat"], before["mean"]
        state = jax.tree.unflatten(jax.tree.structure(state), [jnp.asarray(v) for v in before["leaves"]])
        history = [tuple(row) for row in before["history"]]
    damped, status = metrics(np.asarray(mean))[0], Status.ENDED
    try:
        for i in range(first, solver.epochs):
            state, total, met = solver.restart(state), 0.0, 0
            for prepared, design, rows in epoch(i):
                if i == 0 and 2 * met <= n < 2 * (met + len(rows)):  # what was before the middle is still the way there
                    state = solver.restart(state)
                batches = stacked(prepared, design, rows, batch)
                state, value = _run_compiled(model, solver, damped, float(n), state, batches)
                total, met = total + float(value), met + len(rows)
            mean, slope = solver.mean(state)
            damped, exact = metrics(np.asarray(mean))
            step = exact.solve(slope)
            history.append((total, float(n * np.max(np.abs(slope)))))
            if not solver.average:
                flat = np.asarray(state.point)
            elif i == 0 and solver.epochs > 1:
                flat = np.asarray(mean)
            else:
                flat = np.asarray(mean - step)
                state = solver.restart(state, jnp.asarray(flat))
            if bar is not None:
                left = float(jnp.sqrt(n * jnp.maximum(slope @ step, 0.0)))
                bar(i + 1, history[-1][0], history[-1][1], left)
            if keep is not None:
                keep(dict(i=i + 1, leaves=jax.tree.leaves(state), mean=mean, flat=flat, history=history))
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    return Found(flat, np.zeros_like(flat), status, np.array(history).reshape(-1, 2), "minibatch")


@jax.jit
def _run_compiled(model, solver, metric, n, state, batches):
    """(state, sum of the objectives met) after all batches."""

    def step(state, data):
        info = evaluate(model, data, state.query, GRADIENT)
        return solver.step(model, state, info, n, metric), info.value

    state, values = jax.lax.scan(step, state, batches)
    return state, jnp.sum(values)


# --------------------------------------------------------------------------- where to begin
class Sample:
    """Some rows of a problem, which tell where to begin and how the objective bends; `n` rows are fitted, by default
    those of the problem."""

    def __init__(self, problem, batch, n=None):
        on = np.flatnonzero(problem.prepared.weight > 0)
        p, k = problem.design.shape[1], problem.width
        size = int(np.clip(len(on) // 8, min(LEAST * p * max(1, k // 2), len(on)), MOST * p))
        chosen = np.sort(np.random.default_rng(0).choice(on, min(size, len(on)), replace=False))
        self.problem, self.rows, self.batch, self.n = problem, problem.part(chosen, None), batch, n or len(on)
        self.start = flatten_host(constant_start(problem))
        self.curvature = mean_curvature(self.rows)
        self.squares = np.tile(problem.squares(problem.prepared.weight), k) / len(on)
        # Of every column the information of one row, lest a batch that has a rare level moves it far.
        unit = np.diagonal(_sample(problem, self.rows, self.curvature, 0.0).penalty_hessian(np.zeros(p * k)))
        self.unit = unit * np.tile(_spread_about_mean(self.rows), k)

    def metrics(self, flat):
        """The `Metric` of the mean objective at flat coefficients, damped for steps by batches, and as it is."""
        rows, size, penalized = self.rows, len(self.rows.prepared.y), self.problem.model.penalty is not None
        if rows.wide:
            whole = self.curvature * self.squares + (self.problem.penalty_diagonal() / self.n if penalized else 0.0)
            return diagonal_metric(jnp.asarray(whole + self.unit / self.batch)), diagonal_metric(jnp.asarray(whole))
        H = rows.information(rows.lin(flat)) / size
        least = np.maximum(FLOOR * self.curvature * self.squares - np.diagonal(H), 0.0) + self.unit / self.n
        if penalized:
            H = H + self.problem.penalty_hessian(flat) / self.n
        made = lambda more: metric_of(jnp.asarray(H + np.diag(more)))
        return made(self.unit / self.batch), made(least)


def _spread_about_mean(rows):
    """Which part of the mean square of each numeric column is its variance; 1 for levels."""
    w, design = rows.prepared.weight, rows.design
    mean, square = rows.hosted.rtimes(w) / w.sum(), rows.squares(w) / w.sum()
    part = np.clip(1 - mean**2 / np.where(square > 0, square, 1.0), 1e-12, 1.0)
    return part if design.is_matrix else np.where(design.coded, 1.0, part)


# --------------------------------------------------------------------------- batches
def stacked(prepared, design, rows, batch):
    """`Data` of batches of rows in their order, every array stacked (batches, …); rows of weight 0 fill the last."""
    count = -(-len(rows) // batch)
    weight = np.zeros(count * batch)
    weight[: len(rows)] = prepared.weight[rows]
    order = np.concatenate([rows, np.full(count * batch - len(rows), rows[0])])
    part = lambda v: v[order].reshape(count, batch, *v.shape[1:])
    X = design.take(order)
    pieces = [X.take(np.arange(i * batch, (i + 1) * batch)) for i in range(count)]
    return Data(
        _stack(pieces), part(prepared.y), weight.reshape(count, batch), part(prepared.offset), part(prepared.size)
    )


def _stack(pieces):
    """Designs as one whose arrays are stacked."""
    leaf = lambda v: isinstance(v, Sparse)
    flat = [jax.tree.flatten(piece, is_leaf=leaf) for piece in pieces]
    columns = [Sparse.alike(v) if leaf(v[0]) else v for v in zip(*(leaves for leaves, _ in flat), strict=True)]
    pieces = [jax.tree.unflatten(flat[0][1], leaves) for leaves in zip(*columns, strict=True)]
    return jax.tree.map(lambda *v: np.stack([np.asarray(u) for u in v]), *pieces)
