"""The fused loss against torch's own cross-entropy, its gradients, and the memory that it is made to save."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import Calls

from nmt.config.model import ModelConfig
from nmt.models import build_model
from nmt.training import loss
from nmt.training.loss import CHUNK, Objective, batch_loss, plain_cross_entropy, smoothed_cross_entropy
from nmt.training.pairs import make_batch


def problem(rows: int, width: int, vocabulary: int, seed: int = 0, dtype=torch.float64):
    random = torch.Generator().manual_seed(seed)
    shapes = [(rows, width), (vocabulary, width), (vocabulary,)]
    tensors = [torch.randn(shape, generator=random, dtype=dtype).requires_grad_() for shape in shapes]
    return tensors, torch.randint(vocabulary, (rows,), generator=random)


def loss_and_gradients(function, tensors, labels, smoothing, r_drop=0.0):
    value = function(*tensors, labels, Objective(smoothing, r_drop))
    return value.detach().double(), torch.autograd.grad(value * 0.7, tensors)


@settings(max_examples=60)
@given(
    rows=st.sampled_from([1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3]),
    width=st.integers(1, 5),
    vocabulary=st.integers(1, 9),
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
    seed=st.integers(0, 99),
)
def test_fused_equals_plain_in_value_and_gradients(rows, width, vocabulary, smoothing, seed):
    tensors, labels = problem(rows, width, vocabulary, seed)
    fused, fused_gradients = loss_and_gradients(smoothed_cross_entropy, tensors, labels, smoothing)
    plain, plain_gradients = loss_and_gradients(plain_cross_entropy, tensors, labels, smoothing)
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-4)  # the loss is summed in float32
    for ours, torchs in zip(fused_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-6, atol=1e-7)


@settings(max_examples=40)
@given(
    pairs=st.sampled_from([1, 2, CHUNK // 2 - 1, CHUNK // 2, CHUNK // 2 + 1, CHUNK + 3]),
    width=st.integers(1, 5),
    vocabulary=st.integers(1, 9),
    r_drop=st.sampled_from([0.1, 1.0, 2.5]),
    seed=st.integers(0, 99),
)
def test_fused_r_drop_equals_plain_in_value_and_gradients(pairs, width, vocabulary, r_drop, seed):
    tensors, labels = problem(2 * pairs, width, vocabulary, seed)
    fused, fused_gradients = loss_and_gradients(smoothed_cross_entropy, tensors, labels, 0.1, r_drop)
    plain, plain_gradients = loss_and_gradients(plain_cross_entropy, tensors, labels, 0.1, r_drop)
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-4)
    for ours, torchs in zip(fused_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-6, atol=1e-7)


def test_r_drop_is_the_divergences_written_out():
    (states, weight, bias), labels = problem(6, 3, 5)
    rows = torch.softmax(states @ weight.T + bias, dim=1).tolist()
    apart = 0.0
    for p, q in zip(rows[::2], rows[1::2], strict=True):
        apart += sum(a * math.log(a / b) + b * math.log(b / a) for a, b in zip(p, q, strict=True))
    halved = plain_cross_entropy(states, weight, bias, labels, Objective(0.1)).item() / 2
    for function in (plain_cross_entropy, smoothed_cross_entropy):
        found = function(states, weight, bias, labels, Objective(0.1, r_drop=0.7)).item()
        assert found == pytest.approx(halved + 0.7 * apart / 2, rel=1e-6)


def test_r_drop_sees_every_pair_twice_with_masks_of_its_own():
    torch.manual_seed(1)
    config = ModelConfig(encoder_layers=1, decoder_layers=1, width=8, feed_forward=8, heads=2, dropout=0.5)
    model = build_model(config, 300)
    batch = make_batch([[5, 6, 7], [8]], [[9], [10, 11]])
    once = batch_loss(model.eval(), batch, Objective(0.1))
    twice = batch_loss(model, batch, Objective(0.1, r_drop=1.0))
    torch.testing.assert_close(once, twice)  # without dropout the two agree, and cost nothing
    model.train()
    seen = []
    batch_loss(model, batch, Objective(0.1, r_drop=1.0), lambda rows, *_: seen.append(rows) or rows.sum())
    assert len(seen[0]) == 2 * 5
    assert (seen[0][::2] != seen[0][1::2]).any(dim=1).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_plain_is_the_sum_over_rows_written_out(smoothing):
    (states, weight, bias), labels = problem(4, 3, 5)
    total = 0.0
    for state, label in zip(states.tolist(), labels.tolist(), strict=True):
        scores = [
            sum(s * w for s, w in zip(state, row, strict=True)) + b
            for row, b in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        normaliser = math.log(sum(math.exp(score) for score in scores))
        for piece, score in enumerate(scores):
            share = smoothing / 5 + (1 - smoothing if piece == label else 0)
            total -= share * (score - normaliser)
    assert plain_cross_entropy(states, weight, bias, labels, Objective(smoothing)).item() == pytest.approx(total)
    assert smoothed_cross_entropy(states, weight, bias, labels, Objective(smoothing)).item() == pytest.approx(
        total, rel=1e-6
    )


def test_large_logits_stay_finite():
    (states, weight, bias), labels = problem(7, 4, 6, dtype=torch.float32)
    tensors = [(100 * states).detach().requires_grad_(), (100 * weight).detach().requires_grad_(), bias]
    fused, gradients = loss_and_gradients(smoothed_cross_entropy, tensors, labels, 0.1)
    plain, _ = loss_and_gradients(plain_cross_entropy, tensors, labels, 0.1)
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-3)
    assert all(gradient.isfinite().all() for gradient in gradients)


def largest_output(function, rows: int, vocabulary: int) -> int:
    tensors, labels = problem(rows, 2, vocabulary, dtype=torch.float32)
    with Calls() as calls:
        function(*tensors, labels, Objective(0.1)).backward()
    return calls.largest


def test_the_whole_matrix_of_logits_never_exists():
    rows, vocabulary = 2 * CHUNK + 5, 50
    assert largest_output(smoothed_cross_entropy, rows, vocabulary) == CHUNK * vocabulary
    assert largest_output(plain_cross_entropy, rows, vocabulary) == rows * vocabulary  # the measure sees it where it is


def test_the_chunk_changes_nothing(monkeypatch):
    tensors, labels = problem(23, 3, 7)
    whole = loss_and_gradients(smoothed_cross_entropy, tensors, labels, 0.1)
    monkeypatch.setattr(loss, "CHUNK", 4)
    parts = loss_and_gradients(smoothed_cross_entropy, tensors, labels, 0.1)
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=1e-7)
