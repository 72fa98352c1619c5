"""The optimizers: Adam, AdamW, and Muon for linear layers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from nmt.config import TrainingConfig
from nmt.training.precision import type_of_factors

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic of Jordan et al. (2024) ..."""
ITERATIONS = 5
"""... which applied so often brings singular values between 0.01 and 1 to between 0.68 and 1.14."""


def make_optimizer(model: nn.Module, settings: TrainingConfig) -> AnyOptimizer:
    """What `training.optimizer` names. Weight decay is for matrices alone.

    Muon is for the weights of linear layers; AdamW takes embeddings and the output projection, as Jordan et al. (2024)
    do, and learned positions, recurrent matrices and vectors.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    linear: list[nn.Parameter] = []
    if settings.optimizer == "muon":
        linear = [cast(nn.Parameter, module.weight) for module in model.modules() if isinstance(module, nn.Linear)]
    taken = set(linear)
    rest = [parameter for parameter in model.parameters() if parameter not in taken]
    matrices = [parameter for parameter in rest if parameter.dim() > 1]
    vectors = [parameter for parameter in rest if parameter.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    adam = kind(groups, lr=rate, betas=(settings.beta1, settings.beta2), fused=True)
    if not linear:
        return adam
    factors = type_of_factors(settings, linear[0].device)
    return Several([Muon(linear, lr=rate, weight_decay=decay, factors=factors), adam])


class Muon(torch.optim.Optimizer):
    """Steps along the orthogonal matrix nearest to Nesterov's momentum (Jordan et al. 2024), as large as Adam's steps
    usually are (Liu et al. 2025, equation 4), so that Adam's learning rate and weight decay fit it.

    torch.optim.Muon with `adjust_lr_fn="match_rms_adamw"` (PyTorch 2.9 or newer) computes the same in bfloat16,
    matrix after matrix; here those of one shape are multiplied at once.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        factors: torch.dtype | None = None,
    ) -> None:
        """parameters: matrices; factors: the type that they are multiplied in, None for their own."""
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.factors = factors

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in alike.items():
                momenta = torch.stack([self.add_gradient(parameter, group["momentum"]) for parameter in parameters])
                directions = orthogonal(momenta.to(self.factors or momenta.dtype))  # [matrices, rows, columns]
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(direction, alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    def add_gradient(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """Add a matrix's gradient to its momentum. Returns Nesterov's: what the same gradient once more would make."""
        gradient, state = cast(Tensor, parameter.grad), self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(state["momentum"], momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly U V^T of each matrix U S V^T, of a norm above 1e-7; zeros for zeros. matrices [matrices, rows, columns]"""
    if matrices.size(1) > matrices.size(2):  # the smaller product x x^T
        return orthogonal(matrices.mT).mT
    a, b, c = NEWTON_SCHULZ
    x = matrices / torch.linalg.matrix_norm(matrices, keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):  # x becomes a x + b (x x^T) x + c (x x^T)^2 x
        product = x @ x.mT  # [matrices, rows, rows]
        x = torch.baddbmm(x, torch.baddbmm(product, product, product, beta=b, alpha=c), x, beta=a)
    return x


class Several:
    """Optimizers of different parameters as one."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of all."""
        return list(chain.from_iterable(optimizer.param_groups for optimizer in self.optimizers))

    def step(self) -> None:
        """One step of each."""
        for optimizer in self.optimizers:
            optimizer.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The states in the optimizers' order."""
        return {str(number): optimizer.state_dict() for number, optimizer in enumerate(self.optimizers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        for number, optimizer in enumerate(self.optimizers):
            optimizer.load_state_dict(state[str(number)])


AnyOptimizer: TypeAlias = torch.optim.Optimizer | Several
"""What the loop steps."""
