"""A contestant's side of the benchmark: it warms up, waits for its turn, works, tells what it did, waits again.

Free of everything but the standard library, since peers run it in their own environment. A request and a reply are
one JSON object a line, on standard input and output; what a library prints goes to standard error.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.process
import os
import resource
import sys
import time
from collections.abc import Callable

_replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def ask() -> dict:
    """The next request; leaves the process when there is none."""
    line = sys.stdin.readline()
    if not line:
        _replies.close()
        os._exit(0)
    return json.loads(line)


def reply(**values: object) -> None:
    """Answer, with the peak resident memory in bytes of the process and those that it began."""
    peaks = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, *map(_peak, multiprocessing.active_children())]
    print(json.dumps({**values, "peak_bytes": sum(peaks) * 1024}), file=_replies, flush=True)


def _peak(process: multiprocessing.process.BaseProcess) -> int:
    with open(f"/proc/{process.pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def serve(work: Callable[[dict], dict]) -> None:
    """Answer every request by `work`; the first reply says that all is ready."""
    reply()
    while True:
        reply(**work(ask()))


class Pace:
    """Turns for a loop that is not ours to write: `step` is called as each of its steps begins."""

    def __init__(self, warm_up: int) -> None:
        """The first `warm_up` steps come before the first turn."""
        self.left, self.counts, self.started, self.seconds = warm_up, {}, 0.0, 0.0

    def step(self, **counts: float) -> None:
        """A step begins that handles so many tokens and the like; waits here between turns."""
        if self.left:
            self.left -= 1
            if self.left == 0:
                reply()
                self._begin()
        elif (elapsed := time.perf_counter() - self.started) >= self.seconds:
            reply(seconds=elapsed, **self.counts)
            self._begin()
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count

    def _begin(self) -> None:
        self.seconds = ask()["seconds"]
        self.counts = {}
        self.started = time.perf_counter()
