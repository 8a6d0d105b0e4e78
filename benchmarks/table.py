"""Records as a Markdown page: what ran where, then one table per problem."""

from benchmarks import targets
from benchmarks.record import ENOUGH, seconds

COLUMNS = ("library", "warm", "cold", "compile", "import", "objective", "max &#124;gradient&#124; / n", "iterations",
           "peak MB", "fits add", "method")  # fmt: skip


def header(name, records):
    """Date, machine and versions, as the records have them; nothing that names a host or a folder."""
    first = records[0]
    packages = {}
    for record in records:
        packages |= record.packages or {}
    load = "unknown" if first.load is None else f"{first.load:.2f}"
    devices = ", ".join(sorted({r.device for r in records if r.measured})) or first.device
    dates = sorted({r.date for r in records})
    versions = ", ".join(f"{k} {v}" for k, v in sorted(packages.items()))
    runs = max((len(r.warm_runs) for r in records if r.measured), default=0)
    return [
        f"# Benchmark: {name}",
        "",
        f"- Date: {dates[0] if len(dates) == 1 else f'{dates[0]} to {dates[-1]}'}",
        f"- Machine: {first.cpu}, {first.cores} cores, {first.system}; device {devices}",
        f"- Threads: {first.threads} for every library; load average before the run: {load}",
        f"- Python {first.python}; {versions}",
        "",
        f"Warm: the median of {runs} fits in one process, fewer where they are slow. Cold: the first fit of a fresh",
        "process, with compilation, without imports; compile: cold - warm. Objective (mean negative log-likelihood at",
        "dispersion 1, without terms of y alone) and gradient come from one NumPy function for all, applied to the",
        "coefficients; with weights both are weighted means, and a penalty is part of both.",
        f"**Stopped early**: max |gradient| / n above {ENOUGH:g}.",
        "Peak: the most memory that the process held while it fitted; fits add: its rise over imports and data.",
    ]  # fmt: skip


def row(record):
    if not record.measured:
        return [record.label, *["–"] * (len(COLUMNS) - 2), f"failed: {record.error}".replace("|", "&#124;")]
    early = "**stopped early**; " if record.stopped_early else ""
    return [
        record.label, seconds(record.warm_seconds), seconds(record.cold_seconds), seconds(record.compile_seconds),
        seconds(record.import_seconds), f"{record.objective:.12f}", f"{record.gradient:.1e}",
        "–" if record.iterations is None else str(record.iterations),
        f"{record.peak_mb:.0f}", f"{record.increase_mb:.0f}", early + record.how,
    ]  # fmt: skip


def _size(records):
    """What the title of a problem with factors does not say: rows that are fitted, and columns."""
    known = next((r for r in records if r.p is not None), None)
    return f": {known.n:,} rows, {known.p} columns of 9 factors" if known and "freMTPL2" in known.title else ""


def section(records):
    """The table of one problem, and who was left out."""
    shown = [r for r in records if r.left_out is None]
    lines = ["", f"## {records[0].title}{_size(records)}", "", "| " + " | ".join(COLUMNS) + " |"]
    lines.append("|" + "|".join("---" if c in ("library", "method") else "---:" for c in COLUMNS) + "|")
    lines += ["| " + " | ".join(row(r)) + " |" for r in shown]
    left = [f"{r.label}: {r.left_out}" for r in records if r.left_out is not None]
    lines += ["", f"Left out: {'; '.join(left)}."] if left else []
    lines += ["", *(f"- {said}." for said in targets.lines(records))] if targets.lines(records) else []
    return lines + (["", targets.differences(records)] if targets.differences(records) else [])


def by_problem(records):
    """{problem: its records}, in the order in which they ran."""
    groups = {}
    for record in records:
        groups.setdefault(record.problem, []).append(record)
    return groups


def markdown(name, records):
    lines = header(name, records)
    for group in by_problem(records).values():
        lines += section(group)
    return "\n".join(lines) + "\n"
