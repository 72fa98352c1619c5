#!/usr/bin/env python
"""Speed and memory claims, each measured beside its peers on this machine.

    scripts/speed/peers.sh                            # once: JoeyNMT in an environment of its own
    python -m scripts.benchmark training              # one claim
    python -m scripts.benchmark all                   # every claim except the longest
    python -m scripts.benchmark page                  # rewrite the page from the records

Raw replies go to docs/speed/CLAIM.json, from which the blocks of docs/speed.md are written. `all --resume` skips claims
that have a record.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nmt.cli.common import run
from scripts.report import ROOT, duration, fill, machine, read_json, table, write_json
from scripts.speed.claim import Claim

RAW = ROOT / "docs" / "speed"
LONG = "million-lines"
"""The longest claim, which `all` skips."""


def claims() -> dict[str, Claim]:
    """Every claim by name, in the page's order."""
    from scripts.speed import (
        cold_start,
        cores,
        curves,
        decoding,
        engines,
        growth_curves,
        latency,
        memory,
        million,
        profile,
        training,
    )

    modules = training, cores, curves, decoding, engines, cold_start, latency, memory, profile, growth_curves, million
    return {module.CLAIM.name: module.CLAIM for module in modules}


def main(arguments: list[str]) -> None:
    """Measure the named claims and write the page."""
    known = claims()
    parser = argparse.ArgumentParser(prog="benchmark.py", description="Speed, memory and growth, beside peers.")
    parser.add_argument("claim", choices=[*known, "all", "page"], help="page only writes docs/speed.md anew")
    parser.add_argument("--resume", action="store_true", help="with all: leave out claims measured already")
    options = parser.parse_args(arguments)
    names = {"all": [name for name in known if name != LONG], "page": []}.get(options.claim, [options.claim])
    for name in names:
        path = RAW / f"{name}.json"
        if options.resume and path.exists():
            continue
        started = time.time()
        replies = known[name].measure()
        told = known[name].tell(replies)
        print(f"\n{name}\n\n{table(told.columns, told.rows)}\n", *("  ".join(row) for row in told.summary), sep="\n")
        write_json(path, {"machine": machine(), "minutes": (time.time() - started) / 60, "replies": replies})
    print(write_page(list(known.values()), RAW))


def write_page(known: Sequence[Claim], raw: Path) -> Path:
    """Fill the page beside the directory of records with the claims that have one; returns its path."""
    summary: list[tuple[str, str]] = []
    blocks: dict[str, str] = {}
    machines: dict[str, list[str]] = {}
    for claim in known:
        if not (raw / f"{claim.name}.json").exists():
            continue
        record = read_json(raw / f"{claim.name}.json")
        told = claim.tell(record["replies"])
        summary += told.summary
        machines.setdefault("; ".join(record["machine"].values()), []).append(claim.name)
        command = f"`python -m scripts.benchmark {claim.name}` ({duration(record['minutes'])})"
        blocks[claim.name] = f"{command}\n\n{table(told.columns, told.rows)}"
        if claim.draw:
            claim.draw(record["replies"], str(raw / f"{claim.name}.png"))
    blocks["summary"] = table(["what", "measured"], summary)
    blocks["machine"] = "\n".join(f"- {', '.join(names)}: {one}" for one, names in machines.items())
    return fill(raw.with_suffix(".md"), blocks)


if __name__ == "__main__":
    sys.exit(run("benchmark.py", main))
