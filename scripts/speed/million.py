"""The million-line claim: nmt-translate on a long file, its memory and its speed from the first tenth to the last."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

from scripts.speed.claim import Claim, Told
from scripts.speed.decoding import tatoeba_test
from scripts.watch import run_and_watch

LINES = 1_000_000
TENTHS = 10


def measure() -> dict:
    """Greedy translation of short lines; when each tenth was written, and the peak of memory.

    Every fifth line ends in a unique word, so caches of words must be bounded.
    """
    short = sorted({line for line in tatoeba_test()[0] if len(line) < 25})
    with tempfile.TemporaryDirectory() as directory:
        text, output = Path(directory) / "text.en", Path(directory) / "text.es"
        with open(text, "w", encoding="utf-8") as file:
            for number in range(LINES):
                line = short[number * 7919 % len(short)]
                file.write(f"{line[:-1]} {number:x}{line[-1]}\n" if number % 5 == 0 else f"{line}\n")
        times: list[float] = []
        started = time.perf_counter()
        thread = threading.Thread(target=_watch, args=(Path(directory), started, times), daemon=True)
        thread.start()
        command = [sys.executable, "-m", "nmt.cli.translate", "--beam", "1", "--output", str(output)]
        reply = run_and_watch(command, str(text))
        thread.join(10)
        return {"million": [{**reply, "lines": LINES, "sentences": len(short), "tenths": times}]}


def _watch(directory: Path, started: float, times: list[float]) -> None:
    # The output is written beside its place until it is whole.
    count = offset = 0
    file = None
    while len(times) < TENTHS:
        time.sleep(0.02)
        if file is None:
            found = [path for path in directory.rglob("text.es") if path.is_file()]
            file = open(found[0], "rb") if found else None  # noqa: SIM115
            continue
        data = file.read()
        count, offset = count + data.count(b"\n"), offset + len(data)
        while len(times) < TENTHS and count >= (len(times) + 1) * LINES // TENTHS:
            times.append(time.perf_counter() - started)


def tell(replies: dict) -> Told:
    """Lines a second of each tenth."""
    reply = replies["million"][0]
    times = [0.0, *reply["tenths"]]
    speeds = [reply["lines"] / TENTHS / (after - before) for before, after in zip(times, times[1:], strict=False)]
    rows = [[f"tenth {number}", f"{speed:,.0f}"] for number, speed in enumerate(speeds, 1)]
    rows.append(["peak memory, MB", f"{reply['peak_bytes'] / 1e6:,.0f}"])
    summary = [
        ("a million lines: speed of the last tenth to the second", f"{speeds[-1] / speeds[1]:.2f}x"),
        ("a million lines: peak memory", f"{reply['peak_bytes'] / 1e6:,.0f} MB"),
    ]
    return Told(["part", "lines a second"], rows, summary)


CLAIM = Claim("million-lines", measure, tell)
