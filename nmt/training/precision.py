"""Mixed precision: large matrix products take bfloat16 inputs on hardware with bfloat16 instructions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nmt.config import TrainingConfig

ROWS = 128
"""Left matrices are padded to a multiple of this many rows: oneDNN compiles and keeps a kernel for every shape."""


def compute_dtype_of(settings: TrainingConfig, device: torch.device) -> torch.dtype | None:
    """The type selected by `training.precision`; None for the weights' own. `auto` asks the hardware."""
    if settings.precision != "auto":
        native = settings.precision == "bfloat16"
    elif device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # emulated bfloat16 is slower than float32; older PyTorch does not report capabilities
        capabilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
        native = device.type == "cpu" and any(capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return torch.bfloat16 if native else None


def mixed_precision(compute_dtype: torch.dtype | None, device: torch.device) -> AbstractContextManager:
    """The context for a model's forward pass."""
    if compute_dtype is None:
        return contextlib.nullcontext()
    return Bfloat16Linear() if device.type == "cpu" else torch.autocast(device.type, dtype=compute_dtype)


class Bfloat16Linear(TorchFunctionMode):
    """Within the block linear layers multiply in bfloat16, and nothing else changes.

    torch.autocast would also add, normalize and attend in bfloat16, for which CPUs have no fast instructions. Here
    inputs and outputs of a linear layer stay float32, the outputs rounded to bfloat16's eight bits.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        call = LinearProduct.apply if func is functional.linear else func
        return call(*args, **(kwargs or {}))


class LinearProduct(torch.autograd.Function):
    """x W^T + b with x and W rounded to bfloat16, accumulated in float32, rounded to bfloat16; b is added in float32.

    Both gradients are computed the same way.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        rows = x.reshape(-1, x.size(-1))  # [rows, in]
        low, low_weight = lowered(rows), weight.bfloat16()
        ctx.save_for_backward(low, low_weight)
        ctx.biased = bias is not None
        output = (low @ low_weight.T)[: len(rows)].float()  # [rows, out]
        if bias is not None:
            output += bias
        return output.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        low, low_weight = ctx.saved_tensors
        gradient = upstream[0]
        rows = gradient.reshape(-1, gradient.size(-1))  # [rows, out]
        low_gradient = lowered(rows)
        x_gradient = (low_gradient @ low_weight)[: len(rows)].float().view(*gradient.shape[:-1], -1)
        weight_gradient = (low_gradient.T @ low).float()  # [out, in]; padding rows add nothing
        return x_gradient, weight_gradient, rows.sum(dim=0) if ctx.biased else None


def lowered(x: Tensor) -> Tensor:
    """Round x [rows, width] to bfloat16 and pad it with rows of zeros to a multiple of `ROWS`."""
    low = x.new_empty(-(-len(x) // ROWS) * ROWS, x.size(1), dtype=torch.bfloat16)
    low[: len(x)] = x
    low[len(x) :] = 0
    return low
