"""Ranks: the processes of one training run, as torchrun starts them. A process alone is rank 0 of 1 and pays nothing.

A run's batches are one sequence, whatever the number of ranks: every step takes the next few of it, and its ranks
compute every n-th of those (`Ranks.share`). Gradients are summed over ranks by DistributedDataParallel (Li et al.
2020), while they are still being computed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from nmt.errors import UserError

Item = TypeVar("Item")
PREPARATION = timedelta(days=7)
"""How long ranks wait for rank 0 to prepare the corpus."""
USER_ERROR = 2
"""Exit status of a rank that leaves the message to rank 0."""


@dataclass(frozen=True)
class Ranks:
    """Which of the run's processes this one is."""

    rank: int = 0
    count: int = 1
    waiting: Any = None
    """The process group in which rank 0 is waited for."""

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which alone writes, logs and prints."""
        return self.rank == 0

    def tell(self, message: str) -> None:
        """Print on standard error, once for all ranks."""
        if self.leads:
            tqdm.write(message, file=sys.stderr)

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This rank's items: every `count`-th. Over ranks they are all items, each once."""
        return items[self.rank :: self.count]

    def gather(self, thing: Any) -> list[Any]:
        """Every rank's `thing`, in the order of ranks, on every rank."""
        if self.count == 1:
            return [thing]
        things: list[Any] = [None] * self.count
        dist.all_gather_object(things, thing)
        return things

    def sum(self, *values: float) -> list[float]:
        """Sums over ranks, equal to the last bit on all of them: they decide alike."""
        if self.count == 1:
            return list(values)
        own = torch.tensor(values, dtype=torch.float64)
        everyone = [torch.empty_like(own) for _ in range(self.count)]
        dist.all_gather(everyone, own)
        return torch.stack(everyone).sum(dim=0).tolist()

    @contextlib.contextmanager
    def in_turn(self) -> Iterator[None]:
        """Rank 0 does the block first; the others do it when rank 0 has, and end quietly when it could not."""
        done = [False]
        if self.count > 1 and not self.leads:
            dist.broadcast_object_list(done, src=0, group=self.waiting)
            if not done[0]:
                raise SystemExit(USER_ERROR)
        try:
            yield
            done = [True]
        finally:
            if self.count > 1 and self.leads:
                dist.broadcast_object_list(done, src=0, group=self.waiting)

    def parallel(self, module: nn.Module) -> nn.Module:
        """The module with the gradients of all ranks: their mean is formed while `backward` runs."""
        if self.count == 1:
            return module
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of a new name for broadcast_buffers
            return DistributedDataParallel(module, broadcast_buffers=False, gradient_as_bucket_view=True)

    def communicating(self, module: nn.Module, wanted: bool) -> contextlib.AbstractContextManager:
        """Whether a backward pass exchanges gradients, or only adds to this rank's own."""
        if self.count == 1 or wanted:
            return contextlib.nullcontext()
        return module.no_sync()  # type: ignore[operator]


ALONE = Ranks()
"""A run of one process."""


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """The ranks that torchrun started, connected by NCCL on CUDA and by gloo elsewhere; else this process alone.

    Raises UserError when another rank has ended; a rank above 0 leaves other messages to rank 0.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield ALONE
        return
    store, rank, count = next(dist.rendezvous("env://"))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # torchrun hands the same store to processes that it starts again: the addresses of the dead are not for them.
        store = dist.PrefixStore(f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT')}", store)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    ranks = Ranks(rank, count, dist.new_group(backend="gloo", timeout=PREPARATION))
    try:
        yield ranks
    except UserError:
        if ranks.leads:
            raise
        raise SystemExit(USER_ERROR) from None
    except RuntimeError as error:
        if not lost_another(error):
            raise
        raise UserError(
            f"process {rank} of {count} (counted from 0) has lost another, which was killed or has failed; go on with "
            "--resume, or let torchrun --max-restarts do so"
        ) from error
    finally:
        # A group that has lost a member may wait for it in vain; the end of the process closes it as well.
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


def lost_another(error: RuntimeError) -> bool:
    """Whether an error tells of a broken connection between ranks."""
    kinds = (dist.DistBackendError, dist.DistNetworkError)
    return isinstance(error, kinds) or "gloo" in str(error).lower()


def device_of_rank(device: torch.device) -> torch.device:
    """This rank's own device: the GPU of its number on this machine. Raises UserError when it has none."""
    local = int(os.environ.get("LOCAL_RANK", 0))
    if device.type == "mps" and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("several processes cannot share the mps device; set training.device to cpu, or start one")
    if device.type != "cuda":
        return device
    if local >= torch.cuda.device_count():
        there = torch.cuda.device_count()
        raise UserError(f"there is no GPU for process {local} of this machine, which has {there}; start fewer")
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def launch() -> dict[str, str] | None:
    """What tells one launch by torchrun from another, whatever it starts again; None without torchrun."""
    name = os.environ.get("TORCHELASTIC_RUN_ID")
    if name is None:
        return None
    # The name is "none" unless the user gave one or asked for a rendezvous. An agent may leave, and another go on.
    return {"name": name, "agent": f"{socket.gethostname()} {os.getppid()}"}


def same_launch(one: dict[str, str] | None, other: dict[str, str] | None) -> bool:
    """Whether two processes come from one launch: of the same agent, or of agents with the same name for their run."""
    if one is None or other is None:
        return False
    return one["agent"] == other["agent"] or (one["name"] == other["name"] != "none")
