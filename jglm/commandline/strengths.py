"""What `jglm path` and `jglm cv` have in common: a sequence of strengths of a penalty."""

import os
from typing import Any

from jglm.commandline import modelling, penalizing, tables, terminal
from jglm.inputs import wholefile


def options(parser):
    """The arguments of both."""
    tables.options(parser)
    modelling.model_options(parser)
    grid = parser.add_argument_group("the strengths")
    grid.add_argument("--strengths", type=float, nargs="+", default=[100], metavar="S", help="how many, on glmnet's "
                      "grid (100); or the strengths themselves, two or more")  # fmt: skip
    grid.add_argument("--min-ratio", type=float, metavar="R", help="of the last strength to the first (1e-4, or 1e-2 "
                      "with more columns than rows)")  # fmt: skip
    grid.add_argument("--l1-ratio", type=float, nargs="+", default=[1.0], metavar="A", help="from 0 (ridge) to 1 "
                      "(lasso, the default)")  # fmt: skip
    grid.add_argument("--standardize", action="store_true", help="penalize the coefficients of columns of variance 1")
    modelling.policy_options(parser)
    penalizing.options(parser)
    parser.set_defaults(start=None)
    parser.add_argument("--tol", type=float, default=1e-6, help="distance to the optimum in standard errors (1e-6)")
    parser.add_argument("--table", metavar="FILE", help="write the table to a CSV, Parquet or Feather file")
    parser.add_argument("--plot", metavar="FILE", help="draw it: .png, .svg or .pdf")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    modelling.quiet_option(parser)


def asked(arguments, data) -> dict[str, Any]:
    """The keywords that `jglm.path` and `jglm.cross_validate` share; l1_ratio is a number or several."""
    given = modelling.model(arguments) | dict(missing=arguments.missing, unseen=arguments.unseen)
    ratios = arguments.l1_ratio
    strengths: Any = arguments.strengths
    if len(strengths) == 1:
        if strengths[0] != int(strengths[0]):
            raise ValueError(f"--strengths {strengths[0]:g} is no count; give a whole number, or two strengths or more")
        strengths = int(strengths[0])
    ratio = ratios[0] if len(ratios) == 1 else ratios
    return dict(**given, strengths=strengths, min_ratio=arguments.min_ratio, l1_ratio=ratio,
                standardize=arguments.standardize, tol=arguments.tol,
                penalty=_penalty(arguments, data, given))  # fmt: skip


def _penalty(arguments, data, given):
    """The penalty that the strengths multiply, or None for that of --l1-ratio alone."""
    named = modelling.named(arguments, data, given)
    given = penalizing.penalty(arguments, named, base=arguments.l1_ratio)
    if given is not None and len(arguments.l1_ratio) > 1:
        raise ValueError("several --l1-ratio go without other penalties and limits, which have one of their own")
    return given


def draw(found, path):
    """Draw a path or a cross-validation to a file, which appears under its name only when it is whole."""
    import matplotlib

    matplotlib.use("Agg")
    ending = os.path.splitext(path)[1]
    if ending not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--plot {path!r}: the ending must be .png, .svg or .pdf")
    figure = found.plot().figure
    with wholefile.appearing(path) as temporary:
        figure.savefig(temporary, format=ending[1:], dpi=130, bbox_inches="tight")


def keep(arguments, found, table):
    """Write the table and the picture that were asked for."""
    from jglm.inputs import files

    if arguments.table is not None:
        files.write(table, arguments.table)
    if arguments.plot is not None:
        draw(found, arguments.plot)
    for path in (arguments.table, arguments.plot):
        if path is not None and not arguments.quiet:
            terminal.note(f"written to {path}")
