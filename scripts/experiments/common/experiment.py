"""An experiment from its arguments to its page in docs/results: options, models, tables, cost."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from filelock import FileLock

from nmt.checkpoint import CONFIG, METADATA, write_text
from nmt.config import RunConfig, load_config
from nmt.errors import UserError
from nmt.training.run import train
from nmt.translator import Translator
from scripts.experiments.common.tables import Table
from scripts.experiments.common.toy import write_toy_corpus
from scripts.report import ROOT, fill, read_json

CONFIGS = ROOT / "configs" / "experiments"
RESULTS = ROOT / "docs" / "results"
TOY_DATA = "Toy data: this shows that the experiment runs, and nothing about its question."
COST = "cost.json"
"""In a checkpoint's directory: processor and wall seconds of its training, summed over all sessions."""


@dataclass
class Experiment:
    """One run of an experiment.

    Attributes:
        name: the directory in docs/results, and the script with underscores.
        command: reproduces it.
        quick: toy corpus, tiny networks, few steps: shows only that the experiment runs.
        output: directory of the page, tables and pictures.
        checkpoints: directory of the trained models, reused if the configuration is the same.
        seed: of everything random outside training, whose seed is in the configuration.
    """

    name: str
    command: str
    quick: bool
    output: Path
    checkpoints: Path
    seed: int = 1
    trained: dict[str, dict] = field(default_factory=dict)
    """Metadata of every model used, with the processor and wall seconds of its training."""
    started: tuple[float, float] = field(default_factory=lambda: (time.process_time(), time.perf_counter()))
    training: float = 0.0
    """Processor seconds of training within this run."""

    @classmethod
    def start(cls, script: str, description: str | None, arguments: Sequence[str]) -> Experiment:
        """Parse the options of a script, given by its `__file__`."""
        stem = Path(script).stem
        name = stem.replace("_", "-")
        parser = argparse.ArgumentParser(
            prog=f"{stem}.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument("--quick", action="store_true", help="a toy corpus and tiny models, in seconds; for tests")
        parser.add_argument(
            "--output", type=Path, metavar="DIR", help=f"default: docs/results/{name}; with --quick a new directory"
        )
        parser.add_argument(
            "--checkpoints",
            type=Path,
            metavar="DIR",
            help="where models are kept, and found again (default: checkpoints/experiments; with --quick a new one)",
        )
        options = parser.parse_args(arguments)
        torch.set_num_threads(1)
        if options.quick:
            scratch = Path(tempfile.mkdtemp(prefix=f"{name}-"))
            output, checkpoints = scratch / "results", scratch / "checkpoints"
        else:
            output, checkpoints = RESULTS / name, ROOT / "checkpoints" / "experiments"
        output, checkpoints = options.output or output, options.checkpoints or checkpoints
        output.mkdir(parents=True, exist_ok=True)
        command = f"python -m scripts.experiments.{stem}{' --quick' if options.quick else ''}"
        return cls(name, command, options.quick, output, checkpoints)

    def config(self, name: str, *overrides: str, run: str | None = None) -> RunConfig:
        """`configs/experiments/NAME.yaml` with `key=value` overrides and a checkpoint in `checkpoints`.

        The quick form replaces corpus, sizes and budget before applying `overrides`.
        """
        small = self._quick_overrides(name) if self.quick else []
        directory = f"checkpoint={json.dumps(str(self.checkpoints / (run or name)))}"
        return load_config(CONFIGS / f"{name}.yaml", [*small, *overrides, directory])

    def train(self, name: str, *overrides: str, run: str | None = None) -> Path:
        """Train a configuration unless its checkpoint exists; returns the directory.

        `run` names the checkpoint if not NAME. A stopped run is resumed. Raises UserError if the directory holds a run
        of another configuration.
        """
        config = self.config(name, *overrides, run=run)
        directory = Path(config.checkpoint)
        directory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{directory}.lock"):  # two experiments that want the same model train it once
            begun = (directory / CONFIG).exists()
            if begun and load_config(directory / CONFIG).model_copy(update={"checkpoint": config.checkpoint}) != config:
                raise UserError(f"{directory} holds a run of another configuration; move it or choose --checkpoints")
            if not (directory / METADATA).exists():
                print(f"{self.name}: training {directory}", file=sys.stderr, flush=True)
                self._train(config, directory, begun)
        metadata = read_json(directory / METADATA)
        self.trained[directory.name] = {**metadata, **_read_cost(directory, metadata)}
        return directory

    def translator(self, name: str, *overrides: str, run: str | None = None) -> Translator:
        """Load the trained model as a PyTorch translator on one thread."""
        return Translator.load(self.train(name, *overrides, run=run), engine="torch", threads=1)

    def write(
        self, tables: Sequence[Table], pictures: Sequence[str] = ("figure.png",), facts: Sequence[str] = ()
    ) -> None:
        """Write the tables as CSV files and as blocks of the page in `output`, with settings and cost.

        `pictures` are files in `output`; `facts` are lines of the page's block `run`, such as the corpus.
        """
        for table in tables:
            write_text(self.output / f"{table.name}.csv", table.csv())
        blocks = {table.name: table.markdown() for table in tables}
        facts = (TOY_DATA,) if self.quick else facts
        blocks["run"] = "\n".join(f"- {fact}" for fact in (*facts, *self._circumstances()))
        start = "\n\n".join([f"# {self.name}", *(f"![]({picture})" for picture in pictures)])
        if self.quick:
            print(TOY_DATA)
        print(fill(self.output / "README.md", blocks, start))

    def _train(self, config: RunConfig, directory: Path, resume: bool) -> None:
        # What it costs is added to what earlier sittings have cost.
        cost = read_json(directory / COST) if resume and (directory / COST).exists() else {}
        processor, wall = time.process_time(), time.perf_counter()
        try:
            train(config, resume=resume)
        finally:
            spent = {"processor_seconds": time.process_time() - processor, "wall_seconds": time.perf_counter() - wall}
            self.training += spent["processor_seconds"]
            if directory.is_dir():
                total = {name: seconds + cost.get(name, 0.0) for name, seconds in spent.items()}
                write_text(directory / COST, json.dumps(total) + "\n")

    def _circumstances(self) -> list[str]:
        # Other work on the machine adds to wall time, not to processor time.
        processor, wall = time.process_time() - self.started[0], time.perf_counter() - self.started[1]
        lines = [f"Command: `{self.command}`; seed {self.seed}."]
        if models := self.trained.values():
            pieces = sum(model["target_pieces"] for model in models)
            spent = [sum(model[f"{kind}_seconds"] for model in models) / 60 for kind in ("processor", "wall")]
            lines.append(
                f"Training: {len(models)} models, {pieces:,} target pieces, {spent[0]:.1f} CPU minutes, "
                f"{spent[1]:.1f} minutes of wall time."
            )
            hashes = sorted({model["corpus_sha256"] for model in models})
            lines.append(f"Corpus, SHA-256: {', '.join(f'`{one}`' for one in hashes)}.")
        lines.append(
            f"Measuring: {(processor - self.training) / 60:.1f} CPU minutes. This run: {wall / 60:.1f} minutes of wall "
            f"time. One thread on {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
            f"PyTorch {torch.__version__}."
        )
        return lines

    def _quick_overrides(self, name: str) -> list[str]:
        paths = write_toy_corpus(self.checkpoints / "corpus")
        data = {"corpus": "files", "source": "en", "target": "es", **paths, "cache": str(self.checkpoints / "cache")}
        training = {"batch_tokens": 1024, "learning_rate": 0.01, "warmup_steps": 10, "max_steps": 40, "threads": 1}
        training |= {"validate_every": 20, "validation_pairs": 5, "average_count": 2, "device": "cpu"}
        model = {"width": 32, "max_length": 256}
        if load_config(CONFIGS / f"{name}.yaml").model.type == "transformer":
            model |= {"encoder_layers": 1, "decoder_layers": 1, "feed_forward": 64, "heads": 2}
        return [
            f"data={json.dumps(data)}",
            'subwords={"vocabulary_size": 330, "character_coverage": 1.0}',
            f"training={json.dumps(training)}",
            'alignment={"head": false}',
            *(f"model.{key}={value}" for key, value in model.items()),
        ]


def _read_cost(directory: Path, metadata: dict) -> dict[str, float]:
    if (directory / COST).exists():
        return read_json(directory / COST)
    seconds = 60 * metadata["minutes"]  # trained by nmt-train itself: on its one thread, wall time is the bound
    return {"processor_seconds": seconds, "wall_seconds": seconds}
