"""Whether each kind of 95% interval covers the truth 95% of the time: 20,000 simulated data sets a case.

    python -m benchmarks.coverage_kinds [--fits 20000] [--out benchmarks/results]

Each case: 600 rows, a constant, a column x and a 0/1 column. Data sets are fitted by `jglm.fit_many`, 2,000 at a time,
and all their profile ends are sought in one batch (`inference.profiling`); robust covariances and the delta method are
one vmapped program, which must agree with `jglm.fit` and its methods on the first data sets. Writes
coverage_kinds.jsonl, coverage_kinds.md and coverage_kinds.png.
"""

import argparse
import json
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jglm
from benchmarks import record
from jglm import links
from jglm.batches import batch
from jglm.batches.stacked import Stack
from jglm.diagnostics import residuals
from jglm.inference import predictive, profiling, tails
from jglm.inference.profiles import ByLanes
from jglm.model import Model

ROWS, GROUPS = 600, 200
LOW, HIGH = 0.94, 0.96
Z = tails.quantile(0.975, None)
KINDS = ("Wald", "profile", "HC1", "HC3", "cluster", "effect", "mean", "prediction")


@dataclass
class Case:
    """A regression and what of it is asked: draws of y (m, n) given (generator, means, m), the dispersion's name."""

    family: str
    link: str
    coef: tuple
    draw: Any
    kinds: tuple
    remark: str = ""
    offset: bool = False

    @property
    def model(self):
        family = getattr(jglm.families, self.family)
        return Model(family, getattr(links, self.link), None)


def _normal(rng, mu, m):
    return mu + rng.normal(0, 1.0, (m, ROWS))


def _uneven(rng, mu, m):
    return mu + rng.normal(size=(m, ROWS)) * (0.4 + np.abs(design()[0][:, 1]))


def _clustered(rng, mu, m):
    """Counts with a gamma factor for each group of rows, of mean 1."""
    return rng.poisson(mu * np.repeat(rng.gamma(4.0, 0.25, (m, GROUPS)), ROWS // GROUPS, axis=1)).astype(float)


PLAIN = ("Wald", "profile", "HC1", "HC3", "effect", "mean")
CASES = {
    "gaussian": Case("gaussian", "identity", (0.5, 0.4, -0.3), _normal, (*PLAIN, "prediction")),
    "bernoulli": Case("bernoulli", "logit", (0.2, 0.6, -0.4),
                      lambda rng, mu, m: (rng.random((m, ROWS)) < mu).astype(float), PLAIN),
    "probit": Case("bernoulli", "probit", (0.2, 0.4, -0.3),
                   lambda rng, mu, m: (rng.random((m, ROWS)) < mu).astype(float), PLAIN),
    "poisson, offset": Case("poisson", "log", (0.4, 0.3, -0.2),
                            lambda rng, mu, m: rng.poisson(mu, (m, ROWS)).astype(float), PLAIN, offset=True),
    "gamma": Case("gamma", "log", (0.5, 0.4, -0.3),
                  lambda rng, mu, m: rng.gamma(4.0, mu / 4.0, (m, ROWS)), (*PLAIN, "prediction")),
    "gaussian, uneven variance": Case("gaussian", "identity", (0.5, 0.4, -0.3), _uneven, ("Wald", "HC1", "HC3"),
                                      "the model's own covariance is wrong by design"),
    "poisson, clustered": Case("poisson", "log", (0.4, 0.3, -0.2), _clustered, ("Wald", "cluster"),
                               "the model's own covariance is wrong by design"),
}  # fmt: skip


def design():
    """(X (n, 3), offset (n,), groups (n,)): x varies within groups and between them."""
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(GROUPS), ROWS // GROUPS)
    x = 0.7 * rng.normal(size=ROWS) + 0.7 * rng.normal(size=GROUPS)[groups]
    X = np.column_stack([np.ones(ROWS), x, groups % 2])
    return X, 0.3 * rng.normal(size=ROWS), groups


# --------------------------------------------------------------------------- one data set, to be vmapped
class Program:
    """Standard errors of every kind of one data set at its estimates, as one pure function."""

    def __init__(self, case):
        self.case, self.model = case, case.model
        self.X, offset, self.groups = design()
        self.offset = offset if case.offset else np.zeros(ROWS)
        self.truth, self.method = np.array(case.coef), None

    def mean(self, coef, X):
        lin = X @ coef + self.offset[: len(X)] * (len(X) == ROWS)
        return jax.vmap(lambda v: self.model.link.mean(self.model.family, v))(lin)

    def effects(self, coef):
        """The average effect of x (its slope) and of the 0/1 column (its change)."""
        slope = lambda d: jnp.mean(self.mean(coef, jnp.asarray(self.X) + d * jnp.array([0.0, 1.0, 0.0])))
        step = lambda v: jnp.mean(self.mean(coef, jnp.asarray(self.X).at[:, 2].set(v)))
        return jnp.stack([jax.grad(slope)(0.0), step(1.0) - step(0.0)])

    def errors(self, y, coef, phi):
        """{kind: standard errors} at the estimates."""
        family, link, X = self.model.family, self.model.link, jnp.asarray(self.X)
        loss = lambda v, y: family.loss_one(y, link.eta(family, v))
        lin = X @ coef + self.offset
        score = jax.vmap(jax.grad(loss))(lin, y)

        def information(v):
            bend = jax.hessian(family.a)(link.eta(family, v))
            return jax.grad(lambda v: link.eta(family, v))(v) ** 2 * bend

        w = jax.vmap(information)(lin)
        bread = jnp.linalg.inv(X.T @ (w[:, None] * X))
        leverage = w * jnp.einsum("ni,ij,nj->n", X, bread, X)
        sides = lambda S: bread @ (S.T @ S) @ bread
        n, p = X.shape
        cov = {"Wald": bread * phi, "HC1": sides(score[:, None] * X) * n / (n - p),
               "HC3": sides((score / (1 - leverage))[:, None] * X)}  # fmt: skip
        sums = jax.ops.segment_sum(score[:, None] * X, self.groups, GROUPS)
        cov["cluster"] = sides(sums) * GROUPS / (GROUPS - 1) * (n - 1) / (n - p)
        jac = jax.jacobian(self.effects)(coef)
        out = {k: jnp.sqrt(jnp.diagonal(v)) for k, v in cov.items()}
        out["effect"] = jnp.sqrt(jnp.diagonal(jac @ cov["Wald"] @ jac.T))
        at = X[0]
        out["mean"] = jnp.sqrt(at @ cov["Wald"] @ at)[None]
        return out, self.effects(coef)

    def agrees(self, y, coef, errors, effects):
        """Raises where `jglm.fit` and its methods say otherwise."""
        case, options = self.case, dict(family=self.case.family, link=self.case.link, intercept=False, tol=1e-11)
        fit = jglm.fit(self.X, y, offset=self.offset if case.offset else None, groups=self.groups, **options)
        np.testing.assert_allclose(coef, fit.params, rtol=1e-5)
        np.testing.assert_allclose(errors["Wald"], fit.bse, rtol=1e-5)
        for kind in ("HC1", "HC3", "cluster"):
            np.testing.assert_allclose(errors[kind], fit.with_covariance(kind).bse, rtol=1e-5)
        found = fit.marginal_effects(discrete=["x3"])
        np.testing.assert_allclose(effects, found.value, rtol=1e-5)
        np.testing.assert_allclose(errors["effect"], found.bse, rtol=1e-5)
        return fit


# --------------------------------------------------------------------------- all data sets
def profiles(program, ys, found, phi):
    """(m, p, 2) profile ends of all data sets, in one batch."""
    m, n = ys.shape
    p = program.X.shape[1]
    stack = Stack.plain(program.X, ys, offset=program.offset)
    models, which = np.repeat(np.arange(m), 2 * p), np.tile(np.repeat(np.arange(p), 2), m)
    sides = np.tile([-1.0, 1.0], m * p)
    flat, df = found, None if program.model.family.dispersion == "fixed" else n - p
    z = np.full(len(models), tails.quantile(0.975, df))
    base = ByLanes(program.model, stack, None, np.arange(m))(flat, np.arange(m))
    info = profiling.information(base)
    starts = profiling.Starts(flat[models], base.value[models], base.grad[models], info[models], phi[models])
    look = ByLanes(program.model, stack, None, models)
    ends = profiling.find_ends(look, profiling.Linear(np.eye(p)[which]), starts, sides, z)
    return ends.value.reshape(m, p, 2)


def cover(name, fits, chunk=2000):
    """The record of one case."""
    case = CASES[name]
    program = Program(case)
    family = program.model.family
    estimated = family.dispersion == "estimated"
    reach = tails.quantile(0.975, ROWS - 3) if estimated else Z
    run = jax.jit(jax.vmap(program.errors))
    mu = np.asarray(program.mean(jnp.asarray(program.truth), program.X))
    effects = np.asarray(program.effects(jnp.asarray(program.truth)))
    inside: dict[str, Any] = dict.fromkeys(case.kinds, 0.0)
    lost, began = 0, time.perf_counter()
    for i, first in enumerate(range(0, fits, chunk)):
        rng = np.random.default_rng(100 + i)
        ys = case.draw(rng, mu, min(chunk, fits - first))
        found = jglm.fit_many(program.X, ys.T, family=case.family, link=case.link, intercept=False, tol=1e-9,
                              offset=program.offset, progress=False)  # fmt: skip
        good = np.isin(found.status, [int(v) for v in batch.CONVERGED])
        phi = np.asarray(found.scale) * np.ones(len(ys))
        errors, value = jax.tree.map(np.asarray, run(ys, found.params, phi))
        if not i:
            for j in range(3):
                fit = program.agrees(ys[j], found.params[j], {k: v[j] for k, v in errors.items()}, value[j])
        lost += int(np.sum(~good))
        apart = np.abs(found.params - program.truth)
        for kind in case.kinds:
            if kind in ("Wald", "HC1", "HC3", "cluster"):
                hit = apart <= reach * errors[kind]
            elif kind == "effect":
                hit = np.abs(value - effects) <= reach * errors["effect"]
            elif kind == "mean":
                hit = np.abs((found.params - program.truth) @ program.X[0])[:, None] <= reach * errors["mean"]
            elif kind == "profile":
                ends = profiles(program, ys, found.params, phi)
                hit = (ends[:, :, 0] <= program.truth) & (program.truth <= ends[:, :, 1])
            else:
                program.method = residuals.method_of(fit, phi) if not i else program.method
                hit = predicted(program, case, rng, mu, found.params, phi)
            inside[kind] = inside[kind] + np.sum(hit & good[:, None], axis=0)
    shares = {k: np.round(np.asarray(v) / fits, 5).tolist() for k, v in inside.items()}
    return {"case": name, "rows": ROWS, "fits": fits, "not_converged": lost, "coverage": shares,
            "seconds": round(time.perf_counter() - began, 1), "date": date.today().isoformat(),
            "cpu": record.cpu_model(),
            "versions": {k: record.version(k) for k in ("jglm", "jax", "numpy")}}  # fmt: skip


def predicted(program, case, rng, mu, params, phi):
    """Whether a new y of the first row lies in the prediction interval, (m, 1)."""
    family, link = program.model.family, program.model.link
    new = case.draw(rng, mu, len(params))[:, 0]
    lin = params @ program.X[0] + program.offset[0]
    eta = np.asarray(jax.vmap(lambda v: link.eta(family, v))(jnp.asarray(lin)))
    ends = np.asarray(predictive._quantiles_compiled(family, program.method, np.array([0.025, 0.975]), eta, phi))
    return ((ends[:, 0] <= new) & (new <= ends[:, 1]))[:, None]


# --------------------------------------------------------------------------- telling
def table(records):
    """The records as Markdown."""
    first = records[0]
    error = (0.95 * 0.05 / first["fits"]) ** 0.5
    versions = ", ".join(f"{k} {v}" for k, v in first["versions"].items())
    lines = [
        "# Coverage of 95% intervals, by kind", "",
        f"{first['fits']:,} simulated data sets a case, {ROWS} rows each; the error of a share is {error:.4f}. "
        f"{first['cpu']}; {versions}. Coefficients: constant, x, a 0/1 column; effect: average marginal effect of "
        "x, and change by the 0/1 column, by the delta method; mean: of the first row, on the scale of lin; "
        f"prediction: a new y in the first row. Cluster: {GROUPS} groups of {ROWS // GROUPS}.", "",
        "A fit that did not converge counts as one that misses. **Bold**: outside of 94% to 96%.", "",
        f"| case | {' | '.join(KINDS)} | not converged | remark |", "|---" * (len(KINDS) + 3) + "|",
    ]  # fmt: skip
    for r in records:
        shares = (", ".join(map(_share, r["coverage"].get(k, []))) or "–" for k in KINDS)
        lines.append(f"| {' | '.join([r['case'], *shares, str(r['not_converged']), CASES[r['case']].remark])} |")
    return "\n".join(lines) + "\n"


def _share(v):
    text = f"{100 * v:.1f}"
    return text if LOW <= v <= HIGH else f"**{text}**"


def draw(records, path):
    """A dot per interval, a line per case and kind."""
    from matplotlib.figure import Figure

    rows = [(f"{r['case']}: {k}", v) for r in records for k, v in r["coverage"].items()]
    figure = Figure(figsize=(7, 0.8 + 0.2 * len(rows)), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.axvspan(LOW, HIGH, color="#d7e8ef")
    axes.axvline(0.95, color="#0b6e99", linewidth=1)
    for i, (_, shares) in enumerate(rows):
        axes.plot(shares, [i] * len(shares), "o", color="#0b6e99", markersize=4)
    axes.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("share of 95% intervals that cover the truth")
    figure.savefig(path, metadata={"Software": None})


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    records = []
    for name in CASES:
        records.append(cover(name, arguments.fits))
        print(json.dumps({k: records[-1][k] for k in ("case", "coverage", "not_converged", "seconds")}), flush=True)
        (arguments.out / "coverage_kinds.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
        (arguments.out / "coverage_kinds.md").write_text(table(records))
        draw(records, arguments.out / "coverage_kinds.png")
    return records


if __name__ == "__main__":
    main()
