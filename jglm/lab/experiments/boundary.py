"""Decision boundaries of a logistic and of a softmax regression on two features: score, margin, probability."""

import numpy as np

import jglm
from jglm.lab import fits, reading

EDGE, SIDE = 4.0, 33  # the square of the features, and the points of the grid along a side
TWO = [[-2.6, -1.2, 0], [-1.9, 0.6, 0], [-1.4, -2.1, 0], [-0.8, -0.4, 0], [-2.2, 2.0, 0], [0.3, -1.6, 0],
       [0.9, 0.4, 0], [-0.2, 1.3, 1], [1.2, 2.2, 1], [1.8, -0.6, 1], [2.4, 1.1, 1], [0.6, 2.9, 1], [2.9, -1.7, 1],
       [1.3, 0.9, 1]]  # fmt: skip
THREE = [[-2.6, -1.2, 0], [-1.9, 0.2, 0], [-1.4, -2.1, 0], [-2.9, 0.9, 0], [-0.7, -0.9, 0], [0.4, 2.6, 1],
         [-0.6, 1.7, 1], [0.9, 1.5, 1], [-0.9, 3.1, 1], [1.7, 2.9, 1], [1.8, -1.9, 2], [2.6, -0.4, 2], [0.9, -1.1, 2],
         [3.0, -2.4, 2], [2.1, 0.7, 2]]  # fmt: skip
DATA = {"logistic": TWO, "softmax": THREE}
GRID = np.linspace(-EDGE, EDGE, SIDE)


def compute(request):
    """The fit of `points`, (x1, x2, class) each, with a ridge of `strength`; scores and probabilities on a grid, and of
    one point `at`."""
    model = reading.choice(request, "model", "logistic", tuple(DATA))
    count = 2 if model == "logistic" else 3
    points = reading.points(request, "points", DATA[model], 40, (-EDGE, EDGE), (-EDGE, EDGE), (0, count - 1))
    strength = 10 ** reading.number(request, "log_strength", -1.0, -3, 2)
    at = reading.numbers(request, "at", [-0.5, 0.6], 2, -EDGE, EDGE)
    X, labels = np.array(points)[:, :2], np.array(points)[:, 2]
    if set(labels) != set(range(count)):
        raise ValueError("every class needs a point of its own, or nothing is known of it")
    family = "bernoulli" if count == 2 else jglm.families.categorical(3, reference=None)
    fit, said = fits.quiet(X, labels.astype(int), family=family, penalty=jglm.penalties.ridge(strength))
    grid = np.stack(np.meshgrid(GRID, GRID), axis=-1).reshape(-1, 2)
    scores = _scores(fit, np.vstack([grid, X, at]))
    chances = _chances(fit, scores)
    own = labels.astype(int)
    margins = _margins(scores[len(grid) : -1], own)
    best = int(np.argmax(scores[-1]))
    return {
        "points": points, "classes": count, "params": fit.params.reshape(3, -1).T, "side": SIDE,
        "grid": chances[: len(grid)].T, "leads": _leads(scores[: len(grid)]).T, "margins": margins,
        "wrong": int(np.sum(margins < 0)), "at": at, "best": best, "margin": _leads(scores[-1:])[0, best],
        "score": scores[-1, -1] if count == 2 else scores[-1, best], "scores": scores[-1],
        "measures": np.exp(scores[-1]), "chances": chances[-1], "chance": chances[-1, best],
        "trouble": " ".join(said) or None, "data": _data(X, own), "code": CODE[model].format(s=strength, at=at),
    }  # fmt: skip


CODE = {
    "logistic": """import jglm
fit = jglm.fit(X, y, family="bernoulli", penalty=jglm.penalties.ridge({s:.6g}))
score, chance = fit.predict([{at}], kind="link"), fit.predict([{at}])""",
    "softmax": """import jglm
softmax = jglm.families.categorical(3, reference=None)
fit = jglm.fit(X, y, family=softmax, penalty=jglm.penalties.ridge({s:.6g}))
scores, chances = fit.predict([{at}], kind="link"), fit.predict([{at}])""",
}


def _scores(fit, X):
    """(n, k) linear predictors; of two classes 0 for the first, which is the same softmax."""
    lin = np.asarray(fit.predict(X, kind="link"))
    return lin if lin.ndim == 2 else np.column_stack([np.zeros_like(lin), lin])


def _chances(fit, scores):
    """The means at these scores, by the family."""
    if scores.shape[1] > 2:
        return np.asarray(fit.family.mean(scores))
    event = np.asarray(fit.family.mean(scores[:, 1]))
    return np.column_stack([1 - event, event])


def _leads(scores):
    """By how much each class leads the best of the others."""
    return np.stack([scores[:, j] - np.delete(scores, j, axis=1).max(axis=1) for j in range(scores.shape[1])], axis=1)


def _margins(scores, own):
    return _leads(scores)[np.arange(len(own)), own]


def _data(X, own):
    return f"X = {X.tolist()}\ny = {own.tolist()}"
