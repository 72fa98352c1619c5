"""Text in, translations with their alignment out. Commands and notebooks all go through here."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, get_args, overload

from nmt.checkpoint import ALIGNER, KNOWN_WORDS, SUBWORDS, Checkpoint, find_checkpoint
from nmt.confidence import Calibration
from nmt.errors import UserError
from nmt.keywords import (
    DEFAULTS,
    SearchKeywords,
    StreamOptions,
    TranslateOptions,
    check_options,
    checked_text,
    with_keywords,
)
from nmt.lines import in_chunks
from nmt.prefetch import prefetch
from nmt.search.options import SearchOptions
from nmt.stages import Reader, Searcher, WordAligner, assembled, over_target_words, spelled, too_long
from nmt.text.encoding import Encoding
from nmt.text.subwords import Subwords
from nmt.text.symbols import READINGS
from nmt.translation import NO_ALIGNMENT, AttentionMaps, Score, Translation
from nmt.untrusted import MOST_THREADS, within

if TYPE_CHECKING:
    from nmt.alignment.head import AlignedPair, Aligner
    from nmt.engines.ctranslate2_engine import CTranslate2Engine
    from nmt.engines.torch_engine import TorchEngine
    from nmt.models import Model

EngineName = Literal["auto", "torch", "ctranslate2"]
READ_AHEAD: int = DEFAULTS["read_ahead"]
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
        self.source, self.target = checkpoint.metadata.source, checkpoint.metadata.target
        """Codes of the two languages."""
        self.longest = checkpoint.metadata.max_length - 1
        """Most subword pieces of a sentence, `</s>` not counted."""
        self.attends = checkpoint.metadata.alignment_layer is not None
        """Whether the network has attention; without it there is no alignment, even if the checkpoint has a head."""
        known = checkpoint.path(KNOWN_WORDS) if KNOWN_WORDS in checkpoint.files else None
        mapped = checkpoint.metadata.number_words, checkpoint.metadata.titles, READINGS.get(self.source)
        self.subwords = Subwords.load(checkpoint.path(SUBWORDS), known, *mapped)
        self.engine_name = engine
        if engine == "ctranslate2" and (found := self._obstacle):
            raise UserError(f"CTranslate2 cannot compute {found}; use the engine auto or torch")

    @classmethod
    def load(
        cls, checkpoint: str | Path | None = None, engine: EngineName = "auto", threads: int | None = None
    ) -> Translator:
        """Open a checkpoint directory, or a shipped checkpoint by its name: `tatoeba-en-es`, the default, and
        `tatoeba-es-en`.

        `auto` uses CTranslate2 where it supports the network, and PyTorch otherwise and for what only PyTorch does:
        `heads`, `word_probabilities`, `prefix` and sampling. Raises UserError for a missing or damaged checkpoint.
        """
        return cls(Checkpoint(find_checkpoint(checkpoint)), engine, threads)

    @property
    def fast(self) -> bool:
        """Whether CTranslate2 serves the requests that do not need PyTorch."""
        return self.engine_name != "torch" and self._obstacle is None

    @cached_property
    def _obstacle(self) -> str | None:
        # What CTranslate2 cannot compute.
        from nmt.engines.ctranslate2_engine import obstacle

        return obstacle(self.checkpoint)

    def require_attention(self) -> None:
        """Raises UserError for a network that has no attention."""
        if not self.attends:
            raise UserError(f"checkpoint {self.checkpoint.directory}: {NO_ALIGNMENT}")

    @overload
    def translate(self, text: str, **options: Unpack[TranslateOptions]) -> Translation: ...  # type: ignore[overload-overlap]
    @overload
    def translate(self, text: Sequence[str], **options: Unpack[TranslateOptions]) -> list[Translation]: ...
    @with_keywords(TranslateOptions)
    def translate(self, text, **options):
        """Translate one sentence, or a list of them. `nmt.keywords.TranslateOptions` describes the options.

        Raises UserError for an unknown option, for a sentence longer than the model takes (unless `long` is "split"),
        and for `heads` from a model without attention.
        """
        check_options(options, TranslateOptions)
        if isinstance(text, str):
            return next(self.stream([text], read_ahead=1, **options))
        if isinstance(text, Iterable) and not isinstance(text, bytes):
            text = [checked_text(one, f"line {number}") for number, one in enumerate(text, 1)]
        return list(self.stream(text, **options))

    @with_keywords(StreamOptions)
    def stream(self, lines: Iterable[str | None], **options: Unpack[StreamOptions]) -> Iterator[Translation]:
        """Translate an iterable of lines lazily, in order and in bounded memory.

        At most `read_ahead` lines are read before their translations are yielded (with CTranslate2, a few chunks of
        `FAST_CHUNK` lines); with 1, each line is translated before the next is read. A None among the lines flushes:
        all lines before it are translated first. `nmt.lines.arriving_lines` yields one before each wait for input.
        `nmt.keywords.StreamOptions` describes the other options. Raises UserError as `translate` does.
        """
        check_options(options, StreamOptions)
        if isinstance(lines, str | bytes) or not isinstance(lines, Iterable):
            given = reprlib.repr(lines)
            raise UserError(f"{given} is no list of texts; translate takes one text or a list, stream a list")
        search: dict[str, Any] = {name: value for name, value in options.items() if name not in DEFAULTS}
        rest = DEFAULTS | {name: value for name, value in options.items() if name in DEFAULTS}
        return self._stream(lines, self.search_options(**search), **rest)

    def _stream(
        self, lines: Iterable[str | None], search: SearchOptions, heads: bool, word_probabilities: bool, **options: Any
    ) -> Iterator[Translation]:
        only_torch = {
            "return every head": heads,
            "return the probability of words": word_probabilities,
            "sample": search.temperature is not None,
            "begin with a prefix": bool(options["prefix"]),
        }
        wanted = [what for what, asked in only_torch.items() if asked]
        if heads:
            self.require_attention()
        if wanted and self.engine_name == "ctranslate2":
            raise UserError(f"the CTranslate2 engine cannot {wanted[0]}; use the engine auto or torch")
        # `auto` serves such a request with PyTorch alone, so that all results come from one model.
        fast = self.fast and not wanted
        engine = self._ctranslate2 if fast else self.torch_engine
        attention = self.attends and (options["attention"] or heads or self.aligner is None)
        read_weights, read_ahead = None, options["read_ahead"]
        if heads:
            read_weights = partial(self.torch_engine.attention, candidates=CANDIDATES)
            read_ahead = min(read_ahead, options["batch_size"])  # whole maps are large
        overlapped = fast and read_ahead > FAST_CHUNK

        one_sentence = options["one_sentence"] or heads or bool(options["prefix"])
        warns = one_sentence and not options["one_sentence"]

        def translate_alone(texts: list[str]) -> list[str]:
            alone = replace(reader, long="split", one_sentence=True, warns=False)
            lines = [line for line in alone.read(texts) if line]
            found = replace(searcher, options=self.search_options(), prefix="", attention=False).search(lines)
            plain = replace(aligner, read_weights=None, score=None)
            return [one.text for one in assembled(lines, plain.align(lines, found), name, False, score)]

        reader = Reader(self.subwords, self.source, self.longest, options["long"], one_sentence, translate_alone, warns)
        size, prefix, origin = options["batch_size"], options["prefix"], self.checkpoint.directory
        searcher = Searcher(engine, self.subwords, search, size, prefix, attention, self.longest, origin)
        scored = self.torch_engine.score if word_probabilities else None
        name = self.checkpoint.attention_name if self.attends else None
        score = self.subwords.score
        calibration = Calibration.of(self.checkpoint.metadata.confidence)
        aligner = WordAligner(self.subwords, self.target, self.aligner, name, calibration, read_weights, scored)

        chunks = in_chunks(reader.read(lines), FAST_CHUNK if overlapped else read_ahead)
        # CTranslate2 releases the interpreter: it searches the next chunks while this one is aligned.
        in_turn = ((chunk, searcher.search(chunk)) for chunk in chunks if chunk is not None)
        for chunk, found in prefetch(searcher.search, chunks, FAST_AHEAD) if overlapped else in_turn:
            yield from assembled(chunk, aligner.align(chunk, found), name, attention, score)

    def score(self, source: str, target: str) -> Score:
        """The model's log-probability of a given translation of `source`, and of each of its words (PyTorch).

        Both are taken as one sentence. Raises UserError for a sentence that is longer than the model takes.
        """
        sides = self._encode(source, target)
        (log_probabilities,) = self.torch_engine.score([sides[0].ids], [sides[1].ids])
        words = [word.text for word in sides[1].words]
        by_word = over_target_words(log_probabilities, sides[1])
        return Score(float(log_probabilities.sum()), words, by_word.tolist(), float(log_probabilities[-1]))

    @overload
    def align(self, source: str, target: str) -> AlignedPair: ...
    @overload
    def align(self, source: Sequence[tuple[str, str]]) -> list[AlignedPair]: ...
    def align(self, source, target=None):
        """Align two sentences, or a list of (source, target) pairs in order, with the alignment head.

        Raises UserError when the checkpoint has no alignment head.
        """
        self.require_attention()
        if self.aligner is None:
            raise UserError(f"checkpoint {self.checkpoint.directory} has no alignment head (see alignment.head)")
        return self.aligner.align(source, target)

    def __repr__(self) -> str:
        engine = "ctranslate2" if self.fast else "torch"
        return f"Translator({str(self.checkpoint.directory)!r}, {self.source} to {self.target}, {engine})"

    @cached_property
    def aligner(self) -> Aligner | None:
        """The alignment head, when the checkpoint has one."""
        if not self.attends or ALIGNER not in self.checkpoint.files:
            return None
        from nmt.alignment.head import Aligner

        return Aligner.read(self.checkpoint.path(ALIGNER), self.subwords)

    def attention(self, source: str, target: str) -> AttentionMaps:
        """Every layer's and head's attention for a given pair of sentences (teacher forcing, PyTorch).

        Raises UserError for a sentence that is longer than the model takes, and for a model without attention.
        """
        self.require_attention()
        sides = self._encode(source, target)
        (weights,) = self.torch_engine.attention([sides[0].ids], [sides[1].ids], CANDIDATES)
        return spelled(weights, sides[0].ids, sides[1].ids, self.subwords.pieces)

    def _encode(self, source: str, target: str) -> tuple[Encoding, Encoding]:
        encoding = self.subwords.encode(checked_text(source, "source"))
        sides = encoding, self.subwords.encode_translation(checked_text(target, "target"), encoding)
        for side, encoding in zip(("source", "target"), sides, strict=True):
            if len(encoding.ids) > self.longest:
                raise too_long(f"the {side}", encoding, self.longest, "shorten it")
        return sides

    def search_options(self, **options) -> SearchOptions:
        """The checkpoint's decoding defaults, overridden by those `options` that are not None."""
        check_options(options, SearchKeywords)
        given = {name: value for name, value in options.items() if value is not None}
        if "temperature" in given and "beam" in given:
            raise UserError("temperature samples and beam searches: leave one of them out")
        for name in ("top_k", "seed"):
            if name in given and "temperature" not in given:
                raise UserError(f"{name} is for samples: give a temperature too")
        settings = {**self.checkpoint.metadata.decoding, **given}
        n_best = given.get("n_best")
        if "beam" not in given and isinstance(n_best, Integral):  # many hypotheses need a beam that holds them
            settings["beam"] = max(settings.get("beam", SearchOptions.beam), n_best)
        return SearchOptions(**settings)

    @property
    def network(self) -> Model:
        """The PyTorch network in evaluation mode. Changing its weights changes what the engine `torch` translates."""
        return self.torch_engine.model

    @cached_property
    def torch_engine(self) -> TorchEngine:
        """The PyTorch engine, whichever serves `translate`."""
        from nmt.engines.torch_engine import TorchEngine

        return TorchEngine.load(self.checkpoint, self.subwords, self.threads)

    @cached_property
    def _ctranslate2(self) -> CTranslate2Engine:
        from nmt.engines.ctranslate2_engine import CTranslate2Engine

        return CTranslate2Engine(self.checkpoint, self.subwords, self.threads)
