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
    from nmt.search.options import Hypothesis
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
    "posterior": 1,  # of a target piece, on average (`posteriors`)
    "margin": 1,  # log-probability of a piece, less that of the likeliest of the other hypotheses
    "letters": 1,  # the logarithm of how many the translation has: chrF is more even over long ones
    "length": -1,  # |log(target pieces / source pieces)|
    "pieces": -1,  # source pieces a letter
    "repeated": -1,  # share of the source's words in lower case that the translation has as they are
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
"""A line of low confidence looks like another language from this share of unknown words."""
LEAST_LOG_PROBABILITY = -50.0
"""Of a piece: an engine may find -inf."""


@dataclass(frozen=True)
class Calibration:
    """P(the translation is good) = 1 / (1 + exp(-(intercept + sum of weight times evidence))), also for words."""

    weights: Mapping[str, float]
    """By the names of `SIGNS` and `WORD_SIGNS`, and the intercepts; what is missing has no weight."""

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
        logits = evidence @ np.array([self.weights.get(name, 0.0) for name in WORD_SIGNS])
        return (1 / (1 + np.exp(-np.clip(logits + self.weights[WORD_INTERCEPT], -500, 500)))).tolist()


def evidence_of(
    source: Encoding,
    target: Encoding,
    hypothesis: Hypothesis,
    links: Sequence[Link] | None,
    link_probabilities: np.ndarray | None,
    known: KnownWords | None,
) -> tuple[dict[str, float], np.ndarray]:
    """The evidence for one hypothesis, and for each of its words [words, `WORD_SIGNS`].

    Args:
        source, target: the sentence and its translation, before what was copied is put back.
        hypothesis: the translation as the search returned it.
        links: (source word, target word); None from a model without attention.
        link_probabilities: [target words, source words], from the alignment head.
        known: words of the training corpus.
    """
    words = _translated(source)
    shares = posteriors(hypothesis)
    found = {**_search_evidence(hypothesis, shares), **_text_evidence(source, target, words)}
    by_word = np.zeros((len(target.words), len(WORD_SIGNS)))
    by_word[:, 0] = 1.0
    by_word[:, 2] = found["log_probability"]
    for share, covered in zip(shares, target.words_of_piece, strict=False):
        for word in covered:
            by_word[word, 0] = min(by_word[word, 0], share)
            by_word[word, 4] += 1
    by_word[:, 5] = np.log([len(word.text) for word in target.words])
    if links is not None:
        sources, targets = {link[0] for link in links}, {link[1] for link in links}
        found["linked_source"] = _share(word in sources for word in words)
        found["linked_target"] = len(targets) / max(1, len(target.words))
    if link_probabilities is not None and link_probabilities.size:
        by_word[:, 1] = link_probabilities.max(axis=1)
        found["link_probability"] = float(by_word[:, 1].mean())
    if known is not None:
        spelled = list(_spelled(source, words))
        unknown = {word for word in spelled if not _is_known(source.words[word], known)}
        found["unknown"] = len(unknown) / max(1, len(spelled))
        for own, target_word in links or () if unknown else ():
            by_word[target_word, 3] = max(by_word[target_word, 3], own in unknown)
    return found, by_word


def _search_evidence(hypothesis: Hypothesis, shares: Sequence[float]) -> dict[str, float]:
    own, *others = (
        max(one.log_probability / (len(one.pieces) + 1), LEAST_LOG_PROBABILITY)
        for one in (hypothesis, *hypothesis.rivals)
    )
    return {
        "log_probability": own,
        "posterior": sum(shares) / len(shares) if shares else 1.0,
        "margin": own - max(others, default=own),
    }


def _text_evidence(source: Encoding, target: Encoding, words: Sequence[int]) -> dict[str, float]:
    texts, written = [word.text for word in source.words], {word.text for word in target.words}
    lower = [text for text in texts if len(text) > 1 and text.islower()]
    return {
        "letters": math.log(len(target.text) + 1),
        "length": abs(math.log((len(target.ids) + 1) / (len(source.ids) + 1))),
        "pieces": len(source.ids) / max(1, sum(len(texts[word]) for word in words)),
        "repeated": _share(text in written for text in lower),
    }


def posteriors(hypothesis: Hypothesis) -> list[float]:
    """For each piece the probability, among the search's finished hypotheses, of those that have it (Ueffing and Ney
    2007, section 4, over an n-best list without regard to places)."""
    found = [hypothesis, *hypothesis.rivals]
    most = max(one.log_probability for one in found)
    weights = [math.exp(one.log_probability - most) if one.log_probability > -math.inf else 0.0 for one in found]
    total = sum(weights)
    if not total:
        return [1.0] * len(hypothesis.pieces)
    others = [(weight / total, set(one.pieces)) for weight, one in zip(weights[1:], found[1:], strict=True)]
    own = weights[0] / total
    return [own + sum(weight for weight, pieces in others if piece in pieces) for piece in hypothesis.pieces]


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


def doubtful(translation: Translation) -> list[bool]:
    """[target words]: whether each has a confidence, and a low one."""
    if translation.word_confidence is None:
        return [False] * len(translation.target_words)
    return [value < LOW_WORD for value in translation.word_confidence]


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
