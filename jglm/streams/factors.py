"""Factors of a formula as groups of codes: decided once for all blocks, so that a block only adds small integers."""

import numpy as np

from jglm.designs import Categorical
from jglm.inputs import coding

CELLS = 256  # combinations in a group, as in designs.categorical


class Groups:
    """Columns of a design that are 1 in rows of some combination of levels.

    Attributes:
        members: (g, c, m) the columns that are 1 in each combination, `width` for none, as `Categorical` has them.
        strides: for each group {column: by how much the number of its level counts}.
    """

    def __init__(self, terms, levels, sizes, names, width):
        """terms: coded terms of a formula's structure; levels: {column: numbers of its levels in order}; sizes:
        {column: how many numbers there are}."""
        place = {name: j for j, name in enumerate(names)}
        parts = [part for term in terms for part in _parts(term, levels, sizes, place)]
        groups: list = []
        for columns, table in sorted(parts, key=lambda part: -part[1].size):
            group = next((g for g in groups if _cells([*g, (columns, table)], sizes) <= CELLS), None)
            if group is None:
                groups.append([(columns, table)])
            else:
                group.append((columns, table))
        self.strides, tables = [], []
        for group in groups:
            stride, count = {}, 1
            for name in dict.fromkeys(name for columns, _ in group for name in columns):
                stride[name] = count
                count *= sizes[name]
            self.strides.append(stride)
            tables.append(_members(group, stride, sizes, count, width))
        most, deep = max(len(t) for t in tables), max(t.shape[1] for t in tables)
        self.members = np.full((len(tables), most, deep), width, np.int32)
        for own, table in zip(self.members, tables, strict=True):
            own[: len(table), : table.shape[1]] = table
        self.dtype = np.min_scalar_type(most - 1)
        self.width = width

    def codes(self, ids, rows, out):
        """The combination of each row in every group into out (g, rows)."""
        for own, stride in zip(out, self.strides, strict=True):
            for i, (name, step) in enumerate(stride.items()):
                if i == 0:
                    np.copyto(own[:rows], ids[name], casting="unsafe")
                    if step != 1:
                        own[:rows] *= self.dtype.type(step)
                elif ids[name].dtype == self.dtype:
                    own[:rows] += ids[name] * self.dtype.type(step)
                else:
                    own[:rows] += ids[name].astype(self.dtype) * self.dtype.type(step)

    def design(self, X, positions, codes):
        """The design of some rows."""
        return Categorical(X, positions, codes, self.members, self.width)


def _cells(group, sizes):
    return int(np.prod([sizes[name] for name in {name for columns, _ in group for name in columns}], dtype=float))


def _members(group, stride, sizes, count, width):
    """(count, m) the columns that are 1 in each combination of the levels of a group."""
    cell = np.arange(count)
    found = []
    for columns, table in group:
        at = tuple((cell // stride[name]) % sizes[name] for name in columns)
        found.append(np.where(table[at] < 0, width, table[at]))
    return np.stack(found, axis=1).astype(np.int32)


def _parts(term, levels, sizes, place):
    """(columns, table of the design's column for every combination of their numbers, -1 for none) of a term."""
    at = place[term.columns[0]]
    for scoped in term.scoped_terms:
        columns, table, stride = [], np.zeros((), int), 1
        for f in scoped.factors:  # the first factor runs fastest
            name = coding.column_of(f.factor.expr)
            own = np.full(sizes[name], -1)
            own[levels[name]] = np.arange(len(levels[name])) - int(f.reduced)
            table = np.where((table[..., None] < 0) | (own < 0), -1, table[..., None] + stride * own)
            columns.append(name)
            stride *= len(levels[name]) - int(f.reduced)
        yield columns, np.where(table < 0, -1, table + at)
        at += stride
