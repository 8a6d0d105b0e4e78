"""y is -1 or 1: a(eta) = log(e^eta + e^-eta), and the loss depends on the margin y eta alone."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import families
from jglm.family import Family
from jglm.lab import curves, reading

TEXT = "log(exp(eta) + exp(-eta))"
SIGNS = Family.parse(TEXT, name="signs")
MARGINS = np.linspace(-3, 3, curves.COUNT)


def compute(request):
    """Loss, its slope and the chance of y at one score; the loss as a curve in the margin."""
    score = reading.number(request, "score", 0.8, -3, 3)
    y = float(reading.choice(request, "y", "1", ("-1", "1")))
    loss, slope, mean = _looked(y, score)
    return {
        "score": score, "y": y, "margin": y * score, "loss": loss,
        "closed": np.log1p(np.exp(-2 * y * score)), "mean": mean, "slope": slope,
        "chance": np.exp(SIGNS.log_prob(y, score)), "twice": families.bernoulli.mean(2 * score),
        "curve": {"margin": MARGINS, "loss": _losses(MARGINS)},
        "code": CODE.format(score=score, y=y),
    }  # fmt: skip


CODE = f"""import jglm
signs = jglm.Family.parse({TEXT!r})
loss, mean = signs.loss({{y!r}}, {{score!r}}), signs.mean({{score!r}})
chance = jglm.families.bernoulli.mean(2 * {{score!r}})  # of y = 1: the same model, twice the score"""


@jax.jit
def _looked(y, eta):
    """(loss, its slope in eta, mean)."""
    return (*jax.value_and_grad(lambda eta: SIGNS.loss(y, eta))(eta), SIGNS.mean(eta))


@jax.jit
def _losses(margins):
    return SIGNS.loss(jnp.ones_like(margins), margins)
