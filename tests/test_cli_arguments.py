"""Arguments of every command: what is refused says in one line what was meant."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ENGLISH

import nmt
from nmt.lines import read_lines

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("train", "translate", "evaluate", "export", "align", "inspect", "demo", "page")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_its_version_and_the_nearest_option(command, name):
    ended = command(name)("--version")
    assert (ended.status, ended.output) == (0, f"nmt-{name} {nmt.__version__}\n")
    needed = ["a"] if name in ("train", "export") else ["--output", "a.html"] if name == "page" else []
    assert "did you mean --version?" in command(name).refused(*needed, "--versoin")
    assert "did you mean" not in command(name).refused(*needed, "--qqqqq")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("translate", ["a", "--output", ""]),
        ("translate", ["--input", ""]),
        ("translate", ["a", "--checkpoint", ""]),
        ("align", [""]),
        ("align", ["--source", "", "--target", ""]),
        ("train", [""]),
        ("export", [""]),
        ("page", ["", "--output", "a.html"]),
        ("inspect", ["a", "--output", ""]),
    ],
)
def test_an_empty_name_is_refused(command, name, arguments):
    assert "is empty" in command(name).refused(*arguments)


@pytest.mark.parametrize("number", [0, -1, 100_000, 10**10, 10**400, "two", ""])
def test_absurd_numbers_of_threads_are_refused(command, number):
    for name, given in (("translate", ["a"]), ("inspect", ["a"]), ("evaluate", [])):
        assert "threads" in command(name).refused(*given, f"--threads={number}")
    with pytest.raises(nmt.UserError, match="threads"):
        nmt.Translator.load(threads=10**10)


@pytest.mark.parametrize("option", ["--beam", "--batch-size", "--n-best"])
def test_other_absurd_numbers_are_refused(command, option):
    for number in (10**10, 10**400, 0, *([1001] if option != "--batch-size" else [])):
        assert option in command("translate").refused("a", option, number)


def test_a_terminal_is_told_that_it_is_read(monkeypatch, capsys):
    for typed in (True, False):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Hello.\n")))
        monkeypatch.setattr(sys.stdin, "isatty", lambda typed=typed: typed, raising=False)
        assert list(read_lines(None)) == ["Hello."]
        assert ("Ctrl-D ends" in capsys.readouterr().err) == typed


def test_a_file_given_as_text_is_asked_about(command, tmp_path):
    (tmp_path / "english.txt").write_text("Hello.\n")
    path = tmp_path / "english.txt"
    assert f"did you mean --input {path}?" in command("translate").refused(path)
    assert f"did you mean < {path}?" in command("inspect").refused(path)


def test_a_checkpoint_given_as_text_is_asked_about(command, tiny_checkpoint):
    for name in ("translate", "inspect"):
        for given in (tiny_checkpoint, "tatoeba-es-en"):
            assert f"did you mean --checkpoint {given}?" in command(name).refused(given, "Hello.")


def test_attention_is_written_as_what_its_name_says(command, tiny_checkpoint, tmp_path):
    told = command("translate").refused("--checkpoint", tiny_checkpoint, "--attention", tmp_path / "x.npz", "a")
    assert ".safetensors" in told and not list(tmp_path.iterdir())


def test_the_page_is_written_as_what_its_name_says(command, tmp_path):
    assert command("page").refused("--output", tmp_path / "p.txt").endswith("p.txt: the name must end in .html")
    assert not list(tmp_path.iterdir())


def test_an_unknown_checkpoint_lists_the_shipped_ones(command):
    told = command("translate").refused("--checkpoint", "tatoeba-en-fr", "a")
    assert "tatoeba-en-es" in told and "tatoeba-es-en" in told
    assert "did you mean tatoeba-es-en?" in command("translate").refused("--checkpoint", "tatoeba-es-e", "a")


def test_inspecting_without_a_file_writes_a_page_and_says_where(command, tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = command("inspect")("--checkpoint", tiny_checkpoint, ENGLISH[0])
    assert ended.status == 0, ended
    page = Path(ended.output.strip())
    assert page.is_relative_to(tmp_path) and page.read_text().startswith("<!doctype html>")
    assert "--output" in command("inspect").refused("--curves", "run")


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {"LC_ALL": "C"}])
def test_arguments_are_utf8_whatever_the_locale(tiny_checkpoint, tmp_path, locale):
    program = [sys.executable, "-m", "nmt.cli.translate", "--checkpoint", tiny_checkpoint, "--format", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **locale}
    ended = subprocess.run([*program, "Ünïcode"], cwd=tmp_path, env=environment, capture_output=True)
    assert ended.returncode == 0 and '"source": "Ünïcode"' in ended.stdout.decode()
    ended = subprocess.run([*program, b"caf\xe9"], cwd=tmp_path, env=environment, capture_output=True)
    assert ended.returncode == 2 and b"TEXT 1 is not UTF-8" in ended.stderr


FORK = """
import multiprocessing, os, sys
import nmt, torch
torch.set_num_threads(2)
translator = nmt.Translator.load(engine=sys.argv[1])
expected = translator.translate("Good morning.").text
torch.ones(2000, 2000) @ torch.ones(2000, 2000)  # threads of OpenMP
def work(text):
    return translator.translate([text, text])[0].text
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map_async(work, ["Good morning."] * 2).get(timeout=100) == [expected] * 2
assert translator.translate("Good morning.").text == expected
if (child := os.fork()) == 0:
    sys.exit(0)  # frees what it has
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("engine", ["torch", "ctranslate2"])
def test_a_used_translator_works_in_forked_processes(engine):
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-W", "ignore", "-c", FORK, engine]
    ended = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
