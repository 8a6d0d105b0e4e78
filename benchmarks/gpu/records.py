"""The record of one measurement on a device, and what every record says of the machine."""

import datetime
import importlib.metadata
import json
import platform
import shutil
import statistics
import subprocess
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import jax

from benchmarks.record import cores, cpu_model

REPEAT = 5
BUDGET = 20.0  # seconds after which no further warm run begins
ENOUGH = {"float64": 1e-7, "float32": 1e-5}  # max |gradient| / n above which a fit is marked "stopped early"
PACKAGES = ("jglm", "jax", "jaxlib", "numpy", "torch", "cupy-cuda12x", "cupy-cuda13x", "scikit-learn")
COMPILED = "/jax/core/compile/backend_compile_duration"


@dataclass
class Record:
    """One measurement. Seconds and bytes; None where there is no figure.

    kind: "limit" (a ceiling of the device, `rate` in `unit` a second), "piece" (a product or a pass), "fit" or "many"
    (many fits in one call, `fits` of them); source: where X and y lie when the clock starts;
    cold: the first call of its kind in the process, compile: XLA's part of that; warm: the median of `warm_runs`;
    transfer: X from NumPy to the device, measured apart; passes: over all rows, hessians: those that formed X'WX;
    objective, gradient (max |gradient| / n): in float64 on the device, from the coefficients alone; difference: the
    largest one of a coefficient from those of the first fit of the same data;
    floor: X read once a pass at the best rate seen, and n p^2 operations a Hessian at the matrix rate;
    peak: the most memory of the device that JAX has held, own_peak: whether it was reached in this measurement (it
    cannot be set back); to_host: whether X was copied to the host's memory (None where that is the device's).
    """

    kind: str
    label: str
    way: str = ""
    family: str = ""
    n: int | None = None
    p: int | None = None
    dtype: str = ""
    source: str = "device"
    how: str = ""
    cold_seconds: float | None = None
    compile_seconds: float | None = None
    warm_seconds: float | None = None
    warm_runs: list | None = None
    transfer_seconds: float | None = None
    passes: int | None = None
    hessians: int | None = None
    fits: int | None = None
    objective: float | None = None
    gradient: float | None = None
    difference: float | None = None
    floor_seconds: float | None = None
    peak_bytes: int | None = None
    own_peak: bool | None = None
    to_host: bool | None = None
    rate: float | None = None
    unit: str = ""
    left_out: str | None = None
    error: str | None = None
    machine: dict = field(default_factory=dict)

    @property
    def measured(self):
        return self.warm_seconds is not None

    @property
    def times_floor(self):
        return self.warm_seconds / self.floor_seconds if self.measured and self.floor_seconds else None

    @property
    def stopped_early(self):
        """Written so that NaN counts as early."""
        return self.kind in ("fit", "many") and self.measured and not self.gradient <= ENOUGH[self.dtype]

    def line(self):
        return json.dumps(asdict(self) | dict(times_floor=self.times_floor, stopped_early=self.stopped_early))

    @staticmethod
    def from_line(line):
        known = {f.name for f in fields(Record)}
        return Record(**{k: v for k, v in json.loads(line).items() if k in known})


# ---------------------------------------------------------------------------- where it ran
def machine():
    """Device, driver and versions, of which every record has a copy."""
    device = jax.devices()[0]
    return dict(
        device=device.device_kind, platform=device.platform, driver=driver(),
        runtime=" ".join(device.client.platform_version.split()), memory_bytes=memory(), cpu=cpu_model(), cores=cores(),
        system=platform.system(), python=platform.python_version(), packages=packages(),
        date=datetime.date.today().isoformat(),
    )  # fmt: skip


def driver():
    """The version of NVIDIA's driver, None where there is none to ask."""
    if shutil.which("nvidia-smi") is None:
        return None
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(ask, capture_output=True, text=True)
    return done.stdout.split("\n")[0].strip() or None if done.returncode == 0 else None


def packages():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    import jglm

    return {**found, "jglm": jglm.__version__}


def memory():
    """Bytes that JAX may use on the device; where it does not say, what the host has left."""
    stats = jax.devices()[0].memory_stats()
    return int(stats["bytes_limit"]) if stats else host_memory()


def host_memory():
    """Bytes of the host's memory that are free."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4 << 30


def peak():
    """The most bytes of the device that were in use so far, None where it does not say."""
    stats = jax.devices()[0].memory_stats()
    return int(stats["peak_bytes_in_use"]) if stats else None


# ---------------------------------------------------------------------------- the clock
@contextmanager
def compilation():
    """A list of the seconds of every compilation by XLA within."""
    seen = []

    def listen(event, duration, **_):
        if event == COMPILED:
            seen.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def timed(call):
    """(seconds, what the call returned once all of it is there)"""
    begun = time.perf_counter()
    result = jax.block_until_ready(call())
    return time.perf_counter() - begun, result


def take(record, call, repeat=REPEAT):
    """Fill in the times and the memory of a call; returns what its first run returned."""
    before = peak()
    with compilation() as compiled:
        record.cold_seconds, result = timed(call)
    record.compile_seconds = sum(compiled)
    runs = []
    while len(runs) < repeat and sum(runs) < BUDGET:
        runs.append(timed(call)[0])
    record.warm_seconds, record.warm_runs = statistics.median(runs), runs
    record.peak_bytes = peak()
    record.own_peak = None if before is None else record.peak_bytes > before
    return result
