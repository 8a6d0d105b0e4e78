"""Strengths of quadratic penalties by the data: mgcv's, and the least of the criterion."""

from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import jglm
from jglm import penalties
from jglm.fitting import smoothing
from jglm.regularization import paths

DATA = pd.read_csv(Path(__file__).parent / "references" / "smoothing" / "mgcv.csv")
B = DATA.filter(regex="^X").to_numpy()
D = np.diff(np.eye(B.shape[1]), 2, axis=0)
S = D.T @ D
# R 4.2, mgcv: response, family, method, sp, the first three coefficients, deviance (its convergence is to 1e-6 or so).
MGCV = {
    "y reml": ("poisson", 4.20077802217, (1.59133116402, -0.425828656628, 0.0981118275908), 244.064817727),
    "y gcv": ("poisson", 3.77648769025, (1.62308027861, -0.464757552034, 0.0642155293091), 243.853815568),
    "z reml": ("gaussian", 0.966996388659, (-1.42989082615, 1.62842579453, 2.2148247583), 32.8815901203),
    "z gcv": ("gaussian", 1.74270823858, (-1.68895339794, 1.95306111261, 2.47189766237), 33.0482497423),
    "w reml": ("bernoulli", 2.37674811298, (-15.1719857109, 15.5962258986, 16.2722955), 194.682374095),
    "g gcv": ("gamma", 2.89648169164, (-0.435962573456, 1.76820049798, 2.15989635753), 69.4015649824),
}


@pytest.mark.parametrize("case", MGCV)
def test_strengths_are_mgcvs(case):
    response, kind = case.split()
    family, strength, coef, deviance = MGCV[case]
    fit = jglm.fit(B, DATA[response], family=family, penalty=penalties.quadratic(S, kind))
    np.testing.assert_allclose(float(fit.model.penalty.strength), strength, rtol=2e-6)
    np.testing.assert_allclose(fit.params[:3], coef, rtol=1e-6)
    np.testing.assert_allclose(fit.deviance, deviance, rtol=1e-7)
    again = jglm.fit(B, DATA[response], family=family, penalty=penalties.quadratic(S, fit.model.penalty.strength))
    np.testing.assert_allclose(again.params, fit.params, rtol=1e-7)


def test_several_strengths_are_the_least_of_the_criterion():
    half = B.shape[1] // 2
    first, second = np.zeros_like(S), np.zeros_like(S)
    first[:half, :half], second[half:, half:] = np.eye(half), np.eye(B.shape[1] - half)
    both = penalties.quadratic(first, "reml") + penalties.quadratic(second, "reml")
    fit = jglm.fit(B, DATA["y"], family="poisson", penalty=both)
    found = np.log([float(part.strength) for part in penalties.parts_of(fit.model.penalty)])
    given = dict(weights=None, offset=None, exposure=None, trials=None)
    with jax.enable_x64(True):
        problem = paths.Source(B, DATA["y"], "poisson", None, both, False, given).problem

        def value(logs):
            parts = penalties.parts_of(problem.model.penalty)
            seen = problem.with_model(type(problem.model)(
                problem.model.family, problem.model.link, smoothing._with_strengths(parts, [0, 1], logs)))  # fmt: skip
            return smoothing.criterion(seen, smoothing_fit(seen), "reml")

        least = value(found)
        for move in ([0.3, 0], [-0.3, 0], [0, 0.3], [0, -0.3], [0.2, 0.2]):
            assert value(found + move) > least


def smoothing_fit(problem):
    from jglm.fitting import estimate

    return estimate._smooth_fit(problem, None)


def test_what_cannot_be_is_refused():
    for call, message in (
        (lambda: penalties.quadratic(S, "aic"), "must be a number, 'gcv' or 'reml'"),
        (lambda: jglm.fit(B, DATA["g"], family="gamma", penalty=penalties.quadratic(S, "reml")), "use 'gcv'"),
        (lambda: jglm.fit(B, DATA["y"], family="negative_binomial", penalty=penalties.quadratic(S, "gcv")),
         "estimates r besides"),
        (lambda: jglm.fit(B, DATA["y"], family="poisson",
                          penalty=penalties.quadratic(S, "gcv") + penalties.quadratic(S, "reml")), "all by 'reml'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
