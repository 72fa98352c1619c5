#!/usr/bin/env python
"""Fixed vector against attention (Bahdanau et al. 2015, Figure 2): BLEU against sentence length.

    python -m scripts.experiments.fixed_vector [--quick] [--output DIR] [--checkpoints DIR]

An RNN encoder-decoder that must put the source into one vector, the same with attention, and a transformer: about as
many parameters, the same data in the same order for as many steps. Tatoeba's sentences are short, so pairs are joined
into long ones, for training too; Multi30k's captions are taken as they are.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sacrebleu.metrics import BLEU

from nmt.cli.common import run
from nmt.corpus import load_corpus, pairs_of
from nmt.inspection.drawing import FAINT, new_figure, save
from nmt.translator import Translator
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.models import ARCHITECTURES, JOINED, join, multi30k, multi30k_model, tatoeba_model
from scripts.experiments.common.tables import Table
from scripts.report import MODEL_COLOURS, legend, prepare

JOINED_TATOEBA, MULTI30K = "Tatoeba, joined", "Multi30k"
BOUNDS = {JOINED_TATOEBA: (5, 10, 20, 30, 40, 50, 60, 80), MULTI30K: (8, 10, 12, 14, 16, 20, 40)}
"""Upper bound of source words of each bucket."""
FEWEST = 30
"""Fewest sentences of a scored bucket."""
LONG = 30
"""Longer joined sentences count as long."""
SHIPPED = "shipped, never trained on joined sentences"
Bucket = tuple[int, int, np.ndarray]
"""Least and most source words, and the numbers of the sentences."""


class Test(NamedTuple):
    """Test sentences, their references and, by model, their translations."""

    sources: list[str]
    references: list[str]
    translations: dict[str, list[str]]

    def between(self, least: int, most: int) -> np.ndarray:
        """The numbers of the sentences of `least` to `most` words."""
        lengths = np.array([len(source.split()) for source in self.sources])
        return np.flatnonzero((lengths >= least) & (lengths <= most))

    def bleu(self, model: str, numbers: np.ndarray) -> float:
        """Corpus BLEU of the sentences of these numbers."""
        texts, references = ([side[n] for n in numbers] for side in (self.translations[model], self.references))
        return BLEU().corpus_score(texts, [references]).score

    def length_ratio(self, model: str, numbers: np.ndarray) -> float:
        """Words of the translations for each word of the references."""
        words = [sum(len(side[n].split()) for n in numbers) for side in (self.translations[model], self.references)]
        return words[0] / words[1]


def main(arguments: Sequence[str]) -> None:
    """Train the models on both corpora, translate the tests, write the page."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    tests = {JOINED_TATOEBA: joined_test(experiment), MULTI30K: natural_test(experiment)}
    models = []
    for corpus, make in ((JOINED_TATOEBA, tatoeba_model), (MULTI30K, multi30k_model)):
        for architecture in ARCHITECTURES:
            translator = make(experiment, architecture)
            translate(tests[corpus], architecture, translator)
            made = experiment.trained[translator.checkpoint.directory.name]
            minutes = made["processor_seconds"] / 60
            models.append((corpus, architecture, made["parameters"], made["target_pieces"], minutes, made["dev_loss"]))
    if not experiment.quick:
        translate(tests[JOINED_TATOEBA], SHIPPED, Translator.load(engine="torch", threads=1))
    fewest = 3 if experiment.quick else FEWEST
    buckets = {corpus: buckets_of(test, BOUNDS[corpus], fewest) for corpus, test in tests.items()}
    table = Table(
        ["corpus", "source words", "sentences", *(f"{name}, BLEU" for name in ARCHITECTURES)]
        + [f"{name}, length" for name in ARCHITECTURES],
        [
            (corpus, f"{least} to {most}", len(numbers), *(tests[corpus].bleu(name, numbers) for name in ARCHITECTURES))
            + tuple(tests[corpus].length_ratio(name, numbers) for name in ARCHITECTURES)
            for corpus, groups in buckets.items()
            for least, most, numbers in groups
        ],
    )
    trained = Table(
        ["corpus", "model", "parameters", "target pieces", "minutes of one core", "dev loss"], models, name="models"
    )
    draw(experiment.output / "figure.png", tests, buckets)
    long, resamples = (8, 20) if experiment.quick else (LONG, 500)
    joined = tests[JOINED_TATOEBA]
    numbers = joined.between(long + 1, 10**6)
    value, low, high = difference(joined, numbers, resamples, experiment.seed)
    more = f"{len(numbers)} joined sentences of more than {long} words"
    facts = [f"rnnsearch less rnnencdec, {more}: {value:+.1f} BLEU (95% interval {low:+.1f} to {high:+.1f})."]
    if SHIPPED in joined.translations:
        ends = (buckets[JOINED_TATOEBA][0], buckets[JOINED_TATOEBA][-1])
        told = (f"{joined.bleu(SHIPPED, group):.1f} BLEU on {least} to {most} words" for least, most, group in ends)
        facts.append(f"The shipped model: {', '.join(told)}.")
    experiment.write([table, trained], facts=facts)


def joined_test(experiment: Experiment) -> Test:
    """The test pairs of Tatoeba alone and joined, every pair once in every size."""
    split = load_corpus(experiment.config("parts").data).test
    pairs = list(pairs_of(split))
    draw = random.Random(experiment.seed)
    joined = []
    for size in JOINED[:3] if experiment.quick else JOINED:
        order = draw.sample(pairs, len(pairs))
        joined += [join(order[first : first + size]) for first in range(0, len(order) - size + 1, size)]
    return Test([source for source, _ in joined], [target for _, target in joined], {})


def natural_test(experiment: Experiment) -> Test:
    """The test pairs of Multi30k."""
    split = load_corpus(experiment.config("multi30k-transformer", *multi30k(experiment)).data).test
    return Test(split["source"][:], split["target"][:], {})


def translate(test: Test, model: str, translator: Translator) -> None:
    """Add the model's greedy translations to the test, each of all its sentences at once."""
    found = translator.stream(test.sources, one_sentence=True, beam=1)
    test.translations[model] = [one.text for one in found]


def buckets_of(test: Test, bounds: Sequence[int], fewest: int) -> list[Bucket]:
    """The buckets with at least `fewest` sentences."""
    limits = zip((1, *(bound + 1 for bound in bounds)), bounds, strict=False)
    groups = [(least, most, test.between(least, most)) for least, most in limits]
    return [group for group in groups if len(group[2]) >= fewest]


def difference(test: Test, numbers: np.ndarray, resamples: int, seed: int) -> tuple[float, float, float]:
    """BLEU of rnnsearch minus that of rnnencdec, with a 95% interval by paired bootstrap (Koehn 2004)."""
    random = np.random.default_rng(seed)
    samples = [random.choice(numbers, len(numbers)) for _ in range(resamples)]
    values = [test.bleu("rnnsearch", sample) - test.bleu("rnnencdec", sample) for sample in [numbers, *samples]]
    return values[0], *np.percentile(values[1:], [2.5, 97.5])


def draw(path: Path, tests: dict[str, Test], buckets: dict[str, list[Bucket]]) -> None:
    """BLEU over the mean length of each bucket, a panel for each corpus."""
    figure = new_figure(9, 3.6)
    for panel, (corpus, test) in enumerate(tests.items()):
        axes = figure.add_subplot(1, 2, panel + 1)
        prepare(axes, corpus, "source words", "BLEU")
        for name in test.translations:
            look = {"color": FAINT, "linestyle": "--"} if name == SHIPPED else {"color": MODEL_COLOURS[name]}
            groups = [numbers for _, _, numbers in buckets[corpus]]
            lengths = [np.mean([len(test.sources[n].split()) for n in numbers]) for numbers in groups]
            scores = [test.bleu(name, numbers) for numbers in groups]
            axes.plot(lengths, scores, marker="o", markersize=4, linewidth=1.5, label=name, **look)
        axes.set_ylim(bottom=0)
        legend(axes)
    figure.tight_layout()
    save(figure, path)


if __name__ == "__main__":
    sys.exit(run("fixed_vector", main))
