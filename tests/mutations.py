"""Model files with something wrong in them: bytes changed, or values changed and the checksum made to fit again."""

import copy
import json
import struct

import numpy as np
from safetensors.numpy import save

from jglm.keeping import io

RUNS_CODE = (
    "__import__('os').system('touch {mark}')", "open('{mark}', 'w')", "y ~ I(__import__('os').system('touch {mark}'))",
    "y ~ C(g, '`', __import__('os').system('touch {mark}'), '`')", "y ~ x + {{__import__('os')}}",
    "eval(\"open('{mark}', 'w')\")", "(lambda: open('{mark}', 'w'))()", "eta.__class__.__mro__", "getattr(eta, 'x')",
)  # fmt: skip


def deep(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def others(rng, value, mark):
    """Something else to stand where `value` stands."""
    numbers = [0, -1, 1, 2, 99, 10**9, 10**18, 10**40, 0.5, -0.0, 1e308, float("nan"), float("inf"), -(2**63)]
    texts = ["", "x", "0x1p99999", "nan", "y ~ x", "exp(eta)", "eta**eta", "\0", "é" * 50, "a" * 5000, "1e5"]
    code = [text.format(mark=mark) for text in RUNS_CODE]
    trees = [[], {}, [1], {"float": "0x1p3"}, {"list": [1, "a"]}, {"dict": [[1, 2]]}, {"dict": [[{"list": []}, 2]]},
             {"array": [1, 2], "shape": [2]}, {"array": [1], "shape": [10**12]}, {"date": "2020-01-01"}, deep(35),
             deep(150), {"tuple": [1, None]}, {"float": "x"}, {"array": [], "shape": [0, 10**15]}]  # fmt: skip
    pool = [numbers, texts, code, trees, [None, True, False]][rng.integers(5)]
    new = pool[rng.integers(len(pool))]
    if isinstance(value, str) and rng.random() < 0.5:  # a text a little changed
        at, gone = int(rng.integers(len(value) + 1)), int(rng.integers(3))
        put = ("", "(", ")", "'", "`", "~", "|", "*", "eval(1)", "[", ":", "9", "e", "{")[rng.integers(14)]
        new = value[:at] + put + value[at + gone :]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.3:
        new = value * float(rng.choice([-1, 0, 2, 1e6])) + float(rng.choice([0, 1, 0.5]))
    return new


def places(tree, at=()):
    """The keys to every value in a tree of dictionaries and lists."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, value in pairs for place in [(*at, key), *places(value, (*at, key))]]


def change_facts(rng, facts, mark):
    """One value of the JSON text replaced, left out, doubled or swapped with another."""
    known = places(facts)
    place = known[rng.integers(len(known))]
    holder = facts
    for key in place[:-1]:
        holder = holder[key]
    kind = rng.integers(6)
    if kind == 0:
        del holder[place[-1]]
    elif kind == 1 and isinstance(holder, list):
        holder.insert(place[-1], copy.deepcopy(holder[place[-1]]))
    elif kind == 2:
        other = facts
        far = known[rng.integers(len(known))]
        for key in far:
            other = other[key]
        holder[place[-1]] = copy.deepcopy(other)
    else:
        holder[place[-1]] = others(rng, holder[place[-1]], mark)


def change_arrays(rng, arrays):
    """One array left out, called otherwise, of another type or shape, or with another entry."""
    name = sorted(arrays)[rng.integers(len(arrays))]
    array, kind = arrays[name], rng.integers(6)
    if kind == 0:
        del arrays[name]
    elif kind == 1:
        other = ("params", "kept", "nuisance.r", "penalty.0.strength", "family.power", "link.q", "x")[rng.integers(7)]
        arrays[other] = array
    elif kind == 2:
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(str(rng.choice(["float32", "int64", "bool", "uint8", "float16"])))
    elif kind == 3:
        arrays[name] = np.resize(array, tuple(rng.integers(0, 5, rng.integers(0, 4))))
    elif array.size:
        new = array.copy().ravel()
        with np.errstate(all="ignore"):
            new[rng.integers(new.size)] = rng.choice(np.array([0, 1, -1, 1e300, np.nan, np.inf]).astype(array.dtype))
        arrays[name] = new.reshape(array.shape)


def change_bytes(rng, data):
    """Bytes changed, cut off, put in or moved; or another length of the header, or sizes that no file has."""
    data, kind, at = bytearray(data), rng.integers(6), int(rng.integers(len(data)))
    if kind == 0:
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        data[at:at] = rng.bytes(int(rng.integers(1, 40)))
    elif kind == 3:
        data[:8] = struct.pack("<Q", int(rng.choice([0, 1, 7, 10**6, 10**12, 2**63, len(data)])))
    elif kind == 4:
        length = struct.unpack("<Q", bytes(data[:8]))[0]
        header = bytes(data[8 : 8 + length]).replace(b'"data_offsets":[0,', b'"data_offsets":[0,9999999999', 1)
        data[:8 + length] = struct.pack("<Q", len(header)) + header
    else:
        data[at : at + 16] = bytes(16)
    return bytes(data)


def sealed(arrays, facts):
    """The bytes of a model file of these arrays and facts, with a checksum that fits."""
    text = json.dumps(facts)
    arrays = {k: np.array(v, order="C") for k, v in arrays.items()}
    return save(arrays, metadata={"jglm": text, "sha256": io.digest(text, arrays)})


def mutated(rng, path, mark):
    """The bytes of a model file with something wrong in it; `mark` is a file that appears should any of it be run."""
    kind = rng.integers(4)
    if kind == 0:
        return change_bytes(rng, path.read_bytes())
    arrays, facts = io.read(path)
    for _ in range(int(rng.integers(1, 3))):
        if kind == 1:
            change_arrays(rng, arrays)
        else:
            change_facts(rng, facts, mark)
    return sealed(arrays, facts)
