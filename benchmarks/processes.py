"""Strong scaling over processes on one machine: the same rows, shared out among more and more of them.

    python -m benchmarks.processes          writes results/processes.jsonl, .md and .png

Every process holds its rows in memory and has one core; they meet on the loopback (Gloo). A pass is one gradient of all
rows; the first, which compiles, is left out.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
ROWS, COLUMNS, PASSES = 800_000, 50, 20
COUNTS = (1, 2, 4)


def worker(where, count, index, rows):
    """Time the passes and the reduction of one process; process 0 prints them."""
    import jax

    import jglm

    jglm.distributed.initialize(where, count, index, timeout=120)
    ends = np.linspace(0, rows, count + 1).astype(int)
    own = int(ends[index + 1] - ends[index])
    rng = np.random.default_rng(index)
    X = rng.normal(size=(own, COLUMNS))
    y = (rng.uniform(size=own) < 1 / (1 + np.exp(-X[:, 0]))).astype(float)
    with jax.enable_x64(True):
        from jglm import families, links
        from jglm.inputs import data
        from jglm.model import GRADIENT, Model, Query, Unknowns
        from jglm.sharing import shards, spread

        family = families.bernoulli
        given = dict(weights=None, weight_kind="prior", offset=None, exposure=None, trials=None, intercept=False)
        prepared, family = data.prepare(X, y, family, links.default(family), names=None, **given)
        model = Model(family, links.default(family), None)
        problem = spread.Spread(model, prepared, np.ones(COLUMNS, bool), shards.mesh_of("all"))
        query = Query(Unknowns(np.zeros(COLUMNS), {}))
        problem.look(query, GRADIENT)
        jglm.distributed.gather(None)
        begun = time.perf_counter()
        for _ in range(PASSES):
            problem.look(query, GRADIENT)
        seconds = (time.perf_counter() - begun) / PASSES
        everyone, vector = jglm.distributed.Together(), np.zeros(COLUMNS + 4)
        everyone.sum(vector)
        begun = time.perf_counter()
        for _ in range(PASSES):
            everyone.sum(vector)
        exchange = (time.perf_counter() - begun) / PASSES
    if index == 0:
        print(json.dumps(dict(processes=count, rows=rows, columns=COLUMNS, pass_s=seconds, exchange_s=exchange)))


def run(count, rows):
    """What process 0 printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{probe.getsockname()[1]}"
    # One core each: XLA's threads of one process would take all of them.
    cores = sorted(os.sched_getaffinity(0))
    started = []
    for i in range(count):
        command = ["taskset", "-c", str(cores[i % len(cores)]), sys.executable, "-m", "benchmarks.processes"]
        command += ["--worker", where, str(count), str(i), str(rows)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
    out = [p.communicate()[0] for p in started]
    return json.loads(out[0].strip().splitlines()[-1])


def picture(lines):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    counts = [v["processes"] for v in lines]
    seconds = [1e3 * v["pass_s"] for v in lines]
    axes.plot(counts, seconds, "o-", label="seen")
    axes.plot(counts, [seconds[0] / c for c in counts], "--", color="gray", label="perfect, on as many cores")
    axes.set(xscale="log", yscale="log", xlabel="processes", ylabel="a gradient pass, ms", xticks=counts)
    axes.set_xticklabels(counts)
    axes.minorticks_off()
    axes.axvline(len(os.sched_getaffinity(0)), color="C3", lw=1, label="cores of this machine")
    axes.legend()
    axes.set_title(f"{lines[0]['rows']:,} x {COLUMNS} logistic rows shared among processes")
    figure.savefig(RESULTS / "processes.png", dpi=120)


def report(lines):
    first, cores = lines[0], len(os.sched_getaffinity(0))
    row = "| {processes} | {load:.0f} | {:.1f} | {:.2f} | {:.1f} |"
    rows = [row.format(1e3 * v["pass_s"], first["pass_s"] / v["pass_s"], 1e3 * v["exchange_s"], **v) for v in lines]
    return f"""# Strong scaling over processes

{first["rows"]:,} x {COLUMNS} logistic rows in float64, {PASSES} gradient passes after the first; each process held to
one core of {cores}. More processes than cores can gain nothing on an idle machine; where other programs want the cores
too (the load: how many), more processes get a larger share of them, and speed-ups beyond {cores} are that alone. A
gradient pass carries {COLUMNS + 4} numbers whatever the rows. An exchange is one sum by itself, with a check that all
processes are there.

| processes | load before | a pass, ms | times as fast | an exchange, ms |
|---|---|---|---|---|
{chr(10).join(rows)}
"""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    options.add_argument("--rows", type=int, default=ROWS)
    arguments = options.parse_args()
    if arguments.worker:
        where, *numbers = arguments.worker
        return worker(where, *map(int, numbers))
    lines = []
    for count in COUNTS:
        load = os.getloadavg()[0]
        lines.append(run(count, arguments.rows) | dict(load=load))
        print(lines[-1], flush=True)
    RESULTS.joinpath("processes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    RESULTS.joinpath("processes.md").write_text(report(lines))
    return picture(lines)


if __name__ == "__main__":
    main()
