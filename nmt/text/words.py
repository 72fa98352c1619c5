"""Word and punctuation tokens, the unit of every alignment, matrix and picture."""

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import regex

Span = tuple[int, int]
"""First and one-past-last character."""
# A word includes inner apostrophes and underscores, and combining marks (which `re` does not count as \w); every other
# mark is a token with its own combining marks and, in emoji, whatever a joiner joins.
WORD_PATTERN = regex.compile(r"(?!_)\w+(?<!_)(?:['’](?!_)\w+(?<!_))*|_|[^\w\s](?:\p{M}|\u200d[^\w\s])*")


class Word(NamedTuple):
    """A word or punctuation mark; `start` and `end` are character positions in the NFC-normalized text."""

    text: str
    start: int
    end: int


def normalize(text: str) -> str:
    """The text in Unicode's composed form (NFC), which all positions refer to."""
    return unicodedata.normalize("NFC", text)


def split_words(text: str) -> list[Word]:
    """The word and punctuation tokens of `text`, after NFC normalization, case kept."""
    return [Word(match.group(), *match.span()) for match in WORD_PATTERN.finditer(normalize(text))]


def is_punctuation(word: str) -> bool:
    """Whether a word is punctuation alone; `%`, `&`, `@`, `#` and mathematical signs stand for words."""
    return all(unicodedata.category(character)[0] == "P" for character in word) and word not in "%&@#"


def overlapping(spans: Iterable[tuple[int, int]], words: Sequence[tuple[int, int]]) -> list[range]:
    """For each span (first, one past last character), the range of the words that it overlaps; words are in order.

    An empty range starts at the next word.
    """
    starts, ends = [start for start, _ in words], [end for _, end in words]
    return [range(bisect_right(ends, start), bisect_left(starts, end)) for start, end in spans]
