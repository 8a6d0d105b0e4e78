"""Write a(eta): its derivatives are the mean and the variance, its shape the whole distribution."""

import functools

import numpy as np

from jglm.distributions import expression
from jglm.distributions.familycheck import check_family
from jglm.family import Family
from jglm.lab import curves, reading

LONGEST = 200  # characters of a text: what takes long to compile is not written in fewer
EXAMPLE = "log(1 + exp(eta))"


def compute(request):
    """a, mean, variance at `eta`, their curves, and in `trouble` why the text is no log-partition, if that is seen."""
    text, low, high, eta = _read(request)
    a, mean, variance = _at(text, low, high, eta)
    grid = curves.etas(low, high)
    shown = {"eta": grid, **dict(zip(("a", "mean", "variance"), curves.moments(_family(text, low, high), grid),
                                     strict=True))}  # fmt: skip
    return {
        "eta": eta, "a": a, "mean": mean, "variance": variance, "curves": shown, "low": grid[0], "high": grid[-1],
        "trouble": _trouble(shown), "code": _code(text, low, high, eta),
    }  # fmt: skip


def density(request):
    """The distribution that follows from the text at `eta`, its support, and the link led back from the mean."""
    text, low, high, eta = _read(request)
    family = _family(text, low, high)
    if problem := _trouble(compute(request)["curves"]):
        raise ValueError(problem)
    _, mean, variance = _at(text, low, high, eta)
    shown = curves.distribution(family, eta, mean, variance)
    method, support = family.density_method(), family.support
    rough = "This density is an approximation (saddlepoint): ask whether a(η) is a log-partition at all."
    return {**shown, "support": support.describe(), "method": method.name, "link": family.natural(mean),
            "trouble": rough if method.name == "saddlepoint" else None}  # fmt: skip


def verdict(request):
    """What `check_family` finds of the text."""
    text, low, high, _ = _read(request)
    report = check_family(_family(text, low, high), raises=False)
    found = [{"level": f.level, "what": f.what, "said": f.said} for f in report.findings]
    return {"ok": report.ok, "findings": found, "code": f"{_made(text, low, high)}\n"
            "print(jglm.check_family(family, raises=False))"}  # fmt: skip


def _read(request):
    text = reading.text(request, "text", EXAMPLE, LONGEST)
    low, high = reading.end(request, "low", -np.inf), reading.end(request, "high", np.inf)
    if not low < high:
        raise ValueError(f"η runs from {low:g} to {high:g}; the first end must be the smaller one")
    grid = curves.etas(low, high)
    middle = float(grid[len(grid) // 2])
    eta = reading.number(request, "eta", middle, -1e6, 1e6)
    return text, low, high, eta if grid[0] <= eta <= grid[-1] else middle


@functools.lru_cache(maxsize=64)
def _family(text, low, high):
    read = expression.parse(text)
    if read.parameters:
        raise ValueError(f"{', '.join(read.parameters)} has no value here: write a number in its place; what varies is "
                         "called eta")  # fmt: skip
    if read.dim is not None:
        raise ValueError("this a is one of a vector eta; here eta is one number: write eta, not eta[0] or sum")
    return Family.parse(text, domain=(low, high))


def _at(text, low, high, eta):
    """(a, mean, variance) at one eta, by the program of the curves."""
    values = curves.moments(_family(text, low, high), np.full(curves.COUNT, eta))
    return tuple(float(v[0]) for v in values)


def _trouble(shown):
    """Why these curves are no log-partition's, or None."""
    values = np.stack([np.asarray(shown[name]) for name in ("a", "mean", "variance")])
    bad = ~np.isfinite(values).all(axis=0)
    if bad.any():
        return (f"a(η) or a derivative is not finite at η = {shown['eta'][np.argmax(bad)]:.3g}. "
                "If η may not go there, say from where to where it runs.")  # fmt: skip
    variance = values[2]
    if variance.min() <= 0:
        at = np.argmin(variance)
        return (f"a″(η) = {variance[at]:.3g} at η = {shown['eta'][at]:.3g}, and a variance cannot be negative or 0: "
                "a log-partition is convex. Look for a sign.")  # fmt: skip
    return None


def _made(text, low, high):
    domain = "" if (low, high) == (-np.inf, np.inf) else f", domain=({_end(low)}, {_end(high)})"
    return f"import jglm\nfamily = jglm.Family.parse({text!r}{domain})"


def _end(value):
    return repr(value) if np.isfinite(value) else f'float("{value}")'


def _code(text, low, high, eta):
    return (f"{_made(text, low, high)}\nmean, variance = family.mean({eta!r}), family.variance({eta!r})\n"
            "link = family.natural(mean)  # leads back to eta")  # fmt: skip
