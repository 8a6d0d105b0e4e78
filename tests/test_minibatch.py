"""Minibatches and fits of data that keep arriving, against the fits of all rows."""

import numpy as np
import optax
import pytest

import jglm
from jglm.solvers import Minibatch, Status

RNG = np.random.default_rng(3)
N = 4000
X = RNG.normal(size=(N, 3)) * [0.1, 1.0, 30.0] + [5.0, 0.0, -40.0]
LIN = 0.4 * (X[:, 0] - 5.0) / 0.1 - 0.2 * X[:, 1]
COUNTS = RNG.poisson(np.exp(LIN))
LABELS = np.array(list("abc"))[(LIN[:, None] + RNG.gumbel(size=(N, 3)) * [1, 1.5, 2]).argmax(axis=1)]
WEIGHTS = RNG.integers(1, 3, N).astype(float)


@pytest.fixture(scope="module")
def poisson():
    return jglm.fit(X, COUNTS, family="poisson", weights=WEIGHTS)


def share_closed(found, best):
    """How much of the way from the null deviance to that of the optimum."""
    return (best.null_deviance - found.deviance) / (best.null_deviance - best.deviance)


@pytest.mark.parametrize("optimizer", [None, optax.adam(0.003), optax.cosine_decay_schedule(0.2, 240), 0.05])
def test_any_optimizer_closes_the_gap(poisson, optimizer):
    found = jglm.fit(X, COUNTS, family="poisson", weights=WEIGHTS, solver=Minibatch(optimizer))
    assert share_closed(found, poisson) > 0.999
    assert found.status == Status.ENDED
    assert not found.converged
    assert found.n_iter == 3
    np.testing.assert_allclose(found.bse, poisson.bse, rtol=0.05)


def test_more_epochs_come_nearer(poisson):
    away = [np.max(np.abs(jglm.fit(X, COUNTS, family="poisson", weights=WEIGHTS, solver=Minibatch(epochs=e)).params
                          - poisson.params) / poisson.bse) for e in (1, 3, 8)]  # fmt: skip
    assert away[0] > 2 * away[2]
    assert max(away[1:]) < 0.3


def test_the_seed_decides(poisson):
    fits = [jglm.fit(X, COUNTS, family="poisson", weights=WEIGHTS, solver=Minibatch(seed=s)) for s in (1, 1, 2)]
    np.testing.assert_array_equal(fits[0].params, fits[1].params)
    assert np.any(fits[0].params != fits[2].params)


def test_classes_and_a_ridge_penalty():
    penalty = jglm.penalties.ridge(20.0)
    found = jglm.fit(X, LABELS, family="categorical", penalty=penalty, solver="minibatch")
    best = jglm.fit(X, LABELS, family="categorical", penalty=penalty)
    assert found.deviance - best.deviance < 0.1
    assert np.max(np.abs(found.params - best.params) / best.bse.reshape(best.params.shape)) < 0.5


def test_what_minibatches_cannot_do_is_told():
    with pytest.raises(ValueError, match="kinks"):
        jglm.fit(X, COUNTS, family="poisson", penalty=jglm.penalties.lasso(1.0), solver="minibatch")
    with pytest.raises(ValueError, match="give its value"):
        jglm.fit(X, COUNTS, family="negative_binomial", solver=Minibatch())
    with pytest.raises(ValueError, match="whole number"):
        Minibatch(batch=0)
    with pytest.raises(ValueError, match="positive"):
        Minibatch(-0.1)


# --------------------------------------------------------------------------- data that keep arriving
def updated(family, y, size, **given):
    model = jglm.Updating(family, **given)
    for i in range(0, N, size):
        model.partial_fit(X[i : i + size], y[i : i + size], weights=WEIGHTS[i : i + size])
    return model


def test_normal_data_are_fitted_exactly():
    y = LIN + RNG.normal(size=N)
    best, found = jglm.fit(X, y, family="gaussian", weights=WEIGHTS), updated("gaussian", y, 500).result
    for name in (
        "params",
        "bse",
        "deviance",
        "llf",
        "aic",
        "pearson_chi2",
        "null_deviance",
        "scale",
        "nobs",
        "df_resid",
    ):
        np.testing.assert_allclose(getattr(found, name), getattr(best, name), rtol=1e-8, err_msg=name)


@pytest.mark.parametrize("family", ["poisson", "categorical"])
def test_others_are_renewed_to_a_share_of_a_standard_error(family):
    """Luo and Song (2020): the difference from the fit of all rows is of smaller order than the standard error."""
    y = COUNTS if family == "poisson" else LABELS
    best, model = jglm.fit(X, y, family=family, weights=WEIGHTS), updated(family, y, 500)
    found = model.result
    assert np.max(np.abs(found.params - best.params) / best.bse) < 0.15
    np.testing.assert_allclose(found.bse, best.bse, rtol=0.03)
    np.testing.assert_allclose(found.deviance, best.deviance, rtol=1e-4)
    assert found.nobs == best.nobs
    assert model.batches == 8


def test_batches_wait_until_they_tell_all_coefficients():
    y = LIN + RNG.normal(size=N)
    model = jglm.Updating("gaussian")
    model.update(X[:2], y[:2])
    with pytest.raises(ValueError, match="no coefficients yet"):
        model.result
    model.update(X[2:9], y[2:9])
    np.testing.assert_allclose(model.result.params, jglm.fit(X[:9], y[:9], family="gaussian").params, rtol=1e-8)


def test_labels_that_come_later_are_known_or_refused():
    early = LABELS[:200][LABELS[:200] != "c"]
    rows = X[:200][LABELS[:200] != "c"]
    with pytest.raises(ValueError, match="none of"):
        jglm.Updating("categorical").update(rows, early).update(X[:200], LABELS[:200])
    with pytest.raises(ValueError, match="columns"):
        jglm.Updating("gaussian").update(X[:50], LIN[:50]).update(X[:50, :2], LIN[:50])
    with pytest.raises(ValueError, match="give its value"):
        jglm.Updating("negative_binomial").update(X, COUNTS)
