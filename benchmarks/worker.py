"""One fit in a fresh process: `python -m benchmarks.worker '{"problem": …, "library": …}'` prints its figures as JSON.

Nothing but the standard library may be imported at the top: the imports of the library are timed below, NumPy's too.
"""

import importlib
import json
import os
import statistics
import sys
import time
import warnings

WARM_BUDGET = 20.0  # seconds after which no further warm run begins


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
    """The most memory this process ever held, in MB (2^20 bytes).

    On Linux from VmHWM: ru_maxrss would begin at the size of the process that started this one.
    """
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def warm_runs(fit, repeat):
    """Seconds of each of `repeat` further fits; fewer, but one at least, where they take long."""
    seconds = []
    while len(seconds) < max(repeat, 1) and sum(seconds) < WARM_BUDGET:
        seconds.append(timed(fit)[0])
    return seconds


def device():
    """The kind of device that JAX computes on, "cpu" without JAX."""
    jax = sys.modules.get("jax")
    kind = "cpu" if jax is None else jax.devices()[0].device_kind
    return kind.lower() if kind.lower() == "cpu" else kind


def measure(job):
    """The figures of one fit, as a dict."""
    import_seconds, _ = timed(lambda: load(job["imports"]))

    from benchmarks import objective, problems, rivals

    problem = problems.ENTRIES[job["problem"]].make()
    rival = rivals.RIVALS[job["library"]]
    fit = lambda: rival.fit(problem)
    before = peak_mb()
    cold, result = timed(fit)
    warm = warm_runs(fit, job["repeat"])
    after = peak_mb()  # before the judge, who needs memory of his own
    value, gradient = objective.judge(problem, result.coef)
    return dict(
        n=problem.n, p=problem.p, how=result.how, import_seconds=import_seconds, cold_seconds=cold,
        warm_seconds=statistics.median(warm), warm_runs=warm, objective=value, gradient=gradient,
        iterations=result.iterations, peak_mb=after, increase_mb=after - before, device=device(),
    )  # fmt: skip


def main(text):
    warnings.simplefilter("ignore")  # what matters of them, the common gradient tells
    job = json.loads(text)
    pin(job["threads"])
    print(json.dumps(measure(job)))


if __name__ == "__main__":
    main(sys.argv[1])
