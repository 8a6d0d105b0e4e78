"""Bad input never yields a number: what was wrong with the values, why that cannot be, what to do."""

import copy
import json
import os
import pickle
import struct
import warnings

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars
import pytest

import jglm
from jglm.keeping import io, modelfile

N = 12
X = np.column_stack([np.arange(N) / N, [0.1, -1.2, 0.7, 1.5, -0.3, 0.4, 2.0, -1.0, 0.2, 0.9, -0.6, 1.1]])
COUNTS = np.array([1, 0, 2, 1, 3, 2, 4, 3, 5, 4, 6, 5.0])
EVENTS = np.array([0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1.0])
THREE = ["a", "b", "c"] * 4
ONES = np.ones(N)
FRAME = pd.DataFrame({"y": COUNTS, "x": X[:, 0], "z": X[:, 1], "g": THREE, "k": [1, 2, 3] * 4, "days": COUNTS + 1})
FRAME["c"] = pd.Categorical(FRAME["g"])
FRAME["my column"] = FRAME["x"] ** 2


def put(values, row, value):
    """A copy with another value in one row."""
    new = np.array(values, dtype=object if isinstance(value, str) else float)
    new[row] = value
    return new


def fit(X=X, y=COUNTS, family="poisson", **options):
    return jglm.fit(X, y, family=family, **options)


def glm(formula="y ~ x", data=FRAME, family="poisson", **options):
    return jglm.glm(formula, data, family=family, **options)


def refused(message, error=ValueError):
    return pytest.raises(error, match=message)


@pytest.fixture(scope="module")
def by_arrays():
    return fit()


# --------------------------------------------------------------------------- NaN and infinities
NOT_FINITE = r"has 1 .*(NaN|infinite|missing).* value \(first: row 3\)"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
class TestNotFinite:
    def test_in_X(self, bad):
        with refused("^X " + NOT_FINITE):
            fit(put(X, (3, 1), bad))

    @pytest.mark.parametrize("family", ["poisson", "gaussian", "gamma"])
    def test_in_y(self, bad, family):
        with refused("^y " + NOT_FINITE):
            fit(y=put(COUNTS + 1, 3, bad), family=family)

    @pytest.mark.parametrize("family", ["bernoulli", "categorical"])
    def test_in_labels(self, bad, family):
        with refused("^y " + NOT_FINITE):
            fit(y=put(EVENTS, 3, bad), family=family)

    @pytest.mark.parametrize("name", ["weights", "offset", "exposure"])
    def test_beside(self, bad, name):
        with refused(f"^{name} " + NOT_FINITE):
            fit(**{name: put(ONES, 3, bad)})

    def test_in_binomial(self, bad):
        with refused("^y " + NOT_FINITE):
            fit(y=put(EVENTS, 3, bad), family="binomial", trials=ONES)
        with refused("^y " + NOT_FINITE):
            fit(y=np.column_stack([put(EVENTS, 3, bad), ONES]), family="binomial")
        with refused("^trials " + NOT_FINITE):
            fit(y=EVENTS, family="binomial", trials=put(ONES, 3, bad))
        with refused("^weights " + NOT_FINITE):
            fit(y=EVENTS, family="binomial", weights=put(ONES, 3, bad))

    def test_in_soft_labels(self, bad):
        with refused("^y " + NOT_FINITE):
            fit(y=put(np.full((N, 2), 0.5), (3, 0), bad), family="categorical")

    def test_in_start(self, bad):
        with refused("^start has 1 NaN or infinite value"):
            fit(start=[0, 0, bad])


def test_one_infinite_label_is_no_class():
    with refused(r"^y has 7 .*infinite values \(first: row 1\)"):
        fit(y=np.where(EVENTS == 1, np.inf, 0.0), family="bernoulli")


def test_missing_labels():
    with refused(r"^y has 1 missing value \(first: row 2\)"):
        fit(y=["a", "b", None, *THREE[3:]], family="categorical")


def test_nas_of_pandas_are_missing_values():
    with refused(r"^weights has 1 NaN or infinite value \(first: row 0\)"):
        fit(weights=np.array([pd.NA, *[1.0] * (N - 1)], dtype=object))


def test_masked_arrays_are_missing_values():
    with refused("^X has .*(masked|NaN)"):
        fit(np.ma.masked_array(X, mask=X > 1))


# --------------------------------------------------------------------------- lengths and shapes
@pytest.mark.parametrize("name", ["weights", "offset", "exposure"])
@pytest.mark.parametrize("family", ["poisson", "bernoulli", "binomial", "categorical"])
def test_lengths_differ(name, family):
    with refused(f"^{name} has 11 rows, X has 12"):
        fit(y=EVENTS, family=family, **{name: ONES[1:]})


@pytest.mark.parametrize("family", ["poisson", "bernoulli", "binomial", "categorical"])
def test_y_of_another_length(family):
    with refused("^y has 11 rows, X has 12"):
        fit(y=EVENTS[1:], family=family)


def test_trials_of_another_length():
    with refused("^trials has 11 rows"):
        fit(y=EVENTS, family="binomial", trials=ONES[1:])


@pytest.mark.parametrize("name", ["weights", "exposure"])
def test_beside_has_one_column(name):
    with refused(rf"^{name} has shape \(12, 2\); it must be \(12,\)"):
        fit(**{name: np.ones((N, 2))})


def test_shapes():
    with refused(r"^offset has shape \(12, 2\)"):
        fit(offset=np.ones((N, 2)))
    with refused("^weights is a single value; it must be an array"):
        fit(weights=2.0)
    with refused("^y is a single value"):
        fit(y=1.0)
    with refused(r"^y has shape \(12, 2\); family 'poisson' takes \(n,\)"):
        fit(y=np.ones((N, 2)))
    with refused(r"^y has shape \(12, 3\); family 'binomial' takes \(n,\) or \(n, 2\)"):
        fit(y=np.ones((N, 3)), family="binomial")


def test_X_must_be_a_matrix():
    with refused(r"^X has shape \(12,\); it must be \(n, p\): use X\[:, None\]"):
        fit(X[:, 0])
    with refused("^X has 3 dimensions"):
        fit(X[None])
    with refused("^X is a single value"):
        fit(3.0)
    with refused("^X.* rows of different lengths"):
        fit([[1.0, 2.0], [3.0]], [1, 2])


def test_empty():
    with refused("^X has no rows; a fit needs data"):
        fit(X[:0], COUNTS[:0])
    with refused("^X has no columns and intercept=False"):
        fit(X[:, :0], intercept=False)


def test_zero_columns():
    with refused("every column of X is zero"):
        fit(np.zeros((N, 2)), intercept=False)


# --------------------------------------------------------------------------- what X may hold
@pytest.mark.parametrize(
    "X_bad",
    [
        put(X, (0, 0), "red"),
        pd.DataFrame({"a": ["r", "g"] * 6, "b": X[:, 0]}),
        polars.DataFrame({"a": ["r", "g"] * 6, "b": X[:, 0]}),
        pd.DataFrame({"a": pd.Categorical(["r", "g"] * 6), "b": X[:, 0]}),
        X.astype(str),
    ],
    ids=["object array", "pandas", "polars", "categorical", "numbers as text"],
)
def test_text_in_X(X_bad):
    with refused("^X holds '.*', which is not a number; encode text columns or use jglm.glm", TypeError):
        fit(X_bad)


DAYS = np.datetime64("2020-01-01") + np.arange(N)


@pytest.mark.parametrize(
    "dates",
    [DAYS[:, None], (DAYS - DAYS[0])[:, None], pd.DataFrame({"a": DAYS, "b": X[:, 0]})],
    ids=["datetime64", "timedelta64", "pandas"],
)
def test_dates_in_X(dates):
    with refused("^X holds .*, which is not a number", TypeError):
        fit(dates)


def test_complex_X():
    with refused("^X holds complex numbers", TypeError):
        fit(X + 0j)


# --------------------------------------------------------------------------- support of the families
@pytest.mark.parametrize(
    ("family", "bad", "message"),
    [
        ("poisson", -1, "1 negative value .*family 'poisson' needs y >= 0.*gaussian"),
        ("geometric", -1, "1 negative value .*family 'geometric' needs y >= 0"),
        ("gamma", 0, "1 zero value .*family 'gamma' needs y > 0"),
        ("gamma", -2, "1 negative value .*family 'gamma' needs y > 0"),
        ("exponential", -2, "1 negative value .*family 'exponential' needs y > 0"),
        ("inverse_gaussian", 0, "1 zero value .*family 'inverse_gaussian' needs y > 0"),
        (jglm.families.negative_binomial(2.0), -3, "1 negative value .*family 'negative_binomial' needs y >= 0"),
        (jglm.Family("mine", a=jnp.exp), -1, "1 negative value .*family 'mine' needs y >= 0"),
    ],
)
def test_y_outside_the_support(family, bad, message):
    with refused("^y has " + message) as caught:
        fit(y=put(COUNTS + 1, 4, bad), family=family)
    assert "first: row 4" in str(caught.value)


def test_proportions_outside_the_support():
    with refused("^y has 1 impossible value .*row 4.*'binomial' needs 0 <= y <= 1"):
        fit(y=put(EVENTS, 4, 1.5), family="binomial")
    with refused("^y has values between 0 and 1; family 'bernoulli' takes two labels; use family='binomial'"):
        fit(y=put(EVENTS, 4, 0.5), family="bernoulli")


def test_text_in_y():
    with refused("^y holds 'b', which is not a number", TypeError):
        fit(y=put(COUNTS, 0, "b"))


def test_fractions_of_counts_warn():
    with pytest.warns(UserWarning, match="not whole numbers; family 'poisson' is one of counts"):
        fit(y=COUNTS + 0.5)


# --------------------------------------------------------------------------- weights, exposure, trials
def test_weights():
    with refused(r"^weights has 1 negative value \(first: row 2\); weights must be >= 0"):
        fit(weights=put(ONES, 2, -1))
    with refused("^weights are all 0; no row is left to fit"):
        fit(weights=0 * ONES)
    with refused("^weights holds 'a', which is not a number", TypeError):
        fit(weights=put(ONES, 2, "a"))
    with refused("^weights holds 'a', which is not a number", TypeError):
        fit(y=EVENTS, family="binomial", weights=put(ONES, 2, "a"))


@pytest.mark.parametrize("bad", [0, -1])
def test_exposure(bad):
    with refused(r"^exposure has 1 zero or negative value \(first: row 2\); it enters as log\(exposure\)"):
        fit(exposure=put(ONES, 2, bad))


def test_trials():
    binomial = {"y": COUNTS, "family": "binomial"}
    with refused(r"^y has 5 rows with more successes than trials \(first: row 6, 4 of 3\)"):
        fit(**binomial, trials=3 * ONES)
    with refused("^trials has 12 negative values"):
        fit(**binomial, trials=-ONES)
    with refused("no row has a positive weight and trials"):
        fit(y=0 * ONES, family="binomial", trials=0 * ONES)
    with refused("^y has two columns, successes and failures, so trials= is not needed"):
        fit(y=np.column_stack([EVENTS, 1 - EVENTS]), family="binomial", trials=ONES)
    with refused("^y has 1 negative value .*successes and failures are counts"):
        fit(y=put(np.ones((N, 2)), (0, 1), -1), family="binomial")


@pytest.mark.parametrize("family", ["poisson", "bernoulli", "gaussian", "categorical"])
def test_trials_are_for_the_binomial(family):
    with refused(f"^trials= is for family 'binomial'; the family is '{family}'"):
        fit(y=EVENTS, family=family, trials=ONES)


# --------------------------------------------------------------------------- labels
@pytest.mark.parametrize("y", [THREE, [0, 1, 2] * 4, [-1, 0, 1] * 4])
def test_bernoulli_takes_two_labels(y):
    with refused("^y has 3 distinct values .*family 'bernoulli' needs two; use family='categorical'"):
        fit(y=y, family="bernoulli")


def test_one_label():
    with refused(r"^y has 1 distinct values? \('a'\); family 'bernoulli' needs two"):
        fit(y=["a"] * N, family="bernoulli")
    with refused("^y has the single class 'a'; family 'categorical' needs at least two"):
        fit(y=["a"] * N, family="categorical")
    with refused("^y has the single class 0"):
        fit(y=np.ones((N, 1)), family="categorical")


def test_soft_labels():
    with refused("^y has 12 .*(first: row 0).*soft labels sum to 1"):
        fit(y=np.full((N, 2), 0.6), family="categorical")
    with refused("^y has 12 negative values .*soft labels are probabilities"):
        fit(y=np.column_stack([-ONES, 2 * ONES]), family="categorical")


def test_number_of_classes():
    with refused(r"^y has 3 classes .*'categorical' was given k = 2"):
        fit(y=THREE, family=jglm.families.categorical(k=2))
    with refused("^categorical: k is 1; there must be at least two classes"):
        jglm.families.categorical(k=1)


# --------------------------------------------------------------------------- names of things
@pytest.mark.parametrize(
    ("option", "wrong", "near"),
    [
        ("family", "poison", "poisson"), ("family", "inverse gausian", "inverse_gaussian"), ("link", "lgo", "log"),
        ("solver", "newtn", "newton"), ("dtype", "float23", "float32"), ("weight_kind", "pror", "prior"),
        ("covariance", "modle", "model"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("call", [fit, glm])
def test_unknown_names_offer_the_nearest(call, option, wrong, near):
    with refused(f"{option}.*'{wrong}'; did you mean '{near}'"):
        call(**{option: wrong})


@pytest.mark.parametrize("option", ["family", "link", "solver", "dtype", "weight_kind", "covariance"])
def test_unknown_names_without_a_near_one_list_what_there_is(option):
    with refused(rf"{option}.*'qqqq'[;.] .+'?\w+'?, "):
        fit(**{option: "qqqq"})


@pytest.mark.parametrize("family", [3, None, jnp.exp, lambda eta: eta, ["poisson"]])
def test_family_of_a_wrong_type(family):
    with refused("^family must be a name or a jglm.Family", TypeError):
        fit(family=family)


def test_family_that_needs_parameters():
    with refused("r is -1; it must be a positive number or 'estimate'"):
        jglm.families.negative_binomial(-1)
    with refused("power is 'x'; it must be a number or 'estimate'"):
        jglm.families.tweedie("x")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"a": 3}, TypeError, "^a must be a function of eta, such as jnp.exp; it is int"),
        ({"domain": (1, 0)}, ValueError, "^domain is .*low < high"),
        ({"dispersion": "free"}, ValueError, "^dispersion is 'free'; it must be 'fixed' .* or 'estimated'"),
        ({"support": "counts"}, ValueError, "^support is 'counts'; it must be one of"),
        ({"response": "x"}, ValueError, "^response is 'x'"),
    ],
)
def test_family_of_ones_own(arguments, error, message):
    with refused(message, error):
        jglm.Family("mine", **({"a": jnp.exp} | arguments))


def test_links():
    with refused("^link must be a name or a jglm.Link; it is int", TypeError):
        fit(link=3)
    with refused("^inverse must be a function", TypeError):
        jglm.Link("mine", 3)
    with refused("^unknown link 'power\\(x\\)'"):
        fit(link="power(x)")
    with refused("link.*1/0"):
        fit(link="power(1/0)")
    with refused("^link 'reference\\(0\\)' is for families of classes; 'poisson' has one"):
        fit(link="reference(0)")
    with refused("^link 'log' is for a scalar mean; family 'categorical'"):
        fit(y=EVENTS, family="categorical", link="log")


def test_names_of_columns():
    with refused("^the column name 'a' stands twice; names must differ"):
        fit(names=["a", "a"])
    with refused("^the column name 'a' stands twice"):
        fit(pd.DataFrame(X, columns=["a", "a"]))
    with refused("^names has 1 entries, X has 2 columns"):
        fit(names=["a"])
    for names in ("ab", 3):
        with refused("^names .*list", (TypeError, ValueError)):
            fit(names=names)
    with refused("^X has a column named 'Intercept'; use intercept=False or rename it"):
        fit(names=["a", "Intercept"])


# --------------------------------------------------------------------------- numbers that steer
@pytest.mark.parametrize("tol", [0, -1e-8, np.nan, np.inf])
def test_tol(tol):
    with refused("^tol is .*; it must be a positive number"):
        fit(tol=tol)


def test_tol_as_text():
    with refused("^tol is 'small'; it must be a positive number", TypeError):
        fit(tol="small")


@pytest.mark.parametrize("max_iter", [0, -1, 1.5, np.nan, "many"])
def test_max_iter(max_iter):
    with refused("^max_iter is .*whole number", (ValueError, TypeError)):
        fit(max_iter=max_iter)


def test_start():
    with refused(r"^start has shape \(2,\); it must be \(3,\)"):
        fit(start=[0, 0])
    with refused(r"^start has shape \(3,\); it must be \(3, 1\)"):
        fit(y=EVENTS, family="categorical", start=[0, 0, 0])
    with refused(r"^start is a single value"):
        fit(start=0.0)


def test_start_outside_the_domain():
    with refused("start.* likelihood is (not )?finite"):
        fit(y=COUNTS + 1, family="gamma", link="inverse", start=[-1.0, 0, 0])


def test_penalties():
    with refused("^ridge: the strength is -1.0; it must be a finite number >= 0"):
        jglm.penalties.ridge(-1)
    with refused("^ridge: the strength is nan"):
        jglm.penalties.ridge(np.nan)
    with refused("^ridge: scale is 'average'"):
        jglm.penalties.ridge(1, scale="average")
    with refused("^ridge: weights must be finite, >= 0"):
        jglm.penalties.ridge(1, weights=[1, -1])
    with refused("the penalty has 1 weights for 2 columns besides the intercept"):
        fit(penalty=jglm.penalties.ridge(1, weights=[1]))
    with refused("^penalty is a int; it must be one of jglm.penalties", TypeError):
        fit(penalty=1)


def test_constant_column_warns():
    with pytest.warns(UserWarning, match="constant column x3 besides the intercept"):
        fit(np.column_stack([X, ONES]))


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
REFUSED = "may not|not allowed|cannot be read|has no column|power"


@pytest.fixture
def evaluated(monkeypatch):
    """What formulaic was asked to evaluate: a formula must be refused before."""
    calls = []

    def record(*args, **kwargs):
        calls.append(args)
        raise RuntimeError("a formula was evaluated that should have been refused")

    monkeypatch.setattr("formulaic.model_matrix", record)
    monkeypatch.setattr(os, "system", record)
    return calls


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


# --------------------------------------------------------------------------- prediction
@pytest.mark.parametrize(
    ("formula", "column"), [("y ~ g", "g"), ("y ~ c", "c"), ("y ~ C(g)", "g"), ("y ~ C(k)", "k"), ("y ~ g:x", "g")]
)
def test_unseen_levels(formula, column):
    fitted = glm(formula)
    new = FRAME[:3].copy()
    new[column] = (
        pd.Categorical(["a", "b", "zz"]) if column == "c" else [1, 2, 9] if column == "k" else ["a", "b", "zz"]
    )
    level = "9" if column == "k" else "'zz'"
    with refused(f"column '{column}' has the level {level}, which was not there at the fit .levels: .*drop those rows"):
        fitted.predict(new)
    assert np.all(np.isfinite(fitted.predict(new[:2])))


@pytest.mark.parametrize("formula", ["y ~ first(g)", "y ~ C(first(g))"])
def test_unseen_levels_of_own_functions(formula):
    fitted = glm(formula, functions={"first": lambda v: v.str[0]})
    with refused("has the level 'z', which was not there at the fit|levels? .*'z'"):
        fitted.predict(FRAME[:3].assign(g=["a", "b", "zz"]))


def test_levels_in_another_order_are_the_same():
    fitted = glm("y ~ c")
    turned = FRAME.assign(c=pd.Categorical(FRAME["c"], categories=["c", "b", "a"]))
    np.testing.assert_array_equal(fitted.predict(turned), fitted.predict(FRAME))


def test_columns_at_prediction(by_arrays):
    fitted = glm("y ~ x + days")
    with refused("^data has no column 'days'"):
        fitted.predict(FRAME[["x", "y"]])
    assert fitted.predict(FRAME[["days", "x"]]).shape == (N,)  # the response is not needed
    with refused("^X has no column 'x1'"):
        by_arrays.predict(pd.DataFrame(X, columns=["a", "b"]))
    for wrong in (X[:, :1], np.ones((2, 3))):
        with refused(f"^X has {wrong.shape[1]} columns, the fit had 2"):
            by_arrays.predict(wrong)
    with refused("use X"):
        by_arrays.predict(X[0])
    with refused("^X has 1 NaN or infinite value"):
        by_arrays.predict(put(X, (0, 0), np.nan))


def test_a_refused_prediction_changes_nothing():
    fitted = glm("y ~ x")
    before = fitted.predict(FRAME)
    with refused("column 'x'|x"):
        fitted.predict(FRAME.assign(x="a"))
    with refused("^column 'x' of the formula has 12 NaN or infinite values"):
        fitted.predict(FRAME.assign(x=np.inf))
    np.testing.assert_array_equal(fitted.predict(FRAME), before)


def test_missing_values_at_prediction_are_missing():
    predicted = glm("y ~ x").predict(FRAME.assign(x=put(FRAME["x"], 3, np.nan)))
    assert np.flatnonzero(np.isnan(predicted)).tolist() == [3]


def test_exposure_at_prediction():
    named = glm(exposure="days")
    with refused("^data has no column 'days'"):
        named.predict(FRAME[["x"]])
    with refused("^exposure has 12 zero or negative values"):
        named.predict(FRAME.assign(days=0))
    with refused("^exposure has 1 rows, "):
        named.predict(FRAME, exposure=[1.0])
    with refused("^exposure has 12 zero or negative values"):
        named.predict(FRAME, exposure=0 * ONES)
    given = fit(exposure=ONES)
    with pytest.warns(UserWarning, match="fitted with an offset or exposure and predict got none"):
        given.predict(X)
    with refused("^offset has 1 rows, X has 12"):
        given.predict(X, offset=[0.0])


def test_one_of_offset_and_exposure_may_be_given_anew():
    fitted = glm(offset="z", exposure="days")
    np.testing.assert_allclose(fitted.predict(FRAME, exposure=ONES), fitted.predict(FRAME) / FRAME["days"], rtol=1e-12)


def test_kinds_of_prediction(by_arrays):
    with refused("^kind is 'men'; did you mean 'mean'"):
        by_arrays.predict(X, kind="men")
    with refused("^kind='class' is for families of labels; the family is 'poisson'"):
        by_arrays.predict(X, kind="class")
    with refused("^level is 2; it must be between 0 and 1"):
        by_arrays.conf_int(2)
    with refused("^method is 'wld'; did you mean 'wald'"):
        by_arrays.conf_int(method="wld")
    with refused("^covariance is 'modle'; did you mean 'model'"):
        by_arrays.with_covariance("modle")


def test_residuals(by_arrays):
    with refused("^residuals takes X and y together"):
        by_arrays.residuals(X)
    with refused("^residuals takes X and y together"):
        by_arrays.residuals(y=COUNTS)
    with refused("^kind is 'person'; did you mean 'pearson'"):
        by_arrays.residuals(kind="person")
    with refused("^y has 11 rows, X has 12"):
        by_arrays.residuals(X, COUNTS[1:])
    with refused("^y has 1 NaN or infinite value"):
        by_arrays.residuals(X, put(COUNTS, 0, np.nan))
    with refused("^y has 10 negative values|^y has 11 negative values"):
        by_arrays.residuals(X, -COUNTS)
    labels = fit(y=EVENTS, family="bernoulli")
    with refused(r"^y has the label 2\.?0? \(row 1\), which is none of \[0, 1\]"):
        labels.residuals(X, 2 * EVENTS)


def test_without_data(by_arrays):
    alone = by_arrays.detach()
    for ask in (alone.residuals, alone.predict):
        with refused("needs the data of the fit, which this fit no longer has"):
            ask()
    np.testing.assert_array_equal(alone.bse, by_arrays.bse)
    np.testing.assert_array_equal(alone.predict(X), by_arrays.predict(X))


# --------------------------------------------------------------------------- model files
@pytest.fixture(scope="module")
def by_formula():
    return glm("y ~ x + C(g)")


@pytest.fixture
def saved(by_formula, tmp_path):
    path = tmp_path / "fit.jglm"
    by_formula.save(path)
    return path


def facts_of(path):
    """The header of a safetensors file, the model's facts in it, and what follows."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    return header, json.loads(header["__metadata__"]["jglm"]), data[8 + size :]


def edit_by_hand(path, change):
    """Edit the facts of a model file as text."""
    header, facts, rest = facts_of(path)
    change(facts)
    header["__metadata__"]["jglm"] = json.dumps(facts)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)


def forge(path, fit, change):
    """Write a model file whose facts were changed by someone who knows the format."""
    arrays, facts = modelfile.state(fit)
    change(facts, arrays)
    io.write(path, arrays, facts)


def test_files_keep_a_fit(saved, by_formula):
    again = jglm.load(saved)
    np.testing.assert_array_equal(again.params, by_formula.params)
    np.testing.assert_array_equal(again.predict(FRAME), by_formula.predict(FRAME))
    np.testing.assert_array_equal(again.cov_params(), by_formula.cov_params())
    assert again.names == by_formula.names
    assert str(again.summary()) == str(by_formula.summary())
    assert (again.aic, again.null_deviance, again.status) == (
        by_formula.aic,
        by_formula.null_deviance,
        by_formula.status,
    )
    with refused("which was not there at the fit"):
        again.predict(FRAME.assign(g="zz"))
    with refused("needs the data of the fit"):
        again.residuals()
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


@pytest.mark.parametrize(
    "options",
    [
        {"family": jglm.families.negative_binomial(2.0)},
        {"link": jglm.links.power(1 / 3), "y": COUNTS + 1, "family": "gamma"},
        {"penalty": jglm.penalties.ridge(2.0)},
        {"y": ["a", "a", "b", "b", "c", "c"] * 2, "family": "categorical"},
        {"y": np.where(EVENTS == 1, "yes", "no"), "family": "bernoulli"},
        {"weights": COUNTS, "weight_kind": "frequency", "names": ["ä", "b c"]},
        {"covariance": None},
    ],
    ids=["family params", "link params", "penalty", "classes", "labels", "weights", "no covariance"],
)
def test_files_keep_every_fit(tmp_path, options):
    fitted = fit(**options)
    fitted.save(tmp_path / "m")
    again = jglm.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert str(again.summary()) == str(fitted.summary())
    assert again.levels == fitted.levels
    assert again.family_params == fitted.family_params


def test_files_keep_the_states_of_transforms(tmp_path):
    for formula in ("y ~ scale(x)", "y ~ poly(x, 3)", "y ~ C(g, contr.sum)"):
        fitted = glm(formula)
        fitted.save(tmp_path / "m")
        np.testing.assert_array_equal(jglm.load(tmp_path / "m").predict(FRAME[2:5]), fitted.predict(FRAME)[2:5])


def test_no_file(tmp_path):
    with refused("there is no model file", FileNotFoundError):
        jglm.load(tmp_path / "none.jglm")
    with refused("no model file|is a folder", (FileNotFoundError, IsADirectoryError)):
        jglm.load(tmp_path)
    with refused("none", FileNotFoundError):
        fit().save(tmp_path / "none" / "fit.jglm")


@pytest.mark.parametrize(
    "content",
    [b"", b"y,x\n1,2\n", b"{}", b"PK\x03\x04" + bytes(100), pickle.dumps({"a": 1}), bytes(1000), b"\xff" * 1000],
    ids=["empty", "csv", "json", "zip", "pickle", "zeros", "ones"],
)
def test_not_a_model_file(tmp_path, content):
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with refused("^other.bin is not a jglm model file"):
        jglm.load(path)


def test_a_pickle_is_not_run(tmp_path):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "trace"), "w"))

    (tmp_path / "fit.jglm").write_bytes(pickle.dumps(Attack()))
    with refused("not a jglm model file"):
        jglm.load(tmp_path / "fit.jglm")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("cut", [1, 8, 200, 1000])
def test_truncated(saved, cut):
    saved.write_bytes(saved.read_bytes()[:-cut])
    with refused("^fit.jglm is not a jglm model file, or was damaged"):
        jglm.load(saved)


def test_flipped_bytes(saved):
    """Wherever a bit changes, no other model comes out."""
    data = saved.read_bytes()
    for i in range(0, len(data), 41):
        damaged = bytearray(data)
        damaged[i] ^= 0x10
        saved.write_bytes(damaged)
        with refused("damaged|not a jglm model file|version"):
            jglm.load(saved)


def set_(*keys, value):
    def change(facts):
        for k in keys[:-1]:
            facts = facts[k]
        facts[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["names"].pop(),
        set_("names", value=["Intercept", "z", "C(g)[T.b]", "C(g)[T.c]"]),
        set_("family", "name", value="gamma"),
        set_("link", "name", value="identity"),
        set_("nobs", value="many"),
        set_("nobs", value=1e9),
        set_("deviance", value=None),
        set_("columns", value={"offset": "z"}),
        set_("formula", "text", value="y ~ z + C(g)"),
        set_("formula", "levels", value={"dict": [["C(g)", {"list": ["c", "b", "a"]}]]}),
        lambda facts: facts.pop("status"),
    ],
    ids=["fewer names", "other names", "family", "link", "text for a number", "number", "none for a number", "columns",
         "formula", "levels", "missing"],
)  # fmt: skip
def test_edited_by_hand(saved, change):
    edit_by_hand(saved, change)
    with refused("damaged|tampered|changed"):
        jglm.load(saved)


def test_newer_version(by_formula, tmp_path, monkeypatch):
    monkeypatch.setattr(io, "VERSION", io.VERSION + 1)
    by_formula.save(tmp_path / "fit.jglm")
    monkeypatch.undo()
    with refused(f"has format version {io.VERSION + 1}; this jglm reads up to {io.VERSION}"):
        jglm.load(tmp_path / "fit.jglm")


@pytest.mark.parametrize(
    "text",
    [
        "y ~ x + I(__import__('os').system('x'))",
        "y ~ x + C(g, '`', __import__('os').system('x'), '`')",
        "I(__import__('os').system('x').y()) ~ x",
        "y ~ x + eval('1')",
    ],
)
def test_forged_formulas_run_nothing(by_formula, tmp_path, evaluated, text):
    forge(tmp_path / "m", by_formula, lambda facts, _: facts["formula"].update(text=text))
    with refused(REFUSED):
        jglm.load(tmp_path / "m")
    assert evaluated == []


@pytest.mark.parametrize(
    "change",
    [
        lambda facts, arrays: facts["names"].pop(),
        lambda facts, arrays: facts.update(names=["x"] * 4),
        lambda facts, arrays: facts.update(names=[1, 2, 3, 4]),
        lambda facts, arrays: facts["formula"].update(text="y ~ z + C(g)"),
        lambda facts, arrays: facts["formula"].update(text="y ~ x"),
        lambda facts, arrays: facts["family"].update(name="gama"),
        lambda facts, arrays: facts["family"].update(name="categorical", dim=3),
        lambda facts, arrays: facts["link"].update(name="reference(0)"),
        lambda facts, arrays: facts["link"].update(name="power(1/0)"),
        lambda facts, arrays: facts.update(status=99),
        lambda facts, arrays: facts.update(nobs="many"),
        lambda facts, arrays: facts.update(levels={}),
        lambda facts, arrays: facts.update(columns=[1]),
        lambda facts, arrays: facts.update(penalty="os.system"),
        lambda facts, arrays: facts.update(covariance="HC9"),
        lambda facts, arrays: arrays.update(params=arrays["params"][:3]),
        lambda facts, arrays: arrays.update(params=np.full(4, np.nan)),
        lambda facts, arrays: arrays.update(unscaled=np.eye(2)),
        lambda facts, arrays: arrays.pop("kept"),
    ],
    ids=["fewer names", "equal names", "numbers as names", "other columns", "fewer columns", "unknown family",
         "another kind of family", "another kind of link", "no link", "status", "nobs", "levels", "columns", "penalty",
         "covariance", "fewer params", "NaN params", "covariance of another shape", "missing"],
)  # fmt: skip
def test_forged_files_give_no_number(by_formula, tmp_path, change):
    forge(tmp_path / "m", by_formula, change)
    with refused("model|formula|damaged|column|link|family"):
        jglm.load(tmp_path / "m").predict(FRAME)


class TestOwnPartsAreGivenAgain:
    family = jglm.Family("mine", a=lambda eta: jnp.exp(eta))
    scaled = jglm.Family("scaled", a=lambda eta, s: jnp.exp(s * eta) / s, params={"s": 1.0})
    link = jglm.Link("my link", lambda lin: jnp.exp(lin))

    def save(self, path, **options):
        fitted = fit(**options)
        fitted.save(path)
        return fitted

    def test_family(self, tmp_path):
        fitted = self.save(tmp_path / "m", family=self.family)
        with refused(r"family 'mine' is one of your own; give it again: load\(path, family=...\)"):
            jglm.load(tmp_path / "m")
        with refused("the model file is of family 'mine'; you gave 'poisson'"):
            jglm.load(tmp_path / "m", family="poisson")
        np.testing.assert_array_equal(jglm.load(tmp_path / "m", family=self.family).predict(X), fitted.predict(X))

    def test_family_with_parameters(self, tmp_path):
        fitted = self.save(tmp_path / "m", family=self.scaled)
        again = jglm.load(tmp_path / "m", family=self.scaled)
        np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
        assert again.family_params == {"s": 1.0}

    def test_family_that_is_called_like_another(self, tmp_path):
        self.save(tmp_path / "m", family=jglm.Family("gaussian", a=jnp.exp))
        with refused("family 'gaussian' is one of your own"):
            jglm.load(tmp_path / "m")

    def test_link(self, tmp_path):
        fitted = self.save(tmp_path / "m", link=self.link)
        with refused(r"link 'my link' is one of your own; give it again: load\(path, link=...\)"):
            jglm.load(tmp_path / "m")
        with refused("the model file is of link 'my link'; you gave 'sqrt'"):
            jglm.load(tmp_path / "m", link="sqrt")
        np.testing.assert_array_equal(jglm.load(tmp_path / "m", link=self.link).predict(X), fitted.predict(X))

    def test_link_that_is_called_like_another(self, tmp_path):
        self.save(tmp_path / "m", link=jglm.Link("log", lambda lin: jnp.exp(lin / 2)))
        with refused("link 'log' is one of your own"):
            jglm.load(tmp_path / "m")

    def test_functions(self, tmp_path):
        fitted = glm("y ~ double(x)", functions={"double": lambda v: 2 * v})
        fitted.save(tmp_path / "m")
        with refused("uses your function 'double'; give it again"):
            jglm.load(tmp_path / "m")
        again = jglm.load(tmp_path / "m", functions={"double": lambda v: 2 * v})
        np.testing.assert_array_equal(again.predict(FRAME), fitted.predict(FRAME))

    def test_functions_that_are_not_used_are_not_asked_for(self, tmp_path):
        glm("y ~ x", functions={"double": lambda v: 2 * v}).save(tmp_path / "m")
        assert jglm.load(tmp_path / "m").names == ["Intercept", "x"]


def test_pickle_and_copy(by_formula):
    for again in (pickle.loads(pickle.dumps(by_formula)), copy.deepcopy(by_formula)):
        np.testing.assert_array_equal(again.predict(FRAME), by_formula.predict(FRAME))
        np.testing.assert_array_equal(again.bse, by_formula.bse)
