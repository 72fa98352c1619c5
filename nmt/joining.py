"""One translation of a text from those of its parts: sentences, and asides within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nmt.text.words import overlapping, split_words
from nmt.translation import Translation

LARGEST_MATRIX = 2**22
"""Cells of the largest word matrix kept for a text translated in parts: about 2,000 by 2,000 words."""


def join_translations(
    source: str, source_words: list[str], parts: Sequence[Translation], places: Sequence[list[int]]
) -> Translation:
    """Join the translations of a text's parts. Hypothesis k joins the parts' k-th hypotheses, so the first does not
    depend on `n_best`.

    `places[p][i]` is the word of the whole text that contains word i of part p. The score is the mean of the
    parts' scores, weighted by target words, and so are confidence and evidence. The result has no heads, which belong
    to one sentence, and no rows in its matrix if that would exceed `LARGEST_MATRIX` cells.
    """
    lists = [part.hypotheses or [part] for part in parts]
    joined = []
    for number in range(min(map(len, lists))):
        group = [found[number] for found in lists]
        joined.append(_join(source, source_words, group, places))
    return replace(joined[0], hypotheses=joined) if len(joined) > 1 else joined[0]


def with_aside(host: Translation, aside: Translation, text: str, places: list[int]) -> Translation:
    """Replace an aside that `host` has copied by its translation, in all hypotheses. `text` is that of `aside` in the
    casing that it has within a sentence, and without a full stop.

    `places[i]` is the word of the host's source that is word i of the aside's. Score and confidence are as in
    `join_translations`. The heads of `host` stay: the aside has its own.
    """
    if not text:
        return host
    if host.hypotheses:
        hypotheses = [with_aside(replace(one, hypotheses=[]), aside, text, places) for one in host.hypotheses]
        return replace(hypotheses[0], hypotheses=hypotheses)
    start = host.text.index(f"({aside.source})") + 1
    end = start + len(aside.source)
    (copied,) = overlapping([(start, end)], [(word.start, word.end) for word in split_words(host.text)])
    words = [word.text for word in split_words(text)]
    translated = replace(_words(aside, slice(len(words))), target_words=words)
    parts = _words(host, slice(copied.start)), translated, _words(host, slice(copied.stop, None))
    own = list(range(len(host.source_words)))
    added = len(words) - len(copied)
    return replace(
        _join(host.source, host.source_words, parts, (own, places, own)),
        text=host.text[:start] + text + host.text[end:],
        heads=host.heads,
        source_word_of_piece=host.source_word_of_piece,
        target_word_of_piece=[
            [word + added if word >= copied.stop else word for word in covered] for covered in host.target_word_of_piece
        ],
    )


def _words(translation: Translation, part: slice) -> Translation:
    """Some of the target words, with what is known of them."""

    def of(values):
        return None if values is None else values[part]

    numbers = range(*part.indices(len(translation.target_words)))
    links = translation.alignment
    return replace(
        translation,
        target_words=translation.target_words[part],
        attention=of(translation.attention),
        alignment=None if links is None else [(s, t - numbers.start) for s, t in links if t in numbers],
        link_probabilities=of(translation.link_probabilities),
        word_probabilities=of(translation.word_probabilities),
        word_confidence=of(translation.word_confidence),
    )


def _join(
    source: str, source_words: list[str], parts: Sequence[Translation], places: Sequence[list[int]]
) -> Translation:
    target_words = [word for part in parts for word in part.target_words]
    weights = [max(1, len(part.target_words)) for part in parts]
    score = float(np.average([part.score for part in parts], weights=weights))
    text = " ".join(part.text for part in parts if part.text)
    confidence, evidence = joined_confidence(parts)
    whole = Translation(
        source,
        text,
        score,
        source_words,
        target_words,
        None,
        None,
        word_probabilities=_joined_values([part.word_probabilities for part in parts]),
        confidence=confidence,
        evidence=evidence,
        word_confidence=_joined_values([part.word_confidence for part in parts if part.target_words]),
    )
    if any(part.alignment is None for part in parts):
        return whole
    size = len(target_words) * (len(source_words) + 1)
    links: set[tuple[int, int]] = set()
    first = 0
    for part, own in zip(parts, places, strict=True):
        links |= {(own[s], first + t) for s, t in part.alignment or ()}
        first += len(part.target_words)
    attention = _joined_matrix([part.attention for part in parts], places, len(source_words) + 1, size)
    probabilities = _joined_matrix([part.link_probabilities for part in parts], places, len(source_words), size)
    return replace(
        whole,
        attention=attention,
        alignment=sorted(links),
        link_probabilities=probabilities,
        attention_name=parts[0].attention_name,
    )


def _joined_values(lists: Sequence[list[float] | None]) -> list[float] | None:
    """One list of the parts' own; None if one is None."""
    if not lists or any(values is None for values in lists):
        return None
    return [value for values in lists for value in values or ()]


def _joined_matrix(
    matrices: Sequence[np.ndarray | None], places: Sequence[list[int]], columns: int, size: int
) -> np.ndarray | None:
    """The parts' matrices as blocks of one of `columns`; None if one is None, no rows if it would be too large."""
    if any(matrix is None for matrix in matrices):
        return None
    if size > LARGEST_MATRIX:
        return np.zeros((0, columns), np.float32)
    blocks = []
    for matrix, words in zip(matrices, places, strict=True):
        assert matrix is not None
        block = np.zeros((len(matrix), columns), np.float32)
        for column, word in enumerate([*words, -1][: matrix.shape[1]]):  # the last column is `</s>`
            block[:, word] += matrix[:, column]
        blocks.append(block)
    return np.concatenate(blocks)


def joined_confidence(parts: Sequence[Translation]) -> tuple[float | None, dict[str, float] | None]:
    """Confidence and evidence of a text from those of its parts: means, weighted by target words."""
    first = parts[0].evidence
    if first is None:
        return None, None
    weights = [max(1, len(part.target_words)) for part in parts]
    evidence = {
        name: float(np.average([(part.evidence or {})[name] for part in parts], weights=weights)) for name in first
    }
    if parts[0].confidence is None:
        return None, evidence
    return float(np.average([part.confidence for part in parts], weights=weights)), evidence
