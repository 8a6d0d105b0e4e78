"""`python -m benchmarks.gpu`."""

import os

# Read when JAX first looks for devices: what it takes is taken at once, so the rest is what is left to other libraries.
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.80")

from benchmarks.gpu.command import main

main()
