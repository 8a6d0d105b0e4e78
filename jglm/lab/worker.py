"""Where the lab computes: one process of its own, which is ended and replaced when an answer takes too long.

XLA cannot be interrupted while it compiles, and a text may be written that compiles for minutes; so the limit is held
from outside.
"""

import json
import multiprocessing
import signal
import threading

LIMIT = 40.0  # seconds that an answer may take
STARTING = 120.0  # seconds that a process may take to import JAX on a busy machine
PROGRAMS = 2000  # compiled, after which all are dropped: each maps memory, of which a process has a bounded number


class Worker:
    """A process that answers one request after another. `ask` may be called from any thread."""

    def __init__(self, limit=LIMIT):
        self.limit, self._lock, self._closed = limit, threading.Lock(), False
        self._start()

    def ask(self, question, request):
        """(HTTP status, JSON text) of the answer; 503 where it took longer than the limit or the process ended."""
        with self._lock:
            try:
                if not self._ready and not self._wait():
                    return self._replace(f"The library did not start within {STARTING:g} s.")
                self._connection.send((question, request))
                if self._connection.poll(self.limit):
                    return self._connection.recv()
                return self._replace(f"This took longer than {self.limit:g} s and was stopped. Try something simpler.")
            except (EOFError, OSError):
                return self._replace("The computation ended without an answer. Try something simpler.")

    def close(self):
        """End the process; whoever waits for its answer is told at once."""
        self._closed = True
        self._process.kill()
        with self._lock:
            self._end()

    def _start(self):
        context = multiprocessing.get_context("spawn")  # a fork would copy threads that hold locks
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self._ready = False

    def _wait(self):
        self._ready = self._connection.poll(STARTING) and self._connection.recv() == "ready"
        return self._ready

    def _end(self):
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _replace(self, said):
        if not self._closed:
            self._end()
            self._start()
        return 503, json.dumps({"error": said})


def respond(question, request):
    """(HTTP status, JSON text) of the answer to a request, in this process. That the request cannot be answered, such
    as one for an a(eta) half written, is an answer too: {"error": why}."""
    from jglm.lab.experiments import QUESTIONS, answer

    if question not in QUESTIONS:
        return 404, json.dumps({"error": f"there is no experiment {question!r}"})
    try:
        return 200, json.dumps(plain(answer(question, request)), allow_nan=False)
    except (ValueError, TypeError, ArithmeticError) as error:
        return 200, json.dumps({"error": str(error)})
    except Exception as error:  # the process stays for the next request
        return 500, json.dumps({"error": f"This could not be computed ({type(error).__name__}: {error})."})


def plain(value):
    """The same in lists and numbers for JSON: arrays rounded to 7 digits, None for what is not finite."""
    import numpy as np

    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    array = np.asarray(value)
    if array.ndim:
        return [plain(inner) if array.ndim > 1 else _number(f"{inner:.7g}") for inner in array]
    return int(array) if np.issubdtype(array.dtype, np.integer) else _number(array)


def _number(value):
    number = float(value)
    return number if abs(number) < float("inf") else None


def _serve(connection):
    """The process: answers until the other end is closed; a thread compiles meanwhile what pages ask for first, as XLA
    lets other threads run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, which then ends this process
    import jax

    from jglm import cache

    jax.config.update("jax_platforms", "cpu")  # small arrays; an accelerator is left to others
    jax.config.update("jax_enable_x64", True)
    cache.enable()
    connection.send("ready")
    programs = _Programs()
    threading.Thread(target=_open, daemon=True).start()
    try:
        while True:
            question, request = connection.recv()
            connection.send(respond(question, request))
            programs.bound()
    except (EOFError, OSError):
        return


def _open():
    from jglm.lab.experiments import OPENINGS

    for question, request in OPENINGS:
        respond(question, request)


class _Programs:
    """Counts what XLA compiles, and drops it when there is much."""

    def __init__(self):
        import jax

        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._seen)

    def _seen(self, event, duration_secs, **_):
        self.count += event.endswith("backend_compile_duration")

    def bound(self):
        import jax

        if self.count > PROGRAMS:
            jax.clear_caches()
            self.count = 0
