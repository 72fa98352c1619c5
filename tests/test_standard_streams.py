"""Commands whose standard error is lost or closed, whose output cannot be renamed, and what is kept then."""

import errno
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Fork
from test_alignment_command import make_checkpoint
from tiny import ENGLISH
from toy import toy_config

from nmt.cli.common import run, writer
from nmt.cli.train import main as train
from nmt.errors import UserError
from nmt.files import atomic_path
from nmt.lines import arriving_lines, in_chunks
from nmt.prefetch import prefetch

ROOT = Path(__file__).resolve().parent.parent
LOST = {"a reader that left": "2>&1 | head -n 1", "a full disk": "2> /dev/full", "closed": "2>&-"}


def shell(module: str, *arguments: object, then: str = "", cwd: Path) -> subprocess.CompletedProcess:
    """A command in bash with redirections; its own status is the last line of the output."""
    program = shlex.join([sys.executable, "-m", f"nmt.cli.{module}", *map(str, arguments)])
    script = f"{program} {then}; echo ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", script], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("way", LOST)
def test_training_goes_on_without_standard_error(tmp_path, way):
    config = toy_config(tmp_path, training={"max_steps": 2, "validate_every": 1})
    if way == "closed":  # the interpreter itself starts otherwise
        ended = shell("train", config, then=LOST[way], cwd=tmp_path)
        assert ended.stdout.splitlines()[-1] == "0" and not ended.stderr
    else:
        if way == "a full disk":
            lost = os.open("/dev/full", os.O_WRONLY)
        else:
            read, lost = os.pipe()
            os.close(read)
        child = Fork(lambda: run("nmt-train", train, [str(config)]), lost)
        os.close(lost)
        assert child.wait() == (0, "")
    assert (tmp_path / "run" / "metadata.json").exists()


@pytest.mark.parametrize("way", LOST)
def test_alignment_goes_on_without_standard_error(tmp_path, way):
    directory = make_checkpoint(tmp_path / "checkpoint", ("en", "es"))
    (tmp_path / "pairs.txt").write_text("one two ||| two one\n ||| \n" * 600)
    ended = shell(
        "align", "--checkpoint", directory, "--output", "l.txt", then="< pairs.txt " + LOST[way], cwd=tmp_path
    )
    assert ended.stdout.splitlines()[-1] == "0"
    lines = (tmp_path / "l.txt").read_text().splitlines()
    assert len(lines) == 1200 and not any("warning" in line for line in lines)
    if way == "closed":
        ended = shell("align", "--checkpoint", directory, then="< pairs.txt 2>&-", cwd=tmp_path)
        assert ended.stdout.splitlines() == [*lines, "0"]


def test_a_reader_of_results_that_left_ends_work_quietly(tiny_checkpoint, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "in.txt").write_text(f"{ENGLISH[0]}\n" * 600)
    with subprocess.Popen(["head", "-1", tmp_path / "pipe"], stdout=subprocess.DEVNULL):
        translate = ["--checkpoint", tiny_checkpoint, "--format", "json", "--beam", 1]
        ended = shell("translate", *translate, "--output", "pipe", then="< in.txt", cwd=tmp_path)
    assert (ended.stdout, ended.stderr) == ("0\n", "")


def test_a_broken_pipe_elsewhere_is_an_error(capsys):
    def main(_):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe", "worker")

    assert run("nmt-train", main, []) == 2 and "worker: Broken pipe" in capsys.readouterr().err


def test_without_standard_output_only_printing_is_refused(tiny_checkpoint, tmp_path):
    translate = ["--checkpoint", tiny_checkpoint, ENGLISH[0]]
    script = shlex.join([sys.executable, "-m", "nmt.cli.translate", *map(str, translate)])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    closed = ["bash", "-c", f"{script} --output o.txt >&- 2>&- && {script} 2>&1 >&-"]
    ended = subprocess.run(closed, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 2 and "standard output is closed" in ended.stdout and (tmp_path / "o.txt").read_text()


@pytest.fixture
def mounted(tmp_path):
    """A file with another mounted over it, which can be written to and not replaced."""
    for name in ("below", "out.txt"):
        (tmp_path / name).write_text("before, and longer than what is written")
    mount = ["mount", "--bind", tmp_path / "below", tmp_path / "out.txt"]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount")
    yield tmp_path / "out.txt"
    subprocess.run(["umount", tmp_path / "out.txt"], check=True)


def test_a_mounted_file_is_written_in_place(mounted, capsys):
    def main(_):
        with writer(str(mounted)) as file:
            print("done", file=file)

    assert run("nmt-translate", main, []) == 0
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "written in place" in message and str(mounted) in message
    assert mounted.read_text() == (mounted.parent / "below").read_text() == "done\n"
    assert {path.name for path in mounted.parent.iterdir()} == {"below", "out.txt"}


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EXDEV, errno.EACCES])
def test_a_file_that_cannot_be_replaced_is_written_in_place(tmp_path, monkeypatch, code):
    path = tmp_path / "a.txt"
    path.write_text("before, and longer")

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.warns(UserWarning, match="written in place"), atomic_path(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    with pytest.raises(OSError), atomic_path(tmp_path / "absent", keep=True) as temporary:
        temporary.write_text("new")
    assert (tmp_path / "absent.unfinished").read_text() == "new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_was_done_is_kept_when_the_end_fails(tmp_path, monkeypatch, capsys, step):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def main(_):
        with writer(str(path)) as file:
            print("done", file=file)

    monkeypatch.setattr(os, step, full)
    assert run("nmt-translate", main, []) == 2
    assert "No space left" in (message := capsys.readouterr().err) and "a.txt.unfinished" in message
    assert path.read_text() == "old" and (tmp_path / "a.txt.unfinished").read_text() == "done\n"


def test_what_cannot_be_kept_beside_is_kept_among_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    move = shutil.move

    def beside_is_no_place(source, target):
        if target.parent.name == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return move(source, target)

    monkeypatch.setattr(shutil, "move", beside_is_no_place)
    message = str(tmp_path / "a.txt.unfinished")
    with pytest.raises(UserError, match=message), atomic_path(tmp_path / "full" / "a.txt", keep=True) as temporary:
        temporary.write_text("done")
        raise UserError("stop")
    assert (tmp_path / "a.txt.unfinished").read_text() == "done"


def test_chunks_end_at_waits_and_errors():
    def items():
        yield from (1, 2, 3, None, None, 4)
        raise UserError("line 5")

    chunks = in_chunks(items(), 2)
    assert [next(chunks) for _ in range(5)] == [[1, 2], [3], None, None, [4]]
    with pytest.raises(UserError):
        next(chunks)


def test_results_are_not_held_back_while_nothing_arrives():
    asked = []

    def items():
        yield from (1, 2, None)
        asked.append("more")
        yield 3

    results = prefetch(str, items(), 5)
    assert [next(results), next(results), asked] == [(1, "1"), (2, "2"), []]
    assert list(results) == [(3, "3")]


def test_lines_say_when_they_would_wait(tmp_path, monkeypatch):
    read, write = os.pipe()
    with open(read) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        os.write(write, b"one\ntwo\nthr")
        lines = arriving_lines(None)
        assert [next(lines) for _ in range(3)] == ["one", "two", None]
        os.write(write, b"ee\n")
        assert [next(lines) for _ in range(2)] == ["three", None]
        os.write(write, b"four")
        os.close(write)
        assert [line for line in lines if line is not None] == ["four"]
    (tmp_path / "a.txt").write_text("one\ntwo\n" * 50_000)
    assert list(arriving_lines(tmp_path / "a.txt")) == ["one", "two"] * 50_000
