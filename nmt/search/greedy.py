"""Greedy search: the likeliest piece at every step."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nmt.models.state import DecoderState
from nmt.search.beam import Decoder
from nmt.search.options import Hypothesis, SearchOptions, length_penalty


def greedy_search(
    decoder: Decoder,
    state: DecoderState,
    max_lengths: Sequence[int],
    options: SearchOptions,
    start: int,
    end: int,
    forbidden: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """One hypothesis a sentence, in the arguments and the form of `beam_search` with beam 1.

    Sentences leave the batch as they end.
    """
    device = state.per_sentence[0].device
    sentences = torch.arange(len(max_lengths), device=device)  # [batch], which of the input's these are
    limits = torch.tensor(max_lengths, device=device)
    pieces = torch.full((len(max_lengths), 1), start, device=device)
    totals = torch.zeros(len(max_lengths), device=device)
    written = torch.full((len(max_lengths), max(max_lengths) + 1), end, device=device)
    results: list[list[Hypothesis]] = [[] for _ in max_lengths]
    for length in range(1, max(max_lengths) + 1):
        log_probabilities, state = decoder(pieces, state)  # [batch, 1, vocabulary]
        log_probabilities[..., list(forbidden)] = -torch.inf
        if length <= options.min_length:
            log_probabilities[..., end] = -torch.inf
        best, pieces = log_probabilities.max(dim=-1)  # each [batch, 1]
        totals = totals + best[:, 0]
        written[sentences, length - 1] = pieces[:, 0]
        ended = pieces[:, 0] == end
        done = ended | (limits <= length)
        if not done.any():
            continue
        leaving = (sentences[done], totals[done], ended[done], written[sentences[done]])
        for sentence, total, closed, row in zip(*(field.tolist() for field in leaving), strict=True):
            score = total / length_penalty(length, options.length_penalty)
            results[sentence] = [Hypothesis(row[: length - closed], total, score, closed)]
        kept = (~done).nonzero().squeeze(1)
        if len(kept) == 0:
            break
        sentences, limits, totals, pieces = (x.index_select(0, kept) for x in (sentences, limits, totals, pieces))
        state = state.select(kept, torch.zeros_like(pieces))
    return results
