"""The decoder state that search carries from step to step and reorders without knowing the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class DecoderState(NamedTuple):
    """The state of a decoder between steps."""

    per_sentence: list[Tensor]
    """[batch, ...]: shared by all hypotheses of a sentence, such as the encoder's output."""
    per_hypothesis: list[Tensor]
    """[batch, beam, ...]: one per hypothesis, such as a recurrent state."""
    cache: Sequence[Tensor] = ()
    """[steps, hypotheses before, ...]: what every step appended, such as keys and values, oldest first."""
    beam_indices: Tensor | None = None
    """[batch, beam]: the column of `cache` that each hypothesis continues. `select` reorders these indices only;
    `append_to_cache` then applies them to the cache."""

    def select(self, sentences: Tensor, parents: Tensor) -> DecoderState:
        """Keep `sentences` [kept], each with hypotheses `parents` [kept, new beam] of its old beam."""
        per_sentence = self.per_sentence
        if len(sentences) != len(per_sentence[0]):
            per_sentence = [x.index_select(0, sentences) for x in per_sentence]
        per_hypothesis = [x[sentences[:, None], parents] for x in self.per_hypothesis]  # [kept, new beam, ...]
        beam_indices = None if self.beam_indices is None else self.beam_indices[sentences[:, None], parents]
        return DecoderState(per_sentence, per_hypothesis, self.cache, beam_indices)


def append_to_cache(cache: Tensor, beam_indices: Tensor, new: Tensor) -> Tensor:
    """`cache` [steps, before, ...] in the order of `beam_indices` [batch, beam], then `new` [batch, beam, ...].

    [steps + 1, batch * beam, ...]. One copy both reorders and makes room; no gradient goes through it.
    """
    result = cache.new_empty(len(cache) + 1, beam_indices.numel(), *cache.shape[2:])
    torch.index_select(cache, 1, beam_indices.flatten(), out=result[:-1])
    result[-1] = new.flatten(0, 1)
    return result
