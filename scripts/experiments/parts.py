#!/usr/bin/env python
"""The transformer's parts (Vaswani et al. 2017, Table 3, in miniature): one thing changed at a time.

    python -m scripts.experiments.parts [--quick] [--output DIR] [--checkpoints DIR]

Heads, key width, layers, positions, dropout, label smoothing and tied embeddings. Every row sees the same data in the
same order for the same number of steps, and is judged on dev: perplexity of a piece, and BLEU of greedy translations.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from nmt.cli.common import run
from nmt.corpus import load_corpus, references
from nmt.evaluation import evaluate
from nmt.inspection.drawing import FAINT, new_figure, save
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.models import few_tatoeba
from scripts.experiments.common.tables import Table
from scripts.report import COLOURS, prepare

FEW = 10_000
"""Training pairs of the rows that test dropout on little data."""
BASE, FEW_DATA = "base", "few data"
VARIANTS: dict[str, list[tuple[str, list[str]]]] = {
    BASE: [(f"base, seed {seed}", [f"training.seed={seed}"]) for seed in (1, 2, 3)],
    "heads": [(f"{count} head{'s'[: count != 1]}", [f"model.heads={count}"]) for count in (1, 2, 8)],
    "key width": [(f"keys of width {width}", [f"model.key_width={width}"]) for width in (8, 16)],
    "layers": [(f"{n} + {n} layers", [f"model.encoder_layers={n}", f"model.decoder_layers={n}"]) for n in (1, 3)],
    "positions": [(f"positions {kind}", [f"model.positions={kind}"]) for kind in ("learned", "none")],
    "dropout": [(f"dropout {share}", [f"model.dropout={share}"]) for share in (0.1, 0.3)],
    "smoothing": [("no label smoothing", ["training.label_smoothing=0.0"])],
    "embeddings": [("embeddings not tied", ["model.tied_embeddings=false"])],
    FEW_DATA: [(f"few data, dropout {share}", [f"model.dropout={share}"]) for share in (0.0, 0.1, 0.3)],
}
"""What is changed, group by group, and how. The rows of FEW_DATA are compared with the first of them, all others with
the mean of BASE: 4 heads with keys of width 32, 2 + 2 layers, sine positions, no dropout, label smoothing 0.1."""


@dataclass(frozen=True)
class Row:
    """A trained model and its figures on dev."""

    group: str
    name: str
    parameters: int
    perplexity: float
    bleu: float


def main(arguments: Sequence[str]) -> None:
    """Train every row, measure it, write the page."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    rows = []
    for group, changes in VARIANTS.items():
        count = 2 if group in (BASE, FEW_DATA) else 1  # of each group in the quick form
        rows += [measure(experiment, group, *change) for change in (changes[:count] if experiment.quick else changes)]
    bases = [row for row in rows if row.group == BASE]
    first_of_few = next(row for row in rows if row.group == FEW_DATA)
    compared = [(row, [first_of_few] if row.group == FEW_DATA else bases) for row in rows]
    changes = {row.name: row.perplexity - mean(base.perplexity for base in against) for row, against in compared}

    draw(rows, bases, experiment)
    table = Table(
        ["part", "model", "parameters", "dev perplexity", "change", "dev BLEU"],
        [(row.group, row.name, row.parameters, row.perplexity, changes[row.name], row.bleu) for row in rows],
    )

    experiment.write([table])


def measure(experiment: Experiment, group: str, name: str, change: list[str]) -> Row:
    """Train the variant, or find it trained, and translate dev with it."""
    steps = ["training.max_steps=12", "training.validate_every=12"] if experiment.quick else []
    data = few_tatoeba(experiment, FEW) if group == FEW_DATA else []
    slug = re.sub(r"[^a-z0-9.]+", "-", name)
    translator = experiment.translator("parts", *steps, *data, *change, run=f"parts-{slug}")
    record = translator.checkpoint.metadata.record
    sources, targets = references(load_corpus(experiment.config("parts").data).dev)
    found = evaluate(translator, sources, targets, beam=1)
    return Row(group, name, record["parameters"], math.exp(record["dev_loss"]), found.bleu)


def draw(rows: Sequence[Row], bases: Sequence[Row], experiment: Experiment) -> None:
    """A dot for every row, the base's seeds as a band; rows with few data in a panel of their own scale."""
    figure = new_figure(8, 0.27 * len(rows) + 1.2)
    main_rows = [row for row in rows if row.group not in (BASE, FEW_DATA)]
    few = [row for row in rows if row.group == FEW_DATA]
    grid = figure.add_gridspec(
        2, 1, height_ratios=[len(main_rows), len(few)], hspace=0.45, left=0.25, right=0.97, top=0.94, bottom=0.12
    )
    groups = list(dict.fromkeys(row.group for row in main_rows))
    for part, (title, some) in enumerate((("one thing changed", main_rows), (f"{FEW:,} training pairs", few))):
        axes = figure.add_subplot(grid[part])
        prepare(axes, title, "dev perplexity (lower is better)" if part else "", "")
        colours = [COLOURS[groups.index(row.group) % len(COLOURS)] if part == 0 else COLOURS[0] for row in some]
        axes.scatter([row.perplexity for row in some], range(len(some)), c=colours, s=30, zorder=3)
        axes.set_yticks(range(len(some)), [row.name for row in some])
        axes.set_ylim(len(some) - 0.5, -0.5)
        if part == 0:
            spread = [row.perplexity for row in bases]
            axes.axvspan(min(spread), max(spread), color=FAINT, alpha=0.25, linewidth=0)
            axes.axvline(mean(spread), color=FAINT, linewidth=1)
    save(figure, experiment.output / "figure.png")


if __name__ == "__main__":
    sys.exit(run("parts", main))
