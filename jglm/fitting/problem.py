"""A checked data set seen through a model: its rows at any coefficients, for the host side of a fit."""

import dataclasses
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from jglm.designs import Dense, place, products
from jglm.fitting import irls, linalg
from jglm.fitting.padding import bind, pad, padded_size
from jglm.model import Data, Model, Unknowns
from jglm.penalties import smooth_part
from jglm.rows import describe, etas, plain_totals, row_derivatives, start_of_rows, totals

ROWS = 1 << 16  # at a time in a pass: data sets of more rows share what was compiled for so many
PLACED = 20_000  # rows; fewer are copied in less time with every call than they are placed once


def flatten_host(coef):
    """Coefficients (p,) or (p, k) as one vector, class by class."""
    return np.ravel(np.asarray(coef, np.float64).T)


class Problem:
    """A prepared data set with the columns that are kept, and its rows seen through the model; `values` {name: (n,) or
    (n, s)} are those of parameters that eta takes besides lin."""

    def __init__(self, model, prepared, kept, dtype="float64", values=None):
        self.model, self.prepared, self.kept = model, prepared, kept
        self.values = values or {}
        self._bound: dict = {}
        self.dtype = dtype
        self.design = (prepared.design if kept.all() else prepared.design.columns(kept)).astype(dtype)
        self.width = model.width() or 1
        count = np.sum(prepared.power[prepared.weight > 0])
        if model.family.prior_weights == "dispersion":
            count = prepared.nobs
        self.count = float(count)

    @cached_property
    def X(self):
        """The design as a matrix (n, p), rounded as the solver has it; for problems of moderate size."""
        return self.design.dense()

    @cached_property
    def data(self):
        """The `Data` for a solver, where it runs."""
        return self.prepared.device(self.design)

    @cached_property
    def hosted(self):
        """The design for products outside a trace, by BLAS where that is what runs it fastest."""
        return self.design.hosted() if jax.default_backend() == "cpu" else self.data.X

    def gram(self, w):
        """X'WX for weights (n,), or (n, k, k) class by class, on a CPU."""
        return self.hosted.crossprod(w) if w.ndim == 1 else products.gram_blocks(self.hosted, w)

    def rows(self, part):
        """Those rows (an array of indices) of the data."""
        p, design = self.prepared, self.design.take(part)
        parts = {name: Z[part] for name, Z in p.designs.items()}
        rest = place((p.y[part], p.weight[part], p.offset[part], p.size[part], parts))
        return Data(place(design), *rest)

    def part(self, rows, penalty):
        """Some rows as a problem of their own, with another penalty."""
        p, model = self.prepared, self.model
        taken = {k: getattr(p, k)[rows] for k in ("y", "weight", "size", "power", "offset")}
        part = dataclasses.replace(p, design=self.design.take(rows), nobs=float(len(rows)), **taken)
        kept = np.ones(self.design.shape[1], bool)
        return Problem(Model(model.family, model.link, penalty), part, kept, self.dtype)

    def as_design(self, design):
        """The same rows with another design."""
        p = dataclasses.replace(self.prepared, design=design)
        model = Model(self.model.family, self.model.link, None)
        return Problem(model, p, np.ones(design.shape[1], bool), self.dtype)

    def with_model(self, model):
        """The same data seen through another model."""
        other = object.__new__(Problem)
        other.__dict__.update(vars(self), model=model, _bound={})
        return other

    @property
    def small(self):
        """Whether a step on the host costs less than compiling a solver."""
        n, p = self.design.shape
        return n * self.width * (p * self.width) ** 2 <= irls.WORK

    @property
    def wide(self):
        """Whether a matrix of all coefficients squared is too large to make."""
        return self.design.shape[1] * self.width > linalg.WIDE

    def shape(self, flat):
        """Flat coefficients as (p,) or (p, k)."""
        return flat if self.model.width() is None else flat.reshape(self.width, self.design.shape[1]).T

    def whole(self, flat):
        """Coefficients for every column, NaN for those that are aliased."""
        coef = self.shape(flat)
        whole = np.full((len(self.kept), *coef.shape[1:]), np.nan)
        whole[self.kept] = coef
        return whole

    @cached_property
    def padded(self):
        """y, weight, offset, size and power with rows of weight 0 behind, where the solver runs."""
        p = self.prepared
        like = int(np.argmax(p.weight > 0))
        weight = p.weight
        if padded_size(len(weight)) > len(weight):
            weight = np.concatenate([weight, np.zeros(padded_size(len(weight)) - len(weight))])
        rows = pad(p.y, like), weight, *(pad(v, like) for v in (p.offset, p.size, p.power))
        return place(rows) if len(weight) > PLACED else rows

    @cached_property
    def filled(self):
        """The `Data` with rows of weight 0 behind and X as a matrix: problems of about one size share a solver."""
        y, weight, offset, *_ = self.padded
        return Data(*place((Dense(pad(self.X)).astype(self.dtype), y, weight, offset)))

    @cached_property
    def parts(self):
        """[(y, weight, offset)] of ROWS rows each, the last with rows of weight 0 behind; one of all where there are no
        more than that."""
        if padded_size(len(self.prepared.y)) <= ROWS:
            return [self.padded[:3]]
        p = self.prepared
        cut = lambda v: [v[i : i + ROWS] for i in range(0, len(v), ROWS)]
        filled = [np.append(w, np.zeros(ROWS - len(w))) for w in cut(p.weight)]
        y, offset = ([pad(part, 0, ROWS) for part in cut(v)] for v in (p.y, p.offset))
        return place(list(zip(y, filled, offset, strict=True)))

    def bound(self, function, *static):
        """A function of the model and of rows, compiled for the family and the link: rows know of no penalty."""
        if (function, static) not in self._bound:
            rows_of = Model(self.model.family, self.model.link, None)
            self._bound[function, static] = bind(function, rows_of, *static)
        return self._bound[function, static]

    def _described(self, function, lin, *static):
        y, weight, _, size, power = self.padded
        values = {name: pad(np.asarray(v)) for name, v in self.values.items()}
        return self.bound(function, *static)(y, pad(lin), weight, size, power, self.count, values)

    def at(self, lin):
        """(Rows, Totals) at a linear predictor."""
        rows, totals = self._described(describe, lin)
        return jax.tree.map(lambda v: np.asarray(v)[: len(lin)], rows), totals

    def etas(self, lin):
        """The natural parameters of the rows at a linear predictor."""
        values = {name: pad(np.asarray(v)) for name, v in self.values.items()}
        return np.asarray(self.bound(etas)(pad(lin), values))[: len(lin)]

    def totals(self, lin, likelihood=True):
        """Totals alone, without keeping what each row looks like; the log-likelihood may be left out (NaN)."""
        if self.model.family.T_ is not None:
            return self._described(totals, lin)
        found, terms = self._described(plain_totals, lin, likelihood)
        return found if float(found.deviance) > 1e-3 * float(terms) else self._described(totals, lin)

    def lin(self, flat):
        """The linear predictor at flat coefficients, offset included."""
        design = self.X @ self.shape(flat) if self.small else self.hosted.times(self.shape(flat))
        return design + self.prepared.offset

    def lin_and_reach(self, flat, move):
        """(lin at flat coefficients, the largest change of lin by a move in a row that counts), in one pass."""
        move = move[: flat.size]  # without free parameters
        if not np.any(move) or not np.all(np.isfinite(move)):
            return self.lin(flat), 0.0
        both = self.hosted.times(np.hstack([v.reshape(self.width, -1).T for v in (flat, move)]))
        lin = both[:, : self.width] if self.model.width() else both[:, 0]
        moved = np.max(np.abs(both[:, self.width :]), axis=1)
        return lin + self.prepared.offset, float(np.max(moved[self.prepared.weight > 0]))

    def squares(self, w):
        """The diagonal of X'WX."""
        if self.design.is_matrix and jax.default_backend() == "cpu":
            return self.hosted.diagonal(w)
        return products.compiled("squares", self.data.X, w)

    def spread(self):
        """The root mean square of each column in the rows that count."""
        on = (self.prepared.weight > 0).astype(float)
        return np.sqrt(self.squares(on) / on.sum())

    def information(self, lin):
        """X'WX with expected weights at a linear predictor, (p k, p k) class by class."""
        expected = self.derivatives(lin).expected
        return self.gram(self.prepared.weight.reshape(-1, *(1,) * (expected.ndim - 1)) * expected)

    def derivatives(self, lin, penalized=0.0):
        """The View of IRLS at a linear predictor: loss, score, observed and expected information of the rows."""
        p = self.prepared
        y, weight = self.padded[:2]
        loss, *rest = (np.asarray(v)[: len(lin)] for v in self.bound(row_derivatives)(y, pad(lin), weight))
        return irls.View(float(p.weight @ loss) + penalized, *rest)

    def dispersion(self, view, count):
        """Pearson's estimate from a View of IRLS less `count` coefficients; 1 where it is fixed or lin has columns."""
        p = self.prepared
        if self.model.family.dispersion == "fixed" or view.score.ndim > 1:
            return 1.0
        chi2 = np.divide(view.score**2, view.expected, out=np.zeros_like(view.score), where=p.weight > 0)
        return float(np.dot(p.weight, chi2)) / max(p.nobs - count, 1)

    def start(self):
        """The rows' own linear predictors to begin at."""
        y, weight = self.padded[:2]
        return np.asarray(self.bound(start_of_rows)(y, weight))[: len(self.prepared.y)]

    def penalty_diagonal(self):
        """The diagonal of the Hessian of a (separable) penalty in the flat coefficients."""
        return np.tile(np.asarray(_diagonal_compiled(self.model.penalty, jnp.zeros(self.design.shape[1]))), self.width)

    def penalty_hessian(self, flat):
        """The Hessian of the (quadratic) penalty in the flat coefficients, None without one."""
        if self.model.penalty is None:
            return None
        return np.asarray(_curvature_compiled(self.model, Unknowns(jnp.asarray(self.shape(flat)), {})))


@jax.jit
def _diagonal_compiled(penalty, coef):
    slope = lambda coef: jax.grad(lambda c: smooth_part(penalty, c))(coef)
    return jax.jvp(slope, (coef,), (jnp.ones_like(coef),))[1]


_curvature_compiled = jax.jit(lambda model, point: model.curvature(point))
