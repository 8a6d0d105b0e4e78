"""The experiments: functions of a request (a dict of numbers, lists and text) that return a dict of what is shown.

Each raises ValueError for a request that it cannot answer, with a message for who sees the page. Every field has a
default, so an empty request is answered too. `code` in an answer is Python that computes what is seen, after `data`
where there is any.
"""

import importlib

import numpy as np

PAGES = (
    "partition", "faces", "logodds", "assembly", "counts", "boundary", "margins", "squares", "gaussian", "smoothing",
    "steps",
)  # fmt: skip
# What can be asked, and the function that answers; a page of its own name asks for the first.
QUESTIONS = {name: (name, "compute") for name in PAGES} | {
    "density": ("partition", "density"), "verdict": ("partition", "verdict"),
}  # fmt: skip
# What is asked first where a page, or another choice on it, is opened.
OPENINGS = (("partition", {}), ("density", {}), *((name, {}) for name in PAGES[1:]), ("boundary", {"model": "softmax"}))


def answer(question, request):
    """The answer to one of QUESTIONS. Raises ValueError for a wrong request."""
    if not isinstance(request, dict):
        raise ValueError("a request is a JSON object")
    module, function = QUESTIONS[question]
    with np.errstate(all="ignore"):  # of functions that are no log-partition anything may overflow
        return getattr(importlib.import_module(f"jglm.lab.experiments.{module}"), function)(request)
