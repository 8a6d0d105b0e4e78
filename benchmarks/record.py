"""The record of one fit, the same for all libraries, and how it is taken: a process of its own for each."""

import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENOUGH = 1e-7  # a fit whose max |gradient| / n is above this is marked "stopped early"
LIMIT = 300.0  # seconds for one process
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
PLAIN = ("numpy", "scipy")  # packages that stand under all the others


@dataclass
class Record:
    """One library on one problem. Seconds, MB of 2^20 bytes; None where there is no figure.

    cold: the first fit of a fresh process, imports apart; warm: the median of `warm_runs` in that process;
    objective: mean negative log-likelihood at dispersion 1 without terms of y alone; gradient: max |gradient| / n, both
    by benchmarks.objective; increase_mb: the rise of the peak over what imports and data took;
    left_out, error: why there are no figures; load: how many processes wanted a core in the minute before all runs.
    """

    problem: str
    title: str
    family: str
    library: str
    label: str
    version: str
    n: int | None = None
    p: int | None = None
    how: str = ""
    import_seconds: float | None = None
    cold_seconds: float | None = None
    warm_seconds: float | None = None
    warm_runs: list | None = None
    objective: float | None = None
    gradient: float | None = None
    iterations: int | None = None
    peak_mb: float | None = None
    increase_mb: float | None = None
    device: str = "cpu"
    threads: int = 1
    left_out: str | None = None
    error: str | None = None
    date: str = ""
    cpu: str = ""
    cores: int = 1
    load: float | None = None
    system: str = ""
    python: str = ""
    packages: dict | None = None

    @property
    def measured(self):
        return self.warm_seconds is not None

    @property
    def stopped_early(self):
        """Written so that NaN counts as early."""
        return self.measured and not self.gradient <= ENOUGH

    def line(self):
        return json.dumps(asdict(self) | {"stopped_early": self.stopped_early})

    @staticmethod
    def from_line(line):
        known = {f.name for f in fields(Record)}
        return Record(**{k: v for k, v in json.loads(line).items() if k in known})


# ---------------------------------------------------------------------------- where it ran
def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model():
    try:
        text = Path("/proc/cpuinfo").read_text()
        return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def version(package):
    """The version of an installed distribution; jglm's own from the module, which need not be installed."""
    if package == "jglm":
        import jglm

        return jglm.__version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def missing(rival):
    """The first module of a rival that is not installed, or None."""
    needed = [text.partition(":")[0].partition(".")[0] for text in rival.imports]
    needed += [name for name in rival.packages if name.isidentifier()]
    return next((name for name in needed if importlib.util.find_spec(name) is None), None)


def load_average():
    """Of the last minute: how busy others keep the machine, if asked before the first run."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def blank(entry, rival, threads, load):
    """The record of a rival on a problem before any figure is known."""
    packages = dict.fromkeys((*rival.packages, *PLAIN))
    return Record(
        entry.name, entry.title, entry.family, rival.name, rival.label, version(rival.packages[0]), threads=threads,
        date=datetime.date.today().isoformat(), cpu=cpu_model(), cores=cores(), load=load,
        system=platform.system(), python=platform.python_version(),
        packages={name: version(name) for name in packages if version(name) != "?"},
    )  # fmt: skip


# ---------------------------------------------------------------------------- taking it
def environment(threads, platforms):
    """The same number of threads for every library, the device of JAX, and no compilation cache from earlier runs."""
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    return env | {f"{pool}_NUM_THREADS": str(threads) for pool in POOLS} | {"JAX_PLATFORMS": platforms}


def take(entry, rival, *, repeat, threads, load=None, platforms="cpu"):
    """Fit in a process of its own and return the Record; what goes wrong there ends up in its `error`."""
    record = blank(entry, rival, threads, load)
    record.left_out = rival.reason_to_skip(entry)
    if record.left_out is not None:
        return record
    job = dict(problem=entry.name, library=rival.name, imports=rival.imports, repeat=repeat, threads=threads)
    command = [sys.executable, "-m", "benchmarks.worker", json.dumps(job)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment(threads, platforms), capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        record.error = f"not done after {LIMIT:.0f} s"
        return record
    if done.returncode != 0:
        record.error = (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]
        return record
    for name, value in json.loads(done.stdout.strip().splitlines()[-1]).items():
        setattr(record, name, value)
    return record


def warm_disk(rivals, threads):
    """Import every library once, so that no import is timed that reads a cold disk or compiles Python."""
    for imports in {rival.imports for rival in rivals}:
        modules = ", ".join(text.partition(":")[0] for text in imports)
        subprocess.run(
            [sys.executable, "-c", f"import {modules}"], cwd=ROOT, env=environment(threads, "cpu"), capture_output=True
        )
