"""Fits of streams: the first pass, a start from a sample, gradient passes over all rows, and one for the statistics.

Newton's method on the sample gives a start; its Hessian, or where the sample knows too little of some columns that of
all rows at the start, is the metric of L-BFGS. So few passes are needed, and their gradients alone decide where the fit
ends.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm import penalties
from jglm.drivers import solve_on_host
from jglm.fitting import estimate, joint, linalg, sketch
from jglm.fitting.iterate import Found, by_irls, constant_start, mean_curvature
from jglm.fitting.problem import Problem, flatten_host
from jglm.model import HESSIAN, Model, Query, Unknowns
from jglm.solvers import LBFGS, Newton, ProximalNewton, Status
from jglm.solvers.lbfgs import Metric, diagonal_metric
from jglm.streams import ending, minibatches
from jglm.streams.checkpoint import Nothing, of_scan, packed, scan_from, unpacked
from jglm.streams.scan import reader_of, scan
from jglm.streams.streamed import Streamed, over_blocks

RARE = 100  # rows of a level in the sample, below which its Hessian is not trusted


@dataclass
class Task:
    """A stream to be fitted: the data, the model with its penalty bound, the columns kept and the options."""

    data: Streamed
    model: Model
    kept: np.ndarray
    options: dict
    sums: Any = None

    def seen(self, model=None):
        """The sample as a Problem."""
        return Problem(model or self.model, self.data.sample, self.kept, self.options["dtype"])

    def look(self, model=None):
        """query, asks -> Info of all rows."""
        return self.data.looker(model or self.model, self.kept, lambda: self.sums is None, self._take)

    def _take(self, sums):
        self.sums = sums


def first_pass(stream, layout, checkpoint=None, bar=None):
    """`Streamed` data: the levels, the sample and the counts are those of all rows."""
    checkpoint = checkpoint or Nothing()
    known = checkpoint.read("first") if checkpoint else None
    if known is not None:
        reader = reader_of(stream, layout)
        seen = scan_from(*known, reader=reader)
        if reader.store is not None:
            reader.store.agree(reader.levels)
    else:
        reader, seen = scan(stream, layout, bar)
        if checkpoint:
            checkpoint.write("first", *of_scan(reader, seen))
    ordered = {name: np.array(levels.in_order(seen.counts[name]), int) for name, levels in reader.levels.items()}
    look = lambda function, combine: over_blocks(stream, reader, function, combine)
    layout.settle(reader.levels, ordered, seen.distinct, seen.sample, look)
    data = Streamed(stream, layout, reader, seen.rows, seen.dropped, seen.sample)
    data.checkpoint, data.bar = checkpoint, bar
    try:
        layout.prepared(seen.sample, check=True)
    except ValueError:
        ending.total_sums(data, Model(layout.family, layout.link, None))  # which says where
        raise
    return data


def fit(data, penalty, options):
    """(`Estimate`, what is known of the fit besides) of `Streamed` data; inside `jax.enable_x64(True)`."""
    task = prepare(data, penalty, options)
    found = solve(task)
    if found.status == Status.INVALID_START:
        family, link = task.model.family, task.model.link
        raise ValueError(f"family {family.name!r} with link {link.name!r}: {found.status.message}")
    data.label = "statistics"
    made = ending.statistics(task, found)
    data.checkpoint, data.label, data.bar = Nothing(), "", None  # what is asked for later is not part of the fit
    return made


def prepare(data, penalty, options):
    """The `Task`: the penalty is bound to the columns, and columns that others make up are left out."""
    layout, p = data.layout, len(data.names)
    family, link = layout.family, layout.link
    if link.width(family) is not None and layout.family.dim == -1:
        raise ValueError(f"family {family.name!r} needs its number of classes")
    if penalty is None:
        data.label = "rank"
        kept = np.asarray(data.checkpoint.step("rank", lambda: independent(data)), bool)
        if not kept.any():
            raise ValueError("every column of X is zero in the rows of positive weight; there is nothing to estimate")
        return Task(data, Model(family, link, None), kept, options)
    kept, weight = np.ones(p, bool), None
    task = Task(data, Model(family, link, None), kept, options)
    if any(getattr(part, "scale", None) == "mean" for part in penalties.parts_of(penalty)):
        task.sums = ending.total_sums(data, task.model)
        weight = task.sums["weight"]
    unpenalized = int(data.intercept or data.names[:1] == ["Intercept"])
    task.model = Model(family, link, penalties.bind(penalty, p, unpenalized, weight))
    return task


# --------------------------------------------------------------------------- which columns
def independent(data):
    """Which columns are kept, left to right: by the sample where that is clear, else by one pass over all rows."""
    p, sample = len(data.names), data.sample
    if p > linalg.WIDE:
        return data.total(lambda prepared: prepared.design.squares((prepared.weight > 0).astype(float))) > 0
    on = (sample.weight > 0).astype(float)
    G = sample.design.crossprod(on)
    if linalg.well_conditioned(linalg.triangle_of(_unit(G))):
        return np.ones(p, bool)
    if sample.design.is_matrix:
        R = data.fold(lambda prepared: _triangle(prepared.design.dense()[prepared.weight > 0]), _stack)
        for other in data.stream.together.gather(R)[1:]:
            R = _stack(R, other)
        return linalg.independent_columns(R)
    G = data.total(lambda prepared: prepared.design.crossprod((prepared.weight > 0).astype(float)))
    unit = _unit(G)
    if linalg.well_conditioned(linalg.triangle_of(unit)):
        return np.ones(p, bool)
    return linalg.independent_columns(linalg.root_of(unit), 1e-6)


def _unit(G):
    size = np.sqrt(np.diagonal(G))
    return G / np.outer(*(np.where(size > 0, size, 1.0),) * 2)


def _triangle(X):
    return linalg.triangle(X)


def _stack(R, S):
    return linalg.triangle(np.vstack([R, S]))


# --------------------------------------------------------------------------- the iterations
def solve(task):
    """Where the iterations end: `Found`."""
    model, options = task.model, task.options
    estimate._check_solver(options["solver"])
    if minibatches.is_asked(options["solver"]):
        return minibatches.by_minibatch(task)
    if model.family.free:
        return _jointly(task)
    if model.penalty is not None and not penalties.is_smooth(model.penalty):
        if any(isinstance(part, penalties.Constraints) for part in penalties.parts_of(model.penalty)):
            raise ValueError("a stream takes no linear constraints; use penalties.bounds, or a sample in memory")
        start = constant_start(task.seen())
        return run(task, ProximalNewton(options["tol"], options["max_iter"] or 100), start)
    if not isinstance(options["solver"], str):
        return run(task, options["solver"], start_of(task)[0])
    start, metric = begin(task)
    if options["start"] is not None:
        start = options["start"][task.kept]
    if options["solver"] in ("newton", "irls") or metric is None:
        return run(task, Newton(options["tol"], options["max_iter"] or 100), start)
    found = run(task, LBFGS(metric, options["tol"], min(options["max_iter"] or 1000, _most(task))), start)
    found.solver = "sketched" if not task.seen().wide else "lbfgs"
    if found.status != Status.MAX_ITER or task.seen().wide or len(found.history) == options["max_iter"]:
        return found
    last = run(task, Newton(options["tol"], options["max_iter"] or 100), task.seen().shape(found.flat))
    last.history = np.concatenate([found.history, last.history])
    return last


def _most(task):
    return 1000 if task.seen().wide else sketch.PASSES


def run(task, solver, start, model=None):
    """A solver over the stream, watched: `Found`."""
    model = model or task.model
    start = start if isinstance(start, Unknowns) else Unknowns(jnp.asarray(start, jnp.float64), {})
    bar = task.data.bar
    name, checkpoint = type(solver).__name__.lower(), task.data.checkpoint
    look, before = task.look(model), _before(task, name)

    counted = itertools.count(0 if before is None else before[0])

    def named(query, asks):
        task.data.label = f"{name} {next(counted)}"
        return look(query, asks)

    keep = (lambda i, leaves, history: _keep(task, name, i, leaves, history)) if checkpoint else None
    solution = solve_on_host(model, None, solver, start, bar, named, keep, before)
    solution = jax.tree.map(np.asarray, solution)
    seen, status = np.asarray(solution.history)[: int(solution.n_iter)], Status(int(solution.status))
    if status == Status.INTERRUPTED and checkpoint:
        raise KeyboardInterrupt(f"interrupted; resume=True goes on from the checkpoint in {checkpoint.folder}")
    return Found(flatten_host(solution.coef), np.asarray(solution.late), status, seen, name, solution.nuisance)


def _before(task, name):
    """What a solver was at when the fit was interrupted: (passes, leaves of its state, history), or None."""
    known = task.data.checkpoint.read(name) if task.data.checkpoint else None
    if known is None:
        return None
    told: Any = unpacked(*known)
    task.sums = told["sums"]
    return int(told["i"]), told["leaves"], told["history"]


def _keep(task, name, i, leaves, history):
    """Remember where a solver is, after every so many passes."""
    if i % task.data.checkpoint.passes == 0:
        state = dict(i=i, leaves=[np.asarray(v) for v in leaves], history=history, sums=task.sums)
        task.data.checkpoint.write(name, *packed(state))


def begin(task):
    """As `start_of`, remembered."""

    def compute():
        start, metric = start_of(task)
        return dict(start=start, metric=None if metric is None else [metric.factor, metric.scale], sums=task.sums)

    task.data.label = "start"
    told: Any = task.data.checkpoint.step("start", compute)
    task.sums = task.sums or told["sums"]
    return np.asarray(told["start"]), None if told["metric"] is None else Metric(*told["metric"])


def start_of(task):
    """(coefficients to begin at, a `Metric` of all rows or None): from the fit of the sample."""
    problem, n = task.seen(), task.data.rows
    p, k, m = problem.design.shape[1], problem.width, len(task.data.sample.y)
    if problem.wide:
        return constant_start(problem), _diagonal(problem, m / n)
    flat, hess = _sample_fit(problem, m / n)
    if flat is None:
        return constant_start(problem), None
    start = problem.shape(flat)
    if m == n or hess is None or task.options["solver"] in ("newton", "irls"):
        return start, None
    if m < sketch.LEAST * p * max(1, k // 2) or _rarest(problem) < RARE:
        hess = task.look()(Query(Unknowns(jnp.asarray(start), {})), HESSIAN).hess
    else:
        hess = hess * (n / m)
    P = problem.penalty_hessian(flat)
    return start, sketch._metric_compiled(np.asarray(hess) if P is None else np.asarray(hess) + P)


def _rarest(problem):
    """The fewest rows of the sample in which a column is not 0."""
    if problem.design.is_matrix:
        return np.inf
    on = (problem.prepared.weight > 0).astype(float)
    squares = problem.squares(on)
    return np.min(squares[problem.design.coded], initial=np.inf)


def _sample_fit(problem, share):
    """(flat coefficients, Hessian) at about the optimum of the sample; (None, None) where it has none."""
    on = np.flatnonzero(problem.prepared.weight > 0)
    if not len(on):
        return None, None
    columns = problem.design.shape[1] * problem.width
    few = np.random.default_rng(sketch.SEED).permutation(len(on))[: max(sketch.FIRST * columns, 2000)]
    parts = [problem.part(np.sort(on[few]), None), problem.part(on, None)]
    curvature = mean_curvature(parts[0])
    sampled = [sketch._sample(problem, part, curvature, share) for part in parts]
    if len(few) == len(on) or problem.small:
        begun = by_irls(sampled[1], None, 1e-6, 50)
        if begun is None or not np.all(np.isfinite(begun.flat)):
            return None, None
        return begun.flat, sketch._hessian(sampled[1], begun.flat)
    begun = sketch._begin(*sampled)
    if begun is None:
        return None, None
    return begun[0], sketch._hessian(sampled[1], begun[0])


def _diagonal(problem, share):
    diagonal = np.tile(mean_curvature(problem) * problem.squares(problem.prepared.weight), problem.width) / share
    if problem.model.penalty is not None:
        diagonal = diagonal + problem.penalty_diagonal()
    return diagonal_metric(jnp.asarray(diagonal))


def _jointly(task):
    """Coefficients and free parameters together, by Newton from the fit of the sample."""
    model, options = task.model, task.options
    if model.penalty is not None and not penalties.is_smooth(model.penalty):
        names = ", ".join(name for name, _ in model.family.free)
        raise ValueError(f"family {model.family.name!r} estimates {names} besides; with a penalty that has kinks or "
                         "bounds give its value, such as negative_binomial(2.0)")  # fmt: skip
    sample, rough = task.seen(), dict(solver="auto", max_iter=None, dtype="float64", progress=False)
    begun = estimate._jointly(sample, None, 1e-4, rough)
    start = Unknowns(jnp.asarray(sample.shape(begun.flat)), {k: jnp.asarray(v) for k, v in begun.nuisance.items()})
    seen = joint.with_density(model, joint.density_method(sample, start))
    solver = options["solver"]
    record = Newton(options["tol"], options["max_iter"] or 200) if isinstance(solver, str) else solver
    return run(task, record, start, seen)
