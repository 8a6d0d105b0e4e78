"""Transforms of a formula that learn from all rows: center and scale by their mean and spread, bs by its ends.

formulaic learns from a sample and keeps what it learnt by the text of the call; one pass over the columns of such calls
then puts what all rows say in its place.
"""

import ast
from dataclasses import dataclass

import jax
import numpy as np

MEANS, ENDS = ("center", "scale"), ("bs",)


@dataclass
class Moments:
    """Of an expression over some rows: how many, sums of it and of its squares less a pivot, the least and largest."""

    rows: int
    pivot: float
    total: float
    squares: float
    low: float
    high: float

    def add(self, other):
        """Of both lots of rows, which share the pivot."""
        return Moments(self.rows + other.rows, self.pivot, self.total + other.total, self.squares + other.squares,
                       min(self.low, other.low), max(self.high, other.high))  # fmt: skip

    @property
    def mean(self):
        return self.pivot + self.total / self.rows

    def spread(self, ddof):
        """The standard deviation."""
        return float(np.sqrt(max(self.squares - self.total**2 / self.rows, 0.0) / (self.rows - ddof)))


def learnt(formula):
    """The calls of a formula that learnt something: {text: state}."""
    states = formula.spec.transform_state if formula.spec is not None else {}
    return {text: dict(state) for text, state in states.items() if state}


def refuse(formula):
    """ValueError for a formula with a transform that learns anything."""
    calls = list(learnt(formula))
    if calls:
        raise ValueError(f"formula {formula.text!r}: {calls[0]} learns from all rows, which a stream does not keep; "
                         "write its result into a column")  # fmt: skip


def asked(formula):
    """{text of a call: text of what it is applied to} of the transforms to be learnt anew; ValueError for one that one
    pass cannot learn."""
    found = {}
    for text in learnt(formula):
        call = ast.parse(text.replace("`", ""), mode="eval").body
        name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else text
        if not isinstance(call, ast.Call) or name not in MEANS + ENDS:
            raise ValueError(f"formula {formula.text!r}: {text} learns more from all rows than one pass over a stream "
                             "tells; write its result into a column")  # fmt: skip
        options = {word.arg for word in call.keywords}
        if name in ENDS and (("df" in options and "knots" not in options) or len(call.args) > 1):
            raise ValueError(f"formula {formula.text!r}: {text} takes its knots from quantiles of all rows, which a "
                             "stream does not keep; give knots=[...]")  # fmt: skip
        found[text] = ast.unparse(call.args[0])
    return found


def learn(formula, calls, moments):
    """Put what all rows say into the state of a formula; `moments` {what a call is applied to: `Moments`}."""
    states = dict(formula.spec.transform_state)
    for text, argument in calls.items():
        state, seen = dict(states[text]), moments[argument]
        call = ast.parse(text.replace("`", ""), mode="eval").body
        options = {word.arg for word in getattr(call, "keywords", [])}
        if "knots" in state:
            state = _ends(state, seen, options)
        else:
            state |= {} if state.get("center") is None else {"center": np.float64(seen.mean)}
            state |= {} if state.get("scale") is None else {"scale": np.float64(_scale(state, seen))}
        states[text] = state
    formula.spec = formula.spec.update(transform_state=states)


def _scale(state, seen):
    """The root of the mean square about the center, which may be 0 where the call does not center."""
    if state.get("center") is not None:
        return seen.spread(state.get("ddof", 1))
    raw = seen.squares + 2 * seen.pivot * seen.total + seen.rows * seen.pivot**2
    return float(np.sqrt(raw / (seen.rows - state.get("ddof", 1))))


def _ends(state, seen, options):
    low = state["lower_bound"] if "lower_bound" in options else seen.low
    high = state["upper_bound"] if "upper_bound" in options else seen.high
    before = state["lower_bound"], state["upper_bound"]
    knots = [low if k == before[0] else high if k == before[1] else k for k in state["knots"]]
    return state | {"lower_bound": low, "upper_bound": high, "knots": knots}


def moments_of(formula, calls, frame, pivots=None):
    """{what a call is applied to: `Moments`} of the rows of a frame."""
    found = {}
    for argument in dict.fromkeys(calls.values()):
        values = evaluated(formula, argument, frame)
        pivot = float(np.mean(values)) if pivots is None else pivots[argument]
        gap = values - pivot
        found[argument] = Moments(len(values), pivot, float(gap.sum()), float(gap @ gap), float(values.min()),
                                  float(values.max()))  # fmt: skip
    return found


def evaluated(formula, argument, frame):
    """An expression of the formula's columns, (n,)."""
    made = formula._materialize(f"I({argument}) - 1", frame)
    return np.asarray(made, float)[:, 0]


def learn_from(layout, formula, blocks, sample):
    """Learn the transforms of a formula from all rows: `blocks(function, combine)` puts together function(Block)."""
    calls = asked(formula)
    if not calls:
        return
    columns = formula.right_variables
    begun = moments_of(formula, calls, layout.frame(sample, columns))
    pivots = {argument: seen.pivot for argument, seen in begun.items()}

    def look(block):
        with jax.enable_x64(True):
            return moments_of(formula, calls, layout.frame(block, columns), pivots)

    learn(formula, calls, blocks(look, lambda a, b: {k: a[k].add(b[k]) for k in a}))
