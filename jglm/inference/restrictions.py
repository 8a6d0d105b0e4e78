"""Linear restrictions R coef = q as text, by the names of coefficients: "age = 0", "2*a - b = 1", "a = b, c = 0"."""

import itertools
import re
from typing import Any

import numpy as np

from jglm.inputs import checks

NUMBER = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")
OPERATORS = "+-*/()=,@"


def parse(texts, names, columns: Any):
    """(R (r, P), q (r,), labels) of texts, over the coefficients `names` of each of the `columns` of lin, column by
    column; columns is None where there is one.

    With several columns "age = 0" stands for one restriction in each, and "age @ b = 0" for the column b alone. Raises
    ValueError for what is not linear and for names that there are not.
    """
    R, q, labels = [], [], []
    for text in [texts] if isinstance(texts, str) else texts:
        if not isinstance(text, str):
            raise TypeError(f"a restriction is a {type(text).__name__}; it must be text such as 'age = 0'")
        for tokens in _split(_tokens(text, names, columns), ","):
            _one(tokens, text, len(names), columns, R, q, labels)
    if not R:
        raise ValueError("no restriction was given; write one such as 'age = 0'")
    return np.array(R), np.array(q), labels


def _one(tokens, text, p, columns: Any, R, q, labels):
    """Add the restrictions of one equation, or of a chain a = b = c."""
    sides = _split(tokens, "=")
    if any(not side for side in sides):
        raise ValueError(f"the restriction {text!r} has an empty side; write it as 'age = 0'")
    sides = sides if len(sides) > 1 else [*sides, [("number", 0.0)]]
    spread = columns is not None and any(kind == "name" and v[1] is None for kind, v in tokens)
    for j in range(len(columns or ())) if spread else [0]:
        label = "".join(_written(t, columns, j) for t in tokens).strip()
        size = p * (1 if columns is None else len(columns))
        values = [_Reader(side, text, p, size, j).read() for side in sides]
        for (a, c), (b, d) in itertools.pairwise(values):
            if not np.any(a - b):
                raise ValueError(f"the restriction {text!r} names no coefficient")
            R.append(a - b)
            q.append(d - c)
            labels.append(label if len(_split(tokens, "=")) > 1 else f"{label} = 0")


def _written(token, columns, j):
    kind, v = token
    if kind == "name":
        return v[2] + ("" if columns is None else f" @ {columns[j if v[1] is None else v[1]]}")
    return f"{v:g}" if kind == "number" else f" {kind} " if kind in "+-=" else kind


def _split(tokens, mark):
    parts, depth = [[]], 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if token[0] == mark and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _tokens(text, names, columns):
    """[(kind, value)]: ("name", (position, column or None, text)), ("number", v), (operator, operator)."""
    at, out = 0, []
    known = sorted(enumerate(names), key=lambda pair: -len(pair[1]))
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        quoted = text[at] == "`"
        found = _match(text, at + quoted, known)
        if found is not None:
            at += len(found[1]) + quoted
            if quoted:
                at = _expect(text, at, "`")
            column, at = _column(text, at, columns)
            out.append(("name", (found[0], column, found[1])))
            continue
        number = NUMBER.match(text, at)
        if number:
            out.append(("number", float(number[0])))
            at = number.end()
        elif text[at] in OPERATORS:
            out.append((text[at], text[at]))
            at += 1
        else:
            word = re.match(r"`?([^\s=,+\-*/]+)", text[at:])
            word = word[1] if word else text[at]
            raise ValueError(f"the restriction {text!r} names {word!r}, which is no coefficient"
                             f"{checks.nearest(word, names)} Names: {', '.join(names[:20])}")  # fmt: skip
    return out


def _match(text, at, known):
    """(position, name) of the longest name that stands at a place, as a whole word."""
    for i, name in known:
        end = at + len(name)
        if text.startswith(name, at) and not (name[-1:].isidentifier() and re.match(r"\w", text[end : end + 1])):
            return i, name
    return None


def _column(text, at, columns):
    """(column of lin or None, where the text goes on) after a name: "@ b"."""
    rest = re.match(r"\s*@\s*", text[at:])
    if rest is None:
        return None, at
    if columns is None:
        raise ValueError(f"the restriction {text!r} names a class by '@'; this model has one column of coefficients")
    at += rest.end()
    found = _match(text, at, sorted(enumerate(columns), key=lambda pair: -len(pair[1])))
    if found is None:
        raise ValueError(f"the restriction {text!r}: what follows '@' is none of the classes {', '.join(columns)}")
    return found[0], at + len(found[1])


def _expect(text, at, mark):
    if text[at : at + 1] != mark:
        raise ValueError(f"the restriction {text!r} has an open {mark!r}")
    return at + 1


class _Reader:
    """A linear expression as (coefficients (P,), constant); bare names stand for those of column j."""

    def __init__(self, tokens, text, p, size, j):
        self.tokens, self.text, self.p, self.size, self.j, self.at = tokens, text, p, size, j, 0

    def read(self):
        value = self._sum()
        if self.at < len(self.tokens):
            self._fail()
        return value

    def _fail(self):
        raise ValueError(f"the restriction {self.text!r} cannot be read; it must be linear in the coefficients, "
                         "such as '2*a - b = 1'")  # fmt: skip

    def _peek(self):
        return self.tokens[self.at][0] if self.at < len(self.tokens) else None

    def _take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def _sum(self):
        a, c = self._product()
        while self._peek() in ("+", "-"):
            sign = 1.0 if self._take()[0] == "+" else -1.0
            b, d = self._product()
            a, c = a + sign * b, c + sign * d
        return a, c

    def _product(self):
        a, c = self._factor()
        while self._peek() in ("*", "/"):
            kind = self._take()[0]
            b, d = self._factor()
            if np.any(b) and (kind == "/" or np.any(a)):
                self._fail()
            if kind == "/" and d == 0:
                raise ValueError(f"the restriction {self.text!r} divides by 0")
            a, c = (a / d, c / d) if kind == "/" else (a * d + b * c, c * d)
        return a, c

    def _factor(self):
        kind = self._peek()
        if kind is None:
            self._fail()
        kind, value = self._take()
        if kind in ("+", "-"):
            a, c = self._factor()
            return (a, c) if kind == "+" else (-a, -c)
        if kind == "number":
            return np.zeros(self.size), value
        if kind == "name":
            a = np.zeros(self.size)
            a[(self.j if value[1] is None else value[1]) * self.p + value[0]] = 1.0
            return a, 0.0
        if kind != "(":
            self._fail()
        found = self._sum()
        if self._peek() != ")":
            self._fail()
        self.at += 1
        return found
