"""Text in, translations with their alignment out. Commands, the demo and notebooks all go through here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, overload

from nmt.checkpoint import ALIGNER, CTRANSLATE2, SUBWORDS, Checkpoint, find_checkpoint
from nmt.errors import UserError
from nmt.prefetch import prefetch
from nmt.search.options import SearchOptions
from nmt.stages import Assembler, Long, Reader, Searcher, WordAligner, spelled, too_long
from nmt.text.subwords import Subwords
from nmt.translation import NO_ALIGNMENT, AttentionMaps, Translation
from nmt.untrusted import MOST_THREADS, within

if TYPE_CHECKING:
    from nmt.alignment.head import AlignedPair, Aligner
    from nmt.engines.ctranslate2_engine import CTranslate2Engine
    from nmt.engines.torch_engine import TorchEngine

EngineName = Literal["auto", "torch", "ctranslate2"]
READ_AHEAD = 1024
"""Lines that a stream reads at a time: enough to sort by length, few enough to hold."""
FAST_CHUNK, FAST_AHEAD = 256, 2
"""Lines in a chunk for CTranslate2, and chunks searched ahead: no core waits, and little is left at the end."""
CANDIDATES = 5
"""Next pieces listed for every step when all heads are asked for."""


class Translator:
    """A loaded checkpoint."""

    def __init__(self, checkpoint: Checkpoint, engine: EngineName = "auto", threads: int | None = None) -> None:
        """Prefer `Translator.load`. `threads` limits the CPU threads of an engine (default: all cores)."""
        if engine not in get_args(EngineName):
            raise UserError(f"the engine is {engine!r}; it must be one of {', '.join(get_args(EngineName))}")
        if threads is not None and not within(threads, int, 1, MOST_THREADS):
            raise UserError(f"threads is {threads!r}; it must be from 1 to {MOST_THREADS:,}, or None for all cores")
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
    def longest(self) -> int:
        """Most subword pieces of a sentence, `</s>` not counted."""
        return self.checkpoint.metadata["max_length"] - 1

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
            long: "refuse" a sentence that is longer than the model takes (the default), or "split" it into shorter
                parts, whose translations are joined: see `nmt.translation.join_translations`.
            one_sentence: True translates a text as it is; else its sentences are translated one by one and joined
                (heads belong to one sentence, so that with `heads` the text is taken as one).

        Raises UserError for a sentence that is longer than the model takes, unless it is to be split, and for heads of
        a model without any.
        """
        if isinstance(text, str):
            return next(self.stream([text], **{"read_ahead": 1, **options}))
        return list(self.stream(text, **options))

    def stream(
        self,
        lines: Iterable[str | None],
        heads: bool = False,
        batch_size: int = 64,
        read_ahead: int = READ_AHEAD,
        long: Long = "refuse",
        one_sentence: bool = False,
        **options: float | None,
    ) -> Iterator[Translation]:
        """Translate an iterable of lines lazily, in order and in bounded memory.

        At most `read_ahead` lines are read before their translations are yielded (with CTranslate2 a few chunks of
        that); with 1, each line is answered before the next is read. A None among the lines asks for the translations
        of all lines before it, as `nmt.lines.arriving_lines` does before it waits.
        """
        if long not in get_args(Long):
            raise UserError(f"long is {long!r}; it must be refuse or split")
        search = self.search_options(**options)
        if heads:
            self.require_attention()
            if self.engine_name == "ctranslate2":
                raise UserError("the CTranslate2 engine cannot return every head; use the engine auto or torch")
        # `auto` leaves a request for heads to PyTorch whole, so that heads and translation come from one model.
        fast = self.fast and not heads
        engine = self._ctranslate2 if fast else self._torch
        read_weights = None
        if heads or (self.attends and not fast and self.aligner is None):
            read_weights = partial(self._torch.attention, candidates=CANDIDATES if heads else 0)
            read_ahead = min(read_ahead, batch_size)  # whole maps are large
        overlapped = fast and read_ahead > FAST_CHUNK

        size = FAST_CHUNK if overlapped else read_ahead
        reader = Reader(self.subwords, self.source, self.longest, long, one_sentence or heads, size)
        searcher = Searcher(engine, search, batch_size, self.checkpoint.directory)
        aligner = WordAligner(self.subwords, self.aligner, self.checkpoint.metadata["alignment_layer"], read_weights)
        assembler = Assembler(self.subwords.pieces, self.attends)

        chunks = reader.read(lines)
        # CTranslate2 releases the interpreter: it searches the next chunks while this one is aligned.
        in_turn = ((chunk, searcher.search(chunk)) for chunk in chunks if chunk is not None)
        for chunk, found in prefetch(searcher.search, chunks, FAST_AHEAD) if overlapped else in_turn:
            yield from assembler.assemble(chunk, aligner.align(chunk, found))

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
        from nmt.alignment.head import Aligner

        return Aligner.load(self.checkpoint.path(ALIGNER), self.subwords)

    def attention(self, source: str, target: str) -> AttentionMaps:
        """Every layer's and head's attention for a given pair of sentences (teacher forcing, PyTorch).

        Raises UserError for a sentence that is longer than the model takes, and for a model without attention.
        """
        self.require_attention()
        ids = []
        for side, text in (("source", source), ("target", target)):
            encoding = self.subwords.encode(text)
            if len(encoding.ids) > self.longest:
                raise too_long(f"the {side}", encoding, self.longest, "shorten it")
            ids.append(encoding.ids)
        (weights,) = self._torch.attention(ids[:1], ids[1:], CANDIDATES)
        return spelled(weights, ids[0], ids[1], self.subwords.pieces)

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

    @cached_property
    def _torch(self) -> TorchEngine:
        from nmt.engines.torch_engine import TorchEngine

        engine = TorchEngine.load(self.checkpoint, len(self.subwords), self.threads)
        layer = self.checkpoint.metadata["alignment_layer"]
        if layer is not None and layer >= engine.model.config.decoder_layers:
            raise UserError(f"{self.checkpoint.directory}: it has no alignment layer {layer}; use another copy")
        return engine

    @cached_property
    def _ctranslate2(self) -> CTranslate2Engine:
        from nmt.engines.ctranslate2_engine import CTranslate2Engine

        return CTranslate2Engine.load(self.checkpoint, self.subwords, self.threads)
