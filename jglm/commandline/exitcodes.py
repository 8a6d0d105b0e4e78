"""The exit codes of the program: stable, for scripts."""

DONE = 0
NOT_CONVERGED = 1
BAD_INPUT = 2
NO = 3
UNEXPECTED = 4
INTERRUPTED = 130

TEXT = """exit codes:
  0    done
  1    a fit did not converge; its result is given all the same
  2    the input or the options cannot be, and one line says why
  3    'jglm check': the function is no log-partition
  4    an error that jglm did not foresee; --traceback shows where
  130  interrupted (Ctrl-C)
"""


def of(found):
    """That of a command which gives a fit, or something else that knows whether it converged."""
    if found.converged:
        return DONE
    return INTERRUPTED if getattr(getattr(found, "status", None), "name", "") == "INTERRUPTED" else NOT_CONVERGED
