"""Names and numbers that steer a fit: what was wrong with them, and what there is."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from refusing import COUNTS, EVENTS, ONES, X, fit, glm, refused

import jglm


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
