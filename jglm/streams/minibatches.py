"""Epochs of minibatches over a stream: row groups in random order, their rows shuffled, while the next are decoded."""

from typing import Any

import jax
import numpy as np

from jglm.fitting import minibatches
from jglm.fitting.iterate import Found
from jglm.fitting.problem import flatten_host
from jglm.solvers import Minibatch, Status
from jglm.streams.checkpoint import packed, unpacked
from jglm.streams.columns import joined
from jglm.streams.threads import in_order

DECODING = 1  # thread that decodes ahead, while this one steps


def is_asked(solver):
    """Whether a solver, or the name of one, is of minibatches."""
    return solver == "minibatch" if isinstance(solver, str) else isinstance(solver, Minibatch)


def by_minibatch(task):
    """The end of the epochs as `Found`: see `jglm.fitting.minibatches`, here of the rows of a stream."""
    data, options = task.data, task.options
    solver = Minibatch() if isinstance(options["solver"], str) else options["solver"]
    minibatches.refuse(task.model)
    if data.stream.together.count > 1:
        raise ValueError("minibatches are steps one after another; use one process, or solver='auto'")
    problem, n = task.seen(), data.rows
    batch = solver.batch or minibatches.batch_of(n)
    sample = minibatches.Sample(problem, batch, n)
    begin = sample.start if options["start"] is None else flatten_host(options["start"][task.kept])
    if not np.all(np.isfinite(begin)):
        return Found(begin, np.zeros_like(begin), Status.INVALID_START, np.zeros((1, 2)), "minibatch")
    size = minibatches.CHUNK // batch * batch or batch
    epoch = lambda i: _epoch(task, np.random.default_rng([int(solver.seed), i]), i, size)
    checkpoint = data.checkpoint
    keep = (lambda told: checkpoint.write("minibatch", *packed(told))) if checkpoint else None
    known: Any = checkpoint.read("minibatch") if checkpoint else None
    before: Any = None if known is None else unpacked(*known)
    found = minibatches.run(problem, solver, begin, sample.metrics, epoch, n, batch, data.bar, keep, before)
    if found.status == Status.INTERRUPTED and checkpoint:
        raise KeyboardInterrupt(f"interrupted; resume=True goes on from the checkpoint in {checkpoint.folder}")
    return found


def _epoch(task, rng, i, size):
    """(Prepared, design, rows in their order), `size` rows at a time."""
    data, waiting = task.data, []
    if data.bar is not None:
        data.bar.begin(f"epoch {i + 1}")
    pieces = rng.permutation(np.asarray(data.stream.mine)).tolist()
    decode = lambda index, going: list(data.reader.blocks(index, data.stream.rows, going))
    for blocks in in_order(decode, pieces, DECODING):
        if not blocks:
            continue
        whole = joined([*waiting, *blocks])
        blocks.clear()
        order, full = rng.permutation(whole.rows), whole.rows // size * size
        for first in range(0, full, size):
            yield _prepared(task, whole.part(order[first : first + size]))
        waiting = [whole.part(order[full:])] if full < whole.rows else []
    for left in waiting:
        yield _prepared(task, left)


def _prepared(task, block):
    with jax.enable_x64(True):
        prepared = task.data.layout.prepared(block)
    if task.data.bar is not None:
        task.data.bar.advance(block.rows)
    design = prepared.design if task.kept.all() else prepared.design.columns(task.kept)
    return prepared, design, np.arange(block.rows)
