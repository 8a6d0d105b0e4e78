"""The delta method by automatic differentiation: any function of the parameters with its standard error.

To first order g(params) is normal about its estimate with covariance J V J', J the Jacobian of g (by autodiff) and V
the covariance of the parameters, of whatever kind the fit has.
"""

import inspect
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm.fitting.problem import flatten_host
from jglm.inference import tails
from jglm.inputs import checks
from jglm.reporting.summary import number, p_value
from jglm.reporting.tables import Sheet, Tabulated, shown

EXTRAS = ("family_params", "X", "y", "weights", "offset")
BACK = {"exp": jnp.exp, "logistic": jax.nn.sigmoid}
TITLES = {"exp": "ratio", "logistic": "odds ratio"}  # of differences of points
SHOWN = 40  # rows of a printed table


@dataclass(repr=False)
class Estimates(Tabulated):
    """Functions of the parameters: values, standard errors, tests and intervals, with their joint covariance. Shown as
    a table, and written by `to_latex`, `to_markdown` and `to_gt`.

    Attributes:
        names: of the values in C order, or [names of the rows, names of the columns] of a matrix of them.
        point: (…) the estimates where they are taken to be normal, and null, what they are tested against there.
        back: None, or by what `value` comes from `point`: "exp" (ratios), "logistic" (probabilities) or a function;
            intervals are mapped by it too, so that they keep to its range.
        df: degrees of freedom of t, None for the normal. level: of intervals. title: what these are.
    """

    names: list
    point: np.ndarray
    point_cov: np.ndarray
    df: float | None
    level: float = 0.95
    back: Any = None
    null: float = 0.0
    title: str = "estimate"

    @property
    def value(self):
        """(…) the estimates."""
        return self._mapped(self.point)

    @property
    def cov(self):
        """(q, q): covariance of the q values in C order."""
        slope = self._slope()
        return slope[:, None] * self.point_cov * slope

    @property
    def bse(self):
        """Standard errors of the values."""
        return np.abs(self._slope()).reshape(self.point.shape) * self._se

    @property
    def _se(self):
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diagonal(self.point_cov)).reshape(self.point.shape)

    @property
    def tvalues(self):
        """(point - null) by its standard error: t or z, as the fit has it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.point - self.null) / self._se

    @property
    def pvalues(self):
        """Two-sided, of the hypothesis point = null."""
        return tails.p_values(self.tvalues, self.df)

    def conf_int(self, level=None):
        """Intervals (…, 2)."""
        level = self.level if level is None else level
        checks.level(level)
        reach = tails.quantile(0.5 + level / 2, self.df) * self._se
        return np.sort(np.stack([self._mapped(self.point + s * reach) for s in (-1, 1)], axis=-1), axis=-1)

    def map(self, function, names=None, **changes):
        """Estimates of `function(values)`, by the delta method again: `effects.map(lambda v: v[1] / v[0])`."""
        at = np.asarray(self.value, float)
        with jax.enable_x64(True):
            value, jac = _value_and_jacobian(lambda flat: function(flat.reshape(at.shape)), jnp.asarray(at.ravel()))
        names = _names(names, value.shape, lambda i: f"[{i}]")
        kept = dict(point=value, point_cov=jac @ self.cov @ jac.T, names=names, back=None, null=0.0, title="estimate")
        return replace(self, **(kept | changes))

    def contrasts(self, method="pairwise", names=None):
        """Estimates of differences of the points: "pairwise" (each later one less each earlier one), "first" (each less
        the first), or the matrix (c, q) of a linear combination each. Of ratios ("exp") these are ratios again."""
        q, own = self.point.size, [str(n) for n in self._flat_names()]
        if isinstance(method, str):
            checks.choice("method", method, ("pairwise", "first"))
            pairs = [(i, j) for j in range(q) for i in range(j + 1, q)] if method == "pairwise" else [
                (i, 0) for i in range(1, q)]  # fmt: skip
            L = np.zeros((len(pairs), q))
            for row, (i, j) in enumerate(pairs):
                L[row, i], L[row, j] = 1.0, -1.0
            sign = " / " if isinstance(self.back, str) else " - "
            names = [own[i] + sign + own[j] for i, j in pairs] if names is None else names
        else:
            L = checks.numbers("method", method)
            L = L[None] if L.ndim == 1 else L
            if L.shape[1] != q:
                raise ValueError(f"the matrix of contrasts has {L.shape[1]} columns; there are {q} estimates")
        names = _names(names, (len(L),), lambda i: f"contrast {i + 1}")
        back, title = ("exp", TITLES[self.back]) if isinstance(self.back, str) else (None, "difference")
        return replace(self, names=names, point=L @ self.point.ravel(), point_cov=L @ self.point_cov @ L.T, back=back,
                       null=0.0, title=title)  # fmt: skip

    def table(self, level=None):
        """Values, standard errors, tests and intervals as a pandas data frame."""
        import pandas

        ends = self.conf_int(level)
        letter = "z" if self.df is None else "t"
        columns = {self.title: self.value, "std_err": self.bse, letter: self.tvalues, "p": self.pvalues,
                   "low": ends[..., 0], "high": ends[..., 1]}  # fmt: skip
        index: Any
        if self.point.ndim < 2:
            index = pandas.Index(self.names, name="name")
        else:
            index = pandas.MultiIndex.from_tuples(self._flat_names(), names=["name", "class"])
        return pandas.DataFrame({k: np.ravel(v) for k, v in columns.items()}, index=index)

    def _flat_names(self):
        return [(a, b) for a in self.names[0] for b in self.names[1]] if self.point.ndim == 2 else self.names

    def _mapped(self, v):
        if self.back is None:
            return np.asarray(v)
        with jax.enable_x64(True):
            return np.asarray(jnp.vectorize(self._back)(jnp.asarray(v)))

    @property
    def _back(self):
        return BACK[self.back] if isinstance(self.back, str) else self.back

    def _slope(self):
        if self.back is None:
            return np.ones(self.point.size)
        with jax.enable_x64(True):
            return np.asarray(jax.vmap(jax.grad(self._back))(jnp.asarray(self.point.ravel())))

    def __len__(self):
        return len(self.point)

    def __repr__(self):
        return self.table().head(SHOWN).to_string(float_format=lambda v: f"{v:.5g}")

    def _repr_html_(self):
        return shown("", self.table())

    def _sheet(self):
        table = self.table()
        kinds = [p_value if name == "p" else number for name in table.columns]
        names = [", ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in table.index]
        rows = [[name, *(write(v) for write, v in zip(kinds, row, strict=True))]
                for name, row in zip(names, table.to_numpy(), strict=True)]  # fmt: skip
        return Sheet("", ["", *(name.replace("_", " ") for name in table.columns)], [("", rows)])


def names_of(names, shape, base):
    """Names of values of a shape: those given, else the base, numbered."""
    return _names(names, shape, lambda i: f"{base}[{i}]")


def estimate(fit, function, level=0.95, names=None, null=0.0):
    """The `Estimates` of a function of a fit's parameters; see `Fit.estimate`."""
    checks.level(level)
    own, value_of, _ = prepared_function(fit, function)
    value, jac = _value_and_jacobian(value_of, jnp.asarray(_flat(fit, own)))
    cov = covariance(fit, own)
    return of_jacobian(
        fit, value, jac, cov, level=level, names=_names(names, value.shape, _numbered(function)), null=null
    )


def of_jacobian(fit, value, jac, cov, **kept):
    """Estimates of values (…) with the Jacobian (q, P) in the flat unknowns whose covariance is `cov`."""
    with np.errstate(invalid="ignore"):
        return Estimates(point=np.asarray(value), point_cov=jac @ cov @ jac.T, df=fit._df, **kept)


def coefficients(fit):
    """(p,) or (p, k), 0 where aliased."""
    return np.nan_to_num(np.asarray(fit.params, float))


def flat_coefficients(fit):
    """(p k,) class by class, 0 where aliased."""
    return flatten_host(coefficients(fit))


def covariance(fit, joint_too=False):
    """Of all coefficients class by class, (p k, p k), 0 where aliased; with `joint_too` the free parameters follow, of
    which the coefficients are independent where the fit's standard errors take them so."""
    kept = np.tile(fit.kept, fit.model.width() or 1)
    cov = np.where(np.outer(kept, kept), fit.cov_params(), 0.0)
    if not joint_too or not fit.free:
        return cov
    alone = fit._joint_covariance()[1]
    size, q = len(cov), len(alone)
    out = np.zeros((size + q,) * 2)
    out[:size, :size], out[size:, size:] = cov, alone
    if fit._joins:
        at = np.append(np.flatnonzero(kept), np.arange(size, size + q))
        out[np.ix_(at, at)] = fit._joined()
    return out


def prepared_function(fit, function):
    """(whether it takes the family's parameters, the function of all flat unknowns, unflatten). The flat unknowns are
    the coefficients class by class, aliased ones too, then the free parameters on their free scale."""
    if not callable(function):
        raise TypeError(f"fn is a {type(function).__name__}; it must be a function of the coefficients, written with "
                        "jax.numpy")  # fmt: skip
    wanted = _extras(function)
    given, own = {}, "family_params" in wanted
    if set(wanted) - {"family_params"}:
        prepared = fit._data("a function of the data")
        every = {"X": lambda: prepared.X, "y": lambda: prepared.y, "weights": lambda: prepared.weight,
                 "offset": lambda: prepared.offset}  # fmt: skip
        given = {name: jnp.asarray(every[name]()) for name in wanted if name in every}
    size, shape = np.size(fit.params), np.shape(fit.params)

    def unflatten(flat):
        coef = flat[:size]
        return coef.reshape(shape[::-1]).T if len(shape) == 2 else coef

    def value_of(flat):
        extra = {"family_params": family_values(fit, flat[size:])} if own else {}
        return function(unflatten(flat), **given, **extra)

    return own, value_of, unflatten


def family_values(fit, flat):
    """{name: value} of the family's parameters, traced: those estimated at flat values on their free scale."""
    out, at = {k: jnp.asarray(v) for k, v in fit.family.params.items()}, 0
    nuisance = fit.nuisance
    for name in sorted(nuisance):
        free, size = dict(fit.free)[name], np.size(nuisance[name])
        u, at = flat[at : at + size], at + size
        out[name] = u if free.regressed else free.value(u if free.size > 1 else u[0])
    return out


def flat_nuisance(fit):
    return np.concatenate([np.zeros(0), *(np.ravel(v) for _, v in sorted(fit.nuisance.items()))])


def _flat(fit, own):
    flat = flat_coefficients(fit)
    return np.append(flat, flat_nuisance(fit)) if own else flat


def _extras(function):
    """The names of the arguments after the first, which say what else the function takes."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
    plain = [p for p in parameters[1:] if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for p in plain:
        checks.choice("an argument of fn after the first", p.name, EXTRAS)
    return [p.name for p in plain]


def _value_and_jacobian(function, flat):
    """(values (…), Jacobian (q, P)) of a function of flat unknowns."""
    shape = jax.eval_shape(function, flat).shape
    push = jax.jacrev if int(np.prod(shape)) <= flat.size else jax.jacfwd
    value, jac = jax.jit(lambda u: (function(u), push(function)(u)))(flat)
    return np.asarray(value, np.float64), np.asarray(jac, np.float64).reshape(-1, flat.size)


def _numbered(function):
    name = getattr(function, "__name__", "fn")
    name = "fn" if name == "<lambda>" else name
    return lambda i: f"{name}[{i}]"


def _names(names, shape, make):
    """Names of values of a shape: those given, else numbered."""
    if names is not None and len(shape) == 2:
        if [len(n) for n in names] != list(shape):
            raise ValueError(f"names must be [{shape[0]} names, {shape[1]} names] of the rows and columns")
        return [list(n) for n in names]
    size = int(np.prod(shape))
    if names is not None:
        names = [names] if isinstance(names, str) else list(names)
        if len(names) != size:
            raise ValueError(f"names has {len(names)} entries; there are {size} values")
        return names
    if len(shape) == 2:
        return [list(range(shape[0])), list(range(shape[1]))]
    return [make("").removesuffix("[]")] if not shape else [make(i) for i in range(size)]
