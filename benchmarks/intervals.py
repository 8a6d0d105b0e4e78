"""Profile-likelihood intervals of 20 coefficients, against the time of the fit, and R's confint beside them.

    python -m benchmarks.intervals [--rows 10000] [--repeat 5] [--no-r] [--out benchmarks/results]

All figures of jglm are medians of warm runs in one process, the first run apart; R runs confint(glm) once, after its
fit. The ends must agree to 0.01 standard errors (R interpolates by splines). Writes intervals.jsonl and intervals.md.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np

import jglm
from benchmarks import record

FAMILIES = {"bernoulli": "binomial()", "poisson": "poisson()", "gamma": 'Gamma("log")'}
TARGET = 10.0  # times the fit at most
SCRIPT = """
suppressMessages(library(MASS))
args <- commandArgs(TRUE); n <- as.integer(args[2]); p <- as.integer(args[3])
raw <- readBin(args[1], "double", n * (p + 1)); X <- matrix(raw[1:(n * p)], n); y <- raw[(n * p + 1):(n * (p + 1))]
family <- eval(parse(text = args[4]))
fit <- glm(y ~ X, family = family)
once <- median(replicate(3, system.time(glm(y ~ X, family = family))[["elapsed"]]))
took <- system.time(found <- suppressMessages(confint(fit)))[["elapsed"]]
cat(once, took, as.vector(t(unname(found))))
"""


def data(family, n, p):
    rng = np.random.default_rng(7)
    X = rng.normal(size=(n, p))
    lin = 0.2 + X @ rng.normal(0, 0.2, p)
    if family == "bernoulli":
        return X, (rng.random(n) < 1 / (1 + np.exp(-lin))).astype(float)
    return X, rng.poisson(np.exp(lin)).astype(float) if family == "poisson" else rng.gamma(2.0, np.exp(lin) / 2)


def timed(function, repeat):
    """(first, median of the others, what it gave)."""
    took = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        found = function()
        took.append(time.perf_counter() - start)
    return took[0], statistics.median(took[1:]), found


def in_r(family, X, y):
    """(seconds of glm, of confint, the intervals) of R, None where it is not there."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file, script = Path(folder) / "data", Path(folder) / "run.R"
        file.write_bytes(np.asfortranarray(X).tobytes(order="F") + y.tobytes())
        script.write_text(SCRIPT)
        command = ["Rscript", str(script), str(file), *map(str, X.shape), FAMILIES[family]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=True)
    once, took, *ends = map(float, done.stdout.split())
    return once, took, np.reshape(ends, (-1, 2))


def measure(family, n, p, repeat, with_r):
    """The record of one family."""
    X, y = data(family, n, p)
    link = "log" if family == "gamma" else None
    cold_fit, fit_seconds, fit = timed(lambda: jglm.fit(X, y, family=family, link=link), repeat)
    _, table_seconds, _ = timed(lambda: jglm.fit(X, y, family=family, link=link).bse, repeat)
    cold, profile_seconds, ends = timed(lambda: fit.conf_int(method="profile"), repeat)
    rival = in_r(family, X, y) if with_r else None
    apart = None
    if rival is not None:
        # confint of MASS takes the normal quantile also where the dispersion is estimated; 10,000 rows hide it.
        apart = float(np.max(np.abs(ends - rival[2]) / fit.bse[:, None]))
        if not apart < 1e-2:
            raise AssertionError(f"{family}: the intervals of R differ by {apart} standard errors")
    return {
        "family": family, "rows": n, "coefficients": p + 1, "fit_seconds": fit_seconds, "fit_and_bse_seconds":
        table_seconds, "profile_seconds": profile_seconds, "cold_fit_seconds": cold_fit, "cold_profile_seconds": cold,
        "times_the_fit": profile_seconds / fit_seconds, "r_fit_seconds": rival and rival[0],
        "r_confint_seconds": rival and rival[1], "difference": apart, "load": record.load_average(),
        "date": date.today().isoformat(), "cpu": record.cpu_model(), "cores": record.cores(),
        "versions": {k: record.version(k) for k in ("jglm", "jax", "numpy")},
    }  # fmt: skip


def table(records):
    first = records[0]
    versions = ", ".join(f"{k} {v}" for k, v in first["versions"].items())
    lines = [
        "# Profile-likelihood intervals", "",
        f"All {first['coefficients']} coefficients of {first['rows']:,} rows, 95%. {first['cpu']}, {first['cores']} "
        f"cores; load before: {first['load']}; {versions}. Medians of warm runs; R's confint ran once. The target is "
        f"{TARGET:g} times the fit at most. Difference: the largest one of an end from R's, in standard errors (R "
        "interpolates by splines, and takes the normal quantile for the gamma).", "",
        "| family | fit | profile | times the fit | first profile | R: glm | R: confint | R slower by | difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for r in records:
        s = record.seconds
        slower = "–" if r["r_confint_seconds"] is None else f"{r['r_confint_seconds'] / r['profile_seconds']:.0f}"
        apart = "–" if r["difference"] is None else f"{r['difference']:.1e}"
        cells = (r["family"], s(r["fit_seconds"]), s(r["profile_seconds"]), f"{r['times_the_fit']:.1f}",
                 *(s(r[k]) for k in ("cold_profile_seconds", "r_fit_seconds", "r_confint_seconds")), slower,
                 apart)  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(records, path):
    """Bars of seconds: fit, profile, R's confint."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.6), dpi=150, layout="constrained")
    axes = figure.subplots()
    kinds = {"fit_seconds": ("jglm: fit", "#9cc3d3"), "profile_seconds": ("jglm: profile", "#0b6e99"),
             "r_fit_seconds": ("R: glm", "#c9ccd1"), "r_confint_seconds": ("R: confint", "#5f6670")}  # fmt: skip
    for i, (key, (label, color)) in enumerate(kinds.items()):
        axes.barh([k + 0.2 * i for k in range(len(records))], [r[key] or np.nan for r in records], 0.18, color=color,
                  label=label)  # fmt: skip
    axes.set_yticks([k + 0.3 for k in range(len(records))], [r["family"] for r in records])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("seconds")
    figure.legend(fontsize=7, loc="outside lower center", ncols=4)
    figure.savefig(path, metadata={"Software": None})


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--no-r", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args(argv)
    records = []
    for family in FAMILIES:
        records.append(measure(family, arguments.rows, 19, arguments.repeat, not arguments.no_r))
        print(json.dumps(records[-1]), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "intervals.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    (arguments.out / "intervals.md").write_text(table(records))
    draw(records, arguments.out / "intervals.png")
    return records


if __name__ == "__main__":
    main()
