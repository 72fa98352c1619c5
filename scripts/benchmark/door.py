"""Arguments to claims, claims to raw replies on disk, raw replies to the page."""

from __future__ import annotations

import argparse
import json
import time

from benchmark import ROOT
from benchmark.claim import Claim
from benchmark.machine import describe
from benchmark.page import table, write_page
from nmt.checkpoint import write_text

RAW = ROOT / "docs" / "speed"


def claims() -> dict[str, Claim]:
    """Every claim by name, in the page's order."""
    from benchmark import cold_start, curves, decoding, engines, growth, latency, memory, million, profile, training

    modules = training, curves, decoding, engines, cold_start, latency, memory, profile, growth
    return {claim.name: claim for claim in (*(one.CLAIM for one in modules), growth.HUGE_CLAIM, million.CLAIM)}


LONG = ("growth-corpus", "million-lines")
"""Claims that take long on their own; `all` leaves them out."""


def main(arguments: list[str]) -> None:
    """Measure what the arguments name."""
    known = claims()
    parser = argparse.ArgumentParser(prog="benchmark.py", description="Speed, memory and growth, beside peers.")
    parser.add_argument("claim", choices=[*known, "all", "page"], help="page only writes docs/speed.md anew")
    parser.add_argument("--quick", action="store_true", help="short turns, no JoeyNMT; prints, and writes nothing")
    parser.add_argument("--resume", action="store_true", help="with all: leave out claims measured already")
    options = parser.parse_args(arguments)
    names = {"all": [name for name in known if name not in LONG], "page": []}.get(options.claim, [options.claim])
    for name in names:
        path = RAW / f"{name}.json"
        if options.resume and path.exists():
            continue
        started = time.time()
        replies = known[name].measure(options.quick)
        told = known[name].tell(replies)
        print(f"\n{known[name].title}\n\n{table(told.columns, told.rows)}")
        for goal in told.goals:
            print("  ".join(goal.row()))
        if not options.quick:
            record = {"machine": describe(), "minutes": (time.time() - started) / 60, "replies": replies}
            write_text(path, json.dumps(record, indent=1) + "\n")
    if not options.quick:
        print(write_page(list(known.values()), RAW))
