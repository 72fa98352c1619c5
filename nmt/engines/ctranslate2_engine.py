"""The CTranslate2 engine: fast translation without PyTorch, with the alignment layer's attention."""

from __future__ import annotations

import ctypes
import json
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import ctranslate2
import numpy as np

from nmt.checkpoint import ALIGNER, CTRANSLATE2, Checkpoint
from nmt.engines.ctranslate2_file import check_model_file
from nmt.errors import UserError
from nmt.search.options import Hypothesis, SearchOptions, length_penalty
from nmt.text.subwords import Subwords
from nmt.untrusted import LARGEST_METADATA, read_small

SETTINGS = {
    "add_source_bos": False,
    "add_source_eos": False,
    "bos_token": "<s>",
    "decoder_start_token": "<s>",
    "eos_token": "</s>",
    "layer_norm_epsilon": None,
    "multi_query_attention": False,
    "unk_token": "<unk>",
}
"""What `config.json` holds when CTranslate2's converter has written it for us."""

AT_MOST = 32
"""Sentences in a batch: more would leave a core's own cache."""

_ENGINES: weakref.WeakSet[CTranslate2Engine] = weakref.WeakSet()


class CTranslate2Engine:
    """Translation by an exported network."""

    def __init__(self, directory: Path, cores: int, subwords: Subwords, with_attention: bool, max_length: int) -> None:
        self.directory, self.cores = directory, cores
        self.with_attention, self.longest = with_attention, max_length - 1
        self.pieces = subwords.pieces(range(len(subwords)))
        self.ids = {piece: number for number, piece in enumerate(self.pieces)}
        self.translator = self._open()
        _ENGINES.add(self)

    def _open(self) -> ctranslate2.Translator:
        try:
            return ctranslate2.Translator(str(self.directory), inter_threads=self.cores, intra_threads=1)
        except (RuntimeError, ValueError) as error:
            told = f"CTranslate2 cannot load {self.directory} ({error}); make it anew with nmt-export"
            raise UserError(told) from error
        except TypeError as error:  # what its C++ cannot take for text
            raise UserError(f"CTranslate2 reads no path that is not UTF-8; rename {self.directory}") from error

    @classmethod
    def load(cls, checkpoint: Checkpoint, subwords: Subwords, threads: int | None = None) -> CTranslate2Engine:
        """The exported network of a checkpoint. Attention comes along where there is no alignment head."""
        directory = checkpoint.directory / CTRANSLATE2
        # CTranslate2 looks for further files by itself: each must be a listed one.
        for name in sorted({"model.bin", *(file.name for file in directory.glob("*"))}):
            checkpoint.path(f"{CTRANSLATE2}/{name}")
        _check_vocabulary(directory, subwords)
        check_model_file(directory / "model.bin", len(subwords), checkpoint.metadata["max_length"])
        # A batch a core: its matrices are too small to be worth sharing out.
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        cores = threads or usable or 1
        return cls(directory, cores, subwords, not checkpoint.has(ALIGNER), checkpoint.metadata["max_length"])

    def translate(
        self, sources: Sequence[list[int]], options: SearchOptions, batch_sentences: int = 64
    ) -> list[list[Hypothesis]]:
        """The n-best list of each source (piece ids without `</s>`), order kept.

        CTranslate2's length penalty is |Y|^exponent, so it is asked for every hypothesis that its beam
        finished, and the ranking by ours is done here. Special pieces are not suppressed: CTranslate2 would
        share their mass among the rest, and no label ever was one. (So it does with that of `</s>` before
        `min_length`: such scores are a little higher than PyTorch's.)
        """
        if not sources:
            return []
        limits = [min(options.max_length(len(source)), self.longest) for source in sources]
        found = self._search(sources, options, batch_sentences, max(limits))
        # CTranslate2 knows one limit for all. Few sentences reach their own: those are searched anew under it.
        over = [
            number
            for number, (hypotheses, limit) in enumerate(zip(found, limits, strict=True))
            if any(len(hypothesis.pieces) + hypothesis.ended > limit for hypothesis in hypotheses)
        ]
        for limit in sorted({limits[number] for number in over}):
            alike = [number for number in over if limits[number] == limit]
            again = self._search([sources[number] for number in alike], options, batch_sentences, limit)
            for number, hypotheses in zip(alike, again, strict=True):
                found[number] = hypotheses
        return [hypotheses[: options.n_best] for hypotheses in found]

    def _search(
        self, sources: Sequence[list[int]], options: SearchOptions, batch_sentences: int, max_length: int
    ) -> list[list[Hypothesis]]:
        self.translator = self.translator or self._open()
        # `</s>` is given, not left to CTranslate2, which would leave it out of the attention.
        spelled = [[*(self.pieces[number] for number in source), "</s>"] for source in sources]
        results = self.translator.translate_batch(
            spelled,
            max_batch_size=self._share(len(spelled), batch_sentences),
            beam_size=options.beam,
            num_hypotheses=options.beam,
            length_penalty=options.length_penalty,
            max_decoding_length=max_length,
            min_decoding_length=min(options.min_length, max_length),
            max_input_length=0,
            return_scores=True,
            return_end_token=True,
            return_attention=self.with_attention,
        )
        hypotheses = [self._ranked(result, options) for result in results]
        if self.with_attention and options.beam > 1:
            self._mend_first_rows(spelled, hypotheses, batch_sentences)
        return hypotheses

    def _mend_first_rows(self, spelled: list[list[str]], found: list[list[Hypothesis]], batch_sentences: int) -> None:
        """Put each sentence's own attention into the first row of its hypotheses.

        CTranslate2 4.8's beam search gives the first step of every sentence of a batch the attention of
        one of them. That step reads `<s>` alone, so one step of greedy search tells it for all hypotheses.
        """
        first = self.translator.translate_batch(
            spelled,
            max_batch_size=self._share(len(spelled), batch_sentences),
            beam_size=1,
            max_decoding_length=1,
            max_input_length=0,
            return_end_token=True,
            return_attention=True,
        )
        for result, hypotheses in zip(first, found, strict=True):
            for hypothesis in hypotheses:
                if hypothesis.attention is not None and len(hypothesis.attention):
                    hypothesis.attention[0] = result.attention[0][0]

    def _share(self, sentences: int, batch_sentences: int) -> int:
        # Sentences in a batch: no more than leaves every core one.
        return max(1, min(batch_sentences, AT_MOST, -(-sentences // self.cores)))

    def _ranked(self, result: ctranslate2.TranslationResult, options: SearchOptions) -> list[Hypothesis]:
        found = []
        for number, pieces in enumerate(result.hypotheses):
            ended = pieces[-1:] == ["</s>"]
            length = len(pieces)
            log_probability = result.scores[number] * max(1, length) ** options.length_penalty
            ids = [self.ids[piece] for piece in (pieces[:-1] if ended else pieces)]
            attention = None
            if self.with_attention:
                rows = np.array(result.attention[number], np.float32)  # [target pieces with `</s>`, source pieces]
                attention = rows[: len(ids)]
            score = log_probability / length_penalty(length, options.length_penalty)
            found.append(Hypothesis(ids, log_probability, score, ended, attention))
        return sorted(found, key=lambda hypothesis: -hypothesis.score)


def _check_vocabulary(directory: Path, subwords: Subwords) -> None:
    # Raises UserError unless the exported network has these pieces, and the special ones among them.
    try:
        exported, settings = (
            json.loads(read_small(directory / name, 8 * LARGEST_METADATA))
            for name in ("shared_vocabulary.json", "config.json")
        )
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"CTranslate2 files in {directory} are not whole; make them anew with nmt-export") from error
    if json.dumps(settings, sort_keys=True) != json.dumps(SETTINGS):
        raise UserError(f"{directory}/config.json is not what nmt-export writes; make it anew")
    if exported != subwords.pieces(range(len(subwords))):
        raise UserError(f"the network in {directory} is of another vocabulary; make it anew with nmt-export")


def _leave_to_parent() -> None:
    """In a forked process: let every engine make its own threads, and keep what would wait for the parent's at its end
    from ever being freed."""
    for engine in _ENGINES:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine.translator))
        engine.translator = None


os.register_at_fork(after_in_child=_leave_to_parent)
