"""Tests run in float64 with rank promotion refused; those marked `gpu` need an accelerator."""

import gc
import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["JGLM_COMPILATION_CACHE"] = "off"  # nothing is written to the user's folder
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
