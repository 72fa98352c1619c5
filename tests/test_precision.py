"""Products in bfloat16 against torch's own, where these are exact, and what selects them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from toy import toy_config

from nmt.checkpoint import Checkpoint
from nmt.config import TrainingConfig, load_config
from nmt.training.loss import CHUNK, Objective, plain_cross_entropy, smoothed_cross_entropy
from nmt.training.precision import ROWS, Bfloat16Linear, compute_dtype_of, lowered, mixed_precision
from nmt.training.run import train

CPU = torch.device("cpu")


def signs(*shape: int, seed: int) -> torch.Tensor:
    """Numbers of which bfloat16, with its eight bits, can hold 256 summed products."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, shape, generator=random).float().requires_grad_()


def forward_and_gradients(x, weight, bias, upstream):
    output = functional.linear(x, weight, bias)
    wanted = [tensor for tensor in (x, weight, bias) if tensor is not None]
    return [output, *torch.autograd.grad(output, wanted, upstream)]


@settings(max_examples=40, deadline=None)
@given(
    leading=st.sampled_from([(), (1,), (7, 5), (2, 3, 4), (ROWS,), (ROWS - 1, 1)]),
    inner=st.integers(1, 40),
    outer=st.integers(1, 40),
    biased=st.booleans(),
    seed=st.integers(0, 99),
)
def test_small_whole_numbers_give_what_torch_gives_exactly(leading, inner, outer, biased, seed):
    x, weight = signs(*leading, inner, seed=seed), signs(outer, inner, seed=seed + 1)
    bias = signs(outer, seed=seed + 2) if biased else None
    upstream = signs(*leading, outer, seed=seed + 3).detach()
    exact = forward_and_gradients(x, weight, bias, upstream)
    with Bfloat16Linear():
        ours = forward_and_gradients(x, weight, bias, upstream)
    for one, other in zip(ours, exact, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)


def test_factors_are_rounded_to_bfloat16_within_the_block_only():
    x, weight = torch.full((1, 1), 1 + 2**-12), torch.ones(1, 1)
    with Bfloat16Linear():
        assert functional.linear(x, weight).item() == 1
        assert (x @ weight).item() == 1 + 2**-12  # no other product is changed
        assert functional.layer_norm(x.expand(1, 2), (2,)).dtype == torch.float32
    assert functional.linear(x, weight).item() == 1 + 2**-12


def test_a_left_factor_has_few_shapes_and_zeros_below():
    shapes = set()
    for rows in range(1, 4 * ROWS):
        low = lowered(torch.ones(rows, 3))
        shapes.add(low.shape)
        assert low.sum(dtype=torch.float32) == 3 * rows
        assert low[:rows].eq(1).all()
    assert shapes == {(ROWS * number, 3) for number in range(1, 5)}


@pytest.mark.parametrize("r_drop", [0.0, 1.0])
@pytest.mark.parametrize("rows", [2, CHUNK + 10, 2 * CHUNK])
def test_the_loss_in_bfloat16_is_near_the_plain_one(rows, r_drop):
    random = torch.Generator().manual_seed(rows)
    shapes = [(rows, 16), (50, 16), (50,)]
    tensors = [torch.randn(shape, generator=random).requires_grad_() for shape in shapes]
    labels = torch.randint(50, (rows,), generator=random)
    exact = plain_cross_entropy(*tensors, labels, Objective(0.1, r_drop))
    loss = smoothed_cross_entropy(*tensors, labels, Objective(0.1, r_drop, torch.bfloat16))
    assert loss.item() == pytest.approx(exact.item(), rel=0.01)
    for ours, plain in zip(torch.autograd.grad(loss, tensors), torch.autograd.grad(exact, tensors), strict=True):
        assert ours.dtype == torch.float32
        assert functional.cosine_similarity(ours.flatten(), plain.flatten(), dim=0) > 0.999


@pytest.mark.parametrize(
    ("precision", "capabilities", "dtype"),
    [
        ("auto", {"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ("auto", {"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ("auto", {"avx512_bf16": False, "avx2": True}, None),
        ("auto", {}, None),
        ("float32", {"avx512_bf16": True}, None),
        ("bfloat16", {}, torch.bfloat16),
    ],
)
def test_the_machine_chooses_unless_told(monkeypatch, precision, capabilities, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    settings = TrainingConfig(max_steps=1, precision=precision)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: capabilities.get("amx_bf16"))
    if precision == "auto":  # a GPU that only emulates bfloat16 multiplies float32
        assert (compute_dtype_of(settings, torch.device("cuda")) is None) == (not capabilities.get("amx_bf16"))
    assert compute_dtype_of(settings, CPU) == dtype
    assert isinstance(mixed_precision(dtype, CPU), Bfloat16Linear) == (dtype is not None)


def test_a_pytorch_that_cannot_tell_multiplies_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert compute_dtype_of(TrainingConfig(max_steps=1), CPU) is None


def test_training_learns_as_much_in_bfloat16(tmp_path):
    toy_config(tmp_path)
    losses = {}
    for precision in ("float32", "bfloat16"):
        overrides = [f"checkpoint={tmp_path / precision}", f"training.precision={precision}"]
        directory = train(load_config(tmp_path / "run.yaml", overrides))
        losses[precision] = Checkpoint(directory).metadata.record["dev_loss"]
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)
