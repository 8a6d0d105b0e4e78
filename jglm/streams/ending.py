"""The statistics of a fit of a stream: one pass at the optimum for the deviance, Pearson's chi2 and the information."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np

from jglm import penalties, rows
from jglm.designs import gram_blocks
from jglm.diagnostics import recession
from jglm.fitting import estimate, linalg
from jglm.fitting.padding import bind
from jglm.rows import mask, scale
from jglm.streams.streamed import mean_of, sums_of

DIGITS = 1e-3  # of its terms, below which a difference of sums has lost some


def statistics(task, found):
    """(`Estimate`, {"unscaled", "null"}: the inverse information and the null deviance, None where not known yet)."""
    data, problem = task.data, task.seen()
    free = task.model.family.free
    model = (estimate.at_values(problem, found.nuisance) if free else problem).model
    if task.sums is None:
        task.sums = total_sums(data, task.model)
    late = found.late[: found.flat.size]
    informed = not problem.wide and (model.penalty is None or penalties.is_smooth(model.penalty))
    if model.family.parametrize_ is not None:
        look = _jointly(task, found, informed)
    else:
        look = _look(task, model, problem.shape(found.flat), informed)
    runaway = found.status.converged and model.penalty is None and found.solver != "gradient" and not free
    reach = _Reach(problem.shape(late)) if runaway and np.any(late) and np.all(np.isfinite(late)) else None
    total = jax.tree.map(
        np.asarray, data.total(look if reach is None else lambda block: (reach(block, task), look(block))[1])
    )
    separated = []
    if reach is not None:
        columns = recession.recession(problem, late, max(data.stream.together.gather(reach.largest)))
        names = np.array(data.names, dtype=object)[task.kept]
        separated = [] if columns is None else names[columns].tolist()
    _warn_off(task, task.sums)
    made = estimate.Estimate(
        model, problem.whole(found.flat), task.kept, float(total["deviance"]), float(total["chi2"]), float("nan"),
        found.status, len(found.history), found.history, found.solver, separated, False, found.nuisance,
    )  # fmt: skip
    data.nobs, data.facts = float(task.sums["nobs"]), dict(deviance=made.deviance, count=float(task.sums["count"]))
    unscaled = None
    if informed:
        H, P = total["hess"], problem.penalty_hessian(found.flat)
        if not isinstance(H, np.ndarray):
            H = np.asarray(data.folded(H, task.kept))
        unscaled = linalg.inverse_from_triangle(_root(H if P is None else H + P))
    return made, dict(unscaled=unscaled, null=_null(data, model, task.sums, total))


def total_sums(data, model):
    """The `sums_of` all rows, which are checked."""
    return data.total(lambda prepared, lattice: sums_of(model, prepared, lattice), check=True)


def _look(task, model, coef, informed):
    """Prepared -> sums, all by one compiled program where the deviance keeps its digits."""
    data, count = task.data, float(task.sums["count"])
    run = bind(described, model, informed)

    def look(prepared):
        block = data.data_of(model, prepared, task.kept, folded=model.width() is not None)
        size, power = data.room.placed((prepared.size, prepared.power))
        found = jax.tree.map(np.asarray, run(block, size, power, coef, count))
        if model.family.T_ is None and not found["deviance"] > DIGITS * found.pop("terms"):
            part = data.problem(model, prepared, task.kept)
            found["deviance"] = np.asarray(part.totals(part.hosted.times(coef) + prepared.offset, False).deviance)
        return found

    return look


def described(model, data, size, power, coef, count, informed):
    """Sums over the rows at coefficients: deviance, chi2, loss and the expected information."""
    on = data.weight > 0
    w = jnp.where(on, data.weight, 0.0)
    lin = mask(on, data.X.matvec(coef) + data.offset, rows.safe_lin(model, w.dtype))
    found = {}
    if model.family.T_ is None:
        totals, found["terms"] = rows.plain_totals(model, data.y, lin, w, size, power, count, {}, False)
    else:
        totals = rows.totals(model, data.y, lin, w, size, power, count, {})
    t = mask(on, rows.statistics(model, data.y), 1.0)
    loss, _, _, expected = jax.vmap(lambda t, v: rows.row(model, t, v))(t, lin)
    found |= dict(deviance=totals.deviance, chi2=totals.chi2, loss=jnp.sum(w * loss))
    if informed:
        found["hess"] = data.X.gram(w * expected) if lin.ndim == 1 else gram_blocks(data.X, scale(w, expected))
    return found


def _jointly(task, found, informed):
    """The same where the mean's map takes the free parameters."""
    data, shaped = task.data, task.seen().shape(found.flat)

    def look(prepared):
        part = estimate.at_values(data.problem(task.model, prepared, task.kept), found.nuisance)
        part.count = float(task.sums["count"])
        lin = part.hosted.times(shaped) + prepared.offset
        totals = part.totals(lin)
        hess = part.information(lin) if informed else np.zeros(())
        return dict(deviance=totals.deviance, chi2=totals.chi2, loss=0.0, hess=hess)

    return look


class _Reach:
    """How far a move of the coefficients moves the linear predictor of any row that counts."""

    def __init__(self, move):
        self.move, self.largest = move, 0.0

    def __call__(self, prepared, task):
        design = prepared.design if task.kept.all() else prepared.design.columns(task.kept)
        moved = np.abs(design.times(self.move)).reshape(len(prepared.weight), -1)[prepared.weight > 0]
        self.largest = max(self.largest, float(np.max(moved, initial=0.0)))


def _root(H):
    """R with R'R = H; NaN where H is not positive definite."""
    R = linalg.triangle_of(H)
    return np.full_like(H, np.nan) if R is None else R


def _null(data, model, sums, total):
    """The deviance of a constant, from sums: twice the loss but for what the data alone say. None where it takes passes
    of its own, or the difference loses digits."""
    family = model.family
    if data.has_offset or not data.has_constant or family.T_ is not None or family.parametrize_ is not None:
        return None
    mean = mean_of(sums, data.sample.y)
    lin = model.link.linear(family, mean)
    loss = float(sums["weight"] * rows.row(model, mean, lin, False))
    null = float(total["deviance"]) + 2 * (loss - float(total["loss"]))
    return null if np.isfinite(null) and null > DIGITS * abs(loss) else None


def _warn_off(task, sums):
    family = task.model.family
    if family.response in ("value", "proportion") and sums["off"] > 0:
        warnings.warn(
            f"y has values that are not whole numbers; family {family.name!r} is one of counts: the fit is a "
            "quasi-likelihood one, and llf and aic are not those of a distribution", UserWarning, stacklevel=7,
        )  # fmt: skip
