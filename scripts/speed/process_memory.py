"""Peak resident memory of a command and its children, sampled while it runs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from nmt.errors import UserError
from scripts.report import ROOT


def run_and_watch(command: Sequence[str], input_path: str | None = None) -> dict:
    """Run it to its end; seconds, and the largest sum of its processes' proportional memory (shared pages once)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("OMP_NUM_THREADS", None)
    started, peak = time.perf_counter(), 0
    with open(input_path or os.devnull, "rb") as source:
        process = subprocess.Popen(
            command, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, cwd=ROOT
        )
        while process.poll() is None:
            peak = max(peak, sum(_memory(number) for number in _tree(process.pid)))
            time.sleep(0.05)
    if process.returncode:
        assert process.stderr is not None
        raise UserError(f"{' '.join(command)}: {process.stderr.read().decode()[-1000:]}")
    return {"seconds": time.perf_counter() - started, "peak_bytes": peak}


def _tree(root: int) -> list[int]:
    found = [root]
    for number in found:
        for path in Path(f"/proc/{number}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                continue
    return found


def _memory(number: int) -> int:
    try:
        for line in Path(f"/proc/{number}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
