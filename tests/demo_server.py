"""A running demo for tests: the real server on a free port, over a stand-in or a real translator."""

import json
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np

from nmt.demo.app import Settings, create_app
from nmt.demo.server import configured, listen
from nmt.errors import UserError
from nmt.translation import Translation


class Echo:
    """Answers with the sentence itself, each word turned round and linked to itself."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name, self.seconds = name, seconds

    def translate(self, text, heads=False, **options):
        time.sleep(self.seconds)
        if "explode" in text:
            raise RuntimeError("secret detail")
        if "too long" in text:
            raise UserError("line 1 has 300 subword pieces, the model takes 99; split the line")
        words = text.split()
        answer = [word[::-1] for word in words] + [self.name]
        attention = np.eye(len(answer), len(words) + 1, dtype=np.float32)
        links = [(number, number) for number in range(len(words))]
        return Translation(text, " ".join(answer), -1.0, words, answer, attention, links)


class EchoModels:
    """Two stand-ins under the interface of `nmt.demo.models.Models`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.default, self.loaded = "first", {name: Echo(name, seconds) for name in ("first", "second")}

    def describe(self):
        return [{"name": name, "source": "en", "target": "es"} for name in self.loaded]

    def get(self, name):
        if (name or self.default) not in self.loaded:
            raise UserError(f"there is no model {name!r}")
        return self.loaded[name or self.default]


@contextmanager
def running(models, **limits):
    """The address of a demo that runs while the block does; the block's end shuts it down."""
    import uvicorn

    settings = Settings(**{"rate": 1e6, "burst": 10**6, "queue": 1000, **limits})
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(configured(create_app(models, settings)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()


def ask(address: str, path: str, body: object = None, headers: dict | None = None) -> tuple[int, dict, str]:
    """Status, headers and text of one request: POST with a body, else GET."""
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    request = urllib.request.Request(address + path, content, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, dict(response.headers), response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read().decode()
