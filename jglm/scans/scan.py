"""Score scans: the score test of adding a column to a null model, for very many columns in one pass over them."""

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jglm import api
from jglm.designs import Dense
from jglm.fitting.progress import Counted
from jglm.inference import tails
from jglm.inputs import checks
from jglm.reporting.tables import shown
from jglm.results import Fit
from jglm.scans.candidates import blocks_of
from jglm.scans.nullmodel import Null

MISSING = ("refuse", "mean")


@dataclass(repr=False)
class ScoreScan:
    """The score tests of q candidate columns, k of each for a family with k columns of lin; NaN where a candidate is a
    combination of the null's columns.

    Attributes:
        statistic, pvalues: (q,) Rao's statistic U' V^-1 U / phi and its chi-square tail, `df` = k degrees of freedom.
        effect, se: (q,) or (q, k) one-step estimates V^-1 U (a step of Fisher scoring from the null) and their standard
            errors sqrt(phi diag V^-1); z = effect / se, for a scalar family the signed root of the statistic.
        aliased: (q,) which candidates are constant, or combinations of the null's columns; n_aliased counts them.
        imputed: (q,) how many missing values were replaced by the column's mean.
        full_effect, full_se, full_pvalues: (q,) or (q, k) of a full fit with the candidate (Wald), NaN where there was
            none; n_refitted counts the fits and n_failed those that did not converge, which are NaN too.
        scale: the dispersion phi of the null; names: of the candidates, None where they have none.
    """

    statistic: np.ndarray
    pvalues: np.ndarray
    effect: np.ndarray
    se: np.ndarray
    aliased: np.ndarray
    imputed: np.ndarray
    full_effect: np.ndarray
    full_se: np.ndarray
    full_pvalues: np.ndarray
    n_refitted: int
    n_failed: int
    df: int
    scale: float
    names: list | None
    null: Fit

    @property
    def z(self):
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.effect / self.se

    @property
    def n_aliased(self):
        return int(self.aliased.sum())

    def table(self, columns=None):
        """A pandas data frame with a row per candidate, or of those `columns` (indices) alone."""
        import pandas

        at = np.arange(len(self.statistic)) if columns is None else np.asarray(columns)
        index = pandas.Index(at, name="column") if self.names is None else [self.names[i] for i in at]
        table = pandas.DataFrame({"statistic": self.statistic[at], "p": self.pvalues[at]}, index=index)
        shown = {"effect": self.effect, "std_err": self.se, "z": self.z}
        if self.n_refitted:
            shown |= {"full_effect": self.full_effect, "full_std_err": self.full_se, "full_p": self.full_pvalues}
        for name, values in shown.items():
            for j, own in enumerate(values[at].reshape(len(at), -1).T):
                table[name if values.ndim == 1 else f"{name}_{j + 1}"] = own
        return table

    def top(self, k=10):
        """The table of the k candidates with the largest statistic, the largest first."""
        order = np.argsort(-np.where(np.isnan(self.statistic), -np.inf, self.statistic), kind="stable")
        return self.table(order[: min(k, len(order) - self.n_aliased)])

    def _repr_html_(self):
        return shown(repr(self), self.top(), len(self.statistic))

    def __repr__(self):
        refits = f", {self.n_refitted} fitted in full" if self.n_refitted else ""
        return f"<ScoreScan of {len(self.statistic):,} columns ({self.n_aliased:,} aliased{refits})>"


def score_scan(G, null=None, *, X=None, y=None, names=None, missing="refuse", refit=None, progress=None, **options):
    """The score (Rao) test of adding each column of G to a null model, without a fit for any of them.

    With s = -d loss / d lin and W the expected information of the rows at the null fit, a column g has

        U = g's,   V = g'Wg - g'WX (X'WX)^-1 X'Wg,   statistic U^2 / (phi V),

    asymptotically chi-square with 1 degree of freedom; with k columns of lin U is (k,), V (k, k), and the degrees of
    freedom are k. Parameters of the family that were estimated with the mean are nuisances beside X where they are not
    orthogonal to it. phi is the dispersion of the null (R's `anova(test = "Rao")` takes that of the larger model).

    Args:
        G: (n, q) columns in the order of the rows of the null: a NumPy array or memory map of any real type (dosages
            as int8 or float32 stay so), a JAX array, a SciPy sparse matrix, a data frame, anything with a shape and
            slices, or an iterable of such blocks of columns. It is read once, a block of columns at a time.
        null: a `Fit` that has its data, without a penalty.
        X, y, options: instead of it, what `jglm.fit` takes; X=None is the null of an intercept.
        names: q names of the candidates; a frame brings its own.
        missing: what NaN in G means: "refuse" raises; "mean" puts the mean of the column over the rows that count.
        refit: None, or a p-value such as 5e-8: columns below it are fitted in full besides, from the null as the start.
        progress: True, False, or None: a bar with the time left once the scan takes longer than a second.

    Returns a `ScoreScan`. Memory is that of the null's design, of a block of columns, and a few numbers per column.
    Raises ValueError for G of other rows or with missing values, and for a null with a penalty or without its data.

    Rao (1948), Proc. Cambridge Phil. Soc. 44, 50-57; for generalized linear models Chen (1983), JASA 78, 158-161.

    >>> import numpy as np, jglm
    >>> rng = np.random.default_rng(0)
    >>> G = rng.integers(0, 3, (200, 50)).astype(np.int8)
    >>> y = rng.poisson(np.exp(0.5 * G[:, 7]))
    >>> int(np.argmin(jglm.score_scan(G, y=y, family="poisson").pvalues))
    7
    """
    checks.choice("missing", missing, MISSING)
    if refit is not None and not 0 < refit <= 1:
        raise ValueError(f"refit is {refit}; it must be a p-value such as 5e-8, or None")
    null = _null(null, X, y, options)
    with jax.enable_x64(True):
        scan = _Scan(Null(null), null, missing, refit)
        blocks, total = blocks_of(G, len(scan.rows.on))
        if names is not None and total not in (None, len(names)):
            raise ValueError(f"names has {len(names)} entries, G has {total} columns")
        bar = Counted(total, {None: 1.0, True: 0.0}.get(progress, float("inf")), "column")
        try:
            for block in blocks:
                scan.add(block)
                bar.advance(block.width)
        finally:
            bar.close()
        return scan.result(None if names is None else [str(v) for v in names])


def _null(null, X, y, options):
    if (null is None) == (y is None):
        raise ValueError("give either the null model as a Fit, or X=, y= and family= to fit it")
    if null is None:
        if "family" not in options:
            raise ValueError("family= is missing: the null model is fitted with it")
        rows = len(y) if hasattr(y, "__len__") else 0
        null = api.fit(np.empty((rows, 0)) if X is None else X, y, **options)
    elif X is not None or options:
        raise TypeError(f"with a Fit as the null model {', '.join(options) or 'X'} would change nothing; leave it out")
    if not isinstance(null, Fit):
        raise TypeError(f"null is a {type(null).__name__}; it must be a Fit of jglm")
    if null.model.penalty is not None:
        raise ValueError("the null model has a penalty, with which scores do not vanish at the optimum and the "
                         "statistic is no chi-square; fit it without")  # fmt: skip
    return null


class _Scan:
    """The results of the blocks so far."""

    def __init__(self, rows, null, missing, refit):
        self.rows, self.null, self.missing, self.refit = rows, null, missing, refit
        self.found, self.full, self.names, self.count, self.failed = [], {}, [], 0, 0
        self.imputed: Any = None

    def add(self, block):
        self.imputed = np.zeros(block.width, int)
        U, V, aliased = self.rows.test(block, self._clean)
        V[aliased] = np.nan
        with np.errstate(invalid="ignore", divide="ignore"):
            inverse = 1 / V if self.rows.k == 1 else _inverses(V)
            effect = np.einsum("cab,cb->ca", inverse, U)
            se = np.sqrt(self.rows.phi * np.einsum("caa->ca", inverse))
            statistic = np.einsum("ca,ca->c", U, effect) / self.rows.phi
        pvalues = tails.chi_square_tail(statistic, self.rows.k)
        if self.refit is not None:
            for j in np.flatnonzero(pvalues < self.refit):
                g = self._clean(block.dense([j]), [j])
                self.full[self.count + j] = _full_fit(self.null, g)
        self.names += block.names or []
        self.found.append((statistic, pvalues, effect, se, aliased, self.imputed))
        self.count += block.width

    def _clean(self, values, columns):
        """Columns (n, c) without missing values, those of rows that do not count put to 0."""
        bad = ~np.isfinite(values)
        on = self.rows.on[:, None]
        if np.any(np.isinf(values) & on) or np.any(np.abs(values, where=~bad, out=np.zeros(values.shape)) > 1e150):
            raise ValueError("G has values that are infinite or larger than 1e150; drop or rescale those columns")
        missing = bad & on
        if self.missing == "refuse" and missing.any():
            row, column = np.argwhere(missing)[0]
            raise ValueError(f"G has missing values (first: row {row}, column {self.count + columns[column]}); drop "
                             "those columns, fill them, or use missing='mean'")  # fmt: skip
        known = on & ~bad
        mean = np.sum(values, axis=0, where=known) / np.maximum(known.sum(axis=0), 1)
        self.imputed[columns] = missing.sum(axis=0)
        return np.where(bad, np.where(on, mean, 0.0), values)

    def result(self, names):
        if not self.found:
            raise ValueError("G has no columns; there is nothing to test")
        statistic, pvalues, effect, se, aliased, imputed = (np.concatenate(v) for v in zip(*self.found, strict=True))
        names = names or self.names or None
        if names is not None and len(names) != len(statistic):
            raise ValueError(f"{len(names)} names for {len(statistic)} candidates; give one for each")
        flat = self.null.model.width() is None
        shape = lambda v: v[:, 0] if flat else v
        full = np.full((3, len(statistic), self.rows.k), np.nan)
        failed = 0
        for j, values in self.full.items():
            failed += values is None
            full[:, j] = np.nan if values is None else values
        if failed:
            warnings.warn(f"{failed} of {len(self.full)} full fits did not converge; they are NaN", stacklevel=3)
        return ScoreScan(
            statistic, pvalues, shape(effect), shape(se), aliased, imputed, full_effect=shape(full[0]),
            full_se=shape(full[1]), full_pvalues=shape(full[2]), n_refitted=len(self.full), n_failed=failed,
            df=self.rows.k, scale=self.rows.phi, names=names, null=self.null,
        )  # fmt: skip


def _inverses(V):
    """V^-1 (c, k, k), NaN where V is NaN."""
    good = np.isfinite(V).all(axis=(1, 2))
    out = np.full(V.shape, np.nan)
    out[good] = np.linalg.inv(V[good])
    return out


def _full_fit(null, g):
    """(effect, se, p) (3, k) of a column beside those of the null, fitted in full; None where that did not converge."""
    prepared = null._prepared
    design = Dense(np.column_stack([prepared.design.columns(null.kept).dense(), g]), "float64")
    names = [*np.array(null.names, object)[null.kept], "candidate"]
    own = dataclasses.replace(prepared, design=design, names=names)
    start = np.concatenate([null.params[null.kept], np.zeros((1, *null.params.shape[1:]))])
    family = null.family.replace(free=null.free)
    options = dict(solver="auto", tol=1e-8, max_iter=None, dtype="float64", start=start, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = api.finish(own, family, null.link, None, options, covariance=null.covariance or "model",
                         dispersion=null.dispersion, weight_kind=null.weight_kind)  # fmt: skip
    if not fit.converged or fit.separated:
        return None
    return np.stack([np.atleast_1d(v[-1]) for v in (fit.params, fit.bse, fit.pvalues)])
