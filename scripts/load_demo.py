#!/usr/bin/env python
"""Load a running demo with many clients at once and check every answer.

    nmt-demo --port 8000 --rate 100000 --burst 100000 &
    python scripts/load_demo.py http://127.0.0.1:8000 --clients 200 --seconds 600 --process $!

Every client asks for sentences of a small pool again and again, over a connection of its own. The right answers are
asked for one by one beforehand; an answer that differs is wrong. Refusals (429, 503) are counted: they are the
bounded queue at work, and the client waits as long as it is told. With --process the server's memory is read too.
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
from pathlib import Path

SUBJECTS = ("The teacher", "My sister", "A small bird", "Our neighbour")
VERBS = ("found", "bought", "painted", "lost")
OBJECTS = ("a blue cup", "the keys", "two books", "an umbrella")
POOL = [f"{subject} {verb} {thing}." for subject in SUBJECTS for verb in VERBS for thing in OBJECTS]


class Client:
    """One connection to the demo."""

    def __init__(self, address: str) -> None:
        parts = urllib.parse.urlsplit(address)
        self.connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=60)

    def ask(self, text: str) -> tuple[int, dict, float]:
        """Status, answer and seconds to wait before the next try."""
        body = json.dumps({"text": text})
        self.connection.request("POST", "/api/translate", body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        wait = float(response.getheader("Retry-After") or 0)
        return response.status, json.loads(response.read()), wait


def essence(answer: dict) -> tuple:
    """What must not change from one time to the next. Scores may, in the last digits."""
    return answer["source"], answer["translation"], answer["alignment"]


def right_answers(address: str) -> dict[str, tuple]:
    """The answer to each sentence of the pool, asked for one by one."""
    client = Client(address)
    return {text: essence(client.ask(text)[1]) for text in POOL}


def load(address: str, right: dict[str, tuple], clients: int, seconds: float) -> tuple[Counter, list[float], list[str]]:
    """Counts of right, wrong, refused and broken requests, latencies in milliseconds, and the first problems."""
    counts: Counter = Counter()
    latencies: list[float] = []
    problems: list[str] = []
    end = time.monotonic() + seconds

    def work(seed: int) -> None:
        chance, client = random.Random(seed), Client(address)
        while time.monotonic() < end:
            text = chance.choice(POOL)
            start = time.perf_counter()
            try:
                status, answer, wait = client.ask(text)
            except (OSError, http.client.HTTPException, ValueError) as error:
                counts["broken"] += 1
                problems.append(repr(error))
                client = Client(address)
                continue
            if status == 200:
                latencies.append(1000 * (time.perf_counter() - start))
                same = essence(answer) == right[text]
                counts["right" if same else "wrong"] += 1
                if not same:
                    problems.append(f"{text!r} became {answer['translation']!r}")
            elif status in (429, 503):
                counts[f"refused {status}"] += 1
                time.sleep(min(wait, max(end - time.monotonic(), 0)))
            else:
                counts["broken"] += 1
                problems.append(f"status {status}: {answer}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts, latencies, problems[:5]


def resident_megabytes(process: int | None) -> float:
    """The process's resident memory, from Linux's /proc."""
    if process is None:
        return float("nan")
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main() -> int:
    """Run the load, print one JSON object; status 1 when an answer was wrong or a request broke."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("address", help="such as http://127.0.0.1:8000")
    arguments.add_argument("--clients", type=int, default=50)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--process", type=int, help="process id of the server, to watch its memory")
    options = arguments.parse_args()
    try:
        right = right_answers(options.address)
    except OSError as error:
        print(f"load_demo: nothing answers at {options.address} ({error}); start nmt-demo first", file=sys.stderr)
        return 2
    # Warm up: threads and buffers exist afterwards.
    load(options.address, right, options.clients, min(5, options.seconds))
    before = resident_megabytes(options.process)
    counts, latencies, problems = load(options.address, right, options.clients, options.seconds)
    after = resident_megabytes(options.process)
    cuts = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [float("nan")] * 99
    report = {
        "clients": options.clients,
        "seconds": options.seconds,
        **counts,
        "median_ms": round(cuts[49], 1),
        "p95_ms": round(cuts[94], 1),
    }
    if options.process is not None:
        report |= {"megabytes_before": round(before, 1), "megabytes_after": round(after, 1)}
    print(json.dumps(report))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if counts["wrong"] or counts["broken"] or not counts["right"] else 0


if __name__ == "__main__":
    sys.exit(main())
