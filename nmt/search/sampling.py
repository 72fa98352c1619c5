"""Ancestral sampling of translations, by temperature and among the k likeliest pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nmt.models.decoder_state import DecoderState
from nmt.search.beam import Decoder, SpecialPieces, constrain
from nmt.search.options import Hypothesis, SearchOptions, length_penalty

Noise = Sequence[Sequence[np.random.Generator]]
"""[batch][samples]: a random generator for each sample."""


def generators(sources: Sequence[Sequence[int]], options: SearchOptions) -> Noise:
    """A generator for each sample of each source, so that a sample depends on nothing else in its batch."""
    return [
        [np.random.default_rng([options.seed, number, *source]) for number in range(options.n_best)]
        for source in sources
    ]


def sample(
    decoder: Decoder,
    state: DecoderState,
    max_lengths: Sequence[int],
    options: SearchOptions,
    special: SpecialPieces,
    noise: Noise,
) -> list[list[Hypothesis]]:
    """`n_best` samples of each sentence, in the order drawn; their scores are the model's own, untempered.

    `state` and `max_lengths` as for `nmt.search.beam.beam_search`.
    """
    batch, count = len(max_lengths), options.n_best
    device = state.per_sentence[0].device
    limits = torch.tensor(max_lengths, device=device)[:, None]  # [batch, 1]
    everyone = torch.arange(batch, device=device)
    pieces = torch.full((batch, 1), special.start, device=device)
    drawn: list[Tensor] = []
    totals = torch.zeros(batch, count, device=device)
    lengths = torch.zeros(batch, count, dtype=torch.long, device=device)  # `</s>` counted
    live = torch.ones(batch, count, dtype=torch.bool, device=device)
    for length in range(1, max(max_lengths) + 1):
        log_probabilities, state = decoder(pieces, state)  # [batch, 1 or samples, targets]
        parents = torch.arange(count, device=device) if length > 1 else torch.zeros(count, dtype=torch.long)
        parents = parents.to(device).expand(batch, count)
        state = state.select(everyone, parents)
        log_probabilities = log_probabilities.expand(batch, count, -1).clone()
        constrain(log_probabilities, length, options, special)
        pieces = draw(log_probabilities, options, noise)  # [batch, samples]
        totals += log_probabilities.gather(2, pieces[:, :, None])[:, :, 0].where(live, 0)
        lengths += live
        drawn.append(pieces)
        live &= (pieces != special.end) & (limits > length)
        if not live.any():
            break
    rows = torch.stack(drawn, dim=2).tolist()  # [batch, samples, length]
    return [
        [
            _hypothesis(row[:length], total, options, special.end)
            for row, total, length in zip(rows[number], totals[number].tolist(), lengths[number].tolist(), strict=True)
        ]
        for number in range(batch)
    ]


def draw(log_probabilities: Tensor, options: SearchOptions, noise: Noise) -> Tensor:
    """A piece of each row of [batch, samples, targets]: [batch, samples].

    By the Gumbel-max trick: argmax(log p / temperature + g), g from Gumbel(0, 1), has the probabilities
    softmax(log p / temperature).
    """
    scores = log_probabilities / float(options.temperature or 1)
    if 0 < options.top_k < scores.size(-1):
        least = scores.topk(options.top_k, dim=-1).values[..., -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    gumbel = np.array([[one.gumbel(size=scores.size(-1)) for one in row] for row in noise], np.float32)
    return (scores + torch.from_numpy(gumbel).to(scores.device)).argmax(dim=-1)


def _hypothesis(pieces: list[int], total: float, options: SearchOptions, end: int) -> Hypothesis:
    ended = pieces[-1] == end
    score = total / length_penalty(len(pieces), options.length_penalty)
    return Hypothesis(pieces[:-1] if ended else pieces, total, score, ended)
