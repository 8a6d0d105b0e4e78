"""jglm report: a model file on the rows of a table, as one HTML page."""

from jglm.commandline import exitcodes, modelling, terminal

HELP = "write a report of a model file as one HTML page"
EXAMPLES = """examples:
  jglm report model.jglm --data policies.parquet --out report.html
  jglm report model.jglm --data holdout.csv --compare older.jglm --out report.html
  jglm report model.jglm --out report.html      # without data: coefficients, terms, convergence
"""


def options(parser):
    parser.add_argument("model", metavar="MODEL", help="a file that 'jglm fit --out' wrote")
    parser.add_argument("--out", metavar="FILE", required=True, help="the page to write, such as report.html")
    parser.add_argument("--data", metavar="DATA", help="CSV, Parquet or Feather with the columns of the formula, the "
                        "response among them: the rows of the fit, or others")  # fmt: skip
    parser.add_argument("--compare", metavar="MODEL", help="a second model of the same response, for a double lift")
    parser.add_argument("--title", metavar="TEXT", help="of the page; by default the response and the family")
    modelling.quiet_option(parser)


def run(arguments):
    import jglm
    from jglm.inputs import files

    fit = jglm.load(arguments.model)
    other = None if arguments.compare is None else jglm.load(arguments.compare)
    data = None if arguments.data is None else files.read(arguments.data)
    path = fit.report(arguments.out, data, compare=other, title=arguments.title)
    if not arguments.quiet:
        terminal.note(f"report written to {path}")
    return exitcodes.DONE
