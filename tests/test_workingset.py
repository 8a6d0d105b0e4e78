"""Working sets of many columns: Hessians that looks share, and fits that begin where the one before ended."""

import numpy as np
import pytest

import jglm
from jglm import penalties, solvers
from jglm.fitting import workingset
from jglm.fitting.workingset import Losses
from jglm.regularization import pathwise

RNG = np.random.default_rng(3)
N, P = 60, 90
X = RNG.normal(size=(N, P))
LIN = X[:, :5] @ [1.0, -0.7, 0.5, 0.3, -0.2]
Y = {"gaussian": LIN + RNG.normal(size=N), "poisson": RNG.poisson(np.exp(0.3 * LIN)).astype(float)}


@pytest.mark.parametrize("family", Y)
def test_a_path_on_the_host_is_its_fits_one_by_one(family, monkeypatch):
    monkeypatch.setattr(pathwise, "SMALL", 0)
    path = jglm.path(X, Y[family], family=family, strengths=np.geomspace(20.0, 2.0, 5), progress=False, tol=1e-10)
    assert np.count_nonzero(path.params[-1]) > np.count_nonzero(path.params[0]) > 1
    for strength, coef in zip(path.strengths, path.params, strict=True):
        penalty, solver = penalties.lasso(strength), solvers.ProximalNewton(tol=1e-10)
        one = jglm.fit(X, Y[family], family=family, penalty=penalty, solver=solver)
        np.testing.assert_allclose(coef, one.params, rtol=0, atol=1e-7)


@pytest.mark.parametrize("family", Y)
def test_hessians_that_looks_share_are_those_of_the_columns(family, monkeypatch):
    monkeypatch.setattr(pathwise, "SMALL", 0)
    hessian, seen = workingset.Losses.hessian, []

    def checked(losses, loss, kept, size):
        found = hessian(losses, loss, kept, size)
        columns = np.column_stack([np.ones(N), X])[:, kept]
        np.testing.assert_allclose(found, columns.T @ (loss.bend[:, None] * columns), rtol=1e-9, atol=1e-9)
        seen.append(int(kept.sum()))
        return found

    monkeypatch.setattr(workingset.Losses, "hessian", checked)
    jglm.path(X, Y[family], family=family, strengths=np.geomspace(20.0, 1.0, 30), progress=False)
    assert len(seen) >= 30
    assert len(set(seen)) > 5


def test_a_gaussians_hessian_is_made_a_few_times_for_all_strengths(monkeypatch):
    monkeypatch.setattr(pathwise, "SMALL", 0)
    made, of = [], Losses.of
    monkeypatch.setattr(Losses, "of", lambda self, kept: made.append(self) or of(self, kept))
    looked, look = [], workingset._Loss.__init__
    monkeypatch.setattr(workingset._Loss, "__init__", lambda self, *args: looked.append(self) or look(self, *args))
    jglm.path(X, Y["gaussian"], family="gaussian", strengths=np.geomspace(20.0, 1.0, 30), progress=False)
    assert len(looked) >= 30
    assert len(made) - len(looked) <= 8  # `of` is asked once by each look, and once for each Hessian that is made
