"""The options that say what is fitted, shared by the commands that fit, and what they come to for `jglm.glm`."""

import sys
from typing import Any

from jglm.commandline import chosen, penalizing, tables

COLUMNS = ("weights", "offset", "exposure", "trials")


def model_options(parser, formula="a formula such as \"y ~ x + C(group)\""):
    """What the model is: formula, family, link, columns beside."""
    parser.add_argument("formula", metavar="FORMULA", help=formula)
    family_options(parser, required=True)
    for name in COLUMNS:
        parser.add_argument(f"--{name}", metavar="COLUMN", help=f"the column that holds the {name}")
    parser.add_argument("--weight-kind", default="prior", choices=["prior", "frequency", "sampling"], help="what the "
                        "weights are: of the variance (prior), or how many rows a row stands for, or 1 / the "
                        "probability that it was sampled")  # fmt: skip


def family_options(parser, required):
    """The family and its link."""
    which = parser.add_mutually_exclusive_group(required=required)
    family = which.add_argument("--family", metavar="NAME", help="see 'jglm families'; negative_binomial(2.5), "
                                "tweedie(power=1.6), quasi(mu^2) take their parameter, which is estimated where it is "
                                "left out")  # fmt: skip
    family.jglm_completes = "family"  # type: ignore[attr-defined]
    which.add_argument("--a", metavar="TEXT", help='a family of your own by its log-partition, as "log1p(exp(eta))"'
                       "; read as arithmetic, never run as code")  # fmt: skip
    parser.add_argument("--domain", nargs=2, type=float, metavar=("LOW", "HIGH"), help="with --a: where it is finite")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="with --a: other names in "
                        "it")  # fmt: skip
    link = parser.add_argument("--link", metavar="NAME", help="default: the family's own; power(0.5) takes its "
                               "exponent")  # fmt: skip
    link.jglm_completes = "link"  # type: ignore[attr-defined]


def fit_options(parser):
    """How it is fitted, and what standard errors are wanted."""
    parser.add_argument("--precision", metavar="FORMULA", help='a formula "~ z" for the precision or dispersion of '
                        "families that have one (beta, gaussian_mean_dispersion, …)")  # fmt: skip
    parser.add_argument("--dispersion", choices=["pearson", "deviance", "ml"], help="how phi is estimated where it is "
                        "not fixed (default: pearson)")  # fmt: skip
    factor = parser.add_argument_group("factors and missing values")
    factor.add_argument("--reference", metavar="COLUMN=LEVEL", action="append", help="the base level of a factor; or "
                        "most_exposed, the level with the most exposure for all factors")  # fmt: skip
    factor.add_argument("--fixed", metavar="COLUMN:LEVEL=R", action="append", help="a relativity that is given and "
                        "not fitted; give it for every level of the column")  # fmt: skip
    policy_options(factor)
    errors = parser.add_argument_group("standard errors")
    errors.add_argument("--covariance", default="model", metavar="KIND", help="model (the default), observed, joint, "
                        'none, HC0 to HC3, cluster, CR0, CR2, CR3, HAC or "HAC(lags=4, time=week)"; see '
                        "Fit.with_covariance")  # fmt: skip
    errors.add_argument("--groups", metavar="COLUMN", action="append", help="a column of groups for the covariance; "
                        "give it twice for two ways")  # fmt: skip
    penalizing.options(parser)
    how = parser.add_argument_group("the solver")
    how.add_argument("--solver", default="auto", metavar="NAME", help="auto (the default), irls, newton, sketched, "
                     'lbfgs, minibatch, or with settings "gradient(alpha=0.001, steps=5000)", '
                     '"minibatch(adam(0.02), batch=1000, epochs=5, seed=1)"')  # fmt: skip
    how.add_argument("--tol", type=float, default=1e-8, help="distance to the optimum in standard errors (1e-8)")
    how.add_argument("--max-iter", type=int, metavar="N", help="passes over the data at most")
    how.add_argument("--dtype", default="float64", choices=["float64", "float32"], help="float32 stores X in half the "
                     "memory")  # fmt: skip
    how.add_argument("--start", metavar="START", help="where to begin: coefficients with commas between them, or a "
                     "model file whose coefficients are taken by name")  # fmt: skip
    how.add_argument("--devices", choices=["all"], help="share the rows out over all devices")


def policy_options(parser, missing: str | None = "drop", unseen: str | None = "error"):
    """What becomes of missing values and unseen levels; by default, where that is None, as the fit had it."""
    parser.add_argument("--missing", default=missing, choices=["drop", "error", "as_missing"], help="rows with missing "
                        "values are left out, refused, or where a factor is missing of a level of their own "
                        f"(default: {missing or 'as at the fit'})")  # fmt: skip
    parser.add_argument("--unseen", default=unseen, choices=["error", "baseline", "as_missing"], help="levels that "
                        "the fit did not see are refused, count as the reference level, or as missing (default: "
                        f"{unseen or 'as at the fit'})")  # fmt: skip


def quiet_option(parser):
    """No progress bar, no notes."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no notes on standard error")


def model(arguments) -> dict[str, Any]:
    """The keywords that `jglm.glm`, `jglm.path` and `jglm.cross_validate` share."""
    given = {name: getattr(arguments, name) for name in COLUMNS}
    return dict(family=chosen.family(arguments), link=arguments.link, weight_kind=arguments.weight_kind,
                progress=progress(arguments), **given)  # fmt: skip


def progress(arguments):
    """Whether there may be a bar: on a terminal, once a fit takes longer than a second (None), else not."""
    return None if sys.stderr.isatty() and not arguments.quiet else False


def named(arguments, data, given):
    """The `Named` coefficients of the formula where an option speaks of them, else None; `given` of `jglm.glm`."""
    if not penalizing.needs_names(arguments):
        return None
    if tables.is_stream(arguments):
        raise ValueError("options that name coefficients (--bounds, --monotone, --penalty-weight, --start, "
                         "group_lasso) are for tables in memory, not for streams")  # fmt: skip
    beside = {k: v for k, v in given.items() if k not in ("family", "link", "progress")}
    return penalizing.Named.of(arguments.formula, data, given["family"], given["link"], **beside)


def fitted(arguments, data, **more):
    """The fit that the options ask for, of a frame or a stream."""
    import jglm

    given: dict[str, Any] = model(arguments) | factors(arguments, data)
    columns = named(arguments, data, given)
    given |= dict(
        penalty=penalizing.penalty(arguments, columns), precision=arguments.precision,
        dispersion=arguments.dispersion, covariance=chosen.covariance(arguments.covariance), groups=groups(arguments),
        solver=chosen.solver(arguments.solver), tol=arguments.tol, max_iter=arguments.max_iter, dtype=arguments.dtype,
        start=None if arguments.start is None else penalizing.start(arguments.start, columns),
        devices=arguments.devices,
    )  # fmt: skip
    return jglm.glm(arguments.formula, data, **(given | more))


def factors(arguments, data) -> dict[str, Any]:
    """The keywords of `jglm.glm` that speak of factors and missing values."""
    reference, fixed = {}, {}
    for text in arguments.reference or []:
        name, level = penalizing.assigned(text, "--reference", "COLUMN=LEVEL") if text != "most_exposed" else ("", "")
        reference[name] = _level(data, name, level)
    if "" in reference and len(reference) > 1:
        raise ValueError("--reference most_exposed is for all factors; leave the others out")
    for text in arguments.fixed or []:
        where, value = penalizing.assigned(text, "--fixed", "COLUMN:LEVEL=R")
        name, colon, level = where.partition(":")
        if not colon:
            raise ValueError(f"--fixed {text!r}: write it as COLUMN:LEVEL=R")
        fixed.setdefault(name, {})[_level(data, name, level)] = chosen.number(value, f"--fixed {text!r}")
    return dict(reference="most_exposed" if "" in reference else reference or None, fixed=fixed or None,
                missing=arguments.missing, unseen=arguments.unseen)  # fmt: skip


def _level(data, column, text):
    """A level of a factor as its column has it: a number where that holds numbers."""
    column = data[column] if hasattr(data, "iloc") and column in data else None
    if column is None or column.dtype.kind not in "iufb":
        return text
    return column.dtype.type(chosen.number(text, "a level of a column of numbers"))


def groups(arguments):
    """The column of --groups, or the pair of them."""
    given = arguments.groups or [None]
    if len(given) > 2:
        raise ValueError(f"--groups is given {len(given)} times; rows are grouped one way or two")
    return given[0] if len(given) == 1 else tuple(given)


def complete_rows(data, formula, columns):
    """The rows of a frame without a missing value in the formula's columns or in those named (None among them is
    passed over): labels of rows then belong to the rows that are fitted."""
    from jglm.inputs.formula import Formula

    needed = list(dict.fromkeys([*Formula(formula).variables, *(c for c in columns if c is not None)]))
    missing = [c for c in needed if c not in data.columns]
    if missing:
        from jglm.inputs import checks

        raise ValueError(f"data has no column {missing[0]!r}{checks.nearest(missing[0], data.columns)}")
    return data.dropna(subset=needed).reset_index(drop=True)
