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
        its beam finished, with its log-probability, and the ranking is done here. Special pieces are not
        suppressed: CTranslate2 would share their mass among the rest, and no label ever was one.
        """
        if not sources:
            return []
        # `</s>` is given, not left to CTranslate2, which would leave it out of the attention.
        spelled = [[*(self.pieces[number] for number in source), "</s>"] for source in sources]
        results = self.translator.translate_batch(
            spelled,
            max_batch_size=batch_sentences,
            beam_size=options.beam,
            num_hypotheses=options.beam,
            length_penalty=1,
            max_decoding_length=max(options.max_length(len(source)) for source in sources),
            min_decoding_length=options.min_length,
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
            max_batch_size=batch_sentences,
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
