"""A fit as arrays and plain values, and back: what `Fit.save` writes and `jglm.load` reads."""

import numpy as np

from jglm import families, links, penalties
from jglm.distributions.parameters import Free
from jglm.inference.covaried import COVARIANCES
from jglm.inputs import factors, resolve
from jglm.inputs.formula import Formula
from jglm.inputs.plain import decode, encode
from jglm.keeping.upgrades import upgraded
from jglm.model import Model
from jglm.solvers import Status

NUMBER = (int, float)
PLAIN = {
    "names": list, "intercept": bool, "deviance": NUMBER, "pearson_chi2": NUMBER, "nobs": NUMBER, "n_iter": int,
    "solver": str, "covariance": (str, type(None)), "weight_kind": str, "has_offset": bool, "has_constant": bool,
    "n_dropped": int, "separated": list, "columns": dict, "dispersion": str, "precision_names": list, "shift": NUMBER,
}  # fmt: skip

PENALTIES = {
    kind.__name__.lower(): kind
    for kind in (penalties.Ridge, penalties.Quadratic, penalties.ElasticNet, penalties.GroupLasso, penalties.Bounds,
                 penalties.Constraints, penalties.Firth, penalties.Jeffreys)
}  # fmt: skip

PARSED = (  # of Family.parse: those that take plain values
    "text", "name", "domain", "support", "default_link", "dispersion", "response", "prior_weights", "vector_y",
    "scalar_lin", "density", "plug_in", "companion", "like", "free",
)  # fmt: skip


def state(fit):
    """(arrays, plain values) of a fit without its data."""
    fit = fit.detach()
    tensors = {"params": fit.params, "kept": fit.kept, "history": np.asarray(fit.history, float)}
    if fit._unscaled is not None:
        tensors["unscaled"] = fit._unscaled
    if fit._robust is not None and fit.covariance in COVARIANCES[2:]:
        tensors["robust"] = fit._robust
    if fit._joint is not None:
        tensors["joint"], tensors["alone"] = fit._joint
    tensors |= {f"nuisance.{k}": np.asarray(v, float) for k, v in fit.nuisance.items()}
    for name, record in (("family", fit.family), ("link", fit.link)):
        tensors |= {f"{name}.{k}": np.asarray(v, float) for k, v in record.params.items()}
    penalty = fit.model.penalty
    if penalty is not None:
        for i, part in enumerate(penalties.parts_of(penalty)):
            tensors |= {f"penalty.{i}.{k}": np.asarray(v) for k, v in _arrays_of(part)}
    facts = {
        **{k: getattr(fit, k) for k in PLAIN},
        "levels": encode(fit.levels),
        "status": int(fit.status),
        "null_deviance": fit._null,
        "llf": fit._llf,
        "phi": fit._phi,
        "clusters": fit.sides.get("clusters"),
        "family": {
            "name": fit.family.name, "dim": fit.family.dim, "own": not families.is_of_catalogue(fit.family),
            "made": encode(fit.family.made), "default_link": fit.family.default_link,
        },
        "free": encode([[name, list(free)] for name, free in fit.free]),
        "link": {"name": fit.link.name, "own": not links.is_named(fit.link)},
        "penalty": None if penalty is None else [type(v).__name__.lower() for v in penalties.parts_of(penalty)],
        "fixed": encode(fit.fixed),
        "typical": encode(fit.typical),
        "formula": None if fit.formula is None else fit.formula.state(),
        "precision": None if fit.precision is None else fit.precision.state(),
    }  # fmt: skip
    return tensors, facts


def restore(tensors, facts, family, link, functions):
    """The fields of a Fit from what `state` wrote, in this version or an older one; ValueError where they do not belong
    together."""
    tensors, facts = upgraded(tensors, facts)
    _check(tensors, facts)
    part = lambda name: {k.removeprefix(name + "."): v for k, v in tensors.items() if k.startswith(name + ".")}
    penalty = _penalty(facts["penalty"], part)
    free, nuisance = _free(facts["free"]), part("nuisance")
    family = _family(facts["family"], part("family"), family, free)
    link = _link(facts["link"], link)
    resolve.check_pair(family, link)
    params, kept, names = tensors["params"], tensors["kept"].astype(bool), facts["names"]
    width = link.width(family)
    size = int(kept.sum()) * (width or 1)
    fits = params.shape == ((len(names),) if width is None else (len(names), width)) and kept.shape == (len(names),)
    fits = fits and np.all(np.isnan(params[~kept])) and np.all(np.isfinite(params[kept]))
    whole = size + sum(v.size for v in nuisance.values())
    fits = fits and {k for k, _ in free} == set(nuisance) and all(np.all(np.isfinite(v)) for v in nuisance.values())
    robust = whole if family.parametrize_ is not None or link.inverse_ is None else size
    robust = size if facts["covariance"] == "observed" else robust
    shapes = {"unscaled": size, "joint": whole, "alone": whole - size, "robust": robust}
    if not fits or any(tensors[k].shape != (m, m) for k, m in shapes.items() if k in tensors):
        raise ValueError("the model file is damaged: its coefficients, names and covariance do not match")
    clusters = facts["clusters"]
    if clusters is not None and not (isinstance(clusters, list) and all(type(v) is int for v in clusters)):
        raise ValueError("the model file is damaged: its numbers of groups are no whole numbers")
    formula = None if facts["formula"] is None else Formula.restore(facts["formula"], functions)
    if formula is not None and formula.names != names:
        raise ValueError("the model file is damaged: its formula and its names do not match")
    return {
        **{k: facts[k] for k in PLAIN},
        "model": Model(family, link, penalty), "params": params, "kept": kept, "history": tensors["history"],
        "levels": decode(facts["levels"]), "status": Status(facts["status"]), "_null": facts["null_deviance"],
        "_unscaled": tensors.get("unscaled"),
        "_joint": (tensors["joint"], tensors["alone"]) if "joint" in tensors else None,
        "_robust": tensors.get("robust"), "sides": {"clusters": clusters} if clusters else {},
        "_llf": facts["llf"], "_phi": facts["phi"], "free": free, "nuisance": nuisance,
        "formula": formula, **_of_columns(facts, formula, link),
        "precision": None if facts["precision"] is None else Formula.restore(facts["precision"], functions),
    }  # fmt: skip


def _check(tensors, facts):
    """ValueError where a plain value is not of its kind."""
    for name, kind in PLAIN.items():
        if not isinstance(facts[name], kind) or (kind == NUMBER and isinstance(facts[name], bool)):
            raise ValueError(f"the model file is damaged: its {name} is {facts[name]!r}")
    names = facts["names"]
    text = [*names, *facts["precision_names"], *facts["separated"], *facts["columns"], *facts["columns"].values()]
    if not all(isinstance(v, str) for v in text) or len(set(names)) != len(names):
        raise ValueError("the model file is damaged: its names are not distinct texts")
    kinds = [] if facts["penalty"] is None else facts["penalty"]
    unknown = [kind for kind in kinds if not isinstance(kind, str) or kind not in PENALTIES]
    if unknown or facts["covariance"] not in COVARIANCES:
        raise ValueError(
            f"the model file has the unknown penalty or covariance {unknown[0] if unknown else facts['covariance']!r}"
        )
    levels = facts["levels"]
    if levels is not None and not (isinstance(levels, dict) and isinstance(levels.get("list"), list)):
        raise ValueError("the model file is damaged: its levels are no list")
    if tensors["params"].dtype.kind != "f":
        raise ValueError("the model file is damaged: its coefficients are no numbers")


def _of_columns(facts, formula, link):
    """{"fixed", "typical"}: what a file says of columns of the frame."""
    fixed, typical = decode(facts["fixed"]), decode(facts["typical"])
    if formula is None:
        return {}
    known = dict(formula._known_levels())
    sound = isinstance(typical, dict) and set(typical) <= set(formula.right_variables)
    sound = sound and all(v in known[k] if k in known else isinstance(v, NUMBER) for k, v in typical.items())
    if not sound:
        raise ValueError("the model file is damaged: its typical values are none of its formula's columns")
    return {"fixed": factors.checked_fixed(fixed, formula, link), "typical": typical}


def _arrays_of(penalty):
    """(name, array) of what a penalty holds: groups by name are no longer needed once it is bound to its columns."""
    return [(k, v) for k, v in vars(penalty).items() if k not in ("scale", "groups") and v is not None]


def _penalty(kinds, part):
    """The penalty of a file."""
    if kinds is None:
        return None
    found = []
    for i, kind in enumerate(kinds):
        given = part(f"penalty.{i}")
        if kind == "grouplasso":
            given["groups"] = None
        found.append(PENALTIES[kind](**given, scale="sum"))
    return found[0] if len(found) == 1 else penalties.Sum(tuple(found))


def _free(saved):
    """The free parameters as a Family has them."""
    found = [(name, Free(*free)) for name, free in decode(saved)]
    for name, free in found:
        ends = type(free.low) is float and type(free.high) is float
        if not (isinstance(name, str) and ends and type(free.size) is int and type(free.regressed) is bool):
            raise ValueError(f"the model file is damaged: its free parameter {name!r} is {tuple(free)}")
    return tuple(found)


def _family(saved, params, given, free):
    if given is not None:
        given = resolve.family(given)
        if given.name != saved["name"]:
            raise ValueError(f"the model file is of family {saved['name']!r}; you gave {given.name!r}")
        kept = free if given.parametrize_ is not None else ()
        return given.replace(params=params or given.params, dim=saved["dim"], free=kept)
    if saved["own"]:
        raise ValueError(
            f"the model's family {saved['name']!r} is one of your own; give it again: load(path, family=...)"
        )
    made = decode(saved["made"])
    odd = [k for k, _ in made[1] if k not in PARSED] if made[0] == "parse" else []
    if odd:
        raise ValueError(f"the model file is damaged: its family is made with {odd[0]!r}, which no model file names")
    family = families.rebuild(made, params, saved["dim"], saved["default_link"])
    return family.replace(free=free if family.parametrize_ is not None else ())


def _link(saved, given):
    if given is not None:
        found = links.get(given)
        if found.name != saved["name"]:
            raise ValueError(f"the model file is of link {saved['name']!r}; you gave {found.name!r}")
        return found
    if saved["own"]:
        raise ValueError(f"the model's link {saved['name']!r} is one of your own; give it again: load(path, link=...)")
    return links.get(saved["name"])
