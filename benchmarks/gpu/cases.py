"""Data made on the device, and the judge of every fit of them: objective and gradient in float64, block by block."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jglm
from jglm import Data, Dense, Model
from jglm.designs import WithConstant

BLOCK = 1 << 24  # numbers of X that are made or judged at once
SHARE = 0.6  # of the device's memory that X may take


@dataclass(frozen=True)
class Family:
    """A family with its canonical link; loss, mean and variance of rows at lin by `xp`, NumPy or one like it."""

    family: Any
    link: Any
    loss: Callable
    mean: Callable
    variance: Callable
    draw: Callable


def expit(xp, lin):
    return 1 / (1 + xp.exp(-lin))


FAMILIES = {
    "bernoulli": Family(
        jglm.families.bernoulli, jglm.links.logit,
        lambda xp, y, lin: xp.logaddexp(lin, 0 * lin) - y * lin, expit,
        lambda xp, lin: expit(xp, lin) * expit(xp, -lin),
        lambda key, lin: jax.random.bernoulli(key, jax.nn.sigmoid(lin)),
    ),
    "poisson": Family(
        jglm.families.poisson, jglm.links.log,
        lambda xp, y, lin: xp.exp(lin) - y * lin, lambda xp, lin: xp.exp(lin), lambda xp, lin: xp.exp(lin),
        lambda key, lin: jax.random.poisson(key, jnp.exp(lin)),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Data to fit: X (n, p) on the device without a column of ones, and y (n,) in float64."""

    name: str
    X: Any
    y: Any

    @property
    def family(self):
        return FAMILIES[self.name]

    @property
    def shape(self):
        return self.X.shape

    @property
    def dtype(self):
        return str(self.X.dtype)

    @property
    def model(self):
        return Model(self.family.family, self.family.link, None)

    @cached_property
    def data(self):
        """What the pure functions take."""
        n = len(self.y)
        return jax.block_until_ready(Data(WithConstant(Dense(self.X)), self.y, jnp.ones(n), jnp.zeros(n)))

    @cached_property
    def host(self):
        """X and y in NumPy, each with memory of its own."""
        return np.array(self.X), np.array(self.y)


def views(*arrays):
    """The same buffers as new arrays: one that was read by the host keeps the copy, and reads it no second time."""
    return tuple(a.addressable_data(0) for a in arrays)


def copied_to_host(view):
    """Whether the host has read a view; None on a device whose memory is the host's."""
    if jax.devices()[0].platform == "cpu":
        return None
    return getattr(view, "_npy_value", None) is not None


# ---------------------------------------------------------------------------- making them
def largest(p, dtype, memory):
    """The most rows of which X takes no more than its share of the memory, in two digits."""
    rows = int(SHARE * memory / (p * np.dtype(dtype).itemsize))
    unit = 10 ** max(len(str(rows)) - 2, 0)
    return rows // unit * unit


def make(n, p, dtype, names=tuple(FAMILIES), seed=0):
    """Cases with the same X, of which columns are correlated and of unequal scale; the spread of lin is about 1."""
    X, y = jnp.zeros((n, p), dtype), {name: jnp.zeros(n) for name in names}
    rows = min(n, max(BLOCK // p, 1))
    for i in range(0, n, rows):
        # The last block covers some rows of the one before, so that all have one size.
        at = min(i, n - rows)
        X, y = _fill(X, y, jax.random.fold_in(jax.random.key(seed), i), at, rows)
    jax.block_until_ready((X, y))
    return [Case(name, X, y[name]) for name in names]


def coefficients(p):
    """(constant, slopes, scale of the columns)"""
    scale = jnp.geomspace(0.5, 2.0, p)
    return -0.5, jnp.where(jnp.arange(p) % 2 == 0, 0.8, -0.5) / (scale * jnp.sqrt(p)), scale


@partial(jax.jit, static_argnums=4, donate_argnums=(0, 1))
def _fill(X, y, key, at, rows):
    """X and y with rows at, …, at + rows - 1 drawn."""
    ours, common, *rest = jax.random.split(key, 2 + len(y))
    p = X.shape[1]
    constant, slopes, scale = coefficients(p)
    part = jax.random.normal(ours, (rows, p), X.dtype) + 0.7 * jax.random.normal(common, (rows, 1), X.dtype)
    part = part * scale.astype(X.dtype)[None, :]
    lin = constant + part.astype(slopes.dtype) @ slopes
    drawn = {}
    for own, name in zip(rest, sorted(y), strict=True):
        values = FAMILIES[name].draw(own, lin).astype(y[name].dtype)
        drawn[name] = lax.dynamic_update_slice_in_dim(y[name], values, at, 0)
    return lax.dynamic_update_slice_in_dim(X, part, at, 0), drawn


# ---------------------------------------------------------------------------- judging fits
def judge(case, coef):
    """(mean loss, max |gradient| / n) at coefficients, the constant's first."""
    coef = np.asarray(coef, np.float64)
    n, p = case.shape
    rows, value, gradient = max(BLOCK // p, 1), 0.0, np.zeros(p + 1)
    for at in range(0, n, rows):
        part = _judged(case.name, case.X, case.y, coef, at, min(rows, n - at))
        value, gradient = value + float(part[0]), gradient + np.asarray(part[1])
    return value / n, float(np.max(np.abs(gradient))) / n


@partial(jax.jit, static_argnums=(0, 5))
def _judged(name, X, y, coef, at, rows):
    family = FAMILIES[name]
    part = lax.dynamic_slice_in_dim(X, at, rows).astype(coef.dtype)
    y = lax.dynamic_slice_in_dim(y, at, rows)
    lin = coef[0] + part @ coef[1:]
    error = family.mean(jnp, lin) - y
    return jnp.sum(family.loss(jnp, y, lin)), jnp.concatenate([jnp.sum(error)[None], error @ part])
