"""The factors of a formula by NumPy alone: arithmetic, elementwise functions and transforms with their kept states.

The text of a factor is walked as a tree and never run; what is not listed here is refused. The numbers are those of
formulaic to the last bit, since every operation is the same and in the same order; cubic regression splines alone, for
which it solves a banded system, to rounding.
"""

import ast
import inspect
import operator
import re

import numpy as np

FUNCTIONS = (
    "abs", "absolute", "arccos", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "ceil", "cos", "cosh", "exp", "exp2",
    "expm1", "fabs", "floor", "fmax", "fmin", "hypot", "log", "log10", "log1p", "log2", "maximum", "minimum", "rint",
    "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
)  # fmt: skip
OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Eq: operator.eq, ast.NotEq: operator.ne,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
ABOUT = "; load the file with jglm.load, which knows all of formulaic, or use fit.export()"


def tree_of(expr):
    """(syntax tree of an expression, {name in it: column} of the names that were in backquotes); formulaic calls such
    names the same in the texts of states. ValueError where it cannot be read."""
    names: dict = {}

    def placed(match):
        mark = re.sub(r"\W", "_", match[1])
        mark = mark if mark.isidentifier() else f"_{mark}"
        names[mark] = match[1]
        return mark

    try:
        return ast.parse(re.sub(r"`([^`]+)`", placed, expr).strip(), mode="eval").body, names
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{expr!r} cannot be read as an expression") from None


def columns_of(expr):
    """The columns that an expression names."""
    node, names = tree_of(expr)
    apart = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    apart |= {id(n.value) for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    found = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in apart]
    return list(dict.fromkeys(names.get(name, name) for name in found))


def numbers(expr, columns, states):
    """{suffix of the name: (n,) values} of a factor that holds numbers: one column, or those of a basis.

    `columns` maps names to values; `states` {text of a call: its state}. Raises ValueError for text that says anything
    else than arithmetic and known transforms.
    """
    node, names = tree_of(expr)
    known = {ast.dump(tree_of(text)[0]): state for text, state in states.items()}
    value = _Reader(columns, names, known).value(node)
    return value if isinstance(value, dict) else {"": value}


class _Reader:
    """The values of the nodes of one expression."""

    def __init__(self, columns, names, states):
        self.columns, self.names, self.states = columns, names, states

    def value(self, node):
        method = getattr(self, f"of_{type(node).__name__}", None)
        if method is None:
            raise ValueError(f"{ast.unparse(node)!r} is not evaluated by NumPy alone{ABOUT}")
        return method(node)

    def of_Name(self, node):
        return np.asarray(self.columns[self.names.get(node.id, node.id)], float)

    def of_Constant(self, node):
        if not isinstance(node.value, (int, float)):
            raise ValueError(f"{node.value!r} stands where a number belongs")
        return node.value

    def of_UnaryOp(self, node):
        return self._applied(node, node.op, node.operand)

    def of_BinOp(self, node):
        return self._applied(node, node.op, node.left, node.right)

    def of_Compare(self, node):
        if len(node.ops) > 1:
            raise ValueError(f"{ast.unparse(node)!r} compares more than two values{ABOUT}")
        return self._applied(node, node.ops[0], node.left, node.comparators[0]).astype(float)

    def _applied(self, node, op, *parts):
        function = OPERATORS.get(type(op))
        if function is None:
            raise ValueError(f"{ast.unparse(node)!r} is not evaluated by NumPy alone{ABOUT}")
        return function(*map(self.value, parts))

    def of_Call(self, node):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in FUNCTIONS and not node.keywords:
            return getattr(np, name)(*map(self.value, node.args))
        if name not in TRANSFORMS:
            raise ValueError(f"{ast.unparse(node)!r} is not evaluated by NumPy alone{ABOUT}")
        function, x = TRANSFORMS[name], self.value(node.args[0])
        if not isinstance(x, np.ndarray):
            raise ValueError(f"{ast.unparse(node)!r} is of no column")
        given = [ast.literal_eval(v) for v in node.args[1:]], {k.arg: ast.literal_eval(k.value) for k in node.keywords}
        state = self.states.get(ast.dump(node), {})
        bound = inspect.signature(function).bind(x, state, *given[0], **given[1])
        try:
            return function(*bound.args, **bound.kwargs)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"{ast.unparse(node)!r} has no state in the model file that fits it ({error})") from None


# --------------------------------------------------------------------------- transforms with their states
def same(x, state):
    return x


def scale(x, state, center=True, scale=True, ddof=1):
    """(x - center) / scale, as far as they are kept."""
    x = x if state["center"] is None else x - state["center"]
    return x if state["scale"] is None else x / state["scale"]


def centered(x, state):
    return scale(x, state)


def poly(x, state, degree=1, raw=False):
    """Orthogonal polynomials by their three-term recurrence, or plain powers."""
    if raw:
        return {f"[{k - 1}]": np.power(x, k) for k in range(1, degree + 1)}
    alpha, norms2 = state["alpha"], state["norms2"]
    P = np.empty((len(x), degree + 1))
    P[:, 0] = 1
    for i in range(1, degree + 1):
        P[:, i] = (x - alpha[i - 1]) * P[:, i - 1]
        if i >= 2:
            P[:, i] -= norms2[i - 1] / norms2[i - 2] * P[:, i - 2]
    P /= np.array([np.sqrt(norms2[k]) for k in range(degree + 1)])
    return {f"[{k}]": P[:, k] for k in range(1, degree + 1)}


def bs(x, state, df=None, knots=None, degree=3, include_intercept=False, lower_bound=None, upper_bound=None,
       extrapolation="raise"):  # fmt: skip
    """B-splines by the recursion of Cox and de Boor (de Boor 1978, chapter X)."""
    x, _ = _bounded(x, state, extrapolation)
    t = state["knots"]
    alpha = lambda i, j: (x - t[i]) / (t[i + j] - t[i]) if t[i + j] != t[i] else 0
    B = {i: _within(x, t, i, degree, extrapolation == "extend") for i in range(len(t) - 1)}
    for d in range(1, degree + 1):
        B = {i: alpha(i, d) * B[i] + (1 - alpha(i + 1, d)) * B[i + 1] for i in range(len(t) - d - 1)}
    return {f"[{i}]": B[i] for i in sorted(B) if i > 0 or include_intercept}


def _within(x, t, i, degree, extends):
    """1 where x lies between knots i and i + 1; the last interval has its end, and with `extends` there is none."""
    last = i + 1 == len(t) - degree - 1
    if extends:
        return ((x >= (-np.inf if i == degree else t[i])) & (x < (np.inf if last else t[i + 1]))).astype(float)
    return ((x >= t[i]) & ((x <= t[i + 1]) if last else (x < t[i + 1]))).astype(float)


def cubic(x, state, df=None, knots=None, lower_bound=None, upper_bound=None, constraints=None, extrapolation="extend"):
    """Natural or cyclic cubic regression splines by their values at the knots (Wood 2006, section 4.1.2)."""
    x, outside = _bounded(x, state, extrapolation)
    t, cyclic = np.array(state["knots"]), bool(state["cyclic"])
    if cyclic:
        x, round_ = x.copy(), t[-1] - t[0]
        x[x > t[-1]] = t[0] + (x[x > t[-1]] - t[-1]) % round_
        x[x < t[0]] = t[-1] - (t[0] - x[x < t[0]]) % round_
    j = np.clip(np.searchsorted(t, x) - 1, 0, len(t) - 2)
    n, gap = len(t) - cyclic, np.diff(t)
    up, h, right, left = (j + 1) % n, gap[j], t[j + 1] - x, x - t[j]
    below = np.where(x > t[-1], 0.0, right**3 / (6 * h)) - h * right / 6
    above = np.where(x < t[0], 0.0, left**3 / (6 * h)) - h * left / 6
    values, bends = np.eye(n), _bends(gap, cyclic)
    parts = ((right / h, values[j]), (left / h, values[up]), (below, bends[j]), (above, bends[up]))
    basis = np.sum([weight[:, None] * rows for weight, rows in parts], axis=0)
    if state["constraints"] is not None:
        held = np.asarray(state["constraints"], float)
        basis = basis @ np.linalg.qr(held.T, mode="complete")[0][:, len(held) :]
    basis[outside & (extrapolation == "zero")] = 0.0
    return {f"[{k + 1}]": column for k, column in enumerate(basis.T)}


def _bends(h, cyclic):
    """(n, n) second derivatives at the knots of the spline that is 1 at one knot and 0 at the others."""
    n = len(h) + (0 if cyclic else 1)
    B, D = np.zeros((n, n)), np.zeros((n, n))
    for i in range(0 if cyclic else 1, n):
        before, after = h[i - 1], h[i % len(h)]
        B[i, i - 1] = B[i - 1, i] = before / 6
        D[i, i - 1] = D[i - 1, i] = 1 / before
        B[i, i], D[i, i] = (before + after) / 3, -1 / before - 1 / after
    inner = slice(None) if cyclic else slice(1, -1)
    found = np.zeros((n, n))
    found[inner] = np.linalg.solve(B[inner, inner], D[inner])  # a natural spline is straight at its ends
    return found


def _bounded(x, state, extrapolation):
    """(numbers as a spline takes them, which lie outside of its range)."""
    low, high = float(state["lower_bound"]), float(state["upper_bound"])
    outside = (x < low) | (x > high)
    if extrapolation == "raise" and np.any(outside):
        raise ValueError(f"a spline has {int(np.sum(outside))} values outside of {low:g} to {high:g}, its range at the "
                         f"fit (first: row {int(np.argmax(outside))})")  # fmt: skip
    if extrapolation == "clip":
        x = np.clip(x, low, high)
    return np.where(outside, np.nan, x) if extrapolation == "na" else x, outside


TRANSFORMS = {
    "I": same, "offset": same, "center": centered, "scale": scale, "standardize": scale, "poly": poly, "bs": bs,
    "cr": cubic, "cs": cubic, "cc": cubic,
}  # fmt: skip
