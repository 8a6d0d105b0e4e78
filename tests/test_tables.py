"""Tables for documents (LaTeX, Markdown, great_tables) and in notebooks: what they hold, and that names do no harm."""

import re
import shutil
import subprocess

import jax.numpy as jnp
import numpy as np
import pandas
import pytest

import jglm
from jglm.reporting import tables

EVIL = "<script>alert(1)</script>"
NAMES = ["a_b & 50% #1", "x{1}~^\\|", "[low] *"]


def arrays(n=60):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, 3))
    return X, rng.poisson(np.exp(0.3 + 0.4 * X[:, 0]))


@pytest.fixture(scope="module")
def fit():
    X, y = arrays()
    return jglm.fit(X, y, family="poisson", names=NAMES)


@pytest.fixture(scope="module")
def evil():
    X, y = arrays()
    return jglm.fit(X, y, family="poisson", names=[EVIL, "b", "c"])


def cells(latex):
    """The cells of a tabular, row by row."""
    rows = [line.removesuffix(r" \\") for line in latex.splitlines() if line.endswith(r"\\")]
    return [re.split(r"(?<!\\) & ", row) for row in rows]


# --------------------------------------------------------------------------- LaTeX
def test_latex_has_the_numbers_and_escaped_names(fit):
    text = fit.summary().to_latex()
    rows = cells(text)
    names = [r"a\_b \& 50\% \#1", r"x\{1\}\textasciitilde{}\textasciicircum{}\textbackslash{}\textbar{}", r"{[low] *}"]
    assert [r[0] for r in rows[1:5]] == ["Intercept", *names]
    values = [float(r[1].replace("$-$", "-")) for r in rows[1:5]]
    np.testing.assert_allclose(values, fit.params, atol=5e-5)
    assert {len(r) for r in rows if "multicolumn" not in r[0]} == {7}
    assert ["AIC", f"{fit.aic:.2f}"] in [r[:2] for r in rows]
    assert text.startswith(r"\begin{tabular}{lrrrrrr}")
    assert text.count("toprule") == text.count("bottomrule") == 1
    inside = fit.summary().to_latex(caption="A fit", label="tab:fit")
    assert inside.startswith("\\begin{table}\n\\centering\n\\caption{A fit}\n\\label{tab:fit}\n" + text[:20])


@pytest.mark.parametrize(("text", "written"), [
    ("-0.25", "$-$0.25"), ("5.656e-04", r"5.656$\times 10^{-4}$"), ("-1e+06", r"$-$1$\times 10^{6}$"),
    ("<0.001", r"\textless{}0.001"), ("[-1.0, 2.0]", "[$-$1.0, 2.0]"), ("1,234", "1,234"), ("a-b", "a-b"),
    ("-0.5***", "$-$0.5***"), ("irls, 5 passes", "irls, 5 passes"), ("NA", "NA"),
])  # fmt: skip
def test_numbers_are_typeset(text, written):
    assert tables._latex_cell(text) == written


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine (Debian: texlive-latex-base)")
def test_latex_compiles(tmp_path, fit):
    parts = [fit.summary().to_latex(), jglm.compare(fit, fit, stars=True, show="interval").to_latex("Two", "tab:two"),
             fit.anova().to_latex(), fit.relativities().to_latex()]  # fmt: skip
    body = "\n\n".join(["\\documentclass{article}\\usepackage{booktabs}\\begin{document}", *parts, "\\end{document}"])
    (tmp_path / "t.tex").write_text(body)
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


# --------------------------------------------------------------------------- Markdown
def test_markdown_is_a_pipe_table(fit):
    lines = [line for line in fit.summary().to_markdown().splitlines() if line.startswith("|")]
    assert lines[1] == "|:---|" + "---:|" * 6
    split = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert {len(row) for row in split} == {7}
    assert r"\[low\] \*" in lines[5]
    np.testing.assert_allclose([float(row[1]) for row in split[2:6]], fit.params, atol=5e-5)


def test_markup_in_names_is_text_everywhere(evil):
    for shown in (evil.summary(), jglm.compare(evil, names=[EVIL]), evil.anova(), evil.relativities()):
        assert EVIL not in shown.to_markdown()
        assert EVIL not in shown.to_gt().as_raw_html()
        assert EVIL not in shown._repr_html_()
        assert "alert(1)" in shown._repr_html_()


# --------------------------------------------------------------------------- great_tables
def test_great_tables_hold_what_the_summary_does(fit):
    table = fit.summary().to_gt()
    assert type(table).__name__ == "GT"
    page = table.as_raw_html()
    for text in (f"{fit.params[0]:.4f}", f"{fit.bse[2]:.4f}", "Log-likelihood", "50% #1"):
        assert text in page


def test_classes_stand_in_blocks():
    X, _ = arrays()
    labels = np.array(["low", "mid", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
    fit = jglm.fit(X[:, 1:], labels, family="categorical")
    text = fit.summary().to_latex()
    assert r"\textit{class low}" in text
    assert text.count(r"\midrule") == 3  # two classes and the facts
    assert "**class low**" in fit.summary().to_markdown()
    assert "class low" in fit.summary().to_gt().as_raw_html()


# --------------------------------------------------------------------------- side by side
def test_intervals_below_coefficients(fit):
    X, y = arrays()
    small = jglm.fit(X[:, :1], y, family="poisson", names=NAMES[:1])
    found = jglm.compare(small, fit, names=["small", "large"], show="interval", level=0.9)
    low, high = fit.conf_int(0.9)[1]
    assert f"[{low:.4f}, {high:.4f}]" in str(found)
    rows = cells(found.to_latex())
    assert rows[0] == ["", "small", "large"]
    assert rows[5][1] == ""  # the small fit has no second coefficient
    assert [r for r in rows if r[0] == "Observations"] == [["Observations", "60", "60"]]
    assert "*" not in found.to_latex().replace("{[low] *}", "")
    assert "p \\textless{} 0.05" in jglm.compare(fit, stars=True).to_latex()
    with pytest.raises(ValueError, match="show"):
        jglm.compare(fit, show="t")


# --------------------------------------------------------------------------- notebooks
def test_what_users_look_at_in_a_notebook_escapes_names(tmp_path, evil):
    X, y = arrays()
    frame = pandas.DataFrame(X, columns=[EVIL, "b", "c"]).assign(y=y)
    path = jglm.path(frame[[EVIL, "b", "c"]], y, family="poisson", strengths=3)
    many = jglm.fit_many(X[:, :1], np.stack([y, y + 1], axis=1), family="poisson", names=[EVIL])
    scan = jglm.score_scan(X[:, 1:], jglm.fit(X[:, :1], y, family="poisson"), names=[EVIL, "d"])
    frame.to_parquet(tmp_path / "f.parquet")
    separation = jglm.find_separation(np.arange(8.0)[:, None], np.arange(8) > 3, family="bernoulli", names=[EVIL])
    assert separation
    shown = {
        "fit": evil, "path": path, "many": many, "scan": scan, "separation": separation,
        "bootstrap": evil.bootstrap(resamples=20, seed=0), "profile": evil.profile(),
        "stream": jglm.open_parquet(tmp_path / "f.parquet"), "test": evil.wald_test([f"`{EVIL}` = 0"]),
        "cv": jglm.cross_validate(frame[[EVIL, "b", "c"]], y, family="poisson", strengths=30, folds=3, seed=0),
        "family": jglm.check_family(jglm.Family(EVIL, a=jnp.exp)),
    }  # fmt: skip
    for name, value in shown.items():
        page = value._repr_html_()
        assert "<script" not in page, name
        assert page.count("<div") == page.count("</div>") > 0, name
        if name not in ("path", "cv"):
            assert "alert(1)" in page, name
    assert "more rows" in shown["cv"]._repr_html_()
    assert f"{shown['cv'].best_strength:.5g}" in shown["cv"]._repr_html_()
