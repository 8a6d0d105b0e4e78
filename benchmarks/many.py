"""Many fits at once: `jglm.fit_many` against loops of other libraries, a process of its own for each.

    python -m benchmarks.many [--shrink N] [--problems small,medium,genes] [--out benchmarks/results]
    python -m benchmarks.many --problems mapped                    # a million data sets in a file of 3.2 GB

small: 10,000 Bernoulli fits of 200 x 8, an X for each; medium: 2,000 of 1,000 x 20; genes: 20,000 negative binomials of
100 samples x 4, r estimated and moderated; mapped: 1,000,000 Bernoulli fits of 100 x 4, X in a memory-mapped file. All
with standard errors. A loop is timed over the first `--loop` models, and told per fit. Every coefficient counted in a
time is judged: max |gradient| / n of its own likelihood. Writes many.jsonl, many.md and many.png.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import record

ENOUGH = 1e-6
PROBLEMS = {  # models, rows, columns with the constant, and how much faster than whom
    "small": (10_000, 200, 8, {"statsmodels": 60, "sklearn": 60, "r": 10}),
    "medium": (2_000, 1_000, 20, {"statsmodels": 15, "sklearn": 5, "r": 2}),
    "genes": (20_000, 100, 4, {"pydeseq2": 3}),
    "mapped": (1_000_000, 100, 4, {}),
}
RIVALS = {"small": ("jglm", "statsmodels", "sklearn", "r"), "medium": ("jglm", "statsmodels", "sklearn", "r"),
          "genes": ("jglm", "pydeseq2"), "mapped": ("jglm",)}  # fmt: skip
LABELS = {"jglm": "jglm.fit_many", "statsmodels": "statsmodels GLM", "sklearn": "scikit-learn lbfgs", "r": "R glm.fit",
          "pydeseq2": "PyDESeq2"}  # fmt: skip
REQUIRES = ("pydeseq2",)  # in an environment of its own


def make(problem, m, folder=None):
    """(X, Y) of m models; X without the constant."""
    _, n, p, _ = PROBLEMS[problem]
    rng = np.random.default_rng(0)
    if problem == "genes":
        X = np.column_stack([rng.integers(0, 2, n), rng.normal(size=(n, p - 2))]).astype(float)
        mean = np.exp(rng.uniform(1.5, 8, size=m))
        alpha = (0.05 + 2 / mean) * np.exp(0.3 * rng.normal(size=m))
        mu = depths(n)[:, None] * mean * np.exp(X @ (0.3 * rng.normal(size=(p - 1, m))))
        return X, rng.negative_binomial(1 / alpha, 1 / (1 + alpha * mu))
    coef = 0.5 * rng.normal(size=(m, p - 1)) * np.sqrt(8 / max(p, 8))
    if problem == "mapped":
        X = np.memmap(Path(folder) / "X", np.float64, "w+", shape=(m, n, p - 1))
    else:
        X = np.empty((m, n, p - 1))
    Y = np.empty((n, m))
    for i in range(0, m, 1000):
        part = rng.normal(size=(min(1000, m - i), n, p - 1))
        lin = np.einsum("mnp,mp->nm", part, coef[i : i + 1000])
        Y[:, i : i + 1000] = rng.random(lin.shape) < 1 / (1 + np.exp(-lin))
        X[i : i + 1000] = part
    if problem == "mapped":
        X.flush()
        X = np.memmap(Path(folder) / "X", np.float64, "r", shape=(m, n, p - 1))
    return X, Y


def depths(n):
    return np.random.default_rng(1).uniform(0.6, 1.6, n)


def judge(X, Y, params, r=None, offset=0.0):
    """The largest |gradient| / n of any model: Bernoulli, or negative binomial with r."""
    worst = 0.0
    for i in range(0, len(params), 1000):
        part = X[i : i + 1000] if X.ndim == 3 else np.broadcast_to(X, (len(params[i : i + 1000]), *X.shape))
        part = np.concatenate([np.ones((*part.shape[:2], 1)), part], axis=2)
        lin = (part @ params[i : i + 1000, :, None])[:, :, 0] + offset
        y = Y[:, i : i + 1000].T
        if r is None:
            score = 1 / (1 + np.exp(-lin)) - y
        else:
            mu, own = np.exp(lin), r[i : i + 1000, None]
            score = own * (mu - y) / (own + mu)
        gradient = np.einsum("bn,bnp->bp", score, part) / y.shape[1]
        worst = max(worst, float(np.max(np.abs(gradient))))
    return worst


# ---------------------------------------------------------------------------- what each does, in its own process
def by_jglm(problem, X, Y, repeat):
    import jglm

    options = dict(family="bernoulli", progress=False)
    offset, said = 0.0, ""
    if problem == "genes":
        options = dict(family="negative_binomial", size_factors=depths(len(Y)), moderate="trend", progress=False)
        offset = np.log(depths(len(Y)))
    times = []
    for _ in range(repeat + 1):
        began = time.perf_counter()
        fits = jglm.fit_many(X, Y, **options)
        _ = fits.bse
        times.append(time.perf_counter() - began)
    good = fits.converged
    if not good.all():
        said = f"{int((~good).sum())} of {len(fits)} did not converge (separated)"
    r = fits.family_params.get("r")
    kept = np.flatnonzero(good)
    own = X if X.ndim == 2 else X[kept] if len(kept) < len(fits) and problem != "mapped" else X
    params = fits.params[kept] if own is not X or X.ndim == 2 else np.nan_to_num(fits.params)
    told = Y[:, kept] if len(params) == len(kept) else Y
    gradient = judge(own, told, params, None if r is None else r[kept], offset) if good.all() or own is not X or \
        X.ndim == 2 else float("nan")  # fmt: skip
    return times, len(fits), gradient, said


def _loop(fit, X, Y, repeat, most):
    times, params = [], None
    for _ in range(repeat + 1):
        began = time.perf_counter()
        params = [fit(X[i], Y[:, i]) for i in range(most)]
        times.append(time.perf_counter() - began)
    return times, most, judge(X[:most], Y[:, :most], np.array(params)), ""


def by_statsmodels(problem, X, Y, repeat):
    import statsmodels.api as sm

    def fit(x, y):
        found = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial()).fit()
        _ = found.bse
        return found.params

    return _loop(fit, X, Y, repeat, len(X))


def by_sklearn(problem, X, Y, repeat):
    from sklearn.linear_model import LogisticRegression

    def fit(x, y):
        found = LogisticRegression(C=np.inf, tol=1e-6, max_iter=1000).fit(x, y)
        return np.concatenate([found.intercept_, found.coef_[0]])

    times, m, gradient, _ = _loop(fit, X, Y, repeat, len(X))
    return times, m, gradient, "without standard errors, which it has not"


R_LOOP = """
a <- commandArgs(TRUE); m <- as.integer(a[2]); n <- as.integer(a[3]); p <- as.integer(a[4])
X <- array(readBin(file.path(a[1], "X"), "double", m * n * p), c(n, p, m))
Y <- matrix(readBin(file.path(a[1], "Y"), "double", m * n), n)
fit <- function(i) {
  found <- suppressWarnings(glm.fit(X[, , i], Y[, i], family = binomial()))
  se <- sqrt(diag(chol2inv(found$qr$qr[1:p, 1:p, drop = FALSE])))
  found$coefficients
}
for (k in 0:as.integer(a[5])) {
  cat(system.time(coef <- sapply(seq_len(m), fit))[["elapsed"]], "")
}
writeBin(as.double(coef), file.path(a[1], "coef"))
"""


def by_r(problem, X, Y, repeat):
    m, n, p = X.shape
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = np.concatenate([np.ones((m, n, 1)), X], axis=2)
        np.ascontiguousarray(whole.transpose(0, 2, 1)).tofile(folder / "X")
        np.ascontiguousarray(Y.T).tofile(folder / "Y")
        (folder / "loop.R").write_text(R_LOOP)
        told = map(str, (folder, m, n, p + 1, repeat))
        done = subprocess.run(["Rscript", str(folder / "loop.R"), *told], capture_output=True, text=True, check=True)
        coef = np.fromfile(folder / "coef").reshape(m, p + 1)
    return [float(v) for v in done.stdout.split()], m, judge(X, Y, coef), ""


def by_pydeseq2(problem, X, Y, repeat):
    import warnings

    import pandas as pd
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference

    warnings.simplefilter("ignore")
    n, m = Y.shape
    rows = [f"s{i}" for i in range(n)]
    facts = pd.DataFrame({"a": X[:, 0].astype(int).astype(str), "b": X[:, 1], "c": X[:, 2]}, index=rows)
    counts = pd.DataFrame(Y, index=rows, columns=[f"g{i}" for i in range(m)])
    steps = (
        "fit_genewise_dispersions",
        "fit_dispersion_trend",
        "fit_dispersion_prior",
        "fit_MAP_dispersions",
        "fit_LFC",
    )
    times = []
    for _ in range(repeat + 1):
        own = DefaultInference(n_cpus=record.cores())
        data = DeseqDataSet(counts=counts, metadata=facts, design="~a+b+c", inference=own, quiet=True)
        data.fit_size_factors()
        began = time.perf_counter()
        for step in steps:
            getattr(data, step)()
        times.append(time.perf_counter() - began)
    columns = data.obsm["design_matrix"] if "design_matrix" in data.obsm else data.obsm["design"]
    coef, r = data.varm["LFC"].to_numpy(), 1 / np.asarray(data.var["dispersions"])
    offset = np.log(np.asarray(data.obs["size_factors"]))
    fine = np.isfinite(coef).all(axis=1) & np.isfinite(r)
    design = np.asarray(columns)[:, 1:].astype(float)
    return times, m, judge(design, Y[:, fine], coef[fine], r[fine], offset), "dispersions with a Cox-Reid term"


def child(problem, rival, m, repeat):
    """Fit in this process and print the figures as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        X, Y = make(problem, m, folder)
        before = _private_mb()
        times, fits, gradient, said = globals()[f"by_{rival}"](problem, X, Y, repeat)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(dict(times=times, fits=fits, gradient=gradient, said=said, before_mb=before, peak_mb=peak,
                          private_mb=_private_mb())))  # fmt: skip


def _private_mb():
    """Memory of the process that belongs to no file, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines() if Path("/proc/self/status").exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


# ---------------------------------------------------------------------------- taking them all
def take(problem, rival, args):
    m, n, p, _ = PROBLEMS[problem]
    m = max(2, m // args.shrink)
    fitted = m if rival == "jglm" else min(m, max(2, args.loop // args.shrink) if problem != "genes" else m)
    python = sys.executable
    one = dict(problem=problem, rival=rival, label=LABELS[rival], models=m, n=n, p=p, cpu=record.cpu_model(),
               cores=record.cores(), load=args.load, jglm=record.version("jglm"))  # fmt: skip
    if rival == "pydeseq2" and not args.deseq:
        return one | dict(error="left out: give --deseq, the Python of an environment with pydeseq2")
    python = args.deseq if rival == "pydeseq2" else python
    command = [python, "-m", "benchmarks.many", "--child", problem, rival, str(fitted), str(args.repeat)]
    env = os.environ | {record.CACHES[0]: "off"}
    done = subprocess.run(command, cwd=record.ROOT, env=env, capture_output=True, text=True)
    if done.returncode:
        return one | dict(error=(done.stderr.strip().splitlines() or ["failed"])[-1])
    found = json.loads(done.stdout.strip().splitlines()[-1])
    warm = sorted(found["times"][1:])[len(found["times"][1:]) // 2]
    return one | found | dict(cold=found["times"][0], warm=warm, per_fit=warm / found["fits"])


def markdown(records):
    first = records[0]
    lines = ["# Many fits at once", "", f"{first['cpu']}, {first['cores']} cores, load {first['load']} before; jglm "
             f"{first['jglm']}. Loops are timed over the fits named and told per fit; warm is the median after the "
             "first run, cold the first.", ""]  # fmt: skip
    for problem in dict.fromkeys(r["problem"] for r in records):
        own = [r for r in records if r["problem"] == problem]
        mine, missed = next(r for r in own if r["rival"] == "jglm"), []
        m, n, p = (own[0][k] for k in ("models", "n", "p"))
        lines += [f"## {problem}: {m:,} models of {n:,} x {p}", "",
                  "| library | a fit, warm | fits timed | all, warm | all, cold | max &#124;gradient&#124; / n | jglm "
                  "is faster by | wanted | peak MB | |", "|---|" + "---:|" * 8 + "---|"]  # fmt: skip
        for r in own:
            if "error" in r:
                lines.append(f"| {r['label']} | {r['error']} |" + " |" * 8)
                continue
            scaled = m / r["fits"]
            ratio = r["per_fit"] / mine["per_fit"] if r is not mine and "per_fit" in mine else None
            wanted = PROBLEMS[problem][3].get(r["rival"], "")
            if ratio is not None and wanted != "" and ratio < wanted:
                missed.append(f"{r['label']} by a factor of {wanted / ratio:.1f}")
            early = "" if r["gradient"] <= ENOUGH else " **stopped early**"
            lines.append(f"| {r['label']} | {record.seconds(r['per_fit'])} | {r['fits']:,} | "
                         f"{record.seconds(r['warm'] * scaled)} | {record.seconds(r['cold'] * scaled)} | "
                         f"{r['gradient']:.1e}{early} | {'' if ratio is None else f'{ratio:.1f}'} | {wanted} | "
                         f"{r['peak_mb']:.0f} | {r['said']} |")  # fmt: skip
        if missed:
            lines += ["", f"Missed: {'; '.join(missed)}."]
        if problem == "mapped" and "private_mb" in mine:
            lines += ["", f"Of its memory at the end {mine['private_mb']:.0f} MB belong to no file; "
                      f"{mine['before_mb']:.0f} MB of them are Y and what was imported before."]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def draw(records, path):
    """Time per fit, a panel per problem on one axis; needs matplotlib."""
    from matplotlib.figure import Figure

    from benchmarks.picture import EARLY, OTHER, OWN

    problems, fitted = list(dict.fromkeys(r["problem"] for r in records)), [r for r in records if "per_fit" in r]
    figure = Figure(figsize=(4.6 * len(problems), 2.6), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(problems), squeeze=False, sharex=True)[0]
    for panel, problem in zip(panels, problems, strict=True):
        own = [r for r in fitted if r["problem"] == problem]
        for at, r in enumerate(own):
            early = r["gradient"] > ENOUGH
            color = EARLY if early else OWN if r["rival"] == "jglm" else OTHER
            panel.plot(r["per_fit"] * 1e6, at, "X" if early else "o", color=color, ms=7)
            said = f"{r['per_fit'] * 1e6:,.0f} µs" + (", stopped early" if early else "")
            panel.annotate(said, (r["per_fit"] * 1e6, at), (7, 0), textcoords="offset points", va="center", fontsize=8,
                           color=color)  # fmt: skip
        panel.set_yticks(range(len(own)), [r["label"] for r in own], fontsize=8)
        panel.set_ylim(len(own) - 0.4, -0.6)
        panel.set_title(f"{problem}: {own[0]['models']:,} x ({own[0]['n']:,} x {own[0]['p']})" if own else problem,
                        fontsize=9, loc="left")  # fmt: skip
        panel.grid(axis="x", color="#dddddd", lw=0.7)
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.tick_params(axis="y", length=0)
    times = [r["per_fit"] * 1e6 for r in fitted] or [1.0]
    panels[0].set_xscale("log")
    panels[0].set_xlim(min(times) / 2, max(times) * 12)  # room for the words to the right of the last mark
    panels[0].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f} µs")
    panels[0].xaxis.set_minor_formatter(lambda value, _: "")
    figure.suptitle("Time of a fit with standard errors, warm: further left is faster", fontsize=10, x=0.01, ha="left")
    figure.savefig(path, metadata={"Software": None})


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=lambda text: text.split(","), default=["small", "medium", "genes"])
    parser.add_argument("--shrink", type=int, default=1, help="divide the number of models by this")
    parser.add_argument("--loop", type=int, default=300, help="models that a loop is timed over")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--deseq", help="the Python of an environment that has pydeseq2")
    parser.add_argument("--rivals", type=lambda text: text.split(","), help="only these")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    args.load = record.load_average()
    records = []
    with open(args.out / "many.jsonl", "w") as file:
        for problem in args.problems:
            for rival in RIVALS[problem]:
                if args.rivals and rival not in args.rivals:
                    continue
                records.append(take(problem, rival, args))
                print(json.dumps(records[-1]), file=file, flush=True)
                said = records[-1].get("error") or f"{records[-1]['per_fit'] * 1e6:,.0f} µs a fit"
                print(f"{problem:8s} {LABELS[rival]:20s} {said}", flush=True)
    text = markdown(records)
    (args.out / "many.md").write_text(text)
    draw(records, args.out / "many.png")
    print(text)
    return records


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--child":
        child(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:6]))
    else:
        main()
