"""Pages of the catalogue: a table of all families, a page for each kind of response, one of links; with pictures.

What depends on nothing but the code is kept in a cache folder and made anew where the code has changed.
"""

import hashlib
import inspect
import re
from importlib import metadata
from pathlib import Path

import jax
import numpy as np

import flow
import formulas
import pictures
from jglm import families, links

KINDS = {
    "real": ("Real numbers and angles", "y may be any real number, or an angle."),
    "positive": ("Positive amounts", "y is a cost, a duration, a weight: positive, and spreads as its mean grows."),
    "counts": ("Counts", "y is a whole number."),
    "shares": ("Yes or no, and shares", "y is 0 or 1, a proportion of trials, or a share of a whole."),
    "classes": ("Classes", "y is one of k classes, counts in k classes, or one of k ordered grades."),
    "quasi": ("Quasi-likelihood", "Only the variance is said, as a function of the mean; there is no distribution."),
}
NOTES = {
    "gaussian": "Linear regression: η is the mean itself, so nothing is between Xθ and the prediction.",
    "bernoulli": "Logistic regression. The mean of a coin with log-odds η is the sigmoid: it is derived, not chosen.",
    "binomial": "Successes in n trials: y is their proportion and n the weight (`trials=`).",
    "poisson": "Counts of independent events. Each unit of x multiplies the mean by a factor.",
    "gamma": "Amounts whose standard deviation is a constant share of the mean: claim sizes, durations.",
    "exponential": "Waiting times without memory: a gamma whose dispersion is 1.",
    "inverse_gaussian": "Amounts with a longer tail than the gamma's: the variance grows as the mean cubed.",
    "geometric": "Failures before the first success; the negative binomial with r = 1.",
    "logarithmic": "Counts from 1 on with a very long tail, such as individuals seen of a species (Fisher 1943).",
    "zero_truncated_poisson": "A Poisson count of which only y ≥ 1 is seen, such as lengths of hospital stays.",
    "continuous_bernoulli": "A density on [0, 1] with the Bernoulli's form exp(ηy), whole in itself: pixels, shares.",
    "hyperbolic_secant": "A law with heavier tails than the normal's, symmetric where η = 0; its variance is 1 + μ².",
    "von_mises": "Directions: η is a vector in the plane, towards the mean direction and as long as the concentration.",
    "quasipoisson": "The Poisson's mean and variance times an estimated dispersion: for counts that vary more.",
    "quasibinomial": "The binomial's mean and variance times an estimated dispersion.",
}  # fmt: skip
LINKS = (
    "identity", "log", "sqrt", "inverse", "inverse_squared", "power(q)", "logit", "probit", "cloglog", "loglog",
    "cauchit",
)  # fmt: skip
LINK_TEX = {
    "identity": "mu", "log": "log(mu)", "sqrt": "sqrt(mu)", "inverse": "1/mu", "inverse_squared": "1/mu**2",
    "power(q)": "mu**q", "logit": "log(mu/(1 - mu))", "cloglog": "log(-log(1 - mu))", "loglog": "-log(-log(mu))",
}  # fmt: skip
LINK_BEYOND = {"probit": r"\Phi^{-1}(\mu)", "cauchit": r"\tan(\pi (\mu - 1/2))"}
LINK_NOTES = {
    "identity": "effects add to the mean", "log": "effects multiply the mean",
    "sqrt": "stabilizes a Poisson's variance",
    "inverse": "rates; R's default for the gamma", "inverse_squared": "canonical for the inverse Gaussian",
    "power(q)": "any power; q = 0 is the log", "logit": "effects multiply the odds",
    "probit": "a normal threshold", "cloglog": "a Poisson count is above 0; grouped survival times",
    "loglog": "cloglog seen from the other end", "cauchit": "a Cauchy threshold: tolerates a few wrong labels",
}  # fmt: skip


def made(root):
    """{path: content} of the pages and pictures of the catalogue."""
    return pages() | drawn(root)


# --------------------------------------------------------------------------- pictures, kept
def drawn(root):
    """{path: SVG} of all pictures, from the cache where the code is that which drew them."""
    jax.config.update("jax_disable_most_optimizations", True)  # each program runs once: compiling is what takes time
    folder = Path(root) / ".cache" / "pictures" / _state()
    jobs = {name: (pictures.of_family, name) for name in families.catalogue()}
    jobs |= {"links": (pictures.svg, pictures.of_links, [n for n in LINKS if "(" not in n])}
    jobs |= {"flow": (pictures.svg, flow.draw)}
    paths = {name: [folder / f"{name}.svg", folder / f"{name}-dark.svg"] for name in jobs}
    for name, (draw, *arguments) in jobs.items():
        if not all(path.exists() for path in paths[name]):
            folder.mkdir(parents=True, exist_ok=True)
            for path, content in zip(paths[name], draw(*arguments), strict=True):
                path.write_text(content, encoding="utf-8")
    return {f"pictures/{path.name}": path.read_text("utf-8") for pair in paths.values() for path in pair}


def _state():
    """What the pictures depend on, in a few letters."""
    here = Path(inspect.getfile(families)).parent
    code = [here / "families.py", here / "family.py", here / "links.py", *sorted((here / "distributions").glob("*.py"))]
    code += [Path(__file__).with_name(name) for name in ("pictures.py", "flow.py")]
    parts = [path.read_bytes() for path in code] + [metadata.version(n).encode() for n in ("jax", "matplotlib")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def picture(name, alt, folder="../"):
    """Markdown of a picture that follows the page's colours."""
    of = lambda file, only: f"![{alt}]({folder}pictures/{file}.svg#only-{only})"
    return f"{of(name, 'light')}{of(f'{name}-dark', 'dark')}"


# --------------------------------------------------------------------------- pages
def pages():
    """{path: Markdown} of the table of families, a page for each kind, and the links."""
    of_kind = {kind: [] for kind in KINDS}
    for name in families.catalogue():
        of_kind[pictures.kind(pictures.shown(name))].append(name)
    made = {f"families/{kind}.md": _page(kind, names) for kind, names in of_kind.items()}
    return {"families/index.md": _index(of_kind), **made, "families/links.md": _links()}


def _index(of_kind):
    lines = [
        "# Families", "",
        "A family is its log-partition $a(\\eta)$; the mean is $a'$, the variance $\\varphi\\,a''$. $V(\\mu)$ is $a''$ "
        "as a function of the mean. `family=` takes each by its name; a parameter that is left out is estimated. Yours "
        "is [one line](../add_a_family.md). The table and the pictures are made from the catalogue itself, and tests "
        "evaluate the formulas against it.", "",
    ]  # fmt: skip
    for kind, names in of_kind.items():
        title, text = KINDS[kind]
        lines += [f"## [{title}]({kind}.md)", "", text, ""]
        lines += ["| family | $a(\\eta)$ | $V(\\mu)$ | default link |", "|---|---|---|---|"]
        for name in names:
            anchor = f"[{name}]({kind}.md#{name})"
            link = links.default(pictures.shown(name)).name.replace("_", " ")
            lines.append(f"| {anchor} | {_math(a_tex(name))} | {_math(variance_tex(name))} | {link} |")
        lines.append("")
    return "\n".join(lines)


def _page(kind, names):
    title, text = KINDS[kind]
    return "\n".join([f"# {title}", "", text, "", *(line for name in names for line in _section(name))])


def _section(name):
    family = pictures.shown(name)
    formula = rf"$$a(\eta) = {a_tex(name)}$$"
    if family.T_ is not None:
        inner = r",\; ".join(formulas.tex(text) for text in formulas.STATISTIC[name])
        formula = formula[:-2] + rf",\qquad T(y) = ({inner})$$"
    return [
        f"## {name} {{ #{name} }}", "", note(name), "", formula, "", *_facts(name, family), "",
        picture(name, f"{name}: log-partition, mean and variance, distribution, response"), "",
    ]  # fmt: skip


def note(name):
    """What a family is for: NOTES, or what its factory says."""
    return NOTES[name] if name in NOTES else re.sub(r"\s+", " ", inspect.getdoc(families.catalogue()[name]))


def _facts(name, family):
    link, variance = links.default(family).name, variance_tex(name)
    own = " (canonical)" if link == links.canonical_named(family).name != "canonical" else ""
    rows = {
        "y": {"label": "labels", "counts": "counts in k classes", "shares": "k shares with sum 1",
              "angle": "an angle"}.get(family.response, _signs(family.support.describe())),
        "domain of η": _domain(family.domain),
        "default link": f"{link.replace('_', ' ')}{own}",
        "dispersion φ": "1" if family.dispersion == "fixed" else "estimated",
        "variance": f"$\\varphi\\,V(\\mu)$ with $V(\\mu) = {variance}$" if variance else "$\\varphi\\,a''$",
    }  # fmt: skip
    if name in pictures.SHAPES and family.params:
        rows["in the picture"] = ", ".join(f"{k} = {float(v):g}" for k, v in family.params.items())
    made = families.catalogue()[name]
    if callable(made):
        rows["as"] = f"`families.{name}{inspect.signature(made)}`"
    return ["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())]


def _signs(text):
    return text.replace(">=", "≥").replace("<=", "≤")


def _domain(domain):
    if np.ndim(domain) == 2:
        return " × ".join(_domain(pair) for pair in domain)
    if tuple(domain) == (-np.inf, np.inf):
        return "all reals"
    return f"η > {domain[0]:.4g}" if np.isinf(domain[1]) else (
        f"η < {domain[1]:.4g}" if np.isinf(domain[0]) else f"{domain[0]:.4g} < η < {domain[1]:.4g}")  # fmt: skip


def a_tex(name):
    """TeX of a(eta)."""
    return formulas.BEYOND[name][0] if name in formulas.BEYOND else formulas.tex(formulas.LOG_PARTITION[name])


def variance_tex(name):
    """TeX of V(mu), or "" where it is not closed."""
    return formulas.tex(formulas.VARIANCE[name]) if name in formulas.VARIANCE else ""


def _math(tex):
    return f"${tex}$" if tex else ""


def _links():
    lines = [
        "# Links", "",
        "A link $g$ takes the mean to the linear predictor, $g(\\mu) = X\\theta$; the response $g^{-1}$ takes it back, "
        "and is what a prediction runs. The canonical link is the inverse of $a'$: with it the linear predictor is "
        "$\\eta$ itself. `link=` takes a name, `jglm.Link(\"mine\", inverse=…)` a function.", "",
        picture("links", "Responses of the links over the linear predictor"), "",
        "| link | $g(\\mu)$ | |", "|---|---|---|",
    ]  # fmt: skip
    for name in LINKS:
        tex = LINK_BEYOND.get(name) or formulas.tex(LINK_TEX[name])
        lines.append(f"| `{name}` | {_math(tex)} | {LINK_NOTES[name]} |")
    lines += [
        "", "`canonical` is the family's own, `log_natural` the logarithm of $|\\eta|$, for families whose $\\eta$ has "
        "one sign.", "", "| family | canonical link | default link |", "|---|---|---|",
    ]  # fmt: skip
    for name in families.catalogue():
        family = pictures.shown(name)
        own = links.canonical_named(family).name
        own = "inverse of a′" if own == "canonical" else own
        lines.append(f"| {name} | {own} | {links.default(family).name.replace('_', ' ')} |")
    return "\n".join(lines) + "\n"
