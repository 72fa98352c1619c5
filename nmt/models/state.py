"""What a decoder carries from step to step, in the form that search can reorder without knowing the model."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class DecoderState(NamedTuple):
    """A decoder's memory between steps."""

    per_sentence: list[Tensor]
    """[batch, ...]: what all hypotheses of a sentence share, such as the encoder's output."""
    per_hypothesis: list[Tensor]
    """[batch, beam, ...]: what each hypothesis has of its own, such as cached keys and values."""

    def select(self, sentences: Tensor, parents: Tensor) -> DecoderState:
        """Keep `sentences` [kept], each with the hypotheses `parents` [kept, new beam] of its old beam."""
        per_sentence = self.per_sentence
        if len(sentences) != len(per_sentence[0]):
            per_sentence = [x.index_select(0, sentences) for x in per_sentence]
        per_hypothesis = [x[sentences[:, None], parents] for x in self.per_hypothesis]  # [kept, new beam, ...]
        return DecoderState(per_sentence, per_hypothesis)
