"""The process that trains: its device, its signals, its memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import signal
from collections.abc import Iterator

import torch

from nmt.errors import UserError
from nmt.training.distributed import device_of_rank


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop (Ctrl-C, SIGTERM); the state is saved."""


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` prefers CUDA, then MPS, then the CPU. Raises UserError if it is missing."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available[name]:
        raise UserError(f"this machine has no {name} device; set training.device to auto")
    return device_of_rank(torch.device(name))


@contextlib.contextmanager
def graceful_signals() -> Iterator[list[int]]:
    """Within the block SIGINT, SIGTERM and SIGHUP are appended to the list instead of ending the process.

    A second signal ends it. SIGHUP is left alone under nohup.
    """
    received: list[int] = []

    def note(number: int, _frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    kept = {number: signal.signal(number, note) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def release_memory() -> None:
    """Return freed memory to the system; on C libraries other than glibc this only collects garbage."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
