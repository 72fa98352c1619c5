"""Full links: favour cognates, pair leftover words, and join articles and prepositions to the word they belong to.

The alignment head and its teachers leave a word unlinked if the other language has no counterpart: *los* of *los
equipos*, beside *teams*. Annotation guidelines for full texts link it to *teams* too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmt.alignment import Link
from nmt.alignment.links import threshold_links
from nmt.text.cognates import alike
from nmt.text.words import is_punctuation

THRESHOLD = 0.5
"""Links are the cells above it, then ..."""
LEFTOVER = 0.05
"""... of words that have no link yet the best cells above this."""
ALIKE, LETTERS = 0.6, 3
"""Words of at least `LETTERS` letters and similarity `ALIKE`, and equal words of any length, are counterparts."""
COUNTERPART, RIVAL = 0.9, 0.5
"""Least probability of counterparts, and the factor on the other cells of their rows and columns."""
SHORT = 3
"""Words of at most this many letters count as function words: frequent words are short (Zipf 1935)."""


def full_links(probabilities: np.ndarray, source_words: Sequence[str], target_words: Sequence[str]) -> list[Link]:
    """Links from link probabilities [target words, source words], sorted.

    The numbers above were chosen on the development pairs of XL-WA English-Spanish.
    """
    if not probabilities.size:
        return []
    target, source = (np.array([is_punctuation(word) for word in words]) for words in (target_words, source_words))
    marks = target[:, None] | source
    weighed = favour_counterparts(probabilities, counterparts(source_words, target_words, marks))
    linked = link_leftovers(weighed > THRESHOLD, np.where(marks, 0, probabilities))
    return threshold_links(join_short_words(linked, source_words, target_words), 0.5)


def counterparts(source_words: Sequence[str], target_words: Sequence[str], excluded: np.ndarray) -> np.ndarray:
    """[target words, source words], bool: words that look alike, each the other's only best of the sentence."""
    tables = [word.lower() for word in source_words], [word.lower() for word in target_words]
    shape = len(target_words), len(source_words)
    target, source = (numbers.ravel() for numbers in np.indices(shape) + 1)
    similar = alike(tables, (source, target)).reshape(shape)
    lengths = [np.array([len(word) for word in words]) for words in (target_words, source_words)]
    short = np.minimum(lengths[0][:, None], lengths[1]) < LETTERS
    similar[excluded | (similar < ALIKE) | (short & (similar < 1))] = 0
    best = [(similar == similar.max(axis, keepdims=True)) & (similar > 0) for axis in (0, 1)]
    only = [one & (one.sum(axis, keepdims=True) == 1) for axis, one in enumerate(best)]
    return only[0] & only[1]


def favour_counterparts(probabilities: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Raise the cells of `found`, lower the others of their rows and columns."""
    rivals = (found.any(0, keepdims=True) | found.any(1, keepdims=True)) & ~found
    lowered = np.where(rivals, RIVAL * probabilities, probabilities)
    return np.where(found, np.maximum(probabilities, COUNTERPART), lowered)


def link_leftovers(linked: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Link words of both sides that have no link, the most probable cell first (competitive linking, Melamed 2000)."""
    linked = linked.copy()
    free = ~linked.any(1, keepdims=True) & ~linked.any(0, keepdims=True)
    left = np.where(free, probabilities, 0)
    while left.max() > LEFTOVER:
        target, source = np.unravel_index(left.argmax(), left.shape)
        linked[target, source] = True
        left[target], left[:, source] = 0, 0
    return linked


def join_short_words(linked: np.ndarray, source_words: Sequence[str], target_words: Sequence[str]) -> np.ndarray:
    """Give unlinked short words the links of the next linked word, unless a longer unlinked word stands between.

    `linked` and the result are [target words, source words], bool. Only the longer sentence's words join: the shorter
    one's have no counterpart where they have no link. Punctuation neither joins nor is joined.
    """
    if len(target_words) == len(source_words):
        return linked
    if len(target_words) < len(source_words):
        return join_short_words(linked.T, target_words, source_words).T
    joined = linked.copy()
    waiting: list[int] = []
    for place, word in enumerate(target_words):
        if is_punctuation(word):
            waiting = []
        elif linked[place].any():
            joined[waiting] = linked[place]
            waiting = []
        else:
            waiting = [*waiting, place] if len(word) <= SHORT else []
    return joined
