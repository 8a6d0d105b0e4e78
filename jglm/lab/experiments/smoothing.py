"""Label smoothing is another y: soft labels, the same loss a(eta) - y·eta, the same gradient h - y."""

import jax
import numpy as np

from jglm import families
from jglm.lab import curves, reading

CLASSES = ("car", "plane", "boat", "horse")
SOFTMAX = families.categorical(len(CLASSES), reference=None)
LEADS = np.linspace(-2, 10, curves.COUNT)


def compute(request):
    """Soft label, prediction, loss and gradient of one observation; the loss as the true class pulls ahead."""
    scores = np.array(reading.numbers(request, "scores", [3.0, -0.3, -0.8, -2.0], 4, -6, 10))
    label = reading.whole(request, "label", 0, 0, len(CLASSES) - 1)
    smoothing = reading.number(request, "smoothing", 0.1, 0, 0.9)
    hard = np.eye(len(CLASSES))[label]
    y = smoothing / len(CLASSES) + (1 - smoothing) * hard
    loss, gradient, h = _looked(y, scores)
    ahead = np.outer(LEADS, hard)
    best = float(np.log(y[label] / y[label - 1])) if smoothing else None
    return {
        "classes": CLASSES, "label": label, "y": y, "h": h, "scores": scores, "loss": loss, "gradient": gradient,
        "entropy": -np.sum(y[y > 0] * np.log(y[y > 0])), "hard": _looked(hard, scores)[0], "best": best,
        "curve": {"lead": LEADS, "soft": _losses(y, ahead), "hard": _losses(hard, ahead)},
        "code": CODE.format(y=np.round(y, 6).tolist(), scores=scores.tolist()),
    }  # fmt: skip


@jax.jit
def _looked(y, scores):
    """(loss, gradient, means) at one vector of scores."""
    return (*jax.value_and_grad(lambda eta: SOFTMAX.loss(y, eta))(scores), SOFTMAX.mean(scores))


@jax.jit
def _losses(y, scores):
    return jax.vmap(lambda eta: SOFTMAX.loss(y, eta))(scores)


CODE = """import jax, jax.numpy as jnp, jglm
softmax = jglm.families.categorical(4, reference=None)
y, scores = jnp.array({y}), jnp.array({scores})
h, loss = softmax.mean(scores), softmax.loss(y, scores)
gradient = jax.grad(lambda eta: softmax.loss(y, eta))(scores)  # h - y"""
