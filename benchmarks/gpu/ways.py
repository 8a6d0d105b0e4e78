"""jglm's ways to fit one data set on a device: the pure functions, and the front door from JAX and from NumPy."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

import jglm
from benchmarks.gpu.cases import FAMILIES, copied_to_host, views
from benchmarks.gpu.records import Record, take
from jglm import Data, Dense, Model
from jglm.designs import WithConstant
from jglm.model import HESSIAN, Query, Unknowns, evaluate
from jglm.solvers import LBFGS, Newton, Status
from jglm.solvers.lbfgs import diagonal_metric, metric_of

LEAST, MOST = 40, 640  # rows of the sample for each column


@dataclass
class Result:
    """Coefficients in NumPy, the constant's first; passes over all rows and how many formed X'WX (None where that is
    not known); how it ended; whether X went to the host."""

    coef: np.ndarray
    passes: int | None = None
    hessians: int | None = None
    how: str = ""
    to_host: bool | None = None


@dataclass(frozen=True)
class Way:
    """A way to fit. source: "device", or "numpy" where X and y lie in the host's memory when the clock starts;
    host: whether the fit itself runs there; doubles: X's in float64 that the host must hold besides.
    missing(): why it cannot run here, or None."""

    name: str
    label: str
    run: Callable
    source: str = "device"
    host: bool = False
    doubles: int = 0
    missing: Callable = lambda: None
    dtypes: tuple = ("float32", "float64")


# ---------------------------------------------------------------------------- pure functions
_solve = jax.jit(lambda model, data, solver: jglm.solve(model, data, solver=solver))


def newton(case):
    found = _solve(case.model, case.data, Newton())
    return _result(found, int(found.n_iter), "Newton")


@jax.jit
def _sketched(model, data, key):
    """Newton's method on a sample of the rows, then L-BFGS about its Hessian on all, compiled as one."""
    n, p = data.X.shape
    sample = min(MOST * p, max(n // 8, min(LEAST * p, n)))
    stride = n // sample
    rows = jnp.arange(sample) * stride + jax.random.randint(key, (sample,), 0, stride)
    design = WithConstant(Dense(data.X.inner.X[rows]))
    part = Data(design, data.y[rows], data.weight[rows], data.offset[rows])
    begun = jglm.solve(model, part, solver=Newton(0.1))
    hess = evaluate(model, part, Query(Unknowns(begun.coef, {})), HESSIAN).hess * (n / sample)
    return jglm.solve(model, data, solver=LBFGS(metric_of(hess)), start=begun.coef)


def sketched(case):
    found = _sketched(case.model, case.data, jax.random.key(0))
    return _result(found, 0, "sample, then L-BFGS")


@jax.jit
def _lbfgs(model, data):
    """L-BFGS from 0 about the diagonal of X'WX there."""
    start = jnp.zeros(data.X.shape[1])
    eta = model.link.eta(model.family, jnp.zeros(()))
    curvature = jax.hessian(model.family.a)(eta)
    metric = diagonal_metric(curvature * data.X.squares(data.weight))
    return jglm.solve(model, data, solver=LBFGS(metric, max_iter=500, memory=20), start=start)


def lbfgs(case):
    found = _lbfgs(case.model, case.data)
    return _result(found, 0, "L-BFGS")


def _result(found, hessians, how):
    status = Status(int(found.status))
    return Result(np.asarray(found.coef), int(found.n_iter), hessians, f"{how}, {status.message}")


# ---------------------------------------------------------------------------- the front door
def front_door(solver, numpy=False):
    """jglm.fit by a solver's name, from what lies on the device or in NumPy."""

    def run(case):
        X, y = case.host if numpy else views(case.X, case.y)
        options = dict(solver=solver, dtype=case.dtype, covariance=None, progress=False)
        fit = jglm.fit(X, y, family=case.name, **options)
        hessians = fit.n_iter if fit.solver in ("irls", "newton") else 0
        how = f"{fit.solver}, {fit.status.message}"
        return Result(fit.params, fit.n_iter, hessians, how, None if numpy else copied_to_host(X))

    return run


WAYS = (
    Way("newton", "solve, Newton", newton),
    Way("sketched", "solve, sketched", sketched),
    Way("lbfgs", "solve, L-BFGS", lbfgs),
    Way("fit", "jglm.fit", front_door("auto"), doubles=2),
    Way("fit_newton", "jglm.fit, newton", front_door("newton"), doubles=2),
    Way("fit_sketched", "jglm.fit, sketched", front_door("sketched"), doubles=2),
    Way("fit_numpy", "jglm.fit from NumPy", front_door("auto", numpy=True), "numpy", doubles=2),
)


# ---------------------------------------------------------------------------- many at once
def many(count, n, p, dtype, repeat):
    """The record of `count` Bernoulli fits of n x p, all in one call under vmap."""
    model = Model(FAMILIES["bernoulli"].family, FAMILIES["bernoulli"].link, None)
    keys = jax.random.split(jax.random.key(0), 2)
    X = jax.random.normal(keys[0], (count, n, p), dtype)
    chance = jax.nn.sigmoid(0.3 + 0.5 * X[..., 0] - 0.3 * X[..., 1])
    y = jax.random.bernoulli(keys[1], chance).astype(dtype)
    one = lambda X, y: jglm.solve(model, Data(WithConstant(Dense(X)), y, jnp.ones(n, dtype), jnp.zeros(n, dtype)))
    record = Record("many", "vmap of solve", "vmap", "bernoulli", n, p, dtype, fits=count)
    call = jax.jit(jax.vmap(one))
    found = take(record, lambda: call(X, y), repeat)
    record.passes, record.gradient = int(jnp.max(found.n_iter)), float(jnp.max(found.grad_norm)) / n
    ended = np.isin(np.asarray(found.status), (Status.CONVERGED, Status.FLOOR))
    record.how = f"{int(np.sum(ended))} of {count} converged"
    return record
