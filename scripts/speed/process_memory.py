"""Peak resident memory of a command and its children, sampled while it runs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

from nmt.errors import UserError
from scripts.report import ROOT
from scripts.watch import Watch, proportional, tree


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
