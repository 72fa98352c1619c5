#!/usr/bin/env python
"""Context decides: an ambiguous English word needs one of two Spanish words, and the rest of the sentence says which.

    python -m scripts.experiments.context [--quick] [--output DIR] [--checkpoints DIR]

The minimal pairs of data/context/pairs.tsv, translated by the shipped model and by the three of experiment 1: how
often a reading is right, how often both of a pair are, and what the ambiguous word attends to in the encoder.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nmt.cli.common import run
from nmt.inspection.drawing import GRID, INK, new_figure, save
from nmt.translator import Translator
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.minimal_pairs import Look, accepted_pattern, look, read_sides
from scripts.experiments.common.models import ARCHITECTURES, tatoeba_model
from scripts.experiments.common.tables import Table
from scripts.report import COLOURS, ROOT, prepare, wilson

PAIRS = ROOT / "data" / "context" / "pairs.tsv"
LOOKED_INTO = ("shipped", "transformer")
"""The models with self-attention in the encoder."""


class Sentence(NamedTuple):
    """One side of a minimal pair."""

    pair: int
    word: str
    clue: str
    text: str
    accepted: re.Pattern[str]


class Readings(NamedTuple):
    """Translations and judgements of one model."""

    translations: list[str]
    right: np.ndarray
    """[pairs, 2], bool."""
    wrong: np.ndarray
    """[pairs, 2], bool: only the other reading's word."""

    @property
    def chosen(self) -> tuple[int, float, float]:
        """How many sentences have a word of one of the two readings, the share of the right one among these, and
        the lower end of its 95% interval (Wilson 1927)."""
        decided = int(self.right.sum() + self.wrong.sum())
        return decided, *wilson(int(self.right.sum()), decided)[:2]

    @property
    def pairs(self) -> list[int]:
        """How many pairs have both, one and none of their readings right."""
        return [int((self.right.sum(axis=1) == count).sum()) for count in (2, 1, 0)]

    def cells(self, number: int) -> tuple[str, int]:
        """A sentence's translation, and 1 when it is right."""
        return self.translations[number], int(self.right.reshape(-1)[number])


def main(arguments: Sequence[str]) -> None:
    """Translate the pairs with every model, measure encoder attention, write the page."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    sentences = read_pairs(PAIRS)[: 20 if experiment.quick else None]
    translators = {} if experiment.quick else {"shipped": Translator.load(engine="torch", threads=1)}
    translators |= {name: tatoeba_model(experiment, name) for name in ARCHITECTURES}
    found = {name: read(translator, sentences) for name, translator in translators.items()}
    looks = {
        name: look(translators[name], [(one.text, one.word, one.clue) for one in sentences])
        for name in LOOKED_INTO
        if name in translators
    }
    draw(experiment.output / "figure.png", found, looks)

    table = Table(
        ["model", "pairs with both right", "with one", "with none", "sentences with either word", "right", "at least"],
        [(name, *one.pairs, *one.chosen) for name, one in found.items()],
    )
    attention = Table(
        ["model", "layer", "head", "share on the clue", "by distance alone", "ratio"],
        [row for name, one in looks.items() for row in one.rows(name)],
        name="attention",
    )
    translations = Table(
        ["pair", "word", "clue", "sentence", *(f"{name}{what}" for name in found for what in ("", " right"))],
        [
            (s.pair, s.word, s.clue, s.text, *(x for one in found.values() for x in one.cells(number)))
            for number, s in enumerate(sentences)
        ],
        name="translations",
        shown=False,
    )
    facts = []
    for name, one in looks.items():
        layer, head = one.best
        right, shares = found[name].right.reshape(-1), np.stack([one.shares, one.expected])[:, :, layer, head]
        kept = {"right": shares[:, right], "wrong": shares[:, ~right]}
        told = [f"{kind} {np.mean(x[0]):.2f} ({np.mean(x[1]):.2f})" for kind, x in kept.items() if x.size]
        facts.append(
            f"{name}, head {layer + 1}.{head + 1}, share on the clue (by distance), reading {', '.join(told)}."
        )
    experiment.write([table, attention, translations], facts=facts)


def read_pairs(path: Path) -> list[Sentence]:
    """The sentences of the file, two of a pair after another."""
    return [
        Sentence(int(row["pair"]), row["word"], row["clue"], row["sentence"], accepted_pattern(row["accepted"]))
        for row in read_sides(path)
    ]


def is_right(translation: str, sentence: Sentence, other: Sentence) -> bool:
    """Whether the translation has this sentence's reading, and not the other's."""
    return bool(sentence.accepted.search(translation)) and not other.accepted.search(translation)


def read(translator: Translator, sentences: Sequence[Sentence]) -> Readings:
    """Translate all sentences and judge them."""
    texts = [translation.text for translation in translator.translate([sentence.text for sentence in sentences])]
    others = [sentences[number ^ 1] for number in range(len(sentences))]
    right = [is_right(*case) for case in zip(texts, sentences, others, strict=True)]
    wrong = [is_right(*case) for case in zip(texts, others, sentences, strict=True)]
    return Readings(texts, np.array(right).reshape(-1, 2), np.array(wrong).reshape(-1, 2))


def draw(path: Path, found: dict[str, Readings], looks: dict[str, Look]) -> None:
    """Bars of pairs by model, and for each looked-into encoder its heads' shares on the clue."""
    figure = new_figure(9, 3.4)
    grid = figure.add_gridspec(1, 1 + len(looks), width_ratios=[1.5, *[1] * len(looks)], wspace=0.35, bottom=0.25)
    axes = figure.add_subplot(grid[0])
    prepare(axes, "pairs by readings right", "pairs", "")
    left = np.zeros(len(found))
    for count, (label, colour) in enumerate((("both", COLOURS[0]), ("one", COLOURS[4]), ("none", GRID))):
        widths = np.array([one.pairs[count] for one in found.values()])
        axes.barh(range(len(found)), widths, left=left, color=colour, label=label, height=0.6)
        left += widths
    axes.set_yticks(range(len(found)), list(found))
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, fontsize=8, frameon=False)
    most = max(float(one.shares.mean(axis=0).max()) for one in looks.values())
    for number, (name, one) in enumerate(looks.items(), 1):
        one.draw(figure.add_subplot(grid[number]), f"{name}: share on the clue", most)
    figure.text(0.99, 0.02, "in brackets: by distance alone", fontsize=7, color=INK, ha="right")
    save(figure, path)


if __name__ == "__main__":
    sys.exit(run("context", main))
