"""nmt-inspect: arguments to files. The translator is a stand-in; its own tests are elsewhere."""

import io
import os

import pytest
from inspection_samples import synthetic_translation

from nmt.cli import inspect
from nmt.cli.inspect import entry, make_parser
from nmt.translator import Translator


class KnownTranslator:
    """Translates every sentence to the same words, and remembers how it was asked."""

    def translate(self, lines, heads, n_best, **options):
        self.asked = {"lines": lines, "heads": heads, "n_best": n_best, **options}
        return [synthetic_translation(line.split(), layers=2 if heads else 0, hypotheses=n_best) for line in lines]


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Run the command in an empty directory; gives the exit status and the translator."""
    translator = KnownTranslator()
    monkeypatch.setattr(Translator, "load", lambda *_: translator)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["nmt-inspect", *arguments])
        return entry(), translator

    return run


@pytest.mark.parametrize(
    ("name", "start", "heads"),
    [
        ("a.html", b"<!doctype html>", True),
        ("a.png", b"\x89PNG", False),
        ("a.svg", b"<?xml", False),
        ("a.pdf", b"%PDF", False),
    ],
)
def test_the_suffix_chooses_page_or_figure(command, tmp_path, name, start, heads):
    many = ["--n-best", "2"] if heads else []
    given = ("--output", name, "--one-sentence", "--beam", "3", *many)
    status, translator = command("Good morning .", "Where is he ?", *given)
    assert status == 0
    assert (tmp_path / name).read_bytes().startswith(start)
    assert translator.asked["heads"] is heads
    assert translator.asked["one_sentence"] is True
    assert translator.asked["beam"] == 3 and translator.asked["n_best"] == (2 if heads else 1)
    assert translator.asked["lines"] == ["Good morning .", "Where is he ?"]


def test_heads_draws_the_grid(command, tmp_path):
    status, translator = command("Good morning .", "--heads", "encoder", "--output", "heads.svg")
    assert status == 0 and translator.asked["heads"] is True
    assert ">layer 2<" in (tmp_path / "heads.svg").read_text()


def test_gold_links_are_marked(command, tmp_path):
    (tmp_path / "gold.txt").write_text("0-0 1-1\n")
    assert command("Good morning .", "--gold", "gold.txt", "--output", "gold.svg")[0] == 0
    assert ">gold link<" in (tmp_path / "gold.svg").read_text()


def test_a_blank_line_takes_its_line_of_gold_links_along(command, tmp_path, monkeypatch):
    (tmp_path / "gold.txt").write_bytes(b"\xef\xbb\xbf0-0\n\n1-1 0-0\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Good .\n\nGood morning .\n")))
    drawn = []
    monkeypatch.setattr("nmt.inspection.figures.plot_alignment", lambda *given: drawn.append(given))
    assert command("--gold", "gold.txt", "--output", "gold.svg")[0] == 0
    ((translations, _, gold),) = drawn
    assert [one.source_words for one in translations] == [["Good", "."], ["Good", "morning", "."]]
    assert gold == [[(0, 0)], [(0, 0), (1, 1)]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--output", "a.jpg"], "must end in .html, .png, .svg or .pdf"),
        (["x", "--output", "missing/a.png"], "there is no directory"),
        (["x", "--output", "a.html", "--heads", "cross"], "--heads is for figures"),
        (["x", "y", "--output", "a.png", "--heads", "cross"], "one sentence"),
        (["x", "--output", "a.html", "--gold", "nowhere"], "--gold is for"),
        (["x", "--output", "a.png", "--gold", "nowhere", "--heads", "cross"], "--gold is for"),
        (["x", os.fsdecode(b"caf\xe9"), "--output", "a.png"], "TEXT 2 is not UTF-8"),
        (["--curves", "nowhere", "--output", "a.jpg"], "must end in .html, .png, .svg or .pdf"),
        ([" ", "--output", "a.png"], "no sentence to show"),
        (["x", "--curves", "run", "--output", "a.png"], "not both"),
        (["--curves", "nowhere", "--output", "a.png"], "there is no training log"),
        (["--curves", "nowhere", "--output", "a.png", "--gold", "x"], "leave --gold, --heads"),
        (["x", "--n-best", "2", "--output", "a.png"], "--n-best is for the page"),
        (["x"] * 101 + ["--output", "a.png"], "at most 100"),
        (["x", "--gold", "nowhere", "--output", "a.png"], "cannot read nowhere"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(command, capsys, tmp_path, arguments, message):
    status, _ = command(*arguments)
    error = capsys.readouterr().err
    assert status == 2
    assert message in error and error.startswith("nmt-inspect: ") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_has_examples():
    _, _, examples = inspect.__doc__.strip().partition("\n\n")
    assert "nmt-inspect --curves" in examples and examples in make_parser().format_help()
