"""Pictures of families and links, drawn from the catalogue: nothing here knows a family by its name.

    python docs/generator/pictures.py poisson picture.svg

A picture is made once, in the colours of a light page; those of a dark page are the same file with other colours.
"""

import io
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from jglm import families, links

TEXT, FAINT, INK, WARM, COOL = "#30343b", "#b3bac4", "#1b3a57", "#d9622b", "#3a8f7a"
DARK = {TEXT: "#c9ced8", FAINT: "#5b6472", INK: "#8fbce6", WARM: "#f08a54", COOL: "#63c3a8"}
SHADES = (COOL, INK, WARM)  # of the three natural parameters that are shown
STYLE = {
    "svg.fonttype": "path", "svg.hashsalt": "jglm", "font.size": 9.5, "axes.titlesize": 10, "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": FAINT, "axes.labelcolor": TEXT, "axes.titlecolor": TEXT,
    "text.color": TEXT, "xtick.color": TEXT, "ytick.color": TEXT, "legend.frameon": False, "legend.fontsize": 8.5,
    "lines.linewidth": 2, "axes.titlelocation": "left",
}  # fmt: skip
SHAPES = {
    "negative_binomial": 2.5, "zero_truncated_negative_binomial": 2.5, "conway_maxwell_poisson": 1.8, "tweedie": 1.5,
    "categorical": 3, "multinomial": 3, "ordinal": 3, "dirichlet": 3,
}  # fmt: skip  # the parameter of factories that want one, where one is shown
POINTS = 301
# Means of the three curves, and the range of means of the rest, by what y is.
MEANS = {
    "real": ((-1.0, 0.5, 2.0), (-4.0, 4.0)), "positive": ((0.5, 1.0, 2.5), (0.3, 4.0)),
    "counts": ((1.0, 4.0, 9.0), (0.2, 14.0)), "shares": ((0.2, 0.5, 0.85), (0.05, 0.95)),
}  # fmt: skip


def shown(name):
    """A family of the catalogue as it is shown: with a value for the parameter of a factory."""
    made = families.catalogue()[name]
    if not callable(made):
        return made
    return made(SHAPES[name]) if name in SHAPES else made()


def kind(family):
    """What y is: "real", "positive", "counts", "shares" of a whole, "classes", or "quasi" without a distribution."""
    support = family.support
    if family.density == "none":
        return "quasi"
    if family.response in ("label", "counts") and family.dim is not None:
        return "classes"
    if support.step and support.high > 1:
        return "counts"
    if support.low == 0 and support.high == 1:
        return "shares"
    return "positive" if support.low == 0 else "real"


# --------------------------------------------------------------------------- numbers
class Curves(NamedTuple):
    """Of a scalar family: natural parameters with a, a' and a'' there, and three of them."""

    eta: np.ndarray
    a: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    three: np.ndarray


def curves(family):
    """The `Curves` of a scalar family over the range of means that MEANS names."""
    first, second = jax.grad(family.a), jax.grad(jax.grad(family.a))
    at = jax.jit(jax.vmap(lambda eta: (family.a(eta), first(eta), second(eta))))
    wide = _line(np.linspace(-7, 7, POINTS), family.domain)
    means = np.asarray(at(wide)[1])
    good = np.isfinite(means) & np.append(np.diff(means) > 0, True)
    three, ends = (np.interp(_means(family, i), means[good], wide[good]) for i in (0, 1))
    eta = np.linspace(*ends, POINTS)
    return Curves(eta, *map(np.asarray, at(eta)), three)


def _means(family, which):
    like = kind(family) if kind(family) != "quasi" else _kind_of_mean(family)
    return np.array(MEANS[like][which]) + (family.support.low if like == "counts" else 0.0)


def _kind_of_mean(family):
    return "shares" if family.support.high == 1 else "real" if family.support.low < 0 else "positive"


def _line(s, domain):
    """The line onto (low, high): far out, or near an end."""
    low, high = domain
    if np.isinf(low) and np.isinf(high):
        return np.sinh(s)
    if np.isinf(low):
        return high - np.exp(-s)
    return low + np.exp(s) if np.isinf(high) else low + (high - low) / (1 + np.exp(-s))


def dispersion(family):
    """A dispersion to show: 1 where it is fixed, 12 trials for proportions."""
    if family.response == "proportion":
        return 1 / 12
    return 0.3 if family.dispersion == "estimated" and family.support[:4:3] == (0, False) else 1.0


def values(family, mean, variance):
    """y where the distributions of three means are to be seen: (m,)."""
    low, high, step = family.support[:3]
    reach = 3.5 * np.sqrt(variance * dispersion(family))
    low, high = max(low, np.min(mean - reach)), min(high, np.max(mean + reach))
    step = dispersion(family) if family.response == "proportion" else step
    if step:
        return np.arange(low, high + step / 2, step)
    inset = 1e-3 * (high - low)
    return np.linspace(low + inset, high - inset, 241)


# --------------------------------------------------------------------------- a scalar family
def scalar(family):
    """The figure of a family with one natural parameter."""
    figure, axes = _axes(4)
    found = curves(family)
    at = lambda values: np.interp(found.three, found.eta, values)
    axes[0].plot(found.eta, found.a, color=INK, lw=3)
    axes[0].set(title="a(η): all that is written", xlabel="natural parameter η")
    axes[1].plot(found.eta, found.mean, color=INK, label="mean a′(η)")
    axes[1].plot(found.eta, found.variance, color=INK, ls=":", label="variance a″(η), φ = 1")
    axes[1].set(title="its derivatives: mean and variance", xlabel="natural parameter η")
    top = max(np.max(found.mean), min(np.max(found.variance), 1.5 * np.max(found.mean)))
    axes[1].set_ylim(min(1.05 * np.min(found.mean), 0), 1.05 * top)
    axes[1].legend()
    for eta, a, mean, color in zip(found.three, at(found.a), at(found.mean), SHADES, strict=True):
        axes[0].plot(eta, a, "o", color=color, ms=7)
        axes[1].plot(eta, mean, "o", color=color, ms=7)
    if family.density != "none":
        _distributions(axes[2], family, found.three, at(found.mean), at(found.variance))
    else:
        axes[2].plot(found.mean, found.variance, color=INK, lw=3)
        axes[2].set(title="no distribution: only the variance", xlabel="mean", ylabel="variance / φ", ylim=(0, None))
    link = links.default(family)
    canonical = links.canonical_named(family).name == link.name
    own = f"link: {link.name}, canonical" if canonical and link.name != "canonical" else f"link: {link.name}"
    shown_links = {own: link} if canonical else {own: link, "canonical link": links.canonical}
    _response(axes[3], family, shown_links, *found.mean[[0, -1]])
    return figure


def _distributions(ax, family, three, mean, variance):
    y = values(family, mean, variance)
    with_eta = jax.jit(lambda y, eta: jnp.exp(family.log_prob(y, eta, dispersion(family))))
    density = np.asarray(with_eta(*np.broadcast_arrays(y[None, :], three[:, None])))
    lattice = family.support.step or family.response == "proportion"
    zero = (
        [] if lattice or not family.support.low_in or family.support.high == 1
        else np.asarray(with_eta(np.zeros(3), three))
    )  # fmt: skip
    _draw_distributions(ax, y, density, [f"η = {eta:.2f}" for eta in three], lattice)
    for mass, color in zip(zero, SHADES, strict=False):  # a mass at 0 beside a density
        ax.plot([0, 0], [0, mass], color=color, lw=1)
        ax.plot(0, mass, "o", color=color, ms=5)
    what = "probability of y" if lattice else "density of y"
    phi = dispersion(family)
    known = "" if phi == 1 else ", 12 trials" if family.response == "proportion" else f", φ = {phi:g}"
    known += "; dots: P(y = 0)" if len(zero) else ""
    ax.set(title=f"{what}{known}", xlabel="y")


def _draw_distributions(ax, y, density, names, lattice):
    gap = (y[1] - y[0]) * (0.16 if len(y) > 2 else 0.05) if lattice else 0.0
    for i, (row, name, color) in enumerate(zip(density, names, SHADES, strict=True)):
        if lattice:
            ax.vlines(y + (i - 1) * gap, 0, row, color=color, lw=2)
            ax.plot(y + (i - 1) * gap, row, "o", color=color, ms=3.5, label=name)
        else:
            ax.plot(y, row, color=color, label=name)
            ax.fill_between(y, row, color=color, alpha=0.12, lw=0)
    peaks = np.sort(density.max(axis=1))
    endless = not lattice and np.argmax(density.max(axis=0)) in (0, len(y) - 1)  # towards an end of the support
    bounded = lattice and y[-1] <= 1
    ax.set_ylim(0, 1.5 * peaks[-2] if endless else (1.2 if bounded else 1.05) * peaks[-1])
    ax.legend(**dict(loc="upper center", ncols=3, columnspacing=1.0, handletextpad=0.2) if bounded else {})


def _response(ax, family, shown_links, low, high):
    """lin -> mean of links {label: link}, over the range (low, high) of means."""
    lin = np.linspace(-16, 16, 1601)
    for (label, link), style, color in zip(shown_links.items(), ("-", "--"), (INK, FAINT), strict=False):
        mean = np.asarray(jax.jit(jax.vmap(lambda v, link=link: link.mean(family, v)))(lin))
        inside = (mean >= low) & (mean <= high)
        if link.name == "canonical":
            inside &= (lin > family.domain[0]) & (lin < family.domain[1])
        ax.plot(lin[inside], mean[inside], style, color=color, label=label)
    ax.set(title="response: linear predictor to mean", xlabel="linear predictor Xθ", ylabel="mean")
    ax.legend()


# --------------------------------------------------------------------------- several natural parameters
def vector(family):
    """The figure of a family with several natural parameters."""
    figure, axes = _axes(4)
    three = _three_vectors(family)
    low, high = three.min(axis=0), three.max(axis=0)
    reach = 0.6 * np.maximum(high - low, 0.5)
    pairs = family.domain if np.ndim(family.domain) == 2 else [family.domain] * family.dim
    span = [np.linspace(max(lo - r, d[0] + 0.25), min(hi + r, d[1] - 0.1), 61)
            for lo, hi, r, d in zip(low, high, reach, pairs, strict=True)]  # fmt: skip
    plane = np.stack([*np.meshgrid(span[0], span[1]), *(np.full((61, 61), three[1, j]) for j in range(2, family.dim))])
    a = np.asarray(jax.jit(jax.vmap(family.a))(np.moveaxis(plane.reshape(family.dim, -1), 0, 1)))
    heights = np.quantile(a, np.linspace(0.03, 0.97, 9))
    levels = axes[0].contour(*plane[:2], a.reshape(61, 61), heights, colors=FAINT, linewidths=1.2, linestyles="-")
    axes[0].clabel(levels, fontsize=8, colors=TEXT, fmt=lambda v: f"{v:.2g}")
    axes[0].set(title="a(η): all that is written", xlabel="η₁", ylabel="η₂" + (", η₃ fixed" if family.dim > 2 else ""))
    along = np.repeat(three[0][None], 121, axis=0)
    along[:, 0] = np.linspace(span[0][0], span[0][-1], 121)
    mean = np.asarray(jax.jit(jax.vmap(jax.grad(family.a)))(along))
    for j, style in zip(range(family.dim), ("-", "--", ":"), strict=False):
        axes[1].plot(along[:, 0], mean[:, j], style, color=INK, label=f"mean of {_entry(family, j)}")
    axes[1].axvline(three[0, 0], color=COOL, lw=1)
    axes[1].set(title="its gradient: the means of T(y)", xlabel="η₁, the others fixed")
    axes[1].legend()
    for eta, color in zip(three, SHADES, strict=True):
        axes[0].plot(*eta[:2], "o", color=color, ms=7)
    _distributions_of_vectors(axes[2], family, three)
    _response_of_vectors(axes[3], family)
    return figure


def _three_vectors(family):
    """Three natural parameters (3, k) across the domain."""
    pairs = family.domain if np.ndim(family.domain) == 2 else [family.domain] * family.dim
    s = np.array([[-0.5, 1.0, 0.3], [0.5, 0.5, 0.5], [1.6, 0.2, -0.3]])[:, : family.dim]
    return np.stack([_line(s[:, j], d) for j, d in enumerate(pairs)], axis=1)


def _entry(family, j):
    return f"T{'₁₂₃'[j]}(y)" if family.T_ is not None else f"class {j + 1}"


def _label(eta):
    return "η = " + ", ".join(f"{v:.1f}" for v in eta)


def _distributions_of_vectors(ax, family, three):
    if not family.vector_y:
        mean, variance = map(np.asarray, jax.jit(jax.vmap(family.moments_))(three)) if family.moments_ else (0.0, 1.0)
        y = values(family, mean, variance)
        log_prob = jax.jit(lambda y, eta: jax.vmap(lambda e: family.log_prob(y, jnp.broadcast_to(e, (len(y), 2))))(eta))
        _draw_distributions(ax, y, np.exp(log_prob(y, three)), [_label(eta) for eta in three], False)
        ax.set(title="density of y", xlabel="y")
    elif family.response == "label":
        for i, (eta, color) in enumerate(zip(three, SHADES, strict=True)):
            share = np.exp(eta - eta.max()) / np.exp(eta - eta.max()).sum()
            ax.bar(np.arange(1, 4) + 0.24 * (i - 1), share, width=0.22, color=color, label=_label(eta))
        ax.set(title="probability of each class", xticks=[1, 2, 3], xlabel="class", ylim=(0, 1))
        ax.legend()
    else:
        _triangle(ax, family, three)


def _triangle(ax, family, three):
    """Draws of y = (n, 3) shares in a triangle whose corners are the parts."""
    phi = 1 / 12 if family.response == "counts" else 1.0
    corners = np.array([[0, 0], [1, 0], [0.5, 0.75**0.5]])
    ax.plot(*np.vstack([corners, corners[:1]]).T, color=FAINT, lw=1)
    sample = jax.jit(lambda key, eta: family.sample(key, eta, phi, (150,)))
    for i, (eta, color) in enumerate(zip(three, SHADES, strict=True)):
        y = np.asarray(sample(jax.random.key(i), eta))
        place = y @ corners + (np.random.default_rng(0).normal(0, 0.008, (len(y), 2)) if phi < 1 else 0.0)
        ax.plot(*place.T, "o", ms=3, alpha=0.6, color=color, lw=0, label=_label(eta))
    for corner, text, shift in zip(corners, ("y₁ = 1", "y₂ = 1", "y₃ = 1"), (-0.07, -0.07, 0.03), strict=True):
        ax.text(corner[0], corner[1] + shift, text, ha="center", fontsize=8.5)
    ax.set(title="150 draws" + (" of 12 trials" if phi < 1 else ""), aspect="equal", ylim=(-0.12, 1.2))
    ax.set_axis_off()
    ax.set_anchor("W")
    ax.legend(loc="upper left", bbox_to_anchor=(0.85, 1.0))


def _response_of_vectors(ax, family):
    link = links.default(family)
    name = "reference class" if link.name.startswith("reference") else link.name.replace("_", " ")
    lin = np.linspace(-4, 4, 161)
    if family.has_cutpoints:
        cut = np.array([-1.0, 1.0])
        below = np.asarray(jax.jit(jax.vmap(lambda v: link.response(jnp.asarray(cut) - v)))(lin))
        shares = np.diff(np.column_stack([np.zeros(161), below, np.ones(161)]))
        labels = [f"class {j + 1}" for j in range(3)]
    elif family.scalar_lin:
        low, high = MEANS["shares" if kind(family) == "shares" else "positive" if link.name == "log" else "real"][1]
        return _response(ax, family, {f"link: {name}": link}, low, high)
    else:
        width = family.dim + link.columns
        vectors = np.tile(np.arange(width) / 2, (161, 1))
        vectors[:, 0] = lin
        moments = (lambda eta: family.moments_(eta)[0]) if family.moments_ else jax.grad(family.a)
        shares = np.asarray(jax.jit(jax.vmap(lambda v: moments(link.eta(family, v))))(vectors))
        shares = shares.reshape(161, -1)
        labels = [f"{'part' if family.response == 'shares' else 'class'} {j + 1}" for j in range(shares.shape[1])]
        if family.T_ is not None and not family.vector_y:
            labels = [_entry(family, j) for j in range(shares.shape[1])]
    for j, (label, style) in enumerate(zip(labels, ("-", "--", ":"), strict=False)):
        ax.plot(lin, shares[:, j], style, color=INK, label=label)
    where = "cutpoints −1 and 1" if family.has_cutpoints else "the others fixed"
    ax.set(title=f"response of the link: {name}", xlabel=f"linear predictor Xθ ({where})", ylabel="mean")
    ax.legend()


# --------------------------------------------------------------------------- links
def of_links(names):
    """One figure: the response (lin to mean) of links of means between 0 and 1, and of the others."""
    figure, axes = _axes(2)
    lin = np.linspace(-4, 4, 401)
    for name in names:
        link = links.get(name)
        mean = np.asarray(jax.jit(jax.vmap(link.response))(lin))
        inside = (lin > 0.04) if name in ("inverse", "inverse_squared") else np.full(401, True)
        ends = np.asarray(link.response(jnp.array(-30.0))), np.asarray(link.response(jnp.array(30.0)))
        ax = axes[0] if np.allclose(sorted(ends), (0, 1), atol=0.02) else axes[1]
        color = f"C{len(ax.lines)}"
        ax.plot(lin[inside], mean[inside], color=color, label=name.replace("_", " "))
    axes[0].set(title="means between 0 and 1")
    axes[1].set(title="other means", ylim=(-5, 6))
    for ax in axes:
        ax.set(xlabel="linear predictor Xθ", ylabel="mean")
        ax.legend(loc="lower right")
    return figure


# --------------------------------------------------------------------------- as files
def _axes(count):
    rows = (count + 1) // 2
    figure = Figure(figsize=(7.6, 2.75 * rows))
    figure.subplots_adjust(0.07, 0.17 / rows, 0.985, 1 - 0.09 / rows, 0.22, 0.42)
    axes = figure.subplots(rows, 2).ravel()
    for ax in axes[count:]:
        ax.set_visible(False)
    return figure, axes[:count]


def svg(draw, *arguments):
    """(light, dark): the SVG of what `draw` draws, as text."""
    buffer = io.StringIO()
    with rc_context(STYLE), jax.enable_x64(True):
        draw(*arguments).savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    light = dark = buffer.getvalue()
    for color, other in DARK.items():
        dark = dark.replace(color, other)
    return light, dark


def of_family(name):
    """(light, dark) of a family of the catalogue."""
    family = shown(name)
    return svg(scalar if family.dim is None else vector, family)


if __name__ == "__main__":
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(of_family(sys.argv[1])[0])
