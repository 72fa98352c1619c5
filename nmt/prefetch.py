"""Work on the next items in threads while the caller uses the results of earlier ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(work: Callable[[Item], Result], items: Iterable[Item | None], count: int) -> Iterator[tuple[Item, Result]]:
    """`((item, work(item)) for item in items if item is not None)`, computed up to `count` items ahead of the caller.

    After None, which says that the next item is not there yet, the results of all items before it are yielded first.
    An error in `items` or `work` is raised after the results of the items before it, as without threads. An interrupt
    is raised at once and cancels items that no thread has begun.
    """
    threads = ThreadPoolExecutor(count)
    try:
        waiting: deque[tuple[Item, Future[Result]]] = deque()
        items = iter(items)
        while True:
            try:
                item = next(items)
            except Exception as ended:
                for before, result in waiting:
                    yield before, result.result()
                if isinstance(ended, StopIteration):
                    return
                raise
            if item is not None:
                waiting.append((item, threads.submit(work, item)))
            while waiting and (item is None or len(waiting) > count):
                before, result = waiting.popleft()
                yield before, result.result()
    finally:
        threads.shutdown(cancel_futures=True)
