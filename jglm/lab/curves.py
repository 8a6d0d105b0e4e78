"""Curves that several experiments show: a(eta) with its derivatives, and the distribution of y at one eta."""

import jax
import jax.numpy as jnp
import numpy as np

COUNT = 201  # of the points of a curve: one size, so one program for a family
REACH = 4.0  # of the axis of eta


def etas(low=-np.inf, high=np.inf, count=COUNT):
    """Natural parameters from -4 to 4 where these lie in the domain (low, high), else the part nearest to 0; an end of
    the domain itself is left out."""
    start = low if np.isfinite(low) else min(-REACH, high - 2 * REACH)
    stop = high if np.isfinite(high) else max(REACH, low + 2 * REACH)
    start, stop = max(start, min(-REACH, stop - REACH)), min(stop, max(REACH, start + REACH))
    gap = 0.05 * (stop - start)
    return np.linspace(start + gap * (start <= low), stop - gap * (stop >= high), count)


@jax.jit
def moments(family, eta):
    """(a, a', a'') at every natural parameter of a scalar family: one program."""
    first = jax.grad(family.a)
    return tuple(jax.vmap(of)(eta) for of in (family.a, first, jax.grad(first)))


def distribution(family, eta, mean, variance, phi=1.0):
    """{y, p, discrete}: probabilities or density of y at one eta of a scalar family, about where its mass is.

    All curves are of one size: where the support is a lattice, points beyond it have p = 0 and are left out.
    """
    support, spread = family.support, float(np.sqrt(variance))
    low, high = _window(float(mean), spread, support)
    if support.step:
        stride = support.step * max(1, int(np.ceil((high - low) / support.step / (COUNT - 1))))
        first = support.low if np.isfinite(support.low) else 0.0
        y = first + support.step * np.ceil((low - first) / support.step - 1e-9) + stride * np.arange(COUNT)
        keep = y <= high + 1e-9
    else:
        y, keep = np.linspace(low, high, COUNT), np.ones(COUNT, bool)
    p = np.exp(np.asarray(family.log_prob(jnp.asarray(y), eta, phi)))
    return {"y": y[keep], "p": p[keep], "discrete": bool(support.step)}


def _window(mean, spread, support):
    """Four standard deviations about the mean, rounded outwards to a round step, so that axes seldom change."""
    raw = max(8 * spread / 6, 1e-9)
    step = 10 ** np.floor(np.log10(raw))
    step *= next(m for m in (1, 2, 5, 10) if m * step >= raw * (1 - 1e-9))
    low, high = np.floor((mean - 4 * spread) / step) * step, np.ceil((mean + 4 * spread) / step) * step
    return max(low, support.low), min(high, support.high)
