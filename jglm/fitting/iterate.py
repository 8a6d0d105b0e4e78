"""How the iterations run: on the host for small designs, in a traced loop, or in a host loop that can be watched."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from jglm.designs import Dense
from jglm.drivers import run_compiled, solve_on_host
from jglm.fitting import irls
from jglm.fitting.passes import HostPass
from jglm.fitting.problem import flatten_host
from jglm.fitting.progress import Progress
from jglm.model import GRADIENT, HESSIAN, Model, Unknowns
from jglm.penalties import Ridge
from jglm.solvers import FISTA, LBFGS, Gradient, ProximalNewton, Status
from jglm.solvers.lbfgs import diagonal_metric

# Above this many elements of X a pass takes long enough for the host loop, which can be watched and interrupted.
HOST_ELEMENTS = 5e6
ENOUGH = 1 << 15  # rows that a start is made of
PASSES = 50  # of FISTA, for one of proximal Newton


@dataclass
class Found:
    """The end of the iterations: flat coefficients, the last step at a small distance, and the free parameters on their
    free scale."""

    flat: np.ndarray
    late: np.ndarray
    status: Status
    history: np.ndarray
    solver: str
    nuisance: dict = field(default_factory=dict)
    phi: float | None = None  # the dispersion, where it was found with the coefficients


def by_irls(problem, start, tol, most):
    """Newton's method on the host; None where it has no valid start."""
    prepared = problem.prepared
    P = problem.penalty_hessian(np.zeros(problem.design.shape[1] * problem.width))

    def look(flat):
        return problem.derivatives(problem.lin(flat), 0.0 if P is None else 0.5 * flat @ P @ flat)

    phi_of = lambda view: problem.dispersion(view, problem.design.shape[1])
    if start is None:
        lin = problem.start()
        flat = irls.first_step(problem.X, prepared.weight, lin, prepared.offset, problem.derivatives(lin), P)
    else:
        flat = flatten_host(start)
    end = irls.iterate(problem.X, prepared.weight, flat, look, phi_of, P, tol, most)
    if end is None:
        return None
    return Found(end.flat, end.late, end.status, np.array(end.history), "irls")


def descend(flat, look, propose, tol, most, progress, name):
    """Newton-like steps on the host until they are below tol standard errors: `Found`, INVALID_START where the
    objective is not finite at the start.

    Args:
        look: flat -> what is seen there, with its `objective`, the penalty included.
        propose: (flat, seen) -> (step, Hessian times step, what it promises (< 0), dispersion), or None where there
            is no step.

    Ctrl-C ends it with the best point so far.
    """
    seen, status, history, before = look(flat), Status.MAX_ITER, [], np.inf
    if not np.isfinite(seen.objective):
        return Found(flat, np.zeros_like(flat), Status.INVALID_START, np.zeros((1, 2)), name)
    bar = None if progress is False else Progress(most, 0.0 if progress else 1.0)
    try:
        for i in range(most):
            proposed = propose(flat, seen)
            if proposed is None:
                status = Status.STALLED
                break
            step, bent, drop, phi = proposed
            decrement = float(np.sqrt(max(step @ bent, 0.0) / max(phi, np.finfo(float).tiny)))
            largest = float(np.max(np.abs(bent), initial=0.0))
            history.append((seen.objective, largest))
            if bar is not None:
                bar(i + 1, seen.objective, largest, decrement)
            # Where a small distance gets hardly smaller, only rounding is left.
            if decrement <= tol or (decrement < 1e-5 and decrement > 0.9 * before):
                status = Status.CONVERGED if decrement <= tol else Status.FLOOR
                break
            before = decrement
            after = _halved(look, flat, step, seen, drop)
            if after is None:
                status = Status.FLOOR if decrement < 1e-5 else Status.STALLED
                break
            flat, seen = after
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    finally:
        if bar is not None:
            bar.close()
    return Found(flat, np.zeros_like(flat), status, np.array(history).reshape(-1, 2), name)


def _halved(look, flat, step, seen, drop):
    """(coefficients, what is seen there) at the first of the halved steps that lowers the objective enough, or None."""
    for share in 0.5 ** np.arange(30):
        there = look(flat + share * step)
        if there.objective <= seen.objective + 1e-4 * share * drop + 1e-10 * abs(seen.objective):
            return flat + share * step, there
    return None


def by_solver(problem, solver, start, progress, look=None):
    """A solver of jglm.solvers, in the traced loop or, where it takes longer, in the host loop with a progress bar;
    `look` is the problem's `host_pass` where it is there already."""
    if start is not None and not isinstance(start, Unknowns):
        start = Unknowns(np.asarray(start, np.float64), {})
    asked = solver.asks in (GRADIENT, HESSIAN)
    if look is None and asked and start is not None:
        look = host_pass(problem)
    quick = np.prod(problem.design.shape) * problem.width <= HOST_ELEMENTS
    here = jax.default_backend() == "cpu"  # elsewhere a look at every pass may take longer than the pass
    if (not progress and look is None and (quick or not here)) or isinstance(solver, Gradient):
        solution = run_compiled(problem.model, problem.data, solver, start)
    else:
        bar = None if progress is False else Progress(solver.max_iter, 0.0 if progress else 1.0)
        data = None if look else problem.data
        try:
            solution = solve_on_host(problem.model, data, solver, start, bar, look)
        finally:
            if bar is not None:
                bar.close()
    solution = jax.tree.map(np.asarray, solution)
    seen = np.asarray(solution.history)[: int(solution.n_iter)]
    flat, status = flatten_host(solution.coef), Status(int(solution.status))
    return Found(flat, np.asarray(solution.late), status, seen, type(solver).__name__.lower(), solution.nuisance)


def host_pass(problem):
    """Passes over a design that lies in the host's memory, None where there is a device for them."""
    here = jax.default_backend() == "cpu" and not problem.model.family.free
    return HostPass(problem) if here else None


def has_intercept(problem):
    """Whether the first column is the constant."""
    return problem.prepared.intercept or problem.prepared.names[:1] == ["Intercept"]


# --------------------------------------------------------------------------- from the fit of a constant
def constant_start(problem):
    """Coefficients of the fit of a constant, where the first column is one."""
    start = np.zeros((problem.design.shape[1], problem.width))
    if has_intercept(problem):
        begun = _constant(problem)
        if begun is not None:
            start[0] = begun.flat
    return start if problem.model.width() else start[:, 0]


def _constant(problem):
    """The fit of a constant, from ENOUGH of the rows where there are many more: to about the error that is theirs."""
    alone = problem.as_design(Dense(np.ones((len(problem.prepared.y), 1))))
    rows = np.flatnonzero(problem.prepared.weight > 0)
    if len(rows) > 2 * ENOUGH:
        some = rows[np.linspace(0, len(rows) - 1, ENOUGH).astype(int)]
        begun = by_irls(alone.part(some, None), None, 1e-2, 30)
        if begun is not None and begun.status.converged:
            return begun
    return by_irls(alone, None, 1e-3, 30)


def by_proximal(problem, start, tol, most, progress):
    """Proximal Newton for a penalty with kinks or bounds, FISTA where there are very many columns, from the fit of a
    constant; where that is no valid start, from that of a ridge penalty."""
    begin = constant_start(problem) if start is None else start
    if problem.wide:  # no matrix of all coefficients
        found = by_solver(problem, FISTA(jnp.asarray(own_curvature(problem)), tol, PASSES * most), begin, progress)
    else:
        found = by_solver(problem, ProximalNewton(tol, most), begin, progress)
    if found.status != Status.INVALID_START or start is not None:
        return found
    smooth = Model(problem.model.family, problem.model.link, Ridge(1.0, _penalized(problem), "sum"))
    begun = by_irls(problem.with_model(smooth), None, 1e-2, 30)
    if begun is None:
        return found
    return by_solver(problem, ProximalNewton(tol, most), problem.shape(begun.flat), progress)


def _penalized(problem):
    """1 for every column but the intercept."""
    return np.arange(problem.design.shape[1]) >= int(has_intercept(problem))


def mean_curvature(problem):
    """The expected information of a row about its lin, on average at the start; the trace over k for several."""
    expected, w = problem.derivatives(problem.start()).expected, problem.prepared.weight
    own = expected if expected.ndim == 1 else np.trace(expected, axis1=1, axis2=2) / expected.shape[1]
    return float(np.sum(w * own) / np.sum(w))


def own_curvature(problem):
    """(P,): about the diagonal of the Hessian at the start."""
    diagonal = np.tile(mean_curvature(problem) * problem.squares(problem.prepared.weight), problem.width)
    return diagonal if problem.model.penalty is None else diagonal + problem.penalty_diagonal()


def by_diagonal(problem, tol, most, progress):
    """L-BFGS about a diagonal, for designs so wide that no p x p matrix is made; from the fit of a constant."""
    metric = diagonal_metric(jnp.asarray(own_curvature(problem)))
    found = by_solver(problem, LBFGS(metric, tol, most, 20), constant_start(problem), progress)
    found.solver = "lbfgs"
    return found
