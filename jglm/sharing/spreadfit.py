"""Fits of rows that are spread over devices and processes: the same optimum, statistics and standard errors.

Newton's method asks for X'WX in every pass. Where there are many rows, a sample of them gives a start and a Hessian,
and passes over all rows ask for gradients alone: of p coefficients only p + 4 numbers travel.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jglm import penalties, rows
from jglm.diagnostics import recession
from jglm.fitting import deferred, estimate, firth, irls, joint, linalg, smoothing
from jglm.fitting.iterate import Found
from jglm.fitting.problem import Problem
from jglm.fitting.progress import Progress
from jglm.fitting.sketch import PASSES, PRIOR, SEED, sample_sizes
from jglm.model import HESSIAN, Model, Query, Unknowns
from jglm.penalties import Ridge
from jglm.sharing import shards
from jglm.sharing.spread import Spread, flat_of, independent, null_without_constant
from jglm.solvers import LBFGS, Gradient, Minibatch, Newton, ProximalNewton, Status
from jglm.solvers.lbfgs import diagonal_metric, metric_of

NAMES = ("auto", "newton", "sketched", "lbfgs")


def fit_spread(prepared, family, link, penalty, mesh, options):
    """(Estimate, Prepared with the counts of all rows, what a `Fit` would compute later: covariances and null deviance)
    of the rows of this process and of the others' of the mesh. Raises as `estimate.estimate`."""
    if any(other != list(prepared.names) for other in shards.gather(mesh, list(prepared.names))):
        raise ValueError(
            "the processes have columns of other names or in another order; they must agree in all but rows"
        )
    design, weight = prepared.design, prepared.weight
    kept = np.ones(design.shape[1], bool) if penalty is not None else independent(mesh, design, weight)
    if not kept.any():
        raise ValueError("every column of X is zero in the rows of positive weight; there is nothing to estimate")
    spread = Spread(Model(family, link, None), prepared, kept, mesh, options["dtype"])
    if penalty is not None:
        penalty = penalties.bind(penalty, design.shape[1], _first(prepared), float(spread.weight))
        _refuse(penalty, family)
        spread.model = Model(family, link, penalty)
    start = None if options["start"] is None else options["start"][kept]
    found = (_jointly if family.free else _iterate)(spread, start, options)
    if found.status == Status.INVALID_START:
        raise ValueError(f"family {family.name!r} with link {link.name!r}: {found.status.message}")
    counted = dataclasses.replace(prepared, nobs=float(spread.nobs))
    constant = all(shards.gather(mesh, deferred.constant_column(prepared)))
    return (*_statistics(spread, found, constant), counted)


def _refuse(penalty, family):
    parts = penalties.parts_of(penalty)
    if firth.is_asked(penalty):
        raise ValueError("penalty='firth' and 'jeffreys' are fitted on one device alone; leave devices out")
    if any(smoothing.asked(penalty)):
        raise ValueError("the strength of a penalty is found by 'gcv' and 'reml' on one device alone; give its value")
    if any(isinstance(part, penalties.Constraints) for part in parts):
        raise ValueError("constraints among coefficients are fitted on one device alone; leave devices out")
    if family.free and not penalties.is_smooth(penalty):
        raise ValueError(f"family {family.name!r} estimates parameters besides; with a penalty that has kinks or "
                         "bounds give their values, such as negative_binomial(2.0)")  # fmt: skip


# --------------------------------------------------------------------------- coefficients
def _iterate(spread, start, options):
    solver, tol, most = options["solver"], options["tol"], options["max_iter"]
    if (isinstance(solver, str) and solver not in NAMES) or isinstance(solver, Minibatch):
        raise ValueError(f"solver {solver!r} runs on the host alone; over devices it is one of {', '.join(NAMES)}")
    kinks = spread.model.penalty is not None and not penalties.is_smooth(spread.model.penalty)
    if kinks and solver not in ("auto", "newton") and not isinstance(solver, ProximalNewton):
        raise ValueError("a penalty with kinks or bounds takes solver='auto' or ProximalNewton()")
    if not isinstance(solver, str):
        return _run(spread, solver, start, options)
    if kinks:
        begin = _constant_start(spread)[0] if start is None else start
        return _run(spread, ProximalNewton(tol, most or 100), begin, options)
    wide = spread.design.shape[1] * spread.width > linalg.WIDE
    if start is None and (solver == "lbfgs" or (solver == "auto" and wide)):
        return _by_diagonal(spread, options)
    if start is None and (solver == "sketched" or (solver == "auto" and spread.design.is_matrix)):
        found = _by_sketch(spread, options)
        if found is not None and (found.status.converged or found.status == Status.MAX_ITER):
            return found
    found = _run(spread, Newton(tol, most or 100), start, options)
    if found.status in (Status.STALLED, Status.INVALID_START) and start is None:
        found = _run(spread, Newton(tol, most or 100), _constant_start(spread)[0], options)
    return found


def _run(spread, solver, start, options):
    bar, progress = None, options["progress"]
    large = spread.n * spread.design.shape[1] * spread.width > 5e6
    if progress is not False and (progress or large) and not isinstance(solver, Gradient):
        bar = Progress(solver.max_iter, 0.0 if progress else 1.0)
    try:
        solution = spread.solve(solver, start, bar)
    finally:
        if bar is not None:
            bar.close()
    seen = np.asarray(solution.history)[: int(solution.n_iter)]
    name = type(solver).__name__.lower()
    return Found(flat_of(solution), solution.late, Status(int(solution.status)), seen, name, solution.nuisance)


def _constant(spread):
    """(coef of the fit of a constant () or (k,), the mean curvature of a row there)."""
    width = None if spread.model.width() is None else spread.width
    constant, hess, _ = spread.constant(np.zeros(() if width is None else width), 1e-3)
    if not np.all(np.isfinite(constant)):  # 0 lies outside the domain
        constant, hess, _ = spread.constant(np.asarray(rows.safe_lin(spread.model, np.dtype("float64"))), 1e-3)
    return constant, float(np.trace(hess)) / spread.width / spread.weight


def _constant_start(spread):
    """(coefficients of the fit of a constant where the first column is one, the mean curvature of a row there)."""
    coef = np.zeros((spread.design.shape[1], *(() if spread.model.width() is None else (spread.width,))))
    constant, curvature = _constant(spread)
    if _first(spread.prepared) and np.all(np.isfinite(constant)):
        coef[0] = constant
    return coef, curvature


def _first(prepared):
    """1 where the first column is the constant, else 0."""
    return int(prepared.intercept or prepared.names[:1] == ["Intercept"])


def _by_diagonal(spread, options):
    """L-BFGS about a diagonal, for designs of very many columns."""
    start, curvature = _constant_start(spread)
    diagonal = np.tile(curvature * spread.squares()[0], spread.width)
    if spread.model.penalty is not None:
        ones = jnp.ones_like(jnp.asarray(start))
        slope = spread.model.penalized(0.0, jnp.zeros(ones.size), Unknowns(ones, {}))[1]
        diagonal = diagonal + np.maximum(np.asarray(slope), 0.0)
    solver = LBFGS(diagonal_metric(jnp.asarray(diagonal)), options["tol"], options["max_iter"] or 1000, 20)
    return dataclasses.replace(_run(spread, solver, start, options), solver="lbfgs")


def _by_sketch(spread, options):
    """As `sketch.by_sketch`: Newton's method on a sample, drawn in every process from its rows, then L-BFGS on all rows
    about its Hessian; None where there are too few rows."""
    p, k = spread.design.shape[1], spread.width
    sizes = sample_sizes(int(spread.n), p, k)
    if sizes is None or (options["solver"] == "auto" and spread.n * k * (p * k) ** 2 <= irls.WORK):
        return None
    on = np.flatnonzero(spread.prepared.weight > 0)
    rng = np.random.default_rng(SEED)
    part = spread.part(np.sort(rng.choice(on, min(len(on), -(-len(on) * sizes[1] // int(spread.n))), replace=False)))
    start, curvature = _constant_start(part)
    unit = curvature * np.clip(1 / curvature, 1.0, PRIOR) * part.squares()[0] / part.n
    unit[: _first(spread.prepared)] = 0.0
    share = part.weight / spread.weight
    P = spread.penalty_hessian(np.zeros(start.size))
    if P is not None:
        unit = unit + share * np.diagonal(P)[: len(unit)]
    model = Model(part.model.family, part.model.link, Ridge(1.0, unit, "sum"))
    begun = part.with_model(model).solve(Newton(0.1), start)
    if not Status(int(begun.status)).converged:
        return None
    hess = part.look(Query(Unknowns(begun.coef, {})), HESSIAN).hess / share
    metric = metric_of(jnp.asarray(hess if P is None else hess + P))
    most = options["max_iter"]
    few = PASSES if most is None else min(most, PASSES)
    found = _run(spread, LBFGS(metric, options["tol"], few), begun.coef, options)
    found.solver = "sketched"
    if found.status != Status.MAX_ITER or few == most:
        return found
    last = _run(spread, Newton(options["tol"], most or 100), spread.shape(found.flat), options)
    return dataclasses.replace(last, solver="sketched", history=np.concatenate([found.history, last.history]))


# --------------------------------------------------------------------------- with free parameters
def _jointly(spread, start, options):
    """Coefficients and free parameters together; process 0 looks for a start among its rows."""
    solver = options["solver"]
    record = Newton(options["tol"], options["max_iter"] or 200) if isinstance(solver, str) else solver
    first = lambda value: shards.gather(spread.mesh, value)[0]
    local = Problem(spread.model, spread.prepared, spread.kept, spread.dtype)
    rough = dict(solver="auto", tol=1e-3, max_iter=None, start=None, progress=False)

    def fit_scalar(model):
        return spread.shape(_iterate(spread.with_model(model), None, rough).flat)

    unknowns, method, found = None, None, None
    for _ in range(4):
        before, method = method, first(joint.density_method(local, unknowns))
        if unknowns is not None and method == before:
            break
        seen = joint.with_density(spread.model, method)
        if unknowns is None:
            begun = joint.begin(local.with_model(seen), start, fit_scalar)
            unknowns = Unknowns(*first((np.asarray(begun.coef), {k: np.asarray(v) for k, v in begun.nuisance.items()})))
        found = _run(spread.with_model(seen), record, unknowns, options)
        unknowns = Unknowns(spread.shape(found.flat), found.nuisance)
    joint.warn_of_limits(spread.model.family, spread.prepared, found.nuisance)
    return found


# --------------------------------------------------------------------------- statistics
def _statistics(spread, found, constant):
    """(Estimate, {name: value of a field of Fit})."""
    free, later = spread.model.family.free, {"has_constant": constant}
    unknowns = Unknowns(spread.shape(found.flat), found.nuisance)
    if free:
        later["_joint"] = _joint_covariance(spread, unknowns)
        spread = _at_values(spread, found.nuisance)
    model, p = spread.model, spread.design.shape[1]
    found.flat = estimate.balanced(spread, found.flat)
    unknowns = Unknowns(spread.shape(found.flat), found.nuisance)
    smooth = model.penalty is None or penalties.is_smooth(model.penalty)
    wanted = smooth and found.flat.size <= linalg.WIDE and model.family.parametrize_ is None
    totals, H, moved = spread.ending(unknowns, found.late, wanted)
    separated = []
    if found.status.converged and model.penalty is None and found.solver != "gradient" and not free:
        columns = recession.recession(spread, found.late[: p * spread.width], float(moved))
        names = np.array(spread.prepared.names, dtype=object)[spread.kept]
        separated = [] if columns is None else names[columns].tolist()
    end = estimate.Estimate(
        model, spread.whole(found.flat), spread.kept, float(totals.deviance), float(totals.chi2), float(totals.llf),
        found.status, len(found.history), found.history, found.solver, separated, False, found.nuisance,
    )  # fmt: skip
    if wanted:
        later["_unscaled"] = _inverse(H, spread.penalty_hessian(found.flat))
    # Rows in the memory of this one host can be looked at again when it is asked for.
    if model.family.parametrize_ is None and (jax.default_backend() != "cpu" or shards.processes_of(spread.mesh) > 1):
        later["_null"] = _null_deviance(spread, constant)
    return end, later


def _at_values(spread, nuisance):
    """As `estimate.at_values`; families whose eta takes the parameters keep them."""
    model = spread.model
    if model.family.parametrize_ is not None:
        return spread
    values = {name: joint.value_of(free, nuisance[name]) for name, free in model.family.free}
    params = {k: values.get(k, v) for k, v in model.family.params.items()}
    return spread.with_model(Model(model.family.replace(params=params, free=()), model.link, model.penalty))


def _inverse(H, P):
    """(X'WX + P)^-1, NaN where that is not positive definite."""
    R = linalg.triangle_of(H if P is None else H + P)
    return np.full(H.shape, np.nan) if R is None else linalg.inverse_from_triangle(R)


def _joint_covariance(spread, unknowns):
    H = spread.look(Query(unknowns), HESSIAN).hess
    P = spread.model.curvature(jax.tree.map(jnp.asarray, unknowns))
    H, size = H if P is None else H + np.asarray(P), unknowns.coef.size
    return joint.inverse(H), joint.inverse(H[size:, size:])


def _null_deviance(spread, constant):
    """Deviance of the offset with an intercept, fitted or a column equal to 1, else of the offset alone."""
    if not constant:
        return null_without_constant(spread)
    return spread.constant(_constant(spread)[0], 1e-10)[2]
