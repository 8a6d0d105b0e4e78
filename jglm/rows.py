"""One row of the data: its loss and derivatives in the linear predictor, and what all rows look like at a fit.

l(lin) = a(eta(lin)) - T(y)·eta(lin); with the canonical link its derivative is the error h - y. A family with free
parameters has them beside lin in one vector v, and l is then minus the log density where they change more than eta.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm._record import record


# --------------------------------------------------------------------------- one row
def row(model, t, lin, derivatives=True) -> Any:
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


def scores(model, t, lin, along):
    """(loss, score, second derivative times `along`) of all rows: a gradient takes no k x k matrices."""
    loss = lambda v: jax.vmap(lambda t, v: row(model, t, v, False))(t, v)
    score, turn = jax.jvp(jax.grad(lambda v: jnp.sum(loss(v))), (lin,), (along,))
    return loss(lin), score, turn


def pearson(model, t, lin):
    """Pearson's contribution (t - mu)^2 / a'' of one row of a scalar family."""
    eta = model.link.eta(model.family, lin)
    return (t - jax.grad(model.family.a)(eta)) ** 2 / jax.hessian(model.family.a)(eta)


# --------------------------------------------------------------------------- one row with free parameters
def unstack(model, v):
    """(lin, {name: value}) of v: the linear predictor, then the free parameters by name on their free scale."""
    width = model.width()
    lin, at, values = (v[0], 1, {}) if width is None else (v[:width], width, {})
    for name, free in model.family.free:
        values[name] = free.value(v[at] if free.size == 1 else v[at : at + free.size])
        at += free.size
    return lin, values


def eta_of(model, lin, values):
    """The natural parameter of one row at lin and the values of the free parameters."""
    family, link = model.family, model.link
    if family.parametrize_ is not None:
        params = {k: jnp.asarray(v, lin.dtype) for k, v in family.params.items()}
        return family.parametrize_(link.curve(family), lin, **(params | values))
    return link.eta(with_values(family, values), lin)


def with_values(family, values):
    """The family at values of its own free parameters (phi is none of them)."""
    own = {k: v for k, v in values.items() if k in family.params}
    return family.replace(params={**family.params, **own}) if own else family


def joint_loss(model, y, size, v):
    """Loss of one row in v, to be weighted by size times power: where the free parameters change the density minus the
    log density at phi / size, divided by the size."""
    lin, values = unstack(model, v)
    family = with_values(model.family, values)
    if family.parametrize_ is not None:
        return family.loss_one(family.statistic(y), eta_of(model, lin, values))
    phi = values.get("phi", 1.0) / size
    return -family.log_prob_one(y, model.link.eta(family, lin), phi, smooth=True) / size


def joint_row(model, y, size, v):
    """(loss, score, observed, expected) of one row in v (m,).

    Where free parameters change the density only their observed information is known; a mean of T(y) is orthogonal to
    them in expectation (the score of the mean is linear in y), so that the expected blocks between are 0.
    """
    loss = lambda v: joint_loss(model, y, size, v)
    value, score = jax.value_and_grad(loss)(v)
    observed = jax.hessian(loss)(v)
    of_v = lambda v: eta_of(model, *unstack(model, v))
    jac = jax.jacfwd(of_v)(v)
    family = with_values(model.family, unstack(model, v)[1])
    bend = jax.hessian(family.a)(of_v(v))
    if family.parametrize_ is not None:
        return value, score, observed, jac.T @ bend @ jac
    width, phi = model.width() or 1, unstack(model, v)[1].get("phi", 1.0)
    own = jac[..., :width]
    own = jnp.outer(own, own) * bend if family.dim is None else own.T @ bend @ own
    expected = observed.at[:width].set(0.0).at[:, :width].set(0.0).at[:width, :width].set(own / phi)
    return value, score, observed, expected


# --------------------------------------------------------------------------- all rows
def statistics(model, y):
    """T(y) of all rows."""
    return y if model.family.T_ is None else jax.vmap(model.family.statistic)(y)


def safe_lin(model, dtype):
    """A linear predictor at which every function of the model is finite: it stands in for rows of weight 0."""
    if model.family.parametrize_ is not None:
        return jnp.full(() if model.width() is None else (model.width(),), 0.5, dtype)
    mu = jax.grad(model.family.a)(model.family.center(dtype))
    return model.link.linear(model.family, mu)


def ignores_a_constant(model):
    """Whether one constant more on every column of lin changes nothing, as in a softmax of all classes."""
    if model.width() is None or model.family.parametrize_ is not None:
        return False
    return float(np.max(np.abs(_turn_compiled(model)))) <= 1e-12


@jax.jit
def _turn_compiled(model):
    """The change of the expected score of a row by one constant more on every column of lin."""
    lin = safe_lin(model, jnp.float64)
    jac = jax.jacfwd(lambda v: model.link.eta(model.family, v))(lin)
    return jnp.sum(jac.T @ jax.hessian(model.family.a)(model.link.eta(model.family, lin)) @ jac, axis=1)


def mask(on, x, other):
    """x where `on` (n,), else other, for x (n, ...)."""
    return jnp.where(on.reshape(on.shape + (1,) * (x.ndim - 1)), x, other)


def in_domain(model, lin):
    """Which rows have a natural parameter inside the domain of a."""
    if model.family.parametrize_ is not None or np.all(np.isinf(model.family.domain)):
        return jnp.ones(lin.shape[0], bool)
    return jax.vmap(lambda v: model.family.inside(model.link.eta(model.family, v)))(lin)


def scale(w, x):
    """w (n,) times the rows of x (n, ...)."""
    return w.reshape(w.shape + (1,) * (x.ndim - 1)) * x


# --------------------------------------------------------------------------- where to begin
def whole(sums, axis):
    """Sums over rows that are a share of all, taken over the axis of the mesh too; as they are where that is None."""
    return sums if axis is None else lax.psum(sums, axis)


def starting_rows(model, t, w, blend, axis=None):
    """T(y) and lin with the rows drawn together: means lie the share `blend` of the way from the overall mean to y, and
    T(y) itself twice that share, so that 1/2 takes the data as they are and 0 is the fit of a constant.

    Valid for every family, since the range of the mean is convex; a thousandth of the family's central mean keeps the
    overall mean off the edge of the support (all counts 0). Where T(y) is not y the rows begin at the overall mean: a
    mean of T half way to the edge may be that of a law too narrow to compute.
    """
    center = jax.grad(model.family.a)(model.family.center(w.dtype))
    total, weight = whole((jnp.sum(scale(w, t), axis=0), jnp.sum(w)), axis)
    mean = jnp.expand_dims(0.999 * total / weight + 0.001 * center, 0)
    if model.family.T_ is not None:
        lin = model.link.linear(model.family, mean[0])
        return t, jnp.broadcast_to(lin, (len(t), *lin.shape))
    mu, t = mean + blend * (t - mean), mean + 2 * blend * (t - mean)
    return t, jax.vmap(lambda m: model.link.linear(model.family, m))(mu)


def start_of_rows(model, y, weight):
    """lin (n,) or (n, k) of the rows halfway between y and the overall mean, for the first IRLS step."""
    on = weight > 0
    t = mask(on, statistics(model, y), 1.0)
    return starting_rows(model, t, jnp.where(on, weight, 0.0), 0.5)[1]


# --------------------------------------------------------------------------- every row, for inference
@record
class Rows:
    """What each row looks like at some lin: eta, mu (mean of y; of T(y) where the moments of y are not known), `score`
    dl / d lin, `expected` information, `slope` d mu / d lin (for a scalar lin, else None), `variance` of y at phi = 1
    and the unit `deviance` (-2 log density where T(y) is not y)."""

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
    loss, *derivatives = jax.vmap(lambda t, v: row(model, t, v))(statistics(model, y), lin)
    loss = jnp.where(in_domain(model, lin), loss, jnp.nan)
    return tuple(mask(on, v, 0.0) for v in (loss, *derivatives))


def moments(family, eta):
    """(mean, variance at phi = 1) of y in one row; of T(y) where those of y are not known."""
    if family.moments_ is None:
        return jax.grad(family.a)(eta), jax.hessian(family.a)(eta)
    return family.moments_(eta, **{k: jnp.asarray(v, eta.dtype) for k, v in family.params.items()})


def describe(model, y, lin, weight, size, power, count, values):
    """(Rows, Totals) at lin and the `values` {name: (n,) or (n, s)} of the parameters that eta takes besides lin."""
    family, t, eta = model.family, statistics(model, y), etas(model, lin, values)
    unit = _unit_deviances(family, t, y, eta, weight, size)
    mu, variance, totals = _totals(model, y, lin, eta, unit, weight, size, power, count)
    score = jax.vmap(jax.grad(lambda t, v, u: family.loss_one(t, eta_of(model, v, u)), argnums=1))(t, lin, values)
    jac = jax.vmap(jax.jacfwd(lambda v, u: eta_of(model, v, u)))(lin, values)
    expected = _sandwich(jac, jax.vmap(jax.hessian(family.a))(eta), eta.ndim, lin.ndim)
    slope = None
    if lin.ndim == 1 and mu.ndim == 1:
        slope = jax.vmap(jax.grad(lambda v, u: moments(family, eta_of(model, v, u))[0]))(lin, values)
    return Rows(eta, mu, score, expected, slope, variance, unit), totals


def totals(model, y, lin, weight, size, power, count, values, axis=None):
    """Totals alone; of all rows where these are a share of them along an axis of a mesh.

    The log-likelihood is sum power_i log p(y_i; eta_i, phi / size_i), with phi the deviance / count where the
    dispersion is estimated, as R has it; NaN for a family without a closed base measure, and where phi is not that one.
    """
    eta = etas(model, lin, values)
    unit = _unit_deviances(model.family, statistics(model, y), y, eta, weight, size)
    return _totals(model, y, lin, eta, unit, weight, size, power, count, axis)[-1]


def plain_totals(model, y, lin, weight, size, power, count, values, likelihood):
    """(Totals, the size of the terms of the deviance) for a family whose T(y) is y: the deviance of the rows is the
    plain difference, which is quicker and has the digits of a sum where it is no small part of its terms. The
    log-likelihood costs more than all else here: NaN unless `likelihood`."""
    eta = etas(model, lin, values)
    unit, terms, _ = jax.vmap(model.family.plain_deviance_one)(y, eta)
    found = _totals(model, y, lin, eta, unit, weight, size, power, count, likelihood=likelihood)[-1]
    return found, jnp.sum(jnp.where(weight > 0, weight * terms, 0.0))


def etas(model, lin, values):
    """The natural parameters of all rows."""
    return jax.vmap(lambda v, u: eta_of(model, v, u))(lin, values)


def _log_probs(family, y, eta, weight, size, phi, unit=None):
    """log density of all rows at phi / size; `unit` are their unit deviances where those are known."""
    phi = phi / jnp.where(weight > 0, size, 1.0)
    return jax.vmap(lambda y, eta, phi, unit: family.log_prob_one(y, eta, phi, unit=unit))(y, eta, phi, unit)


def _unit_deviances(family, t, y, eta, weight, size):
    """The unit deviance of all rows: -2 log density where T(y) is not y, NaN where there is none."""
    if family.T_ is None:
        return jax.vmap(family.deviance_one)(t, eta)
    if not family.has_density:
        return jnp.full(eta.shape[0], jnp.nan)
    return -2 * _log_probs(family, y, eta, weight, size, 1.0) / jnp.where(weight > 0, size, 1.0)


def _totals(model, y, lin, eta, unit, weight, size, power, count, axis=None, likelihood=True):
    """(mu, variance of the rows, Totals) from their natural parameters and unit deviances."""
    family, on = model.family, weight > 0
    mu, variance = jax.vmap(lambda e: moments(family, e))(eta)
    total = lambda w, v: jnp.sum(jnp.where(on, w * v, 0.0))
    chi2 = jnp.full((), jnp.nan, lin.dtype)
    if lin.ndim == 1 and mu.ndim == 1 and (family.T_ is None or family.moments_ is not None):
        chi2 = total(weight, (y - mu) ** 2 / variance)
    deviance = total(weight if family.T_ is None else power, unit)
    deviance, chi2 = whole((jnp.where(jnp.all(in_domain(model, lin) | ~on), deviance, jnp.nan), chi2), axis)
    llf = jnp.full_like(deviance, jnp.nan)
    if likelihood and family.plugs_in:
        phi = deviance / count if family.dispersion == "estimated" else 1.0
        llf = total(power, _log_probs(family, y, eta, weight, size, phi, unit if family.T_ is None else None))
        llf = whole(llf, axis)
    return mu, variance, Totals(deviance, chi2, llf)


def _sandwich(jac, bend, eta_dim, lin_dim):
    """J' a'' J of all rows, for scalar or vector eta and lin."""
    if eta_dim == 1:
        return jac * bend * jac
    sums = "na,nab,nb->n" if lin_dim == 1 else "nai,nab,nbj->nij"
    return jnp.einsum(sums, jac, bend, jac)
