"""The update rule by hand: theta <- theta + alpha X'(y - h), one step at a time, for any scalar family."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jglm import families
from jglm.lab import curves, fits, reading

XS = np.array([-1.0, -0.75, -0.5, -0.2, 0.1, 0.35, 0.6, 0.8, 1.0])
X = np.column_stack([np.ones_like(XS), XS])
SCORES = np.array([-0.4, 0.9, -1.1, 0.3, 1.2, -0.8, 0.1, -0.5, 0.7])  # how far y is from its mean, in deviations
GRID = np.linspace(-1.1, 1.1, curves.COUNT)
NAMES = tuple(
    name for name, made in families.catalogue().items()
    if isinstance(made, families.Family) and made.dim is None and made.density != "none"
)  # fmt: skip


def compute(request):
    """The gradient at `theta` by autodiff and in closed form, `theta` after one step of size alpha, the log-likelihood
    (up to b), the curve of means, and the optimum by `jglm.fit`."""
    name = reading.choice(request, "family", "poisson", NAMES)
    family = families.catalogue()[name]
    theta = np.array(reading.numbers(request, "theta", _start(family), 2, -1e6, 1e6))
    suits = _log_alpha(name)
    alpha = 10 ** reading.number(request, "log_alpha", suits, -4, 1)
    y, lin = _data(name), theta[0] + theta[1] * XS
    if not _inside(family, lin):
        raise ValueError(f"θ leaves the domain of η, {_domain(family)}; begin again, and take smaller steps")
    loglik, automatic, h = _looked(family, theta, X, y)
    closed = X.T @ (y - np.asarray(h))
    after = theta + alpha * np.asarray(automatic)
    best = _best(name)
    return {
        "names": NAMES, "theta": theta, "start": _start(family), "x": XS, "y": y, "loglik": float(loglik),
        "automatic": automatic, "closed": closed, "gap": float(np.max(np.abs(closed - automatic))), "after": after,
        "alpha": alpha, "best": best, "most": float(_looked(family, best, X, y)[0]),
        "away": float(np.max(np.abs(theta - best))), "grid": GRID, "curve": _curve(family, theta),
        "target": _curve(family, best),
        "log_alpha": suits, "trouble": _trouble(family, after),
        "data": f"import jax.numpy as jnp\nX = jnp.array({X.tolist()})\ny = jnp.array({y.tolist()})\n"
        f"theta, alpha = jnp.array({theta.tolist()}), {alpha!r}",
        "code": CODE.format(name=name),
    }  # fmt: skip


CODE = """import jax
from jglm.families import {name} as family
loglik = lambda theta: -family.loss(y, X @ theta).sum()
automatic = jax.grad(loglik)(theta)
closed = X.T @ (y - family.mean(X @ theta))
theta = theta + alpha * automatic"""


@jax.jit
def _looked(family, theta, X, y):
    """(log-likelihood up to b, its gradient by autodiff, the means)."""
    loglik = lambda theta: -jnp.sum(family.loss(y, X @ theta))
    return (*jax.value_and_grad(loglik)(theta), family.mean(X @ theta))


def _trouble(family, after):
    """Why the next step cannot be made, or None."""
    if not np.all(np.isfinite(after)):
        return "The steps overshot beyond all numbers: begin again with a smaller α."
    if not _inside(family, after[0] + after[1] * XS):
        return f"This step would leave the domain of η, {_domain(family)}: take a smaller α."
    return None


def _curve(family, theta):
    """Means along the grid; none where theta leads out of the domain."""
    lin = theta[0] + theta[1] * GRID
    means = np.array(curves.moments(family, lin)[1])
    means[~np.array([_inside(family, v) for v in lin])] = np.nan
    return means


def _inside(family, lin):
    low, high = family.domain
    return bool(np.all((lin > low) & (lin < high)))


def _domain(family):
    low, high = family.domain
    return f"η < {high:g}" if np.isinf(low) else f"{low:.3g} < η < {high:.3g}"


def _start(family):
    return [0.0, 0.0] if _inside(family, 0.0) else [-1.0, 0.0]


@functools.lru_cache
def _data(name):
    """y about the means of a model of the family, rounded into its support."""
    family = families.catalogue()[name]
    first, slope = (0.4, 0.9) if np.isinf(family.domain[1]) else (0.1, 0.6) if _inside(family, 0.0) else (-1.2, 0.5)
    lin = np.resize(first + slope * XS, curves.COUNT)
    _, mean, variance = (np.asarray(v)[: len(XS)] for v in curves.moments(family, lin))
    low, high, step, low_in, _ = family.support
    y = mean + SCORES * np.sqrt(variance)
    if step:
        y = step * np.round(y / step)
    return np.round(np.clip(y, low if low_in else 0.2 * mean, high), 2) + 0.0  # -0 is 0


@functools.lru_cache
def _best(name):
    family = families.catalogue()[name]
    return fits.quiet(XS[:, None], _data(name), family=family, link="canonical")[0].params


@functools.lru_cache
def _log_alpha(name):
    """log10 of a step that overshoots neither where the steps begin nor where they end: 1 / (largest eigenvalue of
    X'VX), to a twentieth."""
    family = families.catalogue()[name]
    steepest = 0.0
    for theta in (_start(family), _best(name)):
        variance = np.asarray(curves.moments(family, np.resize(X @ theta, curves.COUNT))[2])[: len(XS)]
        steepest = max(steepest, float(np.linalg.eigvalsh(X.T @ (variance[:, None] * X))[-1]))
    return round(-20 * np.log10(steepest)) / 20
