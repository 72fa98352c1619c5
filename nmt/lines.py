"""Text in and out: lines of files and of standard input, and the standard streams of a command."""

from __future__ import annotations

import gzip
import io
import os
import select
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar, cast

from nmt.errors import UserError

Item = TypeVar("Item")
LONGEST_LINE = 16 * 2**20
"""Bytes of a line, at most: a file without line feeds must not fill memory."""
BLOCK = 2**16
"""Bytes read at a time: the capacity of a pipe."""
END: Any = object()
AT_ONCE = os.O_NONBLOCK if sys.platform == "linux" else 0
"""Opens a named pipe without waiting for its writer. Only Linux's poll tells a writer that is to come from one that has
left."""
AS_WRITTEN: dict[str, Any] = {"encoding": "utf-8", "newline": "\n", "errors": "backslashreplace"}
"""Output encoding: UTF-8 whatever the locale, LF line ends, a lone surrogate as its JSON escape."""


def read_lines(path: str | Path | None, invalid: str = "refuse") -> Iterator[str]:
    """Yield the lines of a UTF-8 file, stripped of LF or CRLF and of a leading BOM.

    Gzipped files are unpacked; None or `-` is standard input. Only a line feed ends a line, because Unicode's other
    line separators occur within sentences. With `invalid` "replace", invalid bytes become U+FFFD.

    Raises UserError, with the line number, for invalid UTF-8, a line of 16 MiB, lines that end in CR alone, and
    damaged gzip.
    """
    return (line for line in arriving_lines(path, invalid) if line is not None)


def arriving_lines(path: str | Path | None, invalid: str = "refuse") -> Iterator[str | None]:
    """As `read_lines`, with a None before each read that would block, as on a pipe or a keyboard.

    On Linux opening does not wait for the writer of a named pipe, so that it may open several before it writes.
    """
    name, place = (str(path), f"{path}:") if path not in (None, "-") else ("standard input", "standard input, line ")
    number = 0
    try:
        with _opened(path) as file:
            if polled(file, select.POLLIN) is False:
                yield None
                polled(file, select.POLLIN, wait=True)
            lines: Iterator[bytes | None] = _split(file if path in (None, "-") else _unpacked(file))
            while (line := next(lines, END)) is not END:
                if line is None:
                    yield None
                    continue
                number += 1
                if len(line) >= LONGEST_LINE:
                    raise UserError(f"{place}{number}: a line of over 16 MiB; put one sentence on a line")
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                ended = line.endswith(b"\n")
                text = line.removesuffix(b"\n").removesuffix(b"\r") if ended else line
                decoded = text.decode("utf-8", "replace" if invalid == "replace" else "strict")
                if number == 1 and b"\r" in text.rstrip(b"\r"):
                    following = next(lines, END) if not ended or path not in (None, "-") else None
                    if following is END:
                        raise UserError(
                            f"{name}: its lines end in carriage returns alone: use line feeds (tr '\\r' '\\n')"
                        )
                    lines = chain([following], lines)
                yield decoded
    except UnicodeDecodeError as error:
        raise UserError(
            f"{place}{number}: not UTF-8 ({error.reason} at byte {error.start + 1}): convert the text (see iconv), or "
            "use --invalid-utf8 replace where a command has it"
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{name}: damaged gzip after line {number} ({error}); download or compress it again") from error
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror}") from error


def parallel_lines(paths: Sequence[str | Path], invalid: str = "refuse") -> Iterator[tuple[str, ...] | None]:
    """Line N of every file, and None before a wait in any; all are opened before any is waited for, because one program
    may write several pipes.

    Raises UserError as `arriving_lines`, and at the end for files of different lengths.
    """
    files = [chain(list(islice(lines, 1)), lines) for lines in [arriving_lines(path, invalid) for path in paths]]
    counts = [0] * len(files)
    while True:
        row: list[str] = []
        for number, lines in enumerate(files):
            while (line := next(lines, END)) is None:
                yield None
            if line is not END:
                counts[number] += 1
                row.append(line)
        if len(row) == len(files):
            yield tuple(row)
        elif not row:
            break
    for path, count in zip(paths, counts, strict=True):
        if count != counts[0]:
            raise UserError(
                f"{paths[0]} has {counts[0]:,} lines but {path} has {count:,}: "
                "line N of one must be the translation of line N of the other"
            )


def in_chunks(items: Iterable[Item | None], size: int) -> Iterator[list[Item] | None]:
    """Group items into lists of at most `size`. A None among the items closes a list and is passed on.

    If `items` raises, the items before the error are yielded first.
    """
    chunk: list[Item] = []
    try:
        for item in items:
            if item is not None:
                chunk.append(item)
            if chunk and (item is None or len(chunk) >= size):
                yield chunk
                chunk = []
            if item is None:
                yield None
    except Exception:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _split(file: BinaryIO) -> Iterator[bytes | None]:
    """Lines with their ends, a None before each read that would block, and overlong lines in pieces."""
    begun = bytearray()
    while True:
        if polled(file, select.POLLIN) is False:
            yield None
        block = file.read1(BLOCK)  # type: ignore[attr-defined]
        *ends, rest = block.split(b"\n")
        for end in ends:
            yield bytes(begun + end + b"\n")
            begun.clear()
        begun += rest
        if begun and (not block or len(begun) >= LONGEST_LINE):
            yield bytes(begun)
            begun.clear()
        if not block:
            return


def polled(stream: IO, events: int, wait: bool = False) -> bool | None:
    """Whether one of the `events`, or the end of the other side, is there now or, with `wait`, comes; None for a stream
    in memory."""
    watch = select.poll()
    try:
        watch.register(stream.fileno(), events)
    except (OSError, ValueError):
        return None
    return bool(watch.poll(None if wait else 0))


@contextmanager
def _opened(path: str | Path | None) -> Iterator[BinaryIO]:
    if path in (None, "-"):
        if sys.stdin is None:
            raise UserError("standard input is closed; pass text as an argument or with --input")
        if sys.stdin.isatty():
            print("reading from the terminal, a line at a time; Ctrl-D ends", file=sys.stderr)
        yield sys.stdin.buffer
        return
    with open(cast(str, path), "rb", opener=_at_once) as file:
        yield file


def _at_once(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | AT_ONCE)
    os.set_blocking(descriptor, True)
    return descriptor


def _unpacked(file: BinaryIO) -> BinaryIO:
    """The content of a gzipped file, or the file itself."""
    begin = cast(io.BufferedReader, file).peek(2)[:2]
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if begin == b"\x1f\x8b" else file  # which no UTF-8 text has


class _Lasting(io.FileIO):
    """A file that drops what it cannot write."""

    def write(self, data: Any, /) -> int:
        try:
            written = super().write(data)
        except OSError:  # its reader has left, its disk is full
            written = None
        return len(data) if written is None else written


class _Closed(io.TextIOBase):
    """Stands in for a closed standard output."""

    def write(self, _text: str, /) -> int:
        raise UserError("standard output is closed; send it to a file or to /dev/null")


@contextmanager
def standard_streams() -> Iterator[None]:
    """Within the block, standard error never fails, standard output is UTF-8, and writing to a closed one is UserError.

    Streams that replace the process's own, as in tests, are left alone.
    """
    before = sys.stdout, sys.stderr
    for number in (0, 1, 2):  # no file may get the number of a closed standard stream, and what is printed there
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free
    sys.stdout = _Closed() if sys.stdout is None else sys.stdout  # type: ignore[assignment]
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(**AS_WRITTEN)
    keep_standard_error()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def keep_standard_error() -> None:
    """Let the process's own standard error drop what it cannot write, so that losing it never ends work."""
    try:
        own = sys.stderr is None or sys.stderr.fileno() == 2
    except (OSError, ValueError):  # a stand-in
        own = False
    if own:
        raw = io.BufferedWriter(_Lasting(2, "wb", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, line_buffering=True, **AS_WRITTEN)
