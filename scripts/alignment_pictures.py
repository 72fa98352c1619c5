"""Ten test sentences with word-order inversions: raw attention, the alignment head, gold links dotted.

  python -m scripts.alignment_pictures                     writes docs/results/alignment-pictures/*.png
  python -m scripts.alignment_pictures --checkpoint DIR --output DIR --format pdf

The sentences are chosen by rule: the gold pairs of data/alignments with the most crossing sure links, at most 12 words
a side. Both matrices are of the same given sentence pair (teacher forcing).
"""

from __future__ import annotations

import argparse
import sys
from itertools import combinations
from pathlib import Path

from nmt.alignment.error_rate import GoldPair, read_gold
from nmt.alignment.gold import english_spanish_corpus, find_sentences
from nmt.alignment.links import argmax_links
from nmt.cli.common import run
from nmt.inspection.figures import plot_alignment
from nmt.text.words import split_words
from nmt.translation import Translation
from nmt.translator import Translator
from scripts.raw_attention import GOLD, over_word_pairs
from scripts.report import ROOT

PICTURES = 10
MOST_WORDS = 12


def main(arguments: list[str]) -> None:
    """Choose the sentences, align them both ways, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", metavar="DIR", help="default: tatoeba-en-es, shipped")
    parser.add_argument("--gold", default=GOLD, type=Path)
    parser.add_argument("--output", default=ROOT / "docs/results/alignment-pictures", type=Path)
    parser.add_argument("--format", choices=["png", "svg", "pdf"], default="png")
    options = parser.parse_args(arguments)
    translator = Translator.load(options.checkpoint)
    gold = read_gold(options.gold)
    pairs = list(zip(gold, find_sentences(gold, english_spanish_corpus()), strict=True))
    short = [pair for pair in pairs if words(pair[0]) <= MOST_WORDS]
    chosen = sorted(short, key=lambda pair: -crossings(pair[0]))[:PICTURES]
    for number, (links, (source, target)) in enumerate(chosen, 1):
        both = [before(translator, source, target), after(translator, source, target)]
        path = options.output / f"{number:02d}-{links.english_id}-{links.spanish_id}.{options.format}"
        names = ["cross-attention of one layer", "alignment head"]
        plot_alignment(both, path, [sorted(links.sure)] * 2, names)
        print(path)


def words(pair: GoldPair) -> int:
    """Length of the longer side, by its links."""
    return max((max(link) for link in pair.sure), default=-1) + 1


def crossings(pair: GoldPair) -> int:
    """Number of pairs of sure links that cross."""
    return sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in combinations(pair.sure, 2))


def before(translator: Translator, source: str, target: str) -> Translation:
    """Alignment by one layer's mean cross-attention."""
    layer = translator.checkpoint.metadata.alignment_layer
    matrix = over_word_pairs(translator, source, target)[layer].mean(axis=0)
    words = ([word.text for word in split_words(side)] for side in (source, target))
    return Translation(source, target, 0.0, *words, matrix, argmax_links(matrix))


def after(translator: Translator, source: str, target: str) -> Translation:
    """Alignment by the alignment head."""
    (pair,) = translator.align([(source, target)])
    return Translation(source, target, 0.0, pair.source_words, pair.target_words, pair.matrix, pair.links)


if __name__ == "__main__":
    sys.exit(run("alignment_pictures", main))
