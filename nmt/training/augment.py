"""Augmentation: training pairs in other clothes, drawn anew each time a pair comes up.

The kinds are those of OpusTrainer (Bogoychev et al. 2023): what people type is not cased and punctuated like a corpus,
and its names and numbers are not the corpus' own.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import regex

from nmt.config import AugmentConfig
from nmt.text.casing import capitalized
from nmt.text.names import KnownWords, name_spans
from nmt.text.numerals import number_spans, number_word_spans, numerals
from nmt.text.slots import NAMES, NUMBERS, Slot, shared_slots
from nmt.text.typography import MARKS, plain_text
from nmt.text.words import normalize, split_words

SLOTTED = "names", "numbers"
"""The kinds that put in placeholders."""
REWRITING = frozenset({"lower", "unmarked", "title", "unaccented", "typos", "marks"})
"""The kinds that change a text whatever its names and numbers are."""
OPENING = "¿¡"
PHRASE_WORDS = (1, 1, 1, 2, 3)
"""Lengths that phrases are drawn from, in source words."""
CERTAIN, POSSIBLE = 0.8, 0.1
"""Probabilities above which a link is taken for certain, and for possible."""
SHORTEST_MISSPELLED = 4
"""Letters of the shortest word that gets a typo."""
_KEYS = "qwertyuiop", "asdfghjkl", "zxcvbnm"
_STATEMENT = regex.compile(r"[^.!?…¿¡]+\.")
_EXCLAMATION = regex.compile(r"¡?[^.!?…¿¡]+!")


class Example(NamedTuple):
    """A pair as it is trained on."""

    source: str
    target: str
    source_slots: Sequence[Slot] = ()
    target_slots: Sequence[Slot] = ()
    links: np.ndarray | None = None
    """[target words, source words], the probability of each link."""


class Augmenter:
    """Draws examples of pairs."""

    def __init__(self, config: AugmentConfig, languages: tuple[str, str], known_words: KnownWords | None) -> None:
        """Without `known_words` there are no slots."""
        self.shares, self.known_words, self.languages = config.model_dump(), known_words, languages
        self.numerals = tuple(map(numerals, languages)) if known_words else ({}, {})

    @property
    def rewriting(self) -> list[str]:
        """The kinds among `REWRITING` that are drawn."""
        return [kind for kind, share in self.shares.items() if share and kind in REWRITING]

    def columns(self, kinds: Iterable[str]) -> list[int]:
        """The columns of `kinds` in what `draw` returns."""
        return list(map(list(self.shares).index, kinds))

    def count_slots(self, pairs: Iterable[tuple[str, str]]) -> np.ndarray:
        """[pairs, 3], int8: slots whatever is drawn, more with `names`, more with `numbers`."""
        order = np.arange(len(NAMES + NUMBERS))
        rows = []
        for pair in map(plain, pairs):
            if not (shared_words(pair) or any(map(str.isdigit, pair[0])) or self._has_numeral(pair[0])):
                rows.append((0, 0, 0))
                continue
            fewest, names, numbers = (
                len(self._slots(pair, order, *more)[0]) for more in ((False, False), (True, False), (False, True))
            )
            rows.append((fewest, names - fewest, numbers - fewest))
        return np.array(rows, np.int8).reshape(-1, 3)

    def draw(self, slots: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Which kinds apply to each pair, [pairs, kinds], bool, in the order of `shares`; `slots` [pairs, 3] are
        counted as `count_slots` does."""
        kinds = random.random((len(slots), len(self.shares))) < list(self.shares.values())
        kinds[:, self.columns(SLOTTED)] &= slots[:, 1:] > 0
        kinds[:, self.columns(["phrases"])] &= slots[:, :1] == 0
        return kinds

    def example(
        self, pair: tuple[str, str], kinds: set[str], random: np.random.Generator, links: np.ndarray | None = None
    ) -> Example:
        """The pair with these kinds of augmentation; `links`, [target words, source words], are the probabilities of
        its links."""
        source, target = plain(pair)
        if "phrases" in kinds and links is not None and (part := phrase((source, target), links, random)):
            return part
        lower = "lower" in kinds
        # A name in lower case would not be known for one.
        names = "names" in kinds and not lower
        source_slots, target_slots = self._slots(
            (source, target), random.permutation(len(NAMES + NUMBERS)), names, "numbers" in kinds
        )
        if lower:
            source_slots = [slot for slot in source_slots if slot.character in NUMBERS]
            kept = {slot.character for slot in source_slots}
            target_slots = [slot for slot in target_slots if slot.character in kept]
        return self.rewritten(Example(source, target, source_slots, target_slots, links), kinds, random)

    def rewritten(self, example: Example, kinds: set[str], random: np.random.Generator) -> Example:
        """Apply those of `kinds` that are `REWRITING`."""
        lower = "lower" in kinds
        if "typos" in kinds:
            example = with_typos(example, self.known_words.words if self.known_words else (), random)
        if "marks" in kinds:
            example = with_other_mark(example, self.languages)
        if lower or "title" in kinds:
            example = recased(example, str.lower if lower else string.capwords)
        if "unaccented" in kinds:
            example = without_accents(example)
        return without_marks(example) if lower or "unmarked" in kinds else example

    def _slots(
        self, pair: tuple[str, str], order: np.ndarray, names: bool, numbers: bool
    ) -> tuple[list[Slot], list[Slot]]:
        if self.known_words is None:
            return [], []
        source, target = pair
        wanted = [span for span in name_spans(source) if names or self.known_words.is_name(source, *span)]
        slots = shared_slots(pair, (wanted, name_spans(target) if wanted else []), _ordered(NAMES, order))
        words = [number_word_spans(text, known) for text, known in zip(pair, self.numerals, strict=True)]
        sides = number_spans(source) + (words[0] if numbers else []), number_spans(target) + words[1]
        counted = shared_slots(pair, sides, _ordered(NUMBERS, order), self._value)
        return slots[0] + counted[0], slots[1] + counted[1]

    def _has_numeral(self, text: str) -> bool:
        return not self.numerals[0].keys().isdisjoint(text.lower().replace(".", " ").replace(",", " ").split())

    def _value(self, text: str) -> str | None:
        digits = "".join(filter(str.isdigit, text))
        return digits or next((known[text.lower()] for known in self.numerals if text.lower() in known), None)


def plain(pair: tuple[str, str]) -> tuple[str, str]:
    """Both texts as `Subwords` reads them; the spans of slots refer to these."""
    return plain_text(normalize(pair[0])), plain_text(normalize(pair[1]))


def recased(example: Example, change: Callable[[str], str]) -> Example:
    """The source in another case; the pair itself where that would move its characters."""
    source = change(example.source)
    return example._replace(source=source) if len(source) == len(example.source) else example


def without_accents(example: Example) -> Example:
    """The source without accents and, unless slots would move, without the apostrophes inside words."""
    letters = regex.sub(r"\p{Mn}", "", unicodedata.normalize("NFD", example.source))
    source = letters if example.source_slots else regex.sub(r"(?<=\w)'(?=\w)", "", letters)
    same_words = len(letters) == len(example.source) and len(split_words(source)) == len(split_words(example.source))
    return example._replace(source=source) if same_words else example


def with_typos(example: Example, known: Collection[str], random: np.random.Generator) -> Example:
    """One or two words of the source misspelled (Belinkov and Bisk 2018, section 4), but for capitalized words, those
    in a placeholder, and where the result is a `known` word."""
    source, slots = example.source, list(example.source_slots)
    words = [
        word
        for word in split_words(source)
        if len(word.text) >= SHORTEST_MISSPELLED
        and word.text.isalpha()
        and word.text.islower()
        and not any(slot.start < word.end and word.start < slot.end for slot in slots)
    ]
    chosen = random.permutation(len(words))[: 1 + int(random.integers(2))]
    for word in (words[number] for number in sorted(chosen, reverse=True)):
        text = misspelled(word.text, random)
        if text in known:
            continue
        source = source[: word.start] + text + source[word.end :]
        more = len(text) - len(word.text)
        slots = [
            Slot(slot.start + more, slot.end + more, slot.character) if slot.start > word.start else slot
            for slot in slots
        ]
    return example._replace(source=source, source_slots=slots)


def misspelled(word: str, random: np.random.Generator) -> str:
    """Swap two letters of the word, leave one out, double one, or take a neighbour on the keyboard or another vowel."""
    place = int(random.integers(len(word) - 1))
    first, second = word[place], word[place + 1]
    near = NEAR.get(first, first)
    changed = second + first, second, first + first + second, near[random.integers(len(near))] + second
    return word[:place] + changed[random.integers(len(changed))] + word[place + 2 :]


def _near_letters() -> dict[str, str]:
    near = {vowel: "aeiou".replace(vowel, "") for vowel in "aeiou"}
    for row in _KEYS:
        for left, right in pairwise(row):
            near[left] = near.get(left, "") + right
            near[right] = near.get(right, "") + left
    return near


NEAR = _near_letters()
"""For each letter those that are typed instead of it."""


def without_marks(example: Example) -> Example:
    """The source without the marks that begin and end it."""
    source = example.source.rstrip()
    bare = source.rstrip(MARKS)
    opening = bare[:1] in OPENING
    if not bare[opening:].strip():
        return example
    slots = [Slot(slot.start - opening, slot.end - opening, slot.character) for slot in example.source_slots]
    source = bare[opening:]
    links = example.links
    if links is not None:
        links = links[:, opening : opening + len(split_words(source))]
    return example._replace(source=source, source_slots=slots, links=links)


def with_other_mark(example: Example, languages: tuple[str, str]) -> Example:
    """A statement as an exclamation on both sides, or the reverse; any other pair as it is."""
    texts = example.source, example.target
    if all(map(_STATEMENT.fullmatch, texts)):
        mark = "!"
    elif all(map(_EXCLAMATION.fullmatch, texts)):
        mark = "."
    else:
        return example
    links, changed = example.links, []
    for axis, text, language, slots in zip(
        (1, 0), texts, languages, (example.source_slots, example.target_slots), strict=True
    ):
        opened, opens = text.startswith("¡"), mark == "!" and language == "es"
        moved = [Slot(slot.start + opens - opened, slot.end + opens - opened, slot.character) for slot in slots]
        changed.append(("¡" * opens + text[opened:-1] + mark, moved))
        if links is not None and opened:
            links = np.delete(links, 0, axis)
        if links is not None and opens:
            # The opening mark is linked as the closing one.
            links = np.concatenate([np.take(links, [-1], axis), links], axis)
    (source, source_slots), (target, target_slots) = changed
    return Example(source, target, source_slots, target_slots, links)


def phrase(pair: tuple[str, str], links: np.ndarray, random: np.random.Generator) -> Example | None:
    """One to three words of the source and what they are linked to, if nothing else is linked to either and no word of
    either is without link (Koehn et al. 2003, section 2.2). Long words come up more often than short ones.

    `links`, [target words, source words], are probabilities. What begins a sentence is capitalized; of other phrases
    half are, and half of these have a full stop.
    """
    sources, targets = map(split_words, pair)
    if links.shape != (len(targets), len(sources)) or not links.size:
        return None
    weights = np.array([len(word.text) ** 2 for word in sources], float)
    first = int(random.choice(len(sources), p=weights / weights.sum()))
    columns = range(first, min(first + int(random.choice(PHRASE_WORDS)), len(sources)))
    style = random.random()
    rows = np.flatnonzero((links[:, columns] > CERTAIN).any(axis=1))
    if not len(rows) or rows[-1] - rows[0] > len(columns):
        return None
    block = links[rows[0] : rows[-1] + 1, columns]
    inside = block > POSSIBLE
    outside = (links[rows[0] : rows[-1] + 1] > POSSIBLE).sum() + (links[:, columns] > POSSIBLE).sum() - 2 * inside.sum()
    certain = block > CERTAIN
    if outside or (certain != inside).any() or not (certain.any(axis=0).all() and certain.any(axis=1).all()):
        return None
    chosen = sources[first : columns.stop], targets[rows[0] : rows[-1] + 1]
    if not all(word.text[0].isalpha() for words in chosen for word in words):
        return None
    texts = [text[words[0].start : words[-1].end] for text, words in zip(pair, chosen, strict=True)]
    begins = any(not text[: words[0].start].strip(OPENING) for text, words in zip(pair, chosen, strict=True))
    if begins or style < 1 / 2:
        texts = list(map(capitalized, texts))
    if style < 1 / 4:
        texts = [f"{text}." for text in texts]
        block = np.pad(block, (0, 1))
        block[-1, -1] = 1
    return Example(texts[0], texts[1], links=block)


def _ordered(characters: str, order: np.ndarray) -> list[str]:
    return [characters[place] for place in order if place < len(characters)]


def shared_words(pair: tuple[str, str]) -> set[str]:
    """The capitalized words that both sides have."""
    sides = [{text[start:end] for start, end in name_spans(text)} for text in pair]
    return sides[0] & sides[1]
