#!/usr/bin/env python
"""Quadratic cost: time and memory of explicit, fused, local and linear attention, and what the cheap kinds lose.

    python -m scripts.experiments.cost [--quick] [--output DIR] [--checkpoints DIR]

Full attention compares every position with every other. The first part measures one head on 128 to 16,384 positions
and fits exponents. The second trains the same small transformer with full, local and linear self-attention for as many
steps on Tatoeba with joined sentences and scores their translations of the dev split.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nmt.cli.common import run
from nmt.corpus import load_corpus
from nmt.evaluation import score
from nmt.inspection.drawing import new_figure, save
from nmt.models.attention import attention, fused_attention
from nmt.models.efficient_attention import linear_attention, local_attention
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.models import joined_tatoeba
from scripts.experiments.common.tables import Table
from scripts.experiments.common.timing import exponent, peak_bytes, seconds
from scripts.report import COLOURS, legend, logarithmic, prepare

WIDTH, WINDOW = 32, 8
"""Of the head, and of local attention: positions on either side."""
LENGTHS = tuple(128 * 2**power for power in range(8))
LIMIT = 4e9
"""Bytes; a kind of attention stops before a length that needs more."""
MEGABYTE = 2**20

KINDS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "explicit": lambda query, key, value: attention(query, key, value)[0],
    "fused": fused_attention,
    "local": lambda query, key, value: local_attention(query, key, value, WINDOW),
    "linear": linear_attention,
}
TRAINED = {
    "full": ["model.attention=full"],
    "local": ["model.attention=local", f"model.window={WINDOW}"],
    "linear": ["model.attention=linear"],
}
SHORT = 15
"""Source words, at most, of a sentence that counts as short."""
LONG = 45
"""Source words, at least, of one that counts as long."""


@dataclass(frozen=True)
class Cost:
    """Seconds and bytes of one head, forward only and forward with backward."""

    positions: int
    forward: float
    training: float
    forward_bytes: int
    training_bytes: int


@dataclass(frozen=True)
class Quality:
    """A model trained with one kind of self-attention."""

    bleu: float
    short: float
    long: float
    """BLEU of all dev sentences, of the short and of the long ones."""
    loss: float
    minutes: float
    """Processor time of training."""


def measure(kind: str, lengths: Sequence[int], least: float) -> list[Cost]:
    """Measure a kind of attention, up to the memory limit."""
    attend = KINDS[kind]
    costs: list[Cost] = []
    for positions in lengths:
        if len(costs) > 1 and costs[-1].training_bytes ** 2 / costs[-2].training_bytes > LIMIT:
            break
        torch.manual_seed(positions)
        inputs = [torch.randn(1, 1, positions, WIDTH, requires_grad=True) for _ in range(3)]

        @torch.no_grad()
        def forward(inputs=inputs) -> Tensor:
            return attend(*inputs)

        def training(inputs=inputs) -> tuple[Tensor, ...]:
            return torch.autograd.grad(attend(*inputs).sum(), inputs)

        costs.append(
            Cost(
                positions, seconds(forward, least), seconds(training, least), peak_bytes(forward), peak_bytes(training)
            )
        )
        print(f"cost: {kind}, {positions} positions: {1000 * costs[-1].training:.1f} ms", file=sys.stderr)
    return costs


def quality(experiment: Experiment, name: str, overrides: list[str]) -> Quality:
    """Train one of TRAINED and score its greedy translations of dev."""
    run_name = f"cost-{name}"
    translator = experiment.translator("cost", *joined_tatoeba(experiment), *overrides, run=run_name)
    dev = load_corpus(experiment.config("cost", *joined_tatoeba(experiment)).data).dev
    sources, targets = dev["source"][:], dev["target"][:]
    texts = [found.text for found in translator.stream(sources, one_sentence=True, beam=1)]
    words = [len(source.split()) for source in sources]
    short, long = (6, 10) if experiment.quick else (SHORT, LONG)

    def bleu(rows: list[int]) -> float:
        return score([texts[row] for row in rows], [[targets[row]] for row in rows]).bleu

    made = experiment.trained[run_name]
    return Quality(
        bleu(list(range(len(texts)))),
        bleu([row for row, count in enumerate(words) if count <= short]),
        bleu([row for row, count in enumerate(words) if count >= long]),
        made["dev_loss"],
        made["processor_seconds"] / 60,
    )


def main(arguments: Sequence[str]) -> None:
    """Measure, train, draw, write."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    lengths, least = (LENGTHS[:3], 0.01) if experiment.quick else (LENGTHS, 0.3)
    costs = {kind: measure(kind, lengths, least) for kind in KINDS}
    trained = dict(list(TRAINED.items())[:: 2 if experiment.quick else 1])
    qualities = {name: quality(experiment, name, overrides) for name, overrides in trained.items()}
    draw(costs, experiment.output / "figure.png")
    experiment.write([growth_table(costs), quality_table(qualities), cost_table(costs)])


def growth_table(costs: dict[str, list[Cost]]) -> Table:
    """The fitted exponents and the longest length of each kind."""
    rows = []
    for kind, found in costs.items():
        sizes = [cost.positions for cost in found]
        fields = ("forward", "training", "forward_bytes", "training_bytes")
        rows.append([kind, sizes[-1], *(exponent(sizes, [getattr(cost, field) for cost in found]) for field in fields)])
    columns = ["attention", "positions reached", "time, forward", "time, both ways", "memory, forward"]
    return Table([*columns, "memory, both ways"], rows, name="exponents")


def cost_table(costs: dict[str, list[Cost]]) -> Table:
    """Every measurement."""
    rows = [
        (kind, cost.positions, 1000 * cost.forward, 1000 * cost.training)
        + (cost.forward_bytes / MEGABYTE, cost.training_bytes / MEGABYTE)
        for kind, found in costs.items()
        for cost in found
    ]
    columns = ["attention", "positions", "forward, ms", "both ways, ms", "forward, MiB", "both ways, MiB"]
    return Table(columns, rows)


def quality_table(qualities: dict[str, Quality]) -> Table:
    """Quality of each model."""
    return Table(
        ["self-attention", "BLEU", "BLEU, short", "BLEU, long", "dev loss", "minutes of training"],
        [(name, x.bleu, x.short, x.long, x.loss, x.minutes) for name, x in qualities.items()],
        name="quality",
    )


def draw(costs: dict[str, list[Cost]], path: Path) -> None:
    """Time and memory, both ways, on logarithmic axes."""
    figure = new_figure(10, 4)
    panels = (("time, forward and backward", "ms", 1000, "training"), ("memory", "MiB", 1 / MEGABYTE, "training_bytes"))
    for axes, (title, unit, scale, name) in zip(figure.subplots(1, 2), panels, strict=True):
        prepare(axes, title, "positions", unit)
        for colour, (kind, found) in zip(COLOURS, costs.items(), strict=False):
            values = [scale * getattr(cost, name) for cost in found]
            axes.plot([cost.positions for cost in found], values, marker="o", markersize=4, color=colour, label=kind)
        axes.set_xscale("log", base=2)
        ticks = [cost.positions for cost in costs["linear"]]
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], rotation=45)
        logarithmic(axes.yaxis)
    legend(figure.axes[0])
    save(figure, path)


if __name__ == "__main__":
    sys.exit(run("cost", main))
