"""The assembly line: x becomes a linear predictor, a natural parameter, a mean and a distribution of y."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import families, links
from jglm.lab import curves, reading

# phi besides; a gamma's default link, the log, is not the canonical one, so that eta is not lin.
DISPERSIONS = {"gaussian": 1.0, "bernoulli": 1.0, "poisson": 1.0, "gamma": 0.25}
LINS = np.linspace(-3.5, 3.5, curves.COUNT)


def compute(request):
    """Every station for one x, the curves between them, and one y drawn with the seed `draw`."""
    name = reading.choice(request, "family", "poisson", tuple(DISPERSIONS))
    x = reading.number(request, "x", 0.8, -2, 2)
    intercept = reading.number(request, "intercept", 0.3, -1.5, 1.5)
    slope = reading.number(request, "slope", 0.8, -1, 1)
    draw = reading.whole(request, "draw", 0, 0, 2**31)
    family, phi = families.catalogue()[name], DISPERSIONS[name]
    link = links.default(family)
    lin = intercept + slope * x
    eta, mean = _through(family, link, np.full(curves.COUNT, lin))
    etas, means = _through(family, link, LINS)
    eta, mean = float(eta[0]), float(mean[0])
    variance = phi * float(curves.moments(family, np.full(curves.COUNT, eta))[2][0])
    return {
        "x": x, "lin": lin, "eta": eta, "mean": mean, "variance": variance, "link": link.name,
        "y": float(family.sample(jax.random.key(draw), eta, phi)), "curve": {"lin": LINS, "eta": etas, "mean": means},
        "density": curves.distribution(family, eta, mean, variance, phi),
        "code": CODE.format(name=name, x=x, intercept=intercept, slope=slope, draw=draw,
                            phi="" if phi == 1 else f", phi={phi}"),
    }  # fmt: skip


CODE = """import jax
from jglm import families, links
family, lin = families.{name}, {intercept!r} + {slope!r} * {x!r}
mean = links.default(family).mean(family, lin)
eta = family.natural(mean)
y = family.sample(jax.random.key({draw}), eta{phi})"""


@jax.jit
def _through(family, link, lin):
    """(eta, mean) at every linear predictor."""
    return jax.vmap(lambda at: (link.eta(family, at), link.mean(family, at)))(jnp.asarray(lin))
