"""Tests of hypotheses that a fit answers by itself."""

from typing import Any


class Tested:
    """What a fit tells of hypotheses about its coefficients."""

    def wald_test(self: Any, restriction, value=None, test=None, adjust=None):
        """The Wald test of restrictions on the coefficients, linear or not, with the fit's own covariance.

        Args:
            restriction: text by names, "age = 0", "b1 = b2", "2*a - b = 1, c = 0", or a list of them ("age" alone means
                age = 0; with k columns of lin "age" is restricted in each, "age @ b" for the class b alone); {name:
                value}; a matrix (r, p), (r, p k) class by class; or a function of the coefficients (p,) or (p, k)
                written with jax.numpy, () or (r,), by the delta method. Aliased coefficients are 0 in it.
            value: (r,) what a matrix or a function gives under the hypothesis; None is 0.
            test: "chi2", "F" or None: F where the dispersion is estimated, with df_resid.
            adjust: test each restriction by itself, with p-values adjusted for their number: "holm", "bonferroni",
                "BH", … or "none" (see `jglm.adjust_pvalues`).

        Returns a test with `statistic`, `df`, `pvalue`, `estimate` and `se`; with `adjust` a table of tests. With a
        ridge penalty it is a statement of the posterior, not of the level of a test. Raises ValueError for restrictions
        that depend on each other, name no coefficient or an aliased one, and for fits that did not converge.

        >>> import jglm
        >>> fit = jglm.fit([[0.0], [1.0], [2.0], [3.0], [4.0]], [1, 3, 2, 7, 9], family="poisson")
        >>> fit.wald_test("x1 = 0.4")
        Wald test: x1 = 0.4
        chi2(1) = 0.3406, p = 0.559
        """
        from jglm.inference import hypotheses

        return hypotheses.wald(self, restriction, value, test, adjust)

    def score_test(self: Any, added, data=None, names=None):
        """Rao's score test of adding columns to the model, which is not fitted with them.

        With U the score and V the information of the added columns at this fit, less what the columns of the model tell
        of them, U' V^-1 U / phi is chi-square; phi is the dispersion of this fit (R's `anova(test="Rao")` takes that of
        the larger model). Parameters of the family are nuisances beside the coefficients where they are not orthogonal.

        Args:
            added: (n, q) columns in the order of the rows of the fit, or a formula such as "x2 + C(g)" with `data`.
            data: the frame of the fit, with the columns of the formula.
            names: of the columns.

        Returns a test; with k columns of lin each added column has k coefficients. Raises ValueError with a penalty,
        without the data of the fit, and where the columns add nothing.

        >>> import jglm
        >>> fit = jglm.fit([[0.0], [1.0], [2.0], [3.0], [4.0]], [1, 3, 2, 7, 9], family="poisson")
        >>> fit.score_test([1.0, 0.0, 2.0, 1.0, 0.0])
        Score test: added 1 = 0
        chi2(1) = 0.3939, p = 0.530
        """
        from jglm.inference import hypotheses

        return hypotheses.score(self, added, data, names)

    def anova(self: Any, type="II", test=None, terms=None, adjust=None):
        """The analysis of deviance: a test of each term of the model.

        Args:
            type: "I", each term added to those before it (R's `anova.glm`); "II", each term beside all that do not
                contain it (car::Anova's default); "III", each term beside all others, whose meaning depends on the
                coding of the factors.
            test: "LR", differences of the deviance by the dispersion of this fit, chi-square; "F", the same by their
                degrees of freedom, where the dispersion is estimated; "Rao", the score tests; "Wald", from this fit
                alone, with its covariance (F where the dispersion is estimated). None is "Wald" with a robust
                covariance or sampling weights, "LR" where the dispersion is fixed, else "F".
            terms: {name: names of columns} for fits of arrays, where every column else is a term.
            adjust: "holm", "BH", …: a column "p adjusted" besides.

        Family parameters such as r of the negative binomial are held at their estimates where the mean is orthogonal to
        them, as R does; where it is not, every model estimates its own. Returns a table of tests: `table()` is a data
        frame. Raises ValueError with a penalty, for a fit that did not converge, and (but for "Wald") without the data.

        >>> import jglm
        >>> X, y = [[0, 1], [1, 0], [2, 1], [3, 0], [4, 2], [5, 1]], [1, 3, 2, 7, 9, 12]
        >>> jglm.fit(X, y, family="poisson").anova()
        Analysis of deviance, type II, LR
            df  deviance     chi2       p
        ---------------------------------
        x1   1   15.0291  15.0291  <0.001
        x2   1    0.2140   0.2140   0.644
        """
        from jglm.inference import byterm

        return byterm.anova(self, type, test, terms, adjust)

    def drop1(self: Any, test=None, terms=None, adjust=None):
        """Each term that no other contains, dropped from the model: deviance and AIC without it, and its test.

        test, terms, adjust: as in `anova`. AIC is taken at the dispersion of this fit, as R's `drop1` has it; R's F
        takes deviance / df_resid for the dispersion, which is `dispersion="deviance"` at the fit.
        """
        from jglm.inference import byterm

        return byterm.drop1(self, test, terms, adjust)

    def hosmer_lemeshow(self: Any, groups=10):
        """The test of Hosmer and Lemeshow (1980) of whether fitted probabilities are right: rows in groups by quantiles
        of the fitted probability, counts observed and expected, chi-square with groups - 2 degrees of freedom. With k
        classes groups are by 1 - the probability of the first, with (groups - 2) (k - 1) (Fagerland, Hosmer and Bofin
        2008). Raises ValueError for families of other responses.
        """
        from jglm.inference import goodness

        return goodness.hosmer_lemeshow(self, groups)

    def dispersion_test(self: Any, method="pearson", alternative="greater"):
        """The test of whether the dispersion of a family that fixes it at 1 is 1.

        Args:
            method: "pearson", Pearson's chi2 against chi-square with df_resid (for counts that are not too small);
                "regression", the mean of ((y - mu)^2 - y) / mu against its own standard error for variances equal to
                the mean (Cameron and Trivedi 1990; AER::dispersiontest), else of w (y - mu)^2 / V - 1.
            alternative: "greater" (overdispersion), "less" or "two-sided".

        Returns a test whose `estimate` is the dispersion.
        """
        from jglm.inference import goodness

        return goodness.dispersion(self, method, alternative)
