"""Charts of a fit, each drawn into a matplotlib Axes."""

import numpy as np

OBSERVED, FITTED = "#1b3a57", "#d9622b"


def calibration(fit, ax, groups=20):
    """Observed against fitted means in groups of rows of equal weight, ordered by the fitted mean; bars are two
    standard errors of the observed mean. Scalar families only."""
    if fit.params.ndim != 1:
        raise ValueError("calibration is drawn for families with a scalar mean")
    prepared = fit._data("the chart")
    w, y = prepared.weight, prepared.y
    mean = fit.predict()
    order = np.argsort(mean, kind="stable")
    group = np.minimum((np.cumsum(w[order]) / w.sum() * groups).astype(int), groups - 1)
    total = np.bincount(group, w[order], groups)
    on = total > 0
    average = lambda v: np.bincount(group, (w * v)[order], groups)[on] / total[on]
    fitted, observed = average(mean), average(y)
    spread = np.sqrt(np.maximum(average(y**2) - observed**2, 0) / np.bincount(group, minlength=groups)[on])
    ax.errorbar(
        fitted, observed, 2 * spread, fmt="o", ms=4, lw=1, color=OBSERVED, label="observed, ± 2 standard errors"
    )
    ends = [min(fitted.min(), observed.min()), max(fitted.max(), observed.max())]
    ax.plot(ends, ends, color=FITTED, lw=1.5, label="observed = fitted")
    ax.set(xlabel="fitted mean", ylabel="observed mean", title=f"Calibration in {int(on.sum())} groups of rows")
    ax.legend(frameon=False)
    return ax


def counts(fit, ax, most=None):
    """How many rows have each count, observed and as the model expects it. Families of counts with a density only."""
    prepared = fit._data("the chart")
    if fit.params.ndim != 1 or fit.family.support.step != 1.0 or not fit.family.has_density:
        raise ValueError("this chart is for families of counts")
    y = prepared.y
    most = int(np.quantile(y, 0.99)) if most is None else most
    k = np.arange(most + 1)
    lin = prepared.design.times(np.where(np.isnan(fit.params), 0.0, fit.params)) + prepared.offset
    expected = _expected(fit, lin, k)
    observed = np.bincount(np.minimum(y.astype(int), most + 1), minlength=most + 2)[: most + 1]
    ax.bar(k, observed, width=0.8, color=OBSERVED, alpha=0.75, label="observed")
    ax.plot(k, expected, color=FITTED, marker="o", ms=4, lw=1.5, label=f"expected under the {fit.family.name}")
    ax.set(xlabel="count", ylabel="rows", title="Distribution of the counts")
    ax.legend(frameon=False)
    return ax


def _expected(fit, lin, k):
    """Sum over rows of the probability of each count."""
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        family, link = fit.family, fit.link

        @jax.jit
        def total(lin):
            eta = jax.vmap(lambda v: link.eta(family, v))(lin)
            one = lambda y: jnp.sum(jnp.exp(family.log_prob(y, eta)))
            return jax.lax.map(one, jnp.asarray(k, float))

        return np.asarray(total(lin))
