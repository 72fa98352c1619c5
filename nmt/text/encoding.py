"""An encoded sentence: its pieces, and which words each piece belongs to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import regex

from nmt.text.slots import NUMBERS, Slot
from nmt.text.words import Span, Word, overlapping, split_words

_SPELLED = regex.compile(r"[\p{L} -]+")
"""A number in words: `thirty-five`, `treinta y cinco`."""


@dataclass(frozen=True)
class Encoding:
    """A sentence as subword pieces, each with its place in the text."""

    text: str
    """The sentence, NFC-normalized; all positions refer to it."""
    ids: list[int]
    """Piece ids, without `<s>` and `</s>`."""
    spans: list[tuple[int, int]]
    """For each piece its first and one-past-last character in `text`; empty for the leading bytes of a character."""
    capitals: bool = False
    """Whether `text` is in capitals; the pieces are then those of its usual form."""
    copied: Sequence[Span] = ()
    """Spans that are copied, not translated, and have no pieces."""
    slots: Mapping[str, Span] = field(default_factory=dict)
    """The span that each placeholder stands for, at its first occurrence."""
    read: Sequence[Slot] = ()
    """Spans that are read as something else, as `/` as ` or `."""
    lowered: Sequence[Span] = ()
    """Capitalized words that are read in lower case."""
    quotations: Mapping[str, str] = field(default_factory=dict)
    """What is written for the placeholders of quoted words: at first these words, then their translation."""

    def with_lost_slots(self, target: Encoding) -> Encoding:
        """Also copy the spans whose placeholders are missing from `target`, the translation of this source, but for
        number words: what `Los dos` becomes may have none."""
        lost = [
            span
            for slot, span in self.slots.items()
            if slot not in target.slots and not (slot in NUMBERS and _SPELLED.fullmatch(self.typed[slot]))
        ]
        return replace(self, copied=sorted([*self.copied, *lost])) if lost else self

    @cached_property
    def typed(self) -> dict[str, str]:
        """The text that each placeholder stands for."""
        return {slot: self.text[slice(*span)] for slot, span in self.slots.items()}

    @cached_property
    def words(self) -> list[Word]:
        """The word and punctuation tokens of `text`."""
        return split_words(self.text)

    @cached_property
    def words_as_read(self) -> list[str]:
        """The words, with the reading of a span in place of its first word."""
        found = [word.text for word in self.words]
        for slot, words in zip(self.read, self.words_of_read, strict=True):
            if reading := slot.character.strip():
                found[words.start] = reading
        return found

    @cached_property
    def words_of_read(self) -> list[range]:
        """The words that each span of `read` covers."""
        return overlapping(
            [(slot.start, slot.end) for slot in self.read], [(word.start, word.end) for word in self.words]
        )

    def words_within(self, span: Span) -> range:
        """The words that a span overlaps."""
        return overlapping([span], [(word.start, word.end) for word in self.words])[0]

    @cached_property
    def words_of_copies(self) -> list[range]:
        """The words that each of the `copied` spans covers."""
        return overlapping(self.copied, [(word.start, word.end) for word in self.words])

    @cached_property
    def copied_words(self) -> set[int]:
        """The words that are copied."""
        return set[int]().union(*self.words_of_copies) if self.copied else set()

    @cached_property
    def translated_words(self) -> list[int]:
        """The words that are not copied."""
        return [number for number in range(len(self.words)) if number not in self.copied_words]

    @cached_property
    def words_of_piece(self) -> list[list[int]]:
        """For each piece the positions of the words it covers, but for copied ones: mostly one, two for a piece such as
        `."`.

        A piece that covers no character of such a word (a bare space, a leading byte) belongs to the one that it leads
        to, or at the end of the text to the last.
        """
        copied = self.copied_words
        found = []
        for covered in overlapping(self.spans, [(word.start, word.end) for word in self.words]):
            words = [word for word in covered if word not in copied] if copied else list(covered)
            if not words and (own := self.translated_words):
                words = [own[min(bisect_left(own, covered.start), len(own) - 1)]]
            found.append(words)
        return found
