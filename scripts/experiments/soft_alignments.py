#!/usr/bin/env python
"""Soft alignments (Bahdanau et al. 2015, Figure 3): the same sentences through two kinds of attention.

    python scripts/experiments/soft_alignments.py [--quick] [--output DIR] [--checkpoints DIR]

The attention of `rnnsearch` and the cross-attention of the transformer's layers on the gold pairs of data/alignments,
read as word alignments: against the gold links, where word order is kept and where it is inverted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from common import ROOT
from common.experiment import Experiment
from common.models import tatoeba_model
from common.page import Picture, Table
from common.toy import toy_links

from nmt.alignment import Link
from nmt.alignment.error_rate import GoldPair, Interval, bootstrap, read_gold
from nmt.alignment.gold import english_spanish_corpus, find_sentences
from nmt.alignment.links import argmax_links
from nmt.alignment.pieces import word_attention
from nmt.cli.common import run
from nmt.corpus import load_corpus
from nmt.inspection.figures import plot_alignment
from nmt.text.words import split_words
from nmt.translation import Translation
from nmt.translator import Translator

GOLD = ROOT / "data" / "alignments" / "tatoeba-en-es-dev.tsv"
Row = tuple[str, float, float, float, float]
DRAWN, MOST_WORDS = 3, 11
"""Sentences of the figure, and the most words of a side."""


class Reading(NamedTuple):
    """One attention, read as word alignments of every pair."""

    model: str
    matrices: list[np.ndarray]
    """For each pair [target words, source words + 1]."""
    links: list[list[Link]]


def main(arguments: Sequence[str]) -> None:
    """Read the attention of every model and layer, score it, draw sentences with inversions, write the page."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    pairs, gold = toy_gold(experiment) if experiment.quick else tatoeba_gold()
    readings = []
    for architecture in ("rnnsearch", "transformer"):
        translator = Translator.load(tatoeba_model(experiment, architecture), engine="torch", threads=1)
        readings += read(architecture, translator, pairs)
    errors = {reading.model: bootstrap(reading.links, gold) for reading in readings}
    rows = [row(reading, errors[reading.model].value, gold) for reading in readings]
    best = min(readings[1:], key=lambda reading: errors[reading.model].value)
    draw(experiment, pairs, gold, [readings[0], best])
    experiment.write(
        "Soft alignments",
        "Bahdanau et al. (2015, section 5.2.1) find that what `rnnsearch` looks at while it writes a word agrees well "
        "with intuition, and that soft alignment deals with word order that differs, such as adjective and noun. The "
        "same matrices can be drawn of the transformer's cross-attention.",
        [
            Table(
                ["attention", "AER", "order kept, found", "order inverted, found", "words looked at"],
                rows,
                caption="Each target word is linked to the source word that it attends to most (teacher forcing).",
            )
        ],
        [Picture("figure.png", f"rnnsearch (a, c, e) and {best.model} (b, d, f) on sentences with inversions")],
        see(readings[0], best, errors, rows, len(pairs)),
        [
            f"{len(pairs)} pairs with gold links; none is in training. Found: the share of the sure gold links, apart "
            "for those that cross no other sure link of their pair and those that do.",
            "Words looked at: the exponential of the entropy of a target word's weights, on average; 1 is a choice.",
            f"The figure draws the pairs with the most crossing sure links among those of at most {MOST_WORDS} words; "
            "predicted links are outlined, sure gold links dotted. Of the transformer it draws the layer that is best "
            "on these pairs, which favours it a little; heads are averaged.",
        ],
    )


def tatoeba_gold() -> tuple[list[tuple[str, str]], list[GoldPair]]:
    """The hand-aligned pairs of Tatoeba's test split."""
    gold = read_gold(GOLD)
    return find_sentences(gold, english_spanish_corpus()), gold


def toy_gold(experiment: Experiment) -> tuple[list[tuple[str, str]], list[GoldPair]]:
    """The toy test pairs, whose links are known."""
    split = load_corpus(experiment.config("transformer").data).test
    pairs = list(zip(split["source"], split["target"], strict=True))
    words = [tuple([word.text for word in split_words(side)] for side in pair) for pair in pairs]
    return pairs, [GoldPair(0, 0, frozenset(toy_links(*pair)), frozenset()) for pair in words]


def read(name: str, translator: Translator, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
    """The alignments of each layer's cross-attention, the mean over its heads."""
    layers: list[list[np.ndarray]] = []
    for source, target in pairs:
        ahead, back = translator.subwords.encode(source), translator.subwords.encode(target)
        means = translator.attention(source, target).cross[:, :, :-1].mean(axis=1)  # [layers, target, source], no </s>
        memberships = [*ahead.words_of_piece, []], back.words_of_piece
        layers.append(list(word_attention(means, *memberships, len(ahead.words), len(back.words))))
    by_layer = list(zip(*layers, strict=True))
    names = [name] if len(by_layer) == 1 else [f"{name}, layer {number + 1}" for number in range(len(by_layer))]
    return [
        Reading(title, list(matrices), [argmax_links(matrix) for matrix in matrices])
        for title, matrices in zip(names, by_layer, strict=True)
    ]


def crossing(pair: GoldPair) -> frozenset[Link]:
    """The sure links that cross another sure link: their words stand in another order in the other language."""
    crossed = [(a, b) for a, b in combinations(pair.sure, 2) if (a[0] - b[0]) * (a[1] - b[1]) < 0]
    return frozenset(link for both in crossed for link in both)


def row(reading: Reading, error: float, gold: Sequence[GoldPair]) -> Row:
    """A table row: name, AER, shares found of links that keep the order and of links that do not, sharpness."""
    found, sure = np.zeros(2), np.zeros(2)
    for links, pair in zip(reading.links, gold, strict=True):
        inverted = crossing(pair)
        for kind, wanted in enumerate((pair.sure - inverted, inverted)):
            found[kind] += len(wanted & set(links))
            sure[kind] += len(wanted)
    weights = [weights for matrix in reading.matrices for weights in matrix]
    looked_at = np.mean([np.exp(-np.sum(w * np.log(np.maximum(w, 1e-12)))) for w in weights])
    return reading.model, error, *(found / sure).tolist(), float(looked_at)


def see(recurrent: Reading, transformer: Reading, errors: dict[str, Interval], rows: Sequence[Row], pairs: int) -> str:
    """The paragraph: error rates, inversions, sharpness."""
    by_name = {name: values for name, *values in rows}
    parts = []
    for one in (recurrent, transformer):
        _, kept, inverted, looked_at = by_name[one.model]
        interval = errors[one.model]
        parts.append(
            f"{one.model} has an AER of {interval.value:.2f} (95% interval {interval.low:.2f} to {interval.high:.2f}), "
            f"finds {kept:.0%} of the sure links that keep the order and {inverted:.0%} of those that are inverted, "
            f"and looks at {looked_at:.1f} words at a time."
        )
    drop = by_name[recurrent.model][1] - by_name[recurrent.model][2]
    worst = max(rows, key=lambda values: values[1])
    parts.append(
        f"Inversions cost rnnsearch {100 * drop:.0f} points of the links. That attention agrees with intuition depends "
        f"on which attention is read: {worst[0]} has an AER of {worst[1]:.2f}."
    )
    return f"On {pairs} pairs, " + " ".join(parts)


def draw(
    experiment: Experiment, pairs: Sequence[tuple[str, str]], gold: Sequence[GoldPair], readings: Sequence[Reading]
) -> None:
    """The matrices of the pairs with most inversions, both models side by side."""
    words = [tuple([word.text for word in split_words(side)] for side in pair) for pair in pairs]
    short = [number for number in range(len(pairs)) if max(map(len, words[number])) <= MOST_WORDS]
    chosen = sorted(short, key=lambda number: -len(crossing(gold[number])))[:DRAWN]
    panels = [
        Translation(*pairs[number], 0.0, *words[number], reading.matrices[number], reading.links[number])
        for number in chosen
        for reading in readings
    ]
    marks = [sorted(gold[number].sure) for number in chosen for _ in readings]
    plot_alignment(panels, experiment.output / "figure.png", gold=marks)


if __name__ == "__main__":
    sys.exit(run("soft_alignments", main))
