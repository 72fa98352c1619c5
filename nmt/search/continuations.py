"""The best continuations of a sentence's hypotheses, found in two stages: groups of pieces, then pieces."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

GROUP = 128
"""Pieces whose highest log-probability stands for them in the first stage; a whole number of vector registers."""


class Expansion(NamedTuple):
    """The best continuations of every sentence's live hypotheses, best first."""

    scores: Tensor
    """[batch, candidates]: log-probabilities."""
    parents: Tensor
    """[batch, candidates]: the live hypothesis that each continues."""
    pieces: Tensor
    """[batch, candidates]: the piece that each adds."""


def plain_continuations(live_scores: Tensor, log_probabilities: Tensor, count: int) -> Expansion:
    """The `count` best of all beam x vocabulary continuations: every score is formed, and all are compared.

    live_scores [batch, beam], log_probabilities [batch, beam, targets].
    """
    vocabulary = log_probabilities.size(-1)
    scores = (live_scores[:, :, None] + log_probabilities).flatten(1)  # [batch, beam * targets]
    best, places = scores.topk(min(count, scores.size(1)))  # [batch, candidates]
    return Expansion(best, places // vocabulary, places % vocabulary)


def best_continuations(live_scores: Tensor, log_probabilities: Tensor, count: int) -> Expansion:
    """The same in two stages, so that the large matrix is read once and never written.

    A piece among the `count` best lies in one of the `count` groups with the highest best piece: else each of
    these would hold a better one. So only their pieces are compared.
    """
    batch, beam, vocabulary = log_probabilities.shape
    groups = vocabulary // GROUP
    if beam * groups < 2 * count:
        return plain_continuations(live_scores, log_probabilities, count)
    whole = log_probabilities[..., : groups * GROUP].unflatten(-1, (groups, GROUP))
    highest = whole.amax(-1)  # [batch, beam, groups]
    if rest := vocabulary - groups * GROUP:
        last = log_probabilities[..., -rest:].amax(-1, keepdim=True)
        highest, groups = torch.cat([highest, last], dim=-1), groups + 1
    places = (live_scores[:, :, None] + highest).flatten(1).topk(count).indices  # [batch, count]
    parents = (places // groups)[:, :, None]  # [batch, count, 1]
    pieces = (places % groups)[:, :, None] * GROUP + torch.arange(GROUP, device=places.device)  # [batch, count, GROUP]
    absent = pieces >= vocabulary  # in the last group, where it is not whole
    flat = (parents * vocabulary + pieces.clamp_max(vocabulary - 1)).flatten(1)  # [batch, count * GROUP]
    scores = log_probabilities.flatten(1).gather(1, flat).view_as(pieces)
    scores += live_scores.gather(1, parents[..., 0])[..., None]
    best, chosen = scores.masked_fill(absent, -torch.inf).flatten(1).topk(count)  # [batch, count]
    flat = flat.gather(1, chosen)
    return Expansion(best, flat // vocabulary, flat % vocabulary)
