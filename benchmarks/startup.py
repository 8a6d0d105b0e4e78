"""How long a newcomer waits: a fresh process that imports, fits 1,000 x 10 and prints the summary.

    python -m benchmarks.startup [--repeat 7] [--out benchmarks/results]

Beside jglm the same script with statsmodels, in turns; and what `import jglm` adds to `import jax, jax.numpy`. Median
and range over the repeats, from a warm disk, without a compilation cache.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import record

DATA = (
    "import numpy as np; rng = np.random.default_rng(0); X = rng.normal(size=(1000, 10)); "
    "y = rng.poisson(np.exp(X @ (0.1 * rng.normal(size=10)))).astype(float); "
)
SCRIPTS = {
    "jglm: import, fit, summary": DATA + "import jglm; print(jglm.fit(X, y, family='poisson').summary())",
    "statsmodels: import, fit, summary": DATA + "import statsmodels.api as sm; "
    "print(sm.GLM(y, sm.add_constant(X), family=sm.families.Poisson()).fit().summary())",
    "import jax, jax.numpy": "import jax, jax.numpy",
    "import jax, jax.numpy, jglm": "import jax, jax.numpy, jglm",
    "import jax, jax.numpy, jglm; jglm.fit": "import jax, jax.numpy, jglm; jglm.fit, jglm.Family",
}


def seconds(script):
    """Wall time of a fresh interpreter that runs the script."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args(argv)
    taken = {name: [] for name in SCRIPTS}
    for i in range(arguments.repeat + 1):
        for name, script in SCRIPTS.items():
            took = seconds(script)
            if i:  # the first round warms the disk
                taken[name].append(took)
    versions = ", ".join(f"{name} {record.version(name)}" for name in ("jglm", "jax", "numpy", "statsmodels"))
    where = f"{record.cpu_model()}, {record.cores()} cores; Python {platform.python_version()}, {versions}"
    lines = ["# Start-up", "", where, "", "| a fresh process | median s | least | most |", "|---|---|---|---|"]
    for name, times in taken.items():
        lines.append(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} | {max(times):.2f} |")
    text = "\n".join(lines) + "\n"
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "startup.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
