"""Processes that work for a run, and the threads that one process computes with."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

import torch

from nmt.lines import keep_standard_error


def end_with_parent() -> None:
    """End this worker when its parent dies; it would wait for the next job forever."""
    keep_standard_error()

    def wait() -> None:
        parent_process().join()  # type: ignore[union-attr]
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Within the block, operations take that many threads each."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
