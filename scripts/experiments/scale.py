#!/usr/bin/env python
"""Why dot products are divided by the root of d: the entropy of softmax and the size of its gradient against d.

    python -m scripts.experiments.scale [--quick] [--output DIR] [--checkpoints DIR]

Vaswani et al. (2017, section 3.2.1) suspect that without the scale large d "pushes the softmax into regions where it
has extremely small gradients". This measures it on a layer with fresh weights, and in training.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from nmt.cli.common import run
from nmt.corpus import load_corpus
from nmt.inspection.drawing import new_figure, save
from nmt.training.preparation import encode_splits
from scripts.captions import make_subwords
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.softness import Fresh, Look, fresh_layer, train
from scripts.experiments.common.tables import Table
from scripts.report import COLOURS, legend, logarithmic, prepare

WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
TRAINED_WIDTHS = (4, 16, 64, 256, 1024)
"""Of the heads' queries and keys, d."""


def main(arguments: Sequence[str]) -> None:
    """Measure, draw, write."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    sentences = 4 if experiment.quick else 16
    fresh = {
        (d, scaled): fresh_layer(d, scaled, sentences, experiment.seed)
        for d in (WIDTHS[::4] if experiment.quick else WIDTHS)
        for scaled in (True, False)
    }

    config = experiment.config("scale", *(["training.max_steps=8", "training.warmup_steps=2"] * experiment.quick))
    corpus = load_corpus(config.data)
    subwords = make_subwords(Path(config.checkpoint), config, corpus)
    pairs, dev = encode_splits(config, corpus, subwords, lambda line: print(line, file=sys.stderr))
    runs: dict[tuple[int, bool], list[Look]] = {}
    for d in TRAINED_WIDTHS[:2] if experiment.quick else TRAINED_WIDTHS:
        sized = config.model_copy(update={"model": config.model.model_copy(update={"key_width": d})})
        for scaled in (True, False):
            print(f"scale: training with d = {d}, {'with' if scaled else 'without'} the scale", file=sys.stderr)
            runs[d, scaled] = train(sized, pairs, dev, len(subwords), scaled)

    draw(fresh, runs, experiment.output / "figure.png")

    experiment.write(tables(fresh, runs), facts=[f"Corpus, SHA-256: `{corpus.sha256}`."])


def tables(fresh: dict[tuple[int, bool], Fresh], runs: dict[tuple[int, bool], list[Look]]) -> list[Table]:
    """One table for fresh weights, one for training."""
    at_start = [
        (d, name(scaled), x.entropy, x.jacobian, 100 * x.saturated, x.query_gradient, x.query_gradient_mean)
        for (d, scaled), x in fresh.items()
    ]
    in_training = [
        (d, name(scaled), looks[0].entropy, looks[-1].entropy, looks[0].gradient, looks[-1].gradient, looks[-1].loss)
        for (d, scaled), looks in runs.items()
    ]
    return [
        Table(
            ["d", "scale", "entropy", "softmax gradient", "vanished, %"]
            + ["query's gradient, median", "query's gradient, root mean square"],
            at_start,
            digits=4,
        ),
        Table(
            ["d", "scale", "entropy, step 0", "entropy, last step"]
            + ["gradient of query and key weights, step 0", "the same, last step", "dev loss, nats a piece"],
            in_training,
            digits=3,
            name="training",
        ),
    ]


def name(scaled: bool) -> str:
    """Label in a table or a legend."""
    return "with" if scaled else "without"


def draw(fresh: dict[tuple[int, bool], Fresh], runs: dict[tuple[int, bool], list[Look]], path: Path) -> None:
    """Entropy and gradients, fresh and in training, against d."""
    figure = new_figure(11, 6.4)
    axes = figure.subplots(2, 3)
    figure.subplots_adjust(wspace=0.32, hspace=0.45)
    panels = [
        ("Fresh: entropy", "share of uniform", False, fresh, lambda x: x.entropy),
        ("Fresh: softmax gradient", "median over queries", True, fresh, lambda x: max(x.jacobian, 1e-12)),
        ("Fresh: gradient at a query", "root mean square", True, fresh, lambda x: x.query_gradient_mean),
        ("Trained: entropy, last step", "share of uniform", False, runs, lambda x: x[-1].entropy),
        ("Step 0: gradient of $W^Q$ and $W^K$", "norm", True, runs, lambda x: x[0].gradient),
        ("Trained: dev loss", "nats a piece", False, runs, lambda x: x[-1].loss),
    ]
    for place, (title, unit, wide, values, read) in zip(axes.flat, panels, strict=True):
        prepare(place, title, "d", unit)
        place.set_xscale("log", base=4)
        ticks = sorted({d for d, _ in values})[:: 1 if len(values) < 12 else 2]
        place.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        for scaled in (True, False):
            points = [(d, read(x)) for (d, one), x in values.items() if one == scaled]
            place.plot(
                *zip(*points, strict=True),
                color=COLOURS[not scaled],
                marker="o" if scaled else "s",
                markersize=4,
                label=f"{name(scaled)} the scale",
            )
        if wide:
            logarithmic(place.yaxis)
    legend(axes[0, 0])
    save(figure, path)


if __name__ == "__main__":
    sys.exit(run("scale", main))
