"""Standard errors: the covariance of a fit's coefficients, of the kind that was asked for."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from jglm import checks, deferred, inference, joint, linalg

COVARIANCES = (None, "model", "joint")
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
        whole, alone = self._joint_covariance()
        with jax.enable_x64(True):
            cov = whole[self.rank :, self.rank :] if self._joins else alone
            return joint.standard_errors(self.free, self.nuisance, cov)

    @property
    def _joins(self: Any):
        """Whether standard errors are those of coefficients and free parameters together: a mean is orthogonal to the
        parameters of the variance, a natural parameter is not."""
        apart = self.link.inverse_ is not None and self.family.parametrize_ is None
        return bool(self.free) and (self.covariance == "joint" or not apart)

    def _joint_covariance(self: Any):
        if self._joint is None:
            with jax.enable_x64(True):
                prepared = self._data("the standard errors of the family's parameters")
                self._joint = deferred.joint_covariance(
                    self.model, self.free, prepared, self.kept, self.params, self.nuisance
                )
        return self._joint

    def _unscaled_covariance(self: Any):
        if not self._smooth:
            raise ValueError("with a penalty that has kinks or bounds estimates are not normal: there are no standard "
                             "errors; use jglm.bootstrap, or fit the chosen columns without it")  # fmt: skip
        if self.covariance is None:
            raise ValueError("the model was fitted with covariance=None; use fit.with_covariance('model')")
        if self._unscaled is None:
            if self.rank > LARGEST:
                raise ValueError(
                    f"the covariance of {self.rank:,} coefficients is a matrix of {8e-9 * self.rank**2:,.0f} GB, which "
                    f"is not made beyond {LARGEST:,}; fit fewer columns where standard errors matter"
                )
            with jax.enable_x64(True):
                prepared = self._data("the covariance")
                self._unscaled = deferred.unscaled_covariance(self.model, prepared, self.kept, self.params)
        return self._unscaled

    @property
    def _wide(self: Any):
        """Whether a covariance is only made when it is asked for."""
        return self.rank > linalg.WIDE

    def with_covariance(self: Any, covariance):
        """The same fit with another covariance: None, "model" or "joint" (observed information of the coefficients and
        the family's estimated parameters together); nothing is fitted again."""
        checks.choice("covariance", covariance, COVARIANCES)
        return replace(self, covariance=covariance)

    def cov_params(self: Any):
        """Covariance of the coefficients, (p, p), or (p k, p k) class by class; NaN where aliased.

        From the expected information with the family's parameters held fixed. Where the mean's map takes them (beta,
        ordinal, mean and dispersion), and with covariance="joint", from the joint observed information.
        """
        if self._joins:
            if self.covariance is None:
                self._unscaled_covariance()
            unscaled = self._joint_covariance()[0][: self.rank, : self.rank]
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
        return None if self.family.dispersion == "fixed" else self.df_resid

    @property
    def pvalues(self: Any):
        """Two-sided p-values, from t with df_resid degrees of freedom or the normal."""
        return inference.p_values(self.tvalues, self._df)
