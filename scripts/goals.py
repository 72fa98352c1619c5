#!/usr/bin/env python
"""Train a configuration on all cores with several seeds, as users do, and score dev and test beside a goal.

    python -m scripts.goals quickstart 46 --seeds 1 2 3
    python -m scripts.goals half-hour 54 --checkpoints /tmp/goals

Writes docs/speedrun/goals/NAME.json after each seed, and the block `goals` of docs/speedrun.md. The clock covers the
whole of nmt-train: corpus, subwords, alignment head, translator.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from functools import reduce
from operator import getitem
from pathlib import Path

from nmt.checkpoint import Checkpoint
from nmt.cli.common import run
from nmt.errors import UserError
from scripts.report import ROOT, fill, provenance, read_json, table, write_json
from scripts.speedrun import RAW

GOALS = RAW / "goals"
SPLITS = ("dev", "test")


def main(arguments: list[str]) -> None:
    """Train and score every seed, and write the page."""
    parser = argparse.ArgumentParser(
        prog="goals.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="of configs/")
    parser.add_argument("goal", type=float, help="test BLEU")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="N", help="(default: 1 2 3)")
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", help="keep the checkpoints there")
    parser.add_argument("--output", type=Path, default=GOALS, metavar="DIR", help="of JSON files, page two above it")
    options = parser.parse_args(arguments)
    config = Path(options.config) if options.config.endswith(".yaml") else ROOT / "configs" / f"{options.config}.yaml"
    record = {**provenance("scripts.goals", arguments), "goal": options.goal, "runs": []}
    options.output.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        with tempfile.TemporaryDirectory(prefix="nmt-goals-") as scratch:
            place = (options.checkpoints or Path(scratch)).resolve() / f"{config.stem}-{seed}"
            record["runs"].append(train_and_score(config, place, seed))
        write_json(options.output / f"{config.stem}.json", record)
    print(write_page(options.output))


def train_and_score(config: Path, place: Path, seed: int) -> dict:
    """The minutes, steps, dev loss and scores of one seed."""
    started = time.monotonic()
    command("train", str(config), f"checkpoint={json.dumps(str(place))}", f"training.seed={seed}")
    minutes = (time.monotonic() - started) / 60
    scores = {
        split: json.loads(command("evaluate", "--checkpoint", str(place), "--split", split, "--format", "json"))
        for split in SPLITS
    }
    metadata = Checkpoint(place).metadata.record
    kept = ("steps", "epochs", "dev_loss", "target_pieces", "precision", "corpus_sha256")
    return {"seed": seed, "minutes": minutes, **{name: metadata[name] for name in kept}, **scores}


def command(name: str, *arguments: str) -> str:
    """Run nmt-NAME; returns what it prints. Raises UserError if it fails."""
    full = [sys.executable, "-m", f"nmt.cli.{name}", *arguments]
    ended = subprocess.run(full, cwd=ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise UserError(f"{shlex.join(full)}: {(ended.stderr.strip() or 'no word').splitlines()[-1]}")
    return ended.stdout


def write_page(raw: Path) -> Path:
    """Fill the block `goals` of the page; returns its path."""
    records = {path.stem: read_json(path) for path in sorted(raw.glob("*.json"))}
    columns = ["configuration", "goal", "test BLEU", "test chrF", "dev BLEU", "dev loss", "steps", "minutes", "seeds"]
    told = [
        f"- `{one['command']}`, commit {one['commit']}; test: {one['runs'][0]['test']['bleu_signature']}"
        for one in records.values()
    ]
    told += sorted({f"- Machine: {'; '.join(one['machine'].values())}" for one in records.values()})
    rows = [row(name, record) for name, record in records.items()]
    return fill(raw.parent.with_suffix(".md"), {"goals": "\n\n".join([table(columns, rows), "\n".join(told)])})


def row(name: str, record: dict) -> list[str]:
    """A configuration's means over seeds as cells, test BLEU with its standard deviation."""
    runs = record["runs"]

    def mean(digits: int, *path: str) -> str:
        return f"{statistics.mean(values(runs, *path)):,.{digits}f}"

    bleu = values(runs, "test", "bleu")
    spread = f" ± {statistics.stdev(bleu):.1f}" if len(bleu) > 1 else ""
    cells = [f"`configs/{name}.yaml`", f"{record['goal']:g}", f"**{statistics.mean(bleu):.1f}**{spread}"]
    cells += [mean(1, "test", "chrf"), mean(1, "dev", "bleu"), mean(3, "dev_loss"), mean(0, "steps")]
    return [*cells, mean(1, "minutes"), ", ".join(str(one["seed"]) for one in runs)]


def values(runs: list[dict], *path: str) -> list[float]:
    """Each run's value at a path of keys."""
    return [reduce(getitem, path, one) for one in runs]


if __name__ == "__main__":
    sys.exit(run("goals.py", main))
