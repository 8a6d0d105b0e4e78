"""Tables that score without jglm, and models that predict without JAX: what they say is what the fit says."""

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

import jglm
from jglm import cli, links
from jglm.inputs.formula import Formula
from jglm.keeping import numpyterms, pieces, tabulated

ROOT = Path(__file__).parents[1]
SCORER = ROOT / "docs" / "examples" / "score_rating_table.py"
RNG = np.random.default_rng(3)
N = 150
FRAME = pandas.DataFrame({
    "g": RNG.choice(["a", "=b", "+c"], N), "h": RNG.choice(["u", "v"], N), "k": RNG.integers(1, 4, N),
    "x": RNG.uniform(18, 80, N), "z": RNG.uniform(1, 3, N), "t": RNG.normal(2010, 4, N), "a b": RNG.uniform(1, 2, N),
    "days": RNG.uniform(0.5, 1, N),
})  # fmt: skip
FRAME["y"] = RNG.poisson(FRAME.days * np.exp(0.5 + 0.3 * (FRAME.h == "v"))).astype(float)
FRAME.loc[[3, 8, 20, 30, 31, 32], "g"] = None
FRAME.loc[[3, 8, 20, 30, 31, 32], "y"] = [1.0, 2, 0, 3, 1, 1]
FORMULAS = {
    "factors and rates": ("y ~ g*h + C(k):x + x + log(z) + `a b` + center(`a b`):h", dict(exposure="days")),
    "curves": ("y ~ bs(x, df=5) + cr(z, df=4) + poly(t, 3) + scale(np.log(z)):h + C(g, contr.sum)", {}),
    "curves by level": ("y ~ h:bs(x, df=4, extrapolation='clip') + I((t - 2010) / 5)**2 + cc(z, df=3):h - 1", {}),
    "offsets": ("y ~ C(k, contr.treatment(base=2)) + offset(log(days)) + I(x**2) + poly(z, 2):x", {}),
    "three ways": ("y ~ g:h:C(k) + x:z", dict(fixed={"t": {2010.0: 1.0, 2011.0: 1.25}})),
}
FITS: dict = {}


def fit(name):
    if name not in FITS:
        text, options = FORMULAS[name]
        frame = FRAME.assign(t=FRAME.t.round().clip(2010, 2011)) if "fixed" in options else FRAME
        FITS[name] = jglm.glm(text, frame, family="poisson", missing="as_missing", penalty=jglm.penalties.ridge(0.5),
                              **options)  # fmt: skip
    return FITS[name]


def new_rows(name, n=40):
    """Rows that the fit has not seen, inside of the ranges of its numbers."""
    rng = np.random.default_rng(5)
    spread = lambda c: rng.uniform(FRAME[c].min(), FRAME[c].max(), n)
    frame = pandas.DataFrame({"x": spread("x"), "z": spread("z"), "t": spread("t"), "a b": spread("a b"),
                              "days": spread("days"), "g": rng.choice(["a", "=b", "+c"], n),
                              "h": rng.choice(["u", "v"], n), "k": rng.integers(1, 4, n)})  # fmt: skip
    frame.loc[::9, "g"] = None
    return frame.assign(t=rng.choice([2010.0, 2011.0], n)) if name == "three ways" else frame


def records(frame):
    """Rows as plain dictionaries, as a program without pandas has them."""
    return [{k: None if v != v else v for k, v in row.items()} for row in frame.to_dict("records")]


# --------------------------------------------------------------------------- scoring without jglm
ALONE = """
import json, runpy, sys
class Refuse:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("jglm", "jax", "numpy", "pandas", "scipy", "formulaic"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
score = runpy.run_path(sys.argv[1])["score"]
for line in sys.stdin:
    path, rows = json.loads(line)
    table = json.load(open(path, encoding="utf-8"))
    print(json.dumps([score(table, row).hex() for row in rows]))
try:
    import jglm
except ImportError:
    print("none")
"""


def test_a_scorer_without_jglm_gives_the_predictions_of_the_fit(tmp_path):
    questions = []
    for i, name in enumerate(FORMULAS):
        path = fit(name).export(tmp_path / f"{i}.json")
        questions.append(json.dumps([str(path), records(new_rows(name))]))
    run = subprocess.run([sys.executable, "-I", "-W", "error", "-c", ALONE, str(SCORER)], input="\n".join(questions),
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr
    *told, last = run.stdout.splitlines()
    assert last == "none"
    for name, line in zip(FORMULAS, told, strict=True):
        scored = [float.fromhex(v) for v in json.loads(line)]
        np.testing.assert_allclose(scored, fit(name).predict(new_rows(name)), rtol=1e-12, err_msg=name)


@pytest.fixture(scope="module")
def score():
    spec = {"__name__": "scorer"}
    exec(compile(SCORER.read_text(), str(SCORER), "exec"), spec)
    return spec["score"]


@pytest.mark.parametrize("name", [*tabulated.NAMED, *tabulated.POWERS, "power(0.25)"])
def test_the_scorer_knows_the_links(name, score):
    q = tabulated.POWERS.get(name, 0.25 if name.startswith("power") else None)
    table = {"link": name, "terms": ["(constant)"]} | ({} if q is None else {"q": q})
    for lin in (0.3, 0.9, 2.5, 8.0, *(() if q else (-0.4, -3.0, -30.0))):
        table["lines"] = [{"term": "(constant)", "parts": [], "coefficient": lin}]
        assert score(table, {}) == pytest.approx(float(links.get(name).response(np.float64(lin))), rel=1e-12)


def test_a_row_that_meets_no_line_is_an_error(score):
    curved = fit("curves").scoring_table().plain()
    ends = [(dict(x=x), "bs(x, df=5)") for x in (1.0, 99.0)]
    for wrong, term in ((dict(g="new"), "C(g, contr.sum)"), *ends):
        with pytest.raises(LookupError, match=re.escape(term)):
            score(curved, records(new_rows("curves")[:1])[0] | wrong)
    at_the_end = {"x": FRAME.x.max(), "z": FRAME.z.min()}
    one = new_rows("curves")[:1].assign(**at_the_end)
    assert score(curved, records(one)[0]) == pytest.approx(fit("curves").predict(one)[0], rel=1e-12)


def test_arrays_and_other_links(score):
    X = FRAME[["x", "z"]].to_numpy() / 10
    for options in (dict(family="gaussian"), dict(family="bernoulli", link="cloglog", names=["one", "two"]),
                    dict(family="gamma", link=links.power(0.5), intercept=False)):  # fmt: skip
        y = (FRAME.y > 1).astype(float) if options["family"] == "bernoulli" else FRAME.y + 1
        made = jglm.fit(X, y, **options)
        table, names = made.scoring_table().plain(), options.get("names", ["x1", "x2"])
        scored = [score(table, dict(zip(names, row, strict=True))) for row in X[:9].tolist()]
        np.testing.assert_allclose(scored, made.predict(X[:9]), rtol=1e-12)


# --------------------------------------------------------------------------- what the table says
def test_relativities_and_reference_levels():
    made = jglm.glm("y ~ C(k, contr.treatment(base=2)) + h + x", FRAME, family="poisson")
    rows = {(r["term"], r["level1"]): r for r in made.scoring_table().rows()}
    assert rows["h", "u"]["base"]
    assert not rows["h", "v"]["base"]
    coef = dict(zip(made.names, made.params, strict=True))
    assert rows["h", "v"]["coefficient"] == coef["h[T.v]"]
    assert rows["h", "v"]["relativity"] == pytest.approx(math.exp(coef["h[T.v]"]), rel=1e-15)
    assert rows["h", "u"]["relativity"] == 1
    assert rows["C(k, contr.treatment(base=2))", 2]["base"]
    assert rows["x", None]["power1"] == 1
    assert rows["x", None]["coefficient"] == coef["x"]
    assert rows["(constant)", None]["coefficient"] == coef["Intercept"]
    additive = jglm.glm("y ~ h", FRAME, family="gaussian").scoring_table()
    assert "relativity" not in additive.rows()[0]
    assert list(additive.table().columns) == ["term", "variable1", "level1", "base", "coefficient"]


def test_interactions_have_a_line_for_every_pair():
    table = fit("factors and rates").scoring_table()
    pairs = [tuple(p["level"] for p in line["parts"]) for line in table.lines if line["term"] == "g:h"]
    assert sorted(pairs) == sorted((a, b) for a in ("a", "=b", "+c", "(missing)") for b in ("u", "v"))
    assert len(table.lines) == 1 + 4 + 2 + 8 + 3 + 1 + 1 + 1 + 2 * 2 + 1
    assert repr(table) == "<ScoringTable of 10 terms, 26 lines, link log>"


def test_a_file_of_the_model_exports_the_same_table(tmp_path):
    for name in FORMULAS:
        fit(name).save(tmp_path / "m.jglm")
        assert jglm.load(tmp_path / "m.jglm").scoring_table().plain() == fit(name).scoring_table().plain()


def test_large_factors_are_counted_and_not_written_out(monkeypatch):
    many = pandas.DataFrame({"s": [f"s{i}" for i in range(N)], "h": FRAME.h, "y": FRAME.y})
    made = jglm.glm("y ~ s:h", many, family="poisson", penalty=jglm.penalties.ridge(1.0))
    monkeypatch.setattr(tabulated._Term, "_design", None)
    assert len(made.scoring_table().lines) == 1 + 2 * N


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("y ~ sin(x)", {}, r"term sin\(x\).*no polynomial by pieces.*put what it computes into a column"),
        ("y ~ I(x * z)", {}, "more than one column"),
        ("y ~ half(x)", dict(functions={"half": lambda v: v / 2}), "no polynomial by pieces"),
        ("y ~ poly(x, 2):poly(z, 2)", {}, "surface over two numbers"),
        ("y ~ k:C(k)", {}, "in two ways"),
        ("y ~ first(h)", dict(functions={"first": lambda v: v.str.upper()}), "levels that no column"),
        ("y ~ bs(center(x), df=4)", {}, "no polynomial|no value"),
        ("h ~ x + z", dict(family="categorical"), "one linear predictor"),
        ("y ~ z", dict(family="geometric", link="canonical"), "no inverse that is a plain formula"),
    ],
)
def test_what_cannot_be_written_exactly_is_refused_with_the_reason(text, options, words, tmp_path):
    made = jglm.glm(text, FRAME, **({"family": "poisson", "penalty": jglm.penalties.ridge(0.5)} | options))
    with pytest.raises(ValueError, match=words):
        made.export(tmp_path / "rates.csv")
    assert not list(tmp_path.iterdir())


def test_a_table_that_says_something_else_is_not_written(monkeypatch):
    monkeypatch.setattr(pieces, "ROUNDING", 0.3)
    with pytest.raises(ValueError, match=r"linear predictor is .* from the fit's"):
        fit("curves").scoring_table()


# --------------------------------------------------------------------------- files
def test_csv_has_every_digit_and_no_formula(tmp_path):
    table = fit("factors and rates").scoring_table()
    fit("factors and rates").export(tmp_path / "rates.csv")
    with open(tmp_path / "rates.csv", encoding="utf-8", newline="") as f:
        read = list(csv.DictReader(f))
    assert [float(r["coefficient"]) for r in read] == [line["coefficient"] for line in table.lines]
    assert read[0]["link"] == "log"
    texts = [text for r in read for name, text in r.items() if not name.startswith(("coef", "rel", "low", "origin"))]
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@"))]
    assert {r["level1"].removeprefix("'") for r in read if r["term"] == "g"} == {"a", "=b", "+c", "(missing)"}


def test_levels_that_look_like_formulas_are_texts_in_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    names = ["=HYPERLINK(\"http://x\",\"y\")", "+1", "-1", "@SUM(A1)", "plain", "=cmd|' /C calc'!A0", "'quoted", "\tx"]
    frame = pandas.DataFrame({"g": np.resize(names, N), "y": FRAME.y})
    made = jglm.glm("y ~ g", frame, family="poisson")
    made.export(tmp_path / "rates.xlsx")
    book = openpyxl.load_workbook(tmp_path / "rates.xlsx")
    cells = [cell for sheet in book for row in sheet for cell in row if cell.value is not None]
    assert not [cell.value for cell in cells if cell.data_type == "f"]
    texts = [cell for cell in cells if cell.value in names]
    assert sorted(cell.value for cell in texts) == sorted(names)
    assert all(cell.quotePrefix for cell in texts if cell.value[0] in "=+-@\t")
    sheet = book["scoring table"]
    header = [cell.value for cell in sheet[1]]
    found = {row[header.index("level1")].value: row[header.index("relativity")].value for row in sheet.iter_rows(3)}
    rows = {row["level1"]: row["relativity"] for row in made.scoring_table().rows()[1:]}
    assert found == pytest.approx(rows, rel=1e-14)  # the digits that Excel has
    assert dict(book["model"].values)["formula"] == "y ~ g"
    made.export(tmp_path / "rates.csv")
    with open(tmp_path / "rates.csv", encoding="utf-8", newline="") as f:
        assert not [row[2] for row in csv.reader(f) if row[2].startswith(("=", "+", "-", "@", "\t"))]


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'\.xls'; did you mean '\.xlsx'"):
        fit("offsets").export(tmp_path / "rates.xls")


def test_the_command_line_exports_a_model_file(tmp_path, capsys):
    fit("offsets").save(tmp_path / "m.jglm")
    assert cli.main(["export", str(tmp_path / "m.jglm"), str(tmp_path / "rates.json")]) == 0
    assert json.loads((tmp_path / "rates.json").read_text("utf-8")) == fit("offsets").scoring_table().plain()
    assert re.search(r"\d+ lines of 5 terms written to .*rates.json", capsys.readouterr().err)
    assert cli.main(["export", str(tmp_path / "m.jglm"), str(tmp_path / "rates.txt")]) == 2


def test_the_page_shows_the_scorer_as_it_is():
    page = (ROOT / "docs" / "model_files.md").read_text(encoding="utf-8")
    shown = re.search(r"```python\nimport math\n(.*?)```", page, re.S)[1].strip()
    assert shown in SCORER.read_text(encoding="utf-8")
    assert len(SCORER.read_text(encoding="utf-8").split("def score")[1].split("def worth")[0].splitlines()) <= 14


def test_the_scorer_runs_as_a_program(tmp_path):
    path = fit("offsets").export(tmp_path / "rates.json")
    row = records(new_rows("offsets")[:1])[0]
    call = [sys.executable, str(SCORER), str(path), json.dumps(row)]
    run = subprocess.run(call, capture_output=True, text=True, check=True)
    assert float(run.stdout) == pytest.approx(fit("offsets").predict(new_rows("offsets")[:1])[0], rel=1e-12)


# --------------------------------------------------------------------------- NumPy alone
def ulps(a, b):
    return np.max(np.abs(a - b) / np.spacing(np.abs(b)))


@pytest.mark.parametrize("name", ["factors and rates", "offsets", "three ways"])
def test_numpy_gives_the_linear_predictor_to_the_last_bit(name, tmp_path):
    fit(name).save(tmp_path / "m.jglm")
    model, new = jglm.NumpyModel(tmp_path / "m.jglm"), new_rows(name)
    columns = {c: new[c].tolist() for c in new}
    np.testing.assert_array_equal(model.predict(columns, kind="link"), fit(name).predict(new, kind="link"))
    np.testing.assert_array_equal(model.predict(new), model.predict(columns))
    assert ulps(model.predict(columns), fit(name).predict(new)) <= 2
    assert "poisson" in repr(model)


def test_numpy_knows_splines_policies_and_classes(tmp_path):
    text = "y ~ bs(x, df=4):h + poly(t, 3) + scale(np.log(z)) + C(g, contr.sum) + I(x > 30) + np.maximum(`a b`, 1.5)"
    made = jglm.glm(text, FRAME, family="poisson", missing="as_missing", unseen="as_missing",
                    penalty=jglm.penalties.ridge(0.5))  # fmt: skip
    made.save(tmp_path / "m.jglm")
    new = new_rows("curves").assign(g=["new", *new_rows("curves").g[1:]])
    new.loc[4, "x"] = np.nan
    model = jglm.NumpyModel(tmp_path / "m.jglm")
    np.testing.assert_array_equal(model.predict(new, kind="link"), made.predict(new, kind="link"))
    with pytest.raises(ValueError, match=r"outside of .* its range at the fit"):
        model.predict(new.assign(x=300.0))
    with pytest.raises(ValueError, match=r"'h' has the level 'w', which was not there at the fit \(first: row 0\)"):
        model.predict(new.assign(h="w"))
    with pytest.raises(ValueError, match="no column 'z'"):
        model.predict(new.drop(columns="z"))
    labelled = FRAME.assign(label=FRAME.k.map({1: "p", 2: "q", 3: "r"}))
    for options in ({}, dict(penalty=jglm.penalties.ridge(1.0))):
        classes = jglm.glm("label ~ x + h", labelled, family="categorical", **options)
        classes.save(tmp_path / "m.jglm")
        np.testing.assert_allclose(jglm.NumpyModel(tmp_path / "m.jglm").predict(new.dropna()),
                                   classes.predict(new.dropna()), rtol=1e-14)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["cr(x, df=5)", "cc(x, df=4)", "cr(x, df=4, constraints='center')", "cc(x, df=2)",
     "cs(x, df=3, extrapolation='clip')", "cr(x, df=5, extrapolation='zero')"],
)  # fmt: skip
def test_cubic_splines_of_numpy_are_those_of_formulaic(text):
    fitted = Formula(f"~ {text} - 1", one_sided=True)
    fitted.fit(FRAME[["x"]])
    new = pandas.DataFrame({"x": np.linspace(0, 120, 40)})
    made = numpyterms.numbers(text, {"x": new.x.to_numpy()}, fitted.spec.transform_state)
    assert [text + suffix for suffix in made] == fitted.names
    np.testing.assert_allclose(np.column_stack(list(made.values())), fitted.transform(new)[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", ["1c.gamma", "2.gamma", "2.ridge", "2.lasso", "1a.classes"])
def test_numpy_reads_files_of_arrays_of_every_version(case):
    path = Path(__file__).parent / "references" / "modelfiles" / f"{case}.jglm"
    X, offset = RNG.normal(size=(8, 2)) / 9, np.linspace(0, 1, 8)
    known = jglm.load(path)
    given = dict(offset=offset) if known.has_offset else {}
    np.testing.assert_allclose(jglm.NumpyModel(path).predict(X, **given), known.predict(X, **given), rtol=1e-14)


@pytest.mark.parametrize(
    ("case", "words"),
    [("1a.counts", "version 1"), ("2.text", "needs its log-partition"), ("2.ordinal", "needs its log-partition")],
)  # fmt: skip
def test_what_numpy_alone_cannot_say_is_refused(case, words):
    path = Path(__file__).parent / "references" / "modelfiles" / f"{case}.jglm"
    frame = FRAME[:3].assign(z=0.5, x=0.5, days=2.0, h="u", g="a", k=1)
    rows = np.ones((3, 2)) if case == "2.text" else frame
    with pytest.raises(ValueError, match=words):
        jglm.NumpyModel(path).predict(rows)


def test_contrasts_that_numpy_does_not_make_are_refused(tmp_path):
    jglm.glm("y ~ C(h, contr.helmert)", FRAME, family="poisson").save(tmp_path / "m.jglm")
    with pytest.raises(ValueError, match="contrasts that NumPy alone does not make"):
        jglm.NumpyModel(tmp_path / "m.jglm").predict({"h": ["u"]})


def test_numpy_alone_imports_neither_jax_nor_pandas(tmp_path):
    fit("offsets").save(tmp_path / "m.jglm")
    code = (
        "import json, sys, jglm; model = jglm.NumpyModel(sys.argv[1]); "
        "print(*model.predict(json.loads(sys.argv[2]))); "
        "found = {'jax', 'pandas', 'formulaic', 'scipy', 'narwhals'} & set(sys.modules); assert not found, found"
    )
    new = new_rows("offsets")[:3]
    columns = json.dumps({c: new[c].tolist() for c in ("x", "z", "k", "days")})
    call = [sys.executable, "-c", code, str(tmp_path / "m.jglm"), columns]
    run = subprocess.run(call, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose([float(v) for v in run.stdout.split()], fit("offsets").predict(new), rtol=1e-15)
