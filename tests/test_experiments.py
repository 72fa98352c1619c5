"""The quick form of every experiment: it runs without a network, and leaves a whole page."""

import csv
import importlib
import math
import random
import re
from pathlib import Path

import pytest

from nmt.text.words import split_words
from scripts import report
from scripts.experiments import context
from scripts.experiments.common import models

SCRIPTS = Path(__file__).parent.parent / "scripts" / "experiments"
DOCS = Path(__file__).parent.parent / "docs"
NAMES = sorted(path.stem for path in SCRIPTS.glob("[!_]*.py"))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """One place for the toy models of all quick forms: each is trained once."""
    return tmp_path_factory.mktemp("experiments")


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_form_leaves_a_whole_page(name, checkpoints, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("socket.socket.connect", _no_network)
    places = ["--output", str(tmp_path), "--checkpoints", str(checkpoints)]
    importlib.import_module(f"scripts.experiments.{name}").main(["--quick", *places])

    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "Toy data" in page and "Toy data" in capsys.readouterr().out and "interval" not in page.split("<!-- run")[1]
    title, _, rest = page.partition("\n")
    assert title.startswith("# ")
    assert f"python -m scripts.experiments.{name} --quick" in rest and "seed 1" in rest
    assert not re.search(r"\b(nan|inf)\b", page)

    pictures = [line.split("](")[1].rstrip(")") for line in rest.splitlines() if line.startswith("![")]
    assert pictures
    for picture in pictures:
        content = (tmp_path / picture).read_bytes()
        assert len(content) > 5_000 and content.startswith((b"\x89PNG\r\n\x1a\n", b"<?xml"))

    tables = sorted(tmp_path.glob("*.csv"))
    assert tmp_path / "table.csv" in tables
    lines = [line for line in rest.splitlines() if line.startswith("| ")]
    for path in tables:
        with open(path, encoding="utf-8", newline="") as file:
            columns, *rows = csv.reader(file)
        assert f"| {' | '.join(columns)} |" in lines or f"({path.name})" in rest
        assert len(rows) >= 2 and all(len(row) == len(columns) for row in rows)
        numbers = [float(cell) for row in rows for cell in row if _is_number(cell)]
        assert (numbers or path.name != "table.csv") and all(map(math.isfinite, numbers))


def test_the_minimal_pairs_are_what_their_page_says():
    sentences = context.read_pairs(context.PAIRS)
    assert len(sentences) == 2 * 68
    for sentence, other in zip(sentences[::2], sentences[1::2], strict=True):
        assert sentence.word == other.word and sentence.text != other.text
        for one in (sentence, other):
            words = [word.text for word in split_words(one.text)]
            assert words.count(one.word) == words.count(one.clue) == 1 and one.word != one.clue


def test_a_reading_needs_its_own_word_and_not_the_other():
    river, money = context.read_pairs(context.PAIRS)[:2]
    assert context.is_right("Fue a la ORILLA del río.", river, money)
    assert not context.is_right("Fue al banco del río.", river, money)
    assert not context.is_right("Fue al banco, a la orilla del río.", river, money)
    assert not context.is_right("Fue a las orillas.", river, money)  # whole words
    light = next(one for one in context.read_pairs(context.PAIRS) if (one.word, one.clue) == ("light", "bag"))
    assert light.accepted.search("Las bolsas son ligeras.")


def test_joining_keeps_every_pair_once_and_gives_every_size_its_share():
    pairs = [(str(number), f"({number})") for number in range(20_000)]
    groups = [[side.split() for side in joined] for joined in models.regrouped(pairs, random.Random(1))]
    assert sorted(int(word) for source, _ in groups for word in source) == list(range(20_000))
    assert all([f"({word})" for word in source] == target for source, target in groups)
    shares = [sum(size for source, _ in groups if len(source) == size) / 20_000 for size in models.JOINED]
    assert all(abs(share - 1 / len(models.JOINED)) < 0.02 for share in shares)


@pytest.mark.parametrize("name", NAMES)
def test_the_story_quotes_what_was_seen(name):
    page = DOCS / "results" / name.replace("_", "-") / "README.md"
    seen = page.read_text(encoding="utf-8").split("## What was seen\n")[1].strip()
    story = (DOCS / "attention.md").read_text(encoding="utf-8")
    assert f"> {seen}\n\n(`python -m scripts.experiments.{name}`; " in story
    assert f"](results/{page.parent.name}/README.md)" in story and f"](results/{page.parent.name}/figure" in story


def test_new_blocks_leave_what_was_written_by_hand(tmp_path):
    page = tmp_path / "page.md"
    report.fill(page, {"one": "1", "two": "2"}, "# Title")
    page.write_text(page.read_text().replace("# Title\n", "# Title\n\nBy hand.\n") + "\nAt the end.\n")
    report.fill(page, {"two": r"\1 of it", "three": "3"}, "never")
    marked = "<!-- one -->\n\n1\n\n<!-- /one -->\n\n<!-- two -->\n\n\\1 of it\n\n<!-- /two -->\n"
    assert (
        page.read_text() == f"# Title\n\nBy hand.\n\n{marked}\nAt the end.\n\n<!-- three -->\n\n3\n\n<!-- /three -->\n"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_every_table_of_its_directory_between_marks(name):
    place = DOCS / "results" / name.replace("_", "-")
    page = (place / "README.md").read_text(encoding="utf-8")
    for block in ("run", *(path.stem for path in place.glob("*.csv"))):
        assert f"<!-- {block} -->" in page and f"<!-- /{block} -->" in page


def _no_network(*_):
    raise OSError("the quick forms need no network")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
