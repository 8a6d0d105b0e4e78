"""jglm demo: the demonstration on real data."""

from jglm.commandline import exitcodes, terminal

HELP = "fit a real data set, compare with NumPy, draw observed against fitted"
EXAMPLES = """examples:
  jglm demo
  jglm demo --data visits.csv     # the table itself, to try the other commands on
"""


def options(parser):
    parser.add_argument("--out", metavar="FILE", default="jglm_demo.png", help="the picture (default: jglm_demo.png)")
    parser.add_argument("--data", metavar="FILE", help="write the table to a CSV, Parquet or Feather file instead")


def run(arguments):
    from jglm import demo
    from jglm.inputs import files

    if arguments.data is not None:
        files.write(demo.load(), arguments.data)
        terminal.note(f"20,190 rows written to {arguments.data}")
    else:
        demo.run(arguments.out, say=terminal.say)
    return exitcodes.DONE
