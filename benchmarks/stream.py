"""Data larger than memory: a Poisson regression on Parquet files of factors and numbers, against decoding them alone.

    python -m benchmarks.stream [--gigabytes 1] [--folder FOLDER] [--rivals jglm,cached,glum,statsmodels,dask,spark]
                                [--kills 0] [--out benchmarks/results]

Writes the data below `--folder` (a temporary one by default, deleted at the end), then times in processes of their own:
decoding the model's columns with pyarrow, the fit with standard errors without and with a cache folder, and rivals from
environments of their own. Writes stream.jsonl, stream.md and stream.png. `--kills 20` kills a fit that often at random
moments, begins it again with resume=True, and compares coefficients.
"""

import argparse
import dataclasses
import datetime
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks import environments, record

LEVELS = (3, 5, 8, 12, 20, 50)
SINGLE, DOUBLE = [f"x{j}" for j in range(8)], [f"d{j}" for j in range(4)]
FACTORS = [f"f{j}" for j in range(len(LEVELS))]
FORMULA = "y ~ " + " + ".join(SINGLE + DOUBLE + FACTORS)
ROW = 8 * 4 + 4 * 8 + 6 * 4 + 4  # bytes of a decoded row, factors as Arrow's 32-bit codes
GROUP = 1 << 20
ROOT = Path(__file__).resolve().parent.parent
LABELS = {
    "decode": "pyarrow, decoding alone", "jglm": "jglm", "cached": "jglm, cache folder", "glum": "glum, in memory",
    "statsmodels": "statsmodels, distributed", "dask": "dask-glm", "spark": "PySpark, local",
}  # fmt: skip
REQUIRES = {"dask": ("dask-glm", "pandas", "pyarrow"), "spark": ("pyspark", "pandas", "pyarrow", "setuptools")}
LIMIT = 3600.0  # seconds of one process


@dataclass
class Run:
    """One process: seconds of the whole and of every pass, peak memory, and the coefficients."""

    library: str
    label: str
    rows: int
    gigabytes: float
    seconds: float | None = None
    passes: list = field(default_factory=list)  # of all rows, the first one first, the one for standard errors last
    cpu: list = field(default_factory=list)  # seconds of all cores in each of them
    decode: dict = field(default_factory=dict)  # {how: (seconds, seconds of all cores)}
    peak_mb: float | None = None
    coef: list | None = None
    error: str | None = None
    away: float | None = None  # the largest difference of coefficients from jglm's
    load: float | None = None
    date: str = ""
    cpu: str = ""
    versions: dict = field(default_factory=dict)


@dataclass
class Rival:
    name: str
    label: str
    requires: tuple


# --------------------------------------------------------------------------- the data
def write(folder, gigabytes):
    """The files; the number of rows. A file has a few row groups of a million rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = max(GROUP // 8, int(gigabytes * 1e9 / ROW))
    rng, folder = np.random.default_rng(0), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    effects = [rng.normal(size=size) * 0.3 for size in LEVELS]
    slopes = rng.normal(size=len(SINGLE + DOUBLE)) * 0.1
    writer, done, files = None, 0, 0
    while done < rows:
        n = min(GROUP, rows - done)
        X = rng.standard_normal((len(slopes), n))
        lin = slopes @ X - 0.5
        columns = {name: X[j].astype(np.float32) for j, name in enumerate(SINGLE)}
        columns |= {name: X[len(SINGLE) + j] for j, name in enumerate(DOUBLE)}
        for name, size, effect in zip(FACTORS, LEVELS, effects, strict=True):
            codes = rng.integers(0, size, n)
            lin += effect[codes]
            columns[name] = pa.array([f"level_{i}" for i in range(size)]).take(pa.array(codes))
        columns["y"] = rng.poisson(np.exp(lin)).astype(np.int32)
        table = pa.table(columns)
        if writer is None or done // (8 * GROUP) > files - 1:
            if writer is not None:
                writer.close()
            writer = pq.ParquetWriter(folder / f"part-{files:03d}.parquet", table.schema)
            files += 1
        writer.write_table(table, row_group_size=GROUP)
        done += n
    if writer is not None:
        writer.close()
    return rows


# --------------------------------------------------------------------------- what a child process does
def decode(folder, threads):
    """Seconds of reading all columns with pyarrow in as many threads: factors as strings, and as dictionaries."""
    from concurrent.futures import ThreadPoolExecutor

    import pyarrow.parquet as pq

    pieces = [(f, i) for f in sorted(Path(folder).glob("*.parquet")) for i in range(pq.read_metadata(f).num_row_groups)]

    def read(piece, coded):
        with pq.ParquetFile(piece[0], read_dictionary=coded, memory_map=True) as file:
            return sum(len(b) for b in file.iter_batches(1 << 16, row_groups=[piece[1]], use_threads=False))

    found = {}
    for name, coded in (("warm up", FACTORS), ("strings", None), ("dictionaries", FACTORS)):
        begun, busy = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda piece: read(piece, coded), pieces))  # noqa: B023 - done within the turn
        found[name] = time.perf_counter() - begun, time.process_time() - busy
    found.pop("warm up")
    return dict(decode=found, seconds=found["dictionaries"][0])


def fitted(folder, cache=None):
    """A fit with standard errors, every pass timed."""
    import jglm
    from jglm.streams import fitting, streamed

    passes, cpu = [], []

    def timed(function):
        def run(*args, **kwargs):
            begun, busy = time.perf_counter(), time.process_time()
            found = function(*args, **kwargs)
            passes.append(time.perf_counter() - begun)
            cpu.append(time.process_time() - busy)
            return found

        return run

    fitting.scan, streamed.Streamed.fold = timed(fitting.scan), timed(streamed.Streamed.fold)
    begun = time.perf_counter()
    fit = jglm.glm(FORMULA, jglm.open_parquet(folder, cache=cache), family="poisson", progress=False)
    assert np.all(np.isfinite(fit.bse))
    assert fit.converged
    seconds = time.perf_counter() - begun
    return dict(seconds=seconds, passes=passes, cpu=cpu, coef=fit.params.tolist(), versions=versions("jglm"))


def versions(*names):
    return {name: record.version(name) for name in (*names, "jax", "pyarrow", "numpy")}


def child(name, folder, cache, threads):
    import resource

    if name == "decode":
        found = decode(folder, threads)
    elif name in ("jglm", "cached"):
        found = fitted(folder, cache if name == "cached" else None)
    else:
        from benchmarks import stream_rivals

        found = getattr(stream_rivals, name)(folder, threads)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 + found.pop("children_mb", 0.0)
    print(json.dumps(found | dict(peak_mb=used)))


# --------------------------------------------------------------------------- the runs
def measure(name, folder, cache, rows, gigabytes, settings):
    run = Run(name, LABELS[name], rows, gigabytes, date=datetime.date.today().isoformat(), cpu=record.cpu_model(),
              load=record.load_average())  # fmt: skip
    print(f"{run.label} …", flush=True)
    try:
        rival = Rival(name, run.label, REQUIRES.get(name, ()))
        python = environments.interpreter(rival, settings.environments)
        command = [python, "-m", "benchmarks.stream", "--child", name, "--folder", str(folder), "--cache", str(cache),
                   "--threads", str(settings.threads)]  # fmt: skip
        env = record.environment(settings.threads, "cpu")
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=settings.limit)
    except subprocess.TimeoutExpired:
        run.error = f"not done after {settings.limit:.0f} s"
        return run
    except RuntimeError as error:
        run.error = f"cannot be installed: {error}"
        return run
    if done.returncode:
        run.error = (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1][:300]
        return run
    run.load = max(run.load or 0, record.load_average() or 0)
    for key, value in json.loads(done.stdout.strip().splitlines()[-1]).items():
        setattr(run, key, value)
    return run


KILLED = """
import sys, numpy, jglm
from benchmarks.stream import FORMULA
fit = jglm.glm(FORMULA, jglm.open_parquet(sys.argv[1]), family="poisson", checkpoint=sys.argv[2], resume=True,
               progress=False)
numpy.save(sys.argv[3], fit.params)
"""


def kill(folder, times, longest, coef):
    """Kill a fit at random moments until it was killed so often; (kills, the largest difference of coefficients of the
    fits that came to their end from those given)."""
    rng, kills, away, whole = random.Random(0), 0, [], 0
    keep, out = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp()) / "coef.npy"
    while kills < times:
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(keep), str(out)], cwd=ROOT)
        try:
            if process.wait(timeout=rng.uniform(1.0, longest)):
                raise RuntimeError("a fit that was begun again failed")
            away.append(float(np.max(np.abs(np.load(out) - np.asarray(coef)))))
            whole += 1
            shutil.rmtree(keep)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    process = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(keep), str(out)], cwd=ROOT, check=True)
    away.append(float(np.max(np.abs(np.load(out) - np.asarray(coef)))))
    shutil.rmtree(keep)
    return dict(kills=kills, fits=whole + 1, away=max(away))


# --------------------------------------------------------------------------- the page
def markdown(runs, killed):
    first, load = runs[0], max(run.load or 0 for run in runs)
    found = {run.library: run for run in runs}
    versions = ", ".join(f"{k} {v}" for k, v in sorted({k: v for r in runs for k, v in r.versions.items()}.items()))
    lines = [
        "# Benchmark: data larger than memory", "",
        f"- Date: {first.date}; {first.cpu}, {record.cores()} cores; load average: {load}",
        *(["- **The machine was busy with other programs**: times by the clock are several times those of an idle one; "
           "those of all cores together tell more"] if load > record.cores() + 0.5 else []),
        f"- {versions}",
        f"- {first.rows:,} rows, {first.gigabytes:g} GB decoded: 8 float32 and 4 float64 numbers, 6 factors of 3 to 50 "
        "levels stored as text, a count; Poisson regression with standard errors, 105 coefficients", "",
        "| library | seconds | passes | peak MB | coefficients differ by | |", "|---|---:|---:|---:|---:|---|",
    ]  # fmt: skip
    for run in runs:
        if run.seconds is None:
            lines.append(f"| {run.label} | – | – | – | – | failed: {run.error} |")
            continue
        away = "–" if run.away is None else f"{run.away:.1e}"
        lines.append(f"| {run.label} | {run.seconds:.1f} | {len(run.passes) or '–'} | {run.peak_mb:.0f} | {away} | |")
    lines += ["", *speeds(found, first.rows)]
    if killed:
        lines += ["", f"Killed {killed['kills']} times at random moments and begun again: {killed['fits']} fits came "
                  f"to their end, coefficients differ by at most {killed['away']:.1e}."]  # fmt: skip
    return "\n".join(lines) + "\n"


def speeds(found, rows):
    """Passes beside decoding, in nanoseconds a row: of time, and of all cores together, which other programs that keep
    the machine busy change less."""
    lines, told = [], lambda seconds, cpu: f"{seconds / rows * 1e9:.0f} ns a row ({cpu / rows * 1e9:.0f} of all cores)"
    for name, run in found.items():
        if not run.passes:
            continue
        middle = slice(2, -1) if len(run.passes) > 4 else slice(1, -1)
        typical, busy = float(np.median(run.passes[middle])), float(np.median(run.cpu[middle]))
        lines.append(f"- {run.label}: first pass {told(run.passes[0], run.cpu[0])}, gradient passes "
                     f"{told(typical, busy)}, the last one, for standard errors, {told(run.passes[-1], run.cpu[-1])}."
                     )  # fmt: skip
        if name == "jglm":
            lines += [
                f"- Decoding the same columns alone, on the same cores: {told(*seconds)} with factors as {kind}; a "
                f"gradient pass runs at {100 * seconds[0] / typical:.0f}% of that speed "
                f"({100 * seconds[1] / busy:.0f}% by the time of all cores)."
                for kind, seconds in found["decode"].decode.items()
            ]
        else:
            lines.append(f"- With the cache later passes are {run.passes[0] / typical:.1f} times as fast as the first "
                         f"({run.cpu[0] / busy:.1f} by the time of all cores).")  # fmt: skip
    return lines


def draw(runs, path):
    """Seconds of every library."""
    from matplotlib.figure import Figure

    shown = [run for run in runs if run.library != "decode"]
    figure = Figure(figsize=(7, 0.8 + 0.45 * len(shown)), dpi=150, layout="constrained")
    panel = figure.subplots()
    for at, run in enumerate(shown):
        if run.seconds is None:
            panel.text(0.02, at, "failed", transform=panel.get_yaxis_transform(), va="center", fontsize=8)
            continue
        panel.plot(run.seconds, at, "o", color="#0b6e99" if "jglm" in run.label else "#5f6670")
        panel.annotate(f"{run.seconds:.0f} s, {run.peak_mb:,.0f} MB", (run.seconds, at), (7, 0),
                       textcoords="offset points", va="center", fontsize=8)  # fmt: skip
    panel.set_xscale("log")
    panel.set_yticks(range(len(shown)), [run.label for run in shown], fontsize=9)
    panel.set_ylim(len(shown) - 0.4, -0.6)
    low, high = panel.get_xlim()
    panel.set_xlim(low, high * 4)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.set_title(f"Poisson regression of {shown[0].gigabytes:g} GB of Parquet: seconds, peak memory", fontsize=10)
    figure.savefig(path, metadata={"Software": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--folder")
    parser.add_argument("--rivals", default="jglm,cached,glum,statsmodels,dask,spark")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--threads", type=int, default=record.cores())
    parser.add_argument("--limit", type=float, default=LIMIT)
    parser.add_argument("--environments", default=environments.default_folder())
    parser.add_argument("--out", default=str(ROOT / "benchmarks" / "results"))
    parser.add_argument("--name", default="stream")
    parser.add_argument("--child")
    parser.add_argument("--cache")
    settings = parser.parse_args()
    if settings.child:
        return child(settings.child, settings.folder, settings.cache, settings.threads)
    given = Path(settings.folder or tempfile.gettempdir())
    given.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="jglm-stream-", dir=given))
    try:
        run_all(settings, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run_all(settings, work):
    data, cache = work / "data", work / "cache"
    print(f"writing {settings.gigabytes:g} GB …", flush=True)
    rows = write(data, settings.gigabytes)
    runs = []
    for name in ["decode", *settings.rivals.split(",")]:
        runs.append(measure(name, data, cache, rows, settings.gigabytes, settings))
        print(f"  {runs[-1].seconds} s, {runs[-1].peak_mb} MB {runs[-1].error or ''}", flush=True)
        shutil.rmtree(cache, ignore_errors=True)
    own = next((run for run in runs if run.library == "jglm" and run.coef), None)
    for run in runs:
        if run.coef and own is not None and run is not own:
            run.away = float(np.max(np.abs(np.asarray(run.coef) - np.asarray(own.coef))))
    killed = kill(data, settings.kills, 1.2 * own.seconds, own.coef) if settings.kills and own else None
    out = Path(settings.out)
    lines = [json.dumps(dataclasses.asdict(run)) for run in runs] + ([json.dumps(killed)] if killed else [])
    (out / f"{settings.name}.jsonl").write_text("\n".join(lines) + "\n")
    (out / f"{settings.name}.md").write_text(markdown(runs, killed))
    draw(runs, out / f"{settings.name}.png")
    print(markdown(runs, killed))


if __name__ == "__main__":
    os.environ.setdefault("TQDM_DISABLE", "1")
    main()
