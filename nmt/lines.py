"""Lines of text from a file, gzipped or not, or from standard input."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from nmt.errors import UserError

LONGEST_LINE = 16 * 2**20
"""Bytes of a line: a file without any line feed must not fill the memory."""


def read_lines(path: str | Path | None, invalid: str = "refuse") -> Iterator[str]:
    """Yield the lines of a UTF-8 file, stripped of LF or CRLF and of a leading BOM.

    None or `-` is standard input. Only a line feed ends a line: other characters that Unicode calls line ends occur
    within sentences. With `invalid` "replace", bytes that are not UTF-8 become U+FFFD.

    Raises UserError, with the line's number, for invalid UTF-8, a line of 16 MiB, lines that end in CR
    alone, and damaged gzip.
    """
    name, place = (str(path), f"{path}:") if path not in (None, "-") else ("standard input", "standard input, line ")
    number = 0
    try:
        with _opened(path) as file:
            while line := file.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    raise UserError(f"{place}{number}: a line of over 16 MiB: put one sentence on a line")
                if number == 1 and path not in (None, "-") and b"\r" in line.rstrip(b"\r\n") and not _more(file):
                    raise UserError(
                        f"{name}: its lines end in carriage returns alone: end them in line feeds (tr '\\r' '\\n')"
                    )
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.endswith(b"\n"):
                    line = line[:-1].removesuffix(b"\r")
                yield line.decode("utf-8", "replace" if invalid == "replace" else "strict")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{place}{number}: not UTF-8 ({error.reason} at byte {error.start + 1}): convert the text (see iconv), or "
            "give --invalid-utf8 replace to a command that takes it"
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{name}: damaged gzip after line {number} ({error}): fetch or pack it again") from error
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror}") from error


def _more(file: BinaryIO) -> bool:
    """Whether a file goes on."""
    here = file.tell()
    more = bool(file.read(1))
    file.seek(here)
    return more


@contextmanager
def _opened(path: str | Path | None) -> Iterator[BinaryIO]:
    if path in (None, "-"):
        if sys.stdin is None:
            raise UserError("standard input is closed; give text as an argument or with --input")
        yield sys.stdin.buffer
        return
    with open(cast(str, path), "rb") as file:
        if file.peek(2)[:2] == b"\x1f\x8b":  # gzip's first bytes, which no UTF-8 text has
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield file
