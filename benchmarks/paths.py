"""Paths of strengths and cross-validation: jglm against the libraries that are made for them.

    python -m benchmarks.paths [--data FOLDER] [--shrink N] [--problems lasso,folds,wide,claims] [--out …]

lasso: Bernoulli 200,000 x 100, 100 strengths; folds: the same with 5 folds; wide: gaussian 1,000 x 2,000; claims: an
elastic net (l1_ratio 0.5), Poisson counts of freMTPL2 with exposure and nine factors. All follow the same strengths,
and none standardizes. Judged by the largest KKT residual / n along the path: above 1e-6 a path "stopped early". R times
itself. Libraries with versions of their own run in environments of their own. Writes paths.jsonl, paths.md, paths.png.
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
from types import SimpleNamespace

import numpy as np

from benchmarks import environments, record

ENOUGH = 1e-6
STRENGTHS = 100
PROBLEMS = {  # rows, columns, family, l1_ratio, the last strength to the first, how much faster than the best
    "lasso": (200_000, 100, "bernoulli", 1.0, 1e-4, 1.5),
    "folds": (200_000, 100, "bernoulli", 1.0, 1e-4, 3.0),
    "wide": (1_000, 2_000, "gaussian", 1.0, 1e-2, 0.5),
    "claims": (678_013, 0, "poisson", 0.5, 1e-3, 2.0),
}
RIVALS = {
    "lasso": ("jglm", "glmnet", "adelie", "glum"), "folds": ("jglm", "glmnet", "glum"),
    "wide": ("jglm", "glmnet", "celer", "skglm"), "claims": ("jglm", "glmnet", "glum"),
}  # fmt: skip
REQUIRES = {"adelie": ("adelie", "numpy<2"), "celer": ("celer",), "skglm": ("skglm",)}
FOLDS = 5
BUDGET = 150.0  # seconds after which no further repetition begins


# ---------------------------------------------------------------------------- the problems
def make(problem, shrink, data):
    """{X or frame, y, weights of mean 1, strengths per row} of a problem."""
    n, p, family, ratio, low, _ = PROBLEMS[problem]
    if problem == "claims":
        return claims(shrink, data, ratio, low)
    n, p = max(n // shrink, 100), max(p // (shrink if problem == "wide" else 1), 10)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    coef = np.where(rng.random(p) < (0.02 if problem == "wide" else 0.2), rng.normal(size=p) * 0.3, 0.0)
    lin = X @ coef
    y = lin + rng.normal(size=n) if family == "gaussian" else (rng.random(n) < 1 / (1 + np.exp(-lin))).astype(float)
    highest = np.max(np.abs(X.T @ (y - y.mean()))) / n / ratio
    return dict(X=X, y=y, weights=np.ones(n), strengths=highest * np.geomspace(1, low, STRENGTHS))


def claims(shrink, data, ratio, low):
    from scipy import sparse

    from benchmarks import insurance

    found = insurance.claims_frequency(max(678_013 // shrink, 5_000), data or insurance.fetch())
    X, exposure = sparse.csc_matrix(found.X), found.exposure
    # Rates with the exposure as their weight are the same likelihood, and what every library takes.
    rate, weights = found.y / exposure, exposure / exposure.mean()
    slope = X.T @ (weights * (rate - np.average(rate, weights=weights)))
    strengths = np.max(np.abs(slope)) / len(rate) / ratio * np.geomspace(1, low, STRENGTHS)
    names = list(insurance.FACTORS)
    return dict(X=X, frame=found.frame[names].assign(rate=rate), factors=names, y=rate, weights=weights,
                strengths=strengths)  # fmt: skip


def judge(problem, d, coef):
    """(largest KKT residual / n of any strength, coefficients that are not 0 at the last) of coef (S, p + 1)."""
    family, ratio = PROBLEMS[problem][2:4]
    worst, n = 0.0, len(d["y"])
    for at in range(0, len(coef), 10):
        own, strength = coef[at : at + 10].T, d["strengths"][at : at + 10]
        lin = d["X"] @ own[1:] + own[0]
        mean = {"bernoulli": lambda v: 1 / (1 + np.exp(-v)), "poisson": np.exp, "gaussian": lambda v: v}[family](lin)
        score = d["weights"][:, None] * (mean - d["y"][:, None]) / n
        slope = d["X"].T @ score + strength * (1 - ratio) * own[1:]
        left = np.where(own[1:] != 0, np.abs(slope + strength * ratio * np.sign(own[1:])),
                        np.maximum(np.abs(slope) - strength * ratio, 0.0))  # fmt: skip
        worst = max(worst, float(np.max(left)), float(np.max(np.abs(score.sum(axis=0)))))
    return worst, int(np.count_nonzero(coef[-1, 1:]))


# ---------------------------------------------------------------------------- what each does, in its own process
def timed(function, repeat):
    """(seconds of the first and of further calls, what the last returned)."""
    times, found = [], None
    while len(times) <= repeat and sum(times) < BUDGET:
        began = time.perf_counter()
        found = function()
        times.append(time.perf_counter() - began)
    return times, found


def by_jglm(problem, d, repeat):
    import jglm

    family, ratio = PROBLEMS[problem][2:4]
    given = dict(family=family, strengths=d["strengths"] * len(d["y"]), l1_ratio=ratio, progress=False)
    given |= dict(tol=2e-4 if problem == "wide" else 1e-3)
    if problem == "folds":
        times, found = timed(lambda: jglm.cross_validate(d["X"], d["y"], folds=FOLDS, **given), repeat)
        return times, found.path.params, f"largest KKT / n of the folds' fits {found.fold_kkt.max():.1e}"
    if problem == "claims":
        formula = "rate ~ " + " + ".join(d["factors"])
        times, found = timed(lambda: jglm.path(formula, d["frame"], weights=d["weights"], **given), repeat)
        return times, found.params, "from the data frame"
    times, found = timed(lambda: jglm.path(d["X"], d["y"], **given), repeat)
    return times, found.params, ""


def by_glum(problem, d, repeat):
    import glum

    family, ratio = PROBLEMS[problem][2:4]
    family = {"bernoulli": "binomial", "gaussian": "normal"}.get(family, family)
    given = dict(family=family, l1_ratio=ratio, gradient_tol=1e-6, fit_intercept=True, scale_predictors=False)
    X = d["frame"][d["factors"]] if problem == "claims" else d["X"]
    if problem == "claims":
        given |= dict(drop_first=True)

    def one():
        if problem == "folds":
            return glum.GeneralizedLinearRegressorCV(alphas=d["strengths"], cv=FOLDS, **given).fit(X, d["y"])
        model = glum.GeneralizedLinearRegressor(alpha=list(d["strengths"]), alpha_search=True, **given)
        return model.fit(X, d["y"], sample_weight=d["weights"])

    times, found = timed(one, repeat)
    if problem == "folds":
        return times, None, "it keeps no paths to judge"
    order = np.argsort(-np.asarray(d["strengths"]))
    coef = np.column_stack([found.intercept_path_, found.coef_path_])[: len(order)]
    return times, coef, ""


def by_adelie(problem, d, repeat):
    import adelie as ad

    X = np.asfortranarray(d["X"])
    ad.configs.set_configs("hessian_min", 1e-24)
    one = lambda: ad.grpnet(
        X=X, glm=ad.glm.binomial(d["y"]), lmda_path=d["strengths"], tol=1e-10, irls_tol=1e-10, early_exit=False,
        n_threads=record.cores(), progress_bar=False, adev_tol=1.0, ddev_tol=0.0,
    )  # fmt: skip
    times, found = timed(one, repeat)
    return times, np.column_stack([found.intercepts, found.betas.toarray()]), "from column-major memory"


def by_celer(problem, d, repeat):
    from celer import celer_path

    x, y = d["X"] - d["X"].mean(axis=0), d["y"] - d["y"].mean()
    x = np.asfortranarray(x)
    times, found = timed(lambda: celer_path(x, y, pb="lasso", alphas=d["strengths"], tol=1e-8)[1].T, repeat)
    return times, np.column_stack([d["y"].mean() - found @ d["X"].mean(axis=0), found]), "centred beforehand"


def by_skglm(problem, d, repeat):
    from skglm import Lasso

    X = np.asfortranarray(d["X"])

    def one():
        model, coef = Lasso(tol=1e-7, warm_start=True, fit_intercept=True), []
        for strength in d["strengths"]:
            model.alpha = strength
            model.fit(X, d["y"])
            coef.append(np.append(model.intercept_, model.coef_))
        return np.array(coef)

    times, found = timed(one, repeat)
    return times, found, ""


R = """
suppressMessages(library(glmnet)); suppressMessages(library(Matrix))
a <- commandArgs(TRUE); at <- function(f) file.path(a[1], f)
facts <- readLines(at("facts")); family <- facts[1]; n <- as.integer(facts[2]); p <- as.integer(facts[3])
read <- function(f, k) readBin(at(f), "double", k)
y <- read("y", n); w <- read("w", n); s <- read("s", as.integer(facts[6]))
if (facts[4] == "sparse") {
  nnz <- as.integer(facts[7])
  x <- new("dgCMatrix", i = readBin(at("i"), "integer", nnz), p = readBin(at("p"), "integer", p + 1L),
           x = read("x", nnz), Dim = c(n, p))
} else x <- matrix(read("X", n * p), n, p)
fam <- switch(family, bernoulli = "binomial", family)
go <- function() glmnet(x, y, fam, weights = w, alpha = as.numeric(facts[5]), lambda = s, standardize = FALSE,
                        thresh = as.numeric(facts[8]), maxit = 1e7)
spent <- 0
for (k in 0:as.integer(a[2])) if (spent < 150) {
  t <- if (a[3] == "folds") system.time(cv.glmnet(x, y, family = fam, lambda = s, nfolds = 5, standardize = FALSE,
                                                  thresh = as.numeric(facts[8]), maxit = 1e7))[["elapsed"]]
       else system.time(f <- go())[["elapsed"]]
  spent <- spent + t; cat(t, "")
}
if (a[3] == "folds") f <- go()
writeBin(as.double(rbind(f$a0, as.matrix(f$beta))), at("coef"))
"""


def by_glmnet(problem, d, repeat):
    family, ratio = PROBLEMS[problem][2:4]
    sparse, (n, p) = problem == "claims", d["X"].shape
    # glmnet divides a gaussian response by its spread; its lambda is not changed by that with a lasso.
    thresh = {"wide": 1e-14, "claims": 1e-12}.get(problem, 1e-10)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        facts = [family, n, p, "sparse" if sparse else "dense", ratio, len(d["strengths"]),
                 d["X"].nnz if sparse else 0, thresh]  # fmt: skip
        (folder / "facts").write_text("\n".join(map(str, facts)) + "\n")
        files = dict(y=d["y"], w=d["weights"], s=d["strengths"])
        if sparse:
            files |= dict(i=d["X"].indices.astype(np.int32), p=d["X"].indptr.astype(np.int32), x=d["X"].data)
        else:
            files["X"] = d["X"].T
        for key, value in files.items():
            np.ascontiguousarray(value).tofile(folder / key)
        (folder / "path.R").write_text(R)
        command = ["Rscript", str(folder / "path.R"), name, str(repeat), problem]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        coef = np.fromfile(folder / "coef").reshape(-1, p + 1)
    return [float(v) for v in done.stdout.split()], coef, f"thresh {thresh:g}"


def child(problem, rival, shrink, data, repeat):
    """Follow the path in this process and print the figures as JSON."""
    d = make(problem, shrink, data)
    times, coef, said = globals()[f"by_{rival}"](problem, d, repeat)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kkt, nonzero = (float("nan"), 0) if coef is None else judge(problem, d, np.asarray(coef))
    n, p = d["X"].shape
    print(json.dumps(dict(times=times, kkt=kkt, nonzero=nonzero, said=said, peak_mb=peak, n=n, p=p,
                          steps=len(d["strengths"]) if coef is None else len(coef))))  # fmt: skip


# ---------------------------------------------------------------------------- taking them all
def take(problem, rival, args):
    one = dict(problem=problem, rival=rival, cpu=record.cpu_model(), cores=record.cores(), load=args.load,
               jglm=record.version("jglm"))  # fmt: skip
    try:
        named = SimpleNamespace(name=rival, label=rival, requires=REQUIRES.get(rival, ()))
        python = environments.interpreter(named, args.environments)
    except RuntimeError as error:
        return one | dict(error=f"no environment: {error}")
    command = [
        python,
        "-m",
        "benchmarks.paths",
        "--child",
        problem,
        rival,
        str(args.shrink),
        str(args.data),
        str(args.repeat),
    ]
    done = subprocess.run(command, cwd=record.ROOT, env=os.environ | {record.CACHES[0]: "off"}, capture_output=True,
                          text=True)  # fmt: skip
    if done.returncode:
        return one | dict(error=(done.stderr.strip().splitlines() or ["failed"])[-1][:200])
    found = json.loads(done.stdout.strip().splitlines()[-1])
    further = sorted(found["times"][1:]) or found["times"]
    return one | found | dict(cold=found["times"][0], warm=further[len(further) // 2])


def markdown(records):
    first = records[0]
    lines = ["# Paths of strengths", "", f"{first['cpu']}, {first['cores']} cores, load {first['load']} before; jglm "
             f"{first['jglm']}. Warm is the median after the first run; a KKT residual above {ENOUGH:g} n means that a "
             "path stopped early, and its time is not that of a solution.", ""]  # fmt: skip
    for problem in dict.fromkeys(r["problem"] for r in records):
        own = [r for r in records if r["problem"] == problem]
        mine = next((r for r in own if r["rival"] == "jglm" and "warm" in r), None)
        _, _, family, ratio, _, wanted = PROBLEMS[problem]
        shape = f" {mine['n']:,} x {mine['p']:,}" if mine else ""
        lines += [f"## {problem}: {family}{shape}, {STRENGTHS} strengths, l1_ratio {ratio:g}", "",
                  "| library | warm | cold | max KKT / n | not 0 at the end | jglm is faster by | peak MB | |",
                  "|---|---:|---:|---:|---:|---:|---:|---|"]  # fmt: skip
        ratios = []
        for r in own:
            if "error" in r:
                lines.append(f"| {r['rival']} | {r['error']} |" + " |" * 6)
                continue
            early = "" if not r["kkt"] > ENOUGH else " **stopped early**"
            faster = r["warm"] / mine["warm"] if mine and r is not mine else None
            if faster is not None:
                ratios.append(faster)
            told = f"{record.seconds(r['warm'])} | {record.seconds(r['cold'])} | {r['kkt']:.1e}{early}"
            by = "" if faster is None else f"{faster:.2f}"
            lines.append(f"| {r['rival']} | {told} | {r['nonzero']} | {by} | {r['peak_mb']:.0f} | {r['said']} |")
        if ratios:
            best = min(ratios)
            lines += ["", f"Over the best: {best:.2f}, wanted {wanted:g}"
                      + ("." if best >= wanted else f": missed by a factor of {wanted / best:.2f}.")]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def draw(records, path):
    """Seconds of a path, a panel per problem."""
    from matplotlib.figure import Figure

    problems = list(dict.fromkeys(r["problem"] for r in records))
    figure = Figure(figsize=(3.2 * len(problems) + 0.6, 2.4), dpi=150, layout="constrained")
    for panel, problem in zip(figure.subplots(1, len(problems), squeeze=False)[0], problems, strict=True):
        own = [r for r in records if r["problem"] == problem and "warm" in r]
        for at, r in enumerate(own):
            panel.barh(at, r["warm"], color="#0b6e99" if r["rival"] == "jglm" else "#9aa3ab")
            panel.annotate(f" {record.seconds(r['warm'])}", (r["warm"], at), va="center", fontsize=8)
        panel.set_yticks(range(len(own)), [r["rival"] for r in own], fontsize=8)
        panel.invert_yaxis()
        panel.margins(x=0.25)
        panel.set_title(problem, fontsize=9, loc="left")
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Seconds of a path of 100 strengths, warm", fontsize=10, x=0.01, ha="left")
    figure.savefig(path, metadata={"Software": None})


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=lambda text: text.split(","), default=list(PROBLEMS))
    parser.add_argument("--shrink", type=int, default=1, help="divide the number of rows by this")
    parser.add_argument("--data", default="", help="a folder with freMTPL2freq.parquet; without it OpenML is asked")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rivals", type=lambda text: text.split(","), help="only these")
    parser.add_argument("--environments", type=Path, default=environments.default_folder())
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--keep", action="store_true", help="add to the records there")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    args.load = record.load_average()
    kept = args.out / "paths.jsonl"
    records = [json.loads(line) for line in kept.read_text().splitlines()] if args.keep and kept.exists() else []
    for problem in args.problems:
        for rival in RIVALS[problem]:
            if not args.rivals or rival in args.rivals:
                one = take(problem, rival, args)
                records = [r for r in records if (r["problem"], r["rival"]) != (problem, rival)] + [one]
                print(f"{problem:8s} {rival:8s} {one.get('error') or record.seconds(one['warm'])}", flush=True)
    order = [(p, r) for p in PROBLEMS for r in RIVALS[p]]
    records.sort(key=lambda r: order.index((r["problem"], r["rival"])))
    kept.write_text("".join(json.dumps(r) + "\n" for r in records))
    (args.out / "paths.md").write_text(markdown(records))
    draw(records, args.out / "paths.png")
    return records


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        problem, rival, shrink, data, repeat = sys.argv[2:]
        child(problem, rival, int(shrink), data, int(repeat))
    else:
        main()
