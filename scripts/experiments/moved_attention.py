#!/usr/bin/env python
"""Attention as cause: move the weight on one source word to another and see which word is written.

    python -m scripts.experiments.moved_attention [--quick] [--output DIR] [--checkpoints DIR]
    NMT_CHECKPOINT=tatoeba-es-en python -m scripts.experiments.moved_attention --output DIR

From the step that writes a content word of the model's own translation, the cross-attention weight on its source word
goes to another source word with a known one-word translation: in one head, in the layer that is shown, in all layers.
The model is the shipped one, or the transformer that $NMT_CHECKPOINT names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from nmt.cli.common import run
from nmt.corpus import load_corpus, pairs_of, references
from nmt.engines.torch_engine import SPECIAL
from nmt.errors import UserError
from nmt.inspection.drawing import FAINT
from nmt.models import Transformer
from nmt.text.encoding import Encoding
from nmt.text.subwords import END, START, Subwords
from nmt.text.typography import AFTER_WORDS
from nmt.translator import Translator
from scripts.experiments.common.effects import coverage
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.habits import Head, heads_of
from scripts.experiments.common.lexicon import Lexicon, lexicon, link, one_to_one
from scripts.experiments.common.models import any_transformer
from scripts.experiments.common.moves import Move, moved, source_batch
from scripts.experiments.common.tables import Table
from scripts.report import COLOURS, draw_intervals, wilson

SENTENCES = 500
"""Unique dev sentences, drawn at random; each gives one word at most."""
PAIRS = 20_000
"""Random training pairs for counting known translations."""
FUNCTION_WORDS = 100
"""The most frequent words of each language are not content words."""
LONGEST_WORD = 10
"""Pieces of a word that is written after a move, at most."""
WORDS = ("aligned to other", "aligned to random", "random to other")
"""Source words that weight moves between; the first is the question, the others are controls."""


@dataclass(frozen=True)
class Example:
    """A content word of a translation, its source word, and another source word."""

    source: Encoding
    target: Encoding
    """The model's own greedy translation."""
    word: int
    """Of the target."""
    aligned: int
    other: int
    random: int
    """Words of the source."""
    accepted: frozenset[str]
    """Known translations of the other word, in lower case."""
    to_come: bool | None
    """Whether the other word's own translation comes after this word, or None if it has no single one."""

    @property
    def first(self) -> int:
        """The word's first piece."""
        return next(piece for piece, words in enumerate(self.target.words_of_piece) if self.word in words)

    @property
    def own(self) -> str:
        """The word."""
        return self.target.words[self.word].text

    def pieces(self, word: int) -> list[int]:
        """The pieces of a source word."""
        return np.flatnonzero(coverage(self.source)[word]).tolist()


class Written(NamedTuple):
    """The word written under one move."""

    word: str
    other: bool
    """Whether it is a translation of the other source word."""
    changed: bool
    """Whether it is another word than in the translation."""
    probability: float
    """Of the first piece of the translation's word."""
    moved: float
    """Attention weight moved at that piece, mean over the heads in question."""


Case = tuple[str, str]
"""The heads in words, and what is moved."""
UNMOVED: Case = ("none", "nothing")


def main(arguments: Sequence[str]) -> None:
    """Translate, move, write on, count."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    translator, settings, model = any_transformer(experiment)
    corpus = load_corpus(settings.data)
    draw = np.random.default_rng(experiment.seed)
    pairs = corpus.train.select(np.sort(draw.permutation(len(corpus.train))[: 100 if experiment.quick else PAIRS]))
    known = lexicon(experiment, translator, list(pairs_of(pairs)))
    texts = references(corpus.dev)[0]
    texts = [texts[row] for row in draw.permutation(len(texts))[: 20 if experiment.quick else SENTENCES]]
    engine = translator.torch_engine
    finder = Finder(translator, known, 2 if experiment.quick else FUNCTION_WORDS, draw)
    examples = list(finder.examples(texts))
    if not examples:
        raise UserError("no translation has a word to move; take another corpus")
    attention = [engine.attention([one.source.ids], [one.target.ids])[0].cross for one in examples]
    conditions = head_sets(translator, examples, attention)
    rows = [
        write_on(engine.model, translator.subwords, one, weights, moves_of(engine.model, one, conditions, draw))
        for one, weights in zip(examples, attention, strict=True)
    ]
    found = {case: [row[case] for row in rows] for case in rows[0]}
    draw_figure(found, experiment.output / "figure.png")
    unmoved = found.pop(UNMOVED)
    facts = [
        model,
        f"Corpus, SHA-256: `{corpus.sha256}`.",
        f"{len(examples):,} words of {len(texts):,} sentences; {len(known.translations):,} source words with known "
        f"translations. With nothing moved {sum(not one.changed for one in unmoved):,} are written again; the "
        f"probability of their first piece is {np.mean([one.probability for one in unmoved]):.2f}.",
    ]
    experiment.write([table(found), order(found, examples), written(found, examples)], facts=facts)


@dataclass(frozen=True)
class Finder:
    """Find in each sentence one word whose attention can be moved."""

    translator: Translator
    known: Lexicon
    function_words: int
    """Number of the most frequent words that do not count as content words."""
    draw: np.random.Generator

    def examples(self, texts: Sequence[str]) -> Iterator[Example]:
        """Translate the texts greedily, and draw at most one example from each."""
        subwords = self.translator.subwords
        sources = [subwords.encode(text) for text in texts]
        options = self.translator.search_options(beam=1)
        found = self.translator.torch_engine.translate([one.ids for one in sources], options)
        targets = [
            subwords.decode_with_spans(one[0].pieces, source) for one, source in zip(found, sources, strict=True)
        ]
        sides = list(zip(sources, targets, strict=True))
        linked = link(self.translator, [(source.text, target.text) for source, target in sides])
        for (source, target), (_, _, links) in zip(sides, linked, strict=True):
            if candidates := list(self._candidates(source, target, dict(one_to_one(links)))):
                yield candidates[self.draw.integers(len(candidates))]

    def _candidates(self, source: Encoding, target: Encoding, links: dict[int, int]) -> Iterator[Example]:
        names = [word.text.lower() for word in source.words]
        alone = [
            s for s in range(len(names)) if any(words == [s] for words in source.words_of_piece) and names[s].isalpha()
        ]
        usable = [s for s in alone if self._content("source", names[s]) and names[s] in self.known.translations]
        written = [word.text.lower() for word in target.words]
        for s in usable:
            if s not in links or not self._content("target", written[links[s]]):
                continue
            own = {*self.known.translations[names[s]], written[links[s]]}
            for other in usable:
                accepted = {*self.known.translations[names[other]], *(written[links[o]] for o in [other] if o in links)}
                rest = [word for word in alone if word not in (s, other)]
                if names[other] != names[s] and not accepted & own and rest:
                    to_come = links[other] > links[s] if other in links else None
                    random = rest[self.draw.integers(len(rest))]
                    yield Example(source, target, links[s], s, other, random, frozenset(accepted), to_come)

    def _content(self, side: str, word: str) -> bool:
        return word.isalpha() and word not in self.known.frequent[side][: self.function_words]


def head_sets(
    translator: Translator, examples: Sequence[Example], attention: Sequence[np.ndarray]
) -> dict[str, list[Head]]:
    """The sets of heads in which weight is moved: one head, the shown layer, all layers.

    The one head is the guided one, or without guidance the one that attends most to aligned words. attention holds
    [layers, heads, target pieces, source pieces] for each example.
    """
    layers, numbers = attention[0].shape[:2]
    shown = translator.checkpoint.metadata.alignment_layer or 0
    if guided := translator.checkpoint.metadata.alignment_heads:
        one = {f"guided, {', '.join(f'{shown + 1}.{head + 1}' for head in guided)}": [(shown, head) for head in guided]}
    else:
        shares = [
            weights[:, :, one.first, one.pieces(one.aligned)].sum(-1)
            for one, weights in zip(examples, attention, strict=True)
        ]
        layer, head = np.unravel_index(np.mean(shares, axis=0).argmax(), (layers, numbers))
        one = {f"best aligned, {layer + 1}.{head + 1}": [(int(layer), int(head))]}
    sets = one | {
        f"layer {shown + 1}": [(shown, head) for head in range(numbers)],
        "all layers": list(np.ndindex(layers, numbers)),
    }
    return {name: [Head("cross", *head) for head in heads] for name, heads in sets.items()}


def moves_of(
    model: Transformer, example: Example, conditions: dict[str, list[Head]], draw: np.random.Generator
) -> dict[Case, tuple[list[Head], int, int]]:
    """For each case the heads, and the source words that weight is moved from and to."""
    every = [head for head in heads_of(model) if head.kind == "cross"]
    words = {"aligned": example.aligned, "other": example.other, "random": example.random}
    moves: dict[Case, tuple[list[Head], int, int]] = {UNMOVED: ([], example.aligned, example.other)}
    for name, heads in conditions.items():
        for what in WORDS:
            origin, goal = what.split(" to ")
            moves[name, what] = heads, words[origin], words[goal]
        rest = [head for head in every if head not in heads]
        if len(rest) >= len(heads):
            drawn = [rest[number] for number in draw.permutation(len(rest))[: len(heads)]]
            moves[f"{len(heads)} random", f"{WORDS[0]}, beside {name}"] = drawn, example.aligned, example.other
    return moves


@torch.inference_mode()
def write_on(
    model: Transformer,
    subwords: Subwords,
    example: Example,
    attention: np.ndarray,
    cases: dict[Case, tuple[list[Head], int, int]],
) -> dict[Case, Written]:
    """Rewrite the word greedily in every case, after the translation's own prefix.

    The move applies from the word's first piece on.
    """
    first, column = example.first, example.target.ids[example.first]
    by_head: dict[Head, list[Move]] = {}
    for row, (heads, origin, goal) in enumerate(cases.values()):
        for head in heads:
            move = Move(row, slice(first, None), example.pieces(origin), example.pieces(goal))
            by_head.setdefault(head, []).append(move)
    memory, mask, _ = model.encode(*source_batch([example.source.ids]))
    memory = memory.expand(len(cases), -1, -1)
    target = torch.tensor([START, *example.target.ids[:first]]).repeat(len(cases), 1)
    probabilities = np.zeros(len(cases))
    with moved(model, by_head):
        for step in range(min(LONGEST_WORD, model.config.max_length - target.size(1))):
            logits = model.logits(model.decode(target, memory, mask)[0][:, -1])  # [cases, vocabulary]
            if step == 0:
                probabilities = logits.softmax(dim=-1)[:, column].numpy()
            logits[:, list(SPECIAL.forbidden)] = -torch.inf
            target = torch.cat([target, logits.argmax(dim=-1, keepdim=True)], dim=1)
            words = [_words(subwords, row, example.source) for row in target[:, 1:].tolist()]
            if all(len(row) > example.word + 1 or END in ids for row, ids in zip(words, target.tolist(), strict=True)):
                break
    found = {}
    for (case, (heads, origin, _)), row, probability in zip(cases.items(), words, probabilities, strict=True):
        word = row[example.word] if len(row) > example.word else ""
        weights = [attention[head.layer, head.number, first, example.pieces(origin)].sum() for head in heads]
        found[case] = Written(
            word,
            word.lower() in example.accepted,
            word != example.own,
            float(probability),
            float(np.mean(weights)) if weights else 0.0,
        )
    return found


def _words(subwords: Subwords, ids: list[int], source: Encoding) -> list[str]:
    # The words of a translation's pieces up to `</s>`; before it, without the final marks that decoding takes over.
    ended = END in ids
    words = [word.text for word in subwords.decode_with_spans(ids[: ids.index(END)] if ended else ids, source).words]
    while not ended and words and words[-1] in AFTER_WORDS:
        words.pop()
    return words


def table(found: dict[Case, list[Written]]) -> Table:
    """A row for every case."""
    columns = ["heads", "weight moved from", "weight", "other word written", "interval", "changed"]
    columns += ["interval of changed", "probability of the word's first piece"]
    rows: list[list[str | float]] = []
    for (heads, what), cases in found.items():
        cells: list[str | float] = [heads, what, float(np.mean([one.moved for one in cases]))]
        for count in (sum(one.other for one in cases), sum(one.changed for one in cases)):
            share, low, high = wilson(count, len(cases))
            cells += [share, f"{low:.3f} to {high:.3f}"]
        rows.append([*cells, float(np.mean([one.probability for one in cases]))])
    return Table(columns, rows, digits=3)


def order(found: dict[Case, list[Written]], examples: Sequence[Example]) -> Table:
    """Moves to the other word, by whether its translation has already been written."""
    rows: list[list[str | int | float]] = []
    for (heads, what), cases in found.items():
        for label, wanted in (("still to come", True), ("written before", False)):
            own = [case.other for case, one in zip(cases, examples, strict=True) if one.to_come is wanted]
            if what == WORDS[0]:
                share, low, high = wilson(sum(own), len(own))
                rows.append([heads, label, len(own), share, f"{low:.3f} to {high:.3f}"])
    return Table(["heads", "other word's translation", "words", "written", "interval"], rows, digits=3, name="order")


def written(found: dict[Case, list[Written]], examples: Sequence[Example]) -> Table:
    """Every example, and what was written when the weight went to the other word."""
    cases = {heads: rows for (heads, what), rows in found.items() if what == WORDS[0]}
    rows = [
        [
            one.source.text,
            one.target.text,
            one.own,
            one.source.words[one.aligned].text,
            one.source.words[one.other].text,
            "|".join(sorted(one.accepted)),
            *(rows[number].word for rows in cases.values()),
        ]
        for number, one in enumerate(examples)
    ]
    columns = ["sentence", "translation", "word", "from", "to", "known translations"]
    return Table([*columns, *cases], rows, name="written", shown=False)


def draw_figure(found: dict[Case, list[Written]], path: Path) -> None:
    """Both shares of every case, with intervals."""
    rows = {case: cases for case, cases in found.items() if case != UNMOVED}
    panels = []
    for field, title in (("other", "the other word is written"), ("changed", "another word than before")):
        drawn = []
        for (heads, what), cases in rows.items():
            share = wilson(sum(getattr(one, field) for one in cases), len(cases))
            drawn.append((f"{heads}: {what}", COLOURS[0] if what == WORDS[0] else FAINT, share))
        panels.append((title, "share of the words", drawn))
    draw_intervals(path, panels)


if __name__ == "__main__":
    sys.exit(run("moved_attention", main))
