"""Draws idea.png: a family is a(eta); its derivatives are the mean and the variance. python docs/idea.py"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

from jglm import families

SHOWN = (
    ("bernoulli", "log(1 + exp(η))", np.linspace(-5, 5, 200)),
    ("poisson", "exp(η)", np.linspace(-3, 1.6, 200)),
    ("gamma", "−log(−η)", np.linspace(-3, -0.25, 200)),
)
INK, WARM, COOL = "#1b3a57", "#d9622b", "#3a8f7a"


def main():
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for ax, (name, formula, eta) in zip(axes, SHOWN, strict=True):
        family = families.catalogue()[name]
        ax.plot(eta, jax.vmap(family.a)(eta), color=INK, lw=4, alpha=0.85, label="a(η): what you write")
        ax.plot(eta, family.mean(eta), color=WARM, lw=2, ls="--", label="a′(η): the mean h")
        ax.plot(eta, family.variance(eta), color=COOL, lw=2.5, ls=":", label="a″(η): the variance")
        ax.set(title=f"{name}:  a(η) = {formula}", xlabel="η = Xθ  (natural parameter)")
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_ylim(*(np.array([-0.05, 1.05]) * 5 if name != "gamma" else (-1.5, 6)))
    axes[0].legend(frameon=False, loc="upper left")
    figure.suptitle("One function a(η) is the whole model:  θ ← θ + α Xᵀ(y − h), for every family", fontsize=13)
    figure.savefig(Path(__file__).with_name("idea.png"), dpi=120)


if __name__ == "__main__":
    main()
