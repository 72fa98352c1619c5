"""What the tests of the commands share: running one in this process, and damaged checkpoints."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from toy import NAMES

from nmt.checkpoint import METADATA, SUBWORDS, write_checkpoint_metadata
from nmt.cli.common import run
from nmt.text.subwords import Subwords


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    output: str
    errors: list[str]


class Command:
    """A command, run as its console script runs it."""

    def __init__(
        self, name: str, main: Callable, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
    ) -> None:
        self.name, self.main, self.monkeypatch, self.capfd = name, main, monkeypatch, capfd

    def __call__(self, *arguments: object, stdin: str | bytes = b"") -> Ended:
        """Its status, its output and the lines of its errors."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        self.capfd.readouterr()
        try:
            status = run(self.name, self.main, [str(argument) for argument in arguments])
        except SystemExit as end:  # argparse's own: --help, or arguments that it does not know
            status = int(end.code or 0)
        output, errors = self.capfd.readouterr()
        return Ended(status, output, errors.splitlines())

    def typed(self, *arguments: object, lines: list[str]) -> list[str]:
        """Standard output as it stood when each line after the first was asked for, from a terminal."""
        seen: list[str] = []

        class Terminal(io.BytesIO):
            def readline(self, size: int | None = -1, /) -> bytes:
                seen.append(seen[-1] + output.readouterr().out if seen else "")
                return super().readline(size)

        output = self.capfd
        stream = io.TextIOWrapper(Terminal("".join(f"{line}\n" for line in lines).encode()))
        self.monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        self.monkeypatch.setattr(sys, "stdin", stream)
        assert run(self.name, self.main, [str(argument) for argument in arguments]) == 0
        return seen[1:]

    def refused(self, *arguments: object, stdin: str | bytes = b"") -> str:
        """The one line on standard error of a command that ends with status 2."""
        ended = self(*arguments, stdin=stdin)
        assert ended.status == 2 and len(ended.errors) == 1, ended
        assert ended.errors[0].startswith(f"{self.name}: "), ended
        return ended.errors[0]


def _without(directory: Path) -> None:
    (directory / SUBWORDS).unlink()


def _unfinished(directory: Path) -> None:
    (directory / METADATA).unlink()


def _corrupted(directory: Path) -> None:
    for path in (directory / "weights.safetensors", directory / "ctranslate2" / "model.bin"):
        if path.exists():
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)


def _other_vocabulary(directory: Path) -> None:
    # Whole in itself: the checksums are those of the files that are there.
    other = Subwords.train([f"{name} {name[::-1]}" for name in NAMES] * 3, 300, character_coverage=1.0)
    other.save(directory / SUBWORDS)
    write_checkpoint_metadata(directory, json.loads((directory / METADATA).read_text()))


def _garbled_metadata(directory: Path) -> None:
    (directory / METADATA).write_bytes(bytes(range(256)))


def _metadata_of_something_else(directory: Path) -> None:
    (directory / METADATA).write_text('{"files": {}, "name": "a package"}')


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a file is missing": (_without, "subwords.model"),
    "not finished": (_unfinished, "metadata.json"),
    "a corrupted weight file": (_corrupted, "checksum"),
    "another vocabulary": (_other_vocabulary, "vocabulary"),
    "binary metadata": (_garbled_metadata, "metadata.json is damaged"),
    "other metadata": (_metadata_of_something_else, "metadata.json is damaged"),
    "no directory": (shutil.rmtree, "no checkpoint directory"),
}
"""What may be wrong with a checkpoint, and what the error must mention."""


def damaged_copy(checkpoint: Path, place: Path, kind: str) -> tuple[Path, str]:
    """A damaged copy of a checkpoint, and what the error must mention."""
    shutil.copytree(checkpoint, place / "damaged")
    damage, mention = DAMAGES[kind]
    damage(place / "damaged")
    return place / "damaged", mention
