"""jglm summary: a model file at a glance."""

from jglm.commandline import exitcodes, terminal

HELP = "print the summary of a model file"
EXAMPLES = """examples:
  jglm summary visits.jglm
  jglm summary visits.jglm --html > visits.html
  jglm summary visits.jglm --json
"""


def options(parser):
    parser.add_argument("model", metavar="MODEL", help="a file that 'jglm fit --out' wrote")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--html", action="store_true", help="as HTML")
    form.add_argument("--json", action="store_true", help="as JSON, with what 'jglm fit --json' prints")


def run(arguments):
    import jglm
    from jglm.commandline import described

    fit = jglm.load(arguments.model)
    if arguments.json:
        terminal.say_json(described.fit(fit))
    else:
        shown = fit.summary()
        terminal.say(shown._repr_html_() if arguments.html else shown)
    return exitcodes.DONE
