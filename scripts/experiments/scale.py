#!/usr/bin/env python
"""Why dot products are divided by the root of d: the entropy of softmax and the size of its gradient against d.

    python scripts/experiments/scale.py [--quick] [--output DIR] [--checkpoints DIR]

Vaswani et al. (2017, section 3.2.1) suspect that without the scale large d "pushes the softmax into regions where it
has extremely small gradients". This measures it on a layer with fresh weights, and in training.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from common.experiment import Experiment
from common.page import COLOURS, Picture, Table, legend, prepare
from common.softness import POSITIONS, SATURATED, Fresh, Look, fresh_layer, train

from nmt.cli.common import run
from nmt.corpus import load_corpus
from nmt.inspection.drawing import new_figure, save
from nmt.training.run import encode_splits, make_subwords

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
    settings, steps = config.training, next(iter(runs.values()))[-1].step
    experiment.write(
        "Why divide by the root of d?",
        "Dot products of vectors with d independent components of variance 1 have a variance of d. Vaswani et al. "
        "(2017, section 3.2.1) divide them by √d, so that softmax does not come where its gradient is extremely small. "
        f"First a single head with fresh weights over {POSITIONS} unit-normal vectors; then small transformers whose "
        "heads have queries and keys of width d, all else the same. Within a pair of rows the scale is the only "
        "difference.",
        tables(fresh, runs),
        [
            Picture(
                "figure.png", "Entropy and gradient against d with and without the scale, fresh weights and in training"
            )
        ],
        seen(fresh, runs),
        [
            f"Entropy is a share of the uniform distribution's, the mean over queries. The softmax gradient is the "
            f"Frobenius norm of its Jacobian, the median over queries; below {SATURATED:g} it is counted as vanished. "
            "The query's gradient is that of a random linear loss, the scale included.",
            "Weights of queries and keys are drawn so that their components have variance 1, as the argument supposes; "
            "Glorot's initialisation, which the models of this project otherwise have, makes wide keys smaller.",
            f"Training: {steps} steps of at most {settings.batch_tokens} positions, constant rate "
            f"{settings.learning_rate:g} after {settings.warmup_steps} steps, gradients clipped to "
            f"{settings.clip_norm:g}, {config.model.encoder_layers} + {config.model.decoder_layers} layers of "
            f"{config.model.heads} heads, width {config.model.width}; {len(pairs):,} pairs. "
            "One seed: differences of a few hundredths of a nat mean nothing.",
            f"Corpus, SHA-256: `{corpus.sha256}`.",
        ],
    )


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
            caption="Fresh weights, one head.",
        ),
        Table(
            ["d", "scale", "entropy, step 0", "entropy, last step"]
            + ["gradient of query and key weights, step 0", "the same, last step", "dev loss, nats a piece"],
            in_training,
            digits=3,
            name="training",
            caption="In training.",
        ),
    ]


def name(scaled: bool) -> str:
    """The pair's member in a table or a legend."""
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
        ("Step 0: gradient of all W^Q and W^K", "norm", True, runs, lambda x: x[0].gradient),
        ("Trained: dev loss", "nats a piece", False, runs, lambda x: x[-1].loss),
    ]
    for place, (title, unit, logarithmic, values, read) in zip(axes.flat, panels, strict=True):
        prepare(place, title, "d", unit)
        place.set_xscale("log", base=4)
        ticks = sorted({d for d, _ in values})[:: 1 if len(values) < 12 else 2]
        place.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        if logarithmic:
            place.set_yscale("log")
        for scaled in (True, False):
            points = [(d, read(x)) for (d, one), x in values.items() if one == scaled]
            place.plot(
                *zip(*points, strict=True),
                color=COLOURS[not scaled],
                marker="o" if scaled else "s",
                markersize=4,
                label=f"{name(scaled)} the scale",
            )
    legend(axes[0, 0])
    save(figure, path)


def seen(fresh: dict[tuple[int, bool], Fresh], runs: dict[tuple[int, bool], list[Look]]) -> str:
    """The paragraph at the end, from the figures."""
    least, most = min(d for d, _ in fresh), max(d for d, _ in fresh)
    kept = [x.entropy for (_, scaled), x in fresh.items() if scaled]
    bare, divided = fresh[most, False], fresh[most, True]
    dies = bare.saturated > 0.25
    total = bare.query_gradient_mean / divided.query_gradient_mean
    median = bare.query_gradient / divided.query_gradient
    widths = sorted({d for d, _ in runs})
    behind = {d: runs[d, False][-1].loss - runs[d, True][-1].loss for d in widths}
    worse = [d for d in widths if behind[d] > 0.02]
    last = {scaled: ", ".join(f"{runs[d, scaled][-1].entropy:.2f}" for d in widths) for scaled in (True, False)}
    listed = ", ".join(f"{d:,}" for d in widths)
    return (
        f"With fresh weights the claim about softmax {'holds' if dies else 'does not hold'}: without the scale entropy "
        f"falls from {fresh[least, False].entropy:.2f} of the uniform distribution's at d = {least} to "
        f"{bare.entropy:.2f} at d = {most:,}, and the softmax gradient has vanished for {100 * bare.saturated:.0f}% of "
        f"the queries; with the scale entropy stays between {min(kept):.2f} and {max(kept):.2f} at every d. What is "
        f"often read into it, that little gradient is left, {'does not hold' if total > 1 else 'holds'}: at d = "
        f"{most:,} the median query gets {median:.2f} times the gradient that it gets with the scale, but the root "
        f"mean square over all queries is {total:.0f} times as large, since √d multiplies the gradient too and the few "
        "queries whose best keys are close together get it all. In training, at the last step, entropy for d = "
        f"{listed} is {last[True]} with the scale and {last[False]} without. The dev loss without the scale less that "
        f"with it is {', '.join(f'{behind[d]:+.3f}' for d in widths)}: leaving the scale out "
        + (f"costs at d = {', '.join(f'{d:,}' for d in worse)}" if worse else "costs nothing that this run could see")
        + (" and not at the others." if 0 < len(worse) < len(widths) else ".")
    )


if __name__ == "__main__":
    sys.exit(run("scale", main))
