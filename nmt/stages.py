"""The four stages of a translation: read, search, align, assemble."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nmt.alignment.links import attention_links
from nmt.alignment.pieces import all_over_words
from nmt.confidence import Calibration, evidence_of
from nmt.copying import slot_links, with_copied, with_strokes
from nmt.errors import UserError
from nmt.joining import join_translations, with_aside
from nmt.keywords import Long, checked_text
from nmt.recasing import with_capitals
from nmt.search.options import Hypothesis, SearchOptions
from nmt.text.casing import Score, as_fragment
from nmt.text.encoding import Encoding
from nmt.text.parts import Part, sentences, split_text, with_asides, words_of_part
from nmt.text.subwords import END, Subwords
from nmt.text.typography import plain_text
from nmt.translation import AttentionMaps, Translation

if TYPE_CHECKING:
    from nmt.alignment.head import AlignedPair, Aligner
    from nmt.engines.ctranslate2_engine import CTranslate2Engine
    from nmt.engines.torch_engine import AttentionWeights, TorchEngine

CHARACTERS_AT_MOST = 1_000_000
"""A chunk is closed early once its lines have this many characters."""


class Line(NamedTuple):
    """A line of input and the parts of it to translate."""

    text: str
    whole: Encoding
    parts: list[Part]
    """The whole line as one part, or the parts that it was split into, each before its asides; empty for a line without
    words."""


@dataclass(frozen=True)
class Reader:
    """Encode lines and split them into sentences."""

    subwords: Subwords
    language: str
    longest: int
    """Most pieces that the model takes, `</s>` not counted."""
    long: Long
    one_sentence: bool
    """Whether a line is taken as one sentence; otherwise it is split and its sentences are translated one by one."""
    translate: Callable[[list[str]], list[str]]
    """Translates quoted words, as sentences of their own."""
    warns: bool = False
    """Whether to warn of a line of several sentences that is taken as one."""

    def read(self, texts: Iterable[str | None]) -> Iterator[Line | None]:
        """The lines in order, and None where a chunk must end: at a None among the texts, and before it grows large.

        Raises UserError for what is not text, and for a sentence that is too long unless `long` is "split".
        """
        number = characters = 0
        for text in texts:
            if text is not None:
                number += 1
                characters += len(checked_text(text, f"line {number}"))
                whole = self.subwords.encode(text, apart=True)
                hosts = self._parts(whole, number)
                parts = [part for host in hosts for part in with_asides(self.subwords, host, self.longest)]
                read = [part._replace(encoding=self._with_quotations(part.encoding)) for part in parts]
                if parts and parts[0].encoding is whole:
                    whole = read[0].encoding
                yield Line(text, whole, read)
            if text is None or characters >= CHARACTERS_AT_MOST:
                yield None
                characters = 0

    def _with_quotations(self, sentence: Encoding) -> Encoding:
        if not (typed := sentence.quotations):
            return sentence
        sentences = [f"{words}." for words in typed.values()]  # which the network knows better than words alone
        written = {}
        for (slot, words), text in zip(typed.items(), self.translate(sentences), strict=True):
            before = plain_text(sentence.text[: sentence.slots[slot][0]])
            written[slot] = as_fragment(words, text, self.subwords.score, before)
        return replace(sentence, quotations=written)

    def _parts(self, whole: Encoding, number: int) -> list[Part]:
        # Skip lines without words: the network would hallucinate.
        if not whole.words or not whole.ids:
            return []
        parts = [Part(0, whole)] if self.one_sentence else sentences(self.subwords, whole, self.language)
        long = [part.encoding for part in parts if len(part.encoding.ids) > self.longest]
        if long and self.long == "split":
            return split_text(self.subwords, whole, self.longest, self.language)
        if long:
            raise too_long(f"line {number}", long[0], self.longest, "split it (nmt-translate --long split does)")
        if self.warns and (several := len(sentences(self.subwords, whole, self.language))) > 1:
            told = "heads and prefixes take a line as one, so put each on a line of its own"
            warnings.warn(f"line {number} has {several} sentences; {told}", stacklevel=2)
        return parts


@dataclass(frozen=True)
class Searcher:
    """Find the n-best hypotheses of every part."""

    engine: TorchEngine | CTranslate2Engine
    subwords: Subwords
    options: SearchOptions
    batch_size: int
    prefix: str
    """How every translation begins."""
    attention: bool
    """Whether hypotheses come with their attention."""
    longest: int
    """Most pieces that the model takes, `</s>` not counted."""
    origin: Path
    """The checkpoint, for errors."""

    def search(self, lines: Sequence[Line]) -> list[list[Hypothesis]]:
        """One list for each part of the lines: those with the placeholders of their source, each as often, then the
        others, best first. Raises UserError when the network computes NaN, and for a prefix that is too long."""
        parts = [part for line in lines for part in line.parts]
        sources, placeholders = [part.encoding.ids for part in parts], self.subwords.slot_ids
        begun = [self.options if part.aside else self._begun(part.encoding) for part in parts]
        alike: dict[SearchOptions, list[int]] = {}
        for number, options in enumerate(begun):
            alike.setdefault(options, []).append(number)
        found: list[list[Hypothesis]] = [[] for _ in sources]
        for options, numbers in alike.items():
            own = [sources[number] for number in numbers]
            for number, one in zip(
                numbers, self.engine.translate(own, options, self.batch_size, self.attention), strict=True
            ):
                found[number] = one
        for number, source in enumerate(sources):
            if any(self._differs(one, source) for one in found[number]):
                # One is lost, written twice, or stands for nothing: search again, without the last kind, and rank all.
                lacking = tuple(sorted(placeholders.difference(source, begun[number].prefix)))
                options = replace(begun[number], n_best=self.options.beam, forbidden=lacking)
                (again,) = self.engine.translate([source], options, 1, self.attention)
                ranked = sorted(again, key=lambda one: self._differs(one, source))
                found[number] = ranked[: self.options.n_best]
        if not all(found) or any(math.isnan(one.score) for hypotheses in found for one in hypotheses):
            raise UserError(f"checkpoint {self.origin} computes no numbers; use another copy of it")
        return found

    def _begun(self, source: Encoding) -> SearchOptions:
        # With the prefix, in which a name has the placeholder that it has in this source.
        if not self.prefix:
            return self.options
        prefix = tuple(self.subwords.encode_translation(self.prefix, source).ids)
        if len(prefix) >= self.longest:
            raise UserError(f"the prefix has {len(prefix)} subword pieces, the model takes {self.longest}")
        return replace(self.options, prefix=prefix)

    def _differs(self, hypothesis: Hypothesis, source: Sequence[int]) -> bool:
        # Whether a hypothesis and its source differ in their placeholders.
        sides, placeholders = (source, hypothesis.pieces), self.subwords.slot_ids
        if all(map(placeholders.isdisjoint, sides)):
            return False
        own, theirs = (sorted(piece for piece in side if piece in placeholders) for side in sides)
        return own != theirs


class Reading(NamedTuple):
    """What is read off one hypothesis, None where that is not asked for or not there."""

    target: Encoding
    pair: AlignedPair | None
    """By the alignment head."""
    attention: np.ndarray | None
    """[target words, source words + 1]"""
    weights: AttentionWeights | None
    """Of every head, over pieces."""
    scores: np.ndarray | None
    """[target pieces + 1]: log-probabilities."""


@dataclass(frozen=True)
class WordAligner:
    """Make a translation of every part: its text and words, their links and attention, its confidence."""

    subwords: Subwords
    language: str
    """The code of the language translated into."""
    head: Aligner | None
    """The alignment head; without one, links are read off attention."""
    attention_name: str | None
    """What `Translation.attention` is, in words; None for a model without attention."""
    calibration: Calibration | None
    """Of the confidence, where the checkpoint has one."""
    read_weights: Callable[[list[list[int]], list[list[int]]], list[AttentionWeights]] | None = None
    """Computes every head's attention from source and target piece ids; None if not requested."""
    score: Callable[[list[list[int]], list[list[int]]], list[np.ndarray]] | None = None
    """Computes log-probabilities from source and target piece ids; None if not requested."""

    def align(self, lines: Sequence[Line], found: Sequence[list[Hypothesis]]) -> Iterator[Translation]:
        """One translation for each part of the lines, with its n-best list."""
        parts = [(line, part.encoding) for line in lines for part in line.parts]
        sources = [source for (_, source), hypotheses in zip(parts, found, strict=True) for _ in hypotheses]
        flat = [hypothesis for hypotheses in found for hypothesis in hypotheses]
        targets = [
            self.subwords.decode_with_spans(hypothesis.pieces, source)
            for hypothesis, source in zip(flat, sources, strict=True)
        ]
        ids = [source.ids for source in sources], [one.pieces for one in flat]
        none: Iterable[Any] = [None] * len(flat)
        weights = self.read_weights(*ids) if self.read_weights else none
        scores = self.score(*ids) if self.score else none
        pairs = none
        if self.head is not None:
            sides = ([encoding.words_as_read for encoding in side] for side in (sources, targets))
            pairs = self.head.align_words(list(zip(*sides, strict=True)))
        pieces = [one.attention for one in flat if one.attention is not None]
        attention = all_over_words(pieces, sources, targets) if len(pieces) == len(flat) else none
        readings = map(Reading._make, zip(targets, pairs, attention, weights, scores, strict=True))
        for (line, source), hypotheses in zip(parts, found, strict=True):
            text = line.text if source is line.whole else source.text
            group = [self._translation(text, source, one, next(readings)) for one in hypotheses]
            yield replace(group[0], hypotheses=group) if len(group) > 1 else group[0]

    def _translation(self, text: str, source: Encoding, hypothesis: Hypothesis, reading: Reading) -> Translation:
        target, pair, attention, weights, scores = reading
        links = pair.links if pair else None if attention is None else attention_links(attention)
        link_probabilities = pair.probabilities if pair else None
        evidence, word_evidence = evidence_of(source, target, hypothesis, links, link_probabilities, self.subwords)
        if links is not None and target.slots:
            links = slot_links(links, source, target)
        made = Translation(
            source=text,
            text=target.text,
            score=hypothesis.score,
            source_words=[word.text for word in source.words],
            target_words=[word.text for word in target.words],
            attention=attention,
            alignment=links,
            link_probabilities=link_probabilities,
            attention_name=self.attention_name,
            word_probabilities=None if scores is None else np.exp(over_target_words(scores, target)).tolist(),
            confidence=self.calibration(evidence) if self.calibration else None,
            evidence=evidence,
            word_confidence=self.calibration.words(word_evidence) if self.calibration else None,
            word_evidence=word_evidence,
        )
        if weights is not None:
            made = replace(
                made,
                heads=spelled(weights, source.ids, target.ids, self.subwords.pieces),
                source_word_of_piece=[*source.words_of_piece, []],
                target_word_of_piece=[*target.words_of_piece, []],
            )
        made = with_strokes(with_capitals(made, source, self.language), source)
        source_of_copies = source.with_lost_slots(target) if source.slots else source
        return with_copied(made, source_of_copies) if source_of_copies.copied else made


def assembled(
    lines: Sequence[Line],
    translations: Iterator[Translation],
    attention_name: str | None,
    attention: bool,
    score: Score,
) -> Iterator[Translation]:
    """One translation a line, of those of its parts. `attention_name` is as in `WordAligner`; `attention` tells whether
    translations have theirs; `score` is that of `Subwords`."""
    for line in lines:
        words = [word.text for word in line.whole.words]
        if not line.parts:
            matrix = np.zeros((0, len(words) + 1), np.float32) if attention else None
            nothing = Translation(line.text, "", 0.0, words, [], matrix, [] if attention_name else None)
            yield with_copied(replace(nothing, attention_name=attention_name), line.whole)
            continue
        hosts: list[Part] = []
        results: list[Translation] = []
        for part, translation in zip(line.parts, translations, strict=False):
            if part.aside:
                within = part._replace(start=part.start - hosts[-1].start)
                text = as_fragment(translation.source, translation.text, score)
                results[-1] = with_aside(results[-1], translation, text, words_of_part(hosts[-1].encoding, within))
            else:
                hosts.append(part)
                results.append(translation)
        if hosts[0].encoding is line.whole:
            yield results[0]
        else:  # split
            places = [words_of_part(line.whole, part) for part in hosts]
            yield join_translations(line.text, words, results, places)


def over_target_words(log_probabilities: np.ndarray, target: Encoding) -> np.ndarray:
    """Sum log-probabilities [target pieces + 1] over [target words]; a piece of several words is split equally."""
    by_word = np.zeros(len(target.words))
    for value, words in zip(log_probabilities, target.words_of_piece, strict=False):  # the last is that of `</s>`
        by_word[words] += value / max(1, len(words))
    return by_word


def spelled(
    weights: AttentionWeights, source: list[int], target: list[int], spell: Callable[[Sequence[int]], list[str]]
) -> AttentionMaps:
    """The weights of a (source, target) pair of piece ids with its pieces spelled."""
    candidates = [
        list(zip(spell([piece for piece, _ in step]), [score for _, score in step], strict=True))
        for step in weights.candidates
    ]
    kinds = weights.encoder, weights.decoder, weights.cross
    return AttentionMaps(*kinds, spell([*source, END]), spell([*target, END]), candidates)


def too_long(place: str, encoding: Encoding, longest: int, remedy: str) -> UserError:
    """The error for a text of more than `longest` pieces."""
    return UserError(f"{place} has {len(encoding.ids)} subword pieces, the model takes {longest}; {remedy}")
