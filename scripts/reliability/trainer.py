"""`nmt-train` in children forked from one warm process: a run costs half a second, and may be stopped at any moment.

The parent imports everything and starts no thread, so that a fork is safe and no run pays for `import torch`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

import nmt.corpus.local
import nmt.corpus.store
import nmt.training.run  # noqa: F401  (children find it imported)
from nmt.cli.common import run
from nmt.cli.train import main
from nmt.evaluation import score

FILE_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.copyfile", "shutil.rmtree"}
"""Python's audit events of file operations: what writing a checkpoint is made of."""


def warm_up() -> None:
    """Import what a run would import first when it is needed."""
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], fused=True)
    score(["a warm cup"], [["a warm cup"]])
    gc.freeze()  # or collections in the children would copy the parent's memory


@dataclass(frozen=True)
class Moment:
    """When a run is interrupted: at its n-th file operation in the checkpoint, or after so much processor time."""

    event: int | None = None
    delay: float = 0.0
    """Seconds from the event to the kill; without an event, seconds of processor time."""
    meanwhile: Callable[[], None] | None = None
    """At the event this is called, the run waits for it and is not killed."""

    def __str__(self) -> str:
        if self.event is None:
            return f"after {self.delay:.3f} s of processor time"
        return f"file operation {self.event}" + (f" + {self.delay * 1000:.1f} ms" if self.delay else "")


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    status: int
    """Its exit status; -9 when it was killed."""
    errors: list[str]
    """Its lines on standard error."""
    events: int
    """File operations that it reached."""
    seconds: float
    """Its processor time."""

    @property
    def in_one_line(self) -> bool:
        """Whether it was refused as the project's commands refuse: status 2, and a last line that names the command."""
        lines = [line for line in self.errors if line.startswith("nmt-train: ")]
        return self.status == 2 and lines == self.errors[-1:] and not self.traceback

    @property
    def traceback(self) -> bool:
        """Whether it ended in a way that no user should see."""
        return any("Traceback" in line for line in self.errors) or self.status not in (0, 2, -signal.SIGKILL)


def train(config: Path, directory: Path, *arguments: str, moment: Moment | None = None) -> Ended:
    """Run `nmt-train config checkpoint=directory arguments`, interrupted at `moment` if it gets so far."""
    told, tell = os.pipe()
    answered, answer = os.pipe()
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            os.dup2(errors.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            events = _watch(str(directory), moment, tell, answered)
            status = 99
            try:
                status = run("nmt-train", main, [str(config), f"checkpoint={directory}", *arguments])
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os.write(tell, b"%d\n" % events[0])
                os._exit(status)
        os.close(tell), os.close(answered)
        _interrupt(child, moment, told, answer)
        _, status, usage = os.wait4(child, 0)
        events_seen = _last_number(told)
        os.close(told), os.close(answer)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").splitlines()
    return Ended(os.waitstatus_to_exitcode(status), lines, events_seen, usage.ru_utime + usage.ru_stime)


def _watch(directory: str, moment: Moment | None, tell: int, answered: int) -> list[int]:
    """Count the file operations below `directory`, and end or wait at the one that the moment names."""
    count = [0]

    def hook(event: str, arguments: tuple) -> None:
        if event not in FILE_EVENTS:
            return
        names = [os.fspath(one) for one in arguments[:2] if isinstance(one, str | os.PathLike)]
        within = any(isinstance(name, str) and name.startswith(directory) for name in names)
        if not within and event not in ("os.remove", "os.rmdir"):  # rmtree names its files relative to a descriptor
            return
        count[0] += 1
        if moment and count[0] == moment.event:
            if not moment.delay and not moment.meanwhile:
                os.kill(os.getpid(), signal.SIGKILL)
            os.write(tell, b"!")
            if moment.meanwhile:
                os.read(answered, 1)

    sys.addaudithook(hook)
    return count


def _interrupt(child: int, moment: Moment | None, told: int, answer: int) -> None:
    """The parent's side: kill the child at the moment, or do what is to be done meanwhile."""
    if moment is None or (moment.event is not None and not moment.delay and not moment.meanwhile):
        return
    if moment.event is None:
        while _processor_time(child) < moment.delay:
            time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        return
    if os.read(told, 1) == b"!":  # else it ended before
        if moment.meanwhile:
            moment.meanwhile()
            os.write(answer, b"!")
        else:
            time.sleep(moment.delay)
            os.kill(child, signal.SIGKILL)


def _processor_time(child: int) -> float:
    """Seconds that a child has run; infinite when it has ended."""
    try:
        with open(f"/proc/{child}/schedstat") as file:
            waited = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return float("inf") if waited else int(file.read().split()[0]) / 1e9
    except OSError:
        return float("inf")


def _last_number(told: int) -> int:
    text = b""
    while part := os.read(told, 100):
        text += part
    return int(text.strip(b"!\n") or 0)


WORDS = ["amber", "bread", "cloud", "drum", "eagle", "flute", "grape", "horse", "island", "jewel", "kite", "lemon"]


def write_configuration(place: Path, **training: object) -> Path:
    """A tiny corpus (words to their reverse, in reverse order), and a configuration that trains on it for seconds."""
    draw = random.Random(0)
    found = {tuple(draw.choices(WORDS, k=draw.randint(2, 4))) for _ in range(400)}
    lines = [f"{' '.join(pair)}\t{' '.join(word[::-1] for word in reversed(pair))}\n" for pair in sorted(found)]
    draw.shuffle(lines)
    place.mkdir(parents=True)
    for name, part in (("dev", lines[:20]), ("train", lines[20:])):
        (place / f"{name}.tsv").write_text("".join(part))
    head = training.pop("head", False)
    tree = {
        "checkpoint": "given on the command line",
        "data": {
            "corpus": "files",
            "train": str(place / "train.tsv"),
            "dev": str(place / "dev.tsv"),
            "cache": str(place / "cache"),
        },
        "subwords": {"vocabulary_size": 310, "sampling": training.pop("sampling", 0.0)},
        "model": {"encoder_layers": 1, "decoder_layers": 1, "width": 16, "feed_forward": 16, "heads": 2},
        "training": {
            "batch_tokens": 200,
            "warmup_steps": 4,
            "max_steps": 24,
            "validate_every": 4,
            "validation_pairs": 2,
            "average_count": 3,
            "device": "cpu",
            "threads": 1,
            **training,
        },
        "decoding": {"beam": 1, "max_length_factor": 1.0, "max_length_extra": 1},
        "alignment": {"head": head, "minutes": 0.001},
    }
    (place / "run.yaml").write_text(yaml.safe_dump(tree))
    return place / "run.yaml"
