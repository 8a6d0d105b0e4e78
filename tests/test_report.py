"""The report: a page that stands alone, says what the fit says, and can be read on any screen and on paper."""

import html
import re

import numpy as np
import pandas as pd
import pytest
from browser import browser, browser_page  # noqa: F401

import jglm
from jglm.cli import main

HOSTILE = "<script>alert(1)</script>"
FORMULA = f"y ~ x + `{HOSTILE}` + g"


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(2)
    n = 300
    frame = pd.DataFrame({
        "x": rng.normal(size=n), HOSTILE: rng.uniform(size=n), "years": rng.uniform(0.2, 1.0, n),
        "g": rng.choice(["<b>bold</b>", "年齢 & $x^2$", "plain"], n),
    })  # fmt: skip
    return frame.assign(y=rng.poisson(frame["years"] * np.exp(0.4 * frame["x"] + (frame["g"] == "plain"))))


@pytest.fixture(scope="module")
def fits(frame):
    return [jglm.glm(f, frame, family="poisson", exposure="years") for f in (FORMULA, "y ~ x")]


@pytest.fixture(scope="module")
def path(fits, tmp_path_factory):
    return fits[0].report(tmp_path_factory.mktemp("report") / "page.html", compare=fits[1])


@pytest.fixture(scope="module")
def text(path):
    return path.read_text(encoding="utf-8")


def sections(text):
    return dict(re.findall(r'<section id="([^"]+)">(.*?)</section>', text, re.DOTALL))


# --------------------------------------------------------------------------- what the page says
def test_every_section_is_there_and_nothing_is_left_out(text):
    found = sections(text)
    assert list(found) == ["coefficients", "terms", "actual-expected", "calibration", "comparison", "lorenz",
                           "residuals", "convergence", "data"]  # fmt: skip
    assert 'class="missing"' not in text
    charts = {name: part.count("<svg") for name, part in found.items()}
    assert charts == {"coefficients": 1, "terms": 0, "actual-expected": 3, "calibration": 2, "comparison": 1,
                      "lorenz": 1, "residuals": 3, "convergence": 1, "data": 0}  # fmt: skip


def test_the_numbers_are_those_of_the_fit(text, fits, frame):
    fit = fits[0]
    rows = re.findall(r"<tr><th scope=row>(.*?)</tr>", sections(text)["coefficients"], re.DOTALL)
    assert [html.unescape(row.split("</th>")[0]) for row in rows] == fit.names
    values = np.array([[float(v) for v in re.findall(r'data-value="([^"]+)"', row)] for row in rows])
    table = fit.table()
    expected = np.column_stack([fit.params, np.exp(fit.params), table[["std_err", "z", "p", "low", "high"]]])
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert f"Gini index {fit.lorenz().gini:.4f}" in text
    assert f"{fit.aic:.2f}" in text
    tests = sections(text)["terms"]
    for p in fit.anova().pvalues:
        assert f'data-value="{float(p)}"' in tests


def test_names_are_text(text):
    assert HOSTILE not in text
    assert html.escape(HOSTILE) in text
    assert "<b>bold" not in text
    assert "<script" not in text.replace("<script>//", "", 1)  # the one of the page begins with its comment


def test_the_page_stands_alone_and_is_the_same_each_time(path, text, fits, tmp_path):
    assert not re.findall(r'(?:src|href)="(?!#|data:,)', text)
    assert not re.findall(r"url\((?!#)|@import", text)
    again = fits[0].report(tmp_path / "again.html", compare=fits[1])
    assert again.read_text(encoding="utf-8") == text
    assert not list(tmp_path.glob(".*"))
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_a_model_without_its_data_says_what_is_missing(fits, frame, tmp_path):
    fits[0].save(tmp_path / "model.jglm")
    loaded = jglm.load(tmp_path / "model.jglm")
    found = sections(loaded.report(tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "<svg" in found["coefficients"]
    assert "<svg" in found["convergence"]
    assert "data-value" in found["terms"]
    for name in ("actual-expected", "calibration", "lorenz", "residuals", "data"):
        assert "detached or loaded" in found[name]
        assert "<svg" not in found[name]


def test_the_command_reports_a_model_file_on_a_table(fits, frame, tmp_path, capsys):
    for name, fit in zip(("model", "older"), fits, strict=True):
        fit.save(tmp_path / f"{name}.jglm")
    frame.to_parquet(tmp_path / "rows.parquet")
    names = {name: str(tmp_path / name) for name in ("model.jglm", "older.jglm", "rows.parquet", "page.html")}
    code = main(["report", names["model.jglm"], "--data", names["rows.parquet"], "--compare", names["older.jglm"],
                 "--out", names["page.html"], "--title", "A & B"])  # fmt: skip
    assert code == 0
    assert "report written to" in capsys.readouterr().err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>A &amp; B</h1>" in page
    assert "<svg" in sections(page)["comparison"]
    assert main(["report", names["model.jglm"], "--data", str(tmp_path / "none.csv"), "--out", names["page.html"]]) == 2


def test_of_very_many_groups_the_largest_are_listed(fits, frame):
    from jglm.reporting.contents import _expected_grid

    table = fits[0].actual_expected(np.array([f"row {i}" for i in range(len(frame))]))
    grid = _expected_grid("by row", table, "row")
    assert grid.caption == "The 100 of 300 groups with the most exposure."
    largest = frame["years"].nlargest(100).index
    assert [row[0].text for row in grid.rows] == [f"row {i}" for i in largest]


@pytest.mark.parametrize("family", ["categorical", "quasi", "gaussian"])
def test_what_a_family_cannot_have_is_left_out_with_the_reason(frame, family, tmp_path):
    y = {"categorical": frame["g"], "gaussian": frame["x"] - 3}.get(family, frame["y"])
    given = jglm.families.quasi("mu") if family == "quasi" else family
    fit = jglm.fit(frame[[HOSTILE]], y, family=given)
    found = sections(fit.report(tmp_path / "page.html", data=None).read_text(encoding="utf-8"))
    assert "<svg" in found["coefficients"]
    missing = {name: 'class="missing"' in part for name, part in found.items()}
    scalar = family != "categorical"
    assert missing["actual-expected"] != scalar
    assert missing["lorenz"] == (family in ("categorical", "gaussian"))  # a mean that is negative has no shares
    assert missing["residuals"] == (family in ("categorical", "quasi"))
    assert ("is a vector" in found["calibration"]) != scalar


# --------------------------------------------------------------------------- in a browser
@pytest.fixture
def opened(browser_page, path):  # noqa: F811
    """A function of the screen that opens the report."""

    def open_page(**screen):
        page = browser_page(**screen)
        page.goto(path.as_uri())
        return page

    return open_page


def test_it_opens_without_the_network_and_its_charts_show(opened, path):
    page = opened()
    assert page.asked == [path.as_uri()]
    boxes = page.eval_on_selector_all("svg", "all => all.map(s => [s.clientWidth, s.clientHeight])")
    assert len(boxes) == 12
    assert all(width > 200 and height > 150 for width, height in boxes)
    assert page.evaluate("document.querySelectorAll('b').length") == 0
    assert HOSTILE in page.inner_text("#coefficients")
    assert "年齢 & $x^2$" in page.text_content("#actual-expected svg >> nth=2")


def test_tables_sort_by_mouse_and_by_keyboard(opened):
    page = opened()
    column = lambda: page.eval_on_selector_all(
        "#coefficients tbody tr", "all => all.map(r => +r.cells[1].dataset.value)"
    )
    before = column()
    head = page.locator("#coefficients thead button").nth(1)
    head.click()
    assert column() == sorted(before)
    head.press("Enter")
    assert column() == sorted(before, reverse=True)
    assert page.get_attribute("#coefficients thead th >> nth=1", "aria-sort") == "descending"
    page.locator("#coefficients thead button").nth(0).click()
    names = page.eval_on_selector_all("#coefficients tbody tr", "all => all.map(r => r.cells[0].textContent)")
    assert names[-1] == "x"
    assert page.get_attribute("#coefficients thead th >> nth=1", "aria-sort") is None


def test_a_phone_shows_it_without_scrolling_sideways(opened):
    page = opened(width=360, height=740)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for part in page.locator("summary").all():
        part.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    sizes = page.eval_on_selector_all("svg text", "all => all.map(t => t.getBoundingClientRect().height)")
    assert min(sizes) > 7


def test_dark_and_light_have_their_own_colours(opened):
    colours = []
    for dark in (False, True):
        page = opened(dark=dark)
        colours.append(page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
            " getComputedStyle(document.querySelector('svg text')).fill,"
            " getComputedStyle(document.querySelector('#lorenz svg path[style*=observed]')).stroke]"
        ))  # fmt: skip
    assert all(light != dark for light, dark in zip(*colours, strict=True))
    assert colours[1][1] == colours[1][2]  # text in charts is the page's
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == colours[0][0]  # paper is white


def test_printing_opens_what_is_folded(opened):
    page = opened()
    folded = "document.querySelectorAll('details:not([open])').length"
    assert page.evaluate(folded) > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(folded) == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('details[open]').length") == 0
