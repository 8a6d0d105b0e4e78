"""Virtual environments for rivals that must not share one with jglm: made once with pip, under one folder.

They bring their own versions of jax or numpy, and nothing that is measured here may depend on them.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

COMMON = ("numpy", "scipy")  # what the problems and the judge import
MINUTES = 15


def default_folder():
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "jglm-benchmarks"


def place(rival, folder):
    """Where its environment is: another one for other requirements or another Python."""
    told = repr((rival.requires, sys.version_info[:2]))
    return Path(folder) / f"{rival.name}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def interpreter(rival, folder):
    """The Python that runs the rival, made with pip where it is not there yet; raises RuntimeError where that fails."""
    if not rival.requires:
        return sys.executable
    where = place(rival, folder)
    python = where / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = where / "complete"
    if done.exists():
        return str(python)
    print(f"{rival.label}: its environment is made, with {', '.join(rival.requires)}", flush=True)
    try:
        venv.create(where, with_pip=True, clear=True)
        _install(python, (*rival.requires, *COMMON))
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise RuntimeError(said[-1] if said else type(error).__name__) from error
    done.touch()
    return str(python)


def _install(python, packages):
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60 * MINUTES)
