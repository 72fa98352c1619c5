"""The four stages of a translation: read, search, align, assemble."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import numpy as np

from nmt.alignment import Link
from nmt.alignment.links import argmax_links
from nmt.alignment.pieces import over_words
from nmt.copying import with_copied
from nmt.errors import UserError
from nmt.lines import in_chunks
from nmt.search.options import Hypothesis, SearchOptions
from nmt.text.parts import Part, sentences, split_text, words_of_part
from nmt.text.subwords import END, Encoding, Subwords
from nmt.translation import AttentionMaps, Translation, join_translations

if TYPE_CHECKING:
    from nmt.alignment.head import Aligner
    from nmt.engines.ctranslate2_engine import CTranslate2Engine
    from nmt.engines.torch_engine import AttentionWeights, TorchEngine

Long = Literal["refuse", "split"]
CHARACTERS_AT_MOST = 1_000_000
"""Characters that close a chunk before it has all its lines."""


class Line(NamedTuple):
    """A line of input and what is translated of it."""

    text: str
    whole: Encoding
    parts: list[Part]
    """The whole line, or what it was split into; nothing for a line without words."""

    @property
    def is_split(self) -> bool:
        """Whether the parts are shorter than the line."""
        return bool(self.parts) and self.parts[0].encoding is not self.whole


class Aligned(NamedTuple):
    """A hypothesis as text, with its word alignment."""

    source: Encoding
    target: Encoding
    score: float
    matrix: np.ndarray | None
    """[target words, source words + 1]; None from a model without attention."""
    links: list[Link] | None
    weights: AttentionWeights | None
    """Of every layer and head, where they were read."""


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
    origin: Path
    """The checkpoint, for errors."""

    def search(self, lines: Sequence[Line]) -> list[list[Hypothesis]]:
        """One list for each part of the lines, best first. Raises UserError when the network computes NaN."""
        sources = [part.encoding.ids for line in lines for part in line.parts]
        found = self.engine.translate(sources, self.options, self.batch_size)
        if not all(found) or any(math.isnan(one.score) for hypotheses in found for one in hypotheses):
            raise UserError(f"checkpoint {self.origin} computes no numbers; use another copy of it")
        return found


@dataclass(frozen=True)
class WordAligner:
    """Decode hypotheses and align their words, by the alignment head or else by the network's cross-attention."""

    subwords: Subwords
    head: Aligner | None
    layer: int | None
    """Cross-attention layer that is read without a head; None for a model without attention, which has no alignment."""
    read_weights: Callable[[list[list[int]], list[list[int]]], list[AttentionWeights]] | None
    """Attention of (source, target) piece ids, where every head is wanted or the engine returns no attention."""

    def align(self, lines: Sequence[Line], found: Sequence[list[Hypothesis]]) -> Iterator[list[Aligned]]:
        """One list for each part of the lines, in the order of its hypotheses."""
        parts = [part.encoding for line in lines for part in line.parts]
        sources = [source for source, hypotheses in zip(parts, found, strict=True) for _ in hypotheses]
        flat = [hypothesis for hypotheses in found for hypothesis in hypotheses]
        targets = [
            self.subwords.decode_with_spans(hypothesis.pieces, source.capitals)
            for hypothesis, source in zip(flat, sources, strict=True)
        ]
        weights: Sequence[AttentionWeights | None] = [None] * len(flat)
        if self.read_weights:
            weights = self.read_weights([source.ids for source in sources], [one.pieces for one in flat])
        matrices = self._matrices(sources, targets, flat, weights)
        aligned = (
            Aligned(source, target, hypothesis.score, matrix, links, read)
            for source, target, hypothesis, (matrix, links), read in zip(
                sources, targets, flat, matrices, weights, strict=True
            )
        )
        for hypotheses in found:
            yield [next(aligned) for _ in hypotheses]

    def _matrices(
        self,
        sources: list[Encoding],
        targets: list[Encoding],
        hypotheses: list[Hypothesis],
        weights: Sequence[AttentionWeights | None],
    ) -> Iterator[tuple[np.ndarray | None, list[Link] | None]]:
        # The word matrix and the links of each hypothesis.
        if self.layer is None:
            yield from ((None, None) for _ in hypotheses)
        elif self.head is not None:
            sides = [[[word.text for word in encoding.words] for encoding in side] for side in (sources, targets)]
            for pair in self.head.align_words(list(zip(*sides, strict=True))):
                yield pair.matrix, pair.links
        else:
            for source, target, hypothesis, read in zip(sources, targets, hypotheses, weights, strict=True):
                own = hypothesis.attention if read is None else cast(np.ndarray, read.cross)[self.layer, :, :-1].mean(0)
                matrix = over_words(cast(np.ndarray, own), source, target)
                yield matrix, argmax_links(matrix)


@dataclass(frozen=True)
class Assembler:
    """Build a `Translation` of each line."""

    spell: Callable[[Sequence[int]], list[str]]
    """The spelling of piece ids."""
    attends: bool

    def assemble(self, lines: Sequence[Line], aligned: Iterable[list[Aligned]]) -> Iterator[Translation]:
        """One translation a line; those of its parts are joined."""
        groups = iter(aligned)
        for line in lines:
            words = [word.text for word in line.whole.words]
            if not line.parts:
                matrix = np.zeros((0, len(words) + 1), np.float32) if self.attends else None
                nothing = Translation(line.text, "", 0.0, words, [], matrix, [] if self.attends else None)
                yield with_copied(nothing, line.whole)
            elif line.is_split:
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
            attention=one.matrix,
            alignment=one.links,
        )
        if one.weights is not None:
            made = replace(
                made,
                heads=spelled(one.weights, one.source.ids, one.target.ids, self.spell),
                source_word_of_piece=[*one.source.words_of_piece, []],
                target_word_of_piece=[*one.target.words_of_piece, []],
            )
        return with_copied(made, one.source)


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
