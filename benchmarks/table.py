"""Records as a Markdown page: what ran where, then one table per problem."""

from benchmarks import targets
from benchmarks.record import ENOUGH, seconds

COLUMNS = ("library", "warm", "fits", "cold", "compile", "import", "objective", "max &#124;gradient&#124; / n",
           "iterations", "peak MB", "fits add", "method")  # fmt: skip


def header(name, records):
    """Date, machine and versions, as the records have them; nothing that names a host or a folder."""
    first = records[0]
    packages = {}
    for record in records:
        packages |= record.packages or {}
    loads = [r.load for r in records if r.load is not None]
    load = f"{min(loads):.2f} to {max(loads):.2f}" if len(set(loads)) > 1 else str(loads[0]) if loads else "unknown"
    devices = ", ".join(sorted({r.device for r in records if r.measured})) or first.device
    dates = sorted({r.date for r in records})
    versions = ", ".join(f"{k} {v}" for k, v in sorted(packages.items()))
    return [
        f"# Benchmark: {name}",
        "",
        f"- Date: {dates[0] if len(dates) == 1 else f'{dates[0]} to {dates[-1]}'}",
        f"- Machine: {first.cpu}, {first.cores} cores, {first.system}; device {devices}",
        f"- Threads: at most {first.threads} for every library; load average before the runs: {load}",
        f"- Python {first.python}; {versions}",
        "",
        'Warm: the median of further fits in one process; "fits" is how many, "first" where the first fit took over a',
        "minute and was the only one. Cold: the first fit of a fresh process, with compilation, without imports;",
        "compile: cold - warm. Objective (mean negative log-likelihood at dispersion 1, without terms of y alone) and",
        "gradient come from one NumPy function for all, applied to the coefficients; with weights both are weighted",
        "means, and a penalty is part of both.",
        f"**Stopped early**: max |gradient| / n above {ENOUGH:g}.",
        "Peak: the most memory that the process held while it fitted; fits add: its rise over imports and data.",
    ]  # fmt: skip


def row(record):
    if not record.measured:
        said = record.error if record.ended_after is not None else f"failed: {record.error}"
        peak = "–" if record.peak_mb is None else f"{record.peak_mb:.0f}"
        return [record.label, *["–"] * (len(COLUMNS) - 4), peak, "–", said.replace("|", "&#124;")]
    early = "**stopped early**; " if record.stopped_early else ""
    return [
        record.label, seconds(record.warm_seconds), str(len(record.warm_runs) or "first"),
        seconds(record.cold_seconds), seconds(record.compile_seconds), seconds(record.import_seconds),
        f"{record.objective:.12f}", f"{record.gradient:.1e}",
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
    lines += ["", *reasons(records)] if len(shown) < len(records) else []
    lines += ["", dates(records)] if dates(records) else []
    lines += ["", *(f"- {said}." for said in targets.lines(records))] if targets.lines(records) else []
    return lines + (["", targets.differences(records)] if targets.differences(records) else [])


def reasons(records):
    """Who was left out, a line for each reason."""
    left = {}
    for r in records:
        if r.left_out is not None:
            left.setdefault(r.left_out, []).append(r.label)
    return ["Left out:", "", *(f"- {', '.join(labels)}: {why}" for why, labels in left.items())]


def dates(records):
    """Who was measured when, where that was on several days; else ""."""
    days = {}
    for r in records:
        days.setdefault(r.date, []).append(r.label)
    said = "; ".join(f"{day}: {', '.join(labels)}" for day, labels in sorted(days.items()))
    return f"Measured on {said}." if len(days) > 1 else ""


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
