"""The server of the lab: files from a fixed list, and questions as JSON, on 127.0.0.1 and for its own page alone."""

import json
import socket
import sys
import threading
import time
import webbrowser
from contextlib import contextmanager
from importlib import resources

from jglm.lab.experiments import PAGES
from jglm.lab.worker import Worker

HOST = "127.0.0.1"  # nobody else reaches it
NAMES = (HOST, "localhost")  # by which a page may call it
LARGEST = 64 * 1024  # bytes of a request
SCRIPTS = ("lab.js", "plot.js", "d3.min.js", *(f"{name}.js" for name in PAGES))
TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "txt": "text/plain", "html": "text/html"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
}  # fmt: skip


def files():
    """{path: (content, media type)}: all that is served, read once; no path is ever looked up on disk."""
    folder = resources.files("jglm.lab").joinpath("static")
    read = lambda name: folder.joinpath(name).read_bytes()
    index = read("index.html").replace(b"<!-- pages -->", b"\n".join(read(f"{name}.html") for name in PAGES))
    named = {name: read(name) for name in (*SCRIPTS, "lab.css", "icon.svg", "d3.LICENSE.txt")}
    named[""] = index
    return {f"/{name}": (content, TYPES[name.rsplit(".", 1)[-1] or "html"]) for name, content in named.items()}


def application(ask):
    """The ASGI application. `ask(question, request)` returns (HTTP status, JSON text)."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import Response
    from starlette.routing import Route

    served = files()

    def answer(status, text):
        return Response(text, status, HEADERS, "application/json")

    async def file(request):
        found = served.get(request.url.path)
        content, kind = found or (b"not found", "text/plain")
        return Response(content, 200 if found else 404, HEADERS, kind)

    async def question(request):
        if not _of_own_page(request.headers):
            return answer(403, _refusal("only the lab's own page may ask"))
        try:
            asked = json.loads(await _body(request))
        except OverflowError:
            return answer(413, _refusal(f"a request has at most {LARGEST:,} bytes"))
        except (ValueError, RecursionError):
            return answer(400, _refusal("a request is JSON"))
        return answer(*await run_in_threadpool(ask, request.path_params["name"], asked))

    return Starlette(
        routes=[Route("/ask/{name}", question, methods=["POST"]), Route("/{path:path}", file, methods=["GET"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(NAMES), www_redirect=False)],
    )


def _refusal(why):
    return json.dumps({"error": why})


def _of_own_page(headers):
    """Whether a page of this server asks, or a program that is no browser: other pages send their own origin, and may
    not send JSON without asking first, which is never granted."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return False
    origin = headers.get("origin")
    return origin is None or origin == f"http://{headers.get('host')}"


async def _body(request):
    """The body of a request. OverflowError where it is too large, as soon as that is seen."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise OverflowError
    return body


@contextmanager
def running(port=0, ask=None):
    """The address of a lab that runs within the block, in a thread; port 0 is any that is free.

    Raises OSError where the port is taken, ImportError without starlette and uvicorn.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise ImportError("jglm lab needs starlette and uvicorn: pip install 'jglm[lab]'") from error
    # Of a socket that says it is TCP asyncio turns Nagle's algorithm off, which took 40 ms of every answer.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        worker = None if ask else Worker()
        config = uvicorn.Config(
            application(ask or worker.ask), lifespan="off", log_level="warning", access_log=False, server_header=False,
            ws="none", limit_concurrency=64, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://{HOST}:{listener.getsockname()[1]}/"
        finally:
            if worker:
                worker.close()  # first, as the server waits for answers
            server.should_exit = True
            thread.join()


def run(port=0, browser=True, say=print):
    """Open the lab and serve it until Ctrl-C."""
    with running(port) as address:
        say(f"The lab is at {address} (for this machine only). Ctrl-C ends it.")
        sys.stdout.flush()
        if browser:
            webbrowser.open(address)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            say("\nThe lab is closed.")
