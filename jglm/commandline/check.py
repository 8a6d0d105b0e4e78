"""jglm check: is a function a log-partition?"""

from jglm.commandline import chosen, exitcodes, modelling, terminal

HELP = "look whether a function is a log-partition, and what can be computed from it"
EXAMPLES = """examples:
  jglm check --a "log(cosh(eta))"
  jglm check --a "-log(-eta)" --domain -inf 0
  jglm check --a "-r * log(1 - exp(eta))" --domain -inf 0 --param r=2
  jglm check --family "negative_binomial(2.5)" --json

The exit code is 0 where nothing is wrong and 3 where something is.
"""


def options(parser):
    modelling.family_options(parser, required=True)
    parser.set_defaults(link=None)
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(arguments):
    import dataclasses

    import jglm

    report = jglm.check_family(chosen.family(arguments), raises=False)
    if arguments.json:
        found = [dataclasses.asdict(one) for one in report.findings]
        terminal.say_json({"family": report.family, "ok": report.ok, "findings": found})
    else:
        terminal.say(report)
    return exitcodes.DONE if report.ok else exitcodes.NO
