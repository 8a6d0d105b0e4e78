"""The lab: what its experiments compute against closed forms and other libraries, the lines that they show, the walls
of its server, and every page driven in a browser."""

import http.client
import json
import socket
import threading
from importlib import resources
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser import browser, browser_page  # noqa: F401
from scipy import optimize, special, stats

from jglm import cli
from jglm.lab import reading, server
from jglm.lab.experiments import PAGES, QUESTIONS, answer
from jglm.lab.worker import Worker, respond

MODELS = {"boundary": {"model": "softmax"}}


# --------------------------------------------------------------------------- what the experiments compute
def test_a_text_gives_mean_variance_link_and_density():
    coin = answer("partition", {"text": "log(1 + exp(eta))", "eta": 0.5})
    mean, got = special.expit(0.5), [coin[name] for name in ("a", "mean", "variance")]
    np.testing.assert_allclose(got, [np.log1p(np.exp(0.5)), mean, mean - mean**2])
    np.testing.assert_allclose(coin["curves"]["mean"], special.expit(coin["curves"]["eta"]), rtol=1e-12)
    found = answer("density", {"text": "log(1 + exp(eta))", "eta": 0.5})
    assert (found["support"], found["discrete"], found["y"].tolist()) == ("y = 0 or 1", True, [0.0, 1.0])
    np.testing.assert_allclose(found["p"], [1 - mean, mean], rtol=1e-12)
    np.testing.assert_allclose(found["link"], 0.5)


def test_a_domain_moves_the_axis_and_the_density_is_continuous():
    shown = answer("partition", {"text": "-log(-eta)", "high": 0, "eta": -0.5})
    np.testing.assert_allclose(shown["mean"], 2.0)
    assert shown["high"] < 0
    found = answer("density", {"text": "-log(-eta)", "high": 0, "eta": -0.5})
    inner = found["y"] > 0
    np.testing.assert_allclose(found["p"][inner], stats.expon(scale=2).pdf(found["y"][inner]), rtol=1e-8)
    assert not found["discrete"]


def test_what_is_no_log_partition_is_said_so():
    assert "a variance cannot be negative" in answer("partition", {"text": "-eta**2"})["trouble"]
    assert "not finite at η = -4" in answer("partition", {"text": "log(eta)"})["trouble"]
    with pytest.raises(ValueError, match="variance cannot"):
        answer("density", {"text": "-eta**2"})
    assert "an approximation" in answer("density", {"text": "eta**4 + eta**2"})["trouble"]
    verdict = answer("verdict", {"text": "-eta**2"})
    assert not verdict["ok"]
    assert [f["what"] for f in verdict["findings"] if f["level"] == "wrong"] == ["convexity"]


def test_moving_eta_compiles_nothing_and_a_new_text_one_program(compilations):
    answer("partition", {"text": "exp(eta) + eta**2", "eta": 0.1})
    before = compilations()
    answer("partition", {"text": "exp(eta) + eta**2", "eta": 1.1})
    assert compilations() == before
    answer("partition", {"text": "exp(eta) + 2 * eta**2", "eta": 1.1})
    assert compilations() == before + 1


def test_three_families_share_eta():
    eta, odds = 0.7, np.exp(0.7)
    faces = answer("faces", {"eta": eta})
    np.testing.assert_allclose(faces["bernoulli"]["p"], [1 / (1 + odds), odds / (1 + odds)])
    np.testing.assert_allclose(faces["poisson"]["p"], stats.poisson(odds).pmf(faces["poisson"]["y"]), rtol=1e-10)
    np.testing.assert_allclose(faces["gaussian"]["p"], stats.norm(eta).pdf(faces["gaussian"]["y"]), rtol=1e-10)
    thirds = [faces[name]["third"] for name in ("bernoulli", "poisson", "gaussian")]
    np.testing.assert_allclose(thirds, [odds, np.exp(-odds), stats.norm.cdf(eta)], rtol=1e-10)
    assert [faces[name]["natural"] for name in ("bernoulli", "poisson", "gaussian")] == pytest.approx([eta] * 3)
    np.testing.assert_allclose(answer("faces", {"of": "poisson", "mean": 5.0})["eta"], np.log(5))


def test_log_odds_and_sigmoid_are_inverse():
    found = answer("logodds", {"probability": 0.8})
    np.testing.assert_allclose([found["odds"], found["eta"], found["back"]], [4.0, np.log(4), 0.8])
    np.testing.assert_allclose(found["logit"]["eta"], special.logit(found["logit"]["probability"]), atol=1e-14)
    np.testing.assert_allclose(found["sigmoid"]["probit"], special.ndtr(found["sigmoid"]["eta"]), rtol=1e-10)
    assert found["gap"] < 1e-15


@pytest.mark.parametrize(("family", "mean", "eta", "variance"), [
    ("gaussian", lambda lin: lin, lambda mu: mu, lambda mu: 1.0),
    ("bernoulli", special.expit, special.logit, lambda mu: mu * (1 - mu)),
    ("poisson", np.exp, np.log, lambda mu: mu),
    ("gamma", np.exp, lambda mu: -1 / mu, lambda mu: mu**2 / 4),
])  # fmt: skip
def test_the_assembly_line(family, mean, eta, variance):
    found = answer("assembly", {"family": family, "x": 1.2, "intercept": -0.2, "slope": 0.5})
    mu = mean(0.4)
    got = [found[name] for name in ("lin", "mean", "eta", "variance")]
    np.testing.assert_allclose(got, [0.4, mu, eta(mu), variance(mu)], rtol=1e-10)
    shown = found["density"]
    mass = shown["p"] if shown["discrete"] else shown["p"] * (shown["y"][1] - shown["y"][0])
    inner = np.isfinite(mass)
    assert 0.98 < mass[inner].sum() < 1.01
    assert np.abs(mass[inner] @ shown["y"][inner] - mu) < 0.03


def test_counts_by_a_line_and_by_a_poisson():
    import statsmodels.api as sm

    points = [[1.0, 0], [2.0, 2], [3.0, 1], [5.0, 6], [8.0, 20]]
    found = answer("counts", {"points": points})
    x, y = np.array(points).T
    line = np.polyfit(x, y, 1)[::-1]
    curve = sm.GLM(y, sm.add_constant(x), family=sm.families.Poisson()).fit().params
    np.testing.assert_allclose(found["line_params"], line, rtol=1e-10)
    np.testing.assert_allclose(found["curve_params"], curve, rtol=1e-7)
    np.testing.assert_allclose(found["zero"], -line[0] / line[1])
    np.testing.assert_allclose([found["line_left"], found["curve_left"]], [line[0], np.exp(curve[0])], rtol=1e-7)
    assert found["line_left"] < 0 < found["curve_left"]


@pytest.mark.parametrize(("points", "message"), [
    ([[1, 0], [2, 0]], "all counts are 0"), ([[1, 3], [1, 4]], "the same x"), ([[1, 0.5], [2, 1]], "whole numbers"),
    ([[1, 2]], "2 to 40"), ([[1, 2], [1]], "2 coordinates"), ([[1, 2], [3, True]], "must be a number"),
    ([[1, 2], [3, 1e9]], "between 0 and 30"), ([[1, 2], [3, float("nan")]], "between"), ("points", "a list"),
])  # fmt: skip
def test_points_that_cannot_be_fitted(points, message):
    with pytest.raises(ValueError, match=message):
        answer("counts", {"points": points})


@pytest.mark.parametrize("model", ["logistic", "softmax"])
def test_boundaries_are_those_of_scikit_learn(model):
    from sklearn.linear_model import LogisticRegression

    found = answer("boundary", {"model": model, "log_strength": 0.0, "at": [0.5, 1.0]})
    X, y = np.array(found["points"])[:, :2], np.array(found["points"])[:, 2]
    other = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(found["chances"], other.predict_proba([[0.5, 1.0]])[0], atol=1e-6)
    grid = np.linspace(-4, 4, found["side"])
    corner = other.predict_proba([[grid[-1], grid[0]]])[0]  # x1 runs fastest
    np.testing.assert_allclose(found["grid"][:, found["side"] - 1], corner, atol=1e-6)
    scores = X @ other.coef_.T + other.intercept_
    if model == "logistic":
        np.testing.assert_allclose(found["margins"], (2 * y - 1) * scores[:, 0], atol=1e-5)
    own = other.predict(X) == y
    assert found["wrong"] == np.sum(~own)
    np.testing.assert_array_equal(found["margins"] > 0, own)


def test_a_class_without_points_is_refused():
    with pytest.raises(ValueError, match="every class needs a point"):
        answer("boundary", {"points": [[0, 0, 0], [1, 1, 0]]})


@pytest.mark.parametrize("y", [-1.0, 1.0])
def test_the_loss_depends_on_the_margin(y):
    found = answer("margins", {"score": 0.6, "y": f"{y:g}"})
    margin = 0.6 * y
    mean, chance = np.tanh(0.6), special.expit(2 * margin)
    want = [np.log1p(np.exp(-2 * margin)), mean, mean - y, chance, special.expit(1.2)]
    np.testing.assert_allclose([found[k] for k in ("loss", "mean", "slope", "chance", "twice")], want, rtol=1e-10)
    np.testing.assert_allclose(found["closed"], found["loss"])
    np.testing.assert_allclose(found["curve"]["loss"], np.log1p(np.exp(-2 * found["curve"]["margin"])), rtol=1e-10)


def test_squares_have_a_second_valley_and_the_likelihood_has_not():
    found, near = answer("squares", {}), answer("squares", {"start": [0.5, 1.0], "eta": 2.0})
    x, y = found["x"], found["y"]

    def squares(theta):
        return np.sum((y - special.expit(theta[0] + theta[1] * x)) ** 2) / 2

    deep = optimize.minimize(squares, [0.0, 0.1], tol=1e-10)
    trapped = optimize.minimize(squares, found["ends"]["squares"]["theta"], tol=1e-10)
    assert trapped.fun > deep.fun + 0.3  # a minimum of its own
    np.testing.assert_allclose(found["ends"]["squares"]["loss"], trapped.fun, atol=0.01)
    np.testing.assert_allclose(near["ends"]["squares"]["theta"], deep.x, atol=1e-3)
    np.testing.assert_allclose(
        found["ends"]["likelihood"]["theta"], near["ends"]["likelihood"]["theta"], atol=1e-3
    )  # from both starts
    h = special.expit(2.0)
    one = near["one"]
    slopes = [one[name]["slope"] for name in ("squares", "likelihood")]
    np.testing.assert_allclose(slopes, [-((1 - h) ** 2) * h, h - 1], rtol=1e-10)
    middle = len(found["grid"]) ** 2 // 2  # theta = 0
    np.testing.assert_allclose(found["surfaces"]["squares"][middle], 1.0)
    np.testing.assert_allclose(found["surfaces"]["likelihood"][middle], 8 * np.log(2))


def test_the_gaussian_in_disguise():
    found = answer("gaussian", {"mu": -0.8, "y": 1.5})
    np.testing.assert_allclose([found["eta"], found["a"]], [-0.8, 0.32])
    np.testing.assert_allclose(found["sum"], found["square"])
    np.testing.assert_allclose(found["curves"]["bell"], stats.norm(-0.8).pdf(found["curves"]["y"]), rtol=1e-12)
    np.testing.assert_allclose(found["curves"]["base"], stats.norm.pdf(found["curves"]["y"]), rtol=1e-12)
    assert found["gap"] < 1e-15


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_soft_labels(smoothing):
    scores = np.array([1.0, 0.5, -1.0, 0.0])
    found = answer("smoothing", {"scores": scores.tolist(), "label": 2, "smoothing": smoothing})
    h, y = special.softmax(scores), np.full(4, smoothing / 4) + (1 - smoothing) * np.eye(4)[2]
    np.testing.assert_allclose(found["h"], h)
    np.testing.assert_allclose(found["loss"], -y @ np.log(h))
    np.testing.assert_allclose(found["gradient"], h - y, atol=1e-15)
    np.testing.assert_allclose(found["hard"], -np.log(h[2]))
    np.testing.assert_allclose(found["entropy"], stats.entropy(y), atol=1e-15)
    if smoothing:
        curve = found["curve"]
        np.testing.assert_allclose(curve["lead"][np.argmin(curve["soft"])], found["best"], atol=0.06)
    else:
        assert found["best"] is None


@pytest.mark.parametrize(("family", "mean"), [
    ("gaussian", lambda eta: eta), ("bernoulli", special.expit), ("poisson", np.exp),
    ("exponential", lambda eta: -1 / eta),
])  # fmt: skip
def test_a_step_adds_the_error_times_the_feature(family, mean):
    theta = [-1.0, 0.3]
    found = answer("steps", {"family": family, "theta": theta, "log_alpha": -2})
    X = np.column_stack([np.ones_like(found["x"]), found["x"]])
    gradient = X.T @ (found["y"] - mean(X @ theta))
    np.testing.assert_allclose(found["automatic"], gradient, rtol=1e-12)
    np.testing.assert_allclose(found["closed"], gradient, rtol=1e-12)
    np.testing.assert_allclose(found["after"], theta + 0.01 * gradient, rtol=1e-12)
    best = X.T @ (found["y"] - mean(X @ found["best"]))
    np.testing.assert_allclose(best, 0, atol=1e-8)
    assert found["most"] > found["loglik"]


def test_a_step_out_of_the_domain_is_announced():
    found = answer("steps", {"family": "exponential", "log_alpha": 1})
    assert answer("steps", {"family": "exponential"})["trouble"] is None
    assert "take a smaller α" in found["trouble"]
    with pytest.raises(ValueError, match="leaves the domain"):
        answer("steps", {"family": "exponential", "theta": [1.0, 0.0]})


# --------------------------------------------------------------------------- the lines of Python that are shown
SAYS = {  # name in the code: where it is in the answer
    "partition": {"mean": "mean", "variance": "variance", "link": "eta"},
    "faces": {"bernoulli": "bernoulli.mean", "poisson": "poisson.mean", "gaussian": "gaussian.mean", "back": "eta"},
    "logodds": {"eta": "eta", "back": "back"},
    "assembly": {"mean": "mean", "eta": "eta", "y": "y"},
    "counts": {"line_left": "line_left", "curve_left": "curve_left"},
    "boundary": {"scores": "scores", "chances": "chances"},
    "margins": {"loss": "loss", "mean": "mean", "chance": "twice"},
    "squares": {"slopes": "slopes"},
    "gaussian": {"eta": "eta", "base": "at.base", "bell": "at.bell"},
    "smoothing": {"h": "h", "loss": "loss", "gradient": "gradient"},
    "steps": {"automatic": "automatic", "closed": "closed", "theta": "after"},
}


@pytest.mark.parametrize("name", PAGES)
def test_the_code_shown_computes_what_is_shown(name):
    found = answer(name, MODELS.get(name, {}))
    space = {}
    exec(f"{found.get('data', '')}\n{found['code']}", space)
    for said, path in SAYS[name].items():
        want = found
        for key in path.split("."):
            want = want[key]
        np.testing.assert_allclose(np.squeeze(space[said]), np.squeeze(want), rtol=1e-9, atol=1e-12, err_msg=said)


def test_the_code_of_a_logistic_boundary():
    found, space = answer("boundary", {}), {}
    exec(f"{found['data']}\n{found['code']}", space)
    np.testing.assert_allclose([space["score"][0], space["chance"][0]], [found["scores"][1], found["chances"][1]])


# --------------------------------------------------------------------------- hostile requests
@pytest.mark.parametrize(("text", "message"), [
    ("__import__('os').system('touch {}')", "may not be used"), ("10**10**10", "too large an exponent"),
    ("exp(" * 45 + "eta" + ")" * 45, "at most 200"), ("-" * 60 + "eta", "is too deep"),
    ("9" * 190, "no number of size"),
    ("eta.__class__", "begins an attribute"), ("(lambda: 0)()", "may not be used"), ("[eta]*9", "is no arithmetic"),
    ("eta" * 5000, "at most 200"), ("x * eta", "x has no value here"), ("eta[0]", "vector"), ("", "is empty"),
    (7, "is empty"), ("exp(eta", "cannot be read"), ("<img src=x onerror=alert(1)>", "may not be used"),
])  # fmt: skip
def test_a_hostile_text_is_refused_and_nothing_runs(tmp_path, text, message):
    made = tmp_path / "made"
    status, said = respond("partition", {"text": text.format(made) if isinstance(text, str) else text})
    assert status == 200
    error = json.loads(said).get("error") or json.loads(said)["trouble"] or ""
    assert message in error
    assert not made.exists()


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("request_", [[], 7, None, "text"])
def test_a_request_is_an_object(question, request_):
    with pytest.raises(ValueError, match="JSON object"):
        answer(question, request_)


@pytest.mark.parametrize("value", [True, "1", None, [], float("inf"), float("nan"), 10**400])
def test_a_number_is_a_number_in_its_range(value):
    with pytest.raises(ValueError, match="eta must be"):
        reading.number({"eta": value}, "eta", 0.0, -5, 5)


def test_a_computation_that_does_not_end_is_stopped_and_the_next_is_answered():
    long = {"text": "gammaln(" * 21 + "eta" + ")" * 21}  # a minute of compiling
    worker, told = Worker(limit=0.05), []
    waiting = threading.Thread(target=lambda: told.append(worker.ask("partition", long)[0]), daemon=True)
    try:
        status, said = worker.ask("partition", long)
        assert (status, "was stopped" in said) == (503, True)
        worker.limit = 120.0
        assert json.loads(worker.ask("partition", {"eta": 0.0})[1])["mean"] == 0.5
        waiting.start()
    finally:
        worker.close()
    waiting.join(timeout=30)
    assert told == [503]
    assert not worker._process.is_alive()


# --------------------------------------------------------------------------- the server
@pytest.fixture(scope="module")
def lab():
    """The address of a lab that computes in this process, so that it shares what is compiled."""
    lock = threading.Lock()

    def ask(question, request):
        with lock:
            return respond(question, request)

    with server.running(ask=ask) as address:
        yield address


def call(lab, method, path, body=None, **headers):
    """(status, headers, body) of a request written by hand."""
    connection = http.client.HTTPConnection(urlsplit(lab).netloc, timeout=60)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, given)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def post(lab, path="/ask/margins", body="{}", content_type="application/json", **headers):
    return call(lab, "POST", path, body, Content_Type=content_type, **headers)


def test_only_this_machine_reaches_it(lab):
    port = urlsplit(lab).port
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port), timeout=5):
        pass
    assert call(lab, "GET", "/")[0] == 200


def test_only_its_own_page_may_ask(lab):
    port = urlsplit(lab).port
    assert post(lab)[0] == 200
    assert post(lab, Origin=f"http://127.0.0.1:{port}")[0] == 200
    assert post(lab, Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200
    assert call(lab, "GET", "/", Host="evil.example")[0] == 400  # DNS rebinding
    assert post(lab, Host="evil.example", Origin="http://evil.example")[0] == 400
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"https://127.0.0.1:{port}"):
        assert post(lab, Origin=origin)[0] == 403
    assert post(lab, content_type="text/plain")[0] == 403  # what a form of another page can send


def test_files_come_from_a_fixed_list(lab):
    folder = resources.files("jglm.lab") / "static"
    names = {path.name for path in folder.iterdir()}
    parts = {"index.html", *(f"{name}.html" for name in PAGES)}
    assert set(server.files()) == {"/", *(f"/{name}" for name in names - parts)}
    for path in ("/../server.py", "/%2e%2e/server.py", "/static/lab.js", "/lab.js%00", "//etc/passwd", "/ask/margins"):
        assert call(lab, "GET", path)[0] == 404
    for method, path in (("POST", "/"), ("PUT", "/ask/margins"), ("DELETE", "/lab.js")):
        assert call(lab, method, path)[0] == 405
    headers = call(lab, "GET", "/")[1]
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_bodies_are_bounded_json(lab):
    assert post(lab, body='{"score": 1e400}')[2].startswith('{"error"')
    assert post(lab, body=" " * (server.LARGEST + 1))[0] == 413
    for body in ("", "score=1", "[" * 50_000, '{"score": ', "\xff"):
        assert post(lab, body=body.encode("latin-1"))[0] == 400
    assert post(lab, body="[]")[2] == '{"error": "a request is a JSON object"}'
    assert post(lab, path="/ask/os")[0] == 404


def test_the_command_says_what_is_wrong(capsys):
    assert cli.main(["lab", "--port", "99999"]) == 2
    assert "a port is a number" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert cli.main(["lab", "--no-browser", "--port", str(taken.getsockname()[1])]) == 2
    assert "use" in capsys.readouterr().err


# --------------------------------------------------------------------------- the pages, in a browser
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
