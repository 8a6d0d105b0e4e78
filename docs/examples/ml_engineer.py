"""An ML engineer: softmax regression on scikit-learn's handwritten digits, with and without label smoothing, held out.

Smoothed labels are another y. The loss is a pure function: JAX differentiates and compiles it like any other.
"""

import jax
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import jglm

X, y = load_digits(return_X_y=True)
X, held, y, truth = train_test_split(X[:, X.std(axis=0) > 0.5] / 16, np.eye(10)[y], test_size=0.3, random_state=0)
print("labels    accuracy  cross-entropy   above 0.9: share, promised, right")
for name, labels in {"hard": y, "smoothed": 0.95 * y + 0.05 / 10}.items():
    fit = jglm.fit(X, labels, family="categorical", penalty=jglm.penalties.ridge(1e-3, scale="mean"))
    p = fit.predict(held)
    right, top = p.argmax(axis=1) == truth.argmax(axis=1), p.max(axis=1)
    entropy = -np.log(p[truth == 1]).mean()
    print(f"{name:9s} {right.mean():8.4f} {entropy:14.4f} {np.mean(top > 0.9):19.3f} {top[top > 0.9].mean():9.3f} "
          f"{right[top > 0.9].mean():6.3f}")

family, scores = jglm.families.categorical(10), fit.predict(held, kind="link")
value, gradient = jax.jit(jax.value_and_grad(lambda scores: family.loss(truth, scores).mean()))(scores)
same = np.allclose(gradient * len(p), p - truth, atol=1e-5)
print(f"the family as a loss: {value:.4f}; its gradient is p - y: {same}")
