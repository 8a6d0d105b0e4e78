"""Tests and intervals: p-values and quantiles of the normal and of Student's t."""

import math
from statistics import NormalDist

import numpy as np


def p_values(statistic, df):
    """Two-sided, from Student's t with df degrees of freedom, or the normal where df is None."""
    size = np.abs(np.asarray(statistic, float))
    if df is None:
        return np.vectorize(math.erfc, otypes=[float])(size / math.sqrt(2))
    if df <= 0:
        return np.full(size.shape, np.nan)
    from scipy.special import stdtr  # 0.1 s to import, and the normal does without

    return 2 * stdtr(df, -size)


def quantile(level, df):
    """The quantile at `level` of Student's t, or of the normal where df is None."""
    if df is None:
        return NormalDist().inv_cdf(level)
    if df <= 0:
        return np.nan
    from scipy.special import stdtrit

    return float(stdtrit(df, level))


def f_tail(statistic, df, df_resid):
    """The probability that an F variable with df and df_resid degrees of freedom is at least the statistic."""
    if not df_resid > 0:
        return float("nan")
    from scipy.special import fdtrc

    return float(fdtrc(df, df_resid, max(statistic, 0.0)))


def chi_square_tail(statistic, df):
    """The probability that a chi-square variable with df degrees of freedom is at least the statistic."""
    from scipy.special import chdtrc

    return chdtrc(df, statistic)
