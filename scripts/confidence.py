#!/usr/bin/env python
"""Calibrate a checkpoint's confidence on its development split, and measure it.

    python -m scripts.confidence CHECKPOINT               # fit on half of dev, measure on the other half
    python -m scripts.confidence CHECKPOINT --write       # also fit on all of dev, into metadata.json
    python -m scripts.confidence CHECKPOINT --test        # measure metadata.json's on test: docs/results/confidence.md

The question is whether a translation is bad: sentence chrF below 30. An area under the ROC curve of 1 tells all bad
from all good ones, 0.5 none. Test sets are for the final table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from nmt.calibration import (
    SENTENCES,
    calibrate_checkpoint,
    fit,
    judged,
    roc_auc,
    scrambled,
    with_foreign,
)
from nmt.checkpoint import CONFIG, find_checkpoint
from nmt.cli.common import run
from nmt.confidence import SIGNS, Calibration, looks_foreign
from nmt.config import load_config
from nmt.corpus import load_corpus, references
from nmt.errors import UserError
from nmt.translator import Translator
from scripts.report import ROOT, fill, table

PAGE = ROOT / "docs" / "results" / "confidence.md"
START = """\
# Confidence

`Translation.confidence` is the probability that a translation is good, which is to say that its chrF against the
references is at least 30. It comes from a logistic model (`nmt.confidence`) of what a search leaves behind: the
log-probability a piece, the links and their probabilities, the lengths, and words that the training corpus lacks. The
weights are fitted on dev (`nmt.calibration`); everything below is measured on test, once.
`python -m scripts.confidence CHECKPOINT --test` makes each table.
"""
EDGES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
OTHER_LINES = 200


def main(arguments: list[str]) -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("--write", action="store_true", help="write the weights, fitted on dev, into metadata.json")
    parser.add_argument("--test", action="store_true", help="measure the weights in metadata.json on test")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    options = parser.parse_args(arguments)
    directory = find_checkpoint(options.checkpoint)
    translator = Translator.load(directory, threads=options.threads)
    corpus = load_corpus(load_config(translator.checkpoint.path(CONFIG), warn=False).data)
    if options.test:
        if corpus.test is None:
            raise UserError("the checkpoint's corpus has no test split")
        print(fill(PAGE, {directory.resolve().name: measure(translator, *references(corpus.test))}, START))
    elif options.write:
        calibration = calibrate_checkpoint(directory, corpus.dev, options.threads)
        print("too few good or bad translations: nothing written" if calibration is None else weights_of(calibration))
    else:
        print(halves(translator, *references(corpus.dev)))


def halves(translator: Translator, sources: list[str], targets: list[list[str]]) -> str:
    """What a fit on the even dev sentences finds in the odd ones, in all and with each piece of evidence alone."""
    rows, good = judged(translator, sources[:SENTENCES], targets[:SENTENCES])
    even = with_foreign(translator, rows[::2], good[::2], targets[::2])
    calibration = fit(*even)
    if calibration is None:
        raise UserError(f"{good.sum()} good and {(~good).sum()} bad translations are too few")
    held, truth = rows[1::2], good[1::2]
    lines = [f"{len(held)} sentences held out, {(~truth).sum()} bad", weights_of(calibration)]
    for name, sign in SIGNS.items():
        if name in held[0]:
            alone = np.array([sign * row[name] for row in held])
            lines.append(f"AUC of {name} alone: {roc_auc(alone, truth):.3f}")
    found = np.array([calibration(row) for row in held])
    lines.append(f"AUC: {roc_auc(found, truth):.3f}")
    return "\n".join([*lines, "", curve(found, truth)])


def weights_of(calibration: Calibration) -> str:
    """A line for each weight."""
    return "\n".join(f"{name:<18}{weight:>9.4g}" for name, weight in calibration.weights.items())


def curve(confidence: np.ndarray, good: np.ndarray) -> str:
    """The calibration curve: a row for each range of confidence."""
    rows = []
    for least, most in zip(EDGES, EDGES[1:], strict=False):
        inside = (confidence >= least) & ((confidence < most) | (most == 1))
        if inside.any():
            means = f"{confidence[inside].mean():.3f}", f"{good[inside].mean():.3f}"
            rows.append([f"{least:g} to {most:g}", f"{inside.sum():,}", *means])
    return table(["confidence", "sentences", "mean confidence", "share that is good"], rows)


def measure(translator: Translator, sources: list[str], targets: list[list[str]]) -> str:
    """The block of one checkpoint: area under the ROC curve, calibration curve, and lines in other languages."""
    calibration = Calibration.of(translator.checkpoint.metadata.confidence)
    if calibration is None:
        raise UserError("the checkpoint has no confidence; --write makes it")
    rows, good = judged(translator, sources, targets)
    found = np.array([calibration(row) for row in rows])
    other = [own[0] for own in targets[:OTHER_LINES]]
    groups = {
        f"test sentences ({translator.source})": sources,
        f"their references ({translator.target}), as sources": other,
        "random letters": [scrambled(text, -1 - number) for number, text in enumerate(other)],
    }
    told = []
    for name, lines in groups.items():
        translations = [one for one in translator.stream(lines, one_sentence=True) if one.confidence is not None]
        median = np.median([one.confidence for one in translations if one.confidence is not None])
        warned = np.mean([looks_foreign(one) for one in translations])
        told.append([name, f"{len(lines):,}", f"{median:.2f}", f"{100 * warned:.1f}%"])
    return "\n\n".join(
        [
            f"## {Path(translator.checkpoint.directory).resolve().name}",
            f"{len(rows):,} test sentences, {(~good).sum():,} of them bad. Area under the ROC curve: "
            f"**{roc_auc(found, good):.3f}**.",
            curve(found, good),
            table(["lines", "number", "median confidence", "warned of"], told),
        ]
    )


if __name__ == "__main__":
    sys.exit(run("confidence.py", main))
