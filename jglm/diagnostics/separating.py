"""find_separation: whether a likelihood has a maximum, before a fit."""

import jax

from jglm import api
from jglm.diagnostics import separation
from jglm.inputs import checks


def find_separation(X, y, *, family, link=None, weights=None, weight_kind="prior", offset=None, exposure=None,
                    trials=None, intercept=None, names=None, functions=None, method="lp"):  # fmt: skip
    """Complete and quasi-complete separation of data, by linear programs, without a fit.

    Where some direction of the coefficients leads the means of some rows towards their y at the end of its range, and
    changes no other mean, the likelihood rises along it for ever and estimates are infinite: labels (Bernoulli,
    binomial, categorical, multinomial) that a hyperplane tells apart, counts that are all 0 where a column is not.

    Args:
        X, y: arrays as `jglm.fit` takes them, or a formula and a data frame as `jglm.glm` does.
        family, link, weights, weight_kind, offset, exposure, trials, intercept, names, functions: as there.
        method: "lp" (Konis 2007; large data enter a few rows at a time), or "rectifier" (Correia, Guimaraes and Zylkin
            2019), passes of least squares, which needs no linear program and raises ValueError where it decides too
            slowly.

    Returns a `jglm.Separation`: kind, rows, columns, infinite, direction; true where there is separation. Raises
    ValueError for families whose mean takes parameters besides (beta, ordinal, …).

    >>> import jglm
    >>> found = jglm.find_separation([[1.0], [2.0], [3.0], [4.0]], [0, 0, 1, 1], family="bernoulli")
    >>> found.kind, found.infinite.tolist()
    ('complete', [-inf, inf])
    """
    checks.choice("method", method, separation.METHODS)
    formula = isinstance(X, str)
    if formula and intercept is not None:
        raise ValueError("a formula says itself whether there is an intercept: write 'y ~ x - 1' for none")
    with jax.enable_x64(True):
        prepared, family, link, _ = api.inputs(
            X, y, family, link, None, weights=weights, weight_kind=weight_kind, offset=offset, exposure=exposure,
            trials=trials, intercept=True if intercept is None else intercept, names=names, functions=functions,
            formula=formula,
        )  # fmt: skip
        return separation.find(prepared, family, link, method)
