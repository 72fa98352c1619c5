#!/usr/bin/env python
"""What *it* attends to: the Spanish adjective agrees with the antecedent, so the translation shows which noun it is.

    python -m scripts.experiments.antecedent [--quick] [--output DIR] [--checkpoints DIR]

The minimal pairs of data/antecedent/english-spanish.tsv: how often the gender is right, how much *it* gives to the
antecedent in every encoder head, and how often the gender changes when that weight is moved to the other noun. The
model is the shipped one, or the English-Spanish transformer that $NMT_CHECKPOINT names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from nmt.alignment.pieces import over_words
from nmt.cli.common import run
from nmt.inspection.drawing import FAINT, INK, new_figure, save
from nmt.translator import Translator
from scripts.experiments.common.effects import coverage
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.habits import Head, heads_of
from scripts.experiments.common.minimal_pairs import Look, accepted_pattern, look, read_sides
from scripts.experiments.common.models import any_transformer
from scripts.experiments.common.moves import Move, Moves, translate_moved
from scripts.experiments.common.tables import Table
from scripts.report import COLOURS, ROOT, interval, intervals, prepare, wilson

PAIRS = ROOT / "data" / "antecedent" / "english-spanish.tsv"
KINDS = ("alone", "between", "adjective")
DRAWN = 101
"""The pair of the first figure, after Vaswani et al. 2017."""
BATCH = 40
"""Sentences translated at a time."""


class Sentence(NamedTuple):
    """One side of a minimal pair."""

    pair: int
    kind: str
    antecedent: str
    other: str
    """The noun of the other gender; empty where there is none."""
    text: str
    accepted: re.Pattern[str]
    rejected: re.Pattern[str]

    def agreement(self, translation: str) -> int:
        """1 when the adjective agrees with the antecedent, -1 when it has the other gender, 0 when neither or both."""
        return bool(self.accepted.search(translation)) - bool(self.rejected.search(translation))


class Trial(NamedTuple):
    """Translations with weight moved in the encoder."""

    heads: str
    taken: str
    given: str
    translations: list[str]


def main(arguments: Sequence[str]) -> None:
    """Translate the pairs, measure encoder attention, move weights, write the page."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    translator, _, model = any_transformer(experiment)
    sentences = read_pairs(PAIRS)
    most = 4 if experiment.quick else None
    sentences = [one for kind in KINDS for one in [one for one in sentences if one.kind == kind][:most]]
    texts = [one.text for one in translator.translate([one.text for one in sentences])]
    two = [one for one in sentences if one.other]
    looks = [look(translator, [(one.text, "it", one.antecedent) for one in sentences])]
    looks.append(look(translator, [(one.text, "it", one.other) for one in two]))
    best = Head("encoder", *_of_kind(looks[0], sentences, "alone").best)
    trials = move_all(translator, two, best, np.random.default_rng(experiment.seed))
    draw_pair(translator, sentences, best, experiment.output / "figure.png")
    draw_results(looks[0], two, trials, experiment.output / "heads.png")
    share, usual = (x[:, best.layer, best.number].mean() for x in (looks[0].shares, looks[0].expected))
    facts = [
        model,
        f"The head that gives the antecedent most beyond distance, chosen on the pairs `alone`: {best}; on all pairs "
        f"{share:.2f}, by distance {usual:.2f}.",
    ]
    tables = [readings(sentences, texts), attention(looks, sentences), causes(two, trials)]
    pictures = ("figure.png", "heads.png")
    experiment.write([*tables, translations(sentences, texts, trials)], pictures, facts)


def read_pairs(path: Path) -> list[Sentence]:
    """The sentences of the file, two of a pair after another."""
    return [
        Sentence(
            int(row["pair"]),
            *(row[name] for name in ("kind", "antecedent", "other", "sentence")),
            *(accepted_pattern(row[name]) for name in ("accepted", "rejected")),
        )
        for row in read_sides(path)
    ]


def move_all(
    translator: Translator, sentences: Sequence[Sentence], best: Head, draw: np.random.Generator
) -> list[Trial]:
    """Translate with weight of *it* moved: in the best head, its layer, every head; the first trial moves nothing."""
    encodings = [translator.subwords.encode(one.text) for one in sentences]
    names = [[word.text for word in encoding.words] for encoding in encodings]
    places = [
        {word: np.flatnonzero(covered).tolist() for word, covered in zip(words, coverage(encoding), strict=True)}
        for words, encoding in zip(names, encodings, strict=True)
    ]
    free = [
        [word for word in words if word.isalpha() and word not in (one.antecedent, one.other, "it")]
        for words, one in zip(names, sentences, strict=True)
    ]
    random = [words[draw.integers(len(words))] for words in free]
    every = [head for head in heads_of(translator.network) if head.kind == "encoder"]
    sets = {
        str(best): [best],
        f"encoder layer {best.layer + 1}": [head for head in every if head.layer == best.layer],
        "every encoder head": every,
    }
    cases = [("none", "nothing", "nothing", [])]
    for name, heads in sets.items():
        cases += [(name, "the antecedent", goal, heads) for goal in ("the other noun", "a random word")]
        cases += [(name, "everything", "the other noun", heads)]
    options = translator.search_options()
    trials = []
    for name, taken, given, heads in cases:
        pieces: list[list[int]] = []
        for first in range(0, len(sentences), BATCH):
            rows = range(first, min(first + BATCH, len(sentences)))
            moves = []
            for row in rows:
                own, one = places[row], sentences[row]
                goal = own[one.other] if given == "the other noun" else own[random[row]]
                origin = own[one.antecedent] if taken == "the antecedent" else list(range(len(encodings[row].ids) + 1))
                moves.append(Move(row - first, own["it"], origin, goal))
            by_head: Moves = {head: moves for head in heads}
            pieces += translate_moved(translator.network, [encodings[row].ids for row in rows], by_head, options)
        found = [translator.subwords.decode_with_spans(*one).text for one in zip(pieces, encodings, strict=True)]
        trials.append(Trial(name, taken, given, found))
    return trials


def readings(sentences: Sequence[Sentence], texts: Sequence[str]) -> Table:
    """Pairs by number of right readings, and share of right genders, for each kind."""
    agreements = np.array([one.agreement(text) for one, text in zip(sentences, texts, strict=True)]).reshape(-1, 2)
    kinds = np.array([one.kind for one in sentences[::2]])
    rows: list[list[str | int | float]] = []
    for kind in KINDS:
        own = agreements[kinds == kind]
        counts = (own == 1).sum(axis=1)
        share, low, high = wilson(int((own == 1).sum()), int((own != 0).sum()))
        by_gender = [wilson(int((side == 1).sum()), int((side != 0).sum()))[0] for side in own.T]
        pairs = [int((counts == count).sum()) for count in (2, 1, 0)]
        rows.append([kind, *pairs, int((own != 0).sum()), share, f"{low:.2f} to {high:.2f}", *by_gender])
    columns = ["pairs", "both right", "one", "none", "sentences with either gender", "right", "interval"]
    return Table([*columns, "feminine antecedents", "masculine"], rows)


def attention(looks: Sequence[Look], sentences: Sequence[Sentence]) -> Table:
    """A row for every head: its share on the antecedent, against distance, against the other noun, and by meaning.

    `by meaning`: the share of a noun when the adjective makes it the antecedent, less its share when not; sentence,
    places and nouns are the same, so neither distance nor frequency can tell.
    """
    own, other = looks
    two = [one for one in sentences if one.other]
    of = np.array([bool(one.other) for one in sentences])
    kinds = np.array([one.kind for one in two])
    excess = (own.shares - own.expected)[of] - (other.shares - other.expected)  # [sentences with two nouns, ...]
    between = excess[kinds == "between"].reshape(-1, 2, *excess.shape[1:]).mean(axis=1)  # [pairs, layers, heads]
    antecedent = own.shares[of][kinds == "adjective"].reshape(-1, 2, *excess.shape[1:])
    rest = other.shares[kinds == "adjective"].reshape(-1, 2, *excess.shape[1:])
    meaning = (antecedent - rest[:, ::-1]).mean(axis=1)  # [pairs, layers, heads]
    rows: list[list[int | float | str]] = []
    for layer, head in np.ndindex(excess.shape[1:]):
        share, usual = (float(x[:, layer, head].mean()) for x in (own.shares, own.expected))
        row: list[int | float | str] = [layer + 1, head + 1, share, usual, share / usual]
        for values in (between, meaning):
            mean, low, high = interval(values[:, layer, head])
            row += [mean, f"{low:+.3f} to {high:+.3f}"]
        rows.append(row)
    columns = ["layer", "head", "share of the antecedent", "by distance alone", "ratio"]
    columns += ["between: above the other noun", "interval", "adjective: by meaning", "interval of that"]
    return Table(columns, rows, digits=3, name="attention")


def causes(sentences: Sequence[Sentence], trials: Sequence[Trial]) -> Table:
    """A row for every trial: how often the adjective's gender changes, and how often anything does."""
    rows = []
    for trial in trials:
        changed, total = _changes(sentences, trials[0], trial)
        share, low, high = wilson(changed, total)
        differ = np.mean([a != b for a, b in zip(trial.translations, trials[0].translations, strict=True)])
        right = sum(one.agreement(text) == 1 for one, text in zip(sentences, trial.translations, strict=True))
        rows.append([*trial[:3], total, changed, share, f"{low:.3f} to {high:.3f}", float(differ), right])
    columns = ["heads", "weight taken from", "given to", "sentences with either gender before and after"]
    columns += ["gender changed", "share", "interval", "translation changed", "right"]
    return Table(columns, rows, digits=3, name="causes")


def translations(sentences: Sequence[Sentence], texts: Sequence[str], trials: Sequence[Trial]) -> Table:
    """Every sentence, its translation, and with the antecedent's weight moved in every head."""
    moved = {
        one.text: trial.translations[row]
        for row, one in enumerate(one for one in sentences if one.other)
        for trial in trials[-3:-2]
    }
    rows = [
        [one.pair, one.kind, one.antecedent, one.text, text, one.agreement(text), moved.get(one.text)]
        for one, text in zip(sentences, texts, strict=True)
    ]
    columns = ["pair", "kind", "antecedent", "sentence", "translation", "agrees", "every head moved"]
    return Table(columns, rows, name="translations", shown=False)


def draw_pair(translator: Translator, sentences: Sequence[Sentence], best: Head, path: Path) -> None:
    """What *it* looks at in the heads of the best one's layer, in both sentences of a pair."""
    pair = [one for one in sentences if one.pair == DRAWN] or list(sentences[-2:])
    figure = new_figure(9, 5)
    for axes, one in zip(figure.subplots(1, 2), pair, strict=True):
        encoding = translator.subwords.encode(one.text)
        weights = translator.attention(one.text, "").encoder[best.layer, :, :-1]
        words = [word.text for word in encoding.words]
        axes.set_title(one.text, fontsize=9, color=INK)
        draw_lines(axes, over_words(weights, encoding, encoding), words, words.index("it"))
    figure.legend(
        handles=[
            Patch(color=COLOURS[head % len(COLOURS)], label=f"head {best.layer + 1}.{head + 1}")
            for head in range(len(weights))
        ],
        loc="lower center",
        ncols=len(weights),
        fontsize=8,
        frameon=False,
    )
    save(figure, path)


def draw_lines(axes: Axes, weights: np.ndarray, words: Sequence[str], query: int) -> None:
    """Lines from one word to all words; weights are [heads, words, words + 1], a colour for each head."""
    axes.axis("off")
    axes.set_xlim(-0.6, 1.9)
    axes.set_ylim(len(words), -1)
    for row, word in enumerate(words):
        axes.text(-0.05, row, word, ha="right", va="center", fontsize=9, color=INK if row == query else "#9aa0a6")
        axes.text(1.05 + 0.08 * len(weights), row, word, va="center", fontsize=9, color=INK)
    for head, own in enumerate(weights[:, query, :-1]):
        colour = COLOURS[head % len(COLOURS)]
        for row, weight in enumerate(own):
            axes.plot([0, 1], [query, row], color=colour, alpha=float(min(weight, 1)), linewidth=2)
            place = (1.0 + 0.08 * head, row - 0.4)
            axes.add_patch(Rectangle(place, 0.08, 0.8, color=colour, alpha=float(min(weight, 1)), linewidth=0))


def draw_results(own: Look, sentences: Sequence[Sentence], trials: Sequence[Trial], path: Path) -> None:
    """Every head's share on the antecedent, and how often the gender changes in every trial."""
    figure = new_figure(11, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.3])
    own.draw(left, "share of the antecedent (by distance alone)", float(own.shares.mean(axis=0).max()))
    prepare(right, "the gender changes, with 95% intervals", "share of the sentences", "")
    rows = []
    for one in trials[1:]:
        colour = COLOURS[0] if one.given == "the other noun" else FAINT
        label = f"{one.heads}: {one.taken} to {one.given}"
        rows.append((label, colour, wilson(*_changes(sentences, trials[0], one))))
    intervals(right, rows)
    figure.tight_layout()
    save(figure, path)


def _changes(sentences: Sequence[Sentence], before: Trial, after: Trial) -> tuple[int, int]:
    # Sentences whose adjective changes its gender, and those with either gender before and after.
    pairs = zip(sentences, before.translations, after.translations, strict=True)
    found = [(one.agreement(first), one.agreement(second)) for one, first, second in pairs]
    decided = [pair for pair in found if 0 not in pair]
    return sum(first != second for first, second in decided), len(decided)


def _of_kind(found: Look, sentences: Sequence[Sentence], kind: str) -> Look:
    chosen = np.array([one.kind == kind for one in sentences])
    return Look(found.shares[chosen], found.expected[chosen])


if __name__ == "__main__":
    sys.exit(run("antecedent", main))
