"""Running text from words given by spaces, and mapping links back to them.

Tokenised corpora write `do n't`; a model trained on `don't` gets that instead, and its links are mapped back to the two
given words.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nmt.alignment import Link
from nmt.text.words import Word, normalize, overlapping, split_words

# Attached to the word before: every other mark is a token of its own, with a space before it or without.
ENDING = re.compile(r"['’](?:s|m|d|ll|re|ve)|n['’]t", re.IGNORECASE)


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
    """Join words into running text with contracted endings attached, and locate each word."""
    text, spans = "", []
    for word in map(normalize, words):
        text += " " if text and not ENDING.fullmatch(word) else ""
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
