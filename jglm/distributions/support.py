"""Where a response may lie: as the catalogue says, or found from a(eta) alone."""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jglm.distributions import invert

INF = float("inf")


class Support(NamedTuple):
    """[low, high], or without an end that is not included; step 0 is a continuum, h a lattice of that span."""

    low: float
    high: float
    step: float
    low_in: bool
    high_in: bool

    def holds(self, y):
        """Which entries of the array y lie in it (lattices to 1e-8 of the step)."""
        ok = (y >= self.low if self.low_in else y > self.low) & (y <= self.high if self.high_in else y < self.high)
        if self.step:
            k = (y - (self.low if np.isfinite(self.low) else 0.0)) / self.step
            off = k != np.round(k)
            if np.any(off):
                ok[off] &= np.abs(k[off] - np.round(k[off])) <= 1e-8 * np.maximum(1.0, np.abs(k[off]))
        return ok

    def describe(self):
        """In words, to follow 'needs'."""
        if self.step == 1 and self.low == 0 and self.high == 1:
            return "y = 0 or 1"
        if self.step == 1 and np.isfinite(self.low) and self.high == INF:
            return f"whole numbers y >= {self.low:g}"
        if self.step:
            return f"y on a lattice of span {self.step:g} from {self.low:g} to {self.high:g}"
        if np.isfinite(self.low) and np.isfinite(self.high):
            return f"{self.low:.6g} {_le(self.low_in)} y {_le(self.high_in)} {self.high:.6g}"
        if np.isfinite(self.low):
            return f"y {'>=' if self.low_in else '>'} {self.low:g}"
        return "finite y" if self.high == INF else f"y {_le(self.high_in)} {self.high:g}"


def _le(closed):
    return "<=" if closed else "<"


NAMED = {
    "real": Support(-INF, INF, 0.0, False, False),
    "positive": Support(0.0, INF, 0.0, False, False),
    "nonnegative": Support(0.0, INF, 0.0, True, False),
    "unit_interval": Support(0.0, 1.0, 0.0, False, False),
    "boolean": Support(0.0, 1.0, 1.0, True, True),
    "nonnegative_integer": Support(0.0, INF, 1.0, True, False),
    "simplex": Support(0.0, 1.0, 0.0, True, True),
}


def find_support(family):
    """The support of a scalar family from its log-partition.

    Its ends are the ends of the range of the mean; an end belongs to it where the conjugate a* is finite there; it is
    a lattice of span h where |exp(a(eta + it) - a(eta))| = 1 at t = 2 pi / h (Feller II, XV.1).
    """
    if family.dim is not None or family.T_ is not None:
        return NAMED["real"]
    params = tuple((k, float(v)) for k, v in family.params.items())
    return _find(family.a_, family.domain, params)


@lru_cache(maxsize=256)
def _find(a_, domain, params):
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        a = lambda eta: a_(eta, **dict(params))
        low, high = (_limit(a, domain, side) for side in (-1.0, 1.0))
        step = _span(a, complex(invert.interior(domain, np.float64)))
        ends = [np.isfinite(end[0]) and (bool(step) or _finite_conjugate(*end)) for end in (low, high)]
    return Support(low[0], high[0], step, *map(bool, ends))


def _limit(a, domain, side):
    """The end of the range of a' on one side, with the values of a'·eta - a on the way there."""
    s = side * np.concatenate([np.linspace(0.5, 20, 40), np.geomspace(21, 690, 60)])
    eta = jax.vmap(lambda v: invert._from_line(v, domain))(jnp.asarray(s))
    value, mean = (np.asarray(v) for v in jax.vmap(jax.value_and_grad(a))(eta))
    ok = np.isfinite(mean) & np.isfinite(value)
    last = np.argmin(ok) if not ok.all() else len(ok)
    mean, value, eta = mean[:last], value[:last], np.asarray(eta)[:last]
    end = mean[-1]
    if abs(end) > 1e6 or abs(end - mean[len(mean) // 2]) > 0.5 * abs(end) + 1e-3:
        return side * INF, None, None
    near = round(end * 1e6) / 1e6  # 1e-300 is 0 and 0.9999999999 is 1
    return (near + 0.0 if abs(near - end) < 1e-6 else end), eta, value


def _finite_conjugate(end, eta, value):
    """Whether sup (end·eta - a(eta)) is finite: the density does not vanish at that end."""
    path = end * eta - value
    return bool(np.isfinite(path[-1]) and abs(path[-1] - path[len(path) // 2]) < 1e-3 * (1 + abs(path[-1])))


def _span(a, eta):
    """The span of the lattice that carries the distribution, 0 where there is none or a takes no complex argument."""
    try:
        at = lambda t: complex(a(jnp.asarray(eta + 1j * t)))
        size = lambda t: abs(np.exp(at(t) - at(0.0)))
        spans = (4.0, 3.0, 2.0, 1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 10)
        return next((h for h in spans if abs(size(2 * np.pi / h) - 1) < 1e-9), 0.0)
    except (TypeError, ValueError, NotImplementedError):
        return 0.0
