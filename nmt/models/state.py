"""What a decoder carries from step to step, in the form that search can reorder without knowing the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class DecoderState(NamedTuple):
    """A decoder's memory between steps."""

    per_sentence: list[Tensor]
    """[batch, ...]: what all hypotheses of a sentence share, such as the encoder's output."""
    per_hypothesis: list[Tensor]
    """[batch, beam, ...]: what each hypothesis has of its own, such as a recurrent state."""
    past: Sequence[Tensor] = ()
    """[steps, batch, beam, ...]: what every step has left behind, such as keys and values, oldest first. The last
    entry is room that the coming step writes into: so one copy a step both reorders and makes room (no gradient goes
    through it)."""

    def select(self, sentences: Tensor, parents: Tensor) -> DecoderState:
        """Keep `sentences` [kept], each with the hypotheses `parents` [kept, new beam] of its old beam."""
        per_sentence = self.per_sentence
        if len(sentences) != len(per_sentence[0]):
            per_sentence = [x.index_select(0, sentences) for x in per_sentence]
        per_hypothesis = [x[sentences[:, None], parents] for x in self.per_hypothesis]  # [kept, new beam, ...]
        past = [_with_room(x, sentences, parents) for x in self.past]  # [steps + 1, kept, new beam, ...]
        return DecoderState(per_sentence, per_hypothesis, past)


def _with_room(x: Tensor, sentences: Tensor, parents: Tensor) -> Tensor:
    steps, _, beam, *rest = x.shape
    rows = (sentences[:, None] * beam + parents).flatten()
    grown = x.new_empty(steps + 1, len(rows), *rest)
    torch.index_select(x.flatten(1, 2), 1, rows, out=grown[:steps])
    return grown.unflatten(1, parents.shape)
