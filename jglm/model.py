"""The heart: one pass over the data answers a query.

    Model = Family · Link · Penalty        Data = design, y, weights, offset
    evaluate(model, data, query) -> Info(value, grad, hess, hv, ...)

`Info` is additive over rows, so blocks of rows, devices and processes only ever exchange sums; the penalty, which is
not, is added by the solver's step. Per row the loss is l(lin) = a(eta(lin)) - T(y)·eta(lin); with the canonical link
its derivative is the error h - y, and the gradient x (h - y) for every family.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm import rows
from jglm._record import record
from jglm.designs import cross, gram_blocks
from jglm.family import Family
from jglm.links import Link
from jglm.penalties import is_smooth, smooth_part
from jglm.rows import mask, scale, whole
from jglm.terms import unbounded

VALUE, GRADIENT, HESSIAN, PRODUCT = "value", "gradient", "hessian", "product"


@record(static=("axis",))
class Data:
    """What is fitted: a design, y (n,) or (n, q), weight (n,) and offset, the shape of lin. A weight of 0 means that
    the row is not there, whatever stands in it.

    For families with free parameters besides: `size` (n,), by which a row's dispersion is divided (None for 1), and
    `designs` {name: (n, q)} of the parameters that are regressed; the others have a constant.

    `axis`: where the rows are a share of all, the axis of the mesh (see jax.shard_map) over which sums are taken too.
    """

    X: Any
    y: Any
    weight: Any
    offset: Any
    size: Any = None
    designs: dict | None = None
    axis: str | None = None


@record
class Model:
    """A family, a link and a penalty (or None)."""

    family: Family
    link: Link
    penalty: Any

    def width(self):
        """Columns of lin, None for a scalar family."""
        return self.link.width(self.family)

    def penalized(self, value, grad, unknowns):
        """The objective and its gradient: sums over rows plus the (smooth part of the) penalty."""
        if self.penalty is None:
            return value, grad
        extra, slope = jax.value_and_grad(lambda c: smooth_part(self.penalty, c))(unknowns.coef)
        return value + extra, grad + flatten(Unknowns(slope, zeros_like(unknowns.nuisance)))

    def curvature(self, unknowns):
        """The Hessian of the (smooth part of the) penalty in the flat unknowns, or None."""
        if self.penalty is None:
            return None
        value = lambda flat: smooth_part(self.penalty, unflatten(flat, unknowns).coef)
        return jax.hessian(value)(flatten(unknowns))

    def terms(self, unknowns):
        """The `Terms` of the penalty in the flat unknowns: what has no derivatives."""
        flat, coef = flatten(unknowns), unknowns.coef
        if self.penalty is None or is_smooth(self.penalty):
            return unbounded(jnp.zeros_like(flat))
        own = self.penalty.terms(coef.shape[0], self.width() or 1)
        return own.padded(flat.size - coef.size)


@record
class Unknowns:
    """What is estimated: coef (p,) or (p, k), and by name the free parameters of the family on their free scale:
    coefficients (q,) of its design, or (1,) without one; (s,) of an increasing one."""

    coef: Any
    nuisance: dict


@record
class Query:
    """Where to evaluate.

    `direction` (flat) is for a Hessian product, else None. `blend` > 0 asks for the start instead: the loss is then
    expanded about coef = 0 from rows with a start of their own (see `starting_rows`), so that a Newton step from 0 is
    the first IRLS step. None where no start is ever asked for.
    """

    point: Unknowns
    direction: Any = None
    blend: Any = None


@record
class Info:
    """Sums over rows: the loss, its gradient (flat), Hessian and Hessian product, as far as they were asked for.

    Where parameters are free, hess is the observed information and `fisher` stands in where that is not positive
    definite: the expected one as far as it is known. Else hess is positive semidefinite and fisher None.

    chi2 is Pearson's statistic, noise what rounding amounts to, (eps of the design)^2 times the squared length
    sum w V lin^2 of the fit in the metric of the Hessian, and count the rows of positive weight.
    """

    value: Any
    grad: Any
    hess: Any
    hv: Any
    chi2: Any
    noise: Any
    count: Any
    fisher: Any = None


def flatten(unknowns):
    """One vector: coef class by class (all columns of the first class first), then the nuisance parameters."""
    parts = [jnp.ravel(unknowns.coef.T), *(jnp.ravel(v) for _, v in sorted(unknowns.nuisance.items()))]
    return jnp.concatenate(parts) if len(parts) > 1 else parts[0]


def unflatten(flat, like):
    """The unknowns shaped as `like` from one vector."""
    shape = jnp.shape(like.coef)
    size = int(np.prod(shape))
    nuisance = {}
    at = size
    for name, v in sorted(like.nuisance.items()):
        nuisance[name] = flat[at : at + jnp.size(v)].reshape(jnp.shape(v))
        at += jnp.size(v)
    return Unknowns(flat[:size].reshape(shape[::-1]).T, nuisance)


def zeros_like(tree):
    return jax.tree.map(jnp.zeros_like, tree)


def evaluate(model, data, query, asks=HESSIAN):
    """Answer a query in one pass over the rows; parts that were not asked for are None.

    `asks` is "value", "gradient", "hessian" or "product" (gradient and Hessian times query.direction). The Hessian of
    a row is the observed one where it is positive, else the expected (Fisher) one; for a vector eta the expected.
    Rows of weight 0 give exactly nothing.
    """
    info = (_evaluate_jointly if model.family.free else _evaluate)(model, data, query, asks)
    return whole(info, data.axis)


def _evaluate(model, data, query, asks):
    coef, on = query.point.coef, data.weight > 0
    t = mask(on, rows.statistics(model, data.y), 1.0)
    w = jnp.where(on, data.weight, 0.0).astype(coef.dtype)
    t, lin = rows_of(model, data, query, t, w)
    lin = mask(on, lin, rows.safe_lin(model, coef.dtype))
    if asks == VALUE:
        value = jnp.sum(w * jax.vmap(lambda t, v: rows.row(model, t, v, False))(t, lin))
        return Info(value, None, None, None, None, None, None)
    total = lambda loss: jnp.where(jnp.all(rows.in_domain(model, lin)), jnp.sum(w * loss), jnp.nan)
    own = mask(on, lin - data.offset, 0.0)

    def chi2():
        if model.family.dispersion != "estimated" or lin.ndim > 1:
            return jnp.zeros((), coef.dtype)
        return jnp.sum(w * jax.vmap(lambda t, v: rows.pearson(model, t, v))(t, lin))

    if asks == GRADIENT and query.blend is None:
        loss, score, turn = rows.scores(model, t, lin, own)
        value, grad = total(loss), jnp.ravel(data.X.rmatvec(scale(w, score)).T)
        noise = data.X.eps**2 * jnp.sum(scale(w, jnp.abs(own * turn)))
        return Info(value, grad, None, None, chi2(), noise, jnp.sum(on))
    loss, score, observed, expected = jax.vmap(lambda t, v: rows.row(model, t, v))(t, lin)
    beginning = jnp.asarray(False) if query.blend is None else query.blend > 0
    bend = jnp.where((observed > 0) & ~beginning, observed, expected) if score.ndim == 1 else expected
    times = lambda v: bend * v if v.ndim == 1 else jnp.einsum("nij,nj->ni", bend, v)
    if query.blend is not None:
        score = jnp.where(beginning, score - times(own), score)
    grad = jnp.ravel(data.X.rmatvec(scale(w, score)).T)
    hess = hv = None
    if asks == HESSIAN:
        hess = data.X.gram(w * bend) if score.ndim == 1 else gram_blocks(data.X, scale(w, bend))
    elif asks == PRODUCT:
        along = data.X.matvec(unflatten(query.direction, query.point).coef)
        hv = jnp.ravel(data.X.rmatvec(scale(w, times(along))).T)
    noise = data.X.eps**2 * jnp.sum(scale(w, own * times(own)))
    return Info(total(loss), grad, hess, hv, chi2(), noise, jnp.sum(on))


def rows_of(model, data, query, t, w):
    """T(y) and lin of the rows: X coef + offset, or the rows' own start where the query asks for it."""
    here = lambda: (t, data.X.matvec(query.point.coef) + data.offset)
    if query.blend is None:
        return here()
    return lax.cond(query.blend > 0, lambda: rows.starting_rows(model, t, w, query.blend, data.axis), here)


# --------------------------------------------------------------------------- with free parameters
def _evaluate_jointly(model, data, query, asks):
    """The same where parameters of the family are free: each is a linear predictor more, beside the columns of lin."""
    point, on = query.point, data.weight > 0
    w = jnp.where(on, data.weight, 0.0).astype(point.coef.dtype)
    size = jnp.ones_like(w) if data.size is None else jnp.where(on, data.size, 1.0)
    y = mask(on, data.y, data.y[jnp.argmax(on)])
    lin = mask(on, data.X.matvec(point.coef) + data.offset, rows.safe_lin(model, w.dtype))
    free = [mask(on, c, 0.0) for c in _free_columns(model, data, point)]
    v = jnp.concatenate([lin.reshape(len(w), -1), *free], axis=1)
    if asks == VALUE:
        value = jnp.sum(w * jax.vmap(lambda y, s, v: rows.joint_loss(model, y, s, v))(y, size, v))
        return Info(value, None, None, None, None, None, None)
    loss, score, observed, expected = jax.vmap(lambda y, s, v: rows.joint_row(model, y, s, v))(y, size, v)
    hess = hv = fisher = None
    if asks == HESSIAN:
        hess, fisher = (_joint_gram(model, data, scale(w, W)) for W in (observed, expected))
    elif asks == PRODUCT:
        along = unflatten(query.direction, point)
        moves = [data.X.matvec(along.coef).reshape(len(w), -1), *_free_columns(model, data, along)]
        hv = _joint_rmatvec(model, data, scale(w, jnp.einsum("nij,nj->ni", observed, jnp.concatenate(moves, axis=1))))
    grad, zero = _joint_rmatvec(model, data, scale(w, score)), jnp.zeros((), w.dtype)
    noise = data.X.eps**2 * jnp.sum(w * jnp.einsum("ni,nij,nj->n", v, jnp.abs(expected), v))
    return Info(jnp.sum(w * loss), grad, hess, hv, zero, noise, jnp.sum(on), fisher)


def _free_columns(model, data, point):
    """The free parameters of all rows on their free scale, (n, 1) or (n, s) each, sorted by name."""
    n = data.weight.shape[0]
    for name, _ in model.family.free:
        u, Z = point.nuisance[name], (data.designs or {}).get(name)
        yield jnp.broadcast_to(u, (n, u.shape[0])) if Z is None else (Z @ u)[:, None]


def _joint_rmatvec(model, data, r):
    """The transpose of (unknowns -> v) at r (n, m), flat."""
    width = model.width() or 1
    parts, at = [jnp.ravel(data.X.rmatvec(r[:, :width]).T)], width
    for name, free in model.family.free:
        Z, own = (data.designs or {}).get(name), r[:, at : at + free.size]
        parts.append(jnp.sum(own, axis=0) if Z is None else Z.T @ own[:, 0])
        at += free.size
    return jnp.concatenate(parts)


def _joint_gram(model, data, W):
    """The Hessian in the flat unknowns from that in v, W (n, m, m)."""
    width = model.width() or 1
    first = data.X.gram(W[:, 0, 0]) if width == 1 else gram_blocks(data.X, W[:, :width, :width])
    blocks, designs, at = [[first]], [], width
    for name, free in model.family.free:
        Z = (data.designs or {}).get(name)
        Z = jnp.ones((len(W), 1), W.dtype) if Z is None else Z
        designs += [(at + i, Z) for i in range(free.size)]
        at += free.size
    for i, Z in designs:
        side = jnp.concatenate([cross(data.X, W[:, c, i], Z) for c in range(width)])
        column = [side, *(scale(W[:, j, i], Zj).T @ Z for j, Zj in designs)]
        blocks[0].append(side)
        blocks.append([side.T, *(c.T for c in column[1:])])
    return jnp.block(blocks)
