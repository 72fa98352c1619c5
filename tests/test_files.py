"""Files appear whole or not at all; their lines are read one way."""

import errno
import gzip
import hashlib
import os
import stat
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.errors import UserError
from nmt.files import _temporary_cache, atomic_path, cache_directory, sha256_of, temporary_directory
from nmt.lines import read_lines


class Failure(Exception):
    pass


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "folders" / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("there", [False, True])
def test_an_exception_leaves_what_was_there(tmp_path, there):
    path = tmp_path / "a.txt"
    if there:
        path.write_text("old")
    with pytest.raises(Failure), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise Failure
    assert names(tmp_path) == (["a.txt"] if there else [])
    assert not there or path.read_text() == "old"


def test_a_file_replaces_a_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def make_directory(place, content):
    (place / "inner").mkdir(parents=True)
    (place / "inner" / "a.txt").write_text(content)


def test_a_directory_replaces_a_directory_and_keeps_nothing_of_it(tmp_path):
    path = tmp_path / "folder"
    make_directory(path, "old")
    (path / "left over").touch()
    with atomic_path(path) as temporary:
        make_directory(temporary, "new")
        assert (path / "inner" / "a.txt").read_text() == "old"
    assert names(path) == ["inner"] and (path / "inner" / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["folder"]


def test_an_exception_leaves_the_old_directory(tmp_path):
    path = tmp_path / "folder"
    make_directory(path, "old")
    with pytest.raises(Failure), atomic_path(path) as temporary:
        make_directory(temporary, "half")
        raise Failure
    assert (path / "inner" / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["folder"]


def test_a_rename_that_fails_leaves_the_old_directory(tmp_path, monkeypatch):
    path = tmp_path / "folder"
    make_directory(path, "old")

    def refuse(*_):
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no space"), atomic_path(path) as temporary:
        make_directory(temporary, "new")
    assert (path / "inner" / "a.txt").read_text() == "old"


def test_a_block_that_writes_nothing_is_an_error_and_harms_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError), atomic_path(path):
        pass
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_an_error_names_the_path_and_nothing_of_our_own(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / ".a.txt.12345678"))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(PermissionError) as refused, atomic_path(tmp_path / "a.txt"):
        pass
    assert refused.value.filename == str(tmp_path / "a.txt")


def test_the_suffix_is_kept_and_others_may_read(tmp_path):
    with atomic_path(tmp_path / "figure.svg") as temporary:
        assert temporary.suffix == ".svg" and temporary.parent.parent == tmp_path
        temporary.touch(mode=0o600)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "figure.svg").stat().st_mode) == 0o666 & ~mask


def test_a_private_file_stays_private(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    with atomic_path(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and stat.S_IMODE(path.stat().st_mode) == 0o640


@given(content=st.binary(max_size=100))
def test_sha256(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("hash") / "a"
    path.write_bytes(content)
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()


def test_the_cache_directory_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NMT_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.setenv("NMT_CACHE", "~/somewhere")
    assert "~" not in str(cache_directory())
    monkeypatch.delenv("NMT_CACHE")
    assert cache_directory().name == "nmt"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_are_read_from_plain_and_packed_files_alike(tmp_path, pack):
    path = tmp_path / "text"
    path.write_bytes(pack(b"\xef\xbb\xbfa\r\nb\xff\n\n\xef\xbb\xbfc\r"))
    assert list(read_lines(path, "replace")) == ["a", "b\ufffd", "", "\ufeffc\r"]
    with pytest.raises(UserError, match=r"text:2: not UTF-8 .* at byte 2"):
        list(read_lines(path))
    path.write_bytes(b"\x1f\x8b" + b"x" * 20)
    with pytest.raises(UserError, match="damaged gzip after line 0"):
        list(read_lines(path))
    with pytest.raises(UserError, match="cannot read .*absent"):
        list(read_lines(tmp_path / "absent"))


def test_without_a_temporary_directory_there_is_shared_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "absent")])
    assert temporary_directory() == "/dev/shm"


@pytest.mark.parametrize("home", ["~", "file"])
def test_without_a_home_the_cache_is_a_private_temporary_directory(monkeypatch, tmp_path, capsys, home):
    (tmp_path / "file").touch()
    monkeypatch.delenv("NMT_CACHE", raising=False)
    place = "~/.cache/nmt" if home == "~" else str(tmp_path / "file" / "nmt")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: place)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _temporary_cache.cache_clear()
    found = cache_directory()
    assert found == cache_directory() == tmp_path / f"nmt-cache-{os.getuid()}"
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and "NMT_CACHE" in errors
    found.chmod(0o777)  # as somebody else may have made it
    _temporary_cache.cache_clear()
    assert cache_directory() != found
    _temporary_cache.cache_clear()
