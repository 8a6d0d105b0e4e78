"""How much of the way from the null to the optimal objective minibatches go in three epochs: freMTPL2 frequencies.

python -m benchmarks.minibatch --data FOLDER      writes results/minibatch.jsonl and results/minibatch.md
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import optax

import jglm
from benchmarks import insurance
from jglm.designs import Categorical
from jglm.solvers import Minibatch

RESULTS = Path(__file__).parent / "results"
TARGET = 0.999


def problem(folder):
    """(design, claims, exposure) of all contracts."""
    frame = insurance.contracts(folder, 10**9)
    claims = frame["ClaimNb"].to_numpy()
    factors = insurance.factors(frame, claims)
    return Categorical.of(*(factors[name] for name in factors)), claims, frame["Exposure"].to_numpy()


def solvers():
    """{what it is: Minibatch} of three epochs."""
    cosine = optax.cosine_decay_schedule(0.003, 250)
    return {
        "default (averaged SGD, rate 0.1), seed 0": Minibatch(),
        "default, seed 1": Minibatch(seed=1),
        "default, seed 2": Minibatch(seed=2),
        "SGD, rate 0.05": Minibatch(0.05),
        "Adam, rate 0.002": Minibatch(optax.adam(0.002)),
        "Adam, cosine decay from 0.003": Minibatch(optax.adam(cosine)),
        "SGD, rate 0.1, the last point, no average": Minibatch(0.1, average=False),
    }


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", required=True, help="the folder of freMTPL2freq.parquet and freMTPL2sev.parquet")
    X, y, exposure = problem(options.parse_args().data)
    given = dict(family="poisson", exposure=exposure, progress=False, covariance=None)
    best = jglm.fit(X, y, **given)
    null, lines = best.null_deviance, []
    for name, solver in solvers().items():
        begun = time.perf_counter()
        found = jglm.fit(X, y, solver=solver, **given)
        share = (null - found.deviance) / (null - best.deviance)
        lines.append(dict(solver=name, epochs=found.n_iter, closed=share, excess=(found.deviance - best.deviance) / 2,
                          seconds=time.perf_counter() - begun))  # fmt: skip
        print(lines[-1], flush=True)
    RESULTS.joinpath("minibatch.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    RESULTS.joinpath("minibatch.md").write_text(report(X, best, lines))


def report(X, best, lines):
    """The results as Markdown."""
    gap, below = (best.null_deviance - best.deviance) / 2, [v["solver"] for v in lines if v["closed"] < TARGET]
    rows = [f"| {v['solver']} | {100 * v['closed']:.3f}% | {v['excess']:.2f} | {v['seconds']:.1f} |" for v in lines]
    return f"""# Minibatches: three epochs of freMTPL2 frequencies

Poisson with exposure, {X.shape[0]:,} contracts, {X.shape[1] + 1} coefficients. The gap from the null to the optimal
objective is {gap:,.0f} (log-likelihood); the target is {TARGET:.1%} of it. Seconds are of {os.cpu_count()} cores that
other programs shared, compiling included.

| solver | gap closed | left, in log-likelihood | seconds |
|---|---|---|---|
{chr(10).join(rows)}

{f"Below the target: {'; '.join(below)}." if below else "All meet the target."}
"""


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
