#!/usr/bin/env python
"""The transformer's parts (Vaswani et al. 2017, Table 3, in miniature): one thing changed at a time.

    python scripts/experiments/parts.py [--quick] [--output DIR] [--checkpoints DIR]

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

from common.experiment import Experiment
from common.models import few_tatoeba
from common.page import COLOURS, Picture, Table, prepare

from nmt.cli.common import run
from nmt.corpus import load_corpus, references
from nmt.evaluation import evaluate
from nmt.inspection.drawing import FAINT, new_figure, save

FEW = 10_000
"""Training pairs of the rows that ask what dropout does where data are few."""
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
    noise = max(row.perplexity for row in bases) - min(row.perplexity for row in bases)
    draw(rows, bases, experiment)
    table = Table(
        ["part", "model", "parameters", "dev perplexity", "change", "dev BLEU"],
        [(row.group, row.name, row.parameters, row.perplexity, changes[row.name], row.bleu) for row in rows],
    )
    settings = experiment.config("parts").training
    experiment.write(
        "The transformer's parts",
        "Vaswani et al. (2017) vary one thing at a time and conclude that one head is worse than several and too many "
        "are worse again, that narrower keys hurt, that bigger is better, that dropout helps much, and that learned "
        "positions do as well as sines (section 6.2, Table 3). The same in miniature. *Change* is in perplexity, "
        "against the mean of the base's seeds; the rows with few data are compared with the first of them.",
        [table],
        [Picture("figure.png", "Dev perplexity of every variant beside the base")],
        see(rows, changes, noise),
        [
            f"Every row: {settings.max_steps} steps of at most {settings.batch_tokens:,} positions, one seed but for "
            "the base. That is less than one pass over the corpus, so that there is nothing for regularisation to "
            f"prevent. The rows with few data have the same budget on {FEW:,} pairs drawn by chance, several passes, "
            "and subwords of their own, so that they compare with each other alone.",
            "Dev perplexity is of subword pieces, without label smoothing; BLEU is of greedy translations of dev.",
        ],
    )


def measure(experiment: Experiment, group: str, name: str, change: list[str]) -> Row:
    """Train the variant, or find it trained, and translate dev with it."""
    steps = ["training.max_steps=12", "training.validate_every=12"] if experiment.quick else []
    data = few_tatoeba(experiment, FEW) if group == FEW_DATA else []
    slug = re.sub(r"[^a-z0-9.]+", "-", name)
    translator = experiment.translator("parts", *steps, *data, *change, run=f"parts-{slug}")
    metadata = translator.checkpoint.metadata
    sources, targets = references(load_corpus(experiment.config("parts").data).dev)
    found = evaluate(translator, sources, targets, beam=1)
    return Row(group, name, metadata["parameters"], math.exp(metadata["dev_loss"]), found.bleu)


def see(rows: Sequence[Row], changes: dict[str, float], noise: float) -> str:
    """The paragraph: which changes exceed what the seed alone does, and which way they go."""
    asked = [row for row in rows if row.group not in (BASE, FEW_DATA)]
    worse = sorted((row for row in asked if changes[row.name] > noise), key=lambda row: -changes[row.name])
    better = sorted((row for row in asked if changes[row.name] < -noise), key=lambda row: changes[row.name])
    equal = [row for row in asked if abs(changes[row.name]) <= noise]

    def names(some: Sequence[Row]) -> str:
        return ", ".join(f"{row.name} ({changes[row.name]:+.2f})" for row in some) or "none"

    few = [row for row in rows if row.group == FEW_DATA]
    courses = ", ".join(f"{row.name.removeprefix('few data, ')} has {row.perplexity:.2f}" for row in few)
    helps = "helps" if min(row.perplexity for row in few[1:]) < few[0].perplexity - noise else "does not help"
    scores = [row.bleu for row in rows if row.group == BASE]
    return (
        f"Seeds alone move the base's perplexity by {noise:.2f} (BLEU {min(scores):.1f} to {max(scores):.1f}), so "
        f"smaller changes say nothing. Worse by more than that: {names(worse)}. Better: {names(better)}. Within it: "
        f"{names(equal)}. With {FEW:,} training pairs, {courses}: dropout {helps} there at this budget."
    )


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
