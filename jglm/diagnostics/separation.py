"""Separation: directions along which the likelihood rises for ever, found exactly before a fit.

Rows whose y lies at an end of its support (0 counts, labels, no or all successes) want their mean there; with d a
direction of the coefficients, row i then asks for s_i x_i'd >= 0, all other rows for x_i'd = 0, and a row of labels for
x_i'(d_c - d_j) >= 0 of its own class c against every j. The likelihood has a maximum exactly where no d obeys all of
that with some inequality strict (Albert and Anderson 1984; Silvapulle 1981; Correia, Guimaraes and Zylkin 2019).

Linear programs (Konis 2007) maximize the sum of all inequalities over a box. Large data enter a row at a time: what
holds no direction on some rows holds none on all, and rows that a direction violates join. Rows that it separates
leave, and the search goes on among the others.
"""

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from jglm.fitting import linalg
from jglm.reporting.tables import shown

METHODS = ("lp", "rectifier")
BLOCK = 1 << 21  # numbers in the inequalities that are made at a time
STRICT = 1e-6  # of its largest coefficient, from where an inequality is strict
ROUNDS, SWEEPS = 200, 20_000


@dataclass(frozen=True)
class Separation:
    """What `jglm.find_separation` found; true where there is separation.

    Attributes:
        kind: "none"; "quasi-complete", some rows are separated; "complete", all are.
        rows: indices of the rows whose fitted mean runs to the end of its range.
        columns: names of the columns that carry the direction.
        infinite: (p,) or (p, k), -inf or inf where the estimate runs there, else 0; NaN for aliased columns.
        direction: (p,) or (p, k), along which the likelihood rises for ever; of steps one after another the first.
    """

    kind: str
    rows: np.ndarray
    columns: list
    infinite: np.ndarray
    direction: np.ndarray

    def __bool__(self):
        return self.kind != "none"

    def __str__(self):
        if not self:
            return "no separation: the likelihood has a maximum"
        shown = ", ".join(self.columns[:8]) + (", …" if len(self.columns) > 8 else "")
        return f"{self.kind} separation of {len(self.rows):,} rows along {shown}"

    __repr__ = __str__

    def _repr_html_(self):
        return shown(str(self))


def find(prepared, family, link, method="lp"):
    """The `Separation` of checked data; inside `jax.enable_x64(True)`. Raises ValueError for families whose mean
    takes parameters besides."""
    if family.T_ is not None or family.parametrize_ is not None:
        raise ValueError(f"separation is not defined for family {family.name!r}, whose mean takes parameters besides")
    kept = linalg.find_independent(prepared.design, prepared.weight)
    cone = Cone(prepared, family, link, kept)
    push = np.zeros(cone.size)
    first, left = None, cone.open_ends()
    while left.any():
        found = _program(cone, left) if method == "lp" else _rectified(cone, left)
        if found is None:
            break
        values = cone.values(found)
        gone = left & (values > STRICT)
        first = found if first is None else first
        push = np.where(push == 0, np.where(np.abs(found) > STRICT, np.sign(found), 0.0), push)
        left &= ~gone
    return _told(prepared, cone, kept, first, push, left)


def of_fit(fit, method):
    """The same of the rows of a fit."""
    with jax.enable_x64(True):
        return find(fit._data("find_separation()"), fit.family, fit.link, method)


def _told(prepared, cone, kept, first, push, left):
    whole = np.full((len(kept), cone.width), np.nan)
    shape = lambda flat: flat.reshape(cone.width, -1).T
    infinite, direction = whole.copy(), whole
    infinite[kept] = np.where(shape(push) != 0, np.copysign(np.inf, shape(push)), 0.0)
    direction[kept] = 0.0 if first is None else shape(first) / cone.unit[:, None]
    strict = cone.open_ends() & ~left
    rows = cone.rows[np.flatnonzero(strict.any(axis=1))]
    columns = [name for name, row in zip(prepared.names, infinite, strict=True) if np.any(np.isinf(row))]
    kind = "none" if first is None else "complete" if bool(strict.all()) else "quasi-complete"
    flat = cone.scalar
    return Separation(kind, rows, columns, infinite[:, 0] if flat else infinite, direction[:, 0] if flat else direction)


class Cone:
    """The inequalities of the rows of positive weight: m for each, signs (n, m) of x'(d E_j), 0 for an equality.

    `size` unknowns are the coefficients class by class, in columns divided by their largest entry (`unit`).
    """

    def __init__(self, prepared, family, link, kept):
        self.rows = np.flatnonzero(prepared.weight > 0)
        design = prepared.design if kept.all() else prepared.design.columns(kept)
        self.design = design
        y = np.asarray(prepared.y)[self.rows]
        self.scalar = y.ndim == 1
        self.width = link.width(family) or 1
        ends = _scalar_ends if self.scalar else _class_ends
        self.signs, self.own = ends(family, link, y)
        self.size = self.width * design.shape[1]
        self.unit = np.ones(design.shape[1])
        largest = np.zeros(design.shape[1])
        for _, X in self._blocks():
            largest = np.maximum(largest, np.max(np.abs(X), axis=0, initial=0.0))
        self.unit = np.where(largest > 0, largest, 1.0)

    def open_ends(self):
        """(n, m) which of the conditions are inequalities."""
        return self.signs != 0

    def _blocks(self):
        p = self.design.shape[1]
        step = max(1, BLOCK // max(p, self.size * self.signs.shape[1]))
        for first in range(0, len(self.rows), step):
            part = slice(first, first + step)
            yield part, self.design.take(self.rows[part]).dense() / self.unit

    def matrix(self, part, X):
        """(rows, m, size): the conditions of some rows, equalities with sign 1, each divided by its largest entry."""
        signs = np.where(self.signs[part] == 0, 1.0, self.signs[part])
        if self.scalar:
            A = signs[:, :, None] * X[:, None, :]
        else:
            turned = self.own[part]  # (rows, m, width): of the own class less another
            A = (signs[:, :, None, None] * turned[..., None] * X[:, None, None, :]).reshape(*signs.shape, -1)
        return A / np.maximum(np.max(np.abs(A), axis=2, keepdims=True), 1e-300)

    def each(self):
        """(rows, conditions) a block at a time."""
        for part, X in self._blocks():
            yield part, self.matrix(part, X)

    def some(self, at):
        """(len(at), size) the conditions of these flat indices."""
        m = self.signs.shape[1]
        rows, place = np.divmod(np.asarray(at), m)
        X = self.design.take(self.rows[rows]).dense() / self.unit
        return self.matrix(rows, X)[np.arange(len(rows)), place]

    def values(self, d):
        """(n, m) of the conditions at a direction."""
        return np.concatenate([A @ d for _, A in self.each()])

    def total(self, left):
        """(size,) the sum of the inequalities that are `left`."""
        return sum(np.einsum("nms,nm->s", A, left[part].astype(float)) for part, A in self.each())

    @cached_property
    def fixed(self):
        """(r, size) an orthonormal basis of what equalities hold at 0."""
        R = np.zeros((0, self.size))
        for part, A in self.each():
            R = linalg.triangle(np.vstack([R, A[self.signs[part] == 0]]))
        values, vectors = np.linalg.svd(R)[1:]
        return vectors[: len(values)][values > 1e-9 * max(values[0], 1e-300)] if len(values) else R


def _scalar_ends(family, link, y):
    """((n, 1) signs of the directions in which the rows' means reach their ends, 0 for rows inside; (n, 1, 1) ones)."""
    signs, support = np.zeros(len(y)), family.support
    with np.errstate(all="ignore"):
        far = {s: float(link.mean(family, jnp.asarray(s * 1e8))) for s in (-1.0, 1.0)}
    for end in (support.low, support.high):
        for s, mean in far.items():
            gap = mean - end if end == support.low else end - mean
            if np.isfinite(end) and -1e-12 <= gap <= 1e-6 * (1 + abs(end)):
                signs[y == end] = s
    return signs[:, None], np.ones((len(y), 1, 1))


def _class_ends(family, link, y):
    """((n, k - 1) 1 for classes that a row has not, 0 for those it has besides its largest; the same (…, width) in lin:
    its largest class less each other)."""
    E = np.asarray(jax.jacobian(lambda v: link.eta(family, v))(jnp.zeros(link.width(family))))
    own = np.argmax(y, axis=1)
    other = np.array([[j for j in range(y.shape[1]) if j != c] for c in range(y.shape[1])])[own]
    signs = (np.take_along_axis(y, other, axis=1) == 0).astype(float)
    return signs, E[own][:, None, :] - E[other]


# --------------------------------------------------------------------------- linear programs
def _program(cone, left):
    """A direction that obeys all conditions that are `left` and makes some of them strict, None where there is none."""
    from scipy.optimize import linprog

    goal = cone.total(left)
    equal, largest = cone.fixed, np.max(np.abs(goal), initial=0.0)
    if len(equal) == cone.size or largest <= 1e-13 * left.sum():
        return None
    goal = goal / largest
    at = np.flatnonzero(left)
    few = max(2000, 50 * cone.size)
    used = at if len(at) <= few else np.random.default_rng(0).choice(at, few, replace=False)
    for _ in range(ROUNDS):
        rows = cone.some(used)
        found = linprog(
            -goal, A_ub=-rows, b_ub=np.zeros(len(rows)), A_eq=equal if len(equal) else None,
            b_eq=np.zeros(len(equal)) if len(equal) else None, bounds=(-1, 1), method="highs",
            options=dict(primal_feasibility_tolerance=1e-9, dual_feasibility_tolerance=1e-9),
        )  # fmt: skip
        if found.x is None:
            raise ValueError(f"the linear program for separation failed: {found.message}")
        values = cone.values(found.x)
        wrong = np.flatnonzero(left & (values < -1e-7))
        if not len(wrong):
            return found.x if np.any(values[left] > STRICT) else None
        if -found.fun <= 1e-9:  # nothing rises, even without the rows that are missing
            return None
        worst = wrong[np.argsort(values.ravel()[wrong])[:few]]
        used = np.union1d(used, worst)
    raise ValueError(f"separation was not decided in {ROUNDS} linear programs; use method='rectifier'")


# --------------------------------------------------------------------------- the iterative rectifier
def _rectified(cone, left):
    """The same by the iterative rectifier (Correia, Guimaraes and Zylkin 2019): least squares of a nonnegative
    vector on the inequalities, whose negative fitted values are set to 0 again, until none is left or all are 0."""
    equal = cone.fixed
    basis = np.linalg.svd(equal)[2][len(equal) :].T if len(equal) else np.eye(cone.size)
    if basis.shape[1] == 0:
        return None
    R = np.zeros((0, basis.shape[1]))
    for part, A in cone.each():
        R = linalg.triangle(np.vstack([R, A[left[part]] @ basis]))
    values, vectors = np.linalg.svd(R)[1:]
    on = values > 1e-9 * values[0]
    if not on.any():
        return None
    basis = basis @ vectors[: len(values)][on].T / values[on]  # with orthonormal inequalities
    u = np.where(left, 1.0, 0.0)
    for _ in range(SWEEPS):
        g = sum(np.einsum("nms,nm->s", A, u[part]) for part, A in cone.each()) @ basis
        v = np.where(left, cone.values(basis @ g), 0.0)
        largest = np.max(v)
        if largest < 1e-9:
            return None
        if np.min(v) >= -1e-7 * largest:
            d = basis @ g
            return d / np.max(np.abs(d))
        u = np.maximum(v, 0.0)
    raise ValueError(f"separation was not decided in {SWEEPS} sweeps of the rectifier; use method='lp'")
