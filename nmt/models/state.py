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
    """[steps, hypotheses before, ...]: what every step has left behind, such as keys and values, oldest first."""
    places: Tensor | None = None
    """[batch, beam]: where in `past` each hypothesis has its own. Selecting moves these alone; `extended` the rest."""

    def select(self, sentences: Tensor, parents: Tensor) -> DecoderState:
        """Keep `sentences` [kept], each with the hypotheses `parents` [kept, new beam] of its old beam."""
        per_sentence = self.per_sentence
        if len(sentences) != len(per_sentence[0]):
            per_sentence = [x.index_select(0, sentences) for x in per_sentence]
        per_hypothesis = [x[sentences[:, None], parents] for x in self.per_hypothesis]  # [kept, new beam, ...]
        places = None if self.places is None else self.places[sentences[:, None], parents]
        return DecoderState(per_sentence, per_hypothesis, self.past, places)


def extended(past: Tensor, places: Tensor, new: Tensor) -> Tensor:
    """`past` [steps, before, ...] in the order of `places` [batch, beam], then `new` [batch, beam, ...].

    [steps + 1, batch * beam, ...]. One copy both reorders and makes room; no gradient goes through it.
    """
    result = past.new_empty(len(past) + 1, places.numel(), *past.shape[2:])
    torch.index_select(past, 1, places.flatten(), out=result[:-1])
    result[-1] = new.flatten(0, 1)
    return result
