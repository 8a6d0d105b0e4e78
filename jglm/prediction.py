"""Predictions of a fit for new rows: arrays, or frames through the fit's formula."""

import warnings

import jax
import numpy as np

from jglm.designs import Dense, WithConstant
from jglm.fitting.joint import per_row
from jglm.fitting.padding import bind, over_rows
from jglm.inputs import checks, data, factors, frames
from jglm.inputs.matrix import design_of
from jglm.rows import eta_of, etas, moments

KINDS = ("mean", "link", "class", "log_prob")


def _mean_of(model, lin, values):
    """The mean of y in one row; where it is that of the link, without a detour by eta."""
    if model.family.dim is None:
        return model.link.mean(model.family, lin)
    return moments(model.family, eta_of(model, lin, values))[0]


def _means(model, lin, values):
    return jax.vmap(lambda v, u: _mean_of(model, v, u))(lin, values)


def precision_designs(fit, X, n, precision=None):
    """{name: Z (n, q)} of the family's regressed parameter in n new rows (X None: in those of the fit), {} where the
    fit has it constant. From a frame by the fit's formula, else it must be given; NaN where a row misses a value."""
    names = fit.precision_names
    if not names:
        if precision is not None:
            raise ValueError("the fit has no columns for a precision or dispersion; leave precision= out")
        return {}
    if precision is not None:
        Z = checks.numbers("precision", precision, n)
        Z = Z[:, None] if Z.ndim == 1 else Z
        if Z.shape[1] != len(names):
            raise ValueError(f"precision has {Z.shape[1]} columns, the fit had {len(names)}")
    elif X is None:
        return fit._data("the precision of its rows").designs
    elif fit.precision is None or isinstance(X, (np.ndarray, jax.Array)):
        raise ValueError(f"the fit's {fit.family.regressed} depends on columns of its own, {', '.join(names)}: give "
                         "them for the new rows by precision=")  # fmt: skip
    else:
        given, whole = whole_rows(X, fit.precision, fit.precision.right_variables)
        Z = np.full((len(given), len(names)), np.nan)
        if whole.any():
            Z[whole] = fit.precision.transform(frames.rows(given, whole))[0]
    return {fit.family.regressed: Z}


def row_values(fit, n, designs=None):
    """{name: values} for n rows of the parameters that eta takes besides lin. Without its `precision_designs` a
    regressed one is 1, on which no mean depends."""
    if fit.family.parametrize_ is None:
        return {}
    if designs is None:
        designs = {fit.family.regressed: np.zeros((n, len(fit.precision_names)))} if fit.precision_names else {}
    return per_row(fit.family, designs, fit.nuisance, n)


def of_lin(fit, lin, kind):
    """The mean, the label or the log probabilities that belong to a linear predictor."""
    values = row_values(fit, len(lin))
    if kind == "mean":
        return over_rows(bind(_means, fit.model), lin, values)
    if fit.levels is None:
        raise ValueError(f"kind={kind!r} is for families of labels; the family is {fit.family.name!r}")
    eta = eta_of_lin(fit, lin)
    both = np.column_stack([np.zeros(len(eta)), eta]) if eta.ndim == 1 else eta
    if kind == "class":
        return np.asarray(fit.levels)[np.argmax(both, axis=1)]
    return both - np.logaddexp.reduce(both, axis=1, keepdims=True)


def linear_predictor(fit, X, offset, exposure):
    """lin of new rows (X None: of the rows of the fit), offset included."""
    return design_and_lin(fit, X, offset, exposure)[1]


def design_and_lin(fit, X, offset, exposure):
    """(design, lin) of new rows; both NaN where a row of a frame misses a value."""
    if X is None:
        prepared = fit._data("predict() without X")
        return prepared.design, prepared.design.times(_coefficients(fit)) + prepared.offset
    if fit.formula is not None and not isinstance(X, (np.ndarray, jax.Array)):
        return _of_frame(fit, X, offset, exposure)
    design = _design(fit, X)
    _warn_without_offset(fit, offset, exposure)
    shift = data.offsets(offset, exposure, design.shape[0], fit.model.width())
    return design, design.times(_coefficients(fit)) + shift


def eta_of_lin(fit, lin, designs=None):
    """The natural parameters of rows, with their `precision_designs`."""
    return over_rows(bind(etas, fit.model), lin, row_values(fit, len(lin), designs))


def _coefficients(fit):
    """Aliased columns have no part in a prediction."""
    return np.where(np.isnan(fit.params), 0.0, fit.params)


def _warn_without_offset(fit, offset, exposure):
    if fit.has_offset and offset is None and exposure is None:
        warnings.warn("the model was fitted with an offset or exposure and predict got none: it takes offset 0, "
                      "exposure 1", UserWarning, stacklevel=5)  # fmt: skip


def _design(fit, X):
    """X as the fit had it, with the intercept; columns of a frame by name."""
    names = fit.names[1:] if fit.intercept else fit.names
    known = getattr(X, "column_names", getattr(X, "columns", None))
    if known is not None and not callable(known):
        known = [str(c) for c in known]
        missing = [n for n in names if n not in known]
        if missing:
            raise ValueError(f"X has no column {missing[0]!r}{checks.nearest(missing[0], known)}")
        X = frames.to_pandas(X, names)
    design, _ = design_of(X)
    if design.shape[1] != len(names):
        raise ValueError(f"X has {design.shape[1]} columns, the fit had {len(names)}"
                         + (" (without the intercept, which is added)" if fit.intercept else ""))  # fmt: skip
    return WithConstant(design) if fit.intercept else design


def whole_rows(frame, formula, columns):
    """(these columns of a frame in pandas, which rows miss none of their values), after the formula's policy."""
    given = formula.filled(frames.to_pandas(frame, list(dict.fromkeys(columns))))
    if formula.policy.missing == "error":
        frames.refuse_missing(given)
    return given, frames.whole_rows(given)


def _of_frame(fit, frame, offset, exposure):
    """lin of a frame: the offset and exposure that the fit named come from it. Rows with missing values are NaN."""
    formula, width = fit.formula, fit.model.width()
    anew = {"offset": offset, "exposure": exposure}
    named = {k: v for k, v in fit.columns.items() if k in anew and anew[k] is None}
    given, whole = whole_rows(frame, formula, [*formula.right_variables, *named.values(), *fit.fixed])
    lin = np.full((len(given),) if width is None else (len(given), width), np.nan)
    if not whole.any():
        return Dense(np.full((len(given), len(fit.params)), np.nan)), lin
    part = frames.rows(given, whole)  # whose index tells the rows in messages
    design, shift = formula.transform(part)
    if fit.fixed:
        shift = factors.log_relativities(fit.fixed, part) + (0.0 if shift is None else shift)
    if not named and shift is None:
        _warn_without_offset(fit, offset, exposure)

    def pick(key):
        if key in named:
            return part[named[key]].to_numpy()
        return None if anew[key] is None else checks.numbers(key, anew[key], len(given))[whole]

    total = data.offsets(pick("offset"), pick("exposure"), len(part), width)
    if shift is not None:
        total = total + (shift if width is None else shift[:, None])
    design = design if hasattr(design, "times") else Dense(design)
    lin[whole] = design.times(_coefficients(fit)) + total
    if whole.all():
        return design, lin
    matrix = np.full((len(given), len(fit.params)), np.nan)
    matrix[whole] = design.dense()
    return Dense(matrix), lin
