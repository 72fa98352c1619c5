"""Files that are either whole or absent, hashes, and the place for caches."""

import errno
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from nmt.errors import UserError

Entry = TypeVar("Entry")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place when the block succeeds.

    The block may create a file or a directory there. A crash leaves either the old `path` or the
    new one, never half of it: the content reaches the disk before the rename does. (A directory in the
    place of another takes two renames; killed between them, the old one stands hidden beside `path`.)
    """
    path = Path(os.path.realpath(path))  # what a symbolic link points to is replaced, not the link
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "Not a regular file", str(path))  # never replace a device such as /dev/null
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        error.filename = str(path)  # what the user knows
        raise
    try:
        # The suffix is kept because writers such as matplotlib choose the format by it.
        temporary = scratch / path.name
        yield temporary
        mode = stat.S_IMODE(path.stat().st_mode) if path.is_file() else 0o666 & ~_umask()
        for file in [temporary, *temporary.rglob("*")] if temporary.is_dir() else [temporary]:
            if file.is_file():
                file.chmod(mode)  # some libraries write files that only their owner can read
            _flush_to_disk(file)
        old = scratch / "old"
        if path.is_dir() and temporary.is_dir():
            os.rename(path, old)
        try:
            os.replace(temporary, path)
        except OSError:
            if old.exists():
                os.rename(old, path)
            raise
        _flush_to_disk(path.parent)
    except OSError as error:
        if error.errno and (error.filename is None or str(error.filename).startswith(str(scratch))):
            error.filename = str(path)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove_scratch(path: Path) -> None:
    """Remove what killed writes of `path` (its name may be a pattern) have left beside it. Nobody may be writing it."""
    for left in path.parent.glob(f".{path.name}.????????"):  # as mkdtemp names them
        shutil.rmtree(left, ignore_errors=True)


def built_once(place: Path, read: Callable[[], Entry | None], build: Callable[[Path], object]) -> Entry:
    """What `read()` finds in a directory of a cache; where it finds none, or none that is whole, `build(empty
    directory)` makes it first, once: processes that want the same at once wait.

    Raises OSError when what was built cannot be read.
    """
    if (found := read()) is not None:
        return found
    from filelock import FileLock

    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if (found := read()) is None:
            remove_scratch(place)
            with atomic_path(place) as temporary:
                temporary.mkdir()
                build(temporary)
            found = read()
    if found is None:
        raise OSError(f"{place} cannot be read back")
    return found


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file's content, as hexadecimal text."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~user` for a home directory. Raises UserError for a user that is not known."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: there is no such user's home directory; write the path out") from error


def cache_directory(chosen: str | None = None) -> Path:
    """Where downloads and encoded corpora are kept: `chosen`, else `$NMT_CACHE`, else the user's cache directory.

    A user who has none that can be written gets a temporary directory, the same in every process, and a warning.
    """
    if override := chosen or os.environ.get("NMT_CACHE"):
        return expanded(override)
    import platformdirs

    try:
        place = Path(platformdirs.user_cache_dir("nmt"))
    except RuntimeError:  # no home directory
        return _temporary_cache()
    return place if place.is_absolute() and _can_write(place) else _temporary_cache()


def _can_write(directory: Path) -> bool:
    """Whether files can be written to a directory, which is made if it is absent."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK | os.X_OK)


def temporary_directory() -> str:
    """Where temporary files are kept: as Python has it, else shared memory, which read-only containers have too."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return "/dev/shm"


@cache
def _temporary_cache() -> Path:
    user = os.getuid()
    place = Path(temporary_directory()) / f"nmt-cache-{user}"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        private = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022
    except OSError:
        private = False
    if not private:  # another user's, who could change what is read from it
        try:
            place = Path(tempfile.mkdtemp(prefix="nmt-cache-", dir=temporary_directory()))
        except OSError as error:
            raise UserError("there is no directory for a cache that can be written; name one with NMT_CACHE") from error
    print(
        f"warning: the home directory has no cache that can be written; using {place} (NMT_CACHE names another)",
        file=sys.stderr,
    )
    return place
