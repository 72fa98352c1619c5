#!/usr/bin/env python
"""Quadratic cost: time and memory of explicit, fused, local and linear attention, and what the cheap kinds lose.

    python scripts/experiments/cost.py [--quick] [--output DIR] [--checkpoints DIR]

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
from common.experiment import Experiment
from common.growth import LONG_END, exponent, peak_bytes, seconds
from common.models import joined_tatoeba
from common.page import COLOURS, Picture, Table, legend, prepare
from torch import Tensor

from nmt.cli.common import run
from nmt.corpus import load_corpus
from nmt.evaluation import score
from nmt.inspection.drawing import new_figure, save
from nmt.models.attention import attention, fused_attention
from nmt.models.efficient_attention import linear_attention, local_attention

WIDTH, WINDOW = 32, 8
"""Of the head, and of local attention: positions on either side."""
LENGTHS = tuple(128 * 2**power for power in range(8))
LIMIT = 4e9
"""Bytes: a kind of attention ends where the next length would need more."""
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
TELLING = 3.0
"""BLEU of the full model, at least, for differences to mean anything."""
SHORT = 15
"""Source words, at most, of a sentence that counts as short."""
LONG = 45
"""Source words, at least, of one that counts as long."""


@dataclass(frozen=True)
class Cost:
    """One head on so many positions: seconds and bytes of the forward pass, and of forward and backward."""

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
    """Of processor time for training."""


def measure(kind: str, lengths: Sequence[int], least: float) -> list[Cost]:
    """The costs of a kind of attention, up to the length where memory ends."""
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
                positions,
                seconds(forward, least),
                seconds(training, least),
                peak_bytes(forward),
                peak_bytes(training),
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
    texts = [found.text for found in translator.stream(sources, beam=1)]
    words = [len(source.split()) for source in sources]
    short, long = (6, 10) if experiment.quick else (SHORT, LONG)

    def bleu(rows: list[int]) -> float:
        return score([texts[row] for row in rows], [[targets[row]] for row in rows])[0]

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
    experiment.write(
        "Quadratic cost",
        "Every position of self-attention looks at every other, so its cost is said to grow with the square of the "
        "length (Vaswani et al. 2017, Table 1). Local attention looks at a window (their section 4); linear attention "
        "replaces softmax by a product of feature maps (Katharopoulos et al. 2020).",
        [growth_table(costs), quality_table(qualities), cost_table(costs)],
        [Picture("figure.png", "Time and memory of one head against positions, forward and backward")],
        seen(costs, qualities),
        [
            f"One head of width {WIDTH}, one sequence, float32, local attention with a window of {WINDOW} positions "
            "on either side. Time: processor time of one thread, the least of at least three calls. Memory: the most "
            "that PyTorch's allocator has given out at a time beyond the inputs, counted exactly.",
            f"Exponents: least squares of the logarithms over the {LONG_END} longest lengths; 1 is linear growth, 2 "
            f"is quadratic. A kind ends where the next length would need more than {LIMIT / 1e9:.0f} GB.",
            f"BLEU: greedy translations of the joined dev split; short is at most {SHORT} source words, long at least "
            f"{LONG}. All self-attention of a model is of one kind, cross-attention is full. One seed each: "
            "seeds alone move such models by more than two BLEU (../parts), so smaller differences mean nothing.",
        ],
    )


def growth_table(costs: dict[str, list[Cost]]) -> Table:
    """The exponents, and how far each kind came."""
    rows = []
    for kind, found in costs.items():
        sizes = [cost.positions for cost in found]
        fields = ("forward", "training", "forward_bytes", "training_bytes")
        rows.append([kind, sizes[-1], *(exponent(sizes, [getattr(cost, field) for cost in found]) for field in fields)])
    columns = ["attention", "positions reached", "time, forward", "time, both ways", "memory, forward"]
    return Table([*columns, "memory, both ways"], rows, name="exponents", caption="Exponents of growth.")


def cost_table(costs: dict[str, list[Cost]]) -> Table:
    """Every measurement."""
    rows = [
        (kind, cost.positions, 1000 * cost.forward, 1000 * cost.training)
        + (cost.forward_bytes / MEGABYTE, cost.training_bytes / MEGABYTE)
        for kind, found in costs.items()
        for cost in found
    ]
    columns = ["attention", "positions", "forward, ms", "both ways, ms", "forward, MiB", "both ways, MiB"]
    return Table(columns, rows, caption="Every measurement: forward alone, and forward and backward.")


def quality_table(qualities: dict[str, Quality]) -> Table:
    """What each model translates like."""
    return Table(
        ["self-attention", "BLEU", "BLEU, short", "BLEU, long", "dev loss", "minutes of training"],
        [(name, x.bleu, x.short, x.long, x.loss, x.minutes) for name, x in qualities.items()],
        name="quality",
        caption="The same transformer with each kind of self-attention, after as many steps.",
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
        axes.set_yscale("log")
    legend(figure.axes[0])
    save(figure, path)


def seen(costs: dict[str, list[Cost]], qualities: dict[str, Quality]) -> str:
    """The paragraph at the end, from the figures."""
    exponents = {
        kind: [exponent([c.positions for c in found], [getattr(c, name) for c in found]) for name in fields]
        for kind, found in costs.items()
        for fields in [("training", "training_bytes")]
    }
    quadratic = all(exponents[kind][0] > 1.7 for kind in ("explicit", "fused"))
    grows = exponents["explicit"][0] > exponents["explicit"][1] + 0.25
    dearer = "Written out, a weight costs more time in a large matrix than in a small one. " if grows else ""
    said = ", ".join(f"{kind} {time:.2f} and {memory:.2f}" for kind, (time, memory) in exponents.items())
    longest = min(found[-1].positions for found in costs.values())
    at = {kind: next(c for c in found if c.positions == longest) for kind, found in costs.items()}
    cheaper = {kind: at["fused"].training / at[kind].training for kind in ("local", "linear")}
    crossing = {}
    for kind in ("local", "linear"):
        both = zip(costs[kind], costs["fused"], strict=False)
        crossing[kind] = next((cheap.positions for cheap, fused in both if cheap.training < fused.training), None)
    full = qualities["full"]
    cheap = {name: x for name, x in qualities.items() if name != "full"}
    lost = ", ".join(
        f"{name} {x.bleu - full.bleu:+.1f} BLEU ({x.long - full.long:+.1f} on long sentences) and "
        f"{x.loss - full.loss:+.2f} nats a piece"
        for name, x in cheap.items()
    )
    told = "" if full.bleu >= TELLING else f", of whose {full.bleu:.1f} BLEU no difference can be read"
    return (
        f"The exponents of time and of memory, forward and backward: {said}. That full attention's time is quadratic "
        f"{'holds' if quadratic else 'does not hold'}; its memory is only where the weights are formed, and the fused "
        f"kernel never forms them. {dearer}At {longest:,} positions local attention is {cheaper['local']:.0f} and "
        f"linear attention {cheaper['linear']:.0f} times as fast as fused attention; "
        + " and ".join(
            f"{kind} is faster from {where:,} positions on" if where else f"{kind} is nowhere faster"
            for kind, where in crossing.items()
        )
        + ", while the sentences of these corpora have tens of pieces, where the square costs next to nothing. Against "
        f"full self-attention after as many steps{told}, the cheap kinds stand at {lost}."
    )


if __name__ == "__main__":
    sys.exit(run("cost", main))
