"""The documentation: every block of code runs, formulas are those of the catalogue, the site builds and is whole.

A block that cannot run (it installs, it asks for a cluster) is preceded by `<!-- not run: why -->`.
"""

import contextlib
import doctest
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import zlib
from importlib import util
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from browser import browser, browser_page  # noqa: F401  (fixtures)
from cases import etas, vector_etas
from scipy import special

import jglm
from jglm import cli, families, links
from jglm.distributions import expression

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "generator"))

import formulas  # noqa: E402

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
BLOCK = re.compile(r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?^```(?P<kind>\w+)[^\n]*\n(?P<code>.*?)^```$", re.M | re.S)
# Pages that have a test of their own.
ELSEWHERE = {"command_line.md": "test_cli.py", "actuaries.md": "test_rating.py", "examples.md": "test_docs.py"}
NEEDED = {"neural_network.md": "equinox", "coming_from_glum.md": "glum"}  # by pages, beyond what jglm[dev] has
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


# --------------------------------------------------------------------------- blocks of code
class Block(NamedTuple):
    kind: str
    code: str
    line: int
    why: str | None


def blocks(page):
    """The `Block`s of a page, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [Block(m["kind"], m["code"], text[: m.start("code")].count("\n"), m["why"]) for m in BLOCK.finditer(text)]


def run_python(page, block, names):
    """What a block prints: a script as it stands, or examples, which are compared."""
    if ">>>" not in block.code:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(block.code, f"{page}:{block.line + 1}", "exec"), names)
        return out.getvalue()
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    test = parser.get_doctest(block.code, names, page, page, block.line)
    told = io.StringIO()
    runner.run(test, out=told.write, clear_globs=False)
    names.update(test.globs)
    assert not runner.failures, told.getvalue()
    return ""


def run_shell(code):
    """What a shell prints; `jglm` alone in this process, which has imported it already."""
    printed = []
    for line in code.replace("\\\n", " ").splitlines():
        if line.startswith("jglm "):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                assert cli.main(shlex.split(line)[1:]) == 0, line
            printed.append(out.getvalue())
        else:
            done = subprocess.run(["bash", "-ec", line], capture_output=True, text=True)
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            printed.append(done.stdout)
    return "".join(printed)


def run_r(code):
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed (Debian: r-base-core, r-cran-mass)")
    done = subprocess.run(["Rscript", "-"], input=code, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs(page, tmp_path, monkeypatch):
    if page in ELSEWHERE:
        assert page in (ROOT / "tests" / ELSEWHERE[page]).read_text(encoding="utf-8")
        return
    if page in NEEDED:
        pytest.importorskip(NEEDED[page])
    monkeypatch.chdir(tmp_path)
    names, printed = {"__name__": "__main__"}, None
    for block in blocks(page):
        without_flax = "from flax" in block.code and util.find_spec("flax") is None
        if block.why or "--8<--" in block.code or without_flax:
            printed = None
        elif block.kind == "text":
            assert printed is not None, f"{page}:{block.line + 1}: output of no block that was run"
            same = doctest.OutputChecker().check_output(block.code, printed, FLAGS)
            assert same, f"{page}:{block.line + 1}\n{block.code}\nis\n{printed}"
        elif block.kind == "python":
            printed = run_python(page, block, names)
        else:
            printed = {"sh": run_shell, "r": run_r}[block.kind](block.code)


@pytest.mark.parametrize("name", ["statistician", "actuary", "econometrician", "ml_engineer", "geneticist"])
def test_scripts_print_what_the_page_says(name, capsys, monkeypatch):
    path = DOCS / "examples" / f"{name}.py"
    assert len(path.read_text().splitlines()) < 30
    page = (DOCS / "examples.md").read_text(encoding="utf-8")
    said = re.search(rf"--8<-- \"docs/examples/{name}\.py\".*?```text\n(.*?)^```", page, re.M | re.S)[1]
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out
    assert doctest.OutputChecker().check_output(said, printed, FLAGS), printed


# --------------------------------------------------------------------------- formulas
def shown(name):
    pictures = pytest.importorskip("pictures")
    return pictures.shown(name)


@pytest.mark.parametrize("name", families.catalogue())
def test_formulas_are_those_of_the_catalogue(name):
    family = shown(name)
    eta = np.asarray(etas(family, 1.5, 4) if family.dim is None else vector_etas(family, 5))
    params = {k: float(v) for k, v in family.params.items()}
    if name in formulas.BEYOND:
        values = [formulas.BEYOND[name][1](special, np, e, **params) for e in eta]
    else:
        a = expression.parse(formulas.LOG_PARTITION[name])
        used = {k: v for k, v in params.items() if k in a.parameters}
        values = [a(e, **used) for e in eta]
    np.testing.assert_allclose(values, [family.a(e) for e in eta], rtol=1e-8, atol=1e-9)
    if name in formulas.VARIANCE:
        variance = expression.parse(formulas.VARIANCE[name], "mu")
        used = {k: v for k, v in params.items() if k in variance.parameters}
        mean = [float(family.mean(e)) for e in eta]
        np.testing.assert_allclose([variance(m, **used) for m in mean], family.variance(eta), rtol=1e-6)
    y = 0.3
    for text, value in zip(formulas.STATISTIC.get(name, ()), np.atleast_1d(family.statistic(y)), strict=False):
        assert float(expression.parse(text, "y")(y)) == pytest.approx(float(value), rel=1e-6)


def test_formulas_of_links_are_those_of_the_links():
    catalogue = pytest.importorskip("catalogue")
    assert set(catalogue.LINKS) == set(catalogue.LINK_TEX) | set(catalogue.LINK_BEYOND)
    assert set(links.NAMES) - {"canonical", "log_natural"} == set(catalogue.LINKS) - {"power(q)"}
    for name, text in catalogue.LINK_TEX.items():
        link, formula = links.get(name.replace("(q)", "(3)")), expression.parse(text, "mu")
        params = {"q": 3.0} if "(q)" in name else {}
        for mu in (0.2, 0.7):
            assert float(formula(mu, **params)) == pytest.approx(float(link.forward_(mu, **link.params)), rel=1e-6)


def test_tex():
    assert doctest.testmod(formulas).failed == 0
    assert formulas.tex("(1 - exp(eta))**(-r)") == "(1 - e^{\\eta})^{-r}"
    with pytest.raises(ValueError, match="no TeX"):
        formulas.tex("eta % 2")


# --------------------------------------------------------------------------- the site
@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built from a copy of what a build reads, with whatever pictures are there already."""
    missing = [m for m in ("mkdocs", "material", "mkdocstrings", "latex2mathml") if util.find_spec(m) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


def test_the_site_builds_and_names_no_other_host(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?:https?:)?//[^"]+"', text), page
        assert 'class="arithmatex"' not in text, f"{page}: a formula is no MathML"


def test_the_reference_has_every_public_name(site):
    inventory = zlib.decompress((site / "objects.inv").read_bytes().split(b"\n", 4)[4])  # behind four lines of text
    names = {line.split(" ")[0] for line in inventory.decode().splitlines()}
    missing = [name for name in jglm.__all__ if f"jglm.{name}" not in names]
    assert not missing, f"not in the API reference: {missing}"
    assert {"jglm.Fit.predict", "jglm.Fit.wald_test", "jglm.Family.log_prob"} <= names


def test_the_site_in_a_browser(site, browser_page):  # noqa: F811
    for width, dark in ((1280, False), (360, True)):
        page = browser_page(width, 900, dark=dark)
        for name in ("index.html", "families/counts.html", "lesson/recipe.html", "reference/results.html"):
            page.goto((site / name).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.goto((site / "families/counts.html").as_uri())
        visible = "all => all.filter(i => i.offsetWidth > 0).map(i => i.src)"
        seen = page.locator("img[src*='/poisson']").evaluate_all(visible)
        assert len(seen) == 1
        assert all(("-dark.svg" in src) == dark for src in seen)
        assert all(url.startswith(("file:", "data:", "blob:")) for url in page.asked), page.asked


def test_search_works_from_files(site, browser_page):  # noqa: F811
    page = browser_page()
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("s")
    page.keyboard.type("overdispersed", delay=10)
    page.wait_for_selector(".md-search-result__item", timeout=15_000)
    assert page.locator(".md-search-result__link").count() > 0
