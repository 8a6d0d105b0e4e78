"""The part of a penalty that has kinks or bounds, in flat coefficients: what a proximal solver needs of it."""

from typing import Any

import jax.numpy as jnp

from jglm._record import record


@record
class Terms:
    """R(b) = sum_j l1_j |b_j| + sum_g strength_g |b_g| + [lower <= b <= upper] in flat coefficients b (P,).

    `members` (G, w) are the positions of the coefficients of each group, P where there are fewer; None without groups.
    """

    l1: Any
    lower: Any
    upper: Any
    members: Any = None
    strength: Any = None

    def value(self, flat):
        """R at coefficients within the bounds."""
        total = jnp.sum(self.l1 * jnp.abs(flat))
        return total if self.members is None else total + jnp.sum(self.strength * self.norms(flat))

    def norms(self, flat):
        """|b_g| of every group, with a derivative of 0 at 0."""
        squares = jnp.sum(jnp.append(flat, 0.0)[self.members] ** 2, axis=1)
        return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)

    def free(self, flat):
        """Which coefficients could move a little with R staying smooth: not at a kink and not at a bound."""
        free = ((flat != 0) | (self.l1 == 0)) & (flat > self.lower) & (flat < self.upper)
        if self.members is None:
            return free
        held = jnp.where((self.norms(flat) == 0) & (self.strength > 0), True, False)
        held = jnp.zeros(flat.shape[0] + 1, bool).at[self.members].max(held[:, None])
        return free & ~held[:-1]

    def residual(self, flat, slope, step):
        """(flat - prox(flat - step slope)) / step (P,): what is left of the optimality conditions at coefficients where
        the smooth part has this gradient; for l1 alone slope + l1 sign(b), or how much |slope| passes l1 by at 0."""
        return (flat - self.prox(flat - step * slope, jnp.full(flat.shape, step, flat.dtype))) / step

    def prox(self, v, step):
        """argmin_b sum_j (b_j - v_j)^2 / (2 step_j) + R(b), (P,); `step` (P,) is one number within a group."""
        x = jnp.sign(v) * jnp.maximum(jnp.abs(v) - step * self.l1, 0.0)
        if self.members is not None:
            own = jnp.append(x, 0.0)[self.members]
            size = jnp.sqrt(jnp.sum(own**2, axis=1))
            lost = jnp.max(jnp.append(step, 0.0)[self.members], axis=1) * self.strength
            share = jnp.maximum(1 - lost / jnp.where(size > 0, size, 1.0), 0.0)
            x = jnp.append(x, 0.0).at[self.members].set(own * share[:, None])[:-1]
        return jnp.clip(x, self.lower, self.upper)

    def together(self, v):
        """v (P,) with the largest of each group for all of it."""
        if self.members is None:
            return v
        own = jnp.max(jnp.append(v, 0.0)[self.members], axis=1)
        return jnp.append(v, 0.0).at[self.members].set(jnp.broadcast_to(own[:, None], self.members.shape))[:-1]

    def padded(self, more):
        """With so many unpenalized coefficients behind."""
        if more == 0:
            return self
        size, members = self.l1.shape[0], self.members
        if members is not None:
            members = jnp.where(members == size, size + more, members)
        ends = jnp.full(more, jnp.inf, self.l1.dtype)
        return Terms(jnp.append(self.l1, jnp.zeros(more)), jnp.append(self.lower, -ends),
                     jnp.append(self.upper, ends), members, self.strength)  # fmt: skip


def unbounded(l1):
    """`Terms` without bounds or groups."""
    ends = jnp.full(l1.shape, jnp.inf, l1.dtype)
    return Terms(l1, -ends, ends)
