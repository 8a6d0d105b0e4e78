"""Checkpoints: what a fit of a stream knows so far, in a folder of small files that execute nothing when read.

Each step of a fit (the first pass, a start, every pass of a solver) is asked for by its name: what the folder has is
taken from there, what it has not is computed and written. A file appears under its name only when it is whole.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jglm.inputs.plain import decode, encode
from jglm.keeping import io
from jglm.streams.columns import Block, Levels
from jglm.streams.scan import Seen
from jglm.streams.sources import first_line

MINUTES = 5.0


class Nothing:
    """No checkpoints: everything is computed."""

    folder: Any = None
    passes = 1

    def __bool__(self):
        return False

    def read(self, name) -> Any:
        return None

    def write(self, name, arrays, facts):
        pass

    def step(self, name, compute):
        return compute()

    def begun(self, name) -> Any:
        return None

    def keep_partial(self, name, position, leaves, now=False):
        pass


class Checkpoint:
    """A folder of checkpoints.

    Args:
        folder: made where it is not there. passes: after how many passes of a solver one is written; minutes: a pass
            that takes longer keeps what it has summed up so far.
        resume: go on from what the folder has; else it is begun anew.
    """

    def __init__(self, folder, passes=1, minutes=MINUTES, resume=False):
        self.folder, self.passes, self.minutes, self.resume = Path(folder), int(passes), float(minutes), bool(resume)
        self.written = time.monotonic()
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"checkpoint={str(folder)!r} is a file; give a folder")
        self.folder.mkdir(parents=True, exist_ok=True)

    def tell(self, told):
        """What the fit is of: {what: text}. With `resume` it must be what the folder was written for."""
        before = self.read("fit") if self.resume else None
        if before is None:
            for old in self.folder.glob("*.checkpoint"):
                old.unlink()
            self.write("fit", {}, told)
            return
        known = {k: v for k, v in before[1].items() if k in told}
        changed = [k for k in told if known.get(k) != told[k]]
        if changed:
            raise ValueError(f"the checkpoint in {self.folder} is of another fit: {', '.join(changed)} changed; give "
                             "resume=False to begin anew, or another folder")  # fmt: skip

    def path(self, name):
        return self.folder / f"{name}.checkpoint"

    def read(self, name):
        """(arrays, facts) of a file, None where it is not there; ValueError for one that is damaged."""
        if not self.path(name).exists():
            return None
        try:
            return io.read(self.path(name))
        except ValueError as error:
            raise ValueError(f"{error}; delete it, or give resume=False to begin anew") from None

    def write(self, name, arrays, facts):
        """Write a file."""
        try:
            io.write(self.path(name), arrays, facts)
        except OSError as error:
            raise OSError(error.errno or 0, f"the checkpoint in {self.folder} cannot be written: {first_line(error)}; "
                          "free some room or give another folder") from error  # fmt: skip
        self.written = time.monotonic()

    def step(self, name, compute):
        """A tree of arrays by name: as it was written, else computed and written."""
        known = self.read(name)
        if known is not None:
            return unpacked(*known)
        found = compute()
        self.write(name, *packed(found))
        return found

    def begun(self, name):
        """(position, leaves) of the sums that a pass of this name had when it was interrupted, or None."""
        known = self.read("partial")
        if known is None or known[1].get("pass") != name:
            return None
        return known[1]["position"], unpacked(*known)

    def keep_partial(self, name, position, leaves, now=False):
        """Write the sums of a pass so far, where minutes have gone by since something was written."""
        if leaves is not None and (now or time.monotonic() - self.written > 60 * self.minutes):
            arrays, facts = packed(leaves)
            self.write("partial", arrays, facts | {"pass": name, "position": position})


def packed(tree):
    """(arrays, facts) of nested dicts, lists and tuples of arrays and numbers."""
    arrays = {}

    def one(value):
        if value is None:
            return None
        if isinstance(value, dict):
            return {"dict": [[k, one(v)] for k, v in value.items()]}
        if isinstance(value, (list, tuple)):
            return {type(value).__name__: [one(v) for v in value]}
        arrays[f"a{len(arrays)}"] = np.asarray(value)
        return {"array": f"a{len(arrays) - 1}"}

    return arrays, {"tree": one(tree)}


def unpacked(arrays, facts):
    """The tree of what `packed` made."""

    def one(told):
        if told is None:
            return None
        (kind, inner), *_ = told.items()
        if kind == "array":
            return arrays[inner]
        if kind == "dict":
            return {k: one(v) for k, v in inner}
        made = [one(v) for v in inner]
        return tuple(made) if kind == "tuple" else made

    return one(facts["tree"])


# --------------------------------------------------------------------------- the first pass
def of_scan(reader, seen):
    """(arrays, facts) of what the first pass told."""
    arrays = {f"count.{k}": v for k, v in seen.counts.items()}
    arrays |= {f"number.{k}": v for k, v in seen.sample.numbers.items()}
    arrays |= {f"id.{k}": v for k, v in seen.sample.ids.items()}
    if seen.distinct is not None:
        arrays["distinct"] = seen.distinct
    facts = dict(
        rows=seen.rows, dropped=seen.dropped, sampled=seen.sample.rows,
        missed={str(k): v for k, v in reader.dropped.items()},
        levels={k: encode(list(v.values)) for k, v in reader.levels.items()},
        orders={k: encode([[list(o), i] for o, i in v.orders.items()]) for k, v in reader.levels.items()},
    )  # fmt: skip
    return arrays, facts


def scan_from(arrays, facts, reader):
    """`Seen` from what `of_scan` made; the reader knows its levels again."""
    part = lambda name: {k.removeprefix(name): v for k, v in arrays.items() if k.startswith(name)}
    for name, known in reader.levels.items():
        fresh = Levels(name, known.own_order, decode(facts["levels"][name]), known.filled)
        fresh.orders = {tuple(o): i for o, i in decode(facts["orders"][name])}
        fresh.closed = True
        known.__dict__.update(vars(fresh))
    reader.dropped = {int(k): v for k, v in facts["missed"].items()}
    reader.clean = {k for k, v in reader.dropped.items() if not v}
    sample = Block(facts["sampled"], part("number."), part("id."))
    return Seen(facts["rows"], facts["dropped"], part("count."), arrays.get("distinct"), sample)


def told_of(stream, layout, penalty, options):
    """{what: text} that says which fit a checkpoint is of."""
    digest = lambda value: hashlib.sha256(repr(value).encode()).hexdigest()[:16]
    values = [(type(v).__name__, np.asarray(v).tolist()) for v in jax.tree.leaves(penalty)]
    family = layout.family
    params = {k: np.asarray(v).tolist() for k, v in family.params.items()}
    formula = None if layout.formula is None else layout.formula.text
    precision = None if layout.precision is None else layout.precision.text
    model = [family.name, params, layout.link.name, layout.weight_kind, layout.given, layout.filled]
    return {
        "files": stream.fingerprint(), "share": digest([stream.mine, stream.rows]),
        "formula": json.dumps([formula, precision, layout.y, layout.intercept]), "model": json.dumps(model),
        "penalty": digest([type(penalty).__name__, values]),
        "options": json.dumps([str(type(options["solver"]).__name__), str(options["solver"])[:200], options["tol"],
                               options["dtype"]]),
    }  # fmt: skip
