"""Measure how time and memory grow, as an exponent."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler reports its own doings; read when torch is loaded

import numpy as np  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402

LONG_END = 4
"""Number of the longest sizes that the exponent is fitted to: fixed costs hide the growth of short ones."""


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The b of value = a size^b: least squares of the logarithms over the last sizes. NaN for fewer than two."""
    x, y = (np.log(np.asarray(side, float)[-LONG_END:]) for side in (sizes, values))
    if len(x) < 2:
        return float("nan")
    return float(np.polyfit(x, y, 1)[0])


def seconds(work: Callable[[], object], least: float) -> float:
    """Processor time of a call: the minimum over calls of `least` seconds in total, after a warm-up call.

    Other work on the machine can only add to it."""
    work()
    times: list[float] = []
    while len(times) < 3 or sum(times) < least:
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def peak_bytes(work: Callable[[], object]) -> int:
    """Peak memory of torch's CPU allocator during a call, beyond what was allocated before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "trace.json"
        record.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = [
        (event["ts"], event["args"]["Bytes"])
        for event in events
        if event.get("name") == "[memory]" and event["args"].get("Device Type") == 0
    ]
    return int(max(np.cumsum([0, *(size for _, size in sorted(changes))])))
