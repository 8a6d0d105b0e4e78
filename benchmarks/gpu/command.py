"""The command: ceilings of the device, fits against them, rivals; records, a table and a picture."""

import argparse
from pathlib import Path

import jax
import numpy as np

from benchmarks.gpu import cases, limits, tables, ways
from benchmarks.gpu.records import REPEAT, Record, host_memory, machine, memory, take, timed
from benchmarks.gpu.rivals import RIVALS
from benchmarks.gpu.uses import uses

RESULTS = Path(__file__).resolve().parents[1] / "results"
WAYS = {way.name: way for way in (*ways.WAYS, *RIVALS)}
PARTS = ("many", "pieces", "fits")
HOST_SHARE = 0.8  # of the host's free memory that a fit may take


def parser():
    one = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    one.add_argument("--rows", type=_numbers, default=[10**6, 10**7, 10**8], help="numbers of rows (1e6,1e7,1e8)")
    one.add_argument("--columns", type=int, default=100)
    one.add_argument("--dtype", type=_names(("float32", "float64")), default=["float32", "float64"], help="of X")
    one.add_argument("--families", type=_names(cases.FAMILIES), default=list(cases.FAMILIES))
    one.add_argument("--ways", type=_names(WAYS), default=list(WAYS), help=f"some of {', '.join(WAYS)}")
    one.add_argument("--parts", type=_names(PARTS), default=list(PARTS), help=f"what to measure: {', '.join(PARTS)}")
    one.add_argument("--shrink", type=int, default=1, help="divide the rows by this, for a look")
    one.add_argument("--host-rows", type=float, default=1e6, help="most rows of fits that begin in or run on the host")
    one.add_argument("--fits", type=int, default=1000, help="how many small fits in one call")
    one.add_argument("--repeat", type=int, default=REPEAT, help="warm runs, of which the median counts")
    one.add_argument("--limit", type=float, default=60.0, help="seconds that one fit may take, from a smaller one's")
    one.add_argument("--out", type=Path, help="folder for the three files (on a GPU benchmarks/results)")
    one.add_argument("--keep", action="store_true", help="add to the records that are in the folder")
    one.add_argument("--redraw", action="store_true", help="measure nothing: table and picture from the records there")
    return one


def _numbers(text):
    return sorted(round(float(part)) for part in text.split(","))


def _names(known):
    def read(text):
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(known)}")
        return names

    return read


def place(out, platform, redraw=False):
    """(folder, name of the files): what is measured elsewhere must not stand for a GPU."""
    if redraw and ((out or RESULTS) / "gpu.jsonl").exists():
        return out or RESULTS, "gpu"
    if platform == "gpu":
        return out or RESULTS, "gpu"
    if out is None:
        raise SystemExit(f"JAX sees no GPU but {platform}: say with --out FOLDER where the files are to go")
    return out, f"gpu_on_{platform}"


# ---------------------------------------------------------------------------- what fits
def sizes(rows, p, dtype, room):
    """The numbers of rows of which X fits; the most that fit, where that is worth a fit of its own."""
    most, taken = cases.largest(p, dtype, room), []
    for n in rows:
        if n <= most:
            taken.append(n)
            continue
        instead = most > 1.5 * max(taken, default=0)
        taken += [most] if instead else []
        print(f"{n:,} x {p} in {dtype} does not fit in {cases.SHARE:.0%} of {room / 1e9:.1f} GB: "
              + (f"{most:,} rows instead" if instead else "skipped"))  # fmt: skip
    return taken


def obstacle(way, case, args, before):
    """Why a way is left out for a case, or None; `before`: the records of fits so far."""
    n, p = case.shape
    if (way.host or way.source == "numpy") and n > args.host_rows:
        return f"more than {args.host_rows:,.0f} rows, which is --host-rows"
    done = [r for r in before if (r.way, r.family, r.dtype) == (way.name, case.name, case.dtype) and r.measured]
    last = max(done, key=lambda r: r.n, default=None)
    need = 0 if last is not None and last.to_host is False else (way.doubles + 1) * 8 * n * p
    if way.doubles and need > HOST_SHARE * host_memory():
        return f"the host would need {need / 1e9:.0f} GB"
    if last is not None and last.warm_seconds * n / last.n > args.limit:
        return f"it would take {last.warm_seconds * n / last.n:.0f} s, more than --limit"
    return None


# ---------------------------------------------------------------------------- measuring
def fit(way, case, ceilings, args, first):
    """The record of one way; `first` {}: the coefficients of the first fit of the case are kept there."""
    n, p = case.shape
    record = Record("fit", way.label, way.name, case.name, n, p, case.dtype, way.source)
    try:
        if way.source == "numpy":
            X, _ = case.host
            if not way.host:
                record.transfer_seconds = timed(lambda: jax.device_put(X))[0]
        found = take(record, lambda: way.run(case), args.repeat)
        record.objective, record.gradient = cases.judge(case, found.coef)
    except Exception as error:  # above all a lack of memory, which must not end the rest
        record.warm_seconds, record.error = None, limits.said(error)
        return record
    record.passes, record.hessians, record.how, record.to_host = (
        found.passes, found.hessians, found.how, found.to_host,
    )  # fmt: skip
    record.difference = float(np.max(np.abs(found.coef - first.setdefault("coef", found.coef))))
    if found.passes is not None and found.hessians is not None:
        record.floor_seconds = limits.floor(ceilings, n, p, case.dtype, found.passes, found.hessians)
    return record


def fits(case, able, ceilings, args, before):
    """Records of all ways on one case."""
    first = {}
    for name in args.ways:
        if name not in able:
            continue
        way, (n, p) = WAYS[name], case.shape
        reason = obstacle(way, case, args, before)
        if reason is None:
            record = fit(way, case, ceilings, args, first)
        else:
            record = Record("fit", way.label, way.name, case.name, n, p, case.dtype, way.source, left_out=reason)
        before.append(record)
        yield record


def available(names):
    """Those ways that can run here; a line for each that cannot."""
    reasons = {name: WAYS[name].missing() for name in names}
    for name, reason in reasons.items():
        if reason is not None:
            print(f"{WAYS[name].label} is skipped: {reason}")
    return {name for name, reason in reasons.items() if reason is None}


def everything(args, known=()):
    """Every record, as it is there: the ceilings first, which all others are measured against. `known`: records of
    former runs, of which fits tell what larger ones will need."""
    room, platform = memory(), jax.devices()[0].platform
    able = available(args.ways) if "fits" in args.parts else {}
    rows = [max(n // args.shrink, 10 * args.columns) for n in args.rows]
    ceilings, before = [], [r for r in known if r.kind == "fit"]
    for record in limits.measure(8 * max(rows) * args.columns, platform):
        ceilings.append(record)
        yield record
    if "many" in args.parts:
        yield from (ways.many(args.fits, 200, 8, dtype, args.repeat) for dtype in args.dtype)
        yield from uses(args.fits, min(rows[0], round(args.host_rows)), args.repeat)
    for dtype in args.dtype:
        for n in sizes(rows, args.columns, dtype, room):
            made = cases.make(n, args.columns, dtype, args.families)
            if "pieces" in args.parts:
                yield from limits.pieces(made[0], ceilings, args.repeat)
            if "fits" in args.parts:
                for case in made:
                    yield from fits(case, able, ceilings, args, before)
                case = None
            made = None  # the next X must find its memory free


def told(record):
    """One record in one line of progress."""
    size = f"{record.n:>11,} x {record.p:<4}" if record.n else ""
    head = f"{record.kind:5} {record.family:10}{size}{record.dtype:8} {record.label:36}"
    return f"{head} {tables.outcome(record)}"


def main(argv=None):
    """Run the command; returns the records."""
    args = parser().parse_args(argv)
    platform = jax.devices()[0].platform
    out, name = place(args.out, platform, args.redraw)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.jsonl"
    known = path.exists() and (args.keep or args.redraw)
    records = [Record.from_line(line) for line in path.read_text().splitlines()] if known else []
    if not args.redraw:
        here = machine()
        told_driver = f", driver {here['driver']}" if here["driver"] else ""
        print(f"{here['device']}{told_driver}, {here['memory_bytes'] / 1e9:.1f} GB, jax {jax.__version__}", flush=True)
        with jax.enable_x64(True), open(path, "a" if args.keep else "w") as file:
            for record in everything(args, list(records)):
                record.machine = here
                records.append(record)
                print(record.line(), file=file, flush=True)
                print(told(record), flush=True)
    if not records:
        raise SystemExit("there are no records")
    print(f"written: {', '.join(tables.write(name, records, out))}")
    return records
