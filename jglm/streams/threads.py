"""Work on pieces in threads: in order, a bounded number ahead, and over at once where one fails."""

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from jglm.designs import products

AHEAD = 2  # pieces under way for every thread


class Stopped(Exception):
    """Raised in a thread whose work nobody waits for any more."""


def workers():
    """How many threads read: one for every core, unless JGLM_STREAM_THREADS says otherwise."""
    said = os.environ.get("JGLM_STREAM_THREADS", "")
    return max(1, int(said)) if said.isdecimal() else products.cores()


def in_order(function, items, count=None):
    """function(item, going) for every item, in their order, by `count` threads.

    `going()` raises Stopped once the results are no longer wanted: after an error, Ctrl-C, or where the caller stopped
    early. Leaving waits for the threads, so nothing goes on behind the caller's back.
    """
    count, stop, under_way = count or workers(), threading.Event(), deque()

    def going():
        if stop.is_set():
            raise Stopped

    def run(item):
        with products.alone():
            return function(item, going)

    pool, items = ThreadPoolExecutor(count, "jglm-stream"), iter(items)
    try:
        for item in items:
            under_way.append(pool.submit(run, item))
            if len(under_way) >= AHEAD * count:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
