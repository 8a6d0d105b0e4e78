"""Penalties on the coefficients, added once to the sum objective; the intercept carries a 0 in `weights`."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from jglm._record import record, strong


@record(static=("scale",))
class Ridge:
    """strength / 2 · sum_j weights_j coef_j^2, a smooth penalty.

    `weights` (p,) are per column of the design, None for 1 each; `scale` "mean" multiplies the strength by the sum of
    the weights of the data, so that the objective is on glmnet's and glum's scale.
    """

    strength: Any
    weights: Any
    scale: str

    def value(self, coef):
        """The penalty at coef (p,) or (p, k)."""
        weights = jnp.asarray(self.weights, coef.dtype)
        weights = weights if coef.ndim == 1 else weights[:, None]
        return 0.5 * jnp.asarray(self.strength, coef.dtype) * jnp.sum(weights * coef**2)


def ridge(strength, weights=None, scale="sum"):
    """strength / 2 · |coef|^2 added to the sum of the losses.

    Args:
        strength: >= 0.
        weights: (p,) without the intercept, multiplying each column's share.
        scale: "sum", or "mean": the strength times sum w, as glmnet and glum scale it.

    Raises ValueError for a negative or non-finite strength or weight.
    """
    return Ridge(_strength("ridge", strength), _weights("ridge", weights), _scale("ridge", scale))


def bind(penalty, columns, intercept, total_weight):
    """The penalty with a weight for every column of the design, 0 for the intercept, and its strength on the sum."""
    free = columns - intercept
    weights = np.ones(free) if penalty.weights is None else np.asarray(penalty.weights, float)
    if weights.shape != (free,):
        raise ValueError(f"the penalty has {weights.size} weights for {free} columns besides the intercept")
    strength = penalty.strength * total_weight if penalty.scale == "mean" else penalty.strength
    weights = np.concatenate([np.zeros(intercept), weights])
    return dataclasses.replace(penalty, strength=strength, weights=weights, scale="sum")


def _strength(name, s):
    s = strong(s)
    if s.ndim or not np.isfinite(s) or s < 0:
        raise ValueError(f"{name}: the strength is {s!s}; it must be a finite number >= 0")
    return s


def _weights(name, weights):
    if weights is None:
        return None
    weights = np.asarray(weights, float)
    if weights.ndim != 1 or not np.all(np.isfinite(weights)) or np.any(weights < 0):
        raise ValueError(f"{name}: weights must be finite, >= 0 and one per column")
    return weights


def _scale(name, scale):
    if scale not in ("sum", "mean"):
        raise ValueError(f"{name}: scale is {scale!r}; it must be 'sum' or 'mean'")
    return scale
