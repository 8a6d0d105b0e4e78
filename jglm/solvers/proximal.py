"""Proximal Newton: for penalties with kinks (lasso, groups) and bounds, one quadratic problem p x p a step.

Lee, Sun and Saunders (2014). The quadratic problem is solved to the last digit by sweeps of coordinate descent, which
find out what is 0 or at a bound, and Newton steps on the rest, which no correlation slows down.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jglm._record import record, strong
from jglm.model import HESSIAN, Query, flatten, unflatten
from jglm.solvers.base import Status, distance

ROUNDS = 200  # of sweeps and a Newton step, at most; a handful is common
SHARES = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)  # of a Newton step that are tried


# --------------------------------------------------------------------------- the quadratic problem
def minimize(hess, push, terms, start, tol=1e-12):
    """argmin_x x'Hx / 2 - push·x + R(x) for `Terms` R and positive semidefinite H (P, P), from a start within bounds.

    Ends where no coefficient would move by more than `tol` times the largest first move (in units of its curvature).
    """
    scale = jnp.sqrt(jnp.where(jnp.diagonal(hess) > 0, jnp.diagonal(hess), 1.0))
    moves = lambda x, q: jnp.max(jnp.abs(scale * (_prox_steps(hess, q - push, terms, x) - x)), initial=0.0)

    def body(carry):
        x, q, _, i = carry
        x, q = _sweep(hess, push, terms, *_sweep(hess, push, terms, x, q))
        x = _newton(hess, push, terms, x, q)
        q = hess @ x
        return x, q, moves(x, q), i + 1

    q = hess @ start
    first = moves(start, q)
    size = jnp.max(jnp.abs(scale * start), initial=0.0)
    floor = 64 * jnp.finfo(hess.dtype).eps * (size + jnp.max(jnp.abs(push) / scale, initial=0.0))
    going = lambda carry: (carry[2] > jnp.maximum(tol * first, floor)) & (carry[3] < ROUNDS)
    return lax.while_loop(going, body, (start, q, first, jnp.zeros((), jnp.int32)))[0]


def _soft(v, threshold):
    return jnp.sign(v) * jnp.maximum(jnp.abs(v) - threshold, 0.0)


def _prox_steps(hess, slope, terms, x):
    """Where each coefficient, or each group, would go alone: zero only where it stays."""
    diagonal = jnp.diagonal(hess)
    h = jnp.where(diagonal > 0, diagonal, 1.0)
    alone = jnp.clip(_soft(x - slope / h, terms.l1 / h), terms.lower, terms.upper)
    alone = jnp.where(diagonal > 0, alone, x)
    if terms.members is None:
        return alone
    together = jax.vmap(lambda m, s: _group_step(hess, slope, terms, x, m, s))(terms.members, terms.strength)
    return jnp.append(alone, 0.0).at[terms.members].set(together)[:-1]


def _group_step(hess, slope, terms, x, members, strength):
    """Where the coefficients of one group go, their curvature bounded by the largest row sum."""
    there = members < x.shape[0]
    at = jnp.where(there, members, 0)
    own = jnp.where(there[:, None] & there[None, :], hess[at[:, None], at[None, :]], 0.0)
    bound = jnp.max(jnp.sum(jnp.abs(own), axis=1))
    L = jnp.where(bound > 0, bound, 1.0)
    v = _soft(jnp.where(there, x[at] - slope[at] / L, 0.0), terms.l1[at] / L)
    size = jnp.sqrt(jnp.sum(v * v))
    shrunk = v * jnp.maximum(1 - strength / (L * jnp.where(size > 0, size, 1.0)), 0.0)
    return jnp.where((bound > 0) & there, shrunk, jnp.where(there, x[at], 0.0))


def _sweep(hess, push, terms, x, q):
    """Every coefficient, or group, once to its own minimum; (x, Hx) after."""
    if terms.members is not None:
        return _group_sweep(hess, push, terms, x, q)
    diagonal = jnp.diagonal(hess)

    def one(j, carry):
        x, q = carry
        h = jnp.where(diagonal[j] > 0, diagonal[j], 1.0)
        new = jnp.clip(_soft(x[j] - (q[j] - push[j]) / h, terms.l1[j] / h), terms.lower[j], terms.upper[j])
        move = jnp.where(diagonal[j] > 0, new - x[j], 0.0)
        return x.at[j].add(move), q + move * hess[j]

    return lax.fori_loop(0, x.shape[0], one, (x, q))


def _group_sweep(hess, push, terms, x, q):
    p = x.shape[0]
    grouped = jnp.zeros(p + 1, bool).at[terms.members].set(True)[:-1]
    # Coefficients of no group are groups of their own.
    others = jnp.where(grouped, p, jnp.arange(p))[:, None]
    others = jnp.pad(others, ((0, 0), (0, terms.members.shape[1] - 1)), constant_values=p)
    members = jnp.concatenate([terms.members, others])
    strength = jnp.concatenate([terms.strength, jnp.zeros(p, x.dtype)])

    def one(i, carry):
        x, q = carry
        own = members[i]
        new = _group_step(hess, q - push, terms, x, own, strength[i])
        new = jnp.clip(new, jnp.append(terms.lower, -jnp.inf)[own], jnp.append(terms.upper, jnp.inf)[own])
        move = jnp.where(own < p, new - jnp.append(x, 0.0)[own], 0.0)
        x = jnp.append(x, 0.0).at[own].add(move)[:-1]
        return x, q + move @ hess[jnp.minimum(own, p - 1)]

    return lax.fori_loop(0, members.shape[0], one, (x, q))


def _newton(hess, push, terms, x, q):
    """x after a Newton step of the coefficients that are neither 0 nor at a bound, as far as it goes down; those that
    reach 0 or a bound stay there."""
    free = terms.free(x)
    slope = q - push + terms.l1 * jnp.sign(x)
    bend = hess
    if terms.members is not None:
        norms = lambda x: jnp.sum(terms.strength * terms.norms(x))
        slope, bend = slope + jax.grad(norms)(x), hess + jax.hessian(norms)(x)
    both = free[:, None] & free[None, :]
    d = jnp.diagonal(bend)
    s = jnp.where(free & (d > 0), lax.rsqrt(jnp.where(d > 0, d, 1.0)), 1.0)
    # Far above rounding: along a direction without curvature (a constant added to all classes) rounding must lead
    # nowhere, and elsewhere the next step mends what this costs.
    jitter = jnp.finfo(x.dtype).eps ** (2 / 3)
    unit = jnp.where(both, s[:, None] * bend * s[None, :], 0.0) + jnp.diag(jnp.where(free & (d > 0), jitter, 1.0))
    factor = jax.scipy.linalg.cho_factor(unit, lower=True)
    step = jnp.where(free, -s * jax.scipy.linalg.cho_solve(factor, jnp.where(free, s * slope, 0.0)), 0.0)
    # How far until a coefficient changes its sign (where that is a kink) or meets a bound.
    reach = lambda target: jnp.where(step != 0, (target - x) / jnp.where(step != 0, step, 1.0), jnp.inf)
    ends = [jnp.where(terms.l1 > 0, reach(0.0), jnp.inf), reach(terms.lower), reach(terms.upper)]
    ends = [jnp.where(free & (t > 0), t, jnp.inf) for t in ends]
    most = jnp.minimum(1.0, jnp.min(jnp.stack(ends), initial=jnp.inf))
    to = lambda t: jnp.clip(_past_kinks(terms, x, jnp.where(ends[0] <= t, 0.0, x + t * step)), terms.lower, terms.upper)
    value = lambda x: 0.5 * x @ (hess @ x) - push @ x + terms.value(x)
    # Either to the first such end, or on from there along it.
    shares = jnp.concatenate([jnp.asarray(SHARES, x.dtype), most * jnp.asarray(SHARES[::2], x.dtype)])
    tried = jnp.concatenate([x[None], jax.vmap(to)(shares)])
    values = jax.vmap(value)(tried)
    return tried[jnp.argmin(jnp.where(jnp.isfinite(values), values, jnp.inf))]


def _past_kinks(terms, x, to):
    """Where groups have turned round on the way from x, they are 0."""
    if terms.members is None:
        return to
    dots = jnp.sum(jnp.append(x * to, 0.0)[terms.members], axis=1)
    turned = jnp.zeros(x.shape[0] + 1, bool).at[terms.members].max((dots <= 0)[:, None] & (terms.strength > 0)[:, None])
    return jnp.where(turned[:-1], 0.0, to)


def steadied(hess):
    """The Hessian with a little more on its diagonal: a step along a direction without curvature (a constant added to
    all classes) is then 0 and not what rounding makes of it. Where a fit ends does not change."""
    return hess + 1e-9 * jnp.diag(jnp.diagonal(hess))


# --------------------------------------------------------------------------- the solver
@record
class ProximalState:
    query: Query
    point: Any  # the best point so far, flat
    value: Any  # the objective there, penalty included
    grad: Any  # what is left of the gradient there: the distance of its negative from the subgradients of R
    step: Any  # to the minimum of the model at the point
    length: Any  # the share of it on trial
    drop: Any  # what the model promises of the whole step
    decrement: Any  # the length of the step in standard errors
    near: Any
    status: Any


@record(static=("asks", "max_iter"))
class ProximalNewton:
    """Newton's method for smooth losses plus a penalty with kinks or bounds, with a backtracking line search.

    Each step minimizes the quadratic model of the loss plus the penalty itself. Stops where sqrt(d'Hd / phi) <= tol, d
    that step, or where rounding lets it get no nearer; `max_iter` counts passes over the data. Without a start it
    begins at 0.
    """

    tol: Any
    max_iter: int
    asks: str

    def __init__(self, tol=1e-8, max_iter=100):
        self.__dict__.update(tol=strong(tol), max_iter=int(max_iter), asks=HESSIAN)

    def init(self, model, start, given):
        """`start` Unknowns to begin at; zeros where not `given`."""
        point = flatten(start)
        terms = model.terms(start)
        point = jnp.clip(point, terms.lower, terms.upper)
        inf, one, none = jnp.full((), jnp.inf, point.dtype), jnp.ones((), point.dtype), jnp.zeros_like(point)
        return ProximalState(
            Query(unflatten(point, start)), point, inf, none, none, one, inf, inf, jnp.asarray(False),
            jnp.asarray(Status.RUNNING, jnp.int32),
        )  # fmt: skip

    def step(self, model, state, info):
        trial = state.query.point
        flat, terms = flatten(trial), model.terms(trial)
        smooth, grad = model.penalized(info.value, info.grad, trial)
        value = smooth + terms.value(flat)
        extra = model.curvature(trial)
        hess = steadied(info.hess if extra is None else info.hess + extra)
        target = minimize(hess, hess @ flat - grad, terms, flat)
        step = target - flat
        bent = hess @ step
        drop = grad @ step + terms.value(target) - terms.value(flat)
        decrement, floor = distance(model, jnp.maximum(step @ bent, 0.0), info)
        begun = jnp.isfinite(state.value)
        slack = 1e-10 * jnp.abs(state.value) * (state.near | (decrement < 1e-3))
        lower = value <= state.value + 1e-4 * state.length * state.drop + slack
        taken = jnp.isfinite(value) & jnp.all(jnp.isfinite(step)) & (lower | ~begun)
        near = (decrement < 1e-5) | floor
        idle = begun & near & (decrement > 0.9 * state.decrement)
        small = -drop <= 1e-4 * (1 + jnp.abs(value))
        done = jnp.where(small & (decrement <= jnp.asarray(self.tol, flat.dtype)), Status.CONVERGED, Status.RUNNING)
        done = jnp.where((done == Status.RUNNING) & idle, Status.FLOOR, done)
        stuck = jnp.where(begun, jnp.where(state.near, Status.FLOOR, Status.STALLED), Status.INVALID_START)
        over = jnp.where(begun, state.length < 1e-10, True)
        status = jnp.where(taken, done, jnp.where(over, stuck, Status.RUNNING)).astype(jnp.int32)
        keep = lambda new, old: jnp.where(taken, new, old)
        point, step = keep(flat, state.point), keep(step, state.step)
        length = keep(jnp.ones_like(state.length), state.length / 2)
        return ProximalState(
            Query(unflatten(point + length * step, trial)), point, keep(value, state.value), keep(bent, state.grad),
            step, length, keep(drop, state.drop), keep(decrement, state.decrement), keep(near, state.near), status,
        )  # fmt: skip
