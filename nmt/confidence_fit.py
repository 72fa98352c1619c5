"""Fit a checkpoint's confidence on sentences whose translations are known."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmt.checkpoint import write_checkpoint_metadata
from nmt.confidence import INTERCEPT, SIGNS, WORD_INTERCEPT, WORD_SIGNS, Calibration, Evidence
from nmt.corpus import references
from nmt.text.words import split_words
from nmt.translator import Translator

if TYPE_CHECKING:
    import datasets

GOOD = 30.0
"""A translation is good from this chrF, 0 to 100, against its reference."""
SENTENCES = 1_500
"""Development sentences that are read, at most."""
FEWEST = 200, 10
"""Without this many sentences, good ones and bad ones among them, there is no calibration."""
FOREIGN_SHARE = 50
"""One line in another language, and one in none, for so many sentences."""


class Judged(NamedTuple):
    """Translations of sentences with references, as evidence and truth."""

    rows: list[Evidence]
    good: np.ndarray
    """[rows], bool: whether the sentence chrF, against any of the references, is at least `GOOD`."""
    words: np.ndarray
    """[words, `WORD_SIGNS`]: the evidence of all their words."""
    right: np.ndarray
    """[words], bool: whether a reference has the word, in any case."""


def calibrate_checkpoint(directory: Path, pairs: datasets.Dataset, threads: int | None = None) -> Calibration | None:
    """Fit on `pairs` and write the weights into `metadata.json`; None, and nothing written, where they are too few."""
    if len(pairs) < FEWEST[0]:
        return None
    translator = Translator.load(directory, threads=threads)
    sources, targets = references(pairs)
    found = judged(translator, sources[:SENTENCES], targets[:SENTENCES])
    other = foreign(translator, targets, len(found.rows))
    good = np.concatenate([found.good, np.zeros(len(other), bool)])
    calibration = fit([*found.rows, *other], good, found.words, found.right)
    if calibration is not None:
        record = translator.checkpoint.metadata.record
        write_checkpoint_metadata(directory, {**record, "confidence": dict(calibration.weights)})
    return calibration


def judged(translator: Translator, sources: Sequence[str], targets: Sequence[list[str]]) -> Judged:
    """Translate and judge."""
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    translations = translator.stream(sources, one_sentence=True, long="split", attention=False)
    rows, good, words, right = [], [], [np.zeros((0, len(WORD_SIGNS)))], []
    for translation, own in zip(translations, targets, strict=True):
        if translation.evidence is not None:
            rows.append(translation.evidence)
            good.append(metric.sentence_score(translation.text, own).score >= GOOD)
        if translation.word_evidence is not None:
            known = {word.text.casefold() for text in own for word in split_words(text)}
            words.append(translation.word_evidence)
            right += [word.casefold() in known for word in translation.target_words]
    return Judged(rows, np.array(good, bool), np.concatenate(words), np.array(right, bool))


def foreign(translator: Translator, targets: Sequence[list[str]], sentences: int) -> list[Evidence]:
    """Evidence for lines beside so many sentences that can only be bad: target sentences taken for sources, and random
    letters in their place."""
    other = [own[0] for own in targets[: sentences // FOREIGN_SHARE]]
    lines = other + [scrambled(text, seed) for seed, text in enumerate(other)]
    found = translator.stream(lines, one_sentence=True, long="split", attention=False)
    return [translation.evidence for translation in found if translation.evidence is not None]


def scrambled(text: str, seed: int) -> str:
    """As many words, of as many letters, in no language."""
    draw = random.Random(seed)
    return " ".join("".join(draw.choices(string.ascii_lowercase, k=len(word.text))) for word in split_words(text))


def fit(
    rows: Sequence[Evidence], good: np.ndarray, words: np.ndarray | None = None, right: np.ndarray | None = None
) -> Calibration | None:
    """The calibration of judged translations and, where given, of their words; None where they are too few.

    Evidence whose weight would have the wrong sign is left out, so that confidence rises and falls as `SIGNS` says.
    """
    if not _enough(good):
        return None
    names = [name for name in SIGNS if all(name in row for row in rows)]
    values = np.array([[row[name] for name in names] for row in rows])
    weights = _signed({name: SIGNS[name] for name in names}, values, good, INTERCEPT)
    if words is not None and right is not None and _enough(right):
        weights |= _signed(WORD_SIGNS, words, right, WORD_INTERCEPT)
    return Calibration(weights)


def _enough(good: np.ndarray) -> bool:
    return len(good) >= FEWEST[0] and min(good.sum(), (~good).sum()) >= FEWEST[1]


def _signed(signs: Mapping[str, int], values: np.ndarray, good: np.ndarray, intercept: str) -> dict[str, float]:
    """The weights of evidence [rows, signs] that have the right sign, and the intercept."""
    names = list(signs)
    while True:
        kept = values[:, [name in names for name in signs]]
        mean, deviation = kept.mean(axis=0), kept.std(axis=0)
        deviation[deviation < 1e-9] = np.inf  # no weight for what does not vary
        *weights, constant = fit_logistic((kept - mean) / deviation, good)
        wrong = [name for name, weight in zip(names, weights, strict=True) if weight * signs[name] < 0]
        if not wrong:
            break
        # One at a time, the worst first: another's sign may turn.
        names.remove(max(wrong, key=lambda name: abs(weights[names.index(name)])))
    raw = np.array(weights) / deviation
    found = {intercept: constant - (raw * mean).sum(), **{n: w for n, w in zip(names, raw, strict=True) if w}}
    return {name: float(f"{weight:.6g}") for name, weight in found.items()}


def fit_logistic(values: np.ndarray, labels: np.ndarray, ridge: float = 1.0) -> np.ndarray:
    """Logistic regression by Newton's method: [features + 1] weights, the intercept last.

    They minimize the summed cross-entropy plus ridge / 2 times the squared norm of the weights, the intercept's apart.

    Args:
        values: [rows, features], standardized.
        labels: [rows], 0 to 1.
        ridge: above 0, so that there is one minimum.
    """
    design = np.column_stack([values, np.ones(len(values))])
    penalty = ridge * np.append(np.ones(values.shape[1]), 0.0)

    def loss(weights: np.ndarray) -> float:
        logits = design @ weights
        return float((np.logaddexp(0, logits) - labels * logits).sum() + (penalty * weights**2).sum() / 2)

    weights = np.zeros(design.shape[1])
    for _ in range(100):
        found = 1 / (1 + np.exp(-np.clip(design @ weights, -500, 500)))
        gradient = design.T @ (found - labels) + penalty * weights
        hessian = (design * (found * (1 - found))[:, None]).T @ design + np.diag(penalty)
        step, size = np.linalg.solve(hessian, gradient), 1.0
        while loss(weights - size * step) > loss(weights) and size > 1e-9:
            size /= 2
        weights = weights - size * step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: the probability that a positive scores above a negative, ties counting half.

    NaN where either is missing.
    """
    above, below = np.sort(scores[positive]), np.sort(scores[~positive])
    wins = np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")
    return float(wins.sum() / (2 * len(above) * len(below))) if len(above) and len(below) else float("nan")
