"""What may be given as X: every form of the same numbers gives the same fit, without a copy where none is needed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

import jglm
from jglm.designs import Categorical, Columns, Dense, Lagged, Scaled, Sparse
from jglm.inputs.matrix import design_of

RNG = np.random.default_rng(5)
N = 600
WORDS = np.where(RNG.uniform(size=(N, 8)) < 0.2, RNG.integers(1, 4, (N, 8)), 0).astype(float)
Y = RNG.poisson(np.exp(0.2 * WORDS[:, 0] - 0.1 * WORDS[:, 1] + 0.3)).astype(float)
FORMS = {
    "float32": lambda X: X.astype("float32"), "int8": lambda X: X.astype("int8"), "bfloat16": jnp.bfloat16,
    "jax": jnp.asarray, "csr_matrix": sparse.csr_matrix, "csc_array": sparse.csc_array,
    "coo with duplicates": lambda X: sparse.coo_array(
        (np.tile(X.ravel() / 2, 2), np.tile(np.indices(X.shape).reshape(2, -1), 2)), X.shape
    ),
    "Dense": Dense, "Sparse": lambda X: Sparse.of(sparse.csr_array(X)),
    "Columns": lambda X: Columns((Dense(X[:, :3]), Sparse.of(sparse.csr_array(X[:, 3:])))),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_the_same_numbers_give_the_same_fit(form):
    want, X = jglm.fit(WORDS, Y, family="poisson"), FORMS[form](WORDS)
    fit = jglm.fit(X, Y, family="poisson")
    np.testing.assert_allclose(fit.params, want.params, rtol=1e-11)
    np.testing.assert_allclose(fit.bse, want.bse, rtol=1e-10)
    assert fit.names == want.names
    new = FORMS[form](WORDS[:7])
    np.testing.assert_allclose(fit.predict(new), want.predict(WORDS[:7]), rtol=1e-10)
    ends = fit.predict(new, interval="mean"), want.predict(WORDS[:7], interval="mean")
    np.testing.assert_allclose(*ends, rtol=1e-9)


@pytest.mark.parametrize("stored", ["float64", "float32", "int8"])
def test_a_matrix_is_used_as_it_is_stored(stored):
    X = np.ascontiguousarray(WORDS.astype(stored))
    assert np.shares_memory(design_of(X)[0].X, X)


def test_a_jax_array_is_not_copied_on_a_cpu():
    X = jnp.asarray(WORDS)
    if jax.default_backend() == "cpu":
        assert np.asarray(design_of(X)[0].X).ctypes.data == X.unsafe_buffer_pointer()


def test_single_precision_is_near_double():
    X = WORDS + 0.01 * RNG.normal(size=WORDS.shape)
    double, single = (jglm.fit(X, Y, family="poisson", dtype=d) for d in ("float64", "float32"))
    np.testing.assert_allclose(single.params, double.params, atol=1e-6)


def test_standardized_columns_are_another_basis_of_the_same_model():
    want = jglm.fit(WORDS, Y, family="poisson")
    D = Scaled.standardized(Sparse.of(sparse.csr_array(WORDS)))
    fit = jglm.fit(D, Y, family="poisson")
    np.testing.assert_allclose(fit.params[1:], want.params[1:] * WORDS.std(axis=0), rtol=1e-9)
    np.testing.assert_allclose(fit.llf, want.llf, rtol=1e-13)


def test_lags_and_factors_enter_beside_numbers():
    signal, group = RNG.normal(size=N), RNG.integers(0, 4, N)
    past = np.column_stack([np.append(np.zeros(lag), signal[: N - lag]) for lag in range(3)])
    dummies = (group[:, None] == np.arange(1, 4)).astype(float)
    want = jglm.fit(np.column_stack([WORDS, past, dummies]), Y, family="poisson")
    D = Columns((Dense(WORDS), Lagged.of(signal, 3), Categorical.of(group)))
    fit = jglm.fit(D, Y, family="poisson")
    np.testing.assert_allclose(fit.params, want.params, rtol=1e-10)
    np.testing.assert_allclose(fit.bse, want.bse, rtol=1e-9)


def test_a_sparse_matrix_wider_than_a_covariance():
    rng = np.random.default_rng(0)
    X = sparse.random_array((4000, 21_000), density=2e-3, format="csr", rng=rng)
    lin = X @ rng.normal(size=X.shape[1])
    y = (rng.uniform(size=4000) < 1 / (1 + np.exp(-lin))).astype(float)
    fit = jglm.fit(X, y, family="bernoulli", penalty=jglm.penalties.ridge(1.0))
    assert fit.converged
    assert fit.solver == "lbfgs"
    mean = fit.predict(X)
    grad = X.T @ (mean - y) + np.asarray(fit.params[1:])
    assert np.max(np.abs(np.append(grad, np.sum(mean - y)))) < 1e-6
    with pytest.raises(ValueError, match="covariance of 21,001 coefficients is a matrix of 4 GB"):
        _ = fit.bse
    assert "computed when asked for" in str(fit.summary())
    assert fit.detach().covariance is None


@pytest.mark.parametrize(
    ("X", "error", "said"),
    [
        (sparse.csr_array(np.array([[1.0, np.nan]])), ValueError, "X has 1 NaN or infinite value .first: row 0"),
        (sparse.csr_array(np.array([[1j, 0]])), TypeError, "complex"),
        (sparse.csr_array(np.array([[1e200, 0]])), ValueError, "leave the range of numbers"),
        (sparse.csr_array((0, 3)), ValueError, "no rows"),
        (np.array([[np.inf]], "float32"), ValueError, "NaN or infinite"),
    ],
)
def test_what_cannot_be_is_refused(X, error, said):
    with pytest.raises(error, match=said):
        jglm.fit(X, np.ones(X.shape[0]), family="poisson")


def test_lags_are_checked():
    with pytest.raises(ValueError, match=r"give lags=.* or filters="):
        Lagged.of(np.ones(3))
    with pytest.raises(ValueError, match="whole number"):
        Lagged.of(np.ones(3), 0)
    with pytest.raises(ValueError, match="series has shape"):
        Lagged.of(np.ones(3), 2, series=np.ones(2))


@pytest.mark.parametrize("solver", ["auto", "sketched", "newton"])
@pytest.mark.parametrize("form", ["jax", "float32", "csr_matrix"])
def test_the_path_of_an_accelerator_gives_the_same_fit(form, solver, monkeypatch):
    """The products of `Problem` are then compiled ones over arrays where the solver runs."""
    X = RNG.integers(0, 3, (8000, 4)).astype(float)
    y = RNG.poisson(np.exp(0.2 * X[:, 0])).astype(float)
    want = jglm.fit(X, y, family="poisson")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    fit = jglm.fit(FORMS[form](X), y, family="poisson", solver=solver)
    np.testing.assert_allclose(fit.params, want.params, atol=1e-8 * np.max(want.bse))
    np.testing.assert_allclose(fit.bse, want.bse, rtol=1e-7)
    np.testing.assert_allclose(fit.null_deviance, want.null_deviance, rtol=1e-12)
    assert fit.solver == {"auto": "irls"}.get(solver, solver)
