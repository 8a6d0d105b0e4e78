"""Model files: those of every layout answer as they did, one goes to another machine whole, and none that is damaged or
forged is taken for a model."""

import contextlib
import importlib.util
import json
import subprocess
import sys
import warnings
from pathlib import Path

import mutations
import numpy as np
import pytest

import jglm
from jglm.inputs import plain
from jglm.keeping import io, upgrades

FOLDER = Path(__file__).parent / "references" / "modelfiles"
spec = importlib.util.spec_from_file_location("make_modelfiles", FOLDER / "make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)
WRITTEN = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
CASES = [(layout, case) for layout, cases in WRITTEN.items() for case in cases]
FILES = sorted(FOLDER.glob("*.jglm"))
EXACT = ("params", "deviance", "null_deviance", "nobs")
PREDICTED = ("mean", "link")


@pytest.mark.parametrize(("layout", "case"), CASES)
def test_an_old_file_answers_as_it_did(layout, case):
    fit = jglm.load(FOLDER / f"{layout}.{case}.jglm")
    said = make.answers(fit)
    for question, answer in WRITTEN[layout][case].items():
        if question == "classes" or question in EXACT:
            assert np.array_equal(said[question], answer, equal_nan=question != "classes"), question
        elif np.all(np.isfinite(np.asarray(answer, float))):
            # Predictions to what another machine's BLAS may round otherwise; figures of the densities found by
            # quadrature, and the steps that found them, have changed in late digits.
            tol = 4e-15 if question in PREDICTED else 1e-6
            np.testing.assert_allclose(said[question], answer, rtol=tol, atol=tol / 1e3, err_msg=question)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_old_file_written_again_says_the_same_to_the_last_bit(path, tmp_path):
    fit = jglm.load(path)
    fit.save(tmp_path / "again.jglm")
    assert io.read(tmp_path / "again.jglm")[1]["version"] == io.VERSION
    first, again = make.answers(fit), make.answers(jglm.load(tmp_path / "again.jglm"))
    assert {k: repr(v) for k, v in again.items()} == {k: repr(v) for k, v in first.items()}


def test_every_layout_and_the_current_one_are_there():
    assert sorted(WRITTEN) == ["1a", "1b", "1c", "2"]
    assert set(WRITTEN["2"]) == set(make.fits())
    versions = {layout: {io.read(FOLDER / f"{layout}.{case}.jglm")[1]["version"] for case in WRITTEN[layout]}
                for layout in WRITTEN}  # fmt: skip
    assert versions == {"1a": {1}, "1b": {1}, "1c": {1}, "2": {2}}
    assert io.VERSION == 2
    assert sorted(upgrades.STEPS) == list(range(1, io.VERSION))


# --------------------------------------------------------------------------- on another machine
FRESH = """
import json, sys
import jglm
for line in sys.stdin:
    path, columns, array, offset = json.loads(line)
    fit = jglm.load(path)
    told = fit.predict(columns, unseen="as_missing") if fit.formula else fit.predict(array, offset=offset)
    print(json.dumps([v.hex() for v in told.ravel().tolist()]))
unwanted = {"matplotlib", "polars", "sklearn", "statsmodels", "optax"} & set(sys.modules)
assert not unwanted, unwanted
"""


def test_a_fresh_process_without_the_data_predicts_the_same_to_the_last_bit():
    frame = make.frame()[:7]
    cases = ["counts", "transforms", "classes", "text", "ridge"]
    paths = [FOLDER / f"2.{case}.jglm" for case in cases]
    columns = {name: list(frame[name]) for name in ("x", "z", "g", "h", "k", "days")}
    X, offset, questions, expected = make.X[:7], [0.25] * 7, [], []
    for path in paths:
        fit = jglm.load(path)
        questions.append(json.dumps([str(path), columns, X.tolist(), offset if fit.has_offset else None]))
        told = fit.predict(frame) if fit.formula else fit.predict(X, offset=offset if fit.has_offset else None)
        expected.append([v.hex() for v in told.ravel().tolist()])
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", FRESH], input="\n".join(questions), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert [json.loads(line) for line in run.stdout.splitlines()] == expected


def test_a_model_file_holds_no_row_of_the_data(tmp_path):
    names = [f"person{i}" for i in range(make.N)]
    secret = make.frame().assign(x=np.linspace(0.123456789, 0.987654321, make.N), name=names)
    fit = jglm.glm("y ~ x + C(g) + bs(z, df=4)", secret, family="poisson", exposure="days")
    fit.save(tmp_path / "m.jglm")
    arrays, facts = io.read(tmp_path / "m.jglm")
    assert max(a.shape[0] for k, a in arrays.items() if a.ndim and k != "history") <= len(fit.names) < make.N
    assert "person" not in (tmp_path / "m.jglm").read_bytes().decode("latin-1")
    assert not [v for v in secret["x"][1:-1] if v.hex() in json.dumps(facts)]


# --------------------------------------------------------------------------- versions
def test_a_newer_file_is_refused(tmp_path):
    arrays, facts = io.read(FILES[0])
    for version, words in ((io.VERSION + 1, "version 3; this jglm reads up to 2: load it with the jglm that wrote it"),
                           ("2", "format version is '2'"), (True, "format version is True"), (0, "is 0"), (2.0, "2.0"),
                           (10**30, "reads up to 2")):  # fmt: skip
        (tmp_path / "m").write_bytes(mutations.sealed(arrays, facts | {"version": version}))
        with pytest.raises(ValueError, match=words):
            jglm.load(tmp_path / "m")


# --------------------------------------------------------------------------- damaged and forged files
def outcome(path, asks):
    """The message with which a file is refused, or None where it says a whole model; any other error is the test's."""
    try:
        fit = jglm.load(path)
        if asks and fit.formula is not None:
            fit.predict(make.frame()[:3], kind="link", unseen="baseline")
        elif asks:
            fit.predict(np.ones((3, len(fit.names) - fit.intercept)), kind="link", offset=np.zeros(3))
    except ValueError as error:
        return str(error)
    assert np.all(np.isfinite(fit.params[fit.kept]))
    return None


@pytest.mark.parametrize("part", range(4))
def test_a_thousand_mutated_files_are_refused_or_whole(part, tmp_path):
    told, mark, rows = [], tmp_path / "was_run", make.frame()[:3]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of numbers as large as they can be
        for i in range(part * 250, part * 250 + 250):
            rng = np.random.default_rng([20, i])
            (tmp_path / "m").write_bytes(mutations.mutated(rng, FILES[rng.integers(len(FILES))], mark))
            told.append(outcome(tmp_path / "m", asks=i % 25 == 0))
            with contextlib.suppress(ValueError):  # any other error is the test's
                model = jglm.NumpyModel(tmp_path / "m")
                model.predict(np.ones((3, 2)) if model.formula is None else rows, kind="link")
            assert not mark.exists(), i
    refused = [text for text in told if text is not None]
    assert 150 < len(refused) < 250  # a changed figure is still a model, and most changes are none
    assert min(map(len, refused)) > 20


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("text", "y ~ x + I(__import__('os').system('touch {mark}'))"),
        ("text", "I(__import__('os').system('touch {mark}')) ~ x"),
        ("text", "y ~ x + {open('{mark}', 'w')}"),
        ("text", "y ~ " + "(" * 5000),
        ("text", "y ~ x ** 999999999"),
        ("text", "y ~ bs(x, df=10**9)"),
        ("levels", {"dict": [["__import__('os').system('touch {mark}')", {"list": ["a"]}]]}),
        ("transforms", {"dict": [["bs(x, df=4)", {"dict": [["knots", "open('{mark}', 'w')"]]}]]}),
        ("structure", [[["open('{mark}')"], [[1.0, [["open('{mark}')", True]]]]]]),
        ("missing", "open('{mark}', 'w')"),
        ("functions", ["__import__"]),
        ("names", ["y"] * 3),
    ],
    ids=lambda v: v if isinstance(v, str) and v.isalpha() else "",
)
def test_a_forged_formula_is_refused_and_runs_nothing(where, value, tmp_path):
    arrays, facts = io.read(FOLDER / "2.transforms.jglm")
    mark = tmp_path / "mark"
    facts["formula"][where] = json.loads(json.dumps(value).replace("{mark}", str(mark)))
    (tmp_path / "m").write_bytes(mutations.sealed(arrays, facts))
    with pytest.raises(ValueError, match=r"model|formula|missing|level"):
        jglm.load(tmp_path / "m").predict(make.frame())
    assert not mark.exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [("text", "__import__('os').system('touch {mark}')"), ("natural", "exp(eta)"), ("sampler", "open"), ("a", "eta"),
     ("support", "everything"), ("text", "exp(eta)**"), ("dispersion", "a")],
)  # fmt: skip
def test_a_forged_family_text_is_refused_and_runs_nothing(key, value, tmp_path):
    arrays, facts = io.read(FOLDER / "2.text.jglm")
    made = dict(plain.decode(facts["family"]["made"])[1]) | {key: value.replace("{mark}", str(tmp_path / "mark"))}
    facts["family"]["made"] = plain.encode(("parse", tuple(made.items())))
    (tmp_path / "m").write_bytes(mutations.sealed(arrays, facts))
    with pytest.raises(ValueError, match=r"expression|family|model file|dispersion|support|params"):
        jglm.load(tmp_path / "m")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "value",
    [{"float": "1"}, {"float": "0x1p3"}, {"array": [1, True, 0], "shape": [3]}, None, "text", True, 12, {"list": []},
     {"dict": [["a", {"tuple": [1, {"float": "nan"}]}]]}],
    ids=str,
)  # fmt: skip
def test_plain_values_come_back_as_they_were(value):
    read = plain.decode(value)
    assert repr(plain.decode(plain.encode(read))) == repr(read)


@pytest.mark.parametrize(
    "value",
    [1.5, [1], {}, {"float": 1}, {"float": "one"}, {"float": "0x1p9999"}, {"set": [1]}, {"list": 3},
     {"array": [1], "shape": [2]}, {"array": [1], "shape": [-1]}, {"array": ["a"], "shape": [1]},
     {"array": [1], "shape": [10**30]}, {"array": [1], "shape": "x"}, {"list": [], "tuple": []},
     {"dict": [[1]]}, {"dict": [[{"list": []}, 1]]}, {"dict": 3}, mutations.deep(30)],
    ids=lambda v: str(v)[:40],
)  # fmt: skip
def test_values_that_no_file_has_are_refused(value):
    with pytest.raises(ValueError, match=r"model file|hex"):
        plain.decode(value)
    nested = {"list": [value]}
    for _ in range(50):
        nested = {"list": [nested]}
    with pytest.raises(ValueError, match="deep"):
        plain.decode(nested)
