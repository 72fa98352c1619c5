#!/usr/bin/env python
"""Break training, resume it, and compare with an unbroken run bit for bit.

    python -m scripts.reliability.crash                    # 200 kills and all other kinds
    python -m scripts.reliability.crash --runs 5 --seed 3  # a short one
    python -m scripts.reliability.crash --kinds kill disk

Kinds: kill (SIGKILL at random moments, three of four of them among the file operations that write the checkpoint),
disk (full at a random file operation), readonly (the directory, from a random file operation on), damage (each file of
an unfinished and of a finished run: cut short, emptied, deleted, a bit flipped), hopeless (every saved state damaged),
load (a finished checkpoint damaged likewise, and loaded). disk and readonly mount file systems and need root.

A run survives if it ends with the unbroken run's weights, dev losses and metadata, and resuming named the newest
intact state and the fault of newer ones; or, where that is impossible (hopeless, load), if it is refused in one line
and nothing changes. The last lines are the rows of docs/reliability.md; the status is 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from scripts.reliability.bench import Bench  # noqa: E402
from scripts.reliability.kinds import KINDS  # noqa: E402
from scripts.reliability.trainer import warm_up  # noqa: E402


def main() -> int:
    """Run the chosen kinds and print the results."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=200, metavar="N", help="kills; from 100 on, all else in full")
    arguments.add_argument("--seed", type=int, default=1, metavar="N", help="of all moments and damages (default: 1)")
    arguments.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), metavar="KIND")
    options = arguments.parse_args()
    warm_up()
    # In memory where that can be: a killed process loses nothing that it has written, whatever the disk does.
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="nmt-crash-", dir=memory if os.access(memory, os.W_OK) else None))
    command = f"python -m scripts.reliability.crash --runs {options.runs} --seed {options.seed}"
    rows, lost = [], 0
    try:
        bench = Bench(place, options.runs, options.seed)
        for kind in options.kinds:
            bench.begin(kind)
            try:
                KINDS[kind](bench)
            except PermissionError as reason:
                print(f"{kind}: skipped, {reason}", file=sys.stderr)
            for name, runs, bad in bench.rows():
                rows.append(f"| {name} | {runs} | {runs - len(bad)} | {len(bad)} | `{command} --kinds {kind}` |")
                lost += len(bad)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print("\n".join(["| fault | runs | survived | lost | command |", "| --- | --- | --- | --- | --- |", *rows]))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
