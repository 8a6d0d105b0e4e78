"""Tests of hypotheses that a fit answers by itself."""

from typing import Any

from jglm import hypotheses


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
        return hypotheses.score(self, added, data, names)
