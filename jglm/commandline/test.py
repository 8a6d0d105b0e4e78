"""jglm test: hypotheses about the coefficients of model files."""

from jglm.commandline import exitcodes, terminal

HELP = "test hypotheses about a model file, or one model against a larger one"
EXAMPLES = """examples:
  jglm test model.jglm "age = 0"
  jglm test model.jglm "age = income, C(region)[T.b] = 0"      # both at once
  jglm test model.jglm "age = 0" "income = 0" --adjust holm     # one by one
  jglm test small.jglm --against large.jglm                     # likelihood ratio
"""


def options(parser):
    parser.add_argument("model", metavar="MODEL", help="a file that 'jglm fit --out' wrote")
    parser.add_argument("hypothesis", metavar="HYPOTHESIS", nargs="*", help='linear in the coefficients, by their '
                        'names: "a = 0", "a = b", "2*a - b = 1"; several are tested together')  # fmt: skip
    parser.add_argument("--against", metavar="LARGER", help="the likelihood-ratio test of MODEL against a model file "
                        "of the same data that contains it")  # fmt: skip
    parser.add_argument("--test", choices=["chi2", "F", "LR", "likelihood"], help="the law of the statistic: chi2 or F "
                        "for hypotheses; LR, F or likelihood with --against (see jglm.lr_test)")  # fmt: skip
    parser.add_argument("--adjust", metavar="METHOD", help="test each hypothesis by itself, with p-values adjusted: "
                        "holm, BH, bonferroni, …, none")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments):
    import jglm

    fit = jglm.load(arguments.model)
    if (arguments.against is None) == (not arguments.hypothesis):
        raise ValueError("give one or more hypotheses such as 'age = 0', or --against LARGER, and not both")
    if arguments.against is not None:
        if arguments.adjust is not None:
            raise ValueError("--adjust is for several hypotheses; --against makes one test")
        found = jglm.lr_test(fit, jglm.load(arguments.against), test=arguments.test or "LR")
    else:
        found = fit.wald_test(arguments.hypothesis, test=arguments.test, adjust=arguments.adjust)
    if arguments.json:
        terminal.say_json(_plain(found))
    else:
        terminal.say(found)
    return exitcodes.DONE


def _plain(found):
    if hasattr(found, "columns"):
        return {"title": found.title, "tests": found.table().reset_index(), "notes": found.notes}
    names = ("title", "hypothesis", "kind", "statistic", "df", "df_resid", "pvalue", "estimate", "se", "notes")
    return {name: getattr(found, name) for name in names}
