"""What a fit tells beside its coefficients: profile-likelihood intervals and functions of the parameters."""

from typing import Any

import jax
import numpy as np

from jglm import checks, delta, inference, profiles

METHODS = ("wald", "profile")


class Intervals:
    """Profiles and the delta method, as methods of `Fit`."""

    def conf_int(self: Any, level=0.95, method="wald"):
        """Intervals (p, 2), or (p, k, 2), of the coefficients: "wald", with the quantiles of t or the normal as in
        `pvalues`; or "profile", by the profile likelihood, see `profile`, infinite where the likelihood stays flat."""
        checks.choice("method", method, METHODS)
        checks.level(level)
        if method == "profile":
            with jax.enable_x64(True):
                return profiles.conf_int(self, level)
        reach = inference.quantile(0.5 + level / 2, self._df) * self.bse
        return np.stack([self.params - reach, self.params + reach], axis=-1)

    def profile(self, fn=None, level=0.95, names=None):
        """Profile-likelihood intervals of the coefficients and the family's estimated parameters, or of a function.

        The interval of c(unknowns) holds the t at which twice the log-likelihood, maximized over all unknowns with
        c = t, lies below its maximum by at most the quantile of chi-square, or of F(1, df_resid) where the dispersion
        is estimated (and held at its estimate), as for `conf_int`. It needs no normal estimates and is the same on any
        scale. (`confint` of MASS takes the chi-square quantile of either.) All ends are sought together, each by
        Newton's method in all unknowns. Parameters of the family are held fixed for coefficients where their standard
        errors hold them so (negative binomial, as MASS; `with_covariance("joint")` estimates them anew).

        Args:
            fn: None, or a function as `estimate` takes it, of one value or a vector.
            level: of the intervals. names: of the values of fn.

        Returns a `jglm.Profile`: names, value, low, high, reasons, conf_int(), table(). Where the likelihood stays
        flat, as under separation, the end is infinite, and `reasons` says so. Raises ValueError for a fit without its
        data and for penalties with kinks; with a ridge it is the penalized likelihood's.

        >>> import jglm
        >>> fit = jglm.fit([[0.0], [1.0], [2.0], [3.0]], [1, 2, 6, 14], family="poisson")
        >>> fit.profile().conf_int().round(3)
        array([[-1.555,  1.025],
               [ 0.456,  1.459]])
        >>> fit.profile(lambda params: params[0] / params[1]).conf_int().round(2)
        array([[-1.09,  2.16]])
        """
        with jax.enable_x64(True):
            if fn is None:
                return profiles.of_fit(self, level)
            return profiles.of_any(self, fn, level, names)

    def estimate(self, fn, level=0.95, names=None, null=0.0):
        """Any function of the parameters with standard errors by the delta method, derivatives by autodiff.

        Args:
            fn: a function written with jax.numpy of the coefficients (p,) or (p, k), 0 where aliased; it returns a
                value, a vector or a matrix. Further arguments are given by their names: family_params (a dict), and of
                the data X (n, p), y, weights, offset: `lambda params, X: jnp.mean(jnp.exp(X @ params))`.
            level: of intervals. names: of the values. null: what the values are tested against.

        The covariance is `cov_params()` of whatever kind the fit has; family_params bring theirs. Returns
        `jglm.Estimates`: value, bse, tvalues, pvalues, conf_int(), cov (joint, of all values), table(), and `map` and
        `contrasts`, which go on from there.

        >>> import jglm
        >>> fit = jglm.fit([[0.0], [1.0], [2.0], [3.0]], [1, 2, 6, 14], family="poisson")
        >>> ratio = fit.estimate(lambda params: params[0] / params[1])
        >>> ratio.conf_int().round(3)
        array([-1.441,  1.253])
        """
        with jax.enable_x64(True):
            return delta.estimate(self, fn, level, names, null)
