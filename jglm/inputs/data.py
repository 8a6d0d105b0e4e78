"""Arrays in: X, y, weights, offsets checked and put where the solver wants them."""

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from jglm.designs import Dense, place
from jglm.fitting import linalg
from jglm.inputs import checks, response
from jglm.inputs.matrix import design_of
from jglm.model import Data

WEIGHT_KINDS = ("prior", "frequency", "sampling")


@dataclass(frozen=True)
class Prepared:
    """What a fit takes, in NumPy: a design (n, p) with its intercept, y as the family takes it, `weight` (prior or
    frequency weights times trials), `size` and `power` (see model.describe), offset (n,) or (n, k), and what to call
    things."""

    design: Any
    y: np.ndarray
    weight: np.ndarray
    size: np.ndarray
    power: np.ndarray
    offset: np.ndarray
    names: list
    levels: list | None
    intercept: bool
    nobs: float
    has_offset: bool
    designs: dict = field(default_factory=dict)  # of the family's regressed parameter, by its name
    exposure: np.ndarray | None = None  # where one was given; its logarithm is in the offset
    group: np.ndarray | None = None  # (n,) numbers of the folds or clusters of rows of a stream

    @cached_property
    def X(self):
        """The design as a matrix (n, p)."""
        return self.design.dense()

    def device(self, design):
        """The same for the solver, with (some columns of) the design."""
        return Data(*place((design, self.y, self.weight, self.offset, self.size, self.designs)))


def offsets(offset, exposure, n, width):
    """offset + log(exposure), zeros where neither is given: (n,), or (n, k) for k columns of lin."""
    total = np.zeros(n)
    if offset is not None:
        total = checks.numbers("offset", offset, n)
        if total.ndim == 2 and width is None and total.shape[1] == 1:
            total = total[:, 0]
        if total.ndim == 2 and total.shape != (n, width):
            raise ValueError(
                f"offset has shape {total.shape}; it must be ({n},)" + (f" or ({n}, {width})" if width else "")
            )
    if exposure is not None:
        e = checks.numbers("exposure", exposure, n, (n,))
        checks.refuse("exposure", e <= 0, "zero or negative", "it enters as log(exposure); drop those rows")
        total = total + (np.log(e) if total.ndim == 1 else np.log(e)[:, None])
    return total if width is None or total.ndim == 2 else np.repeat(total[:, None], width, axis=1)


def weights_of(weights, n):
    """(n,) of finite weights >= 0, ones where none are given."""
    if weights is None:
        return np.ones(n)
    w = checks.numbers("weights", weights, n, (n,))
    checks.refuse("weights", w < 0, "negative", "weights must be >= 0")
    if not np.any(w > 0):
        raise ValueError("weights are all 0; no row is left to fit")
    return w


def _checked_kind(w, kind, gather):
    """Frequencies, which are whole numbers, or sampling weights, brought to a mean of 1."""
    if kind == "frequency":
        checks.refuse("weights", w != np.round(w), "fractional", "a frequency is how often a row is there; use "
                      "weight_kind='prior' (precision) or 'sampling' (how many a sampled row stands for)")  # fmt: skip
        return w
    return w * (sum(gather(np.count_nonzero(w))) / sum(gather(np.sum(w))))


def likelihood_weights(family, weights, size, kind):
    """(weight, size, power): the weight of the loss, and how it enters the likelihood.

    A frequency weight repeats the row; a prior one does the same or divides the dispersion, as R has it for the family;
    a sampling weight multiplies the log-likelihood.
    """
    n = len(weights)
    if size is not None:
        return weights * size, size, np.where(size > 0, weights, 0.0)
    if kind == "prior" and family.prior_weights == "dispersion":
        return weights, weights, np.ones(n)
    return weights, np.ones(n), weights


def precision_design(family, precision, n):
    """{name: Z (n, q)} of the family's regressed parameter, {} where none is given (a constant)."""
    if precision is None:
        return {}
    if family.regressed is None:
        raise ValueError(f"precision= is for families with a second linear predictor, such as beta; the family is "
                         f"{family.name!r}")  # fmt: skip
    Z = checks.numbers("precision", precision, n)
    Z = Z[:, None] if Z.ndim == 1 else Z
    if linalg.find_independent(Dense(Z), np.ones(n)).sum() < Z.shape[1]:
        raise ValueError("the columns of precision= are linearly dependent; drop some")
    return {family.regressed: Z}


def prepare(X, y, family, link, *, weights, weight_kind, offset, exposure, trials, intercept, names, precision=None,
            gather=None):  # fmt: skip
    """(Prepared, family with its number of classes) from what the user gave; raises as described in `checks`. `gather`:
    as in `response.levels_of_all`."""
    checks.choice("weight_kind", weight_kind, WEIGHT_KINDS)
    constant = bool(intercept) and not family.has_cutpoints
    design, names = design_of(X, names, constant)
    n = design.shape[0]
    w = weights_of(weights, n)
    if weight_kind != "prior" and weights is not None:
        w = _checked_kind(w, weight_kind, gather or (lambda own: [own]))
    levels = None if gather is None else response.levels_of_all(family, y, gather)
    of_trials = None if weights is None or weight_kind == "sampling" else w
    encoded, family = response.encode(family, y, trials, of_trials, levels)
    if len(encoded.y) != n:
        raise ValueError(f"y has {len(encoded.y)} rows, X has {n}; they must have the same")
    weight, size, power = likelihood_weights(family, w, encoded.size, weight_kind)
    if not np.any(weight > 0):
        raise ValueError("no row has a positive weight and trials; nothing is left to fit")
    if family.response in ("value", "proportion") and not checks.in_support(family, encoded.y, weight > 0):
        warnings.warn(
            f"y has values that are not whole numbers; family {family.name!r} is one of counts: the fit is a "
            "quasi-likelihood one, and llf and aic are not those of a distribution", UserWarning, stacklevel=4,
        )  # fmt: skip
    shift = offsets(offset, exposure, n, link.width(family))
    if design.shape[1] == 0:
        raise ValueError("X has no columns and intercept=False; there is nothing to estimate")
    nobs = float(np.sum(power[weight > 0])) if weight_kind == "frequency" else float(np.sum(weight > 0))
    prepared = Prepared(
        design, encoded.y, weight, size, power, shift, names, encoded.levels,
        constant, nobs, offset is not None or exposure is not None,
        precision_design(family, precision, n),
        None if exposure is None else checks.numbers("exposure", exposure, n),
    )  # fmt: skip
    return prepared, family
