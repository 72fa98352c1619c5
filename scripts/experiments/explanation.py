#!/usr/bin/env python
"""Is attention an explanation? Compare it with the effect of leaving out each source word.

    python -m scripts.experiments.explanation [--quick] [--output DIR]
    NMT_CHECKPOINT=checkpoints/quickstart python -m scripts.experiments.explanation --output DIR

Jain and Wallace (2019, "Attention is not Explanation") for translation: the model translates dev sentences; then each
source word is removed in turn and the model scores its own translation again. Kendall's tau compares, for every
target word, the order of the source words by a method with their order by that effect. The model is the shipped one, or
the transformer that $NMT_CHECKPOINT names.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nmt.alignment.pieces import over_words
from nmt.cli.common import run
from nmt.corpus import load_corpus, references
from nmt.inspection.drawing import FAINT
from nmt.text.encoding import Encoding
from nmt.text.words import split_words
from nmt.translation import AttentionMaps
from nmt.translator import Translator
from scripts.experiments.common.effects import Sentence, agreement, rollout
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.models import any_transformer
from scripts.experiments.common.tables import Table
from scripts.report import COLOURS, draw_intervals, interval

SENTENCES = 200
"""Sentences measured, after CHOOSING others that select the best head."""
CHOOSING = 100
FEWEST = 4
"""Fewest source words of a sentence."""
OTHER = "another measure: the word's embeddings set to zero"
HEAD = "alignment head"
ROLLOUT = "attention, rolled out through the encoder"
DIAGONAL = "nearness to the diagonal"


def scores_by_method(
    maps: AttentionMaps, source: Encoding, target: Encoding, draw: np.random.Generator
) -> dict[str, np.ndarray]:
    """Scores [target words, source words] of every method that needs no further pass of the model."""
    sizes = len(source.words), len(target.words)

    def read(attention: np.ndarray) -> np.ndarray:
        # [..., target pieces + `</s>`, source pieces + `</s>`] -> [..., target words, source words]
        return over_words(attention[..., :-1, :], source, target)[..., :-1]

    cross = read(maps.cross)  # [layers, heads, target words, source words]
    found = {f"attention, layer {layer + 1}": heads.mean(axis=0) for layer, heads in enumerate(cross)}
    found["attention, mean of all heads"] = cross.mean(axis=(0, 1))
    found |= {f"head {layer + 1}.{head + 1}": cross[layer, head] for layer, head in np.ndindex(cross.shape[:2])}
    found[ROLLOUT] = read(rollout(maps.encoder, maps.cross))
    across, down = ((np.arange(size) + 0.5) / size for size in sizes)
    found[DIAGONAL] = -np.abs(across[None, :] - down[:, None])
    found["chance"] = draw.random((sizes[1], sizes[0]))
    return found


def measure(translator: Translator, texts: list[str], seed: int) -> dict[str, np.ndarray]:
    """Agreement of each method with the effects of leaving out: [2, sentences], Kendall's tau and equal top word.

    Skips sentences with an empty translation.
    """
    subwords = translator.subwords
    engine = translator.torch_engine
    draw = np.random.default_rng(seed)
    sources = [subwords.encode(text) for text in texts]
    best = engine.translate([source.ids for source in sources], translator.search_options())
    found: dict[str, list[tuple[float, float]]] = {}
    for source, hypotheses in zip(sources, best, strict=True):
        target = subwords.decode_with_spans(hypotheses[0].pieces)
        if not target.words:
            continue
        pair = Sentence(engine.model, source, target)
        (maps,) = engine.attention([source.ids], [target.ids])
        scores = scores_by_method(maps, source, target, draw)
        scores["gradient × input"] = np.abs(pair.gradient_times_input())
        if translator.aligner is not None:
            scores[HEAD] = translator.align([(source.text, target.text)])[0].probabilities
        scores[OTHER] = np.abs(pair.silenced())
        effects = np.abs(pair.left_out())
        for method, one in scores.items():
            found.setdefault(method, []).append(agreement(one, effects))
    return {method: np.array(values).T for method, values in found.items()}


def main(arguments: Sequence[str]) -> None:
    """Translate, leave out, compare, write."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    translator, settings, model = any_transformer(experiment)
    corpus = load_corpus(settings.data)
    texts = [text for text in references(corpus.dev)[0] if len(split_words(text)) >= FEWEST]
    chosen = np.random.default_rng(experiment.seed).permutation(len(texts))
    chosen = chosen[: 20 if experiment.quick else CHOOSING + SENTENCES]
    for_choice = len(chosen) // 3
    choice = measure(translator, [texts[row] for row in chosen[:for_choice]], experiment.seed)
    found = measure(translator, [texts[row] for row in chosen[for_choice:]], experiment.seed)

    heads = [method for method in found if method.startswith("head ")]
    chosen_head = max(heads, key=lambda head: np.nanmean(choice[head][0]))
    rows = {method: values for method, values in found.items() if method not in heads}
    place = list(rows).index(ROLLOUT)
    rows = dict(
        [*list(rows.items())[:place], (f"attention, {chosen_head}", found[chosen_head]), *list(rows.items())[place:]]
    )
    draw_figure(rows, experiment.output / "figure.png")
    best, first = (
        max((one for one in rows if one.startswith("attention")), key=lambda one: interval(rows[one][kind])[0])
        for kind in (0, 1)
    )
    facts = [model, f"Corpus, SHA-256: `{corpus.sha256}`."]
    compared = [(best, DIAGONAL, 0, "tau"), *([(HEAD, first, 1, "same word")] if HEAD in rows else [])]
    for one, other, kind, name in compared:
        mean, low, high = interval(rows[one][kind] - rows[other][kind])
        facts.append(f"{one} less {other}, {name}: {mean:+.3f} (95% interval {low:+.3f} to {high:+.3f}).")
    columns = ["method", "Kendall's tau", "interval of tau", "same most important word", "interval of the share"]
    experiment.write([Table(columns, [cells(*row) for row in rows.items()], digits=3)], facts=facts)


def cells(method: str, values: np.ndarray) -> list[float | str]:
    """A row of a table: the method, and both means with their intervals; values [2, sentences]."""
    found: list[float | str] = [method]
    for one in values:
        mean, low, high = interval(one)
        found += [mean, f"{low:.3f} to {high:.3f}"]
    return found


def draw_figure(rows: dict[str, np.ndarray], path: Path) -> None:
    """Both agreements of every method, with intervals."""
    panels = []
    for number, title in enumerate(("Kendall's tau", "same most important word")):
        drawn = []
        for method, values in rows.items():
            colour = COLOURS[1] if method == HEAD else COLOURS[0] if method.startswith("attention") else FAINT
            drawn.append((method, colour, interval(values[number])))
        panels.append((title, title, drawn))
    draw_intervals(path, panels)


if __name__ == "__main__":
    sys.exit(run("explanation", main))
