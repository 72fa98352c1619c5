"""Alignments of the very pairs that were learned from, and of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmt.alignment.head import AlignedPair, Aligner
from nmt.alignment.links import threshold_links
from nmt.text.words import split_words

THRESHOLD = 0.4
"""Links are the cells above it: chosen on the development pairs of Tatoeba."""


class LearnedAligner:
    """Gives the pairs that were learned from what was learned of each, all others what the head says."""

    def __init__(self, known: dict[tuple[str, str], np.ndarray], head: Aligner | None, languages: tuple[str, str]):
        """`known` has for each pair of sentences its matrix [target words, source words]; without a `head` there are
        no links for others."""
        self.known, self.head = known, head
        self.source, self.target = languages

    def align(self, pairs: Sequence[tuple[str, str]]) -> list[AlignedPair]:
        """Align (source, target) sentences, order kept."""
        others = [pair for pair in pairs if pair not in self.known]
        found = iter(self.head.align(others) if self.head else map(_unaligned, others))
        return [self._aligned(pair) if pair in self.known else next(found) for pair in pairs]

    def _aligned(self, pair: tuple[str, str]) -> AlignedPair:
        matrix = np.ascontiguousarray(self.known[pair])
        return AlignedPair(*_words(pair), matrix, threshold_links(matrix, THRESHOLD))


def _words(pair: tuple[str, str]) -> tuple[list[str], list[str]]:
    source, target = ([word.text for word in split_words(side)] for side in pair)
    return source, target


def _unaligned(pair: tuple[str, str]) -> AlignedPair:
    source, target = _words(pair)
    return AlignedPair(source, target, np.zeros((len(target), len(source)), np.float32), [])
