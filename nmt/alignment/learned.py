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
    """Aligns learned pairs by their stored matrices, and all others by the head."""

    def __init__(self, known: dict[tuple[str, str], np.ndarray], head: Aligner | None, languages: tuple[str, str]):
        """`known` has for each pair of sentences its matrix [target words, source words]; without a `head` there are
        no links for others."""
        self.known, self.head = known, head
        self.source, self.target = languages

    def align(self, pairs: Sequence[tuple[str, str]]) -> list[AlignedPair]:
        """Align (source, target) sentences, order kept."""
        others = [pair for pair in pairs if self.head and pair not in self.known]
        by_head = iter(self.head.align(others) if self.head else ())
        return [next(by_head) if self.head and pair not in self.known else self._known(pair) for pair in pairs]

    def _known(self, pair: tuple[str, str]) -> AlignedPair:
        source, target = ([word.text for word in split_words(side)] for side in pair)
        matrix = self.known.get(pair)
        if matrix is None:
            matrix = np.zeros((len(target), len(source)), np.float32)
        return AlignedPair(source, target, np.ascontiguousarray(matrix), threshold_links(matrix, THRESHOLD))
