#!/usr/bin/env python
"""Does the model of the other direction choose better among a translator's hypotheses?

    python -m scripts.rerank tatoeba-en-es tatoeba-es-en
    python -m scripts.rerank tatoeba-es-en tatoeba-en-es --hypotheses 12 --weights 0.5 1

Each hypothesis y of source x has the score log p(y | x) / lp(y) of the search. Added to it is a weight times the other
model's log p(x | y), per piece of x (the channel model of Yee et al. 2019, arXiv 1908.05731). Prints BLEU and chrF on
the dev split for each weight, 0 first, and what it takes beside the default search.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from nmt import Translation, Translator
from nmt.cli.common import run
from nmt.corpus import load_corpus, references
from nmt.evaluation import score
from scripts.report import table


def main(arguments: list[str]) -> None:
    """Print a row for each weight."""
    parser = argparse.ArgumentParser(
        prog="rerank.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="the translator")
    parser.add_argument("other", help="a translator of the other direction")
    parser.add_argument("--hypotheses", type=int, default=6, metavar="N", help="of each sentence (default: 6)")
    parser.add_argument("--weights", type=float, nargs="+", default=[0.3, 0.5, 1.0, 1.5], metavar="W")
    options = parser.parse_args(arguments)
    translator, other = Translator.load(options.checkpoint), Translator.load(options.other)
    data = translator.checkpoint.config.data.model_copy(update={"extra": {}})  # for training alone
    sources, targets = references(load_corpus(data).dev)
    translator.translate(sources[:1])  # load the network
    started = [time.perf_counter()]
    for n_best in (None, options.hypotheses):
        found = list(translator.stream(sources, one_sentence=True, n_best=n_best))
        started.append(time.perf_counter())
    backwards = channel_scores(found, other)
    started.append(time.perf_counter())
    rows = []
    for weight in (0.0, *options.weights):
        texts = [best(one, own, weight).text for one, own in zip(found, backwards, strict=True)]
        result = score(texts, targets, translator.target)
        rows.append([f"{weight:g}", f"{result.bleu:.2f}", f"{result.chrf:.2f}"])
    print(table(["weight", "dev BLEU", "chrF"], rows))
    plain, wide, scoring = np.diff(started)
    print(f"{len(sources):,} sentences; the search takes {wide / plain:.1f} times the default's time, ", end="")
    print(f"and scoring (PyTorch) {scoring / plain:.1f} times")


def channel_scores(found: Sequence[Translation], other: Translator) -> list[np.ndarray]:
    """For each translation its hypotheses' log p(source | hypothesis) per piece of the source, by `other`."""
    pairs = [(one.source, hypothesis.text) for one in found for hypothesis in one.hypotheses or [one]]
    read = [other.subwords.encode(text) for _, text in pairs]
    written = [other.subwords.encode_translation(source, text) for (source, _), text in zip(pairs, read, strict=True)]
    means: list[float] = []
    for first in range(0, len(pairs), 64):
        part = slice(first, first + 64)
        scores = other.torch_engine.score([one.ids for one in read[part]], [one.ids for one in written[part]])
        means += [float(values.mean()) for values in scores]
    return np.split(np.array(means), np.cumsum([len(one.hypotheses or [one]) for one in found])[:-1])


def best(translation: Translation, backwards: np.ndarray, weight: float) -> Translation:
    """The hypothesis with the highest sum of its own and the weighted other score."""
    hypotheses = translation.hypotheses or [translation]
    return hypotheses[int(np.argmax([one.score for one in hypotheses] + weight * backwards))]


if __name__ == "__main__":
    sys.exit(run("rerank.py", main))
