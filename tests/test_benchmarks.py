"""The benchmark runs end to end on a tiny problem, and its judge is right."""

import json
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    # benchmarks/ is no installed package; it is found from the root of the repository alone.
    monkeypatch.syspath_prepend(ROOT)


def test_two_libraries_agree_and_files_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks.run import main

    command = ["--problems", "tiny", "--libraries", "jglm,numpy_irls", "--repeat", "1", "--out", str(tmp_path)]
    records = main([*command, "--name", "small"])
    assert [r.library for r in records] == ["jglm", "numpy_irls"]
    assert [r.error for r in records] == [None, None]
    assert not any(r.stopped_early for r in records)
    assert abs(records[0].objective - records[1].objective) <= 1e-9
    assert all(r.cold_seconds > 0 and r.import_seconds > 0 and r.peak_mb > 1 for r in records)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.jsonl", "small.md", "small.png"]
    lines = [json.loads(line) for line in (tmp_path / "small.jsonl").read_text().splitlines()]
    assert [line["objective"] for line in lines] == [r.objective for r in records]
    written = (tmp_path / "small.md").read_text()
    assert "NumPy IRLS" in written
    assert str(ROOT) not in written


@pytest.mark.parametrize("name", ["gaussian", "bernoulli", "poisson", "gamma", "tweedie", "softmax"])
def test_the_slope_is_the_derivative_of_the_loss(name):
    from benchmarks.objective import FAMILIES

    family, rng, step = FAMILIES[name], np.random.default_rng(0), 1e-6
    y = np.array([0, 1, 2, 1])
    lin = rng.normal(size=(4, 2) if name == "softmax" else 4)
    for j in range(2 if name == "softmax" else 1):
        move = step * (np.arange(2) == j) if name == "softmax" else step
        slope = (family.loss(y, lin + move) - family.loss(y, lin - move)) / (2 * step)
        exact = family.slope(y, lin)
        np.testing.assert_allclose(slope, exact[:, j] if name == "softmax" else exact, atol=1e-8)


def test_a_fit_that_stops_early_is_told():
    from benchmarks import numpy_fits, objective, problems, record

    problem = problems.ENTRIES["tiny"].make()
    early, steps = numpy_fits.gradient_rule(problem, 1e-8, most=5)
    done, iterations = numpy_fits.irls(problem, 1e-8)
    told = {}
    for coef in (early, done):
        value, gradient = objective.judge(problem, coef)
        one = record.Record("tiny", "", "bernoulli", "", "", "", warm_seconds=1.0, objective=value, gradient=gradient)
        told[value] = one.stopped_early
    assert steps == 5
    assert iterations < 10
    assert list(told.values()) == [True, False]
    assert min(told) == list(told)[1]


# ---------------------------------------------------------------------------- the suite "cpu"
def _measure(problem, library, data=None, shrink=10**6):
    """What a worker would print, without a process of its own."""
    from benchmarks import catalogue, worker

    rival = catalogue.RIVALS[library]
    job = dict(problem=problem, library=library, imports=rival.imports, packages=rival.packages, repeat=1, threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return worker.measure(job | dict(shrink=shrink, data=data))


@pytest.fixture(scope="module")
def claims(tmp_path_factory):
    """A folder with made-up files in the form of freMTPL2's."""
    pytest.importorskip("pyarrow")
    import pandas as pd

    rng, n = np.random.default_rng(0), 6_000
    number = rng.poisson(0.3, n)
    contracts = pd.DataFrame({
        "IDpol": np.arange(n), "ClaimNb": number, "Exposure": rng.uniform(0.1, 1.5, n),
        "Area": rng.choice(list("ABC"), n), "VehPower": rng.integers(4, 8, n), "VehAge": rng.integers(0, 20, n),
        "DrivAge": rng.integers(18, 60, n), "BonusMalus": rng.integers(50, 80, n),
        "VehBrand": rng.choice(["B1", "B2"], n), "VehGas": rng.choice(["Diesel", "Regular"], n),
        "Density": rng.integers(1, 20_000, n), "Region": rng.choice(["R11", "R24", "R93"], n),
    })  # fmt: skip
    of = np.repeat(np.arange(n), number)
    folder = tmp_path_factory.mktemp("claims")
    contracts.to_parquet(folder / "freMTPL2freq.parquet")
    amounts = pd.DataFrame({"IDpol": of, "ClaimAmount": rng.gamma(2.0, 600.0, len(of))})
    amounts.to_parquet(folder / "freMTPL2sev.parquet")
    return str(folder)


@pytest.mark.parametrize("name", ["claims_frequency", "claims_severity", "claims_pure_premium"])
def test_jglm_and_glum_fit_the_same_claims(name, claims):
    pytest.importorskip("glum")
    found = [_measure(name, library, claims) for library in ("jglm", "glum_loose")]
    assert all(one["gradient"] <= 1e-7 for one in found)
    assert abs(found[0]["objective"] - found[1]["objective"]) <= 1e-9


@pytest.mark.parametrize("name", ["poisson_500k_100", "softmax_200k_100", "poisson_summary_1m_50"])
def test_jglm_reaches_the_tolerance_on_large_problems_made_small(name):
    assert _measure(name, "jglm")["gradient"] <= 1e-7


def test_jax_arrays_and_numpy_give_the_same():
    found = [_measure("bernoulli_500k_100", library) for library in ("jglm", "jglm_jax")]
    assert abs(found[0]["objective"] - found[1]["objective"]) <= 1e-12


def test_float32_is_compared_with_float64():
    assert _measure("bernoulli_float32_2m_100", "jglm")["difference"] <= 1e-6


def test_sparse_rows_like_text():
    pytest.importorskip("sklearn")
    from benchmarks import catalogue

    problem = catalogue.find("text_300k_50k").make(10**6)
    assert problem.X.shape == (2_000, 50_000)
    assert np.median(np.diff(problem.X.indptr)) == 60
    np.testing.assert_allclose(problem.X.multiply(problem.X).sum(axis=1), 1)
    assert _measure("text_300k_50k", "sklearn_newton_cg")["gradient"] <= 1e-7


def _skip_without_r(library):
    from benchmarks import catalogue

    if (lacking := catalogue.RIVALS[library].missing()) is not None:
        pytest.skip(f"{lacking} is not installed")


@pytest.mark.parametrize("library", ["r_glm", "r_glm_fit", "r_glm4", "r_glmnet"])
def test_r_fits_what_numpy_fits(library):
    _skip_without_r(library)
    found = [_measure("tiny", one) for one in (library, "numpy_irls")]
    assert abs(found[0]["objective"] - found[1]["objective"]) <= 1e-9
    assert found[0]["gradient"] <= 1e-7
    assert {"R", "R's BLAS"} <= set(found[0]["packages"])


@pytest.mark.parametrize(
    ("name", "library"),
    [("claims_frequency", "r_glm4"), ("claims_severity", "r_glm"), ("claims_severity", "r_glmnet")],
)
def test_r_fits_factors_with_offsets_and_weights(name, library, claims):
    _skip_without_r(library)
    assert _measure(name, library, claims)["gradient"] <= 1e-7


def test_r_fits_sparse_rows_and_classes():
    _skip_without_r("r_glmnet")
    assert all(_measure(name, "r_glmnet")["gradient"] <= 1e-7 for name in ("text_300k_50k", "softmax_10k_10"))


@pytest.mark.parametrize("library", ["sklearn_liblinear", "statsmodels_glm", "sklearn_saga"])
def test_python_rivals_reach_the_tolerance(library):
    pytest.importorskip("statsmodels" if "statsmodels" in library else "sklearn")
    assert _measure("bernoulli_1k_10", library)["gradient"] <= 1e-7


# ---------------------------------------------------------------------------- records that are kept
def _selection(out, *more):
    from benchmarks.run import main

    return main(["--problems", "tiny", "--repeat", "1", "--out", str(out), "--name", "kept", *more])


def test_a_run_is_merged_or_continued(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    [first] = _selection(tmp_path, "--libraries", "numpy_irls")
    path = tmp_path / "kept.jsonl"
    path.write_text(path.read_text().replace(first.date, "2020-01-02"))

    both = _selection(tmp_path, "--libraries", "numpy_irls,numpy_gradient", "--resume")
    assert "1 runs" in capsys.readouterr().out
    assert [r.library for r in both] == ["numpy_irls", "numpy_gradient"]
    assert both[0].cold_seconds == first.cold_seconds
    said = f"Measured on 2020-01-02: NumPy IRLS; {both[1].date}: NumPy gradient rule."
    assert said in (tmp_path / "kept.md").read_text()

    again = _selection(tmp_path, "--libraries", "numpy_irls", "--merge")
    assert [r.library for r in again] == ["numpy_irls", "numpy_gradient"]
    assert again[0].date == both[1].date
    assert again[1].cold_seconds == both[1].cold_seconds
    with pytest.raises(SystemExit, match="threads"):
        _selection(tmp_path, "--libraries", "numpy_irls", "--merge", "--threads", str(first.threads + 1))


def test_what_is_not_installed_keeps_an_older_time(tmp_path):
    from benchmarks import run
    from benchmarks.record import MISSING, Record

    timed = Record("tiny", "", "bernoulli", "r_fastglm", "R fastglm", "", warm_seconds=1.0, gradient=0.0)
    lacking = Record("tiny", "", "bernoulli", "r_fastglm", "R fastglm", "", left_out=f"R is {MISSING}")
    kept = run.Kept(tmp_path / "a.jsonl", [timed], list)
    kept.add(lacking)
    assert kept.all() == [timed]
    kept = run.Kept(tmp_path / "b.jsonl", [], list)
    kept.add(lacking)
    assert not lacking.settled
    assert run.recorded(tmp_path / "b.jsonl") == [lacking]


def test_a_fit_over_its_limit_is_ended(tmp_path):
    from benchmarks import catalogue, record

    entry, rival = catalogue.ENTRIES["tiny"], catalogue.RIVALS["numpy_irls"]
    found = record.take(entry, rival, record.Settings(limit=0.05))
    assert found.error == "did not end in 0.05 s"
    assert found.settled
    assert not found.measured
    assert found.peak_mb is None or found.peak_mb > 0


def test_a_long_fit_is_not_repeated(monkeypatch):
    from benchmarks import worker

    assert len(worker.warm_runs(lambda: None, 3, cold=0.1)) == 3
    assert worker.warm_runs(lambda: None, 3, cold=worker.LONG + 1) == []
    monkeypatch.setattr(worker, "WARM_BUDGET", 1e-12)
    assert len(worker.warm_runs(lambda: None, 3, cold=0.1)) == 1


def test_the_command_makes_a_table_with_targets(claims, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    from benchmarks.run import main

    command = ["--suite", "cpu", "--shrink", "1000", "--repeat", "1", "--out", str(tmp_path), "--data", claims]
    records = main([*command, "--problems", "claims_frequency", "--libraries", "jglm,sklearn_newton_cholesky"])
    assert [r.error or r.left_out for r in records] == [None, None]
    assert all(r.new_process_seconds == r.import_seconds + r.cold_seconds for r in records)
    assert all(r.compilation_cache == "none" and r.compile_seconds >= 0 for r in records)
    written = (tmp_path / "selection.md").read_text()
    assert "times as fast as scikit-learn newton-cholesky (" in written
    assert "target 3" in written
    assert claims not in written + (tmp_path / "selection.jsonl").read_text()


def test_suites_name_what_is_there():
    from benchmarks import catalogue, suites, targets

    for suite in suites.SUITES.values():
        assert set(suite) <= set(catalogue.ENTRIES)
        assert {rival for rivals in suite.values() for rival in rivals} <= set(catalogue.RIVALS)
    assert set(targets.TARGETS) == set(targets.WHY) == set(suites.SUITES["cpu"])
    assert set(suites.TOO_LARGE) <= set(suites.pairs("cpu"))
    assert suites.pairs("cpu", None, ["glum_loose"])[0] == ("bernoulli_500k_100", "glum_loose")
    assert suites.pairs("small", ["tiny"], ["jglm"]) == [("tiny", "jglm")]


def test_a_target_counts_only_rivals_that_reached_the_tolerance():
    from benchmarks import record, targets

    def one(library, seconds, gradient):
        given = dict(warm_seconds=seconds, gradient=gradient, new_process_seconds=seconds)
        return record.Record("claims_severity", "", "gamma", library, library, "", **given)

    records = [one("jglm", 1.0, 1e-9), one("glum_loose", 1.5, 1e-8)]
    assert "missed by a factor of 1.33" in targets.lines(records)[0]
    records.append(one("r_glm", 0.5, 1e-8))  # which it was not to beat, but which is told
    assert "missed by a factor of 1.33" in targets.lines(records)[0]
    assert ", 0.50 times r_glm; target 2" in targets.lines(records)[0]
    records[1].gradient = 1e-6
    assert "that it was to beat reached the tolerance" in targets.lines(records)[0]
    assert targets.lines(records[:1]) == []


def test_rare_levels_are_joined():
    from benchmarks import insurance

    five, six = np.full(5, 10.0), np.full(6, 10.0)
    assert insurance.joined_numbers([1, 2, 3, 4, 5], five).tolist() == [1, 1, 3, 3, 3]
    assert insurance.joined_numbers([1, 2, 3, 4, 5, 5], six).tolist() == [1, 1, 3, 3, 5, 5]
    joined = insurance.joined_names(["a", "a", "b", "c", "d", "d"], six).tolist()
    assert joined == ["a", "a", "other", "other", "d", "d"]


def test_the_judge_knows_weights_penalty_and_no_intercept():
    from benchmarks import objective, problems

    rng = np.random.default_rng(0)
    X, y, weights = rng.normal(size=(50, 2)), rng.gamma(2.0, 1.0, 50), rng.uniform(1, 3, 50)
    problem = problems.Problem("", "gamma", "log", X, y, weights=weights, alpha=0.3, intercept=False)
    coef, step = np.array([0.2, -0.1]), 1e-6
    value, gradient = objective.judge(problem, coef)
    lin = X @ coef
    assert np.isclose(value, np.average(y * np.exp(-lin) + lin, weights=weights) + 0.15 * coef @ coef)
    moves = [objective.judge(problem, coef + s * e)[0] for e in step * np.eye(2) for s in (1, -1)]
    slopes = [(moves[0] - moves[1]) / (2 * step), (moves[2] - moves[3]) / (2 * step)]
    np.testing.assert_allclose(np.max(np.abs(slopes)), gradient, rtol=1e-6)


def test_a_rival_without_its_environment_is_skipped(tmp_path, monkeypatch, capsys):
    from benchmarks import catalogue, environments, run

    def fails(python, packages):
        raise subprocess.CalledProcessError(1, "pip", stderr="no such package")

    monkeypatch.setattr(environments.venv, "create", lambda where, **options: where.mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(environments, "_install", fails)
    rivals = [catalogue.RIVALS["nemos"]]
    here, lacking = run.interpreters(rivals, tmp_path)
    assert (here, lacking) == ({}, {"nemos": "its environment is not installed"})
    assert "nemos is skipped: its environment cannot be made: no such package" in capsys.readouterr().out
    monkeypatch.setattr(environments, "_install", lambda python, packages: None)
    assert str(tmp_path) in run.interpreters(rivals, tmp_path)[0]["nemos"]
    monkeypatch.setattr(environments, "_install", fails)
    assert "nemos" in run.interpreters(rivals, tmp_path)[0]


def test_scaling_fits_a_slope(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks import scaling

    small = ["--rows", "200,400", "--columns", "2,3", "--fixed-rows", "200", "--fixed-columns", "2", "--repeat", "1"]
    found = scaling.main([*small, "--library", "numpy_irls", "--out", str(tmp_path)])
    assert [r.n for r in found["rows"]] == [200, 400]
    assert [r.p for r in found["columns"]] == [2, 3]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scaling.jsonl", "scaling.md", "scaling.png"]
    for k, r in enumerate(found["rows"]):
        r.warm_seconds = 3.0 * 2**k
    assert np.isclose(scaling.slope("rows", found["rows"])[0], 1)


def test_problems_without_their_data_are_skipped(monkeypatch, capsys):
    from benchmarks import catalogue, insurance, run

    def unreachable():
        raise OSError("no network")

    monkeypatch.setattr(insurance, "fetch", unreachable)
    assert run.data_folder([catalogue.ENTRIES["tiny"]], None) is None
    assert capsys.readouterr().out == ""
    assert run.data_folder([catalogue.ENTRIES["claims_severity"]], None) is None
    assert "its problems are skipped" in capsys.readouterr().out


def test_many_uses_agree_with_the_loops(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("statsmodels")
    from benchmarks import many_uses

    uses = many_uses.main(["--shrink", "100", "--repeat", "1", "--threads", "1", "--out", str(tmp_path)])
    assert [u.error for u in uses] == [None] * 6
    by = {(u.problem, u.library): u for u in uses}
    for problem, other in (("bootstrap", "statsmodels"), ("scan", "numpy"), ("scan", "statsmodels")):
        assert many_uses.difference(by[problem, "jglm"], by[problem, other]) < 1e-7
    assert 1e-7 < many_uses.difference(by["bootstrap", "jglm"], by["bootstrap", "jglm_one_step"]) < 1
    assert by["scan", "statsmodels"].timed == 50 < by["scan", "statsmodels"].count
    assert sorted(p.name for p in tmp_path.iterdir()) == ["many_uses.jsonl", "many_uses.md", "many_uses.png"]
    written = (tmp_path / "many_uses.md").read_text()
    assert "50 of 1,000, scaled" in written
    assert "target 50" in written
    assert str(ROOT) not in written


def test_paths_are_judged(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks import paths

    command = ["--problems", "wide,lasso", "--rivals", "jglm", "--shrink", "200", "--repeat", "1"]
    records = paths.main([*command, "--out", str(tmp_path)])
    assert [r["problem"] for r in records] == ["lasso", "wide"]
    assert all(r["kkt"] <= 1e-4 for r in records)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["paths.jsonl", "paths.md", "paths.png"]
    assert "stopped early" in (tmp_path / "paths.md").read_text()
    d = paths.make("wide", 50, "")
    assert paths.judge("wide", d, np.zeros((100, d["X"].shape[1] + 1)))[0] > 1e-2
