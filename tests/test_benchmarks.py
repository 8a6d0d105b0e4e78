"""The benchmark runs end to end on a tiny problem, and its judge is right."""

import json
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


@pytest.mark.parametrize("name", ["gaussian", "bernoulli", "poisson", "gamma", "softmax"])
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
