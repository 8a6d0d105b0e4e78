"""The front door to the bootstrap."""

from jglm import api
from jglm.resampling.resamples import resample
from jglm.results import Fit


def bootstrap(X, y=None, *, family=None, resamples=1000, kind="poisson", clusters=None, method="refit", statistic=None,
              seed=0, level=0.95, progress=None, **options):  # fmt: skip
    """The bootstrap of a generalized linear model: its coefficients over resamples of the rows.

    A resample is a vector of weights over the same X, so nothing is copied and many are fitted at once, each from the
    fit of all rows (`jglm.resampling.resamples.Bootstrap` has what comes of it).

    Args:
        X, y, family, options: what `jglm.fit` takes; or a `Fit` that has its data, alone.
        resamples: how many.
        kind: how often a row stands in a resample: "multinomial", n draws with replacement (Efron 1979); "poisson",
            counts of mean 1 on their own; "bayesian", exponential weights that sum to n (Rubin 1981). Rows of frequency
            weights are that many rows.
        clusters: (n,) labels: all rows of a cluster are drawn together.
        method: "refit", to the optimum; "one_step", one step of Newton's method from the fit (Moulton and Zeger 1991).
        statistic: a function of the coefficients (p,) or (p, k) written with jax.numpy, whose draws are wanted.
        seed: a whole number; the same gives the same draws, however many are made at a time.
        level: of the intervals by default.
        progress: True, False, or None: a bar once it takes longer than a second.

    Returns a `Bootstrap`. Resamples whose fit does not converge are left out, with a warning that counts them. Raises
    ValueError or TypeError for input that cannot be.

    >>> import jglm
    >>> X, y = [[0.0], [0.5], [1.0], [1.5], [2.0], [2.5], [3.0]], [2, 1, 3, 5, 6, 9, 14]
    >>> found = jglm.bootstrap(X, y, family="poisson", resamples=200, kind="bayesian")
    >>> found.params.shape, bool(found.bse[1] > 0)
    ((200, 2), True)
    """
    given: dict = dict(resamples=resamples, kind=kind, clusters=clusters, method=method, statistic=statistic, seed=seed,
                 level=level, progress=progress)  # fmt: skip
    if isinstance(X, Fit):
        if y is not None or family is not None or options:
            raise TypeError("a Fit has its y, family and options already; give it alone")
        return resample(X, **given)
    if y is None or family is None:
        raise TypeError("y and family= are missing; give them with X, or a Fit alone")
    return resample(api.fit(X, y, family=family, **options), **given)
