"""a(eta) from a variance function V(mu) of a positive mean, by integration: eta = int 1 / V, a = int mu / V.

The integrals run from mu = 1 along log mu by Gauss-Legendre; derivatives follow from d mu / d eta = V(mu), so they are
those of V, not of the quadrature.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jglm.distributions import invert

_NODES, _WEIGHTS = (np.array(v) for v in np.polynomial.legendre.leggauss(24))
EDGES = np.array([0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0])  # of the panels: fine where the range begins, at mu = 1
FAR = 200.0  # in log mu: where the ends of the range of eta are looked for, and what y = 0 is taken as


def of_variance(V):
    """{a, domain, natural, support} of the family with that variance function.

    Raises ValueError where V is not positive and finite over 1e-6 < mu < 1e6.
    """
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        seen = np.asarray(jax.vmap(V)(jnp.geomspace(1e-6, 1e6, 61)))
        if not np.all(np.isfinite(seen) & (seen > 0)):
            raise ValueError("quasi: the variance function must be positive and finite for every positive mean")
        limit, near = (float(_integral(lambda m: m / V(m), jnp.asarray(-x))) for x in (FAR, FAR / 2))
        ends = [float(_integral(lambda m: 1 / V(m), jnp.asarray(side * FAR))) for side in (-1.0, 1.0)]
        nearly = [float(_integral(lambda m: 1 / V(m), jnp.asarray(side * FAR / 2))) for side in (-1.0, 1.0)]
    # An end that still moves is infinite.
    still = lambda e, h: abs(e - h) < 1e-10 * (1 + abs(e))
    domain = tuple(e if still(e, h) else np.sign(e) * np.inf for e, h in zip(ends, nearly, strict=True))

    @jax.custom_jvp
    def of_log(x):
        return _integral(lambda m: 1 / V(m), x)

    of_log.defjvps(lambda t, _, x: t * jnp.exp(x) / V(jnp.exp(x)))

    @jax.custom_jvp
    def natural(mu):
        return of_log(jnp.clip(jnp.log(mu), -FAR, FAR))

    natural.defjvps(lambda t, _, mu: t / V(mu))

    @jax.custom_jvp
    def log_mean(eta):
        whole = (-np.inf, np.inf)
        return invert.solve_increasing(of_log, eta, whole)

    log_mean.defjvps(lambda t, x, eta: t * V(jnp.exp(x)) * jnp.exp(-x))

    @jax.custom_jvp
    def a(eta):
        return _integral(lambda m: m / V(m), log_mean(eta))

    a.defjvps(lambda t, _, eta: t * jnp.exp(log_mean(eta)))
    # y = 0 can be where its deviance is finite.
    return dict(a=a, domain=domain, natural=natural, support="nonnegative" if still(limit, near) else "positive")


def _integral(f, x):
    """int_1^exp(x) f(m) dm = int_0^x f(exp(s)) exp(s) ds, over panels."""
    width = np.diff(EDGES)[:, None]
    s, w = EDGES[:-1, None] + width * (_NODES + 1) / 2, width * _WEIGHTS / 2
    m = jnp.exp(x * jnp.asarray(s.ravel(), x.dtype))
    return x * jnp.sum(jnp.asarray(w.ravel(), x.dtype) * jax.vmap(f)(m) * m)
