"""What a fit tells of its predictions beside what happened, in its own rows or in new ones."""

import jax


class Assessing:
    """Actual and expected sums, lift and Lorenz curves, as methods of `Fit`."""

    def actual_expected(self, by=None, data=None, *, bins=10, level=0.95, **new):
        """A data frame by group of rows: `rows`; `exposure`, the sum of weights (times trials) times exposures; the
        weighted sums `actual` of y and `expected` of its mean, and both per unit of exposure, `actual_mean` and
        `expected_mean`; their `ratio`, with an interval from `low` to `high`.

        Args:
            by: the name of a column, "fitted" (the mean per unit of exposure), (n,) labels or numbers of the rows, or
                None: all rows are one group, whose ratio is the balance of the fit.
            data: new rows as a frame with the formula's columns, the response and the weights, offset, exposure and
                trials that the fit named among them, and `by`, any of its columns; rows with missing values are left
                out. Or X, with y=. None: the rows of the fit.
            bins: numbers of more different values than this go into so many bins of about equal exposure.
            level: of the interval, which holds 1 exactly where actual and expected differ by no more than the variance
                of y under the model allows; the estimates are taken as known.
            y, weights, offset, exposure, trials, precision: of new rows, as arrays.

        Raises ValueError for a family whose mean is a vector (see `by_group`), and without data.

        >>> import jglm
        >>> shops = {"sold": [3, 5, 9, 2, 4], "size": [1.0, 2.0, 3.0, 1.0, 2.0], "town": list("aabbb")}
        >>> fit = jglm.glm("sold ~ size", shops, family="poisson")
        >>> table = fit.actual_expected("town", shops)[["rows", "actual", "expected", "ratio"]]
        >>> print(table.round(2).to_string(index_names=False))
           rows  actual  expected  ratio
        a     2     8.0      7.07   1.13
        b     3    15.0     15.93   0.94
        """
        from jglm.assessing import expected

        with jax.enable_x64(True):
            return expected.actual_expected(self, by, data, bins=bins, level=level, **new)

    def lift(self, data=None, groups=10, **new):
        """`actual_expected` by groups of rows in the order of their fitted mean per unit of exposure, of about equal
        exposure: where `ratio` is about 1 in each the fit is calibrated. Besides, `lift` and `fitted_lift`: the actual
        and the expected mean of the group by the actual mean of all rows. New rows as in `actual_expected`."""
        from jglm.assessing import ranking

        with jax.enable_x64(True):
            return ranking.lift(self, data, groups, **new)

    def double_lift(self, other, data=None, groups=10, **new):
        """A data frame that holds this fit and a second model against each other: rows in the order of the second mean
        by the first, in groups of about equal exposure, with the means `actual`, `first` and `second` per unit of
        exposure. The better model follows `actual` where they disagree: in the first and last groups.

        Args:
            other: a fit of the same response, or an array (n,) of the second model's means.
            data, groups, y, weights, …: as in `lift`.

        Raises ValueError where a mean is not positive, and where the fits do not have the same rows.
        """
        from jglm.assessing import ranking

        with jax.enable_x64(True):
            return ranking.double_lift(self, other, data, groups, **new)

    def lorenz(self, data=None, **new):
        """The `Lorenz` curve and its Gini index: the share of the actual total in the rows of the lowest predictions,
        against their share of the exposure (Denuit, Sznajder and Trufin 2019). New rows as in `actual_expected`.

        >>> import jglm
        >>> fit = jglm.fit([[0.0], [1.0], [2.0], [3.0]], [1, 3, 2, 6], family="poisson")
        >>> fit.lorenz()
        Lorenz curve: Gini index 0.2917, 0.8750 of the largest, 0.3333
        """
        from jglm.assessing import ranking

        with jax.enable_x64(True):
            return ranking.lorenz(self, data, **new)
