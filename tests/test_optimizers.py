"""Muon beside PyTorch's own and beside a singular value decomposition; which parameters each optimizer moves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nmt.config import ModelConfig, TrainingConfig
from nmt.models import build_model
from nmt.training.optimizers import Muon, make_optimizer, orthogonal


@given(
    rows=st.integers(1, 24),
    columns=st.integers(1, 24),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    seed=st.integers(0, 999),
)
def test_singular_vectors_stay_and_singular_values_come_near_one(rows, columns, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(rows, rows, generator=generator, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(columns, columns, generator=generator, dtype=torch.float64))[0]
    rank = min(rows, columns)
    values = 0.1 + 0.9 * torch.rand(2, rank, generator=generator, dtype=torch.float64)
    found = orthogonal(scale * (left[:, :rank] * values[:, None]) @ right[:rank])  # [2, rows, columns]
    inner = left[:, :rank].T @ found @ right[:rank].T  # [2, rank, rank]
    diagonal = inner.diagonal(dim1=1, dim2=2)
    assert diagonal.min() > 0.65 and diagonal.max() < 1.25
    torch.testing.assert_close(inner, torch.diag_embed(diagonal), atol=1e-9, rtol=0)
    torch.testing.assert_close(left[:, :rank] @ inner @ right[:rank], found, atol=1e-9, rtol=0)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon of its own (2.9 has)")
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_it_steps_as_that_of_pytorch(decay):
    torch.manual_seed(1)
    shapes = [(6, 6), (12, 6), (6, 12), (6, 6)]
    ours = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    optimizer = Muon(ours, lr=0.02, weight_decay=decay, factors=torch.bfloat16)  # PyTorch's multiplies bfloat16
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        optimizer.step()
        reference.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_a_matrix_without_a_gradient_stays():
    moved, still = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    moved.grad = torch.eye(2)
    Muon([moved, still], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(still, torch.ones(2, 2)) and not torch.equal(moved, torch.ones(2, 2))


@pytest.mark.parametrize("tied", [True, False])
def test_muon_is_for_the_matrices_within(tied):
    config = ModelConfig(encoder_layers=1, decoder_layers=1, width=8, heads=2, feed_forward=16, tied_embeddings=tied)
    model = build_model(config, 300)
    settings = TrainingConfig(max_steps=1, optimizer="muon", learning_rate=0.5, weight_decay=0.1, precision="float32")
    muon, adam = make_optimizer(model, settings).optimizers
    names = {parameter: name for name, parameter in model.named_parameters()}
    by_muon = [names[one] for group in muon.param_groups for one in group["params"]]
    matrices, vectors = ([names[one] for one in group["params"]] for group in adam.param_groups)
    assert sorted(by_muon + matrices + vectors) == sorted(names.values())
    assert by_muon and all(name.startswith(("encoder_layers", "decoder_layers")) for name in by_muon)
    assert sorted(matrices) == sorted(
        ["output_weight"] if tied else ["target_embedding.weight", "source_embedding.weight", "output_weight"]
    )
    assert all(dict(model.named_parameters())[name].dim() == 1 for name in vectors)
    assert [group["weight_decay"] for group in adam.param_groups] == [0.1, 0.0]


def test_the_learning_rate_is_that_of_all_groups():
    model = build_model(ModelConfig(encoder_layers=1, decoder_layers=1, width=8, heads=2, feed_forward=16), 300)
    optimizer = make_optimizer(model, TrainingConfig(max_steps=1, optimizer="muon"))
    for group in optimizer.param_groups:
        group["lr"] = 0.0  # as the loop sets it
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))
