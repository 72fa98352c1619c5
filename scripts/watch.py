"""Watch the memory of a process and its children while it runs (Linux: /proc)."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nmt.errors import UserError
from scripts.report import ROOT


class Watch(threading.Thread):
    """Append `measure()` to `samples` every `seconds`, until stopped or the process has ended."""

    def __init__(self, measure: Callable[[], dict[str, int]], seconds: float = 0.05) -> None:
        super().__init__(daemon=True)
        self.measure, self.seconds, self.samples = measure, seconds, list[dict[str, int]]()
        self.stopped = threading.Event()
        self.start()

    def run(self) -> None:
        """Read until stopped."""
        while not self.stopped.wait(self.seconds) and (found := self.measure()):
            self.samples.append(found)

    def stop(self) -> dict[str, int]:
        """Maximum of each figure."""
        self.stopped.set()
        self.join()
        return {name: max(one[name] for one in self.samples) for name in (self.samples[0] if self.samples else ())}


def memory(process: int, kinds: tuple[str, ...]) -> dict[str, int]:
    """Bytes of some `kinds` of memory in /proc/PID/status, such as VmRSS; empty if the process has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = dict(line.split(":", 1) for line in lines)
    return {kind: int(fields[kind].split()[0]) * 1024 for kind in kinds if kind in fields}


def proportional(process: int) -> int:
    """Proportional set size of a process in bytes."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def children(process: int) -> list[int]:
    """The process ids right below a process."""
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += map(int, path.read_text().split())
        except OSError:
            continue
    return found


def tree(process: int) -> Iterator[int]:
    """A process and all below it."""
    yield process
    for child in children(process):
        yield from tree(child)


def run_and_watch(command: Sequence[str], input_path: str | None = None) -> dict:
    """Run a command; returns seconds and the peak proportional memory of its process tree."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("OMP_NUM_THREADS", None)
    started = time.perf_counter()
    with open(input_path or os.devnull, "rb") as source:
        process = subprocess.Popen(
            command, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, cwd=ROOT
        )
        watch = Watch(lambda: {"peak_bytes": sum(map(proportional, tree(process.pid)))})
        _, errors = process.communicate()
    if process.returncode:
        raise UserError(f"{' '.join(command)}: {errors.decode()[-1000:]}")
    return {"seconds": time.perf_counter() - started, **watch.stop()}
