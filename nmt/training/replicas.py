"""A replica of the network for each core: every one takes a share of the batch's sentences, with one thread.

Two threads that share every small operation wait for each other thousands of times a step; two replicas meet once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor, nn

from nmt.models.dropout import Dropout
from nmt.training.pairs import Batch

AT_MOST = 4
"""Replicas. Python runs one thread at a time between operations, and shares of a batch become small."""

Loss = Callable[[nn.Module, Batch], Tensor]
"""A network and a batch to the summed loss, a scalar."""


class Replicas:
    """The network, and copies of it that share its weights but have gradients and dropout of their own."""

    def __init__(self, model: nn.Module, seed: int, threads: int) -> None:
        """On a GPU, and with one thread, the network is its own only replica."""
        on_cpu = next(model.parameters()).device.type == "cpu"
        count = min(threads, AT_MOST) if on_cpu else 1
        self.seed = seed
        self.models = [model] + [sharing_copy(model) for _ in range(1, count)]
        self.generators = [own_generator(replica) for replica in self.models]
        self.pool = ThreadPoolExecutor(count, initializer=lambda: torch.set_num_threads(max(1, threads // count)))

    def backward(self, batch: Batch, loss: Loss, tokens: int, position: tuple[int, ...], precision: Precision) -> float:
        """Add the gradients of the batch's summed loss, divided by `tokens`, to the network's own; returns that sum.

        Dropout is a function of (seed, position) alone, so that a resumed run draws the same masks: `position`
        must differ from batch to batch.
        """
        count = min(len(self.models), len(batch.labels))

        def share(number: int) -> float:
            replica = self.models[number].train()
            draws = np.random.SeedSequence([self.seed, *position, number]).generate_state(1)
            self.generators[number].manual_seed(int(draws[0]))
            with precision():
                summed = loss(replica, batch.part(number, count))
            (summed / tokens).backward()
            return summed.item()

        total = sum(self.pool.map(share, range(count)))
        for replica in self.models[1:count]:
            for own, other in zip(self.models[0].parameters(), replica.parameters(), strict=True):
                if other.grad is not None:
                    own.grad = other.grad if own.grad is None else own.grad.add_(other.grad)
                    other.grad = None
        return total


Precision = Callable[[], AbstractContextManager]
"""Makes the context of mixed precision, or of none."""


def sharing_copy(model: nn.Module) -> nn.Module:
    """A copy whose weights are the same memory, so that it follows every step of the original."""
    replica = copy.deepcopy(model)
    for copied, original in zip(replica.parameters(), model.parameters(), strict=True):
        copied.data = original.data
    return replica


def own_generator(model: nn.Module) -> torch.Generator:
    """A generator that all dropout of this network draws from."""
    generator = torch.Generator()
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator
    return generator
