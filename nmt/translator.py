"""Text in, translations with their alignment out. Commands, the demo and notebooks all go through here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, overload

import numpy as np

from nmt.alignment import Link
from nmt.checkpoint import ALIGNER, CTRANSLATE2, SUBWORDS, Checkpoint, find_checkpoint
from nmt.copying import with_copied
from nmt.errors import UserError
from nmt.overlap import ahead
from nmt.search.options import Hypothesis, SearchOptions
from nmt.text.parts import Part, sentences, split_text, words_of_part
from nmt.text.subwords import Encoding, Subwords
from nmt.translation import NO_ALIGNMENT, AttentionMaps, Translation, join_translations
from nmt.untrusted import within

if TYPE_CHECKING:
    from nmt.alignment.aligner import AlignedPair, Aligner
    from nmt.engines.ctranslate2_engine import CTranslate2Engine
    from nmt.engines.torch_engine import TorchEngine

EngineName = Literal["auto", "torch", "ctranslate2"]
Long = Literal["refuse", "split"]
READ_AHEAD = 1024
"""Lines that a stream takes at a time: enough to sort by length, few enough to hold."""
FAST_CHUNK, FAST_AHEAD = 256, 2
"""What CTranslate2 takes at a time, and how often: its cores are never without work, and little is left at the end."""
CHARACTERS_AHEAD = 1_000_000
"""Characters after which it takes no further line."""
CANDIDATES = 5
"""Next pieces listed for every step when all heads are asked for."""


class Chunk(NamedTuple):
    """Some lines on their way."""

    lines: list[str]
    wholes: list[Encoding]
    parts: list[list[Part]]
    """For each line itself, what it is split into, or nothing when it has no words."""

    @property
    def encodings(self) -> list[Encoding]:
        """Of all parts."""
        return [part.encoding for group in self.parts for part in group]

    @property
    def sources(self) -> list[str]:
        """The texts of all parts; a line that is not split stays as it was given."""
        return [
            line if len(group) == 1 else part.encoding.text
            for line, group in zip(self.lines, self.parts, strict=True)
            for part in group
        ]


class Translator:
    """A loaded checkpoint."""

    def __init__(self, checkpoint: Checkpoint, engine: EngineName = "auto", threads: int | None = None) -> None:
        """Prefer `Translator.load`. `threads` limits the CPU threads of an engine (default: all cores)."""
        if engine not in get_args(EngineName):
            raise UserError(f"the engine is {engine!r}; it must be one of {', '.join(get_args(EngineName))}")
        if threads is not None and not within(threads, int, 1, math.inf):
            raise UserError(f"threads is {threads!r}; it must be a whole number from 1, or None for all cores")
        self.checkpoint, self.threads = checkpoint, threads
        self.subwords = Subwords.load(checkpoint.path(SUBWORDS))
        exported = checkpoint.has(f"{CTRANSLATE2}/model.bin")
        if engine == "ctranslate2" and not exported:
            raise UserError(f"checkpoint {checkpoint.directory} has no CTranslate2 files; make them with nmt-export")
        self.fast = engine == "ctranslate2" or (engine == "auto" and exported)
        self.engine_name = engine

    @classmethod
    def load(
        cls, checkpoint: str | Path | None = None, engine: EngineName = "auto", threads: int | None = None
    ) -> Translator:
        """Open a checkpoint directory, or a shipped checkpoint by its name: `tatoeba-en-es`, the default, and
        `tatoeba-es-en`.

        `auto` takes CTranslate2 where the checkpoint has its files, and PyTorch for what only PyTorch
        can tell: every layer and head. Raises UserError when the directory is not a whole checkpoint.
        """
        return cls(Checkpoint(find_checkpoint(checkpoint)), engine, threads)

    @property
    def source(self) -> str:
        """The source language's code."""
        return self.checkpoint.metadata["source"]

    @property
    def target(self) -> str:
        """The target language's code."""
        return self.checkpoint.metadata["target"]

    @property
    def attends(self) -> bool:
        """Whether the network has attention; without any there is no alignment, not even by a head beside it."""
        return self.checkpoint.metadata["alignment_layer"] is not None

    def require_attention(self) -> None:
        """Raises UserError for a network that has no attention."""
        if not self.attends:
            raise UserError(f"checkpoint {self.checkpoint.directory}: {NO_ALIGNMENT}")

    @overload
    def translate(self, text: str, **options) -> Translation: ...
    @overload
    def translate(self, text: Sequence[str], **options) -> list[Translation]: ...
    def translate(self, text, **options):
        """Translate one sentence, or a list of them.

        Options, each with the checkpoint's own default:
            beam: hypotheses kept a step; 1 is greedy.
            n_best: hypotheses returned in `Translation.hypotheses`, at most `beam`.
            length_penalty: exponent of the length penalty (Wu et al. 2016).
            min_length, max_length_factor, max_length_extra: bounds of the length in pieces.
            heads: True also returns every layer's and head's attention (PyTorch).
            batch_size: sentences translated together.
            long: "refuse" a text that is longer than the model takes (the default), or "split" it into sentences
                and shorter parts, whose translations are joined: see `nmt.translation.join_translations`.

        Raises UserError for a text that is longer than the model takes, unless it is to be split, and for heads of a
        model without any.
        """
        if isinstance(text, str):
            return next(self.stream([text], **options))
        return list(self.stream(text, **options))

    def stream(
        self,
        lines: Iterable[str],
        heads: bool = False,
        batch_size: int = 64,
        read_ahead: int = READ_AHEAD,
        long: Long = "refuse",
        one_sentence: bool = False,
        **options: float | None,
    ) -> Iterator[Translation]:
        """Translate lines as they come, order kept; memory does not grow with their number.

        `read_ahead` lines are taken at a time; with 1 each is answered before the next is asked for.
        """
        if long not in ("refuse", "split"):
            raise UserError(f"long is {long!r}; it must be refuse or split")
        search = self.search_options(**options)
        if heads:
            self.require_attention()
        if heads and self.engine_name == "ctranslate2":
            raise UserError("the CTranslate2 engine cannot return every head; use the engine auto or torch")
        # `auto` gives every request for heads to PyTorch whole, so that heads and translation are one model's.
        fast = self.fast and not heads
        if heads or (self.attends and not fast and not self.checkpoint.has(ALIGNER)):
            read_ahead = min(read_ahead, batch_size)  # whole maps are large
        engine = self._ctranslate2 if fast else self._torch
        overlapped = fast and read_ahead > 1
        chunks = self._encoded(
            lines, min(read_ahead, FAST_CHUNK) if overlapped else read_ahead, long, one_sentence or heads
        )

        def search_chunk(chunk: Chunk) -> list[list[Hypothesis]]:
            found = engine.translate([encoding.ids for encoding in chunk.encodings], search, batch_size)
            if not all(found) or any(math.isnan(one.score) for hypotheses in found for one in hypotheses):
                raise UserError(f"checkpoint {self.checkpoint.directory} computes no numbers; use another copy of it")
            return found

        # CTranslate2 needs no Python while it works: it has the next chunks already while this one is aligned.
        in_turn = ((chunk, search_chunk(chunk)) for chunk in chunks)
        for chunk, found in ahead(search_chunk, chunks, FAST_AHEAD) if overlapped else in_turn:
            finished = self._finish(chunk.sources, chunk.encodings, found, heads)
            for line, whole, group in zip(chunk.lines, chunk.wholes, chunk.parts, strict=True):
                results = list(islice(finished, len(group)))
                if group and group[0].encoding is not whole:
                    places = [words_of_part(whole, part) for part in group]
                    yield join_translations(line, [word.text for word in whole.words], results, places)
                else:
                    yield results[0] if results else _empty(line, whole, self.attends)

    def _encoded(self, lines: Iterable[str], read_ahead: int, long: Long, one_sentence: bool) -> Iterator[Chunk]:
        # Raises UserError for a line that is too long and not to be split.
        number = 0
        for chunk in _chunks(lines, read_ahead):
            wholes = [self.subwords.encode(line) for line in chunk]
            yield Chunk(
                chunk,
                wholes,
                [self._parts(whole, number + offset, long, one_sentence) for offset, whole in enumerate(wholes, 1)],
            )
            number += len(chunk)

    def _parts(self, whole: Encoding, number: int, long: Long, one_sentence: bool) -> list[Part]:
        """The text itself, or what it is split into; nothing when it has no words."""
        if not whole.words or not whole.ids:
            return []
        longest = self.checkpoint.metadata["max_length"] - 1
        if one_sentence and len(whole.ids) <= longest:
            return [Part(0, whole)]
        if long == "refuse":
            parts = [Part(0, whole)] if one_sentence else sentences(self.subwords, whole, self.source)
            for part in parts:
                self._check_length(part.encoding, f"line {number}", "split the line (nmt-translate --long split does)")
            return parts
        return split_text(self.subwords, whole, longest, self.source)

    def align(self, pairs: Sequence[tuple[str, str]]) -> list[AlignedPair]:
        """Word alignments of given (source, target) sentences by the alignment head, order kept.

        Raises UserError when the checkpoint has no alignment head.
        """
        self.require_attention()
        if self.aligner is None:
            raise UserError(f"checkpoint {self.checkpoint.directory} has no alignment head (see alignment.head)")
        return self.aligner.align(pairs)

    @cached_property
    def aligner(self) -> Aligner | None:
        """The alignment head, when the checkpoint has one."""
        if not self.attends or not self.checkpoint.has(ALIGNER):
            return None
        from nmt.alignment.aligner import Aligner

        return Aligner.load(self.checkpoint.path(ALIGNER), self.subwords)

    def attention(self, source: str, target: str) -> AttentionMaps:
        """Every layer's and head's attention for a given pair of sentences (teacher forcing, PyTorch).

        Raises UserError for a sentence that is longer than the model takes, and for a model without attention.
        """
        self.require_attention()
        encodings = [self.subwords.encode(text) for text in (source, target)]
        for side, encoding in zip(("source", "target"), encodings, strict=True):
            self._check_length(encoding, f"the {side}", "shorten it")
        return self._torch.attention([encodings[0].ids], [encodings[1].ids], self.subwords.pieces, CANDIDATES)[0]

    def search_options(self, **options) -> SearchOptions:
        """The checkpoint's decoding defaults with `options` in place of those that are not None."""
        given = {name: value for name, value in options.items() if value is not None}
        try:
            settings = {**self.checkpoint.metadata["decoding"], **given}
            if "beam" not in given:  # asking for many hypotheses asks for a beam that holds them
                settings["beam"] = max(settings.get("beam", SearchOptions.beam), given.get("n_best", 1))
            return SearchOptions(**settings)
        except TypeError as error:
            raise UserError(f"search options: {error}") from error

    def _finish(
        self,
        lines: list[str],
        encodings: list[Encoding],
        found: list[list[Hypothesis]],
        heads: bool,
    ) -> Iterator[Translation]:
        """Hypotheses to translations: text, words, alignment, heads."""
        rows = [row for row, hypotheses in enumerate(found) for _ in hypotheses]
        flat = [hypothesis for hypotheses in found for hypothesis in hypotheses]
        sources = [encodings[row] for row in rows]
        targets = [
            self.subwords.decode_with_spans(hypothesis.pieces, source.capitals)
            for hypothesis, source in zip(flat, sources, strict=True)
        ]
        maps: list[AttentionMaps] = []
        if heads:
            ids = [source.ids for source in sources], [hypothesis.pieces for hypothesis in flat]
            maps = self._torch.attention(*ids, self.subwords.pieces, CANDIDATES)
        made = []
        for number, (matrix, links) in enumerate(self._alignments(sources, targets, flat)):
            extra: dict[str, Any] = {}
            if heads:
                extra = {
                    "heads": maps[number],
                    "source_word_of_piece": [*sources[number].words_of_piece, []],
                    "target_word_of_piece": [*targets[number].words_of_piece, []],
                }
            translation = Translation(
                source=lines[rows[number]],
                text=targets[number].text,
                score=flat[number].score,
                source_words=[word.text for word in sources[number].words],
                target_words=[word.text for word in targets[number].words],
                attention=matrix,
                alignment=links,
                **extra,
            )
            made.append(with_copied(translation, sources[number]))
        first = 0
        for hypotheses in found:
            group = made[first : first + len(hypotheses)]
            first += len(hypotheses)
            yield replace(group[0], hypotheses=group) if len(group) > 1 else group[0]

    def _alignments(
        self, sources: list[Encoding], targets: list[Encoding], hypotheses: list[Hypothesis]
    ) -> Iterator[tuple[np.ndarray | None, list[Link] | None]]:
        """The word matrix and the links of each translation: the alignment head's, or else raw attention's."""
        if not self.attends:
            yield from ((None, None) for _ in hypotheses)
            return
        if self.aligner is not None:
            sides = [[[word.text for word in encoding.words] for encoding in side] for side in (sources, targets)]
            for aligned in self.aligner.align_words(list(zip(*sides, strict=True))):
                yield aligned.matrix, aligned.links
            return
        from nmt.alignment.links import argmax_links
        from nmt.alignment.pieces import over_words

        for source, target, weights in zip(sources, targets, self._raw(sources, hypotheses), strict=True):
            matrix = over_words(weights, source, target)
            yield matrix, argmax_links(matrix)

    def _raw(self, sources: list[Encoding], hypotheses: list[Hypothesis]) -> Iterator[np.ndarray]:
        # [target pieces, source pieces + 1] of each hypothesis: one layer's cross-attention, the mean over its heads.
        if all(hypothesis.attention is not None for hypothesis in hypotheses):
            yield from (hypothesis.attention for hypothesis in hypotheses)  # type: ignore[misc]
            return
        ids = [source.ids for source in sources], [hypothesis.pieces for hypothesis in hypotheses]
        layer = self.checkpoint.metadata["alignment_layer"]
        if layer >= self._torch.model.config.decoder_layers:
            raise UserError(f"{self.checkpoint.directory}: it has no alignment layer {layer}; use another copy")
        for maps in self._torch.attention(*ids, self.subwords.pieces):
            yield maps.kinds["cross"][layer, :, :-1].mean(axis=0)

    def _check_length(self, encoding: Encoding, place: str, mend: str) -> None:
        longest = self.checkpoint.metadata["max_length"] - 1
        if len(encoding.ids) > longest:
            raise UserError(f"{place} has {len(encoding.ids)} subword pieces, the model takes {longest}; {mend}")

    @cached_property
    def _torch(self) -> TorchEngine:
        from nmt.engines.torch_engine import TorchEngine

        return TorchEngine.load(self.checkpoint, len(self.subwords), self.threads)

    @cached_property
    def _ctranslate2(self) -> CTranslate2Engine:
        from nmt.engines.ctranslate2_engine import CTranslate2Engine

        return CTranslate2Engine.load(self.checkpoint, self.subwords, self.threads)


def _chunks(lines: Iterable[str], read_ahead: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    characters = 0
    for line in lines:
        chunk.append(line)
        characters += len(line)
        if len(chunk) >= read_ahead or characters >= CHARACTERS_AHEAD:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _empty(line: str, encoding: Encoding, attends: bool) -> Translation:
    # A line without words or pieces is not given to the network, which would make something up.
    words = [word.text for word in encoding.words]
    matrix = np.zeros((0, len(words) + 1), np.float32) if attends else None
    return with_copied(Translation(line, "", 0.0, words, [], matrix, [] if attends else None), encoding)
