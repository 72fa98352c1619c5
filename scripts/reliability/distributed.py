#!/usr/bin/env python
"""Training by several processes: difference from one process, and killed workers.

    python -m scripts.reliability.distributed                # 20 kills
    python -m scripts.reliability.distributed --part kills --kills 3

Agreement: 1, 2 and 3 processes take the same 20 steps, without dropout; it prints the largest difference of any
weight, once for all weights and once without the biases of keys, whose gradient is zero but for rounding (softmax
does not see what all keys share) and is scaled up by Adam. With two batches a step the sum of two gradients has one
order.

Kills: two processes train with dropout under torchrun --max-restarts; a random one is killed at a random moment. The
run must end with the weights of an unbroken one, bit for bit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from safetensors.numpy import load_file  # noqa: E402

from scripts.reliability.trainer import write_configuration  # noqa: E402
from scripts.report import ROOT
from scripts.watch import children  # noqa: E402

STEPS = 20


def main() -> int:
    """Print the figures; status 1 if a kill lost something."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--part", choices=["agreement", "kills"], help="do only this")
    arguments.add_argument("--kills", type=int, default=20, metavar="N", help="workers killed (default: 20)")
    arguments.add_argument("--seed", type=int, default=1, metavar="N", help="of the kills (default: 1)")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if options.part != "kills":
            agreement(Path(place) / "agreement")
        if options.part == "agreement":
            return 0
        return kills(Path(place) / "kills", options.kills, random.Random(options.seed))


def agreement(place: Path) -> None:
    """Print how far the weights of several processes are from those of one."""
    config = write_configuration(place, max_steps=STEPS, validate_every=STEPS)
    print("| processes | batches a step | largest difference | without key biases |\n| --- | --- | --- | --- |")
    for batches, counts in ((2, (1, 2)), (6, (1, 2, 3))):
        settings = ["model.dropout=0", f"training.accumulate={batches}"]
        runs = {count: place / f"run-{batches}-{count}" for count in counts}
        for count, directory in runs.items():
            process = start(config, directory, count, *settings)
            if process.wait():
                sys.exit(f"the run of {count} processes fails: {process.stderr.read()}")  # type: ignore[union-attr]
        for count in counts[1:]:
            everything, rest = differences(runs[1], runs[count])
            print(f"| {count} | {batches} | {everything:.1e} | {rest:.1e} |", flush=True)


def kills(place: Path, wanted: int, draw: random.Random) -> int:
    """Kill workers until `wanted` kills hit a running worker; print the runs and losses."""
    config = write_configuration(place, max_steps=200, validate_every=20)
    whole, broken = place / "whole", place / "broken"
    started = time.monotonic()
    process = start(config, whole, 2)
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"the unbroken run fails: {errors}")
    seconds = time.monotonic() - started
    lost = interrupted = number = 0
    while interrupted < wanted:
        number += 1
        process = start(config, broken, 2, options=["--max-restarts", "3"])
        # Two of three wait for a saved state first: most of so short a run is its start.
        if draw.random() < 0.67:
            state = broken / "training" / f"step-{20 * draw.randint(1, 9):08d}"
            while not state.exists() and process.poll() is None:
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.02))
        else:
            time.sleep(draw.uniform(0, 0.5 * seconds))
        if workers := children(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(workers), signal.SIGKILL)
                interrupted += 1
        _, errors = process.communicate()
        same = not process.returncode and (broken / "metadata.json").exists() and differences(whole, broken)[0] == 0
        if not same:
            lost += 1
            print(f"LOST in run {number}: status {process.returncode}\n{errors}", file=sys.stderr)
        shutil.rmtree(broken)
    print(f"killed workers: {number} runs, {interrupted} reached by the kill, {number - lost} survived, {lost} lost")
    return int(lost > 0)


def start(config: Path, directory: Path, count: int, *settings: str, options: list[str] | None = None):
    """Start torchrun, or one process alone."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), *(options or [])]
    command = [sys.executable, *(torchrun if count > 1 else []), "-m", "nmt.cli.train", str(config)]
    command += [f"checkpoint={directory}", *settings]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def differences(one: Path, other: Path) -> tuple[float, float]:
    """The largest difference of the newest states' weights, of all of them and without the biases of keys."""
    pattern = "training/step-*/weights-*.safetensors"
    mine, theirs = (load_file(sorted(place.glob(pattern))[-1]) for place in (one, other))
    apart = {name: abs(mine[name] - theirs[name]) for name in mine}
    everything = max(float(values.max()) for values in apart.values())
    for name in apart:
        if name.endswith("key_value.bias"):
            apart[name] = apart[name][len(apart[name]) // 2 :]  # the values' half
    return everything, max(float(values.max()) for values in apart.values())


if __name__ == "__main__":
    sys.exit(main())
