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

from jglm._record import record
from jglm.design import gram_blocks
from jglm.family import Family
from jglm.links import Link

VALUE, GRADIENT, HESSIAN, PRODUCT = "value", "gradient", "hessian", "product"


@record
class Data:
    """What is fitted: a design, y (n,) or (n, q), weight (n,) and offset, the shape of lin. A weight of 0 means that
    the row is not there, whatever stands in it."""

    X: Any
    y: Any
    weight: Any
    offset: Any


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
        """The objective and its gradient: sums over rows plus the penalty."""
        if self.penalty is None:
            return value, grad
        extra, slope = jax.value_and_grad(self.penalty.value)(unknowns.coef)
        return value + extra, grad + flatten(Unknowns(slope, zeros_like(unknowns.nuisance)))

    def curvature(self, unknowns):
        """The Hessian of the penalty in the flat unknowns, or None."""
        if self.penalty is None:
            return None
        value = lambda flat: self.penalty.value(unflatten(flat, unknowns).coef)
        return jax.hessian(value)(flatten(unknowns))


@record
class Unknowns:
    """What is estimated: coef (p,) or (p, k), and the nuisance parameters of the family by name."""

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


# --------------------------------------------------------------------------- one row
def row(model, t, lin, derivatives=True):
    """Loss of one row, and its derivatives in lin: score, observed and expected information."""
    family, eta_of = model.family, lambda v: model.link.eta(model.family, v)
    loss = lambda v: family.loss_one(t, eta_of(v))
    if not derivatives:
        return loss(lin)
    value, score = jax.value_and_grad(loss)(lin)
    jac, bend = jax.jacfwd(eta_of)(lin), jax.hessian(family.a)(eta_of(lin))
    expected = jac * bend * jac if family.dim is None else jac.T @ bend @ jac
    observed = jax.hessian(loss)(lin)
    return value, score, observed, expected


def pearson(model, t, lin):
    """Pearson's contribution (t - mu)^2 / a'' of one row of a scalar family."""
    eta = model.link.eta(model.family, lin)
    return (t - jax.grad(model.family.a)(eta)) ** 2 / jax.hessian(model.family.a)(eta)


def statistics(model, data):
    """T(y) of all rows."""
    return data.y if model.family.T_ is None else jax.vmap(model.family.statistic)(data.y)


def safe_lin(model, dtype):
    """A linear predictor at which every function of the model is finite: it stands in for rows of weight 0."""
    mu = jax.grad(model.family.a)(model.family.center(dtype))
    return model.link.linear(model.family, mu)


def mask(on, x, other):
    """x where `on` (n,), else other, for x (n, ...)."""
    return jnp.where(on.reshape(on.shape + (1,) * (x.ndim - 1)), x, other)


def evaluate(model, data, query, asks=HESSIAN):
    """Answer a query in one pass over the rows; parts that were not asked for are None.

    `asks` is "value", "gradient", "hessian" or "product" (gradient and Hessian times query.direction). The Hessian of
    a row is the observed one where it is positive, else the expected (Fisher) one; for a vector eta the expected.
    Rows of weight 0 give exactly nothing.
    """
    coef, on = query.point.coef, data.weight > 0
    t = mask(on, statistics(model, data), 1.0)
    w = jnp.where(on, data.weight, 0.0).astype(coef.dtype)
    t, lin = rows_of(model, data, query, t, w)
    lin = mask(on, lin, safe_lin(model, coef.dtype))
    if asks == VALUE:
        value = jnp.sum(w * jax.vmap(lambda t, v: row(model, t, v, False))(t, lin))
        return Info(value, None, None, None, None, None, None)
    loss, score, observed, expected = jax.vmap(lambda t, v: row(model, t, v))(t, lin)
    inside = in_domain(model, lin)
    value = jnp.where(jnp.all(inside), jnp.sum(w * loss), jnp.nan)
    beginning = jnp.asarray(False) if query.blend is None else query.blend > 0
    bend = jnp.where((observed > 0) & ~beginning, observed, expected) if score.ndim == 1 else expected
    times = lambda v: bend * v if v.ndim == 1 else jnp.einsum("nij,nj->ni", bend, v)
    own = mask(on, lin - data.offset, 0.0)
    if query.blend is not None:
        score = jnp.where(beginning, score - times(own), score)
    grad = jnp.ravel(data.X.rmatvec(scale(w, score)).T)
    hess = hv = None
    if asks == HESSIAN:
        hess = data.X.gram(w * bend) if score.ndim == 1 else gram_blocks(data.X, scale(w, bend))
    elif asks == PRODUCT:
        along = data.X.matvec(unflatten(query.direction, query.point).coef)
        hv = jnp.ravel(data.X.rmatvec(scale(w, times(along))).T)
    estimated = model.family.dispersion == "estimated" and score.ndim == 1
    chi2 = jnp.sum(w * jax.vmap(lambda t, v: pearson(model, t, v))(t, lin)) if estimated else jnp.zeros((), coef.dtype)
    noise = data.X.eps**2 * jnp.sum(scale(w, own * times(own)))
    return Info(value, grad, hess, hv, chi2, noise, jnp.sum(on))


def in_domain(model, lin):
    """Which rows have a natural parameter inside the domain of a."""
    low, high = model.family.domain
    if low == -np.inf and high == np.inf:
        return jnp.ones(lin.shape[0], bool)
    eta = jax.vmap(lambda v: model.link.eta(model.family, v))(lin)
    inside = (eta > low) & (eta < high)
    return inside if eta.ndim == 1 else jnp.all(inside, axis=1)


def scale(w, x):
    """w (n,) times the rows of x (n, ...)."""
    return w.reshape(w.shape + (1,) * (x.ndim - 1)) * x


# --------------------------------------------------------------------------- where to begin
def rows_of(model, data, query, t, w):
    """T(y) and lin of the rows: X coef + offset, or the rows' own start where the query asks for it."""
    here = lambda: (t, data.X.matvec(query.point.coef) + data.offset)
    if query.blend is None:
        return here()
    return lax.cond(query.blend > 0, lambda: starting_rows(model, t, w, query.blend), here)


def starting_rows(model, t, w, blend):
    """T(y) and lin with the rows drawn together: means lie the share `blend` of the way from the overall mean to y, and
    T(y) itself twice that share, so that 1/2 takes the data as they are and 0 is the fit of a constant.

    Valid for every family, since the range of the mean is convex; a thousandth of the family's central mean keeps the
    overall mean off the edge of the support (all counts 0).
    """
    center = jax.grad(model.family.a)(model.family.center(w.dtype))
    mean = jnp.expand_dims(0.999 * jnp.sum(scale(w, t), axis=0) / jnp.sum(w) + 0.001 * center, 0)
    mu, t = mean + blend * (t - mean), mean + 2 * blend * (t - mean)
    return t, jax.vmap(lambda m: model.link.linear(model.family, m))(mu)


def start_of_rows(model, y, weight):
    """lin (n,) or (n, k) of the rows halfway between y and the overall mean, for the first IRLS step."""
    on = weight > 0
    t = mask(on, statistics(model, Data(None, y, weight, None)), 1.0)
    return starting_rows(model, t, jnp.where(on, weight, 0.0), 0.5)[1]


# --------------------------------------------------------------------------- every row, for inference
@record
class Rows:
    """What each row looks like at some lin: eta and mu (mean of T(y)), `score` dl / d lin, `expected` information,
    `slope` d mu / d lin (for a scalar family, else None), `variance` a'' and the unit `deviance`."""

    eta: Any
    mu: Any
    score: Any
    expected: Any
    slope: Any
    variance: Any
    deviance: Any


@record
class Totals:
    """Weighted sums over rows of positive weight: the deviance, Pearson's chi2, and the log-likelihood."""

    deviance: Any
    chi2: Any
    llf: Any


def row_derivatives(model, y, lin, weight):
    """(loss, score, observed, expected) of all rows, without terms of y alone; 0 in rows of weight 0, and a loss of NaN
    where lin leaves the domain."""
    on = weight > 0
    t = statistics(model, Data(None, y, weight, None))
    loss, *derivatives = jax.vmap(lambda t, v: row(model, t, v))(t, lin)
    loss = jnp.where(in_domain(model, lin), loss, jnp.nan)
    return tuple(mask(on, v, 0.0) for v in (loss, *derivatives))


def describe(model, y, lin, weight, size, power, count):
    """(Rows, Totals) at lin.

    The log-likelihood is sum power_i log p(y_i; eta_i, phi / size_i), with phi the deviance / count where the
    dispersion is estimated, as R has it; NaN for a family without a base measure.
    """
    family, on = model.family, weight > 0
    t = statistics(model, Data(None, y, weight, None))
    eta = jax.vmap(lambda v: model.link.eta(family, v))(lin)
    mu = jax.vmap(jax.grad(family.a))(eta)
    _, score, _, expected = jax.vmap(lambda t, v: row(model, t, v))(t, lin)
    unit = jax.vmap(family.deviance_one)(t, eta)
    total = lambda v: jnp.sum(jnp.where(on, weight * v, 0.0))
    deviance = jnp.where(jnp.all(in_domain(model, lin) | ~on), total(unit), jnp.nan)
    slope, variance = None, jax.vmap(jax.hessian(family.a))(eta)
    chi2 = jnp.zeros_like(deviance)
    if family.dim is None:
        slope = jax.vmap(jax.grad(lambda v: model.link.mean(family, v)))(lin)
        chi2 = total((t - mu) ** 2 / variance)
    llf = jnp.full_like(deviance, jnp.nan)
    if family.has_density:
        phi = deviance / count if family.dispersion == "estimated" else jnp.ones_like(deviance)
        safe = jnp.where(on, size, 1.0)
        log_prob = jax.vmap(family.log_prob_one)(y, eta, phi / safe)
        llf = jnp.sum(jnp.where(on, power * log_prob, 0.0))
    return Rows(eta, mu, score, expected, slope, variance, unit), Totals(deviance, chi2, llf)
