"""Model files: safetensors arrays with one JSON text beside them. Reading one executes nothing.

The container knows nothing of fits: a dictionary of NumPy arrays and a dictionary of plain values, in and out.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from jglm.inputs import wholefile

FORMAT = "jglm-model"
VERSION = 2  # of what a file holds; `upgrades` has the steps from older ones
LARGEST = 1 << 31


def write(path, arrays, facts):
    """Write a model file; it appears under its name only when it is whole."""
    _need_safetensors()
    from safetensors.numpy import save

    text = json.dumps({"format": FORMAT, "version": VERSION, **facts}, allow_nan=True)
    arrays = {k: np.array(v, order="C") for k, v in arrays.items()}
    data = save(arrays, metadata={"jglm": text, "sha256": digest(text, arrays)})
    with wholefile.appearing(path) as temporary:
        temporary.write_bytes(data)


def read(path):
    """(arrays, facts) of a model file; ValueError for anything that is none, or that a newer jglm wrote."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no model file {str(path)!r}")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} is larger than any model file ({LARGEST} bytes)")
    _need_safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as f:
            metadata = f.metadata() or {}
            facts = json.loads(metadata["jglm"])
            arrays = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118 - safe_open is no dict
    except (SafetensorError, KeyError, ValueError, TypeError, OSError, RecursionError, AttributeError) as error:
        raise ValueError(f"{path.name} is not a jglm model file, or was damaged: {error}") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError(f"{path.name} is not a jglm model file")
    if metadata.get("sha256") != digest(metadata["jglm"], arrays):
        raise ValueError(f"{path.name} was damaged or changed since it was written: its checksum does not match")
    if type(facts.get("version")) is not int or facts["version"] < 1:
        raise ValueError(f"{path.name} is not a jglm model file: its format version is {facts.get('version')!r}")
    if facts["version"] > VERSION:
        raise ValueError(f"{path.name} has format version {facts['version']}; this jglm reads up to {VERSION}: load it "
                         "with the jglm that wrote it, or a newer one")  # fmt: skip
    return arrays, facts


def _need_safetensors():
    try:
        import safetensors  # noqa: F401
    except ImportError:
        raise ImportError("model files need safetensors: pip install safetensors, or jglm[all]") from None


def digest(text, arrays):
    """The SHA-256 of all that a model file holds. It finds damage, not forgery: what is read is checked besides."""
    total = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
