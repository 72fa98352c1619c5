"""Atomic writes, hashes and the cache directory."""

import errno
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain, count
from pathlib import Path
from typing import TypeVar

from nmt.errors import UserError

Entry = TypeVar("Entry")
NOT_REPLACEABLE = (errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS)
"""Errors of a file that can be written but not replaced: a mount point, a file in a read-only directory."""
NO_FLUSH = (errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
"""Errors of fsync that lose nothing: a file that cannot be read, a file system without fsync."""


@contextmanager
def atomic_path(path: str | Path, keep: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it into place when the block succeeds.

    The block may create a file or a directory there. After a crash `path` is either the old content or the new one,
    never a mixture: content is flushed before the rename. (Replacing a directory takes two renames; killed between
    them, the old one remains hidden beside `path`.) What cannot be replaced, such as a mount point, is overwritten in
    place, with a warning; other files of such a directory stay.

    With `keep`, a file left behind by a failed block, flush or rename is kept as `path.unfinished` (then
    `.unfinished.2` and so on), and the error message names it.
    """
    path = Path(os.path.realpath(path))  # what a symbolic link points to is replaced, not the link
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "Not a regular file", str(path))  # never replace a device such as /dev/null
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = _scratch_for(path)
    # The suffix is kept because writers such as matplotlib choose the format by it.
    temporary = scratch / path.name
    try:
        yield temporary
        os.umask(mask := os.umask(0))
        mode = stat.S_IMODE(path.stat().st_mode) if path.is_file() else 0o666 & ~mask
        for file in [temporary, *temporary.rglob("*")] if temporary.is_dir() else [temporary]:
            if file.is_file():
                file.chmod(mode)  # some libraries write files that only their owner can read
            _flush_to_disk(file)
        _put(temporary, path)
        _flush_to_disk(path.parent)
    except (UserError, OSError, KeyboardInterrupt) as stop:
        if isinstance(stop, OSError) and stop.errno and str(stop.filename or scratch).startswith(str(scratch)):
            stop.filename = str(path)
        if keep and (kept := _keep(temporary, path)):
            _add_to_message(stop, f"; what was done before is in {kept}")
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_output(path: str | Path) -> None:
    """Raise UserError for a file to write in a missing directory, and for one that is a directory."""
    if not os.path.isdir(parent := os.path.dirname(os.path.realpath(path))):
        raise UserError(f"cannot write {path}: there is no directory {parent}")
    if os.path.isdir(path):
        raise UserError(f"cannot write {path}: it is a directory; name a file in it")


def is_empty(path: Path) -> bool:
    """Whether it is a directory without anything in it."""
    return path.is_dir() and not any(path.iterdir())


def _scratch_for(path: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        if error.errno in NOT_REPLACEABLE and path.exists() and os.access(path, os.W_OK):
            return Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=temporary_directory()))  # only `path` is writable
        error.filename = str(path)  # what the user knows
        raise


def _put(temporary: Path, path: Path) -> None:
    """Rename `temporary` to `path`, or write `path` in place where it cannot be replaced."""
    old = temporary.parent / "old"
    whole = path.is_dir() and temporary.is_dir()
    try:
        if whole:
            os.rename(path, old)
        os.replace(temporary, path)
    except OSError as error:
        if old.exists():
            os.rename(old, path)
        if error.errno not in NOT_REPLACEABLE or not (whole or (temporary.is_file() and path.is_file())):
            raise
        for file in temporary.rglob("*") if whole else [temporary]:
            _write_in_place(file, path / file.relative_to(temporary))
        warnings.warn(f"{path} cannot be replaced ({error.strerror}), so it was written in place", stacklevel=4)


def _write_in_place(file: Path, path: Path) -> None:
    if file.is_dir():
        path.mkdir(exist_ok=True)
        return
    with open(file, "rb") as source, open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666), "wb") as target:
        shutil.copyfileobj(source, target)
        target.truncate()
        target.flush()
        os.fsync(target.fileno())


def _keep(temporary: Path, path: Path) -> Path | None:
    """Move a non-empty file beside `path`, or else to the temporary directory; returns where it is."""
    if not temporary.is_file() or not temporary.stat().st_size:
        return None
    for directory in (path.parent, Path(temporary_directory())):
        name = directory / f"{path.name}.unfinished"
        names = chain([name], (Path(f"{name}.{number}") for number in count(2)))
        try:
            return Path(shutil.move(temporary, next(one for one in names if not os.path.lexists(one))))
        except OSError:
            continue
    return None


def _add_to_message(stop: UserError | OSError | KeyboardInterrupt, words: str) -> None:
    if isinstance(stop, OSError):
        stop.strerror = f"{stop.strerror or stop}{words}"
    else:
        stop.args = (f"{str(stop) or 'interrupted'}{words}",)


def remove_scratch(path: Path) -> None:
    """Remove the leftovers of killed writes of `path`, whose name may be a pattern. Nobody may be writing it."""
    for left in path.parent.glob(f".{path.name}.????????"):  # as mkdtemp names them
        shutil.rmtree(left, ignore_errors=True)


class CacheError(UserError):
    """The cache cannot be written."""


def built_once(place: Path, read: Callable[[], Entry | None], build: Callable[[Path], object]) -> Entry:
    """Return `read()`, the content of the cache entry `place`; if that is None, first `build(empty directory)`.

    Concurrent processes build an entry once and wait for it. Raises CacheError if it cannot be written.
    """
    if (found := read()) is not None:
        return found
    from filelock import FileLock

    try:
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
    except OSError as error:
        where = f"{error.filename or place}: {error.strerror or error}"
        raise CacheError(
            f"cannot write the cache ({where}): choose another place with data.cache or NMT_CACHE"
        ) from error
    return found


def _flush_to_disk(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_FLUSH:
            raise


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expanded(path: str | Path) -> Path:
    """Expand `~` and `~user`. Raises UserError for an unknown user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: no such user; write the path out") from error


def cache_directory(chosen: str | None = None) -> Path:
    """Directory of downloads and encoded corpora: `chosen`, else `$NMT_CACHE`, else the user's cache directory.

    Without a writable one, a temporary directory shared by the user's processes, with a warning.
    """
    if override := chosen or os.environ.get("NMT_CACHE"):
        return expanded(override)
    import platformdirs

    with suppress(RuntimeError, OSError):  # no home directory; one that cannot be written
        place = Path(platformdirs.user_cache_dir("nmt"))
        if place.is_absolute():
            place.mkdir(parents=True, exist_ok=True)
            if os.access(place, os.W_OK | os.X_OK):
                return place
    return _temporary_cache()


def temporary_directory() -> str:
    """Python's temporary directory, or shared memory, which read-only containers have too."""
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
            raise UserError("no writable directory for a cache; set NMT_CACHE") from error
    print(
        f"warning: the home directory has no writable cache; using {place} (set NMT_CACHE to change it)",
        file=sys.stderr,
    )
    return place
