"""Log-odds and sigmoid: the natural parameter of a coin, and its inverse, which is the mean."""

import jax.numpy as jnp
import numpy as np

from jglm import families, links
from jglm.lab import curves, reading

PROBABILITIES = np.linspace(0.005, 0.995, curves.COUNT)


def compute(request):
    """The log-odds of `probability` and the way back, with both curves; the sigmoid is a', which autodiff finds."""
    probability = reading.number(request, "probability", 0.7, 0.005, 0.995)
    coin, grid = families.bernoulli, curves.etas() * 1.5
    eta = float(coin.natural(probability))
    mean = np.asarray(coin.mean(grid))
    closed = 1 / (1 + np.exp(-grid))
    return {
        "probability": probability, "odds": probability / (1 - probability), "eta": eta,
        "back": float(coin.mean(eta)), "gap": float(np.max(np.abs(mean - closed))),
        "logit": {"probability": PROBABILITIES, "eta": coin.natural(PROBABILITIES)},
        "sigmoid": {"eta": grid, "mean": mean, "probit": links.probit.response(jnp.asarray(grid))},
        "code": CODE.format(probability=probability),
    }  # fmt: skip


CODE = """from jglm import families
eta = families.bernoulli.natural({probability!r})  # log(p / (1 - p))
back = families.bernoulli.mean(eta)  # a'(eta), the sigmoid"""
