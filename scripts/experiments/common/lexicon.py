"""Known one-word translations: which target word each source word is linked to in training pairs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nmt.alignment import Link
from nmt.checkpoint import ALIGNER, WEIGHTS
from nmt.text.words import split_words
from nmt.translator import Translator
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.toy import toy_links
from scripts.raw_attention import over_word_pairs
from scripts.report import read_json, write_json

LEAST = 5
"""Fewest one-to-one links of a source word with known translations."""
MAIN, OTHERS = 0.3, 0.05
"""Least share of a known word's links of its most frequent translation, and of each other one."""

Linked = tuple[list[str], list[str], list[Link]]
"""Source words, target words and their links."""


@dataclass(frozen=True)
class Lexicon:
    """One-word translations, in lower case."""

    translations: dict[str, list[str]]
    """Of each known source word, most frequent first."""
    frequent: dict[str, list[str]]
    """The most frequent words of `source` and `target`, most frequent first: function words, mostly."""

    @classmethod
    def of(cls, pairs: Iterable[Linked], least: int = LEAST) -> Lexicon:
        """Count the one-to-one links of aligned pairs."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        words: dict[str, Counter[str]] = {"source": Counter(), "target": Counter()}
        for source, target, links in pairs:
            words["source"].update(map(str.lower, source))
            words["target"].update(map(str.lower, target))
            for s, t in one_to_one(links):
                counts[source[s].lower()][target[t].lower()] += 1
        known = {}
        for word, found in counts.items():
            total = found.total()
            if total >= least and found.most_common(1)[0][1] >= MAIN * total:
                known[word] = [other for other, count in found.most_common() if count >= max(2, OTHERS * total)]
        frequent = {side: [word for word, _ in found.most_common(500)] for side, found in words.items()}
        return cls(known, frequent)


def one_to_one(links: Iterable[Link]) -> list[Link]:
    """Links between words that have no other link."""
    links = list(links)
    sources, targets = (Counter(side) for side in zip(*links, strict=True)) if links else ({}, {})
    return [(s, t) for s, t in links if sources[s] == targets[t] == 1]


def link(translator: Translator, pairs: Sequence[tuple[str, str]]) -> list[Linked]:
    """Align pairs by the alignment head, or without one one-to-one by the shown attention."""
    if translator.aligner is not None:
        found = translator.align(pairs)
        return [(one.source_words, one.target_words, one.links) for one in found]
    linked = []
    for source, target in pairs:
        layer, heads = translator.checkpoint.metadata.alignment_layer, translator.checkpoint.shown_heads
        attention = over_word_pairs(translator, source, target)[layer, heads].mean(axis=0)
        linked.append((_words(source), _words(target), greedy_links(attention)))
    return linked


def greedy_links(matrix: np.ndarray) -> list[Link]:
    """One-to-one links of [target words, source words + 1]: heaviest cells first, among unlinked words."""
    cells = matrix[:, :-1]
    links: list[Link] = []
    for cell in np.argsort(-cells, axis=None, kind="stable"):
        target, source = divmod(int(cell), cells.shape[1])
        if all(source != s and target != t for s, t in links):
            links.append((source, target))
    return sorted(links)


def lexicon(experiment: Experiment, translator: Translator, pairs: Sequence[tuple[str, str]]) -> Lexicon:
    """The lexicon of the pairs, cached among the experiment's checkpoints.

    The quick form uses the known links of its toy corpus.
    """
    if experiment.quick:
        sides = [(_words(source), _words(target)) for source, target in pairs]
        return Lexicon.of([(*pair, toy_links(*pair)) for pair in sides], least=2)
    checkpoint = translator.checkpoint
    linked_by = checkpoint.files[ALIGNER if ALIGNER in checkpoint.files else WEIGHTS]
    key = hashlib.sha256(json.dumps([linked_by, LEAST, list(pairs)]).encode()).hexdigest()
    path = experiment.checkpoints / "lexicons" / f"{key[:16]}.json"
    if not path.exists():
        write_json(path, vars(Lexicon.of(link(translator, pairs))))
    return Lexicon(**read_json(path))


def _words(text: str) -> list[str]:
    return [word.text for word in split_words(text)]
