"""The quick form of every experiment: it runs without a network, and leaves a whole page."""

import csv
import importlib
import math
import sys
from pathlib import Path

import pytest

pytest.importorskip("datasets")
SCRIPTS = Path(__file__).parent.parent / "scripts" / "experiments"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py"))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """One place for the toy models of all quick forms: each is trained once."""
    sys.path.insert(0, str(SCRIPTS))
    yield tmp_path_factory.mktemp("experiments")
    sys.path.remove(str(SCRIPTS))


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_form_leaves_a_whole_page(name, checkpoints, tmp_path, monkeypatch):
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("socket.socket.connect", _no_network)
    importlib.import_module(name).main(["--quick", "--output", str(tmp_path), "--checkpoints", str(checkpoints)])

    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    title, _, rest = page.partition("\n")
    assert title.startswith("# ")
    assert f"python scripts/experiments/{name}.py --quick" in rest and "seed 1" in rest
    seen = rest.split("## What was seen\n")[1].strip()
    assert len(seen.split()) >= 15 and "\n\n" not in seen
    assert "nan" not in seen.split() and "inf" not in seen.split()

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
        assert numbers and all(map(math.isfinite, numbers))


@pytest.mark.parametrize("name", NAMES)
def test_the_story_quotes_what_was_seen(name):
    story = (SCRIPTS.parent.parent / "docs" / "attention.md").read_text(encoding="utf-8")
    page = SCRIPTS.parent.parent / "docs" / "results" / name.replace("_", "-") / "README.md"
    seen = page.read_text(encoding="utf-8").split("## What was seen\n")[1].strip()
    assert f"> {seen}\n" in story
    assert f"python scripts/experiments/{name}.py" in story
    assert f"](results/{page.parent.name}/README.md)" in story and f"](results/{page.parent.name}/figure" in story


def _no_network(*_):
    raise OSError("the quick forms need no network")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
