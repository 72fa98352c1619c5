"""Insert copied text (links, emoji, names) into a translation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nmt.text.subwords import Encoding
from nmt.text.words import overlapping, split_words
from nmt.translation import Translation

CLOSING = ".,;:!?…)]}»”"
"""Marks that follow an insertion without a space."""
Insertion = tuple[int, str, range]
"""Position in the translation, text, source words."""


def with_copied(translation: Translation, source: Encoding) -> Translation:
    """Insert the spans that `source` copies, linked to their source words.

    A span goes after the last target word linked to an earlier source word. At the beginning or end of the source it
    stays there, and without a link to place it, it goes to the end. A copied word's row of the matrix is 1 at its
    source word.
    """
    insertions = _insertions(translation, source)
    text, moved, copies = _inserted(translation.text, insertions)
    words = split_words(text)
    if translation.alignment is None:
        return replace(translation, text=text, target_words=[word.text for word in words])
    place = {word.start: number for number, word in enumerate(words)}
    now = [place[moved[word.start]] for word in split_words(translation.text)]  # new position of each target word
    links = [(own, place[start]) for start, own in copies]
    probabilities = translation.word_probabilities
    if probabilities is not None:  # the network did not choose what was copied
        kept = dict(zip(now, probabilities, strict=True))
        probabilities = [kept.get(number, 1.0) for number in range(len(words))]

    def placed(matrix: np.ndarray | None) -> np.ndarray | None:
        if matrix is None:
            return None
        rows = np.zeros((len(words), matrix.shape[1]), np.float32)
        rows[now] = matrix
        for own, target in links:
            rows[target, own] = 1
        return rows

    copied = {own for own, _ in links}
    links_left = [(own, now[target]) for own, target in translation.alignment if own not in copied]
    return replace(
        translation,
        text=text,
        target_words=[word.text for word in words],
        attention=placed(translation.attention),
        word_probabilities=probabilities,
        link_probabilities=placed(translation.link_probabilities),
        alignment=sorted([*links_left, *links]),
        target_word_of_piece=[[now[word] for word in words] for words in translation.target_word_of_piece],
    )


def _insertions(translation: Translation, source: Encoding) -> list[Insertion]:
    targets = split_words(translation.text)
    last: dict[int, int] = {}
    for own, target in translation.alignment or ():
        last[own] = max(target, last.get(own, -1))
    covered = overlapping(source.copied, [(word.start, word.end) for word in source.words])
    free = sorted(set(range(len(source.words))) - {word for words in covered for word in words})
    insertions = []
    for (start, end), words in zip(source.copied, covered, strict=True):
        before = [last[word] for word in free if word < words.start and word in last]
        if not any(word < words.start for word in free):
            place = 0
        elif not any(word >= words.stop for word in free) or not before:
            place = len(translation.text)
        else:
            place = targets[before[-1]].end
        insertions.append((place, source.text[start:end], words))
    return sorted(insertions, key=lambda insertion: insertion[0])


def _inserted(text: str, insertions: list[Insertion]) -> tuple[str, list[int], list[tuple[int, int]]]:
    """Insert with spaces around; returns the text, the new position of each character, and for each copied word its
    first character and its source word."""
    result, done = "", 0
    moved: list[int] = []
    copies: list[tuple[int, int]] = []
    for place, copied, words in insertions:
        moved += range(len(result), len(result) + place - done)
        result += text[done:place]
        done = place
        if result and not result[-1].isspace():
            result += " "
        copies += [(len(result) + word.start, own) for word, own in zip(split_words(copied), words, strict=False)]
        result += copied
        if (after := text[place : place + 1]) and not after.isspace() and after not in CLOSING:
            result += " "
    moved += range(len(result), len(result) + len(text) - done + 1)
    return result + text[done:], moved, copies
