"""What every solver is: `init(model, start)` and `step(model, state, info)`, pure, blind to the data.

A state carries the query that it wants answered next, so one driver runs all solvers; a rejected step is an ordinary
step, so a solver vmaps.
"""

import enum

import jax.numpy as jnp


class Status(enum.IntEnum):
    """How a fit ended."""

    RUNNING = 0
    CONVERGED = 1
    FLOOR = 2
    MAX_ITER = 3
    STALLED = 4
    INVALID_START = 5
    DIVERGED = 6
    INTERRUPTED = 7
    ENDED = 8

    @property
    def message(self):
        return MESSAGES[self]

    @property
    def converged(self):
        return self in (Status.CONVERGED, Status.FLOOR)


MESSAGES = {
    Status.RUNNING: "still running",
    Status.CONVERGED: "converged",
    Status.FLOOR: "converged to the rounding floor",
    Status.MAX_ITER: "stopped at the largest number of iterations",
    Status.STALLED: "no further descent could be found",
    Status.INVALID_START: "no start was found at which the likelihood is finite; give start=",
    Status.DIVERGED: "diverged; the step size alpha is too large",
    Status.INTERRUPTED: "interrupted; the best point so far is kept",
    Status.ENDED: "ended after its epochs, near the optimum but not at it",
}


def accept(state, value, grad, noise):
    """Whether the trial point of a state (value, slope and length of its step) is taken: by Armijo's rule, or near
    rounding, where values cannot tell, by the approximate Wolfe rule on gradients (Hager and Zhang 2005)."""
    finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(grad))
    first = ~jnp.isfinite(state.value)
    armijo = value <= state.value + 1e-4 * state.length * state.slope
    ahead = grad @ state.step
    relative = max(1e-10, 4 * float(jnp.finfo(value.dtype).eps))
    near = value <= state.value + relative * jnp.abs(state.value) + 4 * jnp.sqrt(noise)
    wolfe = near & (jnp.abs(ahead) <= 0.9 * jnp.abs(state.slope))
    return finite & (first | armijo | wolfe)


def distance(model, drop, info):
    """(distance to the optimum in standard errors, sqrt(drop / phi), whether it is at the floor of rounding), for
    drop = g' H^-1 g."""
    phi = jnp.ones_like(drop)
    if model.family.dispersion == "estimated" and not model.family.free:
        phi = info.chi2 / jnp.maximum(info.count - jnp.size(info.grad), 1)
    return jnp.sqrt(drop / jnp.maximum(phi, jnp.finfo(drop.dtype).tiny)), drop <= 1e8 * info.noise
