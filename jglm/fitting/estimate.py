"""From checked data to an optimum and its statistics: the one place where solver and inference meet."""

import contextlib
import warnings
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from jglm import penalties, rows
from jglm.designs import products
from jglm.diagnostics import recession
from jglm.fitting import firth, irls, joint, linalg, minibatches, smoothing, squares
from jglm.fitting.coded import by_codes
from jglm.fitting.constrained import by_constrained
from jglm.fitting.iterate import by_diagonal, by_irls, by_proximal, by_solver
from jglm.fitting.jointrows import by_joint_rows
from jglm.fitting.problem import Problem, flatten_host
from jglm.fitting.sketch import by_sketch
from jglm.fitting.workingset import by_working_set
from jglm.inputs import checks
from jglm.model import Model, Unknowns
from jglm.solvers import FISTA, Minibatch, Newton, ProximalNewton, Status

FEW = 1000  # columns, of which BLAS needs one thread
NAMES = ("auto", "irls", "newton", "sketched", "lbfgs", "minibatch")


@dataclass
class Estimate:
    """What estimation found, in NumPy: `coef` with NaN for aliased columns, `kept` columns, and the
    sums that statistics are made of."""

    model: Model
    coef: np.ndarray
    kept: np.ndarray
    deviance: float
    chi2: float
    llf: float
    status: Status
    n_iter: int
    history: np.ndarray
    solver: str
    separated: list
    at_edge: bool
    nuisance: dict
    phi: float | None = None
    unscaled: np.ndarray | None = None  # (X'WX)^-1 where it is known better than from factors in doubles


def estimate(prepared, family, link, penalty, *, solver, tol, max_iter, dtype, start, progress):
    """Fit prepared data; must run inside `jax.enable_x64(True)`. Raises ValueError where no start is valid."""
    (n, p), width = prepared.design.shape, link.width(family) or 1
    large = prepared.design.gram_is_cheap or n * width * (p * width) ** 2 > irls.WORK
    apart = large and p * width <= FEW  # what is left for BLAS has no more rows than columns
    with products.one_blas if apart else contextlib.nullcontext():
        return _estimate(prepared, family, link, penalty, solver, tol, max_iter, dtype, start, progress)


def _estimate(prepared, family, link, penalty, solver, tol, max_iter, dtype, start, progress):
    kept = np.ones(prepared.design.shape[1], bool)
    if penalty is None or firth.is_asked(penalty):
        kept = linalg.find_independent(prepared.design, prepared.weight)
    if penalty is not None:
        total = float(np.sum(prepared.weight))
        penalty = penalties.bind(penalty, prepared.design.shape[1], _unpenalized(prepared), total)
    if not kept.any():
        raise ValueError("every column of X is zero in the rows of positive weight; there is nothing to estimate")
    problem = Problem(Model(family, link, penalty), prepared, kept, dtype)
    kinds = [] if penalty is None else smoothing.asked(penalty)
    if any(kinds):
        problem = smoothing.choose(problem, kinds, _smooth_fit)
    start = None if start is None else start[kept]
    if penalty is not None and not penalties.is_smooth(penalty) and family.free:
        names = ", ".join(name for name, _ in family.free)
        raise ValueError(f"family {family.name!r} estimates {names} besides; with a penalty that has kinks or bounds "
                         "give its value, such as negative_binomial(2.0)")  # fmt: skip
    options = dict(solver=solver, max_iter=max_iter, dtype=dtype, progress=progress)
    if family.free and firth.is_asked(penalty):
        names = ", ".join(name for name, _ in family.free)
        raise ValueError(f"family {family.name!r} estimates {names} besides, and bias reduction is for coefficients "
                         "alone; give its value, such as negative_binomial(2.0)")  # fmt: skip
    if family.free:
        found = _jointly(problem, start, tol, options)
    else:
        found = _iterate(problem, start=start, tol=tol, **options)
    if found.status == Status.INVALID_START:
        raise ValueError(f"family {family.name!r} with link {link.name!r}: {found.status.message}")
    return refined(problem, statistics(problem, found))


def refined(problem, found):
    """The estimate in twice the precision, where it is one of least squares (a loss (lin - y)^2 / 2) that is small, or
    of moderate size with columns that are nearly dependent; else as it was."""
    prepared = problem.prepared
    if problem.model.penalty is not None or problem.width > 1 or problem.dtype != "float64" or prepared.y.ndim > 1:
        return found
    if not found.status.converged or found.separated or not squares.is_small(*problem.design.shape):
        return found
    if not _is_square(problem, found) or not squares.is_worth_it(problem.X):
        return found
    solved = squares.solve(problem.X, prepared.y, prepared.offset, prepared.weight)
    if solved is None:
        return found
    flat, unscaled, rest = solved
    llf = found.llf
    if min(rest, found.deviance) > 0:
        llf = llf - 0.5 * problem.count * float(np.log(rest / found.deviance))
    return replace(found, coef=problem.whole(flat), deviance=rest, chi2=rest, llf=llf, unscaled=unscaled)


def _is_square(problem, found):
    """Whether the loss of every row is (lin - y)^2 / 2, at two linear predictors of each."""
    family = problem.model.family
    if family.dispersion == "fixed" or family.T_ is not None or family.free or problem.values:
        return False
    on = problem.prepared.weight > 0
    for lin in (problem.lin(flatten_host(found.coef[found.kept])), problem.start()):
        view = problem.derivatives(lin)
        error = lin - problem.prepared.y
        far = np.abs(view.score - error) > 1e-9 * (np.abs(lin) + np.abs(problem.prepared.y))
        if np.any(far[on]) or np.any(np.abs(view.expected - 1)[on] > 1e-12):
            return False
    return True


def _smooth_fit(problem, start):
    """Flat coefficients near the optimum, None where there are none."""
    if problem.model.family.free:
        names = ", ".join(name for name, _ in problem.model.family.free)
        raise ValueError(f"family {problem.model.family.name!r} estimates {names} besides; give its value to find a "
                         "strength, such as negative_binomial(2.0)")  # fmt: skip
    options = dict(solver="auto", tol=1e-7, max_iter=None, dtype=problem.dtype, progress=False)
    found = _iterate(problem, start=start, **options)
    return found.flat if found.status.converged else None


def _unpenalized(prepared):
    return int(prepared.intercept or prepared.names[:1] == ["Intercept"])


def _jointly(problem, start, tol, options):
    """Coefficients and free parameters together: small designs by Newton on the host, others in JAX."""
    _check_solver(options["solver"])
    if options["solver"] == "minibatch" or isinstance(options["solver"], Minibatch):
        minibatches.refuse(problem.model)
    rough = dict(solver="auto", max_iter=None, dtype="float64", progress=False)

    def fit_scalar(model):
        found = _iterate(problem.with_model(model), start=None, tol=1e-3, **rough)
        return problem.shape(found.flat)

    solver = options["solver"]
    record = Newton(tol, options["max_iter"] or 200) if isinstance(solver, str) else solver
    unknowns, method = None, None
    for _ in range(4):
        # Without a closed density the best way to compute it is that at the parameters found.
        before, method = method, joint.density_method(problem, unknowns)
        if unknowns is not None and method == before:
            break
        seen = problem.with_model(joint.with_density(problem.model, method))
        unknowns = joint.begin(seen, start, fit_scalar) if unknowns is None else unknowns
        found = None
        if solver == "auto" and problem.small:
            found = by_joint_rows(seen, unknowns, tol, record.max_iter, options["progress"])
        if found is None or found.status in (Status.STALLED, Status.INVALID_START):
            found = by_solver(seen, record, unknowns, options["progress"])
        unknowns = Unknowns(jnp.asarray(problem.shape(found.flat)), found.nuisance)
    joint.warn_of_limits(problem.model.family, problem.prepared, found.nuisance)
    return found


def _check_solver(solver):
    if isinstance(solver, str):
        checks.choice("solver", solver, NAMES)
    elif not hasattr(solver, "step"):
        raise TypeError(f"solver must be a name or a record of jglm.solvers; it is {type(solver).__name__}")


def _iterate(problem, solver, tol, max_iter, dtype, start, progress):
    """Small designs by IRLS on the host; others, and where that finds no way, by Newton in JAX."""
    most = 100 if max_iter is None else max_iter
    _check_solver(solver)
    if firth.is_asked(problem.model.penalty):
        if solver != "auto":
            raise ValueError("bias reduction has a solver of its own; leave solver= out")
        return firth.by_firth(problem, start, tol, firth.STEPS if max_iter is None else max_iter)
    if solver == "minibatch" or isinstance(solver, Minibatch):
        return minibatches.by_minibatch(problem, Minibatch() if isinstance(solver, str) else solver, start, progress)
    if problem.model.penalty is not None and not penalties.is_smooth(problem.model.penalty):
        if isinstance(solver, FISTA):
            return by_solver(problem, solver, start, progress)
        if solver not in ("auto", "newton") and not isinstance(solver, ProximalNewton):
            raise ValueError("a penalty with kinks or bounds takes solver='auto', ProximalNewton() or FISTA()")
        if any(isinstance(part, penalties.Constraints) for part in penalties.parts_of(problem.model.penalty)):
            return by_constrained(problem, start, tol, most, progress)
        begin = by_proximal if isinstance(solver, ProximalNewton) or solver == "newton" else by_working_set
        return begin(problem, start, tol, most, progress)
    if solver == "irls" or (solver == "auto" and problem.small):
        found = by_irls(problem, start, tol, most)
        if found is not None and (found.status.converged or found.status == Status.MAX_ITER):
            return found
    if start is None and solver in ("auto", "lbfgs") and (solver != "auto" or problem.wide):
        return by_diagonal(problem, tol, max_iter or 1000, progress)
    if start is None and solver == "auto" and problem.design.gram_is_cheap:
        found = by_codes(problem, tol, most, progress)
        if found.status.converged or found.status in (Status.MAX_ITER, Status.INTERRUPTED):
            return found
    if start is None and (solver == "sketched" or (solver == "auto" and not problem.small)):
        found = by_sketch(problem, tol, max_iter, progress)
        if found is not None and (found.status.converged or found.status in (Status.MAX_ITER, Status.INTERRUPTED)):
            return found
    record = Newton(tol, most) if isinstance(solver, str) else solver
    found = by_solver(problem, record, start, progress)
    if isinstance(record, Newton) and problem.small and (found.status.converged or found.status == Status.STALLED):
        last = by_irls(problem, problem.shape(found.flat), tol, 30)
        if last is not None and (last.status.converged or not found.status.converged):
            last.history, last.solver = found.history, found.solver
            return last
    return found


def statistics(problem, found):
    """What a fit is made of. Where free parameters change the density, those of the family at their values."""
    free = problem.model.family.free
    if free:
        problem = at_values(problem, found.nuisance)
    model = problem.model
    found.flat = balanced(problem, found.flat)
    lin, moved = problem.lin_and_reach(found.flat, found.late)
    totals = problem.totals(lin, likelihood=problem.small)  # else it waits until it is asked for
    separated = []
    if found.status.converged and model.penalty is None and found.solver != "gradient" and not free:
        columns = recession.recession(problem, found.late, moved)
        names = np.array(problem.prepared.names, dtype=object)[problem.kept]
        separated = [] if columns is None else names[columns].tolist()
    at_edge = not found.status.converged and _at_edge(model.family, np.asarray(problem.at(lin)[0].mu))
    return Estimate(
        model, problem.whole(found.flat), problem.kept, float(totals.deviance), float(totals.chi2), float(totals.llf),
        found.status, len(found.history), found.history, found.solver, separated, at_edge, found.nuisance, found.phi,
    )  # fmt: skip


def balanced(problem, flat):
    """Flat coefficients with the intercepts of all classes summing to 0, as glmnet has them, where one constant more on
    every class changes nothing: with a penalty on a softmax of all classes."""
    model = problem.model
    penalized = isinstance(model.penalty, penalties.Penalty) and _unpenalized(problem.prepared)
    if not penalized or not rows.ignores_a_constant(model):
        return flat
    coef = problem.shape(flat).copy()
    coef[0] -= np.mean(coef[0])
    return np.ravel(coef.T)


def at_values(problem, nuisance):
    """The problem with the free parameters at their values: fixed in the family, or per row where eta takes them."""
    model, prepared = problem.model, problem.prepared
    if model.family.parametrize_ is not None:
        other = problem.with_model(model)
        other.values = joint.per_row(model.family, prepared.designs, nuisance, len(prepared.y))
        return other
    values = {name: joint.value_of(free, nuisance[name]) for name, free in model.family.free}
    params = {k: values.get(k, v) for k, v in model.family.params.items()}
    return problem.with_model(Model(model.family.replace(params=params, free=()), model.link, model.penalty))


def _at_edge(family, mu):
    """Whether a fitted mean (nearly) leaves the range of means: with some links the maximum lies on that boundary."""
    if mu.ndim > 1 or family.T_ is not None:
        return False
    low, high = family.support.low, family.support.high
    reach = high - low if np.isfinite(high - low) else max(float(np.mean(np.abs(mu - low))), 1e-300)
    near = lambda gap: bool(np.isfinite(gap).any() and np.nanmin(gap) < 1e-3 * reach)
    return (np.isfinite(low) and near(mu - low)) or (np.isfinite(high) and near(high - mu))


def warn_about(found, prepared):
    """Say what a user must know: separation, and fits that did not converge."""
    if found.separated:
        shown = ", ".join(found.separated[:8]) + (", …" if len(found.separated) > 8 else "")
        warnings.warn(
            f"separation: the likelihood has no maximum, it rises for ever along column {shown}; fitted means run to "
            "the edge of their range and coefficients to infinity. The numbers given are where the rise ended in "
            "rounding; their standard errors mean nothing. Drop or merge those columns, or use "
            "penalty=jglm.penalties.ridge(…) or penalty='firth'; fit.find_separation() names the rows",
            UserWarning, stacklevel=5,
        )  # fmt: skip
    if not found.status.converged and found.status != Status.ENDED:
        edge = "; fitted means lie at the edge of their range, where this link may put the maximum: try another link"
        warnings.warn(f"the fit did not converge ({found.status.message}) after {found.n_iter} passes"
                      + (edge if found.at_edge else ""), UserWarning, stacklevel=5)  # fmt: skip
