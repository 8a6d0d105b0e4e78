"""Start the processes of `jglm fit --processes N` on this machine, joined on its loopback."""

import os
import socket
import subprocess
import sys
import time

from jglm.distributed import VARIABLES

GRACE = 10.0  # seconds that the others have to end where one failed


def is_child():
    """Whether this process was started by `run`."""
    return VARIABLES[0] in os.environ


def run(arguments, count):
    """The exit code of `jglm ARGUMENTS` in `count` processes, the first of which prints; where one fails all end."""
    if count < 1:
        raise ValueError(f"--processes is {count}; it must be a positive number")
    where = f"127.0.0.1:{_free_port()}"
    command = [sys.executable, "-m", "jglm", *arguments]
    quiet = lambda i: None if i == 0 else subprocess.DEVNULL
    children = [subprocess.Popen(command, env=_environment(where, count, i), stdout=quiet(i)) for i in range(count)]
    try:
        return _wait(children)
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
            child.wait()


def _wait(children):
    """The worst exit code, once all have ended or one has failed and its grace is over."""
    end = None
    while True:
        codes = [child.poll() for child in children]
        if all(code is not None for code in codes):
            break
        if end is None and any(code not in (None, 0, 1) for code in codes):
            end = time.monotonic() + GRACE
        if end is not None and time.monotonic() > end:
            break
        time.sleep(0.05)
    # 1 is a fit that did not converge; a child that was ended by a signal has a negative code.
    return max((2 if code is None or code < 0 else code for code in codes), default=0)


def _environment(where, count, index):
    own = {**os.environ, **dict(zip(VARIABLES, (where, str(count), str(index)), strict=True))}
    # Processes share the cores.
    cores = max(1, (os.cpu_count() or 1) // count)
    own.setdefault("OMP_NUM_THREADS", str(cores))
    return own


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
