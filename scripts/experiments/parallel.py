#!/usr/bin/env python
"""Parallel against step by step: training tokens a second of `rnnsearch` and the transformer as sentences grow.

    python scripts/experiments/parallel.py [--quick] [--output DIR]

Vaswani et al. (2017, section 4, Table 1): a recurrent layer takes as many steps after one another as there are
positions, self-attention one. Both models have about as many parameters and get batches of as many tokens, of random
pieces.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common.experiment import Experiment
from common.growth import seconds
from common.page import COLOURS, Picture, Table, legend, prepare

from nmt.cli.common import run
from nmt.config import RunConfig
from nmt.inspection.drawing import new_figure, save
from nmt.models import build_model
from nmt.training.loss import Objective, batch_loss
from nmt.training.optimizers import make_optimizer
from nmt.training.pairs import make_batch

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
    """(parameters, speeds) of a configuration's model: forward, backward and the optimiser's step."""
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
    parameters = {model: count for model, (count, _) in measured.items()}
    speeds = {model: found for model, (_, found) in measured.items()}
    draw_figure(speeds, experiment.output / "figure.png")
    tokens = configs["transformer"].training.batch_tokens
    experiment.write(
        "Parallel against step by step",
        "A recurrent network reads and writes one position after the other; the transformer, in training, all at once "
        "(Vaswani et al. 2017, section 4 and Table 1). The tokens of a batch stay the same while its sentences grow, "
        "so that the recurrent network makes more and more steps with fewer and fewer sentences in each.",
        [table(speeds)],
        [Picture("figure.png", "Training tokens a second of both models against the length of the sentences")],
        seen(speeds),
        [
            f"`rnnsearch` has {parameters['rnnsearch']:,} parameters, the transformer {parameters['transformer']:,} "
            "(`configs/experiments`, the models of the first experiment).",
            f"A step: forward, backward, clipping and Adam on {tokens:,} target pieces of random ids without padding; "
            "its processor time on one thread, the least of at least three. Tokens are target pieces.",
            "This is a CPU with one thread, where only vector units and caches work in parallel; a GPU was not at "
            "hand. There is no corpus: speed does not depend on which ids are read.",
        ],
    )


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
    for colour, (model, found) in zip(COLOURS, speeds.items(), strict=False):
        paces = [speed.tokens_per_second for speed in found]
        axes.plot([speed.length for speed in found], paces, marker="o", color=colour, label=model)
    axes.set_xscale("log", base=2)
    axes.set_xticks([speed.length for speed in found], [str(speed.length) for speed in found])
    axes.set_ylim(bottom=0)
    legend(axes)
    save(figure, path)


def seen(speeds: dict[str, list[Speed]]) -> str:
    """The paragraph at the end, from the figures."""
    first, last = ({model: speeds[model][end].tokens_per_second for model in MODELS} for end in (0, -1))
    kept = {model: last[model] / first[model] for model in MODELS}
    ratios = [b.tokens_per_second / a.tokens_per_second for a, b in zip(*(speeds[m] for m in MODELS), strict=True)]
    holds = ratios[-1] > ratios[0] and ratios[-1] > 1
    short, long = (speeds["transformer"][end].length for end in (0, -1))
    crossing = next((x.length for x, ratio in zip(speeds["transformer"], ratios, strict=True) if ratio > 1), None)
    return (
        f"From {short} to {long} pieces rnnsearch keeps {100 * kept['rnnsearch']:.0f}% of its speed "
        f"({first['rnnsearch']:,.0f} to {last['rnnsearch']:,.0f} tokens a second) and the transformer "
        f"{100 * kept['transformer']:.0f}% ({first['transformer']:,.0f} to {last['transformer']:,.0f}). "
        + (f"The transformer is faster from {crossing} pieces on" if crossing else "The transformer is faster nowhere")
        + f", {ratios[0]:.1f} times as fast at {short} and {ratios[-1]:.1f} times at {long}: the claim that working on "
        f"all positions at once pays more the longer the sentences are {'holds' if holds else 'does not hold'} here. "
        "Attention looks from every target to every source position in either model; what the recurrent one pays "
        "besides is the wait for the step before, with ever fewer sentences to share it."
    )


if __name__ == "__main__":
    sys.exit(run("parallel", main))
