"""Batches of a token budget: every pair once, never over the budget, the same for the same seed and epoch."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmt.batching import BatchSampler, batches_for_decoding, pad, split_by_tokens
from nmt.training.preparation import spread

pairs = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=300)


def sampler_of(pairs, budget, seed=1) -> BatchSampler:
    source, target = np.array(pairs, np.int32).T
    return BatchSampler(source, target, budget, seed)


@given(pairs=pairs, budget=st.integers(1, 200), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_every_pair_once_and_never_over_the_budget(pairs, budget, seed, epoch):
    sampler = sampler_of(pairs, budget, seed)
    batches = sampler.batches(epoch)
    assert sorted(number for batch in batches for number in batch.tolist()) == list(range(len(pairs)))
    for batch in batches:
        longest = max(max(pairs[number]) for number in batch)
        assert len(batch) * longest <= budget or len(batch) == 1


@given(pairs=pairs, budget=st.integers(1, 200), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_a_pure_function_of_seed_and_epoch(pairs, budget, seed, epoch):
    first = sampler_of(pairs, budget, seed)
    first.batches(epoch + 1)  # what was asked before does not matter
    again = sampler_of(pairs, budget, seed).batches(epoch)
    for one, other in zip(first.batches(epoch), again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_epochs_and_seeds_differ():
    pairs = [(1 + number % 7, 1 + number % 5) for number in range(200)]
    orders = [
        np.concatenate(sampler_of(pairs, 30, seed).batches(epoch)).tolist() for seed, epoch in [(1, 0), (1, 1), (2, 0)]
    ]
    assert orders[0] != orders[1] and orders[0] != orders[2]


def test_batches_do_not_come_in_the_order_of_length():
    sampler = sampler_of([(length, length) for length in range(1, 41)] * 5, 80)
    longest = [max(sampler.source_lengths[batch]) for batch in sampler.batches(0)]
    assert longest != sorted(longest) and longest != sorted(longest, reverse=True)


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=100).map(sorted), budget=st.integers(1, 100))
def test_split_by_tokens_takes_as_many_as_fit(lengths, budget):
    batches = split_by_tokens(np.arange(len(lengths)), np.array(lengths), budget)
    # The obvious twin: one sentence after the other.
    expected: list[list[int]] = [[]]
    for number, length in enumerate(lengths):
        if expected[-1] and (len(expected[-1]) + 1) * length > budget:
            expected.append([])
        expected[-1].append(number)
    assert [batch.tolist() for batch in batches] == expected


def padded_share(sampler: BatchSampler, epoch: int) -> float:
    positions = padding = 0
    for batch in sampler.batches(epoch):
        for lengths in (sampler.source_lengths, sampler.target_lengths):
            padded = pad([[7] * length for length in lengths[batch]], 0)
            positions += padded.size
            padding += int((padded == 0).sum())
    return padding / positions


def like_tatoeba(pairs: int = 20_000) -> BatchSampler:
    """Lengths drawn as Tatoeba's are: about 9 pieces a side, a long tail, targets near their sources."""
    random = np.random.default_rng(1)
    source = np.clip(np.round(random.lognormal(2.1, 0.42, pairs)), 2, 100).astype(int) + 1
    target = np.clip(np.round(source * random.normal(1.0, 0.18, pairs)), 2, 100).astype(int)
    return BatchSampler(source, target, 2048)


def test_little_padding_on_lengths_like_tatoebas():
    sampler = like_tatoeba()
    assert padded_share(sampler, 0) < 0.08
    shuffled = np.random.default_rng(2).permutation(len(sampler.source_lengths))
    unsorted = [shuffled[first : first + 150] for first in range(0, len(shuffled), 150)]
    total = sum(len(batch) * sampler.source_lengths[batch].max() for batch in unsorted)
    assert 1 - sampler.source_lengths.sum() / total > 0.3  # without buckets there is much


@given(lengths=st.lists(st.integers(1, 50), max_size=100), budget=st.integers(1, 200), sentences=st.integers(1, 20))
def test_batches_for_decoding(lengths, budget, sentences):
    batches = [batch.tolist() for batch in batches_for_decoding(lengths, budget, sentences)]
    order = [number for batch in batches for number in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[number] for number in order] == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) <= sentences
        assert len(batch) == 1 or len(batch) * max(lengths[number] for number in batch) <= budget


@given(sequences=st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=6), padding=st.integers(-1, 3))
def test_pad(sequences, padding):
    padded = pad(sequences, padding)
    longest = max(map(len, sequences))
    assert padded.tolist() == [sequence + [padding] * (longest - len(sequence)) for sequence in sequences]


def test_an_epoch_takes_few_bytes_a_pair():
    sampler = like_tatoeba(400_000)
    tracemalloc.start()
    try:
        batches = sampler.batches(0)
        kept, most = (size / 400_000 for size in tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()
    assert sum(map(len, batches)) == 400_000
    assert kept < 8 and most < 24  # four for the order; a Python object would be 28


@given(pairs=st.integers(1, 3000), most=st.integers(1, 400))
def test_a_sample_is_spread_over_all_pairs(pairs, most):
    chosen = spread(pairs, most)
    assert 1 <= len(chosen) <= most and len(chosen) >= min(pairs, most) / 2
    gaps = {after - before for before, after in zip(chosen, chosen[1:], strict=False)}
    assert len(gaps) <= 1 and pairs - chosen[-1] <= max(gaps, default=pairs)
    assert most < pairs or list(chosen) == list(range(pairs))
