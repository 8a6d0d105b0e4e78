"""The command line: jglm fit | predict | summary | families | demo.

Exit codes: 0 done, 1 a fit that did not converge (its model is still written), 2 bad input, with one line that says
why.
"""

import argparse
import json
import sys
import warnings
from typing import Any

EXAMPLES = """examples:
  jglm fit policies.parquet "claims ~ age + C(region)" --family poisson --exposure years --out model.jglm
  jglm fit trials.csv "cbind ~ dose" --family binomial --trials n --link probit
  jglm fit losses.csv "cost ~ C(zone)" --family tweedie --dispersion ml
  jglm fit signs.csv "y ~ x" --a "log(cosh(eta))" --out model.jglm
  jglm predict model.jglm new.csv --out predicted.csv
  jglm summary model.jglm
"""


def parser():
    """The argument parser of the program."""
    main = argparse.ArgumentParser(
        prog="jglm", description="Generalized linear models from the log-partition alone.", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    from jglm import __version__

    main.add_argument("--version", action="version", version=f"jglm {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="command")
    _fit_parser(commands)
    predict = commands.add_parser("predict", help="predict the rows of a table with a model file")
    predict.add_argument("model", metavar="MODEL", help="a file that 'jglm fit --out' wrote")
    predict.add_argument("data", metavar="DATA", help="CSV, Parquet or Feather with the columns of the formula")
    predict.add_argument("--out", metavar="FILE", help="where to write; without it CSV goes to standard output")
    predict.add_argument("--kind", default="mean", choices=["mean", "link", "class", "log_prob"])
    summary = commands.add_parser("summary", help="print the summary of a model file")
    summary.add_argument("model", metavar="MODEL")
    summary.add_argument("--html", action="store_true", help="as HTML")
    commands.add_parser("families", help="list families, their links and their default links")
    demo = commands.add_parser("demo", help="fit a real data set, compare with NumPy, draw observed against fitted")
    demo.add_argument("--out", metavar="FILE", default="jglm_demo.png", help="the picture (default: jglm_demo.png)")
    return main


def _fit_parser(commands):
    fit = commands.add_parser(
        "fit", help="fit a formula to a table", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    fit.add_argument("data", metavar="DATA", help="CSV (also .csv.gz), Parquet or Feather")
    fit.add_argument("formula", metavar="FORMULA", help='such as "y ~ x + C(group)"')
    which = fit.add_mutually_exclusive_group(required=True)
    which.add_argument("--family", help="see 'jglm families'; negative_binomial(2.5), tweedie(1.6), quasi(mu^2) take "
                       "their parameter, which is estimated where it is left out")  # fmt: skip
    which.add_argument("--a", metavar="TEXT", help='a family of your own by its log-partition, as "log1p(exp(eta))"'
                       "; read as arithmetic, never run as code")  # fmt: skip
    fit.add_argument("--domain", nargs=2, type=float, metavar=("LOW", "HIGH"), help="with --a: where it is finite")
    fit.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="with --a: other names in it")
    fit.add_argument("--link", help="default: the family's own; power(0.5) takes its exponent")
    for name in ("weights", "offset", "exposure", "trials"):
        fit.add_argument(f"--{name}", metavar="COLUMN", help=f"the column that holds the {name}")
    fit.add_argument("--precision", metavar="FORMULA", help='a formula "~ z" for the precision or dispersion of '
                     "families that have one (beta, gaussian_mean_dispersion, …)")  # fmt: skip
    fit.add_argument("--dispersion", choices=["pearson", "deviance", "ml"], help="how phi is estimated (pearson)")
    fit.add_argument("--weight-kind", default="prior", choices=["prior", "frequency", "sampling"])
    fit.add_argument("--covariance", default="model", metavar="KIND", help="of the coefficients: model, HC0 to HC3, "
                     "cluster, CR2, HAC, … (see Fit.with_covariance)")  # fmt: skip
    fit.add_argument("--groups", metavar="COLUMN", action="append", help="a column of groups for the covariance; give "
                     "it twice for two ways")  # fmt: skip
    fit.add_argument("--ridge", type=float, metavar="S", help="a ridge penalty: S / 2 times the squared coefficients")
    fit.add_argument("--tol", type=float, default=1e-8, help="distance to the optimum in standard errors (1e-8)")
    fit.add_argument("--max-iter", type=int, metavar="N", help="passes over the data at most")
    fit.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    fit.add_argument("--processes", type=int, metavar="N", help="share the rows out over N processes of this machine; "
                     "of Parquet each reads its own row groups")  # fmt: skip
    fit.add_argument("--out", metavar="MODEL", help="write the model file")
    fit.add_argument("--json", action="store_true", help="print the result as JSON")
    fit.add_argument("--quiet", action="store_true", help="no progress bar")


def main(argv=None):
    """Run the command line; returns the exit code."""
    arguments = parser().parse_args(argv)
    arguments.given = argv
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: print(f"jglm: warning: {message}", file=sys.stderr)
            return COMMANDS[arguments.command](arguments)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("jglm: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"jglm: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def fit(arguments):
    from jglm.sharing import launch

    if arguments.processes is not None and not launch.is_child():
        return launch.run(sys.argv[1:] if arguments.given is None else arguments.given, arguments.processes)
    import jglm

    frame, devices = _rows(arguments)
    penalty = None if arguments.ridge is None else jglm.penalties.ridge(arguments.ridge)
    found = jglm.glm(
        arguments.formula, frame, family=_family(arguments), link=arguments.link, weights=arguments.weights,
        offset=arguments.offset, exposure=arguments.exposure, trials=arguments.trials,
        weight_kind=arguments.weight_kind, covariance=arguments.covariance, groups=_groups(arguments),
        precision=arguments.precision, dispersion=arguments.dispersion,
        penalty=penalty, tol=arguments.tol, max_iter=arguments.max_iter,
        dtype=arguments.dtype, progress=False if arguments.quiet else None, devices=devices,
    )  # fmt: skip
    if jglm.distributed.process() > 0:
        return 0 if found.converged else 1
    if arguments.out:
        found.save(arguments.out)
    print(json.dumps(as_json(found)) if arguments.json else found.summary())
    return 0 if found.converged else 1


def _rows(arguments):
    """(the table, devices): of one of several processes its share of the rows, of Parquet as a stream."""
    import jglm
    from jglm.inputs import files

    if arguments.processes is None:
        return files.read(arguments.data), None
    jglm.distributed.initialize()
    if files.kind(arguments.data) in (".parquet", ".pq"):
        return jglm.open_parquet(arguments.data), "all"
    frame = files.read(arguments.data)
    return frame.iloc[jglm.distributed.part(len(frame))], "all"


def _groups(arguments):
    """The column of --groups, or the pair of them."""
    given = arguments.groups or [None]
    if len(given) > 2:
        raise ValueError(f"--groups is given {len(given)} times; rows are grouped one way or two")
    return given[0] if len(given) == 1 else tuple(given)


def _family(arguments):
    """The family of --family or --a."""
    if arguments.a is None:
        if arguments.param or arguments.domain:
            raise ValueError("--param and --domain go with --a; write negative_binomial(2.5) for a named family")
        return _named(arguments.family)
    from jglm.family import Family

    params = {}
    for text in arguments.param:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--param {text!r}: write it as NAME=VALUE")
        params[name.strip()] = _number(value, f"--param {text!r}")
    options = {} if arguments.domain is None else {"domain": tuple(arguments.domain)}
    return Family.parse(arguments.a, params=params, **options)


def _named(text):
    """A family from its name, or name(parameter): a number, or text as in quasi(mu^2)."""
    name, bracket, inner = text.partition("(")
    if not bracket:
        return text
    from jglm import families

    name = name.strip().lower().replace("-", "_")
    factory = families.catalogue().get(name)
    if factory is None or isinstance(factory, families.Family) or not inner.endswith(")"):
        raise ValueError(f"family {text!r} cannot be read; write a name such as poisson, or negative_binomial(2.5)")
    inner = inner[:-1].strip()
    if name == "quasi" or inner == "estimate":
        return factory(inner)
    number = _number(inner, f"family {text!r}")
    return factory(int(number) if name in ("categorical", "multinomial", "ordinal", "dirichlet") else number)


def _number(text, where):
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where}: {text!r} is not a number") from None


def as_json(found):
    """The result of a fit as plain values; what is not a number is null."""
    import numpy as np

    clean = lambda v: None if v != v else float(v)
    listed = lambda a: [clean(v) if getattr(v, "ndim", 0) == 0 else [clean(u) for u in v] for v in a]
    keys = ("deviance", "null_deviance", "llf", "aic", "bic", "scale", "pearson_chi2", "nobs", "df_resid", "df_model")
    return {
        "family": found.family.name, "link": found.link.name, "names": list(found.names),
        "params": listed(found.params), "bse": listed(found.bse), "pvalues": listed(found.pvalues),
        "family_params": {k: listed(np.atleast_1d(v)) for k, v in found.family_params.items()},
        "family_params_se": {k: listed(np.atleast_1d(v)) for k, v in found.family_params_se.items()},
        "converged": bool(found.converged), "n_iter": int(found.n_iter), "aliased": found.aliased,
        "n_dropped": found.n_dropped, **{k: clean(getattr(found, k)) for k in keys},
    }  # fmt: skip


def predict(arguments):
    import pandas

    import jglm
    from jglm.inputs import files

    if arguments.out:
        files.kind(arguments.out)
    found = jglm.load(arguments.model)
    values: Any = found.predict(files.read(arguments.data), kind=arguments.kind)
    if values.ndim == 1:
        table = pandas.DataFrame({"prediction": values})
    else:
        levels = found.levels or []
        names = levels if values.shape[-1] == len(levels) else found._lin_names()
        table = pandas.DataFrame(values, columns=[f"prediction_{v}" for v in names])
    if arguments.out:
        files.write(table, arguments.out)
        print(f"{len(table):,} predictions written to {arguments.out}", file=sys.stderr)
    else:
        table.to_csv(sys.stdout, index=False)
    return 0


def summary(arguments):
    import jglm

    shown = jglm.load(arguments.model).summary()
    print(shown._repr_html_() if arguments.html else shown)
    return 0


def list_families(arguments):
    from jglm import families, links

    takes = {"label": "labels", "proportion": "successes of trials, or proportions", "counts": "counts in k classes",
             "shares": "k shares that sum to 1"}  # fmt: skip
    print(f"{'family':<38}{'y':<38}{'default link':<14}dispersion")
    for name, made in families.catalogue().items():
        family = made if isinstance(made, families.Family) else made()
        shown = takes.get(family.response, family.support.describe())
        shown = "two labels" if family.response == "label" and family.dim is None else shown
        called = f"{name}({', '.join(family.params)})" if family.params else name
        kind = "no likelihood" if family.density == "none" else family.dispersion
        print(f"{called:<38}{shown:<38}{links.default(family).name:<14}{kind}")
    print("\nParameters in brackets are estimated unless given, as in negative_binomial(2.5).")
    print(f"links: {', '.join(links.NAMES)}, power(q)")
    return 0


def demo(arguments):
    from jglm.demo import run

    run(arguments.out)
    return 0


COMMANDS = {"fit": fit, "predict": predict, "summary": summary, "families": list_families, "demo": demo}
