"""Penalties, bounds and starts by the names of coefficients and terms."""

import functools
import math
import operator
from typing import Any

from jglm.commandline import calls, chosen


def options(parser):
    """The arguments that penalize or constrain."""
    group = parser.add_argument_group("penalties and constraints")
    group.add_argument("--penalty", metavar="TEXT", action="append", default=[], help='"ridge(2)", "lasso(0.5)", '
                       '"elastic_net(0.1, 0.5)", "group_lasso(3)" (the columns of a term are a group), "firth", '
                       '"jeffreys", or a sum "ridge(1) + lasso(2)"; scale="mean" within the brackets takes the '
                       "strength times the sum of the weights")  # fmt: skip
    group.add_argument("--ridge", type=float, metavar="S", help="S / 2 times the squared coefficients")
    group.add_argument("--lasso", type=float, metavar="S", help="S times the absolute coefficients")
    group.add_argument("--penalty-weight", metavar="NAME=W", action="append", default=[], help="a factor of the "
                       "strength for a column or for the columns of a term; 0 leaves it unpenalized")  # fmt: skip
    group.add_argument("--bounds", metavar="NAME=LOW:HIGH", action="append", default=[], help="bounds of the "
                       "coefficients of a column or a term, as age=0: or age=-1:1")  # fmt: skip
    group.add_argument("--monotone", metavar="TERM=up|down", action="append", default=[], help="coefficients that rise "
                       "or fall along the columns of a term, from 0 on")  # fmt: skip


def needs_names(arguments):
    """Whether what is asked for speaks of coefficients by name."""
    groups = any("group_lasso" in text for text in arguments.penalty)
    start = getattr(arguments, "start", None)
    return bool(groups or arguments.penalty_weight or arguments.bounds or arguments.monotone or start)


class Named:
    """The coefficients of a formula: `names`, the intercept's among them; `columns`, those without it; `terms`
    {name: indices among the columns}."""

    def __init__(self, names, terms):
        self.names, self.terms = list(names), {}
        self.columns = [name for name in self.names if name != "Intercept"]
        for term, own in terms.items():
            at = [i for i, name in enumerate(self.columns) if name in own]
            if at:
                self.terms[term] = at

    @classmethod
    def of(cls, formula, frame, family, link, **given):
        """Those of a formula in a frame, of which the options `given` are those of `jglm.glm`."""
        import jax

        from jglm import api

        with jax.enable_x64(True):
            prepared, _, _, kept = api.inputs(formula, frame, family, link, None, formula=True, **given)
        text: Any = kept["formula"]
        structure = text.spec.structure
        return cls(prepared.names, {str(t.term): set(map(str, t.columns)) for t in structure})

    def at(self, name, option):
        """Indices of a column or of the columns of a term; ValueError with what there is."""
        if name in self.columns:
            return [self.columns.index(name)]
        if name in self.terms:
            return self.terms[name]
        from jglm.inputs import checks

        known = list(dict.fromkeys([*self.terms, *self.columns]))
        raise ValueError(f"{option} names {name!r}, which is no column or term of the formula"
                         f"{checks.nearest(name, known)} There are {', '.join(known[:20])}")  # fmt: skip

    def groups(self):
        """The number of its term for every column."""
        group = list(range(len(self.columns)))
        for i, at in enumerate(self.terms.values()):
            for j in at:
                group[j] = len(self.columns) + i
        return group


def penalty(arguments, named, base=()):
    """The sum of the penalties asked for, a name such as "firth", or None. `named`: the `Named` where it is needed.

    base: of a path the l1_ratio of the elastic net that stands for the strengths where only weights and limits are
    given.
    """
    found = [call for text in arguments.penalty for call in calls.parse(text, "--penalty")]
    alone = [call.name for call in found if call.name in ("firth", "jeffreys")]
    found += [calls.Call(kind, (strength,), {}) for kind, strength in (("ridge", arguments.ridge),
              ("lasso", arguments.lasso)) if strength is not None]  # fmt: skip
    limits = bool(arguments.bounds or arguments.monotone)
    if alone:
        if len(found) > 1 or limits:
            raise ValueError(f"--penalty {alone[0]} stands alone; leave the other penalties and limits out")
        return alone[0]
    weights = _weights(arguments, named)
    if base and not found and (limits or weights is not None):
        found = [calls.Call("elastic_net", (1.0, base[0]), {})]
    parts = [_made(call, named, weights) for call in found]
    parts += [_bounds(arguments.bounds, named)] if arguments.bounds else []
    parts += [_monotone(text, named) for text in arguments.monotone]
    if weights is not None and not found:
        raise ValueError("--penalty-weight is a factor of a penalty's strength; give --penalty, --ridge or --lasso too")
    return functools.reduce(operator.add, parts) if parts else None


def _made(call, named, weights):
    from jglm import penalties

    known = {name: getattr(penalties, name) for name in ("ridge", "lasso", "elastic_net", "group_lasso")}
    options = dict(call.options)
    if weights is not None:
        options["weights"] = weights
    if call.name == "group_lasso" and "groups" not in options and len(call.args) < 2:
        options["groups"] = named.groups()
    return calls.make(calls.Call(call.name, call.args, options), known, "penalty")


def _weights(arguments, named):
    if not arguments.penalty_weight:
        return None
    weights = [1.0] * len(named.columns)
    for text in arguments.penalty_weight:
        name, value = assigned(text, "--penalty-weight", "NAME=W")
        for i in named.at(name, "--penalty-weight"):
            weights[i] = chosen.number(value, f"--penalty-weight {name}")
    return weights


def _bounds(texts, named):
    import numpy as np

    from jglm import penalties

    lower: Any = np.full(len(named.columns), -math.inf)
    upper: Any = np.full(len(named.columns), math.inf)
    for text in texts:
        name, value = assigned(text, "--bounds", "NAME=LOW:HIGH")
        low, colon, high = value.partition(":")
        if not colon:
            raise ValueError(f"--bounds {text!r}: write it as NAME=LOW:HIGH, where either may be left out")
        for i in named.at(name, "--bounds"):
            lower[i] = chosen.number(low, f"--bounds {text!r}") if low.strip() else -math.inf
            upper[i] = chosen.number(high, f"--bounds {text!r}") if high.strip() else math.inf
    return penalties.bounds(lower, upper)


def _monotone(text, named):
    from jglm import penalties

    name, way = assigned(text, "--monotone", "TERM=up or TERM=down")
    if way not in ("up", "down"):
        raise ValueError(f"--monotone {text!r}: write it as TERM=up or TERM=down")
    return penalties.monotone(named.at(name, "--monotone"), len(named.columns), increasing=way == "up")


def assigned(text, option, form):
    """(name, value) of NAME=VALUE; a name may have "=" in it."""
    name, equals, value = text.rpartition("=")
    if not equals or not name.strip():
        raise ValueError(f"{option} {text!r}: write it as {form}")
    return name.strip(), value.strip()


def start(text, named):
    """Coefficients to begin at: numbers with commas between them, or those of a model file, by name (others at 0)."""
    from pathlib import Path

    if not Path(text).is_file():
        try:
            return [float(v) for v in text.split(",")]
        except ValueError:
            raise ValueError(f"--start {text!r} is no file, and no numbers with commas between them") from None
    import numpy as np

    import jglm

    last = jglm.load(text)
    begin = np.zeros((len(named.names), *last.params.shape[1:]))
    for i, name in enumerate(named.names):
        if name in last.names:
            begin[i] = np.nan_to_num(last.params[last.names.index(name)])
    return begin
