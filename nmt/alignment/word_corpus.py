"""Sentence pairs as numbers of lower-cased words: what every model of the alignment reads."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nmt.alignment.network import Sentences, WordTypes
from nmt.batching import pad
from nmt.errors import UserError
from nmt.text.subwords import PADDING, Subwords
from nmt.text.words import is_punctuation, split_words

FORWARD, REVERSE = 0, 1
STEM = 4
"""Letters of a word that its stem keeps."""


@dataclass(frozen=True)
class WordPairs:
    """Sentence pairs as word numbers of two tables, from 1; side 0 is the first language (the source of `FORWARD`)."""

    table: tuple[list[str], list[str]]
    """The different words of each side; word n is `table[side][n - 1]`."""
    words: tuple[np.ndarray, np.ndarray]
    """Two of [all words], int32: the sentences one after another."""
    starts: tuple[np.ndarray, np.ndarray]
    """Two of [pairs + 1], int64: sentence n is `words[starts[n]:starts[n + 1]]`."""
    kept: np.ndarray
    """[pairs], the place of each pair among those that were given."""

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]], longest: int) -> WordPairs:
        """Split and number the words. Pairs with an empty side or more than `longest` words are left out.

        Raises UserError when none is left.
        """
        tables: tuple[dict[str, int], dict[str, int]] = ({}, {})
        words, lengths = (array("i"), array("i")), (array("i"), array("i"))  # four bytes a number, unlike lists
        kept = array("i")
        for number, pair in enumerate(pairs):
            sides = [[word.text.lower() for word in split_words(text)] for text in pair]
            if not all(0 < len(side) <= longest for side in sides):
                continue
            kept.append(number)
            for side, table, flat, sizes in zip(sides, tables, words, lengths, strict=True):
                flat.extend(table.setdefault(word, len(table) + 1) for word in side)
                sizes.append(len(side))
        if not lengths[0]:
            raise UserError("no sentence pair is left to train the alignment head on; give some with words")
        first, second = (np.array(flat, np.int32) for flat in words)
        starts = [np.concatenate([[0], np.cumsum(sizes)]) for sizes in lengths]
        names = list(tables[0]), list(tables[1])
        return cls(names, (first, second), (starts[0], starts[1]), np.array(kept, np.int64))

    def __len__(self) -> int:
        return len(self.starts[0]) - 1

    @cached_property
    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """[pairs] for each side, words of each sentence."""
        return np.diff(self.starts[0]), np.diff(self.starts[1])

    @cached_property
    def cell_starts(self) -> np.ndarray:
        """[pairs + 1]: where each pair's cells begin among all cells; the last is their number."""
        return np.concatenate([[0], np.cumsum(self.lengths[FORWARD] * self.lengths[REVERSE])])

    def matrix_of(self, pair: int, cells: np.ndarray) -> np.ndarray:
        """[target, source], a view: the pair's own of `cells` [all cells]."""
        shape = self.lengths[REVERSE][pair], self.lengths[FORWARD][pair]
        return cells[self.cell_starts[pair] : self.cell_starts[pair + 1]].reshape(shape)

    def padded(self, side: int, numbers: np.ndarray) -> np.ndarray:
        """The sentences `numbers` [batch] of one side, [batch, longest], 0 for padding."""
        words, starts = self.words[side], self.starts[side]
        return pad([words[starts[number] : starts[number + 1]] for number in numbers], 0)

    @cached_property
    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """[types + 1] for each side: occurrences of every word; of 0, the padding, none."""
        first, second = (
            np.bincount(words, minlength=len(table) + 1) for words, table in zip(self.words, self.table, strict=True)
        )
        return first, second

    @cached_property
    def punctuation(self) -> tuple[np.ndarray, np.ndarray]:
        """[types + 1] for each side, bool: which of the words are punctuation marks."""
        first, second = (np.array([False, *map(is_punctuation, table)]) for table in self.table)
        return first, second

    @cached_property
    def stems(self) -> tuple[np.ndarray, np.ndarray]:
        """[types + 1] for each side: the number of each word's stem, from 1: its first `STEM` letters, all of a
        number's digits."""
        sides = []
        for table in self.table:
            numbers: dict[str, int] = {}
            stems = [word if word.isdigit() else word[:STEM] for word in table]
            sides.append(np.array([0, *(numbers.setdefault(stem, len(numbers) + 1) for stem in stems)]))
        return sides[0], sides[1]


@dataclass(frozen=True)
class WordCorpus(WordPairs):
    """Sentence pairs whose words have pieces too."""

    types: tuple[WordTypes, WordTypes]
    pieces: int
    """Size of the subword vocabulary."""

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], subwords: Subwords, longest: int) -> WordCorpus:
        """`WordPairs.read`, and the pieces of every word."""
        return cls.from_pairs(WordPairs.read(pairs, longest), subwords)

    @classmethod
    def from_pairs(cls, read: WordPairs, subwords: Subwords) -> WordCorpus:
        """The same pairs with the pieces of their words."""
        types = [_word_types(*side, subwords) for side in zip(read.table, read.counts, strict=True)]
        return cls(read.table, read.words, read.starts, read.kept, (types[0], types[1]), len(subwords))

    def batch(self, side: int, numbers: np.ndarray) -> Sentences:
        """The sentences `numbers` [batch] of one side, padded."""
        return Sentences.of(self.padded(side, numbers))

    def fingerprint(self) -> str:
        """Tells corpora apart."""
        digest = hashlib.sha256(str(self.pieces).encode())
        for part in (*self.words, *self.starts, *(types.pieces for types in self.types)):
            digest.update(part.tobytes())
        return digest.hexdigest()


def _word_types(table: Sequence[str], counts: np.ndarray, subwords: Subwords) -> WordTypes:
    pieces = [[PADDING], *subwords.word_pieces(table)]
    starts = np.concatenate([[0], np.cumsum([len(word) for word in pieces])])
    return WordTypes(np.concatenate(pieces).astype(np.int64), starts, counts)
