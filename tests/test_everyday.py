"""The everyday test set and its measures, against translators whose scores are known."""

from collections import Counter
from pathlib import Path

import pytest

from nmt.config import load_config
from nmt.corpus.local import TSV
from nmt.corpus.splits import normalize
from nmt.errors import UserError
from nmt.everyday import COLUMNS, Row, read_everyday, score_everyday
from nmt.text.words import split_words

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "data/everyday/english-spanish.tsv"


def by_kind(translate, rows):
    return {measure.kind: measure for measure in score_everyday(translate, rows)}


@pytest.mark.parametrize("source", ["en", "es"])
def test_the_table_has_every_kind_and_holds_what_it_promises(source):
    rows = read_everyday(TABLE, source)
    assert len(rows) >= 200
    kinds = Counter(row.kind for row in rows)
    assert kinds["everyday"] == 60 and min(kinds.values()) >= 12
    assert len({(row.kind, row.source) for row in rows}) == len(rows)
    for row in rows:
        for word in row.keep:
            assert word in row.source and word in row.references[0], row
        if row.kind == "upper":
            assert row.source == row.plain[0].upper()
        if row.kind == "paragraph":
            assert " ".join(row.plain) == row.source and len(row.plain) == 5


@pytest.mark.parametrize("source", ["en", "es"])
def test_a_translator_that_knows_the_references_is_perfect(source):
    rows = read_everyday(TABLE, source)
    known = {row.source: row.references[0] for row in rows}
    found = by_kind(lambda texts: [known.get(text, text) for text in texts], rows)
    assert all(measure.chrf == pytest.approx(100) for measure in found.values())
    assert all(found[kind].kept == 1 for kind in ("name", "number", "token", "symbol"))
    assert found["everyday"].kept is None and found["everyday"].as_plain is None
    assert found["vocabulary"].right == 1 and found["everyday"].right is None


def test_a_translator_that_copies_keeps_everything_and_one_that_is_silent_nothing():
    rows = read_everyday(TABLE, "en")
    copied = by_kind(list, rows)
    assert all(copied[kind].kept == 1 for kind in ("name", "number", "token", "symbol"))
    # The same letters in the same clothes, but for what each kind changes.
    assert all(copied[kind].as_plain == pytest.approx(100) for kind in ("token", "unmarked", "paragraph", "lower"))
    assert copied["upper"].as_plain == pytest.approx(100) and copied["everyday"].chrf < 30
    silent = by_kind(lambda texts: ["" for _ in texts], rows)
    assert all(silent[kind].kept == 0 for kind in ("name", "number", "token", "symbol"))


@pytest.mark.parametrize(
    ("text", "kept"),
    [("Vive en Zwolle.", 1), ("Vive en Zwolles.", 0), ("Vive en zwolle.", 0), ("¿Zwolle?", 1), ("Zwolles, Zwolle", 1)],
)
def test_a_name_counts_as_a_whole_word(text, kept):
    row = Row("name", "", [""], [], ["Zwolle"])
    assert score_everyday(lambda texts: [text for _ in texts], [row])[0].kept == kept


def test_a_number_may_become_an_ordinal():
    row = Row("number", "", [""], [], ["14"])
    found = [score_everyday(lambda _, text=text: [text], [row])[0].kept for text in ("June 14th", "14", "14ths", "14a")]
    assert found == [1, 1, 0, 0]


def test_words_are_kept_in_order():
    row = Row("number", "", [""], [], ["3", "11"])
    assert score_everyday(lambda _: ["3 pisos y 11 cuartos"], [row])[0].kept == 1
    assert score_everyday(lambda _: ["11 pisos y 3 cuartos"], [row])[0].kept == 0


def test_other_languages_and_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="English-Spanish"):
        read_everyday(TABLE, "de")
    with pytest.raises(UserError, match="cannot read"):
        read_everyday(tmp_path / "absent.tsv", "en")
    (tmp_path / "other.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(UserError, match=COLUMNS[0]):
        read_everyday(tmp_path / "other.tsv", "en")


def test_names_are_words_of_letters():
    names = [word for row in read_everyday(TABLE, "en") if row.kind == "name" for word in row.keep]
    assert all(len(split_words(name)) == 1 for name in names)


@pytest.mark.parametrize(("text", "right"), [("Lunes.", 1), ("el lunes", 0), ("¡DÍA LUNES!", 1), ("lune", 0)])
def test_a_word_is_right_if_it_is_one_of_the_references(text, right):
    row = Row("vocabulary", "Monday", ["lunes", "día lunes"], [], [])
    assert score_everyday(lambda texts: [text for _ in texts], [row])[0].right == right


@pytest.mark.parametrize("source", ["en", "es"])
def test_no_row_is_among_the_extra_training_pairs(source):
    files = sorted((ROOT / "data/supplement").glob("*.tsv"))
    for name in ("tatoeba-en-es", "tatoeba-es-en"):
        assert {ROOT / path for path in load_config(ROOT / f"configs/{name}.yaml").data.extra} <= {*files}
    extra = [pair for path in files for pair in TSV(path, 0, 1)]
    trained = {normalize(pair.source if source == "en" else pair.target) for pair in extra}
    rows = read_everyday(TABLE, source)
    own = {normalize(text) for row in rows for text in [row.source, *row.plain] if text}
    other = read_everyday(TABLE, "es" if source == "en" else "en")
    own |= {normalize(text) for row in other for text in row.references}  # all alternatives
    assert len(trained) > 2000 and len(own) > 500 and not trained & own
