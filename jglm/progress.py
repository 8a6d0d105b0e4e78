"""A progress bar for fits that take longer than a second."""

import math
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
        self.unit, self.done = unit, 0

    def advance(self, count):
        """So many more are done."""
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
