"""The four stages of a translation: read, search, align, assemble."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmt.alignment import Link
from nmt.alignment.links import attention_links
from nmt.alignment.pieces import all_over_words
from nmt.confidence import Calibration, evidence_of
from nmt.copying import with_copied
from nmt.errors import UserError
from nmt.keywords import Long
from nmt.lines import in_chunks
from nmt.search.options import Hypothesis, SearchOptions
from nmt.text.parts import Part, sentences, split_text, words_of_part
from nmt.text.subwords import END, Encoding, Subwords
from nmt.translation import AttentionMaps, Translation, join_translations

if TYPE_CHECKING:
    from nmt.alignment.head import AlignedPair, Aligner
    from nmt.engines.ctranslate2_engine import CTranslate2Engine
    from nmt.engines.torch_engine import AttentionWeights, TorchEngine

CHARACTERS_AT_MOST = 1_000_000
"""Characters that close a chunk before it has all its lines."""


class Line(NamedTuple):
    """A line of input and what is translated of it."""

    text: str
    whole: Encoding
    parts: list[Part]
    """The whole line, or what it was split into; nothing for a line without words."""


class Aligned(NamedTuple):
    """A hypothesis as text, with its word alignment."""

    source: Encoding
    target: Encoding
    score: float
    attention: np.ndarray | None
    """[target words, source words + 1]; None from a model without attention, and where it is not wanted."""
    links: list[Link] | None
    link_probabilities: np.ndarray | None
    """[target words, source words], of the alignment head."""
    weights: AttentionWeights | None
    """Of every layer and head, where they were read."""
    word_probabilities: list[float] | None = None
    evidence: Mapping[str, float] | None = None
    word_evidence: np.ndarray | None = None
    """[target words, `WORD_SIGNS`]."""


@dataclass(frozen=True)
class Reader:
    """Encode lines, in chunks of at most `size`."""

    subwords: Subwords
    language: str
    longest: int
    """Most pieces that the model takes, `</s>` not counted."""
    long: Long
    one_sentence: bool
    """Whether a line is taken as it is; else its sentences are translated one by one."""
    size: int

    def read(self, texts: Iterable[str | None]) -> Iterator[list[Line] | None]:
        """Encode chunk by chunk; a None among the texts closes a chunk and is passed on (see `nmt.lines.in_chunks`).

        Raises UserError for a sentence that is too long, after the lines before it, unless `long` is "split".
        """
        return in_chunks(self._lines(texts), self.size)

    def _lines(self, texts: Iterable[str | None]) -> Iterator[Line | None]:
        number = characters = 0
        for text in texts:
            if text is not None:
                number += 1
                characters += len(text)
                whole = self.subwords.encode(text)
                yield Line(text, whole, self._parts(whole, number))
            if text is None or characters >= CHARACTERS_AT_MOST:
                yield None
                characters = 0

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
        return parts


@dataclass(frozen=True)
class Searcher:
    """Find the n-best hypotheses of every part."""

    engine: TorchEngine | CTranslate2Engine
    options: SearchOptions
    batch_size: int
    attention: bool
    """Whether hypotheses come with their attention."""
    origin: Path
    """The checkpoint, for errors."""

    def search(self, lines: Sequence[Line]) -> list[list[Hypothesis]]:
        """One list for each part of the lines, best first. Raises UserError when the network computes NaN."""
        sources = [part.encoding.ids for line in lines for part in line.parts]
        found = self.engine.translate(sources, self.options, self.batch_size, self.attention)
        if not all(found) or any(math.isnan(one.score) for hypotheses in found for one in hypotheses):
            raise UserError(f"checkpoint {self.origin} computes no numbers; use another copy of it")
        return found


@dataclass(frozen=True)
class WordAligner:
    """Decode hypotheses, take their attention to words, and link these: by the alignment head, or else by attention."""

    subwords: Subwords
    head: Aligner | None
    attends: bool
    """Whether the network has attention; without any there is no alignment."""
    read_weights: Callable[[list[list[int]], list[list[int]]], list[AttentionWeights]] | None
    """Every head's attention of (source, target) piece ids, where it is wanted."""
    score: Callable[[list[list[int]], list[list[int]]], list[np.ndarray]] | None = None
    """Log-probabilities of (source, target) piece ids, where the probability of each word is wanted."""

    def align(self, lines: Sequence[Line], found: Sequence[list[Hypothesis]]) -> Iterator[list[Aligned]]:
        """One list for each part of the lines, in the order of its hypotheses."""
        parts = [part.encoding for line in lines for part in line.parts]
        sources = [source for source, hypotheses in zip(parts, found, strict=True) for _ in hypotheses]
        flat = [hypothesis for hypotheses in found for hypothesis in hypotheses]
        targets = [
            self.subwords.decode_with_spans(hypothesis.pieces, source)
            for hypothesis, source in zip(flat, sources, strict=True)
        ]
        weights: Sequence[AttentionWeights | None] = [None] * len(flat)
        if self.read_weights:
            weights = self.read_weights([source.ids for source in sources], [one.pieces for one in flat])
        scores: Sequence[np.ndarray | None] = [None] * len(flat)
        if self.score:
            scores = self.score([source.ids for source in sources], [one.pieces for one in flat])
        pairs: Sequence[AlignedPair | None] = [None] * len(flat)
        if self.head is not None:
            sides = ([[word.text for word in encoding.words] for encoding in side] for side in (sources, targets))
            pairs = self.head.align_words(list(zip(*sides, strict=True)))
        attention: Iterable[np.ndarray | None] = [None] * len(flat)
        pieces = [one.attention for one in flat if one.attention is not None]
        if len(pieces) == len(flat):
            attention = all_over_words(pieces, sources, targets)
        aligned = map(self._aligned, sources, targets, flat, pairs, zip(attention, weights, scores, strict=True))
        for hypotheses in found:
            yield [next(aligned) for _ in hypotheses]

    def _aligned(
        self,
        source: Encoding,
        target: Encoding,
        hypothesis: Hypothesis,
        pair: AlignedPair | None,
        read: tuple[np.ndarray | None, AttentionWeights | None, np.ndarray | None],
    ) -> Aligned:
        attention, weights, scores = read
        links = pair.links if pair else None if attention is None else attention_links(attention)
        probabilities = pair.probabilities if pair else None
        words = None if scores is None else np.exp(over_target_words(scores, target)).tolist()
        evidence = evidence_of(source, target, hypothesis, links, probabilities, self.subwords)
        return Aligned(source, target, hypothesis.score, attention, links, probabilities, weights, words, *evidence)


@dataclass(frozen=True)
class Assembler:
    """Build a `Translation` of each line."""

    spell: Callable[[Sequence[int]], list[str]]
    """The spelling of piece ids."""
    attention_name: str | None
    """What `Translation.attention` is, in words; None for a model without attention."""
    attention: bool
    """Whether translations have their attention."""
    calibration: Calibration | None = None
    """Of the confidence, where the checkpoint has one."""

    def assemble(self, lines: Sequence[Line], aligned: Iterable[list[Aligned]]) -> Iterator[Translation]:
        """One translation a line; those of its parts are joined."""
        groups = iter(aligned)
        for line in lines:
            words = [word.text for word in line.whole.words]
            if not line.parts:
                matrix = np.zeros((0, len(words) + 1), np.float32) if self.attention else None
                nothing = Translation(line.text, "", 0.0, words, [], matrix, [] if self.attention_name else None)
                yield with_copied(replace(nothing, attention_name=self.attention_name), line.whole)
            elif line.parts[0].encoding is not line.whole:  # split
                results = [self._translation(part.encoding.text, next(groups)) for part in line.parts]
                places = [words_of_part(line.whole, part) for part in line.parts]
                yield join_translations(line.text, words, results, places)
            else:
                yield self._translation(line.text, next(groups))

    def _translation(self, source: str, group: list[Aligned]) -> Translation:
        hypotheses = [self._hypothesis(source, one) for one in group]
        return replace(hypotheses[0], hypotheses=hypotheses) if len(hypotheses) > 1 else hypotheses[0]

    def _hypothesis(self, source: str, one: Aligned) -> Translation:
        made = Translation(
            source=source,
            text=one.target.text,
            score=one.score,
            source_words=[word.text for word in one.source.words],
            target_words=[word.text for word in one.target.words],
            attention=one.attention,
            alignment=one.links,
            link_probabilities=one.link_probabilities,
            attention_name=self.attention_name,
            word_probabilities=one.word_probabilities,
            confidence=self.calibration(one.evidence) if self.calibration and one.evidence else None,
            evidence=one.evidence,
            word_confidence=self.calibration.words(one.word_evidence) if self.calibration else None,
            word_evidence=one.word_evidence,
        )
        if one.weights is not None:
            made = replace(
                made,
                heads=spelled(one.weights, one.source.ids, one.target.ids, self.spell),
                source_word_of_piece=[*one.source.words_of_piece, []],
                target_word_of_piece=[*one.target.words_of_piece, []],
            )
        source_of_copies = one.source.with_lost_slots(one.target) if one.source.slots else one.source
        return with_copied(made, source_of_copies) if source_of_copies.copied else made


def over_target_words(log_probabilities: np.ndarray, target: Encoding) -> np.ndarray:
    """[target pieces + 1] log-probabilities of pieces to [target words]; a piece shares its own among its words."""
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
