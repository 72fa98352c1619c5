"""Signals that ask a training run to stop."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop (Ctrl-C, SIGTERM); the state is saved."""


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

    with _handled_by(note):
        yield received


def ignored_signals() -> contextlib.AbstractContextManager[None]:
    """Within the block SIGINT, SIGTERM and SIGHUP are ignored, also by the processes that begin in it, to their end."""
    return _handled_by(signal.SIG_IGN)


@contextlib.contextmanager
def _handled_by(handler: Callable | signal.Handlers) -> Iterator[None]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    kept = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in kept.items():
            signal.signal(number, before)
