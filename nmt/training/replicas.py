"""A replica of the network for each core: every one takes a share of the batch's sentences, with one thread.

Two threads that share every small operation wait for each other thousands of times a step; two replicas meet once.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import nn

from nmt.models.dropout import Dropout
from nmt.training.pairs import Batch

AT_MOST = 4
"""Replicas. Python runs one thread at a time between operations, and shares of a batch become small."""


class Replicas:
    """A module that gives the summed loss of a batch, and copies of it that share its weights.

    The copies have gradients and dropout of their own.
    """

    def __init__(self, module: nn.Module, seed: int, threads: int) -> None:
        """On a GPU, and with one thread, the module is its own only replica."""
        on_cpu = next(module.parameters()).device.type == "cpu"
        count = min(threads, AT_MOST) if on_cpu else 1
        self.seed = seed
        self.modules = [module, *(sharing_copy(module) for _ in range(1, count))]
        self.seeders = [own_generator(replica).manual_seed for replica in self.modules]
        if not on_cpu:
            self.seeders = [torch.manual_seed]  # dropout draws there from torch's own generators
        self.pool = ThreadPoolExecutor(count, initializer=lambda: torch.set_num_threads(max(1, threads // count)))

    def backward(self, batch: Batch, scale: float, position: tuple[int, ...]) -> float:
        """Add the gradients of `scale` times the batch's summed loss to the module's own; returns the sum, unscaled.

        Dropout is a function of (seed, position) alone, so that a resumed run draws the same masks: `position`
        differs from batch to batch.
        """
        count = min(len(self.modules), len(batch.labels))

        def share(number: int) -> float:
            draws = np.random.SeedSequence([self.seed, *position, number]).generate_state(1)
            self.seeders[number](int(draws[0]))
            loss = self.modules[number].train()(batch.part(number, count))
            (loss * scale).backward()
            return loss.item()

        # A single share stays in this thread, where other contexts that concern it may be in force.
        total = share(0) if count == 1 else sum(self.pool.map(share, range(count)))
        for replica in self.modules[1:count]:
            for own, other in zip(self.modules[0].parameters(), replica.parameters(), strict=True):
                if other.grad is not None:
                    own.grad = other.grad if own.grad is None else own.grad.add_(other.grad)
                    other.grad = None
        return total


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
