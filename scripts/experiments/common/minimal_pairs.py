"""Minimal pairs: accepted forms of a word, and how much a word attends to its clue."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from nmt.errors import UserError
from nmt.inspection.drawing import INK, colour_map
from nmt.lines import read_lines
from nmt.translator import Translator
from scripts.experiments.common.effects import coverage


def accepted_pattern(forms: str) -> re.Pattern[str]:
    """Pattern of whole words from forms separated by `|`; `*` matches any ending."""
    alternatives = "|".join(re.escape(form).replace(r"\*", r"\w*") for form in forms.split("|"))
    return re.compile(rf"\b(?:{alternatives})\b", re.IGNORECASE)


class Look(NamedTuple):
    """Encoder attention from a word to its clue in each sentence, and the mean at the same distance."""

    shares: np.ndarray
    """[sentences, layers, heads]"""
    expected: np.ndarray
    """[sentences, layers, heads]"""

    @property
    def best(self) -> tuple[int, int]:
        """Layer and head, from 0, with the largest excess over the expected share."""
        excess = self.shares.mean(axis=0) - self.expected.mean(axis=0)
        layer, head = np.unravel_index(excess.argmax(), excess.shape)
        return int(layer), int(head)

    def rows(self, name: str) -> list[tuple[str | int | float, ...]]:
        """A table row for every head."""
        shares, expected = self.shares.mean(axis=0), self.expected.mean(axis=0)
        return [
            (name, layer + 1, head + 1, float(share), float(usual), float(share / usual))
            for ((layer, head), share), usual in zip(np.ndenumerate(shares), expected.flat, strict=True)
        ]

    def draw(self, axes: Axes, title: str, most: float) -> None:
        """Every head's share, shaded up to `most`, and in brackets what distance alone gives."""
        shares, expected = self.shares.mean(axis=0), self.expected.mean(axis=0)
        layers, heads = shares.shape
        axes.imshow(shares, cmap=colour_map(), vmin=0, vmax=max(most, 0.01), aspect="auto")
        axes.set_title(title, fontsize=10, color=INK, loc="left")
        axes.set_xticks(range(heads), [f"head {head + 1}" for head in range(heads)], fontsize=7)
        axes.set_yticks(range(layers), [f"layer {layer + 1}" for layer in range(layers)], fontsize=7)
        for (layer, head), share in np.ndenumerate(shares):
            colour = "white" if share > 0.55 * most else INK
            text = f"{share:.2f}\n({expected[layer, head]:.2f})"
            axes.text(head, layer, text, ha="center", va="center", fontsize=7, color=colour)


def read_sides(path: Path) -> list[dict[str, str]]:
    """The rows of a table of minimal pairs, two of a pair after another. Raises UserError when they are not."""
    rows = list(csv.DictReader(read_lines(path), delimiter="\t", quoting=csv.QUOTE_NONE))
    if [int(row["pair"]) for row in rows] != [1 + number // 2 for number in range(len(rows))]:
        raise UserError(f"{path}: the sentences of a pair must follow one another, numbered from 1")
    return rows


def look(translator: Translator, cases: Sequence[tuple[str, str, str]]) -> Look:
    """Measure the attention of each encoder head from word to clue; cases are (sentence, word, clue)."""
    totals: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(1))
    counts: dict[int, int] = defaultdict(int)
    places = []
    for text, *pair in cases:
        weights = translator.attention(text, "").encoder  # [layers, heads, pieces, pieces]
        encoding = translator.subwords.encode(text)
        words = [word.text for word in encoding.words]
        covered = coverage(encoding)
        pieces_of = [np.flatnonzero(covered[words.index(word)]).tolist() for word in pair]
        places.append((weights, *pieces_of))
        size = weights.shape[-1] - 1  # without </s>
        for offset in range(1 - size, size):
            diagonal = np.diagonal(weights[:, :, :size, :size], offset, axis1=2, axis2=3)  # [layers, heads, pairs]
            totals[offset] = totals[offset] + diagonal.sum(axis=-1)
            counts[offset] += diagonal.shape[-1]
    usual = {offset: totals[offset] / counts[offset] for offset in totals}  # each [layers, heads]
    shares = [weights[:, :, word][..., clue].sum(axis=-1).mean(axis=-1) for weights, word, clue in places]
    expected = [
        np.mean([sum(usual[column - row] for column in clue) for row in word], axis=0) for _, word, clue in places
    ]
    return Look(np.stack(shares), np.stack(expected))
