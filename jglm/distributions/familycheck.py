"""check_family: is this function a log-partition, and how far can it be computed?"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from jglm import rows
from jglm.distributions import invert as _invert
from jglm.inputs import resolve
from jglm.reporting.tables import shown


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `level` is "ok", "note" (works, with a limit) or "wrong"."""

    level: str
    what: str
    said: str


@dataclass
class FamilyReport:
    """What `check_family` found, in the order it was looked at; prints as a short table."""

    family: str
    findings: list = field(default_factory=list)

    @property
    def ok(self):
        """Whether nothing is wrong."""
        return all(f.level != "wrong" for f in self.findings)

    def add(self, good, what, said, otherwise=None, level="wrong"):
        """Note a finding: `said` where it is good, else `otherwise` at `level`."""
        self.findings.append(Finding("ok" if good else level, what, said if good else otherwise or said))
        return good

    def __str__(self):
        sign = {"ok": " ok ", "note": "note", "wrong": "WRONG"}
        width = max((len(f.what) for f in self.findings), default=0)
        lines = [f"  {sign[f.level]:<5}  {f.what:<{width}}  {f.said}" for f in self.findings]
        return "\n".join([f"family {self.family!r}: {'a log-partition' if self.ok else 'NOT a log-partition'}", *lines])

    __repr__ = __str__

    def _repr_html_(self):
        import pandas

        head, _, _ = str(self).partition("\n")
        return shown(head, pandas.DataFrame([vars(f) for f in self.findings]))


def check_family(family, raises=True):
    """Look whether a(eta) is a log-partition, and what can be computed from it.

    Looked at, on points across the domain: that a is finite and smooth there, its derivatives against differences,
    convexity (a variance is positive), that exp(a(eta + it) - a(eta)) is a characteristic function (Bochner: its
    matrices are positive semidefinite), the range in float32 and float64, closed forms against the numeric ones, and
    that the density has mass 1, mean a' and variance a''.

    Args:
        family: a Family, or the name of one.
        raises: raise ValueError with the report where something is wrong; else it is only in the report.

    Returns a `FamilyReport`, which prints.

    >>> import jax.numpy as jnp
    >>> import jglm
    >>> jglm.check_family(jglm.Family("no_variance", a=lambda eta: -eta**2), raises=False).ok
    False
    """
    family = resolve.family(family)
    report = FamilyReport(family.name)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        points = _points(family)
        if all(look(report, family, points) for look in (_evaluates, _is_smooth, _is_convex)):
            if family.dim is None:
                _is_transform(report, family, points)
            _ranges(report, family)
            _closed_forms(report, family, points)
            _distribution(report, family)
    if raises and not report.ok:
        raise ValueError(f"{report}\n{_advice(report)}")
    return report


def _advice(report):
    wrong = next(f for f in report.findings if f.level == "wrong")
    hints = {
        "values": "give domain=(low, high) where a is finite, and write a with jax.numpy",
        "derivatives": "write a smooth function with jax.numpy; jnp.where needs finite values in both branches",
        "convexity": "a log-partition is convex, as its second derivative is a variance: look for a sign",
        "transform": "no random variable has this a: its exponential must be a Laplace transform",
        "closed forms": "the closed form given does not belong to this a",
        "distribution": "log_b, support or T do not belong to this a",
    }
    return hints.get(wrong.what, "")


def _points(family):
    """Natural parameters across the domain, (m,) or (m, k)."""
    if family.dim is None:
        s = jnp.linspace(-2.5, 2.5, 21)
        return jax.vmap(lambda v: _invert._from_line(v, family.domain))(s)
    k = 3 if family.dim < 0 else family.dim
    pairs = family.domain if np.ndim(family.domain) == 2 else [family.domain] * k
    s = np.random.default_rng(0).uniform(-1.5, 1.5, (12, k))
    column = lambda i, d: jax.vmap(lambda v: _invert._from_line(v, d))(jnp.asarray(s[:, i]))
    return jnp.stack([column(i, d) for i, d in enumerate(pairs)], axis=1)


def _evaluates(report, family, points):
    try:
        value = family.a(points[0])
    except Exception as error:
        return report.add(False, "values", "", f"a(eta) raises {type(error).__name__}: {str(error).splitlines()[0]}")
    if jnp.ndim(value) or jnp.iscomplexobj(value):
        return report.add(False, "values", "", f"a(eta) must be one real number; it has shape {jnp.shape(value)}")
    values = np.asarray(jax.vmap(family.a)(points))
    bad = ~np.isfinite(values)
    where = "" if not bad.any() else np.asarray(points)[np.argmax(bad)]
    return report.add(not bad.any(), "values", f"finite across the domain {family.domain}",
                      f"a is not finite at eta = {where} inside the domain {family.domain}")  # fmt: skip


def _is_smooth(report, family, points):
    """First and second derivatives against central differences."""
    first, second = jax.vmap(jax.grad(family.a))(points), jax.vmap(jax.hessian(family.a))(points)
    if not np.all(np.isfinite(first)) or not np.all(np.isfinite(second)):
        return report.add(False, "derivatives", "", "the derivatives of a are not finite everywhere in the domain")
    worst = 0.0
    for of, want in ((family.a, first), (jax.grad(family.a), second)):
        for i in range(1 if family.dim is None else points.shape[1]):
            unit = 1.0 if family.dim is None else np.eye(points.shape[1])[i]
            h = 1e-6
            difference = (jax.vmap(of)(points + h * unit) - jax.vmap(of)(points - h * unit)) / (2 * h)
            own = want if family.dim is None else want[..., i]
            worst = max(worst, float(np.max(np.abs(difference - own) / (1e-3 + np.abs(own)))))
    wrong = f"autodiff and differences differ by {worst:.0e}: a is not smooth, or has a wrong rule"
    return report.add(worst < 1e-3, "derivatives", f"agree with differences to {worst:.0e}", wrong)


def _is_convex(report, family, points):
    bend = np.asarray(jax.vmap(jax.hessian(family.a))(points))
    least = bend if bend.ndim == 1 else np.linalg.eigvalsh(bend)[:, 0]
    size = np.abs(bend) if bend.ndim == 1 else np.linalg.eigvalsh(bend)[:, -1]
    bad = least <= (0.0 if bend.ndim == 1 else -1e-12 * size)
    where = "" if not bad.any() else np.asarray(points)[np.argmax(bad)]
    wrong = f"a'' = {least[np.argmax(bad)]:.3g} at eta = {where}; a variance cannot be negative or 0"
    return report.add(not bad.any(), "convexity", "a'' > 0 across the domain", wrong)


def _is_transform(report, family, points):
    """Bochner's theorem: the matrices of exp(a(eta + i (s - t)) - a(eta)) have no negative eigenvalue."""
    worst = 0.0
    try:
        if not _is_analytic(family, points):
            said = "a is not analytic as written (abs, where, sign …), so its complex values are wrong; give log_b"
            return report.add(False, "transform", "", said, level="note")
        for eta in np.asarray(points)[5:16:5]:
            spread = float(jax.hessian(family.a)(jnp.asarray(eta))) ** -0.5
            for reach in (0.5, 1.5, 4.0):
                t = spread * reach * np.arange(12) / 3
                lags = jnp.asarray(t)
                cf = np.asarray(jax.vmap(lambda s, e=eta: jnp.exp(family.a(e + 1j * s) - family.a(e + 0j)))(lags))
                if not np.all(np.isfinite(cf)):
                    continue
                matrix = np.array([[cf[i - j] if i >= j else np.conj(cf[j - i]) for j in range(12)] for i in range(12)])
                worst = min(worst, float(np.linalg.eigvalsh(matrix)[0]))
    except (TypeError, ValueError, NotImplementedError):
        said = "a takes no complex argument, so the density is that of the saddlepoint unless log_b is given"
        return report.add(False, "transform", "", said, level="note")
    return report.add(worst > -1e-7, "transform", "exp(a) is a Laplace transform wherever it was tried",
                      f"exp(a) is no Laplace transform (an eigenvalue of {worst:.2g}): a is convex, but no "
                      "distribution has it")  # fmt: skip


def _is_analytic(family, points):
    """Whether a changes along the imaginary axis as its derivative says (Cauchy and Riemann)."""
    h = 1e-6
    step = jax.vmap(lambda x: (family.a(x + 1j * h) - family.a(x - 1j * h)) / (2j * h))(points)
    slope = jax.vmap(jax.grad(family.a))(points)
    return bool(jnp.all(jnp.abs(step - slope) <= 1e-4 * (1 + jnp.abs(slope))))


def _ranges(report, family):
    """How far out a, a' and a'' can be computed."""
    if family.dim is not None:
        return
    said = []
    for dtype in (np.float32, np.float64):
        s = jnp.linspace(-80.0 if dtype is np.float32 else -600.0, 80.0 if dtype is np.float32 else 600.0, 401)
        eta = jax.vmap(lambda v: _invert._from_line(v, family.domain))(s).astype(dtype)
        seen = [np.asarray(jax.vmap(f)(eta)) for f in (family.a, jax.grad(family.a), jax.grad(jax.grad(family.a)))]
        ok = np.all([np.isfinite(v) for v in seen], axis=0) & (seen[2] >= 0)
        middle = len(ok) // 2
        low = middle - int(np.argmin(np.append(ok[middle::-1], False))) + 1
        high = middle + int(np.argmin(np.append(ok[middle:], False))) - 1
        mean = seen[1]
        said.append(f"{np.dtype(dtype).name}: means {mean[low]:.2g} to {mean[high]:.2g}")
    report.add(True, "range", "; ".join(said))


def _closed_forms(report, family, points):
    """natural against the numeric inversion of a'."""
    if family.natural_ is None:
        return
    mu = jax.vmap(jax.grad(family.a))(points)
    back = jax.vmap(jax.grad(family.a))(jax.vmap(family.natural_one)(mu))
    worst = float(np.max(np.abs(back - mu) / (1e-6 + np.abs(mu))))
    report.add(worst < 1e-6, "closed forms", f"natural(mu) inverts a' to {worst:.0e}",
               f"natural(mu) does not invert a': off by {worst:.1e}")  # fmt: skip


def _distribution(report, family):
    """Mass, mean and variance of the density at the centre of the domain."""
    if family.density == "none":
        report.add(True, "distribution", "none: quasi-likelihood")
        return
    if family.dim is not None and (family.vector_y or not family.has_density):
        report.add(family.has_density, "distribution", "closed log_b, not summed over a vector y",
                   "no log_b: there is no likelihood for a vector eta without it", level="note")  # fmt: skip
        return
    method = family.density_method()
    said = f"support {family.support.describe()}; density by {method.name!r}, error of log p about {method.error:.0e}"
    report.add(method.error < 1e-6, "density", said, said, level="note")
    eta = family.center(np.float64)
    mass, mean, variance = family.moments_of_density(eta)
    known = family.T_ is None or family.moments_ is not None
    want = [1.0, *(float(v) for v in rows.moments(family, eta))] if known else [1.0, mean, variance]
    worst = max(abs(g - w) / (1e-3 + abs(w)) for g, w in zip((mass, mean, variance), want, strict=True))
    report.add(worst < max(1e-6, 100 * method.error), "distribution",
               f"mass, mean and variance of the density are 1, a' and a'' to {worst:.0e}",
               f"mass {mass:.6g}, mean {mean:.6g}, variance {variance:.6g} of the density; from a: "
               f"1, {want[1]:.6g}, {want[2]:.6g}")  # fmt: skip
