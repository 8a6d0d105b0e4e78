"""A fit as arrays and plain values, and back: what `Fit.save` writes and `jglm.load` reads."""

import numpy as np

from jglm import families, links, resolve
from jglm.formula import Formula, decode, encode
from jglm.model import Model
from jglm.penalties import Ridge
from jglm.solvers import Status

PLAIN = (
    "names", "intercept", "deviance", "llf", "pearson_chi2", "nobs", "n_iter", "solver", "covariance", "weight_kind",
    "has_offset", "has_constant", "n_dropped", "separated", "columns",
)  # fmt: skip


def state(fit):
    """(arrays, plain values) of a fit without its data."""
    tensors = {"params": fit.params, "kept": fit.kept, "history": np.asarray(fit.history, float)}
    if fit._unscaled is not None:
        tensors["unscaled"] = fit._unscaled
    for name, record in (("family", fit.family), ("link", fit.link)):
        tensors |= {f"{name}.{k}": np.asarray(v, float) for k, v in record.params.items()}
    penalty = fit.model.penalty
    if penalty is not None:
        tensors |= {f"penalty.{k}": np.asarray(v) for k, v in vars(penalty).items() if k != "scale"}
    facts = {
        **{k: getattr(fit, k) for k in PLAIN},
        "levels": encode(fit.levels),
        "status": int(fit.status),
        "null_deviance": fit._null,
        "family": {"name": fit.family.name, "dim": fit.family.dim, "own": not families.is_of_catalogue(fit.family)},
        "link": {"name": fit.link.name},
        "penalty": None if penalty is None else type(penalty).__name__.lower(),
        "formula": None if fit.formula is None else fit.formula.state(),
    }
    return tensors, facts


def restore(tensors, facts, family, link, functions):
    """The fields of a Fit from what `state` wrote; ValueError where they do not belong together."""
    part = lambda name: {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith(name + ".")}
    family = _family(facts["family"], part("family"), family)
    link = _link(facts["link"], link)
    if facts["penalty"] not in (None, "ridge"):
        raise ValueError(f"the model file has the unknown penalty {facts['penalty']!r}")
    penalty = None if facts["penalty"] is None else Ridge(**part("penalty"), scale="sum")
    params, kept = tensors["params"], tensors["kept"].astype(bool)
    if len(params) != len(facts["names"]) or kept.shape != (len(params),):
        raise ValueError("the model file is damaged: its coefficients and names do not match")
    return {
        **{k: facts[k] for k in PLAIN},
        "model": Model(family, link, penalty), "params": params, "kept": kept, "history": tensors["history"],
        "levels": decode(facts["levels"]), "status": Status(facts["status"]), "_null": facts["null_deviance"],
        "_unscaled": tensors.get("unscaled"),
        "formula": None if facts["formula"] is None else Formula.restore(facts["formula"], functions),
    }  # fmt: skip


def _family(saved, params, given):
    if given is not None:
        given = resolve.family(given)
        if given.name != saved["name"]:
            raise ValueError(f"the model file is of family {saved['name']!r}; you gave {given.name!r}")
        return given.replace(params=params or given.params, dim=saved["dim"])
    if saved["own"]:
        raise ValueError(
            f"the model's family {saved['name']!r} is one of your own; give it again: load(path, family=...)"
        )
    return families.rebuild(saved["name"], params, saved["dim"])


def _link(saved, given):
    if given is not None:
        return links.get(given)
    try:
        return links.get(saved["name"])
    except ValueError:
        raise ValueError(
            f"the model's link {saved['name']!r} is one of your own; give it again: load(path, link=...)"
        ) from None
