"""jglm predict: a model file on the rows of a table."""

from typing import Any

from jglm.commandline import exitcodes, modelling, tables, terminal

HELP = "predict the rows of a table with a model file"
EXAMPLES = """examples:
  jglm predict model.jglm new.csv --out predicted.csv
  jglm predict model.jglm new.csv --interval mean --level 0.9 --keep id
  jglm predict model.jglm new.csv --kind link --json
  jglm predict model.jglm "claims/*.parquet" --out predicted.parquet     # larger than memory
"""


def options(parser):
    parser.add_argument("model", metavar="MODEL", help="a file that 'jglm fit --out' wrote")
    tables.options(parser, "CSV, Parquet or Feather with the columns of the formula; a folder or a pattern of such "
                   "files is read as a stream")  # fmt: skip
    parser.add_argument("--out", metavar="FILE", help="where to write (of a stream a Parquet file); without it CSV "
                        "goes to standard output")  # fmt: skip
    parser.add_argument("--kind", default="mean", choices=["mean", "link", "class", "log_prob"], help="mean (the "
                        "default), link (the linear predictor), class (the most probable) or log_prob")  # fmt: skip
    parser.add_argument("--interval", choices=["mean", "delta", "profile", "prediction"], help="the ends of an "
                        "interval beside the mean: of the mean, or of a new observation (prediction)")  # fmt: skip
    parser.add_argument("--level", type=float, default=0.95, help="of the interval (0.95)")
    for name in ("offset", "exposure"):
        parser.add_argument(f"--{name}", metavar="COLUMN", help=f"the column that holds the {name}, where it is not "
                            "that of the fit")  # fmt: skip
    modelling.policy_options(parser, missing=None, unseen=None)
    parser.add_argument("--keep", metavar="COLUMN", action="append", default=[], help="a column of the table to write "
                        "beside the predictions; may be given several times")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON, a record for each row, instead of CSV")
    modelling.quiet_option(parser)


def run(arguments):
    import jglm
    from jglm.inputs import files

    if arguments.out is not None:
        files.kind(arguments.out)
    fit = jglm.load(arguments.model)
    if tables.is_stream(arguments):
        return _stream(fit, arguments)
    data = files.read(arguments.data)
    wanted = [_column(data, name) for name in arguments.keep]
    beside: dict[str, Any] = {k: None if v is None else _column(data, v) for k, v in
              (("offset", arguments.offset), ("exposure", arguments.exposure))}  # fmt: skip
    values: Any = fit.predict(data, **_asked(arguments), **beside)
    table = _table(fit, values, arguments.interval)
    for at, column in enumerate(wanted):
        table.insert(at, column.name, column.to_numpy())
    if arguments.out is not None:
        files.write(table, arguments.out)
        if not arguments.quiet:
            terminal.note(f"{len(table):,} predictions written to {arguments.out}")
    elif arguments.json:
        terminal.say_json(table)
    else:
        terminal.say_csv(table)
    return exitcodes.DONE


def _stream(fit, arguments):
    if arguments.out is None or not arguments.out.endswith((".parquet", ".pq")):
        raise ValueError("predictions for a stream go to a Parquet file; give --out FILE.parquet")
    if arguments.keep or arguments.json:
        raise ValueError("--keep and --json are for tables in memory; the predictions for a stream are in its order")
    fit.predict(tables.stream(arguments), **_asked(arguments), offset=arguments.offset, exposure=arguments.exposure,
                out=arguments.out)  # fmt: skip
    if not arguments.quiet:
        terminal.note(f"predictions written to {arguments.out}")
    return exitcodes.DONE


def _asked(arguments) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in ("kind", "interval", "level", "missing", "unseen")}


def _column(data, name):
    if name not in data.columns:
        from jglm.inputs import checks

        raise ValueError(f"data has no column {name!r}{checks.nearest(name, data.columns)}")
    return data[name]


def _table(fit, values, interval):
    """The predictions as a data frame; of k classes a column for each, with its ends where there is an interval."""
    import pandas

    if interval is not None and values.ndim == 2:
        return pandas.DataFrame(values, columns=["prediction", "low", "high"])
    if values.ndim == 1:
        return pandas.DataFrame({"prediction": values})
    levels = fit.levels or []
    names = levels if values.shape[1] == len(levels) else fit._lin_names()
    if values.ndim == 2:
        return pandas.DataFrame(values, columns=[f"prediction_{v}" for v in names])
    heads = [f"{end}_{v}" for v in names for end in ("prediction", "low", "high")]
    return pandas.DataFrame(values.reshape(len(values), -1), columns=heads)
