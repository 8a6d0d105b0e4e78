"""The command: `python -m benchmarks.run --suite small` measures, and writes records, a table and a picture."""

import argparse
import sys
from pathlib import Path

from benchmarks import environments, insurance, picture, record, suites, table
from benchmarks.catalogue import ENTRIES, RIVALS

RESULTS = Path(__file__).resolve().parent / "results"


def parser():
    one = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    one.add_argument("--suite", choices=sorted(suites.SUITES), default="small", help="the problems to run")
    one.add_argument("--problems", help=f"some of them instead, by commas: {', '.join(ENTRIES)}")
    one.add_argument("--libraries", help=f"some libraries only, by commas: {', '.join(RIVALS)}")
    one.add_argument("--repeat", type=int, default=5, help="warm fits, of which the median counts")
    one.add_argument("--threads", type=int, default=record.cores(), help="threads of every library (all cores)")
    one.add_argument("--limit", type=float, default=record.LIMIT, help="seconds for one library on one problem")
    one.add_argument("--shrink", type=int, default=1, help="divide the rows of the large problems by this, for a look")
    one.add_argument("--data", type=Path, help="folder with the Parquet files of freMTPL2 (else OpenML is asked)")
    one.add_argument("--environments", type=Path, default=environments.default_folder(),
                     help="folder for the virtual environments of rivals that need one (the user's cache)")  # fmt: skip
    one.add_argument("--out", type=Path, default=RESULTS, help="folder for the three files (benchmarks/results)")
    one.add_argument("--name", help="name of the files: the suite's; with --problems or --libraries 'selection'")
    one.add_argument("--redraw", action="store_true", help="measure nothing: table and picture from the records there")
    return one


def chosen(text, known, what):
    """The names in `text`, in the order given, each of which must be in `known`; None where there is no text."""
    if text is None:
        return None
    names = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise SystemExit(f"{what} {', '.join(unknown) or 'none'}: there are {', '.join(known)}")
    return names


def interpreters(rivals, folder):
    """{rival's name: the Python that runs it} of those that can run here; a line for each that cannot."""
    here = {}
    for rival in rivals:
        lacking = rival.missing()
        if lacking is not None:
            print(f"{rival.label} is skipped: {lacking} is not installed")
            continue
        try:
            here[rival.name] = environments.interpreter(rival, folder)
        except RuntimeError as error:
            print(f"{rival.label} is skipped: its environment cannot be made: {error}")
    return here


def data_folder(entries, folder):
    """The folder with the files that some entries read, as text; None where none is needed or there are none."""
    if folder is not None or not any(entry.needs_data for entry in entries):
        return None if folder is None else str(folder.resolve())
    try:
        return str(insurance.fetch())
    except Exception as error:  # whatever a network can do
        print(f"no freMTPL2 data, so its problems are skipped: no --data FOLDER, and OpenML: {type(error).__name__}")
        return None


def told(found):
    """One record in one line of progress."""
    if found.left_out is not None:
        return f"left out: {found.left_out}"
    if not found.measured:
        return f"FAILED: {found.error}"
    cold, warm = table.seconds(found.cold_seconds), table.seconds(found.warm_seconds)
    early = "  STOPPED EARLY" if found.stopped_early else ""
    return f"cold {cold:>8}  warm {warm:>8}  gradient {found.gradient:.1e}{early}"


def measure(pairs, here, settings, out):
    """Every pair of problem and rival; each record is written when it is there, so that an interrupted run is not
    lost. `here`: the interpreter of each rival."""
    records = []
    print(f"{len(pairs)} runs, {settings.threads} threads, load average {settings.load}", flush=True)
    for imports, python in {(RIVALS[rival].imports, here[rival]) for _, rival in pairs}:
        record.warm_disk(imports, settings.threads, python)
    with open(out, "w") as file:
        for problem, name in pairs:
            entry, rival = ENTRIES[problem], RIVALS[name]
            found = record.take(entry, rival, settings, here[name])
            records.append(found)
            print(found.line(), file=file, flush=True)
            print(f"[{len(records):3}/{len(pairs)}] {entry.name:24} {rival.label:28} {told(found)}", flush=True)
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


def measured(args, pairs, path):
    """The records of the pairs that can run here."""
    entries = [ENTRIES[problem] for problem in dict.fromkeys(problem for problem, _ in pairs)]
    settings = record.Settings(
        args.repeat, args.threads, record.load_average(), limit=args.limit, shrink=args.shrink,
        data=data_folder(entries, args.data),
    )  # fmt: skip
    here = interpreters([RIVALS[name] for name in dict.fromkeys(rival for _, rival in pairs)], args.environments)
    able = {entry.name for entry in entries if settings.data is not None or not entry.needs_data}
    return measure([pair for pair in pairs if pair[0] in able and pair[1] in here], here, settings, path)


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
        problems = chosen(args.problems, ENTRIES, "--problems")
        libraries = chosen(args.libraries, RIVALS, "--libraries")
        records = measured(args, suites.pairs(args.suite, problems, libraries), path)
    if not records:
        raise SystemExit("nothing ran")
    write(name, records, args.out)
    return records


if __name__ == "__main__":
    sys.exit(0 if all(r.error is None for r in main()) else 1)
