"""What became of the targets: the best rival's time divided by jglm's, in a line per target."""

from benchmarks.record import seconds
from benchmarks.suites import NEW_PROCESS, SUITES, TARGETS

CLOSE = 1e-6  # coefficients of a float32 fit may differ by so much from those of float64


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
    best = best_rival(target, records)
    if best is None:
        return f"{what}: no other library's fit reached the tolerance; target {target.ratio:g}"
    ratio = getattr(best, target.measure) / getattr(own, target.measure)
    times = f"{seconds(getattr(own, target.measure))} against {seconds(getattr(best, target.measure))}"
    said = f"{what}: {ratio:.2f} times as fast as the best rival ({best.label}; {times}); target {target.ratio:g}"
    if own.stopped_early:
        return f"{said}: **missed**, it stopped early itself"
    if ratio >= target.ratio:
        return f"{said}: reached"
    why = f" ({target.why})" if target.why else ""
    return f"{said}: **missed by a factor of {target.ratio / ratio:.2f}**{why}"


def best_rival(target, records):
    """The fastest record that did not stop early, or None."""
    done = [r for r in records if r.measured and not r.stopped_early]
    return min(done, key=lambda r: getattr(r, target.measure), default=None)


def differences(records):
    """A line on how far float32's coefficients are from float64's; "" where nobody fitted in float32."""
    known = [r for r in records if r.difference is not None]
    if not known:
        return ""
    said = (f"{r.label} {r.difference:.1e}{'' if r.difference <= CLOSE else ' (**too far**)'}" for r in known)
    return f"Largest difference from float64's coefficients, {CLOSE:g} being allowed: {', '.join(said)}."
