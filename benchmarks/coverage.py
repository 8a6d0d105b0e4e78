"""Whether 95% intervals cover the truth 95% of the time: simulated regressions of every family, fitted as one batch.

    python -m benchmarks.coverage [--fits 20000] [--families gamma,beta] [--out benchmarks/results]

Each family: 200 rows, a constant and two columns, `--fits` draws of y. All fits of a family are one call of
jit(vmap(solve)) per chunk, with the standard errors that `jglm.fit` gives (the first data set is fitted by it too, and
must agree). Writes coverage.jsonl, coverage.md and coverage.png after every family; records of others stay there.
"""

import argparse
import json
import sys
import time
from datetime import date
from functools import cached_property
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jglm
from benchmarks import record
from benchmarks.coverage_cases import CASES, ROWS, design, model
from jglm.designs import Dense
from jglm.drivers import solve
from jglm.fitting.joint import per_row
from jglm.inference import tails
from jglm.model import Data, Query, Unknowns, evaluate
from jglm.rows import eta_of, row_derivatives
from jglm.solvers import Newton, Status

LEVELS = 2**14  # equally likely values that a law without a sampler is drawn from
LOW, HIGH = 0.94, 0.96


# --------------------------------------------------------------------------- data
class Simulation:
    """A case with its design: draws of y, and one pure function from y to estimates and standard errors."""

    def __init__(self, case):
        self.case, self.model = case, model(case)
        self.family = case.family
        self.X = design(not self.family.has_cutpoints)
        self.free = dict(self.family.free)
        self.Z = design()[:, :2]
        self.designs = {k: self.Z for k, f in self.free.items() if f.regressed}
        self.size = np.full(ROWS, float(case.trials or 1))
        self.truth = Unknowns(jnp.asarray(case.coef), {k: self._unknown(k) for k in self.free})
        values = per_row(self.family, self.designs, self.truth.nuisance, ROWS)
        if self.family.parametrize_ is None:
            values = {}
        true_model = type(self.model)(case.truth or case.family, self.model.link, None)
        lin = self.X @ case.coef
        self.eta = np.asarray(jax.vmap(lambda v, u: eta_of(true_model, v, u))(lin, values))
        self.law, self.mean = true_model.family, lin

    def _unknown(self, name):
        value = jnp.asarray(self.case.free[name])
        return value if self.free[name].regressed else jnp.atleast_1d(self.free[name].free(value))

    def draws(self, count, seed):
        """(count, n) or (count, n, k) draws of y, as `Data` has them."""
        rng = np.random.default_rng(seed)
        if self.case.draw is not None:
            mean = np.asarray(self.law.mean(self.eta))
            return self.case.draw(rng, mean, (count, ROWS)).astype(float)
        if self.family.name == "von_mises":
            return rng.vonmises(np.arctan2(self.eta[:, 1], self.eta[:, 0]), np.hypot(*self.eta.T), (count, ROWS))
        if self.law.sampler_ is not None:
            return np.asarray(self._sample(jax.random.key(seed), count))
        table, which = self._table
        return table[which, rng.integers(LEVELS, size=(count, ROWS))]

    @cached_property
    def _sample(self):
        phi = self.case.phi / self.size
        return jax.jit(lambda key, count: self.law.sample(key, self.eta, phi, (count,)), static_argnums=1)

    @cached_property
    def _table(self):
        """(equally likely values of every distinct row, which of them each row is)."""
        values, which = np.unique(self.eta, return_inverse=True)
        share = (np.arange(LEVELS) + 0.5) / LEVELS
        return np.asarray(self.law.quantile(share, values[:, None], self.case.phi)), which

    # ----------------------------------------------------------------------- the fit
    def data(self, y):
        zeros = jnp.zeros((ROWS,) if self.truth.coef.ndim == 1 else (ROWS, self.truth.coef.shape[1]))
        return Data(Dense(jnp.asarray(self.X)), y, self.size, zeros, self.size, self.designs)

    def fit(self, y):
        """(estimates, standard errors, whether it converged): coefficients class by class, then free parameters."""
        data = self.data(y)
        found = solve(self.model, data, solver=Newton(1e-9, 60), start=self.truth)
        point = Unknowns(found.coef, found.nuisance)
        names, flat = sorted(self.free), jnp.ravel(found.coef.T)
        whole = None
        if self.free:
            H = evaluate(self.model, data, Query(point), "hessian").hess
            whole = jnp.linalg.inv(H)
        joins = bool(self.free) and (self.family.parametrize_ is not None or self.model.link.inverse_ is None)
        cov = whole[: len(flat), : len(flat)] if joins else self.expected(data, point)
        estimates, errors, at = [flat], [jnp.sqrt(jnp.diagonal(cov))], len(flat)
        if self.free:
            own = whole if joins else jnp.zeros_like(H).at[at:, at:].set(jnp.linalg.inv(H[at:, at:]))
        for name in names:
            u, free = found.nuisance[name], self.free[name]
            value = lambda u, free=free: (
                u if free.regressed else free.value(u) if free.size > 1 else free.value(u[0])[None]
            )
            jac = jax.jacobian(value)(u)
            estimates.append(value(u))
            errors.append(jnp.sqrt(jnp.diagonal(jac @ own[at : at + len(u), at : at + len(u)] @ jac.T)))
            at += len(u)
        return jnp.concatenate(estimates), jnp.concatenate(errors), found.status == Status.CONVERGED

    def expected(self, data, point):
        """The inverse expected information of the coefficients, times the dispersion."""
        values = {k: f.value(point.nuisance[k][0]) for k, f in self.free.items()}
        own = {k: v for k, v in values.items() if k in self.family.params}
        fixed = type(self.model)(self.family.replace(free=(), params=self.family.params | own), self.model.link, None)
        info = evaluate(fixed, data, Query(point), "gradient")
        lin = data.X.matvec(point.coef)
        bend = row_derivatives(fixed, data.y, lin, data.weight)[3]
        W = bend.reshape(ROWS, *((1, 1) if bend.ndim == 1 else bend.shape[1:])) * data.weight[:, None, None]
        blocks = jnp.einsum("np,nab,nq->apbq", data.X.X, W, data.X.X)
        p = blocks.shape[0] * blocks.shape[1]
        phi = 1.0
        if self.family.dispersion == "estimated":
            phi = values["phi"] if "phi" in values else info.chi2 / (ROWS - self.X.shape[1])
        return jnp.linalg.inv(blocks.reshape(p, p)) * phi

    # ----------------------------------------------------------------------- the truth
    def names_and_truth(self):
        """What is estimated, in the order of `fit`."""
        columns = ["constant", "x", "group"][-self.X.shape[1] :]
        k = 1 if self.truth.coef.ndim == 1 else self.truth.coef.shape[1]
        names = [c if k == 1 else f"{c} {j + 1}" for j in range(k) for c in columns]
        truth = list(np.ravel(np.asarray(self.case.coef).T))
        for name in sorted(self.free):
            values = np.atleast_1d(self.case.free[name])
            names += [name if len(values) == 1 else f"{name} {i + 1}" for i in range(len(values))]
            truth += list(values)
        return names, np.array(truth)

    def reaches(self, count):
        """Quantiles of the intervals: t for coefficients where the dispersion is estimated, else normal."""
        reach = np.full(count, tails.quantile(0.975, None))
        if self.family.dispersion == "estimated":
            reach[: np.size(self.case.coef)] = tails.quantile(0.975, ROWS - np.size(self.case.coef))
        return reach

    def agrees_with_fit(self, y, estimates, errors):
        """Raises where `jglm.fit` of the same data says otherwise."""
        kind, given = self.family.response, {}
        if self.family.dim is not None and kind == "label":
            y = np.argmax(y, axis=1)
        elif kind == "counts":
            y = np.round(y * self.size[:, None])
        elif kind == "proportion":
            given["trials"], y = self.size, np.round(y * self.size)
        regressed = self.Z if self.designs else None
        found = jglm.fit(self.X, y, family=self.family, link=self.case.link, intercept=False, tol=1e-11,
                         precision=regressed, **given)  # fmt: skip
        se = np.concatenate(
            [np.ravel(found.bse.T), *(np.atleast_1d(found.family_params_se[k]) for k in sorted(self.free))]
        )
        np.testing.assert_allclose(np.ravel(found.params.T), estimates[: found.params.size], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(se, errors, rtol=1e-4)


# --------------------------------------------------------------------------- coverage
def cover(name, fits):
    """The record of one family."""
    sim = Simulation(CASES[name])
    batch = jax.jit(jax.vmap(sim.fit))
    names, truth = sim.names_and_truth()
    reach = sim.reaches(len(truth))
    inside, converged, began, compiled = np.zeros(len(truth)), 0, time.perf_counter(), None
    for i, first in enumerate(range(0, fits, sim.case.chunk)):
        y = sim.draws(sim.case.chunk, 1000 + i)
        start = time.perf_counter()
        estimates, errors, good = (np.asarray(v) for v in batch(y))
        compiled = compiled or time.perf_counter() - start
        if not i:
            j = int(np.argmax(good))
            sim.agrees_with_fit(y[j], estimates[j], errors[j])
        count = min(sim.case.chunk, fits - first)
        hit = np.abs(estimates - truth) <= reach * errors
        inside += np.sum(hit[:count] & good[:count, None], axis=0)
        converged += int(np.sum(good[:count]))
        show(f"{name}: {first + count:,} of {fits:,}")
    show(None)
    return {
        "family": name, "link": sim.model.link.name, "rows": ROWS, "fits": fits, "not_converged": fits - converged,
        "coverage": dict(zip(names, np.round(inside / fits, 5).tolist(), strict=True)),
        "seconds": round(time.perf_counter() - began, 1), "first_batch_seconds": round(compiled, 1),
        "date": date.today().isoformat(),
        "versions": {k: record.version(k) for k in ("jglm", "jax", "numpy")},
        "device": jax.devices()[0].device_kind, "cpu": record.cpu_model(),
    }  # fmt: skip


def show(text):
    """One line that is written over, on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + (text or ""))


def table(records):
    """The records as Markdown."""
    first = records[0]
    error = (0.95 * 0.05 / first["fits"]) ** 0.5
    versions = ", ".join(f"{k} {v}" for k, v in first["versions"].items())
    lines = [
        "# Coverage of 95% intervals", "",
        f"{first['fits']:,} simulated regressions per family but where another number stands, {first['rows']} rows "
        f"each; the error of a share is {error:.4f}. {first['cpu']}; {versions}.", "",
        "A fit that did not converge counts as one that misses. **Bold**: outside of 94% to 96%.", "",
        "| family | link | fits | coverage | not converged | remark |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for r in records:
        shares = ", ".join(f"{k} {_share(v)}" for k, v in r["coverage"].items())
        fits, missed, remark = f"{r['fits']:,}", r["not_converged"], CASES[r["family"]].remark
        cells = r["family"], r["link"], fits, shares, missed, remark
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _share(v):
    text = f"{100 * v:.1f}"
    return text if LOW <= v <= HIGH else f"**{text}**"


def draw(records, path):
    """A dot per parameter, a line per family."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.8 + 0.24 * len(records)), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.axvspan(LOW, HIGH, color="#d7e8ef", label="94% to 96%")
    axes.axvline(0.95, color="#0b6e99", linewidth=1)
    for i, r in enumerate(records):
        own = sum(not k.startswith(("constant", "x", "group")) for k in r["coverage"])
        shares = list(r["coverage"].values())
        cut = len(shares) - own
        axes.plot(shares[:cut], [i] * cut, "o", color="#0b6e99", markersize=4, label="coefficients" if i == 0 else None)
        axes.plot(shares[cut:], [i] * own, "D", color="#c8401a", markersize=4)
    axes.plot([], [], "D", color="#c8401a", markersize=4, label="the family's parameters")
    axes.set_yticks(range(len(records)), [r["family"] for r in records], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("share of 95% intervals that cover the truth")
    figure.legend(fontsize=7, loc="outside lower center", ncols=3)
    figure.savefig(path, metadata={"Software": None})


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=20_000)
    parser.add_argument("--families", default="", help="some of them, with commas; all by default")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args(argv)
    chosen = [v.strip() for v in arguments.families.split(";" if ";" in arguments.families else ",") if v.strip()]
    unknown = [v for v in chosen if v not in CASES]
    if unknown:
        parser.error(f"no family {unknown[0]!r}; there are: {'; '.join(CASES)}")
    jax.config.update("jax_enable_x64", True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    kept = arguments.out / "coverage.jsonl"
    records = {r["family"]: r for r in map(json.loads, kept.read_text().splitlines())} if kept.exists() else {}
    for name in chosen or CASES:
        records[name] = cover(name, arguments.fits)
        print(json.dumps({k: records[name][k] for k in ("family", "coverage", "not_converged", "seconds")}), flush=True)
        ordered = [records[k] for k in CASES if k in records]
        kept.write_text("".join(json.dumps(r) + "\n" for r in ordered))
        (arguments.out / "coverage.md").write_text(table(ordered))
        draw(ordered, arguments.out / "coverage.png")


if __name__ == "__main__":
    main()
