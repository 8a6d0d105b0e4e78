"""What every solver is: `init(model, start)` and `step(model, state, info)`, pure, blind to the data.

A state carries the query that it wants answered next, so one driver runs all solvers; a rejected step is an ordinary
step, so a solver vmaps.
"""

import enum


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
}
