"""jglm compare: model files side by side."""

from pathlib import Path

from jglm.commandline import exitcodes, terminal

HELP = "put model files side by side: coefficients, standard errors, AIC"
EXAMPLES = """examples:
  jglm compare small.jglm large.jglm
  jglm compare small.jglm large.jglm --names small large --stars --latex > table.tex
"""


def options(parser):
    parser.add_argument("models", metavar="MODEL", nargs="+", help="files that 'jglm fit --out' wrote")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="of the models (default: their files')")
    parser.add_argument("--stars", action="store_true", help="mark p-values below 0.05, 0.01 and 0.001")
    form = parser.add_mutually_exclusive_group()
    for name, text in (("latex", "LaTeX, with the rules of booktabs"), ("html", "HTML"), ("json", "JSON")):
        form.add_argument(f"--{name}", action="store_true", help=f"as {text}")


def run(arguments):
    import jglm

    names = arguments.names or [Path(path).stem for path in arguments.models]
    found = jglm.compare(*map(jglm.load, arguments.models), names=names, stars=arguments.stars)
    if arguments.json:
        terminal.say_json({"models": found.names, "rows": found.rows, "params": found.params, "bse": found.bse,
                           "pvalues": found.pvalues, "statistics": found.statistics,
                           "about": dict(found.about)})  # fmt: skip
    elif arguments.latex:
        terminal.say(found.to_latex())
    else:
        terminal.say(found._repr_html_() if arguments.html else found)
    return exitcodes.DONE
