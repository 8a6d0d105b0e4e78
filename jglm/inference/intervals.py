"""What a fit tells beside its coefficients: profile-likelihood intervals and functions of the parameters."""

from typing import Any

import jax
import numpy as np

from jglm.inference import tails
from jglm.inputs import checks

METHODS = ("wald", "profile")


class Intervals:
    """Profiles and the delta method, as methods of `Fit`."""

    def conf_int(self: Any, level=0.95, method="wald"):
        """Intervals (p, 2), or (p, k, 2), of the coefficients: "wald", with the quantiles of t or the normal as in
        `pvalues`; or "profile", by the profile likelihood, see `profile`, infinite where the likelihood stays flat."""
        from jglm.inference import profiles

        checks.choice("method", method, METHODS)
        checks.level(level)
        if method == "profile":
            with jax.enable_x64(True):
                return profiles.conf_int(self, level)
        reach = tails.quantile(0.5 + level / 2, self._df) * self.bse
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
        data and for penalties with kinks; with a ridge, and with penalty="firth" or "jeffreys" (coefficients alone),
        it is the penalized likelihood's.

        >>> import jglm
        >>> fit = jglm.fit([[0.0], [1.0], [2.0], [3.0]], [1, 2, 6, 14], family="poisson")
        >>> fit.profile().conf_int().round(3)
        array([[-1.555,  1.025],
               [ 0.456,  1.459]])
        >>> fit.profile(lambda params: params[0] / params[1]).conf_int().round(2)
        array([[-1.09,  2.16]])
        """
        from jglm.inference import profiles

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
        from jglm.inference import delta

        with jax.enable_x64(True):
            return delta.estimate(self, fn, level, names, null)

    def marginal_effects(self, variables=None, *, method="dydx", at="overall", values=None, discrete=None,
                         change="difference", X=None, offset=None, exposure=None, weights=None,
                         level=0.95):  # fmt: skip
        """What a change of a variable does to the mean of y, with standard errors by the delta method.

        Args:
            variables: names of columns of an array or of the frame's columns in a formula; None is all that vary. In a
                formula all terms of a variable (powers, interactions, splines) move together.
            method: of continuous variables "dydx" d mean / d x, "eyex" d log mean / d log x, "dyex" d mean / d log x,
                "eydx" d log mean / d x. Factors change from their first level to each other one: the mean, or its
                logarithm for "ey…".
            at: "overall", the average over the rows; or at one row: "mean", "median", "zero" of the columns (of a
                frame: of its numbers, factors at their most frequent level).
            values: {name: value or list of values}: held at these in all rows, for each combination.
            discrete: names of columns of 0 and 1 that are changed from 0 to 1, or True for all such of an array.
            change: of factors and discrete columns, "difference"; or of the average means "ratio" or "odds_ratio".
            X, offset, exposure: rows to average over, as `predict` takes them; by default those of the fit with their
                offsets.
            weights: (n,) of the rows in averages; by default frequency and sampling weights count, prior ones do not.

        Returns `jglm.Estimates`; of a family of k classes (variables, k), the effects on each one's probability. They
        are those of statsmodels' get_margeff where that has them. Raises ValueError for names that are not there.

        >>> import jglm
        >>> fit = jglm.fit([[0.0], [1.0], [2.0], [3.0]], [1, 2, 6, 14], family="poisson", names=["dose"])
        >>> fit.marginal_effects().value.round(2)
        array([5.24])
        """
        from jglm.inference import effects

        with jax.enable_x64(True):
            return effects.marginal_effects(
                self, variables, method, at, values, discrete, change, X, offset, exposure, weights, level
            )

    def contrasts(self, what, ratio=False, level=0.95):
        """Linear combinations of the coefficients: {name: weight}, a list of them, or a matrix (q, p).

        ratio: report exponentials, which are ratios of means (log link), odds (logit) or hazards (cloglog).
        Returns `jglm.Estimates`.

        >>> import jglm
        >>> fit = jglm.fit([[0.0], [1.0], [2.0], [3.0]], [1, 2, 6, 14], family="poisson", names=["dose"])
        >>> fit.contrasts({"Intercept": 1, "dose": 2}).value.round(3)
        array([1.737])
        """
        from jglm.inference import means

        with jax.enable_x64(True):
            return means.contrasts(self, what, ratio, level)

    def relativities(self, base=None, X=None, level=0.95):
        """Exponentials of what variables add to lin: ratios of means with a log link, odds ratios with a logit, hazard
        ratios with a cloglog, for classes relative risk ratios to the reference.

        Args:
            base: the level of a factor that has 1: None or "most_exposed", that with the largest total of weights x
                exposure; "first", the first one; or {factor: level}, others at their most exposed one. Nothing is
                fitted again: standard errors are those of differences of coefficients.
            X: a frame whose rows tell what is most exposed, in place of those of the fit (a model file knows them).
            level: of the intervals, which are made on the scale of lin.

        In a formula a factor has all its levels; a number is raised by one from its mean. Variables of interactions are
        told with the others at their base or mean; relativities held by `fixed=` have no error. An array has one for
        each column. Returns `jglm.Estimates`. Raises ValueError for links of which the exponential is no ratio.
        """
        from jglm.inference import means

        with jax.enable_x64(True):
            return means.relativities(self, base, X, level)

    def marginal_means(self, factors, *, values=None, weights="equal", kind="mean", X=None, level=0.95):
        """Estimated marginal means: of every level (combination) of some factors, averaged over the other factors.

        As R's emmeans: lin is averaged over a grid of all levels, numbers at their mean and the offset at its mean,
        and taken back to the mean; probabilities of classes are averaged themselves. Fit by `glm`.

        Args:
            factors: a name or several. values: {name: value} for the other variables.
            weights: of the levels of other factors, "equal" or "proportional" to their frequency in the data.
            kind: "mean", or "link" for lin. X: a frame, where the fit has none.

        Returns `jglm.Estimates`; `.contrasts("pairwise")` of them are differences of lin, or their ratios.
        """
        from jglm.inference import means

        with jax.enable_x64(True):
            return means.marginal_means(self, factors, values, weights, kind, X, level)

    def for_marginaleffects(self, kind="mean"):
        """This fit as the package marginaleffects takes models: `avg_slopes(fit.for_marginaleffects())`, and so
        `predictions`, `comparisons`, `hypotheses` and their kin.

        kind: what is predicted, "mean" (of classes their probabilities) or "link". Of that package's arguments
        vcov="HC1" is a covariance of `with_covariance`, and wts= names a column that the fit took. It differentiates
        numerically (eps_vcov=1e-5 is more exact than its default), and needs Polars 1. Raises ValueError for a fit
        without its data, or with an offset that is no column of the frame.
        """
        from jglm.inference import marginaleffects

        checks.choice("kind", kind, marginaleffects.KINDS)
        return marginaleffects.ModelJglm(self, kind)
