"""One run at a time in a directory: a lock that dies with its owner and says who that is."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from nmt.errors import UserError

LOCK = ".lock"


@contextlib.contextmanager
def run_lock(directory: Path) -> Iterator[None]:
    """Hold `directory` for this process; makes the directory, and removes it again when nothing was put there.

    The lock is the kernel's (flock), on the file `.lock`, in which the owner is named. It ends with its owner, however
    that ends, so that a crash leaves only the name, which the next run takes over and says so. Raises UserError while
    another process holds it. Between hosts it holds where the file system carries flock from one to the other (NFS
    does, unless it is mounted with local locks); where it does not, the later run takes over with the same warning.
    """
    made = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / LOCK
    try:
        with FileLock(path, timeout=0):
            if left := _owner(path):
                print(f"taking over the lock of {left}, which did not end in order", file=sys.stderr)
            since = time.strftime("%Y-%m-%d %H:%M:%S %z")
            path.write_text(json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since}))
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # a disk that is read-only by now: the reason for the end is told
                    path.unlink()  # still ours: filelock sees to those who opened the file meanwhile
                    if made:
                        directory.rmdir()
    except Timeout:
        owner = _owner(path) or "another process"
        raise UserError(f"{directory} is in use by {owner}; wait for its end, or choose another checkpoint") from None


def _owner(path: Path) -> str | None:
    """Who wrote the lock file, in words; None when nobody did."""
    try:
        told = json.loads(path.read_text())
        return f"process {told['process']} on {told['host']} (since {told['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return None
