#!/usr/bin/env python
"""Fuzz commands, configurations, corpora and checkpoints, and count the outcomes.

    python -m scripts.reliability.fuzz                                  every target, 100,000 cases each
    python -m scripts.reliability.fuzz translate align --cases 5000 --seed 7

A case is a line, a pair, a sentence in other clothes, a configuration, or a damaged checkpoint whose checksums were
made to agree. It is answered correctly, or refused by UserError in one line; anything else (another exception, a wrong
answer, a crash, two gigabytes more memory) is a failure: its seed is printed and the status is 1. Cases run in one
process a target, many at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
TARGETS = ("translate", "align", "meaning", "config", "corpus", "checkpoint")
BATCH = {"translate": 1000, "align": 1000, "meaning": 1000, "config": 100, "corpus": 200, "checkpoint": 50}
"""Cases of one call of a target."""


def run_batch(target: str, seed: str, cases: int, place: str) -> Counter:
    """Count the outcomes of a batch; raises on a failure."""
    from scripts.reliability import fuzz_files, fuzz_lines

    module = fuzz_lines if target in ("translate", "align", "meaning") else fuzz_files
    return getattr(module, target)(seed, cases, Path(place))


def prepare(place: Path) -> None:
    """The tiny checkpoint that all targets share: network and alignment head."""
    from scripts.reliability.fuzz_lines import make_checkpoint

    make_checkpoint(place / "checkpoint")


def fuzz(target: str, cases: int, seed: int, place: Path) -> bool:
    """Run a target and print its counts; returns whether all cases passed."""
    counts: Counter = Counter()
    start = time.monotonic()
    with ProcessPoolExecutor(1) as pool:
        number = 0
        while counts.total() < cases:
            number += 1
            batch = f"{seed}/{target}/{number}"
            try:
                counts += pool.submit(run_batch, target, batch, BATCH[target], str(place)).result()
            except BrokenProcessPool:
                print(f"{target}: batch {batch} ended the process", file=sys.stderr)
                return False
            except Exception as error:
                print(f"{target}: batch {batch}: {type(error).__name__}: {error}", file=sys.stderr)
                print(getattr(error, "__cause__", None) or "", file=sys.stderr)
                return False
            if sys.stderr.isatty():
                print(f"\r{target}: {sum(counts.values()):,}", end="", file=sys.stderr)
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
    minutes = (time.monotonic() - start) / 60
    print(f"{target}: {sum(counts.values()):,} cases ({outcomes}), 0 failed, {minutes:.1f} minutes", flush=True)
    return True


def main() -> int:
    """Run the targets; status 1 if one failed."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)")
    arguments.add_argument("--cases", type=int, default=100_000, metavar="N", help="of each target, at least")
    arguments.add_argument("--seed", type=int, default=1, metavar="S")
    options = arguments.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        arguments.error(f"unknown target {min(unknown)}; there are {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory(prefix="nmt-fuzz-") as folder:
        os.environ["NMT_CACHE"] = str(Path(folder) / "cache")
        with ProcessPoolExecutor(1) as pool:
            pool.submit(prepare, Path(folder)).result()
        results = [fuzz(name, options.cases, options.seed, Path(folder)) for name in options.targets or TARGETS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
