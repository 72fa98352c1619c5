#!/usr/bin/env python
"""Calibrate a checkpoint's confidence on its development split, and measure it.

    python -m scripts.confidence CHECKPOINT --write       # fit on dev, into metadata.json
    python -m scripts.confidence CHECKPOINT --test        # measure metadata.json's on test: docs/results/confidence.md

The question is whether a translation is bad: sentence chrF below 30. An area under the ROC curve of 1 tells all bad
from all good ones, 0.5 none. Test sets are for the final table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from nmt.checkpoint import find_checkpoint
from nmt.cli.common import run
from nmt.confidence import LOW_WORD, Calibration, looks_foreign
from nmt.confidence_fit import Judged, calibrate_checkpoint, judged, roc_auc, scrambled
from nmt.corpus import load_corpus, references
from nmt.errors import UserError
from nmt.inspection.drawing import FAINT, axes_at, new_figure, save
from nmt.translator import Translator
from scripts.report import COLOURS, ROOT, fill, legend, prepare, table

PAGE = ROOT / "docs" / "results" / "confidence.md"
START = """\
# Confidence

`Translation.confidence` is the probability that a translation is good, which is to say that its chrF against the
references is at least 30; `Translation.word_confidence` is that of each word to stand in a reference. Both come from a
logistic model (`nmt.confidence`) of what a search leaves behind. A translation is doubted if it is improbable a letter
or short, if the search's other hypotheses are unlike it, and if the training corpus lacks words of the source; a word
also if it has no probable link. The weights are fitted on dev (`nmt.confidence_fit`); everything below is measured on
test, once.
`python -m scripts.confidence CHECKPOINT --test` makes each table and figure.
"""
EDGES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
OTHER_LINES = 200


def main(arguments: list[str]) -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--write", action="store_true", help="write the weights, fitted on dev, into metadata.json")
    task.add_argument("--test", action="store_true", help="measure the weights in metadata.json on test")
    options = parser.parse_args(arguments)
    directory = find_checkpoint(options.checkpoint)
    translator = Translator.load(directory)
    corpus = load_corpus(translator.checkpoint.config.data)
    if options.test:
        if corpus.test is None:
            raise UserError("the checkpoint's corpus has no test split")
        print(fill(PAGE, {directory.resolve().name: measure(translator, *references(corpus.test))}, START))
    elif calibration := calibrate_checkpoint(directory, corpus.dev):
        print("\n".join(f"{name:<22}{weight:>9.4g}" for name, weight in calibration.weights.items()))
    else:
        print("too few good or bad translations: nothing written")


def told(found: Judged, confidence: np.ndarray, word_confidence: np.ndarray) -> str:
    """The figures of sentences, and those of words, in two sentences each."""
    marked = word_confidence < LOW_WORD
    return (
        f"{len(confidence):,} sentences, {(~found.good).sum():,} of them bad. Area under the ROC curve: "
        f"**{roc_auc(confidence, found.good):.3f}**; {errors(confidence, found.good)}.\n\n"
        f"{len(marked):,} words, {(~found.right).sum():,} of them in no reference. Area under the ROC curve: "
        f"**{roc_auc(word_confidence, found.right):.3f}**; {errors(word_confidence, found.right)}. "
        f"{100 * marked.mean():.1f}% of the words are doubtful (below {LOW_WORD:g}); "
        f"{100 * (~found.right[marked]).mean():.0f}% of these are in no reference."
    )


def errors(confidence: np.ndarray, good: np.ndarray) -> str:
    """Brier score, against that of the mean for all, and expected calibration error over ten equally full bins."""
    brier, plain = ((confidence - good) ** 2).mean(), good.mean() * (1 - good.mean())
    bins = np.array_split(np.argsort(confidence), 10)
    error = sum(len(rows) * abs(confidence[rows].mean() - good[rows].mean()) for rows in bins) / len(good)
    return f"Brier score {brier:.3f} (the base rate alone: {plain:.3f}), calibration error {error:.3f}"


def curve(confidence: np.ndarray, good: np.ndarray) -> str:
    """The calibration curve: a row for each range of confidence."""
    rows = []
    for least, most in zip(EDGES, EDGES[1:], strict=False):
        inside = (confidence >= least) & ((confidence < most) | (most == 1))
        if inside.any():
            means = f"{confidence[inside].mean():.3f}", f"{good[inside].mean():.3f}"
            rows.append([f"{least:g} to {most:g}", f"{inside.sum():,}", *means])
    return table(["confidence", "sentences", "mean confidence", "share that is good"], rows)


def draw(path: Path, curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """The calibration curves: mean confidence against the share that is good, in ten equally full bins."""
    figure = new_figure(4.2, 4.0)
    axes = axes_at(figure, 0.6, 0.15, 3.4, 3.2)
    prepare(axes, "", "confidence", "share that is right")
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle="--")
    for colour, (name, (confidence, good)) in zip(COLOURS, curves.items(), strict=False):
        bins = np.array_split(np.argsort(confidence), 10)
        means = [(confidence[rows].mean(), good[rows].mean()) for rows in bins]
        axes.plot(*zip(*means, strict=True), color=colour, marker="o", markersize=4, linewidth=1.2, label=name)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    legend(axes)
    path.parent.mkdir(exist_ok=True)
    save(figure, path)


def measure(translator: Translator, sources: list[str], targets: list[list[str]]) -> str:
    """The block of one checkpoint: areas, calibration curves, and lines in other languages; draws the figure."""
    calibration = Calibration.of(translator.checkpoint.metadata.confidence)
    if calibration is None:
        raise UserError("the checkpoint has no confidence; --write makes it")
    found = judged(translator, sources, targets)
    confidence = np.array([calibration(row) for row in found.rows])
    by_word = np.array(calibration.words(found.words) or np.zeros(len(found.words)))
    name = Path(translator.checkpoint.directory).resolve().name
    picture = PAGE.with_suffix("") / f"{name}.svg"
    draw(picture, {"sentences": (confidence, found.good), "words": (by_word, found.right)})
    other = [own[0] for own in targets[:OTHER_LINES]]
    groups = {
        f"test sentences ({translator.source})": sources,
        f"their references ({translator.target}), as sources": other,
        "random letters": [scrambled(text, -1 - number) for number, text in enumerate(other)],
    }
    rows = []
    for group, lines in groups.items():
        translations = [one for one in translator.stream(lines, one_sentence=True) if one.confidence is not None]
        median = np.median([one.confidence for one in translations if one.confidence is not None])
        warned = np.mean([looks_foreign(one) for one in translations])
        rows.append([group, f"{len(lines):,}", f"{median:.2f}", f"{100 * warned:.1f}%"])
    return "\n\n".join(
        [
            f"## {name}",
            told(found, confidence, by_word),
            f"![Calibration curves of {name}]({picture.relative_to(PAGE.parent)})",
            curve(confidence, found.good),
            table(["lines", "number", "median confidence", "warned of"], rows),
        ]
    )


if __name__ == "__main__":
    sys.exit(run("confidence.py", main))
