"""A progress bar for fits that take longer than a second."""

import math
import threading
import time


class Progress:
    """A line that tells passes, objective and distance, once a fit has taken longer than `patience` seconds."""

    def __init__(self, total, patience=1.0):
        self.total, self.patience, self.began, self.bar = total, patience, time.monotonic(), None

    def __call__(self, i, value, grad_norm, decrement):
        if self.bar is None:
            if time.monotonic() - self.began < self.patience:
                return
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, desc="jglm", unit="pass", initial=i - 1, leave=False)
        if math.isfinite(decrement):
            self.bar.set_postfix_str(f"objective {value:.6g}, {decrement:.1e} from the optimum")
        self.bar.update(i - self.bar.n)

    def close(self):
        if self.bar is not None:
            self.bar.close()


class Counted:
    """A bar of how many of many fits are done, and the time left, once they have taken longer than `patience`."""

    def __init__(self, total, patience=1.0, unit="fit"):
        self.total, self.patience, self.began, self.bar = total, patience, time.monotonic(), None
        self.unit, self.done, self.lock = unit, 0, threading.Lock()

    def advance(self, count):
        """So many more are done; threads may say so."""
        with self.lock:
            self.done += count
            self(self.done)

    def __call__(self, done):
        if self.bar is None:
            if time.monotonic() - self.began < self.patience:
                return
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, desc="jglm", unit=self.unit, initial=done, leave=False)
        self.bar.update(max(done - self.bar.n, 0))

    def close(self):
        if self.bar is not None:
            self.bar.close()


class Passes:
    """A line for the passes over a stream, once they have taken longer than `patience`: rows per second and the time
    left of this pass, the objective, and about how many passes and how much time are left after it."""

    def __init__(self, rows, tol, patience=1.0):
        self.rows, self.tol, self.patience, self.began, self.bar = rows, tol, patience, time.monotonic(), None
        self.label, self.done, self.said, self.last, self.passed = "", 0, "", math.inf, time.monotonic()

    def begin(self, label):
        """A pass of this name begins."""
        self.close()
        self.label, self.done, self.passed = label, 0, time.monotonic()

    def advance(self, rows):
        """So many more rows are done."""
        self.done += rows
        if self.bar is None:
            if time.monotonic() - self.began < self.patience:
                return
            from tqdm import tqdm

            self.bar = tqdm(total=self.rows, desc=f"jglm, {self.label}", unit="row", unit_scale=True, leave=False,
                            postfix=self.said or None)  # fmt: skip
        self.bar.update(self.done - self.bar.n)

    def __call__(self, i, value, grad_norm, decrement):
        left = passes_left(self.last, decrement, self.tol)
        self.last = decrement
        self.said = f"objective {value:.6g}, {decrement:.1e} from the optimum" if math.isfinite(decrement) else ""
        if left is not None:
            seconds = left * (time.monotonic() - self.passed)
            self.said += f", about {left} passes ({seconds:.0f} s) left"

    def close(self):
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def passes_left(before, now, tol):
    """About how many passes bring a distance to tol, if each shortens it as the last one did, and the one for the
    statistics. None where that is not known.

    >>> passes_left(1e-2, 1e-4, 1e-8)
    3
    """
    if not (0 < now < before < math.inf):
        return None
    return 1 + max(0, math.ceil(math.log(now / tol) / math.log(before / now) - 1e-9))
