"""How well the attention that is shown aligns: on gold pairs, and on the model's own translations.

  python -m scripts.guided_attention tatoeba-en-es
  python -m scripts.guided_attention checkpoints/mine --sentences 500
  python -m scripts.guided_attention --figure three.png checkpoints/tatoeba-en-es-plain tatoeba-en-es

Two figures a checkpoint. AER of the attention's links, the translator fed the gold pairs' references (teacher forcing).
F1 of the attention's links against those of the alignment head, on translations of development sentences.
`--figure` draws one gold pair: the attention of each checkpoint, and the last one's link probabilities.
"""

from __future__ import annotations

import argparse
import sys
from itertools import combinations
from pathlib import Path

from nmt.alignment.error_rate import GoldPair, score
from nmt.alignment.links import attention_links
from nmt.cli.common import run
from nmt.corpus import load_corpus
from nmt.inspection.figures import plot_alignment
from nmt.text.words import split_words
from nmt.translation import Translation
from nmt.translator import Translator
from scripts.raw_attention import gold_pairs, over_word_pairs

MOST_WORDS = 12
"""On a side of the pair that is drawn."""


def main(arguments: list[str]) -> None:
    """Print both figures of each checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument("--sentences", type=int, default=500, help="development sentences (default: 500)")
    parser.add_argument("--figure", metavar="FILE", help="draw instead")
    options = parser.parse_args(arguments)
    if options.figure:
        draw([Translator.load(name, "torch") for name in options.checkpoints], options.figure)
        return
    for name in options.checkpoints:
        translator = Translator.load(name, "torch")
        print(f"{name}: {translator.checkpoint.attention_name}")
        for label, value in on_gold(translator).items():
            print(f"  AER on references, {label}: {value:.3f}")
        print(f"  F1 with the alignment head's links, own translations: {on_own(translator, options.sentences):.3f}")


def on_gold(translator: Translator) -> dict[str, float]:
    """AER of the shown attention, and of every other head's and layer's best, on the gold pairs (English-Spanish)."""
    layer, shown = translator.checkpoint.metadata.alignment_layer, translator.checkpoint.shown_heads
    gold, pairs = gold_pairs()
    swap = translator.source == "es"
    found: dict[str, list] = {}
    for pair in pairs:
        sides = pair[::-1] if swap else pair
        attention = over_word_pairs(translator, *sides)  # [layers, heads, target words, source words + 1]
        candidates = {"shown": attention[layer, shown].mean(axis=0)}
        for number, heads in enumerate(attention):
            candidates[f"mean of layer {number + 1}"] = heads.mean(axis=0)
            candidates |= {f"layer {number + 1}, head {head + 1}": one for head, one in enumerate(heads)}
        for label, matrix in candidates.items():
            links = attention_links(matrix)
            found.setdefault(label, []).append([(t, s) for s, t in links] if swap else links)
    rates = {label: score(links, gold).error_rate for label, links in found.items()}
    others = [label for label in rates if label != "shown"]
    best = min(others, key=rates.__getitem__)
    return {"shown": rates["shown"], f"best of the others, {best}": rates[best]}


def draw(translators: list[Translator], path: str) -> None:
    """The short pair with the most crossing sure links: each translator's attention, teacher-forced, and the alignment
    head's probabilities."""
    pairs = zip(*gold_pairs(), strict=True)
    short = [one for one in pairs if max(map(max, one[0].sure), default=0) < MOST_WORDS]
    chosen, (source, target) = max(short, key=lambda one: crossings(one[0]))
    panels, names = [], []
    for translator in translators:
        checkpoint = translator.checkpoint
        attention = over_word_pairs(translator, source, target)
        matrix = attention[checkpoint.metadata.alignment_layer, checkpoint.shown_heads].mean(axis=0)
        sides = [[word.text for word in split_words(text)] for text in (source, target)]
        panels.append(Translation(source, target, 0.0, *sides, matrix, attention_links(matrix)))
        names.append(checkpoint.attention_name)
    (pair,) = translators[-1].align([(source, target)])
    panels.append(Translation(source, target, 0.0, pair.source_words, pair.target_words, pair.matrix, pair.links))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    plot_alignment(panels, path, [sorted(chosen.sure)] * len(panels), [*names, "link probabilities (alignment head)"])
    print(path)


def crossings(pair: GoldPair) -> int:
    """Number of pairs of sure links that cross."""
    return sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in combinations(pair.sure, 2))


def on_own(translator: Translator, sentences: int) -> float:
    """F1 of the attention's links against the alignment head's, on translations of dev sentences."""
    corpus = load_corpus(translator.checkpoint.config.data)
    common = both = 0
    for translation in translator.stream(corpus.dev["source"][:sentences]):
        attention, links = translation.aligned()
        own = attention_links(attention)
        common += 2 * len(set(own) & set(links))
        both += len(own) + len(links)
    return common / both


if __name__ == "__main__":
    sys.exit(run("guided_attention", main))
