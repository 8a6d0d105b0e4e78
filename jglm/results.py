"""Fit: what a fitted model knows and can be asked."""

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm import penalties, prediction
from jglm.assessing.asked import Assessing
from jglm.diagnostics import residuals
from jglm.diagnostics.diagnosed import Diagnosed
from jglm.fitting import deferred, joint
from jglm.inference import predictive, scenarios, tails
from jglm.inference.covaried import Covaried
from jglm.inference.intervals import Intervals
from jglm.inference.tested import Tested
from jglm.inputs import checks
from jglm.inputs.policies import Policy
from jglm.keeping.exported import Exported
from jglm.model import Model
from jglm.rating.rated import Rated
from jglm.reporting import overview
from jglm.resampling.resampled import Resampled
from jglm.solvers import Status
from jglm.streams import predicting

DISPERSIONS = ("pearson", "deviance", "ml")


@dataclass(repr=False)
class Fit(Covaried, Intervals, Resampled, Diagnosed, Assessing, Rated, Tested, Exported):
    """A fitted generalized linear model.

    Coefficients and their statistics are NumPy float64 of shape (p,), or (p, k) for a family with k columns of lin;
    columns that are combinations of earlier ones (`aliased`) are NaN in them and 0 in predictions, as in R.

    Attributes:
        params, names: coefficients and what they belong to; levels: the labels of the response, else None.
        deviance, llf, aic, bic, pearson_chi2, scale (dispersion), nobs, rank, df_model, df_resid: as R has them; where
            T(y) is not y (beta, dirichlet, …) the deviance is -2 llf.
        family_params, family_params_se: the family's own parameters, and standard errors of the estimated ones.
        null_deviance: of the offset with an intercept; computed on first use. NaN where a free parameter belongs to the
            mean's map (beta, ordinal, …).
        converged, status, solver, n_iter, history: how the fit ended, after n_iter passes over the data; `history` has
            the objective and the largest gradient of each.
        n_dropped: rows left out because of missing values.
    """

    model: Model
    params: np.ndarray
    names: list
    levels: list | None
    intercept: bool
    kept: np.ndarray
    deviance: float
    pearson_chi2: float
    nobs: float
    status: Status
    n_iter: int
    history: np.ndarray
    solver: str
    covariance: str | None = "model"
    weight_kind: str = "prior"
    has_offset: bool = False
    has_constant: bool = True
    n_dropped: int = 0
    separated: list = field(default_factory=list)
    formula: Any = None
    columns: dict = field(default_factory=dict)  # names of the weights, offset, exposure and trials in the frame
    dispersion: str = "pearson"
    free: tuple = ()  # the parameters that were estimated with the coefficients, as the family had them
    nuisance: dict = field(default_factory=dict)  # their estimates on the free scale
    precision_names: list = field(default_factory=list)
    precision: Any = None  # the formula of the regressed parameter
    fixed: dict = field(default_factory=dict)  # {column: {level: relativity}} that multiply the mean beside the formula
    typical: dict = field(default_factory=dict)  # of a detached fit of a formula: its `exposure.typical` row
    shift: float = 0.0  # of the constant, by `rebalanced`
    sides: dict = field(default_factory=dict)  # groups, times, … for a robust covariance (see `covaried.sides`)
    _prepared: Any = None
    _frame: Any = None  # the rows of the formula's columns
    _unscaled: np.ndarray | None = None
    _joint: tuple | None = None
    _robust: np.ndarray | None = None
    _null: Any = None
    _llf: Any = None
    _phi: Any = None

    # ------------------------------------------------------------------ counts and sums
    @property
    def family(self):
        return self.model.family

    @property
    def link(self):
        return self.model.link

    @property
    def converged(self):
        return self.status.converged

    @property
    def aliased(self):
        """Names of the columns that are combinations of earlier ones."""
        return [n for n, k in zip(self.names, self.kept, strict=True) if not k]

    @property
    def rank(self):
        """Number of coefficients estimated; with a penalty that sets some to 0, of those that are not (Zou, Hastie and
        Tibshirani 2007)."""
        if not self._smooth:
            return int(np.count_nonzero(np.nan_to_num(self.params)))
        return int(self.kept.sum()) * (self.model.width() or 1)

    @property
    def _smooth(self):
        return self.model.penalty is None or penalties.is_smooth(self.model.penalty)

    @property
    def df_resid(self):
        """Rows less coefficients; less the free parameters too where the mean's map takes them (beta, ordinal)."""
        return self.nobs - self.rank - (self._count_free if self.family.parametrize_ is not None else 0)

    @property
    def _count_free(self):
        return sum(np.size(v) for v in self.nuisance.values())

    @property
    def df_model(self):
        """Coefficients besides the constant."""
        return self.rank - int(self.has_constant) * (self.model.width() or 1)

    @property
    def scale(self):
        """Dispersion phi: 1 where it is fixed; else Pearson's chi2 / df_resid, deviance / df_resid, or the maximum
        likelihood estimate, as `dispersion` says (NaN without degrees of freedom)."""
        if self.family.dispersion == "fixed":
            return 1.0
        if self.dispersion == "ml":
            return self._likelihood()[1]
        sum_of_squares = self.pearson_chi2 if self.dispersion == "pearson" else self.deviance
        return sum_of_squares / self.df_resid if self.df_resid > 0 else float("nan")

    @property
    def llf(self):
        """The log-likelihood, all constants included. At the dispersion deviance / n for gaussian, gamma and inverse
        Gaussian (as R), else at the most likely one; NaN for quasi-likelihood. Computed on first use where the
        density has no closed form."""
        return self._likelihood()[0]

    def _likelihood(self):
        """(log-likelihood, dispersion): the maximum likelihood one where it was asked for or is the family's own."""
        if self.family.density == "none":
            return float("nan"), float("nan")
        if self._llf is None or (self.dispersion == "ml" and self._phi is None):
            with jax.enable_x64(True):
                prepared = self._data("the log-likelihood")
                plugged = self.family.plugs_in and self.dispersion != "ml"
                self._llf, self._phi = deferred.log_likelihood(
                    self.model, prepared, self.kept, self.params, self._phi, plugged
                )
        return self._llf, self._phi

    @property
    def null_deviance(self):
        """Deviance of the offset with an intercept (fitted, or a column equal to 1), else of the offset alone."""
        if self._null is None:
            with jax.enable_x64(True):
                prepared = self._data("null_deviance")
                self._null = deferred.null_deviance(self.model, prepared, self.kept, self.params)
        return self._null

    @property
    def _free(self):
        """Parameters that aic and bic count: a dispersion that is estimated is one."""
        estimated = self.family.dispersion == "estimated" and "phi" not in self.nuisance
        return self.rank + self._count_free + estimated

    @property
    def aic(self):
        return 2 * self._free - 2 * self.llf

    @property
    def bic(self):
        return float(np.log(self.nobs)) * self._free - 2 * self.llf

    @property
    def family_params(self):
        """Parameters of the family by name, such as r of the negative binomial; of a regressed one, such as the
        precision of the beta, the coefficients on its log scale (q,)."""
        with jax.enable_x64(True):
            fixed = {k: float(v) if np.ndim(v) == 0 else np.asarray(v) for k, v in self.family.params.items()}
            return fixed | {name: joint.reported(free, self.nuisance[name])[0] for name, free in self.free}

    # ------------------------------------------------------------------ inference
    def _data(self, what):
        if self._prepared is None:
            raise ValueError(f"{what} needs the data of the fit, which this fit no longer has (detached or loaded)")
        return self._prepared

    def _wald(self, value, se, level=0.95):
        """(statistic, p, interval) of estimates that are asymptotically normal."""
        reach = tails.quantile(0.5 + level / 2, None) * se
        with np.errstate(divide="ignore", invalid="ignore"):
            z = value / se
        return z, tails.p_values(z, None), np.stack([value - reach, value + reach], axis=-1)

    def table(self, level=0.95):
        """Coefficients, standard errors, tests and intervals as a pandas data frame."""
        import pandas

        low, high = np.moveaxis(self.conf_int(level), -1, 0)
        letter = self._letter
        columns = {"coef": self.params, "std_err": self.bse, letter: self.tvalues, "p": self.pvalues, "low": low,
                   "high": high}  # fmt: skip
        if self.params.ndim == 1:
            return pandas.DataFrame(columns, index=pandas.Index(self.names, name="name"))
        index = pandas.MultiIndex.from_product([self._lin_names(), self.names], names=["class", "name"])
        return pandas.DataFrame({k: v.T.ravel() for k, v in columns.items()}, index=index)

    @property
    def _letter(self):
        return "z" if self.family.dispersion == "fixed" else "t"

    def _lin_names(self):
        """What the columns of lin are called: the classes, without the reference one."""
        k = self.params.shape[1]
        levels = self.levels or list(range(int(self.family.dim or 0)))
        skipped = None
        if k == len(levels) - 1:
            unit = np.asarray(self.link.eta(self.family, jnp.ones(k)))
            skipped = int(np.argmin(unit))
        return [str(v) for i, v in enumerate(levels) if i != skipped]

    # ------------------------------------------------------------------ new data
    def predict(self, X=None, kind="mean", offset=None, exposure=None, interval=None, level=0.95, precision=None,
                out=None, missing=None, unseen=None):  # fmt: skip
        """Predictions for new rows, or without X for the rows of the fit.

        Args:
            X: (n, p) as in the fit, without the intercept's column where the fit added it; a frame of the formula's
                columns. A frame brings the offset and exposure that the fit named.
            kind: "mean"; "link" (the linear predictor, offset included); "class" (the most probable label);
                "log_prob" (log probability of each class).
            offset, exposure: (n,) each; without them they are 0 and 1.
            interval: of the mean "mean" (Wald on the scale of lin; of class probabilities on that of their logit),
                "delta" (symmetric about the mean) or "profile" (by the profile likelihood of lin); or "prediction"
                (quantiles of a new y of weight 1 at the estimates, whose own error they leave out). (n, 3) with the
                mean and the ends, at `level`; (n, k, 3) of k classes, by "mean" or "delta".
            precision: (n, q) columns of the precision or dispersion for a prediction interval, where the fit took
                such and X is no frame that has them.
            out: of a stream X (`jglm.open_parquet`; offset and exposure are names of its columns), a Parquet file
                that takes the predictions, whose path is returned.
            missing, unseen: the policies for missing values and unseen levels of a frame, where not those of the fit
                (see `jglm.glm`).

        Returns (n,), or (n, k) for k classes. A row of a frame with a missing value is NaN, unless the policies say
        other; an array must be complete. Raises ValueError for columns that are not there, and for levels that the fit
        did not see where no policy says what they count as.
        """
        if missing is not None or unseen is not None:
            other = self._with_policy(missing, unseen)
            return other.predict(X, kind, offset, exposure, interval, level, precision, out)
        checks.choice("kind", kind, prediction.KINDS)
        if checks.is_stream(X):
            beside = dict(offset=offset, exposure=exposure)
            return predicting.predict(self, X, out, kind, interval, beside, level=level, precision=precision)
        if out is not None:
            raise ValueError("out= is for streams; predict() of rows in memory returns an array")
        with jax.enable_x64(True):
            if interval is not None:
                return predictive.with_interval(self, X, offset, exposure, interval, level, precision)
            lin = prediction.linear_predictor(self, X, offset, exposure)
            return lin if kind == "link" else prediction.of_lin(self, lin, kind)

    def _with_policy(self, missing, unseen):
        """The same fit with other policies for new data."""
        if self.formula is None:
            raise ValueError("missing= and unseen= are for fits of a formula; rows of an array must be complete")
        policy = Policy(missing or self.formula.policy.missing, unseen or self.formula.policy.unseen)
        second = None if self.precision is None else self.precision.with_policy(policy)
        return replace(self, formula=self.formula.with_policy(policy), precision=second)

    def residuals(self, X=None, y=None, kind="response", weights=None, offset=None, exposure=None, trials=None,
                  precision=None, seed=0):  # fmt: skip
        """Residuals of the rows of the fit, in order (rows of weight 0 included), or of new X and y.

        kind: "response" y - mu (proportions for the binomial), "pearson", "deviance" or "working", as R defines them;
        "quantile", standard normal where the model is right, drawn with `seed` over the jumps of a count.
        weights, offset, exposure, trials, precision: of new rows, as `fit` and `predict` take them.
        Returns (n,), or (n, k) for a family with k columns (deviance (n,)).
        """
        with jax.enable_x64(True):
            return residuals.of(self, X, y, kind, weights, offset, exposure, trials, precision, seed)

    # ------------------------------------------------------------------ printing
    def summary(self):
        """Everything at a glance: prints as text, shows as HTML in a notebook."""
        return overview.of(self)

    def _repr_html_(self):
        return self.summary()._repr_html_()

    def __repr__(self):
        size = f"{len(self.names)} coefficients, {self.nobs:,.0f} observations"
        return f"<Fit of {self.family.name} with link {self.link.name}: {size}>"

    def report(self, path, data=None, compare=None, title=None, **new):
        """Write a report as one HTML page that stands alone: coefficients and terms with their tests, actual against
        expected by every column of the model, calibration and lift, the Lorenz curve, residuals, convergence, and the
        data. What a family cannot have, or what needs data that are not there, is left out and the page says so.

        Args:
            path: the file to write; it appears when it is whole.
            data: new rows for all that is about predictions, with y=, weights=, … as in `actual_expected`; None:
                the rows of the fit.
            compare: a second fit of the same response, for a double lift.
            title: of the page; None: the response and the family.

        Returns the path. Needs matplotlib and Jinja (`pip install "jglm[all]"`).
        """
        from jglm.reporting import report

        return report.write(self, path, data, compare, title, new)

    # ------------------------------------------------------------------ keeping
    def detach(self):
        """The same fit without the data, whose covariance and null deviance are computed first; the covariance only of
        up to 3,000 coefficients."""
        if self._prepared is not None:
            _ = self.null_deviance
            kept = None if self._wide else self.covariance
            if kept is not None:
                self.cov_params()
                if not replace(self, covariance="model")._joins:
                    self._unscaled_covariance()  # for with_covariance("model")
            if self.free:
                self._joint_covariance()
            with contextlib.suppress(ValueError):  # a density that has no closed form, of a vector
                self._likelihood()
            sides = {k: v for k, v in self.sides.items() if k == "clusters"}
            typical = scenarios.typical(self)
            return replace(self, _prepared=None, _frame=None, covariance=kept, sides=sides, typical=typical)
        return self

    def __getstate__(self):
        return vars(self.detach())
