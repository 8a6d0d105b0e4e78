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
    one.add_argument("--limit", type=float, default=record.LIMIT, help="seconds for a library on a problem")
    one.add_argument("--shrink", type=int, default=1, help="divide the rows of the large problems by this, for a look")
    one.add_argument("--data", type=Path, help="folder with the Parquet files of freMTPL2 (else OpenML is asked)")
    one.add_argument("--environments", type=Path, default=environments.default_folder(),
                     help="folder for the virtual environments of rivals that need one (the user's cache)")  # fmt: skip
    one.add_argument("--out", type=Path, default=RESULTS, help="folder for the three files (benchmarks/results)")
    one.add_argument("--name", help="name of the files: the suite's; with --problems or --libraries 'selection'")
    one.add_argument("--merge", action="store_true",
                     help="measure anew what is named; the suite's file keeps all its other records")  # fmt: skip
    one.add_argument("--resume", action="store_true",
                     help="measure what has no record in the suite's file: after a stop, for new rivals")  # fmt: skip
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
    """({rival's name: the Python that runs it} of those that can run here, {rival's name: what it lacks} of the
    others), and a line for each of these."""
    here, lacking = {}, {}
    for rival in rivals:
        found = rival.missing()
        if found is not None:
            lacking[rival.name] = f"{found} is {record.MISSING}"
            print(f"{rival.label} is skipped: {lacking[rival.name]}")
            continue
        try:
            here[rival.name] = environments.interpreter(rival, folder)
        except RuntimeError as error:
            lacking[rival.name] = f"its environment is {record.MISSING}"
            print(f"{rival.label} is skipped: its environment cannot be made: {error}")
    return here, lacking


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
        return found.error if found.ended_after is not None else f"FAILED: {found.error}"
    cold, warm = table.seconds(found.cold_seconds), table.seconds(found.warm_seconds)
    early = "  STOPPED EARLY" if found.stopped_early else ""
    return f"cold {cold:>8}  warm {warm:>8}  gradient {found.gradient:.1e}{early}"


def measure(pairs, here, lacking, settings, keep):
    """Every pair of problem and rival, where `here` has the rival's interpreter; each record goes to `keep` when it is
    there, so that an interrupted run is not lost."""
    print(f"{len(pairs)} runs, {settings.threads} threads, load average {settings.load}", flush=True)
    for imports, python in {(RIVALS[rival].imports, here[rival]) for _, rival in pairs if rival in here}:
        record.warm_disk(imports, settings.threads, python)
    for i, (problem, name) in enumerate(pairs, 1):
        entry, rival = ENTRIES[problem], RIVALS[name]
        reason = lacking.get(name) or (suites.TOO_LARGE.get((problem, name)) if settings.shrink == 1 else None)
        found = record.take(entry, rival, settings, here.get(name), reason)
        keep(found)
        print(f"[{i:3}/{len(pairs)}] {entry.name:24} {rival.label:28} {told(found)}", flush=True)


class Kept:
    """The records of a file, which holds every new one at once: each replaces that of the same problem and library."""

    def __init__(self, path, records, order):
        self.path, self.order = path, order
        self.records = {(r.problem, r.library): r for r in records}

    def add(self, found):
        before = self.records.get((found.problem, found.library))
        if before is None or not before.measured or not found.is_missing:
            self.records[found.problem, found.library] = found
        part = self.path.with_suffix(".part")
        part.write_text("".join(r.line() + "\n" for r in self.all()))
        part.replace(self.path)

    def all(self):
        return self.order(self.records.values())


def recorded(path):
    return [record.Record.from_line(line) for line in path.read_text().splitlines()] if path.exists() else []


def refuse_others(records, settings):
    """End where records to be kept are of other sizes or threads."""
    for r in records:
        if r.problem in ENTRIES and r.title != ENTRIES[r.problem].titled(settings.shrink):
            raise SystemExit(f"the records there have {r.title}: give --name for those of another --shrink")
        if r.threads != settings.threads:
            raise SystemExit(f"the records there have {r.threads} threads: give --threads {r.threads}, or --name")


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
    """The records of the file and of the pairs that can run here."""
    old = recorded(path) if args.merge or args.resume else []
    if args.resume:
        settled = {(r.problem, r.library) for r in old if r.settled}
        pairs = [pair for pair in pairs if pair not in settled]
    entries = [ENTRIES[problem] for problem in dict.fromkeys(problem for problem, _ in pairs)]
    settings = record.Settings(
        args.repeat, args.threads, record.load_average(), limit=args.limit, shrink=args.shrink,
        data=data_folder(entries, args.data),
    )  # fmt: skip
    refuse_others(old, settings)
    kept = Kept(path, old, lambda records: suites.order(args.suite, records))
    able = {entry.name for entry in entries if settings.data is not None or not entry.needs_data}
    pairs = [pair for pair in pairs if pair[0] in able]
    rivals = [RIVALS[name] for name in dict.fromkeys(rival for _, rival in pairs)]
    here, lacking = interpreters(rivals, args.environments)
    try:
        measure(pairs, here, lacking, settings, kept.add)
    except KeyboardInterrupt:
        print("stopped: --resume goes on from here")
    return kept.all()


def main(argv=None):
    """Run the command; returns the records."""
    args = parser().parse_args(argv)
    whole = args.problems is None and args.libraries is None
    # A selection must not overwrite the records of a whole suite.
    name = args.name or (args.suite if whole or args.merge or args.resume else "selection")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{name}.jsonl"
    if args.redraw:
        records = recorded(path)
    else:
        problems = chosen(args.problems, ENTRIES, "--problems")
        libraries = chosen(args.libraries, RIVALS, "--libraries")
        records = measured(args, suites.pairs(args.suite, problems, libraries), path)
    if not records:
        raise SystemExit("nothing ran")
    write(name, records, args.out)
    return records


if __name__ == "__main__":
    sys.exit(0 if all(r.error is None or r.ended_after is not None for r in main()) else 1)
