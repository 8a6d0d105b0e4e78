"""R as a rival: the data travel in files, benchmarks/glm.R reads them and times its own fits."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy import sparse

from benchmarks import objective
from benchmarks.rival import Rival

SCRIPT = Path(__file__).with_name("glm.R")
FAMILIES = {"bernoulli": "binomial", "gamma": "Gamma", "softmax": "multinomial"}


def write(problem, folder):
    """The problem as raw files of doubles and of codes, column by column, and what else is to be known of it."""
    if problem.frame is not None:
        for name in problem.factors:
            column = problem.frame[name].cat
            (column.codes.to_numpy().astype(np.int32) + 1).tofile(folder / f"codes_{name}")
            (folder / f"levels_{name}").write_text("\n".join(map(str, column.categories)) + "\n")
    elif sparse.issparse(problem.X):
        X = sparse.csc_array(problem.X)
        X.sort_indices()
        for name, values in (("indptr", X.indptr), ("indices", X.indices)):
            values.astype(np.int32).tofile(folder / name)
        X.data.tofile(folder / "X")
    else:
        np.asarray(problem.X.T, np.float64).tofile(folder / "X")  # X.T in C order is X in R's
    factors = [] if problem.frame is None else problem.factors
    (folder / "factors").write_text("".join(f"{name}\n" for name in factors))
    for name in ("y", "exposure", "weights"):
        if getattr(problem, name) is not None:
            np.asarray(getattr(problem, name), np.float64).tofile(folder / name)
    flags = dict(intercept=problem.intercept, summary=problem.summary)
    facts = dict(family=FAMILIES.get(problem.family, problem.family), n=problem.n, p=problem.p, alpha=problem.alpha)
    facts |= {name: str(value).upper() for name, value in flags.items()}
    (folder / "facts").write_text("".join(f"{name}: {value}\n" for name, value in facts.items()))


def measured_by(method):
    """`Rival.measure` for one of the fits of glm.R."""

    def measure(problem, job):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write(problem, folder)
            told = [str(job[what]) for what in ("repeat", "budget", "long")]
            done = subprocess.run(["Rscript", str(SCRIPT), name, *told, method], capture_output=True, text=True)
            if done.returncode != 0:
                said = done.stderr.partition("Error")[2].split("Calls:")[0]
                raise RuntimeError(f"R: {' '.join(said.split()) or f'ended with code {done.returncode}'}")
            coef = np.fromfile(folder / "coef")
        coef = coef.reshape(objective.coef_shape(problem)[::-1]).T
        return json.loads(done.stdout.strip().splitlines()[-1]) | dict(coef=coef)

    return measure


NO_FLOAT32 = "R has no float32"
DENSE = {"float32": NO_FLOAT32, "ridge": "no penalty", "classes": "no family for several classes"}


def _rival(method, label, package="stats", cannot=DENSE):
    name = f"r_{method.replace('.', '_')}"
    measure = measured_by(method)
    return Rival(name, f"R {label}", None, (), (package,), cannot, measure=measure, r_package=package)


RIVALS = (
    _rival("glm", "glm"),
    _rival("glm.fit", "glm.fit"),
    _rival("lm", "lm"),
    _rival("glm4", "glm4 of MatrixModels", "MatrixModels"),
    _rival("glmnet", "glmnet", "glmnet", {"float32": NO_FLOAT32}),
    _rival("fastglm", "fastglm", "fastglm"),
)
