"""Work on the next item while this one's result is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def one_ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """`((item, work(item)) for item in items)`, where a second thread works one item ahead of the caller.

    An error in `items` or `work` comes after the results of the items before it, as it would without the thread.
    """
    with ThreadPoolExecutor(1) as thread:
        waiting: tuple[Item, Future[Result]] | None = None
        items = iter(items)
        while True:
            try:
                item = next(items)
            except BaseException as ended:
                if waiting is not None:
                    yield waiting[0], waiting[1].result()
                if isinstance(ended, StopIteration):
                    return
                raise
            before, waiting = waiting, (item, thread.submit(work, item))
            if before is not None:
                yield before[0], before[1].result()
