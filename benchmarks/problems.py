"""The data sets: one function per problem, which makes the same numbers every time.

Columns are correlated and of unequal scale, as in real tables: with independent standard normal columns X'VX is nearly
a multiple of the identity and a plain gradient step is as good as Newton's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Problem:
    """Data to fit, an intercept and p columns: the mean of y is the inverse link of X coef + offset.

    X (n, p) has no column of ones, every rival adds its own unless `intercept` is False; y (n,), for "softmax" labels
    0 .. classes - 1 of which 0 is the reference; the offset is log(exposure), 0 where exposure is None. The objective
    is the mean of the losses with `weights`, plus alpha / 2 |coef|^2.

    frame: a pandas table whose categorical columns are the factors, beside "y" and "exposure" or "weight"; rivals fit
    it, and X is what becomes of its factors, a column for each level but the first. summary: a fit is done when
    standard errors and tests stand in a text.
    """

    name: str
    family: str  # a key of objective.FAMILIES
    link: str
    X: np.ndarray
    y: np.ndarray
    exposure: np.ndarray | None = None
    classes: int = 2
    weights: np.ndarray | None = None
    alpha: float = 0.0
    intercept: bool = True
    frame: Any = None
    summary: bool = False

    @property
    def n(self):
        return self.X.shape[0]

    @property
    def p(self):
        return self.X.shape[1]

    @property
    def offset(self):
        return None if self.exposure is None else np.log(self.exposure)

    @property
    def factors(self):
        """Names of the frame's factors, in the order of the columns of X."""
        return [name for name in self.frame if name not in ("y", "exposure", "weight")]


@dataclass(frozen=True)
class Entry:
    """What is known of a problem before its data are made; `traits` are what a rival may be unable to do.

    rows: how many `build` is asked for, divided by the command's --shrink but no fewer than `least`; None where the
    size is fixed. needs_data: it reads files, and is built as build(rows, folder).
    """

    name: str
    family: str
    title: str
    build: Callable
    traits: frozenset
    rows: int | None = None
    least: int = 0
    needs_data: bool = False

    def size(self, shrink):
        return max(self.rows // shrink, self.least)

    def titled(self, shrink):
        return self.title if self.rows is None else self.title.format(rows=f"{self.size(shrink):,}")

    def make(self, shrink=1, folder=None):
        """The Problem, the same numbers every time."""
        given = () if self.rows is None else (self.size(shrink),)
        return self.build(*given, *((folder,) if self.needs_data else ()))


ENTRIES: dict[str, Entry] = {}


def problem(family, title, traits=(), **known):
    """Enter a function into ENTRIES, under its own name."""

    def enter(build):
        ENTRIES[build.__name__] = Entry(build.__name__, family, title, build, frozenset(traits), **known)
        return build

    return enter


def find(name):
    """The entry of that name; "bernoulli_1000x20" is one of that size, which is in no list."""
    if name in ENTRIES:
        return ENTRIES[name]
    n, p = (int(part) for part in name.removeprefix("bernoulli_").split("x"))
    return Entry(name, "bernoulli", f"Bernoulli, {n:,} x {p}", lambda: bernoulli(name, 8, n, p), frozenset())


def columns(rng, n, p):
    """(n, p) normal columns, neighbours correlated by 0.5, standard deviations from 0.7 to 1.4."""
    X = rng.standard_normal((n, p))
    for j in range(1, p):
        X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * X[:, j]
    X *= np.geomspace(0.7, 1.4, p)
    return X


def truth(rng, X, spread):
    """Coefficients (p,) that give X coef a standard deviation of `spread`."""
    coef = rng.standard_normal(X.shape[1])
    return coef * spread / np.std(X @ coef)


def bernoulli(name, seed, n, p):
    rng = np.random.default_rng(seed)
    X = columns(rng, n, p)
    lin = X @ truth(rng, X, 1.0) - 0.5
    return Problem(name, "bernoulli", "logit", X, (rng.random(n) < 1 / (1 + np.exp(-lin))).astype(float))


@problem("bernoulli", "Bernoulli, 200 x 3")
def tiny():
    """For a quick look and for the test; in no suite."""
    return bernoulli("tiny", 1, 200, 3)


@problem("bernoulli", "Bernoulli, 1,000 x 10")
def bernoulli_1k_10():
    """So small that only a library's own overhead is seen."""
    return bernoulli("bernoulli_1k_10", 2, 1_000, 10)


@problem("bernoulli", "Bernoulli, 20,000 x 20")
def bernoulli_20k_20():
    return bernoulli("bernoulli_20k_20", 3, 20_000, 20)


@problem("gaussian", "Gaussian, 20,000 x 20")
def gaussian_20k_20():
    rng = np.random.default_rng(4)
    X = columns(rng, 20_000, 20)
    y = X @ truth(rng, X, 1.0) + 1 + rng.standard_normal(len(X))
    return Problem("gaussian_20k_20", "gaussian", "identity", X, y)


@problem("poisson", "Poisson with exposure, 20,000 x 20", traits=("offset",))
def poisson_20k_20():
    rng = np.random.default_rng(5)
    X = columns(rng, 20_000, 20)
    exposure = rng.uniform(0.2, 2.0, len(X))
    y = rng.poisson(exposure * np.exp(X @ truth(rng, X, 0.5) - 0.5)).astype(float)
    return Problem("poisson_20k_20", "poisson", "log", X, y, exposure)


@problem("gamma", "Gamma with log link, 20,000 x 10", traits=("log link",))
def gamma_20k_10():
    rng = np.random.default_rng(6)
    X = columns(rng, 20_000, 10)
    shape = 2.0
    y = rng.gamma(shape, np.exp(X @ truth(rng, X, 0.5) + 0.5) / shape)
    return Problem("gamma_20k_10", "gamma", "log", X, y)


@problem("softmax", "Softmax with 3 classes, 10,000 x 10", traits=("classes",))
def softmax_10k_10():
    rng = np.random.default_rng(7)
    X = columns(rng, 10_000, 10)
    lin = np.column_stack([np.zeros(len(X)), X @ truth(rng, X, 1.0) + 0.3, X @ truth(rng, X, 1.0) - 0.3])
    # The largest of lin + Gumbel noise is a draw from the softmax of lin.
    y = np.argmax(lin + rng.gumbel(size=lin.shape), axis=1)
    return Problem("softmax_10k_10", "softmax", "logit", X, y, classes=3)
