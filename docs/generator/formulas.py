"""Formulas of the catalogue as text that jglm reads (`Family.parse`), and as TeX.

What a page shows is the TeX of the text, and tests/test_docs.py evaluates every text against the catalogue: a formula
here cannot differ from the family. A family that is new to the catalogue needs its line here; the test says so.
"""

import ast

# a(eta); quasi families have that of their companion.
LOG_PARTITION = {
    "gaussian": "eta**2/2",
    "bernoulli": "log(1 + exp(eta))",
    "binomial": "log(1 + exp(eta))",
    "poisson": "exp(eta)",
    "gamma": "-log(-eta)",
    "exponential": "-log(-eta)",
    "inverse_gaussian": "-sqrt(-2*eta)",
    "geometric": "-log(1 - exp(eta))",
    "negative_binomial": "-r*log(1 - exp(eta))",
    "logarithmic": "log(-log(1 - exp(eta)))",
    "zero_truncated_poisson": "log(exp(exp(eta)) - 1)",
    "zero_truncated_negative_binomial": "log((1 - exp(eta))**(-r) - 1)",
    "continuous_bernoulli": "log((exp(eta) - 1)/eta)",
    "hyperbolic_secant": "-log(cos(eta))",
    "tweedie": "((1 - power)*eta)**((2 - power)/(1 - power))/(2 - power)",
    "categorical": "logsumexp(eta)",
    "multinomial": "logsumexp(eta)",
    "ordinal": "logsumexp(eta)",
    "beta": "gammaln(eta[0]) + gammaln(eta[1]) - gammaln(eta[0] + eta[1])",
    "dirichlet": "sum(gammaln(eta)) - gammaln(sum(eta))",
    "gaussian_mean_dispersion": "-eta[0]**2/(4*eta[1]) - log(-2*eta[1])/2",
    "gamma_mean_dispersion": "gammaln(eta[0]) - eta[0]*log(-eta[1])",
    "quasi": "eta**2/2",
    "quasipoisson": "exp(eta)",
    "quasibinomial": "log(1 + exp(eta))",
}
# Those whose a is beyond the grammar: TeX, and the same by SciPy for the test.
BEYOND = {
    "von_mises": (r"\log I_0\left(\sqrt{\eta_1^2 + \eta_2^2}\right)",
                  lambda special, np, eta: np.log(special.i0(np.hypot(*eta)))),
    "conway_maxwell_poisson": (
        r"\log \sum_{j=0}^{\infty} \frac{e^{j \eta}}{(j!)^{\nu}}",
        lambda special, np, eta, nu: special.logsumexp(np.arange(999) * eta - nu * special.gammaln(np.arange(999) + 1)),
    ),
}  # fmt: skip
# T(y) where it is not y itself, entry by entry.
STATISTIC = {
    "beta": ("log(y)", "log(1 - y)"),
    "dirichlet": ("log(y)",),
    "gaussian_mean_dispersion": ("y", "y**2"),
    "gamma_mean_dispersion": ("log(y)", "y"),
    "von_mises": ("cos(y)", "sin(y)"),
}
# V(mu): a'' as a function of the mean, where that is closed.
VARIANCE = {
    "gaussian": "1",
    "bernoulli": "mu*(1 - mu)",
    "binomial": "mu*(1 - mu)",
    "poisson": "mu",
    "gamma": "mu**2",
    "exponential": "mu**2",
    "inverse_gaussian": "mu**3",
    "geometric": "mu + mu**2",
    "negative_binomial": "mu + mu**2/r",
    "hyperbolic_secant": "1 + mu**2",
    "tweedie": "mu**power",
    "quasi": "1",
    "quasipoisson": "mu",
    "quasibinomial": "mu*(1 - mu)",
}

NAMES = {"eta": r"\eta", "mu": r"\mu", "nu": r"\nu", "power": "p", "pi": r"\pi"}
ADD, MULTIPLY, POWER, ATOM = range(4)


def tex(text):
    """The TeX of an expression of the grammar, such as "-r*log(1 - exp(eta))".

    >>> tex("-r*log(1 - exp(eta))"), tex("eta[0]**2/(4*eta[1])"), tex("exp(exp(eta))")
    ('-r \\\\log(1 - e^{\\\\eta})', '\\\\frac{\\\\eta_{1}^{2}}{4 \\\\eta_{2}}', '\\\\exp(e^{\\\\eta})')
    """
    return _tex(ast.parse(text, mode="eval").body)[0]


def _tex(node):
    """(TeX, how tightly it binds) of a node."""
    match node:
        case ast.Constant(value):
            return f"{value:g}", ATOM
        case ast.Name(name):
            return NAMES.get(name, name), ATOM
        case ast.Subscript(ast.Name(name), ast.Constant(index)):
            return f"{NAMES.get(name, name)}_{{{index + 1}}}", ATOM
        case ast.UnaryOp(ast.USub(), operand):
            return f"-{_bound(operand, MULTIPLY)}", MULTIPLY if isinstance(operand, ast.Name | ast.Constant) else ADD
        case ast.BinOp(left, ast.Add() | ast.Sub() as sign, right):
            minus = isinstance(sign, ast.Sub)
            return f"{_bound(left, ADD)} {'-' if minus else '+'} {_bound(right, MULTIPLY if minus else ADD)}", ADD
        case ast.BinOp(left, ast.Mult(), right):
            return f"{_bound(left, MULTIPLY)} {_bound(right, MULTIPLY)}", MULTIPLY
        case ast.BinOp(ast.UnaryOp(ast.USub(), above), ast.Div(), below):
            return f"-{_tex(ast.BinOp(above, ast.Div(), below))[0]}", MULTIPLY
        case ast.BinOp(left, ast.Div(), right):
            return rf"\frac{{{_tex(left)[0]}}}{{{_tex(right)[0]}}}", ATOM
        case ast.BinOp(left, ast.Pow(), right):
            return f"{_bound(left, ATOM)}^{{{_tex(right)[0]}}}", POWER
        case ast.Call(ast.Name(name), [argument]):
            return _call(name, argument)
    raise ValueError(f"{ast.unparse(node)!r} has no TeX here")


def _bound(node, least):
    text, binds = _tex(node)
    return text if binds >= least else _bracketed(text)


def _bracketed(text):
    return rf"\left({text}\right)" if "frac" in text else f"({text})"


def _call(name, argument):
    inner = _tex(argument)[0]
    vector = isinstance(argument, ast.Name)
    match name:
        case "exp" if "^" not in inner and "frac" not in inner:
            return f"e^{{{inner}}}", POWER
        case "sqrt":
            return rf"\sqrt{{{inner}}}", ATOM
        case "gammaln":
            return rf"\log\Gamma({inner})", ATOM
        case "logsumexp":
            return rf"\log \sum_j e^{{{inner}_j}}", MULTIPLY
        case "sum" if vector:
            return rf"\sum_j {inner}_j", MULTIPLY
        case "sum":
            return rf"\sum_j {inner.replace(NAMES['eta'], NAMES['eta'] + '_j')}", MULTIPLY
    return rf"\{name}{_bracketed(inner)}", ATOM
