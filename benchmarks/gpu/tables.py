"""Records as a Markdown page and as a picture: time over rows, beside the time that reading X alone would take."""

from benchmarks.gpu.records import ENOUGH
from benchmarks.record import seconds

KINDS = ("limit", "many", "piece", "fit")
COLORS = ("#0b6e99", "#3aa6c9", "#7bbf9e", "#123c52", "#8a5fa8", "#b58fcf", "#c9b458", "#c8401a", "#e08b57", "#5f6670",
          "#9aa0a8", "#d1a3a3")  # fmt: skip


def outcome(record):
    """What became of a measurement, in words."""
    if record.left_out is not None:
        return f"left out: {record.left_out}"
    if not record.measured:
        return f"FAILED: {record.error}"
    said = f"cold {seconds(record.cold_seconds):>8}  warm {seconds(record.warm_seconds):>8}"
    if record.rate is not None:
        return f"{said}  {plain(record.rate, record.unit)}"
    if record.fits:
        said += f"  {1e6 * record.warm_seconds / record.fits:.1f} us a fit"
    if record.times_floor is not None:
        said += f"  {record.times_floor:.1f} x floor"
    if record.gradient is not None:
        said += f"  gradient {record.gradient:.1e}{'  STOPPED EARLY' if record.stopped_early else ''}"
    return f"{said}  {record.how}"


def plain(rate, unit):
    """A rate with three digits: 3.02 TB/s."""
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if rate >= factor:
            return f"{rate / factor:.3g} {letter}{unit}"
    return f"{rate:.3g} {unit}"


# ---------------------------------------------------------------------------- the page
def header(name, records):
    machines = {str(r.machine): r.machine for r in records}.values()
    lines = [f"# Fits on a device: {name}", ""]
    for m in machines:
        versions = ", ".join(f"{k} {v}" for k, v in sorted(m["packages"].items()))
        driver = f"driver {m['driver']}, " if m["driver"] else ""
        lines += [
            f"- {m['device']} ({m['platform']}), {m['memory_bytes'] / 1e9:.1f} GB for JAX, {driver}"
            f"runtime {m['runtime']}; host {m['cpu']}, {m['cores']} cores, {m['system']}; {m['date']}",
            f"- Python {m['python']}; {versions}",
        ]  # fmt: skip
    early = ", ".join(f"{limit:g} for {dtype}" for dtype, limit in ENOUGH.items())
    return [
        *lines,
        "",
        "Cold: the first call in the process, XLA's part in brackets; warm: the median of further ones. Floor: X read",
        "once a pass at the best rate of the ceilings, and n p² operations a Hessian at the matrix rate; passes and",
        "Hessians are those of all rows. Objective and gradient are computed on the device in float64 from the",
        "coefficients alone; difference: the largest one of a coefficient from the first fit's. Peak: the most memory",
        "of the device that JAX has held since the process began, ≤ where it was reached before. **Stopped early**:",
        f"max |gradient| / n above {early}.",
    ]


def table(head, rows):
    """A table whose first column is text, and the last too where there are words in it."""
    marks = ["---", *["---:"] * (len(head) - 2), "---"]
    return [
        "",
        "| " + " | ".join(head) + " |",
        "|" + "|".join(marks) + "|",
        *("| " + " | ".join(r) + " |" for r in rows),
    ]


def cold(record):
    return f"{seconds(record.cold_seconds)} ({seconds(record.compile_seconds)})"


def ceilings(records):
    rows = [[r.label, plain(r.rate, r.unit), seconds(r.warm_seconds)] for r in records]
    return ["", "## Ceilings", *table(("what", "rate", "warm"), rows)]


def many(records):
    rows = []
    for r in records:
        each = f"{1e6 * r.warm_seconds / r.fits:.1f} µs"
        what = f"{r.fits:,} of {r.n:,} x {r.p}, {r.dtype}"
        figures = seconds(r.warm_seconds), cold(r), str(r.passes), f"{r.gradient:.1e}"
        rows.append([r.label, what, each, *figures, r.how])
    head = (
        "Bernoulli fits in one call",
        "how many",
        "a fit",
        "warm",
        "cold (compile)",
        "passes",
        "largest gradient",
        "how it ended",
    )
    return ["", "## Many fits", *table(head, rows)]


def pieces(records):
    lines = []
    for (n, p, dtype), group in grouped(records, lambda r: (r.n, r.p, r.dtype)):
        rows = [[r.label, seconds(r.warm_seconds), seconds(r.floor_seconds), times(r), r.error or ""] for r in group]
        lines += ["", f"## Pieces: {n:,} x {p}, {dtype}", *table(("piece", "warm", "floor", "warm / floor", ""), rows)]
    return lines


def times(record):
    return "–" if record.times_floor is None else f"{record.times_floor:.1f}"


def fits(records):
    lines = []
    key = lambda r: (r.family, r.n, r.p, r.dtype)
    head = ("way", "warm", "cold (compile)", "X to the device", "passes", "Hessians", "objective",
            "max &#124;gradient&#124; / n", "difference", "peak", "floor", "warm / floor", "how")  # fmt: skip
    for (family, n, p, dtype), group in grouped(records, key):
        rows = [fit(r) for r in group if r.left_out is None]
        left = [f"{r.label}: {r.left_out}" for r in group if r.left_out is not None]
        lines += ["", f"## {family.capitalize()}, {n:,} x {p}, {dtype}", *table(head, rows)]
        lines += ["", f"Left out: {'; '.join(left)}."] if left else []
    return lines


def fit(r):
    if not r.measured:
        return [r.label, *["–"] * 11, f"failed: {r.error}".replace("|", "&#124;")]
    number = lambda v: "–" if v is None else str(v)
    held = "–" if r.peak_bytes is None else f"{'' if r.own_peak else '≤ '}{r.peak_bytes / 1e9:.2f} GB"
    how = ("**stopped early**; " if r.stopped_early else "") + r.how + ("; X went to the host" if r.to_host else "")
    return [
        r.label, seconds(r.warm_seconds), cold(r), seconds(r.transfer_seconds), number(r.passes), number(r.hessians),
        f"{r.objective:.12f}", f"{r.gradient:.1e}", f"{r.difference:.0e}", held, seconds(r.floor_seconds), times(r),
        how,
    ]  # fmt: skip


def grouped(records, key):
    groups = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups.items()


def markdown(name, records):
    sections = {"limit": ceilings, "many": many, "piece": pieces, "fit": fits}
    lines = header(name, records)
    for kind in KINDS:
        own = [r for r in records if r.kind == kind]
        lines += sections[kind](own) if own else []
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------- the picture
def draw(name, records, path):
    """Warm times over rows, a panel for every family and dtype; needs matplotlib."""
    from matplotlib.figure import Figure

    done = [r for r in records if r.kind == "fit" and r.measured]
    panels = list(grouped(done, lambda r: (r.family, r.dtype)))
    color = dict(zip(dict.fromkeys(r.label for r in done), COLORS * 2, strict=False))
    across = min(len(panels), 2)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(5 * across, 1.2 + 3.4 * down), dpi=150, layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharey=True, sharex=True).ravel()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for axis, ((family, dtype), group) in zip(axes, panels, strict=False):
        for label, own in grouped(group, lambda r: r.label):
            own = sorted(own, key=lambda r: r.n)
            n, t = [r.n for r in own], [r.warm_seconds for r in own]
            axis.loglog(n, t, "-o", color=color[label], ms=4, lw=1.3, label=label)
            early = [r for r in own if r.stopped_early]
            axis.loglog([r.n for r in early], [r.warm_seconds for r in early], "X", color=color[label], ms=9)
        once = sorted({(r.n, r.floor_seconds / r.passes) for r in group if r.floor_seconds and r.hessians == 0})
        axis.loglog(*zip(*once, strict=True), ":", color="black", lw=1, label="X read once") if once else None
        axis.set_title(f"{family}, X in {dtype}", fontsize=10, loc="left")
        axis.set_xlabel("rows", fontsize=9)
        axis.xaxis.set_minor_formatter(lambda value, _: "")
        axis.grid(color="#dddddd", lw=0.7)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supylabel("seconds of a warm fit", fontsize=9)
    marks = {label: mark for axis in axes for mark, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    first = done[0]
    figure.suptitle(f"{first.machine['device']}: fits with {first.p} columns; X: stopped early", fontsize=11, x=0.01,
                    ha="left")  # fmt: skip
    figure.savefig(path, metadata={"Software": None})


def write(name, records, out):
    """The table and the picture beside the records; the names of the files that are there then."""
    (out / f"{name}.md").write_text(markdown(name, records))
    written = [f"{name}.jsonl", f"{name}.md"]
    if not any(r.kind == "fit" and r.measured for r in records):
        return written
    try:
        draw(name, records, out / f"{name}.png")
        written.append(f"{name}.png")
    except ImportError:
        print("no picture: matplotlib is not installed")
    return written
