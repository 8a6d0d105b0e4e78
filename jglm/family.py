"""Family: a response distribution, defined by its log-partition a(eta) alone.

    p(y) = b(y, phi) exp{(T(y)·eta - a(eta)) / phi}

Everything else follows from `a` by automatic differentiation: the mean of T(y) is a', its variance phi a'', the
canonical link the inverse of a', the deviance twice the gap between a*(y) (the convex conjugate) and its supporting
line. See Barndorff-Nielsen, Information and Exponential Families (1978), and Jørgensen, The Theory of Dispersion
Models (1997).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm._record import fn, record, strong
from jglm.distributions import density, distribution, expression, invert
from jglm.distributions.broadcast import Broadcast, concrete, floating
from jglm.distributions.parameters import as_free
from jglm.distributions.support import NAMED, Support, find_support

_NODES, _WEIGHTS = (np.array(v) for v in np.polynomial.legendre.leggauss(8))
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2

RESPONSES = ("value", "label", "proportion", "counts", "shares", "angle")


@record(static=(
    "name", "a_", "domain", "dim", "T_", "support_", "natural_", "log_b_", "log_saturated_", "moments_", "sampler_",
    "parametrize_", "default_link", "dispersion", "response", "prior_weights", "vector_y", "scalar_lin", "free",
    "density", "plug_in", "companion", "like", "made",
))  # fmt: skip
class Family(Broadcast):
    """The exponential family with log-partition `a`.

    Args:
        name: what it is called.
        a: the log-partition of ONE observation, () -> () or (k,) -> (), written with `jax.numpy`; `a(eta)` or
            `a(eta, **params)`. It should be convex; a stable form pays.
        domain: (low, high), where a is finite; for a vector eta of every entry, or one pair for each.
        dim: None for a scalar eta, else its length k (-1: found from the data).
        T: the sufficient statistic of one observation, () -> () or (k,); by default y itself.
        support: where y may lie: "real", "positive", "nonnegative", "unit_interval", "boolean",
            "nonnegative_integer", "simplex" or (low, high, step) with step 0 for a continuum. By default found from a.
        params: parameters of the family that are not regressed on, as numbers: `{"r": 2.0}`.
        natural: mu -> eta in closed form, for speed; by default a' is inverted numerically.
        log_b: log of the base measure, `log_b(y, phi, **params)`, in closed form.
        log_saturated: the same plus a*(y) / phi: the log density of y where the mean is y. For large y this has no
            cancellation, so it is preferred to log_b where both are given.
        default_link: name of the link used when none is given; by default canonical where eta may be any real,
            else "log".
        dispersion: "fixed" (phi = 1) or "estimated".
        response: how users write y: "value", "label" (two or k classes), "proportion" (successes of trials), "counts"
            (in k classes), "shares" (k parts of a whole) or "angle" (taken between -pi and pi).
        prior_weights: what a prior weight w does to the likelihood: "likelihood" (log density times w) or
            "dispersion" (phi / w). R does the latter for the normal and the binomial.
        moments: where T(y) is not y: `moments(eta, **params)` -> (mean, variance) of y itself.
        sampler: one draw in closed form, `sampler(key, eta, phi, **params)`; by default the quantile of a uniform.
        free: parameters to estimate together with the coefficients, {name: (low, high)}: names of `params` (whose
            values are where the search begins) or "phi"; with `parametrize`, names that it takes.
        parametrize: `parametrize(mean, lin, **free)` -> eta, for a vector eta that comes from a linear predictor and
            the free parameters; `mean` is the link's inverse.
        vector_y, scalar_lin: whether y is a vector and lin a scalar although eta is a vector; by default y is one where
            there is no T, and lin one where there is no parametrize.
        density: how log_prob is computed without a closed form: one of `density.METHODS`, "none" for a family without
            a distribution (quasi-likelihood); by default chosen by trying.
        plug_in: the dispersion that the log-likelihood of a fit is taken at, "deviance" (deviance / n) or "ml".
        companion: name of the scalar family whose fit gives the first coefficients where there are free parameters.
        like: name of the family whose stable link compositions are this one's too.

    All methods broadcast, keep the caller's dtype and are safe under jit, vmap and grad. For a vector eta the last
    axis of eta, mu and T(y) has length k.

    >>> import jax.numpy as jnp
    >>> poisson = Family("poisson", a=jnp.exp)
    >>> float(poisson.mean(0.0)), float(poisson.variance(0.0)), float(poisson.natural(1.0))
    (1.0, 1.0, 0.0)
    """

    name: str
    a_: Callable
    domain: tuple
    dim: int | None
    T_: Callable | None
    support_: Any
    natural_: Callable | None
    log_b_: Callable | None
    log_saturated_: Callable | None
    moments_: Callable | None
    sampler_: Callable | None
    parametrize_: Callable | None
    default_link: str | None
    dispersion: str
    response: str
    prior_weights: str
    vector_y: bool
    scalar_lin: bool
    free: tuple
    density: str | None
    plug_in: str
    companion: str | None
    like: str
    made: tuple | None
    params: dict

    def __init__(self, name, a, *, domain=(-np.inf, np.inf), dim=None, T=None, support=None, params=None,
                 natural=None, log_b=None, log_saturated=None, moments=None, sampler=None, parametrize=None,
                 default_link=None, dispersion="fixed", response="value", prior_weights="likelihood", free=None,
                 vector_y=None, scalar_lin=None, density=None, plug_in="ml", companion=None, like=None):  # fmt: skip
        if not callable(a):
            raise TypeError(f"a must be a function of eta, such as jnp.exp; it is {type(a).__name__}")
        if dispersion not in ("fixed", "estimated"):
            raise ValueError(f"dispersion is {dispersion!r}; it must be 'fixed' (phi = 1) or 'estimated'")
        if response not in RESPONSES:
            raise ValueError(f"response is {response!r}; it must be one of {RESPONSES}")
        if isinstance(support, str) and support not in NAMED:
            raise ValueError(f"support is {support!r}; it must be one of {sorted(NAMED)} or (low, high, step)")
        pairs = np.reshape(np.asarray(domain, float), (-1, 2)).tolist()
        if not all(low < high for low, high in pairs):
            raise ValueError(f"domain is {domain!r}; it must be (low, high) with low < high")
        domain = tuple(map(tuple, pairs)) if np.ndim(domain) == 2 else tuple(pairs[0])
        given = dict(
            name=str(name), a_=fn(a), domain=domain, dim=dim, T_=fn(T),
            support_=tuple(map(float, support)) if support is not None and not isinstance(support, str) else support,
            natural_=fn(natural), log_b_=fn(log_b), log_saturated_=fn(log_saturated), moments_=fn(moments),
            sampler_=fn(sampler), parametrize_=fn(parametrize), default_link=default_link, dispersion=dispersion,
            response=response, prior_weights=prior_weights, free=as_free(free),
            vector_y=(dim is not None and T is None) if vector_y is None else vector_y,
            scalar_lin=(dim is None or parametrize is not None) if scalar_lin is None else scalar_lin,
            density=density, plug_in=plug_in, companion=companion, like=like or str(name), made=None,
            params={k: strong(v) for k, v in (params or {}).items()},
        )  # fmt: skip
        self.__dict__.update(given)
        unknown = [k for k, _ in self.free if k != "phi" and k not in self.params and parametrize is None]
        if unknown:
            raise ValueError(f"free: {unknown[0]!r} is no parameter of the family; params are {sorted(self.params)}")

    @staticmethod
    def parse(text, name=None, params=None, **options):
        """The family whose log-partition is written as text, such as "log1p(exp(eta))" or "-r * log(1 - exp(eta))".

        Args:
            text: arithmetic over exp, log, sqrt, gammaln and the like (see `jglm.distributions.expression`); a vector
                eta is written eta[0], eta[1], … Nothing in it is executed.
            name: what the family is called, by default the text.
            params: {name: value} of the other names in the text.
            options: plain values as for `Family`: domain, support, dispersion, default_link, …

        Raises ValueError for text outside the grammar and for parameters without a value.

        >>> family = Family.parse("log(cosh(eta))")
        >>> round(float(family.mean(0.5)), 6)
        0.462117
        """
        a, params = expression.parse(text), params or {}
        if sorted(a.parameters) != sorted(params):
            raise ValueError(f"a(eta) = {text}: its parameters are {list(a.parameters)}, params= names "
                             f"{sorted(params)}; they must be the same")  # fmt: skip
        plain = {k: v if np.ndim(v) == 0 else tuple(v) for k, v in options.items()}
        made = ("parse", (("text", text), ("name", name), *plain.items()))
        return Family(name or text, a.function(), dim=a.dim, params=params, **options).replace(made=made)

    def __repr__(self):
        inner = "".join(f", {k}={float(v):g}" for k, v in self.params.items() if np.ndim(v) == 0 and concrete(v))
        return f"Family({self.name!r}{inner})"

    def replace(self, **changes):
        """The same family with other fields, such as `name`, `dim`, `params` or `default_link`."""
        new = object.__new__(Family)
        new.__dict__.update(self.__dict__, **changes)
        return new

    @property
    def has_cutpoints(self):
        """Whether free cutpoints take the place of an intercept."""
        return any(free.size != 1 for _, free in self.free)

    @property
    def regressed(self):
        """The free parameter that may have a design of its own, or None."""
        return next((name for name, free in self.free if free.regressed), None)

    def with_dim(self, k):
        """The family of classes with its number k of them."""
        free = tuple((n, f._replace(size=k - 1) if f.size != 1 else f) for n, f in self.free)
        return self.replace(dim=k, free=free)

    # ------------------------------------------------------------------ of one observation
    def a(self, eta):
        """The log-partition of one observation, at eta () or (k,)."""
        eta = floating(eta)
        real = jnp.finfo(eta.dtype).dtype
        params = {k: jnp.asarray(v, real) for k, v in self.params.items()}
        return self.a_(eta, **params)

    def statistic(self, y):
        """T(y) of one observation."""
        return y if self.T_ is None else self.T_(y)

    def natural_one(self, mu):
        """eta with a'(eta) = mu, of one observation; NaN where the search did not converge."""
        if self.natural_ is None:
            return _natural(self, mu)
        return self.natural_(mu, **{k: jnp.asarray(v, mu.dtype) for k, v in self.params.items()})

    def loss_one(self, t, eta):
        """a(eta) - t·eta for the sufficient statistic t of one observation."""
        return self.a(eta) - jnp.sum(t * eta)

    def deviance_one(self, t, eta):
        """2 (a*(t) - t·eta + a(eta)), where a*(t) = t·eta_t - a(eta_t) with a'(eta_t) = t.

        At the edge of the support eta_t is infinite and a* a limit, taken at a far finite point. Where t and the mean
        are close the difference would cancel; it is then the integral of 2 (1 - s) a'' along the way from eta_t to
        eta, by Gauss-Legendre, which is exact to rounding as a'' hardly changes there.
        """
        direct, _, eta_t = self.plain_deviance_one(t, eta)
        step = eta - eta_t
        line = lambda s: self.a(eta_t + s * step)
        bend = lambda s: jax.grad(jax.grad(line))(jnp.asarray(s, eta.dtype))
        # The middle too, since a'' may be symmetric about it.
        first, middle, last = jax.lax.stop_gradient(jax.vmap(bend)(jnp.array([0.0, 0.5, 1.0], eta.dtype)))
        close = jnp.maximum(jnp.abs(last - first), jnp.abs(middle - first)) <= 0.1 * first
        # a'' may be 0 at all three, out where every mean is 0 or 1, or beyond the largest number.
        close &= ((first > 0) & (first < jnp.inf)) | jnp.all(step == 0)
        step = jnp.where(close, step, 0.0)  # whose derivatives are finite too
        nodes, weights = jnp.asarray(_NODES, eta.dtype), jnp.asarray(_WEIGHTS * (1 - _NODES), eta.dtype)
        integral = 2 * jnp.sum(weights * jax.vmap(bend)(nodes))
        return jnp.where(close, integral, jnp.maximum(direct, 0.0))

    def plain_deviance_one(self, t, eta):
        """(2 (a*(t) - t·eta + a(eta)) as it stands, the size of its terms, eta_t): see `deviance_one`."""
        far = float(jnp.finfo(eta.dtype).max) ** 0.5 / 4
        end = self.natural_one(t)
        eta_t = jnp.clip(end, -far, far)
        own = self.dim is None and (self.made is None or self.made[0] == "parse")
        nearer = jnp.sign(eta_t) * 2.0 ** jnp.arange(3, 10, dtype=eta.dtype) if own else eta[None][:0]
        # In one call, since each would be compiled for itself.
        a_t, limit, a, *short = jax.vmap(self.a)(
            jnp.concatenate([jnp.stack([eta_t, jax.lax.stop_gradient(end), eta]), jax.lax.stop_gradient(nearer)])
        )
        conjugate, along = jnp.sum(t * eta_t) - a_t, jnp.sum(t * eta)
        if self.dim is None:  # at t = 0 the limit is that of -a, which may be known
            limit = jax.lax.stop_gradient(limit)
            conjugate = jnp.where((t == 0) & jnp.isinf(end) & jnp.isfinite(limit), -limit, conjugate)
        if own:  # far out t eta swallows a constant of a: where the limit is reached before, that is it
            conjugate = jnp.where(jnp.abs(end) >= far, _settled(t * nearer - jnp.stack(short), nearer, t, conjugate),
                                  conjugate)  # fmt: skip
        return 2 * (conjugate + a - along), jnp.abs(conjugate) + jnp.abs(a) + jnp.abs(along), eta_t

    def log_prob_one(self, y, eta, phi, method=None, smooth=False, unit=None):
        """log density (or probability) of one y.

        `method` is the `density.Method` without a closed form, by default the chosen one; `smooth` asks for the form
        that may be differentiated in params; `unit` is the unit deviance where it is known.
        """
        params = {k: jnp.asarray(v, eta.dtype) for k, v in self.params.items()}
        t = self.statistic(y)
        if self.log_saturated_ is not None and not (smooth and self.log_b_ is not None):
            unit = self.deviance_one(t, eta) if unit is None else unit  # at a perfect fit 0, and phi may be 0 too
            value = self.log_saturated_(y, phi, **params) - jnp.where(unit > 0, unit / (2 * phi), 0.0)
            return self._inside_support(y, value)
        if self.log_b_ is not None:
            return self._inside_support(y, self.log_b_(y, phi, **params) - self.loss_one(t, eta) / phi)
        return density.log_prob_one(self, y, eta, phi, method or self.density_method())

    def _inside_support(self, y, value):
        """A log density, -inf beyond the ends of the support, where a closed form may be anything."""
        if self.vector_y or self.support_ is None:
            return value
        return jnp.where((y >= self.support.low) & (y <= self.support.high), value, -jnp.inf)

    @property
    def plugs_in(self):
        """Whether the log-likelihood of a fit follows from sums over its rows: a closed density, at a dispersion that
        is fixed or, as R has it, deviance / n."""
        return self.has_density and (self.dispersion == "fixed" or self.plug_in == "deviance")

    @property
    def has_density(self):
        """Whether log_prob has a closed form."""
        return (self.log_b_ is not None or self.log_saturated_ is not None) and self.density != "none"

    def tail_method(self, phi=1.0, y=None):
        """How cdf and quantile are computed: as log_prob, or, where the family names a `density` beside a closed form
        that is costly to add up, by that."""
        if self.has_density and isinstance(self.density, str):
            return density.choose(self, phi, y, self.density)
        return self.density_method(phi, y)

    def density_method(self, phi=1.0, y=None):
        """How log_prob is computed, a `density.Method`: its name and the estimated absolute error of log p.

        "closed" where the family has a closed form; else, from a alone, what `density.choose` finds best at this phi
        and over these y. Raises ValueError for quasi-likelihood families, and without a closed form where eta is a
        vector, T(y) is not y or params are traced.
        """
        if self.has_density:
            return density.Method("closed", 0, 1e-13, distribution.support_with_masses(self))
        if isinstance(self.density, density.Method):
            return self.density
        if self.density == "none":
            raise ValueError(f"family {self.name!r} is one of quasi-likelihood: it has no distribution")
        return density.choose(self, phi, y, self.density)

    # ------------------------------------------------------------------ facts
    @property
    def support(self):
        """Where y may lie, a `Support`: as given, else found from a."""
        if isinstance(self.support_, str):
            return NAMED[self.support_]
        if self.support_ is not None:
            low, high, step = self.support_
            return Support(low, high, step, bool(np.isfinite(low)), bool(np.isfinite(high)))
        return find_support(self)

    def center(self, dtype):
        """A natural parameter well inside the domain, () or (k,)."""
        if np.ndim(self.domain) == 2:
            return jnp.stack([invert.interior(d, dtype) for d in self.domain])
        point = invert.interior(self.domain, dtype)
        return point if self.dim is None else jnp.broadcast_to(point, (self.dim,))

    def inside(self, eta):
        """Whether the natural parameter of one observation is in the domain of a."""
        low, high = np.asarray(self.domain).T
        if np.all(np.isinf(low)) and np.all(np.isinf(high)):
            return jnp.ones((), bool)
        return jnp.all((eta > jnp.asarray(low, eta.dtype)) & (eta < jnp.asarray(high, eta.dtype)))


def _settled(values, at, t, otherwise):
    """The first of `values` at ever farther points `at` that differs from the one before by rounding alone."""
    rounding = 8 * jnp.finfo(at.dtype).eps * (1 + jnp.abs(t * at[1:]))
    same = jnp.abs(jnp.diff(values)) <= rounding
    return jnp.where(jnp.any(same), values[1:][jnp.argmax(same)], otherwise)


@jax.custom_jvp
def _natural(family, mu):
    if family.dim is None:
        return invert.solve_increasing(jax.grad(family.a), mu, family.domain)
    convex = lambda eta: jnp.where(family.inside(eta), family.a(eta), jnp.inf)
    return invert.solve_convex(convex, mu, family.center(mu.dtype))


@_natural.defjvp
def _natural_rule(primals, tangents):
    """Implicit differentiation of a'(eta; params) = mu: d eta = (d mu - d_params a'·d params) / a''."""
    family, mu = primals
    eta = _natural(family, mu)
    shift = jax.jvp(lambda f: jax.grad(f.a)(eta), (family,), (tangents[0],))[1] if family.params else 0.0
    bend = jax.hessian(family.a)(eta)
    moved = tangents[1] - shift
    return eta, (moved / bend if family.dim is None else jnp.linalg.solve(bend, moved))
