"""The record of one fit, the same for all libraries, and how it is taken: a process of its own for each."""

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENOUGH = 1e-7  # a fit whose max |gradient| / n is above this is marked "stopped early"
LIMIT = 600.0  # seconds for one process
CACHES = ("JGLM_COMPILATION_CACHE", "JAX_COMPILATION_CACHE_DIR")  # jglm's folder of what XLA compiled, and JAX's own
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA", "VECLIB_MAXIMUM")
MISSING = "not installed"  # how `left_out` ends then
PLAIN = ("numpy", "scipy")  # packages that stand under all the others


@dataclass
class Record:
    """One library on one problem. Seconds, MB of 2^20 bytes; None where there is no figure.

    cold: the first fit of a fresh process, imports apart; warm: the median of `warm_runs` in that process, the first
    fit where there are none because it took long;
    objective: mean negative log-likelihood at dispersion 1 without terms of y alone; gradient: max |gradient| / n, both
    by benchmarks.objective; peak_mb: the most memory while it fitted, increase_mb: its rise over imports and data;
    compile: cold - warm; new_process: import + cold; compilation_cache: "none", or one that was "empty" or "warm" when
    the process began; difference: the largest one of a float32 fit's coefficients from those of a float64 fit;
    left_out, error: why there are no figures; ended_after: seconds after which it was ended, not being done;
    load: how many processes wanted a core in the minute before all runs.
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
    compile_seconds: float | None = None
    new_process_seconds: float | None = None
    compilation_cache: str = "none"
    objective: float | None = None
    gradient: float | None = None
    difference: float | None = None
    iterations: int | None = None
    peak_mb: float | None = None
    increase_mb: float | None = None
    device: str = "cpu"
    threads: int = 1
    left_out: str | None = None
    error: str | None = None
    ended_after: float | None = None
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
    def settled(self):
        """Whether another run would bring nothing new: a time, a limit, a library that cannot do it."""
        return self.measured or self.ended_after is not None or (self.left_out is not None and not self.is_missing)

    @property
    def is_missing(self):
        """Whether the library was not installed."""
        return self.left_out is not None and self.left_out.endswith(MISSING)

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


def seconds(value):
    """A time with three significant digits in a unit that suits it."""
    if value is None:
        return "–"
    number, unit = (value, "s") if value >= 0.9995 else (value * 1e3, "ms") if value >= 1e-4 else (value * 1e6, "µs")
    digits = 0 if number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f} {unit}"


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


def load_average():
    """Of the last minute: how busy others keep the machine, if asked before the first run."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def blank(entry, rival, settings):
    """The record of a rival on a problem before any figure is known."""
    packages = dict.fromkeys((*rival.packages, *PLAIN))
    return Record(
        entry.name, entry.titled(settings.shrink), entry.family, rival.name, rival.label, version(rival.packages[0]),
        compilation_cache=rival.cache, threads=settings.threads, date=datetime.date.today().isoformat(),
        cpu=cpu_model(), cores=cores(), load=settings.load, system=platform.system(),
        python=platform.python_version(), packages={k: version(k) for k in packages if version(k) != "?"},
    )  # fmt: skip


# ---------------------------------------------------------------------------- taking it
@dataclass(frozen=True)
class Settings:
    """How fits are taken: threads of each, warm fits, seconds for a process, the divisor of the rows, folders."""

    repeat: int = 5
    threads: int = 1
    load: float | None = None
    platforms: str = "cpu"
    limit: float = LIMIT
    shrink: int = 1
    data: str | None = None


def environment(threads, platforms, cache=None):
    """The same number of threads for every library, the device of JAX, and no compilation cache but `cache`."""
    env = {k: v for k, v in os.environ.items() if k not in CACHES}
    env |= {f"{pool}_NUM_THREADS": str(threads) for pool in POOLS} | {"JAX_PLATFORMS": platforms}
    return env | {CACHES[0]: cache or "off"}


def take(entry, rival, settings, python=sys.executable, left_out=None):
    """Fit in a process of its own and return the Record; what goes wrong there ends up in its `error`.

    left_out: why the fit is not made, where the caller knows a reason.
    """
    record = blank(entry, rival, settings)
    record.left_out = rival.reason_to_skip(entry) or left_out
    if record.left_out is not None:
        return record
    imports = rival.imports + (("pandas",) if "factors" in entry.traits else ())
    job = dict(
        problem=entry.name, library=rival.name, imports=imports, packages=(*rival.packages, *PLAIN),
        repeat=settings.repeat, threads=settings.threads, shrink=settings.shrink, data=settings.data,
    )  # fmt: skip
    if rival.cache == "none":
        figures = run(job, settings, python)
    else:
        with tempfile.TemporaryDirectory() as cache:
            if rival.cache == "warm":
                run(job | dict(repeat=1), settings, python, cache)
            figures = run(job, settings, python, cache)
    record.packages |= figures.pop("packages", {})
    record.version = record.packages.get(rival.packages[0], record.version)
    for name, value in figures.items():
        setattr(record, name, value)
    if record.measured:
        record.compile_seconds = max(record.cold_seconds - record.warm_seconds, 0.0) if record.warm_runs else None
        record.new_process_seconds = record.import_seconds + record.cold_seconds
    return record


def run(job, settings, python, cache=None):
    """The figures that a fresh process prints, or why there are none."""
    command = [python, "-m", "benchmarks.worker", json.dumps(job)]
    env = environment(settings.threads, settings.platforms, cache)
    # In a session of its own, so that what it has started (R) ends with it.
    done = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = done.communicate(timeout=settings.limit)
    except subprocess.TimeoutExpired:
        said = f"did not end in {settings.limit:g} s"
        return dict(error=said, ended_after=settings.limit, peak_mb=session_peak_mb(done.pid))
    finally:
        if done.poll() is None:
            end(done)
    if done.returncode != 0:
        return dict(error=(err.strip().splitlines() or [f"ended with code {done.returncode}"])[-1])
    return json.loads(out.strip().splitlines()[-1])


def session_peak_mb(session):
    """The most memory that any process of a session has held, in MB; None where there is no /proc."""
    peaks = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, StopIteration, ValueError, IndexError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                lines = (folder / "status").read_text().splitlines()
                peaks.append(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)
    return max(peaks, default=None)


def end(process):
    """End a process that leads its session, and all in it."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def warm_disk(imports, threads, python=sys.executable):
    """Import modules once, so that no import is timed that reads a cold disk or compiles Python."""
    modules = ", ".join(text.partition(":")[0] for text in imports)
    env = environment(threads, "cpu")
    subprocess.run([python, "-c", f"import {modules or 'sys'}"], cwd=ROOT, env=env, capture_output=True)
