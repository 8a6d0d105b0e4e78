"""The command line, from a table on disk to a model file and predictions."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest

import jglm
from jglm import cli, families, penalties
from jglm.commandline import calls, exitcodes, terminal
from jglm.inputs import files
from jglm.solvers import Status

RNG = np.random.default_rng(2)
N = 80
FRAME = pandas.DataFrame({"x": RNG.normal(size=N), "g": RNG.choice(["a", "b"], N), "t": RNG.uniform(1, 2, N)})
FRAME["y"] = RNG.poisson(FRAME.t * np.exp(0.4 * FRAME.x))
FRAME["h"] = RNG.choice(["p", "q", "r"], N)
FRAME["c"] = np.arange(N) // 4
POISSON = ("--family", "poisson", "--quiet")


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


# --------------------------------------------------------------------------- everything a fit can do
def fitted(folder, capsys, formula, *options, code=0):
    """What `jglm fit --json` says of the table."""
    got, out, err = call(capsys, "fit", folder / "data.csv", formula, *options, "--json", "--quiet")
    assert got == code, err
    return json.loads(out)


PENALIZED = {
    "sum": (["--penalty", "elastic_net(3, 0.5) + ridge(1)", "--lasso", "0.5"],
            penalties.elastic_net(3, 0.5) + penalties.ridge(1) + penalties.lasso(0.5)),
    "scaled": (["--penalty", "ridge(0.02, scale='mean')"], penalties.ridge(0.02, scale="mean")),
    "weights": (["--ridge", "2", "--penalty-weight", "h=0"], penalties.ridge(2, weights=[1, 1, 0, 0])),
    "groups": (["--penalty", "group_lasso(3)"], penalties.group_lasso(3, [0, 1, 2, 2])),
    "bounds": (["--bounds", "x=:0.1", "--bounds", "h=-0.05:"],
               penalties.bounds([-np.inf, -np.inf, -0.05, -0.05], [0.1, np.inf, np.inf, np.inf])),
    "monotone": (["--monotone", "h=up", "--monotone", "x=down"],
                 penalties.monotone([2, 3], 4) + penalties.monotone([0], 4, increasing=False)),
    "firth": (["--penalty", "firth"], "firth"),
}  # fmt: skip


@pytest.mark.parametrize("name", PENALIZED)
def test_penalties_and_limits_by_the_names_of_coefficients(folder, capsys, name):
    options, penalty = PENALIZED[name]
    found = fitted(folder, capsys, "y ~ x + g + h", "--family", "poisson", *options)
    want = jglm.glm("y ~ x + g + h", FRAME, family="poisson", penalty=penalty)
    np.testing.assert_allclose(found["params"], want.params, rtol=1e-9, atol=1e-12)


def test_solvers_starts_and_settings(folder, capsys):
    model = folder / "start.jglm"
    want = fitted(folder, capsys, "y ~ x", "--family", "poisson", "--out", str(model))
    slow = ("--solver", "gradient(alpha=0.001, steps=3)", "--json")
    code, out, err = call(capsys, "fit", folder / "data.csv", "y ~ x", *POISSON, *slow)
    assert code == exitcodes.NOT_CONVERGED
    assert json.loads(out)["n_iter"] == 4  # the last looks at where three steps led
    assert err.startswith("jglm: warning: the fit did not converge")
    begun = fitted(folder, capsys, "y ~ x + g", "--family", "poisson", "--start", str(model))
    assert begun["params"][:2] == pytest.approx(want["params"], abs=0.2)
    there = fitted(folder, capsys, "y ~ x", "--family", "poisson", "--start", ",".join(map(str, want["params"])))
    assert there["n_iter"] < want["n_iter"]
    robust = fitted(folder, capsys, "y ~ x", "--family", "poisson", "--covariance", "HAC(lags=2)")
    same = jglm.glm("y ~ x", FRAME, family="poisson", covariance=jglm.HAC(lags=2))
    np.testing.assert_allclose(robust["bse"], same.bse, rtol=1e-9)


def test_factors_and_missing_values(folder, capsys):
    based = fitted(folder, capsys, "y ~ h", "--family", "poisson", "--reference", "h=r")
    assert based["names"] == ["Intercept", "h[T.p]", "h[T.q]"]
    fixed = fitted(folder, capsys, "y ~ x", "--family", "poisson", "--fixed", "g:a=1", "--fixed", "g:b=1.5")
    offset = np.log(np.where(FRAME.g == "b", 1.5, 1.0))
    want = jglm.glm("y ~ x", FRAME, family="poisson", offset=offset)
    np.testing.assert_allclose(fixed["params"], want.params, rtol=1e-9)
    FRAME.assign(g=FRAME.g.where(FRAME.x > -1)).to_csv(folder / "missing.csv", index=False)
    code, out, _ = call(capsys, "fit", folder / "missing.csv", "y ~ g", *POISSON, "--json", "--missing", "as_missing")
    assert code == 0
    assert json.loads(out)["names"] == ["Intercept", "g[T.b]", "g[T.(missing)]"]
    code, _, err = call(capsys, "fit", folder / "missing.csv", "y ~ g", *POISSON, "--missing", "error")
    assert code == 2
    assert "missing" in err


def test_a_folder_is_a_stream(folder, capsys):
    parts = folder / "parts"
    parts.mkdir()
    for j in range(2):
        FRAME[j::2].to_parquet(parts / f"{j}.parquet")
    model, out = folder / "stream.jglm", folder / "stream.parquet"
    more = ["--cache", folder / "cache", "--checkpoint", folder / "keep", "--out", model]
    assert call(capsys, "fit", parts, "y ~ x + g", *POISSON, "--exposure", "t", *more)[0] == 0
    want = jglm.glm("y ~ x + g", FRAME, family="poisson", exposure="t")
    np.testing.assert_allclose(jglm.load(model).params, want.params, rtol=1e-7)
    assert call(capsys, "fit", parts / "*.parquet", "y ~ x + g", *POISSON, "--exposure", "t", *more, "--resume")[0] == 0
    code, _, said = call(capsys, "predict", model, parts, "--out", out)
    assert (code, said) == (0, f"jglm: predictions written to {out}\n")
    order = pandas.concat([FRAME[0::2], FRAME[1::2]])
    np.testing.assert_allclose(pandas.read_parquet(out)["mean"], want.predict(order), rtol=1e-7)
    assert call(capsys, "predict", model, parts)[0] == 2
    assert "in memory" in call(capsys, "fit", parts, "y ~ x", *POISSON, "--bounds", "x=0:")[2]


def test_predictions_with_intervals_beside_columns(folder, capsys):
    model = folder / "interval.jglm"
    call(capsys, "fit", folder / "data.csv", "y ~ x", *POISSON, "--out", model)
    want = jglm.load(model).predict(FRAME, interval="mean", level=0.9, exposure=FRAME.t)
    options = ["--interval", "mean", "--level", "0.9", "--exposure", "t", "--keep", "g"]
    code, out, _ = call(capsys, "predict", model, folder / "data.csv", *options, "--json")
    assert code == 0
    rows = pandas.DataFrame(json.loads(out))
    assert list(rows) == ["g", "prediction", "low", "high"]
    np.testing.assert_allclose(rows[["prediction", "low", "high"]], want, rtol=1e-12)
    assert list(rows.g) == list(FRAME.g)


# --------------------------------------------------------------------------- the other commands
def test_path_and_cv(folder, capsys):
    given = (folder / "data.csv", "y ~ x + g + h", *POISSON, "--strengths", "8")
    model, table, picture = folder / "path.jglm", folder / "path.csv", folder / "path.png"
    path = jglm.path("y ~ x + g + h", FRAME, family="poisson", strengths=8)
    at = path.strengths[3]
    kept = ("--at", at, "--out", model, "--table", table, "--plot", picture)
    code, out, _ = call(capsys, "path", *given, "--json", *kept)
    found = json.loads(out)
    assert code == 0
    np.testing.assert_allclose(found["params"], path.params, atol=1e-9)
    np.testing.assert_allclose(jglm.load(model).params, path.params[3], atol=1e-9)
    assert list(pandas.read_csv(table).columns[4:]) == found["names"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    chosen = jglm.cross_validate("y ~ x + g + h", FRAME, family="poisson", strengths=8, folds=4, seed=3)
    code, out, _ = call(capsys, "cv", *given, "--folds", "4", "--seed", "3", "--rule", "one_se", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["one_se_strength"] == pytest.approx(chosen.one_se_strength)
    np.testing.assert_allclose(found["fit"]["params"], chosen.fit("one_se").params, atol=1e-9)
    by_column = call(capsys, "cv", *given, "--folds", "h", "--json")[1]
    chosen = jglm.cross_validate("y ~ x + g + h", FRAME, family="poisson", strengths=8, folds=FRAME.h)
    assert json.loads(by_column)["best_strength"] == pytest.approx(chosen.best_strength)


def test_bootstrap(folder, capsys):
    given = (folder / "data.csv", "y ~ x", *POISSON, "--resamples", "40", "--seed", "5", "--clusters", "c")
    code, out, _ = call(capsys, "bootstrap", *given, "--json", "--draws", folder / "draws.csv")
    want = jglm.glm("y ~ x", FRAME, family="poisson").bootstrap(resamples=40, seed=5, clusters=FRAME.c)
    assert code == 0
    rows = json.loads(out)["table"]
    np.testing.assert_allclose([r["std_err"] for r in rows], want.bse, rtol=1e-7)
    np.testing.assert_allclose(pandas.read_csv(folder / "draws.csv"), want.params, rtol=1e-7)


def test_tests_of_terms_and_of_models(folder, capsys):
    small, large = folder / "small.jglm", folder / "large.jglm"
    for formula, model in (("y ~ x", small), ("y ~ x + h", large)):
        call(capsys, "fit", folder / "data.csv", formula, *POISSON, "--out", model)
    fits = jglm.load(small), jglm.load(large)
    of_terms = json.loads(call(capsys, "anova", folder / "data.csv", "y ~ x + h", *POISSON, "--json")[1])
    ratio = json.loads(call(capsys, "test", small, "--against", large, "--json")[1])
    want = jglm.lr_test(*fits)
    assert ratio["statistic"] == pytest.approx(want.statistic)
    assert ratio["df"] == 2
    assert of_terms[1] == {"term": "h", "df": 2.0, "deviance": pytest.approx(ratio["statistic"]),
                           "chi2": pytest.approx(ratio["statistic"]), "p": pytest.approx(want.pvalue)}  # fmt: skip
    both = json.loads(call(capsys, "test", large, "h[T.q] = 0", "h[T.r] = 0", "--json")[1])
    assert both["statistic"] == pytest.approx(fits[1].wald_test(["h[T.q] = 0", "h[T.r] = 0"]).statistic)
    single = call(capsys, "test", large, "h[T.q] = 0", "h[T.r] = 0", "--adjust", "holm")[1]
    assert single == f"{fits[1].wald_test(['h[T.q] = 0', 'h[T.r] = 0'], adjust='holm')}\n"
    assert call(capsys, "test", small)[0] == 2
    dropped = call(capsys, "anova", folder / "data.csv", "y ~ x + h", *POISSON, "--drop1")[1]
    assert "<none>" in dropped
    side_by_side = json.loads(call(capsys, "compare", small, large, "--json")[1])
    assert side_by_side["models"] == ["small", "large"]
    assert side_by_side["params"][-1] == [None, pytest.approx(fits[1].params[-1])]
    assert "\\toprule" in call(capsys, "compare", small, large, "--latex")[1]


def test_check(capsys):
    code, out, _ = call(capsys, "check", "--a", "-eta**2", "--json")
    assert code == exitcodes.NO
    report = json.loads(out)
    assert not report["ok"]
    assert [f["what"] for f in report["findings"] if f["level"] == "wrong"] == ["convexity"]
    assert call(capsys, "check", "--a", "open('x')")[0] == exitcodes.BAD_INPUT
    assert cli.parser().parse_args(["check", "--a", "-log(-eta)", "--domain", "-inf", "0"]).domain == [-np.inf, 0]


def test_json_of_families_and_summaries(folder, capsys):
    rows = json.loads(call(capsys, "families", "--json")[1])["families"]
    assert [row["family"] for row in rows] == list(families.catalogue())
    model = folder / "json.jglm"
    said = fitted(folder, capsys, "y ~ x", "--family", "poisson", "--out", str(model))
    assert json.loads(call(capsys, "summary", model, "--json")[1]) == said


# --------------------------------------------------------------------------- options written as calls
HOSTILE = [
    "__import__('os').system('true')", "(lambda: 1)()", "f(**{})", "f(x for x in y)", "f(1 + 1)", "f[0]", "a.b(1)", "",
    "(" * 500, "f(" * 3000, "f'{1}'", "ridge(2) - lasso(1)", "x" * 20_000,
]  # fmt: skip


def test_calls_are_read_and_never_run():
    found = calls.parse("ridge(2) + group_lasso(-1.5, groups=[1, 'a', None], scale=mean) + firth", "penalty")
    assert [(c.name, c.args, c.options, c.given) for c in found] == [
        ("ridge", (2,), {}, True),
        ("group_lasso", (-1.5,), {"groups": [1, "a", None], "scale": "mean"}, True),
        ("firth", (), {}, False),
    ]
    nested = calls.one("minibatch(adam(0.1), epochs=2)", "solver")
    assert nested.args == (calls.Call("adam", (0.1,), {}),)
    (looked_up,) = calls.parse("ridge(__import__('os'))", "penalty")  # a name, which no list of ours has
    with pytest.raises(ValueError, match="unknown penalty '__import__'"):
        calls.make(looked_up.args[0], {"ridge": penalties.ridge}, "penalty")
    for text in HOSTILE:
        with pytest.raises(ValueError, match=r"cannot be read"):
            calls.parse(text, "penalty")


@pytest.mark.parametrize(("options", "message"), [
    (["--penalty", "rigde(1)"], "did you mean 'ridge'?"),
    (["--penalty", "ridge()"], "missing a required argument: 'strength'"),
    (["--penalty", "firth + ridge(1)"], "stands alone"),
    (["--penalty-weight", "x=0"], "give --penalty, --ridge or --lasso too"),
    (["--bounds", "z=0:1"], "no column or term"),
    (["--bounds", "x=0"], "NAME=LOW:HIGH"),
    (["--monotone", "x=sideways"], "TERM=up or TERM=down"),
    (["--solver", "annealing"], "solver is 'annealing'"),
    (["--solver", "minibatch(exec(1))"], "unknown optimizer 'exec'"),
    (["--start", "one,two"], "no numbers"),
    (["--covariance", "HAC(lags=-1)"], "lags is -1"),
    (["--checkpoint", "keep"], "are for streams"),
    (["--fixed", "g=1"], "COLUMN:LEVEL=R"),
])  # fmt: skip
def test_options_that_cannot_be(folder, capsys, options, message):
    code, out, err = call(capsys, "fit", folder / "data.csv", "y ~ x + g", *POISSON, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_families_take_parameters_in_brackets():
    from jglm.commandline import chosen

    assert chosen.named_family("tweedie(power=1.6)").params["power"] == 1.6
    assert chosen.named_family("quasi(mu^2)").name == "quasi"
    assert chosen.named_family("negative_binomial(estimate)").free
    assert chosen.named_family("poisson") == "poisson"
    with pytest.raises(ValueError, match="has no parameters"):
        chosen.named_family("poisson(3)")
    with pytest.raises(ValueError, match="unknown family with parameters"):
        chosen.named_family("nonsense(3)")


# --------------------------------------------------------------------------- how it ends, and what it prints
def test_every_end_has_its_exit_code(folder, capsys, monkeypatch):
    def ends(error):
        def raises(*_, **__):
            raise error

        monkeypatch.setattr(jglm, "load", raises)
        return call(capsys, "summary", "m.jglm")

    assert ends(ValueError("bad\n  \x1b[31mnews")) == (2, "", "jglm: error: bad \\x1b[31mnews\n")
    code, _, err = ends(ZeroDivisionError("a / 0"))
    assert (code, err) == (4, "jglm: error: ZeroDivisionError: a / 0 (not foreseen; --traceback shows where)\n")
    assert ends(KeyboardInterrupt())[::2] == (130, "jglm: interrupted\n")
    assert ends(ZeroDivisionError())[0] == 4
    with pytest.raises(ZeroDivisionError):
        cli.main(["summary", "m.jglm", "--traceback"])
    with pytest.raises(SystemExit) as usage:
        cli.main(["fit", "\x1b]0;title\x07"])
    assert usage.value.code == 2
    for status, code in ((Status.CONVERGED, 0), (Status.FLOOR, 0), (Status.MAX_ITER, 1), (Status.INTERRUPTED, 130)):
        assert exitcodes.of(SimpleNamespace(status=status, converged=status.converged)) == code
    for code in (0, 1, 2, 3, 4, 130):
        assert re.search(rf"^ +{code} ", exitcodes.TEXT, re.MULTILINE)


def test_names_reach_a_terminal_written_out(folder, capsys):
    bad = "z\x1b[2J\x9b\u202e"
    pandas.DataFrame({"y": [1, 2, 4, 3], "g": ["a", bad, "a", bad]}).to_csv(folder / "bad.csv", index=False)
    code, out, _ = call(capsys, "fit", folder / "bad.csv", "y ~ g", *POISSON)
    assert code == 0
    assert "g[T.z\\x1b[2J\\x9b\\u202e]" in out
    code, _, err = call(capsys, "fit", folder / "bad.csv", f"y ~ `{bad}`", *POISSON)
    assert code == 2
    assert not terminal.CONTROLS.search(out + err)
    assert terminal.safe("tab\tline\n") == "tab\tline\n"


def test_values_as_json():
    frame = pandas.DataFrame({"x": [1.5]})
    given = {"a": np.array([1.0, np.nan, np.inf]), 2: (np.int64(3), np.bool_(True)), "t": frame}
    assert terminal.plain(given) == {"a": [1.0, None, None], "2": [3, True], "t": [{"x": 1.5}]}


# --------------------------------------------------------------------------- the page about it
def transcripts():
    """(command, what it prints) of the console blocks of docs/command_line.md."""
    page = (Path(__file__).parents[1] / "docs" / "command_line.md").read_text()
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, said = part.partition("\n")
            yield command, said


def test_the_page_says_what_the_commands_print(tmp_path, capsys, monkeypatch):
    """Line by line; "…" stands for anything, also for several lines."""
    monkeypatch.chdir(tmp_path)
    run = set()
    for command, said in transcripts():
        words = shlex.split(command)
        code, out, err = call(capsys, *words[1:])
        assert code == (exitcodes.NO if "check" in words else 0), err
        wanted = ".*".join(map(re.escape, said.strip().split("…")))
        assert re.fullmatch(wanted, (err + out).strip(), re.DOTALL), f"{command}\n{err}{out}"
        run.add(words[1])
    assert run >= {*cli.COMMANDS} - {"report", "lab", "completion"}


# --------------------------------------------------------------------------- help and completion
def parsers():
    main = cli.parser()
    return main, next(a for a in main._actions if hasattr(a, "add_parser")).choices


def test_the_examples_of_every_help_can_be_run():
    main, commands = parsers()
    assert list(commands) == list(cli.COMMANDS)
    for name, own in commands.items():
        lines = [line for line in own.epilog.splitlines() if line.startswith(f"  jglm {name}")]
        assert lines, name
        for line in lines:
            words = shlex.split(line.split(">")[0].split("|")[0] if ">" in line else line, comments=True)
            assert main.parse_args(words[1:]).command == name
        assert own.format_help().count(" jglm ") >= len(lines)


def test_help_imports_nothing_of_weight():
    code = (
        "import sys; from jglm import cli; cli.parser().format_help(); "
        "print(*{m.split('.')[0] for m in sys.modules} & {'jax', 'numpy', 'pandas', 'scipy', 'pyarrow', 'matplotlib'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_and_names(tmp_path, capsys):
    script = tmp_path / "completion.bash"
    code, out, _ = call(capsys, "completion", "bash")
    assert code == 0
    script.write_text(out)
    (tmp_path / "table.csv").touch()

    def completed(*words):
        program = (
            f"source {shlex.quote(str(script))}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; "
            f"COMP_LINE={shlex.quote(' '.join(words))}; COMP_POINT=${{#COMP_LINE}}; _shtab_jglm; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        bash = ["bash", "--norc", "-c", program]
        done = subprocess.run(bash, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "LC_ALL": "C"})
        return done.stdout.split()

    assert completed("jglm", "pre") == ["predict"]
    assert completed("jglm", "fit", "--expo") == ["--exposure"]
    assert completed("jglm", "fit", "table.csv", "y ~ x", "--family", "pois") == ["poisson"]
    assert completed("jglm", "fit", "table.csv", "y ~ x", "--link", "clo") == ["cloglog"]
    assert "table.csv" in completed("jglm", "fit", "tab")
    for shell in ("zsh", "tcsh"):
        assert "jglm" in call(capsys, "completion", shell)[1]


def test_as_a_program():
    piped = subprocess.Popen([sys.executable, "-m", "jglm", "families"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    piped.stdout.close()  # as "| head" does
    assert (piped.wait(), piped.stderr.read()) == (0, b"")
    piped.stderr.close()
    wrong = subprocess.run([sys.executable, "-m", "jglm", "nonsense"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "invalid choice: 'nonsense'" in wrong.stderr


def test_demo_fits_compares_and_draws(tmp_path):
    from jglm import demo

    said = []
    fit, gap, path = demo.run(tmp_path / "demo.png", said.append, progress=False)
    assert fit.converged
    assert fit.nobs == 20190
    assert gap < 1e-4
    assert path.stat().st_size > 20_000
    assert "NumPy loop" in "\n".join(said)
