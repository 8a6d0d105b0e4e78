"""Tests run in float64 with rank promotion refused; those marked `gpu` need an accelerator."""

import atexit
import gc
import os
import shutil
import tempfile
import threading
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["JGLM_COMPILATION_CACHE"] = "off"  # nothing is written to the user's folder
if "PYTEST_XDIST_WORKER" not in os.environ:
    # What one process of a run compiles the others need not; it goes with the run.
    _compiled = tempfile.mkdtemp(prefix="jglm-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.05"
    atexit.register(shutil.rmtree, _compiled, ignore_errors=True)
# Several processes share an accelerator; by default each would take most of its memory.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_modifyitems(items):
    if jax.default_backend() != "cpu":
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no accelerator"))


MAPPINGS = Path("/proc/self/maps")  # where there is one


@pytest.fixture(autouse=True)
def _few_programs():
    """Compiled programs go when there are many: each maps memory, and Linux gives a process 65,530 mappings."""
    yield
    if MAPPINGS.exists() and MAPPINGS.read_bytes().count(b"\n") > 10_000:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def compilations():
    """A function that counts what XLA compiled since the test began."""
    seen = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield lambda: len(seen)
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture
def evaluated(monkeypatch):
    """What formulaic was asked to evaluate: a formula must be refused before."""
    calls = []

    def record(*args, **kwargs):
        calls.append(args)
        raise RuntimeError("a formula was evaluated that should have been refused")

    monkeypatch.setattr("formulaic.model_matrix", record)
    monkeypatch.setattr(os, "system", record)
    return calls


@pytest.fixture(scope="module")
def lab():
    """The address of a lab that computes in this process, so that it shares what is compiled."""
    from jglm.lab import server, worker

    lock = threading.Lock()

    def ask(question, request):
        with lock:
            return worker.respond(question, request)

    with server.running(ask=ask) as address:
        yield address
