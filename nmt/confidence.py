"""How far a translation can be trusted: a logistic model of what search, links and the source's words tell.

Each checkpoint has weights of its own, fitted on its development split by `nmt.calibration`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmt.alignment import Link
from nmt.text.words import Word, overlapping

if TYPE_CHECKING:
    from nmt.text.slots import KnownWords
    from nmt.text.subwords import Encoding
    from nmt.translation import Translation

Evidence = Mapping[str, float]
"""What is known of a translation, by the names of `SIGNS`; what a model cannot tell is left out."""

SIGNS = {
    "log_probability": 1,  # of a target piece, on average
    "linked_source": 1,  # share of the source words that have a link
    "linked_target": 1,  # share of the target words
    "link_probability": 1,  # of each target word's likeliest link, on average
    "length": -1,  # |log(target pieces / source pieces)|
    "pieces": -1,  # source pieces a letter
    "repeated": -1,  # share of the source's words in lower case that the translation has as they are
    "unknown": -1,  # share of the source's words that the training corpus lacks
}
"""Every piece of evidence, and whether confidence rises (1) or falls (-1) with it."""
INTERCEPT = "intercept"
LOW = 0.5
"""Confidence below it is low."""
FOREIGN = 0.4
"""A line of low confidence looks like another language from this share of unknown words."""
LEAST_LOG_PROBABILITY = -50.0
"""Of a piece: an engine may find -inf."""


@dataclass(frozen=True)
class Calibration:
    """P(the translation is good) = 1 / (1 + exp(-(intercept + sum of weight times evidence)))."""

    weights: Mapping[str, float]
    """By the names of `SIGNS`, and the intercept; what is missing has no weight."""

    @classmethod
    def of(cls, weights: Mapping[str, float] | None) -> Calibration | None:
        """The calibration of a checkpoint's metadata; None without one, or for evidence that is not known here."""
        return cls(weights) if weights and set(weights) <= {INTERCEPT, *SIGNS} else None

    def __call__(self, evidence: Evidence) -> float:
        """The confidence, 0 to 1."""
        logit = self.weights.get(INTERCEPT, 0.0)
        logit += sum(weight * evidence.get(name, 0.0) for name, weight in self.weights.items() if name != INTERCEPT)
        return 1 / (1 + math.exp(-min(max(logit, -500), 500)))


def evidence_of(
    source: Encoding,
    target: Encoding,
    log_probability: float,
    links: Sequence[Link] | None,
    link_probabilities: np.ndarray | None,
    known: KnownWords | None,
) -> dict[str, float]:
    """The evidence for one hypothesis.

    Args:
        source, target: the sentence and its translation, before what was copied is put back.
        log_probability: of all target pieces and `</s>`.
        links: (source word, target word); None from a model without attention.
        link_probabilities: [target words, source words], from the alignment head.
        known: words of the training corpus.
    """
    words = _translated(source)
    letters = sum(len(source.words[word].text) for word in words)
    found = {
        "log_probability": max(log_probability / (len(target.ids) + 1), LEAST_LOG_PROBABILITY),
        "length": abs(math.log((len(target.ids) + 1) / (len(source.ids) + 1))),
        "pieces": len(source.ids) / max(1, letters),
    }
    written = {word.text for word in target.words}
    lower = [word.text for word in source.words if len(word.text) > 1 and word.text.islower()]
    found["repeated"] = _share(word in written for word in lower)
    if links is not None:
        sources, targets = {link[0] for link in links}, {link[1] for link in links}
        found["linked_source"] = _share(word in sources for word in words)
        found["linked_target"] = len(targets) / max(1, len(target.words))
    if link_probabilities is not None and link_probabilities.size:
        found["link_probability"] = float(link_probabilities.max(axis=1).mean())
    if known is not None:
        found["unknown"] = _share(not _is_known(source.words[word], known) for word in _spelled(source, words))
    return found


def _translated(source: Encoding) -> list[int]:
    """The words that are not copied."""
    if not source.copied:
        return list(range(len(source.words)))
    covered = overlapping(source.copied, [(word.start, word.end) for word in source.words])
    return sorted(set(range(len(source.words))) - {word for words in covered for word in words})


def _spelled(source: Encoding, words: Iterable[int]) -> Iterator[int]:
    """Those of the words that are of letters and have no placeholder."""
    held = {source.text[slice(*span)] for span in source.slots.values()}
    spans = list(source.slots.values())
    for number in words:
        text, start, end = source.words[number]
        inside = any(first <= start and end <= last for first, last in spans)
        if not inside and text not in held and text[0].isalpha() and not any(letter.isdigit() for letter in text):
            yield number


def _is_known(word: Word, known: KnownWords) -> bool:
    text = word.text.replace("’", "'").removesuffix("'s")
    return any(form in known.words for form in (text, text.lower(), text.capitalize()))


def _share(truths: Iterable[bool]) -> float:
    values = list(truths)
    return sum(values) / len(values) if values else 0.0


def joined_confidence(parts: Sequence[Translation]) -> tuple[float | None, dict[str, float] | None]:
    """Confidence and evidence of a text from those of its parts: means, weighted by target words."""
    told = [(part, max(1, len(part.target_words))) for part in parts if part.evidence is not None]
    if not told:
        return None, None
    weights = [weight for _, weight in told]
    names = set.intersection(*(set(part.evidence or ()) for part, _ in told))
    evidence = {
        name: float(np.average([(part.evidence or {})[name] for part, _ in told], weights=weights)) for name in names
    }
    values = [part.confidence for part, _ in told]
    if any(value is None for value in values):
        return None, evidence
    return float(np.average(np.array(values, float), weights=weights)), evidence


def in_words(confidence: float) -> str:
    """The mark in pictures: `confidence 0.31 (low)`."""
    return f"confidence {confidence:.2f}" + (" (low)" if confidence < LOW else "")


def looks_foreign(translation: Translation) -> bool:
    """Whether confidence is low and, where the checkpoint knows its words, many of the source's are unknown."""
    confidence, evidence = translation.confidence, translation.evidence
    if confidence is None or evidence is None:
        return False
    return confidence < LOW and evidence.get("unknown", 1.0) >= FOREIGN


def with_warning(translations: Iterable[Translation], language: str) -> Iterator[Translation]:
    """The same translations; after the last, one warning if lines look unlike `language`, the model's source."""
    lines = found = first = 0
    for lines, translation in enumerate(translations, 1):
        if looks_foreign(translation):
            found += 1
            first = first or lines
        yield translation
    if found:
        told = f"line {first} looks" if found == 1 else f"{found:,} of {lines:,} lines look"
        place = "" if found == 1 else f" (line {first} first)"
        warnings.warn(
            f"{told} unlike {language}, which the model translates from{place}; confidence is low", stacklevel=2
        )
