"""jglm path: one model at many strengths of a penalty."""

from jglm.commandline import exitcodes, strengths, terminal

HELP = "fit a whole sequence of strengths of a penalty"
EXAMPLES = """examples:
  jglm path wide.csv "y ~ a + b + c" --family poisson --strengths 20 --standardize
  jglm path wide.csv "y ~ a + b + c" --family poisson --l1-ratio 0.5 --plot path.png --table path.csv
  jglm path wide.csv "y ~ a + b + c" --family poisson --at 12.5 --out model.jglm
"""


def options(parser):
    strengths.options(parser)
    parser.add_argument("--at", type=float, metavar="S", help="with --out: the strength of the model that is written")
    parser.add_argument("--out", metavar="MODEL", help="write the model of one strength (--at)")


def run(arguments):
    import jglm
    from jglm.commandline import tables

    if (arguments.at is None) != (arguments.out is None):
        raise ValueError("--at and --out go together: the strength of the model that is written, and where to")
    if len(arguments.l1_ratio) > 1:
        raise ValueError("a path has one --l1-ratio; 'jglm cv' compares several")
    data = tables.read(arguments)
    found = jglm.path(arguments.formula, data, **strengths.asked(arguments, data))
    strengths.keep(arguments, found, _with_coefficients(found))
    if arguments.out is not None:
        found.fit_at(arguments.at).save(arguments.out)
    if arguments.json:
        terminal.say_json({
            "family": found.model.family.name, "link": found.model.link.name, "names": found.names,
            "strengths": found.strengths, "params": found.params, "df": found.df, "deviance": found.deviance,
            "null_deviance": found.null_deviance, "deviance_explained": found.deviance_explained,
            "converged": found.converged,
        })  # fmt: skip
    else:
        terminal.say(found.table().to_string(index=False))
    return exitcodes.of(found)


def _with_coefficients(found):
    """The table of the path with a column for each coefficient, of k classes one for each class."""
    table, params = found.table(), found.params
    names = found.names
    if params.ndim == 3:
        names = [f"{name} @ {j}" for name in names for j in range(params.shape[2])]
    for j, name in enumerate(names):
        table[str(name)] = params.reshape(len(params), -1)[:, j]
    return table
