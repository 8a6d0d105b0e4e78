"""Ends of profile-likelihood intervals: of every coefficient, or function of the unknowns, all sought at once.

For a function c of the unknowns u, with F the objective and phi the dispersion, the signed root of the profile is

    r(t) = sign(t - c(u^)) sqrt(2 (min_{c(u) = t} F(u) - F(u^)) / phi),

and the end of an interval is where |r| = z. Both are found together by Newton's method (Venzon and Moolgavkar 1988,
Applied Statistics 37, 87-94): with B the Hessian (less the multiplier's share of c's), a = grad c and g = grad F,

    nu = a'B^-1 g / a'B^-1 a,    F_t = F - (g - nu a)'B^-1 (g - nu a) / 2

are the slope of the profile at t = c(u) and, to second order, its value, so one pass over the data moves u towards the
profile and t towards its end, r being nearly linear in t. Lanes are the batch of all ends; none changes another's.
"""

from dataclasses import dataclass

import numpy as np

TOL = 1e-7  # of an end, in standard errors
FOUND, RUNNING, FLAT, BETTER, STUCK = range(5)
MESSAGES = {
    FLAT: "the likelihood stays flat that way: there is no end",
    BETTER: "a better fit was found on the way: the fit itself had not converged",
    STUCK: "no end was found: the likelihood has none inside the domain, or no single maximum",
}


@dataclass
class Starts:
    """Where lanes begin, (b, …) each: the optimum (b, P), its objective, gradient and information, and phi."""

    flat: np.ndarray
    value: np.ndarray
    grad: np.ndarray
    info: np.ndarray
    phi: np.ndarray


@dataclass
class Ends:
    """The ends (b,) of c, the unknowns there (b, P), what became of each lane, and passes over the data."""

    value: np.ndarray
    flat: np.ndarray
    status: np.ndarray
    n_iter: int


@dataclass
class Linear:
    """c(u) = a'u of every lane, a (b, P)."""

    a: np.ndarray

    def at(self, flat, lanes):
        return np.einsum("bi,bi->b", self.a[lanes], flat), self.a[lanes], None


@dataclass
class _Local:
    """What is known of lanes at their points: c, nu, the distance g'B^-1 g that is left inside t = c(u), e = r^2, and
    the steps to the profile and along it (by a unit of c)."""

    c: np.ndarray
    nu: np.ndarray
    left: np.ndarray
    e: np.ndarray
    inner: np.ndarray
    along: np.ndarray
    unit: np.ndarray  # sqrt(phi a'B^-1 a), the standard error there


def find_ends(look, function, starts, side, z, far=None, most=100):
    """The Ends where |r| = z (b,) on the `side` (b,), -1 or 1, of every lane.

    Args:
        look: (points (k, P), lanes (k,)) -> Sums of those lanes, with value, grad, hess and fisher (None where hess is
            positive semidefinite).
        function: has `at(points, lanes)` -> (c, its gradients (k, P), its Hessians (k, P, P) or None).
        far: None, or (b,) values of c from which on the likelihood counts as flat.
    """
    with np.errstate(all="ignore"):
        run = _Run(look, function, starts, np.asarray(side, float), np.asarray(z, float), far)
        while len(run.active) and run.n_iter < most:
            run.advance()
        run.status[run.status == RUNNING] = STUCK
        value = np.where(run.status == FOUND, run.end, np.where(run.status == FLAT, run.side * np.inf, np.nan))
    return Ends(value, run.point, run.status, run.n_iter)


class _Run:
    """The state of all lanes: the point that was last taken and the step on trial from there."""

    def __init__(self, look, function, starts, side, z, far):
        self.look, self.function, self.starts, self.side, self.z = look, function, starts, side, z
        b = len(side)
        self.active, self.n_iter, self.status = np.arange(b), 1, np.full(b, RUNNING)
        self.point, self.end = starts.flat.copy(), np.full(b, np.nan)
        self.nu, self.error, self.length = np.zeros(b), np.full(b, np.inf), np.ones(b)
        self.wall = np.zeros(b, bool)  # whether the objective was too large somewhere beyond
        self.lost = np.zeros(b, bool)  # or was not a number, at the end of the domain or of the range of numbers
        self.within, self.beyond = np.zeros(b), np.full(b, np.inf)  # distances from the estimate known to be so
        here = self._local(self.active, starts.flat, starts.value, starts.grad, starts.info)
        self.c, self.unit, self.left = here.c, here.unit, here.left
        self.far = np.full(b, np.inf) if far is None else np.maximum(side * (far - here.c), 0.0)
        self.step = (side * np.minimum(z * here.unit, self.far))[:, None] * here.along
        self.limit = 4 * z**2 + 4
        self.status[self.far == 0] = FLAT
        self.active = np.flatnonzero(self.status == RUNNING)

    def _local(self, lanes, flat, value, grad, info):
        s = self.starts
        c, a, C = self.function.at(flat, lanes)
        B = info if C is None else info - self.nu[lanes, None, None] * C
        steps = solve_both(B, info, np.stack([grad, a], axis=2))
        g, along = steps[:, :, 0], steps[:, :, 1]
        aa = np.einsum("bi,bi->b", a, along)
        nu = np.einsum("bi,bi->b", a, g) / aa
        inner = -g + nu[:, None] * along
        left = np.maximum(-np.einsum("bi,bi->b", grad - nu[:, None] * a, inner), 0.0)
        e = 2 * (value - left / 2 - s.value[lanes]) / s.phi[lanes]
        return _Local(c, nu, left / s.phi[lanes], e, inner, along / aa[:, None], np.sqrt(s.phi[lanes] * aa))

    def advance(self):
        lanes = self.active
        trial = self.point[lanes] + self.length[lanes, None] * self.step[lanes]
        sums = self.look(trial, lanes)
        self.n_iter += 1
        info = (
            sums.hess if sums.fisher is None else np.where(definite(sums.hess)[:, None, None], sums.hess, sums.fisher)
        )
        here = self._local(lanes, trial, sums.value, sums.grad, info)
        rise = 2 * (sums.value - self.starts.value[lanes]) / self.starts.phi[lanes]
        sound = np.isfinite(rise) & np.isfinite(here.e) & np.isfinite(here.unit) & np.isfinite(trial).all(axis=1)
        taken = sound & (rise <= self.limit[lanes]) & (here.left <= np.maximum(1.0, self.left[lanes]))
        self._reject(lanes[~taken], np.isnan(sums.value[~taken]))
        pick = lambda v: v[taken]
        self._take(lanes[taken], trial[taken], _Local(*map(pick, vars(here).values())))
        self.active = lanes[self.status[lanes] == RUNNING]

    def _reject(self, lanes, lost):
        self.length[lanes] /= 4
        self.lost[lanes] |= lost
        self.wall[lanes] |= ~lost
        self.status[lanes[self.length[lanes] < 1e-10]] = STUCK

    def _take(self, lanes, point, here):
        side, z = self.side[lanes], self.z[lanes]
        r, nu = np.sqrt(np.maximum(here.e, 0.0)), side * here.nu
        out = side * (here.c - self.c[lanes])  # how far from the estimate
        slope = np.where((r > 0.1 * z) & (nu > 0), nu / (self.starts.phi[lanes] * r), 1 / here.unit)
        move = self._guarded(lanes, out, (z - r) / slope, here)
        error = np.maximum(np.abs(z - r) / (slope * here.unit), np.sqrt(here.left))
        ratio = error / self.error[lanes]
        # Newton's errors are squared: by the last two, the next one is below the tolerance.
        sure = (error < 1e-2) & (ratio < 0.2) & (error * ratio**2 <= 0.1 * TOL)
        done = (error <= TOL) | sure
        gain = nu * out / self.starts.phi[lanes]
        quiet = (here.left < 1e-3) & ~self.wall[lanes] & (out >= 0.5 * z * self.unit[lanes])
        flat = quiet & (gain < 1e-3 * (z**2 - here.e)) | (here.left < 1e-3) & (out >= 0.999 * self.far[lanes])
        # Where full steps leave the range of numbers: nothing of the rise that the curvature promised is there.
        none = here.e < 1e-3 * (out / self.unit[lanes]) ** 2
        flat |= self.lost[lanes] & ~self.wall[lanes] & (here.left < 1e-3) & (out > 0) & none
        flat &= ~done & (r < z)
        better = here.e < -1e-3
        step = here.inner + (side * move)[:, None] * here.along
        self.point[lanes] = np.where(done[:, None], point + step, point)
        self.end[lanes] = here.c + side * move
        self.step[lanes], self.length[lanes], self.left[lanes] = step, 1.0, here.left
        self.nu[lanes], self.error[lanes] = here.nu, error
        self.status[lanes] = np.where(better, BETTER, np.where(done, FOUND, np.where(flat, FLAT, RUNNING)))

    def _guarded(self, lanes, out, move, here):
        """The move of t kept between what is known to lie within the interval and beyond it, and to twice the distance
        so far; none where the point is far from the profile."""
        near, inside = here.left < 0.1, here.e < self.z[lanes] ** 2
        self.within[lanes] = np.where(inside, np.maximum(self.within[lanes], out), self.within[lanes])
        self.beyond[lanes] = np.where(near & ~inside, np.minimum(self.beyond[lanes], out), self.beyond[lanes])
        low, high = self.within[lanes], self.beyond[lanes]
        # Where there is a wall beyond, steps begin small.
        most = np.maximum(out, np.where(self.wall[lanes] | self.lost[lanes], 0.0, self.z[lanes] * self.unit[lanes]))
        move = np.minimum(np.clip(move, -0.7 * np.abs(out), most), self.far[lanes] - out)
        lost = ~((out + move >= low) & (out + move <= high)) & np.isfinite(high) & (low < high)
        return np.where(here.left > 1.0, 0.0, np.where(lost, (low + high) / 2 - out, move))


def information(sums):
    """The Hessian of every lane, or what stands in where it is not positive definite."""
    if sums.fisher is None:
        return np.asarray(sums.hess)
    return np.where(definite(sums.hess)[:, None, None], sums.hess, sums.fisher)


def definite(H):
    """Which of the symmetric matrices (b, P, P) are positive definite, scaled to a unit diagonal."""
    unit = _scaled(H)[0]
    sound = np.isfinite(unit).all(axis=(1, 2)) & (np.einsum("bii->bi", H) > 0).all(axis=1)
    unit = np.where(sound[:, None, None], unit, np.eye(H.shape[1]))
    try:  # a third of the price of eigenvalues, and enough where all are
        np.linalg.cholesky(unit - 1e-12 * np.eye(H.shape[1]))
        return sound
    except np.linalg.LinAlgError:
        return sound & (np.linalg.eigvalsh(unit)[:, 0] > 1e-12)


def _scaled(H):
    d = np.sqrt(np.abs(np.einsum("bii->bi", H)))
    s = np.where(d > 0, 1 / np.where(d > 0, d, 1.0), 1.0)
    return s[:, :, None] * H * s[:, None, :], s


def solve_both(B, instead, rhs):
    """B^-1 rhs (b, P, q); `instead` takes the place of a B that is not positive definite, and its absolute value (that
    of its eigenvalues) where it is not either; NaN lanes stay NaN."""
    good = definite(B)
    if not good.all() and instead is not B:
        B = np.where(good[:, None, None], B, instead)
        good = definite(B)
    unit, s = _scaled(B)
    sound = np.isfinite(unit).all(axis=(1, 2)) & np.isfinite(rhs).all(axis=(1, 2))
    P, scaled = B.shape[1], s[:, :, None] * np.where(sound[:, None, None], rhs, 0.0)
    unit = np.where(sound[:, None, None], unit, np.eye(P)) + 4 * P * np.finfo(float).eps * np.eye(P)
    bad = np.flatnonzero(sound & ~good)
    if len(bad):
        values, vectors = np.linalg.eigh(unit[bad])
        unit[bad] = (vectors * np.maximum(np.abs(values), 1e-10)[:, None]) @ vectors.swapaxes(1, 2)
    return np.where(sound[:, None, None], s[:, :, None] * np.linalg.solve(unit, scaled), np.nan)
