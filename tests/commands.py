"""What the tests of the commands share: running one in this process or in a fork of it, and damaged checkpoints."""

import importlib
import io
import json
import os
import select
import shutil
import sys
import tempfile
import traceback
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

    def refused(self, *arguments: object, stdin: str | bytes = b"") -> str:
        """The one line on standard error of a command that ends with status 2."""
        ended = self(*arguments, stdin=stdin)
        assert ended.status == 2 and len(ended.errors) == 1, ended
        assert ended.errors[0].startswith(f"{self.name}: "), ended
        return ended.errors[0]


class Fork:
    """Work in a forked child, which need not import anything again; its standard error goes to `errors`."""

    def __init__(self, work: Callable[[], int | None], errors: int | None = None) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = os.fork()
        if not self.process:
            status = 99
            try:
                os.dup2(self.file.fileno() if errors is None else errors, 2)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
                status = work() or 0
                sys.stdout.flush()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)

    def wait(self) -> tuple[int, str]:
        """Its status, negative for a signal, and its standard error."""
        _, status = os.waitpid(self.process, 0)
        self.file.seek(0)
        with self.file:
            return os.waitstatus_to_exitcode(status), self.file.read().decode()


class Conversation:
    """A command in a process of its own, asked one line at a time."""

    def __init__(self, module: str, *arguments: object) -> None:
        given, self.input = os.pipe()
        self.output, told = os.pipe()

        def work() -> int:
            os.dup2(given, 0), os.dup2(told, 1)
            for end in (given, self.input, self.output, told):
                os.close(end)
            sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
            return run(module, importlib.import_module(module).main, [str(argument) for argument in arguments])

        self.process = Fork(work)
        os.close(given), os.close(told)

    def ask(self, line: str) -> str:
        """The answer, which must come while the command waits for more; empty after a minute without any."""
        os.write(self.input, f"{line}\n".encode())
        answer, letter = b"", b" "
        while letter not in (b"", b"\n") and select.select([self.output], [], [], 60)[0]:
            answer += (letter := os.read(self.output, 1))
        return answer.decode()

    def end(self) -> tuple[int, str]:
        """Close its input: its status and the rest of its output."""
        os.close(self.input)
        with open(self.output, encoding="utf-8") as file:
            rest = file.read()
        return self.process.wait()[0], rest


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
