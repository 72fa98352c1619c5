"""Contestants in processes of their own, measured in turns: A B C A B C, all warm, one at work at a time."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from nmt.errors import UserError
from scripts.joeynmt import NO_PEERS
from scripts.report import PEERS, ROOT, THREADS

WORKERS = Path(__file__).resolve().parent / "workers"


@dataclass
class Contestant:
    """A module of `workers/`, its arguments, and its request."""

    name: str
    script: str
    arguments: Sequence[str] = ()
    request: Mapping[str, object] = field(default_factory=dict)
    peer: bool = False
    """Whether it runs in the peers' environment."""

    def command(self) -> list[str]:
        """The command line. Raises UserError where the peers' environment is missing."""
        if self.peer and not PEERS.exists():
            raise UserError(NO_PEERS)
        if self.peer:
            return [str(PEERS), str(WORKERS / f"{self.script}.py"), *self.arguments]
        return [sys.executable, "-m", f"scripts.speed.workers.{self.script}", *self.arguments]


class Process:
    """A running contestant."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            contestant.command(), stdin=pipe, stdout=pipe, stderr=self.errors, text=True, env=environment, cwd=ROOT
        )

    def answer(self) -> dict:
        """Read the next reply. Raises UserError if the process has died."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise UserError(f"{self.contestant.name} ended early: {self.errors.read()[-2000:]}")
        return json.loads(line)

    def measure(self) -> dict:
        """One turn."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died, which `answer` tells
            self.process.stdin.write(json.dumps(dict(self.contestant.request)) + "\n")
            self.process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()


def contest(contestants: Sequence[Contestant], rounds: int) -> dict[str, list[dict]]:
    """Every contestant's replies, `rounds` of them, taken in turns; each starts and warms up alone beforehand."""
    running: list[Process] = []
    replies: dict[str, list[dict]] = {contestant.name: [] for contestant in contestants}
    try:
        with tqdm(total=len(contestants) * (rounds + 1), disable=None, unit="turn") as bar:
            for contestant in contestants:
                bar.set_postfix_str(f"{contestant.name} starts")
                running.append(Process(contestant))
                running[-1].answer()
                bar.update()
            for _ in range(rounds):
                for process in running:
                    bar.set_postfix_str(process.contestant.name)
                    replies[process.contestant.name].append(process.measure())
                    bar.update()
    finally:
        for process in running:
            process.end()
    return replies


@dataclass(frozen=True)
class Figures:
    """Median and range of one measure over the rounds."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figures:
        """Of the rounds' values."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 0) -> str:
        """`median (lowest to highest)`."""
        return f"{self.median:,.{digits}f} ({self.lowest:,.{digits}f} to {self.highest:,.{digits}f})"


def rates(replies: Sequence[dict], amount: str) -> Figures:
    """`amount` a second."""
    return Figures.of([reply[amount] / reply["seconds"] for reply in replies])
