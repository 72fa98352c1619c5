"""Mixed precision: factors of the large matrix products in bfloat16 where the machine is made for it."""

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

ROWS = 256
"""A left factor's rows are made up to a multiple of this: oneDNN compiles, and keeps, a kernel for every shape."""


def type_of_factors(settings: TrainingConfig, device: torch.device) -> torch.dtype | None:
    """What `training.precision` says, None for the weights' own type; `auto` is what the machine is made for."""
    if settings.precision != "auto":
        native = settings.precision == "bfloat16"
    elif device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # without such instructions bfloat16 is slower than float32; older PyTorch cannot tell
        tell: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
        native = device.type == "cpu" and any(tell().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return torch.bfloat16 if native else None


def precision_of(settings: TrainingConfig, device: torch.device) -> str:
    """The same by name, for the record."""
    return "float32" if type_of_factors(settings, device) is None else "bfloat16"


def mixed_precision(factors: torch.dtype | None, device: torch.device) -> AbstractContextManager:
    """The context of a model's forward pass."""
    if factors is None:
        return contextlib.nullcontext()
    return Bfloat16Linear() if device.type == "cpu" else torch.autocast(device.type, dtype=factors)


class Bfloat16Linear(TorchFunctionMode):
    """Within the block linear layers multiply bfloat16 numbers, and nothing else changes.

    torch.autocast would also add, normalise and attend in bfloat16, for which a CPU has no fast instructions. Here what
    goes into a linear layer and what comes out is float32, if with bfloat16's eight bits.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        call = LinearProduct.apply if func is functional.linear else func
        return call(*args, **(kwargs or {}))


class LinearProduct(torch.autograd.Function):
    """x W^T + b: x and W rounded to bfloat16, summed in float32, the sum rounded to bfloat16, b added in float32.

    Its two gradients are such products too.
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
        weight_gradient = (low_gradient.T @ low).float()  # [out, in]; the rows of zeros add nothing
        return x_gradient, weight_gradient, rows.sum(dim=0) if ctx.biased else None


def lowered(x: Tensor) -> Tensor:
    """x [rows, width] in bfloat16, rows of zeros below: [rows, up to a multiple of `ROWS`, width]."""
    low = x.new_empty(-(-len(x) // ROWS) * ROWS, x.size(1), dtype=torch.bfloat16)
    low[: len(x)] = x
    low[len(x) :] = 0
    return low
