"""jglm fit: a formula fitted to a table."""

import sys

from jglm.commandline import exitcodes, modelling, tables, terminal

HELP = "fit a formula to a table"
EXAMPLES = """examples:
  jglm fit policies.parquet "claims ~ age + C(region)" --family poisson --exposure years --out model.jglm
  jglm fit trials.csv "cured ~ dose" --family binomial --trials n --link probit
  jglm fit losses.csv "cost ~ C(zone)" --family tweedie --dispersion ml
  jglm fit signs.csv "y ~ x" --a "log(cosh(eta))" --out model.jglm
  jglm fit panel.csv "visits ~ x" --family poisson --covariance cluster --groups person
  jglm fit wide.csv "y ~ a + b + C(level)" --family gaussian --ridge 2 --bounds a=0: --monotone "C(level)=up"
  jglm fit "claims/*.parquet" "n ~ age" --family poisson --cache /tmp/cache --checkpoint /tmp/keep
"""


def options(parser):
    stream = tables.options(parser)
    stream.add_argument("--checkpoint", metavar="FOLDER", help="keep there what is known after every pass of a stream")
    stream.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    modelling.model_options(parser)
    modelling.fit_options(parser)
    parser.add_argument("--processes", type=int, metavar="N", help="share the rows out over N processes of this "
                        "machine; of Parquet each reads its own row groups")  # fmt: skip
    parser.add_argument("--out", metavar="MODEL", help="write the model file")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    modelling.quiet_option(parser)


def run(arguments):
    from jglm.sharing import launch

    if arguments.processes is not None and not launch.is_child():
        return launch.run(sys.argv[1:] if arguments.given is None else arguments.given, arguments.processes)
    import jglm

    data, more = _rows(arguments)
    found = modelling.fitted(arguments, data, **more)
    code = exitcodes.of(found)
    if jglm.distributed.process() > 0:
        return code
    if arguments.out:
        found.save(arguments.out)
    if arguments.json:
        from jglm.commandline import described

        terminal.say_json(described.fit(found))
    else:
        terminal.say(found.summary())
    return code


def _rows(arguments):
    """(the table, options of the fit): of one of several processes its share of the rows, of Parquet as a stream."""
    if arguments.processes is None:
        keep = dict(checkpoint=arguments.checkpoint, resume=arguments.resume)
        return tables.read(arguments), keep if tables.is_stream(arguments) or any(keep.values()) else {}
    import jglm
    from jglm.inputs import files

    jglm.distributed.initialize()
    if tables.is_stream(arguments) or files.kind(arguments.data) in (".parquet", ".pq"):
        return tables.stream(arguments), dict(devices="all")
    frame = files.read(arguments.data)
    return frame.iloc[jglm.distributed.part(len(frame))], dict(devices="all")
