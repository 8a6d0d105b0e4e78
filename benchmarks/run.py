"""The command: `python -m benchmarks.run --suite small` measures, and writes records, a table and a picture."""

import argparse
import sys
from pathlib import Path

from benchmarks import picture, record, table
from benchmarks.problems import ENTRIES, SUITES
from benchmarks.rivals import RIVALS

RESULTS = Path(__file__).resolve().parent / "results"


def parser():
    one = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    one.add_argument("--suite", choices=sorted(SUITES), default="small", help="the problems to run")
    one.add_argument("--problems", help=f"some of them instead, by commas: {', '.join(ENTRIES)}")
    one.add_argument("--libraries", help=f"some libraries only, by commas: {', '.join(RIVALS)}")
    one.add_argument("--repeat", type=int, default=5, help="warm fits, of which the median counts")
    one.add_argument("--threads", type=int, default=record.cores(), help="threads of every library (all cores)")
    one.add_argument("--out", type=Path, default=RESULTS, help="folder for the three files (benchmarks/results)")
    one.add_argument("--name", help="name of the files: the suite's; with --problems or --libraries 'selection'")
    one.add_argument("--redraw", action="store_true", help="measure nothing: table and picture from the records there")
    return one


def chosen(text, known, default, what):
    """The entries of `known` named in `text`, in the order given."""
    names = list(default) if text is None else [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise SystemExit(f"{what} {', '.join(unknown) or 'none'}: there are {', '.join(known)}")
    return [known[name] for name in names]


def installed(rivals):
    """The rivals that can run here; a line for each that cannot."""
    here = []
    for rival in rivals:
        lacking = record.missing(rival)
        if lacking is None:
            here.append(rival)
        else:
            print(f"{rival.label} is skipped: {lacking} is not installed")
    return here


def told(found):
    """One record in one line of progress."""
    if found.left_out is not None:
        return f"left out: {found.left_out}"
    if not found.measured:
        return f"FAILED: {found.error}"
    cold, warm = table.seconds(found.cold_seconds), table.seconds(found.warm_seconds)
    early = "  STOPPED EARLY" if found.stopped_early else ""
    return f"cold {cold:>8}  warm {warm:>8}  gradient {found.gradient:.1e}{early}"


def measure(entries, rivals, repeat, threads, out):
    """Every rival on every problem; each record is written when it is there, so that an interrupted run is not lost."""
    records, total, load = [], len(entries) * len(rivals), record.load_average()
    print(f"{total} runs, {threads} threads, load average {load}", flush=True)
    record.warm_disk(rivals, threads)
    with open(out, "w") as file:
        for entry in entries:
            for rival in rivals:
                found = record.take(entry, rival, repeat=repeat, threads=threads, load=load)
                records.append(found)
                print(found.line(), file=file, flush=True)
                print(f"[{len(records):3}/{total}] {entry.name:18} {rival.label:20} {told(found)}", flush=True)
    return records


def write(name, records, out):
    """The table and the picture beside the records."""
    (out / f"{name}.md").write_text(table.markdown(name, records))
    written = ["jsonl", "md"]
    try:
        picture.draw(name, records, out / f"{name}.png")
        written.append("png")
    except ImportError:
        print("no picture: matplotlib is not installed")
    print(f"written: {', '.join(f'{name}.{kind}' for kind in written)}")


def main(argv=None):
    """Run the command; returns the records."""
    args = parser().parse_args(argv)
    whole = args.problems is None and args.libraries is None
    # A selection must not overwrite the records of a whole suite.
    name = args.name or (args.suite if whole else "selection")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{name}.jsonl"
    if args.redraw:
        records = [record.Record.from_line(line) for line in path.read_text().splitlines()]
    else:
        entries = chosen(args.problems, ENTRIES, SUITES[args.suite], "--problems")
        rivals = installed(chosen(args.libraries, RIVALS, RIVALS, "--libraries"))
        records = measure(entries, rivals, args.repeat, args.threads, path)
    if not records:
        raise SystemExit("nothing ran")
    write(name, records, args.out)
    return records


if __name__ == "__main__":
    sys.exit(0 if all(r.error is None for r in main()) else 1)
