"""One natural parameter, three families; and each distribution by its natural parameter, its mean and as a chance."""

import numpy as np

from jglm import families, links
from jglm.lab import curves, reading

SHOWN = ("bernoulli", "poisson", "gaussian")
RANGES = {"bernoulli": (0.02, 0.98), "poisson": (0.05, 20.0), "gaussian": (-3.0, 3.0)}  # of the means


def compute(request):
    """The three families at one `eta`; or at that eta where the family `of` has the mean `mean`."""
    eta = reading.number(request, "eta", 0.7, -4, 4)
    if request.get("of") is not None:
        of = reading.choice(request, "of", "bernoulli", SHOWN)
        mean = reading.number(request, "mean", 0.5, *RANGES[of])
        eta = float(np.clip(families.catalogue()[of].natural(mean), -4, 4))
    return {"eta": eta, **{name: _face(name, eta) for name in SHOWN}, "code": CODE.format(eta=eta)}


CODE = """from jglm import families
eta = {eta!r}
bernoulli, poisson, gaussian = (
    family.mean(eta) for family in (families.bernoulli, families.poisson, families.gaussian)
)
back = families.bernoulli.natural(bernoulli)  # from the mean to eta again"""


def _face(name, eta):
    family = families.catalogue()[name]
    a, mean, variance = (float(v[0]) for v in curves.moments(family, np.full(curves.COUNT, eta)))
    return {
        "a": a, "mean": mean, "variance": variance, "natural": float(family.natural(mean)),
        "third": _third(family, eta, mean), **curves.distribution(family, eta, mean, variance),
    }  # fmt: skip


def _third(family, eta, mean):
    """How else people speak of the same distribution: odds, the chance of no event, the chance of a positive y."""
    if family is families.bernoulli:
        return mean / (1 - mean)
    if family is families.poisson:
        return float(np.exp(family.log_prob(0.0, eta)))
    return float(links.probit.response(eta))
