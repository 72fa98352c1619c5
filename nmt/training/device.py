"""The device that trains, and memory kept and given back."""

from __future__ import annotations

import ctypes
import gc

import torch

from nmt.errors import UserError
from nmt.training.distributed import device_of_rank

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h."""


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` prefers CUDA, then MPS, then the CPU. Raises UserError if it is missing."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available[name]:
        raise UserError(f"this machine has no {name} device; set training.device to auto")
    return device_of_rank(torch.device(name))


def keep_memory() -> None:
    """Keep freed memory for what is allocated next, up to 2 GB: the system clears what it gives anew. glibc only."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Older versions take no more than 32 MB. Without the first, the second would fix a threshold of 128 KB.
    if mallopt and (mallopt(MMAP_THRESHOLD, 2**30) or mallopt(MMAP_THRESHOLD, 2**25)):
        mallopt(TRIM_THRESHOLD, 2**31 - 1)


def release_memory() -> None:
    """Return freed memory to the system; on C libraries other than glibc this only collects garbage."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
