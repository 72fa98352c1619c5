"""From batches to gradients, over ranks and cores.

Each core makes its share of a batch and runs it through a replica of the network, on one thread and in a process of its
own: threads that split every small operation would synchronize thousands of times a step, and Python's lock admits one
thread at a time. Replicas share their weights in memory and synchronize once a step.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawArray

import numpy as np
import torch
from torch import Tensor, nn

from nmt.errors import UserError
from nmt.models import Model
from nmt.models.dropout import Dropout
from nmt.text.subwords import PADDING
from nmt.training.context import Run
from nmt.training.device import keep_memory
from nmt.training.loss import Objective, StepLoss
from nmt.training.pairs import BatchPlan, EncodedPairs
from nmt.training.signals import ignored_signals
from nmt.training.workers import end_with_parent

AT_MOST = 4
"""Most replicas: with more, shares of a batch become small."""


class Gradients:
    """The forward and backward passes of a step, shared among ranks and cores."""

    def __init__(self, run: Run, model: Model, pairs: EncodedPairs) -> None:
        keep_memory()
        self.ranks = run.ranks
        self.loss = run.ranks.parallel(StepLoss(model, Objective.of(run.config, run.device)))
        alone = run.ranks.count == 1 and run.device.type == "cpu"
        count = min(torch.get_num_threads(), AT_MOST) if alone else 1
        self.replicas = Replicas(self.loss, pairs, run.config.training.seed, count)

    def add(self, fed: Sequence[BatchPlan], step: int) -> tuple[float, int]:
        """Accumulate the gradient of the mean loss per target piece over a step's batches.

        Returns the summed loss in nats of this rank's batches, and the target pieces of all ranks' batches.
        """
        ranks, own = self.ranks, self.ranks.share(fed)
        loss, pieces = 0.0, 0
        for number, plan in enumerate(own):
            with ranks.communicating(self.loss, wanted=number == len(own) - 1):
                more, counted = self.replicas.backward(plan, (step, ranks.rank, number))
            loss, pieces = loss + more, pieces + counted
        (tokens,) = ranks.sum(pieces)
        # DDP averages gradients over ranks; times their number, that is the sum over the step's batches.
        self.replicas.scale(ranks.count / tokens)
        return loss, int(tokens)

    def close(self) -> None:
        """End the processes of other cores."""
        self.replicas.close()


class Replica:
    """A module that returns a batch's summed loss, and the pairs that batches are made of."""

    def __init__(self, loss: nn.Module, pairs: EncodedPairs, seed: int) -> None:
        self.loss, self.pairs, self.seed = loss, pairs, seed
        self.device = next(loss.parameters()).device
        # Dropout on a GPU draws from torch's own generators.
        self.seed_dropout = own_generator(loss).manual_seed if self.device.type == "cpu" else torch.manual_seed

    def backward(self, plan: BatchPlan, position: tuple[int, ...]) -> tuple[float, int]:
        """Add the gradients of the batch's summed loss; returns that sum and the batch's target pieces.

        Dropout masks are a function of (seed, position) alone, so a resumed run draws the same ones. `position` must
        be unique to the batch.
        """
        batch = self.pairs.batch(*plan)
        pieces = int((batch.labels != PADDING).sum())
        self.seed_dropout(int(np.random.SeedSequence([self.seed, *position]).generate_state(1)[0]))
        loss = self.loss.train()(batch.to(self.device))
        loss.backward()
        return loss.item(), pieces


class Replicas:
    """A replica in this process, and others that share its weights, each in a process of its own.

    `close` ends these processes.
    """

    def __init__(self, loss: nn.Module, pairs: EncodedPairs, seed: int, count: int) -> None:
        """`count`: replicas, `loss` itself among them; the others get `loss` pickled, and share its weights."""
        self.threads = max(1, torch.get_num_threads() // count)
        """PyTorch threads of each replica; call `backward` under `computing_with(threads)`."""
        self.parameters = list(loss.parameters())
        self.workers: list[ProcessPoolExecutor] = []
        self.begun: list[Future[None]] = []
        self.gradients: list[list[Tensor]] = []  # of each worker, one for each parameter
        if count > 1:
            weights = self._shared()
            for parameter, view in zip(self.parameters, views(weights, self.parameters), strict=True):
                parameter.data = view.copy_(parameter.data)
            for _ in range(1, count):
                own = self._shared()
                pool = ProcessPoolExecutor(1, get_context("spawn"), _begin, (weights, own, self.threads))
                self.workers.append(pool)
                with ignored_signals():  # a terminal sends its signals to all processes; this one ends the others
                    pool.submit(int)
                self.begun.append(pool.submit(_receive, loss, pairs, seed))
                self.gradients.append(views(own, self.parameters))
        self.own = Replica(loss, pairs, seed)

    def backward(self, plan: BatchPlan, position: tuple[int, ...]) -> tuple[float, int]:
        """Add the gradients of the batch's summed loss, of which each replica computes its share; returns that sum and
        the batch's target pieces.

        Raises UserError when a process has ended.
        """
        count = min(1 + len(self.workers), len(plan.rows))
        first, *others = ((plan.part(number, count), (*position, number)) for number in range(count))
        try:
            found = [
                pool.submit(_backward, *share) for pool, share in zip(self.workers[: count - 1], others, strict=True)
            ]
            results = [self.own.backward(*first)]
            while self.begun:
                self.begun.pop().result()  # raises what a process met with
            results += [share.result() for share in found]
        except BrokenProcessPool:
            raise UserError(
                "a process that shares the work has ended, perhaps for want of memory: go on with --resume and "
                "training.threads=1; a script that calls `train` must do so under `if __name__ == '__main__'`"
            ) from None
        for theirs in self.gradients[: count - 1]:
            for parameter, gradient in zip(self.parameters, theirs, strict=True):
                parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad.add_(gradient)
        return sum(loss for loss, _ in results), sum(pieces for _, pieces in results)

    def scale(self, factor: float) -> None:
        """Multiply the gradients by `factor`."""
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)

    def close(self) -> None:
        """End the processes."""
        for pool in self.workers:
            pool.shutdown()

    def _shared(self) -> ctypes.Array:
        return RawArray("b", sum(parameter.nbytes for parameter in self.parameters))


def views(shared: ctypes.Array, parameters: list[nn.Parameter]) -> list[Tensor]:
    """Tensors of the parameters' shapes, one after the other in shared memory of their size."""
    parts = torch.frombuffer(shared, dtype=parameters[0].dtype).split([parameter.numel() for parameter in parameters])
    return [part.view_as(parameter) for part, parameter in zip(parts, parameters, strict=True)]


def own_generator(model: nn.Module) -> torch.Generator:
    """Give all dropout layers of a network one new generator; returns it."""
    generator = torch.Generator()
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator
    return generator


_memory: tuple[ctypes.Array, ctypes.Array]
"""In a worker: the shared memory of the weights and of this worker's gradients."""
_replica: Replica
_shared: list[tuple[nn.Parameter, Tensor]]
"""In a worker: the parameters, and where their gradients go."""


def _begin(weights: ctypes.Array, gradients: ctypes.Array, threads: int) -> None:
    global _memory
    end_with_parent()
    keep_memory()
    torch.set_num_threads(threads)
    _memory = weights, gradients


def _receive(loss: nn.Module, pairs: EncodedPairs, seed: int) -> None:
    global _replica, _shared
    _replica = Replica(loss, pairs, seed)
    parameters = list(loss.parameters())
    weights, gradients = (views(memory, parameters) for memory in _memory)
    for parameter, weight in zip(parameters, weights, strict=True):
        parameter.data = weight
    _shared = list(zip(parameters, gradients, strict=True))


def _backward(plan: BatchPlan, position: tuple[int, ...]) -> tuple[float, int]:
    result = _replica.backward(plan, position)
    for parameter, shared in _shared:
        if parameter.grad is None:
            shared.zero_()
        else:
            shared.copy_(parameter.grad)
            parameter.grad = None
    return result
