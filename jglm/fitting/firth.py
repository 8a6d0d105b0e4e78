"""Fits with the bias of maximum likelihood removed to first order (Firth 1993), finite also under separation.

`Firth` solves the adjusted score equations of mean bias reduction (Kosmidis and Firth 2009): of row i with linear
predictors v, mean mu(v) of T(y), natural parameter theta(v) and G_i = x_i' (X'WX)^-1 x_i,

    s_i / phi - A_i,   A_ic = 1/2 sum_ab G_iab (d2 mu / dv_a dv_b)·(d theta / dv_c).

`Jeffreys` maximizes the likelihood times the root of the determinant of the expected information, A_ic = 1/2 d/dv_c
tr(G_i W(v)) at a fixed G. With a canonical link they are the same. All derivatives of mu, theta and W are by autodiff.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm import penalties
from jglm.diagnostics.leverage import Pieces, information, inverse_of
from jglm.fitting import irls, linalg
from jglm.fitting.iterate import Found, constant_start
from jglm.fitting.padding import bind, over_rows
from jglm.fitting.problem import flatten_host
from jglm.rows import eta_of, unstack
from jglm.solvers import Status

STEPS = 300
REACH = 5.0  # how far a step may move a linear predictor


def is_asked(penalty):
    """Whether a penalty is one of this module's."""
    return isinstance(penalty, (penalties.Firth, penalties.Jeffreys))


def kind_of(model):
    """ "mean" or "jeffreys": what its penalty asks for; with a canonical link they are one, and it is the latter, which
    has an objective."""
    if isinstance(model.penalty, penalties.Jeffreys):
        return "jeffreys"
    v = jnp.linspace(0.3, 0.7, model.width() or 1)
    bend = jax.hessian(lambda v: eta_of(model, *unstack(model, v)))(v)
    return "jeffreys" if bool(jnp.all(bend == 0)) else "mean"


def _adjustments(model, v, G, kind):
    """A (n, m) of all rows at their linear predictors v (n, m) and G (n, m, m)."""

    def one(v, G):
        if kind == "jeffreys":
            return jax.grad(lambda v: 0.5 * jnp.sum(G * information(model, v)))(v)
        theta = lambda v: jnp.atleast_1d(eta_of(model, *unstack(model, v)))
        bent = jax.hessian(lambda v: _mean(model, theta, v))(v)
        return 0.5 * jnp.einsum("ab,rab,rc->c", G, bent, jax.jacfwd(theta)(v))

    return jax.vmap(one)(v, G)


def _mean(model, theta, v):
    """The mean of T(y) in one row, (r,); where it is that of the link, without a detour by theta."""
    if model.family.dim is not None:
        return jax.grad(model.family.a)(theta(v))
    return jnp.atleast_1d(model.link.mean(model.family, v[0]))


def _score_of_phi(model, y, deviance, size, power, count, u):
    """phi times the adjusted score of phi, at u = log phi.

    In tau = 1 / phi the deviance is the statistic of an exponential family with cumulant function g = -log_saturated,
    so that with t = tau' and z = tau'' in phi the adjustment is count / (2 phi) + sum (t^3 g3 + t z g2) / sum 2 t^2 g2
    (Kosmidis and Firth 2009).
    """

    def cumulants(y, s, tau):
        params = {k: jnp.asarray(v, tau.dtype) for k, v in model.family.params.items()}
        g = lambda tau: -model.family.log_saturated_(y, 1 / (tau * s), **params)
        along = lambda f: lambda t: jax.jvp(f, (t,), (jnp.ones_like(t),))
        ((_, g1), (_, g2)), (_, (_, g3)) = along(along(along(g)))(tau)  # all orders in one program
        return g1, g2, g3

    phi = jnp.exp(u)
    g1, g2, g3 = (jnp.sum(power * v) for v in jax.vmap(lambda y, s: cumulants(y, s, 1 / phi))(y, size))
    return (jnp.sum(power * size * deviance) / 2 + g1) / phi + count / 2 - 1 - g3 / (2 * phi * g2)


@dataclass
class Look:
    """What is seen at flat coefficients: the objective (penalized, at phi), the gradient (P,) of the equations, R with
    R'R = X'WX, and phi."""

    objective: float
    grad: np.ndarray
    R: Any
    phi: float

    def finite(self):
        return np.isfinite(self.objective) and np.all(np.isfinite(self.grad))


class Equations:
    """The adjusted score equations of a problem."""

    def __init__(self, problem):
        self.problem, self.kind = problem, kind_of(problem.model)
        self.bare = problem.with_model(dataclasses.replace(problem.model, penalty=None))
        self.adjust = bind(_adjustments, self.bare.model, self.kind)
        family = problem.model.family
        self.known = family.dispersion == "fixed"
        self.plugged = not self.known and family.plug_in == "deviance" and family.log_saturated_ is not None
        self.of_phi = bind(_score_of_phi, self.bare.model)

    def __call__(self, flat):
        """The `Look` at flat coefficients; not finite where the mean leaves its range or X'WX is singular."""
        problem, weight = self.bare, self.problem.prepared.weight
        n, m = len(weight), problem.width
        lin = problem.lin(flat)
        view = problem.derivatives(lin)
        score, bend = view.score.reshape(n, m), view.expected.reshape(n, m, m)
        nowhere = Look(np.inf, np.full(len(flat), np.nan), None, np.nan)
        if not np.isfinite(view.objective) or not np.all(np.isfinite(bend)):
            return nowhere
        R = _triangle(problem, view, flat)
        size = np.abs(np.diagonal(R)) if R is not None and R.shape[0] == R.shape[1] else np.zeros(1)
        if not np.all(np.isfinite(size)) or np.any(size <= 1e-14 * np.max(size, initial=0.0)):
            return nowhere
        pieces = Pieces(problem, inverse_of(R), weight[:, None] * score, weight[:, None, None] * bend)
        own = np.asarray(over_rows(self.adjust, lin.reshape(n, m), pieces.spans))
        own = np.where(weight[:, None] > 0, weight[:, None] * own, 0.0)
        phi = 1.0 if self.known else self._dispersion(view, lin, len(flat))
        push = pieces.score / phi - own
        grad = np.ravel(np.asarray(problem.hosted.rtimes(push)).T)
        return Look(view.objective / phi - np.sum(np.log(size)), grad, R, phi)

    def _dispersion(self, view, lin, count):
        """phi at a linear predictor: of reduced bias where the density says how, else Pearson's."""
        if not self.plugged:
            return self.problem.dispersion(view, count)
        p = self.problem.prepared
        on, deviance = p.weight > 0, np.asarray(self.bare.at(lin)[0].deviance)
        args = p.y[on], deviance[on], p.size[on], p.power[on], float(count)
        u = np.log(max(np.sum(p.weight[on] * deviance[on]) / max(np.sum(p.power[on]) - count, 1.0), 1e-300))
        value, slope = float(self.of_phi(*args, u)), -0.5 * float(np.sum(p.power[on]))
        for _ in range(50):
            step = float(np.clip(-value / slope, -1.0, 1.0))
            after = float(self.of_phi(*args, u + step))
            if step != 0 and (after - value) / step < 0:
                slope = (after - value) / step
            u, value = u + step, after
            if abs(step) < 1e-12:
                break
        return float(np.exp(u))

    @property
    def has_objective(self):
        """Whether the equations are the gradient of a penalized likelihood."""
        return self.kind == "jeffreys" and self.known


def _triangle(problem, view, flat):
    """R with R'R = X'WX, or None."""
    weight = problem.prepared.weight
    if problem.small:
        return np.asarray(irls.normal_equations(problem.X, weight, view.score, view.expected, None, flat)[0])
    return linalg.triangle_of(problem.gram(weight.reshape(-1, *(1,) * (view.expected.ndim - 1)) * view.expected))


def by_firth(problem, start, tol, most, progress=False):
    """As `iterate.by_irls`, for a `Firth` or `Jeffreys` penalty; INVALID_START where no start is valid."""
    equations = Equations(problem)
    for flat in _starts(problem, start):
        found = solve(equations, flat, tol, most)
        if found.status != Status.INVALID_START:
            break
    return dataclasses.replace(found, phi=equations(found.flat).phi if equations.plugged else None)


def _starts(problem, start):
    if start is not None:
        yield flatten_host(start)
        return
    prepared, lin = problem.prepared, problem.start()
    P = 1e-6 * np.eye(problem.design.shape[1] * problem.width)
    bare = problem.with_model(dataclasses.replace(problem.model, penalty=None))
    if problem.small:
        yield irls.first_step(problem.X, prepared.weight, lin, prepared.offset, bare.derivatives(lin), P)
    yield flatten_host(constant_start(bare))
    yield np.zeros(len(P))


def solve(equations, flat, tol, most, free=None):
    """Fisher scoring on the adjusted score from flat coefficients, those not `free` held: `Found`.

    A step is halved until it lowers the objective, or without one until the distance left does not grow.
    """
    here, history, before = equations(flat), [], np.inf
    free = np.ones(len(flat), bool) if free is None else free
    zero = np.zeros_like(flat)
    if not here.finite():
        return Found(flat, zero, Status.INVALID_START, np.zeros((1, 2)), "firth")
    status = Status.MAX_ITER
    for _ in range(most):
        step, decrement = _step(here, free)
        history.append((here.objective, float(np.max(np.abs(here.grad[free]), initial=0.0))))
        if decrement <= 1e-4 * tol or (decrement <= 1e-6 and decrement > 0.9 * before):
            status = Status.CONVERGED if decrement <= tol else Status.FLOOR
            break
        before = decrement
        after = _halved(equations, flat, step, here, decrement, free)
        if after is None:
            status = Status.CONVERGED if decrement <= tol else Status.FLOOR if decrement < 1e-6 else Status.STALLED
            break
        flat, here = after
    else:
        status = Status.CONVERGED if _step(here, free)[1] <= tol else Status.MAX_ITER
    return Found(flat, zero, status, np.array(history), "firth")


def _step(here, free):
    """(Fisher scoring's step of the free coefficients, its length in standard errors)."""
    step = np.zeros(len(free))
    if not free.any():
        return step, 0.0
    R = here.R if free.all() else linalg.triangle(here.R[:, free])
    pushed = np.linalg.solve(R.T, here.grad[free])
    step[free] = -here.phi * np.linalg.solve(R, pushed)
    return step, float(np.sqrt(here.phi) * np.linalg.norm(pushed))


def _halved(equations, flat, step, here, decrement, free):
    """(coefficients, `Look`) at the first of the halved steps that leads nearer, or None."""
    moved = np.max(np.abs(equations.bare.lin(step) - equations.problem.prepared.offset), initial=0.0)
    first = min(1.0, REACH / moved) if moved > 0 else 1.0
    for share in first * 0.5 ** np.arange(20):
        there = equations(flat + share * step)
        if not there.finite():
            continue
        if equations.has_objective:
            near = there.objective <= here.objective - 1e-4 * share * decrement**2 + 1e-12 * (1 + abs(here.objective))
        else:
            near = _step(there, free)[1] <= max(decrement, 1e-7) * 1.0001
        if near:
            return flat + share * step, there
    return None
