#!/usr/bin/env python
"""Load a running demo with many clients at once and check every answer.

    nmt-demo --port 8000 &                      # wait until it announces its address
    python -m scripts.load_demo http://127.0.0.1:8000 --clients 200 --impatient 2 --seconds 600 --process $!

Every client asks for sentences of a small pool again and again, over a connection of its own and, on Linux, from a
loopback address of its own, so that the demo's limits hold for each as they would for so many machines. The right
answers are asked for one by one beforehand; an answer that differs is wrong. Refusals (429, 503) are counted: they are
the bounded queue at work, and the client waits as long as it is told. An impatient client does not: it asks again at
once and must meet 429. With --process the server's resident memory is read every second; it must not grow.
"""

import argparse
import http.client
import json
import random
import statistics
import sys
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Sequence

from scripts.watch import Watch, memory

SUBJECTS = ("The teacher", "My sister", "A small bird", "Our neighbour")
VERBS = ("found", "bought", "painted", "lost")
OBJECTS = ("a blue cup", "the keys", "two books", "an umbrella")
POOL = [f"{subject} {verb} {thing}." for subject in SUBJECTS for verb in VERBS for thing in OBJECTS]

GROWTH = 1.03
"""Resident memory has grown when the last quarter's median is above this times the first quarter's."""


class Client:
    """One connection to the demo; `number` chooses the loopback address that it comes from."""

    def __init__(self, address: str, number: int = 0) -> None:
        parts = urllib.parse.urlsplit(address)
        host = parts.hostname or "127.0.0.1"
        own = (f"127.0.{1 + number // 250}.{1 + number % 250}", 0)
        source = own if host == "127.0.0.1" and sys.platform == "linux" else None
        self.connection = http.client.HTTPConnection(host, parts.port, timeout=300, source_address=source)
        self.answers = 0

    def ask(self, text: str) -> tuple[int, dict, float]:
        """Status, answer and seconds to wait before the next try.

        A kept connection that the server had closed meanwhile, as it may, is opened anew.
        """
        try:
            response = self._send(text)
        except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
            if not self.answers:
                raise
            self.connection.close()
            self.answers = 0
            response = self._send(text)
        self.answers += 1
        wait = float(response.getheader("Retry-After") or 0)
        return response.status, json.loads(response.read()), wait

    def _send(self, text: str) -> http.client.HTTPResponse:
        body = json.dumps({"text": text})
        self.connection.request("POST", "/api/translate", body, {"Content-Type": "application/json"})
        return self.connection.getresponse()


def essence(answer: dict) -> tuple:
    """What must not change from one time to the next. Scores may, in the last digits."""
    return answer["source"], answer["translation"], answer["alignment"]


def right_answers(address: str) -> dict[str, tuple]:
    """The answer to each sentence of the pool, asked for one by one."""
    client, right = Client(address), {}
    for text in POOL:
        while (found := client.ask(text))[0] in (429, 503):
            time.sleep(found[2])
        if found[0] != 200:
            raise OSError(f"status {found[0]}: {found[1]}")
        right[text] = essence(found[1])
    return right


class Load:
    """What clients met: counts of right, wrong, refused and broken requests, latencies in milliseconds, problems."""

    def __init__(self, address: str, right: dict[str, tuple], seconds: float) -> None:
        self.address, self.right, self.end = address, right, time.monotonic() + seconds
        self.counts: Counter = Counter()
        self.latencies: list[float] = []
        self.problems: list[str] = []
        self.lock = threading.Lock()

    def run(self, clients: int, impatient: int) -> None:
        """Let so many clients ask until the time is over."""
        threads = [
            threading.Thread(target=self._work, args=(number, number < clients))
            for number in range(clients + impatient)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, number: int, patient: bool) -> None:
        chance, client = random.Random(number), Client(self.address, number)
        while time.monotonic() < self.end:
            text = chance.choice(POOL)
            start = time.perf_counter()
            try:
                status, answer, wait = client.ask(text)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._count("broken", repr(error))
                client = Client(self.address, number)
                continue
            if status == 200:
                same = essence(answer) == self.right[text]
                problem = None if same else f"{text!r} became {answer['translation']!r}"
                self._count("right" if same else "wrong", problem)
                self.latencies.append(1000 * (time.perf_counter() - start))
            elif status in (429, 503):
                self._count(f"refused {status}")
                if patient:
                    time.sleep(max(0, min(wait, self.end - time.monotonic())))
                elif status == 429:
                    time.sleep(0.01)  # so that the script itself stays small beside what it measures
            else:
                self._count("broken", f"status {status}: {answer}")

    def _count(self, what: str, problem: str | None = None) -> None:
        with self.lock:
            self.counts[what] += 1
            if problem and len(self.problems) < 5:
                self.problems.append(problem)


def growth(samples: Sequence[int]) -> dict:
    """Medians of the first and last quarter and the most, in megabytes; whether the last is above the first."""
    megabytes = [size / 2**20 for size in samples]
    quarter = len(megabytes) // 4
    if not quarter:
        return {}
    first, last = statistics.median(megabytes[:quarter]), statistics.median(megabytes[-quarter:])
    return {
        "megabytes_first_quarter": round(first, 1),
        "megabytes_last_quarter": round(last, 1),
        "megabytes_most": round(max(megabytes), 1),
        "grew": last > GROWTH * first,
    }


def main() -> int:
    """Run the load, print one JSON object; status 1 for a wrong answer, a broken request, or memory that grew."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("address", help="such as http://127.0.0.1:8000")
    arguments.add_argument("--clients", type=int, default=50)
    arguments.add_argument("--impatient", type=int, default=0, help="further clients that never wait")
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--process", type=int, help="process id of the server, to watch its memory")
    options = arguments.parse_args()
    if options.process is not None and not memory(options.process, ("VmRSS",)):
        print(f"load_demo: there is no process {options.process}; give the demo's to --process", file=sys.stderr)
        return 2
    try:
        right = right_answers(options.address)
    except OSError as error:
        print(f"load_demo: no demo answers at {options.address} ({error}); start nmt-demo first", file=sys.stderr)
        return 2
    # Warm up: threads, buffers and the allocator's arenas exist afterwards.
    Load(options.address, right, min(30, options.seconds)).run(options.clients, options.impatient)
    load = Load(options.address, right, options.seconds)
    watch = Watch(lambda: memory(options.process, ("VmRSS",)) if options.process is not None else {}, 1)
    load.run(options.clients, options.impatient)
    watch.stop()
    cuts = statistics.quantiles(load.latencies, n=100) if len(load.latencies) > 1 else [float("nan")] * 99
    report = {
        "clients": options.clients,
        "impatient": options.impatient,
        "seconds": options.seconds,
        **load.counts,
        "median_ms": round(cuts[49], 1),
        "p95_ms": round(cuts[94], 1),
        **growth([one["VmRSS"] for one in watch.samples]),
    }
    print(json.dumps(report))
    for problem in load.problems:
        print(problem, file=sys.stderr)
    failed = load.counts["wrong"] or load.counts["broken"] or not load.counts["right"]
    if options.process is not None:
        failed = failed or report.get("grew", True)  # a memory that could not be read proves nothing
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
