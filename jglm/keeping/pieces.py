"""What a term makes of one number as polynomials by pieces, found from its values: splines, polynomials, centring.

A factor of a formula that is built of one column by arithmetic and such transforms is a polynomial between its knots.
Chebyshev's points tell it to rounding, and its degree is where the Chebyshev coefficients end.
"""

import ast
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from jglm.keeping.numpyterms import tree_of

# Of a column before all else: the function and its inverse.
FUNCTIONS = {
    "log": np.exp, "log10": lambda u: 10.0**u, "log2": np.exp2, "log1p": np.expm1, "exp": np.log, "exp2": np.log2,
    "expm1": np.log1p, "sqrt": np.square,
}  # fmt: skip
TRANSFORMS = ("I", "offset", "center", "scale", "standardize", "poly", "bs", "cr", "cs", "cc")
POINTS, HIGHEST, ROUNDING = 17, 10, 1e-13


@dataclass(frozen=True)
class Atom:
    """A column, or a function of FUNCTIONS of it."""

    column: str
    function: str = ""

    def column_values(self, values):
        """The column where the atom has these values."""
        return FUNCTIONS[self.function](values) if self.function else np.asarray(values, float)


@dataclass(frozen=True)
class Piece:
    """On low <= u < high the sum over k of coefficients[k] ((u - origin) / unit)^k; coefficients (degree + 1, m)."""

    low: float
    high: float
    origin: float
    unit: float
    coefficients: np.ndarray


def atom_of(expr):
    """(`Atom`, whether the expression is nothing but it) of the text of a factor; ValueError with the reason where it
    is not built of one column in a way that polynomials by pieces can follow."""
    node, names = tree_of(expr)
    found = set(_atoms(node, names))
    if len(found) != 1:
        raise ValueError("it is made of more than one column" if found else "it is made of no column")
    while isinstance(node, ast.Call) and _name(node.func) in ("I", "offset"):
        node = node.args[0]
    return found.pop(), _single(node, names) is not None


def _name(func):
    """'log' of both log and np.log."""
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def _single(node, names):
    """The atom that a node is, else None."""
    if isinstance(node, ast.Name):
        return Atom(names.get(node.id, node.id))
    if isinstance(node, ast.Call) and _name(node.func) in FUNCTIONS and len(node.args) == 1:
        inner = node.args[0]
        return Atom(names.get(inner.id, inner.id), _name(node.func)) if isinstance(inner, ast.Name) else None
    return None


def _atoms(node, names):
    """All atoms of an expression; ValueError for what is no polynomial by pieces in them."""
    if (atom := _single(node, names)) is not None:
        return [atom]
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return []
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        return _atoms(node.operand, names)
    if isinstance(node, ast.Call) and _name(node.func) in TRANSFORMS and node.args:
        return _atoms(node.args[0], names)
    if isinstance(node, ast.BinOp):
        left, right = _atoms(node.left, names), _atoms(node.right, names)
        power = isinstance(node.op, ast.Pow) and isinstance(getattr(node.right, "value", None), int)
        ratio = isinstance(node.op, ast.Div) and not right
        if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)) or power or ratio:
            return left + right
    raise ValueError(f"{ast.unparse(node)} is no polynomial by pieces in one column")


def breaks_of(exprs, atom, states):
    """(knots, where) of factors of an atom: the knots of splines of it; (origin, unit) about which and how widely it
    is spread, as far as centring, scaling and poly() have kept that, else None. `states` {text of a call: state}."""
    knots: set = set()
    where = None
    calls = {ast.dump(n) for e in exprs for n in ast.walk(tree_of(e)[0]) if isinstance(n, ast.Call)}
    for text, state in states.items():
        node, names = tree_of(text)
        if ast.dump(node) not in calls or not isinstance(node, ast.Call) or _single(node.args[0], names) != atom:
            continue
        knots |= {float(k) for k in state.get("knots") or ()}
        if state.get("center") is not None:
            origin = float(state["center"])
            where = origin, float(state["scale"]) if state.get("scale") else max(abs(origin) / 100, 1e-3)
        elif "alpha" in state:
            where = float(state["alpha"][0]), float(np.sqrt(state["norms2"][1] / state["norms2"][0]))
    return sorted(knots), where


def pieces_of(evaluate, knots, where, positive=False):
    """The `Piece`s of a function `evaluate`: u (n,) -> (n, m), which raises ValueError where it has no value.

    Without knots it is one polynomial, taken about `where` (origin, unit), or else about the middle of its roots, where
    its terms do not cancel; `positive` says that u may be. Beyond the outer knots there is no piece where the function
    has no value or is no polynomial. Raises ValueError where it is no polynomial between its knots, or has no value.
    """
    if len(knots) < 2:
        if where is None:
            where = _about_roots(_piece(evaluate, -np.inf, np.inf, *((1.0, 0.5) if positive else (0.0, 1.0))))
        return [_piece(evaluate, -np.inf, np.inf, *where)]
    found = []
    for low, high, first, last in _segments(knots):
        try:
            found.append(_piece(evaluate, low, high, (first + last) / 2, (last - first) / 2))
        except ValueError:
            if np.isfinite(low) and np.isfinite(high):
                raise
            # Beyond its knots a transform may refuse numbers, or go round: whoever scores by the table refuses them.
    return found


def _piece(evaluate, low, high, origin, unit):
    """The `Piece` of a function that is looked at within `unit` of `origin`."""
    u = origin + unit * chebyshev.chebpts1(POINTS)
    try:
        values = evaluate(u)
    except ValueError:
        values = np.array([[np.nan]])
    if not np.all(np.isfinite(values)):
        raise ValueError(f"it has no value between {u[0]:g} and {u[-1]:g}")
    return Piece(low, high, origin, unit, _polynomials((u - origin) / unit, values))


def _about_roots(piece):
    """(origin, unit): the middle of the roots of polynomials that are multiples of one, and how far they reach."""
    one = piece.coefficients[:, int(np.argmax(np.abs(piece.coefficients[-1])))]
    if len(one) == 1:
        return piece.origin, piece.unit
    roots = piece.origin + piece.unit * np.roots(one[::-1])
    origin = float(np.mean(roots).real)
    return origin, max(float(np.max(np.abs(roots - origin))), abs(origin) / 100) or 1.0


def _segments(knots):
    """(low, high, first, last): from low to below high, looked at between first and last. The last knot belongs to what
    is before it."""
    span, end = knots[-1] - knots[0], float(np.nextafter(knots[-1], np.inf))
    inner = [(a, b, a, b) for a, b in itertools.pairwise(knots[:-1])]
    inner.append((knots[-2], end, knots[-2], knots[-1]))
    return [(-np.inf, knots[0], knots[0] - span, knots[0]), *inner, (end, np.inf, end, end + span)]


def _polynomials(s, values):
    """(degree + 1, m) coefficients in s of the polynomials with these values; s are Chebyshev's points, as rounded."""
    found = chebyshev.chebfit(s, values, POINTS - 1)
    size = np.max(np.abs(values), initial=1e-300)
    degree = int(np.max(np.flatnonzero(np.max(np.abs(found), axis=1) > ROUNDING * size), initial=0))
    if degree > HIGHEST:
        raise ValueError(f"it is no polynomial of degree {HIGHEST} or less between its knots")
    found = np.where(np.abs(found) > ROUNDING * size / 100, found, 0.0)[: degree + 1]
    return np.column_stack([np.pad(p, (0, degree + 1 - len(p))) for p in map(chebyshev.cheb2poly, found.T)])
