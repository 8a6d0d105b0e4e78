"""All problems and rivals by name: importing this enters them."""

from benchmarks import cpu_problems, insurance
from benchmarks.problems import ENTRIES, find
from benchmarks.rivals import RIVALS

__all__ = ["ENTRIES", "RIVALS", "cpu_problems", "find", "insurance"]
