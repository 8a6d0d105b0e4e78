"""By how much jglm is to be faster than the best rival of each problem, why it is not, and what became of it."""

from dataclasses import dataclass

from benchmarks.record import seconds
from benchmarks.suites import SKLEARN, SUITES

CLOSE = 1e-6  # coefficients of a float32 fit may differ by so much from those of float64
NEW_PROCESS = "new_process_seconds"


@dataclass(frozen=True)
class Target:
    """`ratio` is what the time of the best of the rivals `over` is to be divided by jglm's; `measure` is a field of the
    records."""

    library: str
    ratio: float
    over: tuple
    measure: str = "warm_seconds"


GLUM, STATSMODELS = ("glum_loose",), ("statsmodels_glm",)
DENSE = (*GLUM, *SKLEARN, *STATSMODELS)
FACTORS = (*GLUM, *SKLEARN, "r_glm")
SUMMARY = (*STATSMODELS, "r_glm", "r_fastglm")
TARGETS = {
    "bernoulli_500k_100": (Target("jglm", 2.5, DENSE), Target("jglm_jax", 3, DENSE)),
    "poisson_500k_100": (Target("jglm", 2.5, DENSE), Target("jglm_jax", 3, DENSE)),
    "bernoulli_200k_500": (Target("jglm", 6, DENSE), Target("jglm_jax", 6, DENSE)),
    "claims_frequency": (
        Target("jglm", 3, FACTORS),
        Target("jglm_cache_warm", 1.5, FACTORS, NEW_PROCESS),
        Target("jglm_cache_empty", 1.5, FACTORS, NEW_PROCESS),
    ),
    "claims_severity": (Target("jglm", 2, GLUM),),
    "claims_pure_premium": (Target("jglm", 2, GLUM),),
    "text_300k_50k": (Target("jglm", 1.5, SKLEARN),),
    "softmax_200k_100": (Target("jglm", 3, SKLEARN),),
    "gaussian_summary_1m_50": (Target("jglm", 4, SUMMARY),),
    "poisson_summary_1m_50": (Target("jglm", 4, SUMMARY),),
    "bernoulli_1k_10": (Target("jglm", 2, STATSMODELS),),
    "bernoulli_float32_2m_100": (Target("jglm", 3, GLUM),),
}

# Where the time of a warm fit goes, by profile: said where its target is missed. "" where none was ever missed.
READ = "half are 7 to 9 passes, each one read of X; what is left is the sample's fit and the totals"
CODES = (
    "six passes over nine arrays of codes, gathers and sums by level that hold one thread, and one Hessian of pairs of "
    "levels; a tenth is the frame's"
)
WHY = {
    "bernoulli_500k_100": READ,
    "poisson_500k_100": READ,
    "bernoulli_200k_500": READ,
    "claims_frequency": CODES,
    "claims_severity": "each of 6 Newton passes adds up 10 tables of pairs of grouped factors over all rows",
    "claims_pure_premium": CODES,
    "text_300k_50k": "",
    "softmax_200k_100": (
        "two thirds are 7 passes, half of each the exponentials of 10 classes; a sixth is the sample's Hessian"
    ),
    "gaussian_summary_1m_50": "",
    "poisson_summary_1m_50": "",
    "bernoulli_1k_10": (
        "five IRLS steps of a compiled call (95 µs to reach and leave it, 13 µs of arithmetic) and six small NumPy "
        "calls each, and checks: Python's time, not the rows'; one program for all would be compiled for every p"
    ),
    "bernoulli_float32_2m_100": READ,
}


def lines(records):
    """Lines of text on one problem's records; none where it has no target, or where jglm or all rivals did not run."""
    return [said for target in TARGETS.get(records[0].problem, ()) if (said := line(target, records)) is not None]


def line(target, records):
    own = next((r for r in records if r.library == target.library), None)
    records = [r for r in records if r.library in SUITES["cpu"][r.problem] and not r.library.startswith("jglm")]
    if own is None or not records:
        return None
    what = f"{own.label}{', in a new process with imports' if target.measure == NEW_PROCESS else ''}"
    if not own.measured:
        return f"{what}: no time, so the target of {target.ratio:g} is missed: {own.left_out or own.error}"
    best, quickest = best_rival(target, records, target.over), best_rival(target, records)
    if best is None:
        return f"{what}: no fit of the libraries that it was to beat reached the tolerance; target {target.ratio:g}"
    ratio = getattr(best, target.measure) / getattr(own, target.measure)
    times = f"{seconds(getattr(own, target.measure))} against {seconds(getattr(best, target.measure))}"
    said = f"{what}: {ratio:.2f} times as fast as {best.label} ({times}), the best of those that it was to beat"
    if quickest is not best:
        said += f", {getattr(quickest, target.measure) / getattr(own, target.measure):.2f} times {quickest.label}"
    said += f"; target {target.ratio:g}"
    if own.stopped_early:
        return f"{said}: **missed**, it stopped early itself"
    if ratio >= target.ratio:
        return f"{said}: reached"
    why = "" if target.measure == NEW_PROCESS else WHY[records[0].problem]
    why = f" ({why})" if why else ""
    return f"{said}: **missed by a factor of {target.ratio / ratio:.2f}**{why}"


def best_rival(target, records, over=None):
    """The fastest record that did not stop early, of the libraries `over` (None: of all), or None."""
    done = [r for r in records if r.measured and not r.stopped_early and (over is None or r.library in over)]
    return min(done, key=lambda r: getattr(r, target.measure), default=None)


def differences(records):
    """A line on how far float32's coefficients are from float64's; "" where nobody fitted in float32."""
    known = [r for r in records if r.difference is not None]
    if not known:
        return ""
    said = (f"{r.label} {r.difference:.1e}{'' if r.difference <= CLOSE else ' (**too far**)'}" for r in known)
    return f"Largest difference from float64's coefficients, {CLOSE:g} being allowed: {', '.join(said)}."
