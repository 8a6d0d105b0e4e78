"""jglm beside NumPy and known libraries: `python -m benchmarks.run --suite small` from the root of the repository."""
