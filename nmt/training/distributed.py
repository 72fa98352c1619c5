"""Ranks: the processes of one training run, as torchrun starts them. A single process is rank 0 of 1, at no cost.

The sequence of batches does not depend on the number of ranks: every step takes the next few batches, and each rank
computes every n-th of them (`Ranks.share`). DistributedDataParallel (Li et al. 2020) averages gradients across ranks
during the backward pass.
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

from nmt.errors import USER_ERROR, UserError

Item = TypeVar("Item")
PREPARATION = timedelta(days=7)
"""Timeout of the ranks that wait for rank 0 to prepare the corpus."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among the processes of the run."""

    rank: int = 0
    count: int = 1
    waiting: Any = None
    """The process group in which rank 0 is waited for."""

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which alone writes, logs and prints."""
        return self.rank == 0

    def tell(self, message: str) -> None:
        """Print on standard error, from rank 0 only."""
        if self.leads:
            tqdm.write(message, file=sys.stderr)

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This rank's items, every `count`-th. Together the ranks have every item once."""
        return items[self.rank :: self.count]

    def gather(self, thing: Any) -> list[Any]:
        """The list of every rank's `thing`, in rank order, on every rank."""
        if self.count == 1:
            return [thing]
        things: list[Any] = [None] * self.count
        dist.all_gather_object(things, thing)
        return things

    def sum(self, *values: float) -> list[float]:
        """Sums over ranks, bit-identical on all of them, so all take the same decisions."""
        if self.count == 1:
            return list(values)
        own = torch.tensor(values, dtype=torch.float64)
        everyone = [torch.empty_like(own) for _ in range(self.count)]
        dist.all_gather(everyone, own)
        return torch.stack(everyone).sum(dim=0).tolist()

    @contextlib.contextmanager
    def rank_zero_first(self) -> Iterator[None]:
        """Run the block on rank 0 first, then on the other ranks; if rank 0 fails, the others exit silently."""
        done = [False]
        if self.count > 1 and not self.leads:
            dist.broadcast_object_list(done, src=0, group=self.waiting)
            if not done[0]:
                raise SystemExit(USER_ERROR)  # rank 0 reports it
        try:
            yield
            done = [True]
        finally:
            if self.count > 1 and self.leads:
                dist.broadcast_object_list(done, src=0, group=self.waiting)

    def parallel(self, module: nn.Module) -> nn.Module:
        """Wrap the module in DDP, which averages gradients across ranks during backward."""
        if self.count == 1:
            return module
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of a new name for broadcast_buffers
            return DistributedDataParallel(module, broadcast_buffers=False, gradient_as_bucket_view=True)

    def communicating(self, module: nn.Module, wanted: bool) -> contextlib.AbstractContextManager:
        """Context of a backward pass that exchanges gradients if `wanted`, else only accumulates this rank's own."""
        if self.count == 1 or wanted:
            return contextlib.nullcontext()
        return module.no_sync()  # type: ignore[operator]


ALONE = Ranks()
"""The only rank of a run of one process."""


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Connect the ranks that torchrun started, by NCCL on CUDA and by gloo elsewhere; without torchrun, yield `ALONE`.

    Raises UserError when another rank has ended. Other errors are reported by rank 0 only.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield ALONE
        return
    store, rank, count = next(dist.rendezvous("env://"))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # torchrun reuses its store after a restart; a prefix hides the addresses of dead processes.
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
        # Destroying a group that lost a member can fail; it closes with the process anyway.
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


def lost_another(error: RuntimeError) -> bool:
    """Whether the error is a broken connection between ranks."""
    kinds = (dist.DistBackendError, dist.DistNetworkError)
    return isinstance(error, kinds) or "gloo" in str(error).lower()


def device_of_rank(device: torch.device) -> torch.device:
    """This rank's device: on CUDA, the GPU of its local rank. Raises UserError when there is none."""
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
    """Identify the torchrun launch of this process, the same after restarts; None without torchrun."""
    name = os.environ.get("TORCHELASTIC_RUN_ID")
    if name is None:
        return None
    # The name is "none" unless the user gave one or chose a rendezvous. One agent may leave and another continue.
    return {"name": name, "agent": f"{socket.gethostname()} {os.getppid()}"}


def same_launch(one: dict[str, str] | None, other: dict[str, str] | None) -> bool:
    """Whether two processes belong to one launch: same agent, or agents with the same run name."""
    if one is None or other is None:
        return False
    return one["agent"] == other["agent"] or (one["name"] == other["name"] != "none")
