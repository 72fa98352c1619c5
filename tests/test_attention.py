"""Attention against its equation written out in loops, against torch's own module, and against leaks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.models.attention import MultiHeadAttention, attention, causal_mask, fused_attention, padding_mask

sizes = st.integers(1, 6)


def random_tensors(seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]


def dot(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def exponential(query: list[float], key: list[float]) -> float:
    return math.exp(dot(query, key) / math.sqrt(len(query)))


def slow_attention(query, key, value, similarity, may_see):
    """sum_j sim(q_i, k_j) v_j / sum_j sim(q_i, k_j) of one head over the j that i may see; also the weights."""
    means, rows = [], []
    for i, q in enumerate(query):
        terms = [similarity(q, k) if may_see(i, j) else 0.0 for j, k in enumerate(key)]
        row = [term / sum(terms) for term in terms]
        rows.append(row)
        means.append([dot(row, list(column)) for column in zip(*value, strict=True)])
    return torch.tensor(means, dtype=torch.float64), torch.tensor(rows, dtype=torch.float64)


@settings(max_examples=20)
@given(target=sizes, source=sizes, key_width=sizes, value_width=sizes, seed=st.integers(0, 99), data=st.data())
def test_attention_is_equation_one(target, source, key_width, value_width, seed, data):
    query, key, value = random_tensors(seed, (target, key_width), (source, key_width), (source, value_width))
    rows = st.lists(st.booleans(), min_size=source, max_size=source).filter(any)
    mask = data.draw(st.lists(rows, min_size=target, max_size=target))
    mean, weights = attention(query, key, value, torch.tensor(mask))
    one = (x.tolist() for x in (query, key, value))
    slow_mean, slow_weights = slow_attention(*one, exponential, lambda i, j: mask[i][j])
    torch.testing.assert_close(mean, slow_mean)
    torch.testing.assert_close(weights, slow_weights)


@given(target=sizes, source=sizes, heads=st.sampled_from([1, 2, 4]), seed=st.integers(0, 99), data=st.data())
def test_fused_equals_explicit(target, source, heads, seed, data):
    lengths = torch.tensor(data.draw(st.lists(st.integers(1, source), min_size=2, max_size=2)))
    query, key, value = random_tensors(seed, (2, heads, target, 3), (2, heads, source, 3), (2, heads, source, 3))
    mask = padding_mask(lengths, source)
    torch.testing.assert_close(fused_attention(query, key, value, mask), attention(query, key, value, mask)[0])
    torch.testing.assert_close(fused_attention(query, key, value), attention(query, key, value)[0])


def module_and_torchs(width: int, heads: int) -> tuple[MultiHeadAttention, torch.nn.MultiheadAttention]:
    """Our module and torch's, in double precision, with the same weights."""
    torch.manual_seed(1)
    ours = MultiHeadAttention(width, heads).double()
    theirs = torch.nn.MultiheadAttention(width, heads, batch_first=True).double()
    for linear in (ours.query, ours.key_value, ours.output):
        torch.nn.init.normal_(linear.bias)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)
    return ours, theirs


@pytest.mark.parametrize("heads", [1, 2, 6])
@pytest.mark.parametrize("with_weights", [False, True])
def test_multi_head_attention_equals_torchs(heads, with_weights):
    ours, theirs = module_and_torchs(12, heads)
    x, memory = random_tensors(2, (3, 5, 12), (3, 7, 12))
    lengths = torch.tensor([7, 3, 1])
    mean, weights = ours(x, ours.project(memory), padding_mask(lengths, 7), with_weights)
    blocked = torch.arange(7) >= lengths[:, None]  # torch marks what may not be seen
    expected, expected_weights = theirs(x, memory, memory, key_padding_mask=blocked, average_attn_weights=False)
    torch.testing.assert_close(mean, expected)
    if with_weights:
        torch.testing.assert_close(weights, expected_weights)
    else:
        assert weights is None


def test_causal_self_attention_equals_torchs():
    ours, theirs = module_and_torchs(8, 2)
    (x,) = random_tensors(3, (2, 6, 8))
    mean, weights = ours(x, ours.project(x), causal_mask(6), with_weights=True)
    blocked = torch.ones(6, 6, dtype=torch.bool).triu(1)
    expected, expected_weights = theirs(x, x, x, attn_mask=blocked, average_attn_weights=False)
    torch.testing.assert_close(mean, expected)
    torch.testing.assert_close(weights, expected_weights)


@pytest.mark.parametrize("with_weights", [False, True])
@settings(max_examples=30)
@given(length=st.integers(1, 5), padding=st.integers(1, 4), seed=st.integers(0, 99))
def test_padding_never_leaks(with_weights, length, padding, seed):
    ours, _ = module_and_torchs(8, 2)
    x, memory, noise = random_tensors(seed, (1, 3, 8), (1, length, 8), (1, padding, 8))
    alone, alone_weights = ours(x, ours.project(memory), None, with_weights)
    padded = torch.cat([memory, 1e3 * noise], dim=1)
    mask = padding_mask(torch.tensor([length]), length + padding)
    masked, weights = ours(x, ours.project(padded), mask, with_weights)
    torch.testing.assert_close(masked, alone)
    if with_weights:
        assert (weights[..., length:] == 0).all()
        torch.testing.assert_close(weights[..., :length], alone_weights)


@pytest.mark.parametrize("with_weights", [False, True])
@settings(max_examples=30)
@given(length=st.integers(2, 6), data=st.data(), seed=st.integers(0, 99))
def test_the_future_never_leaks(with_weights, length, data, seed):
    now = data.draw(st.integers(0, length - 2))
    ours, _ = module_and_torchs(8, 2)
    x, noise = random_tensors(seed, (1, length, 8), (1, length, 8))
    other = x.clone()
    other[:, now + 1 :] = 1e3 * noise[:, now + 1 :]
    first, _ = ours(x, ours.project(x), causal_mask(length), with_weights)
    second, weights = ours(other, ours.project(other), causal_mask(length), with_weights)
    torch.testing.assert_close(first[:, : now + 1], second[:, : now + 1])
    if with_weights:
        assert (weights.triu(1) == 0).all()


@given(target=sizes, source=sizes, seed=st.integers(0, 99))
def test_rows_of_weights_are_distributions_and_means_stay_among_the_values(target, source, seed):
    query, key, value = random_tensors(seed, (target, 4), (source, 4), (source, 4))
    mean, weights = attention(10 * query, 10 * key, value)
    torch.testing.assert_close(weights.sum(-1), torch.ones(target, dtype=torch.float64))
    assert (weights >= 0).all()
    assert (mean <= value.max(0).values + 1e-9).all() and (mean >= value.min(0).values - 1e-9).all()


def test_gradients_by_finite_differences():
    query, key, value = (x.requires_grad_() for x in random_tensors(5, (2, 3), (4, 3), (4, 2)))
    mask = torch.tensor([[True, False, True, True], [True, True, False, False]])
    assert torch.autograd.gradcheck(lambda *tensors: attention(*tensors, mask), (query, key, value))
    assert torch.autograd.gradcheck(lambda *tensors: fused_attention(*tensors, mask), (query, key, value))


def test_masks_by_hand():
    assert padding_mask(torch.tensor([1, 3]), 3).tolist() == [[[[True, False, False]]], [[[True, True, True]]]]
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
