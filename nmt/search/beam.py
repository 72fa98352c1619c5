"""Beam search for a batch, as pure functions over a named state; no loop over hypotheses, no notion of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.models.decoder_state import DecoderState
from nmt.search.continuations import Expansion, best_continuations
from nmt.search.options import Hypothesis, SearchOptions, length_penalty, n_best_of

Decoder = Callable[[Tensor, DecoderState], tuple[Tensor, DecoderState]]
"""Pieces [batch, beam] and a state to log-probabilities [batch, beam, targets] and the next state."""


class SpecialPieces(NamedTuple):
    """The ids of a vocabulary that search treats apart."""

    start: int
    """`<s>`, which begins every hypothesis."""
    end: int
    """`</s>`, which ends one."""
    forbidden: Sequence[int] = ()
    """Pieces that no hypothesis may hold."""


class Beams(NamedTuple):
    """Sentences that are still being translated. A sentence leaves when it is decided."""

    sentences: Tensor
    """[batch]: which of the input's sentences these are."""
    live: Tensor
    """[batch, beam, length]: pieces so far, `<s>` first."""
    live_scores: Tensor
    """[batch, beam]: their log-probabilities, best first."""
    finished: Tensor
    """[batch, pool, longest]: finished hypotheses, `<s>` first, padded with `</s>`."""
    finished_scores: Tensor
    """[batch, pool]: their log-probabilities divided by the length penalty, best first, -inf where empty."""
    finished_lengths: Tensor
    """[batch, pool]: their pieces, `</s>` counted, negative when the longest length cut them off."""
    finished_count: Tensor
    """[batch]: how many have finished so far."""
    max_lengths: Tensor
    """[batch]: the most pieces each may have."""


def beam_search(
    decoder: Decoder, state: DecoderState, max_lengths: Sequence[int], options: SearchOptions, special: SpecialPieces
) -> list[list[Hypothesis]]:
    """The `n_best` best hypotheses of each sentence, best first.

    `state` is [batch, ...] and [batch, 1, ...] before the first step, `max_lengths` [batch]. A
    sentence is decided when `beam` of its hypotheses have finished, however many are asked for, or at
    its longest length, where the live ones are taken as they are.
    """
    beams = initial_beams(torch.tensor(max_lengths, device=state.per_sentence[0].device), options, special)
    results: list[list[Hypothesis]] = [[] for _ in max_lengths]
    for length in range(1, max(max_lengths) + 1):
        log_probabilities, state = decoder(beams.live[:, :, -1], state)  # [batch, beam, targets]
        constrain(log_probabilities, length, options, special)
        # Twice as many as the beam: even if `beam` of them end, `beam` live ones remain.
        expansion = best_continuations(beams.live_scores, log_probabilities, 2 * options.beam)
        beams = finish(beams, expansion, length, options, special.end)
        parents, beams = advance(beams, expansion, options.beam, special.end)
        decided = is_decided(beams, length, options)
        if decided.any():
            collect(results, beams, decided, options)
            kept = (~decided).nonzero().squeeze(1)
            if len(kept) == 0:
                break
            beams = Beams(*(field.index_select(0, kept) for field in beams))
            parents = parents.index_select(0, kept)
        else:
            kept = torch.arange(len(decided), device=decided.device)
        state = state.select(kept, parents)
    return results


def constrain(log_probabilities: Tensor, length: int, options: SearchOptions, special: SpecialPieces) -> None:
    """Forbid, in place, what may not be the piece number `length` of a hypothesis; the others keep their values."""
    log_probabilities[..., [*special.forbidden, *options.forbidden]] = -torch.inf
    if length <= options.min_length:
        log_probabilities[..., special.end] = -torch.inf
    if length <= len(options.prefix):
        piece = options.prefix[length - 1]
        kept = log_probabilities[..., piece].clone()
        log_probabilities.fill_(-torch.inf)
        log_probabilities[..., piece] = kept


def initial_beams(max_lengths: Tensor, options: SearchOptions, special: SpecialPieces) -> Beams:
    """One live hypothesis a sentence, `<s>`, of probability 1; none finished."""
    batch, device = len(max_lengths), max_lengths.device
    longest = int(max_lengths.max()) + 1
    return Beams(
        sentences=torch.arange(batch, device=device),
        live=torch.full((batch, 1, 1), special.start, device=device),
        live_scores=torch.zeros(batch, 1, device=device),
        finished=torch.full((batch, options.beam, longest), special.end, device=device),
        finished_scores=torch.full((batch, options.beam), -torch.inf, device=device),
        finished_lengths=torch.zeros(batch, options.beam, dtype=torch.long, device=device),
        finished_count=torch.zeros(batch, dtype=torch.long, device=device),
        max_lengths=max_lengths,
    )


def finish(beams: Beams, expansion: Expansion, length: int, options: SearchOptions, end: int) -> Beams:
    """Move those of the `beam` best continuations that end, or may grow no longer, to the finished ones."""
    scores, parents, pieces = (field[:, : options.beam] for field in expansion)  # [batch, beam]
    ended = pieces == end
    at_limit = (beams.max_lengths == length)[:, None]
    finishing = (ended | at_limit) & scores.isfinite()
    if not finishing.any():
        return beams
    penalty = length_penalty(length, options.length_penalty)
    new_scores = torch.where(finishing, scores / penalty, -torch.inf)  # [batch, beam]
    new = torch.full((*parents.shape, beams.finished.size(2)), end, device=pieces.device)
    new[:, :, :length] = _follow(beams.live, parents)
    new[:, :, length] = pieces
    new_lengths = torch.where(ended, length, -length)
    pool_scores, places = torch.cat([beams.finished_scores, new_scores], dim=1).topk(options.beam)  # [batch, pool]
    return beams._replace(
        finished=_follow(torch.cat([beams.finished, new], dim=1), places),
        finished_scores=pool_scores,
        finished_lengths=torch.cat([beams.finished_lengths, new_lengths], dim=1).gather(1, places),
        finished_count=beams.finished_count + finishing.sum(dim=1),
    )


def advance(beams: Beams, expansion: Expansion, beam: int, end: int) -> tuple[Tensor, Beams]:
    """The `beam` best continuations that do not end become the live hypotheses; also their parents [batch, beam]."""
    ended = expansion.pieces == end
    width = min(beam, int((~ended).sum(dim=1).min()))
    places = ended.int().argsort(dim=1, stable=True)[:, :width]  # [batch, beam], best first as before
    parents = expansion.parents.gather(1, places)
    pieces = expansion.pieces.gather(1, places)
    live = torch.cat([_follow(beams.live, parents), pieces[:, :, None]], dim=2)  # [batch, beam, length + 1]
    return parents, beams._replace(live=live, live_scores=expansion.scores.gather(1, places))


def is_decided(beams: Beams, length: int, options: SearchOptions) -> Tensor:
    """[batch]: sentences that have as many hypotheses as the beam, or may grow no longer."""
    return (beams.finished_count >= options.beam) | (beams.max_lengths <= length)


def collect(results: list[list[Hypothesis]], beams: Beams, decided: Tensor, options: SearchOptions) -> None:
    """Write the n-best lists of the decided sentences into `results`."""
    fields = (beams.finished, beams.finished_scores, beams.finished_lengths)
    rows = [field[decided].tolist() for field in fields]
    for sentence, *columns in zip(beams.sentences[decided].tolist(), *rows, strict=True):
        found = []
        for pieces, score, length in zip(*columns, strict=True):
            if score == float("-inf"):
                continue
            ended = length > 0
            size = abs(length)
            total = score * length_penalty(size, options.length_penalty)
            found.append(Hypothesis(pieces[1 : size + (not ended)], total, score, ended))
        results[sentence] = n_best_of(found, options.n_best)


def _follow(x: Tensor, places: Tensor) -> Tensor:
    # x [batch, old, length], places [batch, new] -> [batch, new, length]
    return x.gather(1, places[:, :, None].expand(-1, -1, x.size(2)))
