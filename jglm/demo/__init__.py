"""The demonstration: real counts, fitted by jglm and by the lesson's NumPy loop, side by side."""

import time
from importlib import resources
from pathlib import Path

import numpy as np

FORMULA = (
    "visits ~ log_coinsurance + deductible + log_incentive + log_max_expenditure + physical_limit + chronic + health"
)


def load():
    """The RAND health insurance data, 20,190 rows, as a pandas frame; see README.md beside it."""
    import pandas

    with resources.files("jglm.demo").joinpath("randhie.csv.gz").open("rb") as f:
        frame = pandas.read_csv(f, compression="gzip")
    health = pandas.CategoricalDtype(["excellent", "good", "fair", "poor"])
    return frame.assign(health=frame["health"].astype(health))


def numpy_loop(X, y, progress=True, tol=1e-9, most=50_000):
    """The lesson's update theta += alpha X'(y - h) for Poisson counts, in NumPy: (theta, iterations).

    Columns are centred and scaled first, or it would take millions of steps; alpha is halved whenever the likelihood
    falls. It stops when no coefficient of the scaled columns moves by more than `tol`.
    """
    from tqdm import tqdm

    center, spread = X[:, 1:].mean(axis=0), X[:, 1:].std(axis=0)
    Z = np.column_stack([np.ones(len(X)), (X[:, 1:] - center) / spread])
    theta = np.zeros(Z.shape[1])
    theta[0] = np.log(y.mean())
    likelihood = lambda theta: y @ (Z @ theta) - np.exp(Z @ theta).sum()
    alpha, steps, last = 1.0 / len(y), 0, likelihood(theta)
    with tqdm(desc="NumPy loop", unit="step", delay=1.0, disable=not progress, leave=False) as bar:
        while steps < most:
            steps += 1
            move = alpha * Z.T @ (y - np.exp(Z @ theta))
            now = likelihood(theta + move)
            if now < last - 1e-9 * abs(last):
                alpha /= 2
                continue
            theta, last = theta + move, now
            bar.update()
            if np.max(np.abs(move)) <= tol:
                break
    slopes = theta[1:] / spread
    return np.concatenate([[theta[0] - slopes @ center], slopes]), steps


def run(out="jglm_demo.png", say=print, progress=True):
    """Fit the data, print the summary, compare with the NumPy loop, and draw observed against fitted counts.

    Returns (fit, largest difference of a coefficient in standard errors, path of the picture).
    """
    import jglm

    say("1. The data: doctor visits in the RAND Health Insurance Experiment (public domain)")
    frame = load()
    say(frame.head(3).to_string(index=False))
    say(f"   … {len(frame):,} rows, {frame.shape[1]} columns\n")

    say("2. A family is its log-partition: Poisson is a(eta) = exp(eta). Mean and variance are its derivatives,")
    say("   the link is the inverse of the mean, and the gradient is x (h - y), as for every family.")
    say(f"   jglm.glm({FORMULA!r}, frame, family='poisson')\n")
    began = time.perf_counter()
    fit = jglm.glm(FORMULA, frame, family="poisson", progress=progress)
    first = time.perf_counter() - began
    began = time.perf_counter()
    jglm.glm(FORMULA, frame, family="poisson", progress=False)
    again = time.perf_counter() - began
    say(str(fit.summary()))

    say("\n3. The same by the lesson's loop in NumPy: theta += alpha * X.T @ (y - h)")
    X, y = fit._prepared.X, fit._prepared.y
    began = time.perf_counter()
    theta, steps = numpy_loop(X, y, progress)
    loop = time.perf_counter() - began
    gap = float(np.max(np.abs(theta - fit.params) / fit.bse))
    say(f"   NumPy loop   {loop:8.2f} s   {steps} steps")
    say(f"   jglm         {first:8.2f} s   {fit.n_iter} passes, formula, imports and compiling included")
    say(f"   jglm again   {again:8.2f} s   formula included")
    say(f"   largest difference of a coefficient: {gap:.1e} standard errors\n")

    path = picture(fit, out)
    say(f"4. Observed against fitted: {path}")
    say("   Fitted means follow the observed ones by group, but the counts vary more than a Poisson's: the Pearson")
    say(f"   chi2 is {fit.pearson_chi2 / fit.df_resid:.1f} times its degrees of freedom.")
    return fit, gap, path


def picture(fit, out):
    """Two charts side by side: calibration by group, and the distribution of counts."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from jglm import charts

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    charts.calibration(fit, axes[0])
    charts.counts(fit, axes[1])
    path = Path(out)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
