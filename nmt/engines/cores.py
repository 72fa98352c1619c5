"""Independent pieces of work, one on each core: small operations gain more from that than from two cores each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
_process = os.getpid()


def usable_threads() -> int:
    """CPU threads of torch. In a forked process it is one: the threads of OpenMP stay with the parent, and waiting for
    them would never end."""
    global _process
    if _process != os.getpid():
        _process = os.getpid()
        torch.set_num_threads(1)
    return torch.get_num_threads()


def on_every_core(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`[work(item) for item in items]`, by as many Python threads as torch may use, one core each.

    A core takes the next item as soon as it is free, so the longest should come first. torch lets other Python
    threads run while it computes.
    """
    items, threads = list(items), usable_threads()
    if threads == 1 or len(items) < 2:
        return [work(item) for item in items]
    pool = ThreadPoolExecutor(min(threads, len(items)), initializer=torch.set_num_threads, initargs=(1,))
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # what a pool's thread sets is also the default of threads to come
