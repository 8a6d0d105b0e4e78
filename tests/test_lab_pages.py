"""Every page of the lab, driven in a browser."""

import numpy as np
import pytest
from browser import browser, browser_page  # noqa: F401
from scipy import special

from jglm.lab.experiments import PAGES, answer


@pytest.fixture
def visit(lab, browser_page):  # noqa: F811
    def visit(name, **look):
        page = browser_page(**look)
        page.goto(f"{lab}#/{name}")
        page.wait_for_selector(f"#{name}[data-answers]", timeout=60_000)
        return page

    return visit


def changed(page, name, path, act):
    """What stands at data-value=`path` after `act` changed it."""
    from playwright.sync_api import expect

    place = page.locator(f'#{name} [data-value="{path}"]').first
    before = place.text_content()
    act()
    expect(place).not_to_have_text(before, timeout=60_000)
    page.wait_for_load_state("networkidle")
    return float(place.text_content().replace("−", "-").split(",")[0])


def slide(page, name, field, value):
    return lambda: page.locator(f"#{name} [name={field}]").fill(str(value))


def drag(page, chart, index, right, up):
    """Take a point of a chart with the mouse and move it by so many pixels."""
    point = page.locator(f'[data-chart="{chart}"] .dot.free').nth(index)
    point.scroll_into_view_if_needed()
    box = point.locator(".mark").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right / 2, y - up / 2)
    page.mouse.move(x + right, y - up)
    page.mouse.up()


def test_page_partition(visit):
    page = visit("partition")
    text = page.locator("#partition [name=text]")
    assert changed(page, "partition", "mean", lambda: text.fill("exp(eta)")) == pytest.approx(np.exp(0.5), abs=1e-3)
    assert changed(page, "partition", "variance", slide(page, "partition", "eta", 1)) == pytest.approx(np.e, abs=1e-3)
    page.wait_for_selector('[data-slow="support"]:has-text("whole numbers")', timeout=60_000)
    text.fill("-eta**2")
    page.wait_for_selector('#partition .status:has-text("a variance cannot be negative")', timeout=60_000)
    text.fill("<b>eta</b>")
    page.wait_for_selector('#partition .status:has-text("<b>eta</b>")', timeout=60_000)
    assert page.locator("#partition .status b").count() == 0
    assert "jglm.Family.parse('-eta**2')" in page.locator("#partition .python code").text_content()


def test_page_faces_moves_eta_from_a_mean(visit):
    page = visit("faces")
    act = lambda: page.locator("[data-of=gaussian]").fill("-1")
    assert changed(page, "faces", "bernoulli.mean", act) == pytest.approx(special.expit(-1), abs=1e-3)
    assert page.locator("#faces [name=eta]").input_value() == "-1"


def test_page_logodds_by_mouse_and_keys(visit):
    page = visit("logodds")
    assert changed(page, "logodds", "eta", lambda: drag(page, "logit", 0, -120, 0)) < 0.847
    page.locator('[data-chart="sigmoid"] .dot.free').focus()
    before = float(page.locator("#logodds [name=probability]").input_value())
    changed(page, "logodds", "odds", lambda: page.keyboard.press("ArrowUp"))
    assert float(page.locator("#logodds [name=probability]").input_value()) == pytest.approx(before + 0.01)


def test_page_assembly_takes_a_family_and_sends_x(visit):
    page = visit("assembly")
    act = lambda: page.locator("#assembly [value=bernoulli]").check(force=True)
    assert changed(page, "assembly", "mean", act) == pytest.approx(special.expit(0.94), abs=1e-3)
    page.emulate_media(reduced_motion="reduce")
    assert changed(page, "assembly", "x", lambda: page.locator("#assembly .send").click()) == 2


def test_page_counts_by_mouse_and_keys(visit):
    page = visit("counts")
    assert changed(page, "counts", "line_left", lambda: drag(page, "fits", 0, 0, 150)) > -4
    page.locator('[data-chart="fits"] .dot.free').nth(11).focus()
    before = float(page.locator('#counts [data-value="factor"]').text_content())
    assert changed(page, "counts", "factor", lambda: page.keyboard.press("Shift+ArrowDown")) < before
    assert changed(page, "counts", "factor", lambda: page.locator("#counts .reset").click()) == pytest.approx(1.593)


def test_page_boundary_of_both_models(visit):
    page = visit("boundary")
    changed(page, "boundary", "margin", lambda: drag(page, "plane", 14, 100, 0))  # the place that is asked for
    page.locator('[data-chart="plane"] .dot.free').nth(0).focus()
    assert changed(page, "boundary", "wrong", lambda: page.keyboard.press("Enter")) > 1  # now of the other class
    changed(page, "boundary", "margin", lambda: page.locator("#boundary [value=softmax]").check(force=True))
    assert page.locator("#boundary .rows tr").count() == 3


def test_page_margins(visit):
    page = visit("margins")
    act = lambda: page.locator('#margins [value="-1"]').check(force=True)
    assert changed(page, "margins", "loss", act) == pytest.approx(np.log1p(np.exp(1.6)), abs=1e-3)
    assert changed(page, "margins", "margin", lambda: drag(page, "loss", 0, 80, 0)) > -0.8


def test_page_squares(visit):
    page = visit("squares")
    assert changed(page, "squares", "ends.squares.loss", lambda: page.get_by_text("begin near").click()) < 1
    changed(page, "squares", "ends.squares.loss", lambda: drag(page, "squares", 0, 60, 60))
    assert changed(page, "squares", "one.likelihood.slope", slide(page, "squares", "eta", 0)) == -0.5


def test_page_gaussian(visit):
    page = visit("gaussian")
    assert changed(page, "gaussian", "a", slide(page, "gaussian", "mu", -2)) == 2
    assert changed(page, "gaussian", "square", slide(page, "gaussian", "y", 1)) == -4.5


def test_page_smoothing_steps_to_the_label(visit):
    page = visit("smoothing")
    assert changed(page, "smoothing", "entropy", slide(page, "smoothing", "smoothing", 0)) == 0
    act = lambda: page.locator("#smoothing .step").click()
    before = float(page.locator('#smoothing [data-value="loss"]').text_content())
    assert changed(page, "smoothing", "loss", act) < before


def test_page_steps_climb(visit):
    page = visit("steps")
    once, ten = page.locator("#steps .once"), page.locator("#steps .ten")
    alpha = 10 ** answer("steps", {})["log_alpha"]
    assert changed(page, "steps", "theta", once.click) == pytest.approx(9 * alpha, abs=1e-3)
    ten.click()
    page.wait_for_selector('#steps .made:has-text("11")', timeout=60_000)
    assert float(page.locator('#steps [data-value="away"]').text_content()) < 0.1
    page.locator("#steps [name=family]").select_option("gaussian")
    page.wait_for_selector('#steps .made:has-text("0")', timeout=60_000)


def test_every_page_fits_a_phone_and_touch_moves_points(visit):
    page = visit("partition", width=360, height=740, dark=True)
    for name in PAGES:
        page.locator(".menu").click()
        page.locator(f'nav a[href="#/{name}"]').click()
        page.wait_for_selector(f"#{name}[data-answers]", timeout=60_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        assert page.locator(".page:visible").count() == 1
    page.locator(".menu").click()
    page.locator('nav a[href="#/counts"]').click()
    point = page.locator('[data-chart="fits"] .dot.free').nth(11)
    point.scroll_into_view_if_needed()
    box = point.locator(".mark").bounding_box()
    touch = page.context.new_cdp_session(page)

    def finger(kind, *points):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    def act():
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        finger("touchStart", (x, y))
        finger("touchMove", (x, y + 40))
        finger("touchMove", (x, y + 80))
        finger("touchEnd")

    assert changed(page, "counts", "factor", act) < 1.593


def test_every_control_has_a_name_and_nothing_is_asked_of_the_network(visit, lab):
    page = visit("counts")
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select, button')].filter("
        "e => !(e.labels?.length || e.textContent.trim() || e.getAttribute('aria-label'))).length"
    )
    assert unnamed == 0
    assert page.locator('[data-chart="fits"] .dot.free').first.get_attribute("aria-valuetext") == "x 0.8, 0 customers"
    assert all(url.startswith(lab) for url in page.asked)
