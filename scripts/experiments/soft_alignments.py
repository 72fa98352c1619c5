#!/usr/bin/env python
"""Soft alignments (Bahdanau et al. 2015, Figure 3): the same sentences through two kinds of attention.

    python -m scripts.experiments.soft_alignments [--quick] [--output DIR] [--checkpoints DIR]

The attention of `rnnsearch` and the cross-attention of the transformer's layers on the gold pairs of data/alignments,
read as word alignments: against the gold links, where word order is kept and where it is inverted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nmt.alignment import Link
from nmt.alignment.error_rate import GoldPair, bootstrap
from nmt.alignment.links import argmax_links
from nmt.cli.common import run
from nmt.corpus import load_corpus, pairs_of
from nmt.inspection.figures import plot_alignment
from nmt.text.words import split_words
from nmt.translation import Translation
from nmt.translator import Translator
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.models import tatoeba_model
from scripts.experiments.common.tables import Table
from scripts.experiments.common.toy import toy_links
from scripts.raw_attention import gold_pairs, over_word_pairs

Row = tuple[str, float, float, float, float, float]
DIAGONAL = "the diagonal"
COMPARED = ("rnnsearch", "transformer")
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
    gold, pairs = toy_gold(experiment) if experiment.quick else gold_pairs()
    models = {name: tatoeba_model(experiment, name) for name in COMPARED}
    if not experiment.quick:
        models["shipped"] = Translator.load(engine="torch", threads=1)
    readings = {name: read(name, translator, pairs) for name, translator in models.items()}
    readings[DIAGONAL] = [diagonal(pairs)]
    errors = {reading.model: bootstrap(reading.links, gold) for some in readings.values() for reading in some}
    rows = [row(reading, errors[reading.model].value, gold) for some in readings.values() for reading in some]
    best = {name: min(some, key=lambda one: errors[one.model].value) for name, some in readings.items()}
    chosen = local_inversions(pairs, gold)
    draw(experiment.output / "figure.png", pairs, gold, chosen, [best[name] for name in COMPARED])
    pictures = ["figure.png"]
    if "shipped" in best:
        draw(experiment.output / "shipped.png", pairs, gold, chosen, [best["shipped"]])
        pictures.append("shipped.png")
    between = {reading.model: errors[reading.model] for reading in best.values()}
    facts = [f"{name}: AER {x.value:.2f} (95% interval {x.low:.2f} to {x.high:.2f})." for name, x in between.items()]
    columns = ["attention", "AER", "order kept, found", "neighbours swapped, found"]
    experiment.write([Table([*columns, "moved further, found", "words looked at"], rows)], pictures, facts)


def toy_gold(experiment: Experiment) -> tuple[list[GoldPair], list[tuple[str, str]]]:
    """The toy test pairs, whose links are known."""
    split = load_corpus(experiment.config("transformer").data).test
    pairs = list(pairs_of(split))
    words = [tuple([word.text for word in split_words(side)] for side in pair) for pair in pairs]
    return [GoldPair(0, 0, frozenset(toy_links(*pair)), frozenset()) for pair in words], pairs


def read(name: str, translator: Translator, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
    """The alignments of each layer's cross-attention, the mean over its heads."""
    layers = [list(over_word_pairs(translator, *pair).mean(axis=1)) for pair in pairs]
    by_layer = list(zip(*layers, strict=True))
    names = [name] if len(by_layer) == 1 else [f"{name} (layer {number + 1})" for number in range(len(by_layer))]
    return [
        Reading(title, list(matrices), [argmax_links(matrix) for matrix in matrices])
        for title, matrices in zip(names, by_layer, strict=True)
    ]


def diagonal(pairs: Sequence[tuple[str, str]]) -> Reading:
    """Baseline by lengths alone: every target word attends to the source word at the same relative position."""
    matrices = []
    for source, target in pairs:
        columns, rows = len(split_words(source)), len(split_words(target))
        nearest = (np.arange(rows) + 0.5) * columns / rows  # [target words]
        matrices.append(np.eye(columns + 1, dtype=np.float32)[nearest.astype(int)])
    return Reading(DIAGONAL, matrices, [argmax_links(matrix) for matrix in matrices])


def crossing(pair: GoldPair) -> frozenset[Link]:
    """Sure links that cross another sure link."""
    crossed = [(a, b) for a, b in combinations(pair.sure, 2) if (a[0] - b[0]) * (a[1] - b[1]) < 0]
    return frozenset(link for both in crossed for link in both)


def swapped(pair: GoldPair) -> frozenset[Link]:
    """Sure links of two neighbouring words whose translations are swapped neighbours."""
    firsts = [(s, t) for s, t in pair.sure if (s + 1, t - 1) in pair.sure]
    return frozenset(link for s, t in firsts for link in ((s, t), (s + 1, t - 1)))


def row(reading: Reading, error: float, gold: Sequence[GoldPair]) -> Row:
    """A table row: name, AER, shares found of links that keep the order, swap and move further, sharpness."""
    found, sure = np.zeros(3), np.zeros(3)
    for links, pair in zip(reading.links, gold, strict=True):
        crossed, swaps = crossing(pair), swapped(pair)
        for kind, wanted in enumerate((pair.sure - crossed, swaps, crossed - swaps)):
            found[kind] += len(wanted & set(links))
            sure[kind] += len(wanted)
    weights = [weights for matrix in reading.matrices for weights in matrix]
    looked_at = np.mean([np.exp(-np.sum(w * np.log(np.maximum(w, 1e-12)))) for w in weights])
    return reading.model, error, *(found / np.maximum(sure, 1)).tolist(), float(looked_at)


def local_inversions(pairs: Sequence[tuple[str, str]], gold: Sequence[GoldPair]) -> list[int]:
    """The numbers of the pairs to draw."""
    local = [number for number, links in enumerate(gold) if crossing(links) == swapped(links)]
    short = [number for number in local if max(len(split_words(side)) for side in pairs[number]) <= MOST_WORDS]
    return sorted(short, key=lambda number: -len(swapped(gold[number])))[:DRAWN]


def draw(
    path: Path,
    pairs: Sequence[tuple[str, str]],
    gold: Sequence[GoldPair],
    chosen: Sequence[int],
    readings: Sequence[Reading],
) -> None:
    """The matrices of the chosen pairs, all readings side by side."""
    words = {number: tuple([word.text for word in split_words(side)] for side in pairs[number]) for number in chosen}
    panels = [
        Translation(*pairs[number], 0.0, *words[number], reading.matrices[number], reading.links[number])
        for number in chosen
        for reading in readings
    ]
    links = [sorted(gold[number].sure) for number in chosen for _ in readings]
    plot_alignment(panels, path, links, [reading.model for _ in chosen for reading in readings])


if __name__ == "__main__":
    sys.exit(run("soft_alignments", main))
