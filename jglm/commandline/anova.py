"""jglm anova: a test of each term of a model."""

from jglm.commandline import exitcodes, modelling, tables, terminal

HELP = "test each term: the analysis of deviance of a model"
EXAMPLES = """examples:
  jglm anova policies.csv "claims ~ age + C(region)" --family poisson --exposure years
  jglm anova policies.csv "claims ~ age * C(region)" --family poisson --type III --test Wald --covariance HC1
  jglm anova policies.csv "claims ~ age + C(region)" --family poisson --drop1
"""


def options(parser):
    tables.options(parser)
    modelling.model_options(parser)
    modelling.fit_options(parser)
    tests = parser.add_argument_group("the tests")
    tests.add_argument("--type", default="II", choices=["I", "II", "III"], help="each term after those before it (I), "
                       "beside all that do not contain it (II, the default), beside all others (III)")  # fmt: skip
    tests.add_argument("--test", choices=["LR", "F", "Wald", "Rao"], help="default: LR where the dispersion is fixed, "
                       "else F; Wald with a robust covariance")  # fmt: skip
    tests.add_argument("--drop1", action="store_true", help="drop one term at a time, with AIC, as R's drop1")
    tests.add_argument("--adjust", metavar="METHOD", help="p-values adjusted for their number: holm, BH, bonferroni, …")
    parser.add_argument("--json", action="store_true", help="print the table as JSON, a record for each term")
    modelling.quiet_option(parser)


def run(arguments):
    fit = modelling.fitted(arguments, tables.read(arguments))
    if arguments.drop1:
        found = fit.drop1(test=arguments.test, adjust=arguments.adjust)
    else:
        found = fit.anova(type=arguments.type, test=arguments.test, adjust=arguments.adjust)
    if arguments.json:
        terminal.say_json(found.table().reset_index())
    else:
        terminal.say(found)
    return exitcodes.of(fit)
