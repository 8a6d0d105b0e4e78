"""R as a rival: the data travel in files, benchmarks/glm.R reads them and times its own fits."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.rival import Rival

SCRIPT = Path(__file__).with_name("glm.R")


def write(problem, folder):
    """The problem as raw files of doubles and of codes, column by column, and a list of the factors."""
    lines = []
    if problem.frame is None:
        np.asarray(problem.X.T, np.float64).tofile(folder / "X")  # X.T in C order is X in R's
    else:
        for name in problem.factors:
            column = problem.frame[name].cat
            (column.codes.to_numpy().astype(np.int32) + 1).tofile(folder / f"codes_{name}")
            (folder / f"levels_{name}").write_text("\n".join(map(str, column.categories)) + "\n")
            lines.append(name)
    (folder / "factors").write_text("".join(f"{name}\n" for name in lines))
    np.asarray(problem.y, np.float64).tofile(folder / "y")
    if problem.exposure is not None:
        np.asarray(problem.exposure, np.float64).tofile(folder / "exposure")
    family = {"bernoulli": "binomial"}.get(problem.family, problem.family)
    facts = (family, str(problem.n), str(problem.p), str(problem.summary).upper())
    (folder / "facts").write_text("\n".join(facts) + "\n")


def measured_in(package):
    """`Rival.measure` for glm() of R itself ("stats") or of a package."""

    def measure(problem, job):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write(problem, folder)
            told = [str(job["repeat"]), str(job["budget"]), package]
            done = subprocess.run(["Rscript", str(SCRIPT), name, *told], capture_output=True, text=True)
            if done.returncode != 0:
                said = done.stderr.strip().splitlines() or [f"R ended with code {done.returncode}"]
                raise RuntimeError(" ".join(said[-2:]))
            coef = np.fromfile(folder / "coef")
        return json.loads(done.stdout.strip().splitlines()[-1]) | dict(coef=coef)

    return measure


def _rival(name, label, package):
    return Rival(name, label, None, (), (name,), measure=measured_in(package), r_package=package)


RIVALS = (_rival("r_glm", "R glm", "stats"), _rival("r_fastglm", "R fastglm", "fastglm"))
