"""The CTranslate2 engine: fast translation without PyTorch, with the alignment layer's attention."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import tempfile
import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from nmt.checkpoint import CONFIG, SUBWORDS, WEIGHTS, Checkpoint
from nmt.engines.conversion import convert, not_for_ctranslate2
from nmt.engines.late import imported_late
from nmt.errors import UserError
from nmt.files import CacheError, built_once, cache_directory, temporary_directory
from nmt.search.options import Hypothesis, SearchOptions, length_penalty, n_best_of
from nmt.text.subwords import Subwords

with imported_late("asyncio"):  # 20 ms, for methods that only servers use
    import ctranslate2

LAYOUT = 3
"""Part of the cache key: increment it whenever the conversion's output changes."""
AT_MOST = 16
"""Most sentences per batch; more overflow a core's own cache."""

_ENGINES: weakref.WeakSet[CTranslate2Engine] = weakref.WeakSet()


class CTranslate2Engine:
    """Translation by CTranslate2."""

    def __init__(self, checkpoint: Checkpoint, subwords: Subwords, threads: int | None = None) -> None:
        """The network of a checkpoint, on `threads` cores (default: all).

        The network is converted on first use and kept in the cache directory, or for this process alone where that
        cannot be written. Raises UserError for a checkpoint that is damaged or that CTranslate2 cannot compute.
        """
        self.checkpoint, self.subwords, self.threads = checkpoint, subwords, threads
        self.longest = checkpoint.metadata.max_length - 1
        self.pieces = subwords.pieces(range(len(subwords)))
        self.ids = {piece: number for number, piece in enumerate(self.pieces)}
        self.translator: ctranslate2.Translator | None = self._open()
        self.cores = self.translator.num_translators
        _ENGINES.add(self)

    def _open(self) -> ctranslate2.Translator:
        place, build = _place(self.checkpoint), partial(convert, self.checkpoint, self.subwords)
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        read = partial(_opened, cores=self.threads or usable or 1)
        try:
            return built_once(place, partial(read, place), build)
        except CacheError:
            with tempfile.TemporaryDirectory(dir=temporary_directory()) as temporary:
                build(Path(temporary))
                translator = read(Path(temporary))
            if translator is None:
                raise UserError(f"CTranslate2 cannot load the network of {self.checkpoint.directory}") from None
            return translator

    def translate(
        self, sources: Sequence[list[int]], options: SearchOptions, batch_sentences: int = 64, attention: bool = False
    ) -> list[list[Hypothesis]]:
        """The n-best list of each source (piece ids without `</s>`), in order, with `attention` if requested.

        CTranslate2's length penalty is |Y|^exponent, so all finished hypotheses are requested and ranked by ours here.
        Special pieces are not suppressed: they are never labels in training, and CTranslate2 would redistribute their
        probability over the rest. (It does that with `forbidden` pieces, and with `</s>` before `min_length`, so such
        scores are slightly higher than PyTorch's.)
        """
        if not sources:
            return []
        search = partial(self._search, options=options, batch_sentences=batch_sentences, attention=attention)
        limits = [min(options.max_length(len(source)), self.longest) for source in sources]
        found = search(sources, max(limits))
        # CTranslate2 takes one length limit per call; the few sentences that exceed their own are searched again.
        over = [
            number
            for number, (hypotheses, limit) in enumerate(zip(found, limits, strict=True))
            if any(len(hypothesis.pieces) + hypothesis.ended > limit for hypothesis in hypotheses)
        ]
        for limit in sorted({limits[number] for number in over}):
            alike = [number for number in over if limits[number] == limit]
            again = search([sources[number] for number in alike], limit)
            for number, hypotheses in zip(alike, again, strict=True):
                found[number] = hypotheses
        return [n_best_of(hypotheses, options.n_best) for hypotheses in found]

    def _search(
        self,
        sources: Sequence[list[int]],
        max_length: int,
        options: SearchOptions,
        batch_sentences: int,
        attention: bool,
    ) -> list[list[Hypothesis]]:
        self.translator = self.translator or self._open()
        # Append `</s>` here: if CTranslate2 appends it, its attention has no column for it.
        spelled = [[*(self.pieces[number] for number in source), "</s>"] for source in sources]
        # No batch is so large that a core would have none.
        batch_size = max(1, min(batch_sentences, AT_MOST, -(-len(spelled) // self.cores)))
        first_rows = self._first_rows(spelled, batch_size) if attention and options.beam > 1 else []
        results = self.translator.translate_batch(
            spelled,
            max_batch_size=batch_size,
            beam_size=options.beam,
            num_hypotheses=options.beam,
            length_penalty=options.length_penalty,
            max_decoding_length=max_length,
            min_decoding_length=min(options.min_length, max_length),
            max_input_length=0,
            return_scores=True,
            return_end_token=True,
            return_attention=attention,
            suppress_sequences=[[piece] for piece in self.subwords.pieces(options.forbidden)] or None,
        )
        hypotheses = [self._ranked(result, options) for result in results]
        for row, found in zip(first_rows, hypotheses, strict=False):
            for hypothesis in found:
                if hypothesis.attention is not None and len(hypothesis.attention):
                    hypothesis.attention[0] = row.result().attention[0][0]
        return hypotheses

    def _first_rows(self, spelled: list[list[str]], batch_size: int) -> list[ctranslate2.AsyncTranslationResult]:
        """Start one step of greedy search, whose attention is the first row of every hypothesis of a sentence.

        CTranslate2 4.8's beam search gives the first step of every sentence of a batch the attention of another. That
        step reads `<s>` alone.
        """
        assert self.translator is not None
        return self.translator.translate_batch(
            spelled,
            asynchronous=True,  # or it would wait for the batches of other threads, after the search
            max_batch_size=batch_size,
            beam_size=1,
            max_decoding_length=1,
            max_input_length=0,
            return_end_token=True,
            return_attention=True,
        )

    def _ranked(self, result: ctranslate2.TranslationResult, options: SearchOptions) -> list[Hypothesis]:
        """All hypotheses by our score, best first; attention is that of the first `n_best` alone."""
        scored = []
        for number, (pieces, score) in enumerate(zip(result.hypotheses, result.scores, strict=True)):
            log_probability = score * max(1, len(pieces)) ** options.length_penalty
            ours = log_probability / length_penalty(len(pieces), options.length_penalty)
            scored.append((-ours, number, log_probability, pieces))
        attention = result.attention  # a copy of all, each time that it is asked for
        found = []
        for place, (score, number, log_probability, pieces) in enumerate(sorted(scored)):
            ended = pieces[-1:] == ["</s>"]
            ids = [self.ids[piece] for piece in (pieces[:-1] if ended else pieces)]
            rows = None
            if attention and place < options.n_best:  # [target pieces with `</s>`, source pieces]
                rows = np.array(attention[number], np.float32)[: len(ids)]
            found.append(Hypothesis(ids, log_probability, -score, ended, rows))
        return found


def obstacle(checkpoint: Checkpoint) -> str | None:
    """The first setting of a checkpoint's network that CTranslate2 cannot compute, as key and value, or None."""
    converted = os.path.isdir(_place(checkpoint))  # False too where the cache may not be entered
    return None if converted else not_for_ctranslate2(checkpoint.model_config)


def _place(checkpoint: Checkpoint) -> Path:
    """The cached network's directory, named by a hash of everything it is made of."""
    for name in (CONFIG, SUBWORDS, WEIGHTS):
        checkpoint.path(name)
    metadata = checkpoint.metadata
    parts = [ctranslate2.__version__, LAYOUT, *(checkpoint.files[name] for name in (CONFIG, SUBWORDS, WEIGHTS))]
    parts += [metadata.max_length, metadata.alignment_layer, metadata.alignment_heads, metadata.quantization]
    return cache_directory() / "ctranslate2" / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _opened(directory: Path, cores: int) -> ctranslate2.Translator | None:
    """None where there is no network, or not a whole one. A batch a core: its matrices are too small to share out."""
    # CTranslate2 uses AVX-512 only when told to; before Ice Lake and Zen 4 it slows the clock down.
    if "AVX512_ICL" in np.show_config(mode="dicts")["SIMD Extensions"]["found"]:
        os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")
    with contextlib.suppress(RuntimeError):
        return ctranslate2.Translator(os.fsencode(directory), inter_threads=cores, intra_threads=1)
    return None


def _leave_to_parent() -> None:
    """In a forked child, make every engine reopen its network, and leak the parent's translator: its destructor would
    wait for threads that the child does not have."""
    for engine in _ENGINES:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine.translator))
        engine.translator = None


os.register_at_fork(after_in_child=_leave_to_parent)
