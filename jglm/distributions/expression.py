"""Functions as text: a small arithmetic grammar, read without running anything.

The text may hold nothing but numbers, names, operators and brackets; `ast` says how they belong together; a reader
turns the nodes that it knows into nested tuples, `("log1p", ("exp", ("variable",)))`, and refuses all others.
"""

import ast
import difflib
import functools
import math
import operator
import re
import unicodedata

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from jglm.distributions.special import log1mexp, log_ndtr, sigmoid, softplus

LONGEST, DEEPEST, LARGEST_EXPONENT, LARGEST_INDEX = 2000, 50, 1000, 999
LARGEST = 1e30  # of a number: finite in float32 too


@jax.custom_jvp
def logaddexp(u, v):
    """log(exp(u) + exp(v)), with derivatives by `sigmoid`: those of jnp.logaddexp cancel far out from the second on."""
    return jnp.logaddexp(u, v)


logaddexp.defjvps(lambda t, _, u, v: t * sigmoid(u - v), lambda t, _, u, v: t * sigmoid(v - u))

CONSTANTS = {"pi": math.pi, "e": math.e}
_BOTH = ("exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")  # of jax.numpy and math
FUNCTIONS = {
    **{name: getattr(jnp, name) for name in _BOTH}, "arctan": jnp.arctan, "gammaln": gammaln, "softplus": softplus,
    "sigmoid": sigmoid, "log1mexp": log1mexp, "log_ndtr": log_ndtr, "logaddexp": logaddexp,
}  # fmt: skip
REDUCTIONS = {"sum": jnp.sum, "logsumexp": jax.nn.logsumexp}  # over the whole vector
ALIASES = {"atan": "arctan", "lgamma": "gammaln"}
_NAMES = (*FUNCTIONS, *REDUCTIONS, *ALIASES)
_MEANT = {"ln": "log", "expit": "sigmoid", "logistic": "sigmoid", **{name: name for name in _NAMES}}

_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.USub: "neg"}
_ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "neg": operator.neg}
# log_cosh is a function of its own since u stands in it twice, which nesting would double each time.
_OPERATIONS = {**FUNCTIONS, **_ARITHMETIC, "**": jnp.power, "log_cosh": lambda u: logaddexp(u, -u) - math.log(2)}
_OF_NUMBERS = {name: getattr(math, name) for name in _BOTH} | _ARITHMETIC
_OF_NUMBERS |= {"**": math.pow, "arctan": math.atan, "gammaln": math.lgamma}

_TOKENS = re.compile(r"([ \t]|(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(?![\w.])|[A-Za-z]\w*|[-+*/(),\[\]])*", re.ASCII)
_STRANGE = {
    ".": "begins an attribute; functions are written without a module: exp, not np.exp",
    "^": "is no operator; a power is written **", "=": "is neither an assignment nor a keyword here",
    **dict.fromkeys("0123456789", "begins no decimal number; a product is written with *"),
}  # fmt: skip


def parse(text, variable="eta"):
    """The `Expression` that `text` says, such as "log1p(exp(eta))", "-r*log1mexp(eta)" or "logsumexp(eta)".

    It may use numbers, pi, e, the variable, names of parameters, + - * / **, parentheses and FUNCTIONS; for a vector
    also its components eta[0], eta[1], ... and sum or logsumexp of an expression of all of it.

    Raises TypeError where `text` is no text, ValueError where it says anything else; nothing is ever evaluated.

    >>> a = parse("log(1 + exp(eta))")
    >>> a, float(a(1000.0))
    (Expression('log(1 + exp(eta))'), 1000.0)
    """
    if not isinstance(text, str):
        raise TypeError(f"an expression must be text such as 'log1p(exp(eta))'; it is {type(text).__name__}")
    if not re.fullmatch(r"[A-Za-z]\w*", variable, re.ASCII) or variable in (*_NAMES, *CONSTANTS):
        raise ValueError(f"variable is {variable!r}; it must be a name such as 'eta', not one of a function")
    return Expression(*_Reader(text.strip(" \t\r\n"), variable).whole(), variable)


class Expression(functools.partial):
    """A function `expr(eta, **params)` with a text; `parse` makes it. It compares by what was written.

    It follows the dtype of eta, broadcasts (a vector eta lies along the last axis) and may be transformed by JAX.
    As a partial of tuples it is one key of the compilation cache however often it is parsed, and can be pickled.
    """

    tree: tuple  # what was written
    text: str  # in canonical form: parse(expr.text, expr.variable) == expr
    variable: str  # what eta is called
    parameters: tuple  # the sorted names of the others
    dim: int | None  # None for a scalar eta, else 1 + the largest index in use, -1 (any length) where none is

    def __new__(cls, tree, text, variable):
        names = tuple(sorted({node[1] for node in _walk(tree) if node[0] == "parameter"}))
        sizes = [node[1] + 1 for node in _walk(tree) if node[0] == "component"]
        dim = max(sizes) if sizes else -1 if any(node[0] in REDUCTIONS for node in _walk(tree)) else None
        self = super().__new__(cls, _evaluate, _stable(tree), names, dim)
        self.__dict__.update(tree=tree, text=text, variable=variable, parameters=names, dim=dim)
        return self

    def function(self):
        """What a Family takes: the expression itself, which `Fn` compares by its content."""
        return self

    def __eq__(self, other):
        return isinstance(other, Expression) and self.tree == other.tree

    def __hash__(self):
        return hash(self.tree)

    def __reduce__(self):
        return parse, (self.text, self.variable)  # so that what is unpickled is checked again

    def __repr__(self):
        return f"Expression({self.text!r})"


class _Reader:
    """Turns one text into a tree; a kind of node without a method of its own is refused."""

    def __init__(self, text, variable):
        self.text, self.variable = text, variable
        self.alone = None  # where the variable stands outside of sum and logsumexp

    def whole(self):
        """The tree of the text, and the text in canonical form."""
        if not 0 < len(self.text) <= LONGEST:
            raise ValueError(f"expression {_short(self.text)}: {len(self.text)} characters; allowed are 1 to {LONGEST}")
        if rest := _TOKENS.sub("", self.text, count=1):  # text in quotes, attributes and such: `ast` never sees them
            start, called = len(self.text) - len(rest), unicodedata.name(rest[0], "unprintable")
            raise self._refused(start, start + 1, _STRANGE.get(rest[0], f"({called}) may not be used"))
        try:
            body = ast.parse(self.text, mode="eval").body
        except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
            start = (getattr(error, "offset", None) or 1) - 1
            raise self._refused(start, None, f"cannot be read ({getattr(error, 'msg', 'too deep')})") from None
        tree, name = self.read(body, 0, False), self.variable
        if self.alone and any(node[0] in ("component", *REDUCTIONS) for node in _walk(tree)):
            raise self._no(self.alone, f"is a vector here: write {name}[0], sum(... {name} ...) or logsumexp({name})")
        text = ast.unparse(body)  # its spaces may make it too long to be read again
        return tree, text if len(text) <= LONGEST else self.text

    def read(self, node, depth, inside):
        """The tree of a node; `inside` says whether it stands in the argument of sum or logsumexp."""
        method = getattr(self, f"read_{type(node).__name__}", None)
        if method is None or depth > DEEPEST:
            why = f"is too deep: at most {DEEPEST} parts may be nested" if method else "is no arithmetic"
            raise self._no(node, f"{why} ({type(node).__name__})")
        tree = method(node, depth + 1, inside)
        try:
            _constant(tree)
        except (ArithmeticError, ValueError):
            raise self._no(node, f"is no number of size {LARGEST:g} at most") from None
        return tree

    def read_Constant(self, node, depth, inside):
        if type(node.value) not in (int, float):
            raise self._no(node, "is no real number")
        value = float(min(node.value, 2 * LARGEST))  # a whole number may be too large for a float
        node.value = int(value) if value % 1 == 0 and value < 1e16 else value  # 2.0 is written 2
        return ("number", value)

    def read_Name(self, node, depth, inside):
        if node.id in _NAMES:
            raise self._no(node, f"is a function: write {node.id}({self.variable})")
        if node.id in CONSTANTS:
            return ("number", CONSTANTS[node.id])
        if node.id != self.variable:
            return ("parameter", node.id)
        self.alone = self.alone if inside else node
        return ("variable",)

    def read_BinOp(self, node, depth, inside):
        sign, sides = _SIGNS.get(type(node.op)), [part for part in ast.iter_child_nodes(node) if part is not node.op]
        if sign is None:
            raise self._no(node, f"has an operator other than + - * / ** ({type(node.op).__name__})")
        tree = (sign, *(self.read(side, depth, inside) for side in sides))
        if sign == "**" and abs(_constant(tree[2]) or 0.0) > LARGEST_EXPONENT:
            raise self._no(node.right, f"is too large an exponent; {LARGEST_EXPONENT} is allowed")
        return tree

    read_UnaryOp = read_BinOp

    def read_Call(self, node, depth, inside):
        name = str(getattr(node.func, "id", None))
        if name not in _NAMES:
            near = difflib.get_close_matches(name.lower(), _MEANT, 1, 0.6)
            raise self._no(node.func, f"is no function{f'; did you mean {_MEANT[near[0]]!r}?' if near else ''}")
        name = node.func.id = ALIASES.get(name, name)
        if len(node.args) != 1 + (name == "logaddexp") or node.keywords:
            raise self._no(node, f"must give {name} {'two arguments' if name == 'logaddexp' else 'one argument'}")
        parts = [self.read(part, depth, inside or name in REDUCTIONS) for part in node.args]
        if name in REDUCTIONS and ("variable",) not in _walk(parts[0]):
            raise self._no(node, f"must run over the vector, as {name}(exp({self.variable})) does")
        return (name, *parts)

    def read_Subscript(self, node, depth, inside):
        index = getattr(node.slice, "value", None)
        if getattr(node.value, "id", None) != self.variable or type(index) is not int or index > LARGEST_INDEX:
            raise self._no(node, f"is no component; write {self.variable}[0] to {self.variable}[{LARGEST_INDEX}]")
        return ("component", index)

    def _no(self, node, why):
        return self._refused(node.col_offset, node.end_col_offset, why)

    def _refused(self, start, end, why):
        return ValueError(f"expression {_short(self.text)}: {_short(self.text[start:end], 40)} at character "
                          f"{start + 1} {why}. Allowed are numbers, pi, e, {self.variable}, {self.variable}[0], names "
                          f"of parameters, + - * / **, parentheses and {', '.join(sorted(_NAMES))}")  # fmt: skip


def _short(text, most=120):
    return repr(text) if len(text) <= most else f"{text[:most]!r}..."


def _walk(tree):
    """The tree and every tree in it."""
    return [tree, *(node for part in tree[1:] if isinstance(part, tuple) for node in _walk(part))]


def _constant(tree):
    """The value of a tree of numbers alone, None of another; ArithmeticError or ValueError if none or large."""
    op, *parts = tree
    if op == "number":
        value = parts[0]
    elif op not in _OF_NUMBERS or None in (values := [_constant(part) for part in parts]):
        return None
    else:
        value = _OF_NUMBERS[op](*values)
    if not abs(value) <= LARGEST:
        raise OverflowError
    return value + 0.0  # -0 is 0


def _stable(tree):
    """A tree of the same function that keeps digits: constants folded, whole powers and logarithms of sums known."""
    value = _constant(tree)
    if value is not None:
        return ("number", value)
    power = _constant(tree[2]) if tree[0] == "**" else None
    if power is not None and power % 1 == 0:
        return ("integer_pow", _stable(tree[1]), int(power))
    tree = tuple(_stable(part) if isinstance(part, tuple) else part for part in tree)
    if tree[0] not in ("log", "log1p"):
        return tree
    return _log([(1, ("number", 1.0))] * (tree[0] == "log1p") + _terms(tree[1], 1)) or tree


def _terms(tree, sign):
    """(sign, term) of each term of a sum."""
    if tree[0] not in ("+", "-", "neg"):
        return [(sign, tree)]
    first = [term for part in tree[1:-1] for term in _terms(part, sign)]
    return first + _terms(tree[-1], sign if tree[0] == "+" else -sign)


def _log(terms):
    """The logarithm of a sum where a stable form is known, else None."""
    constant = sum(sign * term[1] for sign, term in terms if term[0] == "number")
    rest = [(sign, term) for sign, term in terms if term[0] != "number"]
    known = {(-1, "expm1"): "log1mexp", (1, "cosh"): "log_cosh"}
    if constant == 0 and len(rest) == 1 and (alone := (rest[0][0], rest[0][1][0])) in known:
        return (known[alone], rest[0][1][1])
    # The logarithm of exp(u) is u, that of the sum of exp(u) over a vector logsumexp(u).
    logs = [t[1] for _, t in rest if t[0] == "exp"]
    logs += [("logsumexp", t[1][1]) for _, t in rest if t[0] == "sum" and t[1][0] == "exp"]
    signs = {sign for sign, _ in rest}
    if len(logs) < len(rest) or len(signs) != 1 or constant < 0 or (signs == {-1} and constant != 1):
        return None
    joined = functools.reduce(lambda u, v: ("logaddexp", u, v), logs)
    if constant in (0, 1):
        return ("log1mexp" if signs == {-1} else "softplus", joined) if constant else joined
    return ("logaddexp", ("number", math.log(constant)), joined)


def _evaluate(tree, names, dim, eta, /, **params):
    """The value of a tree at eta. TypeError for other parameters than `names`, ValueError for a wrong length of eta."""
    if set(params) != set(names):
        raise TypeError(f"the expression has the parameters {list(names)}; it was given {sorted(params)}")
    eta = jnp.asarray(eta, jnp.result_type(jnp.asarray(eta), 1.0))
    params = {name: jnp.asarray(value, jnp.finfo(eta.dtype).dtype) for name, value in params.items()}
    if dim is not None and (eta.ndim == 0 or eta.shape[-1] < dim):
        raise ValueError(f"eta has shape {eta.shape}; its last axis must be of length {max(dim, 1)} or more")
    value = jnp.asarray(_value(tree, eta, params, False), eta.dtype)
    shape = eta.shape if dim is None else eta.shape[:-1]  # a constant has none of its own
    return jnp.broadcast_to(value, jnp.broadcast_shapes(value.shape, shape))


def _value(tree, eta, params, keep):
    """The value of a tree; with `keep` scalars have an axis of length 1 where the vector has its own."""
    op, *parts = tree
    if op in ("number", "variable", "parameter"):
        return parts[0] if op == "number" else eta if op == "variable" else params[parts[0]]
    if op == "component":
        return eta[..., parts[0] : parts[0] + 1] if keep else eta[..., parts[0]]
    if op in REDUCTIONS:
        return REDUCTIONS[op](_value(parts[0], eta, params, True), axis=-1, keepdims=keep)
    if op == "integer_pow":
        return jax.lax.integer_pow(_value(parts[0], eta, params, keep), parts[1])
    return _OPERATIONS[op](*(_value(part, eta, params, keep) for part in parts))
