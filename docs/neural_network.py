"""A family is a head for any network: eta may be any function of x. Draws neural_network.png.

    pip install ".[all]" equinox && python docs/neural_network.py

The same family is fitted twice to the physician visits of the RAND Health Insurance Experiment: by jglm.fit, with eta
linear in the covariates, and by an equinox network with `family.loss` as its head. Both are judged by the family's
deviance on households that neither has seen.
"""

import time
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jglm
from jglm import families

NUMBERS = ["log_coinsurance", "log_incentive", "log_max_expenditure", "physical_limit", "chronic"]
PLAN = ["log_coinsurance", "deductible", "log_incentive", "log_max_expenditure"]
INK, WARM, COOL = "#1b3a57", "#d9622b", "#3a8f7a"

# One of our own: the Poisson mixed by an inverse Gaussian, whose tail is heavier than the negative binomial's. Nothing
# but a is known of it; its mean is inverted numerically, within the network's gradient too.
poisson_inverse_gaussian = jglm.Family(
    "poisson_inverse_gaussian", a=lambda eta, k: -k * jnp.sqrt(-jnp.expm1(eta)), domain=(-jnp.inf, 0), params={"k": 1.7}
)
FAMILIES = (families.poisson, families.negative_binomial(0.8), poisson_inverse_gaussian)


# --------------------------------------------------------------------------- the data
def covariates(frame):
    """(n, 9): what both models are given, numbers first."""
    yes = [frame["deductible"] == "yes", *(frame["health"] == level for level in ("good", "fair", "poor"))]
    return np.column_stack([frame[NUMBERS], *yes]).astype(float)


def households(frame):
    """A number per household, as far as the data tell: rows in succession under the same plan and incentive.

    People are in the data for three or five years, and an incentive all but names a household: were rows drawn at
    random, a network could look up the very people it is tested on.
    """
    plan = frame[PLAN]
    return (plan != plan.shift()).any(axis=1).cumsum().to_numpy() - 1


def splits(groups, k=5, seed=0):
    """k pairs (train, test) of row numbers; every group is in one test set, whole."""
    fold = np.random.default_rng(seed).permutation(np.arange(groups.max() + 1) % k)[groups]
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def encoder(X, knots=12):
    """A function from covariates to the network's inputs: hats (linear B-splines) between quantiles of each number.

    The numbers come in heaps, such as the mean that stands in for a missing chronic index. A network of the plain
    number is too smooth to see them; a hat at each heap shows it.
    """
    quantiles = [np.unique(np.quantile(X[:, j], np.linspace(0, 1, knots))) for j in range(len(NUMBERS))]

    def encode(X):
        hats = [np.interp(X[:, j], q, e) for j, q in enumerate(quantiles) for e in np.eye(len(q))]
        return np.column_stack([*hats, X[:, len(NUMBERS) :]]).astype(np.float32)

    return encode


# --------------------------------------------------------------------------- the network
def network(size, key, width=32):
    """Two hidden layers and one output, the linear predictor. Dropout at the input keeps it from knowing households."""
    return eqx.nn.Sequential([
        eqx.nn.Dropout(0.2), eqx.nn.MLP(size, "scalar", width, 2, jax.nn.silu, dtype=jnp.float32, key=key)
    ])  # fmt: skip


def natural(family, link, lin):
    """eta of linear predictors (n,): the predictor itself for the canonical link, such as the Poisson's log."""
    return jax.vmap(lambda v: link.eta(family, v))(lin)


def objective(net, family, link, x, y, key):
    """The head: whatever the family, the network's loss is that of its GLM."""
    lin = jax.vmap(net)(x, key=jax.random.split(key, len(y)))
    return jnp.mean(family.loss(y, natural(family, link, lin)))


def train(net, family, link, x, y, key, epochs=20, batch=256, rate=3e-3):
    """The network after `epochs` of AdamW on minibatches, the rate falling along a cosine."""
    batches = len(y) // batch
    optimizer = optax.adamw(optax.cosine_decay_schedule(rate, epochs * batches), weight_decay=1e-2)
    arrays, rest = eqx.partition(net, eqx.is_inexact_array)

    def step(carry, now):
        arrays, state = carry
        loss = lambda arrays: objective(eqx.combine(arrays, rest), family, link, *now)
        value, gradient = jax.value_and_grad(loss)(arrays)
        moves, state = optimizer.update(gradient, state, arrays)
        return (optax.apply_updates(arrays, moves), state), value

    @jax.jit
    def epoch(carry, x, y, key):
        shuffle, drop = jax.random.split(key)
        rows = jax.random.permutation(shuffle, len(y))[: batches * batch].reshape(batches, batch)
        return jax.lax.scan(step, carry, (x[rows], y[rows], jax.random.split(drop, batches)))

    carry = arrays, optimizer.init(arrays)
    for k in jax.random.split(key, epochs):
        carry, _ = epoch(carry, x, y, k)
    return eqx.nn.inference_mode(eqx.combine(carry[0], rest))


# --------------------------------------------------------------------------- the comparison
class Held(NamedTuple):
    """Of held-out rows: their numbers, and by model the means predicted and the deviances."""

    rows: np.ndarray
    means: dict
    deviance: dict


def compare(family, X, y, rows, held, seed=0, hats=True, **how):
    """Fit `rows` and predict `held`: by the mean alone, by the GLM, by the network and, with `hats`, by the GLM of the
    network's inputs.

    The last tells how much of a gain is curvature, column by column, and how much what only the network does: to let
    the covariates act on each other.
    """
    encode = encoder(X[rows])
    glm = jglm.fit(X[rows], y[rows], family=family)
    start, run = jax.random.split(jax.random.key(seed))
    x, counts = jnp.asarray(encode(X[rows])), jnp.asarray(y[rows], jnp.float32)
    net = train(network(x.shape[1], start), family, glm.link, x, counts, run, **how)
    predict = jax.jit(jax.vmap(lambda x: glm.link.mean(family, net(x))))
    means = {
        "null": np.full(len(held), y[rows].mean()),
        "GLM": glm.predict(X[held]),
        "network": np.asarray(predict(encode(X[held])), float),
    }
    if hats:
        additive = jglm.fit(encode(X[rows]), y[rows], family=family, penalty=jglm.penalties.ridge(10.0))
        means["GLM of the hats"] = additive.predict(encode(X[held]))
    with jax.enable_x64(True):
        deviance = {name: np.asarray(jax.jit(family.deviance)(y[held], mean)) for name, mean in means.items()}
    return Held(held, means, deviance)


def margin(found, groups, model="network", other="GLM"):
    """By how much the mean deviance of `model` is below that of `other`, and the standard error of that.

    People of a household are alike, so it is the error of a sum over households, not over rows.
    """
    rows = np.concatenate([held.rows for held in found])
    less = np.concatenate([held.deviance[other] - held.deviance[model] for held in found])
    of_group = np.bincount(groups[rows], less - less.mean())
    return less.mean(), np.sqrt(np.sum(of_group**2)) / len(less)


def report(name, found, groups, say=print):
    """A line per model: mean deviance, its standard deviation over the splits, and how far it is below the GLM's."""
    say(f"\n{name:26s} deviance  (over splits)   below the GLM's (s.e.)   %")
    base = np.concatenate([held.deviance["GLM"] for held in found]).mean()
    for model in found[0].means:
        each = [held.deviance[model].mean() for held in found]
        gain, error = margin(found, groups, model)
        against = f"{gain:15.4f} ({error:.4f}) {100 * gain / base:7.1f}" if model not in ("null", "GLM") else ""
        say(f"  {model:24s} {np.mean(each):8.4f}  ({np.std(each, ddof=1):.4f}){'':5s}{against}".rstrip())


def picture(found, X, y, groups, path):
    """Left: who is right where the two disagree. Right: means against the chronic index. Held-out rows only."""
    import matplotlib.pyplot as plt

    rows = np.concatenate([held.rows for held in found])
    y, groups, chronic = y[rows], groups[rows], X[rows, NUMBERS.index("chronic")]
    glm, net = (np.concatenate([held.means[name] for held in found]) for name in ("GLM", "network"))
    average = lambda v, parts: np.array([v[part].mean() for part in parts])
    sums = lambda v, part: np.bincount(groups[part], v[part] - v[part].mean())
    error = lambda parts: np.array([np.sqrt(np.sum(sums(y, part) ** 2)) / len(part) for part in parts])
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")

    def draw(ax, at, parts, scale):
        ax.errorbar(
            at, average(y, parts) / scale, 2 * error(parts) / scale, fmt="o", ms=5, lw=1.2, color=INK,
            label="observed, ± 2 s.e.",
        )  # fmt: skip
        ax.plot(at, average(glm, parts) / scale, color=COOL, lw=2, ls="--", label="GLM")
        ax.plot(at, average(net, parts) / scale, color=WARM, lw=2, label="network")
        ax.spines[["top", "right"]].set_visible(False)

    tenths = np.array_split(np.argsort(net / glm, kind="stable"), 10)
    draw(axes[0], np.arange(1, 11), tenths, average(glm, tenths))
    axes[0].set(
        title="Where the two disagree", xticks=range(1, 11), ylabel="visits, relative to the GLM's mean",
        xlabel="tenths of the rows: network says fewer  →  network says more",
    )  # fmt: skip
    axes[0].legend(frameon=False, loc="lower right")

    levels, at = np.unique(chronic, return_inverse=True)
    heaps = [np.flatnonzero(at == i) for i in range(len(levels)) if np.sum(at == i) >= 200]
    draw(axes[1], [chronic[heap[0]] for heap in heaps], heaps, 1.0)
    filled = max(heaps, key=lambda heap: glm[heap].mean() / y[heap].mean())
    axes[1].annotate(
        f"{len(filled):,} rows of one value", (chronic[filled[0]], y[filled].mean()), (14.5, 1.55), color=INK,
        va="center", arrowprops=dict(arrowstyle="-", color=INK, lw=0.8, shrinkB=6),
    )  # fmt: skip
    axes[1].set(title="What the network sees", xlabel="index of chronic diseases", ylabel="visits a year")
    figure.suptitle(f"Doctor visits of {len(np.unique(groups)):,} households, each predicted unseen", fontsize=13)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(say=print):
    from jglm.demo import load

    frame = load()
    X, y, groups = covariates(frame), frame["visits"].to_numpy(float), households(frame)
    say(f"{len(y):,} person-years of {groups.max() + 1:,} households; 5 splits, a fifth of the households held out")
    for family in FAMILIES:
        began = time.perf_counter()
        found = [compare(family, X, y, *split, seed=i) for i, split in enumerate(splits(groups))]
        report(family.name, found, groups, say)
        say(f"  {time.perf_counter() - began:.0f} s")
        if family.name == "negative_binomial":
            picture(found, X, y, groups, Path(__file__).with_name("neural_network.png"))
    say("\nA fifth of the rows held out instead: other years of people whom the models have seen")
    found = [compare(FAMILIES[0], X, y, *split, seed=i) for i, split in enumerate(splits(np.arange(len(y))))]
    report(FAMILIES[0].name, found, groups, say)


if __name__ == "__main__":
    main()
