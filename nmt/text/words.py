"""Word and punctuation tokens: the unit of every alignment, matrix and picture of this project."""

import re
import unicodedata
from typing import NamedTuple

# A word keeps its inner apostrophes; every punctuation mark stands alone.
WORD_PATTERN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class Word(NamedTuple):
    """A word or punctuation mark; `start` and `end` are character positions in the NFC-normalised text."""

    text: str
    start: int
    end: int


def normalize(text: str) -> str:
    """The text in Unicode's composed form (NFC), which all positions refer to."""
    return unicodedata.normalize("NFC", text)


def split_words(text: str) -> list[Word]:
    """The word and punctuation tokens of `text`, after NFC normalisation, case kept."""
    return [Word(match.group(), match.start(), match.end()) for match in WORD_PATTERN.finditer(normalize(text))]
