"""jglm export: a model file as a table that scores rows without jglm."""

from jglm.commandline import exitcodes, terminal

HELP = "write a model file as a table that scores rows without jglm"
EXAMPLES = """examples:
  jglm export visits.jglm rates.csv
  jglm export visits.jglm rates.xlsx
  jglm export visits.jglm rates.json    # for docs/examples/score_rating_table.py
"""


def options(parser):
    parser.add_argument("model", metavar="MODEL", help="a file that 'jglm fit --out' wrote")
    parser.add_argument("out", metavar="FILE", help="where to write, by its ending: .csv, .json or .xlsx")


def run(arguments):
    import jglm
    from jglm.keeping import spreadsheets

    table = jglm.load(arguments.model).scoring_table()
    spreadsheets.write(table, arguments.out)
    terminal.note(f"{len(table.lines):,} lines of {len(table.terms):,} terms written to {arguments.out}")
    return exitcodes.DONE
