"""jglm cv: the strength of a penalty by cross-validation."""

from jglm.commandline import exitcodes, modelling, strengths, tables, terminal

HELP = "choose the strength of a penalty by cross-validation"
EXAMPLES = """examples:
  jglm cv wide.csv "y ~ a + b + c" --family poisson --standardize --seed 1
  jglm cv wide.csv "y ~ a + b + c" --family poisson --rule one_se --out model.jglm
  jglm cv panel.csv "y ~ a + b" --family gaussian --l1-ratio 0.5 0.9 1 --groups person --plot cv.png
"""


def options(parser):
    strengths.options(parser)
    parser.add_argument("--folds", default="5", metavar="F", help="how many (5), or a column that holds the fold of "
                        "each row")  # fmt: skip
    parser.add_argument("--groups", metavar="COLUMN", help="rows of one label in it stay in one fold")
    parser.add_argument("--seed", type=int, default=0, help="of the folds (0)")
    parser.add_argument("--rule", default="best", choices=["best", "one_se"], help="the strength that is chosen: of "
                        "the least held-out deviance, or the largest within one standard error of it")  # fmt: skip
    parser.add_argument("--out", metavar="MODEL", help="write the model of all rows at the chosen strength")


def run(arguments):
    import jglm

    data, folds = _rows(arguments)
    found = jglm.cross_validate(
        arguments.formula, data, **folds, seed=arguments.seed, **strengths.asked(arguments, data)
    )
    chosen = found.fit(arguments.rule)
    strengths.keep(arguments, found, found.table())
    if arguments.out is not None:
        chosen.save(arguments.out)
    _say(arguments, found, chosen)
    return exitcodes.of(chosen)


def _rows(arguments):
    """(the table, its folds and groups): columns of a table in memory as labels of its rows, of a stream by name."""
    data = tables.read(arguments)
    folds = int(arguments.folds) if arguments.folds.isdigit() else arguments.folds
    if tables.is_stream(arguments):
        if arguments.groups is not None:
            raise ValueError("--groups is for tables in memory; of a stream name a column of folds by --folds")
        return data, dict(folds=folds)
    columns = {k: v for k, v in (("folds", folds), ("groups", arguments.groups)) if isinstance(v, str)}
    if columns:
        beside = [getattr(arguments, name) for name in modelling.COLUMNS]
        data = modelling.complete_rows(data, arguments.formula, [*columns.values(), *beside])
    return data, dict(folds=folds) | {k: data[v].to_numpy() for k, v in columns.items()}


def _say(arguments, found, chosen):
    strength = found.best_strength if arguments.rule == "best" else found.one_se_strength
    if arguments.json:
        from jglm.commandline import described

        terminal.say_json({
            "best_strength": found.best_strength, "one_se_strength": found.one_se_strength,
            "l1_ratio": found.best_l1_ratio, "rule": arguments.rule, "table": found.table(),
            "fit": described.fit(chosen),
        })  # fmt: skip
        return
    terminal.say(found.table().to_string(index=False))
    terminal.say(f"\nchosen ({arguments.rule}): strength {strength:.6g} at l1_ratio {found.best_l1_ratio:g}\n")
    terminal.say(chosen.summary())
