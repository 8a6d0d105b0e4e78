"""jglm bootstrap: a fit refitted to resamples of its rows."""

from jglm.commandline import exitcodes, modelling, terminal

HELP = "standard errors and intervals from refits to resamples of the rows"
EXAMPLES = """examples:
  jglm bootstrap policies.csv "claims ~ age" --family poisson --exposure years --resamples 1000 --seed 1
  jglm bootstrap panel.csv "y ~ x" --family gamma --clusters person --interval bca --draws draws.parquet
"""


def options(parser):
    parser.add_argument("data", metavar="DATA", help="CSV (also .csv.gz), Parquet or Feather")
    parser.set_defaults(stream=False, cache=None)
    modelling.model_options(parser)
    modelling.fit_options(parser)
    draw = parser.add_argument_group("the bootstrap")
    draw.add_argument("--resamples", type=int, default=1000, help="how many (1000)")
    draw.add_argument("--kind", default="poisson", choices=["poisson", "bayesian", "multinomial"], help="how often a "
                      "row stands in a resample: counts of mean 1 on their own (the default), exponential weights, or "
                      "draws with replacement")  # fmt: skip
    draw.add_argument("--clusters", metavar="COLUMN", help="rows of one label in it are drawn together")
    draw.add_argument("--method", default="refit", choices=["refit", "one_step"], help="to the optimum (the default), "
                      "or one step of Newton's method")  # fmt: skip
    draw.add_argument("--interval", default="percentile", choices=["percentile", "normal", "bca"], help="how "
                      "intervals are taken from the draws (percentile)")  # fmt: skip
    draw.add_argument("--level", type=float, default=0.95, help="of the intervals (0.95)")
    draw.add_argument("--seed", type=int, default=0, help="the same seed gives the same draws (0)")
    draw.add_argument("--draws", metavar="FILE", help="write the draws, a row for each resample")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    modelling.quiet_option(parser)


def run(arguments):
    from jglm.inputs import files

    data, clusters = files.read(arguments.data), None
    if arguments.clusters is not None:
        beside = [getattr(arguments, name) for name in modelling.COLUMNS]
        data = modelling.complete_rows(data, arguments.formula, [arguments.clusters, *beside])
        clusters = data[arguments.clusters].to_numpy()
    fit = modelling.fitted(arguments, data)
    found = fit.bootstrap(
        resamples=arguments.resamples, kind=arguments.kind, clusters=clusters, method=arguments.method,
        seed=arguments.seed, level=arguments.level, progress=modelling.progress(arguments),
    )  # fmt: skip
    table = found.table(method=arguments.interval)
    if arguments.draws is not None:
        files.write(_draws(found), arguments.draws)
    if arguments.json:
        terminal.say_json({"resamples": len(found.values), "failed": found.n_failed, "kind": found.kind,
                           "interval": arguments.interval, "level": arguments.level, "seed": arguments.seed,
                           "table": table.reset_index()})  # fmt: skip
    else:
        terminal.say(found)
        terminal.say(table.to_string(float_format=lambda v: f"{v:.4f}"))
    return exitcodes.of(fit)


def _draws(found):
    """The draws as a data frame, a column for each coefficient."""
    import pandas

    values = found.values
    if values.ndim == 2:
        return pandas.DataFrame(values, columns=[str(n) for n in found.names])
    heads = [f"{n} @ {c}" for n in found.names for c in found.fit._lin_names()]
    return pandas.DataFrame(values.reshape(len(values), -1), columns=heads)
