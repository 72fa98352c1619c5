"""The optimizers: Adam, AdamW, and Muon for linear layers."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from nmt.config import TrainingConfig
from nmt.training.precision import compute_dtype_of

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration of Jordan et al. (2024)."""
ITERATIONS = 5
"""Iterations: singular values from 0.01 to 1 end between 0.68 and 1.14."""


def make_optimizer(model: nn.Module, settings: TrainingConfig) -> AnyOptimizer:
    """The optimizer named by `training.optimizer`. Only matrices decay.

    Muon updates the weights of linear layers. AdamW updates embeddings and the output projection, as in Jordan et al.
    (2024), and also learned positions, recurrent matrices and vectors.
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
    dtype = compute_dtype_of(settings, linear[0].device)
    return ChainedOptimizer([Muon(linear, lr=rate, weight_decay=decay, compute_dtype=dtype), adam])


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024): steps along the orthogonal matrix nearest to Nesterov's momentum.

    Steps are scaled to the usual size of Adam's (Liu et al. 2025, equation 4), so both share learning rate and weight
    decay. torch.optim.Muon with `adjust_lr_fn="match_rms_adamw"` (PyTorch 2.9 or newer) computes the same in bfloat16,
    one matrix at a time; here those of the same shape are multiplied in batches, one for each CPU thread: threads that
    split every small product wait for each other longer than they multiply.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        compute_dtype: torch.dtype | None = None,
    ) -> None:
        """parameters: matrices; compute_dtype: the type to multiply them in, None for their own."""
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.compute_dtype = compute_dtype
        on_cpu = self.param_groups[0]["params"][0].device.type == "cpu"
        self.threads = torch.get_num_threads() if on_cpu else 1
        self.pool = ThreadPoolExecutor(self.threads, initializer=lambda: torch.set_num_threads(1))

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault(parameter.shape, []).append(parameter)
            shares = [found[own :: self.threads] for found in alike.values() for own in range(self.threads)]
            list(self.pool.map(partial(self.update, group), filter(None, shares)))

    @torch.no_grad()
    def update(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Update matrices of one shape."""
        momenta = torch.stack([self.add_gradient(parameter, group["momentum"]) for parameter in parameters])
        directions = orthogonal(momenta.to(self.compute_dtype or momenta.dtype))  # [matrices, rows, columns]
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(direction, alpha=-group["lr"] * 0.2 * max(parameter.shape) ** 0.5)

    def add_gradient(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """Add a matrix's gradient to its momentum; returns Nesterov's look-ahead momentum."""
        gradient, state = cast(Tensor, parameter.grad), self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(state["momentum"], momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """Approximate U V^T of each U S V^T in matrices [matrices, rows, columns], of norm above 1e-7; zeros stay zeros."""
    if matrices.size(1) > matrices.size(2):  # keep x x^T small
        return orthogonal(matrices.mT).mT
    a, b, c = NEWTON_SCHULZ
    x = matrices / torch.linalg.matrix_norm(matrices, keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):  # x <- a x + b (x x^T) x + c (x x^T)^2 x
        product = x @ x.mT  # [matrices, rows, rows]
        x = torch.baddbmm(x, torch.baddbmm(product, product, product, beta=b, alpha=c), x, beta=a)
    return x


class ChainedOptimizer:
    """Several optimizers, each with parameters of its own, behind one interface."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all optimizers."""
        return list(chain.from_iterable(optimizer.param_groups for optimizer in self.optimizers))

    def step(self) -> None:
        """Step every optimizer."""
        for optimizer in self.optimizers:
            optimizer.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The optimizers' states, keyed by their position."""
        return {str(number): optimizer.state_dict() for number, optimizer in enumerate(self.optimizers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a result of `state_dict`."""
        for number, optimizer in enumerate(self.optimizers):
            optimizer.load_state_dict(state[str(number)])


AnyOptimizer: TypeAlias = torch.optim.Optimizer | ChainedOptimizer
"""What the training loop steps."""
