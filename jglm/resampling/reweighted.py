"""One data set fitted under many vectors of weights, each from the fit of the weights as they are."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jglm import rows
from jglm.batches import batch
from jglm.batches.lanes import lanes_of
from jglm.batches.stacked import Stack
from jglm.designs import place, products
from jglm.drivers import solve
from jglm.fitting.padding import power_of_two
from jglm.fitting.problem import Problem, flatten_host
from jglm.model import Data, Model, Unknowns
from jglm.penalties import is_smooth
from jglm.solvers import Newton, ProximalNewton, Status

NUMBERS = 1 << 20  # of resamples times rows that are taken at a time
ROWS = 1 << 10  # of a block: what is made of each row for each resample stays in cache
WAITING = 1 << 24  # that wait, for one call of `batch`
PASSES = 12  # with one Hessian; what is not at its optimum then is left to `batch`
LARGEST = 1 << 26  # numbers of the products of the columns


@dataclass
class Found:
    """flat unknowns (m, P) and the statuses (m,) of `batch`."""

    flat: np.ndarray
    status: np.ndarray


class Reweighted:
    """The data of a fit, ready for other weights: those it was fitted with times factors (b, n)."""

    def __init__(self, fit, tol=1e-8):
        prepared = fit._data("a bootstrap")
        self.tol, self.scale, self.prepared = tol, fit.scale, prepared
        free = fit.free
        model = Model(fit.family.replace(free=free) if free else fit.family, fit.link, fit.model.penalty)
        self.problem = Problem(model, prepared, fit.kept)
        self.nuisance = fit.nuisance if free else {}
        coef = flatten_host(fit.params[fit.kept])
        self.flat = np.concatenate([coef, *(np.ravel(v) for _, v in sorted(self.nuisance.items()))])
        smooth = model.penalty is None or is_smooth(model.penalty)
        self.batched = smooth and not prepared.designs
        n, p = self.problem.design.shape
        few = self.batched and n * p * (p + 1) // 2 <= LARGEST and not free and model.width() is None
        self.quick = _Quick(self) if few and jax.default_backend() == "cpu" else None
        self.step = power_of_two(NUMBERS // n)  # resamples at a time; a power of two, so that few sizes are compiled
        self.waiting = power_of_two(WAITING // n)

    def fits(self, weights, resamples, advance=None):
        """Found under `weights(resamples)`; `advance` is told of every few how many they are."""
        if self.quick is None:
            return self._in_parts(self._others, weights, resamples, self.waiting, advance)
        found = self._in_parts(self.quick.fits, weights, resamples, self.step, advance, threads=True)
        hard = np.flatnonzero(found.status == Status.RUNNING)
        if len(hard):
            other = self._in_parts(self._others, weights, resamples[hard], self.waiting)
            found.flat[hard], found.status[hard] = other.flat, other.status
        return found

    def one_steps(self, weights, resamples, advance=None):
        """Found after a single Newton step from the fit, with the gradient and Hessian of the weights."""
        return self._in_parts(self._one_step, weights, resamples, self.step, advance, threads=self.quick is not None)

    def _in_parts(self, function, weights, resamples, step, advance=None, threads=False):
        """What a function finds under `weights(resamples)`, `step` at a time."""

        def some(part):
            with jax.enable_x64(True):  # which is a setting of each thread
                found = function(weights(part))
            if advance is not None:
                advance(len(part))
            return found

        parts = [resamples[i : i + step] for i in range(0, len(resamples), step)]
        found = products.in_threads(some, parts, len(resamples) * len(self.prepared.weight) if threads else 0)
        return Found(*(np.concatenate(v) for v in zip(*((f.flat, f.status) for f in found), strict=True)))

    def _one_step(self, factors):
        if self.quick is not None:
            grad, inverse = self.quick.first(factors)
        else:
            lanes = lanes_of(self.problem.model, self._stack(factors), np.arange(len(factors)), self._penalty, True)
            sums = lanes.look(np.broadcast_to(self.flat, (len(factors), len(self.flat))))
            grad, inverse = sums.grad, inverses(sums.hess)
        flat = self.flat - np.einsum("bij,bj->bi", inverse, grad)
        return Found(flat, np.where(np.isfinite(flat).all(axis=1), int(Status.CONVERGED), int(Status.STALLED)))

    @functools.cached_property
    def _penalty(self):
        """The Hessian of a smooth penalty in all unknowns, or None."""
        if self.problem.model.penalty is None:
            return None
        P = np.zeros((len(self.flat),) * 2)
        size = len(self.flat) - sum(map(np.size, self.nuisance.values()))
        P[:size, :size] = self.problem.penalty_hessian(self.flat[:size])
        return P

    def _stack(self, factors):
        p, m = self.prepared, len(factors)
        whole = lambda v: np.broadcast_to(v, (m, *v.shape))
        offset = p.offset if p.offset.ndim == 1 else whole(p.offset)
        size = self.problem.design.shape[1] * self.problem.width
        start = whole(self.problem.shape(self.flat[:size]))
        return Stack(self.problem.X, whole(p.y), p.weight * factors, offset, p.size, p.power * factors, start=start)

    def _others(self, factors):
        """By `batch` where it can, else one solve after another: kinks, and parameters with designs of their own."""
        if not self.batched:
            return self._one_by_one(factors)
        found = batch.solve_many(self.problem.model, self._stack(factors), tol=self.tol)
        status = np.where(np.isin(found.status, batch.CONVERGED), int(Status.CONVERGED), found.status)
        return Found(found.flat(), status)

    def _one_by_one(self, factors):
        model, (data, solver, start) = self.problem.model, self._traced
        solution = [_solve_compiled(model, data, solver, start, factor) for factor in factors]
        flat = [np.append(flatten_host(s.coef), [np.ravel(v) for _, v in sorted(s.nuisance.items())]) for s in solution]
        return Found(np.stack(flat), np.array([int(s.status) for s in solution]))

    @functools.cached_property
    def _traced(self):
        model, size = self.problem.model, self.problem.design.shape[1] * self.problem.width
        kinks = model.penalty is not None and not is_smooth(model.penalty)
        coef = jnp.asarray(self.problem.shape(self.flat[:size]))
        start = Unknowns(coef, {k: jnp.asarray(v) for k, v in self.nuisance.items()})
        return self.problem.data, ProximalNewton(self.tol) if kinks else Newton(self.tol), start


@jax.jit
def _solve_compiled(model, data, solver, start, factor):
    own = Data(data.X, data.y, data.weight * factor, data.offset, data.size, data.designs)
    return solve(model, own, solver=solver, start=start)


class _Quick:
    """Scalar families on a CPU: the first Newton step of every resample is one matrix product with what all share, the
    next one has a Hessian of its own, which the others keep. So a resample costs a fraction of a fit; one that is not
    at its optimum soon is left to others. Products are XLA's: BLAS threads wait for one another actively, and in
    several threads of ours, or beside other programs, they took thirty times as long."""

    def __init__(self, of):
        self.of, problem, p = of, of.problem, of.prepared
        i, j = self.pairs = np.triu_indices(problem.design.shape[1])
        self.at = np.zeros((problem.design.shape[1],) * 2, int)
        self.at[i, j] = self.at[j, i] = np.arange(len(i))
        view = problem.derivatives(problem.lin(of.flat))
        bend = np.where(view.observed > 0, view.observed, view.expected)
        self.score, self.bend = p.weight * view.score, p.weight * bend
        # Gradients decide where the steps end; on the way there single precision is enough.
        with np.errstate(over="ignore", under="ignore"):
            Z, shared = self._shared(np.float32)
            self.rough = place(self._cut(shared))
            self.rows = place(tuple(map(self._cut, (problem.X, Z, p.y, p.weight, p.offset))))
        self.push = np.zeros((len(of.flat),) * 2) if of._penalty is None else of._penalty

    def _shared(self, dtype):
        """The products of the columns, and what a resample's own weights are to be multiplied with for its gradient and
        its Hessian at the fit itself."""
        X, (i, j) = self.of.problem.X.astype(dtype, copy=False), self.pairs
        Z = X[:, i] * X[:, j]
        return Z, np.hstack([v.astype(dtype)[:, None] * V for v, V in ((self.score, X), (self.bend, Z))])

    @functools.cached_property
    def exact(self):
        return place(self._cut(self._shared(np.float64)[1]))

    @staticmethod
    def _cut(v):
        """(blocks, rows, ...) of v (n, ...): blocks of one size, for which the last rows stand twice, with factor 0."""
        count = -(-len(v) // ROWS)
        behind = -len(v) % count
        whole = np.concatenate([v, v[len(v) - behind :]]) if behind else v
        return whole.reshape(count, -1, *v.shape[1:])

    def first(self, factors, rough=False):
        """The gradients and the inverse Hessians at the fit itself."""
        sums = np.asarray(_times_compiled(self.rough if rough else self.exact, factors), np.float64)
        P = len(self.push)
        return sums[:, :P] + self.push @ self.of.flat, inverses(sums[:, P:][:, self.at] + self.push)

    def fits(self, factors):
        of, count = self.of, len(factors)
        factors = np.concatenate([factors, np.repeat(factors[:1], (1 << (count - 1).bit_length()) - count, axis=0)])
        b = len(factors)
        flat = np.broadcast_to(of.flat, (b, len(of.flat)))
        grad, inverse = self.first(factors, True)
        status, before = np.full(b, int(Status.RUNNING)), np.full(b, np.inf)
        sums_at = [of.problem.bound(_sums_at, bends) for bends in (True, False)]
        with np.errstate(all="ignore"):
            for i in range(PASSES):
                step = -(inverse @ grad[:, :, None])[:, :, 0]
                distance = np.sqrt(np.abs((grad * step).sum(axis=1)) / of.scale)
                # With one Hessian distances fall by about the same factor: what the next one will be is known.
                running = status == Status.RUNNING
                done = (distance <= of.tol) | ((i > 1) & (distance**2 <= 0.1 * of.tol * before))
                nearer = done | (distance < before)
                flat = np.where(running[:, None], np.where(nearer[:, None], flat + step, np.nan), flat)
                status, before = np.where(running & done, int(Status.CONVERGED), status), distance
                lost = ~np.isfinite(flat).all(axis=1) & (status == Status.RUNNING)
                if np.all((status != Status.RUNNING) | lost):
                    break
                grad, *hess = map(np.asarray, sums_at[i > 0](*self.rows, flat, factors))
                grad = grad + flat @ self.push
                if i == 0:
                    inverse = inverses(hess[0][:, self.at] + self.push)
        status = np.where(np.isfinite(flat).all(axis=1), status, int(Status.RUNNING))
        return Found(flat[:count], status[:count])


def _over_blocks(look, blocks, factors):
    """The sum of what `look(rows of a block, their factors (b, rows))` finds in each block; factors (b, n)."""
    count, size = blocks[0].shape[:2]
    factors = jnp.pad(factors, ((0, 0), (0, count * size - factors.shape[1])))

    def find(i):
        own = lax.dynamic_slice_in_dim(factors, i * size, size, axis=1)
        return look(*(lax.dynamic_index_in_dim(v, i, keepdims=False) for v in blocks), own)

    add = lambda i, total: jax.tree.map(jnp.add, total, find(i))
    zero = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), jax.eval_shape(find, 0))
    return lax.fori_loop(0, count, add, zero)


@jax.jit
def _times_compiled(blocks, factors):
    return _over_blocks(lambda v, own: own.astype(v.dtype) @ v, (blocks,), factors)


def _sums_at(model, X, Z, y, weight, offset, flat, factors, bends):
    """[gradients (b, P), Hessians as their upper triangles] at flat (b, P), of rows in blocks (blocks, rows, ...); not
    finite where the likelihood of a row is 0, even of one that a resample leaves out."""

    def look(X, Z, y, weight, offset, factors):
        on = weight > 0
        lin = flat @ X.T + offset[None, :]
        t, weight = rows.mask(on, rows.statistics(model, y), 1.0), jnp.where(on, weight, 0.0)

        def one(lin, factor):
            lin = rows.mask(on, lin, rows.safe_lin(model, lin.dtype))
            w, inside = weight * factor.astype(lin.dtype), rows.in_domain(model, lin)
            if bends:
                _, score, observed, expected = jax.vmap(lambda t, v: rows.row(model, t, v))(t, lin)
                found = score, jnp.where(observed > 0, observed, expected)
            else:  # without the loss, of which many families need a logarithm
                found = (jax.vmap(jax.grad(lambda v, t: rows.row(model, t, v, False)))(lin, t),)
            return [w * jnp.where(inside, v, jnp.nan) for v in found]

        return [v.astype(V.dtype) @ V for v, V in zip(jax.vmap(one)(lin, factors), (X, Z), strict=False)]

    return _over_blocks(look, (X, Z, y, weight, offset), factors)


def inverses(H):
    """H^-1 (b, P, P) of positive definite matrices, NaN where one is (nearly) singular."""
    with np.errstate(invalid="ignore"):
        d = np.sqrt(np.einsum("bii->bi", H))
    sound = np.all(np.isfinite(H), axis=(1, 2)) & np.all(d > 0, axis=1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        unit = np.where(sound[:, None, None], H / (d[:, :, None] * d[:, None, :]), np.eye(H.shape[1]))
    try:
        inverse = np.linalg.inv(unit)
    except np.linalg.LinAlgError:
        inverse = np.stack([_inverse(u) for u in unit])
    inflation = np.einsum("bii->bi", inverse)
    sound &= np.all((inflation > 0) & (inflation < batch.INFLATED), axis=1)
    inverse = np.where(sound[:, None, None], inverse, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return inverse / (d[:, :, None] * d[:, None, :])


def _inverse(H):
    try:
        return np.linalg.inv(H)
    except np.linalg.LinAlgError:
        return np.full(H.shape, np.nan)
