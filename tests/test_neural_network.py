"""A network with a family as its head: nearer than the GLM to households unseen, and the gradient is the GLM's."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("equinox")

import equinox as eqx
import jax
import jax.numpy as jnp

from jglm import links
from jglm.demo import load

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("neural_network", DOCS / "neural_network.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(script):
    frame = load()
    return script.covariates(frame), frame["visits"].to_numpy(float), script.households(frame)


def test_splits_part_households(script, data):
    X, y, groups = data
    assert len(X) == len(y) == len(groups) == 20_190
    seen = np.zeros(len(y), int)
    for rows, held in script.splits(groups):
        assert not set(groups[rows]) & set(groups[held])
        seen[held] += 1
    assert np.all(seen == 1)


def test_network_beats_the_linear_predictor_on_unseen_households(script, data, tmp_path):
    X, y, groups = data
    # Of all rows, or the margin drowns in noise; for time, half the epochs and larger batches.
    quick = dict(epochs=10, batch=512, rate=5e-3, hats=False)
    poisson = script.FAMILIES[0]
    found = [script.compare(poisson, X, y, *split, seed=i, **quick) for i, split in enumerate(script.splits(groups))]
    gain, error = script.margin(found, groups)
    assert gain > 2 * error
    assert script.margin(found, groups, "GLM", "null")[0] > gain
    said = []
    script.report("poisson", found, groups, said.append)
    assert f"{gain:.4f} ({error:.4f})" in said[-1]
    script.picture(found, X, y, groups, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000


@pytest.mark.parametrize("which", range(3))
def test_gradient_is_the_error_times_the_jacobian(script, data, which):
    X, y, _ = data
    family = script.FAMILIES[which]
    link = links.default(family)
    x, y = jnp.asarray(script.encoder(X)(X[::2000]), float), jnp.asarray(y[::2000])
    assert which < 2 or family.natural_ is None  # the mean of our own is inverted numerically, within the gradient
    net = eqx.nn.inference_mode(script.network(x.shape[1], jax.random.key(1), width=5))
    weights, rest = eqx.partition(net, eqx.is_inexact_array)
    flat, unflatten = jax.flatten_util.ravel_pytree(jax.tree.map(lambda v: v.astype(float), weights))
    back = lambda flat: eqx.combine(unflatten(flat), rest)
    automatic = jax.grad(lambda flat: script.objective(back(flat), family, link, x, y, jax.random.key(0)))(flat)
    eta = lambda flat: script.natural(family, link, jax.vmap(back(flat))(x))
    closed_form = (family.mean(eta(flat)) - y) @ jax.jacobian(eta)(flat) / len(y)
    np.testing.assert_allclose(automatic, closed_form, rtol=1e-8, atol=1e-12)
