"""Confidence in a translation: logistic regression on evidence from the search, the links and the source's words.

Each checkpoint has weights of its own, fitted on its development split by `nmt.confidence_fit`.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nmt.alignment import Link

if TYPE_CHECKING:
    from nmt.search.options import Hypothesis
    from nmt.text.encoding import Encoding
    from nmt.text.names import KnownWords
    from nmt.text.subwords import Subwords
    from nmt.translation import Translation

Evidence = Mapping[str, float]
"""The features of a translation, keyed as `SIGNS`; those that a model cannot provide are absent."""

SIGNS = {
    "surprise": -1,  # square root of the negative log-probability a letter
    "letters": 1,  # the logarithm of how many the translation has: chrF is more even over long ones
    "agreement": 1,  # how alike the search's other hypotheses are (`agreement`)
    "unknown": -1,  # share of the source's words that the training corpus lacks
}
"""Every piece of evidence, and whether confidence rises (1) or falls (-1) with it."""
WORD_SIGNS = {
    "word_posterior": 1,  # the least of its pieces' (`posteriors`)
    "word_link": 1,  # probability of its likeliest link
    "word_log_probability": 1,  # of a piece of the whole translation, on average
    "word_unknown": -1,  # 1 if it is linked to a word that the training corpus lacks
    "word_pieces": -1,  # how many it has
    "word_letters": -1,  # the logarithm of how many
}
"""The same for a target word."""
INTERCEPT, WORD_INTERCEPT = "intercept", "word_intercept"
LOW = 0.5
"""Confidence below it is low."""
LOW_WORD = 0.3
"""A word of less confidence is doubtful."""
_WEIGHTED = {INTERCEPT, WORD_INTERCEPT, *SIGNS, *WORD_SIGNS}
FOREIGN = 0.4
"""A line of low confidence with at least this share of unknown words looks like another language."""
LEAST_LOG_PROBABILITY = -50.0
"""Floor of the mean log-probability per piece, because an engine may return -inf."""
LETTERS_IN_A_ROW = 3
"""What hypotheses are compared by."""


@dataclass(frozen=True)
class Calibration:
    """P(the translation is good) = 1 / (1 + exp(-(intercept + sum of weight times evidence))), also for words."""

    weights: Mapping[str, float]
    """Keyed as `SIGNS` and `WORD_SIGNS`, plus the intercepts; a missing key weighs 0."""

    @classmethod
    def of(cls, weights: Mapping[str, float] | None) -> Calibration | None:
        """The calibration of a checkpoint's metadata; None without one, or for evidence that is not known here."""
        return cls(weights) if weights and set(weights) <= _WEIGHTED else None

    def __call__(self, evidence: Evidence) -> float:
        """The confidence in a translation, 0 to 1."""
        logit = self.weights.get(INTERCEPT, 0.0)
        logit += sum(self.weights.get(name, 0.0) * value for name, value in evidence.items())
        return 1 / (1 + math.exp(-min(max(logit, -500), 500)))

    def words(self, evidence: np.ndarray | None) -> list[float] | None:
        """The confidence in each word, 0 to 1, by its evidence [words, `WORD_SIGNS`]; None without weights for it."""
        if evidence is None or WORD_INTERCEPT not in self.weights:
            return None
        logits = evidence @ self._word_weights + self.weights[WORD_INTERCEPT]
        return (1 / (1 + np.exp(-logits.clip(-500, 500)))).tolist()

    @cached_property
    def _word_weights(self) -> np.ndarray:
        return np.array([self.weights.get(name, 0.0) for name in WORD_SIGNS])


def evidence_of(
    source: Encoding,
    target: Encoding,
    hypothesis: Hypothesis,
    links: Sequence[Link] | None,
    link_probabilities: np.ndarray | None,
    subwords: Subwords,
) -> tuple[dict[str, float], np.ndarray]:
    """The evidence for one hypothesis, and for each of its words [words, `WORD_SIGNS`].

    Args:
        source, target: the sentence and its translation, before what was copied is put back.
        hypothesis: the translation as the search returned it.
        links: (source word, target word); None from a model without attention.
        link_probabilities: [target words, source words], from the alignment head.
        subwords: the spelling of pieces, and the words of the training corpus.
    """
    written = "".join(subwords.pieces(hypothesis.pieces))
    others = ["".join(subwords.pieces(one.pieces)) for one in hypothesis.rivals]
    letters, pieces = max(1, len(written)), len(hypothesis.pieces) + 1
    log_probability = max(min(hypothesis.log_probability, 0.0), pieces * LEAST_LOG_PROBABILITY)
    found = {
        "surprise": math.sqrt(-log_probability / letters),
        "letters": math.log(letters),
        "agreement": agreement(written, others, [one.log_probability for one in hypothesis.rivals]),
    }
    words = len(target.words)
    by_word = {name: [0.0] * words for name in WORD_SIGNS}
    by_word["word_posterior"] = [1.0] * words
    by_word["word_log_probability"] = [log_probability / pieces] * words
    by_word["word_letters"] = [math.log(len(word.text)) for word in target.words]
    for share, covered in zip(posteriors(hypothesis), target.words_of_piece, strict=False):
        for word in covered:
            by_word["word_posterior"][word] = min(by_word["word_posterior"][word], share)
            by_word["word_pieces"][word] += 1
    if link_probabilities is not None and link_probabilities.size:
        by_word["word_link"] = link_probabilities.max(axis=1).tolist()
    if subwords.known_words is not None:
        spelled = list(_spelled(source))
        unknown = {word for word in spelled if not is_known(source.words[word].text, subwords.known_words)}
        found["unknown"] = len(unknown) / max(1, len(spelled))
        for own, word in links or ():
            if own in unknown:
                by_word["word_unknown"][word] = 1.0
    return found, np.array(list(by_word.values())).T


def agreement(written: str, others: Sequence[str], log_probabilities: Sequence[float]) -> float:
    """How alike a translation and others are, 0 to 1: the Dice coefficient of the sets of their `LETTERS_IN_A_ROW`, on
    average by the others' probability; 1 without any."""
    if not others:
        return 1.0
    own, *rest = map(_rows_of_letters, (written, *others))
    shares = zip(_shares(log_probabilities), rest, strict=True)
    return sum(share * 2 * len(own & other) / (len(own) + len(other)) for share, other in shares)


def _rows_of_letters(text: str) -> set[str]:
    return {text[start : start + LETTERS_IN_A_ROW] for start in range(max(1, len(text) - LETTERS_IN_A_ROW + 1))}


def posteriors(hypothesis: Hypothesis) -> list[float]:
    """Posterior of each piece: the share of the finished hypotheses' probability held by those that contain it, at any
    position (Ueffing and Ney 2007, section 4, over an n-best list)."""
    found = [hypothesis, *hypothesis.rivals]
    mass: dict[int, float] = defaultdict(float)
    for share, one in zip(_shares([one.log_probability for one in found]), found, strict=True):
        for piece in set(one.pieces):
            mass[piece] += share
    return [mass[piece] for piece in hypothesis.pieces]


def _shares(log_probabilities: Sequence[float]) -> list[float]:
    """The probabilities divided by their sum; equal ones where all are 0."""
    most = max(log_probabilities)
    weights = [math.exp(one - most) if most > -math.inf else 1.0 for one in log_probabilities]
    total = sum(weights)
    return [weight / total for weight in weights]


def _spelled(source: Encoding) -> Iterator[int]:
    """The words of letters that are not copied and have no placeholder."""
    spans = list(source.slots.values())
    held = {source.text[slice(*span)] for span in spans}
    for number in source.translated_words:
        text, start, end = source.words[number]
        if spans and (text in held or any(first <= start and end <= last for first, last in spans)):
            continue
        if text.isalpha() or text[0].isalpha() and not any(map(str.isdigit, text)):
            yield number


def is_known(word: str, known: KnownWords) -> bool:
    """Whether the training corpus has the word, however it is capitalized."""
    text = word.replace("’", "'").removesuffix("'s")
    return text in known.words or text.lower() in known.words or text.capitalize() in known.words


def in_words(confidence: float) -> str:
    """The mark in pictures: `confidence 0.31 (low)`."""
    return f"confidence {confidence:.2f}" + (" (low)" if confidence < LOW else "")


def doubtful(translation: Translation) -> list[bool]:
    """[target words]: whether each word's confidence is below `LOW_WORD`; all False if there is none."""
    if translation.word_confidence is None:
        return [False] * len(translation.target_words)
    return [value < LOW_WORD for value in translation.word_confidence]


def looks_foreign(translation: Translation) -> bool:
    """Whether confidence is low and, if the checkpoint lists known words, many of the source's are not among them."""
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
