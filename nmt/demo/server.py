"""Running the demo's application until somebody stops it."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from nmt.errors import UserError

SHUTDOWN_SECONDS = 5
MOST_CONNECTIONS = 1000
"""Connections held at a time; more are answered 503."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UserError when the address cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot listen on {host} port {port} ({reason}); choose another --port") from error


def configured(app: FastAPI) -> uvicorn.Config:
    """The server's settings. Nothing is logged about requests: their addresses hold what people type."""
    return uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


def serve(app: FastAPI, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; then finish what is under way, within five seconds."""
    server = _Server(configured(app), ready)
    # uvicorn raises the signal anew when it has shut down; that is a good end, not an error.
    previous = {number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[listener])
    except _Ended:
        pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        listener.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


class _Ended(BaseException):
    """The server has shut down because it was told to."""


def _end(_number: int, _frame: object) -> None:
    raise _Ended


def announce(listener: socket.socket) -> None:
    """Tell the person at the terminal where the demo is."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"nmt-demo: http://{shown}:{port}/ (Ctrl-C ends it)", file=sys.stderr, flush=True)
