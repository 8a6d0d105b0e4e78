"""States of formulas as plain values that JSON holds, and back: numbers to the last bit, nothing that is ever run."""

import math
from typing import Any

import numpy as np

DEEPEST = 40  # of values inside values


def encode(value: Any) -> Any:
    """Plain values and small arrays as JSON; TypeError for anything else, which cannot be in a model file."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return {"float": float(value).hex()}
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, dict):
        return {"dict": [[encode(k), encode(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [encode(v) for v in value]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return {"array": [encode(v) for v in value.ravel().tolist()], "shape": list(value.shape)}
    if type(value).__name__ in ("Timestamp", "datetime", "date"):
        return {"date": str(value)}
    raise TypeError(f"a {type(value).__name__} in the formula's state cannot be written to a model file")


def decode(value: Any, depth=0) -> Any:
    """The inverse of `encode`; ValueError for anything that it does not write."""
    if depth > DEEPEST:
        raise ValueError(f"a model file holds values inside values, more than {DEEPEST} deep")
    if value is None or isinstance(value, (bool, str, int)):
        return value
    shape = value.get("shape") if isinstance(value, dict) else None
    if not isinstance(value, dict) or len(value) != 1 + ("array" in value) or ("array" in value) != (shape is not None):
        raise ValueError(f"a model file holds {_shown(value)}, which is none of its kinds of values")
    kind, inner = next((k, v) for k, v in value.items() if k != "shape")
    wanted = {"float": str, "date": str, "dict": list, "list": list, "tuple": list, "array": list}.get(kind)
    if wanted is None or not isinstance(inner, wanted):
        raise ValueError(f"a model file holds the unknown kind {kind!r}, or no {kind} under its name")
    if kind == "float":
        try:
            return float.fromhex(inner)
        except OverflowError:
            raise ValueError(f"a model file holds {_shown(inner)}, which is too large for a number") from None
    if kind == "date":
        import pandas

        return pandas.Timestamp(inner)
    if kind == "dict":
        return dict(_pair(entry, depth) for entry in inner)
    found = [decode(v, depth + 1) for v in inner]
    if kind == "array":
        return _array(found, shape)
    return found if kind == "list" else tuple(found)


def _pair(entry, depth):
    if not isinstance(entry, list) or len(entry) != 2:
        raise ValueError(f"a model file holds {_shown(entry)} where a key and its value belong")
    key = decode(entry[0], depth + 1)
    if isinstance(key, (dict, list, np.ndarray)):
        raise ValueError(f"a model file holds {_shown(entry[0])} as a key")
    return key, decode(entry[1], depth + 1)


def _array(found, shape):
    sound = isinstance(shape, list) and all(type(m) is int and m >= 0 for m in shape)
    if not sound or math.prod(shape) != len(found) or not all(isinstance(v, (bool, int, float)) for v in found):
        raise ValueError(f"a model file holds an array of shape {_shown(shape)} with {len(found)} entries, or with "
                         "entries that are no numbers")  # fmt: skip
    return np.array(found).reshape(shape)


def is_level(value):
    """Whether a decoded value may be the level of a factor: a number, a text, a truth value or a date."""
    return isinstance(value, (str, int, float)) or type(value).__name__ == "Timestamp"


def _shown(value):
    text = repr(value)
    return text if len(text) < 60 else text[:60] + "…"


# --------------------------------------------------------------------------- which factors make which columns
def structure_of(spec):
    """formulaic's structure of a design as plain values: for each term its columns, and of each of its parts the scale
    and ([factor, whether it leaves out a level], …); None where it is not known."""
    if spec.structure is None:
        return None
    return [
        [[str(c) for c in term.columns],
         [[float(part.scale), [[f.factor.expr, bool(f.reduced)] for f in part.factors]] for part in term.scoped_terms]]
        for term in spec.structure
    ]  # fmt: skip


def structured(terms, saved):
    """The structure of a design with these terms from what `structure_of` wrote; ValueError where they do not match."""
    from formulaic.materializers.types import EvaluatedFactor, ScopedFactor, ScopedTerm
    from formulaic.model_spec import EncodedTermStructure

    if not isinstance(saved, list) or len(saved) != len(terms):
        raise ValueError("the model file is damaged: its formula and its design do not match")
    found = []
    for term, entry in zip(terms, saved, strict=True):
        known = {f.expr: f for f in term.factors}
        if not is_structure(entry, known):
            raise ValueError(f"the model file is damaged: its design has no such term as {term}")
        columns, parts = entry
        without: Any = None  # the values, which come with a frame
        scoped = [
            ScopedTerm(
                [ScopedFactor(EvaluatedFactor(known[expr], without), reduced) for expr, reduced in factors], scale
            )
            for scale, factors in parts
        ]
        found.append(EncodedTermStructure(term, scoped, columns))
    return found


def is_structure(entry, known):
    """Whether a term's entry is one that `structure_of` writes, of known factors; None for any."""
    if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(v, list) for v in entry)):
        return False
    columns, parts = entry
    return all(isinstance(c, str) for c in columns) and all(
        isinstance(part, list) and len(part) == 2 and isinstance(part[0], (int, float)) and isinstance(part[1], list)
        and all(isinstance(f, list) and len(f) == 2 and isinstance(f[0], str)
            and isinstance(f[1], bool) and (known is None or f[0] in known) for f in part[1])
        for part in parts
    )  # fmt: skip
