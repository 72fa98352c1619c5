"""Local and linear self-attention, and the scores of recurrent attention, each against a loop from its equation."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import Calls
from test_attention import dot, exponential, random_tensors, slow_attention

from nmt.models.attention import attention, padding_mask
from nmt.models.efficient_attention import (
    explicit_linear_attention,
    explicit_local_attention,
    linear_attention,
    local_attention,
)
from nmt.models.scores import Score, additive_scores, dot_scores, soft_alignment


def phi(x: list[float]) -> list[float]:
    return [one + 1 if one > 0 else math.exp(one) for one in x]


def slow_local(query, key, value, window, length, causal):
    def may_see(i, j):
        return (j < length and abs(i - j) <= window and (j <= i or not causal)) or i == j

    return slow_attention(query, key, value, exponential, may_see)


def slow_linear(query, key, value, _window, length, causal):
    return slow_attention(
        query, key, value, lambda q, k: dot(phi(q), phi(k)), lambda i, j: j < length and (j <= i or not causal)
    )


KINDS = {
    "local": (local_attention, explicit_local_attention, slow_local),
    "linear": (
        lambda q, k, v, window, *rest: linear_attention(q, k, v, *rest),
        lambda q, k, v, window, *rest: explicit_linear_attention(q, k, v, *rest),
        slow_linear,
    ),
}
every = pytest.mark.parametrize("kind", KINDS)


@every
@settings(max_examples=15)
@given(
    total=st.sampled_from([1, 2, 5, 31, 32, 33, 65, 130]),
    window=st.integers(1, 40),
    causal=st.booleans(),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_equals_a_loop_from_the_equation(kind, total, window, causal, seed, data):
    length = data.draw(st.integers(1, total))
    query, key, value = random_tensors(seed, (1, 2, total, 3), (1, 2, total, 3), (1, 2, total, 2))
    mask = padding_mask(torch.tensor([length]), total) if length < total or data.draw(st.booleans()) else None
    fast, explicit, slow = KINDS[kind]
    mean = fast(query, key, value, window, mask, causal)
    explicit_mean, weights = explicit(query, key, value, window, mask, causal)
    for head in range(2):
        one = (x[0, head].tolist() for x in (query, key, value))
        slow_mean, slow_weights = slow(*one, window, length, causal)
        # Rows of padding are nobody's business, but they must be numbers.
        torch.testing.assert_close(mean[0, head, :length], slow_mean[:length])
        torch.testing.assert_close(explicit_mean[0, head, :length], slow_mean[:length])
        torch.testing.assert_close(weights[0, head, :length], slow_weights[:length])
    assert mean.isfinite().all() and explicit_mean.isfinite().all()


@every
@pytest.mark.parametrize("causal", [False, True])
def test_gradients_by_finite_differences(kind, causal):
    query, key, value = (x.requires_grad_() for x in random_tensors(5, (1, 1, 5, 2), (1, 1, 5, 2), (1, 1, 5, 2)))
    mask = padding_mask(torch.tensor([4]), 5)
    for function in KINDS[kind][:2]:
        assert torch.autograd.gradcheck(lambda *x, f=function: f(*x, 2, mask, causal), (query, key, value))


@every
@pytest.mark.parametrize("causal", [False, True])
def test_sequences_longer_than_blocks_and_chunks_have_exact_gradients(kind, causal):
    """Through several blocks and chunks: the gradients of the explicit form, which forms the whole matrix."""
    shapes = [(2, 1, 150, 3)] * 3
    mask = padding_mask(torch.tensor([150, 70]), 150)
    gradients = []
    for function in KINDS[kind][:2]:
        inputs = [x.requires_grad_() for x in random_tensors(6, *shapes)]
        result = function(*inputs, 20, mask, causal)
        mean = result[0] if isinstance(result, tuple) else result
        ((mean**2)[0].sum() + (mean**2)[1, :, :70].sum()).backward()
        gradients.append([x.grad for x in inputs])
    for fast, explicit in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, explicit)


def test_a_window_over_everything_is_full_attention():
    query, key, value = random_tensors(7, (2, 2, 40, 3), (2, 2, 40, 3), (2, 2, 40, 3))
    mask = padding_mask(torch.tensor([40, 25]), 40)
    expected = attention(query, key, value, mask)[0]
    torch.testing.assert_close(local_attention(query, key, value, 39, mask)[0], expected[0])
    torch.testing.assert_close(local_attention(query, key, value, 39, mask)[1, :, :25], expected[1, :, :25])


@every
@pytest.mark.parametrize("causal", [False, True])
def test_the_largest_tensor_grows_linearly(kind, causal):
    """Twice the positions, twice the elements of the largest tensor that any operation makes."""
    sizes = []
    for length in (1024, 2048):
        inputs = random_tensors(8, *[(1, 2, length, 4)] * 3)
        with Calls() as calls:
            KINDS[kind][0](*inputs, 16, None, causal)
        sizes.append(calls.largest)
    assert sizes[1] <= 2.1 * sizes[0] and sizes[1] < 2048 * 2048


sizes = st.integers(1, 5)


@settings(max_examples=20)
@given(batch=st.integers(1, 3), beam=sizes, source=sizes, width=sizes, seed=st.integers(0, 99))
def test_scores_equal_loops_from_their_equations(batch, beam, source, width, seed):
    states, annotations = random_tensors(seed, (batch, beam, width), (batch, source, 2 * width))
    torch.manual_seed(seed)
    additive, general = Score("additive", width, 2 * width).double(), Score("general", width, 2 * width).double()
    torch.nn.init.normal_(additive.key.bias)
    found = {
        "additive": additive(states @ additive.query_weight.T, additive.project(annotations)),
        "general": general(states, general.project(annotations)),
        "dot": dot_scores(states, annotations[..., :width]),
    }
    w, u, b, v = (x.tolist() for x in (additive.query_weight, additive.key.weight, additive.key.bias, additive.vector))
    w_a = general.key.weight.tolist()
    for sentence in range(batch):
        for row in range(beam):
            s = states[sentence, row].tolist()
            for j in range(source):
                h = annotations[sentence, j].tolist()
                inner = [dot(w[n], s) + dot(u[n], h) + b[n] for n in range(width)]
                slow = {
                    "additive": dot(v, [math.tanh(x) for x in inner]),
                    "general": dot(s, [dot(w_a[n], h) for n in range(width)]),
                    "dot": dot(s, h[:width]),
                }
                for kind, value in slow.items():
                    assert found[kind][sentence, row, j].item() == pytest.approx(value, abs=1e-9), kind


def test_gradients_of_scores_by_finite_differences():
    query, keys, vector = (x.requires_grad_() for x in random_tensors(9, (2, 2, 3), (2, 4, 3), (3,)))
    mask = padding_mask(torch.tensor([4, 2]), 4)[:, 0]
    inputs = query, keys, vector
    assert torch.autograd.gradcheck(lambda *x: soft_alignment(additive_scores(*x), mask), inputs)
    assert torch.autograd.gradcheck(lambda *x: soft_alignment(dot_scores(*x), mask), inputs[:2])
