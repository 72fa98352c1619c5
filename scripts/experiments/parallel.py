#!/usr/bin/env python
"""Parallel against sequential: training tokens a second of `rnnsearch` and the transformer as sentences grow.

    python -m scripts.experiments.parallel [--quick] [--output DIR]

Vaswani et al. (2017, section 4, Table 1): a recurrent layer takes as many sequential steps as there are positions,
self-attention one. Both models have about the same number of parameters and read batches of equally many random pieces.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nmt.cli.common import run
from nmt.config import RunConfig
from nmt.inspection.drawing import new_figure, save
from nmt.models import build_model
from nmt.training.loss import Objective, batch_loss
from nmt.training.optimizers import make_optimizer
from nmt.training.pairs import make_batch
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.tables import Table
from scripts.experiments.common.timing import seconds
from scripts.report import MODEL_COLOURS, legend, prepare

LENGTHS = (8, 16, 32, 64, 128, 256)
"""Pieces of each sentence, `</s>` included, both sides."""
MODELS = ("rnnsearch", "transformer")


@dataclass(frozen=True)
class Speed:
    """A training step on a batch of equal lengths."""

    length: int
    batch: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Target pieces."""
        return self.length * self.batch / self.seconds


def measure(config: RunConfig, lengths: Sequence[int], vocabulary: int, least: float) -> tuple[int, list[Speed]]:
    """(parameters, speeds) of a configuration's model: forward, backward and the optimizer's step."""
    settings = config.training
    torch.manual_seed(settings.seed)
    draw = np.random.default_rng(settings.seed)
    model = build_model(config.model, vocabulary).train()
    optimizer = make_optimizer(model, settings)
    found = []
    for length in lengths:
        sentences = settings.batch_tokens // length
        source, target = draw.integers(4, vocabulary, size=(2, sentences, length - 1)).tolist()
        batch = make_batch(source, target)

        def step(batch=batch) -> None:
            loss = batch_loss(model, batch, Objective(settings.label_smoothing))
            (loss / batch.labels.numel()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()
            optimizer.zero_grad()

        found.append(Speed(length, sentences, seconds(step, least)))
        pace = found[-1].tokens_per_second
        print(f"parallel: {config.model.type}, {length} pieces: {pace:,.0f} tokens a second", file=sys.stderr)
    return sum(parameter.numel() for parameter in model.parameters()), found


def main(arguments: Sequence[str]) -> None:
    """Measure, draw, write."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    configs = {model: experiment.config(model) for model in MODELS}
    vocabulary = configs["transformer"].subwords.vocabulary_size
    lengths, least = (LENGTHS[:3], 0.05) if experiment.quick else (LENGTHS, 3.0)
    measured = {model: measure(config, lengths, vocabulary, least) for model, config in configs.items()}

    speeds = {model: found for model, (_, found) in measured.items()}
    draw_figure(speeds, experiment.output / "figure.png")

    facts = [f"{model}: {count:,} parameters." for model, (count, _) in measured.items()]
    experiment.write([table(speeds)], facts=facts)


def table(speeds: dict[str, list[Speed]]) -> Table:
    """A row for every length."""
    rows = []
    for recurrent, parallel in zip(*(speeds[model] for model in MODELS), strict=True):
        pace = recurrent.tokens_per_second, parallel.tokens_per_second
        rows.append([recurrent.length, recurrent.batch, *(round(one) for one in pace), pace[1] / pace[0]])
    return Table(["pieces", "sentences a batch", "rnnsearch, tokens/s", "transformer, tokens/s", "ratio"], rows)


def draw_figure(speeds: dict[str, list[Speed]], path: Path) -> None:
    """Tokens a second against length."""
    figure = new_figure(6, 3.8)
    axes = figure.subplots()
    prepare(axes, "Training, one thread", "pieces of a sentence", "target tokens a second")
    for model, found in speeds.items():
        paces = [speed.tokens_per_second for speed in found]
        axes.plot([speed.length for speed in found], paces, marker="o", color=MODEL_COLOURS[model], label=model)
    axes.set_xscale("log", base=2)
    axes.set_xticks([speed.length for speed in found], [str(speed.length) for speed in found])
    axes.set_ylim(bottom=0)
    legend(axes)
    save(figure, path)


if __name__ == "__main__":
    sys.exit(run("parallel", main))
