"""What all commands share: errors in one line, exit statuses, lines in and out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from nmt.errors import UserError

USER_ERROR = 2
INTERRUPTED = 130


def run(name: str, main: Callable[[list[str]], int | None], arguments: list[str] | None = None) -> int:
    """Run a command: UserError is one line on standard error and status 2, Ctrl-C is 130, a closed pipe is silence."""
    try:
        # Output is UTF-8 wherever the command runs, and lines are not translated.
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(encoding="utf-8", newline="\n", errors="backslashreplace")
        status = main(sys.argv[1:] if arguments is None else arguments) or 0
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (such as `| head`) has what it wanted; keep the interpreter's own flush quiet too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a directory that may not be written to
        print(f"{name}: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return USER_ERROR


def parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """An argument parser whose help ends in examples."""
    return argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_checkpoint_arguments(arguments: argparse.ArgumentParser) -> None:
    """--checkpoint, --engine and --threads, as every command that loads a checkpoint has them."""
    arguments.add_argument("--checkpoint", metavar="DIR", help="directory (default: the shipped English-Spanish one)")
    arguments.add_argument(
        "--engine",
        choices=["auto", "torch", "ctranslate2"],
        default="auto",
        help="auto takes CTranslate2 where the checkpoint has its files (default: auto)",
    )
    arguments.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: all cores)")


def add_search_arguments(arguments: argparse.ArgumentParser) -> None:
    """--beam, --length-penalty and --batch-size."""
    arguments.add_argument("--beam", type=positive, metavar="N", help="beam size; 1 is greedy search")
    arguments.add_argument("--length-penalty", type=float, metavar="X", help="exponent of the length penalty")
    arguments.add_argument(
        "--batch-size", type=positive, default=64, metavar="N", help="sentences translated together (default: 64)"
    )


def positive(text: str) -> int:
    """An argument type: a whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def read_lines(path: str | None) -> Iterator[str]:
    """The lines of a UTF-8 file, or of standard input for None or `-`, without their ends; streams.

    A byte-order mark is dropped, CRLF ends a line as LF does. Raises UserError with the line's number for
    bytes that are not UTF-8.
    """
    name = "standard input" if path in (None, "-") else str(path)
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            line = line.removesuffix(b"\n").removesuffix(b"\r")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{name}, line {number}: byte {error.start + 1} is not UTF-8; convert the text to UTF-8 (see iconv)"
                ) from error


@contextmanager
def _opened(path: str | None) -> Iterator[BinaryIO]:
    if path in (None, "-"):
        if sys.stdin is None:
            raise UserError("standard input is closed; give text as an argument or with --input")
        yield sys.stdin.buffer
        return
    try:
        with open(str(path), "rb") as file:
            yield file
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def writer(path: str | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears whole when the block has succeeded."""
    if path in (None, "-"):
        yield sys.stdout
        return
    from nmt.files import atomic_path

    try:
        if Path(path).exists() and not Path(path).is_file():  # /dev/null, a named pipe: nothing to rename
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                yield file
            return
        with atomic_path(str(path)) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
            yield file
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def with_progress(items: Iterable, unit: str, wanted: bool) -> Iterable:
    """A progress bar on standard error around `items`, when wanted and when it is a terminal."""
    if not wanted or not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    return tqdm(items, unit=f" {unit}")


def check_writable(path: str | Path | None) -> None:
    """Refuse an output path before the work is done. Raises UserError."""
    if path is not None and not Path(path).resolve().parent.is_dir():
        raise UserError(f"cannot write {path}: there is no directory {Path(path).resolve().parent}")
