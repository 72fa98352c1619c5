"""Lines of text files from anywhere: compressed or not, and refused with a line number when they are not text."""

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from nmt.errors import UserError
from nmt.files import expanded

# Bytes. No sentence is so long; a file that holds no line feed at all must not fill the memory.
LONGEST_LINE = 16 * 2**20


def check_file(path: str | Path, key: str) -> Path:
    """The path, which must be that of a readable file; `key` is what the configuration calls it."""
    path = expanded(path)
    if not path.exists():
        raise UserError(f"{path}: no such file: set {key} to a file that is there")
    if not path.is_file():
        raise UserError(f"{path} is not a plain file (it is read more than once): set {key} to one")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} cannot be read: give yourself the permission, or set {key} to another file")
    return path


def open_bytes(path: Path) -> BinaryIO:
    """The file's content, unpacked when its first bytes are gzip's (which no UTF-8 text has)."""
    file = open(path, "rb")  # noqa: SIM115 (the caller closes it)
    if file.peek(2)[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    return file


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text without their ends (LF or CRLF) and without a byte order mark.

    Only a line feed ends a line: the other characters that Unicode calls line ends occur within sentences.

    Raises:
        UserError: names file and line of invalid UTF-8, a NUL byte, a line beyond 16 MiB, or a damaged gzip, and
            a file whose lines end in carriage returns alone.
    """
    number = 0
    with open_bytes(path) as file:
        try:
            while line := file.readline(LONGEST_LINE):
                number += 1
                whole = len(line) < LONGEST_LINE
                if number == 1 and b"\r" in line.rstrip(b"\r\n") and not (whole and file.peek(1)):
                    raise UserError(
                        f"{path}: its lines end in carriage returns alone: end them in line feeds (tr '\\r' '\\n')"
                    )
                if not whole:
                    raise UserError(f"{path}:{number}: a line of over 16 MiB: put one sentence on a line")
                if b"\0" in line:
                    raise UserError(f"{path}:{number}: a NUL byte, so this is not UTF-8 text: convert it")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start + 1}): convert the file"
            ) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UserError(f"{path}: damaged gzip after line {number} ({error}): fetch or pack it again") from error
