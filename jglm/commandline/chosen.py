"""What --family, --a, --covariance and --solver name."""

from jglm.commandline import calls

OPTIMIZERS = ("adabelief", "adagrad", "adam", "adamax", "adamw", "amsgrad", "lion", "nadam", "radam", "rmsprop", "sgd",
              "yogi")  # fmt: skip


def family(arguments):
    """The family of --family or --a: a name as it is, a `Family` where parameters are given."""
    if arguments.a is None:
        if arguments.param or arguments.domain:
            raise ValueError("--param and --domain go with --a; write negative_binomial(2.5) for a named family")
        return named_family(arguments.family)
    return text_family(arguments.a, arguments.param, arguments.domain)


def text_family(text, params, domain):
    """The family of a log-partition written as text, with NAME=VALUE parameters."""
    from jglm.family import Family

    values = {}
    for given in params:
        name, equals, value = given.partition("=")
        if not equals:
            raise ValueError(f"--param {given!r}: write it as NAME=VALUE")
        values[name.strip()] = number(value, f"--param {given!r}")
    options = {} if domain is None else {"domain": tuple(domain)}
    return Family.parse(text, params=values, **options)


def named_family(text):
    """A family of the catalogue: its name as it is, or with parameters as in tweedie(power=1.6) and quasi(mu^2)."""
    name, bracket, inner = text.strip().partition("(")
    if not bracket:
        return text
    from jglm import families

    name = name.strip().lower().replace("-", "_")
    known = families.catalogue()
    if isinstance(known.get(name), families.Family):
        raise ValueError(f"family {name!r} has no parameters; write {name} alone")
    if name == "quasi" and inner.endswith(")"):
        return families.quasi(inner[:-1].strip().strip("'\""))
    makers = {n: made for n, made in known.items() if not isinstance(made, families.Family)}
    call = calls.one(f"{name}({inner}", "family")
    return calls.make(call, makers, "family with parameters")


def covariance(text):
    """The name of a covariance, or a `HAC` with its settings."""
    if not text.lstrip().startswith("HAC("):
        return None if text == "none" else text
    from jglm.inference.sandwich import HAC

    return calls.make(calls.one(text, "covariance"), {"HAC": HAC}, "covariance")


def solver(text):
    """The name of a solver, or a record of `jglm.solvers` with its settings."""
    if "(" not in text:
        return text.strip()
    from jglm import solvers

    known = {"gradient": solvers.Gradient, "minibatch": _minibatch, "newton": solvers.Newton,
             "proximal_newton": solvers.ProximalNewton}  # fmt: skip
    call = calls.one(text, "solver")
    spelled = {"ProximalNewton": "proximal_newton"}.get(call.name, call.name.lower())
    return calls.make(calls.Call(spelled, call.args, call.options), known, "solver with settings")


def _minibatch(optimizer=None, batch=None, epochs=3, average=True, seed=0):
    from jglm.solvers import Minibatch

    if isinstance(optimizer, str):
        optimizer = calls.Call(optimizer, (), {}, False)
    if isinstance(optimizer, calls.Call):
        import optax

        if optimizer.name == "sgd" and not optimizer.args and not optimizer.options:
            return Minibatch(None, batch, epochs, average, seed)
        makers = {name: getattr(optax, name) for name in OPTIMIZERS}
        optimizer = calls.make(optimizer, makers, "optimizer")
    return Minibatch(optimizer, batch, epochs, average, seed)


def number(text, where):
    """A number; ValueError with `where` it stands."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where}: {text!r} is not a number") from None
