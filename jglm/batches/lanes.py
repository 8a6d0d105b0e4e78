"""One pass over some of many data sets: sums of all models at once, by BLAS on a CPU, else compiled as a whole."""

import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record
from jglm.batches import stacked
from jglm.designs.placement import aligned
from jglm.fitting.padding import bind
from jglm.model import Model

ROWS = 32768  # on a CPU, of all models of a chunk: one compiled program serves every number of rows and of models
EPS = float(np.finfo(float).eps)


@record
class Sums:
    """What a pass tells of b models: as `model.Info`, with a leading axis."""

    value: Any
    grad: Any
    hess: Any
    chi2: Any
    noise: Any
    fisher: Any = None


@record
class Ends:
    """What is told of b models where they end: the information of the unknowns (the expected one of the coefficients,
    or, where the mean's map takes free parameters, the observed one of all), the gradient, Pearson's statistic, and
    how far a given move moves a row's lin."""

    info: Any
    grad: Any
    chi2: Any
    noise: Any
    moved: Any


@record
class Totals:
    """Sums over the rows of b models: the deviance, its terms' size, Pearson's statistic and the log-likelihood (NaN
    without a closed density)."""

    deviance: Any
    terms: Any
    chi2: Any
    llf: Any


@record(static=("host", "canonical"))
class Lanes:
    """b models of a `stacked.Stack`, whose rows stand one after another; on the host rows of weight 0 follow.

    X (n, p) or (b, n, p); Z the products of its columns, (n, q) or (b, q, n), or None; y, w, size, power
    (b n + fill, ...); own {parameter: (b n + fill,)}; offset (b, n, k); used None or (b, P), 0 for unknowns that a
    model does not have; penalty None or (b, P, P), its Hessian in the flat unknowns.
    """

    model: Model
    X: Any
    Z: Any
    y: Any
    w: Any
    offset: Any
    size: Any
    power: Any
    own: dict
    used: Any
    penalty: Any
    host: bool
    canonical: bool

    # ------------------------------------------------------------------ shapes
    @property
    def shape(self):
        """(models, rows of each, columns of X, columns of lin)."""
        return *self.offset.shape[:2], self.X.shape[-1], self.offset.shape[2]

    @property
    def unknowns(self):
        """How many there are of each model: coefficients class by class, then free parameters by name."""
        _, _, p, k = self.shape
        return p * k + free_size(self.model.family)

    @property
    def _xp(self) -> Any:
        return np if self.host else jnp

    def per_model(self, v):
        """(b, n, ...) of an array over the rows."""
        b, n, _, _ = self.shape
        return v[: b * n].reshape(b, n, *v.shape[1:])

    def per_row(self, v):
        """An array over the rows of one over the models, (b, ...) or (b, n, ...) with `rows` of each."""
        _, n, _, _ = self.shape
        return behind(self._xp, self._xp.repeat(v, n, axis=0), len(self.w))

    @property
    def nobs(self):
        """(b,): rows of positive weight."""
        return self.per_model(self.w > 0).sum(axis=1)

    def _over_rows(self, function, args, *static):
        """function(model, *args, *static) of arrays over the rows: on the host in pieces of one size, compiled."""
        if not self.host:
            return function(self.model, *args, *static)
        ready, total = bind(function, self.model, *static), len(self.w)
        step = min(ROWS, total)
        cut = lambda i: jax.tree.map(lambda v: v[i : i + step], args)
        parts = [ready(*cut(i)) for i in range(0, total, step)]
        if len(parts) == 1:
            return jax.tree.map(np.asarray, parts[0])
        return jax.tree.map(lambda *v: np.concatenate(v), *parts)

    # ------------------------------------------------------------------ products
    def _matvec(self, coef):
        """X coef, (b, k, p) -> (b, n, k)."""
        b, n, p, k = self.shape
        if self.X.ndim == 3:
            return self.X @ coef.swapaxes(1, 2)
        if b == 1:
            return (self.X @ coef[0].T)[None]
        return (coef.reshape(b * k, p) @ self.X.T).reshape(b, k, n).swapaxes(1, 2)

    def _rmatvec(self, r):
        """X'r, (b, n, k) -> (b, k, p)."""
        b, n, p, k = *self.shape[:3], r.shape[2]
        if self.X.ndim == 3:
            return r.swapaxes(1, 2) @ self.X
        return (r.swapaxes(1, 2).reshape(b * k, n) @ self.X).reshape(b, k, p)

    def _gram(self, w):
        """X' diag(w) X, (b, n) -> (b, p, p)."""
        if self.Z is not None:
            p = self.X.shape[-1]
            i, j = np.triu_indices(p)
            at = np.zeros((p, p), int)
            at[i, j] = at[j, i] = np.arange(len(i))
            sums = w @ self.Z if self.Z.ndim == 2 else (self.Z @ w[:, :, None])[:, :, 0]
            return sums[:, at]
        if self.X.ndim == 2 and len(w) == 1:  # compiled, a product of matrices is quicker than a batch of one
            return ((self.X * w[0][:, None]).T @ self.X)[None]
        X = self.X if self.X.ndim == 3 else self.X[None]
        if self.host and np.all(w >= 0):
            A = np.multiply(X, np.sqrt(w)[:, :, None], out=room("gram", (len(w), *X.shape[1:])))
            return A.swapaxes(1, 2) @ A  # BLAS sees that it is symmetric and does half the work
        return (X * w[:, :, None]).swapaxes(1, 2) @ X

    def lin(self, point):
        """(b, n, K) at flat unknowns (b, P): columns of lin with the offset, then free parameters."""
        b, n, p, k = self.shape
        lin = self._matvec(point[:, : k * p].reshape(b, k, p)) + self.offset
        if point.shape[1] == k * p:
            return lin
        free = self._xp.broadcast_to(point[:, None, k * p :], (b, n, point.shape[1] - k * p))
        return self._xp.concatenate([lin, free], axis=2)

    def gradient(self, score):
        """The gradient (b, P) of scores (b, n, K), which are weighted."""
        b, _, p, k = self.shape
        coef = self._rmatvec(score[:, :, :k]).reshape(b, k * p)
        return coef if score.shape[2] == k else self._xp.concatenate([coef, score[:, :, k:].sum(axis=1)], axis=1)

    def hessian(self, W):
        """The Hessian (b, P, P) of that in lin, W (b, n, K, K), which is weighted."""
        k, K = self.shape[3], W.shape[2]
        blocks: list[list[Any]] = [[None] * K for _ in range(K)]
        for i in range(K):
            for j in range(i, K):
                w = W[:, :, i, j]
                if j < k:
                    blocks[i][j] = self._gram(w)
                else:
                    blocks[i][j] = (
                        self._rmatvec(w[:, :, None]).swapaxes(1, 2) if i < k else w.sum(axis=1)[:, None, None]
                    )
                blocks[j][i] = blocks[i][j].swapaxes(1, 2)
        if K == 1:
            return blocks[0][0]
        return self._xp.concatenate([self._xp.concatenate(row, axis=2) for row in blocks], axis=1)

    # ------------------------------------------------------------------ passes
    def _rows_at(self, point):
        """The arguments of the functions of rows at flat unknowns, and lin without the offset."""
        lin = self.lin(point)
        own = lin[:, :, : self.shape[3]] - self.offset
        flat = behind(self._xp, lin.reshape(-1, lin.shape[2]), len(self.w))
        return (self.y, self.w, self.size, flat, self.own), self._xp.concatenate([own, lin[:, :, own.shape[2] :]], 2)

    def look(self, point):
        """Sums at flat unknowns (b, P), the penalty included."""
        family = self.model.family
        kind = "joint" if family.free else "fisher" if family.dim is not None or self.canonical else "newton"
        args, own = self._rows_at(point)
        loss, score, observed, chi2, expected = map(self.per_model, self._over_rows(stacked.sums, args, kind))
        noise = self._noise(own, observed if kind == "fisher" else expected)
        plain, fisher = self.hessian(observed), None
        value, grad, hess = self._penalized(point, loss.sum(axis=1), self.gradient(score), plain)
        if kind == "joint":
            fisher = self.hessian(expected)
        elif kind == "newton":  # row by row the observed information where it is positive
            instead = lambda: self.hessian(self._xp.where(observed > 0, observed, expected))
            positive = self._xp.all(observed >= 0)
            if not self.host:
                fisher = lax.cond(positive, lambda: plain, instead)
            elif not positive:
                fisher = instead()
        if fisher is not None:
            fisher = self._penalized(point, value, grad, fisher)[2]
        return Sums(value, grad, hess, chi2.sum(axis=1), noise, fisher)

    def _noise(self, own, W):
        """What rounding amounts to: eps^2 times the squared length of lin in the metric of W (b, n, K, K)."""
        if own.shape[2] == 1:
            return EPS**2 * self._xp.einsum("bn,bn,bn->b", own[:, :, 0], self._xp.abs(W[:, :, 0, 0]), own[:, :, 0])
        return EPS**2 * self._xp.einsum("bni,bnij,bnj->b", own, self._xp.abs(W), own)

    def value(self, point):
        """The objective at flat unknowns."""
        loss = self._over_rows(stacked.values, self._rows_at(point)[0], bool(self.model.family.free))
        return self.per_model(loss).sum(axis=1)

    def _penalized(self, point, value, grad, hess):
        if self.penalty is not None:
            push = (self.penalty @ point[:, :, None])[:, :, 0]
            value, grad, hess = value + 0.5 * (point * push).sum(axis=1), grad + push, hess + self.penalty
        if self.used is not None:
            grad, hess = grad * self.used, hess * self.used[:, :, None] * self.used[:, None, :]
        return value, grad, hess

    def begin(self, blend):
        """(grad, hess) at coefficients 0 of the loss expanded about rows at their own start, with blend (b,)."""
        if self.model.family.T_ is None:
            t = self._xp.where((self.w > 0).reshape(-1, *(1,) * (self.y.ndim - 1)), self.y, 0.0)
            t = self.w.reshape(-1, *(1,) * (t.ndim - 1)) * t
        else:
            t = self._over_rows(stacked.statistics, (self.y, self.w))
        total = self.per_model(self.w).sum(axis=1)
        mean = self.per_model(t).sum(axis=1)
        mean = mean / self._xp.where(total > 0, total, 1.0).reshape(-1, *(1,) * (mean.ndim - 1))
        offset = behind(self._xp, self.offset.reshape(-1, self.offset.shape[2]), len(self.w))
        args = self.y, self.w, offset, self.per_row(mean), self.per_row(blend), self.own
        push, expected = map(self.per_model, self._over_rows(stacked.starts, args))
        point = self._xp.zeros((self.shape[0], self.unknowns))
        return self._penalized(point, total, self.gradient(push), self.hessian(expected))[1:]

    def finish(self, point, move):
        """Ends at flat unknowns; `move` as they are."""
        b, _, p, k = self.shape
        here, free, _ = self._apart(point)
        if free or (self.model.family.free and self.model.link.inverse_ is None):
            sums = self.look(point)  # the mean is not orthogonal to the free parameters
            info, grad, chi2, noise = sums.hess, sums.grad, sums.chi2, sums.noise
        else:
            args, own = here._rows_at(point[:, : k * p])
            _, score, expected, chi2, _ = map(self.per_model, here._over_rows(stacked.sums, args, "end"))
            noise, chi2 = self._noise(own, expected), chi2.sum(axis=1)
            _, grad, info = here._penalized(point[:, : k * p], chi2, here.gradient(score), here.hessian(expected))
        there = self.per_model(self.w > 0)[:, :, None]
        move = self._matvec(move[:, : k * p].reshape(b, k, p))
        moved = self._xp.where(there, self._xp.abs(move), 0.0).max(axis=(1, 2))
        return Ends(info, grad, chi2, noise, moved)

    def totals(self, point, careful=False):
        """Totals at flat unknowns; `careful` is the form of the deviance where the plain difference would cancel."""
        _, _, p, k = self.shape
        xp, family, w = self._xp, self.model.family, self.w
        here, free, phi = self._apart(point)
        (y, _, size, lin, own), _ = here._rows_at(point[:, : k * p])
        unit, terms, chi2 = here._over_rows(stacked.ends, (y, w, size, lin, own, free), careful)
        total = lambda weight, v: self.per_model(xp.where(w > 0, weight * v, 0.0)).sum(axis=1)
        deviance = total(w if family.T_ is None else self.power, unit)
        llf = xp.full_like(deviance, xp.nan)
        plugged = family.dispersion == "fixed" or family.plug_in == "deviance"
        if family.has_density and (plugged or phi is not None):
            if phi is None:
                count = self.nobs if family.prior_weights == "dispersion" else total(1.0, self.power)
                phi = deviance / count if family.dispersion == "estimated" else xp.ones_like(deviance)
            args = y, w, size, self.per_row(phi), unit, lin, own, free
            llf = total(self.power, here._over_rows(stacked.densities, args))
        return Totals(deviance, total(w, terms), total(w, chi2), llf)

    def _apart(self, point):
        """(the same with the free parameters at their values in the family, those that eta takes besides lin by row,
        phi (b,) where that is one of them)."""
        _, _, p, k = self.shape
        family, values = self.model.family, free_values(self.model.family, point[:, k * p :])
        fixed = Model(family.replace(free=()), self.model.link, None)
        if family.parametrize_ is not None:
            return vary(self, model=fixed), {name: self.per_row(v) for name, v in values.items()}, None
        phi = values.pop("phi", None)
        own = {**self.own, **{name: self.per_row(v) for name, v in values.items()}}
        return vary(self, model=fixed, own=own).without_free(), {}, phi

    def without_free(self):
        """The same without the free parameters."""
        keep = self.shape[2] * self.shape[3]
        used = None if self.used is None else self.used[:, :keep]
        return vary(self, used=used, penalty=None if self.penalty is None else self.penalty[:, :keep, :keep])


_rooms = threading.local()


def room(name, shape):
    """An array of a thread's own, the same again and again: the first touch of new memory costs more than its use. JAX
    reads it where it lies."""
    size, kept = int(np.prod(shape)), getattr(_rooms, name, None)
    if kept is None or kept.size < size or kept.size > 4 * size + 1024:
        kept = aligned((size,), float)
        setattr(_rooms, name, kept)
    return kept[:size].reshape(shape)


def vary(lanes, **changes):
    return Lanes(**{**vars(lanes), **changes})


def lanes_of(model, stack, models, penalty, host, canonical=None):
    """Those models (indices) of the stack; `penalty` (P, P) is the Hessian at strength 1, or None."""
    b, n = len(models), stack.shape[0]
    width = model.width() or 1
    rows = padded(b * n) if host else b * n
    flat = lambda name: behind(np, (v := stack.of(name, models)).reshape(b * n, *v.shape[2:]), rows)
    weight = stack.of("weight", models).reshape(-1)
    offset = stack.of("offset", models).reshape(b, n, -1)
    if penalty is not None:
        strength = np.ones(b) if stack.strength is None else stack.strength[models]
        penalty = strength[:, None, None] * penalty
    used = None if stack.used is None else used_of(model, stack, models)
    X = stack.design(models, room("design", (b, *stack.shape)) if host and not stack.shared else None)
    own = {k: behind(np, np.repeat(v[models], n), rows) for k, v in stack.params.items()}
    return Lanes(
        Model(model.family, model.link, None), X, stack.products, flat("y"),
        np.append(weight, np.zeros(rows - b * n)), np.broadcast_to(offset, (b, n, width)), flat("size"), flat("power"),
        own, used, penalty, host, is_canonical(model) if canonical is None else canonical,
    )  # fmt: skip


def used_of(model, stack, models):
    """(b, P): 1 for the unknowns that those models have, 0 for the others."""
    ones = np.ones((len(models), free_size(model.family)))
    return np.concatenate([np.tile(stack.used[models], model.width() or 1), ones], axis=1)


def is_canonical(model):
    """Whether lin is the natural parameter itself, so that the observed information is the expected one."""
    if model.family.parametrize_ is not None or model.width() is not None:
        return False
    return not jax.make_jaxpr(lambda v: model.link.eta(model.family, v))(0.0).eqns


def padded(rows):
    """The number of rows that so many are padded to: a power of two, or a multiple of ROWS."""
    return -(-rows // ROWS) * ROWS if rows > ROWS else 1 << max(8, (rows - 1).bit_length())


def behind(xp, v, rows):
    """v with copies of its first row behind, `rows` in all."""
    if len(v) == rows:
        return v
    return xp.concatenate([v, xp.broadcast_to(v[:1], (rows - len(v), *v.shape[1:]))])


def free_size(family):
    """How many unknowns the free parameters of a family are."""
    return sum(free.size for _, free in family.free)


def free_values(family, flat):
    """{name: (b,) or (b, s)} of flat free unknowns (b, q)."""
    out, at = {}, 0
    for name, free in family.free:
        own = flat[:, at : at + free.size]
        value = jax.vmap(free.value)(own if free.size > 1 else own[:, 0])
        out[name] = np.asarray(value) if isinstance(flat, np.ndarray) else value
        at += free.size
    return out
