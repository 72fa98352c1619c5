"""From batches to gradients, over ranks and cores.

Each core runs its share of a batch on a replica of the network, on one thread: threads that split every small operation
would synchronize thousands of times a step, replicas synchronize once.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import nn

from nmt.models import Model
from nmt.models.dropout import Dropout
from nmt.text.subwords import PADDING
from nmt.training.context import Run
from nmt.training.loss import Objective, StepLoss
from nmt.training.pairs import Batch, BatchPlan, EncodedPairs

AT_MOST = 4
"""Most replicas: more would wait for Python's lock, and shares of a batch become small."""


class Gradients:
    """The forward and backward passes of a step, shared among ranks and cores."""

    def __init__(self, run: Run, model: Model, pairs: EncodedPairs) -> None:
        settings = run.config.training
        self.run, self.pairs = run, pairs
        self.loss = run.ranks.parallel(StepLoss(model, Objective.of(run.config, run.device)))
        self.replicas = Replicas(self.loss, settings.seed, torch.get_num_threads() if run.ranks.count == 1 else 1)

    def add(self, fed: Sequence[BatchPlan], step: int) -> tuple[float, int]:
        """Add the gradients of a step's batches: the mean loss per target piece.

        Returns the summed loss in nats of this rank's batches, and the target pieces of all ranks' batches.
        """
        ranks = self.run.ranks
        batches = [self.pairs.batch(*one).to(self.run.device) for one in ranks.share(fed)]
        tokens = int(*ranks.sum(sum(int((batch.labels != PADDING).sum()) for batch in batches)))
        loss = 0.0
        for number, batch in enumerate(batches):
            with ranks.communicating(self.loss, wanted=batch is batches[-1]):
                # DDP averages gradients over ranks; times their number, that is the sum over the step's batches.
                loss += self.replicas.backward(batch, ranks.count / tokens, (step, ranks.rank, number))
        return loss, tokens


class Replicas:
    """A module that returns a batch's summed loss, and copies that share its weights.

    Each copy has its own gradients and dropout generator.
    """

    def __init__(self, module: nn.Module, seed: int, threads: int) -> None:
        """On a GPU or with one thread, the module itself is the only replica."""
        on_cpu = next(module.parameters()).device.type == "cpu"
        count = min(threads, AT_MOST) if on_cpu else 1
        self.seed = seed
        self.modules = [module, *(sharing_copy(module) for _ in range(1, count))]
        self.seeders = [own_generator(replica).manual_seed for replica in self.modules]
        if not on_cpu:
            self.seeders = [torch.manual_seed]  # dropout on a GPU draws from torch's own generators
        self.pool = ThreadPoolExecutor(count, initializer=lambda: torch.set_num_threads(max(1, threads // count)))

    def backward(self, batch: Batch, scale: float, position: tuple[int, ...]) -> float:
        """Add the gradients of `scale` times the batch's summed loss; returns that sum, unscaled.

        Dropout masks are a function of (seed, position) alone, so a resumed run draws the same ones. `position` must
        be unique to the batch.
        """
        count = min(len(self.modules), len(batch.labels))

        def share(number: int) -> float:
            draws = np.random.SeedSequence([self.seed, *position, number]).generate_state(1)
            self.seeders[number](int(draws[0]))
            loss = self.modules[number].train()(batch.part(number, count))
            (loss * scale).backward()
            return loss.item()

        # A single share stays in this thread, where context managers such as no_sync are active.
        total = share(0) if count == 1 else sum(self.pool.map(share, range(count)))
        for replica in self.modules[1:count]:
            for own, other in zip(self.modules[0].parameters(), replica.parameters(), strict=True):
                if other.grad is not None:
                    own.grad = other.grad if own.grad is None else own.grad.add_(other.grad)
                    other.grad = None
        return total


def sharing_copy(model: nn.Module) -> nn.Module:
    """A copy that shares the memory of the original's weights and so follows its steps."""
    replica = copy.deepcopy(model)
    for copied, original in zip(replica.parameters(), model.parameters(), strict=True):
        copied.data = original.data
    return replica


def own_generator(model: nn.Module) -> torch.Generator:
    """Give all dropout layers of a network one new generator; returns it."""
    generator = torch.Generator()
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator
    return generator
