"""Which method computes the density of a family: found on the host by trying them and comparing what they give.

The vertical paths ("lattice", "line") are the inversion formula itself: where more and finer nodes agree they are
right. The bent ones ("contour") are right only where nothing is met in between, so they are held against the
vertical ones where these converge and, for a continuous law where they do not, against its total mass and mean.
"""

import warnings
from functools import lru_cache

import jax
import numpy as np
from jax.core import Tracer

from jglm.distributions import contour, invert
from jglm.distributions.contour import Method
from jglm.distributions.quadrature import across
from jglm.distributions.support import Support, find_support
from jglm.distributions.trials import in_chunks, on_line, on_plane, trials

METHODS = ("closed", "lattice", "line", "contour", "saddlepoint")
TOLERANCE = 1e-11  # of log p, besides rounding in a / phi
_CHEAP = 256  # nodes of a vertical path up to which no other is tried
_NODES = {
    "lattice": tuple(2**k for k in range(4, 13)),
    "line": tuple(2**k for k in range(6, 14)),
    "steepest": (16, 24, 32, 48, 64, 96, 128),
    "hyperbola": (32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048),
}


def choose(family, phi=1.0, y=None, name=None, closed=True):
    """The cheapest `Method` of a scalar family with T(y) = y whose log density is right to `TOLERANCE`, else the one
    of least estimated error, which it carries.

    Args:
        family: with numbers as params (not traced).
        phi: the dispersion, or several: the smallest, the middle and the largest of them are tried.
        y: the data, on whose range the method is to be right; by default the body and tails of laws across the
            domain, for lattices up to 1,000 steps from the lower end.
        name: one of METHODS to be used in any case; what is found is then its number of nodes and its error.
        closed: whether a closed form of log_prob is to be used where the family has one. Its distribution function
            is then by quadrature; inversion is better in the far tails.

    Raises ValueError for traced params and for a family of another kind.
    """
    if getattr(family, "dim", None) is not None or getattr(family, "T_", None) is not None:
        raise ValueError(f"{family!r}: its log_prob needs a closed form, as eta is a vector or T(y) is not y")
    if name is not None and name not in METHODS:
        raise ValueError(f"density is {name!r}; it must be one of {METHODS}")
    if any(isinstance(v, Tracer) for v in jax.tree.leaves((family, phi, y))):
        raise ValueError("the method of a density is chosen before tracing, from numbers")
    phis = np.unique(np.quantile(np.asarray(phi, float), (0.0, 0.5, 1.0), method="nearest"))
    ends = None
    if y is not None and (y := _inside(np.asarray(y, float), family.support)).size:
        ends = float(y.min()), float(y.max())
    if name is None and closed and getattr(family, "has_density", False):
        name = "closed"
    return _choose(_Key(family), tuple(phis.tolist()), ends, name)


def _inside(y, support):
    return y[(y > support.low) & (y < support.high)]


class _Key:
    """A family that compares by what it computes."""

    def __init__(self, family):
        self.family = family
        params = tuple((k, np.asarray(v).tobytes()) for k, v in family.params.items())
        self.key = family.a_, family.domain, params, family.support

    def __eq__(self, other):
        return self.key == other.key

    def __hash__(self):
        return hash(self.key)


@lru_cache(maxsize=256)
def _choose(key, phis, ends, name):
    family = key.family
    with jax.ensure_compile_time_eval(), jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        support = _support(family)
        if name == "closed":
            return Method("closed", 0, 0.0, support)
        found = []
        for phi in phis:
            law = contour.without_mass(family, np.float64(phi), support)
            c, y = trials(law, support, phi, ends)
            found += [(law, phi, c, y)] if c.size else []
        if not found:
            return _without_trials(support, phis)
        if name == "saddlepoint" or not _takes_complex(family):
            return _saddlepoint(support, found)
        return _pick([_Law(support, *t) for t in found], name, support)


def _without_trials(support, phis):
    """Of a lattice that is nothing but its two ends anything is right; of another law nothing is known."""
    low, high, step, *_ = support
    if step and high - low < 1.5 * step * min(phis):
        return Method("lattice", 16, 0.0, support)
    return Method("saddlepoint", 0, np.inf, support)


def _takes_complex(family):
    try:
        in_chunks(on_plane, family, np.array([invert.interior(family.domain, np.float64) + 0.1j]))
    except (TypeError, ValueError, NotImplementedError, np.exceptions.ComplexWarning):
        return False
    return True


def _support(family):
    """As declared; its step, and which of its ends have a mass, as found from a."""
    declared, found = family.support, find_support(family)
    close = lambda a, b: bool(np.isfinite(a) and abs(a - b) <= 1e-6 * (1 + abs(a)))
    low_in = found.low_in and close(declared.low, found.low)
    high_in = found.high_in and close(declared.high, found.high)
    step = declared.step or found.step
    if not step:
        low_in = _levels_off(family, -1.0) if declared.low == 0 else low_in
        high_in = _levels_off(family, 1.0) if declared.high == 0 else high_in
    return Support(declared.low, declared.high, step, low_in, high_in)


def _levels_off(family, side):
    """Whether a tends to a number, and be it slowly, on the way to an end of the support at 0: a mass is there.

    A logarithm has equal steps; very far out they may be lost in rounding.
    """
    for exponents, most in (((3, 6, 9), 0.995), ((100, 200, 300), 0.9)):
        eta = np.asarray([side * 10.0**k for k in exponents])
        if not family.domain[0] < eta.min() <= eta.max() < family.domain[1]:
            return False
        a = np.asarray(jax.vmap(family.a)(eta))
        before, after = np.abs(np.diff(a))
        if not (np.isfinite(a).all() and after <= most * before):
            return False
    return True


# --------------------------------------------------------------------------- trying
class _Law:
    """A family at one dispersion, with the points at which methods are tried: saddles c and means y there, (m,)."""

    def __init__(self, support, family, phi, c, y):
        bends = np.array(in_chunks(on_line, family, c))
        kept = np.isfinite(bends).all(axis=0) & (bends[1] > 0)  # a'' may lose all its digits
        self.family, self.support, self.phi, self.c, self.y = family, support, phi, (c := c[kept]), (y := y[kept])
        _, self.v, self.d3, self.d4 = bends[:, kept]
        value = np.real(self.values(c + 0j)[0])
        self.noise = 2e-16 * (np.abs(value) + np.abs(c * y)) / phi + 1e-14

    def values(self, z):
        return in_chunks(on_plane, self.family, np.asarray(z, complex))

    def log_saturated(self, name, n, refined=False, at=None, lenient=True):
        """log density of y where the mean is y, by one method; by default at the points to try. NaN where a overflows
        on the path, unless `lenient`."""
        c, y, v = at or (self.c, self.y, self.v)
        phi, domain, step = self.phi, self.family.domain, self.support.step
        with np.errstate(all="ignore"):
            z, w, _ = contour.path(name, self.values, c, np.sqrt(phi / v), y, phi, n, domain, step, refined)
            gap = self.values(z)[0] - self.values(c + 0j)[0][:, None] - (z - c[:, None]) * y[:, None]
            known = np.isfinite(gap)
            total = np.sum((np.where(known, np.exp(gap / phi), 0.0) * w).real, axis=-1) / np.pi
            # A node where a overflows adds nothing, but in the traced code it may be NaN and its derivatives are.
            return np.log(np.where(known.all(axis=-1) | lenient, total, np.nan) * (step or 1 / phi))

    def worst(self, name, error):
        """The largest error, rounding in a / phi included where it enters."""
        noise = np.where(_series(self)[0] & (name == "contour"), 0.0, self.noise)
        return float(np.max(np.maximum(error, noise)))

    def tried(self, name):
        """(n, values, errors) of a method at the least n that suffices, or at the n of the least error."""
        kind = name
        if name == "contour":
            kind = "steepest" if contour.is_steepest(name, self.family.domain, self.support.step) else "hyperbola"
        best = 0, np.full(self.c.shape, np.nan), np.full(self.c.shape, np.inf)
        before = np.ones(self.c.shape)
        for n in _NODES[kind]:
            values = self.log_saturated(name, n, lenient=False)
            better = self.log_saturated(name, 4 * n if kind != "steepest" else 2 * n, refined=True)
            with np.errstate(invalid="ignore"):
                error = np.abs(values - better)
            error = np.where(np.isfinite(error), error, np.inf)
            if best[0] == 0 or np.minimum(error, 1).sum() < np.minimum(best[2], 1).sum():
                best = n, values, error
            short = error > TOLERANCE + 4 * self.noise
            # The last doubling gained a factor at each of the rest; with that at every further one, is any known then?
            gain = np.clip(error, 1e-16, 1) / np.clip(before, 1e-16, 1)
            if not short.any() or (
                n >= 512 and np.all((np.minimum(error, 1) * gain ** np.log2(_NODES[kind][-1] / n))[short] > 1e-6)
            ):
                break
            before = error
        if kind in ("lattice", "line"):
            best = *best[:2], np.maximum(best[2], self.beyond(best[0]))
        return best

    def beyond(self, n):
        """The highest peak that the characteristic function has farther out than n steps, each (m,): the density of a
        law that is nearly a lattice has a comb that the middle does not show."""
        h, spread = self.support.step, np.sqrt(self.phi / self.v)[:, None]
        first, last = n * contour.STEP * spread, np.pi / h if h else np.inf
        first = np.where(first > 0.4 * last, last, first)
        start = self.values(self.c + 0j)[0][:, None]

        def size(s):
            with np.errstate(all="ignore"):
                log = np.real(self.values(self.c[:, None] + 1j * s)[0] - start) / self.phi
            return np.where((s > first) & (s < last) & np.isfinite(log), log, -np.inf)

        scan = size(first + 0.7 * spread * np.arange(1, 8192))
        spans = 2 * np.pi / ((h or 1) * np.array([0.1, 0.2, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12]))
        pairs = (scan[:, 1:], scan[:, :-1]), (size(spans), size(spans + 3 * spread))
        # A peak is twice as high as the point beside it.
        peaks = [np.where(here > np.maximum(beside + 0.7, -30.0), here, -np.inf).max(axis=1) for here, beside in pairs]
        return 3 * np.exp(np.maximum(*peaks))


def _series(law):
    """(where the law is so near a normal one that the traced code takes Daniels' series; its value)."""
    skew2, excess = law.phi * (law.d3 / law.v**1.5) ** 2, law.phi * law.d4 / law.v**2
    near = skew2 + np.abs(excess) < contour.NORMAL
    unit = law.support.step or 1 / law.phi
    value = np.log(unit) + 0.5 * np.log(law.phi / (2 * np.pi * law.v))
    return near, value + np.log1p(np.where(near, excess / 8 - 5 * skew2 / 24, 0.0))


def _bent(law, upright):
    """The method "contour" as tried, with errors that hold against the vertical path and the total mass."""
    n, values, error = law.tried("contour")
    near, series = _series(law)
    differ = np.abs(values - series)
    values = np.where(near, series, values)
    error = np.where(near, np.where(differ <= 1e-9 + 100 * law.noise, 1e-13, differ), error)
    error = np.where(law.beyond(upright[0]) > 1e-6, np.inf, error)
    known = upright[2] < 1e-6
    differ = np.abs(values - upright[1])
    wrong = known & ~(differ <= 10 * (upright[2] + error) + 1e-10 + 10 * law.noise)
    if wrong.any():
        return n, values, np.where(known, differ, np.inf)
    if known.all() or law.support.step:
        return n, values, error if known.any() else np.full(error.shape, np.inf)
    # The more nodes for it: what is in question is the path.
    n_mass = n if contour.is_steepest("contour", law.family.domain, 0.0) else 1024
    return n, values, np.where(known, error, np.maximum(error, _defect(law, n_mass)))


def _defect(law, n):
    """By how much the total mass and the mean of a continuous density are off, relatively, for a law in the middle
    of those tried."""
    k, phi = len(law.c) // 2, law.phi
    eta = law.c[k]
    with np.errstate(all="ignore"):
        x, w = (np.asarray(v) for v in across(eta, np.sqrt(phi / law.v[k]), law.family.domain, 601))
        mean, v, *_ = in_chunks(on_line, law.family, x)
        log_s = law.log_saturated("contour", n, at=(x, mean, v))
        a = np.real(law.values(x + 0j)[0])
        own, slope = np.real(np.stack(law.values(np.array([eta + 0j])))).ravel()
        mass = w * v * np.exp(log_s - (own - a - (eta - x) * mean) / phi)
        mass, mean = np.where(np.isfinite(mass), mass, 0.0), np.where(np.isfinite(mean), mean, 0.0)
    off = (np.sum(mass * mean) - slope) / (np.abs(slope) + np.sqrt(phi * law.v[k]))
    return max(abs(np.sum(mass) - 1), abs(off))


def _pick(laws, name, support):
    """The `Method`: the cheapest whose errors are small, else that of the least error."""
    vertical = "lattice" if support.step else "line"
    found = {vertical: [law.tried(vertical) for law in laws]}
    rows = [_row(laws, vertical, found[vertical])]
    if name == "contour" or (name is None and not (rows[0][2].error <= 10 * TOLERANCE and rows[0][2].nodes <= _CHEAP)):
        found["contour"] = [_bent(law, upright) for law, upright in zip(laws, found[vertical], strict=True)]
        rows.append(_row(laws, "contour", found["contour"]))
    rows = [r for r in rows if name is None or r[2].name == name]
    best = min(rows)[2]
    if name is not None or best.error < 0.05:
        return best
    plain = _saddlepoint(support, [(law.family, law.phi, law.c, law.y) for law in laws], found[best.name])
    comb = max(law.beyond(_CHEAP).max() for law in laws)
    return min(plain._replace(error=max(plain.error, float(comb))), best, key=lambda m: m.error)


def _row(laws, kind, tried):
    """(whether its errors are too large, what it costs or, if they are, the largest error, the Method)."""
    n, worst = max(t[0] for t in tried), max(law.worst(kind, t[2]) for law, t in zip(laws, tried, strict=True))
    steep = contour.is_steepest(kind, laws[0].family.domain, laws[0].support.step)
    good = worst <= 10 * TOLERANCE
    return not good, n * (10 if steep else 1) if good else worst, Method(kind, n, worst, laws[0].support)


def _saddlepoint(support, points, found=None):
    """The saddlepoint density; its error is the first term that it leaves out, or what it is off where known."""
    worst = 0.0
    for i, (family, phi, c, _) in enumerate(points):
        _, v, d3, d4 = in_chunks(on_line, family, c)
        off = (d4 / (8 * v**2) - 5 / 24 * (d3 / v**1.5) ** 2) * phi
        if found is not None:
            plain = np.log(support.step or 1 / phi) + 0.5 * np.log(phi / (2 * np.pi * v))
            off = np.where(found[i][2] < 0.01, found[i][1] - plain, off)
        off = np.where(np.isfinite(off), off, np.inf)
        worst = max(worst, float(np.max(np.abs(off))), float(np.max(off) - np.min(off)))
    return Method("saddlepoint", 0, worst, support)
