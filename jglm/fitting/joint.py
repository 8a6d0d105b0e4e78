"""Fits with free parameters: the coefficients and the family's own parameters, found together by Newton's method.

First coefficients with the parameters fixed (or of a simpler family), then the likelihood over a grid of parameter
values, then Newton's method in all of them.
"""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm import families, rows
from jglm.distributions.parameters import EDGE
from jglm.fitting import linalg
from jglm.fitting.padding import over_rows
from jglm.model import Model, Query, Unknowns, evaluate

SEARCH_ROWS = 4000


def begin(problem, start, fit_scalar):
    """Unknowns to begin at. `fit_scalar(model)` gives coefficients of a model without free parameters."""
    family = problem.model.family
    coef = start if start is not None else _first_coefficients(problem, fit_scalar)
    nuisance = {name: _constant(problem, name, free.grid()[len(free.grid()) // 2]) for name, free in family.free}
    for _ in range(2 if len(family.free) > 1 else 1):
        for name, free in family.free:
            if free.size == 1:
                nuisance = _best_on_grid(problem, coef, nuisance, name, free)
    return Unknowns(jnp.asarray(coef), {k: jnp.asarray(v) for k, v in nuisance.items()})


def density_method(problem, unknowns=None):
    """How the density is best computed at the parameters found, or to begin with; None where it has a closed form."""
    family = problem.model.family
    if family.parametrize_ is not None or family.has_density:
        return None
    y = problem.prepared.y[problem.prepared.weight > 0]
    if unknowns is None:
        fixed = family.replace(free=())
        phi = float(np.var(y) / fixed.variance(fixed.natural(jnp.asarray(np.mean(y))))) * np.array([0.3, 1.0, 3.0])
    else:
        values = {name: value_of(free, unknowns.nuisance[name]) for name, free in family.free}
        phi = float(values.get("phi", 1.0))
        fixed = family.replace(free=(), params={k: values.get(k, v) for k, v in family.params.items()})
    size = problem.prepared.size[problem.prepared.weight > 0]
    return fixed.density_method(np.ravel(phi)[:, None] / np.quantile(size, [0.0, 0.5, 1.0]), y)


def with_density(model, method):
    """The model whose family computes its density so."""
    return model if method is None else Model(model.family.replace(density=method), model.link, model.penalty)


def _first_coefficients(problem, fit_scalar):
    model = problem.model
    family, width = model.family, model.width()
    zeros = np.zeros((problem.design.shape[1],) if width is None else (problem.design.shape[1], width))
    if family.parametrize_ is None:
        simple = family.replace(free=())
    elif family.companion is not None:
        simple: Any = families.catalogue()[family.companion]
        simple = simple if width is None else simple(k=family.dim)
    else:
        return zeros
    try:
        found = fit_scalar(Model(simple, model.link, model.penalty))
    except ValueError:
        return zeros
    return found if np.all(np.isfinite(found)) else zeros


def _constant(problem, name, value):
    """Coefficients at which the parameter is (nearly) `value` on its free scale in every row."""
    Z = problem.prepared.designs.get(name)
    if Z is None:
        return np.atleast_1d(value)
    return np.linalg.lstsq(Z, np.full(len(Z), value))[0]


def _best_on_grid(problem, coef, nuisance, name, free):
    grid = free.grid()
    tried = np.stack([_constant(problem, name, v) for v in grid])
    on = np.flatnonzero(problem.prepared.weight > 0)
    part = on[:: max(1, len(on) // SEARCH_ROWS)]
    values = np.asarray(_values_compiled(problem.model, problem.rows(part), coef, nuisance, name, tried))
    if not np.any(np.isfinite(values)):
        return nuisance
    return {**nuisance, name: tried[np.nanargmin(np.where(np.isfinite(values), values, np.nan))]}


def _values(model, data, coef, nuisance, name, tried):
    at = lambda u: evaluate(model, data, Query(Unknowns(coef, {**nuisance, name: u})), "value").value
    return jax.lax.map(at, jnp.asarray(tried))


_values_compiled = jax.jit(_values, static_argnums=4)


def value_of(free, u):
    """The parameter, () or (s,), at its unknowns u (1,) or (s,) on the free scale."""
    u = jnp.asarray(u)
    return np.asarray(free.value(u if free.size > 1 else u[0]))


def per_row(family, designs, nuisance, n):
    """{name: (n,) or (n, s)}: the free parameters in n rows, a regressed one by its design."""
    out = {}
    for name, free in family.free:
        u, Z = np.asarray(nuisance[name], float), designs.get(name)
        if Z is not None:
            out[name] = np.asarray(free.value(jnp.asarray(Z @ u)))
        else:
            value = value_of(free, u)
            out[name] = np.broadcast_to(value, (n, *value.shape))
    return out


def rows_at(problem, unknowns):
    """(designs (n, q) of the m linear predictors: the columns of lin, then the free parameters; losses (n,), scores
    (n, m), observed and expected information (n, m, m) of the rows in them), times the weights; 0 in rows of weight 0.
    """
    p, n = problem.prepared, len(problem.prepared.y)
    columns = [problem.lin(np.ravel(np.asarray(unknowns.coef).T)).reshape(n, -1)]
    designs = [problem.X] * problem.width
    for name, free in problem.model.family.free:
        u, Z = np.asarray(unknowns.nuisance[name], float), p.designs.get(name)
        columns.append(np.broadcast_to(u, (n, len(u))) if Z is None else (Z @ u)[:, None])
        designs += [np.ones((n, 1))] * free.size if Z is None else [Z]
    like = int(np.argmax(p.weight > 0))
    safe = lambda v: np.where(p.weight.reshape(-1, *(1,) * (v.ndim - 1)) > 0, v, v[like])
    args = safe(p.y), safe(p.size), safe(np.hstack(columns))
    found = over_rows(problem.bound(_rows), *args)
    return designs, *(p.weight.reshape(-1, *(1,) * (v.ndim - 1)) * v for v in found)


def _rows(model, y, size, v):
    return jax.vmap(lambda *row: rows.joint_row(model, *row))(y, size, v)


def blocks(designs, W):
    """The Hessian in the flat unknowns from that of the rows in their linear predictors, W (n, m, m)."""
    return np.block([[Z.T @ (W[:, i, j, None] * other) for j, other in enumerate(designs)]
                     for i, Z in enumerate(designs)])  # fmt: skip


def reported(free, u):
    """(what is reported of a free parameter at u on its free scale, its Jacobian): the value, a float or (s,); of a
    regressed one the coefficients on the free scale."""
    u = np.asarray(u, float)
    if free.regressed:
        return u, np.eye(len(u))
    value = lambda u: jnp.atleast_1d(free.value(u if free.size > 1 else u[0]))
    at = np.asarray(value(jnp.asarray(u)))
    return at if free.size > 1 else float(at[0]), np.asarray(jax.jacobian(value)(jnp.asarray(u)))


def standard_errors(parameters, nuisance, cov):
    """{name: standard errors} of what is `reported`, by the delta method from the covariance of the free parameters."""
    out, at = {}, 0
    for name, free in parameters:
        size, jac = np.size(nuisance[name]), reported(free, nuisance[name])[1]
        se = np.sqrt(np.diagonal(jac @ cov[at : at + size, at : at + size] @ jac.T))
        out[name] = se if free.regressed or free.size > 1 else float(se[0])
        at += size
    return out


def information(problem, unknowns):
    """The observed information of all unknowns at the optimum, (P, P), penalty included."""
    if problem.small:
        designs, _, _, observed, _ = rows_at(problem, unknowns)
        info = blocks(designs, observed)
    else:
        info = _information_compiled(problem.model, problem.data, Query(unknowns))
    extra = problem.model.curvature(unknowns)
    return np.asarray(info if extra is None else info + extra)


_information_compiled = jax.jit(lambda model, data, query: evaluate(model, data, query, "hessian").hess)


def inverse(H):
    """H^-1 of a positive definite matrix; NaN where it is not."""
    R = linalg.triangle_of(H)
    return np.full(H.shape, np.nan) if R is None else linalg.inverse_from_triangle(R)


def warn_of_limits(family, prepared, nuisance):
    """Say where a parameter ran to the end of its range: the family has then become another."""
    for name, free, u in at_limits(family, prepared, nuisance):
        value, end = float(free.value(jnp.asarray(u))), free.high if u > 0 else free.low
        hint = "; the counts show no overdispersion, use family='poisson'" if name == "r" and u > 0 else ""
        warnings.warn(f"{name} = {value:.3g} runs to the end {end:g} of its range: the likelihood has no maximum "
                      f"inside{hint}", UserWarning, stacklevel=6)  # fmt: skip


def at_limits(family, prepared, nuisance):
    """[(name, Free, where it is on the free scale)] of the parameters that have left the range in which they can be
    told, those with a design of their own and increasing ones apart."""
    alone = [(k, free) for k, free in family.free if free.size == 1 and prepared.designs.get(k) is None]
    there = [(k, free, float(np.ravel(nuisance[k])[0])) for k, free in alone]
    return [(k, free, u) for k, free, u in there if abs(u) > EDGE]
