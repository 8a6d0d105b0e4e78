"""How time grows with rows and with columns: Bernoulli fits by jglm, each in a process of its own.

    python -m benchmarks.scaling [--rows 1e4,…,5e6] [--columns 10,…,1000] [--out benchmarks/results]

One line varies the rows at 20 columns, the other the columns at 40,000 rows. The slope of log(warm time) in log(size)
is fitted over all sizes and over the larger half, where the fixed costs of a call no longer show: 1 is proportional.
Writes scaling.jsonl, scaling.md and scaling.png.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks import record, table
from benchmarks.catalogue import RIVALS, find

ROWS = "1e4,3e4,1e5,3e5,1e6,2e6,5e6"
COLUMNS = "10,30,100,300,600,1000"
COLORS = {"rows": "#0b6e99", "columns": "#c8401a"}


def sizes(text):
    return [round(float(part)) for part in text.split(",")]


def measure(lines, library, settings, out):
    """{what varies: its records} of `lines`, {what varies: [(rows, columns)]}; each is written when it is there."""
    found = {what: [] for what in lines}
    with open(out, "w") as file:
        for what, shapes in lines.items():
            for n, p in shapes:
                one = record.take(find(f"bernoulli_{n}x{p}"), RIVALS[library], settings)
                found[what].append(one)
                print(json.dumps({"varies": what} | asdict(one)), file=file, flush=True)
                said = one.error or one.left_out or f"warm {table.seconds(one.warm_seconds)}"
                print(f"{n:>9,} x {p:<5,} {said}", flush=True)
    return found


def size(what, one):
    return one.n if what == "rows" else one.p


def slope(what, records):
    """(over all sizes, over the larger half) of log(warm time) in log(size); NaN with fewer than two."""
    x = np.log([size(what, r) for r in records])
    t = np.log([r.warm_seconds for r in records])
    half = min(len(x) // 2, max(len(x) - 2, 0))
    return tuple(float(np.polyfit(x[k:], t[k:], 1)[0]) if len(x[k:]) > 1 else float("nan") for k in (0, half))


def markdown(found):
    first = next(r for records in found.values() for r in records)
    versions = ", ".join(f"{k} {v}" for k, v in sorted(first.packages.items()))
    lines = [
        "# Scaling",
        "",
        f"Bernoulli, {first.label}, {first.threads} threads; {first.cpu}; {versions}; {first.date}.",
    ]
    for what, records in found.items():
        done = [r for r in records if r.measured]
        both = slope(what, done)
        lines += [
            "",
            f"## With {what}",
            "",
            "| size | warm | cold | iterations | max &#124;gradient&#124; / n | peak MB |",
        ]
        lines += ["|---|---:|---:|---:|---:|---:|"]
        for r in done:
            early = " **stopped early**" if r.stopped_early else ""
            cells = f"{r.n:,} x {r.p:,}", table.seconds(r.warm_seconds), table.seconds(r.cold_seconds), r.iterations
            lines.append(f"| {' | '.join(map(str, cells))} | {r.gradient:.1e}{early} | {r.peak_mb:.0f} |")
        lines += [f"\n{r.title}: {r.error or r.left_out}" for r in records if not r.measured]
        lines += ["", f"Time grows as {what}^{both[0]:.2f}, over the larger half of the sizes as {what}^{both[1]:.2f}."]
    return "\n".join(lines) + "\n"


def draw(found, path):
    """The warm times on two logarithmic axes, a panel for what varies; needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    for panel, (what, records) in zip(panels, found.items(), strict=True):
        done = [r for r in records if r.measured]
        x, t = [size(what, r) for r in done], [r.warm_seconds for r in done]
        panel.loglog(x, t, "o-", color=COLORS[what], ms=5)
        least = np.array([x[0], x[-1]], float)
        panel.loglog(least, t[-1] * least / least[1], ":", color="#5f6670", lw=1)
        fixed = f"{done[0].p} columns" if what == "rows" else f"{done[0].n:,} rows"
        panel.set_title(f"{fixed}: time ~ {what}^{slope(what, done)[1]:.2f} (larger half)", fontsize=10, loc="left")
        panel.set_xlabel(what, fontsize=9)
        panel.grid(color="#dddddd", lw=0.7)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("seconds of a warm fit", fontsize=9)
    figure.suptitle("Bernoulli with jglm; dotted: proportional to the size", fontsize=11, x=0.01, ha="left")
    figure.savefig(path, metadata={"Software": None})


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=sizes, default=sizes(ROWS), help=f"numbers of rows ({ROWS})")
    parser.add_argument("--columns", type=sizes, default=sizes(COLUMNS), help=f"numbers of columns ({COLUMNS})")
    parser.add_argument("--fixed-rows", type=int, default=40_000, help="rows where the columns vary")
    parser.add_argument("--fixed-columns", type=int, default=20, help="columns where the rows vary")
    parser.add_argument("--library", choices=sorted(RIVALS), default="jglm")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=record.cores())
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    settings = record.Settings(args.repeat, args.threads, record.load_average())
    lines = {
        "rows": [(n, args.fixed_columns) for n in args.rows],
        "columns": [(args.fixed_rows, p) for p in args.columns],
    }
    found = measure(lines, args.library, settings, args.out / "scaling.jsonl")
    if not all(any(r.measured for r in records) for records in found.values()):
        raise SystemExit("nothing was measured")
    text = markdown(found)
    (args.out / "scaling.md").write_text(text)
    draw(found, args.out / "scaling.png")
    print(text)
    return found


if __name__ == "__main__":
    main()
