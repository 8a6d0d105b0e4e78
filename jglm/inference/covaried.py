"""Standard errors: the covariance of a fit's coefficients, of the kind that was asked for."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm.diagnostics import leverage
from jglm.fitting import deferred, joint, linalg
from jglm.fitting.problem import Problem, flatten_host
from jglm.inference import sandwich, tails
from jglm.inference.sandwich import HAC, IN_GROUPS, ROBUST
from jglm.inputs import checks, labels
from jglm.model import Model, Unknowns

COVARIANCES = (None, "model", "observed", "joint", *ROBUST)
LARGEST = 20_000  # coefficients of which a covariance is made


class Covaried:
    """What a fit knows of the errors of its coefficients."""

    @property
    def family_params_se(self: Any):
        """Standard errors of those that were estimated, from the observed information: joint with the coefficients
        where the mean's map takes them (beta, ordinal, …) or covariance="joint", else with the coefficients held
        fixed, as MASS::glm.nb."""
        if not self.free:
            return {}
        cov = self._joined()[self.rank :, self.rank :] if self._joins else self._joint_covariance()[1]
        with jax.enable_x64(True):
            return joint.standard_errors(self.free, self.nuisance, cov)

    @property
    def _joins(self: Any):
        """Whether standard errors are those of coefficients and free parameters together: a mean is orthogonal to the
        parameters of the variance, a natural parameter is not."""
        apart = self.link.inverse_ is not None and self.family.parametrize_ is None
        return bool(self.free) and (self.covariance == "joint" or not apart)

    def _joined(self: Any):
        """The covariance of coefficients and free parameters together."""
        return self._robust_covariance() if self.covariance in ROBUST else self._joint_covariance()[0]

    def _joint_covariance(self: Any):
        if self._joint is None:
            with jax.enable_x64(True):
                prepared = self._data("the standard errors of the family's parameters")
                self._joint = deferred.joint_covariance(
                    self.model, self.free, prepared, self.kept, self.params, self.nuisance
                )
        return self._joint

    def _check_covariance(self: Any):
        """Raises ValueError where there is no covariance."""
        if not self._smooth:
            raise ValueError("with a penalty that has kinks or bounds estimates are not normal: there are no standard "
                             "errors; use jglm.bootstrap, or fit the chosen columns without it")  # fmt: skip
        if self.covariance is None:
            raise ValueError("the model was fitted with covariance=None; use fit.with_covariance('model')")
        if self.rank > LARGEST:
            raise ValueError(
                f"the covariance of {self.rank:,} coefficients is a matrix of {8e-9 * self.rank**2:,.0f} GB, which "
                f"is not made beyond {LARGEST:,}; fit fewer columns where standard errors matter"
            )

    def _unscaled_covariance(self: Any):
        self._check_covariance()
        if self._unscaled is None:
            with jax.enable_x64(True):
                prepared = self._data("the covariance")
                self._unscaled = deferred.unscaled_covariance(self.model, prepared, self.kept, self.params)
        return self._unscaled

    def _observed_covariance(self: Any):
        self._check_covariance()
        if self._robust is None:
            with jax.enable_x64(True):
                prepared = self._data("the covariance by observed information")
                self._robust = deferred.observed_covariance(self.model, prepared, self.kept, self.params)
        return self._robust * self.scale

    @property
    def _wide(self: Any):
        """Whether a covariance is only made when it is asked for."""
        return self.rank > linalg.WIDE

    def with_covariance(self: Any, covariance, groups=None):
        """The same fit with another covariance of the coefficients; nothing is fitted again.

        Args:
            covariance: None; "model" (expected information); "observed" (observed information); "joint" (observed
                information of the coefficients and the family's estimated parameters together); robust ones, with u_i
                the score and h_i the leverage of a row, p coefficients, and G groups:

                "HC0": from u_i u_i'; "HC1": times n / (n - p); "HC2", "HC3": u_i / (1 - h_i)^(1/2), u_i / (1 - h_i).
                "cluster", the same as "CR1": scores summed over groups, times G / (G - 1) (n - 1) / (n - p), as Stata;
                "CR0": times 1; "CR1p": times G / (G - p); "CR2": unbiased where the model holds (Bell and McCaffrey
                2002); "CR3": the jackknife's. "survey": times G / (G - 1), groups or else rows being sampled units
                (survey::svyglm). With two groupings V1 + V2 - V12 (Cameron, Gelbach and Miller 2011).
                "HAC", or a `jglm.HAC(lags=…)`.
            groups: labels of the rows used, (n,) or two of them; None takes those of the fit.

        Robust ones are those of the coefficients at fixed family parameters where the mean is orthogonal to them, and
        of all together where it is not. With a ridge penalty they are those of the penalized estimator, whose bias they
        leave out.
        """
        name, hac = named(covariance, self.weight_kind)
        if hasattr(self._prepared, "deferred"):  # a stream, whose clusters were named at the fit
            self._prepared.refuse_covariance(name, groups)
            return replace(self, covariance=name, _robust=None)
        given = dict(groups=labels.groups_of(groups), time=None if hac is None else labels.time_of(hac.time))
        if name in ROBUST or any(v is not None for v in given.values()):
            own = sides(given, self._data("another covariance"), self.weight_kind)
            given = self.sides | {k: v for k, v in own.items() if v is not None}
        else:
            given = self.sides
        hac = None if hac is None else replace(hac, time=None)
        return replace(self, covariance=name, sides=given | {"hac": hac}, _robust=None)

    def _robust_covariance(self: Any):
        """The robust covariance of coefficients, and of free parameters where they go together."""
        if self._robust is None:
            self._check_covariance()
            prepared = self._data("a robust covariance")
            with jax.enable_x64(True):
                if hasattr(prepared, "deferred"):  # a stream
                    self._robust, clusters = prepared.deferred("robust_covariance", self)
                    self.sides = self.sides | ({} if clusters is None else {"clusters": [clusters]})
                else:
                    self._robust = sandwich.covariance(_pieces(self), self.covariance, _sides_of(self))
        return self._robust

    def cov_params(self: Any):
        """Covariance of the coefficients, (p, p), or (p k, p k) class by class; NaN where aliased.

        From the expected information with the family's parameters held fixed. Where the mean's map takes them (beta,
        ordinal, mean and dispersion), and with covariance="joint", from the joint observed information. Robust ones as
        `with_covariance` describes them.
        """
        if self.covariance is None:
            self._check_covariance()
        if self.covariance in ROBUST:
            unscaled = self._robust_covariance()[: self.rank, : self.rank]
        elif self._joins:
            unscaled = self._joint_covariance()[0][: self.rank, : self.rank]
        elif self.covariance == "observed":
            unscaled = self._observed_covariance()
        else:
            unscaled = self._unscaled_covariance() * self.scale
        kept = np.tile(self.kept, self.model.width() or 1)
        whole = np.full((kept.size, kept.size), np.nan)
        whole[np.ix_(kept, kept)] = unscaled
        return whole

    @property
    def bse(self: Any):
        """Standard errors."""
        with np.errstate(invalid="ignore"):
            flat = np.sqrt(np.diagonal(self.cov_params()))
        return flat.copy() if self.params.ndim == 1 else flat.reshape(self.params.shape[::-1]).T

    @property
    def tvalues(self: Any):
        """Coefficients by standard errors: t where the dispersion is estimated, else z."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.params / self.bse

    @property
    def _df(self: Any):
        """Degrees of freedom of t: df_resid where the dispersion is estimated; of sampled units less the rank; None for
        the normal."""
        if self.covariance == "survey":
            return self.sides.get("clusters", [self.nobs])[0] - self.rank
        return None if self.family.dispersion == "fixed" else self.df_resid

    @property
    def pvalues(self: Any):
        """Two-sided p-values, from t with df_resid degrees of freedom or the normal."""
        return tails.p_values(self.tvalues, self._df)


def named(covariance, weight_kind):
    """(name of a covariance, its `HAC` or None); sampling weights have no model-based one."""
    if isinstance(covariance, HAC):
        return "HAC", covariance
    checks.choice("covariance", covariance, COVARIANCES)
    if covariance in ("model", "observed", "joint") and weight_kind == "sampling":
        raise ValueError(f"covariance={covariance!r} takes weights for a number of rows, which sampling weights are "
                         "not; use 'survey', with groups= where whole groups were sampled")  # fmt: skip
    return covariance, HAC() if covariance == "HAC" else None


def sides(given, prepared, weight_kind):
    """{groups (n, 1) or (n, 2), time (n,), clusters (their numbers)} of checked rows, as `Fit.sides` keeps them."""
    n, on = len(prepared.y), prepared.weight > 0
    found = {k: labels.whole(k, v, n) for k, v in given.items() if k in ("groups", "time")}
    if found.get("time") is not None and weight_kind == "frequency":
        raise ValueError("weight_kind='frequency' says nothing of the times of the rows that a row stands for; give "
                         "them as rows of their own for a HAC covariance")  # fmt: skip
    if found.get("groups") is not None:
        found["clusters"] = [len(np.unique(c[on])) for c in found["groups"].T]
    return found


def refuse_without_groups(name, given):
    """ValueError where a covariance needs groups that were not given."""
    if name in IN_GROUPS and given.get("groups") is None:
        raise ValueError(f"covariance={name!r} needs groups=: one label for each row (or two, for two ways)")


def _sides_of(fit):
    prepared, given = fit._data("a robust covariance"), fit.sides
    refuse_without_groups(fit.covariance, given)
    on = prepared.weight > 0
    copies = np.where(on, prepared.power, 0.0) if fit.weight_kind == "frequency" else on.astype(float)
    hac = given.get("hac")
    if hac is not None:
        if fit.weight_kind == "frequency" and given.get("time") is None:
            raise ValueError("a HAC covariance needs the rows in their order of time, and weight_kind='frequency' says "
                             "nothing of that")  # fmt: skip
        hac = replace(hac, time=given.get("time"))
    return sandwich.Sides(copies, fit.nobs, given.get("groups"), hac)


def _pieces(fit):
    """The scores of the rows and the inverse information, of the free parameters too where the mean depends on them."""
    if not (fit._joins and fit.family.parametrize_ is None):
        return leverage.pieces(fit, "a robust covariance")
    if fit.covariance in sandwich.BY_LEVERAGE:
        raise ValueError(f"covariance={fit.covariance!r} needs leverages, and family {fit.family.name!r} with link "
                         f"{fit.link.name!r} has no expected information of its parameters; use 'HC1' or 'CR1', or "
                         "link='log'")  # fmt: skip
    model = Model(fit.family.replace(free=fit.free), fit.link, fit.model.penalty)
    problem = Problem(model, fit._data("a robust covariance"), fit.kept)
    coef = jnp.asarray(problem.shape(flatten_host(fit.params[fit.kept])))
    unknowns = Unknowns(coef, {k: jnp.asarray(v) for k, v in fit.nuisance.items()})
    designs, _, score, observed, _ = joint.rows_at(problem, unknowns)
    also = {a: Z for a, Z in enumerate(designs) if a >= problem.width}
    return leverage.Pieces(problem, np.linalg.cholesky(fit._joint_covariance()[0]), score, observed, also)
