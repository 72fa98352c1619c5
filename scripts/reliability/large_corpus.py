#!/usr/bin/env python
"""Train and evaluate on a corpus ten times as large as the memory that the commands may use.

    python -m scripts.reliability.large_corpus                          # 768 MiB of memory, 7.5 GiB of text
    python -m scripts.reliability.large_corpus --times 1

The limit is RLIMIT_DATA: the heap and all private writable mappings, which is the memory that a process cannot give
back. `ulimit -v` (RLIMIT_AS) would count the memory-mapped corpus too, which the kernel drops whenever memory is short;
under it no mapping beyond the limit is possible, whatever memory is used. Two settings keep what is counted near what
is used: Arrow's allocator reserves 1 GiB at once unless it is the system's, and threads have stacks of 1 MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from scripts.watch import Watch, memory

WORDS = 500
LENGTH = 6
MEBIBYTE = 2**20
LIMIT, STEPS = 768, 200
"""Of memory, in MiB; optimizer steps of the training."""
FIGURES = ("VmData", "RssAnon", "RssFile")
"""Of /proc/PID/status: what the limit counts, what of it is in memory, mapped files in memory."""


def main() -> None:
    """Generate, limit, train, evaluate, print the figures."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    arguments.add_argument("--times", type=float, default=10, help="size of the corpus, in limits (default: 10)")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place, size = Path(temporary), int(LIMIT * options.times * MEBIBYTE)
        pairs = generate(place, size)
        print(f"corpus: {pairs:,} pairs, {size / MEBIBYTE:,.0f} MiB of text; limit {LIMIT} MiB", flush=True)
        limited("nmt.cli.train", [str(write_configuration(place))])
        limited("nmt.cli.evaluate", ["--checkpoint", str(place / "run"), "--beam", "1"])


def generate(place: Path, size: int) -> int:
    """Write train, dev and test files of random words and their translations; returns the training pairs."""
    random = np.random.default_rng(1)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    source, target = (["".join(letters[row]) for row in random.integers(0, 26, (WORDS, LENGTH))] for _ in range(2))

    def pair() -> str:
        # One sentence in ten is short, so that the alignment head, which takes no long ones, has its share.
        words = random.integers(0, WORDS, 150 if random.random() < 0.9 else random.integers(3, 40)).tolist()
        return f"{' '.join([source[word] for word in words])}\t{' '.join([target[word] for word in words])}\n"

    for name in ("dev", "test"):
        (place / f"{name}.tsv").write_text("".join(pair() for _ in range(300)))
    pairs = written = 0
    with open(place / "train.tsv", "w") as file:
        while written < size:
            written += file.write(pair())
            pairs += 1
    return pairs


def write_configuration(place: Path) -> Path:
    """A run of a small network on the corpus."""
    tree = {
        "checkpoint": str(place / "run"),
        "data": {"corpus": "files", "source": "en", "target": "de", "cache": str(place / "cache")}
        | {name: str(place / f"{name}.tsv") for name in ("train", "dev", "test")},
        "subwords": {"vocabulary_size": 1400, "training_pairs": 2000, "character_coverage": 1.0},
        "model": {"encoder_layers": 1, "decoder_layers": 1, "width": 64, "feed_forward": 128, "heads": 2},
        "training": {"max_steps": STEPS, "validate_every": 100, "validation_pairs": 20, "threads": 2},
        "alignment": {"minutes": 0.1, "training_pairs": 5000},
    }
    path = place / "run.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def limited(module: str, arguments: list[str]) -> None:
    """Run a command within the limit and print its time and its largest figures."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT * MEBIBYTE, LIMIT * MEBIBYTE))
        resource.setrlimit(resource.RLIMIT_STACK, (MEBIBYTE, MEBIBYTE))

    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        preexec_fn=limit,
    )
    watch = Watch(lambda: memory(process.pid, FIGURES), 0.2)
    status = process.wait()
    largest = {name: value // MEBIBYTE for name, value in watch.stop().items()}
    told = {"command": module, "seconds": round(time.monotonic() - started), "MiB at most": largest, "status": status}
    print(json.dumps(told), flush=True)
    if status:
        sys.exit(f"{module} did not end well within {LIMIT} MiB (status {status})")


if __name__ == "__main__":
    main()
