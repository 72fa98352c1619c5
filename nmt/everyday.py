"""Scores on everyday input: names, numbers, emoji, capitals, paragraphs (`data/everyday`)."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from nmt.corpus.splits import normalize
from nmt.errors import UserError
from nmt.lines import read_lines
from nmt.text.numerals import ordinal_ending

COLUMNS = ("kind", "english", "spanish", "english_plain", "spanish_plain", "keep")
CHOICE = ("vocabulary", "phrase")
"""Kinds whose translation must be one of the references."""
ALTERED: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "unmarked": lambda text: text.strip("¿¡.!?… "),
    "unaccented": lambda text: text.strip("¿¡.!?… ").lower(),
}
"""Kinds whose translation is compared with the plain sentence's after a function is applied to both."""


class Row(NamedTuple):
    """One input."""

    kind: str
    source: str
    references: list[str]
    plain: list[str]
    """The plain sentence, or the sentences of a paragraph."""
    keep: list[str]


class Measure(NamedTuple):
    """Scores of one kind."""

    kind: str
    rows: int
    kept: float | None
    """Share of rows whose translation has all words in `keep`, in order."""
    as_plain: float | None
    """chrF, 0 to 100, against the translation of the plain sentence."""
    chrf: float
    """chrF, 0 to 100, against the references."""
    right: float | None
    """Share of rows whose translation is one of the references, whatever its case and marks."""


def read_everyday(path: str | Path, source: str) -> list[Row]:
    """Read a table such as `data/everyday/english-spanish.tsv`; `source` is `en` or `es`.

    Raises UserError for another language and for a file of another form.
    """
    if source not in ("en", "es"):
        raise UserError(f"{path} is English-Spanish and the checkpoint translates from {source}; choose another")
    own, other = ("english", "spanish") if source == "en" else ("spanish", "english")
    table = list(csv.DictReader(read_lines(path), delimiter="\t", quoting=csv.QUOTE_NONE))
    if not table or set(table[0]) != set(COLUMNS):
        raise UserError(f"{path} lacks the columns {', '.join(COLUMNS)}; see data/everyday/README.md")
    rows = []
    for row in table:
        texts, references, plain = (row[key].split(" | ") for key in (own, other, f"{own}_plain"))
        rows.append(Row(row["kind"], texts[0], references, plain, row["keep"].split()))
    return rows


def score_everyday(translate: Callable[[list[str]], list[str]], rows: Sequence[Row]) -> list[Measure]:
    """Translate the rows and their plain sentences; one measure per kind, in order of the rows."""
    from sacrebleu.metrics import CHRF

    chrf = CHRF()
    translations = translate([row.source for row in rows])
    plain = iter(translate([sentence for row in rows for sentence in row.plain if sentence]))
    expected = [" ".join(next(plain) for sentence in row.plain if sentence) for row in rows]
    measures = []
    for kind in dict.fromkeys(row.kind for row in rows):
        chosen = [number for number, row in enumerate(rows) if row.kind == kind]
        found, wanted = [translations[number] for number in chosen], [expected[number] for number in chosen]
        references = [rows[number].references for number in chosen]
        kept = as_plain = right = None
        if all(rows[number].keep for number in chosen):
            kept = sum(_holds(text, rows[number].keep) for text, number in zip(found, chosen, strict=True)) / len(found)
        if all(any(rows[number].plain) for number in chosen):
            alter = ALTERED.get(kind, str)
            own = [_without(text, rows[number].keep) for text, number in zip(found, chosen, strict=True)]
            as_plain = chrf.corpus_score([*map(alter, own)], [[*map(alter, wanted)]]).score
        if kind in CHOICE:
            hits = [normalize(text) in map(normalize, some) for text, some in zip(found, references, strict=True)]
            right = sum(hits) / len(hits)
        score = chrf.corpus_score(found, list(zip_longest(*references))).score
        measures.append(Measure(kind, len(chosen), kept, as_plain, score, right))
    return measures


def _holds(text: str, words: list[str]) -> bool:
    """Whether the words are in the text, one after another and whole: no letter or digit is beside them, but for the
    ending of an ordinal."""
    place = 0
    for word in words:
        begin = r"(?<![^\W_])" if word[0].isalnum() else ""
        ordinal = rf"(?:{ordinal_ending(word)})?" if word.isdigit() else ""
        end = rf"{ordinal}(?![^\W_])" if word[-1].isalnum() else ""
        found = re.compile(begin + re.escape(word) + end).search(text, place)
        if not found:
            return False
        place = found.end()
    return True


def _without(text: str, words: list[str]) -> str:
    for word in words:
        text = text.replace(word, "")
    return " ".join(text.split())
