"""Options written as calls: "ridge(2) + lasso(0.5)", "HAC(lags=4)", "minibatch(adam(0.01), epochs=3)".

The text is read as names and literals and never run: what a name stands for is looked up in a list.
"""

import ast
import inspect
from dataclasses import dataclass
from typing import Any

LONGEST = 10_000


@dataclass(frozen=True)
class Call:
    """A name with its arguments (numbers, text, None, True, False, lists of these, other calls); `given` is False for
    a bare name."""

    name: str
    args: tuple
    options: dict
    given: bool = True


def parse(text, what):
    """The Calls of a text, several where they stand with "+" between them. ValueError where it is none."""
    try:
        if len(text) > LONGEST:
            raise ValueError("it is too long")
        return _sum(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = "" if isinstance(error, (SyntaxError, RecursionError, MemoryError)) else f": {error}"
        raise ValueError(f"{what} {text[:200]!r} cannot be read{said}; write it as a name, or as name(0.5, "
                         "option=2)") from None  # fmt: skip


def one(text, what):
    """The only Call of a text."""
    found = parse(text, what)
    if len(found) > 1:
        raise ValueError(f"{what} {text!r} names {len(found)} things; give one")
    return found[0]


def make(call, known, what):
    """What the function of that name in `known` makes of the arguments.

    Raises ValueError for a name that is not there, with the nearest, and for arguments that the function does not take.
    """
    if call.name not in known:
        from jglm.inputs import checks

        raise ValueError(f"unknown {what} {call.name!r}{checks.nearest(call.name, known)} It may be {', '.join(known)}")
    function = known[call.name]
    try:
        signature = inspect.signature(function)
        bound = signature.bind(*call.args, **call.options)
    except TypeError as error:
        raise ValueError(f"{what} {call.name!r}: {error}; it takes {inspect.signature(function)}") from None
    return function(*bound.args, **bound.kwargs)


def _sum(node):
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_sum(node.left), *_sum(node.right)]
    if isinstance(node, ast.Name):
        return [Call(node.id, (), {}, False)]
    if isinstance(node, ast.Call):
        return [_call(node)]
    raise ValueError("it is no name and no call")


def _call(node):
    if not isinstance(node.func, ast.Name):
        raise ValueError("only a plain name can stand before the brackets")
    options = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in options:
            raise ValueError("an option is written name=value, once")
        options[keyword.arg] = _value(keyword.value)
    return Call(node.func.id, tuple(map(_value, node.args)), options)


def _value(node) -> Any:
    if isinstance(node, ast.Call):
        return _call(node)
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(v) for v in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand)
        if isinstance(value, (int, float)):
            return -value
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, (bool, int, float, str))):
        return node.value
    raise ValueError("its arguments must be numbers, text, None, True, False or lists of these")
