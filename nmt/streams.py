"""The standard streams of a command: UTF-8, a standard error that never ends work, no descriptor left free."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from nmt.errors import UserError

AS_WRITTEN: dict[str, Any] = {"encoding": "utf-8", "newline": "\n", "errors": "backslashreplace"}
"""How text leaves: UTF-8 wherever the command runs, lines not translated, a lone surrogate as its JSON escape."""


class _Lasting(io.FileIO):
    """A file that drops what it cannot write."""

    def write(self, data: Any, /) -> int:
        try:
            written = super().write(data)
        except OSError:  # its reader has left, its disk is full
            written = None
        return len(data) if written is None else written


class _Closed(io.TextIOBase):
    """Standard output where there is none."""

    def write(self, _text: str, /) -> int:
        raise UserError("standard output is closed; send it to a file or to /dev/null")


@contextmanager
def standard_streams() -> Iterator[None]:
    """Within the block standard error cannot fail, standard output is UTF-8, and writing to a closed one is UserError.

    Streams that stand in for the process's own, as in tests, stay.
    """
    before = sys.stdout, sys.stderr
    occupy_descriptors()
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
    """Let standard error, if it is the process's own, drop what it cannot write: losing it never ends work."""
    if sys.stderr is None or _descriptor(sys.stderr) == 2:
        raw = io.BufferedWriter(_Lasting(2, "wb", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, line_buffering=True, **AS_WRITTEN)


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # a stand-in
        return None


def occupy_descriptors() -> None:
    """Open /dev/null in the place of closed standard streams, lest a file get their number and what others print."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free
