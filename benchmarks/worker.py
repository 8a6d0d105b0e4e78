"""One fit in a fresh process: `python -m benchmarks.worker '{"problem": …, "library": …}'` prints its figures as JSON.

Nothing but the standard library may be imported at the top: the imports of the library are timed below, NumPy's too.
"""

import contextlib
import importlib
import importlib.metadata
import json
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

WARM_BUDGET = 20.0  # seconds after which no further warm run begins
LONG = 60.0  # a first fit that took more seconds is the only one, and counts


def pin(threads):
    """Keep this process on the first `threads` cores: XLA looks at them and at no environment variable."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def timed(call):
    """(seconds, what the call returned)"""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def load(imports):
    """Import "module" or "module:name", as a user would."""
    for text in imports:
        module, _, name = text.partition(":")
        found = importlib.import_module(module)
        if name:
            getattr(found, name)


def peak_mb():
    """The most memory this process held since `forget_peak`, in MB (2^20 bytes).

    On Linux from VmHWM: ru_maxrss would begin at the size of the process that started this one.
    """
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def forget_peak():
    """Let the peak begin anew (on Linux), so that making the data is no part of it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def warm_runs(fit, repeat, cold):
    """Seconds of each of `repeat` further fits: fewer where they take long, none where the first took over LONG."""
    seconds = []
    while cold <= LONG and len(seconds) < max(repeat, 1) and sum(seconds) < WARM_BUDGET:
        seconds.append(timed(fit)[0])
    return seconds


def device():
    """The kind of device that JAX computes on, "cpu" without JAX."""
    jax = sys.modules.get("jax")
    kind = "cpu" if jax is None else jax.devices()[0].device_kind
    return kind.lower() if kind.lower() == "cpu" else kind


def versions(packages):
    """{distribution: version} of those that are installed where this process runs."""
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def timings(rival, problem, job):
    """(figures of all fits, coefficients) of a library of Python."""
    given = rival.prepare(problem)
    fit = lambda: rival.fit(given)
    forget_peak()
    before = peak_mb()
    cold, result = timed(fit)
    warm = warm_runs(fit, job["repeat"], cold)
    after = peak_mb()  # before the judge, who needs memory of his own
    figures = dict(
        how=result.how, cold_seconds=cold, warm_seconds=statistics.median(warm or [cold]), warm_runs=warm,
        iterations=result.iterations, peak_mb=after, increase_mb=after - before, packages=versions(job["packages"]),
    )  # fmt: skip
    return figures, result.coef


def timings_elsewhere(rival, problem, job):
    """The same of a program that measures itself."""
    found = rival.measure(problem, job | dict(budget=WARM_BUDGET, long=LONG))
    cold, *warm = found["times"]
    figures = dict(
        how=found["how"], import_seconds=found["import_seconds"], cold_seconds=cold,
        warm_seconds=statistics.median(warm or [cold]), warm_runs=warm, iterations=found["iterations"],
        peak_mb=found["peak_mb"], increase_mb=found["peak_mb"] - found["before_mb"], packages=found["packages"],
    )  # fmt: skip
    return figures, found["coef"]


def measure(job):
    """The figures of one library on one problem, as a dict; why it is left out where it refuses the problem."""
    import_seconds, _ = timed(lambda: load(job["imports"]))

    from benchmarks import catalogue, numpy_fits, objective

    problem = catalogue.find(job["problem"]).make(job["shrink"], job["data"])
    rival = catalogue.RIVALS[job["library"]]
    try:
        figures, coef = (timings if rival.measure is None else timings_elsewhere)(rival, problem, job)
    except (TypeError, ValueError, NotImplementedError) as error:
        said = (str(error).strip().splitlines() or [""])[0]
        return dict(n=problem.n, p=problem.p, left_out=f"{type(error).__name__}: {said}")
    value, gradient = objective.judge(problem, coef)
    if problem.X.dtype == "float32":
        # Newton steps in float64 from where it ended lead to the coefficients of a float64 fit.
        exact, _ = numpy_fits.irls(problem, 0.0, most=2, start=coef)
        figures["difference"] = float(abs(exact - coef).max())
    told = dict(n=problem.n, p=problem.p, import_seconds=import_seconds, objective=value, gradient=gradient)
    return told | dict(device=device()) | figures


def main(text):
    warnings.simplefilter("ignore")  # what matters of them, the common gradient tells
    job = json.loads(text)
    pin(job["threads"])
    print(json.dumps(measure(job)))


if __name__ == "__main__":
    main(sys.argv[1])
