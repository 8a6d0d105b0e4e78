"""The same numbers on an accelerator as on the CPU, and the benchmark of accelerators on small data.

Every test takes a device, and is compared with NumPy's IRLS or the same function on the CPU; with the CPU as the device
some run everywhere, so that those marked `gpu` are known to work before there is one.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import pytest
from cases import ALL, SIGNS

import jglm
from jglm import Data, Dense, Model, families, links
from jglm.fitting import irls
from jglm.inputs import coding

ROOT = Path(__file__).resolve().parents[1]
DEVICES = ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)]
N, P = 3000, 4
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, P)) * [1.0, 0.5, 2.0, 1.0]
LIN = 0.3 + X @ [0.5, -0.4, 0.1, 0.0]
MU = np.exp(LIN)
FITS = {
    "bernoulli": (None, (RNG.random(N) < 1 / (1 + np.exp(-LIN))).astype(float)),
    "poisson": (None, RNG.poisson(MU).astype(float)),
    "gamma": ("log", RNG.gamma(2.0, MU / 2)),
    "categorical": (None, RNG.integers(0, 2, N) + (LIN > 1) + 0.0),
    "negative_binomial": (None, RNG.negative_binomial(2.5, 2.5 / (2.5 + MU)).astype(float)),
    "tweedie": (None, np.array([RNG.gamma(1.5, 1.0, k).sum() for k in RNG.poisson(MU)])),
}
FREE = ("negative_binomial", "tweedie")


def each(names, here):
    """(device, name) of every name with an accelerator, and of those `here` with the CPU too."""
    there = [pytest.param("gpu", name, marks=pytest.mark.gpu) for name in names]
    return pytest.mark.parametrize(("device", "name"), [("cpu", name) for name in here] + there)


def on(device):
    return jax.default_device(jax.devices(device)[0])


def fit(device, name, X=X, **options):
    link, y = FITS[name]
    with on(device):
        return jglm.fit(X, y, family=name, link=link, tol=1e-11, progress=False, **options)


@pytest.fixture(scope="module")
def expected():
    """The fit of a family on the CPU, made once."""
    made = {}

    def find(name):
        if name not in made:
            made[name] = fit("cpu", name, solver="auto" if name in FREE else "irls")
        return made[name]

    return find


def close(got, want, rtol):
    """Equal to a share of the largest number."""
    got, want = np.asarray(got), np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=0, atol=rtol * np.nanmax(np.abs(want)))


@each(FITS, here=["poisson"])
def test_a_fit_and_what_is_made_of_it(device, name, expected):
    want, found = expected(name), fit(device, name, solver="auto" if name in FREE else "newton")
    assert found.converged
    close(found.params, want.params, 1e-9)
    for key, value in want.family_params.items():
        np.testing.assert_allclose(found.family_params[key], value, rtol=1e-8)
    with on(device):
        close(found.bse, want.bse, 1e-8)
        close(found.predict(X[:50]), want.predict(X[:50]), 1e-9)
        for number in ("deviance", "llf", "null_deviance"):
            np.testing.assert_allclose(getattr(found, number), getattr(want, number), rtol=1e-9)


@each([name for name in FITS if name not in FREE], here=["poisson"])
def test_many_rows(device, name, expected, monkeypatch):
    monkeypatch.setattr(irls, "WORK", 0)
    found = fit(device, name)
    assert found.solver == "sketched"
    close(found.params, expected(name).params, 1e-9)
    close(found.bse, expected(name).bse, 1e-8)


@each([name for name in FITS if name not in FREE], here=["poisson"])
def test_float32_storage(device, name, expected):
    rounded = X.astype(np.float32)
    found = fit(device, name, rounded, dtype="float32", solver="newton")
    close(found.params, expected(name).params, 1e-5)


@each(["float64", "float32"], here=["float64"])
def test_arrays_that_are_on_the_device(device, name, expected):
    dtype = name
    with on(device):
        there = jnp.asarray(X, dtype)
        assert {d.platform for d in there.devices()} == {device}
        found = fit(device, "poisson", there, dtype=dtype, solver="newton")
    close(found.params, expected("poisson").params, 1e-9 if dtype == "float64" else 1e-5)


@each(["written out", "coded"], here=["coded"])
def test_a_formula_with_factors(device, name, monkeypatch):
    coded = name == "coded"
    frame = pandas.DataFrame(X, columns=list("abcd")).assign(
        y=FITS["poisson"][1], f=RNG.choice(["u", "v", "w"], N), g=RNG.choice(list("pqrst"), N)
    )
    options = dict(family="poisson", tol=1e-11, progress=False)
    want = jglm.glm("y ~ a + f * g + I(b**2)", frame, solver="irls", **options)
    if coded:
        monkeypatch.setattr(coding, "ELEMENTS", 0)
        monkeypatch.setattr(irls, "WORK", 0)
    with on(device):
        found = jglm.glm("y ~ a + f * g + I(b**2)", frame, solver="auto" if coded else "newton", **options)
        assert found.names == want.names
        close(found.params, want.params, 1e-9)
        close(found.bse, want.bse, 1e-8)
        close(found.predict(frame.head(20)), want.predict(frame.head(20)), 1e-9)


# --------------------------------------------------------------------------- pure functions
@each(["float64", "float32"], here=["float32"])
def test_solve_stays_on_the_device(device, name, expected):
    dtype = name
    ones = np.column_stack([np.ones(N), X])
    with on(device):
        place = lambda v, dtype="float64": jnp.asarray(v, dtype)
        data = Data(Dense(place(ones, dtype)), place(FITS["poisson"][1]), place(np.ones(N)), place(np.zeros(N)))
        found = jax.jit(jglm.solve)(Model(families.poisson, links.log, None), data)
    assert {d.platform for d in found.coef.devices()} == {device}
    close(found.coef, expected("poisson").params, 1e-8 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_many_fits_at_once(device):
    X, y = RNG.normal(size=(20, 200, 3)), (RNG.random((20, 200)) < 0.4).astype(float)
    model = Model(families.bernoulli, links.logit, None)

    def one(X, y):
        return jglm.solve(model, Data(Dense(X), y, jnp.ones(len(y)), jnp.zeros(len(y)))).coef

    with on(device):
        found = jax.jit(jax.vmap(one))(jnp.asarray(X), jnp.asarray(y))
    for i in (0, 7, 19):
        with on("cpu"):
            want = jglm.fit(X[i], y[i], family="bernoulli", intercept=False, solver="irls")
        close(found[i], want.params, 1e-8)


LAWS = {
    "poisson": (ALL["poisson"], [0.0, 1.0, 4.0], [0.5, 1.5], 1.0),
    "gamma": (ALL["gamma"], [0.2, 1.0, 6.0], [-0.5, -1.5], 0.4),
    "negative_binomial": (ALL["negative_binomial"], [0.0, 2.0, 9.0], [-0.3, -0.9], 1.0),
    "tweedie": (ALL["tweedie"], [0.0, 0.7, 5.0], [-1.0, -2.5], 0.8),
    "by its log-partition alone": (SIGNS, [-1.0, 1.0, 1.0], [0.4, -0.8], 1.0),
}


@each(LAWS, here=["gamma"])
def test_densities_and_quantiles(device, name):
    family, y, eta, phi = LAWS[name]
    y, eta = np.repeat(y, len(eta)), np.tile(eta, len(y))
    p, phi = np.linspace(0.1, 0.95, len(y)), np.full(len(y), phi)

    def answers():
        laws = family.log_prob(y, eta, phi), family.cdf(y, eta, phi), family.quantile(p, eta, phi)
        return [np.asarray(v) for v in (*laws, family.mean(eta), family.variance(eta))]

    with on("cpu"):
        want = answers()
    with on(device):
        got = answers()
    assert all(np.all(np.isfinite(v)) for v in got)
    for mine, other in zip(got, want, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-11)


# --------------------------------------------------------------------------- the benchmark
FIGURES = ("cold_seconds", "compile_seconds", "warm_seconds", "passes", "objective", "gradient", "floor_seconds",
           "times_floor", "difference", "source", "how")  # fmt: skip


@pytest.fixture
def command(monkeypatch):
    # benchmarks/ is no installed package; it is found from the root of the repository alone.
    monkeypatch.syspath_prepend(ROOT)
    pytest.importorskip("matplotlib")
    from benchmarks.gpu import command

    return command


def test_the_benchmark_of_devices(command, tmp_path):
    size = ["--rows", "2000", "--columns", "5", "--fits", "10", "--repeat", "1"]
    some = ["--dtype", "float64", "--families", "bernoulli", "--ways", "newton,sketched,fit,fit_numpy,numpy,torch"]
    records = command.main([*size, *some, "--parts", "many,fits", "--out", str(tmp_path)])
    assert [r.error or r.left_out for r in records] == [None] * len(records)
    fits = [r for r in records if r.kind in ("fit", "many")]
    assert {r.way for r in fits} >= {
        "vmap",
        "fit_many",
        "path",
        "bootstrap",
        "newton",
        "sketched",
        "fit",
        "fit_numpy",
        "numpy",
    }
    assert all(r.gradient <= 1e-6 for r in fits)
    own = [r for r in fits if r.kind == "fit"]
    assert np.ptp([r.objective for r in own]) <= 1e-12
    assert max(r.difference for r in own if r.way != "torch") <= 1e-7
    name = "gpu" if jax.default_backend() == "gpu" else f"gpu_on_{jax.default_backend()}"
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{name}.jsonl", f"{name}.md", f"{name}.png"]
    lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
    assert all(line[key] is not None for line in lines if line["kind"] == "fit" for key in FIGURES)
    assert {"device", "driver", "runtime", "python", "packages"} <= set(lines[0]["machine"])
    assert {"jax", "jaxlib", "jglm"} <= set(lines[0]["machine"]["packages"])
    assert [line["rate"] > 0 for line in lines if line["kind"] == "limit"] == [True] * 7
    assert next(line for line in lines if line["way"] == "fit_numpy")["transfer_seconds"] > 0
    written = (tmp_path / f"{name}.md").read_text()
    assert "## Ceilings" in written
    assert str(ROOT) not in written
    assert command.main(["--redraw", "--out", str(tmp_path)]) == records


def test_pieces_of_a_pass_agree(command):
    from benchmarks.gpu import cases, limits

    (case,) = cases.make(3000, 7, "float32", ["bernoulli"])
    X, y = np.asarray(case.X, np.float64), np.asarray(case.y)
    v, r = RNG.normal(size=7), RNG.normal(size=3000)
    close(limits.sum_over_columns(case.X, jnp.asarray(v)), X @ v, 1e-12)
    close(limits.sum_over_rows(case.X, jnp.asarray(r)), X.T @ r, 1e-12)
    close(limits.gram_of_large_blocks(case.X, jnp.asarray(r), 1 << 12), X.T @ (r[:, None] * X), 1e-5)
    value, gradient = cases.judge(case, np.zeros(8))
    np.testing.assert_allclose(value, np.log(2))
    np.testing.assert_allclose(gradient, np.max(np.abs((0.5 - y) @ np.column_stack([np.ones(3000), X]))) / 3000)


def test_what_does_not_fit_is_told(command, capsys):
    room = 10 * 8 * 1000 / 0.6 * 1.01  # for 1,000 rows of 10 columns in float64
    assert command.sizes([100, 2000, 5000], 10, "float64", room) == [100, 1000]
    assert "1,000 rows instead" in capsys.readouterr().out
    assert command.sizes([900, 2000], 10, "float64", room) == [900]
    assert "skipped" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="--out"):
        command.place(None, "cpu")
    assert command.place(None, "gpu")[1] == "gpu"
    case = SimpleNamespace(shape=(10**9, 100), name="poisson", dtype="float64")
    args = command.parser().parse_args(["--host-rows", "1e12"])
    assert "GB" in command.obstacle(command.WAYS["fit"], case, args, [])
    assert command.obstacle(command.WAYS["newton"], case, args, []) is None
    slow = command.Record("fit", "", "newton", "poisson", 10**7, 100, "float64", warm_seconds=2.0)
    assert "--limit" in command.obstacle(command.WAYS["newton"], case, args, [slow])
