"""Many data sets as arrays with a leading axis, and what their rows look like, each through a model of its own."""

import functools
import mmap
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm import rows
from jglm.model import Model

LARGEST = 1 << 26  # numbers: above this many the products of the columns of a shared X are not kept


@dataclass
class Stack:
    """m data sets for one family and link, NumPy arrays.

    Attributes:
        X: (n, p) of all, or (m, n, p), anything that slices like NumPy (such as a memory map); `constant` puts a column
            of ones in front.
        y: (m, n), or (m, n, q); weight, size, power (see `rows.describe`): (n,) of all, or (m, n); offset: (n,) of all,
            (m, n), or (m, n, k) for k columns of lin.
        used: None or (m, p): which columns (with the constant) a model has; the others have coefficient 0.
        params: {name: (m,)} parameters of the family that differ; strength: (m,) of the penalty, or None.
        start: (m, p) or (m, p, k) coefficients to begin at, or None.
        check: called with (X (b, n, p), models) of what was read of a stacked X, to refuse it.
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray
    offset: np.ndarray
    size: np.ndarray
    power: np.ndarray
    constant: bool = False
    used: np.ndarray | None = None
    params: dict = field(default_factory=dict)
    strength: np.ndarray | None = None
    start: np.ndarray | None = None
    check: Any = None

    @classmethod
    def plain(cls, X, y, weight=None, offset=None, **others):
        """The stack of y (m, n), with weights and offsets (n,) or (m, n), 1 and 0 where there are none."""
        ones, n = np.ones(y.shape[1]), y.shape[1]
        weight = ones if weight is None else weight
        others = {"size": ones, "power": weight} | others
        return cls(X, y, weight, np.zeros(n) if offset is None else offset, **others)

    @property
    def count(self):
        return len(self.y)

    @property
    def shape(self):
        """(n, p), with the constant."""
        return self.y.shape[1], self.X.shape[-1] + self.constant

    @property
    def shared(self):
        return self.X.ndim == 2

    def design(self, models, room=None):
        """X of those models: (n, p) where it is shared, else (b, n, p), in `room` (an array (b', n, p) with b' >= b)
        where that is given."""
        if self.shared:
            return self._whole
        part = gather(self.X, models)
        out = np.empty((len(models), *self.shape)) if room is None else room[: len(models)]
        out[:, :, int(self.constant) :] = part
        if self.constant:
            out[:, :, 0] = 1.0
        _let_go(self.X)
        if self.check is not None:
            self.check(out, models)
        return out

    @functools.cached_property
    def _whole(self):
        X = np.asarray(self.X, np.float64)
        return np.concatenate([np.ones((len(X), 1)), X], axis=1) if self.constant else np.ascontiguousarray(X)

    @functools.cached_property
    def products(self):
        """(n, p (p + 1) / 2): the products of every two columns of a shared X, with which all X'WX are one product;
        None where they are too many."""
        n, p = self.shape
        if not self.shared or n * p * (p + 1) // 2 > LARGEST:
            return None
        i, j = np.triu_indices(p)
        return self._whole[:, i] * self._whole[:, j]

    def of(self, name, models):
        """A field (b, n) or (b, n, ...) of those models."""
        v = getattr(self, name)
        return np.broadcast_to(v, (len(models), *v.shape)) if v.ndim == 1 else v[models]


def gather(X, models):
    """X[models] of an array; one slice where the models follow one another, which a memory map reads in one go."""
    first, last = int(models[0]), int(models[-1]) + 1
    return X[first:last] if last - first == len(models) else X[models]


def _let_go(X):
    """Tell the system that the pages read of a memory map are not needed; they stay in the file and its cache."""
    while isinstance(X, np.memmap):
        mapped = getattr(X, "_mmap", None)
        # Of a copy-on-write map the pages are all that there is of what was written.
        if mapped is not None and X.mode in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
            return
        X = X.base


# --------------------------------------------------------------------------- rows, each of a model of its own
# In all of them y, w (0: the row is not there), size, `own` {parameter: value} and lin (rows, K) belong to the rows.
def of_row(model, own):
    """The model with a row's own parameters of the family."""
    if not own:
        return model
    return Model(model.family.replace(params={**model.family.params, **own}), model.link, None)


def _lin(model, on, v):
    """lin of a row, () or (k,), a safe one where the row is not there."""
    scalar = model.width() is None
    safe = rows.safe_lin(model, v.dtype)
    return jnp.where(on, v[0] if scalar else v[: model.width()], safe)


def sums(model, y, w, size, lin, own, kind):
    """(loss, score (K,), information (K, K), Pearson's, expected information) of the rows times w, by `kind`:

    "newton": the observed information, and the expected one;
    "fisher": the expected one alone, for a canonical link, where it is the observed one too;
    "end": as "fisher", without the loss;
    "joint": as "newton", where lin has the free parameters besides.
    Pearson's is 0 where the dispersion is fixed, and jointly.
    """
    on = w > 0

    def one(y, size, v, own, on):
        here, k, none = of_row(model, own), len(v), jnp.zeros((), v.dtype)
        if kind == "joint":
            value, score, observed, expected = rows.joint_row(here, y, size, v)
            return value, score, observed, none, expected
        v, t = _lin(here, on, v), here.family.statistic(y)
        value, score, observed, expected = rows.row(here, t, v)
        value = jnp.where(here.family.inside(here.link.eta(here.family, v)), value, jnp.nan)
        estimated = v.ndim == 0 and model.family.dispersion == "estimated"
        chi2 = rows.pearson(here, t, v) if estimated else none
        score, expected = score.reshape(k), expected.reshape(k, k)
        if kind == "newton":
            return value, score, observed.reshape(k, k), chi2, expected
        return none if kind == "end" else value, score, expected, chi2, none

    return _weighted(w, on, jax.vmap(one)(y, size, lin, own, on))


def values(model, y, w, size, lin, own, joint):
    """The loss of the rows times w."""
    on = w > 0

    def one(y, size, v, own, on):
        here = of_row(model, own)
        if joint:
            return rows.joint_loss(here, y, size, v)
        return rows.row(here, here.family.statistic(y), _lin(here, on, v), False)

    return _weighted(w, on, jax.vmap(one)(y, size, lin, own, on))


def starts(model, y, w, offset, mean, blend, own):
    """(push (K,), expected (K, K)) of the rows times w: the loss expanded about coef = 0 from means that lie the share
    `blend` of the way from the `mean` of T(y) to T(y), as `rows.starting_rows` has it."""
    on = w > 0

    def one(y, offset, mean, blend, own, on):
        here, k = of_row(model, own), len(offset)
        t = jnp.where(on, here.family.statistic(y), mean)
        mean = 0.999 * mean + 0.001 * jax.grad(here.family.a)(here.family.center(t.dtype))
        mu = mean
        if here.family.T_ is None:
            mu, t = mean + blend * (t - mean), mean + 2 * blend * (t - mean)
        lin = here.link.linear(here.family, mu)
        _, score, _, expected = rows.row(here, t, lin)
        score, expected, own_lin = score.reshape(k), expected.reshape(k, k), lin.reshape(k) - offset
        return score - expected @ own_lin, expected

    return _weighted(w, on, jax.vmap(one)(y, offset, mean, blend, own, on))


def statistics(model, y, w):
    """T(y) of the rows times w."""
    return _weighted(w, w > 0, jax.vmap(model.family.statistic)(y))


def ends(model, y, w, size, lin, own, free, careful):
    """(unit deviance, the size of its terms, Pearson's) of the rows; `free` {name: value} of parameters that eta takes
    besides lin. The deviance is -2 log density where T(y) is not y."""
    on = w > 0

    def one(y, size, v, own, free, on):
        here = of_row(model, own)
        family, v = here.family, _lin(here, on, v)
        eta = rows.eta_of(here, v, free)
        mu, variance = rows.moments(family, eta)
        none = jnp.zeros((), eta.dtype)
        if family.T_ is not None:
            unit = -2 * family.log_prob_one(y, eta, 1.0 / size) / size if family.has_density else none + jnp.nan
            terms = none
        elif careful:
            unit, terms = family.deviance_one(y, eta), none
        else:
            unit, terms, _ = family.plain_deviance_one(y, eta)
        known = v.ndim == 0 and jnp.ndim(mu) == 0 and (family.T_ is None or family.moments_ is not None)
        return unit, terms, (y - mu) ** 2 / variance if known else none + jnp.nan

    return tuple(rows.mask(on, v, 0.0) for v in jax.vmap(one)(y, size, lin, own, free, on))


def densities(model, y, w, size, phi, unit, lin, own, free):
    """log density of the rows at phi / size."""
    on = w > 0

    def one(y, size, phi, unit, v, own, free, on):
        here = of_row(model, own)
        eta = rows.eta_of(here, _lin(here, on, v), free)
        return here.family.log_prob_one(y, eta, phi / size, unit=unit if here.family.T_ is None else None)

    return jnp.where(on, jax.vmap(one)(y, size, phi, unit, lin, own, free, on), 0.0)


def _weighted(w, on, found):
    if not isinstance(found, tuple):
        return rows.mask(on, rows.scale(w, found), 0.0)
    return tuple(rows.mask(on, rows.scale(w, v), 0.0) for v in found)
