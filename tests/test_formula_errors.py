"""Formulas that cannot be read, and those that would run code: refused before anything is evaluated."""

import warnings

import numpy as np
import pandas as pd
import pytest
from refusing import FRAME, REFUSED, N, X, glm, put, refused


# --------------------------------------------------------------------------- formulas
@pytest.mark.parametrize("formula", ["x", "~ x", "", "x + z"])
def test_formula_without_response(formula):
    with refused("formula .* has no response; write it as 'y ~ x"):
        glm(formula)


@pytest.mark.parametrize("formula", [None, 3, ["y ~ x"]])
def test_formula_that_is_no_text(formula):
    with refused("the formula must be text such as 'y ~ x", TypeError):
        glm(formula)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("y ~ (x", "matching"), ("y ~ x +", r"Operator `\+`"), ("y ~ x ~ z", "Operator `~`"), ("y ~ x $ z", "'\\$'"),
        ("y ~ `x", "quote"), ("y ~ I(x", "quote"),
    ],
)  # fmt: skip
def test_syntax_errors_say_why(formula, reason):
    with refused(f"(?s)^formula '.*' cannot be read: .*{reason}") as caught:
        glm(formula)
    assert repr(formula) in str(caught.value)
    assert "\x1b" not in str(caught.value)  # no colours of a terminal


@pytest.mark.parametrize("formula", ["y ~ x | z", "y ~ x | z + k", "y ~ x |- z"])
def test_parts_are_not_read(formula):
    with refused(r"formula.*'\|'"):
        glm(formula)


def test_unknown_columns():
    with refused("^data has no column 'dys'; did you mean 'days'"):
        glm("y ~ dys")
    with refused("^data has no column 'dys'; did you mean 'days'"):
        glm("y ~ log(dys)")
    with refused("^data has no column 'qqqq'[.;] Columns: y, x, z"):
        glm("y ~ qqqq")
    with refused("^data has no column 'yy'"):
        glm("yy ~ x")
    for name in ("weights", "offset", "exposure"):
        with refused("^data has no column 'dys'; did you mean 'days'"):
            glm(**{name: "dys"})


def test_data_of_a_wrong_type():
    with refused("^data is a list; it must be a data frame", TypeError):
        glm(data=[1, 2])
    with refused("^data is a ndarray; it must be a data frame", TypeError):
        glm(data=X)
    with refused("^data has no rows; a fit needs data"):
        glm(data=FRAME[:0])
    with refused("no rows without missing values"):
        glm(data=FRAME.assign(x=np.nan))
    with refused("'x' stands twice"):
        glm(data=pd.concat([FRAME, FRAME[["x"]]], axis=1))


def test_arrays_beside_a_frame():
    with refused("^weights has 3 rows, data has 12"):
        glm(weights=np.ones(3))
    with refused("^weights holds 'a', which is not a number", TypeError):
        glm(weights=["a"] * N)
    with refused("^offset holds 'a', which is not a number", TypeError):
        glm(offset="g")
    with refused(r"^start has shape \(1,\); it must be \(2,\)"):
        glm(start=[1])
    with refused("^a formula says itself whether there is an intercept"):
        glm(intercept=False)


def test_columns_that_are_not_finite():
    with refused(r"^column 'log\(x\)' of the formula has 1 NaN or infinite value \(first: row 0\)"):
        glm("y ~ log(x)")
    with refused("^column 'x' of the formula has 1 NaN or infinite value"):
        glm(data=FRAME.assign(x=put(FRAME["x"], 3, np.inf)))
    with refused("^y has 1 NaN or infinite value"):
        glm(data=FRAME.assign(y=put(FRAME["y"], 3, np.inf)))


def test_text_as_the_response():
    with refused("^y holds 'a', which is not a number", TypeError):
        glm("g ~ x")


def test_offset_in_an_interaction():
    with refused(r"an offset\(\) cannot stand in an interaction"):
        glm("y ~ 1 + offset(x):z")


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x", "y ~ I(x**2)", "y ~ I(2**x)", "y ~ I(x / 10**3)", "y ~ exp(-x)", "y ~ np.log1p(x)", "y ~ {x + 1}",
        "y ~ `my column`", "y ~ log(1 + `my column`)", "y ~ where(x > 0.5, x, 0)", "y ~ I((x > 0.2) & (x < 0.8))",
        "y ~ C(k > 1, Treatment(False))", "y ~ scale(x)",
    ],
)  # fmt: skip
def test_what_formulas_may_say(formula):
    assert np.all(np.isfinite(glm(formula).params))


# --------------------------------------------------------------------------- formulas run no code
ATTACKS = [
    "I(__import__('os').system('x'))",
    "__import__('os')",
    "{__import__('os').system('x')}",
    "eval('1')",
    "exec('1')",
    "open('x')",
    "getattr(x, 'a')",
    "np.load('x')",
    "I(np.load('x'))",
    "np.fromfile('x')",
    "I(np.linalg.norm(x))",
    "I(x.__class__)",
    "{x.__class__}",
    "I(x.to_pickle('x'))",
    "x.to_pickle('x')",
    "I(().__class__.__bases__[0].__subclasses__())",
    "().__class__",
    "I(log.__globals__)",
    "I(__builtins__)",
    "{__builtins__}",
    "I((lambda: 1)())",
    "I([v for v in x])",
    "I({v for v in x})",
    "I((x := 3))",
    "I(f'{x}')",
    "I('{0.__class__}'.format(x))",
    "I('%s' % x)",
    "I('a' * 10**9)",
    "I([0] * 1000000000)",
    "I((0,) * 1000000000)",
    "{I([0]) * 1000000000}",
    "{I('a') * 1000000000}",
    "{offset([0]) * 1000000000}",
    "I(10**10**10)",
    "I(9**9**9**9)",
    "I(1 << 100000000000)",
    "I(x @ x)",
    "I(x if 1 else 2)",
    "I(x[0])",
    "x(3)",
    "I(x(3))",
    "log(x)(3)",
    "I(*x)",
    "I(**{})",
    "I(b'a')",
    "I(...)",
    "I(await_(x))",
    "C(g, levels=open('x'))",
    "C(g, Treatment(__import__('os').system('x')))",
    "bs(x, df=__import__('os').system('x'))",
    # formulaic splits text at quotes before it looks for backquotes; a reader that does not sees names for code.
    "C(g, '`', __import__('os').system('x'), '`')",
    "I(x + ('`' != __import__('os').system('x')) + ('`' != 1))",
    "{x + ('`' == __import__('os').system('x')) + ('`' == 1)}",
    'I(x + ("`" != __import__("os").system("x")) + ("`" != 1))',
    # formulaic's parser itself evaluates what is called on the left-hand side.
    "I(__import__('os').system('x').y())",
    "{__import__('os').system('x').y()}",
    "center(__import__('os').system('x'))",
    "I(x + __import__('os').system('x').y())",
    # formulaic pastes the text of a transform into code of its own, with quotes that it escapes wrongly.
    "center(x, [\", __import__('os').system('x')) #\"])",
    "bs(x, df=['\\'', \"'\"])",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("side", ["y ~ x + {}", "{} ~ x"])
def test_attacks_are_refused_before_anything_runs(evaluated, attack, side):
    with refused(REFUSED):
        glm(side.replace("{}", attack))
    assert evaluated == []


@pytest.mark.parametrize(
    "attack",
    [
        "y ~ I(x + (__import__('os').mkdir('{}') != 0))",
        "y ~ I(x + ('`' != __import__('os').mkdir('{}')) + ('`' != 1))",
        "y ~ C(g, '`', __import__('os').mkdir('{}'), '`')",
        "I(__import__('os').mkdir('{}').y()) ~ x",
        "center(__import__('os').mkdir('{}')) ~ x",
    ],
)
def test_attacks_leave_no_trace(tmp_path, attack):
    trace = tmp_path / "trace"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            glm(attack.replace("{}", str(trace)))
        except ValueError:
            pass
        else:
            pytest.fail("the formula was fitted")
    assert not trace.exists()


def test_long_formulas_are_refused(evaluated):
    with refused("the formula has .* characters"):
        glm("y ~ " + " + ".join(["x"] * 20_000))
    with refused("cannot be read|may not"):
        glm("y ~ I(" + "-" * 300 + "x)")
    assert evaluated == []


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ (x + z)**99",
        "y ~ (x + z)**(99)",
        "y ~ x**99999999",
        "y ~ [x + z]^99",
        "y ~ ((x + z)**20)**20",
        "y ~ (" + " + ".join(f"I(x + {i})" for i in range(15)) + ")**10",
        "y ~ " + " * ".join(f"I(x + {i})" for i in range(40)),
    ],
    ids=["large", "in brackets", "of a column", "caret", "nested", "of many terms", "product of many terms"],
)
def test_powers_that_would_take_for_ever_are_refused(monkeypatch, formula):
    def never(*args):
        raise RuntimeError("a formula was expanded that should have been refused")

    monkeypatch.setattr("formulaic.Formula", never)
    with refused("^(?!.*expanded).*(power|product|terms)"):
        glm(formula)


def test_unknown_functions_offer_the_nearest_and_functions():
    with refused(r"'sqare\(x\)' calls 'sqare', which is not allowed; did you mean 'square'.*functions="):
        glm("y ~ sqare(x)")


def test_own_functions():
    fitted = glm("y ~ double(x)", functions={"double": lambda v: 2 * v})
    assert fitted.names == ["Intercept", "double(x)"]
    np.testing.assert_allclose(fitted.params, glm().params / [1, 2], rtol=1e-9)
    np.testing.assert_allclose(fitted.predict(FRAME), glm().predict(FRAME), rtol=1e-9)
    with refused("'double', which is not allowed"):
        glm("y ~ double(x)")
    with refused("cannot be evaluated: .*division by zero"):
        glm("y ~ broken(x)", functions={"broken": lambda v: 1 / 0})
