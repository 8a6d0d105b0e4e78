"""Two ridge strengths, of columns and of their products, by the gradient of the held-out deviance through the fits.

python docs/examples/ridge_by_gradient.py tests/references/bernoulli_logit_pima.design.csv
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

import jglm


def main(path, steps=40, folds=5, rate=10.0):
    table = np.genfromtxt(path, delimiter=",", names=True)
    own = np.column_stack([table[name] for name in table.dtype.names[1:-1]])
    own, (i, j) = (own - own.mean(axis=0)) / own.std(axis=0), np.triu_indices(own.shape[1])
    X, y = jnp.asarray(np.column_stack([np.ones(len(own)), own, own[:, i] * own[:, j]])), jnp.asarray(table["__y__"])
    kind = np.repeat([0, 1, 2], [1, own.shape[1], len(i)])  # 0: the intercept, which has no penalty
    held = (jnp.arange(len(y))[None, :] % folds == jnp.arange(folds)[:, None]) * 1.0

    def held_out(log_strengths):  # a fold is a vector of weights, so the fits of all folds are one batch
        ridge = jglm.penalties.Ridge(1.0, jnp.append(0.0, jnp.exp(log_strengths))[kind], scale="sum")
        model = jglm.Model(jglm.families.bernoulli, jglm.links.logit, ridge)
        fit = lambda held: jglm.solve(model, jglm.Data(jglm.Dense(X), y, 1 - held, jnp.zeros(len(y)))).coef
        return 2 * jnp.sum(held * model.family.loss(y[None, :], jax.vmap(fit)(held) @ X.T)) / len(y)

    look, at = jax.jit(jax.value_and_grad(held_out)), jnp.zeros(2)
    for _ in range(steps):
        at = at - rate * look(at)[1]
    print(f"held-out deviance {look(jnp.zeros(2))[0]:.4f} at strengths 1, {look(at)[0]:.4f} at {np.exp(at).round(1)}")
    return look, at


if __name__ == "__main__":
    with jax.enable_x64(True):
        main(sys.argv[1])
