#!/usr/bin/env python
"""A step of the speed run: a configuration and one change to it, trained side by side for the same minutes.

    python -m scripts.speedrun 01-rate "higher peak rate" --config quickstart --minutes 8 --seeds 1 2 3 \\
        --change training.learning_rate=6e-3
    python -m scripts.speedrun 02-smoothing "no label smoothing" --base training.learning_rate=6e-3 \\
        --change training.label_smoothing=0
    python -m scripts.speedrun 03-recipe "nmt-train --data, 5 minutes" --recipe 5 --minutes 7
    python -m scripts.speedrun                              # rewrite the page

Writes docs/speedrun/NAME.json and docs/speedrun.md, which lists steps by name.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nmt.recipe
from nmt.checkpoint import Checkpoint
from nmt.cli.common import run
from nmt.config import load_config
from nmt.corpus import load_corpus
from nmt.errors import UserError
from nmt.training.log import read_log
from scripts.captions import local_files
from scripts.report import ROOT, duration, fill, provenance, read_json, table, write_json
from scripts.scoring.metrics import recipe
from scripts.settings import refuse_fixed

RAW = ROOT / "docs" / "speedrun"
OTHER_LOSS = ("subwords.", "data.", "model.max_length", "training.label_smoothing", "training.r_drop")
"""Changes that make losses incomparable."""
SIDES = ("base", "changed")


def main(arguments: list[str]) -> None:
    """Train a step, if one is named, and write the page."""
    options = make_parser().parse_args(arguments)
    if options.name:
        if options.recipe:
            options.change = recipe_changes(options) + options.change  # the later wins
        if not options.change:
            raise UserError("there is no change to measure; give --change key=value")
        started = time.time()
        path, *overrides = train_arguments(options, "base", Path("base"), options.seeds[0])
        record = {
            **provenance("scripts.speedrun", arguments),
            "why": options.why,
            "config": options.config,
            "budget_minutes": options.minutes,
            "recipe": recipe(load_config(path, overrides)),
            "base": options.base,
            "change": options.change,
            "runs": [],
        }
        options.output.mkdir(parents=True, exist_ok=True)
        for seed in options.seeds:
            record["runs"].append(train_both(options, seed))
            record["minutes"] = (time.time() - started) / 60
            write_json(options.output / f"{options.name}.json", record)
    print(write_page(options.output))


def make_parser() -> argparse.ArgumentParser:
    """The arguments."""
    parser = argparse.ArgumentParser(
        prog="speedrun.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the step's file")
    parser.add_argument("why", nargs="?", default="", metavar="WHAT", help="the change in words")
    parser.add_argument("--config", default="quickstart", help="of configs/ (default: quickstart)")
    parser.add_argument("--minutes", type=float, default=8, metavar="N", help="of each run (default: 8)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], metavar="N", help="a pair of runs each")
    parser.add_argument("--every", type=int, default=200, metavar="N", help="validate each N steps (default: 200)")
    parser.add_argument("--base", nargs="+", default=[], metavar="key=value", help="on both sides, before --change")
    parser.add_argument("--change", nargs="+", default=[], metavar="key=value", help="on one side")
    parser.add_argument(
        "--recipe", type=float, metavar="N", help="change to what nmt-train --data chooses for N minutes of two cores"
    )
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", help="keep both sides' checkpoints there")
    parser.add_argument("--output", type=Path, default=RAW, metavar="DIR", help="of JSON files, page beside it")
    return parser


def recipe_changes(options: argparse.Namespace) -> list[str]:
    """Overrides that turn the configuration into the recipe for its pairs, but for the length of the run."""
    path, *overrides = train_arguments(options, "base", Path("base"), options.seeds[0])
    data = load_config(path, overrides).data
    chosen = nmt.recipe.recipe(len(load_corpus(data).train), options.recipe, data.source)
    for name in ("max_minutes", "validate_every"):
        del chosen["training"][name]
    chosen["alignment"]["head"] = chosen["alignment"]["guide_weight"] > 0
    augment = chosen["data"].pop("augment", {})
    sections = {**chosen, "data.augment": augment}
    return [f"{section}.{key}={json.dumps(value)}" for section, keys in sections.items() for key, value in keys.items()]


def train_both(options: argparse.Namespace, seed: int) -> dict:
    """Both sides at once with one seed. Raises UserError when a run fails."""
    with tempfile.TemporaryDirectory(prefix="nmt-speedrun-") as scratch, ThreadPoolExecutor(2) as pool:
        place = (options.checkpoints or Path(scratch)).resolve() / f"{options.name}-{seed}"
        commands = [train_arguments(options, side, place, seed) for side in SIDES]
        for path, *overrides in commands:  # fail on a mistyped change before training starts
            load_config(path, overrides)
        sides = [pool.submit(train, place / side, command) for side, command in zip(SIDES, commands, strict=True)]
        return {"seed": seed, **{name: side.result() for name, side in zip(SIDES, sides, strict=True)}}


def train_arguments(options: argparse.Namespace, side: str, place: Path, seed: int) -> list[str]:
    """Arguments of nmt-train for one side: the configuration's path and overrides."""
    config = options.config
    path = str(Path(config).resolve()) if config.endswith(".yaml") else str(ROOT / "configs" / f"{config}.yaml")
    local = local_files(config.removeprefix("multi30k-en-")) if config.startswith("multi30k-en-") else []
    changes = [*local, *options.base, *(options.change if side == "changed" else [])]
    budget = [f"training.max_minutes={options.minutes}", f"training.validate_every={options.every}"]
    own = [f"checkpoint={json.dumps(str(place / side))}", "training.threads=1", f"training.seed={seed}"]
    if not load_config(path, changes).alignment.guide_weight:
        own.append("alignment.head=false")
    refuse_fixed(changes, [*budget, *own])
    return [path, *changes, *budget, *own]


def train(directory: Path, command: list[str]) -> dict:
    """One side on one core; its final scores and its curve of [minutes, dev loss]. Raises UserError."""
    command = [sys.executable, "-m", "nmt.cli.train", *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise UserError(f"{shlex.join(command)}: {(ended.stderr.strip() or 'no word').splitlines()[-1]}")
    metadata = Checkpoint(directory).metadata.record
    found = [record for record in read_log(directory) if record["kind"] == "validation"]
    return {
        "loss": metadata["dev_loss"],
        "bleu": found[-1]["bleu"],
        "steps": metadata["steps"],
        "precision": metadata["precision"],
        "parameters": metadata["parameters"],
        "corpus_sha256": metadata["corpus_sha256"],
        "curve": [[round(record["seconds"] / 60, 2), record["loss"]] for record in found],
    }


def gains(record: dict, score: str) -> tuple[float, float | None]:
    """The mean over seeds of the changed side's score minus the base's, and its standard error."""
    found = [run["changed"][score] - run["base"][score] for run in record["runs"]]
    return statistics.mean(found), statistics.stdev(found) / len(found) ** 0.5 if len(found) > 1 else None


def verdict(record: dict) -> str:
    """`kept` or `dropped`, by the rule at the head of the page; with one seed, `one seed`."""
    gain, error = gains(record, "bleu" if by_bleu(record) else "loss")
    if error is None:
        return "one seed"
    return "kept" if (gain if by_bleu(record) else -gain) > 2 * error else "dropped"


def by_bleu(record: dict) -> bool:
    """Whether the two sides' losses cannot be compared."""
    return any(change.startswith(OTHER_LOSS) for change in record["change"])


def reached(one: dict) -> float | None:
    """Minutes until the changed side's dev loss was the base's last, or None."""
    return next((minutes for minutes, loss in one["changed"]["curve"] if loss <= one["base"]["loss"]), None)


def precision(record: dict) -> str:
    """Precision of linear layers; records without it are of float32."""
    types = {run[side].get("precision", "float32") for run in record["runs"] for side in SIDES}
    return f"linear layers in {' or '.join(sorted(types))}"


def write_page(raw: Path) -> Path:
    """Fill the page beside the directory of JSON files; returns its path."""
    records = [read_json(path) for path in sorted(raw.glob("*.json"))]
    parts = []
    for config, minutes in dict.fromkeys((record["config"], record["budget_minutes"]) for record in records):
        steps = [one for one in records if (one["config"], one["budget_minutes"]) == (config, minutes)]
        columns = ["step", "change", "dev loss", "difference", "dev BLEU", "difference", "minutes", "seeds", "verdict"]
        parts.append(f"## {Path(config).stem}, {minutes:g} minutes of one core")
        parts.append(table(columns, [row(record, number) for number, record in enumerate(steps, 1)]))
        hashes = {one[side]["corpus_sha256"] for record in steps for one in record["runs"] for side in SIDES}
        told = [
            f"{number}. `{one['command']}` ({duration(one['minutes'])}, {precision(one)}); "
            f"base: `{json.dumps(one['recipe'])}`"
            for number, one in enumerate(steps, 1)
        ]
        told += [f"- Corpus SHA-256 `{value}`" for value in sorted(hashes)]
        told += sorted({f"- Machine: {'; '.join(record['machine'].values())}" for record in steps})
        parts.append("\n".join(told))
    return fill(raw.with_suffix(".md"), {"steps": "\n\n".join(parts)}, "# The speed run")


def row(record: dict, number: int) -> list[str]:
    """A step as cells."""
    runs = record["runs"]
    cells = [str(number), f"{record['why']}: `{' '.join(record['change'])}`, commit {record['commit']}"]
    replaced = {one.partition("=")[0] for one in record["change"]}
    for where, own in (("the base has", True), ("on both sides", False)):
        if settings := [one for one in record["base"] if (one.partition("=")[0] in replaced) == own]:
            cells[1] += f"; {where} `{' '.join(settings)}`"
    for score, digits in (("loss", 3), ("bleu", 1)):
        base, changed = (statistics.mean(one[side][score] for one in runs) for side in SIDES)
        gain, error = gains(record, score)
        cells.append(f"{base:.{digits}f} to {changed:.{digits}f}")
        cells.append(f"{gain:+.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else ""))
    times = [minutes for one in runs if (minutes := reached(one)) is not None]
    when = f"{statistics.median(times):.1f}" if len(times) == len(runs) else "not reached"
    cells.append("" if by_bleu(record) else when)
    return [*cells, ", ".join(str(one["seed"]) for one in runs), verdict(record)]


if __name__ == "__main__":
    sys.exit(run("speedrun.py", main))
