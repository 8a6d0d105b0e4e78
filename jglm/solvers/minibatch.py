"""Stochastic gradients: any optax optimizer on batches of rows, in coordinates in which the data look alike in all
directions."""

from typing import Any

import jax
import jax.numpy as jnp

from jglm._record import fn, record
from jglm.model import GRADIENT, Query, flatten, unflatten

RATE = 0.1  # of the default: a tenth of a Newton step by the batch's gradient and the metric's Hessian


@record
class MinibatchState:
    query: Query
    point: Any  # flat
    memory: Any  # the optimizer's own
    total: Any  # of the points since averaging began
    slopes: Any  # and of the gradients there
    count: Any


@record(static=("begin", "update", "batch", "epochs", "average", "asks"))
class Minibatch:
    """Stochastic gradient descent by optax on shuffled batches; every epoch ends at the mean of its points.

    Args:
        optimizer: an optax optimizer, a schedule or a number (the rate of `optax.sgd`); by default `optax.sgd(0.1)`.
        batch: rows of a batch, by default an eightieth of all, at most 8,192; epochs: passes over the data.
        average: give the mean of an epoch's points (Polyak and Juditsky 1992), less a Newton step by the mean of their
            gradients, which is to first order the gradient of all rows there; else the last point.
        seed: of the shuffling.

    The optimizer moves u with coef = start + R^-1 u, R'R the Hessian of a sample of the rows divided by their number: a
    step of 1 against the gradient is Newton's. The objective is divided by the number of rows too.

    >>> import jglm, numpy as np, optax
    >>> x = np.random.default_rng(0).normal(size=(2000, 1))
    >>> y = np.random.default_rng(1).poisson(np.exp(x[:, 0]))
    >>> solver = jglm.solvers.Minibatch(optax.adam(0.02), batch=100, epochs=5)
    >>> found = jglm.fit(x, y, family="poisson", solver=solver)
    >>> best = jglm.fit(x, y, family="poisson")
    >>> bool(np.all(abs(found.params - best.params) < 0.1 * best.bse)), found.status.message
    (True, 'ended after its epochs, near the optimum but not at it')
    """

    begin: Any
    update: Any
    batch: int | None
    epochs: int
    average: bool
    asks: str
    seed: Any

    def __init__(self, optimizer=None, batch=None, epochs=3, average=True, seed=0):
        import optax

        if optimizer is None or not hasattr(optimizer, "update"):
            if optimizer is not None and not callable(optimizer) and not optimizer > 0:
                raise ValueError(
                    f"the rate of Minibatch is {optimizer!r}; it must be positive, a schedule or an optimizer"
                )
            rate: Any = RATE if optimizer is None else optimizer
            optimizer = optax.sgd(rate)
        for name, value in (("batch", batch), ("epochs", epochs)):
            if value is not None and (int(value) != value or value < 1):
                raise ValueError(f"{name} is {value!r}; it must be a positive whole number")
        functions = dict(begin=fn(optimizer.init), update=fn(optimizer.update))
        sizes = dict(batch=None if batch is None else int(batch), epochs=int(epochs), seed=int(seed))
        self.__dict__.update(**functions, **sizes, average=bool(average), asks=GRADIENT)

    def init(self, model, start, given=True):
        """`start` Unknowns to begin at."""
        point = flatten(start)
        zero = jnp.zeros_like(point)
        return MinibatchState(Query(start), point, self.begin(point), zero, zero, jnp.zeros((), point.dtype))

    def step(self, model, state, info, rows=None, metric=None):
        """One update from the `Info` of a batch; `rows` of all data, by which the penalty is divided, and the `Metric`
        of the mean of their objective."""
        like = state.query.point
        count = jnp.maximum(info.count, 1).astype(state.point.dtype)
        slope = model.penalized(jnp.zeros_like(count), jnp.zeros_like(state.point), like)[1]
        grad = info.grad / count + slope / (count if rows is None else rows)
        white = grad if metric is None else metric.whiten(grad)
        move, memory = self.update(white, state.memory, state.point)
        point = state.point + (move if metric is None else metric.unwhiten(move))
        good = jnp.all(jnp.isfinite(point)) & (info.count > 0)  # a step out of the domain is not taken
        point = jnp.where(good, point, state.point)
        memory = jax.tree.map(lambda new, old: jnp.where(good, new, old), memory, state.memory)
        return MinibatchState(
            Query(unflatten(point, like)),
            point,
            memory,
            state.total + state.point,
            state.slopes + grad,
            state.count + 1,
        )

    def restart(self, state, point=None):
        """The state with its average begun anew, at a point where one is given."""
        point, zero = state.point if point is None else point, jnp.zeros_like(state.total)
        query = Query(unflatten(point, state.query.point))
        return MinibatchState(query, point, state.memory, zero, zero, state.count * 0)

    def mean(self, state):
        """(the mean of the points since averaging began, the mean of the gradients there)."""
        return state.total / state.count, state.slopes / state.count
