"""Writes model files in the layout of the jglm that is imported, and what they say: `python make.py LAYOUT CASE ...`.

Run once for each layout (README.md beside this); what was written before stays as it is. Without cases it only gives
the data and the questions, which `tests/test_modelfiles.py` asks again of every file.
"""

import inspect
import json
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
N = 24
X = np.column_stack([np.arange(N) / N, np.sin(np.arange(N))])
MEAN = np.exp(0.3 + X @ [1.0, -0.5])
COUNTS = np.round(MEAN * (1 + 0.8 * np.cos(3 * np.arange(N))))
SHARES = np.clip(MEAN / (1 + MEAN) + 0.1 * np.cos(5 * np.arange(N)), 0.02, 0.98)
COSTS = np.maximum(MEAN * (1 + 1.8 * np.cos(2.0 * np.arange(N))), 0.0)
CLASSES = ["low", "mid", "top"]
LABELS = [CLASSES[int(v) % 3] for v in COUNTS + np.arange(N) % 2]


def frame():
    import pandas

    return pandas.DataFrame({
        "y": COUNTS, "x": X[:, 0], "z": X[:, 1], "g": ["a", "b", "c"] * (N // 3), "days": 1.0 + np.arange(N) % 4,
        "share": SHARES, "cost": COSTS, "rank": pandas.Categorical(LABELS, categories=CLASSES, ordered=True),
        "h": ["u", None, "v", "w"] * (N // 4), "k": [3, 1, 2] * (N // 3),
    })  # fmt: skip


def fits():
    """{case: () -> Fit}."""
    import jglm
    from jglm import families, links, penalties

    by_name = lambda text, **options: jglm.glm(text, frame(), **options)
    return {
        "counts": lambda: by_name("y ~ log(1 + x) + C(g)", family="poisson", exposure="days"),
        "gamma": lambda: jglm.fit(X, COUNTS + 1, family="gamma", link=links.power(1 / 3), names=["a", "b c"]),
        "ridge": lambda: jglm.fit(
            X, COUNTS, family=families.negative_binomial(2.0), penalty=penalties.ridge(2.0), offset=X[:, 1] / 4
        ),
        "classes": lambda: jglm.fit(X, LABELS, family="categorical"),
        "beta": lambda: by_name("share ~ x", family="beta", precision="~ z"),
        "ordinal": lambda: by_name("rank ~ x + z", family="ordinal"),
        "tweedie": lambda: by_name("cost ~ x", family="tweedie"),
        "negative_binomial": lambda: by_name("y ~ x", family="negative_binomial", covariance="joint"),
        "transforms": lambda: by_name(
            "y ~ bs(x, df=4) + poly(z, 2) + cr(days, df=3) + center(z):g + C(h, contr.sum) + scale(log(1 + x)):C(k)",
            family="gaussian", missing="as_missing", unseen="as_missing", penalty=penalties.ridge(1.0),
        ),
        "text": lambda: jglm.fit(
            X, (COUNTS > 2) * 2.0 - 1, family=jglm.Family.parse("s * log(cosh(eta / s))", params={"s": 1.0})
        ),
        "lasso": lambda: jglm.fit(X, COUNTS, family="poisson", penalty=penalties.elastic_net(1.0, 0.5)),
    }


def answers(fit):
    """What a fit says of itself and of new rows."""
    given = frame()[:7] if fit.formula is not None else X[:7]
    known = {"offset": X[:7, 1] / 4} if fit.formula is None and fit.has_offset else {}
    statistics = ("params", "deviance", "null_deviance", "llf", "aic", "scale")
    said = {
        **{k: getattr(fit, k) for k in (*statistics, *(() if fit.covariance is None else ("bse",)))},
        "mean": fit.predict(given, **known), "link": fit.predict(given, kind="link", **known),
        **dict(getattr(fit, "family_params", {})),
    }  # fmt: skip
    if fit.family.name == "beta" and "precision" in inspect.signature(fit.predict).parameters:
        said["prediction"] = fit.predict(given, interval="prediction")
    if fit.levels is not None:
        said["classes"] = fit.predict(given, kind="class")
    return {k: np.asarray(v).tolist() for k, v in said.items()}


if __name__ == "__main__":
    layout, cases = sys.argv[1], sys.argv[2:]
    said = {}
    for case in cases:
        fit = fits()[case]()
        fit.save(FOLDER / f"{layout}.{case}.jglm")
        said[case] = answers(fit)
    (FOLDER / f"{layout}.json").write_text(json.dumps(said, indent=1) + "\n")
