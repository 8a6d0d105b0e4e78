"""What a model takes of every block: which columns are read, and how a block of them becomes checked data.

The first pass tells the levels of the factors and the classes of the response; from then on every block is made into a
`Prepared` of its own, as if its rows were all the data.
"""

import threading

import jax
import numpy as np

from jglm.designs import Categorical, Dense, place
from jglm.designs.placement import aligned, copied
from jglm.fitting.padding import pad
from jglm.inputs import checks, coding, policies, response
from jglm.inputs import data as arrays
from jglm.streams import states
from jglm.streams.factors import Groups
from jglm.streams.sources import family_of
from jglm.streams.tabular import Tabular

NAMED = ("weights", "offset", "exposure", "trials")
GROUPS = ("folds", "groups")


class Layout:
    """The columns of a stream that a model takes.

    Args:
        stream: the `Stream`. formula: a `Formula`, or None for all other columns as numbers; y: then its column.
        given: {one of NAMED and GROUPS: the name of a column, or None}.
        precision: a `Formula` of the family's regressed parameter, or None.

    Attributes: numbers and factors, the names of columns that are read as such; `names` of the design's columns, known
    after `settle`.
    """

    def __init__(self, stream, family, link, formula, y, given, *, weight_kind, intercept, names=None, precision=None):
        self.family, self.link, self.formula, self.precision = family, link, formula, precision
        self.weight_kind, self.given = weight_kind, {k: v for k, v in given.items() if v is not None}
        self.schema = stream.schema
        for what, name in self.given.items():
            if not isinstance(name, str):
                raise TypeError(f"{what} is {type(name).__name__}; with a stream it must be the name of a column")
        self.y, self.intercept = (_column_of_response(formula), False) if formula else (y, bool(intercept))
        self.groups, self._others, self._code_type = None, None, np.dtype(np.uint8)
        self.levels: dict = {}
        self.filled: list = []  # factors of which missing values are a level
        self.drops = formula is not None and formula.policy.missing != "error"
        self.response_levels: list = []
        if formula is None:
            self._take_all(stream, names)
        else:
            self._take_named(stream)
        self.has_offset = "offset" in self.given or "exposure" in self.given
        self.labels = family.response == "label" and self.y is not None

    # ------------------------------------------------------------------ which columns
    def _take_all(self, stream, names):
        if not isinstance(self.y, str):
            raise TypeError("with a stream y must be the name of a column")
        beside = {self.y, *self.given.values()}
        taken = [name for name in stream.columns if name not in beside]
        for name in [*beside, *taken]:
            stream.refuse_unknown(name)
        labels = [name for name in taken if self._kind(name) != "number"]
        if labels:
            raise TypeError(f"column {labels[0]!r} is {self.schema.field(labels[0]).type}, which is no number; leave "
                            "it out by columns= or use jglm.glm, which takes factors")  # fmt: skip
        own = names or taken
        if len(own) != len(taken):
            raise ValueError(f"names has {len(own)} entries, the stream has {len(taken)} columns for X")
        if self.intercept and "Intercept" in own:
            raise ValueError("X has a column named 'Intercept'; use intercept=False or rename it")
        self.names = ["Intercept", *own] if self.intercept else list(own)
        self._simple_terms = [(name,) for name in taken]
        self._simple_terms = [(), *self._simple_terms] if self.intercept else self._simple_terms
        self.positions = np.arange(len(self.names), dtype=np.int32)
        if not self.names:
            raise ValueError("X has no columns and intercept=False; there is nothing to estimate")
        self.factors = [n for n in (self.y, *self._grouping) if self._kind(n) == "label"]
        self.numbers = [n for n in dict.fromkeys([*taken, self.y, *self.given.values()]) if n not in self.factors]

    def _take_named(self, stream):
        formula, more = self.formula, self.precision.right_variables if self.precision else []
        for name in [*formula.variables, *self.given.values(), *more]:
            stream.refuse_unknown(name)
        bare = {f.expr for term in formula.rhs for f in term.factors}
        marked = {coding.column_of(expr) for expr in bare if coding.column_of(expr) not in (None, expr)}
        both = sorted(str(name) for name in marked if name in bare and self._kind(name) == "number")
        if both:
            raise ValueError(f"column {both[0]!r} stands as a number and in C() besides; with a stream give one of "
                             "them another name")  # fmt: skip
        used = [*formula.variables, *more]
        for name in used:
            if self._kind(name) == "other":
                raise TypeError(f"column {name!r} is {self.schema.field(name).type}, which a stream cannot read as a "
                                "number or a factor; write it as one of them")  # fmt: skip
        self.factors = [n for n in dict.fromkeys([*used, *self._grouping]) if self._kind(n) == "label" or n in marked]
        self.numbers = [n for n in dict.fromkeys([*used, *self.given.values()]) if n not in self.factors]
        if formula.policy.missing == "as_missing":
            alone = policies.never_numbers([formula, self.precision])
            self.filled = [n for n in self.factors if n in alone and n != self.y]
        self.names = []

    @property
    def columns(self):
        """{"weights" | …: the name of a column} of what a row of the model brings besides the formula."""
        return {k: v for k, v in self.given.items() if k in NAMED}

    @property
    def _grouping(self):
        return [self.given[k] for k in GROUPS if k in self.given]

    def _kind(self, name):
        return family_of(self.schema.field(name).type)

    # ------------------------------------------------------------------ what the first pass told
    def settle(self, levels, ordered, distinct, sample, blocks):
        """Decide the columns of the design and the classes of the response.

        Args:
            levels: {column: Levels}. ordered: {column: numbers of its levels in order}. distinct: sorted values of a
                response of labels that is a number, else None.
            sample: a Block of some rows. blocks(function, combine): function(Block) of all blocks, put together.
        """
        self.levels = {k: [levels[k].values[i] for i in ordered[k]] for k in levels}
        self.ordered, self.sizes = ordered, {k: len(v.values) for k, v in levels.items()}
        self._place = {k: _inverse(ordered[k], self.sizes[k]) for k in levels}
        if self.formula is not None:
            self._settle_formula(sample, blocks)
        if self.labels:
            found = self.levels[self.y] if self.y in self.levels else [v.item() for v in np.asarray(distinct)]
            self.response_levels, self.family = _classes(self.family, found)
        encoded = self._encoded(sample, None)
        self.family, self.response_levels = encoded[1], encoded[0].levels or []
        if self.precision is not None:
            states.refuse(self.precision)
            self.precision.fit(self.frame(sample, self.precision.right_variables))

    def _settle_formula(self, sample, blocks):
        formula = self.formula
        frame = self.frame(sample, formula.right_variables)
        known = {k: frame[k].array for k in self.factors if k in frame}
        formula.spec = formula._materialize(formula.rhs, coding.few_rows(frame, known)).model_spec
        states.learn_from(self, formula, blocks, sample)
        coded, rest = coding.split(formula.spec, known)
        offset = [t for t in rest if any("offset(" in str(c) for c in t.columns)]
        simple = [t for t in rest if self._simple(t) is not None and t not in offset]
        if not formula.intercept:
            simple = [t for t in simple if list(t.columns) != ["Intercept"]]
        others = [t for t in rest if t not in simple and list(t.columns) != ["Intercept"]]
        self._others = coding.numeric_spec(formula.spec, others, False) if others else None
        other_names = []
        if others:
            formula._split(formula._materialize(self._others, frame.iloc[:2]))
            other_names = list(formula.names)
        own = set(other_names)
        chosen = [t for t in formula.spec.structure if t in coded or t in simple or t in others]
        self.names = [c for t in chosen for c in map(str, t.columns) if t not in others or c in own]
        if len(self.names) != len(set(self.names)):
            raise ValueError(f"formula {formula.text!r} gives two columns the same name")
        formula.names = self.names
        place = {name: j for j, name in enumerate(self.names)}
        self._simple_terms = [self._simple(t) for t in simple]
        positions = [place[str(c)] for t in simple for c in t.columns] + [place[c] for c in other_names]
        self.positions, self.has_offset = np.array(positions, np.int32), self.has_offset or bool(offset)
        self.groups = Groups(coded, self.ordered, self.sizes, self.names, len(self.names)) if coded else None
        self._code_type = self.groups.dtype if self.groups else self._code_type

    def _simple(self, term):
        """The numeric columns of which a term is the product, () for the intercept; None for any other term."""
        if len(term.columns) != 1 or len(term.scoped_terms) != 1 or term.scoped_terms[0].scale != 1:
            return None
        exprs = [f.factor.expr for f in term.scoped_terms[0].factors]
        return tuple(exprs) if all(e in self.numbers for e in exprs) else None

    # ------------------------------------------------------------------ blocks
    def positions_of(self, block, name):
        """(rows,): the positions of a factor's levels in their order."""
        return self._place[name][block.ids[name]]

    def frame(self, block, columns):
        """A block's columns as a pandas frame, factors with all their levels."""
        import pandas

        made = {}
        for name in columns:
            if name in self.factors:
                made[name] = pandas.Categorical.from_codes(self.positions_of(block, name), self.levels[name])
            else:
                made[name] = block.numbers[name]
        return pandas.DataFrame(made, index=pandas.RangeIndex(block.rows))

    def prepared(self, block, size=None, check=False, room=None):
        """The block as a `Prepared` of `size` rows, those behind its own of weight 0; checked where that is wanted, and
        then with whether all y are on the family's lattice. In `room` arrays that are used again."""
        size, room = block.rows if size is None else size, room or Room()
        weights = self._weights(block, check)
        encoded, _ = self._encoded(block, weights if "weights" in self.given else None)
        w = np.ones(block.rows) if weights is None else weights
        weight, scale, power = arrays.likelihood_weights(self.family, w, encoded.size, self.weight_kind)
        whole = True
        if check and self.family.response in ("value", "proportion"):
            whole = checks.in_support(self.family, encoded.y, weight > 0)
        design, shift = self._design(block, size, check, room)
        on = weight > 0
        nobs = float(np.sum(power[on])) if self.weight_kind == "frequency" else float(np.sum(on))
        made = arrays.Prepared(
            design, room.filled("y", encoded.y, size, True), room.filled("weight", weight, size),
            room.filled("size", scale, size, True), room.filled("power", power, size),
            room.filled("offset", self._offset(block, shift), size, True), self.names, self.response_levels or None,
            self.intercept, nobs, self.has_offset, self._second(block, size),
        )  # fmt: skip
        return (made, whole) if check else made

    def _second(self, block, size):
        """{name: design} of the family's regressed parameter."""
        if self.precision is None:
            return {}
        Z = self.precision.transform(self.frame(block, self.precision.right_variables))[0]
        return {self.family.regressed: pad(np.asarray(Z, float), 0, size)}

    def _weights(self, block, check):
        if "weights" not in self.given:
            return None
        w = block.numbers[self.given["weights"]].astype(np.float64)
        if check:
            checks.refuse("weights", ~np.isfinite(w), "NaN or infinite", "drop or fill them")
            checks.refuse("weights", w < 0, "negative", "weights must be >= 0")
        return w

    def _encoded(self, block, weights):
        """(Response, family) of a block."""
        trials = block.numbers[self.given["trials"]] if "trials" in self.given else None
        if self.labels:
            family, levels = self.family, self.response_levels
            if self.y not in block.ids:
                return response.encode(family, block.numbers[self.y], None, weights, levels)
            codes = self.positions_of(block, self.y)
            values = codes.astype(float) if family.dim is None else np.eye(len(levels))[codes]
            return response.Response(values, None, levels), family
        if self.y is not None and self.y in block.numbers:
            y = block.numbers[self.y]
        elif self.y is not None:
            raise TypeError(f"y is the column {self.y!r} of text; family {self.family.name!r} takes numbers")
        else:
            y = self.formula.y(self.frame(block, self.formula.variables))
        return response.encode(self.family, y, trials, weights, self.response_levels or None)

    def _offset(self, block, shift):
        pick = lambda what: block.numbers[self.given[what]] if what in self.given else None
        total = arrays.offsets(pick("offset"), pick("exposure"), block.rows, self.link.width(self.family))
        return total if shift is None else total + (shift if total.ndim == 1 else shift[:, None])

    def _design(self, block, size, check, room):
        """(design of `size` rows, offset of the formula or None)."""
        shift = None
        columns = [_product(block, names) for names in self._simple_terms]
        if self._others is not None:
            needed = self.formula.right_variables
            values, shift = self.formula._split(self.formula._materialize(self._others, self.frame(block, needed)))
            self.formula.names = self.names
            columns += list(values.T)
        X = room.array("X", (len(columns), size), np.float64)
        for own, column in zip(X, columns, strict=True):
            own[: block.rows] = 1.0 if column is None else column
        X[:, block.rows :] = 0.0
        if check:
            _refuse_infinite(X, [self.names[j] for j in self.positions])
        width, groups = len(self.names), self.groups
        codes = room.array("codes", (0 if groups is None else len(groups.strides), size), self._code_type)
        if groups is not None:
            groups.codes(block.ids, block.rows, codes)
            codes[:, block.rows :] = 0
        if room.used_again:
            members = np.full((0, 1, 1), width, np.int32) if groups is None else groups.members
            return Tabular(
                X, room.kept("positions", self.positions), codes, room.kept("members", members), width
            ), shift
        if groups is None:
            return Dense(np.ascontiguousarray(X[np.argsort(self.positions)].T)), shift
        return Categorical(np.ascontiguousarray(X.T), self.positions, codes, groups.members, width), shift


class Room(threading.local):
    """Arrays by name, made anew; with `used_again` the same ones every time, in every thread its own."""

    def __init__(self, used_again=False):
        self.used_again, self.arrays, self.there = used_again, {}, {}

    def placed(self, tree):
        """The tree where the solver runs. On a CPU an array of this room is put there once: XLA then reads the memory
        as it is at each call, so nothing may still run when it is written to again."""
        if not self.used_again or jax.default_backend() != "cpu":
            return place(tree)
        return jax.tree.map(self._placed, tree)

    def _placed(self, v):
        known = self.there.get(id(v))
        if known is not None and known[0] is v:
            return known[1]
        there = place(v)
        mine = isinstance(v, np.ndarray) and any(v is own for own in self.arrays.values())
        if mine and there.unsafe_buffer_pointer() == v.ctypes.data:
            self.there[id(v)] = v, there
        return there

    def array(self, name, shape, dtype):
        """An array of any contents, aligned so that XLA uses it where it lies."""
        if not self.used_again:
            return np.empty(shape, dtype)
        found = self.arrays.get(name)
        if found is None or found.shape != shape or found.dtype != dtype:
            found = self.arrays[name] = aligned(shape, dtype)
        return found

    def kept(self, name, values):
        """An array that is the same for all blocks."""
        if self.arrays.get(name) is None or self.arrays[name].shape != values.shape:
            self.arrays[name] = copied(values)
        return self.arrays[name]

    def filled(self, name, values, size, repeat=False):
        """The values with zeros behind, or with the first of them again, `size` rows in all."""
        out = self.array(name, (size, *values.shape[1:]), np.float64)
        out[: len(values)] = values
        out[len(values) :] = values[0] if repeat else 0.0
        return out


def _column_of_response(formula):
    """The column that is the response, None for an expression."""
    terms = list(formula.lhs)
    if len(terms) == 1 and len(terms[0].factors) == 1 and terms[0].factors[0].eval_method.value == "lookup":
        return terms[0].factors[0].expr
    return None


def _inverse(order, size):
    """For every number its position in the order, -1 for one that is not in it."""
    place = np.full(size, -1)
    place[order] = np.arange(len(order))
    return place


def _classes(family, found):
    """(levels of a response of labels, family with its number of classes)."""
    if family.dim is None:
        return response._two(found), family
    if len(found) < 2:
        raise ValueError(f"y has the single class {found[0]!r}; family {family.name!r} needs at least two")
    if family.dim not in (-1, len(found)):
        raise ValueError(f"y has {len(found)} classes ({found[:5]}); family {family.name!r} was given k = {family.dim}")
    return list(found), family.with_dim(len(found))


def _product(block, names):
    """The product of some columns; None for a constant."""
    if not names:
        return None
    values = block.numbers[names[0]]
    for name in names[1:]:
        values = values.astype(float) * block.numbers[name]
    return values


def _refuse_infinite(X, names):
    with np.errstate(all="ignore"):
        total = X.sum(axis=1)
    for j in np.flatnonzero(~np.isfinite(total)):
        checks.refuse(f"column {names[j]!r}", ~np.isfinite(X[j]), "NaN or infinite",
                      "drop those rows or change the transform")  # fmt: skip
