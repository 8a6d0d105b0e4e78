"""What a rival is: a library, how it fits a problem, what it gives back and what it needs to run."""

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Result:
    """coef (p + 1,) or (p + 1, classes - 1) relative to class 0; iterations, None for a direct solution; `how` names
    the method and any change of the problem."""

    coef: np.ndarray
    iterations: int | None
    how: str


@dataclass(frozen=True)
class Rival:
    """A library as the benchmark sees it.

    imports: what a user imports, "module" or "module:name", timed apart from the fit;
    packages: distributions whose versions are told, its own first;
    cannot: trait or family of a problem -> why the library is left out there;
    prepare: changes the problem before any timing (arrays that are on the device already);
    measure: takes all times itself, (problem, job) -> figures, in place of `fit`: for what is no Python;
    requires: what pip installs into an environment of its own; () where it runs in this one;
    cache: "none", or a compilation cache that is "empty" or "warm" when its process begins;
    r_package: the package of R that it is, "stats" being R itself.
    """

    name: str
    label: str
    fit: Callable | None
    imports: tuple
    packages: tuple
    cannot: dict = field(default_factory=dict)
    prepare: Callable = lambda problem: problem
    measure: Callable | None = None
    requires: tuple = ()
    cache: str = "none"
    r_package: str | None = None

    def reason_to_skip(self, entry):
        traits = sorted(entry.traits | {entry.family})
        return next((self.cannot[t] for t in traits if t in self.cannot), None)

    def missing(self):
        """The first thing that is not installed and that pip in its own environment will not bring, or None."""
        if self.r_package is not None:
            return missing_in_r(self.r_package)
        if self.requires:
            return None
        needed = [text.partition(":")[0].partition(".")[0] for text in self.imports]
        needed += [name for name in self.packages if name.isidentifier()]
        return next((name for name in needed if importlib.util.find_spec(name) is None), None)


def missing_in_r(package):
    if shutil.which("Rscript") is None:
        return "R"
    ask = f'quit(status = !requireNamespace("{package}", quietly = TRUE))'
    done = subprocess.run(["Rscript", "-e", ask], capture_output=True)
    return None if done.returncode == 0 else f"R's package {package}"
