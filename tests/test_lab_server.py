"""The walls of the lab: hostile requests, and who may ask its server what."""

import http.client
import json
import socket
import threading
from importlib import resources
from urllib.parse import urlsplit

import pytest

from jglm import cli
from jglm.lab import reading, server
from jglm.lab.experiments import PAGES, QUESTIONS, answer
from jglm.lab.worker import Worker, respond


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
