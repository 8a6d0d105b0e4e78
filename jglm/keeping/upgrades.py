"""Model files of older versions in the words of the current one: a step from each version to the next.

Whoever changes what a model file holds raises `io.VERSION`, adds a step here, and keeps files of the version before
under tests/references/modelfiles, which must answer as they did.
"""

import re

from jglm.inputs.plain import encode
from jglm.keeping import io


def upgraded(tensors, facts):
    """The (arrays, facts) of a file of any version as one of `io.VERSION` has them."""
    for version in range(facts["version"], io.VERSION):
        tensors, facts = STEPS[version](tensors, facts)
    return tensors, facts


def _from_1(tensors, facts):
    """Version 1 grew by additions: its first files know no free parameters, no columns of a precision, no penalty but
    ridge, and not how a family was made; none of them knows policies, fixed relativities or the structure of a
    design."""
    later = {
        "dispersion": "pearson", "precision_names": [], "shift": 0.0, "clusters": None, "phi": None, "precision": None,
        "free": encode([]), "fixed": encode({}), "typical": encode({}),
    }  # fmt: skip
    facts = later | facts
    family = dict(facts["family"])
    facts["family"] = {"default_link": None, **family, "made": family.get("made") or encode((family["name"], ()))}
    if isinstance(facts["penalty"], str):
        facts["penalty"] = [facts["penalty"]]
        tensors = {re.sub(r"^penalty\.", "penalty.0.", k): v for k, v in tensors.items()}
    for name in ("formula", "precision"):
        if facts[name] is not None:
            later = {"intercept": True, "one_sided": False, "missing": "drop", "unseen": "error", "structure": None}
            facts[name] = later | facts[name]
    return tensors, facts


STEPS = {1: _from_1}
