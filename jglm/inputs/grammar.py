"""What a formula may say, checked on its text before anything else reads it.

formulaic evaluates Python that stands in a formula, some of it while parsing. So its tokens are held against a list
first: arithmetic, columns, NumPy's elementwise functions, formulaic's transforms, and the user's own functions.
"""

import ast
import re

from jglm.inputs import checks

ELEMENTWISE = (
    "abs", "absolute", "arccos", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "ceil", "cos", "cosh",
    "exp", "exp2", "expm1", "fabs", "floor", "fmax", "fmin", "hypot", "log", "log10", "log1p", "log2", "maximum",
    "minimum", "mod", "power", "rint", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "where",
)  # fmt: skip
TRANSFORMS = (
    "I", "C", "bs", "cr", "cc", "cs", "center", "scale", "standardize", "poly", "lag", "offset", "Treatment", "Sum",
    "Helmert", "Diff", "Poly",
)  # fmt: skip
SIZED = ("bs", "cr", "cc", "cs", "poly", "lag")
CONTRASTS = ("treatment", "sum", "helmert", "diff", "poly", "SAS")
ATTRIBUTES = {("np", f) for f in ELEMENTWISE} | {("contr", c) for c in CONTRASTS}

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr)
_SIGNS = (ast.UAdd, ast.USub, ast.Invert)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
LONGEST = 20_000
DEEPEST = 50
LARGEST_POWER = 10  # of a sum of terms, all powers of a formula multiplied
MOST_TERMS = 100_000
MOST_STARS = 16
LARGEST_SIZE = 1000  # degrees of freedom of a spline, degree of a polynomial


def check(text, functions):
    """The columns that Python parts of a formula name, after all of it was found to be allowed.

    Raises TypeError where the formula is no text, ValueError where it cannot be read or says what it may not.
    """
    if not isinstance(text, str):
        raise TypeError(f"the formula must be text such as 'y ~ x + z'; it is {type(text).__name__}")
    if len(text) > LONGEST:
        raise ValueError(f"the formula has {len(text)} characters; {LONGEST} are allowed")
    from formulaic.parser.algos.tokenize import tokenize

    try:
        tokens = [(token.kind.value, token.token) for token in tokenize(text)]
    except Exception as error:
        raise unreadable(text, error) from None
    _check_operators(text, tokens)
    for kind, token in tokens:
        if kind == "python":
            variables(token, functions)


def unreadable(text, error):
    """The ValueError for a formula that formulaic cannot read, with its reason but without its colours."""
    lines = [line for line in re.sub(r"\x1b\[[\d;]*m|[⧛⧚]", "", str(error)).splitlines() if line.strip()]
    return ValueError(f"formula {text!r} cannot be read: {lines[0] if lines else type(error).__name__}")


def _check_operators(text, tokens):
    """No parts with '|', and no expansion that would take for ever."""
    power, stars = 1, 0
    for i, (kind, token) in enumerate(tokens):
        if kind != "operator":
            continue
        if "|" in token:  # formulaic joins neighbouring operators into one token
            raise ValueError(f"formula {text!r} has a '|'; a formula has one left-hand and one right-hand side")
        if "**" in token or "^" in token:
            rest = [t for k, t in tokens[i + 1 :] if k != "context"]
            power *= int(rest[0]) if rest and rest[0].isdigit() else LARGEST_POWER + 1
        elif "*" in token:
            stars += 1
    terms = sum(kind not in ("operator", "context") for kind, _ in tokens)
    if power > LARGEST_POWER or (power > 1 and (terms + 1) ** power > MOST_TERMS):
        raise ValueError(f"formula {text!r} raises a sum of terms to too large a power; "
                         "write the power of a column as I(x**2)")  # fmt: skip
    if stars > MOST_STARS:
        raise ValueError(f"formula {text!r} has {stars} products '*', each doubling the terms; write the interactions "
                         "that are meant as a:b")  # fmt: skip


def variables(expr, functions):
    """The names that one Python expression of a formula mentions; ValueError where it says what it may not."""
    if "`" in expr and ("'" in expr or '"' in expr):
        raise _refused(expr, "both text in quotes and a name in backquotes")
    quoted = {}

    def unquote(match):
        quoted[f"_quoted_{len(quoted)}"] = match[1]
        return f"_quoted_{len(quoted) - 1}"

    try:
        tree = ast.parse(re.sub(r"`([^`]+)`", unquote, expr).strip(), mode="eval")
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        raise ValueError(f"formula: {expr!r} cannot be read as an expression") from None
    names: set = set()
    _Checker(expr, functions, names).visit(tree.body, 0)
    return {quoted.get(n, n) for n in names}


class _Checker:
    """Walks the syntax tree of one expression; a kind of node without a method of its own is refused."""

    def __init__(self, expr, functions, names):
        self.expr, self.functions, self.names = expr, functions, names

    def visit(self, node, depth):
        method = getattr(self, f"see_{type(node).__name__}", None)
        if method is None:
            raise _refused(self.expr, type(node).__name__)
        if depth > DEEPEST:
            raise _refused(self.expr, f"more than {DEEPEST} nested parts")
        method(node, depth + 1)

    def see_Name(self, node, depth):
        if node.id.startswith("__"):
            raise _refused(self.expr, node.id)
        self.names.add(node.id)

    def see_Constant(self, node, depth):
        value = node.value
        if not (value is None or isinstance(value, (bool, int, float, str))):
            raise _refused(self.expr, repr(value))
        # formulaic pastes the text of a transform into code of its own, so text must need no escaping.
        if isinstance(value, str) and (re.search(r"[\\'\"`\[\]{}#]", value) or not value.isprintable()):
            raise _refused(self.expr, f"the text {value!r} with quotes, brackets or unprintable characters")

    def see_Attribute(self, node, depth):
        owner = node.value.id if isinstance(node.value, ast.Name) else None
        if (owner, node.attr) not in ATTRIBUTES:
            raise _refused(self.expr, ast.unparse(node))

    def see_Call(self, node, depth):
        if isinstance(node.func, ast.Name):
            self._check_function(node.func.id)
        elif isinstance(node.func, ast.Attribute):
            self.see_Attribute(node.func, depth)
        else:
            raise _refused(self.expr, f"a call of {ast.unparse(node.func)}")
        name = getattr(node.func, "id", "")
        for argument in (*node.args, *(k.value for k in node.keywords)):
            self._check_argument(name, argument)
            self.visit(argument, depth)

    def _check_argument(self, name, node):
        value = node.value if isinstance(node, ast.Constant) else None
        if name in ("I", "offset") and (isinstance(node, (ast.List, ast.Tuple)) or isinstance(value, str)):
            raise _refused(self.expr, "text or a list where a column belongs")
        if name in SIZED and isinstance(value, (int, float)) and value > LARGEST_SIZE:
            raise _refused(self.expr, f"a size above {LARGEST_SIZE}")
        if name in SIZED and isinstance(node, ast.BinOp) and _constant(node):
            raise _refused(self.expr, "arithmetic where a number belongs")

    def _check_function(self, name):
        known = (*ELEMENTWISE, *TRANSFORMS, *self.functions)
        if name not in known:
            raise ValueError(f"formula: {self.expr!r} calls {name!r}, which is not allowed"
                             f"{checks.nearest(name, known)} Give own ones by functions=")  # fmt: skip

    def see_BinOp(self, node, depth):
        if not isinstance(node.op, _OPERATORS):
            raise _refused(self.expr, type(node.op).__name__)
        for side in (node.left, node.right):
            if isinstance(side, (ast.List, ast.Tuple)) or (
                isinstance(side, ast.Constant) and isinstance(side.value, str)
            ):
                raise _refused(self.expr, "arithmetic with text or lists")
        if isinstance(node.op, ast.Pow) and not _mild(node):
            raise _refused(self.expr, "a large power of constants")
        self.visit(node.left, depth)
        self.visit(node.right, depth)

    def see_UnaryOp(self, node, depth):
        if not isinstance(node.op, _SIGNS):
            raise _refused(self.expr, type(node.op).__name__)
        self.visit(node.operand, depth)

    def see_Compare(self, node, depth):
        if not all(isinstance(op, _COMPARISONS) for op in node.ops):
            raise _refused(self.expr, "such a comparison")
        for part in (node.left, *node.comparators):
            self.visit(part, depth)

    def see_List(self, node, depth):
        for part in node.elts:
            self.visit(part, depth)

    see_Tuple = see_List


def _mild(power):
    """Whether a power cannot take for ever: of columns, or of one number to a small one."""
    if not _constant(power.left):
        return not any(isinstance(n, ast.Pow) for n in ast.walk(power.right)) or not _constant(power.right)
    if not _constant(power.right):
        return isinstance(power.left, ast.Constant)
    exponent = power.right.operand if isinstance(power.right, ast.UnaryOp) else power.right
    if not (isinstance(power.left, ast.Constant) and isinstance(exponent, ast.Constant)):
        return False
    return isinstance(exponent.value, (int, float)) and exponent.value <= 100


def _constant(node):
    return not any(isinstance(n, (ast.Name, ast.Call)) for n in ast.walk(node))


def _refused(expr, what):
    return ValueError(f"formula: {expr!r} contains {what}, which a formula may not; it may use columns, numbers, "
                      "arithmetic, NumPy's elementwise functions, formulaic's transforms and functions=")  # fmt: skip
