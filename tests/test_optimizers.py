"""Muon beside PyTorch's own and beside a singular value decomposition; which parameters each optimizer moves."""

from __future__ import annotations

import copy

import pytest
import torch
from architectures import ARCHITECTURES, small_model
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nmt.config import TrainingConfig
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
    assert diagonal.min() > 0.67 and diagonal.max() < 1.15
    torch.testing.assert_close(inner, torch.diag_embed(diagonal), atol=1e-9, rtol=0)
    torch.testing.assert_close(left[:, :rank] @ inner @ right[:rank], found, atol=1e-9, rtol=0)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon of its own (2.9 has)")
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_it_steps_as_that_of_pytorch(decay):
    torch.manual_seed(1)
    shapes = [(6, 6), (12, 6), (6, 12), (6, 6)]
    ours = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    optimizer = Muon(ours, lr=0.02, weight_decay=decay, compute_dtype=torch.bfloat16)  # PyTorch's multiplies bfloat16
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        optimizer.step()
        reference.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_a_matrix_without_a_gradient_stays_and_one_with_zeros_decays():
    moved, still, zero = (nn.Parameter(torch.ones(2, 2)) for _ in range(3))
    moved.grad, zero.grad = torch.eye(2), torch.zeros(2, 2)
    Muon([moved, still, zero], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(still, torch.ones(2, 2)) and not torch.equal(moved, torch.ones(2, 2))
    torch.testing.assert_close(zero.detach(), torch.full((2, 2), 0.95))


MUON = {"max_steps": 1, "optimizer": "muon", "learning_rate": 0.5, "weight_decay": 0.1, "precision": "float32"}


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("tied", [True, False])
def test_muon_is_for_linear_layers(name, tied):
    model = small_model(name, tied_embeddings=tied)
    muon, adam = make_optimizer(model, TrainingConfig(**MUON)).optimizers
    names = {parameter: name for name, parameter in model.named_parameters()}
    by_muon = [names[one] for group in muon.param_groups for one in group["params"]]
    matrices, vectors = ([names[one] for one in group["params"]] for group in adam.param_groups)
    assert sorted(by_muon + matrices + vectors) == sorted(names.values())
    assert by_muon and all(isinstance(model.get_submodule(name.removesuffix(".weight")), nn.Linear) for name in by_muon)
    words = ("embedding", "output_weight", "positions", "_l0", "query_weight")  # the last two: GRUs, additive scores
    assert matrices and all(any(word in name for word in words) for name in matrices), matrices
    assert all(dict(model.named_parameters())[name].dim() == 1 for name in vectors)
    assert [group["weight_decay"] for group in muon.param_groups + adam.param_groups] == [0.1, 0.1, 0.0]
    assert {group["lr"] for group in muon.param_groups + adam.param_groups} == {0.5}


@pytest.mark.parametrize("precision, dtype", [("float32", None), ("bfloat16", torch.bfloat16)])
def test_muon_multiplies_what_the_precision_says(precision, dtype):
    settings = TrainingConfig(**{**MUON, "precision": precision})
    assert make_optimizer(small_model("transformer"), settings).optimizers[0].compute_dtype == dtype


def test_several_optimizers_step_and_resume_as_one():
    model, other = small_model("transformer"), small_model("transformer")
    first, second = (make_optimizer(one, TrainingConfig(**MUON)) for one in (model, other))
    for rate in (0.0, 0.01, 0.02):
        before = copy.deepcopy(model.state_dict())
        for group in first.param_groups:
            group["lr"] = rate  # as the loop sets it
        for number, parameter in enumerate(model.parameters()):
            parameter.grad = torch.cos(number + parameter.detach())
        first.step()
        first.zero_grad()
        assert all(parameter.grad is None for parameter in model.parameters())
        if rate == 0.0:
            assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    other.load_state_dict(model.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for one, optimizer in ((model, first), (other, second)):
        for number, parameter in enumerate(one.parameters()):
            parameter.grad = torch.sin(number + parameter.detach())
        optimizer.step()
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(model.parameters(), other.parameters(), strict=True))
