"""Insert into a translation what it copies: links, emoji, and names and numbers whose placeholder was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import regex

from nmt.text.copied import is_aside
from nmt.text.encoding import Encoding
from nmt.text.symbols import OR
from nmt.text.typography import AFTER_WORDS, INVISIBLE
from nmt.text.words import split_words
from nmt.translation import Translation

_WORD, _MARK = regex.compile(r"[^\W_]"), regex.compile(r"\p{M}")
CLOSING = ".,;:!?…)]}»”"
"""Marks that stand without a space after what is inserted."""
OPENING = "([{¿¡«“"
"""Marks without a space after them."""


class Insertion(NamedTuple):
    """A copied span and where to insert it."""

    place: int
    """Offset in the translation, in characters."""
    text: str
    words: range
    """Its source words."""
    before: str
    """The character before it in the source if it follows that without a space."""
    after: str


def with_copied(translation: Translation, source: Encoding) -> Translation:
    """Insert the spans that `source` copies, linked to their source words.

    A span goes after the last target word linked to the nearest earlier source word with a link, and after the target
    words there that are linked to earlier source words alone (`coche rojo` for `a red car (a Fiat)`); brackets and tags
    go around what is linked to their content. A span at the beginning or end of the source keeps that place, one
    without a link to place it goes to the end. A copied word's row of the matrix is 1 at its source word.
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
    """Write `/` again for a conjunction or comma that is linked to one and stands between translations of words on both
    sides of it: `tea/coffee`."""
    spans = zip(source.read, source.words_of_read, strict=True)
    typed = ((words.start, source.text[slot.start : slot.end], slot.character.strip()) for slot, words in spans)
    strokes = {word: text for word, text, reading in typed if reading in OR and "/" in text}
    links = translation.alignment or []
    written: dict[int, str] = {}
    for own, target in links if strokes else ():
        if own in strokes and translation.target_words[target].lower() in OR:
            before = max((link for link in links if link[1] < target), key=lambda link: link[1], default=None)
            after = min((link for link in links if link[1] > target), key=lambda link: link[1], default=None)
            if before and after and before[0] < own < after[0]:
                written[target] = strokes.pop(own)
    if not written:
        return translation
    words = split_words(translation.text)
    text, done = "", 0
    for number in sorted(written):
        text += translation.text[done : words[number].start].rstrip() + written[number]
        done = words[number].end
        done += translation.text[done : done + 1] == " "
    text += translation.text[done:]
    return replace(translation, text=text, target_words=[word.text for word in split_words(text)])


def _insertions(translation: Translation, source: Encoding) -> list[Insertion]:
    targets = split_words(translation.text)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    latest: dict[int, int] = {}  # the last source word of each target word
    for own, target in translation.alignment or ():
        if own in source.copied_words:
            continue
        first[own] = min(target, first.get(own, target))
        last[own] = max(target, last.get(own, target))
        latest[target] = max(own, latest.get(target, own))
    free, partners = source.translated_words, _partners(source)
    insertions: list[Insertion] = []
    for number, ((start, end), words) in enumerate(zip(source.copied, source.words_of_copies, strict=True)):
        before = [word for word in free if word < words.start and word in last]
        partner = source.words_of_copies[partners[number]] if number in partners else None
        inside = [word for word in before if partner and word >= partner.stop]
        if partner and partner.start >= words.stop:
            inside = [word for word in free if words.stop <= word < partner.start and word in first]
        if not any(word < words.start for word in free):
            place = 0
        elif all(source.words[word].text in AFTER_WORDS for word in free if word >= words.stop):
            marks = any(word >= words.stop for word in free)  # which stand behind it here too
            ends = [word.end for word in targets if marks and word.text not in AFTER_WORDS]
            place = ends[-1] if ends else len(translation.text)
        elif partner and inside:
            opens = partner.start >= words.stop
            edge = targets[min(map(first.__getitem__, inside)) if opens else max(map(last.__getitem__, inside))]
            place = edge.start if opens else edge.end
        elif before:
            target = last[before[-1]]
            while latest.get(target + 1, words.start) < words.start:
                target += 1
            place = targets[target].end
        else:
            place = len(translation.text)
        copied = source.text[start:end]
        if copied[0] in CLOSING and insertions:
            place = max(place, insertions[-1].place)
        insertions.append(Insertion(place, copied, words, *_neighbours(source.text, start, end)))
    return sorted(insertions, key=lambda insertion: insertion.place)


def _neighbours(text: str, start: int, end: int) -> tuple[str, str]:
    """The characters that people see before and after a span; empty for spaces."""
    sides = range(start - 1, -1, -1), range(end, len(text))
    before, after = (next((text[place] for place in side if not INVISIBLE.match(text[place])), "") for side in sides)
    return before.strip(), after.strip()


def _partners(source: Encoding) -> dict[int, int]:
    """For each opening bracket or tag among the copied spans its closing one, and the reverse."""
    partners: dict[int, int] = {}
    opened: list[int] = []
    for number, span in enumerate(source.copied):
        before, after = _neighbours(source.text, *span)
        if is_aside(source.text, span):
            continue
        if after and not before:
            opened.append(number)
        elif before and opened:
            partners[number] = opened.pop()
            partners[partners[number]] = number
    return partners


def _fit(source: str, target: str) -> bool:
    """Whether what follows the character `source` without a space follows `target` so: a word does not take the place
    of a mark."""
    return bool(source) and (_WORD.match(source) is not None or not _WORD.match(target))


def _inserted(text: str, insertions: list[Insertion]) -> tuple[str, list[int], list[tuple[int, int]]]:
    """Returns the new text, the new offset of each old character, and (offset, source word) of each copied word."""
    result, done = "", 0
    moved: list[int] = []
    copies: list[tuple[int, int]] = []
    for place, copied, words, left, right in insertions:
        marked = bool(right) and not _WORD.match(copied[-1])
        moved += range(len(result), len(result) + place - done)
        result += text[done:place]
        done = max(done, place)
        if marked and text[done : done + 1].isspace():  # the space belongs before it, or nowhere
            moved.append(len(result))
            done += 1
            result += "" if left and not _WORD.match(copied[0]) else " "
        glued = copied in CLOSING or _fit(left, result[-1:])
        if _WORD.match(copied[0]):  # a word is apart but from a bracket that is copied with it
            glued = left != "" and left == result[-1:] and left in OPENING
        if result and not (glued or result[-1].isspace()):
            result += " "
        copies += [(len(result) + word.start, own) for word, own in zip(split_words(copied), words, strict=False)]
        result += copied
        if text[done : done + 1].isspace() and text[done + 1 : done + 2] in tuple(CLOSING):
            moved.append(len(result))
            done += 1
        after = text[done : done + 1]
        glued = copied[-1] in OPENING or marked and _fit(right, after)
        if after and not (glued and not _MARK.match(after) or after.isspace() or after in CLOSING):
            result += " "
    moved += range(len(result), len(result) + len(text) - done + 1)
    return result + text[done:], moved, copies
