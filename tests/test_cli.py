"""The command line, from a table on disk to a model file and predictions."""

import json
import subprocess
import sys

import numpy as np
import pandas
import pytest

import jglm
from jglm import cli
from jglm.inputs import files

RNG = np.random.default_rng(2)
N = 80
FRAME = pandas.DataFrame({"x": RNG.normal(size=N), "g": RNG.choice(["a", "b"], N), "t": RNG.uniform(1, 2, N)})
FRAME["y"] = RNG.poisson(FRAME.t * np.exp(0.4 * FRAME.x))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    for ending in (".csv", ".csv.gz", ".parquet", ".feather"):
        files.write(FRAME, folder / f"data{ending}")
    return folder


def call(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_fit_predict_summary(folder, capsys):
    model = folder / "m.jglm"
    code, out, _ = call(
        capsys, "fit", folder / "data.csv", "y ~ x + g", "--family", "poisson", "--exposure", "t", "--out", model
    )
    assert code == 0
    assert "Generalized linear model" in out
    want = jglm.glm("y ~ x + g", FRAME, family="poisson", exposure="t")
    assert call(capsys, "summary", model)[1] == str(want.summary()) + "\n"
    assert "<table>" in call(capsys, "summary", model, "--html")[1]
    for ending in (".csv", ".parquet", ".feather"):
        where = folder / f"predicted{ending}"
        assert call(capsys, "predict", model, folder / f"data{ending}", "--out", where)[0] == 0
        np.testing.assert_allclose(files.read(where)["prediction"], want.predict(FRAME), rtol=1e-12)
    out = call(capsys, "predict", model, folder / "data.csv.gz", "--kind", "link")[1]
    np.testing.assert_allclose(np.array(out.split()[1:], float), want.predict(FRAME, kind="link"), rtol=1e-12)


def test_json_and_options(folder, capsys):
    code, out, _ = call(capsys, "fit", folder / "data.parquet", "y ~ x", "--family", "negative_binomial(2.5)",
                        "--ridge", "1.5", "--weights", "t", "--json", "--quiet")  # fmt: skip
    found = json.loads(out)
    want = jglm.glm(
        "y ~ x", FRAME, family=jglm.families.negative_binomial(2.5), weights="t", penalty=jglm.penalties.ridge(1.5)
    )
    assert code == 0
    np.testing.assert_allclose(found["params"], want.params, rtol=1e-12)
    assert found["converged"] is True
    grouped = call(capsys, "fit", folder / "data.csv", "y ~ x", "--family", "poisson", "--covariance", "HC3", "--json",
                   "--quiet")[1]  # fmt: skip
    by_g = call(capsys, "fit", folder / "data.csv", "y ~ x", "--family", "poisson", "--covariance", "CR0",
                "--groups", "g", "--quiet")[1]  # fmt: skip
    want = jglm.glm("y ~ x", FRAME, family="poisson", covariance="HC3")
    np.testing.assert_allclose(json.loads(grouped)["bse"], want.bse, rtol=1e-9)
    assert "Robust standard errors: CR0, 2 groups." in by_g
    classes = call(
        capsys, "fit", folder / "data.csv", "g ~ x", "--family", "categorical", "--out", folder / "c.jglm", "--json"
    )[1]
    assert np.shape(json.loads(classes)["params"]) == (2, 1)
    assert "prediction_a,prediction_b" in call(capsys, "predict", folder / "c.jglm", folder / "data.csv")[1]


@pytest.mark.parametrize(("arguments", "message"), [
    (["fit", "none.csv", "y ~ x", "--family", "poisson"], "there is no file"),
    (["fit", "data.csv", "y ~ x", "--family", "poison"], "did you mean 'poisson'?"),
    (["fit", "data.csv", "y ~ nope", "--family", "poisson"], "no column 'nope'"),
    (["fit", "data.csv", "y ~ x", "--family", "poisson", "--covariance", "CR0"], "needs groups="),
    (["fit", "data.csv", "x ~ y", "--family", "poisson"], "negative"),
    (["fit", "data.csv", "y ~ x", "--family", "negative_binomial(x)"], "must be a positive number"),
    (["fit", "data.csv", "y ~ __import__('os').system('echo')", "--family", "poisson"], "formula"),
    (["fit", "data.txt", "y ~ x", "--family", "poisson"], "the ending '.txt' is not read"),
    (["predict", "data.csv", "data.csv"], "not a jglm model file"),
    (["summary", "none.jglm"], "there is no model file"),
])  # fmt: skip
def test_bad_input_is_exit_code_2_and_one_line(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("jglm: error: ")
    assert err.count("\n") == 1
    assert message in err


def test_families_lists_the_catalogue(capsys):
    out = call(capsys, "families")[1]
    for name in jglm.families.catalogue():
        assert name in out


def test_no_half_written_file_is_left(folder, monkeypatch):
    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(pandas.DataFrame, "to_csv", broken)
    with pytest.raises(OSError, match="disk full"):
        files.write(FRAME, folder / "half.csv")
    assert not (folder / "half.csv").exists()
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]


def test_as_a_program():
    done = subprocess.run([sys.executable, "-m", "jglm", "--help"], capture_output=True, text=True, check=True)
    assert "examples:" in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "jglm", "nonsense"], capture_output=True, text=True)
    assert wrong.returncode == 2


def test_demo_fits_compares_and_draws(tmp_path):
    from jglm import demo

    said = []
    fit, gap, path = demo.run(tmp_path / "demo.png", said.append, progress=False)
    assert fit.converged
    assert fit.nobs == 20190
    assert gap < 1e-4
    assert path.stat().st_size > 20_000
    assert "NumPy loop" in "\n".join(said)
