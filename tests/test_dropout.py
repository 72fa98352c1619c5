"""Dropout from random bytes: the statistics of its masks, and nothing at all in evaluation."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt.models.dropout import Dropout, keep_mask

DRAWS = 200_000


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_the_rate_and_the_expectation(p):
    torch.manual_seed(1)
    dropped = Dropout(p)(torch.ones(DRAWS))
    rate = round(p * 256) / 256
    deviation = math.sqrt(rate * (1 - rate) / DRAWS)
    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=5 * deviation)
    assert dropped.mean().item() == pytest.approx(1.0, abs=5 * deviation / (1 - rate))
    assert abs(rate - p) <= 1 / 512


@given(p=st.floats(0, 1, exclude_max=True), rows=st.integers(0, 5), columns=st.integers(1, 9))
def test_what_is_kept_is_scaled_and_what_is_dropped_is_zero(p, rows, columns):
    x = torch.arange(1.0, rows * columns + 1).view(rows, columns)
    dropout = Dropout(p)
    scale = 256 / (256 - dropout.threshold)
    result = dropout(x)
    assert result.shape == x.shape
    assert (((result - x * scale).abs() < 1e-3 * scale * x) | (result == 0)).all()


@given(p=st.floats(0, 1, exclude_max=True))
def test_evaluation_changes_nothing(p):
    x = torch.randn(3, 5)
    assert Dropout(p).eval()(x) is x


def test_rate_zero_changes_nothing():
    x = torch.randn(3, 5)
    assert Dropout(0.0)(x) is x


def test_all_eight_bytes_of_a_draw_are_alike_and_independent():
    torch.manual_seed(2)
    dropped = (keep_mask(torch.empty(DRAWS, 8), 77) == 0).double()  # each row is one 64-bit draw
    rates = dropped.mean(dim=0)
    deviation = math.sqrt(77 / 256 * (1 - 77 / 256) / DRAWS)
    assert (rates - 77 / 256).abs().max() < 5 * deviation
    correlations = torch.corrcoef(dropped.T) - torch.eye(8)
    assert correlations.abs().max() < 5 / math.sqrt(DRAWS)


def test_neighbouring_draws_are_independent():
    torch.manual_seed(3)
    dropped = (keep_mask(torch.empty(DRAWS), 26) == 0).double()
    for distance in (1, 7, 8, 64):
        pair = torch.stack([dropped[:-distance], dropped[distance:]])
        assert abs(torch.corrcoef(pair)[0, 1]) < 5 / math.sqrt(DRAWS)


def test_a_seed_gives_the_same_mask_and_the_next_draw_another():
    dropout, x = Dropout(0.5), torch.ones(1000)
    torch.manual_seed(4)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(4)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(first, second)


def test_the_gradient_passes_where_the_value_passed():
    torch.manual_seed(5)
    x = torch.randn(100, dtype=torch.float64, requires_grad=True)
    result = Dropout(0.3)(x)
    result.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), result.detach())
