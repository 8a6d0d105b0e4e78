"""The Gaussian in disguise: completing the square turns the bell curve into b(y) exp(eta y - a(eta))."""

import numpy as np

from jglm import families
from jglm.lab import curves, reading

YS = np.linspace(-5, 5, curves.COUNT)


def compute(request):
    """The base measure b(y), the tilt exp(eta y - a(eta)) and their product beside the bell curve."""
    mu = reading.number(request, "mu", 1.2, -3, 3)
    y = reading.number(request, "y", 2.0, -5, 5)
    normal = families.gaussian
    eta, a = float(normal.natural(mu)), float(curves.moments(normal, np.full(curves.COUNT, mu))[0][0])
    base = np.exp(normal.log_prob(YS, 0.0))  # at eta = 0 the tilt is 1
    tilt = np.exp(YS * eta - a)
    bell = np.exp(normal.log_prob(YS, eta))
    square, parts = -((y - mu) ** 2) / 2, [-(y**2) / 2, eta * y, -a]
    return {
        "mu": mu, "eta": eta, "a": a, "y": y, "square": square, "parts": parts, "sum": sum(parts),
        "curves": {"y": YS, "base": base, "tilt": tilt, "bell": bell}, "gap": float(np.max(np.abs(base * tilt - bell))),
        "at": {"base": np.exp(normal.log_prob(y, 0.0)), "tilt": np.exp(y * eta - a),
               "bell": np.exp(normal.log_prob(y, eta))},
        "code": CODE.format(mu=mu, y=y),
    }  # fmt: skip


CODE = """import jax.numpy as jnp
from jglm.families import gaussian
eta = gaussian.natural({mu!r})  # the mean itself
base = jnp.exp(gaussian.log_prob({y!r}, 0.0))
bell = base * jnp.exp(eta * {y!r} - gaussian.a(eta))"""
