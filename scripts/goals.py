#!/usr/bin/env python
"""Train a configuration on all cores with several seeds, as users do, and score dev and test beside a goal.

    python -m scripts.goals quickstart 46 --seeds 1 2 3
    python -m scripts.goals half-hour 54 --name twenty --change training.max_minutes=18 --checkpoints /tmp/goals
    python -m scripts.goals                              # rewrite the page

Writes docs/speedrun/goals/NAME.json after each seed, and the block `goals` of docs/speedrun.md. The clock covers the
whole of nmt-train: corpus, subwords, alignment head, translator. The record is the fewest minutes in which three seeds
reach a dev loss of `LINE`.
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

from tqdm import tqdm

from nmt.checkpoint import Checkpoint
from nmt.cli.common import run
from nmt.corpus import load_corpus
from nmt.errors import UserError
from nmt.translator import Translator
from scripts.report import ROOT, fill, provenance, read_json, table, write_json
from scripts.settings import refuse_fixed
from scripts.speedrun import RAW

GOALS = RAW / "goals"
SPLITS = ("dev", "test")
LINE = 1.0881 * 14_559 / 1_431
"""Nats a dev pair of Tatoeba English-Spanish: those of the first shipped translator, its dev loss a piece
(`git show 67fc215:checkpoints/tatoeba-en-es/metadata.json`) times the pieces of its `subwords.model`."""
CORPUS = "39cf9a51fed201f44c13dca0d2ace806e51624640242b160c20114916549407b"
"""Its corpus, without other text: `LINE` says nothing of another's loss."""
FIRST = ["first shipped translator, AdamW", "", "54.0", "70.0", "51.6", f"{LINE:.2f}", "1.088", "17,658", "95", "1"]
"""Its row. Scores: `nmt-evaluate` of commit 67fc215."""


def main(arguments: list[str]) -> None:
    """Train and score every seed, and write the page."""
    parser = argparse.ArgumentParser(
        prog="goals.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="?", help="of configs/")
    parser.add_argument("goal", nargs="?", type=float, help="test BLEU")
    parser.add_argument("--name", help="of the row (default: the configuration's)")
    parser.add_argument("--change", nargs="+", default=[], metavar="key=value", help="to the configuration")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="N", help="(default: 1 2 3)")
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", help="keep the checkpoints there")
    parser.add_argument("--output", type=Path, default=GOALS, metavar="DIR", help="of JSON files, page two above it")
    options = parser.parse_args(arguments)
    if options.config:
        if options.goal is None:
            parser.error("give the goal, a test BLEU")
        train_seeds(options, {**provenance("scripts.goals", arguments), "goal": options.goal, "runs": []})
    print(write_page(options.output))


def train_seeds(options: argparse.Namespace, record: dict) -> None:
    """Train and score every seed, and write the record after each."""
    config = Path(options.config) if options.config.endswith(".yaml") else ROOT / "configs" / f"{options.config}.yaml"
    name = options.name or config.stem
    options.output.mkdir(parents=True, exist_ok=True)
    for seed in tqdm(options.seeds, name, unit="seed"):
        with tempfile.TemporaryDirectory(prefix="nmt-goals-") as scratch:
            place = (options.checkpoints or Path(scratch)).resolve() / f"{name}-{seed}"
            record["runs"].append(train_and_score(config, options.change, place, seed))
        write_json(options.output / f"{name}.json", record)


def train_and_score(config: Path, change: list[str], place: Path, seed: int) -> dict:
    """The minutes, steps, dev loss and scores of one seed."""
    own = [f"checkpoint={json.dumps(str(place))}", f"training.seed={seed}"]
    refuse_fixed(change, own)
    started = time.monotonic()
    command("train", str(config), *change, *own)
    minutes = (time.monotonic() - started) / 60
    scores = {
        split: json.loads(command("evaluate", "--checkpoint", str(place), "--split", split, "--format", "json"))
        for split in SPLITS
    }
    metadata = Checkpoint(place).metadata.record
    kept = ("steps", "epochs", "dev_loss", "target_pieces", "precision", "corpus_sha256")
    found = {"seed": seed, "minutes": minutes, "nats_a_pair": nats_a_pair(place)}
    return found | {name: metadata[name] for name in kept} | scores


def nats_a_pair(place: Path) -> float:
    """The dev loss of a checkpoint in nats a pair, which networks with different pieces can be compared by."""
    opened = Checkpoint(place)
    targets = list(load_corpus(opened.config.data).dev["target"])
    ids = Translator.load(place, engine="torch").subwords.target.encode_ids(targets)
    return opened.metadata.record["dev_loss"] * sum(len(one) + 1 for one in ids) / len(ids)


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
    columns = ["runs", "goal", "test BLEU", "test chrF", "dev BLEU", "nats a dev pair", "a piece", "steps", "minutes"]
    told = [f"- {name}: `{one['command']}`, commit {one['commit']}" for name, one in records.items()]
    told += sorted({f"- Test: {one['runs'][0]['test']['bleu_signature']}" for one in records.values()})
    told += sorted({f"- Machine: {'; '.join(one['machine'].values())}" for one in records.values()})
    best = record_of(records)
    rows = [FIRST, *(row(name, record, name == best) for name, record in records.items())]
    return fill(
        raw.parent.with_suffix(".md"), {"goals": "\n\n".join([table([*columns, "seeds"], rows), "\n".join(told)])}
    )


def record_of(records: dict[str, dict]) -> str | None:
    """The name of the fewest minutes in which three seeds reached `LINE` on `CORPUS`, on average, if any."""
    reached = {
        name: statistics.mean(values(record["runs"], "minutes"))
        for name, record in records.items()
        if len(record["runs"]) >= 3
        and {*values(record["runs"], "corpus_sha256")} == {CORPUS}
        and statistics.mean(values(record["runs"], "nats_a_pair")) <= LINE
    }
    return min(reached, key=lambda name: reached[name], default=None)


def row(name: str, record: dict, best: bool = False) -> list[str]:
    """Means over seeds as cells, test BLEU with its standard deviation; the minutes of the `best` are bold."""
    runs = record["runs"]

    def mean(digits: int, *path: str) -> str:
        return f"{statistics.mean(values(runs, *path)):,.{digits}f}"

    bleu = values(runs, "test", "bleu")
    spread = f" ± {statistics.stdev(bleu):.1f}" if len(bleu) > 1 else ""
    cells = [name, f"{record['goal']:g}", f"**{statistics.mean(bleu):.1f}**{spread}"]
    cells += [mean(1, "test", "chrf"), mean(1, "dev", "bleu"), mean(2, "nats_a_pair"), mean(3, "dev_loss")]
    minutes = f"**{mean(1, 'minutes')}** (record)" if best else mean(1, "minutes")
    return [*cells, mean(0, "steps"), minutes, ", ".join(str(one["seed"]) for one in runs)]


def values(runs: list[dict], *path: str) -> list:
    """Each run's value at a path of keys."""
    return [reduce(getitem, path, one) for one in runs]


if __name__ == "__main__":
    sys.exit(run("goals.py", main))
