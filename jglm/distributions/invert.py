"""Roots of monotone functions: bracket first, then Newton. An answer that did not converge is NaN."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def interior(domain, dtype):
    """A point well inside the open interval `domain`; not 0, where the normal's mean has no logarithm."""
    return _from_line(jnp.full((), 0.5, dtype), domain)


def _from_line(s, domain):
    """The whole line onto `domain`, finely near a finite end and far out where there is none."""
    low, high = domain
    if low == -jnp.inf and high == jnp.inf:
        return jnp.sinh(s)
    if low == -jnp.inf:
        return high - jnp.exp(-s)
    if high == jnp.inf:
        return low + jnp.exp(s)
    return low + (high - low) * jax.nn.sigmoid(s)


def solve_increasing(f, target, domain, steps=250):
    """x in `domain` with f(x) = target, for an increasing scalar function f; NaN where there is none.

    Values of f that are not finite count as beyond the root, so that the bracket shrinks to where f is computable.
    """
    dtype = target.dtype
    reach = float(np.log(float(jnp.finfo(dtype).max))) - 2.0

    def at(s):
        """x, the gap that is left there and df / dx: f is traced here only, and where it is many operations
        compiling it is what takes the time."""
        x = _from_line(s, domain)
        value, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
        gap = value - target
        return x, jnp.where(jnp.isfinite(gap), gap, jnp.where(s > 0, jnp.inf, -jnp.inf)), slope

    def speed(s):
        return jax.jvp(lambda v: _from_line(v, domain), (s,), (jnp.ones_like(s),))[1]

    def body(carry):
        low, high, s, i, _ = carry
        _, gap, slope = at(s)
        low, high = jnp.where(gap <= 0, s, low), jnp.where(gap >= 0, s, high)
        newton, middle = s - gap / (slope * speed(s)), (low + high) / 2
        # Newton inside the bracket, every third step a halving, so that the bracket always closes.
        good = jnp.isfinite(newton) & (newton > low) & (newton < high) & (i % 3 != 2)
        s_next = jnp.where(good, newton, middle)
        eps = jnp.finfo(dtype).eps
        done = (gap == 0) | (high - low <= 2 * eps * jnp.maximum(jnp.abs(s), 1.0))
        done = done | (good & (jnp.abs(s_next - s) <= eps * jnp.maximum(jnp.abs(s), 1.0)))
        return low, high, jnp.where(gap == 0, s, s_next), i + 1, done

    start = (jnp.full_like(target, -reach), jnp.full_like(target, reach), jnp.zeros_like(target), 0, False)
    s = lax.while_loop(lambda c: ~c[4] & (c[3] < steps), body, start)[2]
    x, gap, slope = at(s)
    eps = jnp.finfo(dtype).eps
    # One unit in the last place of x, or of s, moves f by this much.
    grain = jnp.abs(slope) * (jnp.abs(x) + jnp.abs(speed(s)) * (1 + jnp.abs(s)))
    return jnp.where(jnp.abs(gap) <= 64 * eps * (jnp.abs(target) + grain), x, jnp.nan)


def solve_convex(value, target, start, steps=100):
    """argmin of value(x) - target·x over vectors x by damped Newton from `start`; NaN where it did not converge."""
    eps = jnp.finfo(target.dtype).eps
    objective = lambda x: value(x) - target @ x

    def body(carry):
        x, _, i = carry
        g, h = jax.grad(objective)(x), jax.hessian(objective)(x)
        h = h + 8 * eps * jnp.trace(h) * jnp.eye(len(x), dtype=x.dtype)
        step = -jnp.linalg.solve(h, g)
        lengths = 0.5 ** jnp.arange(40, dtype=x.dtype)
        trial = jax.vmap(lambda t: objective(x + t * step))(lengths)
        here = objective(x)
        better = jnp.isfinite(trial) & (trial <= here + 1e-4 * lengths * (g @ step) + 4 * eps * (1 + jnp.abs(here)))
        t = jnp.where(jnp.any(better), lengths[jnp.argmax(better)], 0.0)
        return x + t * step, jnp.max(jnp.abs(t * step) / (1 + jnp.abs(x))), i + 1

    x, _, _ = lax.while_loop(lambda c: (c[1] > 4 * eps) & (c[2] < steps), body, (start, jnp.ones((), target.dtype), 0))
    gap = jnp.max(jnp.abs(jax.grad(objective)(x)))
    return jnp.where(gap <= 1e4 * eps * (1 + jnp.max(jnp.abs(target))), x, jnp.nan)
