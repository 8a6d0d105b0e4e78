"""Many fits with a penalty that has kinks or bounds (lasso, elastic net, groups, bounds): `drivers.solve` by proximal
Newton in a compiled program, a model after another on a CPU, side by side on an accelerator."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jglm.batches import batch, stacked
from jglm.batches.batch import EMPTY, Many
from jglm.batches.incache import filled, in_turn
from jglm.designs import Dense
from jglm.drivers import solve
from jglm.fitting.padding import bind
from jglm.model import GRADIENT, Data, Model, Query, Unknowns, evaluate
from jglm.penalties import Ridge
from jglm.solvers import ProximalNewton
from jglm.solvers.base import Status


def solve_many(model, stack, *, tol=1e-8, max_iter=100, chunk=None, host=None, report=None):
    """As `batch.solve_many`, for a penalty with kinks or bounds, which is multiplied by stack.strength (m,) where
    given; there are no standard errors. Models begin at the fit of a constant."""
    host = jax.default_backend() == "cpu" if host is None else host
    chunk = chunk or batch.models_at_once(stack, host)
    starts, solver = _starts(model, stack, tol, chunk, host), ProximalNewton(tol, max_iter)
    program, done = bind(_solve_each, model, host), []

    def one(models):
        with jax.enable_x64(True):
            arrays = filled({"start": starts[models], **_arrays(stack, models, model.width())}, chunk)
            found = jax.tree.map(lambda v: np.asarray(v)[: len(models)], program(solver, arrays, len(models)))
        done.append(len(models))
        if report is not None:
            report(sum(done), stack.count)
        return found

    parts = [np.arange(i, min(i + chunk, stack.count)) for i in range(0, stack.count, chunk)]
    found = batch.in_threads(one, parts, stack, host)
    coef, status, n_iter, chi2 = (np.concatenate(v) for v in zip(*found, strict=True))
    nobs = (np.broadcast_to(stack.weight, stack.y.shape[:2]) > 0).sum(axis=1)
    status = np.where(nobs == 0, EMPTY, status)
    lost = np.isin(status, (EMPTY, Status.INVALID_START)).reshape(-1, *(1,) * (coef.ndim - 1))
    if stack.used is not None:
        lost = lost | ~stack.used.reshape(*stack.used.shape, *(1,) * (coef.ndim - 2))
    coef = np.where(lost, np.nan, coef)
    return Many(coef, np.full_like(coef, np.nan), {}, status, n_iter, chi2, nobs)


def _starts(model, stack, tol, chunk, host):
    """(m, p) or (m, p, k) coefficients to begin at: those given, else of the fits of a constant."""
    m, (n, p), width = stack.count, stack.shape, model.width()
    if stack.start is not None:
        return stack.start
    start = np.zeros((m, p) if width is None else (m, p, width))
    if stack.constant:
        alone = dataclasses.replace(stack, X=np.empty((n, 0)), used=None, strength=None, check=None)
        # Of classes only differences count: with a little ridge they begin around 0.
        plain = Model(model.family, model.link, Ridge(1e-6, np.ones(1), "sum"))
        start[:, 0] = np.nan_to_num(batch.solve_many(plain, alone, tol=tol, chunk=chunk, host=host).coef[:, 0])
    return start


def _arrays(stack, models, width):
    """What is known of those models, with their number in front; a shared X stands there once a model."""
    X, b = stack.design(models), len(models)
    X = np.broadcast_to(X, (b, *stack.shape))
    if stack.used is not None:
        X = X * stack.used[models][:, None, :]
    found = {name: stack.of(name, models) for name in ("y", "weight", "offset", "size")}
    if width is not None:
        found["offset"] = np.broadcast_to(found["offset"].reshape(b, len(X[0]), -1), (b, len(X[0]), width))
    found["strength"] = np.ones(b) if stack.strength is None else stack.strength[models]
    return found | {"X": X, "own": {k: v[models] for k, v in stack.params.items()}}


def _solve_each(model, solver, arrays, count, host):
    """(coef, status, passes, Pearson's statistic) of the models."""

    def one(at):
        here = stacked.of_row(model, at["own"])
        here = Model(here.family, here.link, model.penalty.times(at["strength"]))
        data = Data(Dense(at["X"]), at["y"], at["weight"], at["offset"], at["size"])
        found = solve(here, data, solver=solver, start=Unknowns(at["start"], {}))
        info = evaluate(here, data, Query(Unknowns(found.coef, {})), GRADIENT)
        return found.coef, found.status, found.n_iter, jnp.asarray(info.chi2)

    return in_turn(one, arrays, count) if host else jax.vmap(one)(arrays)
