"""Why not least squares: on a sigmoid the squared error has flat regions and several minima, the likelihood has not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jglm import families
from jglm.lab import curves, reading

X = np.array([-3.7, -2.3, -1.8, 0.2, 1.4, 3.4, 3.4, 3.5])
Y = np.array([0.0, 0, 1, 1, 1, 0, 0, 1])
EDGE, SIDE, STEPS = 6.0, 41, 400
GRID = np.linspace(-EDGE, EDGE, SIDE)
XS = np.linspace(-4, 4, curves.COUNT)
ETAS = np.linspace(-8, 8, curves.COUNT)
FAMILY = families.bernoulli


def compute(request):
    """Both losses of eight points over (theta0, theta1), and the descents from `start`; of one point with y = 1 both
    losses and their slopes at `eta`."""
    start = np.array(reading.numbers(request, "start", [3.0, -3.0], 2, -EDGE, EDGE))
    eta = reading.number(request, "eta", -5.0, -8, 8)
    path = {name: np.asarray(_descent(name, start)) for name in LOSSES}
    slopes = [_slope(name, start) for name in LOSSES]
    ends = {name: {"theta": way[-1], "loss": LOSSES[name](way[-1])} for name, way in path.items()}
    return {
        "x": X, "y": Y, "grid": GRID, "surfaces": _surfaces(), "paths": path, "ends": ends,
        "sigmoids": {"x": XS, **{name: FAMILY.mean(way[-1, 0] + way[-1, 1] * XS) for name, way in path.items()}},
        "slopes": slopes, "sizes": dict(zip(LOSSES, map(np.linalg.norm, slopes), strict=True)), "start": start,
        "one": _one(eta), "data": f"import jax.numpy as jnp\nX = jnp.array({np.c_[np.ones(8), X].tolist()})\n"
        f"y = jnp.array({Y.tolist()})\ntheta = jnp.array({start.tolist()})", "code": CODE,
    }  # fmt: skip


CODE = """import jax
from jglm.families import bernoulli
squares = lambda theta: ((y - bernoulli.mean(X @ theta)) ** 2).sum() / 2
likelihood = lambda theta: bernoulli.loss(y, X @ theta).sum()
slopes = jax.grad(squares)(theta), jax.grad(likelihood)(theta)"""


def _lin(theta):
    return theta[0] + theta[1] * jnp.asarray(X)


LOSSES = {
    "squares": lambda theta: jnp.sum((Y - FAMILY.mean(_lin(theta))) ** 2) / 2,
    "likelihood": lambda theta: jnp.sum(FAMILY.loss(jnp.asarray(Y), _lin(theta))),
}


@functools.partial(jax.jit, static_argnames="name")
def _slope(name, theta):
    return jax.grad(LOSSES[name])(theta)


@functools.partial(jax.jit, static_argnames="name")
def _descent(name, start):
    """The way of gradient descent, (STEPS + 1, 2): each loss at a step size that suits its steepest curvature."""
    step = {"squares": 0.5, "likelihood": 0.05}[name]
    slope = jax.grad(LOSSES[name])
    move = lambda theta, _: (theta - step * slope(theta), theta)
    last, way = jax.lax.scan(move, jnp.asarray(start), None, length=STEPS)
    return jnp.vstack([way, last])


def _surfaces():
    """{name: losses at every (theta0, theta1) of the grid, theta0 running fastest}."""
    at = jnp.stack(jnp.meshgrid(GRID, GRID), axis=-1).reshape(-1, 2)
    return {name: _over(name, at) for name in LOSSES}


@functools.partial(jax.jit, static_argnames="name")
def _over(name, at):
    return jax.vmap(LOSSES[name])(at)


@jax.jit
def _one(eta):
    """Both losses of one point with y = 1 along eta, and at one eta with their slopes."""
    each = {"squares": lambda at: (1 - FAMILY.mean(at)) ** 2 / 2, "likelihood": lambda at: FAMILY.loss(1.0, at)}
    return {
        "etas": jnp.asarray(ETAS), "eta": eta, "chance": FAMILY.mean(eta),
        **{name: {"curve": loss(ETAS), "loss": loss(eta), "slope": jax.grad(loss)(eta)} for name, loss in each.items()},
    }  # fmt: skip
