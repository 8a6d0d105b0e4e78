"""The data of a fit that stay on disk: sums over blocks of rows, each of them a `Prepared` of its own.

It stands where a `Prepared` stands; what needs all rows in memory at once says that it cannot have them.
"""

import copy
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jglm.fitting.padding import bind
from jglm.fitting.problem import Problem
from jglm.model import GRADIENT, HESSIAN, PRODUCT, VALUE, Data, evaluate
from jglm.streams import later, robust
from jglm.streams.checkpoint import Nothing
from jglm.streams.layout import Room
from jglm.streams.sources import told
from jglm.streams.threads import in_order


class NotInMemory(ValueError, AttributeError):
    """What was asked for needs all rows at once."""


class Streamed:
    """A stream seen through a `Layout`, after the first pass.

    `sample` is a Block of random rows, and as an attribute a `Prepared`; `rows` were read without missing values,
    `dropped` had some; names, levels, intercept, has_offset and designs (of the sample) are as a `Prepared` has them.
    """

    def __init__(self, stream, layout, reader, rows, dropped, sample):
        self.stream, self.layout, self.reader = stream, layout, reader
        self.rows, self.dropped = rows, dropped
        self.sample = layout.prepared(sample)
        self._shape = layout.prepared(sample.part(slice(0, 1)), room=Room(True)).design  # of a block, but for its rows
        sample = self.sample
        self.names, self.levels, self.intercept = layout.names, layout.response_levels, layout.intercept
        self.has_offset, self.designs = layout.has_offset, sample.designs
        # On a CPU XLA reads NumPy's memory, and is done with it before the next block is made.
        self.room = Room(True)
        self.nobs: float | None = None
        self.facts: dict = {}  # sums that later computations begin with
        self.bar: Any = None  # a `Passes` that tells how far a pass is
        self.checkpoint: Any = Nothing()
        self.label = ""  # of the pass, for its checkpoint
        self.groups: Any = None  # one of `streams.groups`, by which blocks tell the groups of their rows
        self.clusters: Any = None  # another, for robust covariances: told in their pass alone
        self.left_out: int | None = None  # the fold whose rows have weight 0

    def without(self, fold):
        """The same data with weight 0 in the rows of a fold."""
        other = copy.copy(self)
        other.left_out = fold
        return other

    def clustered(self):
        """The same data, whose blocks tell the clusters of their rows."""
        other = copy.copy(self)
        other.groups = self.clusters
        return other

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        raise NotInMemory(f"this needs {name} of all rows at once, and the rows of the fit stay on disk; use a "
                          "sample of them in memory, or give new rows where the method takes them")  # fmt: skip

    @property
    def has_constant(self):
        """Whether the design has a column of ones, as far as the sample tells."""
        return self.intercept or self.sample.design.has_ones(self.sample.weight > 0)

    def deferred(self, name, *args):
        """What `jglm.fitting.deferred` computes of data in memory."""
        with jax.enable_x64(True):
            return later.of(self, name, *args)

    def refuse_covariance(self, kind, groups):
        """ValueError for a covariance that this fit of a stream cannot have."""
        if groups is not None:
            raise ValueError("the clusters of a stream are a column that is named at the fit: jglm.glm(…, groups=…)")
        robust.check(kind, None if self.clusters is None else self.clusters.column)

    # ------------------------------------------------------------------ passes
    def blocks(self, index, going=lambda: None, check=False):
        """The blocks of a piece as `Prepared` (with whether all y are on the lattice of the family, where checked)."""
        before = 0
        for block in self.reader.blocks(index, self.stream.rows, going):
            try:
                made = self.layout.prepared(block, self.stream.rows, check, self.room)
            except (ValueError, LookupError) as error:
                where = told(self.stream.source.pieces[index])
                raise ValueError(f"{where}, of the rows after the first {before:,}: {error}") from None
            yield made if self.groups is None else self._grouped(made, self.groups.of(index, before, block), check)
            before += block.rows

    def _grouped(self, made, own, check):
        """What `prepared` made of a block, with the groups of its rows, -1 behind them."""
        prepared, whole = made if check else (made, True)
        group = np.full(len(prepared.weight), -1)
        group[: len(own)] = own
        weight = prepared.weight if self.left_out is None else np.where(group == self.left_out, 0.0, prepared.weight)
        prepared = dataclasses.replace(prepared, group=group, weight=weight)
        return (prepared, whole) if check else prepared

    def fold(self, function, combine, check=False):
        """function(Prepared) of every block, put together by `combine` in the order of the rows: of this process."""

        def look(index, going):
            found = None
            with jax.enable_x64(True):
                for prepared in self.blocks(index, going, check):
                    part = function(*prepared) if check else function(prepared)
                    found = part if found is None else combine(found, part)
            return found

        whole, mine, done = None, self.stream.mine, 0
        if self.bar is not None:
            self.bar.begin(self.label)
        begun = self.checkpoint.begun(self.label)
        if begun is not None:  # the sums of the first pieces, their leaves alone
            done, before = begun
        try:
            for part in in_order(look, mine[done:]):
                if begun is not None and part is not None:
                    whole, begun = jax.tree.unflatten(jax.tree.structure(part), before), None
                if part is not None:
                    whole = part if whole is None else combine(whole, part)
                done += 1
                self.checkpoint.keep_partial(self.label, done, None if done == len(mine) else jax.tree.leaves(whole))
                if self.bar is not None:
                    self.bar.advance(self.stream.source.pieces[mine[done - 1]].rows or 0)
        except KeyboardInterrupt:
            if whole is not None and done < len(mine):
                self.checkpoint.keep_partial(self.label, done, jax.tree.leaves(whole), now=True)
            raise
        return whole

    def total(self, function, check=False):
        """The sum over all blocks, of all processes, of a tree of arrays."""
        return self.stream.together.sum(self.fold(function, add, check))

    def data_of(self, model, prepared, kept, folded=True):
        """The `Data` of a block where the solver runs, of the kept columns; `folded`: as `Tabular` has it."""
        p = prepared
        design, size = p.design if kept.all() else p.design.columns(kept), p.size if model.family.free else None
        design = design if folded else dataclasses.replace(design, folded=False)
        return self.room.placed(Data(design, p.y, p.weight, p.offset, size, p.designs))

    def folded(self, tables, kept):
        """X'WX of all rows from the sum of the `Tables` of all blocks."""
        design = self._shape if kept.all() else self._shape.columns(kept)
        return np.asarray(_fold(design, tables))

    def problem(self, model, prepared, kept, dtype="float64"):
        """A block (or the sample) seen through a model."""
        return Problem(model, prepared, kept, dtype)

    def looker(self, model, kept, unchecked=lambda: False, take=lambda sums: None):
        """look(query, asks) -> Info of all rows; one that finds them `unchecked()` checks them, and `take` gets their
        `sums_of`."""
        folded = model.width() is not None or bool(model.family.free)
        passes = {asks: bind(evaluate, model, asks) for asks in (GRADIENT, HESSIAN, PRODUCT, VALUE)}

        def look(query, asks):
            answer = lambda block: jax.tree.map(
                np.asarray, passes[asks](self.data_of(model, block, kept, folded), query)
            )
            if unchecked():
                both = lambda prepared, lattice: (answer(prepared), sums_of(model, prepared, lattice))
                info, sums = self.total(both, check=True)
                take(sums)
            else:
                info = self.total(answer)
            if asks != HESSIAN or folded:
                return info
            return dataclasses.replace(info, hess=self.folded(info.hess, kept))

        return look


def over_blocks(stream, reader, function, combine):
    """function(Block) of all blocks, of all processes, put together in order."""

    def look(index, going):
        return functools.reduce(combine, (function(block) for block in reader.blocks(index, stream.rows, going)))

    own = functools.reduce(combine, in_order(look, stream.mine))
    return functools.reduce(combine, stream.together.gather(own))


_fold = jax.jit(lambda design, tables: design.fold(tables))


def add(a, b):
    """The sum of two trees of arrays; a None stays."""
    return jax.tree.map(lambda x, y: x + y, a, b)


def sums_of(model, prepared, lattice):
    """Sums over a block that need no coefficients: nobs, the count of rows in the likelihood, the weights, the weighted
    T(y), and how many blocks have values off the family's lattice."""
    on, w = prepared.weight > 0, prepared.weight
    count = np.sum(prepared.power[on])
    if model.family.prior_weights == "dispersion":
        count = prepared.nobs
    total = w @ (prepared.y if prepared.y.ndim > 1 else prepared.y[:, None]) if model.family.T_ is None else np.zeros(1)
    return dict(
        nobs=float(prepared.nobs), count=float(count), weight=float(w.sum()), total=total, off=float(not lattice)
    )


def mean_of(sums, like):
    """The weighted mean of y from their sums, shaped as one y."""
    mean = np.asarray(sums["total"]) / sums["weight"]
    return jnp.asarray(mean if like.ndim > 1 else mean[0])
