"""Other libraries on the same data: torch and CuPy on the device, scikit-learn and NumPy on the machine's CPU."""

import importlib.util

import jax
import numpy as np

from benchmarks.cpu_rivals import sklearn_fit
from benchmarks.gpu.cases import views
from benchmarks.gpu.ways import Result, Way
from benchmarks.problems import Problem

ENOUGH = 1e-7  # max |gradient| / n that each is asked for
MOST = 500


# ---------------------------------------------------------------------------- torch
def torch_lbfgs(case):
    """torch.optim.LBFGS with its strong Wolfe search, on the buffers that JAX made."""
    import torch

    X, y = (torch.from_dlpack(a) for a in views(case.X, case.y))
    y = y.to(X.dtype)
    coef = torch.zeros(X.shape[1] + 1, dtype=X.dtype, device=X.device, requires_grad=True)
    loss = {
        "bernoulli": lambda lin: torch.nn.functional.binary_cross_entropy_with_logits(lin, y),
        "poisson": lambda lin: (torch.exp(lin) - y * lin).mean(),
    }[case.name]
    options = dict(tolerance_grad=ENOUGH, tolerance_change=0.0, max_iter=MOST, max_eval=2 * MOST, history_size=10)
    optimizer = torch.optim.LBFGS([coef], line_search_fn="strong_wolfe", **options)
    passes = 0

    def closure():
        nonlocal passes
        passes += 1
        optimizer.zero_grad()
        value = loss(X @ coef[1:] + coef[0])
        value.backward()
        return value

    optimizer.step(closure)
    return Result(coef.detach().cpu().numpy(), passes, 0, f"strong Wolfe, tolerance_grad {ENOUGH:g}, {X.device.type}")


def no_torch():
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    import torch

    there = jax.devices()[0].platform == "cpu" or torch.cuda.is_available()
    return None if there else "torch sees no GPU"


# ---------------------------------------------------------------------------- IRLS by anyone, in NumPy or CuPy
def irls(xp, case, X, y, numbers=1 << 22):
    """(coefficients, steps) of Newton's method, products in X's dtype over blocks of rows and sums in float64."""
    family, (n, p) = case.family, X.shape
    rows, coef, steps = max(numbers // p, 1), xp.zeros(p + 1), 0
    while steps < 50:
        steps += 1
        g, H = xp.zeros(p + 1), xp.zeros((p + 1, p + 1))
        narrow = coef.astype(X.dtype)
        for i in range(0, n, rows):
            A = X[i : i + rows]
            lin = A @ narrow[1:] + narrow[0]
            error, w = family.mean(xp, lin) - y[i : i + rows], family.variance(xp, lin)
            g[0] += xp.sum(error, dtype=g.dtype)
            g[1:] += error.astype(X.dtype) @ A
            H[0, 0] += xp.sum(w, dtype=g.dtype)
            H[0, 1:] += w @ A
            H[1:, 1:] += A.T @ (A * w[:, None])
        H[1:, 0] = H[0, 1:]
        coef = coef - xp.linalg.solve(H, g)
        # A step past the tolerance: the gradient that is looked at is that before the step.
        if float(xp.max(xp.abs(g))) <= ENOUGH * n:
            break
    return coef, steps


def cupy_irls(case):
    import cupy

    def taken(array):
        try:
            return cupy.from_dlpack(array)
        except BufferError:  # where a buffer that may not be written to is refused
            return cupy.asarray(array)

    X, y = (taken(a) for a in views(case.X, case.y))
    coef, steps = irls(cupy, case, X, y, 1 << 24)
    return Result(cupy.asnumpy(coef), steps, steps, "IRLS, blocks of 2^24 numbers")


def numpy_irls(case):
    coef, steps = irls(np, case, *case.host)
    return Result(coef, steps, steps, "IRLS, blocks of 2^22 numbers")


def no_cupy():
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed"
    return None if jax.devices()[0].platform == "gpu" else "CuPy needs a GPU"


# ---------------------------------------------------------------------------- scikit-learn
def sklearn(solver):
    fit = sklearn_fit(solver, ENOUGH)

    def run(case):
        X, y = case.host
        found = fit(Problem("", case.name, "log", X, y))
        return Result(np.asarray(found.coef, np.float64), found.iterations, None, found.how)

    return run


def no_sklearn():
    return "scikit-learn is not installed" if importlib.util.find_spec("sklearn") is None else None


def _on_host(name, label, run, missing=lambda: None):
    return Way(name, label, run, "numpy", host=True, doubles=1, missing=missing)


RIVALS = (
    Way("torch", "torch L-BFGS", torch_lbfgs, missing=no_torch),
    Way("cupy", "CuPy IRLS", cupy_irls, missing=no_cupy),
    _on_host("numpy", "NumPy IRLS, CPU", numpy_irls),
    _on_host("sklearn_lbfgs", "scikit-learn lbfgs, CPU", sklearn("lbfgs"), no_sklearn),
    _on_host("sklearn_newton", "scikit-learn newton-cholesky, CPU", sklearn("newton-cholesky"), no_sklearn),
)
