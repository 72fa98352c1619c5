"""Beam search against exhaustive search and against a slow, obvious beam search with Python lists."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.errors import UserError
from nmt.models.decoder_state import DecoderState
from nmt.search.beam import SpecialPieces, beam_search
from nmt.search.options import Hypothesis, SearchOptions, length_penalty

START, END = 0, 1


class TableDecoder:
    """Log-probabilities that are a random function of (sentence seed, prefix), with the prefix as the state."""

    def __init__(self, vocabulary: int, end_bonus: float = 0.0) -> None:
        self.vocabulary, self.end_bonus, self.rows = vocabulary, end_bonus, []

    def distribution(self, seed: int, prefix: tuple[int, ...]) -> torch.Tensor:
        random = torch.Generator().manual_seed(hash((seed, prefix)) % 2**31)
        logits = 2 * torch.randn(self.vocabulary, generator=random, dtype=torch.float64)
        logits[END] += self.end_bonus
        return logits.log_softmax(-1)

    def start(self, seeds: list[int]) -> DecoderState:
        return DecoderState([torch.tensor(seeds)], [torch.zeros(len(seeds), 1, 0, dtype=torch.long)])

    def __call__(self, pieces: torch.Tensor, state: DecoderState) -> tuple[torch.Tensor, DecoderState]:
        self.rows.append(pieces.size(0))
        prefixes = torch.cat([state.per_hypothesis[0], pieces[:, :, None]], dim=2)
        table = [
            torch.stack([self.distribution(seed, tuple(prefix)) for prefix in hypotheses])
            for seed, hypotheses in zip(state.per_sentence[0].tolist(), prefixes.tolist(), strict=True)
        ]
        return torch.stack(table).float(), DecoderState(state.per_sentence, [prefixes])


def search(decoder, seeds, limits, options, forbidden=()):
    always, now = tuple(forbidden)[::2], tuple(forbidden)[1::2]
    special = SpecialPieces(START, END, always)
    return beam_search(decoder, decoder.start(seeds), limits, replace(options, forbidden=now), special)


def obvious_greedy_search(decoder, seed: int, limit: int, options: SearchOptions, forbidden=()) -> Hypothesis:
    """One sentence, the likeliest allowed piece at every step."""
    pieces, total = [], 0.0
    for length in range(1, limit + 1):
        scores = decoder.distribution(seed, (START, *pieces)).float().tolist()
        barred = {*forbidden, END} if length <= options.min_length else {*forbidden}
        best = max((piece for piece in range(len(scores)) if piece not in barred), key=scores.__getitem__)
        total += scores[best]
        ended = best == END
        if ended or length == limit:
            kept = pieces if ended else [*pieces, best]
            return Hypothesis(kept, total, total / length_penalty(length, options.length_penalty), ended)
        pieces.append(best)
    raise AssertionError("a limit is at least 1")


def obvious_beam_search(decoder, seed: int, limit: int, options: SearchOptions, forbidden=()) -> list[Hypothesis]:
    """One sentence, lists and sorting alone; the same rules as the module's docstrings state."""
    live, finished = [((START,), 0.0)], []
    for length in range(1, limit + 1):
        candidates = []
        for prefix, score in live:
            for piece, gain in enumerate(decoder.distribution(seed, prefix).float().tolist()):
                allowed = piece not in forbidden and (piece != END or length > options.min_length)
                if allowed:
                    candidates.append(((*prefix, piece), score + gain))
        candidates.sort(key=lambda candidate: -candidate[1])
        for prefix, score in candidates[: options.beam]:
            if prefix[-1] == END or length == limit:
                ended = prefix[-1] == END
                pieces = list(prefix[1 : len(prefix) - ended])
                finished.append(
                    Hypothesis(pieces, score, score / length_penalty(length, options.length_penalty), ended)
                )
        finished.sort(key=lambda hypothesis: -hypothesis.score)
        live = [candidate for candidate in candidates[: 2 * options.beam] if candidate[0][-1] != END][: options.beam]
        if len(finished) >= options.beam or not live:
            break
    return finished[: options.beam]


def exhaustive_search(decoder, seed: int, limit: int, options: SearchOptions) -> list[Hypothesis]:
    """Every sequence of at most `limit` pieces, `</s>` counted, scored one by one."""
    found = []
    others = [piece for piece in range(decoder.vocabulary) if piece != END]
    for length in range(limit + 1):
        for pieces in itertools.product(others, repeat=length):
            sequence = (*pieces, END) if length < limit else pieces
            prefix, total = (START,), 0.0
            for piece in sequence:
                total += decoder.distribution(seed, prefix)[piece].item()
                prefix += (piece,)
            score = total / length_penalty(len(sequence), options.length_penalty)
            found.append(Hypothesis(list(pieces), total, score, length < limit))
    return sorted(found, key=lambda hypothesis: -hypothesis.score)[: options.n_best]


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [(one.pieces, one.ended) for one in found] == [(one.pieces, one.ended) for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-4)
    assert [one.log_probability for one in found] == pytest.approx([one.log_probability for one in expected], abs=1e-4)


penalties = st.sampled_from([0.0, 0.6, 1.0, 2.0])


@settings(max_examples=60)
@given(
    seeds=st.lists(st.integers(0, 999), min_size=1, max_size=4),
    beam=st.integers(1, 5),
    exponent=penalties,
    min_length=st.integers(0, 3),
    data=st.data(),
)
def test_equals_the_obvious_beam_search(seeds, beam, exponent, min_length, data):
    options = SearchOptions(beam, data.draw(st.integers(1, beam)), exponent, min_length)
    limits = [data.draw(st.integers(max(1, min_length), 7)) for _ in seeds]
    forbidden = data.draw(st.sampled_from([(), (0,), (0, 3)]))
    decoder = TableDecoder(vocabulary=data.draw(st.integers(5, 8)), end_bonus=data.draw(st.sampled_from([0.0, 2.0])))
    found = search(decoder, seeds, limits, options, forbidden)
    for hypotheses, seed, limit in zip(found, seeds, limits, strict=True):
        best, *others = obvious_beam_search(decoder, seed, limit, options, forbidden)
        assert_same(hypotheses, [best, *others][: options.n_best])
        assert_same(list(hypotheses[0].rivals), others)


@settings(max_examples=20)
@given(seed=st.integers(0, 999), exponent=penalties, n_best=st.integers(1, 10))
def test_a_beam_wide_enough_equals_exhaustive_search(seed, exponent, n_best):
    decoder = TableDecoder(vocabulary=3)
    options = SearchOptions(beam=64, n_best=n_best, length_penalty=exponent)  # 2^0 + ... + 2^4 = 31 hypotheses exist
    assert_same(search(decoder, [seed], [4], options)[0], exhaustive_search(decoder, seed, 4, options))


@settings(max_examples=40)
@given(
    seeds=st.lists(st.integers(0, 999), min_size=1, max_size=4),
    exponent=penalties,
    min_length=st.integers(0, 3),
    data=st.data(),
)
def test_beam_one_is_greedy(seeds, exponent, min_length, data):
    limits = [data.draw(st.integers(max(1, min_length), 7)) for _ in seeds]
    options = SearchOptions(beam=1, length_penalty=exponent, min_length=min_length)
    decoder = TableDecoder(6, end_bonus=1.0)
    found = search(decoder, seeds, limits, options, (0,))
    for hypotheses, seed, limit in zip(found, seeds, limits, strict=True):
        assert_same(hypotheses, [obvious_greedy_search(decoder, seed, limit, options, (0,))])


@settings(max_examples=30)
@given(seeds=st.lists(st.integers(0, 999), min_size=2, max_size=5), beam=st.integers(1, 4), data=st.data())
def test_the_rest_of_the_batch_changes_nothing(seeds, beam, data):
    limits = [data.draw(st.integers(1, 8)) for _ in seeds]
    options, decoder = SearchOptions(beam, beam), TableDecoder(6, end_bonus=1.0)
    together = search(decoder, seeds, limits, options)
    for hypotheses, seed, limit in zip(together, seeds, limits, strict=True):
        assert_same(hypotheses, search(decoder, [seed], [limit], options)[0])


@settings(max_examples=40)
@given(
    seed=st.integers(0, 999),
    beam=st.integers(1, 4),
    min_length=st.integers(0, 4),
    limit=st.integers(1, 8),
    data=st.data(),
)
def test_lengths_lie_within_their_bounds_and_forbidden_pieces_never_come(seed, beam, min_length, limit, data):
    limit = max(limit, min_length, 1)
    forbidden = data.draw(st.sets(st.sampled_from([0, 2, 3])))
    options = SearchOptions(beam, beam, min_length=min_length)
    (found,) = search(TableDecoder(6, end_bonus=3.0), [seed], [limit], options, tuple(forbidden))
    assert found  # there is an answer whatever happens
    for hypothesis in found:
        assert min_length <= len(hypothesis.pieces)
        assert len(hypothesis.pieces) + hypothesis.ended <= limit
        assert not forbidden & set(hypothesis.pieces) and END not in hypothesis.pieces


@pytest.mark.parametrize("beam", [1, 3])
def test_an_answer_when_nothing_finished(beam):
    decoder = TableDecoder(6, end_bonus=-1000.0)
    (found,) = search(decoder, [5], [4], SearchOptions(beam, beam))
    assert len(found) == beam
    assert all(len(hypothesis.pieces) == 4 and not hypothesis.ended for hypothesis in found)


@settings(max_examples=30)
@given(seed=st.integers(0, 999), beam=st.integers(1, 4), exponent=penalties)
def test_scores_are_the_decoders_own(seed, beam, exponent):
    decoder = TableDecoder(6, end_bonus=1.0)
    (found,) = search(decoder, [seed], [6], SearchOptions(beam, beam, exponent))
    assert [hypothesis.score for hypothesis in found] == sorted((one.score for one in found), reverse=True)
    assert len({(tuple(one.pieces), one.ended) for one in found}) == len(found)
    for hypothesis in found:
        sequence = [*hypothesis.pieces, *([END] if hypothesis.ended else [])]
        prefix, total = (START,), 0.0
        for piece in sequence:
            total += decoder.distribution(seed, prefix)[piece].item()
            prefix += (piece,)
        assert hypothesis.log_probability == pytest.approx(total, abs=1e-4)
        assert hypothesis.score == pytest.approx(total / ((5 + len(sequence)) / 6) ** exponent, abs=1e-4)


@pytest.mark.parametrize("beam", [1, 3])
def test_decided_sentences_leave_the_batch(beam):
    limits = [1, 2, 2, 5]
    decoder = TableDecoder(6, end_bonus=-1000.0)  # nothing ends before its limit
    search(decoder, [1, 2, 3, 4], limits, SearchOptions(beam))
    assert decoder.rows == [4, 3, 1, 1, 1]
    ending = TableDecoder(6, end_bonus=1000.0)  # everything ends at once
    search(ending, [1, 2, 3, 4], [9] * 4, SearchOptions(beam))
    assert ending.rows == ([4] if beam == 1 else [4, 4])  # the empty hypothesis, then those of one piece


def test_options_are_checked_and_the_penalty_is_equation_fourteen():
    for wrong in (
        {"beam": 0},
        {"beam": 2, "n_best": 3},
        {"n_best": 0},
        {"length_penalty": -1.0},
        {"length_penalty": math.nan},
        {"min_length": -1},
        {"max_length_factor": math.nan},
        {"max_length_factor": math.inf},
        {"max_length_factor": 1e308},
        {"beam": 2.5},
        {"beam": True},
        {"beam": 10**6},
    ):
        with pytest.raises(UserError):
            SearchOptions(**wrong)
    assert length_penalty(1, 0.6) == 1 and length_penalty(7, 1.0) == 2 and length_penalty(100, 0.0) == 1
    assert SearchOptions(max_length_factor=1.5, max_length_extra=4).max_length(5) == 11
