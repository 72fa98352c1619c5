"""Placeholders for names, quoted words and numbers.

The network reads and writes one piece per slot, a private-use character; decoding replaces it by the text it stands
for, by the other language's number word or title, or by the translation of quoted words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import regex

from nmt.text.names import KnownWords, without_parts
from nmt.text.numerals import number_spans, number_word_spans
from nmt.text.words import Span

NAMES = "\ue000\ue001\ue002\ue003"
"""Placeholders of a sentence's names and quoted words, in order of first occurrence."""
NUMBERS = "\ue004\ue005\ue006\ue007"
"""Placeholders of its numbers."""
SLOTS = frozenset(NAMES + NUMBERS)
_BETWEEN = regex.compile(r" |(?<!\p{Lu}\p{Lu}) (?:(?:al|bin|da|de|del|della|der|di|dos|du|ibn|la|van|von) )+")
"""Between the parts of one name: `Leonardo da Zork`, but not `NATO de Zork`."""


class Slot(NamedTuple):
    """A placeholder, or what else is read, and the span that it stands for."""

    start: int
    end: int
    character: str


def find_slots(text: str, known: KnownWords, quoted: Collection[Span] = ()) -> list[Slot]:
    """Slots of the names (of one word or several) and numbers in `text`, and of `quoted` words, in order. Equal texts
    share a slot; beyond the last slot, text stays as it is."""
    names: list[Span] = []
    for start, end in sorted(without_parts(known.foreign_words(text), known.names(text))):
        if not names or start >= names[-1][1]:
            joined = names and _BETWEEN.fullmatch(text, names[-1][1], start)
            names.append((names.pop()[0] if joined else start, end))
    if quoted:
        names = sorted(without_parts(names, quoted))
    taken = {place for span in names for place in range(*span)}
    numbers: list[Span] = []
    digits = (span for span in number_spans(text) if text[slice(*span)] not in known.words)
    for span in (*digits, *number_word_spans(text, known.number_words)):
        if taken.isdisjoint(range(*span)):
            taken.update(range(*span))
            numbers.append(span)
    numbers.sort()
    return sorted(numbered(text, names, NAMES) + numbered(text, numbers, NUMBERS))


def numbered(text: str, spans: Iterable[Span], characters: Sequence[str]) -> list[Slot]:
    """Assign `characters` to the spans, in order."""
    taken: dict[str, str] = {}
    slots = []
    for start, end in spans:
        own = text[start:end]
        if own not in taken and len(taken) < len(characters):
            taken[own] = characters[len(taken)]
        if own in taken:
            slots.append(Slot(start, end, taken[own]))
    return slots


def shared_slots(
    pair: tuple[str, str],
    spans: tuple[Iterable[Span], Iterable[Span]],
    characters: Sequence[str],
    key: Callable[[str], object] = str,
) -> tuple[list[Slot], list[Slot]]:
    """The same slots on both sides for spans with equal `key` that occur once on each side."""
    sides: list[dict[object, Span]] = []
    for text, side in zip(pair, spans, strict=True):
        found: dict[object, list[Span]] = {}
        for start, end in side:
            found.setdefault(key(text[start:end]), []).append((start, end))
        sides.append({own: places[0] for own, places in found.items() if len(places) == 1 and own is not None})
    both = [own for own in sides[0] if own in sides[1]]
    source, target = ([Slot(*side[own], slot) for own, slot in zip(both, characters, strict=False)] for side in sides)
    return source, target


def fill(text: str, slots: Iterable[Slot]) -> tuple[str, list[Span]]:
    """Replace slots by what they are read as; also returns the span in `text` of each resulting character."""
    result, spans, done = "", [], 0
    for slot in sorted(slots):
        result += text[done : slot.start] + slot.character
        spans += [(place, place + 1) for place in range(done, slot.start)]
        own = len(slot.character.rstrip())  # a space behind it leads to what follows
        spans += [(slot.start, slot.end)] * own + [(slot.end, slot.end)] * (len(slot.character) - own)
        done = slot.end
    spans += [(place, place + 1) for place in range(done, len(text))]
    return result + text[done:], spans
