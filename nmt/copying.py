"""Insert into a translation what it copies: links, emoji, and names and numbers whose placeholder was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import regex

from nmt.text.encoding import Encoding
from nmt.text.symbols import OR
from nmt.text.typography import INVISIBLE
from nmt.text.words import split_words
from nmt.translation import Translation

_WORD, _MARK = regex.compile(r"\w"), regex.compile(r"\p{M}")
CLOSING = ".,;:!?…)]}»”"
"""Marks that stand without a space after what is inserted."""


class Insertion(NamedTuple):
    """A copied span and where to insert it."""

    place: int
    """Offset in the translation, in characters."""
    text: str
    words: range
    """Its source words."""
    joined_left: bool
    """Whether it follows the text before it without a space, as in the source; never for a word."""
    joined_right: bool


def with_copied(translation: Translation, source: Encoding) -> Translation:
    """Insert the spans that `source` copies, linked to their source words.

    A span goes after the last target word linked to the nearest earlier source word with a link. A span at the
    beginning or end of the source keeps that place, and one without a link to place it goes to the end. A copied
    word's row of the matrix is 1 at its source word.
    """
    insertions = _insertions(translation, source)
    text, moved, copies = _inserted(translation.text, insertions)
    words = split_words(text)
    place = {word.start: number for number, word in enumerate(words)}
    now = [place[moved[word.start]] for word in split_words(translation.text)]  # each target word's new number

    def completed(values: list[float] | None) -> list[float] | None:
        if values is None:
            return None
        kept = dict(zip(now, values, strict=True))
        return [kept.get(number, 1.0) for number in range(len(words))]  # the network did not choose what was copied

    done = replace(
        translation,
        text=text,
        target_words=[word.text for word in words],
        word_probabilities=completed(translation.word_probabilities),
        word_confidence=completed(translation.word_confidence),
        word_evidence=None,
    )
    if translation.alignment is None:
        return done
    links = [(own, place[start]) for start, own in copies]

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
        done,
        attention=placed(translation.attention),
        link_probabilities=placed(translation.link_probabilities),
        alignment=sorted([*links_left, *links]),
        target_word_of_piece=[[now[word] for word in words] for words in translation.target_word_of_piece],
    )


def slot_links(links: Sequence[tuple[int, int]], source: Encoding, target: Encoding) -> list[tuple[int, int]]:
    """The links, with each word of a name or number that is filled in as it was typed linked to itself alone."""
    result = set(links)
    for slot, span in target.slots.items():
        typed = source.slots[slot]
        if source.text[slice(*typed)] == target.text[slice(*span)]:
            written = target.words_within(span)
            own = zip(source.words_within(typed), written, strict=False)
            result = {link for link in result if link[1] not in written}.union(own)
    return sorted(result)


def with_strokes(translation: Translation, source: Encoding) -> Translation:
    """Write `/` again for a conjunction that is linked to one: `tea/coffee`."""
    strokes = {
        source.word_at(slot): source.text[slot.start : slot.end] for slot in source.read if slot.character.strip() in OR
    }
    written = {
        target: strokes[own]
        for own, target in translation.alignment or ()
        if own in strokes and translation.target_words[target].lower() in OR
    }
    if not written:
        return translation
    words = split_words(translation.text)
    text, done = "", 0
    for number in sorted(written):
        text += translation.text[done : words[number].start].rstrip() + written[number]
        done = words[number].end + 1  # with the space behind it
    text += translation.text[done:]
    return replace(translation, text=text, target_words=[word.text for word in split_words(text)])


def _insertions(translation: Translation, source: Encoding) -> list[Insertion]:
    targets = split_words(translation.text)
    last: dict[int, int] = {}
    for own, target in translation.alignment or ():
        last[own] = max(target, last.get(own, -1))
    free = source.translated_words
    insertions: list[Insertion] = []
    for (start, end), words in zip(source.copied, source.words_of_copies, strict=True):
        before = [last[word] for word in free if word < words.start and word in last]
        if not any(word < words.start for word in free):
            place = 0
        elif not any(word >= words.stop for word in free) or not before:
            place = len(translation.text)
        else:
            place = targets[before[-1]].end
        copied = source.text[start:end]
        if copied[0] in CLOSING and insertions:
            place = max(place, insertions[-1].place)
        left, right = (INVISIBLE.sub("", side) for side in (source.text[:start], source.text[end:]))
        joined_left = not (_WORD.match(copied[0]) or left[-1:].isspace())
        joined_right = not (_WORD.match(copied[-1]) or right[:1].isspace())
        insertions.append(Insertion(place, copied, words, joined_left, joined_right))
    return sorted(insertions, key=lambda insertion: insertion.place)


def _inserted(text: str, insertions: list[Insertion]) -> tuple[str, list[int], list[tuple[int, int]]]:
    """Returns the new text, the new offset of each old character, and (offset, source word) of each copied word."""
    result, done = "", 0
    moved: list[int] = []
    copies: list[tuple[int, int]] = []
    for place, copied, words, joined_left, joined_right in insertions:
        moved += range(len(result), len(result) + place - done)
        result += text[done:place]
        done = max(done, place)
        if joined_right and text[done : done + 1].isspace():  # the space belongs before it, or nowhere
            moved.append(len(result))
            done += 1
            result += "" if joined_left else " "
        if result and not (joined_left or result[-1].isspace()):
            result += " "
        copies += [(len(result) + word.start, own) for word, own in zip(split_words(copied), words, strict=False)]
        result += copied
        if text[done : done + 1].isspace() and text[done + 1 : done + 2] in tuple(CLOSING):
            moved.append(len(result))
            done += 1
        after = text[done : done + 1]
        joined = joined_right and not _MARK.match(after)
        if after and not (joined or after.isspace() or after in CLOSING):
            result += " "
    moved += range(len(result), len(result) + len(text) - done + 1)
    return result + text[done:], moved, copies
