"""What a user means by family= and link=: names, factories and records -> records."""

import jax
import jax.numpy as jnp
import numpy as np

from jglm import families, links, penalties
from jglm.family import Family
from jglm.inputs import checks


def family(wanted):
    """A Family from a name, a factory of the catalogue, or a Family.

    Raises ValueError for a name that is none, with the nearest, and for a factory that needs its parameters.
    """
    known = families.catalogue()
    if isinstance(wanted, str):
        name = wanted.strip().lower().replace("-", "_")
        if name not in known:
            raise ValueError(f"unknown family {wanted!r}{checks.nearest(name, known)} Families: {', '.join(known)}, "
                             "or a jglm.Family of your own")  # fmt: skip
        wanted = known[name]
    if any(wanted is made for made in known.values()) and not isinstance(wanted, Family):
        try:
            wanted = wanted()
        except TypeError as error:
            raise ValueError(f"the family needs its parameters: {error}") from None
    if not isinstance(wanted, Family):
        raise TypeError(f"family must be a name or a jglm.Family; it is {type(wanted).__name__}")
    return wanted


def link(of, wanted, penalty=None):
    """The Link of a name, of a Link, or the default of the family `of`; with a penalty all classes are alike."""
    if isinstance(penalty, penalties.OfInformation):  # which has no information of one class more
        penalty = None
    if wanted is None and penalty is not None and of.response in ("label", "counts") and not of.scalar_lin:
        return links.canonical
    if wanted is None:
        wanted = links.default(of)
    elif isinstance(wanted, str) and wanted.strip().lower() == "canonical" and families.is_of_catalogue(of):
        wanted = links.canonical_named(of)
    found = links.get(wanted)
    check_pair(of, found)
    return found if families.is_of_catalogue(of) else _checked_shortcut(of, found)


def penalty(wanted):
    """A penalty from a record, or from the name of one without numbers."""
    if not isinstance(wanted, str):
        return wanted
    checks.choice("penalty", wanted, ("firth", "jeffreys"))
    return penalties.firth() if wanted == "firth" else penalties.jeffreys()


def check_pair(of, found):
    """ValueError where a link of classes meets a scalar linear predictor, or the other way round."""
    if of.scalar_lin and found.columns != 0:
        raise ValueError(f"link {found.name!r} is for families of classes; {of.name!r} has one linear predictor")
    if not of.scalar_lin and found.inverse_ is not None:
        raise ValueError(f"link {found.name!r} is for a scalar mean; family {of.name!r} has a vector one")
    if of.scalar_lin and of.parametrize_ is not None and found.inverse_ is None:
        raise ValueError(f"family {of.name!r} needs a link on its mean, such as {of.default_link!r}; "
                         f"{found.name!r} is one on the natural parameter")  # fmt: skip
    if found.inverse_ is None and not found.gives_natural(of):
        raise ValueError(f"link {found.name!r} is not defined for family {of.name!r}")


def _checked_shortcut(of, found):
    """Stable forms go by the family's name: another family of that name must not get them."""
    if found.inverse_ is None or of.dim is not None:
        return found
    lin = jnp.asarray(np.array([-1.3, -0.4, 0.3, 0.9, 1.7]))
    with np.errstate(all="ignore"):
        by_name = np.asarray(of.mean(jax.vmap(lambda v: found.eta(of, v))(lin)))
        plain = np.asarray(jax.vmap(found.response)(lin))
    ok = np.isfinite(by_name) & np.isfinite(plain)
    return found if ok.any() and np.allclose(by_name[ok], plain[ok], rtol=1e-6) else found.without(of)
