"""Reference runs, and the record of what happened to broken ones."""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from nmt.checkpoint import Checkpoint
from nmt.errors import UserError
from nmt.training.log import read_log
from scripts.reliability.trainer import Ended, Moment, train, write_configuration

VARIANTS: dict[str, dict] = {
    "mean of the last": {},
    "mean of the best, accumulated, sampled": {"average": "best", "accumulate": 2, "sampling": 0.2},
    "with an alignment head": {"head": True, "average": "none", "weights": "float16"},
}
SAME = ("config.yaml", "subwords.model", "weights.safetensors", "aligner.safetensors")


class Lost(Exception):
    """Raised when a run did not end as it must."""


def must(fact: bool, otherwise: str) -> None:
    """Raise Lost unless the fact holds."""
    if not fact:
        raise Lost(otherwise)


class Bench:
    """Configurations with their unbroken runs, and the record of faults."""

    def __init__(self, place: Path, runs: int, seed: int) -> None:
        self.place, self.runs, self.seed = place, runs, seed
        self.references: list[tuple[Path, Path, Ended]] = []
        for number, settings in enumerate(VARIANTS.values()):
            config = write_configuration(place / f"variant-{number}", **settings)
            whole = train(config, place / f"variant-{number}" / "whole")
            if whole.status:
                sys.exit("\n".join(["the unbroken run fails:", *whole.errors]))
            self.references.append((config, config.parent / "whole", whole))
        self.count: dict[str, int] = {}
        self.lost: dict[str, list[str]] = {}

    def begin(self, kind: str) -> None:
        """Reset the record and the random numbers for a kind."""
        self.count, self.lost = {}, {}
        self.draw = random.Random(f"{kind} {self.seed}")

    def rows(self) -> list[tuple[str, int, list[str]]]:
        """(fault, runs, what was lost) so far."""
        return [(name, runs, self.lost.get(name, [])) for name, runs in self.count.items()]

    @contextlib.contextmanager
    def trial(self, name: str, story: list[str]) -> Iterator[Path]:
        """Provide a directory for a run and record how it ends; `story` describes the fault."""
        directory = self.place / "run"
        self.count[name] = self.count.get(name, 0) + 1
        try:
            yield directory
        except (Lost, OSError, UserError) as reason:
            self.lost.setdefault(name, []).append(f"{reason}")
            print(f"LOST {name}: {'; '.join(story)}: {reason}", file=sys.stderr)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        if sum(self.count.values()) % 25 == 0:
            told = ", ".join(f"{count} {fault}" for fault, count in self.count.items())
            print(f"... {told}; lost {sum(map(len, self.lost.values()))}", file=sys.stderr)

    def moment(self, whole: Ended, meanwhile: Callable[[], None] | None = None) -> Moment:
        """Draw a moment of a run; three of four are among its file operations."""
        if meanwhile is None and self.draw.random() < 0.25:
            return Moment(delay=self.draw.uniform(0, whole.seconds))
        delay = 0.0 if meanwhile or self.draw.random() < 0.5 else self.draw.uniform(0, 0.01)
        return Moment(self.draw.randint(1, whole.events), delay, meanwhile)


def finish(config: Path, directory: Path, whole: Path, newest: str | None, damaged: str | None = None) -> list[str]:
    """Resume to the end and compare with the unbroken run; returns the messages.

    The run must resume from the state `newest` and report the state `damaged`.
    """
    begun = (directory / "config.yaml").exists()
    ended = train(config, directory, *(["--resume"] if begun or newest else []))
    must(ended.status == 0 and not ended.traceback, "\n".join(["the resumption fails:", *ended.errors]))
    said = [line for line in ended.errors if line.startswith(("resuming from", "no state was saved"))]
    if begun or newest:
        must(len(said) == 1, f"it said {said}")
        must(f"/{newest}" in said[0] if newest else "beginning" in said[0], f"not {newest}: {said[0]}")
        must(f"{damaged} is damaged" in said[0] if damaged else "damaged" not in said[0], f"not {damaged}: {said[0]}")
    compare(directory, whole)
    return ended.errors


def compare(directory: Path, whole: Path) -> None:
    """Raise Lost unless a finished checkpoint equals the unbroken one."""
    for name in SAME:
        there = [(one / name).read_bytes() if (one / name).exists() else b"" for one in (directory, whole)]
        if name == "config.yaml":  # its one difference is the directory's own name
            there = [content.split(b"\n", 1)[1] for content in there]
        must(there[0] == there[1], f"{name} is not that of the unbroken run")
    must(validations(directory) == validations(whole), "the log has other validations")
    finished = Checkpoint(directory)
    for name in finished.files:
        finished.path(name)
    told = [one.metadata.record for one in (finished, Checkpoint(whole))]
    for record in told:
        del record["minutes"], record["files"]
        record.get("alignment_head", {}).pop("minutes", None)
    must(told[0] == told[1], "the metadata tell of another run")
    odd = {path.name for path in directory.iterdir()} ^ {path.name for path in whole.iterdir()}
    must(not odd, f"left behind or lacking: {sorted(odd)}")


def validations(directory: Path) -> list[dict]:
    """The log's validations without their times."""
    return [{**record, "seconds": 0} for record in read_log(directory) if record["kind"] == "validation"]


def newest_state(directory: Path) -> str | None:
    """Name of the newest complete state."""
    return max((path.name for path in (directory / "training").glob("step-*")), default=None)
