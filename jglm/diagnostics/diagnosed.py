"""What a fit tells about its rows and columns: influence, collinearity, groups, calibration; and of reduced bias."""

import jax
import numpy as np

from jglm.diagnostics.deletion import STANDARDIZED, Deletions
from jglm.inputs import checks


class Diagnosed:
    """Diagnostics of a fit that has its data. Rows are those of the fit, in order; rows of weight 0 have no influence,
    and NaN for a standardized residual (R leaves them out)."""

    # ------------------------------------------------------------------ rows
    def leverage(self):
        """(n,) hat values: the diagonal of W^1/2 X (X'WX)^-1 X'W^1/2 with expected information, in sum the rank. With a
        ridge or quadratic penalty in the inverse, in sum the effective degrees of freedom; of a row with several linear
        predictors the sum over them."""
        with jax.enable_x64(True):
            return Deletions(self).hats

    def cooks_distance(self):
        """(n,) Cook's distance, r^2 h / ((1 - h)^2 phi rank) with Pearson's r: how far one step of Fisher scoring leads
        without the row. Vector families: the same length of the step. NaN where h = 1."""
        with jax.enable_x64(True):
            return Deletions(self, "Cook's distance").cooks()

    def dfbeta(self, kind=None):
        """(n, p) or (n, p, k): the coefficients with a row less those without it, to first order.

        kind: "deviance", R's dfbeta, with deviance residuals; "score", the step of Fisher scoring without the row, for
        every family; None, R's where rows have signed deviance residuals.
        """
        with jax.enable_x64(True):
            found = Deletions(self, "dfbeta")
            return found.dfbeta(found.kind(kind))

    def dfbetas(self, kind=None):
        """`dfbeta` in standard errors: those without the row ("deviance", R), or the model's own ("score")."""
        with jax.enable_x64(True):
            found = Deletions(self, "dfbetas")
            return found.dfbetas(found.kind(kind))

    def dffits(self, kind=None):
        """(n,) the change of the row's own linear predictor with its deletion, in standard errors; kinds as in
        `dfbeta`. For vector families its size, sqrt(rank Cook's distance)."""
        with jax.enable_x64(True):
            found = Deletions(self, "dffits")
            return found.dffits(found.kind(kind))

    def standardized_residuals(self, kind="deviance"):
        """Residuals by their standard deviation sqrt(phi (1 - h)), R's rstandard: (n,), kind "deviance" or "pearson".
        Families with a vector y: "pearson", (n, k), by the covariance of y - mu."""
        checks.choice("kind", kind, STANDARDIZED)
        with jax.enable_x64(True):
            return Deletions(self, "standardized residuals").standardized(kind)

    def studentized_residuals(self):
        """(n,) R's rstudent: the signed root of the fall of the deviance if the row had a parameter of its own, to
        first order (Williams 1987), by the standard deviation of the other rows where the dispersion is estimated."""
        with jax.enable_x64(True):
            return Deletions(self, "studentized residuals").studentized()

    def influence_measures(self):
        """A data frame of one row per row: dfbetas, dffits, covratio, Cook's distance, leverage, and `influential`, R's
        marks. As R's `influence.measures`; families without signed deviance residuals: of kind "score".

        >>> import jglm
        >>> fit = jglm.fit([[0.0], [1.0], [2.0], [3.0], [9.0]], [1, 2, 2, 3, 60], family="poisson")
        >>> fit.influence_measures()["influential"].tolist()
        [False, True, False, False, True]
        """
        with jax.enable_x64(True):
            return Deletions(self, "influence measures").table()

    # ------------------------------------------------------------------ columns
    def vif(self):
        """A data frame by term of the formula, or by column: generalized variance inflation factors `gvif`, `df`, and
        `gvif_scaled` = gvif^(1 / (2 df)), as car::vif: the squared length of the joint confidence region of the term's
        coefficients by that of unrelated columns (Fox and Monette 1992)."""
        from jglm.diagnostics import collinearity

        return collinearity.inflation(self)

    def condition_number(self):
        """The ratio of the largest to the smallest singular value of sqrt(W) X with columns of length 1; above 30
        collinear columns cost digits of the estimates (Belsley, Kuh and Welsch 1980)."""
        from jglm.diagnostics import collinearity

        with jax.enable_x64(True):
            values = collinearity.singular(self)[0]
        return float(values[0] / values[-1]) if values[-1] > 0 else float("inf")

    def condition_table(self):
        """A data frame by condition index: the shares of the variance of each coefficient that belong to it. Two large
        shares beside a large index name the columns that are nearly dependent."""
        from jglm.diagnostics import collinearity

        with jax.enable_x64(True):
            return collinearity.condition_table(self)

    def wald_slopes(self):
        """(p,) or (p, k): the derivative of each Wald statistic in its coefficient, the others held; negative where the
        Hauck-Donner effect makes a stronger effect look less significant (Yee 2022)."""
        from jglm.diagnostics import waldslope

        with jax.enable_x64(True):
            return waldslope.by_coefficient(self)

    def hauck_donner(self):
        """(p,) or (p, k) of bool: coefficients whose Wald test suffers from the Hauck-Donner effect; a likelihood ratio
        test does not. False where aliased.

        >>> import jglm
        >>> x, y = [[0.0]] * 10 + [[1.0]] * 100, [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] + [1] * 99 + [0]
        >>> jglm.fit(x, y, family="bernoulli").hauck_donner().tolist()
        [False, True]
        """
        with np.errstate(invalid="ignore"):
            return self.wald_slopes() < 0

    def find_separation(self, method="lp"):
        """Whether the likelihood of the fit's rows has a maximum, and the rows and columns along which it has none: a
        `Separation`, see `jglm.find_separation`."""
        from jglm.diagnostics import separation

        checks.choice("method", method, separation.METHODS)
        return separation.of_fit(self, method)

    # ------------------------------------------------------------------ groups and calibration
    def partial_residuals(self, term=None):
        """A data frame by row: working residuals plus what a term (of the formula, or a column) adds to lin, a column
        for each term, as R's residuals(type="partial"). Vector families: for each (term, class)."""
        from jglm.diagnostics import collinearity

        with jax.enable_x64(True):
            return collinearity.partial_residuals(self, term)

    def by_group(self, by, bins=10, X=None, y=None, **new):
        """A data frame by group of rows: rows, weight, weighted sums `actual` of y and `expected` of the mean, their
        ratio, deviance and Pearson's chi2. Vector families: sums by entry of y.

        Args:
            by: (n,) labels or numbers of the rows that were fitted; the name of a column; or "fitted",
                the mean.
            bins: numbers of more different values than this go into so many bins of about equal weight.
            X, y, weights, offset, exposure, trials, precision: new rows, as `residuals` takes them.
        """
        from jglm.diagnostics import grouped

        with jax.enable_x64(True):
            return grouped.by_group(self, by, bins, X=X, y=y, **new)

    def calibration(self, groups=10, X=None, y=None, **new):
        """A data frame of groups of about equal weight by the fitted mean: mean fitted and observed, the standard error
        of the latter, their ratio. Vector families: by entry of y. New rows as in `by_group`."""
        from jglm.diagnostics import grouped

        with jax.enable_x64(True):
            return grouped.calibration(self, groups, X=X, y=y, **new)

    def calibration_line(self, X=None, y=None, **new):
        """Calibration intercept and slope (Cox 1958): y regressed on lin with the same family and link, in the rows of
        the fit or in new ones. Slope 1 and intercept 0 where the model is calibrated; a slope below 1: overfitting."""
        from jglm.diagnostics import grouped

        with jax.enable_x64(True):
            return grouped.calibration_line(self, X=X, y=y, **new)

    # ------------------------------------------------------------------ bias-reduced fits
    @property
    def penalized_llf(self):
        """The penalized log-likelihood of a fit with penalty="firth" or "jeffreys": llf + 1/2 log det of the expected
        information, where the dispersion is known."""
        from jglm.inference import penalized

        with jax.enable_x64(True):
            return penalized.log_likelihood(self)

    def penalized_intervals(self, level=0.95):
        """(p, 2) or (p, k, 2): intervals by the penalized likelihood of a fit with penalty="firth" or "jeffreys", as
        logistf: the values of a coefficient at which twice the penalized log-likelihood, maximized over the others, is
        within the quantile of chi-square of its maximum.

        >>> import jglm
        >>> x, y = [[0.0], [0.0], [0.0], [1.0], [1.0], [1.0]], [0, 0, 1, 1, 1, 1]
        >>> fit = jglm.fit(x, y, family="bernoulli", penalty="firth")
        >>> fit.params.round(3), fit.penalized_intervals().round(2)
        (array([-0.511,  2.457]), array([[-2.9 ,  1.51],
               [-0.68,  7.64]]))
        """
        from jglm.inference import penalized

        with jax.enable_x64(True):
            return penalized.intervals(self, level)

    def penalized_test(self, names, values=0.0):
        """(statistic, degrees of freedom, p) of the penalized likelihood ratio test that the coefficients of these
        names (of all classes) have these values, as logistftest: the determinant is that of all coefficients."""
        from jglm.inference import penalized

        with jax.enable_x64(True):
            return penalized.test(self, names, values)

    def penalized_table(self, level=0.95):
        """A data frame as logistf's summary: coefficients and standard errors with penalized likelihood ratio tests and
        intervals."""
        from jglm.inference import penalized

        with jax.enable_x64(True):
            return penalized.table(self, level)
