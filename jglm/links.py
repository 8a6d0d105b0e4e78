"""Links: g maps the mean to the linear predictor `lin`, its inverse maps lin back to the mean.

A link is its inverse. For families where the composition lin -> mu -> eta would lose digits or overflow, `natural`
holds the stable form under the family's name; with the canonical link eta is lin.
"""

import copyreg
import difflib
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm._record import Fn, fn, record, strong
from jglm.distributions import invert
from jglm.distributions.special import log1mexp, log_ndtr, softplus


@record(static=("name", "inverse_", "forward_", "natural_", "columns"))
class Link:
    """The link with inverse `inverse`: lin -> mu.

    Args:
        name: what it is called.
        inverse: lin -> mu of one observation, monotone over the real line, written with `jax.numpy`;
            `inverse(lin)` or `inverse(lin, **params)`. None where eta is given for every family.
        params: numbers that it takes, traced.
        natural: {family name: lin -> eta}, called with the family's params; "*" stands for every family.
        forward: mu -> lin in closed form; by default `inverse` is inverted numerically. Without an inverse, eta -> lin.
        columns: columns of lin for a family with k natural parameters, where not k: -1 means k - 1.

    >>> import jax.numpy as jnp
    >>> aranda = Link("aranda", inverse=lambda lin: 1 - 1 / jnp.sqrt(1 + 2 * jnp.exp(lin)))
    >>> from jglm import families
    >>> float(aranda.mean(families.bernoulli, 0.0)) > 0.42
    True
    """

    name: str
    inverse_: Callable | None
    forward_: Callable | None
    natural_: tuple
    columns: int
    params: dict

    def __init__(self, name, inverse, params=None, natural=None, forward=None, columns=0):
        if inverse is not None and not callable(inverse):
            raise TypeError(f"inverse must be a function lin -> mu; it is {type(inverse).__name__}")
        self.__dict__.update(
            name=str(name), inverse_=fn(inverse), forward_=fn(forward), columns=columns,
            natural_=tuple((k, Fn(f)) for k, f in (natural or {}).items()),
            params={k: strong(v) for k, v in (params or {}).items()},
        )  # fmt: skip

    def __repr__(self):
        return f"Link({self.name!r})"

    def _stable(self, family):
        named: dict[str, Any] = dict(self.natural_)
        return named.get(family.like, named.get("*"))

    def gives_natural(self, family):
        """Whether it has a form lin -> eta of its own for the family."""
        return self._stable(family) is not None

    def without(self, family):
        """The same link without its stable form for that family's name: for another family of the same name."""
        kept = {k: f for k, f in self.natural_ if k != family.like}
        return Link(self.name, self.inverse_, self.params, kept, self.forward_, self.columns)

    def eta(self, family, lin):
        """The natural parameter of one observation, () -> () or (columns,) -> (k,)."""
        stable = self._stable(family)
        if stable is not None:
            return stable(lin, **{k: jnp.asarray(v, lin.dtype) for k, v in family.params.items()})
        return family.natural_one(self.response(lin))

    def response(self, lin):
        """mu of one observation, by the link alone."""
        assert self.inverse_ is not None
        return self.inverse_(lin, **{k: jnp.asarray(v, lin.dtype) for k, v in self.params.items()})

    def mean(self, family, lin):
        """mu of one observation, lin -> mu."""
        lin = jnp.asarray(lin, jnp.result_type(float, lin))
        return jax.grad(family.a)(self.eta(family, lin)) if self.inverse_ is None else self.response(lin)

    def curve(self, family):
        """lin -> mean, for a family whose eta is made of the mean and free parameters; the softmax for classes."""
        return self.response if self.inverse_ is not None else lambda lin: jax.nn.softmax(self.eta(family, lin))

    def linear(self, family, mu):
        """lin of one observation with that mean, mu -> lin; NaN where there is none."""
        if self.inverse_ is None:
            eta = family.natural_one(mu)
            return eta if self.forward_ is None else self.forward_(eta)
        if self.forward_ is not None:
            return self.forward_(mu, **{k: jnp.asarray(v, mu.dtype) for k, v in self.params.items()})
        whole = (-np.inf, np.inf)
        rising = self.response(jnp.ones_like(mu)) > self.response(-jnp.ones_like(mu))
        sign = jnp.where(rising, 1.0, -1.0).astype(mu.dtype)
        return invert.solve_increasing(lambda lin: sign * self.response(lin), sign * mu, whole)

    def width(self, family):
        """Columns of lin: None where it is a scalar."""
        return None if family.scalar_lin else family.dim + self.columns


def _same(lin, **_):
    return lin


def _log_bernoulli(lin):
    return lin - log1mexp(lin)


def _cloglog(lin):
    e = jnp.exp(lin)
    return e + log1mexp(-e)


def _cauchit(lin):
    return jnp.log(jnp.arctan2(1.0, -lin)) - jnp.log(jnp.arctan2(1.0, lin))


def _probit(lin):
    return log_ndtr(lin) - log_ndtr(-lin)


def _both(f):
    return {"bernoulli": f, "binomial": f}


canonical = Link("canonical", None, natural={"*": _same})
identity = Link("identity", lambda lin: lin, forward=lambda mu: mu, natural={"gaussian": _same})
log = Link(
    "log", jnp.exp, forward=jnp.log,
    natural={
        "poisson": _same,
        "gamma": lambda lin: -jnp.exp(-lin),
        "exponential": lambda lin: -jnp.exp(-lin),
        "inverse_gaussian": lambda lin: -jnp.exp(-2 * lin) / 2,
        "negative_binomial": lambda lin, r: -softplus(jnp.log(r) - lin),
        "geometric": lambda lin: -softplus(-lin),
        "tweedie": lambda lin, power: jnp.exp((1 - power) * lin) / (1 - power),
        **_both(_log_bernoulli),
    },
)  # fmt: skip
# eta itself on the log scale, for families whose eta has one sign.
log_natural = Link(
    "log_natural", None, forward=lambda eta: jnp.where(eta > 0, 1.0, -1.0) * jnp.log(jnp.abs(eta)),
    natural={
        "logarithmic": lambda lin: -jnp.exp(-lin), "dirichlet": jnp.exp,
        "zero_truncated_negative_binomial": lambda lin, r: -jnp.exp(-lin),
    },
)  # fmt: skip
logit = Link(
    "logit", lambda lin: jax.nn.sigmoid(lin), forward=lambda mu: jnp.log(mu) - jnp.log1p(-mu), natural=_both(_same)
)
probit = Link(
    "probit", lambda lin: jnp.exp(log_ndtr(lin)), forward=jax.scipy.special.ndtri, natural=_both(_probit)
)  # fmt: skip
cloglog = Link(
    "cloglog", lambda lin: -jnp.expm1(-jnp.exp(lin)), forward=lambda mu: jnp.log(-jnp.log1p(-mu)),
    natural=_both(_cloglog),
)  # fmt: skip
loglog = Link(
    "loglog", lambda lin: jnp.exp(-jnp.exp(-lin)), forward=lambda mu: -jnp.log(-jnp.log(mu)),
    natural=_both(lambda lin: -_cloglog(-lin)),
)  # fmt: skip
cauchit = Link(
    "cauchit", lambda lin: jnp.arctan2(1.0, -lin) / jnp.pi, forward=lambda mu: -1 / jnp.tan(jnp.pi * mu),
    natural=_both(_cauchit),
)  # fmt: skip
inverse = Link(
    "inverse", lambda lin: 1 / lin, forward=lambda mu: 1 / mu,
    natural={"gamma": lambda lin: -lin, "exponential": lambda lin: -lin},
)  # fmt: skip
inverse_squared = Link(
    "inverse_squared", lambda lin: lin**-0.5, forward=lambda mu: mu**-2.0,
    natural={"inverse_gaussian": lambda lin: -lin / 2},
)  # fmt: skip
# lin may have either sign: mu = lin^2. R asks for lin > 0; the fits agree wherever R's stays inside.
sqrt = Link("sqrt", lambda lin: lin**2, forward=jnp.sqrt)


def power(q):
    """mu^q for q != 0 and log mu for q = 0, of a positive mean; power(-1) is inverse, power(1) identity."""
    q = float(q)
    if not np.isfinite(q):
        raise ValueError(f"power: q is {q}; it must be a finite number")
    if q == 0:
        return log
    name = f"power({q:g})" if float(f"{q:g}") == q else f"power({q!r})"
    return Link(name, lambda lin, q: lin ** (1 / q), forward=lambda mu, q: mu**q, params={"q": q})


def reference(level=0):
    """Of k classes the one whose linear predictor is 0: lin (k-1,) -> eta (k,) with a 0 at `level`."""
    level = int(level)
    insert = lambda lin: jnp.concatenate([lin[:level], jnp.zeros(1, lin.dtype), lin[level:]])

    def against_level(eta):
        eta = eta - eta[level]
        return jnp.concatenate([eta[:level], eta[level + 1 :]])

    return Link(f"reference({level})", None, natural={"*": insert}, forward=against_level, columns=-1)


NAMES = (
    "canonical", "identity", "log", "logit", "probit", "cloglog", "loglog", "cauchit", "inverse", "inverse_squared",
    "sqrt", "log_natural",
)  # fmt: skip
FACTORIES = {"power": power, "reference": reference}


def get(link):
    """A Link from a Link or from text such as "logit" or "power(0.5)".

    Raises ValueError for a name that is none, with the nearest that is.
    """
    if isinstance(link, Link):
        return link
    if not isinstance(link, str):
        raise TypeError(f"link must be a name or a jglm.Link; it is {type(link).__name__}")
    name = link.strip().lower()
    if name.replace("-", "_") in NAMES:
        return globals()[name.replace("-", "_")]
    call = re.fullmatch(r"(\w+)\(\s*([-+0-9.e/]+)\s*\)", name)
    if call and call[1] in FACTORIES:
        return FACTORIES[call[1]](_number(call[2]))
    known = [*NAMES, "power(q)"]
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"unknown link {link!r}{hint} Links: {', '.join(known)}, or a jglm.Link")


def _number(text):
    top, _, bottom = text.partition("/")
    try:
        return float(top) / float(bottom) if bottom else float(top)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"link power({text}) is none: {text!r} is not a number") from None


def default(family):
    """The family's own default, else canonical where eta may be any real, else log."""
    if family.default_link is not None:
        return get(family.default_link)
    if family.domain == (-np.inf, np.inf):
        return canonical_named(family)
    return log


def canonical_named(family):
    """The canonical link, under its usual name where it has one."""
    return {"gaussian": identity, "bernoulli": logit, "binomial": logit, "poisson": log}.get(family.like, canonical)


def is_named(link):
    """Whether it is the link of this module with that name, not a user's."""
    try:
        named = get(link.name)
    except ValueError:
        return False
    # Without its shortcuts it is still the same link.
    return named.inverse_ == link.inverse_ and set(link.natural_) <= set(named.natural_)


def _reduce(link):
    """How a link is pickled: a named one by its name, a user's by its functions."""
    return (get, (link.name,)) if is_named(link) else link.__reduce_ex__(2)


copyreg.pickle(Link, _reduce)
