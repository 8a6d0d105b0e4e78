"""Penalty records: what is added to the objective, and which part of it has derivatives.

A smooth one has `value` alone. One with kinks or bounds has besides `smooth`, the part that has derivatives, and
`terms`, what a proximal solver needs of the rest (`Constraints` are for a solver of their own).
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from jglm._record import record
from jglm.terms import Terms, unbounded


class Penalty:
    """What all penalties share."""

    is_smooth = True
    strength: Any

    def __add__(self, other):
        return Sum((*parts_of(self), *parts_of(other)))

    def times(self, factor):
        """The same with its strength times a number."""
        return dataclasses.replace(self, strength=self.strength * factor)  # pyright: ignore[reportArgumentType]

    def smooth(self, coef):
        """The part that has derivatives everywhere: none, but for those that say more."""
        return jnp.zeros((), coef.dtype)


class Limits(Penalty):
    """0 where coefficients are allowed, infinite elsewhere: there is no strength."""

    is_smooth = False
    strength = 1.0

    def times(self, factor):
        """Itself."""
        return self


@record(static=("scale",))
class Ridge(Penalty):
    """strength / 2 · sum_j weights_j coef_j^2, a smooth penalty.

    `weights` (p,) are per column of the design, None for 1 each; `scale` "mean" multiplies the strength by the sum of
    the weights of the data, so that the objective is on glmnet's and glum's scale.
    """

    strength: Any
    weights: Any
    scale: str

    def value(self, coef):
        """The penalty at coef (p,) or (p, k)."""
        return 0.5 * jnp.asarray(self.strength, coef.dtype) * jnp.sum(_column(self.weights, coef) * coef**2)

    def bound(self, columns, intercept):
        return dataclasses.replace(self, weights=_with_intercept(self.weights, columns, intercept))


@record(static=("scale",))
class Quadratic(Penalty):
    """strength / 2 · coef' S coef, of every class, a smooth penalty."""

    strength: Any
    matrix: Any
    scale: str

    def value(self, coef):
        """The penalty at coef (p,) or (p, k)."""
        S = jnp.asarray(self.matrix, coef.dtype)
        return 0.5 * jnp.asarray(self.strength, coef.dtype) * jnp.sum(coef * (S @ coef))

    def bound(self, columns, intercept):
        size = columns - intercept
        S = np.asarray(self.matrix, float)
        if S.shape != (size, size):
            raise ValueError(f"the penalty's matrix is {S.shape[0]} x {S.shape[1]}; there are {size} columns besides "
                             "the intercept")  # fmt: skip
        return dataclasses.replace(self, matrix=np.pad(S, ((intercept, 0), (intercept, 0))))


@record(static=("scale",))
class ElasticNet(Penalty):
    """strength · sum_j weights_j (l1_ratio |coef_j| + (1 - l1_ratio) / 2 coef_j^2)."""

    strength: Any
    l1_ratio: Any
    weights: Any
    scale: str

    is_smooth = False

    def value(self, coef):
        """The penalty at coef (p,) or (p, k)."""
        size = jnp.asarray(self.strength * self.l1_ratio, coef.dtype)
        return size * jnp.sum(_column(self.weights, coef) * jnp.abs(coef)) + self.smooth(coef)

    def smooth(self, coef):
        """The part that has derivatives everywhere."""
        size = jnp.asarray(self.strength * (1 - self.l1_ratio), coef.dtype)
        return 0.5 * size * jnp.sum(_column(self.weights, coef) * coef**2)

    def terms(self, columns, width):
        """The `Terms` of the rest, for `columns` columns and `width` classes."""
        return unbounded(jnp.tile(self.strength * self.l1_ratio * jnp.asarray(self.weights), width))

    def bound(self, columns, intercept):
        return dataclasses.replace(self, weights=_with_intercept(self.weights, columns, intercept))


@record(static=("scale",))
class GroupLasso(Penalty):
    """strength · sum_g (1 - l1_ratio) size_g |coef_g| + strength · l1_ratio sum_j weights_j |coef_j|, size_g^2 the sum
    of weights_j^2 over the columns j of group g. A group holds the coefficients of all classes of its columns.

    `members` (G, w) are the columns of each group, the number of columns where there are fewer.
    """

    strength: Any
    groups: Any
    l1_ratio: Any
    weights: Any
    scale: str
    members: Any = None
    sizes: Any = None

    is_smooth = False

    def value(self, coef):
        """The penalty at coef (p,) or (p, k)."""
        p, width = coef.shape[0], 1 if coef.ndim == 1 else coef.shape[1]
        return self.terms(p, width).value(jnp.ravel(coef.T))

    def terms(self, columns, width):
        """The `Terms`, for `columns` columns and `width` classes."""
        rest = unbounded(jnp.tile(self.strength * self.l1_ratio * jnp.asarray(self.weights), width))
        members = jnp.asarray(self.members)
        spread = [jnp.where(members == columns, columns * width, members + i * columns) for i in range(width)]
        sizes = self.strength * (1 - self.l1_ratio) * jnp.asarray(self.sizes)
        return dataclasses.replace(rest, members=jnp.concatenate(spread, axis=1), strength=sizes)

    def bound(self, columns, intercept):
        groups, weights = np.asarray(self.groups), _with_intercept(self.weights, columns, intercept)
        if groups.shape != (columns - intercept,):
            raise ValueError(f"the penalty has {groups.size} groups' labels for {columns - intercept} columns besides "
                             "the intercept")  # fmt: skip
        of = [np.flatnonzero(groups == g) + intercept for g in np.unique(groups)]
        members = np.full((len(of), max(map(len, of), default=1)), columns)
        for i, own in enumerate(of):
            members[i, : len(own)] = own
        sizes = np.array([np.sqrt(np.sum(weights[own] ** 2)) for own in of])
        return dataclasses.replace(self, groups=None, weights=weights, members=members, sizes=sizes)


@record(static=("scale",))
class Bounds(Limits):
    """lower <= coef <= upper, for every class: infinite outside."""

    lower: Any
    upper: Any
    scale: str = "sum"

    def value(self, coef):
        """0 within the bounds, infinite outside."""
        lower, upper = _column(self.lower, coef), _column(self.upper, coef)
        return jnp.where(jnp.all((coef >= lower) & (coef <= upper)), 0.0, jnp.inf).astype(coef.dtype)

    def terms(self, columns, width):
        """The `Terms`, for `columns` columns and `width` classes."""
        lower, upper = (jnp.tile(jnp.asarray(v), width) for v in (self.lower, self.upper))
        return Terms(jnp.zeros(columns * width), lower, upper)

    def bound(self, columns, intercept):
        size = columns - intercept
        ends = []
        for name, end, none in (("lower", self.lower, -np.inf), ("upper", self.upper, np.inf)):
            end = np.broadcast_to(end, (size,)) if np.ndim(end) == 0 else end
            if end.shape != (size,):
                raise ValueError(f"{name} has {end.size} bounds for {size} columns besides the intercept")
            ends.append(np.concatenate([np.full(intercept, none), end]))
        return Bounds(ends[0], ends[1], "sum")


@record(static=("scale",))
class Constraints(Limits):
    """lower <= A coef <= upper, for every class: infinite outside."""

    matrix: Any
    lower: Any
    upper: Any
    scale: str = "sum"

    def value(self, coef):
        """0 within the constraints, infinite outside."""
        lin = jnp.asarray(self.matrix, coef.dtype) @ coef
        lower, upper = _column(self.lower, lin), _column(self.upper, lin)
        return jnp.where(jnp.all((lin >= lower) & (lin <= upper)), 0.0, jnp.inf).astype(coef.dtype)

    def bound(self, columns, intercept):
        m, size = self.matrix.shape
        if size != columns - intercept:
            raise ValueError(
                f"the constraints have {size} columns; there are {columns - intercept} besides the intercept"
            )
        lower, upper = (np.broadcast_to(end, (m,)) for end in (self.lower, self.upper))
        return Constraints(np.pad(self.matrix, ((0, 0), (intercept, 0))), lower, upper, "sum")


class OfInformation(Penalty):
    """A penalty on the determinant of the information, which the data make: no function of the coefficients alone, so
    that only fits that know of it (`firth`) can take it."""

    strength = 1.0

    def __add__(self, other):
        raise ValueError("Firth's and Jeffreys' penalties stand alone; they do not add to others")

    def times(self, factor):
        """There is no strength to vary."""
        raise ValueError("Firth's and Jeffreys' penalties have no strength to vary")

    def value(self, coef):
        """Not defined."""
        raise ValueError("Firth's and Jeffreys' penalties are for jglm.fit and jglm.glm; they depend on the data, and "
                         "this is not defined with them")  # fmt: skip

    smooth = value

    def bound(self, columns, intercept):
        return self


@record(static=("scale",))
class Firth(OfInformation):
    """The adjustment of the score that removes the first-order bias of the estimates."""

    scale: str = "sum"


@record(static=("scale",))
class Jeffreys(OfInformation):
    """-1/2 log det of the expected information: Jeffreys' prior."""

    scale: str = "sum"


@record
class Sum(Penalty):
    """Several penalties together; their strengths are times `strength`."""

    parts: tuple
    strength: Any = 1.0

    @property
    def is_smooth(self):
        return all(is_smooth(part) for part in self.parts)

    def value(self, coef):
        """The penalty at coef (p,) or (p, k)."""
        return sum((part.value(coef) for part in parts_of(self)), jnp.zeros((), coef.dtype))

    def smooth(self, coef):
        """The part that has derivatives everywhere."""
        return sum((smooth_part(part, coef) for part in parts_of(self)), jnp.zeros((), coef.dtype))

    def terms(self, columns, width):
        """The `Terms` of the rest, for `columns` columns and `width` classes."""
        total = unbounded(jnp.zeros(columns * width))
        for part in parts_of(self):
            if is_smooth(part):
                continue
            own = part.terms(columns, width)
            grouped = own if total.members is None else total
            total = Terms(total.l1 + own.l1, jnp.maximum(total.lower, own.lower), jnp.minimum(total.upper, own.upper),
                          grouped.members, grouped.strength)  # fmt: skip
        return total


# --------------------------------------------------------------------------- what others ask of a penalty
def parts_of(penalty):
    """The penalties that a sum is made of."""
    if not isinstance(penalty, Sum):
        return (penalty,)
    # A strength that is yet to be found has nothing to be multiplied.
    return tuple(part if isinstance(part.strength, str) else part.times(penalty.strength) for part in penalty.parts)


def smooth_part(penalty, coef):
    """The part of a penalty that has derivatives everywhere: all of it where it has no other."""
    return penalty.value(coef) if is_smooth(penalty) else penalty.smooth(coef)


def is_smooth(penalty):
    """Whether derivatives are enough to minimize it; one of the user's own that says nothing is."""
    return getattr(penalty, "is_smooth", True)


def is_separable(penalty):
    """Whether the smooth part of a penalty of this module is a sum over columns."""
    return not any(isinstance(part, Quadratic) for part in parts_of(penalty))


def bind(penalty, columns, intercept, total_weight):
    """The penalty for every column of the design, nothing for the intercept, and its strength on the sum."""
    if isinstance(penalty, Sum):
        parts = tuple(bind(part, columns, intercept, total_weight) for part in parts_of(penalty))
        if sum(isinstance(part, GroupLasso) for part in parts) > 1:
            raise ValueError("a sum of penalties can have one group lasso")
        return Sum(parts)
    if not hasattr(penalty, "bound"):  # the user's own
        return penalty
    bound = penalty.bound(columns, intercept)
    if isinstance(penalty, OfInformation):
        return bound
    strength = penalty.strength * total_weight if penalty.scale == "mean" else penalty.strength
    return bound if isinstance(penalty, Limits) else dataclasses.replace(bound, strength=strength, scale="sum")


# --------------------------------------------------------------------------- columns
def _column(weights, coef):
    """Weights per column against coef (p,) or (p, k)."""
    weights = jnp.asarray(weights, coef.dtype)
    return weights if coef.ndim == 1 else weights[:, None]


def _with_intercept(weights, columns, intercept):
    """(columns,) weights, 1 where none are given, 0 for the intercept."""
    free = columns - intercept
    weights = np.ones(free) if weights is None else np.asarray(weights, float)
    if weights.shape != (free,):
        raise ValueError(f"the penalty has {weights.size} weights for {free} columns besides the intercept")
    return np.concatenate([np.zeros(intercept), weights])
