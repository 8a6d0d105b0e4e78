"""A headless Chromium for tests of pages: the system's own (Debian: chromium), driven by Playwright. Without it the
tests that ask for `browser_page` are skipped and say so."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def chromium():
    """A started browser."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian package: chromium)")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def browser():
    """One browser for a module's tests."""
    with chromium() as started:
        yield started


@pytest.fixture
def browser_page(browser):
    """A function (width=1280, height=900, dark=False) that opens an empty page. At the end of the test any error in a
    page's console, or thrown by its scripts, fails it; what a page asked of the network is in `page.asked`."""
    contexts, problems = [], []

    def opened(width=1280, height=900, dark=False):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", has_touch=width < 600
        )
        contexts.append(context)
        page = context.new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems, problems
