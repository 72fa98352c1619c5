"""What keeps a demo standing when many ask at once: a rate for each client, a bounded queue, a bounded request."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Result = TypeVar("Result")


class Refused(Exception):
    """A request that is turned away: `status` is the HTTP status, `wait` the seconds to wait before the next try."""

    def __init__(self, status: int, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.status, self.wait = status, max(1, math.ceil(wait))


class RateLimit:
    """A token bucket for each client: `rate` requests a second in the long run, `burst` at once."""

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic, most_clients: int = 10_000
    ) -> None:
        self.rate, self.burst, self.clock, self.most_clients = rate, burst, clock, most_clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count one request. Raises Refused (429) when the client has none left."""
        now = self.clock()
        tokens, then = self._buckets.pop(client, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - then) * self.rate)
        # The client that was longest silent is forgotten first, so memory does not grow with the number of clients.
        self._buckets[client] = (tokens - 1, now) if tokens >= 1 else (tokens, now)
        if len(self._buckets) > self.most_clients:
            self._buckets.popitem(last=False)
        if tokens < 1:
            raise Refused(429, "too many requests from here; wait a moment", (1 - tokens) / self.rate)


class WorkQueue:
    """Work for one thread, first come, first served; at most `most` jobs are under way or waiting."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.jobs = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="translator")

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do the work in the thread. Raises Refused (503) when the queue is full."""
        if self.jobs >= self.most:
            raise Refused(503, f"{self.jobs} requests are waiting already; try again in a moment", 1)
        self.jobs += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self.jobs -= 1

    def close(self) -> None:
        """Drop what is waiting and wait for what is under way."""
        self._thread.shutdown(wait=True, cancel_futures=True)


class BodyLimit:
    """Middleware that answers 413 to a request body of more than so many bytes, announced or not."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self.app, self.most_bytes = app, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = b"", scope["method"] not in ("GET", "HEAD")
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.most_bytes:
                answer = JSONResponse({"error": "the request is too large"}, 413, {"connection": "close"})
                await answer(scope, receive, send)
                return
        queue: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return queue.pop() if queue else await receive()

        await self.app(scope, replay, send)
