"""What actuaries ask of a fit, as methods of `Fit`."""

import jax


class Rated:
    """Rating tables and the balance of totals."""

    def rating_table(self, base=None, values=None, X=None, level=0.95):
        """The fit as a base rate and relativities by which it is multiplied, a data frame by (variable, level): the
        exposure of each level, relativity, standard error and interval.

        The first row is the base rate, the mean at exposure 1 where every variable is at its base. The product of it
        and of one relativity for each variable is the mean.

        Args:
            base: as `relativities` takes it; of a number {name: value} is what has relativity 1 (else its mean).
            values: {number: values to show}; without, all of few, else quantiles.
            X: a frame whose rows tell what is most exposed. level: of the intervals.

        Relativities held by `fixed=` have no error. Raises ValueError for other links than the log and for terms of
        several variables.

        >>> import jglm
        >>> shops = {"sold": [3, 5, 9, 2, 4], "town": list("aabbb")}
        >>> fit = jglm.glm("sold ~ town", shops, family="poisson")
        >>> print(fit.rating_table().round(3).to_string(index_names=False))
                     exposure  relativity  std_err    low   high
        base rate         5.0         5.0    1.291  3.014  8.294
        town      a       2.0         0.8    0.350  0.339  1.887
                  b       3.0         1.0    0.000  1.000  1.000
        """
        from jglm.rating import tables

        with jax.enable_x64(True):
            return tables.rating_table(self, base, values, X, level)

    def balance(self, by=None, data=None, *, bins=10, level=0.95, **new):
        """Totals that happened and that the fit expects, overall and by level: a data frame by (column, level) of
        rows, exposure, actual, expected, their difference and ratio, with an interval of the ratio.

        With a canonical link, an intercept and no penalty the difference is 0 overall and in every level of a factor
        of the formula; else `rebalanced` makes the total agree.

        Args:
            by: a name of a column, or several; None is the factors of the formula and those held by `fixed=`.
            data, bins, level, new: as `actual_expected` takes them.
        """
        from jglm.rating import balance

        with jax.enable_x64(True):
            return balance.balance(self, by, data, bins, level, **new)

    def rebalanced(self, data=None, **new):
        """The same fit with its intercept shifted so that totals agree: sum w mean = sum w y, over the rows of the fit
        or over new ones (`data` and `new` as `actual_expected` takes them).

        With a log link all means are multiplied by actual / expected; with another link the shift is a root. `shift`
        says by how much. Deviance and likelihood are those at the new constant, and the covariance is that of the
        information there; it is no optimum, so tests and profiles are refused. Raises ValueError without an intercept
        or data, and where no constant gives the total.

        >>> import jglm
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 2.5, 3.0, 9.0]
        >>> fit = jglm.fit(X, y, family="gamma", link="log")
        >>> round(float(fit.predict().sum()), 3), round(float(fit.rebalanced().predict().sum()), 3)
        (15.329, 15.5)
        """
        from jglm.rating import balance

        return balance.rebalanced(self, data, **new)
