"""Detokenising words given by spaces, and mapping links back to them.

Tokenised corpora write `Where is the station ?`; a model trained on `station?` gets that instead, and its links are
mapped back to the five given words.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nmt.alignment import Link
from nmt.text.words import Word, normalize, overlapping, split_words

# Attached to the previous word, and to the next word.
CLOSING = re.compile(r"[.,;:!?…%)\]}»”]+|['’](?:s|m|d|ll|re|ve)|n['’]t", re.IGNORECASE)
OPENING = re.compile(r"[¿¡(\[{«“$£€]+")
QUOTE = '"'
# `20 . 5`, `10 : 30` and `1 , 000` are one number, `T - shirt` and `and / or` one word.
DECIMAL = re.compile(r"[.:]")
JOINING = re.compile(r"[-/]")


@dataclass(frozen=True)
class JoinedWords:
    """Given words as running text."""

    text: str
    """NFC-normalized, so positions of `nmt.text.words.split_words(text)` refer to it as it is."""
    spans: list[tuple[int, int]]
    """For each given word its first and one-past-last character in `text`; they follow each other without overlap."""

    @property
    def words(self) -> list[str]:
        """The words, NFC-normalized."""
        return [self.text[start:end] for start, end in self.spans]

    def words_of_tokens(self, tokens: Sequence[Word]) -> list[list[int]]:
        """For each token of `text`, the given words that it overlaps: `don't` overlaps both of `do n't`."""
        return [list(found) for found in overlapping([(token.start, token.end) for token in tokens], self.spans)]


def given_words(line: str) -> list[str]:
    """Words of a line, separated by spaces or tabs; other white space belongs to words."""
    return [word for word in re.split(r"[ \t]+", line.strip("\r\n")) if word]


def join_words(words: Sequence[str]) -> JoinedWords:
    """Join words into running text with punctuation attached, and locate each word.

    Words stay whole and in order; only spaces between them are removed.
    """
    words = [normalize(word) for word in words]
    text, spans = "", []
    quoted = False
    for position, word in enumerate(words):
        before = words[position - 1] if position else ""
        apart = not _attached(words, position, quoted) or not _stays_composed(before, word)
        quoted ^= word == QUOTE
        text += " " if position and apart else ""
        spans.append((len(text), len(text) + len(word)))
        text += word
    return JoinedWords(text, spans)


def written_words(text: str) -> JoinedWords:
    """A sentence as it is, with its word and punctuation tokens as words."""
    return JoinedWords(normalize(text), [(word.start, word.end) for word in split_words(text)])


def links_over_given_words(
    links: Iterable[Link], source_words: Sequence[Sequence[int]], target_words: Sequence[Sequence[int]]
) -> list[Link]:
    """Map links between tokens to the given words that the tokens overlap (see `words_of_tokens`)."""
    return sorted(
        {
            (source, target)
            for source_token, target_token in links
            for source in source_words[source_token]
            for target in target_words[target_token]
        }
    )


def _attached(words: Sequence[str], position: int, quoted: bool) -> bool:
    """Whether the word at `position` has no space before it; `quoted`: a quotation mark is open."""
    if position == 0:
        return False
    before, word = words[position - 1], words[position]
    after = words[position + 1] if position + 1 < len(words) else ""
    if CLOSING.fullmatch(word) or OPENING.fullmatch(before):
        return True
    if QUOTE in (word, before):
        # An opening mark attaches to the next word, a closing one to the previous.
        return quoted
    if JOINING.fullmatch(word):
        return _is_word(before) and _is_word(after)
    earlier = words[position - 2] if position >= 2 else ""
    if JOINING.fullmatch(before):
        return _is_word(earlier) and _is_word(word)
    if DECIMAL.fullmatch(before):
        return earlier.isdigit() and word.isdigit()
    if before == ",":
        return earlier.isdigit() and len(earlier) <= 3 and word.isdigit() and len(word) == 3
    return False


def _is_word(word: str) -> bool:
    return bool(word) and word[-1].isalnum() and word[0].isalnum()


def _stays_composed(before: str, word: str) -> bool:
    """Whether joining the two composes no characters across the border (a lone accent, Hangul letters)."""
    return normalize(before + word) == before + word
