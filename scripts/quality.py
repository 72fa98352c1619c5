#!/usr/bin/env python
"""Translation quality: every figure of docs/results/quality.md.

    python -m scripts.quality multi30k checkpoints/multi30k-en-de --target de
    python -m scripts.quality tatoeba                       # the shipped English-Spanish model
    scripts/speed/peers.sh                                  # once: JoeyNMT in an environment of its own
    python -m scripts.quality joeynmt --corpus multi30k     # 30 minutes each, one after the other
    python -m scripts.quality joeynmt --corpus tatoeba --minutes 30 60 --nmt-minutes 10 30
    python -m scripts.quality page                          # rewrite the page from the records

Each writes docs/results/quality/NAME.json and the page's blocks. Choose on dev; test sets are for the final table.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

from nmt.cli.common import run
from scripts.report import ROOT, machine, read_json, write_json
from scripts.scoring.page import write_page
from scripts.settings import without_option

RAW = ROOT / "docs" / "results" / "quality"


def main(arguments: list[str]) -> None:
    """Run the named measurement and write the page."""
    options = make_parser().parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    if options.measure != "page":
        started = time.time()
        name, found = measure(options)
        path = options.output / f"{name}.json"
        if "training" in found and path.exists():
            found["earlier"] = scored_before(read_json(path), found["training"])
        record = {
            "kind": options.measure,
            "command": shlex.join(["python", "-m", "scripts.quality", *without_option(arguments, "--runs")]),
            "minutes": (time.time() - started) / 60,
            "machine": machine(),
            **found,
        }
        write_json(path, record)
    print(write_page(options.output))


def scored_before(record: dict, training: dict) -> list[dict]:
    """Training and scores of earlier models on these test sets, oldest first, without the current model and search."""
    known = [*record.get("earlier", []), record["training"] | {"scores": record.get("sets") or record["scores"]}]
    keys = ("steps", "dev_loss", "decoding")
    return [one for one in known if any(one[key] != training[key] for key in keys)]


def make_parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    parser = argparse.ArgumentParser(prog="quality.py", description="Translation quality, as docs/results/quality.md.")
    commands = parser.add_subparsers(dest="measure", required=True, metavar="MEASURE")
    multi30k = commands.add_parser("multi30k", help="a checkpoint on Multi30k test 2016 and 2017")
    multi30k.add_argument("checkpoint", metavar="CHECKPOINT")
    multi30k.add_argument("--target", choices=["de", "fr"], required=True)
    tatoeba = commands.add_parser("tatoeba", help="a checkpoint on its Tatoeba test split, and what lies behind")
    tatoeba.add_argument("checkpoint", metavar="CHECKPOINT", nargs="?", help="default: tatoeba-en-es, shipped")
    for command in (multi30k, tatoeba):
        command.add_argument("--engine", choices=["auto", "torch", "ctranslate2"], default="auto")
    joeynmt = commands.add_parser("joeynmt", help="nmt and JoeyNMT trained one after the other")
    joeynmt.add_argument(
        "--minutes", type=float, nargs="+", default=[30], metavar="N", help="of training (default: 30)"
    )
    joeynmt.add_argument("--nmt-minutes", type=float, nargs="+", metavar="N", help="of nmt's (default: the same)")
    joeynmt.add_argument("--corpus", choices=["tatoeba", "multi30k"], required=True)
    joeynmt.add_argument("--seed", type=int, default=1)
    joeynmt.add_argument("--nmt", nargs="+", default=[], metavar="key=value", help="changes to nmt's configuration")
    joeynmt.add_argument("--joeynmt", nargs="+", default=[], metavar="key=value", help="changes to JoeyNMT's")
    joeynmt.add_argument("--runs", type=Path, default=ROOT / "checkpoints" / "quality", metavar="DIR")
    commands.add_parser("page", help="only write the page anew")
    for command in commands.choices.values():
        command.add_argument("--output", type=Path, default=RAW, metavar="DIR", help="of JSON files, page beside it")
    return parser


def measure(options: argparse.Namespace) -> tuple[str, dict]:
    """Name and content of the JSON file."""
    from scripts.scoring import checkpoints, contest

    if options.measure == "multi30k":
        return checkpoints.multi30k(options.checkpoint, options.target, options.engine)
    if options.measure == "tatoeba":
        return checkpoints.tatoeba(options.checkpoint, options.engine)
    minutes = {"nmt": options.nmt_minutes or options.minutes, "joeynmt": options.minutes}
    return contest.measure(options.corpus, minutes, options.seed, options.nmt, options.joeynmt, options.runs.resolve())


if __name__ == "__main__":
    sys.exit(run("quality.py", main))
