"""The CTranslate2 engine: fast translation without PyTorch, with the alignment layer's attention."""

from __future__ import annotations

import os
from collections.abc import Sequence

import ctranslate2
import numpy as np

from nmt.checkpoint import ALIGNER, CTRANSLATE2, Checkpoint
from nmt.errors import UserError
from nmt.search.options import Hypothesis, SearchOptions, length_penalty
from nmt.text.subwords import Subwords


class CTranslate2Engine:
    """Translation by an exported network."""

    def __init__(self, translator: ctranslate2.Translator, subwords: Subwords, with_attention: bool) -> None:
        self.translator, self.with_attention = translator, with_attention
        self.pieces = subwords.pieces(range(len(subwords)))
        self.ids = {piece: number for number, piece in enumerate(self.pieces)}

    @classmethod
    def load(cls, checkpoint: Checkpoint, subwords: Subwords, threads: int | None = None) -> CTranslate2Engine:
        """The exported network of a checkpoint. Attention comes along where there is no alignment head."""
        directory = checkpoint.path(f"{CTRANSLATE2}/model.bin").parent
        try:
            translator = ctranslate2.Translator(str(directory), intra_threads=threads or os.cpu_count() or 1)
        except (RuntimeError, ValueError) as error:
            raise UserError(f"CTranslate2 cannot load {directory} ({error}); make it anew with nmt-export") from error
        return cls(translator, subwords, with_attention=not checkpoint.has(ALIGNER))

    def translate(
        self, sources: Sequence[list[int]], options: SearchOptions, batch_sentences: int = 64
    ) -> list[list[Hypothesis]]:
        """The n-best list of each source (piece ids without `</s>`), order kept.

        CTranslate2 ranks by another length penalty than ours, so it is asked for every hypothesis that
        its beam finished, with its log-probability, and the ranking is done here.
        """
        if not sources:
            return []
        results = self.translator.translate_batch(
            [[self.pieces[number] for number in source] for source in sources],
            max_batch_size=batch_sentences,
            beam_size=options.beam,
            num_hypotheses=options.beam,
            length_penalty=1,
            max_decoding_length=max(options.max_length(len(source)) for source in sources),
            min_decoding_length=options.min_length,
            max_input_length=0,
            disable_unk=True,
            suppress_sequences=[["<s>"], ["<pad>"]],
            return_scores=True,
            return_end_token=True,
            return_attention=self.with_attention,
        )
        return [self._ranked(result, options) for result in results]

    def _ranked(self, result: ctranslate2.TranslationResult, options: SearchOptions) -> list[Hypothesis]:
        found = []
        for number, pieces in enumerate(result.hypotheses):
            ended = pieces[-1:] == ["</s>"]
            length = len(pieces)
            log_probability = result.scores[number] * max(1, length)
            ids = [self.ids[piece] for piece in (pieces[:-1] if ended else pieces)]
            attention = None
            if self.with_attention:
                attention = np.array(result.attention[number][: len(ids)], np.float32)  # [target, source]
            score = log_probability / length_penalty(length, options.length_penalty)
            found.append(Hypothesis(ids, log_probability, score, ended, attention))
        return sorted(found, key=lambda hypothesis: -hypothesis.score)[: options.n_best]
