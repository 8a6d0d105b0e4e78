"""Uses that are many fits, or none: the bootstrap of a Poisson regression and a score scan, against loops over rivals.

    python -m benchmarks.many_uses [--shrink 1] [--repeat 3] [--threads 2] [--out benchmarks/results]

A loop is timed over its first fits or columns alone and scaled to all of them, as the table says. Every use runs in a
process of its own; warm is the median of `repeat` runs after a first one, which is cold. Writes many_uses.jsonl,
many_uses.md and many_uses.png.
"""

import argparse
import dataclasses
import datetime
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import picture, record

TITLES = {
    "bootstrap": "1,000 resamples of a Poisson regression, 10,000 x 10",
    "scan": "Score tests of 100,000 int8 columns, 5,000 rows, Bernoulli, 10 covariates",
}
TARGETS = {"bootstrap": 50.0}  # times as fast as the statsmodels loop


@dataclass
class Use:
    """One library on one use. Seconds; `timed` of `count` fits or columns were run, and warm is scaled to all. `check`
    are the first results, which must agree among the libraries."""

    problem: str
    library: str
    label: str
    version: str = ""
    title: str = ""
    count: int = 0
    timed: int = 0
    warm_seconds: float | None = None
    cold_seconds: float | None = None
    check: list | None = None
    error: str | None = None
    threads: int = 1
    load: float | None = None
    date: str = ""
    cpu: str = ""
    python: str = ""

    left_out = None
    stopped_early = False

    @property
    def measured(self):
        return self.warm_seconds is not None

    @property
    def rate(self):
        return self.count / self.warm_seconds


# ---------------------------------------------------------------------------- the data
def bootstrap_data(shrink):
    rng = np.random.default_rng(1)
    n, count = 10_000 // shrink, max(1_000 // shrink, 20)
    X = rng.normal(size=(n, 10))
    return X, rng.poisson(np.exp(0.3 + X @ rng.normal(0, 0.1, 10))).astype(float), count


def scan_data(shrink):
    rng = np.random.default_rng(2)
    n, q = 5_000 // shrink, 100_000 // shrink
    X, G = rng.normal(size=(n, 10)), rng.integers(0, 3, (n, q), dtype=np.int8)
    return X, (rng.random(n) < 1 / (1 + np.exp(-X @ rng.normal(0, 0.3, 10)))) * 1.0, G


# ---------------------------------------------------------------------------- the ways: data -> (run, timed, count)
def jglm_bootstrap(method, shrink):
    import jglm

    X, y, count = bootstrap_data(shrink)
    run = lambda: jglm.bootstrap(X, y, family="poisson", resamples=count, seed=0, method=method, progress=False)
    return lambda: run().params[:5].ravel(), count, count


def statsmodels_bootstrap(shrink):
    """A loop of fits to the same resamples, from the fit of all rows."""
    import statsmodels.api as sm

    import jglm

    X, y, count = bootstrap_data(shrink)
    timed, D = min(20, count), np.column_stack([np.ones(len(y)), X])
    weights = jglm.bootstrap(X, y, family="poisson", resamples=2).weights(np.arange(timed)).astype(float)
    start = sm.GLM(y, D, sm.families.Poisson()).fit().params
    fit = lambda w: sm.GLM(y, D, sm.families.Poisson(), freq_weights=w).fit(start_params=start, tol=1e-10).params
    return lambda: np.array([fit(w) for w in weights])[:5].ravel(), timed, count


def jglm_scan(shrink):
    import jglm

    X, y, G = scan_data(shrink)
    null = jglm.fit(X, y, family="bernoulli")
    return lambda: jglm.score_scan(G, null, progress=False).statistic[:50], G.shape[1], G.shape[1]


def numpy_scan(shrink):
    """The formula, column after column."""
    import jglm

    X, y, G = scan_data(shrink)
    null = jglm.fit(X, y, family="bernoulli")
    D, mu = np.column_stack([np.ones(len(y)), X]), null.predict()
    s, w = y - mu, mu * (1 - mu)
    inverse = np.linalg.inv(D.T @ (w[:, None] * D))

    def one(g):
        wg = w * g
        cross = D.T @ wg
        return (g @ s) ** 2 / (g @ wg - cross @ inverse @ cross)

    timed = min(500, G.shape[1])
    return lambda: np.array([one(G[:, j].astype(float)) for j in range(timed)])[:50], timed, G.shape[1]


def statsmodels_scan(shrink):
    """GLMResults.score_test of column after column."""
    import statsmodels.api as sm

    X, y, G = scan_data(shrink)
    null = sm.GLM(y, sm.add_constant(X), sm.families.Binomial()).fit(tol=1e-12)
    test = lambda j: null.score_test(exog_extra=G[:, [j]].astype(float), observed=False).statistic[0]
    return lambda: np.array([test(j) for j in range(50)]), 50, G.shape[1]


WAYS = {
    ("bootstrap", "jglm"): ("jglm", lambda shrink: jglm_bootstrap("refit", shrink)),
    ("bootstrap", "jglm_one_step"): ("jglm, one step", lambda shrink: jglm_bootstrap("one_step", shrink)),
    ("bootstrap", "statsmodels"): ("statsmodels, a loop", statsmodels_bootstrap),
    ("scan", "jglm"): ("jglm", jglm_scan),
    ("scan", "numpy"): ("NumPy, a loop of the formula", numpy_scan),
    ("scan", "statsmodels"): ("statsmodels, a loop of score_test", statsmodels_scan),
}


# ---------------------------------------------------------------------------- taking them
def measure(problem, library, shrink, repeat):
    """What the process of one use prints: its figures as a dict."""
    run, timed, count = WAYS[problem, library][1](shrink)
    seconds, check = [], []
    for _ in range(1 + repeat):
        began = time.perf_counter()
        check = run()
        seconds.append((time.perf_counter() - began) * count / timed)
    return dict(cold_seconds=seconds[0], warm_seconds=float(np.median(seconds[1:])), timed=timed, count=count,
                check=[float(v) for v in check])  # fmt: skip


def take(problem, library, args):
    """The Use, measured in a process of its own with the same number of threads for all."""
    package = library.split("_")[0]
    use = Use(problem, library, WAYS[problem, library][0], record.version(package), TITLES[problem],
              threads=args.threads, load=record.load_average(), date=datetime.date.today().isoformat(),
              cpu=record.cpu_model(), python=".".join(map(str, sys.version_info[:3])))  # fmt: skip
    if args.shrink > 1:
        use.title += f", shrunk {args.shrink} times"
    given = json.dumps([problem, library, args.shrink, args.repeat])
    code = f"import json; from benchmarks.many_uses import measure; print(json.dumps(measure(*json.loads({given!r}))))"
    env = record.environment(args.threads, "cpu")
    done = subprocess.run([sys.executable, "-c", code], cwd=record.ROOT, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        return dataclasses.replace(use, error=(done.stderr.strip().splitlines() or ["failed"])[-1])
    return dataclasses.replace(use, **json.loads(done.stdout.strip().splitlines()[-1]))


def difference(a, b):
    """The largest difference of the first results of two libraries, relative to the largest of them."""
    size = min(len(a.check), len(b.check))
    a, b = np.array(a.check[:size]), np.array(b.check[:size])
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


# ---------------------------------------------------------------------------- what is written
def markdown(uses):
    first = uses[0]
    versions = ", ".join(f"{k} {v}" for k, v in sorted({u.library.split("_")[0]: u.version for u in uses}.items()))
    lines = ["# Many uses", "", f"{first.cpu}, {first.threads} threads; load average before: {first.load}; Python "
             f"{first.python}; {versions}; {first.date}."]  # fmt: skip
    for problem in dict.fromkeys(u.problem for u in uses):
        group = [u for u in uses if u.problem == problem]
        own = group[0]
        columns = "library", "warm", "cold", "per second", "timed of all", "by jglm's", "difference"
        lines += ["", f"## {own.title}", "", f"| {' | '.join(columns)} |", "|---|---:|---:|---:|---:|---:|---:|"]
        for use in group:
            if not use.measured:
                lines.append(f"| {use.label} | failed: {use.error} | | | | | |")
                continue
            scaled = f"{use.timed:,} of {use.count:,}" + (", scaled" if use.timed < use.count else "")
            ratio = f"{use.warm_seconds / own.warm_seconds:.1f}" if own.measured else "–"
            off = "–" if use is own or not own.measured else f"{difference(own, use):.0e}"
            lines.append(f"| {use.label} | {record.seconds(use.warm_seconds)} | {record.seconds(use.cold_seconds)} | "
                         f"{use.rate:,.0f} | {scaled} | {ratio} | {off} |")  # fmt: skip
        lines += target(problem, group)
    lines += ["", "A loop is timed over some of its fits or columns and scaled to all. By jglm's: its time divided by "
              "that of jglm. Difference: the largest of the first results, relative to the largest result; one step is "
              "no refit, and is meant to differ."]  # fmt: skip
    return "\n".join(lines) + "\n"


def target(problem, group):
    """Whether the ratio to the statsmodels loop reaches the target, where there is one."""
    by = {u.library: u for u in group if u.measured}
    if problem not in TARGETS or not {"jglm", "statsmodels"} <= set(by):
        return []
    ratio, wanted = by["statsmodels"].warm_seconds / by["jglm"].warm_seconds, TARGETS[problem]
    said = "reached" if ratio >= wanted else f"missed by a factor of {wanted / ratio:.2f}"
    return ["", f"{ratio:.0f} times as fast as the statsmodels loop; target {wanted:g}: {said}."]


def draw(uses, path):
    """The warm times, a panel for each use; needs matplotlib."""
    from matplotlib.figure import Figure

    groups = [[u for u in uses if u.problem == p] for p in dict.fromkeys(u.problem for u in uses)]
    figure = Figure(figsize=(8, 1.2 + 1.4 * len(groups)), dpi=150, layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
    times = [u.warm_seconds for u in uses if u.measured] or [1.0]
    for panel, group in zip(panels, groups, strict=True):
        picture.fill(panel, group)
        panel.set_ylim(len(group) - 0.4, -0.6)
        panel.set_xscale("log")
        panel.set_xlim(min(times) / 2, max(times) * 8)
        panel.xaxis.set_major_formatter(lambda value, _: picture.plain(value))
        panel.tick_params(axis="x", labelsize=8)
    figure.suptitle(
        "Seconds of the whole use, loops scaled to all: further left is faster", fontsize=11, x=0.01, ha="left"
    )
    figure.supxlabel(f"{uses[0].cpu}, {uses[0].threads} threads, {uses[0].date}. Logarithmic axis.", fontsize=8)
    figure.savefig(path, metadata={"Software": None})


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shrink", type=int, default=1, help="divide rows, resamples and columns by this")
    parser.add_argument("--repeat", type=int, default=3, help="warm runs")
    parser.add_argument("--threads", type=int, default=record.cores())
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    uses = []
    with open(args.out / "many_uses.jsonl", "w") as file:
        for problem, library in WAYS:
            uses.append(take(problem, library, args))
            print(json.dumps(dataclasses.asdict(uses[-1])), file=file, flush=True)
            print(f"{problem}, {uses[-1].label}: {uses[-1].error or record.seconds(uses[-1].warm_seconds)}", flush=True)
    text = markdown(uses)
    (args.out / "many_uses.md").write_text(text)
    draw(uses, args.out / "many_uses.png")
    print(text)
    return uses


if __name__ == "__main__":
    main()
